"""What the desk must know of the open batch before it answers: a fold over both logs.

Which batch it is, in which use, and whether a person who did not log in pressed Hold and was not
named since: Restart waits for that name, also after a restart of the supervisor. What people do by
hand in place of a row that is bypassed. What was changed in the recipe, by which deviation, and why
an element of it is held for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.people.roles import NOBODY
from controller.recipe.states import HELD, HOLDING


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of the running recipe: `kind` is set, extend, skip, repeat or insert."""

    deviation: str
    kind: str
    path: str
    after: str
    name: str
    old: str
    new: str
    by: str
    second: str


class Standing:
    """The fold; changed by `take` only."""

    def __init__(self) -> None:
        self.batch_id = ""
        self.use = "none"
        self.unidentified = 0  # the id of the Hold nobody is named for; 0 = none
        self.pressed_at = ""
        self.measures: dict[str, str] = {}  # by bypassed row: what is done instead
        self.changes: tuple[Changed, ...] = ()  # of the recipe, the oldest first
        self.held: dict[str, str] = {}  # elements held for themselves, and why

    def take(self, name: str, data: Mapping[str, Any], actor: str, role: str) -> None:
        """Takes one record."""
        if name == "command.intent" and data["verb"] == "hold" and role == NOBODY:
            self.unidentified, self.pressed_at = int(data["id"]), actor
        elif name == "command.outcome" and data["result"] == "refused":
            if int(data["id"]) == self.unidentified:
                self.unidentified = 0
        elif name == "deviation.opened":
            self.measures[str(data["row"])] = str(data["measure"])
        elif name == "bypass.lapsed":
            self.measures.pop(str(data["row"]), None)
        elif name == "hold.identified":
            self.unidentified = 0
        elif name == "part.held":
            self.held[str(data["path"])] = str(data["cause"])
        elif name == "procedure.state" and data["new"] not in (HOLDING, HELD):
            self.held.pop(str(data["path"]), None)
        elif name == "recipe.changed":
            self.changes = (*self.changes, _changed(data, actor))
        elif name == "batch.opened":
            self.batch_id, self.use = str(data["batch_id"]), str(data["use"])
            self._begin()
        elif name == "batch.closed":
            self.batch_id, self.use = "", "none"
            self._begin()

    def _begin(self) -> None:
        self.unidentified, self.changes = 0, ()
        self.held.clear()


def _changed(data: Mapping[str, Any], actor: str) -> Changed:
    new = data["new"]
    if isinstance(new, Mapping):
        new = ", ".join(f"{name} = {value}" for name, value in sorted(new.items()))
    return Changed(
        str(data["deviation"]), str(data["change"]), str(data["path"]), str(data["after"]),
        str(data["name"]), str(data["old"]), str(new), actor, str(data["second"]),
    )  # fmt: skip

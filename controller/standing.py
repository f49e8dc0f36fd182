"""What the desk must know of the open batch before it answers: a fold over both logs.

Which batch it is, in which use, and whether a person who did not log in pressed Hold and was not
named since: Restart waits for that name, also after a restart of the supervisor. What people do by
hand in place of a row that is bypassed. What was changed in the recipe, by which deviation, and why
an element of it is held for itself. And what each I/O board said last: who it is, and which of its
events are recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.core.clock import Stamp
from controller.core.events import Event
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


@dataclass(frozen=True, slots=True)
class BoardState:
    """An I/O board: which boot of it, how many of its events are recorded, and its last session
    as it was recorded."""

    boot_id: int = -1
    events: int = 0
    session: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> str:
        """Its identity, as a batch's header names it."""
        if not self.session:
            return "unknown"
        return f"image {self.session['image']}, table {self.session['table']}, boot {self.boot_id}"


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
        self.boards: dict[str, BoardState] = {}  # by name: what each I/O board said last

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
        elif name.startswith("board."):
            self._of_board(name, data)
        elif name == "recipe.changed":
            self.changes = (*self.changes, _changed(data, actor))
        elif name == "batch.opened":
            self.batch_id, self.use = str(data["batch_id"]), str(data["use"])
            self._begin()
        elif name == "batch.closed":
            self.batch_id, self.use = "", "none"
            self._begin()

    def news(self, event: Event) -> Event:
        """An event as it is to be recorded: one of a board that is recorded already as `retold`.

        A new field asks the board for all it still has: it reads the last ones again, and takes
        for lost what an earlier field had read. Each entry of field's rings is one record.
        """
        name, data = event.name, event.data
        known = self.boards.get(str(data.get("device", "")))
        if not name.startswith("board.") or "number" not in data or known is None:
            return event
        fresh = int(data["number"]) + 1 - known.events
        if known.boot_id != data["boot_id"]:
            return event
        if fresh <= 0:
            told = {name: data[name] for name in ("link", "device", "boot_id", "number")}
            return replace(event, name="board.retold", data=told)
        if name != "board.events_lost":
            return event
        return replace(event, data={**data, "count": min(int(data["count"]), fresh)})

    def of_boards(self, names: Iterable[str]) -> str:
        """Who the boards of a unit are, for a batch's header; one that never answered is there,
        too."""
        found = {**dict.fromkeys(names, BoardState()), **self.boards}
        return "; ".join(f"{name}: {board.words()}" for name, board in sorted(found.items()))

    def _of_board(self, name: str, data: Mapping[str, Any]) -> None:
        device = str(data["device"])
        known = self.boards.get(device, BoardState())
        if "boot_id" in data and data["boot_id"] != known.boot_id:
            # Who started anew is not known before its session says so: it may be another image.
            known = BoardState(boot_id=int(data["boot_id"]))
        if name == "board.session":
            known = replace(known, session=dict(data))
        if "number" in data:
            known = replace(known, events=max(known.events, int(data["number"]) + 1))
        self.boards[device] = known

    def carried(self, stamp: Stamp) -> list[Event]:
        """What the station's log must say of the boards after the log of a batch is sealed."""
        return [Event("board.session", stamp, data=board.session)
                for board in self.boards.values() if board.session]  # fmt: skip

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

"""What the desk must know of the open batch before it answers: a fold over both logs.

Which batch it is, in which use, and whether a person who did not log in pressed Hold and was not
named since: Restart waits for that name, also after a restart of the supervisor. And what people
do by hand in place of a row that is bypassed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.people.roles import NOBODY


class Standing:
    """The fold; changed by `take` only."""

    def __init__(self) -> None:
        self.batch_id = ""
        self.use = "none"
        self.unidentified = 0  # the id of the Hold nobody is named for; 0 = none
        self.pressed_at = ""
        self.measures: dict[str, str] = {}  # by bypassed row: what is done instead

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
        elif name == "batch.opened":
            self.batch_id, self.use = str(data["batch_id"]), str(data["use"])
            self.unidentified = 0
        elif name == "batch.closed":
            self.batch_id, self.use, self.unidentified = "", "none", 0

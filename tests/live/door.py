"""Wishes to the programs of a station: see sabotage/sitecustomize.py."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from field_view import profile
from harness import ROOT, Live, wait_until

SABOTAGE = Path(__file__).with_name("sabotage")


class Door:
    """A folder that sabotaged programs look into; `environment` makes them do so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What a program must be started with."""
        path = os.pathsep.join((str(SABOTAGE), str(ROOT)))
        return {"PYTHONPATH": path, "CELLWRIGHT_TEST_DOOR": str(self._folder)}

    def wish(self, name: str, what: Any) -> None:
        """One wish, there at once and as a whole."""
        whole = self._folder / f"{name}.part"
        whole.write_text(json.dumps(what))
        whole.rename(self._folder / name)

    def taken(self, name: str) -> bool:
        """Whether a wish was taken."""
        return not (self._folder / name).exists()

    def said(self, name: str) -> bool:
        """Whether a program left this word; it is taken away."""
        path = self._folder / name
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def ask(self, *requests: dict[str, str]) -> None:
        """Requests at the desk."""
        known = {"actor": "unverified:operator_1@station", "reason": "a test"}
        self.wish("ask", [{**known, **request} for request in requests])

    def die(self, when: str, verb: str = "", actor: str = "person", nth: int = 1) -> None:
        """The supervisor ends, or stops, at the `nth` hand-over of such a command."""
        self.wish("die", {"when": when, "verb": verb, "actor": actor, "nth": nth})

    def reset_all(self, live: Live) -> None:
        """A person resets every latched row, the first out first."""

        def latched() -> list[str]:
            with live.board() as board:
                found = [(int(row["order"]), i) for i, row in enumerate(board.image.causes)
                         if row["latched"]]  # fmt: skip
            return [profile().causes[i].row for _, i in sorted(found)]

        def none_left() -> bool:
            left = latched()
            if left:
                self.ask(*({"verb": "reset", "target": row} for row in left))
                time.sleep(1.5)
            return not latched()

        wait_until(none_left, lambda: f"{latched()} stay latched\n{live.words()}", 60.0)

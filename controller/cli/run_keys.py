"""The keyboard of a live run: single keys and typed lines become requests at the desk.

It decides nothing about the batch: every key is a request like that of any other face. Hold is one
press and needs no words; what starts or ends something asks for a typed line first.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from controller.alarms import WAITING
from controller.core.errors import Refused
from controller.desk import Request
from controller.recipe.states import PAUSED, PAUSING
from controller.station import Station

LINE_MAX = 200
READ_BYTES = 64
HELP = "h hold  p pause/resume  r restart  t reset trips  a abort  k acknowledge  Enter answer  Esc"


@dataclass(frozen=True, slots=True)
class _Typing:
    """A line being typed: what it is for, how it began, and the answer it belongs to."""

    label: str
    verb: str
    target: str = "procedure"
    expected: str = ""
    value: str = ""
    two: bool = False
    text: str = ""


class Keyboard:
    """Turns characters into requests of one actor."""

    def __init__(self, station: Station, actor: str) -> None:
        self._station, self._supervisor = station, station.supervisor
        self._actor = actor
        self._typing: _Typing | None = None
        self.said = ""

    @property
    def line(self) -> str:
        """The line being typed with its label; empty while single keys are expected."""
        return f"{self._typing.label}: {self._typing.text}" if self._typing else ""

    def press(self, keys: str) -> None:
        """Takes characters as they were typed. Control sequences are dropped."""
        if len(keys) > 1 and keys.startswith("\x1b"):
            return
        for key in keys:
            self.said = ""
            try:
                if self._typing is None:
                    self._single(key)
                else:
                    self._typed(self._typing, key)
            except Refused as error:
                self.said = error.what

    def _ask(
        self, verb: str, target: str = "procedure", value: str = "", reason: str = "",
        second: str = "", expected: str = "",
    ) -> None:  # fmt: skip
        self._supervisor.desk.ask(
            Request(verb, target, value, self._actor, reason=reason, second=second,
                    expected=expected)  # fmt: skip
        )
        self.said = f"{verb} {target} requested"

    def _single(self, key: str) -> None:
        state = self._supervisor.procedure_state
        if key == "h":
            self._ask("hold", reason="pressed at the console")
        elif key == "p":
            self._ask("resume" if state in (PAUSING, PAUSED) else "pause", expected=state)
        elif key == "r":
            self._typing = _Typing("restart, reason", "restart", expected=state)
        elif key == "a":
            self._typing = _Typing("ABORT, reason (Esc: do not)", "abort", expected=state)
        elif key == "t":
            self._typing = _Typing("reset latched rows, reason", "reset")
        elif key == "k":
            self._acknowledge()
        elif key in "\r\n":
            self._begin_answer()

    def _acknowledge(self) -> None:
        for alarm in self._supervisor.alarms.active():
            if alarm.state in WAITING:
                self._ask("acknowledge", alarm.name)
                return
        self.said = "no alarm waits for an acknowledgement"

    def _begin_answer(self) -> None:
        supervisor = self._supervisor
        open_prompts = (
            supervisor.engine.prompts(supervisor.state) if supervisor.engine is not None else []
        )
        if not open_prompts:
            self.said = "no prompt is open"
            return
        first = open_prompts[0]
        two = first.people > 1 or bool(first.repeat)
        options = " / ".join(first.options)
        label = f"{first.text} [{options or first.unit or first.kind}]"
        self._typing = _Typing(label, "answer", first.prompt_id, two=two)

    def _typed(self, typing: _Typing, key: str) -> None:
        if key == "\x1b":
            self._typing = None
        elif key in "\x7f\b":
            self._typing = replace(typing, text=typing.text[:-1])
        elif key in "\r\n":
            self._typing = None
            self._entered(typing, typing.text.strip())
        elif key.isprintable() and len(typing.text) < LINE_MAX:
            self._typing = replace(typing, text=typing.text + key)

    def _entered(self, typing: _Typing, text: str) -> None:
        if not text:
            self.said = f"{typing.verb} needs some words; nothing was asked"
        elif typing.verb == "answer" and typing.two and not typing.value:
            self._typing = replace(typing, label="second person", value=text, text="")
        elif typing.verb == "answer":
            second = f"unverified:{text}@station" if typing.value else ""
            self._ask("answer", typing.target, typing.value or text, second=second)
        elif typing.verb == "reset":
            self._reset(text)
        else:
            self._ask(typing.verb, reason=text, expected=typing.expected)

    def _reset(self, reason: str) -> None:
        causes = self._station.board.image.causes
        latched = [int(index) for index in (causes["latched"] == 1).nonzero()[0]]
        if not latched:
            self.said = "no row is latched"
        for index in sorted(latched, key=lambda each: int(causes["order"][each])):
            self._ask("reset", self._station.profile.causes[index].row, reason=reason)


@contextmanager
def raw_keys() -> Iterator[int]:
    """Keys come one by one, without echo, from the terminal's descriptor; restored on leaving."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def pressed(descriptor: int) -> str:
    """What was typed since the last call; never waits."""
    if not select.select([descriptor], [], [], 0)[0]:
        return ""
    return os.read(descriptor, READ_BYTES).decode("utf-8", "ignore")

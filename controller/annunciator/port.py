"""What is said to an annunciator and what it must answer: pure, time is passed in.

One JSON line with a running number goes out at every change and at least every few seconds; `ok N`
must come back in time. Silence, a wrong answer or an end is a loss, and it is started again, ever
more slowly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from controller.core.clock import NS_PER_S

BEAT_NS: Final = 5 * NS_PER_S
ANSWER_NS: Final = 3 * NS_PER_S
FIRST_ANSWER_NS: Final = 15 * NS_PER_S  # a program that has to start, on a busy machine
PAUSE_NS: Final = NS_PER_S
PAUSE_NS_MAX: Final = 60 * NS_PER_S
LINE_MAX: Final = 200
STOPPED, STARTING, WAITING, AT_REST = "stopped", "starting", "waiting", "at rest"


class Port:
    """One annunciator program as the station sees it. `lost` is why it is not to be relied on."""

    def __init__(self, now_ns: int) -> None:
        self.state = STOPPED
        self.lost = ""
        self.lost_ns = 0
        self._number = 0
        self._until_ns = now_ns  # of what the state waits for
        self._pause_ns = PAUSE_NS
        self._said: Mapping[str, Any] = {}

    def starts(self, now_ns: int) -> bool:
        """Whether the program is to be started now; asked again only after it was stopped."""
        if self.state != STOPPED or now_ns < self._until_ns:
            return False
        self.state = STARTING
        return True

    def line(self, now_ns: int, shown: Mapping[str, Any]) -> bytes:
        """What to send now, if anything: one line at a time, and never before its answer."""
        due = self.state == STARTING or (
            self.state == AT_REST and (shown != self._said or now_ns >= self._until_ns)
        )
        if not due:
            return b""
        patience_ns = FIRST_ANSWER_NS if self.state == STARTING else ANSWER_NS
        self.state, self._until_ns = WAITING, now_ns + patience_ns
        self._number += 1
        self._said = dict(shown)
        return json.dumps({"n": self._number, **shown}).encode() + b"\n"

    def heard(self, line: str, now_ns: int) -> str:
        """Takes one line of the program; what is wrong with it, or empty for the right answer."""
        if self.state != WAITING or line.strip() != f"ok {self._number}":
            return f"it said {line.strip()[:LINE_MAX]!r}, not 'ok {self._number}'"
        self.state, self._until_ns = AT_REST, now_ns + BEAT_NS
        self._pause_ns, self.lost = PAUSE_NS, ""
        return ""

    def silent(self, now_ns: int) -> bool:
        """Whether an answer is overdue."""
        return self.state == WAITING and now_ns >= self._until_ns

    def stopped(self, why: str, now_ns: int) -> None:
        """The program ended or is to be ended: it is started again after a pause."""
        if not self.lost:
            self.lost, self.lost_ns = why, now_ns
        self.state, self._until_ns = STOPPED, now_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, PAUSE_NS_MAX)

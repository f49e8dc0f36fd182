"""Whose turn it is to write for all who wait: group commit.

A module because threads that wait for their records share one write and one sync, and because the
share is worth little unless they come in time: those of the last group are given a moment to bring
their next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

GATHER_S = 0.002  # [assumed] ten syncs of a good disk


class Turns:
    """One leader at a time; the others wait until it is done."""

    def __init__(self) -> None:
        self._waiting, self._led = threading.Condition(), False
        self._gathered, self._group = threading.Event(), 1

    def lead(self, waits: Callable[[], bool]) -> bool:
        """Returns True when it is the caller's turn, False once it has nothing to wait for."""
        with self._waiting:
            while waits() and self._led:
                self._waiting.wait()
            if not waits():
                return False
            self._led = True
            return True

    def gather(self, here: Callable[[], int]) -> None:
        """The leader waits until as many records are here as in the last group, at most 2 ms."""
        self._gathered.clear()
        if self._group > 1 and here() < self._group:
            self._gathered.wait(GATHER_S)

    def came(self, here: int) -> None:
        """Another record is here."""
        if self._led and here >= self._group:
            self._gathered.set()

    def done(self, group: int) -> None:
        """The leader wrote `group` records, or failed; the next may lead."""
        with self._waiting:
            self._group, self._led = max(group, 1), False
            self._waiting.notify_all()

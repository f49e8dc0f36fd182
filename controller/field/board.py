"""The supervisor's side of the image: readings by name, events out, history out, commands in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.signal import Quality, Reading, Reason
from controller.field.image import (
    COMMAND_CAPACITY,
    EVENT_CAPACITY,
    HISTORY_CAPACITY,
    Image,
)

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class KernelEvent:
    """One entry of the event ring; kinds and meanings are in field.ring.EventKind."""

    scan: int
    time_ns: int
    kind: int
    index: int
    a: float
    b: float


class Board:
    """One supervisor's view of one image; `events_done`, `history_done` alone move read indices."""

    def __init__(self, image: Image, index: Mapping[str, int]) -> None:
        self.image = image
        self._index = dict(index)
        self._head = image.head
        self._signals = image.signals
        self._event_cursor = int(image.head["event_tail"][0])

    def read(self, tag: str) -> Reading:
        """The last reading of a signal; raises KeyError for an unknown one."""
        quality, reason, sample_ns, _, _, value = self._signals[self._index[tag]].item()
        return Reading(value, Quality(quality), Reason(reason), sample_ns)

    @property
    def scan(self) -> int:
        """Scans done so far."""
        return int(self._head["scan"][0])

    def lost(self) -> tuple[int, int, int]:
        """Entries lost by a full event ring, a full history ring and full input rings."""
        inputs = int(self.image.input_rings["lost"].sum())
        return int(self._head["events_lost"][0]), int(self._head["history_lost"][0]), inputs

    def drain(self) -> list[KernelEvent]:
        """Events that came since the last call, oldest first."""
        end = int(self._head["event_head"][0])
        if end == self._event_cursor:
            return []
        found = [
            KernelEvent(*self.image.events[place % EVENT_CAPACITY].item())
            for place in range(self._event_cursor, end)
        ]
        self._event_cursor = end
        return found

    @property
    def pending(self) -> bool:
        """Whether field has put events that were not drained yet."""
        return int(self._head["event_head"][0]) != self._event_cursor

    def events_done(self) -> None:
        """Everything drained is durable: the ring may use its place again."""
        self._head["event_tail"][0] = self._event_cursor

    def history_waiting(self) -> int:
        """Released changes that wait in the ring."""
        return int(self._head["history_head"][0]) - int(self._head["history_tail"][0])

    def history(self) -> Rows:
        """A copy of the waiting released changes, oldest first."""
        start, end = int(self._head["history_tail"][0]), int(self._head["history_head"][0])
        return self.image.history[np.arange(start, end) % HISTORY_CAPACITY]

    def history_done(self, rows: int) -> None:
        """The oldest `rows` changes are durable."""
        self._head["history_tail"][0] += rows

    def command(self, id_: int, verb: int, target: int, value: float, valid_until_ns: int) -> bool:
        """Queues a command for the next scan; False when the ring is full."""
        head = int(self._head["command_head"][0])
        if head - int(self._head["command_tail"][0]) >= COMMAND_CAPACITY:
            return False
        self.image.commands[head % COMMAND_CAPACITY] = (id_, verb, target, valid_until_ns, value)
        self._head["command_head"][0] = head + 1
        return True

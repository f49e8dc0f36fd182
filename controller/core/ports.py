"""The seams between rooms: what a field, a log and an image look like from the other side."""

from __future__ import annotations

from typing import Protocol

from controller.core.clock import Stamp
from controller.core.events import Event
from controller.core.signal import Reading


class Sink(Protocol):
    """Where records go. `append` is not durable; `sync` is."""

    def append(self, event: Event) -> int:
        """Takes a record and returns its sequence number in its log."""
        ...

    def sync(self, stamp: Stamp) -> None:
        """Makes every appended record durable; raises RecordFailure if it cannot."""
        ...


class Signals(Protocol):
    """Read access to the process image by tag name."""

    def read(self, tag: str) -> Reading:
        """The last reading of a tag; raises KeyError for an unknown one."""
        ...


class Inputs(Protocol):
    """What a link hands to the kernel: one sample of one point."""

    def push(self, point: int, value: float, quality: int, reason: int, sample_ns: int) -> bool:
        """Queues a sample for the next scan; False when the ring is full (counted there)."""
        ...

"""The seams between rooms: what a log and a link look like from the other side."""

from __future__ import annotations

from typing import Protocol

from controller.core.clock import Stamp
from controller.core.events import Event


class Sink(Protocol):
    """Where records go. `append` is not durable; `sync` is."""

    def append(self, event: Event) -> int:
        """Takes a record and returns its sequence number in its log."""
        ...

    def sync(self, stamp: Stamp) -> None:
        """Makes every appended record durable; raises RecordFailure if it cannot."""
        ...

    def store_chunk(self, data: bytes, stamp: Stamp, source: str = "") -> int:
        """Stores a history chunk; its digest is a record made from ring entry `source`."""
        ...


class Inputs(Protocol):
    """What a link hands to the kernel: one sample of one point."""

    def push(self, point: int, value: float, quality: int, reason: int, sample_ns: int) -> bool:
        """Queues a sample for the next scan; False when the ring is full (counted there)."""
        ...

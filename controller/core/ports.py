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

    def clock_steps(self, stamp: Stamp) -> list[Event]:
        """Steps of the wall clock this log recorded by itself and did not tell yet."""
        ...

    def store_chunk(self, data: bytes, stamp: Stamp, source: str = "") -> int:
        """Stores a history chunk; its digest is a record made from ring entry `source`."""
        ...

    def store_tags(self, data: bytes, *, begin: str, end: str, rows: int, stamp: Stamp) -> int:
        """Stores a chunk of tags that covers `begin` to `end`; its digest is a record."""
        ...

    def store_blob(self, name: str, data: bytes, stamp: Stamp) -> int:
        """Stores a file of the batch durably under its digest; its name is a record."""
        ...


class Inputs(Protocol):
    """What a link hands to the kernel: one sample of one point."""

    def push(self, point: int, value: float, quality: int, reason: int, sample_ns: int) -> bool:
        """Queues a sample for the next scan; False when the ring is full (counted there)."""
        ...


class Watch(Protocol):
    """Who outside the station is asked about its logs. Nothing here blocks but `finish`."""

    @property
    def held(self) -> bool:
        """Whether a log was found rolled back: another supervisor would find no other log."""
        ...

    def due(self, stamp: Stamp) -> None:
        """Looks which logs are open, records what was answered, fails a log rolled back."""
        ...

    def finish(self, *, quick: bool) -> None:
        """At the end of a run: waits a little for the answers to a seal, `quick` after a signal."""
        ...


class Unwatched:
    """Nobody is asked."""

    held = False

    def due(self, stamp: Stamp) -> None:
        """See Watch."""

    def finish(self, *, quick: bool) -> None:
        """See Watch."""

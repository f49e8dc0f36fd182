"""One log as its witnesses are asked about it, and how often that is told in the record.

A module because it decides the pace: the newest checkpoint only, at most one request in 5 s but for
the seal, ever longer pauses while nobody answers, and a record only when it says something new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from controller.core.clock import NS_PER_S
from controller.record.files import FileLayer
from controller.record.log import BatchLog
from controller.record.publish import Published
from controller.witness.asking import Consistency
from controller.witness.evidence import Evidence, consistency_in

REQUEST_NS = 5 * NS_PER_S
PAUSE_FIRST_NS, PAUSE_MAX_NS = NS_PER_S, 60 * NS_PER_S
TOLD_NS = 3_600 * NS_PER_S


@dataclass(slots=True)
class Turn:
    """Where one witness (or authority) stands with one log. In its own thread only."""

    done: bytes = b""  # the checkpoint it has answered to
    due_ns: int = 0
    pause_ns: int = 0
    told_ns: int = -1
    untried: bool = True

    def answered(self, note: bytes, now_ns: int) -> None:
        """It answered to a checkpoint."""
        self.done, self.due_ns = note, now_ns + REQUEST_NS
        self.pause_ns = 0

    def failed(self, now_ns: int) -> None:
        """It did not: the next try comes after a pause, each twice as long."""
        self.pause_ns = min(max(2 * self.pause_ns, PAUSE_FIRST_NS), PAUSE_MAX_NS)
        self.due_ns = now_ns + self.pause_ns

    def wants(self, found: Published | None, now_ns: int) -> bool:
        """Whether it is to be asked now; a seal waits for no interval, only for a pause."""
        if found is None or found.note == self.done:
            return False
        return now_ns >= self.due_ns or (found.sealed and not self.pause_ns)

    def tells(self, found: Published, now_ns: int) -> bool:
        """Whether an answer is worth a record: the first, one an hour, the seal."""
        if found.sealed or self.told_ns < 0 or now_ns - self.told_ns >= TOLD_NS:
            self.told_ns = now_ns
            return True
        return False


@dataclass(slots=True)
class Subject:
    """A log that is witnessed: its newest checkpoint, its proofs, its evidence.

    `held`: a rollback of it holds the unit (the station's log, or that of the open batch).
    """

    newest: Callable[[], Published | None]
    consistency: Consistency
    evidence: Evidence
    held: bool
    forked: bool = False  # it was proven to be rolled back; nobody is asked any more
    turns: dict[str, Turn] = field(default_factory=dict)

    @classmethod
    def of(cls, log: BatchLog, files: FileLayer) -> Subject:
        """A log that is being written."""
        evidence = Evidence(log.directory, files)
        return cls(lambda: log.published, log.consistency, evidence, held=True)

    @classmethod
    def finished(cls, found: Published, files: FileLayer) -> Subject:
        """A sealed log of the past."""
        directory: Path = found.directory

        def consistency(old: int, new: int) -> list[bytes]:
            return consistency_in(directory, old, new)

        return cls(lambda: found, consistency, Evidence(directory, files), held=False)

    def turn(self, who: str) -> Turn:
        """Where somebody stands with it."""
        return self.turns.setdefault(who, Turn())

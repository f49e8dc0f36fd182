"""A small log as a virtual run leaves it, and a disk that fails when told to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np

from controller.core.clock import NS_PER_S, Stamp, VirtualClock
from controller.core.events import Event
from controller.record import history
from controller.record.files import VolatileFiles
from controller.record.frame import Frame, read_frames
from controller.record.keys import Keys
from controller.record.log import BatchLog


def stamp_at(second: float) -> Stamp:
    """A virtual instant."""
    return VirtualClock(7).at(round(second * NS_PER_S))


def quality_event(number: int, second: float = 0.0, **changes: str) -> Event:
    """An ordinary event."""
    data = {"tag": "TT101", "old": "good", "new": "bad", "reason": "too_old", "scan": number}
    return Event("quality.changed", stamp_at(second), data=data | changes)


def frames_of(directory: Path) -> list[Frame]:
    """Every valid frame of a log."""
    return [item for item in read_frames(directory) if isinstance(item, Frame)]


def chunk_bytes(first_scan: int = 0, rows: int = 8) -> bytes:
    """A history chunk of a few writes of two outputs."""
    table = np.zeros(rows, history.ROW)
    table["scan"] = first_scan + np.arange(rows) // 2
    table["output"] = np.arange(rows) % 2
    table["value"] = np.round(np.linspace(20, 21, rows), 1)
    table["cause"] = 3
    return history.encode(table, scan_ns=100_000_000, outputs=["heater", "air"])


def fill(log: BatchLog, records: int, first: int = 1, every: int = 6) -> None:
    """Appends ordinary records and syncs after each `every`, a second apart."""
    for number in range(first, first + records):
        log.append(quality_event(number, number))
        if number % every == 0:
            log.sync(stamp_at(number))
    log.sync(stamp_at(first + records))


def make_log(directory: Path, *, sealed: bool = True, seed: int = 1) -> BatchLog:
    """About 30 records, a chunk, a blob and a handful of checkpoints."""
    log = BatchLog.create(
        directory, Keys.from_seed(seed), stamp_at(0), purpose="batch B-1", files=VolatileFiles()
    )
    fill(log, 24, every=8)
    log.store_chunk(chunk_bytes(), stamp_at(30))
    log.store_blob("recipe", b"name: car_t\n", stamp_at(30))
    fill(log, 3, first=31)
    if sealed:
        log.seal(stamp_at(40))
    return log


def files_under(directory: Path) -> list[Path]:
    """Every file of a log."""
    return sorted(path for path in directory.rglob("*") if path.is_file())


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of a log with its bytes."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in files_under(directory)
    }


class FailingFiles(VolatileFiles):
    """A disk that fails at the n-th write or sync (counted from 1) in the way it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.fail: tuple[str, int] | None = None
        self.error = OSError(errno.EIO, "Input/output error")
        self.short = False
        self.counts = {"write": 0, "sync": 0}

    def plan(self, what: str, number: int) -> None:
        """Fails at the `number`-th call of `what` from now on."""
        self.counts[what] = 0
        self.fail = (what, number)

    def _due(self, what: str) -> bool:
        self.counts[what] += 1
        return self.fail == (what, self.counts[what])

    def write(self, fd: int, data: bytes) -> int:
        if self._due("write"):
            if self.short:
                return os.write(fd, data[: len(data) // 2])
            raise self.error
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        if self._due("sync"):
            raise self.error

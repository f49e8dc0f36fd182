"""What a durable record costs, beside SQLite and a bare append; group commit; verifying a million.

Every implementation writes records of the same size to the same disk, that of the present
directory, in turns within a round. The log is written with checkpoints and tiles behind the writer,
every record made and encoded anew; once straight to the disk, once through the layer of a live
supervisor, which hands every call to a thread so that a disk that hangs cannot hang it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from controller.core.clock import RealClock
from controller.core.events import Event
from controller.record.files import DurableFiles, FileLayer, VolatileFiles
from controller.record.frame import read_frames
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.patient import PatientFiles
from hil_sim.bench.result import Result

SECONDS = 2.0  # each way in a round
FRAME_BYTES = 342  # a record with its frame
FRAME_HEADER_BYTES = 16
WRITERS = 64
VERIFIED = 1_000_000
VERIFIED_AT_ONCE = 100  # records a sync of the log that is verified
CELLWRIGHT, SQLITE, RAW = "cellwright", "sqlite WAL FULL", "append + fdatasync"
PATIENT = "cellwright, patient"  # as the live supervisor writes: it waits 5 s at most
ONE, GROUP, VERIFY = "one at a time", "group commit", "verify"
_CHILD = """
import sys, time
from pathlib import Path
from controller.record.verify import verify
began = time.perf_counter()
report = verify(Path(sys.argv[1]))
took = time.perf_counter() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, int(peak.split()[1]) / 1024, report.ok, report.records)
"""


class Writing:
    """A log on the disk, and records for it: all of `FRAME_BYTES` but for their numbers' digits."""

    def __init__(self, directory: Path, files: FileLayer) -> None:
        self.clock, self._pad, self._number = RealClock(), "", 0
        stamp = self.clock.stamp()
        self.log = BatchLog.create(
            directory, Keys.from_seed(1), stamp, purpose="bench", files=files
        )
        self.log.append(self.event())
        self.log.sync(stamp)
        *_, last = read_frames(directory)
        length = len(getattr(last, "payload", b"")) + FRAME_HEADER_BYTES
        self._pad = "x" * (FRAME_BYTES - length)

    def event(self) -> Event:
        """The next record."""
        self._number += 1
        data = {"tag": "TT101", "old": "good", "new": "bad", "scan": self._number % 10,
                "reason": self._pad}  # fmt: skip
        return Event("quality.changed", self.clock.stamp(), data=data)

    def commit(self) -> None:
        """One durable record."""
        event = self.event()
        self.log.commit(event, event.stamp)


def _repeat(act: Callable[[], object], seconds: float) -> list[int]:
    """Nanoseconds of each call, for that long."""
    found, begun = [], time.perf_counter_ns()
    end_ns = begun + round(seconds * 1e9)
    while begun < end_ns:
        act()
        now = time.perf_counter_ns()
        found.append(now - begun)
        begun = now
    return found


def by_cellwright(folder: Path, seconds: float, files: FileLayer | None = None) -> list[int]:
    """One record after another, each durable before the next."""
    writing = Writing(folder / "log", files or DurableFiles())
    try:
        return _repeat(writing.commit, seconds)
    finally:
        writing.log.close()


def by_patient(folder: Path, seconds: float) -> list[int]:
    """The same through the layer that does not wait for a disk that hangs."""
    return by_cellwright(folder, seconds, PatientFiles())


def by_sqlite(folder: Path, seconds: float) -> list[int]:
    """One row a transaction, the bytes of a record."""
    with contextlib.closing(sqlite3.connect(folder / "log.sqlite", isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute("CREATE TABLE record (seq INTEGER PRIMARY KEY, frame BLOB NOT NULL)")
        frame = os.urandom(FRAME_BYTES)
        return _repeat(lambda: base.execute("INSERT INTO record (frame) VALUES (?)", (frame,)),
                       seconds)  # fmt: skip


def by_hand(folder: Path, seconds: float) -> list[int]:
    """The bytes of a record appended to a file, and the wait for the disk."""
    fd, frame = os.open(folder / "log.raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.urandom(
        FRAME_BYTES
    )

    def act() -> None:
        os.write(fd, frame)
        os.fdatasync(fd)

    try:
        return _repeat(act, seconds)
    finally:
        os.close(fd)


WAYS: dict[str, Callable[[Path, float], list[int]]] = {
    CELLWRIGHT: by_cellwright, PATIENT: by_patient, SQLITE: by_sqlite, RAW: by_hand,
}  # fmt: skip


def by_threads(folder: Path, layer: str, writers: int, seconds: float) -> list[int]:
    """So many threads at once, each waiting for its own record; all their calls."""
    files = PatientFiles() if layer == PATIENT else DurableFiles()
    writing = Writing(folder / "log", files)
    found: list[list[int]] = [[] for _ in range(writers)]
    ready = threading.Barrier(writers)

    def one(place: int) -> None:
        ready.wait()
        found[place] = _repeat(writing.commit, seconds)

    threads = [threading.Thread(target=one, args=(place,)) for place in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writing.log.close()
    return [each for part in found for each in part]


def make(directory: Path, records: int) -> None:
    """A sealed log of so many records, not waiting for the disk."""
    writing = Writing(directory, VolatileFiles())
    log = writing.log
    while log.size < records:
        log.append(writing.event())
        if log.size % VERIFIED_AT_ONCE == 0:
            log.sync(writing.clock.stamp())
    log.seal(writing.clock.stamp())


def verified(directory: Path) -> tuple[float, float, bool, int]:
    """Seconds and MiB at most of verifying in a process of its own, its verdict, its records."""
    command = [sys.executable, "-c", _CHILD, str(directory)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    took, peak, ok, records = said.split()
    return float(took), float(peak), ok == "True", int(records)


@contextlib.contextmanager
def _fresh(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent, prefix="bench-log-") as name:
        yield Path(name)


def _row(case: str, impl: str, **found: Any) -> dict[str, Any]:
    names = ("per_s", "p50_us", "p99_us", "rate_to_sqlite", "p99_to_raw", "rate_to_one_writer",
             "took_s", "peak_mb")  # fmt: skip
    return {"case": case, "impl": impl} | {name: found.get(name) for name in names}


def _speeds(found: list[list[int]], seconds: float) -> dict[str, Any]:
    """Medians over the rounds."""
    at = [np.percentile(each, (50, 99)) / 1e3 for each in found]
    return {
        "per_s": round(median(len(each) for each in found) / seconds),
        "p50_us": round(median(float(each[0]) for each in at), 1),
        "p99_us": round(median(float(each[1]) for each in at), 1),
    }


def _ratio(mine: list[list[int]], its: list[list[int]], of: Callable[[list[int]], float]) -> float:
    """Median over the rounds of a ratio within each."""
    pairs = zip(mine, its, strict=True)
    return round(median(of(one) / of(other) for one, other in pairs), 2)


def _p99(found: list[int]) -> float:
    return float(np.percentile(found, 99))


def run(rounds: int = 5, seconds: float | None = None, records: int = VERIFIED) -> Result:
    """Rows `{case, impl, per_s, p50_us, p99_us, ...}`; a ratio stands where it is asked for.

    `records` is how many the verified log has; `took_s` is its verification, `peak_mb` its memory.
    """
    length_s, parent = seconds or SECONDS, Path("build")
    parent.mkdir(exist_ok=True)
    single: dict[str, list[list[int]]] = {name: [] for name in WAYS}
    groups: dict[tuple[str, int], list[list[int]]] = {
        (layer, writers): [] for layer in (CELLWRIGHT, PATIENT) for writers in (1, WRITERS)
    }
    for number in range(rounds):
        for name in sorted(WAYS, reverse=number % 2 == 1):
            with _fresh(parent) as folder:
                single[name].append(WAYS[name](folder, length_s))
        for layer, writers in sorted(groups, reverse=number % 2 == 1):
            with _fresh(parent) as folder:
                groups[layer, writers].append(by_threads(folder, layer, writers, length_s))
    rows = [_row(ONE, name, **_speeds(found, length_s)) for name, found in single.items()]
    for row, name in zip(rows, (CELLWRIGHT, PATIENT), strict=False):
        row["rate_to_sqlite"] = _ratio(single[name], single[SQLITE], len)
        row["p99_to_raw"] = _ratio(single[name], single[RAW], _p99)
    for (layer, writers), found in groups.items():
        rows.append(_row(GROUP, f"{layer}, {writers} writers", **_speeds(found, length_s)))
        if writers == WRITERS:
            rows[-1]["rate_to_one_writer"] = _ratio(found, groups[layer, 1], len)
    with _fresh(parent) as folder:
        make(folder / "log", records)
        checked = [verified(folder / "log") for _ in range(min(rounds, 3))]
    took_s = median(each[0] for each in checked)
    verdict = "whole" if all(each[2] for each in checked) else "NOT WHOLE"
    rows.append(_row(VERIFY, f"{checked[0][3]:,} records, {verdict}", took_s=round(took_s, 2),
                     per_s=round(checked[0][3] / took_s),
                     peak_mb=round(max(each[1] for each in checked))))  # fmt: skip
    return Result(rows)

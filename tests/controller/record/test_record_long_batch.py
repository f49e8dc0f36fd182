"""A batch of 14 days at 20 records a second: its size, and what writing and reading it take.

The whole of it is 24.2 million records, 10 GB; `CELLWRIGHT_LONG_RECORDS` takes another number.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from record_logs import stamp_at

from controller.core.events import Event
from controller.record.files import VolatileFiles
from controller.record.index import ensure
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.sources import Source
from controller.record.verify import verify

PER_S = 20
DAYS = 14
WHOLE = DAYS * 86_400 * PER_S
RECORDS = int(os.environ.get("CELLWRIGHT_LONG_RECORDS", WHOLE))
PAD = "x" * 83  # a frame of some 342 bytes
BYTES_EACH = 700  # log and index together, with room
GROWTH_MB_MAX = 64.0


def resident_mb(peak: bool = False) -> float:
    """What this process holds in memory now, or held at most."""
    name = "VmHWM" if peak else "VmRSS"
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def write(directory: Path, records: int) -> tuple[float, float]:
    """A sealed log of so many records, one sync a second; memory at a tenth and at the end."""
    log = BatchLog.create(
        directory, Keys.from_seed(1), stamp_at(0), purpose="B-1", files=VolatileFiles()
    )
    early, second = 0.0, 0
    while log.size < records:
        second += 1
        stamp = stamp_at(second)
        for number in range(PER_S):
            data = {"tag": f"TT{number:03d}", "old": "good", "new": "bad", "reason": PAD,
                    "scan": second * 10}  # fmt: skip
            log.append(Event("quality.changed", stamp, data=data))
        log.sync(stamp)
        if not early and log.size * 10 >= records:
            early = resident_mb()
    late = resident_mb()
    log.seal(stamp_at(second + 1))
    return early, late


def in_a_process(what: str, directory: Path) -> tuple[float, float]:
    """Seconds and MiB at most of one step in a process of its own."""
    top, here = Path(__file__).parents[3], Path(__file__).parent
    code = f"import test_record_long_batch as long; long.step({what!r}, {str(directory)!r})"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{top}:{here}"},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    took, peak = said.stdout.split()
    return float(took), float(peak)


def step(what: str, directory: str) -> None:
    """Verifies or indexes a log, and says what it took."""
    began = time.perf_counter()
    if what == "index":
        ensure(Source("B-1", Path(directory)), again=True)
    else:
        assert verify(Path(directory), deep=what == "verify deep").ok
    print(time.perf_counter() - began, resident_mb(peak=True))


@pytest.mark.parametrize("records", [pytest.param(RECORDS, marks=pytest.mark.campaign), 4_000])
def test_a_long_batch_is_written_verified_and_indexed_in_flat_memory(records: int) -> None:
    build = Path("build")
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build, prefix="long-batch-") as name:
        free, needed = shutil.disk_usage(name).free, records * BYTES_EACH
        if free < needed:
            pytest.skip(f"{needed >> 20} MiB are needed, {free >> 20} are free")
        log, began = Path(name) / "batches" / "B-1" / "log", time.perf_counter()
        early, late = write(log, records)
        took = time.perf_counter() - began
        size = sum(path.stat().st_size for path in log.rglob("*") if path.is_file())
        rows = {"written": (took, late)}
        for what in ("verify", "verify deep", "index"):
            rows[what] = in_a_process(what, log)
        index = sum(path.stat().st_size for path in log.parent.glob("index.sqlite*"))
    print(f"\n{records} records, {records / PER_S / 86_400:.2f} days: {size / 1e6:.0f} MB, "
          f"{size / records:.0f} bytes a record; index {index / 1e6:.0f} MB; "
          f"memory of the writer {early:.0f} MiB at a tenth, {late:.0f} at the end")
    for what, (seconds, peak) in rows.items():
        print(f"  {what}: {seconds:.1f} s, {records / seconds:.0f} records/s, {peak:.0f} MiB")
    assert late - early < GROWTH_MB_MAX
    assert size / records < BYTES_EACH

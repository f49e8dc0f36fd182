"""The same with real calls on the real disk: strace kills, fails or delays the n-th of a kind.

The writer is another program; what it said was durable is what must be found. A killed program
leaves the system's memory behind, so this shows order and names, not what a disk forgets; that is
test_record_crash.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from record_logs import frames_of, stamp_at

from controller.core.errors import BadInput, RecordFailure
from controller.record.files import DurableFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import verify

WRITER = Path(__file__).with_name("crash_writer.py")
RECORDS = 7
LIMIT_S = 60.0
CALLS = ("write", "fdatasync", "fsync", "rename", "mkdir", "openat")
ERRORS = {"write": ("EIO", "ENOSPC"), "fdatasync": ("EIO",), "fsync": ("EIO",),
          "rename": ("EIO",), "mkdir": ("ENOSPC",)}  # fmt: skip
HANG_S, ANSWER_S = 4.0, 1.0

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@dataclass(frozen=True)
class Ended:
    """How a writer ended: its lines and its status."""

    said: list[str]
    status: int

    @property
    def acknowledged(self) -> int:
        """Records it was promised."""
        return sum(line.isdigit() for line in self.said)


def traced(directory: Path, injected: str, answer_s: float = 0) -> Ended:
    """Runs the writer with a fault at its n-th call that concerns the log's files.

    strace counts the calls of each thread for itself; without `answer_s` there is only one.
    """
    call = injected.partition(":")[0]
    names = ["", "/checkpoint", "/checkpoint.tmp", "/checkpoints", "/checkpoints.tmp", "/segments",
             "/vkey.tmp", "/key.cert.tmp", "/history", "/blobs", "/tile",
             *(f"/segments/{number:08d}.seg{end}" for number in range(6) for end in ("", ".tmp"))]
    paths = [part for name in names for part in ("-P", f"{directory}{name}")]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *paths, "-e", f"trace={call}", "-e",
               f"inject={injected}", sys.executable, str(WRITER), str(directory), str(RECORDS),
               str(answer_s)]  # fmt: skip
    top = WRITER.parents[3]
    found = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                           cwd=top, env={"PYTHONPATH": str(top)})  # fmt: skip
    assert "Traceback" not in found.stderr, found.stderr
    return Ended(found.stdout.splitlines(), found.returncode)


def taken_up(directory: Path, ended: Ended) -> str:
    """Opens what is left, and finds every record that was promised in it."""
    keys, files = Keys.from_seed(1), DurableFiles()
    if not ended.acknowledged:
        try:
            log = BatchLog.create(directory, keys, stamp_at(90), purpose="batch B-1", files=files)
        except BadInput:  # it was complete, only nobody was told
            log = BatchLog.open(directory, keys, stamp_at(90), files=files)
        log.close()
        return "never began"
    try:
        log = BatchLog.open(directory, keys, stamp_at(90), files=files)
        log.seal(stamp_at(91))
        found = "taken up"
    except RecordFailure as failure:
        if "is sealed" not in failure.what:
            raise
        found = "sealed"
    report = verify(directory, deep=True)
    assert report.problems == []
    assert [frame.seq for frame in frames_of(directory)][: ended.acknowledged] == list(
        range(ended.acknowledged)
    )
    return found


def swept(tmp_path: Path, call: str, fault: str, points: range | None = None) -> Counter[str]:
    """Every n of a call, until the writer comes through unharmed."""
    found: Counter[str] = Counter()
    for when in points or range(1, 200):
        directory = tmp_path / f"{call}-{fault}-{when}"
        ended = traced(directory, f"{call}:{fault}:when={when}")
        if ended.said[-1:] == ["sealed"] and ended.status == 0:
            found["unharmed"] += 1
            if points is None:
                break
        found[taken_up(directory, ended)] += 1
        if ended.status == 3:
            assert ended.said[-1].startswith("failed: "), ended.said
            found["said so"] += 1
        shutil.rmtree(directory)
    return found


@pytest.mark.parametrize(("call", "first"), [("write", 10), ("fdatasync", 10), ("rename", 6)])
def test_a_killed_writer_leaves_every_record_it_was_promised(
    tmp_path: Path, call: str, first: int
) -> None:
    found = swept(tmp_path, call, "signal=KILL", range(first, first + 5, 4))
    assert found["taken up"] + found["sealed"] == 2
    assert found["unharmed"] == 0


@pytest.mark.parametrize("fault", ["error=EIO", "error=ENOSPC", "retval=100"])
def test_a_write_that_fails_or_falls_short_is_a_named_failure(tmp_path: Path, fault: str) -> None:
    found = swept(tmp_path, "write", fault, range(13, 14))
    assert found["said so"] == 1
    assert found["taken up"] == 1


def test_a_disk_that_hangs_is_a_named_failure_in_time(tmp_path: Path) -> None:
    ended = traced(tmp_path / "log", f"fdatasync:delay_enter={round(HANG_S * 1e6)}:when=11",
                   ANSWER_S)  # fmt: skip
    assert ended.said[-1] == "failed: the log failed: the disk does not answer"
    assert ended.acknowledged > 1
    assert taken_up(tmp_path / "log", ended) == "taken up"


@pytest.mark.campaign
def test_campaign_strace_kills_and_fails_every_call(tmp_path: Path) -> None:
    for call in CALLS:
        found = swept(tmp_path, call, "signal=KILL")
        print(f"\n{call} killed: {dict(found)}")
        for name in ERRORS.get(call, ()):
            found = swept(tmp_path, call, f"error={name}")
            print(f"{call} {name}: {dict(found)}")
    found = swept(tmp_path, "write", "retval=100")
    print(f"short writes: {dict(found)}")

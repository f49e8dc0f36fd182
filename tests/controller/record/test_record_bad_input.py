"""What must not be recorded, clocks and disks that misbehave: a named failure, nothing lost.

Each case begins with records that were acknowledged and ends with the log taken up again, those
records in it and the log verified.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from record_logs import chunk_bytes, contents, frames_of, quality_event, stamp_at
from scripted_batch import LaterFiles, open_again
from virtual_disk import Fault, VirtualDisk

from controller.core.errors import BadInput, BrokenInvariant, RecordFailure
from controller.core.events import Event
from controller.record.files import DurableFiles, VolatileFiles
from controller.record.frame import PAYLOAD_BYTES_MAX, pack
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.patient import PatientFiles
from controller.record.verify import verify

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
HOUR_NS = 3_600 * 10**9
SMALL = "512k"


def new_log(directory: Path, files: DurableFiles | None = None) -> BatchLog:
    """A log with two acknowledged records."""
    log = BatchLog.create(
        directory, Keys.from_seed(1), stamp_at(0), purpose="B-1", files=files or VolatileFiles()
    )
    log.commit(quality_event(1, 1), stamp_at(1))
    return log


def whole(directory: Path, acknowledged: list[bytes]) -> BatchLog:
    """The log taken up again; what was acknowledged is in it, unchanged, and it verifies."""
    log = BatchLog.open(directory, Keys.from_seed(1), stamp_at(900), files=VolatileFiles())
    found = [frame.payload for frame in frames_of(directory)]
    assert found[: len(acknowledged)] == acknowledged
    log.seal(stamp_at(901))
    assert verify(directory, deep=True).problems == []
    return log


def payloads(directory: Path) -> list[bytes]:
    """The records on the disk."""
    return [frame.payload for frame in frames_of(directory)]


def fill_with_chunks(log: BatchLog) -> None:
    """Records, chunks and checkpoints, one by one."""
    for number in range(1, 99):
        log.commit(quality_event(number, number), stamp_at(number))
        log.store_chunk(chunk_bytes(number), stamp_at(number))
        log.checkpoint(stamp_at(number))


def oversized(log: BatchLog) -> None:
    """More than a frame may hold, though each text is allowed."""
    data = {"row": "1", "title": "t", "scan": 1, "first_out": True, "signals": ["x" * 1_900] * 40}
    log.append(Event("cause.active", stamp_at(2), data=data))


def not_finite(log: BatchLog) -> None:
    """No number."""
    log.append(quality_event(1, 2, tag=float("nan")))  # type: ignore[arg-type]


def infinite(log: BatchLog) -> None:
    """No number either."""
    log.append(quality_event(1, 2, reason=float("inf")))  # type: ignore[arg-type]


def unknown_event(log: BatchLog) -> None:
    """A name nobody declared."""
    log.append(Event("batch.exploded", stamp_at(2)))


def other_fields(log: BatchLog) -> None:
    """A known name with a field too many."""
    log.append(quality_event(1, 2, colour="red"))


def half_a_character(log: BatchLog) -> None:
    """Text that UTF-8 cannot hold."""
    log.append(quality_event(1, 2, tag="\ud800"))


def no_chunk(log: BatchLog) -> None:
    """Bytes that are no history."""
    log.store_chunk(b"CWH1 and nothing", stamp_at(2))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (oversized, f"{PAYLOAD_BYTES_MAX} are allowed"),
        (not_finite, "not finite"),
        (infinite, "not finite"),
        (unknown_event, "unknown event"),
        (other_fields, "colour"),
        (half_a_character, "canonical JSON|UTF-8"),
        (no_chunk, "chunk"),
    ],
)
def test_what_cannot_be_recorded_is_refused_by_name_and_changes_nothing(
    tmp_path: Path, bad: Callable[[BatchLog], None], words: str
) -> None:
    log = new_log(tmp_path / "log")
    before, root = contents(tmp_path / "log"), log.root_hex
    with pytest.raises((BadInput, ValueError, RecordFailure), match=words):
        bad(log)
    assert (contents(tmp_path / "log"), log.root_hex) == (before, root)
    log.commit(quality_event(3, 3), stamp_at(3))
    log.close()
    whole(tmp_path / "log", payloads(tmp_path / "log"))


def test_a_monotonic_clock_that_goes_back_writes_nothing(tmp_path: Path) -> None:
    log = new_log(tmp_path / "log")
    log.sync(stamp_at(50))
    before = contents(tmp_path / "log")
    log.append(quality_event(2, 49))
    with pytest.raises(BrokenInvariant, match="monotonic clock went back"):
        log.sync(stamp_at(49))
    assert contents(tmp_path / "log") == before
    log.sync(stamp_at(51))
    log.close()
    whole(tmp_path / "log", payloads(tmp_path / "log"))


@pytest.mark.parametrize("again", [False, True])
def test_a_wall_clock_that_goes_back_is_an_event_of_its_own(tmp_path: Path, again: bool) -> None:
    log = new_log(tmp_path / "log")
    log.sync(stamp_at(10))
    late = replace(stamp_at(11), utc_ns=stamp_at(11).utc_ns - HOUR_NS)
    if again:  # the machine was started again with a wrong clock
        log.close()
        late = replace(late, boot_id="00000000-0000-4000-8000-000000000000")
        log = BatchLog.open(tmp_path / "log", Keys.from_seed(1), late, files=VolatileFiles())
    log.sync(late)
    found = [record for record in log.records() if record["event"] == "clock.step"]
    assert [round(float(record["data"]["seconds"])) // 60 for record in found] == [-60]
    log.close()
    whole(tmp_path / "log", payloads(tmp_path / "log"))


def test_a_directory_that_may_not_be_written_is_a_named_failure(tmp_path: Path) -> None:
    new_log(tmp_path / "log").close()
    kept = payloads(tmp_path / "log")
    code = (
        "import os, sys; from pathlib import Path; from record_logs import stamp_at\n"
        "from controller.record.keys import Keys; from controller.record.log import BatchLog\n"
        "from controller.core.errors import RecordFailure\n"
        "os.geteuid() or os.setuid(65534)\n"
        "for call, name in ((BatchLog.open, 'log'), (BatchLog.create, 'new')):\n"
        "    more = {} if name == 'log' else {'purpose': 'B-2'}\n"
        "    try:\n"
        "        call(Path(sys.argv[1]) / name, Keys.from_seed(1), stamp_at(5), **more)\n"
        "    except RecordFailure as failure:\n"
        "        print(failure.what)\n"
    )
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    parents = [path for path in tmp_path.parents if path.stat().st_uid == os.geteuid()]
    modes = {path: path.stat().st_mode for path in parents}
    for path in parents:
        path.chmod(path.stat().st_mode | 0o055)
    try:
        said = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True,
            check=False, cwd=Path(__file__).parent,
            env={"PYTHONPATH": f"{Path(__file__).parents[3]}:{Path(__file__).parent}"},
        )  # fmt: skip
    finally:
        for path, mode in modes.items():
            path.chmod(mode & 0o7777)
        for path in [tmp_path, *tmp_path.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    if "Permission denied" in said.stderr and not said.stdout:
        pytest.skip("another user may not read this checkout")
    assert said.stdout.count("Permission denied") == 2, said.stdout + said.stderr
    whole(tmp_path / "log", kept)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system that is soon full."""
    where = tmp_path / "small"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "cellwright", str(where)]
    if not ROOT or not shutil.which("mount") or subprocess.run(
        mount, check=False, capture_output=True
    ).returncode:  # fmt: skip
        pytest.skip("no file system can be mounted here; the virtual disk shows the same")
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


@pytest.mark.parametrize("make", [DurableFiles, PatientFiles])
def test_a_real_disk_that_is_full_is_a_named_failure_and_what_it_took_is_there(
    small_disk: Path, tmp_path: Path, make: type[DurableFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.record.segments.RESERVE_BYTES", 65_536)
    log = BatchLog.create(
        small_disk / "log", Keys.from_seed(1), stamp_at(0), purpose="B-1", files=make()
    )

    def fill() -> None:
        for number in range(1, 5_000):
            log.commit(quality_event(number, number, reason="x" * 900), stamp_at(number))

    with pytest.raises(RecordFailure, match=r"No space left|short write"):
        fill()
    acknowledged = log.durable_size
    assert acknowledged > 50
    with pytest.raises(RecordFailure, match="failed"):
        log.append(quality_event(1))
    shutil.copytree(small_disk / "log", tmp_path / "log")
    kept = payloads(tmp_path / "log")
    assert len(kept) >= acknowledged
    whole(tmp_path / "log", kept[:acknowledged])


def test_a_full_virtual_disk_is_a_named_failure_at_any_write(ram: Path) -> None:
    for at in range(60, 75):
        disk = VirtualDisk(ram / str(at), Fault("enospc", at))
        with disk.installed():
            keys = Keys.in_directory(disk.root / "keys", LaterFiles(Random(1)))
            log = BatchLog.create(disk.root / "log", keys, stamp_at(0), purpose="B-1",
                                  files=LaterFiles(Random(1)))  # fmt: skip
            with pytest.raises(RecordFailure, match="No space left"):
                fill_with_chunks(log)
            acknowledged = log.durable_size
        assert open_again(disk.root).size >= acknowledged > 1


@pytest.mark.parametrize("version", [b"0", b"3", b'"2"', b"true", b"null"])
def test_a_log_of_another_format_is_refused_and_not_touched(tmp_path: Path, version: bytes) -> None:
    new_log(tmp_path / "log").close()
    segment = tmp_path / "log" / "segments" / "00000000.seg"
    odd = [each.replace(b'"v":2}', b'"v":' + version + b"}") for each in payloads(tmp_path / "log")]
    segment.write_bytes(b"".join(pack(seq, payload) for seq, payload in enumerate(odd)))
    before = contents(tmp_path / "log")
    with pytest.raises(RecordFailure, match="format"):
        BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(9), files=VolatileFiles())
    assert not verify(tmp_path / "log", expect_sealed=False).ok
    assert contents(tmp_path / "log") == before


def test_a_directory_of_something_else_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "log.sqlite").write_bytes(b"SQLite format 3\0")
    before = contents(tmp_path / "log")
    with pytest.raises(RecordFailure, match="not a log"):
        BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(9), files=VolatileFiles())
    with pytest.raises(BadInput, match=r"log\.sqlite"):
        BatchLog.create(tmp_path / "log", Keys.from_seed(1), stamp_at(9), purpose="B-1")
    assert contents(tmp_path / "log") == before


def test_a_log_that_another_process_holds_is_refused_by_name(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from record_logs import stamp_at\n"
        "from controller.record.keys import Keys; from controller.record.log import BatchLog\n"
        "log = BatchLog.create(Path(sys.argv[1]), Keys.from_seed(1), stamp_at(0), purpose='B-1')\n"
        "print('holds', flush=True); sys.stdin.readline(); log.close()\n"
    )
    top = Path(__file__).parents[3]
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, cwd=top,
        env={"PYTHONPATH": f"{top}:{Path(__file__).parent}"},
    )  # fmt: skip
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "holds\n"
        before = contents(tmp_path / "log")
        with pytest.raises(RecordFailure, match="another process writes this log"):
            BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(9), files=DurableFiles())
        assert contents(tmp_path / "log") == before
    finally:
        other.communicate("done\n")
    whole(tmp_path / "log", payloads(tmp_path / "log"))


def test_a_log_whose_key_is_gone_can_be_read_and_not_continued(tmp_path: Path) -> None:
    keys = Keys.in_directory(tmp_path / "keys")
    log = BatchLog.create(tmp_path / "log", keys, stamp_at(0), purpose="B-1")
    log.commit(quality_event(1, 1), stamp_at(1))
    log.checkpoint(stamp_at(2))
    log.close()
    (key,) = (path for path in (tmp_path / "keys").iterdir() if path.name != "device.key")
    key.unlink()
    before = contents(tmp_path / "log")
    with pytest.raises(RecordFailure, match="key") as caught:
        BatchLog.open(tmp_path / "log", keys, stamp_at(9))
    assert caught.value.means
    assert contents(tmp_path / "log") == before
    assert verify(tmp_path / "log", expect_sealed=False, deep=True).problems == []

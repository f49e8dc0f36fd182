"""Taking a log up again after an interrupted write, and refusing after anything worse."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from record_logs import contents, frames_of, quality_event, stamp_at

from controller.core.errors import RecordFailure
from controller.record.files import VolatileFiles
from controller.record.frame import pack
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import verify

SEGMENT = "segments/00000000.seg"


def reopen(directory: Path) -> BatchLog:
    """The log taken up again."""
    return BatchLog.open(directory, Keys.from_seed(1), stamp_at(60), files=VolatileFiles())


def with_tail(directory: Path) -> bytes:
    """Adds one whole record above the last checkpoint and returns its frame."""
    log = reopen(directory)
    log.append(quality_event(99, 60))
    log.sync(stamp_at(60))
    log.close()
    last = frames_of(directory)[-1]
    return pack(last.seq, last.payload)


def test_a_log_that_was_let_go_goes_on_where_it_was(open_log: Callable[[], Path]) -> None:
    log = reopen(open_log())
    assert log.size == 30
    log.append(quality_event(1, 61))
    log.seal(stamp_at(62))
    report = verify(log.directory, deep=True)
    assert (report.problems, report.records) == ([], 31)


def test_a_tail_torn_at_any_byte_is_cut_kept_aside_and_recorded(
    open_log: Callable[[], Path], tmp_path: Path
) -> None:
    directory = open_log()
    frame = with_tail(directory)
    whole = (directory / SEGMENT).stat().st_size
    for lost in {*range(1, len(frame), 5), len(frame) - 16, len(frame) - 1}:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy)
        os.truncate(copy / SEGMENT, whole - lost)
        log = reopen(copy)
        last = list(log.records())[-1]
        torn = frame[: len(frame) - lost].rstrip(b"\0")  # zeros are space set aside
        digest = hashlib.sha256(torn).hexdigest()
        assert (last["event"], last["seq"]) == ("log.recovered", 30)
        assert last["data"] == {"torn_bytes": len(torn), "sha256": digest}
        assert (copy / "torn" / f"sha256-{digest}").read_bytes() == torn
        log.seal(stamp_at(61))
        assert verify(copy).problems == []


def test_space_set_aside_is_no_damage_and_gone_from_a_finished_log(
    open_log: Callable[[], Path],
) -> None:
    directory = open_log()
    whole = (directory / SEGMENT).read_bytes()
    (directory / SEGMENT).write_bytes(whole + bytes(5_000))
    assert verify(directory, expect_sealed=False).problems == []
    log = reopen(directory)
    log.append(quality_event(1, 60))
    log.seal(stamp_at(60))
    data = (directory / SEGMENT).read_bytes()
    assert data.startswith(whole)
    assert data.endswith(b"}")
    assert verify(directory).problems == []


def test_a_tail_of_garbage_is_cut(open_log: Callable[[], Path]) -> None:
    directory = open_log()
    for number, junk in enumerate((b"\xff" * 40, b"\x01\x00\x00\x00" * 20), 1):
        with (directory / SEGMENT).open("ab") as file:
            file.write(junk)
        assert not verify(directory, expect_sealed=False).ok
        log = reopen(directory)
        assert log.size == 30 + number
        log.close()
        assert verify(directory, expect_sealed=False).problems == []


def test_the_kept_bytes_are_covered_by_verify(open_log: Callable[[], Path]) -> None:
    directory = open_log()
    with (directory / SEGMENT).open("ab") as file:
        file.write(b"torn")
    reopen(directory).seal(stamp_at(61))
    (kept,) = (directory / "torn").iterdir()
    kept.write_bytes(b"tore")
    assert [problem.where for problem in verify(directory).problems] == [f"torn/{kept.name}"]


def test_a_torn_checkpoint_is_cut_kept_aside_and_issued_again(
    open_log: Callable[[], Path], tmp_path: Path
) -> None:
    directory = open_log()
    log = reopen(directory)
    before = (directory / "checkpoints").stat().st_size
    old = (directory / "checkpoint").read_bytes()
    log.append(quality_event(99, 60))
    log.checkpoint(stamp_at(61))
    log.close()
    whole = (directory / "checkpoints").stat().st_size
    for size in range(before, whole, 5):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(directory, copy)
        (copy / "checkpoint").write_bytes(old)
        os.truncate(copy / "checkpoints", size)
        log = reopen(copy)
        log.seal(stamp_at(62))
        report = verify(copy)
        assert (report.problems, report.records) == ([], 31 + (size > before))


def test_a_checkpoint_file_one_behind_its_history_is_brought_up(
    open_log: Callable[[], Path],
) -> None:
    directory = open_log()
    old = (directory / "checkpoint").read_bytes()
    with_tail(directory)
    reopen(directory).close()  # issues the checkpoint over the tail
    (directory / "checkpoint").write_bytes(old)
    assert not verify(directory, expect_sealed=False).ok
    reopen(directory).close()
    assert verify(directory, expect_sealed=False).problems == []


@pytest.mark.parametrize("lost", ["beginning", "middle", "end"])
def test_a_checkpoint_of_which_a_part_never_reached_the_disk_is_cut(
    open_log: Callable[[], Path], lost: str, tmp_path: Path
) -> None:
    directory = open_log()
    old, history = (directory / "checkpoint").read_bytes(), directory / "checkpoints"
    whole = history.stat().st_size
    with_tail(directory)
    reopen(directory).close()
    entry = history.read_bytes()[whole:]
    half = len(entry) // 2
    for size in range(1, half, 3):
        copy = tmp_path / str(size)
        shutil.copytree(directory, copy)
        begin = {"beginning": 0, "middle": half - size // 2, "end": len(entry) - size}[lost]
        torn = entry[:begin] + bytes(size) + entry[begin + size :]
        (copy / "checkpoints").write_bytes(history.read_bytes()[:whole] + torn)
        (copy / "checkpoint").write_bytes(old)
        reopen(copy).close()
        assert verify(copy, expect_sealed=False).problems == [], size


def test_files_no_record_names_yet_are_set_aside_and_recorded(
    open_log: Callable[[], Path],
) -> None:
    directory = open_log()
    (directory / "history" / "00000001.chunk").write_bytes(b"half a chunk")
    (directory / "blobs" / ("sha256-" + "a" * 64)).write_bytes(b"half a blob")
    (directory / "checkpoint.tmp").write_bytes(b"half a checkpoint")
    log = reopen(directory)
    assert [record["event"] for record in log.records(30)] == ["log.recovered"] * 2
    log.seal(stamp_at(61))
    assert verify(directory).problems == []
    kept = {path.read_bytes() for path in (directory / "torn").iterdir()}
    assert kept == {b"half a chunk", b"half a blob"}


def test_a_repair_that_was_interrupted_is_finished_by_the_next(
    open_log: Callable[[], Path], tmp_path: Path
) -> None:
    class Stops(VolatileFiles):
        def cut(self, path: Path, size: int) -> None:
            raise OSError(5, "Input/output error")

    directory = open_log()
    with (directory / SEGMENT).open("ab") as file:
        file.write(b"torn")
    with pytest.raises(RecordFailure):
        BatchLog.open(directory, Keys.from_seed(1), stamp_at(60), files=Stops())
    cut_by_hand = (directory / SEGMENT).read_bytes()[:-4]
    (directory / SEGMENT).write_bytes(cut_by_hand)  # as if it had stopped just after the cut
    log = reopen(directory)
    assert list(log.records())[-1]["data"]["torn_bytes"] == 4
    log.seal(stamp_at(61))
    assert verify(directory).problems == []


def spoil(directory: Path, name: str, offset: int) -> None:
    """Flips a bit in place."""
    data = bytearray((directory / name).read_bytes())
    data[offset] ^= 4
    (directory / name).write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        (SEGMENT, 0),
        (SEGMENT, 4_000),
        (SEGMENT, -1),
        ("checkpoints", 3),
        ("checkpoints", 700),
        ("checkpoints", -5),
        ("checkpoint", 40),
        ("vkey", 20),
        ("key.cert", 200),
    ],
)
def test_damage_that_no_interrupted_write_leaves_is_refused_and_nothing_touched(
    open_log: Callable[[], Path], name: str, offset: int
) -> None:
    directory = open_log()
    spoil(directory, name, offset)
    before = contents(directory)
    with pytest.raises(RecordFailure) as caught:
        reopen(directory)
    assert name.partition(".")[0].partition("/")[0][:10] in caught.value.where
    assert contents(directory) == before


def test_damage_above_the_checkpoint_with_a_valid_frame_after_it_is_refused(
    open_log: Callable[[], Path],
) -> None:
    directory = open_log()
    whole = (directory / SEGMENT).stat().st_size
    log = reopen(directory)
    for number in (1, 2):
        log.append(quality_event(number, 60))
        log.sync(stamp_at(60))
    log.close()
    spoil(directory, SEGMENT, whole + 30)
    before = contents(directory)
    with pytest.raises(RecordFailure, match="CRC"):
        reopen(directory)
    assert contents(directory) == before


def test_of_one_write_whose_beginning_is_torn_nothing_counts(
    open_log: Callable[[], Path],
) -> None:
    directory = open_log()
    whole = (directory / SEGMENT).stat().st_size
    log = reopen(directory)
    for number in (1, 2):
        log.append(quality_event(number, 60))
    log.sync(stamp_at(60))
    log.close()
    spoil(directory, SEGMENT, whole + 30)
    log = reopen(directory)
    events = [record["event"] for record in log.records(30)]
    assert events == ["log.recovered"]
    log.seal(stamp_at(61))
    assert verify(directory).problems == []


def test_records_lost_below_a_checkpoint_are_refused(open_log: Callable[[], Path]) -> None:
    directory = open_log()
    last = frames_of(directory)[-1]
    os.truncate(directory / SEGMENT, last.offset)
    before = contents(directory)
    with pytest.raises(RecordFailure, match="covers 30 records, the log holds 29"):
        reopen(directory)
    assert contents(directory) == before


def test_a_foreign_or_newer_log_is_refused_and_nothing_touched(
    open_log: Callable[[], Path], tmp_path: Path
) -> None:
    directory = open_log()
    newer = [frame.payload.replace(b'"v":2}', b'"v":3}') for frame in frames_of(directory)]
    data = b"".join(pack(seq, payload) for seq, payload in enumerate(newer))
    (directory / SEGMENT).write_bytes(data)
    before = contents(directory)
    with pytest.raises(RecordFailure, match="format 3, this program reads formats 1 and 2"):
        reopen(directory)
    assert any("format 3" in problem.what for problem in verify(directory).problems)
    assert contents(directory) == before
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "log.sqlite").write_bytes(b"SQLite format 3\0")
    with pytest.raises(RecordFailure, match="not a log"):
        reopen(tmp_path / "foreign")
    assert contents(tmp_path / "foreign") == {"log.sqlite": b"SQLite format 3\0"}


def test_a_log_cannot_be_continued_with_other_keys(open_log: Callable[[], Path]) -> None:
    directory = open_log()
    before = contents(directory)
    with pytest.raises(RecordFailure, match="not the key of this log"):
        BatchLog.open(directory, Keys.from_seed(2), stamp_at(60))
    assert contents(directory) == before

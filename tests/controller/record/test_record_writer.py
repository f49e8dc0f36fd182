"""The writer: what it stores, what it refuses, and that it never retries."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from record_logs import (
    FailingFiles,
    chunk_bytes,
    contents,
    fill,
    frames_of,
    make_log,
    quality_event,
    stamp_at,
)

from controller.core.errors import BadInput, BrokenInvariant, RecordFailure
from controller.core.events import Event
from controller.record.files import DurableFiles, VolatileFiles
from controller.record.frame import PAYLOAD_BYTES_MAX, SEGMENT_BYTES, canonical
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import verify


def create(
    directory: Path, files: VolatileFiles | None = None, segment_bytes: int = SEGMENT_BYTES
) -> BatchLog:
    """A new log of a virtual run."""
    return BatchLog.create(
        directory,
        Keys.from_seed(1),
        stamp_at(0),
        purpose="batch B-1",
        files=files or VolatileFiles(),
        segment_bytes=segment_bytes,
    )


def test_a_finished_log_verifies_and_says_what_it_is(sealed_log: Path) -> None:
    for deep in (False, True):
        report = verify(sealed_log, deep=deep)
        assert report.problems == []
        assert (report.ok, report.records, report.sealed) == (True, 30, True)
        assert (report.kind, report.covered, report.checkpoints) == ("batch", 30, 6)


def test_the_same_events_and_seed_give_the_same_bytes(sealed_log: Path, tmp_path: Path) -> None:
    make_log(tmp_path / "again")
    make_log(tmp_path / "other", seed=2)
    assert contents(tmp_path / "again") == contents(sealed_log)
    assert contents(tmp_path / "other")["checkpoint"] != contents(sealed_log)["checkpoint"]


def test_the_real_disk_and_the_volatile_one_hold_the_same_bytes(tmp_path: Path) -> None:
    for name, files in (("real", DurableFiles()), ("virtual", VolatileFiles())):
        log = BatchLog.create(
            tmp_path / name, Keys.from_seed(1), stamp_at(0), purpose="p", files=files
        )
        fill(log, 12)
        log.store_blob("b", b"bytes", stamp_at(20))
        log.seal(stamp_at(21))
    assert contents(tmp_path / "real") == contents(tmp_path / "virtual")


def test_the_first_record_names_the_keys_and_only_it_repeats_the_boot_id(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    log.append(quality_event(1, 1))
    log.append(replace(quality_event(2, 2), stamp=replace(stamp_at(2), sync="ntp")))
    log.sync(stamp_at(3))
    payloads = [json.loads(frame.payload) for frame in frames_of(log.directory)]
    assert payloads[0]["event"] == "log.opened"
    assert payloads[0]["data"]["vkey"] == (log.directory / "vkey").read_text().strip()
    assert ["boot_id" in payload for payload in payloads] == [True, False, True]
    read = list(log.records())
    assert [record["sync"] for record in read] == ["virtual", "virtual", "ntp"]
    assert [record["seq"] for record in read] == [0, 1, 2]
    assert [record["seq"] for record in log.records(2)] == [2]
    assert [read[1][name] for name in ("role", "reason", "actor")] == ["", "", "system"]


def test_checkpoints_come_after_a_hundred_records_or_a_second_with_news(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    sizes: list[int] = []
    for number, second in enumerate([0.5, 0.9, 1.0, 1.1, 1.9, 2.0], 1):
        log.append(quality_event(number, second))
        log.sync(stamp_at(second))
        sizes.append(verify(log.directory, expect_sealed=False).covered)
    assert sizes == [1, 1, 4, 4, 4, 7]
    for number in range(99):
        log.append(quality_event(number, 2.1))
        log.sync(stamp_at(2.1))
    assert verify(log.directory, expect_sealed=False).covered == 7
    log.append(quality_event(99, 2.1))
    log.sync(stamp_at(2.1))
    assert verify(log.directory, expect_sealed=False).covered == 107
    log.sync(stamp_at(60))
    log.checkpoint(stamp_at(61))
    assert verify(log.directory, expect_sealed=False).checkpoints == 4  # no news, no checkpoint


def test_a_log_of_many_segments_verifies_and_is_taken_up_again(tmp_path: Path) -> None:
    log = create(tmp_path / "log", segment_bytes=1_000)
    fill(log, 20, every=2)
    log.close()
    log = BatchLog.open(log.directory, Keys.from_seed(1), stamp_at(30), files=VolatileFiles())
    fill(log, 4, first=31)
    log.seal(stamp_at(40))
    assert len(list((log.directory / "segments").iterdir())) > 4
    report = verify(log.directory)
    assert (report.problems, report.records) == ([], 25)
    middle = log.directory / "segments" / "00000002.seg"
    kept = middle.read_bytes()
    middle.unlink()
    assert not verify(log.directory).ok
    middle.write_bytes(b"")
    assert "00000002.seg" in verify(log.directory).problems[0].where
    middle.write_bytes(kept)
    assert verify(log.directory).ok


def test_an_unsealed_batch_log_is_a_problem_and_an_unsealed_station_log_is_none(
    tmp_path: Path,
) -> None:
    log = create(tmp_path / "log")
    log.close()
    assert "not sealed" in verify(tmp_path / "log").problems[0].what
    station = BatchLog.create(
        tmp_path / "station",
        Keys.from_seed(1),
        stamp_at(0),
        kind="station",
        purpose="perfusion_2l",
        files=VolatileFiles(),
    )
    station.close()
    assert verify(tmp_path / "station").ok


def test_nothing_can_be_added_to_a_sealed_log(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log")
    before = contents(log.directory)
    for call in (
        lambda: log.append(quality_event(1)),
        lambda: log.sync(stamp_at(50)),
        lambda: log.checkpoint(stamp_at(50)),
        lambda: log.seal(stamp_at(50)),
        lambda: log.store_blob("b", b"x", stamp_at(50)),
        lambda: log.store_chunk(chunk_bytes(), stamp_at(50)),
        lambda: BatchLog.open(log.directory, Keys.from_seed(1), stamp_at(50)),
    ):
        with pytest.raises(RecordFailure, match="sealed"):
            call()
    assert contents(log.directory) == before


def test_the_key_of_a_sealed_log_is_gone_and_the_log_still_verifies(tmp_path: Path) -> None:
    keys = Keys.in_directory(tmp_path / "keys")
    log = BatchLog.create(tmp_path / "log", keys, stamp_at(0), purpose="batch B-1")
    secrets = sorted(path.name for path in (tmp_path / "keys").iterdir())
    assert len(secrets) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "keys").iterdir())
    log.seal(stamp_at(5))
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["device.key"]
    assert verify(tmp_path / "log").ok
    again = Keys.in_directory(tmp_path / "keys")
    assert again.device.verifier == keys.device.verifier
    (tmp_path / "keys" / "device.key").chmod(0o644)
    with pytest.raises(RecordFailure, match="read by others"):
        Keys.in_directory(tmp_path / "keys")


@pytest.mark.parametrize("what", ["write", "sync"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_failed_write_or_sync_poisons_the_log_for_good(
    tmp_path: Path, what: str, number: int
) -> None:
    files = FailingFiles()
    log = create(tmp_path / "log", files)
    log.append(quality_event(1, 1))
    files.plan(what, number)  # 1: the segment, 2: the checkpoint after it
    with pytest.raises(RecordFailure, match="Input/output error"):
        log.sync(stamp_at(5))
    for call in (
        lambda: log.sync(stamp_at(6)),
        lambda: log.append(quality_event(2, 6)),
        lambda: log.checkpoint(stamp_at(6)),
        lambda: log.seal(stamp_at(6)),
    ):
        with pytest.raises(RecordFailure, match="failed"):
            call()
    acknowledged = log.durable_size
    log = BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(7), files=VolatileFiles())
    assert log.size >= acknowledged
    log.seal(stamp_at(8))
    assert verify(tmp_path / "log").ok


@pytest.mark.parametrize("number", [1, 2])
def test_a_short_write_is_never_continued(tmp_path: Path, number: int) -> None:
    files = FailingFiles()
    log = create(tmp_path / "log", files)
    log.append(quality_event(1, 1))
    files.short = True
    files.plan("write", number)
    with pytest.raises(RecordFailure, match="short write"):
        log.sync(stamp_at(5))
    with pytest.raises(RecordFailure, match="short write"):
        log.sync(stamp_at(6))
    log = BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(7), files=VolatileFiles())
    assert [record["event"] for record in log.records()][-1] == "log.recovered"
    log.seal(stamp_at(8))
    assert verify(tmp_path / "log").problems == []


def test_a_full_disk_under_a_chunk_or_blob_poisons_the_log(tmp_path: Path) -> None:
    for name in ("chunk", "blob"):
        files = FailingFiles()
        log = create(tmp_path / name, files)
        files.error = OSError(errno.ENOSPC, "No space left on device")
        files.plan("write", 1)
        calls = {
            "chunk": lambda log=log: log.store_chunk(chunk_bytes(), stamp_at(1)),
            "blob": lambda log=log: log.store_blob("b", b"x", stamp_at(1)),
        }
        with pytest.raises(RecordFailure, match="No space left"):
            calls[name]()
        with pytest.raises(RecordFailure):
            log.sync(stamp_at(2))


def test_a_directory_that_cannot_be_written_is_a_named_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordFailure, match="cannot be made"):
        create(tmp_path / "file" / "log")

    class ReadOnly(VolatileFiles):
        def make_dir(self, path: Path) -> None:
            raise OSError(errno.EROFS, "Read-only file system", str(path))

    with pytest.raises(RecordFailure, match="Read-only file system"):
        create(tmp_path / "log", ReadOnly())


def test_a_log_is_not_made_over_another(tmp_path: Path) -> None:
    create(tmp_path / "log").close()
    before = contents(tmp_path / "log")
    with pytest.raises(BadInput, match="already"):
        create(tmp_path / "log")
    assert contents(tmp_path / "log") == before
    make_log(tmp_path / "used")
    (tmp_path / "used" / "segments" / "00000000.seg").unlink()
    with pytest.raises(BadInput, match="already"):
        create(tmp_path / "used")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"cat\.jpg"):
        create(tmp_path / "photos")


class StopsAtReplace(VolatileFiles):
    """A disk that fails at the n-th file that is given new contents."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.left = number

    def replace(self, path: Path, data: bytes) -> None:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, "Input/output error")
        super().replace(path, data)


def test_a_create_that_was_interrupted_can_be_repeated(tmp_path: Path) -> None:
    for number in range(1, 6):
        with pytest.raises(RecordFailure):
            create(tmp_path / str(number), StopsAtReplace(number))
        create(tmp_path / str(number)).seal(stamp_at(1))
        assert verify(tmp_path / str(number)).ok


def test_two_writers_of_one_log_are_refused(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    with pytest.raises(RecordFailure, match="another process"):
        BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(1))
    log.close()
    BatchLog.open(tmp_path / "log", Keys.from_seed(1), stamp_at(1)).close()


def test_an_oversized_record_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    root = log.root_hex
    signals = ["x" * 1_900] * 40
    data = {"row": "1", "title": "t", "scan": 1, "first_out": True, "signals": signals}
    with pytest.raises(BadInput, match=f"{PAYLOAD_BYTES_MAX} are allowed"):
        log.append(Event("cause.active", stamp_at(1), data=data))
    assert (log.size, log.root_hex) == (1, root)
    log.append(quality_event(1, 1))
    log.seal(stamp_at(2))
    assert verify(log.directory).ok


def test_numbers_that_are_not_exact_and_unknown_events_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        quality_event(1, tag=float("nan"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown event"):
        Event("batch.exploded", stamp_at(0))
    for bad in (float("inf"), float("nan"), 2**53, -(2**60)):
        with pytest.raises(BadInput, match="canonical JSON"):
            canonical({"event": "x", "data": {"value": bad}})


def test_a_monotonic_clock_that_goes_back_is_refused_and_nothing_written(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    log.append(quality_event(1, 5))
    log.sync(stamp_at(5))
    before = contents(tmp_path / "log")
    log.append(quality_event(2, 5))
    with pytest.raises(BrokenInvariant, match="went back"):
        log.sync(stamp_at(4))
    assert contents(tmp_path / "log") == before


@pytest.mark.parametrize("step_s", [-3_600, -1, 1, 86_400])
def test_a_step_of_the_wall_clock_is_recorded(tmp_path: Path, step_s: int) -> None:
    log = create(tmp_path / "log")
    log.sync(stamp_at(5))
    stepped = replace(stamp_at(6), utc_ns=stamp_at(6).utc_ns + step_s * 10**9)
    log.sync(stepped)
    last = list(log.records())[-1]
    assert (last["event"], last["data"]) == ("clock.step", {"seconds": str(step_s)})


def test_a_wall_clock_that_is_behind_after_a_restart_is_recorded(tmp_path: Path) -> None:
    create(tmp_path / "log").close()
    early = replace(stamp_at(1), utc_ns=stamp_at(0).utc_ns - 10 * 10**9, boot_id="another")
    log = BatchLog.open(tmp_path / "log", Keys.from_seed(1), early)
    last = list(log.records())[-1]
    assert (last["event"], last["data"]["seconds"], last["boot_id"]) == (
        "clock.step",
        "-10",
        "another",
    )


def test_the_same_blob_twice_is_one_file_and_two_records(tmp_path: Path) -> None:
    log = create(tmp_path / "log")
    log.store_blob("recipe", b"text", stamp_at(1))
    log.store_blob("copy", b"text", stamp_at(1))
    log.sync(stamp_at(1))
    (path,) = (tmp_path / "log" / "blobs").iterdir()
    path.write_bytes(b"tex\0")
    with pytest.raises(RecordFailure, match="does not hold"):
        log.store_blob("again", b"text", stamp_at(2))


FLAT = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=12)
NESTED = st.recursive(
    FLAT,
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part, max_size=3)
    ),
    max_leaves=6,
)

NAMES = st.sampled_from(["a", "b", "\u20ac", "\U0001f600", "\ufb33"])


@given(st.dictionaries(NAMES, NESTED, max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_is_stored_is_what_rfc_8785_says(data: dict[str, object]) -> None:
    record = {"v": 1, "event": "x", "data": data}
    assert canonical(record) == rfc8785.dumps(record)  # type: ignore[arg-type]

"""The state directory: which batch is open, told truly or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from record_logs import make_log

from controller.core.errors import BadInput, RecordFailure, Refused
from controller.record.files import DurableFiles
from controller.record.state import UNREADABLE, StateDir, must_be_sealed
from controller.record.verify import verify


def test_current_is_absent_then_the_batch_then_absent(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    assert state.current() is None
    state.open_batch("B-0001")
    assert StateDir(tmp_path / "state").current() == "B-0001"
    state.close_batch()
    assert state.current() is None
    state.close_batch()


def test_a_second_batch_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.open_batch("B-1")
    with pytest.raises(Refused, match="batch B-1 is open"):
        state.open_batch("B-2")
    assert state.current() == "B-1"


@pytest.mark.parametrize("data", [b"", b"\n", b"B-1", b"B 1\n", b"../x\n", b"\xff\n", b"B-1\nB\n"])
def test_a_current_that_cannot_be_read_counts_as_open(tmp_path: Path, data: bytes) -> None:
    state = StateDir(tmp_path)
    (tmp_path / "current").write_bytes(data)
    assert state.current() == UNREADABLE
    with pytest.raises(Refused, match="cannot be told"):
        state.open_batch("B-2")
    assert (tmp_path / "current").read_bytes() == data


def test_a_current_that_is_no_file_or_out_of_reach_counts_as_open(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    assert StateDir(tmp_path).current() == UNREADABLE
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "current").symlink_to(tmp_path / "nowhere")
    assert StateDir(tmp_path / "link").current() == UNREADABLE
    (tmp_path / "file").write_bytes(b"")
    assert StateDir(tmp_path / "file").current() == UNREADABLE


@pytest.mark.parametrize(
    "batch_id", ["", ".", "..", "a/b", "-a", "a.", "a b", "x" * 65, "?", "a\n"]
)
def test_an_id_that_cannot_be_a_directory_is_refused(tmp_path: Path, batch_id: str) -> None:
    state = StateDir(tmp_path)
    with pytest.raises(BadInput, match="cannot be a batch id"):
        state.open_batch(batch_id)
    with pytest.raises(BadInput):
        state.batch_log(batch_id)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_disk_is_a_named_failure_and_the_old_answer_stays(tmp_path: Path) -> None:
    class Fails(DurableFiles):
        def sync(self, fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(RecordFailure, match="Input/output error"):
        StateDir(tmp_path, Fails()).open_batch("B-1")
    assert StateDir(tmp_path).current() is None
    with pytest.raises(OSError, match="Input/output error"):
        StateDir(tmp_path, Fails()).keep_generation(7)
    assert StateDir(tmp_path).generation() == 0


def test_the_folder_of_a_batch_is_durable_before_its_name_is(tmp_path: Path) -> None:
    done: list[tuple[str, str]] = []

    class Told(DurableFiles):
        def make_dir(self, path: Path) -> None:
            super().make_dir(path)
            done.append(("dir", path.name))

        def replace(self, path: Path, data: bytes) -> None:
            super().replace(path, data)
            done.append(("file", path.name))

    StateDir(tmp_path / "state", Told()).open_batch("B-1")
    assert done[-2:] == [("dir", "B-1"), ("file", "current")]
    assert (tmp_path / "state" / "batches" / "B-1").is_dir()


def test_a_lost_name_beside_a_log_that_is_not_sealed_counts_as_open(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.open_batch("B-1")
    (tmp_path / "current").unlink()
    assert state.current() is None, "a folder without a log is no batch"
    make_log(state.batch_log("B-0"), sealed=True).close()
    assert state.current() is None
    make_log(state.batch_log("B-1"), sealed=False).close()
    assert state.current() == UNREADABLE
    with pytest.raises(Refused, match="cannot be told"):
        state.open_batch("B-2")
    (state.batch_log("B-0") / "checkpoint").unlink()
    (tmp_path / "current").write_bytes(b"B-1\n")
    assert state.current() == "B-1"


def test_a_sealed_log_whose_last_checkpoint_is_unreadable_counts_as_open(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    make_log(state.batch_log("B-0"), sealed=True).close()
    assert state.current() is None
    checkpoint = state.batch_log("B-0") / "checkpoint"
    checkpoint.chmod(0o644)
    checkpoint.write_bytes(b"rubbish")
    assert state.current() == UNREADABLE


def test_the_twin_says_without_a_disk_that_a_batch_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDir.live(tmp_path / "state", tmp_path)
    assert not state.marked
    state.open_batch("B-1")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
        assert state.marked
    state.close_batch()
    assert not state.marked


def test_a_twin_that_outlived_its_batch_is_taken_away_by_who_reads_the_disk(tmp_path: Path) -> None:
    state = StateDir.live(tmp_path / "state", tmp_path)
    state.open_batch("B-1")
    (tmp_path / "state" / "current").unlink()  # the end of a close that was killed
    assert state.marked
    assert state.current() is None
    assert not state.marked


@pytest.mark.parametrize("data", [b"", b"x\n", b"-3\n", b"9" * 31, b"\xff"])
def test_a_generation_that_cannot_be_read_is_none(tmp_path: Path, data: bytes) -> None:
    state = StateDir(tmp_path / "state")
    assert state.generation() == 0
    state.keep_generation(41)
    assert StateDir(tmp_path / "state").generation() == 41
    (tmp_path / "state" / "generation").write_bytes(data)
    assert state.generation() == 0


def test_only_the_open_batch_and_the_station_may_be_unsealed(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.open_batch("B-1")
    make_log(state.batch_log("B-1"), sealed=False).close()
    make_log(state.batch_log("B-0"), sealed=False).close()
    assert verify(state.batch_log("B-1"), expect_sealed=must_be_sealed(state.batch_log("B-1"))).ok
    assert must_be_sealed(state.batch_log("B-0"))
    assert not must_be_sealed(state.station)
    assert must_be_sealed(tmp_path / "elsewhere" / "log")
    state.close_batch()
    assert must_be_sealed(state.batch_log("B-1"))
    assert state.current() == UNREADABLE
    (tmp_path / "current").write_bytes(b"\xff")
    assert must_be_sealed(state.batch_log("B-1"))


def test_an_empty_directory_in_place_of_the_one_with_the_open_batch_counts_as_open(
    tmp_path: Path,
) -> None:
    shm = tmp_path / "shm"
    shm.mkdir()
    disk, place = tmp_path / "disk", tmp_path / "state"
    place.mkdir()
    StateDir.live(place, shm).open_batch("B-1")
    place.rename(disk)  # unmounted: nothing is there ...
    assert StateDir.live(place, shm).current() == UNREADABLE
    place.mkdir()  # ... or the empty place it was mounted on
    state = StateDir.live(place, shm)
    assert (state.current(), state.missing()) == (UNREADABLE, "B-1")
    place.rmdir()
    disk.rename(place)
    assert StateDir.live(place, shm).current() == "B-1"
    StateDir.live(place, shm).close_batch()
    assert StateDir.live(place, shm).current() is None
    assert list(shm.iterdir()) == []


def test_a_name_in_memory_that_outlived_its_batch_keeps_nothing_from_starting(
    tmp_path: Path,
) -> None:
    state = StateDir.live(tmp_path / "state", tmp_path)
    state.open_batch("B-1")
    state.close_batch()
    state.mark("B-1")  # killed before it took the name away
    assert state.current() is None


def test_memory_without_room_for_the_name_keeps_no_batch_from_opening(tmp_path: Path) -> None:
    state = StateDir.live(tmp_path / "state", tmp_path / "no_such_folder")
    state.open_batch("B-1")
    assert state.current() == "B-1"
    state.close_batch()
    assert state.current() is None

"""A disk that hangs is a disk that failed, and nobody waits for it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from record_logs import quality_event, stamp_at

from controller.core.errors import RecordFailure
from controller.mending import TRY_NS, Mending
from controller.record.files import DurableFiles
from controller.record.keys import Keys, Signer
from controller.record.later import JOBS_MAX
from controller.record.log import BatchLog
from controller.record.patient import PatientFiles
from controller.record.state import StateDir
from controller.record.verify import verify


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """`fdatasync` returns only while this is set."""
    goes = threading.Event()
    goes.set()
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        goes.wait(60)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return goes


def log_on(files: PatientFiles, path: Path) -> BatchLog:
    return BatchLog.create(path / "log", Keys.from_seed(1), stamp_at(0), purpose="B", files=files)


def test_a_sync_that_hangs_fails_the_log_by_name_and_it_is_never_tried_again(
    tmp_path: Path, hang: threading.Event
) -> None:
    log = log_on(PatientFiles(0.3), tmp_path)
    log.append(quality_event(1, 1))
    hang.clear()
    began = time.monotonic()
    with pytest.raises(RecordFailure, match="the disk does not answer"):
        log.sync(stamp_at(1))
    assert time.monotonic() - began < 30, "it was not waited for"
    with pytest.raises(RecordFailure, match="does not answer"):
        log.append(quality_event(2, 2))
    hang.set()
    with pytest.raises(RecordFailure, match="does not answer"):
        log.sync(stamp_at(3))
    assert log.durable_size == 1


def test_a_disk_that_only_takes_long_is_waited_for(tmp_path: Path, hang: threading.Event) -> None:
    log = log_on(PatientFiles(30), tmp_path)
    hang.clear()
    threading.Timer(0.3, hang.set).start()
    log.append(quality_event(1, 1))
    log.sync(stamp_at(1))
    assert log.durable_size == 2
    log.seal(stamp_at(2))
    assert verify(log.directory).problems == []


def test_records_that_one_write_made_durable_are_told_to_all_who_wait(tmp_path: Path) -> None:
    syncs: list[int] = []

    class Counted(DurableFiles):
        def sync(self, fd: int) -> None:
            syncs.append(fd)
            time.sleep(0.02)
            super().sync(fd)

    log = BatchLog.create(
        tmp_path / "log", Keys.from_seed(1), stamp_at(0), purpose="B", files=Counted()
    )
    told: list[int] = []

    def write(number: int) -> None:
        for each in range(5):
            seq = log.commit(quality_event(number * 10 + each), stamp_at(0))
            assert log.durable_size > seq
            told.append(seq)

    before = len(syncs)
    threads = [threading.Thread(target=write, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == list(range(1, 81))
    assert len(syncs) - before < 60, "80 records, and far fewer syncs"
    scans = [record["data"]["scan"] for record in log.records(1)]
    assert sorted(scans) == sorted(n * 10 + each for n in range(16) for each in range(5))
    log.seal(stamp_at(1))
    assert verify(log.directory, deep=True).problems == []


def test_those_who_wait_for_a_write_that_failed_are_all_told_so(
    tmp_path: Path, hang: threading.Event
) -> None:
    log = log_on(PatientFiles(0.3), tmp_path)
    hang.clear()
    refused: list[str] = []

    def write(number: int) -> None:
        try:
            log.commit(quality_event(number), stamp_at(0))
        except RecordFailure as failure:
            refused.append(failure.what)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    hang.set()
    assert len(refused) == 8
    assert all("does not answer" in what for what in refused)
    assert log.durable_size == 1


@pytest.mark.parametrize("call", ["open", "mkdir", "unlink", "chmod"])
def test_a_disk_that_hangs_in_any_call_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    goes, files = threading.Event(), PatientFiles(0.2)
    asked = {
        "open": lambda: files.open_within(tmp_path / "file"),
        "mkdir": lambda: files.make_dir(tmp_path / "new"),
        "unlink": lambda: files.remove(tmp_path / "file"),
        "chmod": lambda: files.protect(tmp_path / "file"),
    }
    real = getattr(os, call)

    def hangs(*given: Any, **more: Any) -> Any:
        goes.wait(60)
        return real(*given, **more)

    monkeypatch.setattr(os, call, hangs)
    with pytest.raises(TimeoutError, match="does not answer"):
        asked[call]()
    goes.set()


def test_a_disk_that_is_tried_all_night_keeps_one_call_waiting(
    tmp_path: Path, hang: threading.Event
) -> None:
    state = StateDir.live(tmp_path / "state", tmp_path)
    (tmp_path / "state").mkdir()
    mending = Mending(state, -100 * TRY_NS, lambda: None)
    hang.clear()
    before = threading.active_count()
    for beat in range(200):
        assert not mending.done("the log failed", stamp_at(beat * 5))
    assert threading.active_count() <= before + 1
    hang.set()
    tries = (mending.done("the log failed", stamp_at(1_000 + n)) or time.sleep(0.05)
             for n in range(200))  # fmt: skip
    assert any(tries)


def test_a_checkpoint_that_is_not_issued_fails_its_log_whatever_kept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_on(PatientFiles(), tmp_path)

    def refuses(signer: Signer, text: str) -> None:
        raise ValueError("no such key")

    monkeypatch.setattr(Signer, "sign", refuses)
    log.append(quality_event(1, 1))
    with pytest.raises(RecordFailure, match="no such key"):
        log.checkpoint(stamp_at(2))
    assert log.durable_size == 2


def test_who_gives_the_disk_too_much_to_do_is_told_so_in_time(tmp_path: Path) -> None:
    files, goes = PatientFiles(0.1), threading.Event()
    for _ in range(JOBS_MAX):
        files.later(lambda: goes.wait(60) and None)
    with pytest.raises(TimeoutError, match="does not keep up"):
        files.later(lambda: None)
    goes.set()
    files.settle()

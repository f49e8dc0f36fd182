"""What is recorded while the log is down comes into it, once, with its gap marked."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from record_logs import FailingFiles, quality_event, stamp_at

from controller.core.events import Event
from controller.record import emergency
from controller.record.emergency import AREA_BYTES, BATCH, RECORDS_MAX, STATION, Emergency, merge
from controller.record.entry import Context
from controller.record.files import VolatileFiles
from controller.record.frame import pack
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import verify


def area(path: Path, files: VolatileFiles | None = None) -> Emergency:
    return Emergency(path / "emergency", files or VolatileFiles())


def log_at(path: Path) -> BatchLog:
    return BatchLog.create(
        path / "log", Keys.from_seed(1), stamp_at(0), purpose="B-1", files=VolatileFiles()
    )


def keep(to: Emergency, *events: Event, where: bytes = BATCH) -> None:
    for event in events:
        to.keep(event, where, "Input/output error")
    to.sync()


def rows(log: BatchLog) -> list[tuple[str, str]]:
    return [(r["event"], r.get("source", "")) for r in log.records(1)]


def test_the_area_is_written_in_advance_so_a_full_disk_cannot_refuse_it(tmp_path: Path) -> None:
    area(tmp_path)
    path = tmp_path / "emergency"
    assert path.stat().st_size == AREA_BYTES
    assert path.stat().st_blocks * 512 >= AREA_BYTES


def test_what_was_kept_is_read_again_by_the_next_supervisor_as_it_was(tmp_path: Path) -> None:
    events = [quality_event(number, number) for number in range(1, 40)]
    first = area(tmp_path)
    keep(first, *events[:30])
    keep(first, *events[30:], where=STATION)
    found = area(tmp_path).left()
    assert found is not None
    assert [event for _, event in found.records] == events
    assert [where for where, _ in found.records] == [BATCH] * 30 + [STATION] * 9
    assert (found.why, found.begin) == ("Input/output error", events[0].stamp.rfc3339())


def test_a_merge_gives_each_log_its_records_and_marks_the_gap(tmp_path: Path) -> None:
    keep(area(tmp_path), quality_event(1, 1), quality_event(2, 2))
    keep(area(tmp_path), quality_event(3, 3), where=STATION)
    found, log = area(tmp_path).left(), log_at(tmp_path)
    assert found is not None
    merge(log, found, BATCH, {}, stamp_at(50))
    assert [name for name, _ in rows(log)] == ["quality.changed"] * 2 + ["log.gap"]
    gap = list(log.records())[-1]
    assert gap["data"] == {
        "begin": stamp_at(1).rfc3339(), "end": stamp_at(50).rfc3339(), "records": 2,
        "why": "Input/output error",
    }  # fmt: skip
    assert log.published is not None
    assert log.published.size == log.size
    log.seal(stamp_at(51))
    assert verify(log.directory, deep=True).problems == []


def test_a_merge_that_was_interrupted_is_gone_on_with_and_doubles_nothing(tmp_path: Path) -> None:
    events = [quality_event(number, number) for number in range(1, 6)]
    ring = [Event(e.name, e.stamp, data=e.data, source=f"3.e.{n}") for n, e in enumerate(events)]
    keep(area(tmp_path), *events, *ring)
    found, log = area(tmp_path).left(), log_at(tmp_path)
    assert found is not None
    merge(log, found, BATCH, {}, stamp_at(50))
    whole = rows(log)
    for taken in range(1, 11):
        partial = log_at(tmp_path / str(taken))
        sources = [source for _, source in whole[:taken]]
        for (_, event), source in zip(found.records, sources, strict=False):
            partial.append(Event(event.name, event.stamp, data=event.data, source=source))
        partial.sync(stamp_at(40))
        recorded: dict[tuple[int, str], int] = {}
        for source in sources:
            generation, _, rest = source.partition(".")
            name, _, number = rest.rpartition(".")
            recorded[int(generation), name] = int(number)
        merge(partial, found, BATCH, recorded, stamp_at(50))
        assert rows(partial) == whole


def test_what_an_earlier_use_left_behind_is_never_read(tmp_path: Path) -> None:
    first = area(tmp_path)
    keep(first, *[quality_event(number, 1) for number in range(1, 20)])
    first.wipe()
    assert area(tmp_path).left() is None
    second = area(tmp_path)
    keep(second, quality_event(1, 100))
    found = area(tmp_path).left()
    assert found is not None
    assert len(found.records) == 1


def test_a_second_failure_before_the_merge_goes_on_in_the_same_area(tmp_path: Path) -> None:
    keep(area(tmp_path), quality_event(1, 1))
    keep(area(tmp_path), quality_event(2, 2))
    found = area(tmp_path).left()
    assert found is not None
    assert [event.data["scan"] for _, event in found.records] == [1, 2]


@pytest.mark.parametrize("torn", [1, 9, 17, 60, 200])
def test_a_record_torn_by_a_crash_ends_the_area_and_spoils_nothing_before_it(
    tmp_path: Path, torn: int
) -> None:
    keep(area(tmp_path), quality_event(1, 1), quality_event(2, 2))
    path = tmp_path / "emergency"
    used = len(path.read_bytes().rstrip(b"\0"))
    with path.open("r+b") as file:
        file.seek(used - torn)
        file.write(bytes(torn))
    found = area(tmp_path).left()
    assert found is not None
    assert [event.data["scan"] for _, event in found.records] == [1]


def planted(path: Path, *payloads: bytes) -> Path:
    """An area with frames that are whole, whatever is in them."""
    number, data = 77, b""
    for count, payload in enumerate(payloads):
        data += pack(number << 20 | count, payload)
    file = path / "emergency"
    file.write_bytes(data.ljust(AREA_BYTES, b"\0"))
    return file


HEADER = b'{"begin":"2026-01-05T08:00:00.000+00:00","why":"EIO"}'


def record(event: Event) -> bytes:
    return BATCH + Context().encode(event)


@pytest.mark.parametrize("frames", [
    (b"no JSON", record(quality_event(1))), (b"[]", record(quality_event(1))),
    (b"{}", record(quality_event(1))), (HEADER, b"B without a record"),
    (HEADER, b"Bx{}"), (HEADER, b"B{}"), (HEADER, b'B{"v":3}'),
    (HEADER, record(quality_event(1)).replace(b'"v":2', b'"v":3')),
])  # fmt: skip
def test_an_area_no_supervisor_wrote_is_put_aside_as_evidence_and_stops_no_start(
    tmp_path: Path, frames: tuple[bytes, ...]
) -> None:
    before = planted(tmp_path, *frames).read_bytes()
    found = area(tmp_path)
    assert found.left() is None
    (aside,) = tmp_path.glob("emergency-*")
    assert aside.name in found.trouble
    assert aside.read_bytes() == before
    keep(found, quality_event(5, 5))
    again = area(tmp_path)
    assert again.trouble == ""
    assert again.left() is not None


def test_a_record_that_only_a_log_makes_is_not_taken_from_the_area(tmp_path: Path) -> None:
    data = {"name": "recipe", "bytes": 1, "sha256": "0" * 64, "file": f"blobs/sha256-{'0' * 64}"}
    planted(tmp_path, HEADER, record(Event("blob.stored", stamp_at(1), data=data)))
    found, log = area(tmp_path).left(), log_at(tmp_path)
    assert found is not None
    merge(log, found, BATCH, {}, stamp_at(50))
    assert [name for name, _ in rows(log)] == ["record.replaced", "log.gap"]
    log.seal(stamp_at(51))
    assert verify(log.directory, deep=True).problems == []


@pytest.mark.parametrize("harm", ["writable", "link", "pipe"])
def test_an_area_that_others_can_write_is_neither_read_nor_written(
    tmp_path: Path, harm: str
) -> None:
    keep(area(tmp_path), quality_event(1, 1))
    file, elsewhere = tmp_path / "emergency", tmp_path / "elsewhere"
    if harm == "writable":
        file.chmod(0o622)
    else:
        file.rename(elsewhere)
        file.symlink_to(elsewhere) if harm == "link" else os.mkfifo(file)
    found = area(tmp_path)
    before = elsewhere.read_bytes() if elsewhere.exists() else file.read_bytes()
    assert found.left() is None
    assert "not written to" in found.trouble
    keep(found, quality_event(2, 2))
    assert [event.data["scan"] for event in found.kept] == [2]
    assert (elsewhere.read_bytes() if elsewhere.exists() else file.read_bytes()) == before


def test_a_disk_that_fails_here_too_keeps_the_records_in_memory(tmp_path: Path) -> None:
    files = FailingFiles()
    broken = area(tmp_path, files)
    files.plan("write", 2)
    keep(broken, quality_event(1, 1), quality_event(2, 2), quality_event(3, 3))
    assert [event.data["scan"] for event in broken.kept] == [1, 2, 3]


def test_the_area_says_when_it_is_full_and_takes_no_more(tmp_path: Path) -> None:
    small = area(tmp_path)
    event = quality_event(1, 1)
    for _ in range(RECORDS_MAX + 100):
        small.keep(event, BATCH, "full")
    small.sync()
    assert len(small.kept) == RECORDS_MAX + 1
    found = area(tmp_path).left()
    assert found is not None
    assert found.records[-1][1].name == "emergency.full"
    assert len(found.records) == RECORDS_MAX + 1


def test_large_records_fill_the_area_before_their_number_does_and_that_is_said(
    tmp_path: Path,
) -> None:
    small = area(tmp_path)
    event = replace(quality_event(1, 1), reason="x" * 2_000)
    for _ in range(RECORDS_MAX):
        small.keep(event, BATCH, "full")
    small.sync()
    found = area(tmp_path).left()
    assert found is not None
    assert len(found.records) < RECORDS_MAX
    assert found.records[-1][1].name == "emergency.full"
    assert found.records[-1][1].data["kept"] == len(found.records) - 1


def test_supervisors_one_after_another_fill_the_area_and_the_last_says_so(tmp_path: Path) -> None:
    for _ in range(5):
        each = area(tmp_path)
        for number in range(1_000):
            each.keep(quality_event(number, number), BATCH, "full")
        each.sync()
    found = area(tmp_path).left()
    assert found is not None
    assert [event.name for _, event in found.records].count("emergency.full") == 1
    assert found.records[-1][1].name == "emergency.full"


def test_the_area_is_not_read_once_a_log_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(area(tmp_path), quality_event(1, 1))
    read, real = list[Path](), emergency.open_plain
    monkeypatch.setattr(emergency, "open_plain", lambda path: read.append(path) or real(path))
    second = area(tmp_path)
    assert read == [tmp_path / "emergency"], "once, at the start"
    keep(second, quality_event(2, 2))
    assert len(read) == 1


def test_an_area_that_cannot_be_read_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(area(tmp_path), quality_event(1, 1))
    before = (tmp_path / "emergency").read_bytes()

    def refuses(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(emergency, "open_plain", refuses)
        second = area(tmp_path)
    keep(second, quality_event(2, 2))
    assert (tmp_path / "emergency").read_bytes() == before
    assert [event.data["scan"] for event in second.kept] == [2]


def test_a_record_the_failed_log_has_after_all_is_not_appended_once_more(tmp_path: Path) -> None:
    log, events = log_at(tmp_path), [quality_event(n, n) for n in range(1, 6)]
    numbers = [log.append(event) for event in events[:3]]
    log.sync(stamp_at(4))
    kept = area(tmp_path)
    for event, number in zip(events, [*numbers, 4, -1], strict=True):
        kept.keep(event, BATCH, "Input/output error", number)
    found = area(tmp_path).left()
    assert found is not None
    merge(log, found, BATCH, {}, stamp_at(50))
    scans = [r["data"]["scan"] for r in log.records(1) if r["event"] == "quality.changed"]
    assert scans == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("fails", [1, 2, 3, 4])
def test_what_a_disk_did_not_take_is_written_once_it_is_back(tmp_path: Path, fails: int) -> None:
    keep(area(tmp_path), quality_event(1, 1))
    files = FailingFiles()
    broken = area(tmp_path, files)
    files.plan("write" if fails < 4 else "sync", fails % 4 or 1)
    keep(broken, *(quality_event(number, number) for number in (2, 3, 4)))
    keep(broken, quality_event(5, 5))
    broken.save()
    keep(broken, quality_event(6, 6))
    found = area(tmp_path).left()
    assert found is not None
    assert [event.data["scan"] for _, event in found.records] == [1, 2, 3, 4, 5, 6]


def test_an_area_no_disk_opened_is_written_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = VolatileFiles()
    broken = area(tmp_path, files)

    def refuses(path: Path, offset: int = 0) -> int:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(files, "open_within", refuses)
        keep(broken, quality_event(1, 1), quality_event(2, 2))
        with pytest.raises(OSError, match="Read-only"):
            broken.save()
    assert area(tmp_path).left() is None
    broken.save()
    found = area(tmp_path).left()
    assert found is not None
    assert [event.data["scan"] for _, event in found.records] == [1, 2]

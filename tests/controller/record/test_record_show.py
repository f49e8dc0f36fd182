"""What people and programs are shown of a log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from record_logs import make_log, quality_event, stamp_at

from controller.core.errors import RecordFailure
from controller.record.show import rows, show


def test_each_record_is_one_line_with_number_time_actor_and_words(sealed_log: Path) -> None:
    lines = list(show(sealed_log))
    assert len(lines) == 30
    assert lines[0].split()[:3] == ["0", "2026-01-05T08:00:00.000+00:00", "log.opened"]
    assert lines[3].endswith("system: TT101: good -> bad, too_old")
    assert [line.split()[0] for line in show(sealed_log, start=28)] == ["28", "29"]


def test_chunks_are_unpacked_when_asked(sealed_log: Path) -> None:
    found = [row for row in rows(sealed_log, expand=True) if row["event"] == "modulating.write"]
    assert found[0] == {
        "event": "modulating.write",
        "seq": 25,
        "scan": 0,
        "output": "heater",
        "value": "20",
        "cause": 3,
    }
    assert [row["output"] for row in found] == ["heater", "air"] * 4
    assert sum("heater = " in line for line in show(sealed_log, expand=True)) == 4


def test_a_reason_and_a_role_are_shown_and_cannot_steer_the_terminal(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", sealed=False)
    event = quality_event(1, 50, tag="TT\x1b[2J101\n")
    log.append(replace(event, actor="unverified:ana@desk", role="operator", reason="a\u202eb"))
    log.seal(stamp_at(51))
    line = list(show(tmp_path / "log"))[-1]
    assert "unverified:ana@desk (operator): TT\\x1b[2J101\\n: good" in line
    assert line.endswith("Reason: a\\u202eb")
    assert line.isprintable()


def test_damage_is_an_error_after_everything_before_it(copy: Path) -> None:
    path = copy / "segments" / "00000000.seg"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    lines = show(copy)
    assert [next(lines).split()[0] for _ in range(29)][-1] == "28"
    with pytest.raises(RecordFailure, match="CRC"):
        next(lines)


def test_a_chunk_that_is_not_the_recorded_one_is_never_shown(copy: Path) -> None:
    (copy / "history" / "00000000.chunk").write_bytes(b"CWH1")
    with pytest.raises(RecordFailure, match="record 25 names"):
        list(show(copy, expand=True))

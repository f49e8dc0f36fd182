"""The batch report: every page from the log alone, the same log the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2
import pytest

from controller.core.clock import NS_PER_S, Stamp, VirtualClock
from controller.core.errors import BadInput
from controller.core.events import Event
from controller.record import tags
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.sources import Source, source_of
from controller.report.batch import code, make
from controller.report.fold import ROWS_MAX, Fold
from controller.report.plots import COLUMNS, trends

PROFILE = b"""
loops:
  TIC101: {title: Vessel temperature, pv: TT101}
tags:
  TT101: {unit: degC, title: Vessel temperature}
"""
BEGIN_MS = VirtualClock(3).at(0).utc_ns // 1_000_000


def at(second: float) -> Stamp:
    return VirtualClock(3).at(round(second * NS_PER_S))


def happened(name: str, second: float, actor: str = "system", because: str = "", /,
             **data: Any) -> Event:  # fmt: skip
    return Event(name, at(second), actor, "operator" if "@" in actor else "", because, data)


def opened(second: float = 0) -> Event:
    return happened(
        "batch.opened", second, "ana@desk", batch_id="B-1", unit="perfusion_2l", use="engineering",
        notice="NOT FOR HUMAN USE", identity="PSN-0001", set_lot="LOT-7", calibration="none",
        recipe="a" * 64, profile="b" * 64, software="c" * 64, sync="virtual",
        parameters={"temperature": "37 degC"}, rights="d" * 64, boards="io: image " + "e" * 64,
    )  # fmt: skip


def story() -> list[Event]:
    """A batch in which something of everything happened."""
    alarm = {"alarm": "row:8", "priority": "high", "text": "Row 8 tripped: No flow",
             "condition": "stands", "detail": {}}  # fmt: skip
    phase = {"path": "grow", "level": "phase"}
    return [
        opened(),
        happened("procedure.state", 1, **phase, old="Idle", new="Running", cause="its turn"),
        happened("cause.active", 2, row="8", title="No flow", scan=4, first_out=1,
                 signals=["FT101 = 0"]),
        happened("alarm.state", 2, **alarm, old="NORM", new="UNACK"),
        happened("unit.hold", 3, cause="row 8: No flow"),
        happened("alarm.state", 4, "bo@desk", "seen", **alarm, old="UNACK", new="ACK"),
        happened("cause.cleared", 5, row="8", title="No flow", scan=9, latched=True),
        happened("unit.hold_released", 6, "bo@desk", "flow is back", cause="restart by bo@desk"),
        happened("command.intent", 7, "ana@desk", "too warm", id=1, verb="set_sp",
                 target="TIC101", old="37", new="36.5", second="", expected="", valid_until=""),
        happened("signature.given", 7, "ana@desk", id=1, user="ana", name="Ana Lind",
                 role="operator", meaning="performed", digest="ab" * 32,
                 utc="2026-01-05T08:00:07Z", station="desk"),
        happened("command.outcome", 8, id=1, result="unknown", why="field gave no answer"),
        happened("clock.step", 9, seconds="-3"),
        happened("deviation.opened", 9, "sam@desk", "sensor exchanged", deviation="DEV-2", id=2,
                 row="2", title="Jacket hot", seconds="600", measure="the jacket is felt by hand",
                 second="quinn@desk"),
        happened("bypass.set", 9, row="2", until="600 s", scan=12),
        happened("bypass.lapsed", 9, row="2", scan=99),
        happened("sample.recorded", 10, "bo@desk", name="vcd", value="0.4", unit="1e6/mL",
                 predicted="0.41", source="grow.vcd"),
        happened("procedure.state", 11, **phase, old="Running", new="Complete", cause="done"),
        happened("batch.closed", 12, state="Complete"),
    ]  # fmt: skip


def tag_chunk() -> bytes:
    """Ten seconds of one tag: it rises, is bad for a while, and is good again."""
    rows = np.zeros(4, tags.ROW)
    rows["time"] = [0, 4_000, 6_000, 8_000]
    rows["value"] = [36.0, 37.0, np.nan, 36.5]
    rows["quality"] = [0, 0, 2, 0]
    rows["reason"] = [0, 0, 7, 0]
    cover = tags.Cover(
        begin=at(0).rfc3339(), end=at(10).rfc3339(), begin_mono_ns=0, boot_id=at(0).boot_id,
        first_scan=0, last_scan=100, joined=False, tags=("TT101",), units=("Cel",), bands=("0.1",),
    )  # fmt: skip
    return tags.encode(cover, rows)


def write(directory: Path, events: list[Event], *, sealed: bool = True,
          kind: str = "batch") -> Source:  # fmt: skip
    log = BatchLog.create(directory, Keys.from_seed(3), at(0), purpose="B-1", kind=kind,
                          files=VolatileFiles())  # fmt: skip
    log.store_blob("profile", PROFILE, at(0))
    for event in events:
        log.append(event)
    log.store_tags(tag_chunk(), begin=at(0).rfc3339(), end=at(10).rfc3339(), rows=4, stamp=at(12))
    log.checkpoint(at(12))
    if sealed:
        log.seal(at(13))
    else:
        log.close()
    return source_of(directory)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The story as a sealed log."""
    return write(tmp_path_factory.mktemp("report") / "B-1" / "log", story())


def pages(pdf: bytes) -> list[str]:
    """The text of every page, its spaces and breaks taken as one."""
    document = pypdfium2.PdfDocument(pdf)
    found = [page.get_textpage().get_text_range() for page in document]
    document.close()
    return [" ".join(text.replace("\N{ZERO WIDTH SPACE}", "").split()) for text in found]


@pytest.fixture(scope="module")
def told(batch: Source) -> list[str]:
    return pages(make(batch))


def alarmed(second: float, old: str, new: str, who: str = "system") -> Event:
    return happened("alarm.state", second, who, alarm="row:8", priority="high", text="No flow",
                    old=old, new=new, condition="normal", detail={})  # fmt: skip


def alarms_of(*events: Event) -> list[dict[str, str]]:
    fold = Fold()
    for number, event in enumerate(events):
        fold.take({
            "seq": number, "time": event.stamp.rfc3339(), "event": event.name, "reason": "",
            "actor": event.actor, "data": dict(event.data),
        })  # fmt: skip
    return fold.table("alarms").rows


def test_an_alarm_that_stood_before_the_batch_is_told_with_who_acknowledged_it() -> None:
    rows = alarms_of(alarmed(5, "UNACK", "ACK", "bo@desk"), alarmed(9, "ACK", "NORM"))
    assert [(row["time"], row["acknowledged"], row["who"], row["normal"]) for row in rows] == [
        ("before", at(5).rfc3339(), "bo@desk", at(9).rfc3339())
    ]


def test_an_alarm_that_came_again_unacknowledged_is_not_normal() -> None:
    rows = alarms_of(alarmed(1, "NORM", "UNACK"), alarmed(2, "UNACK", "RTN-UNACK"),
                     alarmed(3, "RTN-UNACK", "UNACK"))  # fmt: skip
    assert [(row["time"], row["normal"]) for row in rows] == [(at(1).rfc3339(), "")]


def test_what_happened_stands_in_it(told: list[str]) -> None:
    text = " ".join(told)
    assert "Times local, UTC+00:00 Opened by" in text
    for part in ("NOT FOR HUMAN USE", "PSN-0001", "LOT-7", "37 degC", "FT101 = 0", "flow is back",
                 "Ana Lind", "performed", "too warm", "0.4 1e6/mL", "0.41", "Complete",
                 "whole"):  # fmt: skip
        assert part in text, part


def test_a_command_without_a_known_outcome_is_a_deviation_and_marked(told: list[str]) -> None:
    text = " ".join(told)
    assert "NOT KNOWN: unknown: field gave no answer" in text
    assert "stepped by -3 s" in text
    assert "deviations 5, bypassed rows 1, trips 1, holds 1, alarms 1" in text


def test_a_bypass_stands_in_it_with_its_measure_its_deviation_and_its_end(told: list[str]) -> None:
    text = " ".join(told)
    for part in ("Bypassed rows: deviations to be closed", "DEV-2", "the jacket is felt by hand",
                 "second quinn", "sensor exchanged", "lapsed 20"):  # fmt: skip
        assert part in text, part


def test_the_root_stands_on_the_first_and_on_the_last_page(batch: Source, told: list[str]) -> None:
    lines = (batch.directory / "checkpoint").read_text().splitlines()
    for page in (told[0], told[-1]):
        for part in (lines[0], lines[2], f"Records {lines[1]}", "Compare with"):
            assert part in page.replace(" ", "") or part in page
    assert len(told) > 1


def test_the_same_log_gives_the_same_bytes_wherever_it_lies(batch: Source, tmp_path: Path) -> None:
    shutil.copytree(batch.directory, tmp_path / "log")
    assert make(source_of(tmp_path)) == make(batch)


def test_the_code_holds_the_signed_checkpoint(batch: Source) -> None:
    note = (batch.directory / "checkpoint").read_bytes()
    assert code(note).startswith(b"<svg")
    assert code(note) == code(note)
    assert code(note) != code(note.replace(b"sealed\n", b""))


def test_values_are_shown_where_they_were_good_and_nowhere_else(batch: Source) -> None:
    (trend,) = trends(batch.directory, ["TT101"], BEGIN_MS, BEGIN_MS + 10_000, growing=False)
    assert (trend.tag, trend.unit) == ("TT101", "Cel")

    def column(ms: int) -> int:
        return ms // (10_000 // COLUMNS + 1)

    assert trend.last[column(2_000)] == 36.0  # a value stands until the next
    assert trend.last[column(5_000)] == 37.0
    assert np.isnan(trend.last[column(7_000)])
    assert np.isnan(trend.low[column(7_000)])
    assert trend.high[column(9_000)] == 36.5
    assert (trend.low[column(4_000)], trend.high[column(4_000)]) == (36.0, 37.0)


def test_an_unfinished_batch_is_marked_on_every_page(tmp_path: Path) -> None:
    source = write(tmp_path / "log", story()[:4], sealed=False)
    for page in pages(make(source, open_=True)):
        assert "UNFINISHED" in page
        assert "NOT WHOLE" not in page


def test_a_log_that_does_not_verify_is_marked_on_every_page(batch: Source, tmp_path: Path) -> None:
    shutil.copytree(batch.directory, tmp_path / "log")
    (tmp_path / "log" / "stray").write_bytes(b"x")
    for page in pages(make(source_of(tmp_path))):
        assert "NOT WHOLE" in page


def test_a_long_table_is_cut_and_says_by_how_much() -> None:
    fold = Fold()
    for number in range(ROWS_MAX + 7):
        row = {"seq": number, "time": at(number).rfc3339(), "event": "clock.step",
               "actor": "system", "role": "", "reason": "", "data": {"seconds": "2"}}  # fmt: skip
        fold.take(row)
    found = fold.tables["deviations"].document()
    assert (len(found["rows"]), found["left"], found["count"]) == (ROWS_MAX, 7, ROWS_MAX + 7)


def test_a_text_cannot_bring_signs_that_steer_or_markup_into_the_report(tmp_path: Path) -> None:
    events = story()
    events[7] = happened("unit.hold_released", 6, "bo@desk", "#panic() \x1b[2J $x$ *b*",
                         cause="restart")  # fmt: skip
    text = " ".join(pages(make(write(tmp_path / "log", events))))
    assert "#panic()" in text
    assert "\\x1b[2J" in text
    assert "$x$ *b*" in text


def test_a_log_that_is_no_batch_has_no_report(tmp_path: Path) -> None:
    station = write(tmp_path / "station", [], sealed=False, kind="station")
    with pytest.raises(BadInput, match="station log"):
        make(station)
    empty = write(tmp_path / "log", [])
    with pytest.raises(BadInput, match="no batch was opened"):
        make(empty)

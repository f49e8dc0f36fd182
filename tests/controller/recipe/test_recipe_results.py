"""Files of instruments: what is read of them, and what is refused with its line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_bench import SAMPLE, VARIABLES, batch
from recipe_bench import Desk, offer_of

from controller.core.clock import VirtualClock
from controller.core.errors import BadInput
from controller.recipe.instruments import Layout
from controller.recipe.result_table import BYTES_MAX, LINES_MAX, ResultFile, read
from controller.recipe.results import check, match

HEAD = "sample,analyte,value,unit,instrument,serial,time,operator"
NOW = VirtualClock(7).stamp()
TIME = "2026-01-05T08:00:00Z"  # when virtual time begins
VCD = f"B-1/sample,vcd,9.5,1e6/mL,counter,SN 7,{TIME},anna"
VIA = f"B-1/sample,viability,93,%,counter,SN 7,{TIME},anna"


def text(*lines: str) -> bytes:
    return "\n".join((HEAD, *lines, "")).encode()


def taken(data: bytes, bench: Desk | None = None, batch_id: str = "B-1") -> list[tuple[str, str]]:
    """What a file answers in a batch that waits for a count."""
    bench = bench or batch()
    file = read("counts.csv", data, bench.clock.stamp())
    check(file, bench.recipe, bench.state, batch_id, bench.clock.stamp())
    return [(name, row.quantity) for row, name in match(file, bench.recipe, bench.state)]


def test_the_rows_that_are_asked_for_now_are_answers() -> None:
    assert taken(text(VCD, VIA)) == [("u/o/sample.vcd", "9.5 1e6/mL")]
    bench = batch()
    bench.answer("u/o/sample.vcd", "10")
    assert taken(text(VCD, VIA), bench) == [("u/o/sample.viability", "93 %")]


def test_a_file_is_known_by_its_bytes_and_a_row_by_its_line() -> None:
    file = read("counts.csv", text(VCD, "", VIA), NOW)
    assert [row.line for row in file.rows] == [2, 4]
    assert file.source(file.rows[1]) == (
        f"counts.csv line 4, counter SN 7, 2026-01-05T08:00:00+00:00 by anna, SHA-256 {file.sha256}"
    )


@pytest.mark.parametrize(
    "data",
    [
        "﻿".encode() + text(VCD),
        text(VCD).replace(b"\n", b"\r\n"),
        text(VCD).replace(b",", b";").replace(b"9.5", b"9,5"),
        text(VCD).replace(b",", b"\t"),
        text(VCD).replace(b"sample,analyte", b"SAMPLE, Analyte"),
        text(VCD.replace("counter", '"cell, counter"')),
        (HEAD + ",comment\n" + VCD + ",fine").encode(),
        text(VCD.replace("9.5", "+9.5e0")),
        text(VCD.replace("9.5,1e6/mL", "9500000,cells/mL")),
    ],
)
def test_usual_ways_to_write_a_table_are_read(data: bytes) -> None:
    assert len(taken(data)) == 1


def test_a_time_without_offset_is_the_stations_local_time() -> None:
    data = text(VCD.replace(TIME, "2026-01-05 09:30"))
    east = replace(NOW, offset_min=90)
    assert read("a.csv", data, east).rows[0].time == "2026-01-05T09:30:00+01:30"
    assert read("a.csv", data, east).rows[0].utc_ms == NOW.utc_ns // 1_000_000


@pytest.mark.parametrize(
    ("data", "says", "where"),
    [
        (b"", "no results", "counts.csv"),
        (HEAD.encode(), "no results", "counts.csv"),
        (text(VCD).replace(b"unit", b"units"), "no column 'unit'. Did you mean 'units'", ":1"),
        (text(VCD).replace(b"operator", b"unit"), "two columns 'unit'", ":1"),
        (text(VCD, VCD.replace("9.5", "12")), "stands in line 2 already", ":3"),
        (text(VCD + ",more"), "9 cells under 8 columns", ":2"),
        (text(VCD.replace("9.5", "")), "'value' is empty", ":2"),
        (text(VCD.replace("SN 7", "")), "'serial' is empty", ":2"),
        (text(VCD.replace("9.5", "nan")), "not a number", ":2"),
        (text(VCD.replace("9.5", "9.5 ± 1")), "not a number", ":2"),
        (text(VCD.replace("9.5", "1.000,5")), "9 cells under 8", ":2"),
        (text(VCD.replace("9.5", "<0.1")), "not a number", ":2"),
        (text(VCD.replace(TIME, "yesterday")), "not a time", ":2"),
        (text(VCD.replace(TIME, "2026-01-05")), "not a time", ":2"),
        (text(VCD.replace("B-1/sample", "sample")), "does not say its batch", ":2"),
        (text(VCD.replace("anna", "x" * 101)), "longer than 100", ":2"),
        (text(VCD.replace("anna", "a\x07")), "no printable text", ":2"),
        (text(VCD.replace("anna", '"ann\nna"')), "more than one line", ":3"),
        (text(VCD.replace("anna", '"anna')), "cannot be read as a table|one line", ""),
        (text(VCD).replace(b"anna", b"\xff\xfe"), "not UTF-8", ":2"),
        ("sample".encode("utf-16"), "not UTF-8", ""),
        (b"\x00" * 100, "printable", ":1"),
        (b"x" * (BYTES_MAX + 1), "32768 are allowed", ""),
        (text(*[VCD] * LINES_MAX), f"more than {LINES_MAX} lines", ""),
        ((",".join(["c"] * 65)).encode(), "more than 64 columns", ":1"),
        (b"PK\x03\x04 xlsx", "printable", ":1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(data: bytes, says: str, where: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        read("counts.csv", data, NOW)
    assert where in refused.value.where
    assert refused.value.do


@pytest.mark.parametrize("name", ["", "../x.csv", "a/b.csv", "/etc/passwd", "x" * 101, ".hidden",
                                  "a\nb.csv", "ä.csv"])  # fmt: skip
def test_a_name_is_the_name_of_a_file_and_no_path(name: str) -> None:
    with pytest.raises(BadInput, match="not the name of a file"):
        read(name, text(VCD), NOW)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (VCD.replace("B-1", "B-2"), "it is of batch B-2, this is batch B-1"),
        (VCD.replace("/sample", "/sampel"), "takes no sample 'sampel'. Did you mean 'sample'"),
        (VCD.replace("vcd", "glucose"), "'glucose' is not asked of sample"),
        (VCD.replace("1e6/mL", "%"), "is needed here"),
        (VCD.replace("1e6/mL", "parsec^^"), "unknown unit"),
        (VCD.replace("1e6/mL", ""), "is needed here"),
        (VCD.replace(TIME, "2026-01-05T08:02:01Z"), "yet to come"),
        (VCD.replace("1e6/mL", "furlong"), "does not use"),
        (VCD.replace(TIME, "2026-01-05T07:59:59Z"), "before this batch began"),
        (VCD.replace(TIME, "0001-01-01T00:00+14:00"), "before this batch began"),
    ],
)
def test_a_file_of_something_else_is_refused_as_a_whole(line: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        taken(text(VIA, line))
    assert refused.value.where == "counts.csv:3"
    assert "Nothing of the file was taken" in refused.value.do


def test_an_instrument_may_be_a_little_ahead_of_the_station() -> None:
    assert taken(text(VCD.replace(TIME, "2026-01-05T08:01:59Z")))


def test_in_a_loop_only_the_sample_of_this_round_is_an_answer() -> None:
    bench = batch(items="{loop: daily, do: [{phase: sample}], until: seen > 1, at_most: 3, "
                        "on_limit: continue, unknown: again}")  # fmt: skip
    first, second = (text(VCD.replace("/sample", f"/sample-{round_}")) for round_ in (1, 2))
    assert (len(taken(first, bench)), len(taken(second, bench))) == (1, 0)
    bench.answer("u/o/daily/sample.vcd", "10")
    bench.answer("u/o/daily/sample.viability", "90")
    assert (len(taken(first, bench)), len(taken(second, bench))) == (0, 1)


def test_after_a_result_that_was_not_accepted_only_a_newer_one_is_an_answer() -> None:
    bench = batch("[{control: viable, of: viability, low: 70 %, outside: [retest, hold]}]")
    bench.answer("u/o/sample.vcd", "10")
    bench.go(10)
    bench.answer("u/o/sample.viability", "60")
    bench.go(10)
    with pytest.raises(BadInput, match="has to be measured anew"):
        taken(text(VIA), bench)
    with pytest.raises(BadInput, match="has to be measured anew"):
        taken(text(VIA.replace(TIME, "2026-01-05T08:00:10Z")), bench)
    assert taken(text(VIA.replace(TIME, "2026-01-05T08:00:15Z")), bench) == [
        ("u/o/sample.viability", "93 %")
    ]


# -- instruments with a layout of their own -----------------------------------------------------

COUNTER = """
  - instrument: cell_counter
    sample: Sample ID
    time: Date/Time
    time_format: "%d.%m.%Y %H:%M"
    serial: Device
    operator: User
    results:
      vcd: {column: "Viable (cells/mL)", unit: cells/mL}
      viability: {column: Viability, unit: "%"}
"""
EXPORT = """Run;Sample ID;Date/Time;Device;User;Viable (cells/mL);Viability;Images
17;B-1/sample;05.01.2026 08:00;SN 7;anna;9.5e6;93,5;40
"""


def declared(text: str = COUNTER) -> tuple[Layout, ...]:
    return offer_of(f"{VARIABLES}\nphases:\n{SAMPLE}\ninstruments:\n{text}").instruments


def test_an_export_is_known_by_its_columns_and_gives_a_result_for_each_of_them() -> None:
    file = read("run.csv", EXPORT.encode(), NOW, declared())
    assert [(row.analyte, row.quantity) for row in file.rows] == [
        ("vcd", "9.5e6 cells/mL"), ("viability", "93.5 %"),
    ]  # fmt: skip
    row = file.rows[0]
    assert (row.line, row.batch, row.sample, row.operator) == (2, "B-1", "sample", "anna")
    assert (row.instrument, row.serial, row.time) == (
        "cell_counter", "SN 7", "2026-01-05T08:00:00+00:00",
    )  # fmt: skip
    bench = batch()
    check(file, bench.recipe, bench.state, "B-1", bench.clock.stamp())
    assert [name for _, name in match(file, bench.recipe, bench.state)] == ["u/o/sample.vcd"]


def test_an_empty_cell_of_an_export_is_no_result() -> None:
    file = read("run.csv", EXPORT.replace("93,5", "").encode(), NOW, declared())
    assert [row.analyte for row in file.rows] == ["vcd"]


def test_the_standard_layout_stays_known_beside_the_declared_ones() -> None:
    assert read("a.csv", text(VCD), NOW, declared()).rows[0].instrument == "counter"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Viability;", "Vitality;", "Nor are its columns those of cell_counter"),
        ("9.5e6", "many", "not a number"),
        ("05.01.2026", "2026-01-05", "Give it as 05.01.2026"),
        ("SN 7", "", "'serial' is empty"),
        ("17;", "17;B-1/sample;", "9 cells under 8"),
        ("Images", "Viability", "two columns 'viability'"),
    ],
)
def test_an_export_that_is_not_as_declared_is_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read("run.csv", EXPORT.replace(old, new).encode(), NOW, declared())
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("unit: cells/mL", "unit: cels/mL", "unknown unit"),
        ("column: Viability", "column: DEVICE", "named twice"),
        ("%d.%m.%Y %H:%M", "%d.%m. %H:%M", "a time format says"),
        ("%d.%m.%Y %H:%M", "%Q", "a time format says"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M%z", "a time format says"),
        ("    serial: Device\n", "", "serial"),
    ],
)
def test_a_layout_that_cannot_work_is_refused_with_its_line(old: str, new: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        declared(COUNTER.replace(old, new))
    assert "unit.yaml:" in refused.value.where


def test_of_two_instruments_that_fit_the_one_that_names_more_columns_is_it() -> None:
    less = COUNTER.replace("cell_counter", "other").replace("    operator: User\n", "")
    for text in (COUNTER + less, less + COUNTER):
        file = read("run.csv", EXPORT.encode(), NOW, declared(text))
        assert {row.instrument for row in file.rows} == {"cell_counter"}


def test_two_instruments_are_told_apart() -> None:
    with pytest.raises(BadInput, match="duplicate instrument"):
        declared(COUNTER + COUNTER)
    with pytest.raises(BadInput, match="those of another instrument"):
        declared(COUNTER + COUNTER.replace("cell_counter", "other"))


# -- anything at all ----------------------------------------------------------------------------


LAYOUTS = declared()


def _file(data: bytes) -> ResultFile | None:
    try:
        return read("counts.csv", data, NOW, LAYOUTS)
    except BadInput:
        return None


_CELLS = st.sampled_from(["B-1/sample", "vcd", "9.5", "1e6/mL", "x", TIME, "", '"', "\n", ";", "\t",
                          "1,5", "sample", "value", "time", "unit", "½", "\0", "B-1/"])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.lists(_CELLS, max_size=40).map(
    lambda cells: (HEAD + "\n" + ",".join(cells)).encode()))  # fmt: skip
def test_whatever_the_bytes_they_are_results_or_refused(data: bytes) -> None:
    file = _file(data)
    if file is not None:
        assert file.rows
        assert all(row.value and row.batch and row.sample for row in file.rows)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_file_with_some_bytes_changed_is_read_or_refused(place: int, other: bytes) -> None:
    data = text(VCD, VIA)
    place = min(place, len(data) - 1)
    _file(data[:place] + other + data[place + len(other) :])

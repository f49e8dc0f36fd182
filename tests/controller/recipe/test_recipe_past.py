"""A condition over the history of a batch: true, false, unknown, and from when to when."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from controller.cli.app import app
from controller.cli.history import duration
from controller.core.clock import NS_PER_S, Stamp, VirtualClock
from controller.core.errors import BadInput, RecordFailure
from controller.core.events import Event
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name, compile_expression
from controller.recipe.operators import Value
from controller.recipe.past import Found, Series, Stretch, evaluated, when
from controller.record import tags
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.query import moment
from controller.record.sources import source_of

BEGIN_MS = VirtualClock(3).at(0).utc_ns // 1_000_000
NAMES = ("TT101", "AT102")
PLAN = {
    "units": {
        "TIC101.sp": ["degC", "Cel"],
        "TT101": ["degC", "Cel"],
        "AT102": ["%", "%"],
        "odd": ["furlong", "?"],
    }
}
Rows = Sequence[tuple[float, int, float, int]]


OFFSET = {"min": 0}


def at(second: float) -> Stamp:
    return replace(VirtualClock(3).at(round(second * NS_PER_S)), offset_min=OFFSET["min"])


def put(log: BatchLog, begin: float, end: float, rows: Rows, *, joined: bool = True) -> None:
    """A chunk of both tags: (second, tag, value, quality)."""
    table = np.zeros(len(rows), tags.ROW)
    for row, (second, tag, value, quality) in zip(table, rows, strict=True):
        row["time"], row["tag"] = round((second - begin) * 1_000), tag
        row["value"], row["quality"] = value, quality
        row["reason"] = 7 if quality else 0
    cover = tags.Cover(
        at(begin).rfc3339(), at(end).rfc3339(), at(begin).mono_ns, at(0).boot_id,
        round(begin * 10), round(end * 10), joined, NAMES, ("Cel", "%"), ("0.05", "0.5"),
    )  # fmt: skip
    log.store_tags(tags.encode(cover, table), begin=cover.begin, end=cover.end, rows=len(rows),
                   stamp=at(end))  # fmt: skip


def noted(log: BatchLog, second: float, name: str, new: str, unit: str) -> None:
    data = {"name": name, "old": "", "new": new, "unit": unit, "source": "p step 1"}
    log.append(Event("variable.set", at(second), data=data))


def make(directory: Path, *, plan: bool = True) -> BatchLog:
    """200 s of a batch: TT101 rises above 37.2, is bad, comes back; a gap; nothing at the end."""
    log = BatchLog.create(directory, Keys.from_seed(1), at(0), purpose="B-1", files=VolatileFiles())
    if plan:
        log.store_blob("plan", json.dumps(PLAN).encode(), at(0))
    nan = math.nan
    put(log, 10, 60, [(10, 0, 37.0, 0), (10, 1, 40.0, 0), (20, 0, 37.5, 0), (40, 0, nan, 2),
                      (50, 0, 37.5, 0)], joined=False)  # fmt: skip
    noted(log, 70, "inoculated", "1", "1")
    noted(log, 75, "lot", "LOT-1", "text")
    put(log, 60, 100, [(80, 0, 37.1, 0), (90, 1, 30.0, 1)])
    put(log, 120, 180, [(120, 0, 37.3, 0), (120, 1, 35.0, 0)], joined=False)
    log.append(Event("batch.closed", at(200), data={"state": "Complete"}))
    return log


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    make(tmp_path / "B-1" / "log").seal(at(200))
    return tmp_path / "B-1"


def spans(found: Found) -> list[tuple[float, float, bool | None]]:
    return [((part.begin_ms - BEGIN_MS) / 1_000, (part.end_ms - BEGIN_MS) / 1_000, part.value)
            for part in found.stretches]  # fmt: skip


def asked(
    batch: Path, text: str, since: str = "", until: str = ""
) -> list[tuple[float, float, bool | None]]:
    return spans(when(
        source_of(batch), text, moment(since) if since else None, moment(until) if until else None
    ))  # fmt: skip


def test_a_condition_is_true_false_or_unknown_over_the_whole_batch(batch: Path) -> None:
    assert asked(batch, "TT101 > 37.2 degC") == [
        (0, 10, None), (10, 20, False), (20, 40, True), (40, 50, None), (50, 80, True),
        (80, 100, False), (100, 120, None), (120, 180, True), (180, 200, None),
    ]  # fmt: skip


def test_the_author_of_the_question_says_what_unknown_means(batch: Path) -> None:
    assert asked(batch, "known(TT101) and TT101 > 37.2 degC") == [
        (0, 20, False), (20, 40, True), (40, 50, False), (50, 80, True), (80, 120, False),
        (120, 180, True), (180, 200, False),
    ]  # fmt: skip
    assert asked(batch, "not known(AT102)") == [
        (0, 10, True), (10, 90, False), (90, 120, True), (120, 180, False), (180, 200, True),
    ]  # fmt: skip


def test_a_loops_setpoint_has_a_name_too_and_one_never_kept_is_unknown(batch: Path) -> None:
    assert asked(batch, "TT101 > TIC101.sp + 0.3 K") == [(0, 200, None)]
    assert asked(batch, "TT101 within TIC101.sp..30 degC")[1] == (10, 40, False)


def test_held_counts_from_when_its_condition_began_also_between_two_rows(batch: Path) -> None:
    assert asked(batch, "held(TT101 > 37.2 degC, 15 s)") == [
        (0, 35, False), (35, 40, True), (40, 65, False), (65, 80, True), (80, 135, False),
        (135, 180, True), (180, 200, False),
    ]  # fmt: skip


def test_variables_and_their_age_are_part_of_the_past(batch: Path) -> None:
    assert asked(batch, "age(inoculated) >= 60 s") == [
        (0, 70, None), (70, 130, False), (130, 200, True),
    ]  # fmt: skip
    assert asked(batch, 'lot == "LOT-1" and inoculated == 1') == [(0, 75, None), (75, 200, True)]


def test_a_part_of_the_time_can_be_asked_for_and_what_was_before_still_counts(batch: Path) -> None:
    begin = datetime.fromtimestamp(BEGIN_MS / 1_000, UTC)
    since, until = (begin.replace(second=second, minute=begin.minute + minute).isoformat()
                    for second, minute in ((38, 0), (12, 1)))  # fmt: skip
    assert asked(batch, "held(TT101 > 37.2 degC, 15 s)", since, until) == [
        (38, 40, True), (40, 65, False), (65, 72, True),
    ]  # fmt: skip
    naive = since.removesuffix("+00:00")
    assert asked(batch, "TT101 > 37.2 degC", naive)[0][0] == 38


def test_a_time_without_an_offset_is_the_local_time_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OFFSET, "min", 90)
    make(tmp_path / "log").seal(at(200))
    begin = datetime.fromtimestamp(BEGIN_MS / 1_000 + 5_400 + 30, UTC).replace(tzinfo=None)
    found = when(source_of(tmp_path), "TT101 > 37.2 degC", moment(begin.isoformat()))
    assert spans(found)[0] == (30, 40, True)
    assert found.local(found.stretches[0].begin_ms).endswith("+01:30")


def test_a_clock_that_stepped_back_undoes_nothing() -> None:
    series = Series()
    for second, value in ((10, 1.0), (5, 2.0), (20, 3.0)):
        series.add(second * 1_000, value)
    assert [series.place(second * 1_000) for second in (4, 9, 10, 19, 20)] == [-1, -1, 1, 1, 2]


def test_all_times_belong_to_one_stretch_and_totals_add_up(batch: Path) -> None:
    found = when(source_of(batch), "TT101 > 37.2 degC and AT102 < 38 %")
    assert found.stretches[0].begin_ms == BEGIN_MS
    for one, other in zip(found.stretches, found.stretches[1:], strict=False):
        assert one.end_ms == other.begin_ms
        assert one.value is not other.value
    assert sum(found.total_ms(value) for value in (True, False, None)) == 200_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("TT01 > 37 degC", "Did you mean 'TT101'"),
        ("TT101 > 37", "write the unit"),
        ("TT101", "a yes/no is needed"),
        ("TT101 >", "cannot be read"),
        ("odd > 1", "unknown name 'odd'"),
    ],
)
def test_what_is_no_condition_over_the_batch_is_refused(batch: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        when(source_of(batch), text)


def test_a_log_without_a_plan_knows_only_its_variables(tmp_path: Path) -> None:
    make(tmp_path / "log", plan=False).seal(at(200))
    assert asked(tmp_path, "inoculated == 1")[-1] == (70, 200, True)
    with pytest.raises(BadInput, match="unknown name 'TT101'"):
        when(source_of(tmp_path), "TT101 > 37 degC")


def test_an_open_log_is_answered_as_far_as_it_goes(tmp_path: Path) -> None:
    log = make(tmp_path / "log")
    log.sync(at(200))
    found = when(source_of(tmp_path), "TT101 > 37.2 degC", growing=True)
    assert spans(found)[-2:] == [(120, 180, True), (180, 200, None)]
    log.close()


def test_a_damaged_chunk_gives_no_answer(batch: Path) -> None:
    chunk = batch / "log" / "history" / "00000001.chunk"
    chunk.chmod(0o644)
    data = bytearray(chunk.read_bytes())
    data[-3] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(RecordFailure, match="not those that record"):
        when(source_of(batch), "TT101 > 37.2 degC")


def test_the_command_tells_stretches_and_totals(batch: Path) -> None:
    run = CliRunner().invoke(app, ["history", "when", str(batch), "TT101 > 37.2 degC",
                                   "--only", "true"])  # fmt: skip
    lines = run.stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in lines[:3]] == ["20 s", "30 s", "1 min"]
    assert all("true" in line for line in lines[:4])
    assert [line.split() for line in lines[3:]] == [
        ["true", "1", "min", "50", "s", "55.00", "%"], ["false", "30", "s", "15.00", "%"],
        ["unknown", "1", "min", "30.00", "%"],
    ]  # fmt: skip
    run = CliRunner().invoke(app, ["history", "when", str(batch), "TT101 > 37.2 degC", "--json"])
    told = json.loads(run.stdout)
    assert told["seconds"] == {"true": 110.0, "false": 30.0, "unknown": 60.0}
    assert [row["value"] for row in told["stretches"]][:4] == [None, False, True, None]
    assert told["stretches"][2]["seconds"] == 20.0
    refused = CliRunner().invoke(app, ["history", "when", str(batch), "TT101 > 1 L"])
    assert isinstance(refused.exception, BadInput)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.05, "0.05 s"), (59.9, "59.9 s"), (60, "1 min"), (3_661, "1 h 1 min 1 s"),
     (90_000, "1 d 1 h")],
)  # fmt: skip
def test_a_duration_reads_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# -- against brute force: every second looked at by itself -----------------------------------

_STEPS = st.lists(st.tuples(st.integers(0, 80), st.sampled_from([None, 36.0, 37.0, 38.0])),
                  max_size=12)  # fmt: skip
_WORLD = {"TT101": Name("tag", NAMED["temperature"]), "AT102": Name("tag", NAMED["fraction"])}


def _series(steps: list[tuple[int, float | None]]) -> Series:
    found = Series()
    for second, value in sorted(steps, key=lambda step: step[0]):
        found.add(second * 1_000, value)
    return found


def _at(steps: list[tuple[int, float | None]], second: int) -> float | None:
    known = [value for when_, value in sorted(steps, key=lambda step: step[0]) if when_ <= second]
    return known[-1] if known else None


@settings(max_examples=200, deadline=None)
@given(_STEPS, _STEPS, st.integers(1, 20))
def test_the_stretches_are_what_every_second_by_itself_says(
    one: list[tuple[int, float | None]], other: list[tuple[int, float | None]], lasts: int
) -> None:
    text = f"held(TT101 > 36.5 degC, {lasts} s) or (AT102 < 37.5 % and not TT101 < 37.5 degC)"
    expression = compile_expression(text, _WORLD, "truth")
    found = list(evaluated(expression, {"TT101": _series(one), "AT102": _series(other)},
                           0, 100_000))  # fmt: skip
    warm = 0  # seconds for which the first part has been true without a break
    for second in range(100):
        t, d = _at(one, second), _at(other, second)
        warm = warm + 1 if t is not None and t > 36.5 else 0
        cool: Value = None if t is None else not t < 37.5
        low: Value = None if d is None else d < 37.5
        both = False if False in (cool, low) else None if None in (cool, low) else True
        wanted = True if warm > lasts or both else both
        mine = next(part.value for part in found if part.begin_ms <= second * 1_000 < part.end_ms)
        assert mine is wanted, second
    assert found[0].begin_ms == 0
    assert found[-1].end_ms == 100_000
    assert all(isinstance(part, Stretch) and part.begin_ms < part.end_ms for part in found)

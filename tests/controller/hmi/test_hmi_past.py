"""Curves of a batch that was open before this supervisor: as if nothing had been started again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from controller.core.clock import NS_PER_S, VirtualClock
from controller.core.errors import RecordFailure
from controller.hmi.past import Past
from controller.hmi.trend import Point, Trends
from controller.record import tags
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.units import find_unit, load_unit

PROFILE = load_unit(find_unit("perfusion_2l"))[0]
NAMES = ["PT101", "TT101"]  # PT101 is kept in kPa and shown in mbar
CLOCK = VirtualClock(1)
START_S = CLOCK.stamp().utc_ns // NS_PER_S
Rows = list[tuple[float, str, float]]


def put(log: BatchLog, begin_s: float, end_s: float, rows: Rows, joined: bool = True) -> None:
    """A chunk; a value that is NaN was bad."""
    begin, end = (CLOCK.at(round(second * NS_PER_S)) for second in (begin_s, end_s))
    named = sorted({name for _, name, _ in rows})
    table = np.array(
        [(round((at - begin_s) * 1000), named.index(name), value, 2 * math.isnan(value), 0)
         for at, name, value in rows],
        dtype=tags.ROW,
    )  # fmt: skip
    cover = tags.Cover(
        begin.rfc3339(), end.rfc3339(), begin.mono_ns, begin.boot_id, 0, 1, joined, tuple(named),
        ("1",) * len(named), ("0",) * len(named),
    )  # fmt: skip
    data = tags.encode(cover, table)
    log.store_tags(data, begin=cover.begin, end=cover.end, rows=len(table), stamp=end)


@pytest.fixture
def log(tmp_path: Path) -> BatchLog:
    return BatchLog.create(
        tmp_path / "log", Keys.from_seed(1), CLOCK.stamp(), purpose="B", files=VolatileFiles()
    )


def filled(log: BatchLog, now_s: float) -> Trends:
    """The trends of a screen that starts at `now_s`."""
    log.sync(CLOCK.at(round(now_s * NS_PER_S)))
    trends = Trends(PROFILE, NAMES)
    Past(PROFILE, NAMES, log.directory).fill(trends, round((START_S + now_s) * NS_PER_S))
    return trends


def curve(trends: Trends, name: str, from_s: float, to_s: float) -> dict[float, float | None]:
    found = trends.columns([name], START_S + from_s, START_S + to_s)
    return {t - START_S: v for t, v in zip(found["t"], found["tags"][name], strict=True)}


def test_a_curve_has_the_values_that_were_kept_and_holds_them(log: BatchLog) -> None:
    put(log, 0, 60, [(0, "PT101", 1.0), (0, "TT101", 37.0), (20, "TT101", 36.5)], joined=False)
    put(log, 60, 120, [(90, "TT101", 36.0)])
    trends = filled(log, 120)
    found = curve(trends, "TT101", 0, 120)
    assert [found[t] for t in (0, 19, 20, 89, 90)] == [37.0, 37.0, 36.5, 36.5, 36.0]
    assert curve(trends, "PT101", 0, 120)[10] == 10.0
    assert max(found) <= 120


def test_nothing_is_drawn_where_nobody_looked(log: BatchLog) -> None:
    put(log, 0, 60, [(0, "PT101", 1.0), (0, "TT101", 37.0)], joined=False)
    put(log, 100, 130, [(100, "PT101", 1.0), (100, "TT101", 35.0), (120, "TT101", 35.5)],
        joined=False)  # fmt: skip
    for name, after in (("TT101", 35.0), ("PT101", 10.0)):
        found = curve(filled(log, 130), name, 0, 130)
        assert found[59] is not None
        assert {found[float(t)] for t in range(61, 100)} == {None}
        assert found[101] == after


def test_a_bad_value_is_a_hole_even_when_it_was_short(log: BatchLog) -> None:
    put(log, 0, 7_200, [(0, "PT101", 1.0), (0, "TT101", 37.0), (605.2, "TT101", math.nan),
                        (606.4, "TT101", 37.0)], joined=False)  # fmt: skip
    coarse = curve(filled(log, 7_200), "TT101", 0, 7_200)
    holes = [t for t, value in coarse.items() if value is None]
    assert holes
    assert all(580 <= t <= 630 for t in holes)


def test_each_grain_has_what_it_would_have_had(log: BatchLog) -> None:
    """Two days: the last hour by the second, the last day by ten, the rest by the minute."""
    for hour in range(48):
        put(log, hour * 3_600, (hour + 1) * 3_600,
            [(hour * 3_600, "PT101", 1.0), (hour * 3_600, "TT101", float(hour))],
            joined=hour > 0)  # fmt: skip
    put(log, 172_800, 172_800, [(172_800, "TT101", 48.0)])
    trends = filled(log, 172_800)
    for from_s, grain, points in ((172_800 - 600, 1, 600), (172_800 - 10_000, 10, 1_000)):
        found = trends.columns(["TT101"], START_S + from_s, START_S + 172_800)
        assert found["grain_s"] == grain
        assert points - 2 <= len(found["t"]) <= points + 1
        assert set(np.diff(found["t"])) == {float(grain)}
    days = trends.columns(["TT101"], START_S, START_S + 172_800)
    assert days["grain_s"] % 60 == 0
    for at, value in zip(days["t"], days["tags"]["TT101"], strict=True):
        assert value == (at - START_S) // 3_600


def test_what_comes_then_follows_behind_a_gap(log: BatchLog) -> None:
    put(log, 0, 60, [(0, "PT101", 1.0), (0, "TT101", 37.0), (60, "TT101", 36.0)], joined=False)
    trends = filled(log, 90)
    now_ns = (START_S + 90) * NS_PER_S
    trends.put([Point(now_ns, np.array([10.0, 35.0], np.float32), joined=False)])
    found = list(curve(trends, "TT101", 0, 100).values())
    assert found[-2:] == [None, 35.0]


def test_a_damaged_chunk_leaves_what_was_before_it(log: BatchLog) -> None:
    put(log, 0, 60, [(0, "PT101", 1.0), (0, "TT101", 37.0)], joined=False)
    log.store_chunk(_writes(), CLOCK.at(60 * NS_PER_S))
    put(log, 60, 120, [(90, "TT101", 36.0)])
    (log.directory / "history" / "00000002.chunk").write_bytes(b"CWT1")
    log.sync(CLOCK.at(120 * NS_PER_S))
    trends = Trends(PROFILE, NAMES)
    with pytest.raises(RecordFailure, match="00000002"):
        Past(PROFILE, NAMES, log.directory).fill(trends, (START_S + 120) * NS_PER_S)
    assert set(curve(trends, "TT101", 0, 120).values()) == {37.0}


def _writes() -> bytes:
    from controller.record import history

    rows = np.zeros(1, history.ROW)
    return history.encode(rows, scan_ns=100_000_000, outputs=["heater"])


def test_a_log_without_history_leaves_the_trends_empty(log: BatchLog) -> None:
    assert curve(filled(log, 60), "TT101", 0, 60) == {}


@pytest.mark.parametrize("wrong_s", [-20 * 365 * 86_400, 20 * 365 * 86_400])
def test_a_clock_that_was_wrong_by_years_fills_no_more_than_the_grains(
    log: BatchLog, wrong_s: int
) -> None:
    put(log, 0, 60, [(0, "PT101", 1.0), (0, "TT101", 37.0)], joined=False)
    put(log, 60, 120, [(60, "TT101", 36.0)])
    log.sync(CLOCK.at(120 * NS_PER_S))
    trends, points = Trends(PROFILE, NAMES), []
    trends.recall = lambda point, now_ns: points.append(point)
    Past(PROFILE, NAMES, log.directory).fill(trends, (START_S + 120 - wrong_s) * NS_PER_S)
    assert len(points) <= 20_161 + 8_640 + 3_600

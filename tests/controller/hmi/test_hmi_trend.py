"""The past of a tag: nothing is drawn across what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hmi_bench import Bench, bench, wait_until
from hypothesis import given
from hypothesis import strategies as st

from controller.core.clock import NS_PER_S
from controller.hmi.limits import HISTORY_POINTS
from controller.hmi.trend import Point, Trends
from controller.units import find_unit, load_unit

PROFILE = load_unit(find_unit("perfusion_2l"))[0]
START_S = 1_767_600_000


def point(second: float, *values: float, joined: bool = True) -> Point:
    ns = round((START_S + second) * NS_PER_S)
    return Point(ns, np.array(values, np.float32), joined)


def past(*points: Point) -> Trends:
    trends = Trends(PROFILE, ["TT101", "AT101"])
    trends.put(points)
    return trends


def test_points_come_back_with_their_times_and_values() -> None:
    found = past(point(0, 37.0, 7.1), point(1, 37.1, 7.2)).columns(
        ["AT101"], START_S - 10, START_S + 10
    )
    assert found["t"] == [START_S, START_S + 1]
    assert found["tags"] == {"AT101": [7.1, 7.2]}
    assert found["grain_s"] == 1


def test_a_value_that_was_not_good_is_a_gap() -> None:
    found = past(point(0, 37.0, 7.1), point(1, float("nan"), 7.2)).columns(
        ["TT101", "AT101"], START_S, START_S + 10
    )
    assert found["tags"] == {"TT101": [37.0, None], "AT101": [7.1, 7.2]}


def test_a_time_in_which_nobody_scanned_is_a_gap_in_every_tag() -> None:
    found = past(
        point(0, 37.0, 7.1), point(1, 37.0, 7.1), point(61, 30.0, 7.0, joined=False)
    ).columns(["TT101"], START_S, START_S + 100)
    assert found["t"] == [START_S, START_S + 1, START_S + 31, START_S + 61]
    assert found["tags"]["TT101"] == [37.0, 37.0, None, 30.0]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_a_break_stays_a_break_in_every_grain(steps: list[int]) -> None:
    """Points at any distances; between two that were not joined no line is drawn, ever."""
    second, points, breaks = 0, [point(0, 37.0, 7.0)], []
    for step in steps:
        if step > 2:
            breaks.append((START_S + second, START_S + second + step))
        second += step
        points.append(point(second, 37.0, 7.0, joined=step <= 2))
    trends = past(*points)
    found = trends.columns(["TT101"], START_S, START_S + second)
    rows = list(zip(found["t"], found["tags"]["TT101"], strict=True))
    assert [t for t, _ in rows] == sorted({t for t, _ in rows})
    lines = [(t0, t1) for (t0, v0), (t1, v1) in pairwise(rows)
             if v0 is not None and v1 is not None]  # fmt: skip
    for gone, back in breaks:
        assert not any(t0 <= gone and back <= t1 for t0, t1 in lines)


def test_a_bad_value_between_two_points_of_a_coarse_grain_is_a_gap_there_too() -> None:
    trends = Trends(PROFILE, ["TT101"])
    for second in range(0, 20_000, 1):
        trends.put([point(second, float("nan") if second == 10_005 else 37.0)])
    found = trends.columns(["TT101"], START_S, START_S + 20_000)
    assert found["grain_s"] > 1
    assert found["tags"]["TT101"].count(None) == 1


def test_a_week_is_given_in_few_points_and_the_last_hour_in_full() -> None:
    trends = Trends(PROFILE, ["TT101"])
    for second in range(0, 7 * 86_400, 20):
        trends.put([point(second, 37.0)])
    for second in range(7 * 86_400, 7 * 86_400 + 600):
        trends.put([point(second, 37.5)])
    end = START_S + 7 * 86_400 + 600
    week = trends.columns(["TT101"], START_S, end)
    assert 1000 < len(week["t"]) <= 2 * HISTORY_POINTS
    assert week["t"][0] == START_S
    assert week["grain_s"] >= 60
    recent = trends.columns(["TT101"], end - 500, end)
    assert recent["grain_s"] == 1
    assert len(recent["t"]) >= 499


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("trend"), speed=10.0) as made:
        yield made


def test_the_history_of_a_running_unit_breaks_where_its_field_did_not_scan(unit: Bench) -> None:
    wait_until(lambda: int(unit.snapshot["mono_ns"]) > 25 * NS_PER_S)
    with unit.client("aud") as client:
        answer = client.get(
            "/api/history", params={"tags": "TT101,PT101,TIC101.sp", "from_s": 0, "to_s": 1e11}
        ).json()
    assert len(answer["t"]) >= 10
    assert set(answer["tags"]) == {"TT101", "PT101", "TIC101.sp"}
    assert all(len(column) == len(answer["t"]) for column in answer["tags"].values())
    assert answer["tags"]["TT101"][-1] == pytest.approx(20, abs=2)


@pytest.mark.parametrize(
    "query",
    ["tags=NOSUCH&from_s=0&to_s=1", "tags=&from_s=0&to_s=1", "tags=TT101&from_s=9&to_s=1",
     "tags=TT101&from_s=nan&to_s=1", "tags=TT101&from_s=a&to_s=1", "tags=TT101",
     "tags=" + "TT101,TT102,TT103,PT101,LT101,ST101,JT101,AT101,AT102,FT_AIR,FT_O2,FT_CO2,FT_N2,"
     "ST_FEED,ST_PERF,ST_BASE,WT101&from_s=0&to_s=1"],
)  # fmt: skip
def test_a_question_that_has_no_answer_is_bad_input(unit: Bench, query: str) -> None:
    with unit.client("aud") as client:
        answer = client.get("/api/history?" + query)
    assert (answer.status_code, answer.json()["kind"]) == (422, "bad_input")

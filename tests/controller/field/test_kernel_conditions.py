"""Conditions in full: their own delays, what is derived, what a bad signal falls back to, where a
row applies, and which cause of a group was the first. Released values and events decide."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_bench import MS, S, armed, unit

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.plan import Mode

BAD = (int(Quality.BAD), int(Reason.DEVICE))
XY = {"X": {}, "Y": {}}
TWO_T = {"T1": {"unit": "degC", "range": [0, 100]}, "T2": {"unit": "degC", "range": [0, 100]}}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(100, 700)), min_size=3, max_size=30),
    st.sampled_from([0, 300, 1000]), st.sampled_from([0, 200, 900]),
)  # fmt: skip
def test_a_condition_counts_after_its_on_delay_and_goes_on_for_its_off_delay(steps, on_ms, off_ms):
    bench = armed({"any": [{"is": "X > 50 %", "delay": f"{on_ms} ms", "off_delay": f"{off_ms} ms"}],
                   "bad_after": "5 s"})  # fmt: skip
    since = last = None
    counts = False
    for high, step_ms in steps:
        bench.values["X"] = 60.0 if high else 40.0
        bench.scan(step_ms * MS)
        if high:
            since, last = since or bench.now, bench.now
            counts = counts or bench.now - since >= on_ms * MS
        else:
            since = None
            counts = counts and bench.now - last < off_ms * MS
        assert bench.stands("r") == counts


def test_each_condition_of_a_vote_has_its_own_hysteresis_and_bad_rule():
    bench = armed({"any": [{"is": "X > 50 %", "hysteresis": 20}, {"is": "Y > 50 %", "bad": "trip"}],
                   "bad_after": "0 s"}, XY)  # fmt: skip
    bench.values["X"] = 60.0
    bench.scan()
    bench.values["X"] = 31.0
    bench.scan()
    assert bench.stands("r")
    bench.values["X"] = 30.0
    bench.scan()
    assert not bench.stands("r")
    bench.quality["X"] = BAD
    bench.run(1)
    assert not bench.stands("r")
    bench.quality["Y"] = BAD
    bench.run(1)
    assert bench.stands("r")


@pytest.mark.parametrize(("text", "trips"), [
    ("abs(T1 - T2) > 0.7 K", {"T1": 37.71, "T2": 37.0}),
    ("abs(T1 - T2) > 0.7 K", {"T1": 37.0, "T2": 37.71}),
    ("T1 - T2 < -0.7 K", {"T1": 36.29, "T2": 37.0}),
])  # fmt: skip
def test_a_deviation_between_two_tags_trips(text, trips):
    bench = armed({"any": [text]}, TWO_T)
    bench.values |= {"T1": 37.0, "T2": 37.0}
    bench.run(1)
    assert not bench.stands("r")
    bench.values |= trips
    bench.scan()
    assert bench.stands("r")


def test_a_rate_of_change_is_what_the_signal_rose_in_its_window():
    bench = armed({"any": ["rate(T1, 10 s) > 3 K/min"]}, TWO_T)
    bench.values["T1"] = 37.0
    bench.run(20)
    for _ in range(200):  # 2.9 K/min
        bench.values["T1"] += 2.9 / 600
        bench.scan()
    assert not bench.stands("r")
    for _ in range(200):  # 3.2 K/min
        bench.values["T1"] += 3.2 / 600
        bench.scan()
    assert bench.stands("r")


def test_a_signal_that_does_not_change_for_its_time_trips_and_not_before_the_window_is_full():
    bench = armed({"any": ["spread(X, 30 s) < 0.5 %"]})
    bench.run(29)
    assert not bench.stands("r")
    bench.run(3)
    assert bench.stands("r")
    bench.values["X"] = 1.0
    bench.scan()
    assert not bench.stands("r")


def test_a_mean_is_the_mean_of_its_window():
    bench = armed({"any": ["mean(X, 10 s) > 50 %"]})
    for second in range(60):
        bench.values["X"] = 49.0 + (second % 2) * 2.5  # mean 50.25, half of it is below
        bench.run(1)
    assert bench.stands("r")
    for second in range(60):
        bench.values["X"] = 48.0 + (second % 2) * 2.5
        bench.run(1)
    assert not bench.stands("r")


@pytest.mark.parametrize(("change", "trips"), [(0.6, False), (0.4, True)])
def test_a_response_that_is_too_small_while_the_output_drives_it_trips(change, trips):
    bench = armed({"any": [{"expect": "T1 rises 0.5 K", "while": "a > 30 %", "over": "60 s"}]},
                  TWO_T)  # fmt: skip
    bench.values["T1"] = 30.0
    for _ in range(900):
        bench.values["T1"] += change / 600
        bench.scan()
    assert bool(bench.told(EventKind.CAUSE_ACTIVE, "r")) == trips


def test_after_a_start_a_response_is_expected_only_when_its_time_is_over():
    expected = {"expect": "X rises 5 %", "while": "Y > 30 %", "over": "60 s"}
    bench = unit({"Y": 80.0}, tags=XY, rows=[{"id": "r", "any": [expected], "then": []}])
    bench.run(58)
    assert not bench.stands("r")
    bench.run(6)
    assert bench.stands("r")


def test_nothing_is_expected_of_an_output_that_was_low_within_the_time():
    expected = {"expect": "T1 falls 0.5 K", "while": "a < 50 %", "over": "60 s"}
    bench = unit(tags=TWO_T, rows=[{"id": "r", "any": [expected], "then": []}])
    for _ in range(10):
        bench.do(Verb.SET_OUTPUT, "a", 60.0)
        bench.run(10)
        bench.do(Verb.SET_OUTPUT, "a", 20.0)
        bench.run(40)
    assert not bench.stands("r")
    bench.run(61)
    assert bench.stands("r")


def test_a_bad_signal_keeps_its_last_value_for_the_time_it_says_then_votes_as_its_row_says():
    bench = armed({"any": [{"is": "X > 50 %", "bad": {"hold": "30 s"}}], "bad": "trip",
                   "bad_after": "0 s"})  # fmt: skip
    bench.quality["X"] = BAD
    bench.run(29)
    assert not bench.stands("r")
    bench.run(5)
    assert bench.stands("r")


def test_a_bad_signal_is_replaced_by_the_other_one():
    bench = armed({"any": [{"is": "X > 50 %", "bad": {"other": "Y"}}], "bad": "trip"}, XY)
    bench.quality["X"] = BAD
    bench.run(20)
    assert not bench.stands("r")
    bench.values["Y"] = 60.0
    bench.scan()
    assert bench.stands("r")


def test_a_bad_signal_is_replaced_by_its_own_mean_of_ten_minutes_unless_it_was_stuck():
    bench = armed({"any": [{"is": "X > 50 %", "bad": "mean"}], "bad": "trip"})
    bench.values["X"] = 40.0
    bench.run(600, S)
    bench.values["X"] = 49.9
    bench.scan()
    bench.quality["X"] = BAD
    bench.run(3_000, S)
    assert not bench.stands("r")
    bench.quality["X"] = (int(Quality.BAD), int(Reason.STUCK))
    bench.run(20)
    assert bench.stands("r")


def test_a_row_applies_in_its_flag_or_while_its_loop_is_in_automatic_and_every_change_is_told():
    loop = {"L": {"title": "L", "pv": "X", "period": "1 s", "tuning": {"gain": 1, "ti": "60 s"},
                  "output": [0, 100], "setpoint": [0, 100],
                  "segments": [{"actuator": "b", "demand": [0, 100], "value": [0, 100]}],
                  "fallback": {"mean": True, "after": "5 s"}}}  # fmt: skip
    rows = [{"id": "auto", "any": ["Y > 50 %"], "only_in": "L.auto", "then": ["a = 0"]},
            {"id": "flag", "any": ["Y > 50 %"], "not_in": "phase", "then": ["a <= 20"]}]
    bench = unit(tags=XY, actuators={"a": {}, "b": {}}, rows=rows, loops=loop, flags=["phase"])
    bench.values["Y"] = 60.0
    bench.scan()
    assert [bench.stands(row) for row in ("auto", "flag")] == [False, True]
    bench.do(Verb.SET_MODE, "L", float(Mode.AUTO))
    bench.do(Verb.SET_FLAG, "phase", 1.0)
    bench.scan()
    assert [bench.stands(row) for row in ("auto", "flag")] == [True, False]
    bench.do(Verb.SET_MODE, "L", float(Mode.MANUAL))
    assert not bench.stands("auto")
    rows_of = {cause.row: at for at, cause in enumerate(bench.profile.causes)}
    told = [(int(e.name), e.a) for e in bench.told(EventKind.VALIDITY)]
    assert told == [(rows_of["auto"], 0.0), (rows_of["auto"], 1.0), (rows_of["flag"], 0.0),
                    (rows_of["auto"], 0.0)]  # fmt: skip


def test_the_first_out_of_a_group_is_kept_until_nothing_of_the_group_stands():
    tags = {"X": {}, "Y": {}, "Z": {}}
    rows = [{"id": "x", "kind": "protect", "any": ["X > 50 %"], "first_out": "heat", "then": []},
            {"id": "y", "any": ["Y > 50 %"], "first_out": "heat", "then": []},
            {"id": "z", "any": ["Z > 50 %"], "first_out": "gas", "then": []}]
    bench = unit(tags=tags, rows=rows)

    def place(row):
        return bench.told(EventKind.CAUSE_ACTIVE, row)[-1].a

    for tag in ("X", "Y", "Z"):
        bench.values[tag] = 60.0
        bench.scan()
    assert [place(row) for row in "xyz"] == [0, 1, 0]
    bench.values |= {"X": 0.0, "Y": 0.0}
    bench.scan()
    bench.values["Y"] = 60.0
    bench.scan()
    assert place("y") == 2  # x is latched: the group goes on
    bench.values["Y"] = 0.0
    bench.scan()
    assert bench.do(Verb.RESET, "x") is None
    bench.values["Y"] = 60.0
    bench.scan()
    assert place("y") == 0


def test_a_latch_of_the_field_before_counts_in_its_group_without_being_the_first_out():
    rows = [{"id": "x", "kind": "protect", "any": ["X > 50 %"], "then": []},
            {"id": "y", "any": ["Y > 50 %"], "then": []}]
    bench = unit(tags=XY, rows=rows)
    assert bench.do(Verb.LATCH, "x", 1.0) is None
    assert bench.do(Verb.LATCH, "x", 1.0) is None
    bench.values["Y"] = 60.0
    bench.scan()
    assert bench.told(EventKind.CAUSE_ACTIVE, "y")[-1].a == 1

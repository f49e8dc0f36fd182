"""Causes: votes, delays in elapsed time, hysteresis, bad signals. Released values decide."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_bench import MS, S, armed

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind
from controller.field.verbs import Verb

BAD = (int(Quality.BAD), int(Reason.DEVICE))
XYZ = {"X": {}, "Y": {}, "Z": {}}


@pytest.mark.parametrize(("votes", "true"), [(m, n) for m in (1, 2, 3) for n in range(4)])
def test_a_vote_of_m_out_of_3_trips_with_m_true_signals_and_not_with_fewer(votes, true):
    bench = armed({"of": ["X > 50 %", "Y > 50 %", "Z > 50 %"], "vote": votes}, XYZ)
    bench.values |= dict(zip("XYZ", [60.0] * true + [40.0] * 3, strict=False))
    bench.scan()
    assert bench.out("a") == (0 if true >= votes else 40)


@pytest.mark.parametrize("row", [{"any": ["X > 50 %"]}, {"any": ["X < -50 %"]}])
def test_a_limit_itself_is_allowed_and_the_next_number_beyond_it_trips(row):
    sign = 1 if ">" in row["any"][0] else -1
    bench = armed(row)
    bench.values["X"] = sign * 50.0
    bench.run(1)
    assert bench.out("a") == 40
    bench.values["X"] = math.nextafter(sign * 50.0, sign * math.inf)
    bench.scan()
    assert bench.out("a") == 0
    assert bench.marked_safe("a")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1 * MS, 900 * MS), min_size=5, max_size=25),
       st.one_of(st.just(0), st.integers(100, 3_000)))  # fmt: skip
def test_a_delay_counts_elapsed_time_whatever_the_scan_periods(steps, delay_ms):
    bench = armed({"any": ["X > 50 %"], "delay": f"{delay_ms} ms"})
    bench.values["X"] = 60.0
    seen_ns = None
    for step in steps:
        bench.scan(step)
        seen_ns = bench.now if seen_ns is None else seen_ns
        assert (bench.out("a") == 0) == (bench.now - seen_ns >= delay_ms * MS)


def test_a_cause_that_goes_away_before_its_delay_starts_counting_anew():
    bench = armed({"any": ["X > 50 %"], "delay": "2 s"})
    for _ in range(3):
        bench.values["X"] = 60.0
        bench.run(1.9)
        bench.values["X"] = 40.0
        bench.run(0.3)
    assert bench.out("a") == 40
    assert not bench.told(EventKind.CAUSE_ACTIVE)


def test_hysteresis_keeps_a_standing_cause_until_the_value_is_back_by_that_much():
    bench = armed({"any": ["X > 50 %"], "hysteresis": 5})
    outs = []
    for value in (50.5, 49.0, 45.5, 45.0, 44.9, 49.0, 50.0, 50.1):
        bench.values["X"] = value
        bench.scan()
        outs.append(bench.out("a"))
    assert outs == [0, 0, 0, 40, 40, 40, 40, 0]


def test_an_off_delay_holds_the_value_for_its_time_after_the_cause_has_gone():
    bench = armed({"any": ["X > 50 %"], "off_delay": "3 s"})
    bench.values["X"] = 60.0
    bench.scan()
    bench.values["X"] = 40.0
    bench.run(2.9)
    assert bench.out("a") == 0
    bench.run(0.3)
    assert bench.out("a") == 40


@pytest.mark.parametrize(("bad", "alone", "both"), [
    ("trip", 0, 0), ("degrade", 40, 0), ("ignore", 40, 40),
])  # fmt: skip
def test_a_bad_signal_votes_as_its_rule_says_after_bad_after(bad, alone, both):
    bench = armed({"any": ["X > 50 %", "Y > 50 %"], "bad": bad, "bad_after": "5 s"},
                  {"X": {}, "Y": {}})  # fmt: skip
    bench.quality["X"] = BAD
    bench.run(4.9)
    assert bench.out("a") == 40, "not before bad_after"
    bench.run(0.4)
    assert bench.out("a") == alone
    bench.quality["Y"] = BAD
    bench.run(5.3)
    assert bench.out("a") == both


def test_a_degraded_vote_still_trips_on_the_signal_that_is_left():
    bench = armed({"of": ["X > 50 %", "Y > 50 %", "Z > 50 %"], "vote": 2, "bad": "degrade",
                   "bad_after": "1 s"}, XYZ)  # fmt: skip
    bench.quality |= {"X": BAD, "Y": BAD}
    bench.run(3)
    assert bench.out("a") == 40
    bench.values["Z"] = 60.0
    bench.scan()
    assert bench.out("a") == 0


@pytest.mark.parametrize(("how", "reason"), [
    ({"value": math.nan}, Reason.NOT_FINITE), ({"value": math.inf}, Reason.NOT_FINITE),
    ({"value": -math.inf}, Reason.NOT_FINITE), ({"value": 1001.0}, Reason.OUT_OF_RANGE),
    ({"value": 20.0, "quality": 2, "reason": 7}, Reason.COMMUNICATION),
    ({"value": 20.0, "quality": 3}, Reason.DEVICE), ({"value": 20.0, "quality": -1}, Reason.DEVICE),
    ({"value": 20.0, "sample_ns": 0}, Reason.TOO_OLD),
])  # fmt: skip
def test_nothing_but_a_finite_fresh_sample_in_range_is_good_and_a_trip_row_acts_on_it(how, reason):
    bench = armed({"any": ["X > 50 %"], "bad": "trip", "bad_after": "0 s"})
    bench.run(3)
    bench.push("X", **how)
    bench.scan()
    reading = bench.board.read("X")
    assert (reading.quality, reading.reason) == (Quality.BAD, reason)
    assert math.isfinite(reading.value)
    assert bench.out("a") == 0


def test_a_value_that_stays_away_is_bad_once_it_is_older_than_its_max_age():
    bench = armed({"any": ["X > 50 %"], "bad": "trip", "bad_after": "0 s"})
    bench.quiet.add("X")
    bench.run(2)
    assert bench.out("a") == 40
    bench.scan()
    assert bench.out("a") == 0
    assert bench.board.read("X").reason is Reason.TOO_OLD


def test_a_sample_dated_into_the_future_grows_old_like_any_other():
    bench = armed({"any": ["X > 50 %"], "bad": "trip", "bad_after": "0 s"})
    bench.push("X", 20.0, sample_ns=bench.now + 3600 * S)
    bench.scan()
    assert bench.board.read("X").good
    bench.run(2.3)
    assert bench.out("a") == 0


def test_a_jump_faster_than_the_process_can_is_bad_and_a_slower_one_is_good():
    tags = {"X": {"rate": "10 /s"}}
    bench = armed({"any": ["X > 50 %"], "bad": "trip", "bad_after": "0 s"}, tags)
    bench.push("X", 0.9)
    bench.scan()
    assert bench.board.read("X").good
    bench.push("X", 2.5)
    bench.scan()
    assert bench.board.read("X").reason is Reason.TOO_FAST
    assert bench.out("a") == 0


def test_an_older_sample_that_comes_late_does_not_replace_a_newer_one():
    bench = armed({"any": ["X > 50 %"]})
    bench.push("X", 60.0)
    bench.scan()
    bench.push("X", 20.0, sample_ns=bench.now - S)
    bench.scan()
    assert bench.out("a") == 0
    assert bench.board.read("X").value == 60.0


@pytest.mark.parametrize("bad", ["ignore", "degrade", "trip"])
def test_losing_the_sensor_in_the_middle_of_a_trip_does_not_free_the_actuator_before_bad_after(bad):
    row = {"any": ["X > 50 %", "Y > 50 %"], "bad": bad, "bad_after": "5 s", "hysteresis": 5}
    bench = armed(row, {"X": {}, "Y": {}})
    bench.values["X"] = 60.0
    bench.scan()
    assert bench.out("a") == 0
    bench.quality["X"] = BAD
    for _ in range(49):
        bench.scan()
        assert bench.out("a") == 0
    bench.run(1)
    assert bench.out("a") == (0 if bad == "trip" else 40)


def test_a_signal_that_is_good_only_every_second_time_still_reaches_the_delay_of_an_ignoring_row():
    bench = armed({"any": ["X > 50 %"], "delay": "1 s", "bad": "ignore", "bad_after": "5 s"})
    bench.values["X"] = 60.0
    for turn in range(12):
        bench.quality["X"] = BAD if turn % 2 else (0, 0)
        bench.scan()
    assert bench.out("a") == 0


def test_a_row_tripped_by_a_bad_signal_stays_when_the_signal_returns_beyond_its_limit():
    bench = armed({"any": ["X > 50 %"], "delay": "10 s", "bad": "trip", "bad_after": "1 s"})
    bench.quality["X"] = BAD
    bench.run(1.3)
    assert bench.out("a") == 0
    del bench.quality["X"]
    bench.values["X"] = 60.0
    bench.run(20)
    assert bench.out("a") == 0
    assert len(bench.told(EventKind.CAUSE_ACTIVE, "r")) == 1


# -- rows that a board runs, too ----------------------------------------------------------------


def boarded(**row):
    """Row `r` with a delay of 5 s, whose board says by Y > 0.5 that it stands there."""
    bench = armed({"any": ["X > 50 %"], "delay": "5 s", "kind": "protect"} | row, XYZ)
    bench.profile.plan.causes["told"][0] = bench.profile.index["Y"]
    bench.scan()
    return bench


def resets(bench):
    return int(bench.image.causes["resets"][0])


def test_what_the_board_says_trips_the_row_in_that_scan_without_vote_or_delay():
    bench = boarded()
    bench.values["Y"] = 1.0
    bench.scan()
    assert bench.out("a") == 0
    assert len(bench.told(EventKind.CAUSE_ACTIVE)) == 1


def test_a_board_that_says_it_is_over_leaves_the_latch_and_the_reset_is_counted_for_it():
    bench = boarded()
    bench.values["Y"] = 1.0
    bench.scan()
    assert bench.do(Verb.RESET, "r") is not None  # it stands on the board
    assert resets(bench) == 0
    bench.values["Y"] = 0.0
    bench.scan()
    assert bench.out("a") == 0
    assert bench.do(Verb.RESET, "r") is None
    assert resets(bench) == 1
    assert bench.do(Verb.RESET, "r") is None  # the board may hold a latch that this row has not
    assert resets(bench) == 2


def test_a_board_that_cannot_be_read_says_nothing():
    bench = boarded()
    bench.values["Y"] = 1.0
    bench.quality["Y"] = BAD
    bench.run(10)
    assert bench.out("a") == 40


def test_a_bypass_and_a_phase_where_the_row_is_not_valid_hold_for_the_board_s_word_too():
    bench = boarded()
    assert bench.do(Verb.BYPASS, "r", 60.0) is None
    bench.values["Y"] = 1.0
    bench.scan()
    assert bench.out("a") == 40
    off = boarded(only_in="held")
    off.values["Y"] = 1.0
    off.scan()
    assert off.out("a") == 40
    off.do(Verb.SET_FLAG, "held", 1.0)
    assert off.out("a") == 0

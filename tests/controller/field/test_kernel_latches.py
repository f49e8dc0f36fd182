"""Latches, first-out, actions, bypass and the order of events."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from kernel_bench import PERIOD, S, armed, unit

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind, Why
from controller.field.verbs import Verb

BAD = (int(Quality.BAD), int(Reason.DEVICE))


def test_an_interlock_releases_with_its_cause_and_a_protect_does_not():
    for kind, after in (("interlock", 40), ("protect", 0)):
        bench = armed({"kind": kind, "any": ["X > 50 %"]})
        bench.values["X"] = 60.0
        bench.scan()
        bench.values["X"] = 40.0
        bench.run(60, S)
        assert bench.out("a") == after


def test_a_protect_is_reset_only_when_its_cause_has_gone_with_its_signals_good():
    bench = armed({"kind": "protect", "any": ["X > 50 %", "Y > 50 %"]}, {"X": {}, "Y": {}})
    bench.values["X"] = 60.0
    bench.scan()
    assert bench.do(Verb.RESET, "r") is Why.NOT_POSSIBLE
    bench.values["X"] = 40.0
    bench.quality["Y"] = BAD
    bench.run(1)
    assert bench.do(Verb.RESET, "r") is Why.NOT_POSSIBLE, "Y is bad"
    assert len(bench.told(EventKind.RESET_REFUSED, "r")) == 2
    del bench.quality["Y"]
    bench.scan()
    assert bench.do(Verb.RESET, "r") is None
    assert len(bench.told(EventKind.CAUSE_RESET, "r")) == 1


def test_a_reset_is_refused_while_the_delay_of_a_cause_that_came_back_still_runs():
    bench = armed({"kind": "protect", "any": ["X > 50 %"], "delay": "3 s"})
    bench.values["X"] = 60.0
    bench.run(3.3)
    bench.values["X"] = 40.0
    bench.run(1)
    bench.values["X"] = 60.0
    bench.scan()
    assert bench.do(Verb.RESET, "r") is Why.NOT_POSSIBLE
    assert bench.out("a") == 0


@pytest.mark.parametrize("how", ["output", "held flag"])
def test_a_reset_starts_nothing_until_somebody_commands_the_actuator_or_restarts(how):
    bench = armed({"kind": "protect", "any": ["X > 50 %"]})
    bench.do(Verb.SET_FLAG, "held", 1)
    bench.values["X"] = 60.0
    bench.scan()
    bench.values["X"] = 40.0
    bench.scan()
    assert bench.do(Verb.RESET, "r") is None
    bench.run(30)
    assert bench.out("a") == 0
    if how == "output":
        bench.do(Verb.SET_OUTPUT, "a", 25)
        assert bench.out("a") == 25
    else:
        bench.do(Verb.SET_FLAG, "held", 0)
        assert bench.out("a") == 40


def test_a_command_to_a_latched_actuator_does_not_survive_as_a_start_at_the_reset():
    bench = armed({"kind": "protect", "any": ["X > 50 %"]})
    bench.values["X"] = 60.0
    bench.scan()
    bench.do(Verb.SET_OUTPUT, "a", 80)
    bench.values["X"] = 40.0
    bench.scan()
    bench.do(Verb.RESET, "r")
    bench.run(10)
    assert bench.out("a") == 0


def test_a_loop_behind_a_reset_protect_stays_until_its_mode_is_commanded():
    loop = {"title": "L", "pv": "Y", "period": "100 ms", "tuning": {"gain": 1, "ti": "10 s"},
            "output": [0, 100], "setpoint": [0, 100],
            "segments": [{"actuator": "a", "demand": [0, 100], "value": [0, 100]}],
            "fallback": {"mean": True, "after": "60 s"}}  # fmt: skip
    bench = unit(tags={"X": {}, "Y": {}}, loops={"L": loop},
                 rows=[{"id": "r", "kind": "protect", "any": ["X > 50 %"],
                        "then": ["a = 0"]}])  # fmt: skip
    bench.scan()
    bench.do(Verb.SET_SP, "L", 20)
    bench.do(Verb.SET_MODE, "L", 2)
    bench.run(5)
    assert bench.out("a") > 5
    bench.values["X"] = 60.0
    bench.scan()
    bench.values["X"] = 0.0
    bench.scan()
    assert bench.do(Verb.RESET, "r") is None
    bench.run(120)
    assert bench.out("a") == 0
    bench.do(Verb.SET_MODE, "L", 2)
    bench.scan()
    assert 0 < bench.out("a") < 30, "no integral was wound up meanwhile"


def test_first_out_numbers_tell_which_cause_came_first_in_time_and_in_the_table():
    rows = [{"id": name.lower(), "kind": "protect", "any": [f"{name} > 50 %"], "then": ["a = 0"]}
            for name in "XYZ"]  # fmt: skip
    bench = unit(tags={"X": {}, "Y": {}, "Z": {}}, rows=rows)
    bench.scan()
    bench.values["Z"] = 60.0
    bench.scan()
    bench.values |= {"X": 60.0, "Y": 60.0}
    bench.scan()
    order = {e.name: e.a for e in bench.told(EventKind.CAUSE_ACTIVE)}
    assert order["z"] < order["x"] < order["y"]


def test_the_action_comes_after_its_own_delay_once_and_again_when_the_cause_returns():
    bench = armed({"any": ["X > 50 %"], "action": "hold", "action_delay": "10 s"})
    bench.values["X"] = 60.0
    bench.run(9.9)
    assert bench.out("a") == 0
    assert not bench.told(EventKind.ACTION)
    bench.run(30)
    assert [e.a for e in bench.told(EventKind.ACTION, "r")] == [2.0]
    bench.values["X"] = 40.0
    bench.scan()
    bench.values["X"] = 60.0
    bench.run(11)
    assert len(bench.told(EventKind.ACTION, "r")) == 2


def test_a_cause_that_leaves_before_the_action_delay_asks_for_no_hold():
    bench = armed({"any": ["X > 50 %"], "action": "hold", "action_delay": "10 s"})
    bench.values["X"] = 60.0
    bench.run(5)
    bench.values["X"] = 40.0
    bench.run(30)
    assert not bench.told(EventKind.ACTION)


def test_a_protect_that_trips_again_before_its_reset_asks_for_hold_again():
    bench = armed({"kind": "protect", "any": ["X > 50 %"], "action": "hold"})
    for _ in range(2):
        bench.values["X"] = 60.0
        bench.scan()
        bench.values["X"] = 40.0
        bench.scan()
    assert len(bench.told(EventKind.ACTION, "r")) == 2
    assert len({e.a for e in bench.told(EventKind.CAUSE_ACTIVE, "r")}) == 1, "first-out is kept"


def test_unless_flags_keep_the_phase_going_but_never_the_effect():
    bench = armed({"any": ["X > 50 %"], "action": "hold", "unless": ["f", "g"]}, flags=("f", "g"))
    bench.do(Verb.SET_FLAG, "g", 1)
    bench.values["X"] = 60.0
    bench.run(5)
    assert bench.out("a") == 0
    assert not bench.told(EventKind.ACTION)
    bench.do(Verb.SET_FLAG, "g", 0)
    assert len(bench.told(EventKind.ACTION, "r")) == 1


@pytest.mark.parametrize(("key", "flag", "acts"), [
    ("only_in", 0, False), ("only_in", 1, True), ("not_in", 0, True), ("not_in", 1, False),
])  # fmt: skip
def test_a_row_counts_only_while_its_flag_says_it_is_valid(key, flag, acts):
    bench = armed({"any": ["X > 50 %"], key: "f"}, flags=("f",))
    bench.do(Verb.SET_FLAG, "f", flag)
    bench.values["X"] = 60.0
    bench.run(1)
    assert bench.out("a") == (0 if acts else 40)


def test_a_bypass_holds_off_one_cause_and_lapses_by_itself():
    rows = [{"id": "r", "any": ["X > 50 %"], "then": ["a = 0"]},
            {"id": "s", "any": ["Y > 50 %"], "then": ["a = 0"]}]  # fmt: skip
    bench = unit(tags={"X": {}, "Y": {}}, rows=rows)
    bench.scan()
    bench.do(Verb.SET_OUTPUT, "a", 40)
    assert bench.do(Verb.BYPASS, "r", 60) is None
    bench.values["X"] = 60.0
    bench.run(59)
    assert bench.out("a") == 40
    bench.values["Y"] = 60.0
    bench.scan()
    assert bench.out("a") == 0, "the other cause is not bypassed"
    bench.values["Y"] = 40.0
    bench.run(2)
    assert bench.out("a") == 0, "lapsed"
    assert len(bench.told(EventKind.BYPASS_LAPSED, "r")) == 1


def test_what_stood_under_a_bypass_acts_in_the_scan_in_which_it_lapses():
    bench = armed({"any": ["X > 50 %"], "delay": "30 s"})
    bench.do(Verb.BYPASS, "r", 60)
    bench.values["X"] = 60.0
    lapse = bench.now + 60 * S
    while bench.now < lapse - PERIOD:
        bench.scan()
    assert bench.out("a") == 40
    bench.run(0.2)
    assert bench.out("a") == 0


@pytest.mark.parametrize(("seconds", "why"), [
    (3600, None), (3600.001, Why.OUT_OF_RANGE), (-1, Why.OUT_OF_RANGE), (1e300, Why.OUT_OF_RANGE),
    (math.nan, Why.OUT_OF_RANGE),
])  # fmt: skip
def test_a_bypass_lasts_at_most_an_hour(seconds, why):
    bench = armed({"any": ["X > 50 %"]})
    assert bench.do(Verb.BYPASS, "r", seconds) is why
    bench.values["X"] = 60.0
    bench.run(2)
    assert bench.out("a") == (40 if why is None else 0)


def test_a_row_that_may_never_be_bypassed_is_not_and_neither_is_a_permit_or_a_reset_by_bypass():
    permits = [{"id": "p", "title": "p", "any": ["X > 90 %"], "then": ["a = 0"]}]
    bench = armed({"any": ["X > 50 %"], "never_bypass": True}, permits=permits)
    assert bench.do(Verb.BYPASS, "r", 60) is Why.NOT_POSSIBLE
    assert bench.do(Verb.BYPASS, "p", 60) is Why.NOT_POSSIBLE
    bench.values["X"] = 60.0
    bench.scan()
    assert bench.out("a") == 0


def test_a_bypass_does_not_take_the_latch_off_a_protect():
    bench = armed({"kind": "protect", "any": ["X > 50 %"]})
    bench.values["X"] = 60.0
    bench.scan()
    assert bench.do(Verb.BYPASS, "r", 60) is None
    bench.run(5)
    assert bench.out("a") == 0
    assert bench.do(Verb.RESET, "r") is Why.NOT_POSSIBLE


def test_every_edge_of_a_cause_is_one_event_in_the_order_in_which_it_happened():
    bench = armed({"kind": "protect", "any": ["X > 50 %"], "action": "hold"})
    bench.seen.clear()
    bench.values["X"] = 60.0
    bench.run(1)
    bench.values["X"] = 40.0
    bench.run(1)
    bench.do(Verb.RESET, "r")
    kinds = [e.kind for e in bench.seen]
    assert kinds == [EventKind.CAUSE_ACTIVE, EventKind.ACTION, EventKind.EFFECT_ON,
                     EventKind.CAUSE_CLEARED, EventKind.CAUSE_RESET, EventKind.APPLIED]  # fmt: skip
    assert all(a.time_ns <= b.time_ns for a, b in pairwise(bench.seen))

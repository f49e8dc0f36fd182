"""Commands at the scan boundary: once, in time, in range, and never against the cells."""

from __future__ import annotations

import math

import pytest
from kernel_bench import NEVER, Bench, S, compile_text, shipped, unit, unit_text

from controller.field.ring import EventKind, Why
from controller.field.verbs import Verb

OFF, MANUAL, AUTO, CASCADE = 0, 1, 2, 3


def plain():
    bench = unit(actuators={"a": {}, "b": {}}, flags=["f"])
    bench.scan()
    return bench


def test_a_command_is_applied_once_however_often_its_id_comes():
    bench = plain()
    number = bench.command(Verb.SET_OUTPUT, "a", 10)
    bench.scan()
    bench.command(Verb.SET_OUTPUT, "a", 90, id_=number)
    bench.command(Verb.SET_OUTPUT, "a", 80, id_=number - 1)
    bench.scan()
    assert bench.out("a") == 10
    assert [Why(int(e.a)) for e in bench.told(EventKind.REFUSED)] == [Why.ALREADY_APPLIED] * 2


def test_a_command_past_its_time_is_refused_and_its_id_is_used_up():
    bench = plain()
    number = bench.command(Verb.SET_OUTPUT, "a", 10, valid_until_ns=bench.now - 1)
    bench.scan()
    bench.command(Verb.SET_OUTPUT, "a", 10, id_=number)
    bench.scan()
    assert bench.out("a") == 0
    refused = [Why(int(e.a)) for e in bench.told(EventKind.REFUSED)]
    assert refused == [Why.EXPIRED, Why.ALREADY_APPLIED]


def test_a_command_on_the_last_nanosecond_of_its_time_is_applied():
    bench = plain()
    assert bench.do(Verb.SET_OUTPUT, "a", 10, valid_until_ns=bench.now + 100_000_000) is None
    assert bench.out("a") == 10


@pytest.mark.parametrize(("verb", "target", "value", "why"), [
    (Verb.SET_OUTPUT, 99, 1, Why.UNKNOWN_TARGET), (Verb.SET_OUTPUT, -1, 1, Why.UNKNOWN_TARGET),
    (Verb.SET_OUTPUT, 0, 100.001, Why.OUT_OF_RANGE), (Verb.SET_OUTPUT, 0, -0.001, Why.OUT_OF_RANGE),
    (Verb.SET_OUTPUT, 0, math.nan, Why.OUT_OF_RANGE),
    (Verb.SET_OUTPUT, 0, math.inf, Why.OUT_OF_RANGE),
    (Verb.SET_SP, 0, 1, Why.UNKNOWN_TARGET), (Verb.SET_MODE, -1, 1, Why.UNKNOWN_TARGET),
    (Verb.SET_FLAG, 99, 1, Why.UNKNOWN_TARGET), (Verb.SET_FLAG, 0, 1, Why.UNKNOWN_TARGET),
    (Verb.SET_FLAG, "f", 0.5, Why.OUT_OF_RANGE), (Verb.SET_FLAG, "f", 2, Why.OUT_OF_RANGE),
    (Verb.RESET, 99, 0, Why.UNKNOWN_TARGET), (Verb.BYPASS, -1, 10, Why.UNKNOWN_TARGET),
])  # fmt: skip
def test_an_unknown_target_or_a_value_out_of_range_is_refused_and_nothing_happens(
    verb, target, value, why
):
    bench = plain()
    before = bench.image.outputs.copy(), bench.image.signals["value"].copy()
    assert bench.do(verb, target, value) is why
    assert (bench.image.outputs["released"] == before[0]["released"]).all()
    assert (bench.image.outputs["request"] == before[0]["request"]).all()
    flags = [bench.profile.index[name] for name in bench.profile.model.flags]
    assert (bench.image.signals["value"][flags] == before[1][flags]).all()


def test_an_unknown_verb_is_refused():
    bench = plain()
    bench.board.command(7, 99, 0, 1.0, NEVER)
    bench.scan()
    assert bench.answer(7) is Why.NOT_POSSIBLE


@pytest.mark.parametrize("value", [-1, 4, 1.5, 1e300])
def test_a_mode_that_does_not_exist_is_refused(value):
    bench = shipped(running=False)
    assert bench.do(Verb.SET_MODE, "TIC101", value) is Why.OUT_OF_RANGE


def test_commands_are_applied_in_their_order_within_one_scan():
    bench = plain()
    for value in (10, 20, 30):
        bench.command(Verb.SET_OUTPUT, "a", value)
    bench.scan()
    assert bench.out("a") == 30
    assert [e.b for e in bench.told(EventKind.APPLIED)] == [10, 20, 30]


def test_a_full_command_ring_says_so_and_takes_no_more():
    bench = plain()
    taken = [bench.board.command(n + 1, int(Verb.SET_OUTPUT), 0, 1.0, NEVER) for n in range(257)]
    assert taken == [True] * 256 + [False]
    bench.scan()
    assert len(bench.told(EventKind.APPLIED)) == 256


# -- with the batch open, nothing but a row stops heat, stirring or oxygen -------------------------


@pytest.mark.parametrize("name", ["heater", "km101", "stirrer", "air", "o2", "xv100"])
def test_with_the_environment_on_no_command_turns_heat_stirring_or_oxygen_off(name):
    bench = shipped()
    before = bench.out(name)
    assert bench.do(Verb.SET_OUTPUT, name, 0) is Why.KEEPS_CELLS_ALIVE
    resolution = bench.profile.model.actuators[name].resolution
    assert bench.do(Verb.SET_OUTPUT, name, 0.49 * resolution) is Why.KEEPS_CELLS_ALIVE, \
        "it would leave as 0"  # fmt: skip
    bench.run(6)
    assert bench.out(name) == before


@pytest.mark.parametrize("name", ["heater", "stirrer", "air", "o2"])
def test_with_the_environment_on_too_little_to_live_on_is_refused_like_nothing(name):
    bench = shipped()
    actuator = bench.profile.model.actuators[name]
    assert actuator.keep > actuator.range[0] + actuator.resolution
    too_little = actuator.keep - actuator.resolution
    assert bench.do(Verb.SET_OUTPUT, name, too_little) is Why.KEEPS_CELLS_ALIVE
    assert bench.do(Verb.SET_OUTPUT, name, actuator.keep) is None


@pytest.mark.parametrize("name", ["heater", "km101", "stirrer", "air", "o2"])
def test_once_the_environment_has_ended_the_same_command_is_applied(name):
    bench = shipped()
    bench.do(Verb.SET_FLAG, "environment", 0)
    assert bench.do(Verb.SET_OUTPUT, name, 0) is None
    bench.run(6)
    assert bench.out(name) == 0


@pytest.mark.parametrize("name", ["co2", "n2", "feed", "perfusate", "base", "xv201"])
def test_the_environment_guard_leaves_liquids_and_other_gas_alone(name):
    bench = shipped()
    if name == "xv201":  # it stays open until its pump stands still
        bench.do(Verb.SET_OUTPUT, "feed", 0)
        bench.run(6)
    assert bench.do(Verb.SET_OUTPUT, name, 0) is None
    bench.run(6)
    assert bench.out(name) == 0


def controlled():
    """Heat and oxygen under their loops, cells in."""
    bench = shipped()
    for name, sp in (("TIC101", 37), ("DIC101", 40), ("TIC103", 38)):
        bench.command(Verb.SET_SP, name, sp)
    for name, mode in (("TIC101", AUTO), ("TIC103", CASCADE), ("DIC101", AUTO)):
        assert bench.do(Verb.SET_MODE, name, mode) is None
    bench.run(10)
    return bench


@pytest.mark.parametrize("name", ["TIC101", "TIC103", "DIC101"])
def test_with_the_environment_on_a_loop_of_heat_or_oxygen_cannot_be_switched_off(name):
    bench = controlled()
    assert bench.do(Verb.SET_MODE, name, OFF) is Why.KEEPS_CELLS_ALIVE


@pytest.mark.parametrize(("name", "demand", "why"), [
    ("TIC103", 0, Why.KEEPS_CELLS_ALIVE), ("TIC103", 0.04, Why.KEEPS_CELLS_ALIVE),
    ("TIC103", 1, Why.KEEPS_CELLS_ALIVE), ("TIC103", 10, None),
    ("TIC101", 33, Why.KEEPS_CELLS_ALIVE), ("TIC101", 37, None),
    ("DIC101", 0, Why.KEEPS_CELLS_ALIVE), ("DIC101", -20, Why.KEEPS_CELLS_ALIVE),
    ("DIC101", 0.3, Why.KEEPS_CELLS_ALIVE), ("DIC101", 20, None), ("DIC101", 60, None),
])  # fmt: skip
def test_with_the_environment_on_no_manual_demand_starves_or_cools_the_cells(name, demand, why):
    bench = controlled()
    assert bench.do(Verb.SET_MODE, name, MANUAL) is None
    assert bench.do(Verb.SET_OP, name, demand) is why


def test_a_loop_in_automatic_may_reach_zero_but_cannot_be_frozen_there():
    bench = controlled()
    bench.values |= {"TT101": 38.0, "TT102": 38.0}
    for _ in range(8):
        bench.values["TT103"] += 0.7
        bench.run(1)
    bench.run(30)
    assert bench.out("heater") == 0
    assert bench.do(Verb.SET_MODE, "TIC103", MANUAL) is Why.KEEPS_CELLS_ALIVE


def test_a_flag_that_starts_true_is_true_in_the_first_scan():
    text = unit_text(rows=[{"id": "r", "any": ["f > 0.5"], "then": ["a = 0"]}], flags=["f"],
                     actuators={"a": {"start": 30}})  # fmt: skip
    text = text.replace("f:\n    start: false", "f:\n    start: true")
    started = Bench(compile_text(text), {"X": 0})
    started.scan()
    assert started.out("a") == 0
    assert started.stands("r")


# -- Hold --------------------------------------------------------------------------------------


def test_hold_keeps_gas_and_perfusion_going_and_nitrogen_and_product_shut():
    bench = controlled()
    bench.do(Verb.SET_FLAG, "environment", 0)
    bench.do(Verb.SET_MODE, "DIC101", MANUAL)
    bench.do(Verb.SET_OP, "DIC101", 2)
    bench.run(6)
    assert bench.out("air") == pytest.approx(15, abs=0.2)
    bench.do(Verb.SET_FLAG, "unit_held", 1)
    bench.run(1)
    outs = bench.outs("air", "xv100", "n2", "xv203", "feed", "perfusate", "stirrer")
    assert outs == pytest.approx({"air": 50, "xv100": 1, "n2": 0, "xv203": 0, "feed": 5.04,
                                  "perfusate": 5.04, "stirrer": 150})  # fmt: skip


def test_after_four_hours_of_hold_the_liquids_are_shut_and_nothing_else_is():
    bench = shipped()
    bench.do(Verb.SET_FLAG, "unit_held", 1)
    bench.run(4 * 3600 - 60, S)
    assert bench.outs("feed", "perfusate", "xv201") == {"feed": 5.04, "perfusate": 5.04, "xv201": 1}
    bench.run(120, S)
    shut = ("feed", "perfusate", "xv201", "xv202")
    assert bench.outs(*shut) == dict.fromkeys(shut, 0)
    assert bench.outs("heater", "stirrer") == {"heater": 50, "stirrer": 150}
    assert bench.out("air") >= 50

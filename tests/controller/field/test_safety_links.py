"""Silent links, permits, stars and second final elements of the shipped unit after safety.md."""

from __future__ import annotations

import pytest
from kernel_bench import grams, shipped
from safety_table import BAD, BASE_SHUT, FEED_SHUT, OUTLETS_SHUT, move, set_out

from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.plan import Action

# -- row 20: a silent link -----------------------------------------------------------------------


@pytest.mark.parametrize(("link", "values", "row", "outs"), [
    ("gas_bus", {}, "20.gas_bus", {"xv100": 1}),
    ("gas_bus", {"PT101": 2.51}, "20.gas_pressure", {"xv100": 0}),
    ("gas_bus", {"PT101": 2.5}, "20.gas_bus", {"xv100": 1}),
    ("gas_bus", {"AT101": 6.89}, "20.gas_ph", {"xv100": 0}),
    ("pump_bus", {}, "20.pump_bus", FEED_SHUT | OUTLETS_SHUT | BASE_SHUT),
    ("skid", {}, "20.skid", FEED_SHUT | OUTLETS_SHUT | BASE_SHUT),
    ("probe_bus", {}, "20.probe_bus", {"stirrer": 150}),
    ("balance", {}, "20.balance", {"stirrer": 150}),
])  # fmt: skip
def test_a_link_silent_for_two_seconds_does_what_row_20_says_and_holds(link, values, row, outs):
    bench = shipped()
    move(bench, values)
    bench.run(1)
    assert not bench.stands(row)
    bench.silent.add(link)
    took = bench.run_to_trip(row, 3)
    assert 2.0 < took <= 2.2
    assert bench.outs(*outs) == outs
    assert [e.a for e in bench.told(EventKind.ACTION, row)] == [Action.HOLD]


def test_with_the_skid_silent_all_gas_together_is_at_most_200():
    bench = shipped()
    set_out(air=400, o2=200, co2=100)(bench)
    bench.silent.add("skid")
    bench.run_to_trip("20.skid", 3)
    assert sum(bench.out(gas) for gas in ("air", "o2", "co2", "n2")) <= 200
    bench.run(60)
    assert bench.out("air") + bench.out("o2") > 0


# -- permits -------------------------------------------------------------------------------------


def test_nitrogen_flows_only_without_cells():
    bench = shipped()
    bench.do(Verb.SET_OUTPUT, "n2", 50)
    bench.run(5)
    assert bench.out("n2") == 0
    bench.do(Verb.SET_FLAG, "cells_in", 0)
    bench.run(3)
    assert bench.out("n2") == 50


@pytest.mark.parametrize(("level", "speed", "runs"), [
    (0.61, 150, True), (0.59, 150, False), (0.7, 0, False),
])  # fmt: skip
def test_the_heater_leaves_zero_only_above_600_ml_and_stirring(level, speed, runs):
    bench = shipped(running=False)
    bench.values |= {"LT101": level, "WT101": grams(level)}
    bench.do(Verb.SET_OUTPUT, "stirrer", speed)
    bench.run(12)
    bench.do(Verb.SET_OUTPUT, "heater", 40)
    bench.run(3)
    assert (bench.out("heater") == 40) is runs


@pytest.mark.parametrize(("speed", "ph", "runs"), [
    (150, (0, 0), True), (0, (0, 0), False), (150, BAD, False),
])  # fmt: skip
def test_base_leaves_zero_only_with_stirring_and_a_good_ph(speed, ph, runs):
    bench = shipped(running=False)
    bench.do(Verb.SET_OUTPUT, "stirrer", speed)
    bench.do(Verb.SET_OUTPUT, "xv204", 1)
    bench.run(3)
    bench.quality["AT101"] = ph
    bench.do(Verb.SET_OUTPUT, "base", 0.01015)
    bench.run(3)
    assert (bench.out("base") > 0) is runs


# -- never bypass, second final element ----------------------------------------------------------


@pytest.mark.parametrize("row", ["1", "6", "11", "12.rate", "12.total", "18.both", "18.lineup"])
def test_the_rows_with_a_star_cannot_be_bypassed(row):
    assert shipped(running=False).do(Verb.BYPASS, row, 60) is not None


@pytest.mark.parametrize(("row", "prepare", "frozen", "second"), [
    ("1", {"TT101": 38.6, "TT102": 38.6}, "JT101", "km101"),
    ("9", {"WT101": grams(2.0) + 30}, "ST_FEED", "xv201"),
    ("6", {"PT101": 4.6}, "FS_AIR", "xv100"),
    ("12.rate", {"ST_BASE": 0.21}, "ST_BASE", "xv204"),
])  # fmt: skip
def test_a_protect_whose_actuator_does_not_obey_reaches_its_second_final_element(
    row, prepare, frozen, second
):
    bench = shipped()
    bench.follow.pop(frozen, None)
    move(bench, prepare)
    bench.run_to_trip(row, 5)
    bench.run(2.2)
    assert bench.told(EventKind.NOT_CONFIRMED)
    assert bench.out(second) == 0

"""Every row of safety.md on the shipped unit, from both sides of its limit.

The table in `safety_table` is written by hand from safety.md, not read from the profile, so that it
can disagree with it.
"""

from __future__ import annotations

import pytest
from kernel_bench import RUNNING, S, grams, shipped
from safety_table import (
    BAD,
    BASE_SHUT,
    CASES,
    FEED_SHUT,
    HEAT_OFF,
    OUTLETS_SHUT,
    WEIGHT,
    away,
    causes,
    move,
    set_out,
    tripped,
)

from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.plan import Action


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}-{case.name}")
def test_a_row_leaves_everything_alone_inside_its_limit_and_acts_in_the_tripping_scan_beyond_it(
    case,
):
    bench = shipped()
    if case.setup:
        case.setup(bench)
    move(bench, case.inside)
    bench.run(10 * bool(case.also))
    before = bench.outs()
    bench.run(case.delay_s + 5, round(case.step_s * S))
    assert not away(bench, before)
    assert causes(bench) == set(case.also)
    took = tripped(case, bench)
    if case.exact:
        assert case.delay_s - 1e-6 <= took <= case.delay_s + case.step_s + 1e-6
    assert not away(bench, case.outs), "in the scan of the trip"
    forced = [name for name, value in case.outs.items() if value != before[name]]
    assert all(bench.marked_safe(name) for name in forced)
    bench.run(1)
    assert not away(bench, before | case.outs), "and nothing else moves"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}-{case.name}")
def test_a_row_asks_of_the_phase_what_safety_says_and_when(case):
    bench = shipped()
    if case.setup:
        case.setup(bench)
    tripped(case, bench)
    start = bench.now
    asked = lambda: [Action(int(e.a)) for e in bench.told(EventKind.ACTION, case.row)]  # noqa: E731
    if case.phase_delay_s:
        bench.run(case.phase_delay_s - 2, S)
        assert not asked(), "too early"
        bench.run(4, S)
        assert (bench.now - start) / S < case.phase_delay_s + 5
    wanted = {"H": [Action.HOLD], "alarm": [Action.ALARM], "none": []}[case.phase]
    assert asked() == wanted


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.row}-{case.name}")
def test_a_protect_stays_when_its_cause_has_gone_and_an_interlock_releases(case):
    bench = shipped()
    bench.do(Verb.BYPASS, "9", 3600)  # the weight of this bench follows no pump
    if case.setup:
        case.setup(bench)
    tripped(case, bench)
    bench.run(2)
    back = {"PT101": 1.0, "TT101": 37.0, "TT102": 37.0, "TT103": 38.0, "LT101": 2.0, "AT101": 7.2,
            "AT102": 40.0, "ST101": 150.0}  # fmt: skip
    move(bench, {tag: back.get(tag, case.inside[tag]) for tag in case.inside})
    bench.run(720, S)
    wanted = bench.image.outputs["request"]
    names = list(bench.profile.outputs)
    forced = [n for n, v in case.outs.items() if abs(float(wanted[names.index(n)]) - v) > 1e-3]
    kept = {name: case.outs[name] for name in forced if case.row != "16"}
    if case.latches:
        assert not away(bench, kept)
    else:
        assert away(bench, kept) == list(kept)


@pytest.mark.parametrize(("row", "inside", "outside", "delay_s", "outs"), WEIGHT)
def test_a_volume_row_trips_on_the_weight_alone(row, inside, outside, delay_s, outs):
    bench = shipped()
    bench.do(Verb.BYPASS, "9", 3600)  # it would see the same grams as a step
    bench.quality["LT101"] = BAD
    bench.values["WT101"] = grams(inside)
    bench.run(delay_s + 5)
    assert not bench.stands(row)
    bench.values["WT101"] = grams(outside)
    took = bench.run_to_trip(row, delay_s + 1)
    assert delay_s <= took <= delay_s + 0.2
    assert bench.outs(*outs) == pytest.approx(outs)


@pytest.mark.parametrize(("tags", "rows"), [
    (("TT101", "TT102"), ["1"]), (("LT101", "WT101"), ["7", "8", "10"]),
])  # fmt: skip
def test_a_degrading_row_goes_on_with_one_signal_and_trips_without_any(tags, rows):
    bench = shipped()
    bench.quality[tags[0]] = BAD
    bench.run(30)
    assert not any(bench.stands(row) for row in rows)
    bench.quality[tags[1]] = BAD
    bench.run(5.3)
    assert all(bench.stands(row) for row in rows)


@pytest.mark.parametrize(("tag", "row", "outs"), [
    ("TT103", "2", {"heater": 0}), ("TT101", "3", {"heater": 30}), ("TT102", "3", {"heater": 30}),
    ("WT101", "9", FEED_SHUT | OUTLETS_SHUT), ("AT101", "11", BASE_SHUT),
    ("ST_BASE", "12.rate", BASE_SHUT), ("ST_BASE", "12.total", BASE_SHUT),
    ("ST101", "15", BASE_SHUT | {"heater": 20}), ("XV203_ZSC", "18.both", OUTLETS_SHUT),
    ("XV203_ZSC", "18.lineup", OUTLETS_SHUT), ("XV201_ZSO", "19.feed", {"feed": 0}),
    ("XV204_ZSO", "19.base", {"base": 0}),
])  # fmt: skip
def test_a_bad_signal_trips_the_rows_that_say_so_within_seconds(tag, row, outs):
    bench = shipped()
    if row == "18.both":
        bench.quality["XV202_ZSC"] = BAD
        outs = {"xv202": 0, "xv203": 0}
    bench.quality[tag] = BAD
    took = bench.run_to_trip(row, 61)
    assert took <= (60.2 if row == "3" else 10.2)
    assert bench.outs(*outs) == pytest.approx(outs, abs=0.06)


def test_row_4_trips_when_ten_minutes_of_heat_bring_less_than_half_a_degree():
    bench = shipped()
    bench.do(Verb.SET_SP, "TIC101", 37)
    for tag in ("TT101", "TT102"):
        move(bench, {tag: 35.5})
    set_out(heater=60)(bench)
    bench.run(700, S)
    assert "4" not in causes(bench), "60 % is not above 60 %"
    set_out(heater=70)(bench)
    bench.run_to_trip("4", 640, S)
    assert bench.outs(*HEAT_OFF) == HEAT_OFF
    assert bench.told(EventKind.ACTION, "4")[0].a == Action.HOLD


@pytest.mark.parametrize(("rise", "below", "trips"), [
    (0.4, 1.5, True), (0.6, 1.5, False), (0.0, 0.9, False), (0.0, 1.1, True),
])  # fmt: skip
def test_row_4_spares_a_heater_that_heats_or_is_close_to_its_setpoint(rise, below, trips):
    bench = shipped()
    bench.do(Verb.SET_SP, "TIC101", 37)
    for tag in ("TT101", "TT102"):
        move(bench, {tag: 37.0 - below - rise})
    set_out(heater=70)(bench)
    for _ in range(660):
        for tag in ("TT101", "TT102"):
            if bench.values[tag] < 37.0 - below:
                bench.values[tag] += rise / 600
        bench.scan(S)
    assert ("4" in causes(bench)) is trips


def test_row_5_stops_all_gas_above_30_mbar_until_below_15():
    bench = shipped()
    bench.values["PT101"] = 3.1
    bench.run_to_trip("5", 2)
    for pressure, gas in ((2.0, 0), (1.51, 0), (1.49, 200)):
        bench.values["PT101"] = pressure
        bench.run(5)
        assert bench.out("air") == gas


def test_row_5_limits_each_gas_to_100_after_10_s_without_a_pressure():
    bench = shipped()
    bench.quality["PT101"] = BAD
    bench.run(9.9)
    assert bench.out("air") == 200
    bench.run(0.4)
    assert bench.outs("air", "o2", "co2") == {"air": 100, "o2": 50, "co2": 10}


def test_losing_the_pressure_sensor_above_30_mbar_does_not_give_the_gas_free_at_once():
    bench = shipped()
    bench.values["PT101"] = 3.5
    bench.run_to_trip("5", 2)
    bench.quality["PT101"] = BAD
    for _ in range(49):
        bench.scan()
        assert bench.out("air") == 0
    bench.run(10)
    assert bench.outs("air", "o2") == {"air": 100, "o2": 50}


@pytest.mark.parametrize(("grams_per_min", "trips"), [(4.8, False), (5.4, True), (-4.8, False),
                                                      (-5.4, True)])  # fmt: skip
def test_row_9_trips_on_50_g_in_10_minutes_that_no_pump_moved(grams_per_min, trips):
    bench = shipped()
    bench.do(Verb.SET_OUTPUT, "base", 0)
    bench.run(660, S)
    for _ in range(640):
        bench.values["WT101"] += grams_per_min / 60
        bench.scan(S)
    assert bench.stands("9") is trips
    if trips:
        assert bench.outs(*FEED_SHUT, *OUTLETS_SHUT) == FEED_SHUT | OUTLETS_SHUT


@pytest.mark.parametrize("step", [19.0, 21.0, -19.0, -21.0])
def test_row_9_trips_on_a_step_of_20_g_and_lets_base_go_on_at_5_ml_per_hour(step):
    bench = shipped()
    bench.do(Verb.SET_OUTPUT, "co2", 0)
    bench.do(Verb.SET_OUTPUT, "base", 0.14)
    bench.run(10)
    bench.values["WT101"] += step
    bench.scan()
    beyond = abs(step) > 20
    assert bench.stands("9") is beyond
    assert bench.out("base") == pytest.approx(0.0833 if beyond else 0.14, abs=4e-4)
    assert bench.out("base") <= (5 / 60 if beyond else 1)


@pytest.mark.parametrize(("flags", "row", "phase"), [
    (("prime",), "8", False), ((), "8", True), (("prime",), "10", False),
    (("harvest",), "10", False), ((), "10", True),
])  # fmt: skip
def test_a_low_level_acts_while_priming_and_harvesting_without_holding_the_phase(flags, row, phase):
    bench = shipped()
    for name in flags:
        bench.do(Verb.SET_FLAG, name, 1)
    move(bench, {"LT101": 0.3})
    bench.values["WT101"] = grams(0.3)
    bench.run_to_trip(row, 20)
    bench.run(2)
    assert bool(bench.told(EventKind.ACTION, row)) is phase


def test_row_8_does_not_exist_in_harvest():
    bench = shipped()
    bench.do(Verb.BYPASS, "9", 3600)
    bench.do(Verb.SET_FLAG, "harvest", 1)
    move(bench, {"LT101": 1.0})
    bench.values["WT101"] = grams(1.0)
    bench.run(20)
    assert bench.out("perfusate") == RUNNING["perfusate"]


@pytest.mark.parametrize("tag", ["AT101", "AT102"])
def test_with_ph_or_do_unknown_its_gas_goes_to_the_mean_of_the_last_ten_minutes(tag):
    bench = shipped()
    bench.run(660, S)
    for name, value in (("co2", 60), ("air", 400), ("o2", 150)):
        bench.do(Verb.SET_OUTPUT, name, value)
    bench.quality[tag] = BAD
    bench.run(7)
    if tag == "AT101":
        assert bench.out("co2") == pytest.approx(RUNNING["co2"], abs=2)
    else:
        assert bench.outs("air", "o2", "n2") == pytest.approx(
            {"air": RUNNING["air"], "o2": RUNNING["o2"], "n2": 0}, abs=8
        )


def test_row_16_waits_for_cells():
    bench = shipped()
    set_out(air=20)(bench)
    bench.do(Verb.SET_FLAG, "cells_in", 0)
    move(bench, {"AT102": 10.0})
    bench.run(120, S)
    assert bench.out("air") == 20

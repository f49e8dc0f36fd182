"""Every row of safety.md on the shipped unit, from both sides of its limit.

The table below is written by hand from safety.md, not read from the profile, so that it can
disagree with it. Units inside are canonical: 10 mbar = 1 kPa, 12 mL/h = 0.2 mL/min.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from kernel_bench import RUNNING, Bench, S, grams, shipped

from controller.core.signal import Quality, Reason
from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.plan import Action

BAD = (int(Quality.BAD), int(Reason.DEVICE))
FEED_SHUT = {"feed": 0, "xv201": 0}
PERF_SHUT = {"perfusate": 0, "xv202": 0}
BASE_SHUT = {"base": 0, "xv204": 0}
OUTLETS_SHUT = PERF_SHUT | {"xv203": 0}
MFC_0 = dict.fromkeys(("air", "o2", "co2", "n2"), 0)
HEAT_OFF = {"heater": 0, "km101": 0}
STEP_S = 0.1
Wish = Callable[[Bench], None]


@dataclass(frozen=True)
class Case:
    """`inside` is on the allowed side of the limit, `outside` just beyond; `setup` comes first."""

    row: str
    name: str
    inside: dict[str, float]
    outside: dict[str, float]
    delay_s: float
    outs: dict[str, float]
    phase: str  # H, alarm or none
    phase_delay_s: float = 0.0
    latches: bool = False
    setup: Wish | None = None
    step_s: float = STEP_S
    exact: bool = True  # whether the delay is that of the row alone
    also: tuple[str, ...] = ()  # rows that stand already inside the limit


def set_out(**outs: float) -> Wish:
    def apply(bench: Bench) -> None:
        for name, value in outs.items():
            assert bench.do(Verb.SET_OUTPUT, name, value) is None
        bench.run(6)
    return apply  # fmt: skip


def flag(name: str, value: int = 1) -> Wish:
    def apply(bench: Bench) -> None:
        assert bench.do(Verb.SET_FLAG, name, value) is None
    return apply  # fmt: skip


def both(*steps: Wish) -> Wish:
    return lambda bench: [step(bench) for step in steps] and None


def base_so_far(litres: float) -> Wish:
    def apply(bench: Bench) -> None:
        bench.image.signals[bench.profile.index["BASE_TOTAL"]]["value"] = litres
    return apply  # fmt: skip


def away(bench: Bench, outs: dict[str, float]) -> list[str]:
    """Actuators that are not, to half of their resolution, where they are wanted."""
    model = bench.profile.model.actuators
    return [n for n, v in outs.items() if abs(bench.out(n) - v) > 0.51 * model[n].resolution]


def causes(bench: Bench) -> set[str]:
    return {event.name for event in bench.told(EventKind.CAUSE_ACTIVE)}


CASES = [
    Case("1", "TT101", {"TT101": 38.5, "TT102": 38.3}, {"TT101": 38.51, "TT102": 38.3}, 3,
         HEAT_OFF, "H", latches=True),
    Case("1", "TT102", {"TT102": 38.5, "TT101": 38.3}, {"TT102": 38.51, "TT101": 38.3}, 3,
         HEAT_OFF, "H", latches=True),
    Case("2", "TT103", {"TT103": 45.0}, {"TT103": 45.01}, 3, {"heater": 0}, "alarm"),
    Case("3", "above", {"TT101": 37.69}, {"TT101": 37.71}, 60, {"heater": 30}, "alarm"),
    Case("3", "below", {"TT101": 36.31}, {"TT101": 36.29}, 60, {"heater": 30}, "alarm"),
    Case("5", "PT101", {"PT101": 3.0}, {"PT101": 3.01}, 1, MFC_0, "alarm"),
    Case("6", "PT101", {"PT101": 4.5}, {"PT101": 4.51}, 0.5,
         MFC_0 | FEED_SHUT | BASE_SHUT | {"xv100": 0}, "H", latches=True, also=("5",)),
    Case("7", "level", {"LT101": 2.3}, {"LT101": 2.301}, 5, FEED_SHUT | BASE_SHUT, "H", 600),
    Case("8", "level", {"LT101": 1.7}, {"LT101": 1.699}, 5, PERF_SHUT, "H"),
    Case("10", "level", {"LT101": 0.5}, {"LT101": 0.499}, 10,
         MFC_0 | {"heater": 0, "stirrer": 0}, "H",
         also=("8", "permit.heater")),
    Case("11", "pH", {"AT101": 7.5}, {"AT101": 7.501}, 30, BASE_SHUT, "H", 900),
    Case("12.total", "batch total", {"ST_BASE": 0.0001}, {"ST_BASE": 0.19}, 4, BASE_SHUT, "H",
         latches=True, setup=base_so_far(0.89999), exact=False),
    Case("12.rate", "rate", {"ST_BASE": 0.2}, {"ST_BASE": 0.2001}, 0, BASE_SHUT, "H",
         latches=True),
    Case("13", "pH", {"AT101": 6.8}, {"AT101": 6.799}, 300, {"co2": 0}, "H", 900),
    Case("14", "base on", {"ST_BASE": 0.0}, {"ST_BASE": 0.05}, 0, BASE_SHUT, "none",
         setup=both(set_out(base=0), set_out(co2=50))),
    Case("14", "CO2 on", {"FT_CO2": 0.0}, {"FT_CO2": 50.0}, 0, BASE_SHUT, "none",
         setup=set_out(base=0.05005)),
    Case("15", "stirrer", {"ST101": 120.0}, {"ST101": 119.9}, 10, BASE_SHUT | {"heater": 20}, "H"),
    Case("16", "DO", {"AT102": 15.0}, {"AT102": 14.99}, 60, {"n2": 0, "air": 100}, "H", 180,
         setup=set_out(air=20)),
    Case("17", "DO", {"AT102": 90.0}, {"AT102": 90.01}, 600, {"o2": 0}, "alarm", step_s=1),
    Case("18.both", "both not closed", {"XV203_ZSC": 1.0}, {"XV203_ZSC": 0.0}, 0,
         {"xv202": 0, "xv203": 0}, "H", latches=True, setup=flag("lineup")),
    Case("18.lineup", "no line-up", {"XV203_ZSC": 1.0}, {"XV203_ZSC": 0.0}, 0,
         {"xv202": 0, "xv203": 0}, "H", latches=True, setup=both(set_out(perfusate=0), set_out(xv202=0))),
    Case("19.feed", "valve", {"XV201_ZSO": 1.0}, {"XV201_ZSO": 0.0}, 2, {"feed": 0}, "H"),
    Case("19.perfusate", "valve", {"XV202_ZSO": 1.0}, {"XV202_ZSO": 0.0}, 2, {"perfusate": 0}, "H"),
    Case("19.base", "valve", {"XV204_ZSO": 1.0}, {"XV204_ZSO": 0.0}, 2, {"base": 0}, "H"),
    Case("19.feed_stuck", "stuck", {"ST_FEED": 0.0}, {"ST_FEED": 1.0}, 5, FEED_SHUT, "H",
         latches=True, setup=set_out(feed=0)),
    Case("19.perfusate_stuck", "stuck", {"ST_PERF": 0.0}, {"ST_PERF": 1.0}, 5, PERF_SHUT, "H",
         latches=True, setup=set_out(perfusate=0)),
    Case("19.base_stuck", "stuck", {"ST_BASE": 0.0}, {"ST_BASE": 0.05}, 5, BASE_SHUT, "H",
         latches=True, setup=set_out(base=0, co2=0)),
]  # fmt: skip
WEIGHT = [
    ("7", 2.299, 2.301, 5, FEED_SHUT | BASE_SHUT), ("8", 1.701, 1.699, 5, PERF_SHUT),
    ("10", 0.501, 0.499, 10, MFC_0 | {"heater": 0, "stirrer": 0}),
]  # fmt: skip


def move(bench: Bench, values: dict[str, float]) -> None:
    """Takes tags to new values no faster than their sensors can, and stops their feedback."""
    for tag, value in values.items():
        bench.follow.pop(tag, None)
        now = bench.values[tag]
        model = bench.profile.model.tags[tag]
        rate = float(model.rate.split()[0]) * 0.9 * STEP_S if model.rate else 1e9
        while abs(value - now) > rate:
            now += rate if value > now else -rate
            bench.values[tag] = now
            bench.scan()
        bench.values[tag] = value


def tripped(case: Case, bench: Bench) -> float:
    """Seconds from the first sample beyond the limit to the trip; stops in the tripping scan."""
    move(bench, case.outside)
    bench.scan()
    start = bench.now
    while not bench.stands(case.row):
        assert bench.now - start < (case.delay_s + 10) * S, f"row {case.row} does not trip"
        bench.scan(round(case.step_s * S))
    return (bench.now - start) / S


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
    if case.setup:
        case.setup(bench)
    tripped(case, bench)
    bench.run(2)
    back = {"PT101": 1.0, "TT101": 37.0, "TT102": 37.0, "TT103": 38.0, "LT101": 2.0, "AT101": 7.2,
            "AT102": 40.0, "ST101": 150.0}  # fmt: skip
    move(bench, {tag: back.get(tag, case.inside[tag]) for tag in case.inside})
    bench.run(120, S)
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
    ("XV203_ZSC", "18.lineup", {"xv202": 0, "xv203": 0}), ("XV201_ZSO", "19.feed", {"feed": 0}),
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

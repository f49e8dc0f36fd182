"""Cells whose causes are windows of minutes or totals, permits, and bytes that wait for a line.

As test_cells_on_the_wire: limits from docs/requirements, bytes at the devices as the assertion.
"""

from __future__ import annotations

import pytest
from cell_drives import PUMP_TAGS
from test_cells_on_the_wire import FIRST_NS, GRACE, OWN, UNITS, bytes_follow, known, required
from wire_rig import S, WireRig

from controller.field.verbs import Verb
from hil_sim.qualification.plant_state import G_PER_L, OUTPUTS, TARE_G, VOLUME_L, drive_of
from hil_sim.qualification.requirements import Rule

UNIT = UNITS[0]
WEIGHT = TARE_G + VOLUME_L * G_PER_L
TEN_MIN = 600.0
PART_S = 12.0  # a window of ten minutes is kept in parts of so long
RULES = {rule.row: rule for rule in required(UNIT).rules}
HERE = {"4", "9", "12.total", "p.do_still", "p.do_deaf"}


def test_every_row_that_is_driven_by_hand_is_driven_here():
    assert HERE == OWN


def acted(rig: WireRig, rule: Rule, since: int) -> None:
    """The row tripped and its bytes left."""
    tripped = rig.tripped(rule.row, since)
    assert tripped is not None, f"row {rule.row} did not trip"
    bytes_follow(rig, UNIT, rule, tripped, {e.output: OUTPUTS[e.output] for e in rule.effects})


# -- row 4: heat that does not heat -------------------------------------------------------------


def heating(pct: float, below: float) -> WireRig:
    """The heater at so many percent, TT101 so far below its setpoint and still."""
    rig = WireRig(UNIT).started()
    rig.do(Verb.SET_SP, rig.profile.loops.index("TIC101"), 37.0)
    rig.ramp(TT101=37.0 - below, TT102=37.0 - below)
    rig.run(TEN_MIN + PART_S)  # no rise is left in the window
    rig.want("heater", pct)
    return rig


@pytest.mark.parametrize(("pct", "below", "rise", "trips"), [
    (60.0, 2.0, 0.0, False), (60.1, 2.0, 0.0, True), (70.0, 2.0, 0.52, False),
    (70.0, 2.0, 0.48, True), (70.0, 1.0, 0.0, False), (70.0, 1.0 + 1e-9, 0.0, True),
])  # fmt: skip
def test_row_4_acts_on_ten_minutes_of_heat_that_bring_nothing_and_on_nothing_less(
    pct, below, rise, trips
):
    rig = heating(pct, below)
    since = rig.now
    for _ in range(70):
        rig.show(TT101=rig.shown["TT101"] + rise / 60, TT102=rig.shown["TT102"] + rise / 60)
        rig.run(10)
        if rig.tripped("4", since):
            break
    assert (rig.tripped("4", since) is not None) == trips
    if trips:
        assert rig.tripped("4", since) - since >= (TEN_MIN - 1) * S
        acted(rig, RULES["4"], since)


# -- row 9: weight against pumps ----------------------------------------------------------------


@pytest.mark.parametrize("lineup", [False, True], ids=["waste", "product"])
@pytest.mark.parametrize(("grams", "trips"), [
    (19.9, False), (20.1, True), (-19.9, False), (-20.1, True)])  # fmt: skip
def test_row_9_acts_on_a_step_of_the_weight(grams, trips, lineup):
    rig = WireRig(UNIT).started(product=lineup)
    rig.want("co2", 0)
    rig.want("base", 0.14)
    rig.run(8)
    since = rig.now
    rig.show(WT101=round(WEIGHT + grams, 1))
    rig.run(3)
    assert (rig.tripped("9", since) is not None) == trips
    if trips:
        acted(rig, RULES["9"], since)


@pytest.mark.parametrize(("grams", "trips"), [
    (49.8, False), (50.3, True), (-49.8, False), (-50.3, True)])  # fmt: skip
def test_row_9_acts_on_a_weight_that_creeps_away_in_ten_minutes(grams, trips):
    rig = WireRig(UNIT).started()
    rig.want("base", 0.0)
    rig.run(TEN_MIN + PART_S)
    since = rig.now
    for part in range(1, 6):
        rig.show(WT101=round(WEIGHT + grams * part / 5, 1))
        rig.run(100)
    assert (rig.tripped("9", since) is not None) == trips
    if trips:
        acted(rig, RULES["9"], since)


# -- row 12: the batch total --------------------------------------------------------------------


def test_row_12_acts_with_the_first_microlitre_above_the_batch_total():
    rule = RULES["12.total"]
    limit_l = rule.conditions[0].limit
    rig = WireRig(UNIT).started()
    block = total_block(rig)
    rig.do(Verb.SET_TOTAL, block, limit_l - 0.07 / 600_000 * 20)
    since = rig.now
    rig.run(1.7)
    assert rig.value("BASE_TOTAL") <= limit_l
    assert rig.tripped(rule.row, since) is None
    rig.run(1)
    assert rig.value("BASE_TOTAL") > limit_l
    acted(rig, rule, since)


def total_block(rig: WireRig) -> int:
    """The place of the base totaliser among the blocks."""
    targets = rig.profile.plan.blocks["target"].tolist()
    return int(targets.index(rig.profile.index["BASE_TOTAL"]))


# -- a probe that does not move -----------------------------------------------------------------


def gases_at_mean(rig: WireRig, since: int) -> None:
    """What follows from a DO that is not believed: rule 16.bad, by its bytes."""
    rule = RULES["16.bad"]
    tripped = rig.until(lambda: rig.tripped("16.bad", since), rule.delay_s + 1)
    assert tripped, "DO was never taken for bad"
    rig.run(2)
    for effect in rule.effects:
        told = rig.told(effect.output, tripped)
        assert told, f"nothing left for {effect.output}"
        wanted = 0.0 if effect.op == "=" else OUTPUTS[effect.output]
        assert told[0][1] == pytest.approx(wanted, abs=2.0)


@pytest.mark.parametrize("living", [True, False], ids=["it moves", "it stands still"])
def test_a_do_probe_that_stands_still_for_half_an_hour_is_not_believed(living):
    rig = WireRig(UNIT).started(cells=True)
    rig.living = living
    since = rig.now
    rig.run(1790 - 70)
    assert rig.tripped("p.do_still", since) is None
    rig.run(200)
    assert (rig.tripped("p.do_still", since) is not None) == (not living)
    if not living:
        gases_at_mean(rig, since)


@pytest.mark.parametrize(("living", "moves"), [(True, True), (False, False), (False, True)])
def test_a_do_probe_that_is_deaf_to_its_demand_for_ten_minutes_is_not_believed(living, moves):
    rig = WireRig(UNIT).started(cells=True)
    rig.living = True
    loop = rig.profile.loops.index("DIC101")
    rig.do(Verb.SET_SP, loop, 50.0)
    rig.scan()
    rig.do(Verb.SET_MODE, loop, 2.0)
    rig.run(TEN_MIN + PART_S)  # the demand at which the loop took the gases over is no move of it
    rig.living = living
    since = rig.now
    for minute in range(14):
        rig.do(Verb.SET_SP, loop, (60.0 if minute % 4 < 2 else 40.0) if moves else 50.0)
        rig.run(60)
    deaf = rig.tripped("p.do_deaf", since)
    assert (deaf is not None) == (moves and not living)


# -- permits ------------------------------------------------------------------------------------


def permits() -> list[object]:
    found = []
    for rule in RULES.values():
        if rule.kind == "permit":
            for number, condition in enumerate(rule.conditions):
                found += [pytest.param(rule, number, which, id=f"{rule.row}-{drive.how}")
                          for which, drive in enumerate(known(UNIT, rule, condition))]  # fmt: skip
    return found


@pytest.mark.parametrize(("rule", "number", "which"), permits())
def test_a_permit_lets_an_output_leave_zero_inside_its_limits_and_never_beyond(rule, number, which):
    (effect,) = rule.effects
    wanted = OUTPUTS[effect.output]
    rig = WireRig(UNIT).started()
    drive = known(UNIT, rule, rule.conditions[number])[which]
    for other, condition in enumerate(rule.conditions):
        if other != number and rule.vote == "all":
            known(UNIT, rule, condition)[0].beyond(rig)
    drive.inside(rig)
    to_zero(rig, effect.output)
    since = rig.now
    rig.want(effect.output, wanted)
    rig.run(9)
    if rule.vote == "any" or effect.output not in PUMP_TAGS.values():
        last = rig.told(effect.output, since)
        assert last, "inside its limit it stays shut"
        assert last[0][1] == pytest.approx(wanted, abs=GRACE)
    to_zero(rig, effect.output)
    drive.beyond(rig)
    assert rig.until(lambda: drive.seen(rig), 4)
    rig.scan()
    since = rig.now
    rig.want(effect.output, wanted)
    rig.run(9)
    wrong = [one for one in rig.told(effect.output, since) if one[1] > GRACE]
    assert not wrong, f"beyond its limit {effect.output} was told {wrong}"


def to_zero(rig: WireRig, output: str) -> None:
    """The output is asked to its safe value and is there."""
    rig.want(output, 0.0)
    rig.until(lambda: rig.drive(output) == 0.0, 8)
    assert rig.drive(output) == 0.0


# -- what could not be written while a line was silent ------------------------------------------


@pytest.mark.parametrize("row", [row for row, rule in RULES.items() if rule.requested])
def test_a_line_that_comes_back_hears_first_what_it_could_not_be_told(row):
    rule = RULES[row]
    rig = WireRig(UNIT).started()
    (drive,) = known(UNIT, rule, rule.conditions[0])
    drive.beyond(rig)
    assert rig.until(lambda: rig.tripped(row), 5)
    rig.run(2)
    back = rig.now
    if row == "20.skid":
        rig.field.set_fault("skid_killed", False)
    else:
        rig.field.set_fault("line_silent", False, link=rule.conditions[0].signal[:-4])
    rig.until(lambda: row not in rig.standing(), 3)
    gone = rig.now
    line = rig.line_of(rule.requested[0].output)
    rig.run(3)
    first = rig.commands(line, back)[0]
    safe = {drive_of(e.output)[0]: e.value for e in rule.requested}
    assert set(first.drives) <= set(safe)
    assert all(safe[name] == value for name, value in first.drives.items())
    for effect in rule.requested:
        wrong = [one for one in rig.told(effect.output, back)
                 if one[0] < gone - S // 10 and one[1] != effect.value]  # fmt: skip
        assert not wrong, f"{effect.text}, but it was told {wrong} while the row stood"


# -- second final elements ----------------------------------------------------------------------

SECONDS = [item for item in required(UNIT).actuators if item.second]
STUCK = {"heater": 100.0, "feed": 20.0, "perfusate": 20.0, "base": 40.0}  # drive units


@pytest.mark.parametrize("item", SECONDS, ids=lambda item: item.actuator)
def test_an_actuator_that_does_not_obey_is_stopped_by_its_second_element_in_truth(item):
    """Bytes to the second element, and what then really flows or heats."""
    lineup = item.actuator == "xv203"
    rig = WireRig(UNIT).started(product=lineup)
    rule, output = RULES[item.by], item.actuator
    second, _, value = item.second.split()
    if output in ("feed", "perfusate", "base"):
        rig.want(output, 0.0)
        rig.run(8)
        rig.field.set_fault("pump_stuck_on", True, pump=output, rpm=STUCK[output])
    else:
        rig.plant.set_fault(f"{output}_stuck", 1.0, STUCK.get(output, OUTPUTS[output] or 1.0))
        if item.shows:
            rig.show(**item.shows)
        rig.run(2)
        for condition in rule.conditions[: 1 if rule.vote == "any" else None]:
            known(UNIT, rule, condition)[0].beyond(rig)
    since = rig.now
    if output in ("air", "o2", "co2", "n2"):
        unit = {"air": "A", "o2": "B", "co2": "C", "n2": "D"}[output]
        rig.field.devices.gas.disturb(silent=frozenset({unit}))
    tripped = rig.until(lambda: rig.tripped(item.by, since - 5 * S), 12)
    assert tripped, f"row {item.by} did not trip"
    rig.run(required(UNIT).confirm_s + 1.0)
    told = rig.told(second, tripped)
    assert told, f"nothing left for {second}"
    assert told[-1][1] == pytest.approx(float(value), abs=GRACE)
    assert told[-1][0] - tripped <= required(UNIT).confirm_s * S + FIRST_NS + S
    rig.run(2)  # valves take their time
    for _ in range(60):
        assert abs(float(rig.plant.s[FLOWS[output]][0])) < NOTHING
        rig.run(1)


# What the stuck actuator would go on to do, in the plant's truth: W or mL/min.
FLOWS = {
    "heater": "heater_w", **dict.fromkeys(("air", "o2", "co2", "n2"), "gas_ml_min"),
    **dict.fromkeys(("feed", "xv201"), "feed_ml_min"),
    **dict.fromkeys(("base", "xv204"), "base_ml_min"),
    **dict.fromkeys(("perfusate", "xv202"), "waste_ml_min"), "xv203": "product_ml_min",
}  # fmt: skip
NOTHING = 0.01

"""A valve that a command closes while its pump turns stays open until the pump stands still.

As test_cells_on_the_wire: what is required comes from docs/requirements, and the assertion is what
came in at the devices. Such a rule acts on a command, so it has a test for each thing it looks at.
"""

from __future__ import annotations

import math

import pytest
from cell_drives import PUMP_TAGS
from test_cells_on_the_wire import FIRST_NS, GRACE, UNITS, keeps, required
from wire_rig import SCAN, WireRig, profile_of

from hil_sim.qualification.plant_state import ML_PER_REV, channel_of
from hil_sim.qualification.requirements import Rule

UNIT = UNITS[0]
RULES = [rule for rule in required(UNIT).rules if keeps(rule)]
POLLED_S = 2.5  # what a pump does, and where a valve is, was read since
STANDS_S = 7.0  # a pump is written every 5 s


def of(rule: Rule) -> tuple[str, str, float, list[str]]:
    """Valve, pump, the pump's limit in mL/min, and the contacts of its other ways."""
    (turns,) = (c for c in rule.conditions if c.signal in PUMP_TAGS)
    others = [c.signal for c in rule.conditions if c.signal.endswith("_ZSO")]
    return rule.effects[0].output, PUMP_TAGS[turns.signal], turns.limit, others


def tenths(rule: Rule) -> int:
    """The last speed, in tenths of a turn a minute, at which its pump counts as still."""
    _, pump, limit, _ = of(rule)
    return math.floor(limit / ML_PER_REV[pump] * 10 + 1e-9)


def running(rule: Rule, steps: int) -> WireRig:
    """The pump turns so many tenths faster than the last speed that counts as still."""
    valve, pump, _, _ = of(rule)
    rig = WireRig(UNIT).started(product=valve == "xv203")
    ml = (tenths(rule) + steps) / 10 * ML_PER_REV[pump]
    rig.want(pump, ml)
    rig.until(lambda: abs(rig.drive(pump) - ml) < GRACE, STANDS_S)
    rig.run(POLLED_S)
    assert rig.drive(valve) == 1.0
    return rig


def asked_to_close(rig: WireRig, rule: Rule) -> int:
    """Somebody closes the valve; returns when."""
    since = rig.now
    rig.want(of(rule)[0], 0.0)
    return since


def closes(rig: WireRig, rule: Rule, since: int) -> None:
    """It was told to close at once, and the rule did not stand."""
    valve = of(rule)[0]
    rig.run(POLLED_S)
    told = rig.told(valve, since)
    assert told, "it was told nothing"
    assert told[0][1] == 0.0
    assert told[0][0] - since <= FIRST_NS + SCAN
    assert all(value == 0.0 for _, value in told)
    assert rig.tripped(rule.row, since) is None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row)
def test_the_rule_asks_for_what_is_in_the_chart(rule):
    valve, _, _, _ = of(rule)
    assert [effect.text for effect in rule.effects] == [f"{valve} >= 1"]
    assert (rule.row, valve) in profile_of(UNIT).effects


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row)
def test_a_valve_asked_to_close_stays_open_until_its_pump_stands_still(rule, steps):
    valve, pump, _, _ = of(rule)
    rig = running(rule, steps)
    since = asked_to_close(rig, rule)
    tripped = rig.tripped(rule.row, since)
    assert tripped is not None, "it does not stand in the scan of the command"
    assert tripped - since <= SCAN
    rig.run(STANDS_S)
    told = rig.told(valve, since)
    assert told, "it was not told again to be open"
    assert told[0][0] - since <= FIRST_NS + SCAN
    assert all(value == 1.0 for _, value in told)
    assert rig.drive(valve) == 1.0
    stop = rig.now
    rig.want(pump, 0.0)
    stood = rig.until(lambda: rig.drive(pump) == 0.0 and rig.now, STANDS_S)
    assert stood, "the pump goes on"
    assert all(value == 1.0 for _, value in rig.told(valve, stop)), "closed against its pump"
    rig.run(POLLED_S)
    assert rig.told(valve, stood)[-1][1] == 0.0
    assert rig.drive(valve) == 0.0
    assert rule.row not in rig.standing()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row)
def test_a_valve_asked_to_close_closes_at_once_behind_a_pump_that_stands_still(rule):
    rig = running(rule, 0)
    closes(rig, rule, asked_to_close(rig, rule))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row)
def test_a_valve_that_nobody_asks_to_close_is_told_nothing(rule):
    rig = running(rule, 1)
    since = rig.now
    rig.run(STANDS_S)
    assert rig.tripped(rule.row, since) is None
    assert not rig.told(of(rule)[0], since)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row)
def test_a_closed_valve_is_not_opened_by_a_pump_that_turns_by_itself(rule):
    valve, pump, _, _ = of(rule)
    rig = running(rule, -tenths(rule))
    closes(rig, rule, asked_to_close(rig, rule))
    rig.run(POLLED_S)
    since = rig.now
    rig.field.set_fault("pump_stuck_on", True, pump=pump, rpm=(tenths(rule) + 1) / 10)
    rig.run(STANDS_S)
    rig.want(valve, 0.0)
    rig.run(STANDS_S)
    assert rig.tripped(rule.row, since) is None
    assert all(value == 0.0 for _, value in rig.told(valve, since))


@pytest.mark.parametrize("rule", [r for r in RULES if of(r)[3]], ids=lambda rule: rule.row)
def test_a_valve_beside_which_another_way_is_open_closes_at_once(rule):
    rig = running(rule, 1)
    rig.show(**{channel_of(contact): 1.0 for contact in of(rule)[3]})
    rig.run(POLLED_S)
    closes(rig, rule, asked_to_close(rig, rule))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.row)
def test_a_row_that_shuts_the_valve_wins_over_what_keeps_it_open(rule):
    valve = of(rule)[0]
    rig = running(rule, 1)
    since = asked_to_close(rig, rule)
    rig.run(POLLED_S)
    assert rig.drive(valve) == 1.0
    rig.field.set_fault("line_silent", True, link="pump_bus")
    assert rig.until(lambda: rig.tripped("20.pump_bus", since), 5)
    shut = rig.tripped("20.pump_bus", since)
    assert shut is not None
    rig.run(STANDS_S)
    told = rig.told(valve, shut)
    assert told[0][0] - shut <= FIRST_NS
    assert all(value == 0.0 for _, value in told)

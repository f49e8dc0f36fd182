"""Every cell of every shipped chart, driven from both sides of its limit, asserted by the bytes.

Cells come from the profile, so that none is left out; limits, delays and values come from
docs/requirements, so that a test can disagree with the profile. Under `-m campaign` every step
beside the limit, the way back and the dwell just short of the delay are driven as well.
"""

from __future__ import annotations

import math
from functools import lru_cache

import pytest
from cell_drives import Drive, drives_of
from wire_rig import SCAN, UNITS, S, WireRig, profile_of

from controller.profile.plan import EffectOp
from hil_sim.qualification.plant_state import OUTPUTS, drive_of
from hil_sim.qualification.requirements import (
    Effect,
    Requirements,
    Rule,
    find_requirements,
    load_requirements,
)

FIRST_NS = 600_000_000  # the longest exchange in flight, with its time-out, and one scan
FORBIDDEN_S = 6.0  # while a row stands nothing else is told, whatever is asked
GRACE = 1e-6
# Rows whose conditions are windows of minutes or totals: tests of their own, below.
OWN = {"4", "9", "12.total", "p.do_still", "p.do_deaf"}
LONG_S = 900.0
SETTLED_S = 3.0
MEAN_S = 660.0
PROVED: set[tuple[str, str]] = set()  # cells whose bytes were this row's own


@lru_cache
def required(unit) -> Requirements:
    return load_requirements(find_requirements(profile_of(unit).model.unit.id))


def rule_of(unit, row: str) -> Rule | None:
    return next((rule for rule in required(unit).rules if rule.row == row), None)


def known(unit, rule: Rule, condition) -> list[Drive]:
    profile = profile_of(unit)
    return drives_of(rule, condition, set(profile.model.flags), set(profile.outputs))


def ways() -> list[object]:
    """(unit, rule, condition number, drive number, line-up): permits and windows apart."""
    found = []
    for unit in UNITS:
        for rule in required(unit).rules:
            if rule.row in OWN or rule.kind == "permit" or not (rule.effects or rule.requested):
                continue
            if keeps(rule):
                continue  # test_valves_kept_open.py
            product = any(effect.output == "xv203" for effect in rule.effects)
            heavy = rule.delay_s > LONG_S or any(c.limit > LONG_S for c in rule.conditions
                                                 if c.signal.endswith(".age"))  # fmt: skip
            for number, condition in enumerate(rule.conditions):
                for which, drive in enumerate(known(unit, rule, condition)):
                    for lineup in (False, True)[: 1 + product]:
                        name = f"{rule.row}-{drive.how}{'-product' * lineup}"
                        found.append(pytest.param(
                            unit, rule, number, which, lineup, id=name,
                            marks=[pytest.mark.campaign] if heavy else [],
                        ))  # fmt: skip
    return found


def keeps(rule: Rule) -> bool:
    """A rule that keeps a valve open while its pump turns: it answers a command, not a limit."""
    return any(condition.signal.endswith(".asked") for condition in rule.conditions)


WAYS = ways()


# -- every cell has one -------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_cell_of_the_chart_is_required_and_has_a_drive(unit):
    profile, plan = profile_of(unit), profile_of(unit).plan
    missing = []
    for place, (row, output) in enumerate(profile.effects):
        if plan.effects["op"][place] == EffectOp.SIGNAL_BAD:
            continue
        rule = rule_of(unit, row)
        if rule is None:
            missing.append(f"row {row} is not in {required(unit).file}")
        elif output not in {effect.output for effect in (*rule.effects, *rule.requested)}:
            missing.append(f"row {row} acts on {output}, which is not required")
        elif rule.row not in OWN and not keeps(rule):
            missing += [
                f"row {row}: nobody knows how to drive {condition.text}"
                for condition in rule.conditions
                if not known(unit, rule, condition)
            ]
    assert not sorted(set(missing))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_every_cell_that_is_required_is_in_the_chart(unit):
    cells = set(profile_of(unit).effects)
    missing = [f"{rule.row} {effect.text}" for rule in required(unit).rules
               for effect in (*rule.effects, *rule.requested)
               if (rule.row, effect.output) not in cells]  # fmt: skip
    assert not missing


# -- from both sides ----------------------------------------------------------------------------


def prepared(unit, rule: Rule, lineup: bool) -> WireRig:
    """A vessel in which every cell of the rule can be seen to move."""
    rig = WireRig(unit).started(cells=bool(rule.only_in), product=lineup)
    if rule.not_in:
        rig.flag(rule.not_in, 0)
    if any(effect.op == "mean" for effect in rule.effects):
        rig.run(MEAN_S)
    for condition in rule.conditions:
        if condition.signal == "ST101":
            # Told to turn so slowly: it is slow, not slower than told, which is row 15's.
            rig.want("stirrer", condition.limit)
    for effect in rule.effects:
        if effect.op == ">=":
            rig.want(effect.output, math.floor(0.3 * effect.value))
        elif effect.op == "mean":
            rig.want(effect.output, 1.5 * OUTPUTS[effect.output])
    rig.run(4)
    return rig


def brought(rig: WireRig, rule: Rule, number: int, which: int, unit) -> Drive:
    """The condition at the last value that must not trip it, every other of an `all` beyond."""
    drive = known(unit, rule, rule.conditions[number])[which]
    others = [known(unit, rule, condition)[0] for other, condition in enumerate(rule.conditions)
              if other != number and rule.vote == "all"]  # fmt: skip
    drive.inside(rig)
    for one in others:
        one.beyond(rig)
        rig.until(lambda one=one: one.seen(rig), 4)
    rig.run(SETTLED_S)
    return drive


def others_act(rig: WireRig, unit, rule: Rule, effect: Effect) -> bool:
    """Whether another row that tripped may ask for less of the same output, and so win: then its
    bytes are not this row's. Every cell is proved without that in one way at least."""
    rows = {row for _, row in rig.trips} - {rule.row}
    others = [other for row in rows if (one := rule_of(unit, row))
              for other in (*one.effects, *one.requested)
              if other.output == effect.output and other.op != ">="]  # fmt: skip
    if effect.op in ("mean", "<="):
        return effect.op == "mean" and bool(others)
    return any(other.op == "mean" or other.value < effect.value for other in others)


def meets(effect: Effect, value: float, before: float) -> bool:
    if effect.op == "mean":
        return abs(value - before) <= 0.1 * before + 0.2
    if effect.op == "=":
        return abs(value - effect.value) <= GRACE
    return value <= effect.value + GRACE if effect.op == "<=" else value >= effect.value - GRACE


def trip_after(rig: WireRig, rule: Rule, drive: Drive) -> int:
    """Waits for the trip: in the very scan in which the delay is over, none earlier or later."""
    since = rig.now
    assert rig.until(lambda: drive.seen(rig), 4 + 2 * limit_s(drive)), "the field never saw it"
    seen = rig.now
    rig.until(lambda: rig.tripped(rule.row, since), rule.delay_s + 2)
    tripped = rig.tripped(rule.row, since)
    assert tripped is not None, f"no trip: {drive.condition.text}, {drive.how}"
    # Causes see what the gate released a scan before.
    lag = SCAN if drive.condition.signal in rig.profile.outputs else 0
    assert tripped - seen == round(rule.delay_s * S) + lag, f"after {(tripped - seen) / S} s"
    return tripped


def limit_s(drive: Drive) -> float:
    return drive.condition.limit if drive.condition.signal.endswith(".age") else 0.0


def bytes_follow(rig: WireRig, unit, rule: Rule, tripped: int, before: dict[str, float]) -> None:
    """Each safe value leaves first on its line, and nothing else leaves while the row stands."""
    rig.run(required(unit).confirm_s)
    for effect in rule.effects:
        told = rig.told(effect.output, tripped)
        assert told, f"{effect.text}: nothing left for {effect.output}"
        if not others_act(rig, unit, rule, effect):
            assert meets(effect, told[0][1], before[effect.output]), f"{effect.text}: {told[0]}"
        first = rig.commands(rig.line_of(effect.output), tripped)[0]
        assert first.at_ns - tripped <= FIRST_NS, f"{effect.text}: {first}"
        acts = {other.output for row in {row for _, row in rig.trips} if (one := rule_of(unit, row))
                for other in (*one.effects, *one.requested)}  # fmt: skip
        assert any(drive_of(name)[0] in first.drives for name in acts), f"first was {first}"
    for effect in rule.effects:
        low, high = (0.0, OUTPUTS[effect.output] or 1.0)
        rig.want(effect.output, high if effect.op != ">=" else low)
    rig.run(FORBIDDEN_S)
    for effect in rule.effects:
        if not others_act(rig, unit, rule, effect):
            wrong = [one for one in rig.told(effect.output, tripped)
                     if not meets(effect, one[1], before[effect.output])]  # fmt: skip
            assert not wrong, f"{effect.text}, but the device was told {wrong}"
            PROVED.add((rule.row, effect.text))


@pytest.mark.parametrize(("unit", "rule", "number", "which", "lineup"), WAYS)
def test_inside_its_limit_nothing_leaves_and_beyond_it_the_safe_bytes_leave_in_its_scan(
    unit, rule, number, which, lineup
):
    drive_over(unit, rule, number, which, lineup)


def test_the_bytes_of_every_cell_were_those_of_its_own_row_in_one_way_at_least():
    """Alone it drives every way; behind the others of this file it knows what they proved."""
    ways = [way.values for way in WAYS if not way.marks]
    cells = {(rule.row, effect.text) for _, rule, *_ in ways for effect in rule.effects}
    for way in ways:
        if any((way[1].row, effect.text) not in PROVED for effect in way[1].effects):
            drive_over(*way)
    assert not sorted(cells - PROVED)


def drive_over(unit, rule: Rule, number: int, which: int, lineup: bool) -> None:
    """One way over one limit: quiet inside, the safe bytes beyond."""
    rig = prepared(unit, rule, lineup)
    drive = brought(rig, rule, number, which, unit)
    before = {effect.output: OUTPUTS[effect.output] for effect in rule.effects}
    quiet = rig.now
    rig.run(rule.delay_s + 3)
    assert rig.tripped(rule.row, quiet) is None, f"tripped inside: {drive.how}"
    for effect in rule.effects:
        stood = [one for one in rig.told(effect.output, 0) if one[0] < quiet][-1][1]
        moved = [one for one in rig.told(effect.output, quiet) if abs(one[1] - stood) > GRACE]
        assert not moved or others_act(rig, unit, rule, effect), f"{effect.output} told {moved}"
    drive.beyond(rig)
    tripped = trip_after(rig, rule, drive)
    bytes_follow(rig, unit, rule, tripped, before)


# -- densely ------------------------------------------------------------------------------------


def dense() -> list[object]:
    """Every way that has steps beside its limit, in its ordinary line-up."""
    return [way for way in WAYS
            if known(*way.values[:2], way.values[1].conditions[way.values[2]])[way.values[3]].steps
            and not (way.values[4] and (way.values[0], way.values[1], *way.values[2:4], False)
                     in [other.values for other in WAYS])]  # fmt: skip


@pytest.mark.campaign
@pytest.mark.parametrize("steps", [-3, -1, 0, 1, 2, 5, 40])
@pytest.mark.parametrize(("unit", "rule", "number", "which", "lineup"), dense())
def test_a_row_trips_exactly_beyond_its_limit_at_every_step_beside_it(
    unit, rule, number, which, lineup, steps
):
    rig = prepared(unit, rule, lineup)
    drive = brought(rig, rule, number, which, unit)
    drive.to(rig, steps)
    since = rig.now
    rig.run(rule.delay_s + 8.0)
    assert (rig.tripped(rule.row, since) is not None) == (steps > 0)


@pytest.mark.campaign
@pytest.mark.parametrize(("unit", "rule", "number", "which", "lineup"), [
    way for way in dense() if way.values[1].delay_s >= 3])  # fmt: skip
def test_a_dwell_just_short_of_the_delay_trips_nothing(unit, rule, number, which, lineup):
    rig = prepared(unit, rule, lineup)
    drive = brought(rig, rule, number, which, unit)
    drive.beyond(rig)
    assert rig.until(lambda: drive.seen(rig), 4)
    seen, told = rig.now, len(rig.sent)
    while rig.now - seen < round(rule.delay_s * S) - 15 * SCAN:
        rig.scan()
    # Inside by its hysteresis, and a poll takes it before the delay is over.
    if drive.back is None:
        drive.to(rig, 0)
    else:
        drive.back(rig, rule.back, 0)
    assert rig.until(lambda: not drive.seen(rig), 1.5), "it came too late for this test"
    rig.run(rule.delay_s)
    assert rig.tripped(rule.row, seen) is None
    assert not [one for one in rig.sent[told:] for effect in rule.effects
                if effect.op == "=" and drive_of(effect.output)[0] in one.drives
                and not others_act(rig, unit, rule, effect)]  # fmt: skip


@pytest.mark.parametrize(("unit", "rule", "number", "which", "lineup"), [
    way for way in dense() if way.values[1].back and way.values[1].vote == "any"])  # fmt: skip
def test_a_cause_goes_one_hysteresis_inside_its_limit_and_not_before(
    unit, rule, number, which, lineup
):
    rig = prepared(unit, rule, lineup)
    drive = brought(rig, rule, number, which, unit)
    drive.beyond(rig)
    trip_after(rig, rule, drive)
    drive.back(rig, rule.back, 1)
    rig.run(4)
    assert rule.row in rig.standing(), "it went too early"
    drive.back(rig, rule.back, 0)
    rig.run(rule.off_delay_s + 4)
    assert rule.row not in rig.standing(), "it stands too long"
    latched = bool(rig.image.causes["latched"][rig.rows[rule.row]])
    assert latched == (rule.kind == "protect")

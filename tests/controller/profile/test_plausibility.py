"""Plausibility: what takes a quality, what only tells, and what a unit file may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

import equipment_profiles
from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.profile.compile import compile_unit, load_profile
from controller.profile.plan import Action, BadRule, CauseKind, EffectOp

SHIPPED = Path(equipment_profiles.__file__).parent
UNIT = SHIPPED / "units" / "perfusion_2l.yaml"
TEXT = UNIT.read_text()
PROFILE = load_profile(UNIT, SHIPPED / "devices")
ROWS = {info.row: PROFILE.plan.causes[at] for at, info in enumerate(PROFILE.causes)}
TAKES = {"p.do_still": "AT102", "p.do_deaf": "AT102", "p.ph_still": "AT101"}


def test_three_rows_take_a_signals_quality_and_all_others_only_tell():
    rows = {row: cause for row, cause in ROWS.items() if row.startswith("p.")}
    assert len(rows) == 25
    for row, cause in rows.items():
        assert cause["action"] == Action.ALARM
        if row in TAKES:
            effect = PROFILE.plan.effects[int(cause["first_effect"])]
            assert (cause["kind"], cause["n_effects"]) == (CauseKind.PLAUSIBILITY, 1)
            assert effect["op"] == EffectOp.SIGNAL_BAD
            assert PROFILE.signals[int(effect["output"])] == TAKES[row]
        else:
            assert cause["kind"] == CauseKind.INTERLOCK, "it does not latch"
            assert cause["n_effects"] == 0


def test_a_bad_signal_is_no_evidence_to_any_of_them():
    for row, cause in ROWS.items():
        if row.startswith("p."):
            first = int(cause["first_condition"])
            found = PROFILE.plan.conditions[first : first + int(cause["n_conditions"])]
            assert set(found["bad"]) == {BadRule.IGNORE}


@pytest.mark.parametrize(("old", "new", "says"), [
    ("signal: TT101, only: alarm, all: [\"spread", "only: alarm, all: [\"spread",
     "give exactly one of signal, actuator"),
    ("actuator: heater, all", "actuator: heater, signal: JT101, all", "exactly one of signal"),
    ("actuator: heater, all", "actuator: heeter, all", "'heater'"),
    ("signal: AT101, window: 30 min", "signal: AT101", "`window` says since when"),
    ("actuator: heater, all", "actuator: heater, window: 30 min, all", "`window` says since when"),
    ("signal: LT101, only: alarm", "signal: LT110, only: alarm", "'LT101'"),
    ("signal: LT101, only: alarm", "signal: LT101, only: abort", "alarm"),
    ('< 0.0005 pH"], only_in: cells_in', '< 0.0005 pH"], only_in: cells_inn', "'cells_in'"),
    ('< 0.0005 pH"], only_in: cells_in', '< 0.0005 pH"], only_in: cells_in, not_in: prime',
     "not both"),
    ("> 120 %], delay: 30 s", "> 120 %], delay: 30 ms", "shorter than a scan"),
])  # fmt: skip
def test_a_row_that_cannot_be_is_refused_at_its_line(old, new, says):
    assert TEXT.count(old) >= 1, old
    with pytest.raises(BadInput) as caught:
        compile_unit(parse(TEXT.replace(old, new, 1).encode(), "unit.yaml"), SHIPPED / "devices")
    assert says in caught.value.what
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    assert caught.value.where.split(":")[:2] == ["unit.yaml", str(line)]

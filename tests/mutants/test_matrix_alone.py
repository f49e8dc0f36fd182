"""The matrix's corners, one at a time: rows at place 0, signals two causes hold, exact times."""

from __future__ import annotations

import math
from types import SimpleNamespace as Row

import numpy as np
import pytest
from random_plans import S, random_plan
from reference import Reference
from reference_gate import mean_until
from reference_plan import Model
from twin import START, Interpreted

from controller.core.signal import Reason
from controller.field import effects, matrix
from controller.field.image import EVENT, HEAD, MEAN_BUCKETS
from controller.profile.plan import BadRule, CauseKind, CompareOp, EffectOp
from hil_sim.bench.interpreted import as_objects

BAD = 2


def rings():
    return {"head": as_objects(np.zeros(1, HEAD)), "events": as_objects(np.zeros(64, EVENT))}


def effect(cause, output, op=EffectOp.SIGNAL_BAD, **fields):
    return Row(**{"cause": cause, "op": int(op), "output": output, "confirm_signal": -1,
                  "confirm_op": int(CompareOp.BELOW), "confirm_ns": S, "confirm_limit": 1.0,
                  "second_output": -1, "value": 0.0, "second_value": 0.0} | fields)  # fmt: skip


def cause(first, count, kind=CauseKind.PLAUSIBILITY, **fields):
    return Row(**{"kind": int(kind), "first_effect": first, "n_effects": count, "group": -1,
                  "first_condition": 0, "n_conditions": 0, "bad_window_ns": S,
                  "bad_signal": -1} | fields)  # fmt: skip


def state(**fields):
    return Row(**{"active": 0, "latched": 0, "raw": 0, "action_done": 0,
                  "resets": 0} | fields)


def two_plausibilities(first=1, second=1):
    """Cause 0 has `first` effects from place 0 on signals 0.., cause 1 the next on signal 5."""
    effects = [effect(0, place) for place in range(first)] + [effect(1, 5) for _ in range(second)]
    plan = Row(causes=[cause(0, first), cause(first, second)], effects=effects, conditions=[])
    signals = [Row(forced_bad=1, suspect_ns=0, quality=BAD, reason=0) for _ in range(6)]
    return plan, Row(causes=[state(latched=1), state(latched=1)], signals=signals, **rings())


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 2), (3, 1), (1, 3)])
def test_a_reset_gives_free_exactly_the_signals_of_its_own_cause(first, second):
    plan, image = two_plausibilities(first, second)
    assert matrix.reset(plan, image, 1)
    assert image.signals[5].forced_bad == 0
    assert all(image.signals[place].forced_bad == 1 for place in range(first))
    assert matrix.reset(plan, image, 0)
    assert all(image.signals[place].forced_bad == 0 for place in range(first))


def test_a_signal_that_another_plausibility_still_holds_stays_bad_after_a_reset():
    plan, image = two_plausibilities()
    plan.effects[0].output = 5
    assert matrix.reset(plan, image, 1)
    assert image.signals[5].forced_bad == 1
    assert matrix.reset(plan, image, 0)
    assert image.signals[5].forced_bad == 0


def test_a_reset_leaves_signals_alone_that_no_plausibility_spoils():
    plan, image = two_plausibilities()
    plan.effects[0].op, plan.effects[0].output = int(EffectOp.FORCE), 5
    assert matrix.reset(plan, image, 1)
    assert image.signals[5].forced_bad == 0, "a force on output 5 is no hold on signal 5"


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 2), (3, 1)])
def test_a_latch_that_comes_back_spoils_the_signals_of_its_own_cause(first, second):
    plan, image = two_plausibilities(first, second)
    image.causes = [state(), state()]
    for signal in image.signals:
        signal.forced_bad, signal.quality = 0, 0
    assert matrix.latch(plan, image, 1, 9 * S)
    assert [signal.forced_bad for signal in image.signals] == [0, 0, 0, 0, 0, 1]
    assert image.signals[5].suspect_ns == 8 * S


@pytest.mark.parametrize(("first", "count", "output", "waits"), [
    (1, 1, 0, False), (1, 1, 1, True), (2, 2, 3, True), (2, 2, 1, False), (3, 1, 3, True),
])  # fmt: skip
def test_a_row_waits_for_the_readback_of_its_own_outputs_only(first, count, output, waits):
    effects = [effect(0, place, EffectOp.FORCE) for place in range(5)]
    plan = Row(causes=[cause(first, count)], effects=effects)
    image = Row(outputs=[Row(adopting=int(place == output)) for place in range(5)])
    assert matrix.awaits_readback(plan, image, 0) == waits


@pytest.mark.parametrize("reason", list(Reason))
def test_what_a_signal_last_said_stands_for_a_while_unless_it_was_stuck(reason):
    condition = Row(signal=0, op=int(CompareOp.ABOVE), bad=int(BadRule.IGNORE))
    plan = Row(conditions=[condition], causes=[
        Row(first_condition=0, n_conditions=1, votes=1, bad_delay_ns=S)])  # fmt: skip
    signal = Row(quality=BAD, reason=int(reason), sample_ns=START, value=math.nan)
    image = Row(signals=[signal], conditions=[Row(state=1, raw=1)])
    assert matrix.vote(plan, image, 0, START + S) == (0 if reason is Reason.STUCK else 1)
    assert matrix.vote(plan, image, 0, START + S + 1) == 0


def acting(**fields):
    """One interlock that stands, with one effect on output 0 and what it needs around it."""
    plan = Row(causes=[cause(0, 1, CauseKind.INTERLOCK, **fields.pop("cause", {}))],
               effects=[effect(0, 0, **fields)],
               outputs=[Row(resolution=0.1, higher_wins=0)])  # fmt: skip
    output = Row(forced=0, force=0.0, force_cause=-1, low_bound=0.0, high_bound=0.0, low_cause=-1,
                 high_cause=-1, adopting=0, reassert=0, locked=0, released=40.0,
                 mean_end_ns=1000 * S, mean_head=3, mean_filled=3)  # fmt: skip
    signal = Row(quality=0, value=0.0, sample_ns=START, suspect_ns=1000 * S)
    image = Row(causes=[state(active=1)], outputs=[output], signals=[signal],
                effects=[Row(on=0, since_ns=0, confirm=0, second_on=0, mean=0.0)],
                means=np.array([[10.0, 20.0, 60.0] + [0.0] * 157]), **rings())  # fmt: skip
    return plan, image


def test_feedback_at_place_0_of_the_signals_confirms():
    plan, image = acting(op=EffectOp.FORCE, confirm_signal=0)
    effects.apply(plan, image, START - S)
    effects.apply(plan, image, START)
    assert image.effects[0].confirm == 1


@pytest.mark.parametrize(("suspect", "mean"), [(1000 * S, 30.0), (960 * S, 15.0), (100 * S, 40.0)])
def test_a_mean_ends_where_the_signal_at_place_0_became_suspect(suspect, mean):
    plan, image = acting(op=EffectOp.MEAN, cause={"bad_signal": 0})
    image.signals[0].suspect_ns = suspect
    effects.apply(plan, image, 1000 * S)
    assert image.effects[0].mean == pytest.approx(mean)
    assert image.outputs[0].force == pytest.approx(mean)


def test_bounds_of_the_scan_before_are_gone():
    plan, image = acting(op=EffectOp.AT_MOST, value=30.0)
    effects.apply(plan, image, S)
    assert (image.outputs[0].low_bound, image.outputs[0].high_bound) == (-math.inf, 30.0)
    image.causes[0].active = 0
    effects.apply(plan, image, S)
    assert (image.outputs[0].low_bound, image.outputs[0].high_bound) == (-math.inf, math.inf)


@pytest.mark.parametrize("kept", [3, 20, 21, 160])
@pytest.mark.parametrize("beside", [-1, 0, 1, 2])
def test_the_mean_before_an_instant_is_exact_to_the_nanosecond(kept, beside):
    plan = random_plan(7)
    unit, kernel = Reference(Model(plan), START), Interpreted(plan)
    told, row = unit.outputs[0], kernel.image.outputs[0]
    told.buckets = [1.5 * number for number in range(kept)]
    for number, value in enumerate(told.buckets):
        kernel.image.means[0, number % MEAN_BUCKETS] = value
    row.mean_head, row.mean_filled = told.bucket_head, told.bucket_filled
    row.mean_end_ns = told.bucket_end_ns = 7777 * S
    for back in range(-2, kept + 4):
        until = 7777 * S - back * 30 * S + beside
        found = effects.mean_of(kernel.image.outputs, kernel.image.means, 0, until)
        assert found == mean_until(told, until), back

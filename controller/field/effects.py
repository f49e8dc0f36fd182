"""Effects: what causes in force ask of the outputs, its proof, and the second final element.

A permit keeps an output that is safe from leaving; an interlock and a protect force or bound it, or
hold the mean of the ten minutes before its signal became suspect. An effect that its feedback does
not prove in time escalates to the output's second element.
"""

from __future__ import annotations

import math

from controller.core.signal import Quality
from controller.field.hint import rare
from controller.field.image import MEAN_BUCKET_NS, MEAN_BUCKETS, Image, Table
from controller.field.jit import at, inlined, kernel
from controller.field.ring import EventKind, emit
from controller.profile.plan import CauseKind, CompareOp, EffectOp, Plan

BAD = int(Quality.BAD)
BELOW = int(CompareOp.BELOW)
PERMIT, PROTECT = int(CauseKind.PERMIT), int(CauseKind.PROTECT)
FORCE, AT_MOST, AT_LEAST = int(EffectOp.FORCE), int(EffectOp.AT_MOST), int(EffectOp.AT_LEAST)
MEAN, SIGNAL_BAD = int(EffectOp.MEAN), int(EffectOp.SIGNAL_BAD)
EFFECT_ON = int(EventKind.EFFECT_ON)
NOT_CONFIRMED, CONFIRMED = int(EventKind.NOT_CONFIRMED), int(EventKind.CONFIRMED)
MEAN_NS = 600_000_000_000


@kernel
def mean_of(outputs: Table, means: Table, output: int, until_ns: int) -> float:
    """Mean of an output over the 10 min that end at `until_ns`, from its 30 s buckets."""
    state = outputs[at(output)]
    start = state.mean_end_ns - MEAN_BUCKET_NS
    skip = max(0, (start - until_ns + MEAN_BUCKET_NS - 1) // MEAN_BUCKET_NS)
    total, count = 0.0, 0
    for back in range(skip, skip + MEAN_NS // MEAN_BUCKET_NS):
        if back >= state.mean_filled:
            break
        total += means[output, (state.mean_head - 1 - back) % MEAN_BUCKETS]
        count += 1
    return total / count if count > 0 else state.released


@inlined
def mean_before(image: Image, output: int, until_ns: int) -> float:
    """As `mean_of`, of the image's tables: a call with the whole image costs more than the mean."""
    return mean_of(image.outputs, image.means, output, until_ns)


@inlined
def bound(plan: Plan, image: Image, output: int, op: int, value: float, cause: int) -> None:
    """Adds one effect's wish to an output; the declared winner of two forces holds."""
    state = image.outputs[at(output)]
    if op == AT_MOST:
        if value < state.high_bound:
            state.high_bound = value
            state.high_cause = cause
    elif op == AT_LEAST:
        if value > state.low_bound:
            state.low_bound = value
            state.low_cause = cause
    else:
        higher = plan.outputs[at(output)].higher_wins == 1
        wins = value > state.force if higher else value < state.force
        if state.forced == 0 or wins:
            state.force = value
            state.force_cause = cause
        state.forced = 1


@inlined
def confirm(plan: Plan, image: Image, index: int, now_ns: int) -> None:
    """Watches an effect's feedback; not confirmed in time, the second final element acts."""
    effect = plan.effects[at(index)]
    state = image.effects[at(index)]
    signal = image.signals[at(effect.confirm_signal)]
    # A sample from before the effect confirms nothing.
    fresh = signal.quality != BAD and signal.sample_ns > state.since_ns
    low = effect.confirm_op == BELOW
    there = signal.value < effect.confirm_limit if low else signal.value > effect.confirm_limit
    if fresh and there:
        if state.confirm != 1:
            emit(image, CONFIRMED, index, effect.value, 0.0)
        state.confirm = 1
        state.since_ns = signal.sample_ns
    elif state.confirm != 2 and now_ns - state.since_ns > effect.confirm_ns:
        state.confirm = 2
        state.second_on = 1 if effect.second_output >= 0 else 0
        if state.second_on == 1:
            image.outputs[at(effect.second_output)].reassert = 1
        emit(image, NOT_CONFIRMED, index, effect.value, signal.value)
    if state.second_on == 1:
        image.outputs[at(effect.second_output)].locked = 1
        bound(plan, image, effect.second_output, FORCE, effect.second_value, effect.cause)


@inlined
def apply(plan: Plan, image: Image, now_ns: int) -> None:
    """Turns every effective cause into bounds and forces on the outputs, before the loops run."""
    for output in range(len(plan.outputs)):
        state = image.outputs[at(output)]
        state.forced = 0
        state.low_bound = -math.inf
        state.high_bound = math.inf
    for index in range(len(plan.effects)):
        effect = plan.effects[at(index)]
        if rare(effect.op == SIGNAL_BAD):
            continue
        cause = image.causes[at(effect.cause)]
        state = image.effects[at(index)]
        if not rare(cause.active != 0 or cause.latched != 0):
            state.on = 0
            state.confirm = 0
            state.second_on = 0
            continue
        kind = plan.causes[at(effect.cause)].kind
        if kind == PERMIT:
            target = image.outputs[at(effect.output)]
            step = plan.outputs[at(effect.output)].resolution
            if abs(target.released - effect.value) <= 0.5 * step:
                bound(plan, image, effect.output, FORCE, effect.value, effect.cause)
            continue
        if rare(effect.op == MEAN) and image.outputs[at(effect.output)].adopting == 1:
            continue  # there is no mean before the device said what it does
        if rare(state.on == 0):
            state.on = 1
            state.since_ns = now_ns
            suspect = now_ns
            if plan.causes[at(effect.cause)].bad_signal >= 0:
                suspect = image.signals[at(plan.causes[at(effect.cause)].bad_signal)].suspect_ns
            state.mean = mean_before(image, effect.output, suspect)
            image.outputs[at(effect.output)].reassert = 1
            value = state.mean if effect.op == MEAN else effect.value
            emit(image, EFFECT_ON, index, value, 0.0)
        value = state.mean if effect.op == MEAN else effect.value
        bound(plan, image, effect.output, effect.op, value, effect.cause)
        if kind == PROTECT and (effect.op == FORCE or effect.op == MEAN):
            # A reset starts nothing: the output stays until somebody commands it anew.
            image.outputs[at(effect.output)].locked = 1
        if effect.confirm_signal >= 0:
            confirm(plan, image, index, now_ns)

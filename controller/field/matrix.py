"""Causes: votes, delays, latches and first-out. What they force on actuators stands in effects.

Meanings after VDI 2658 and IEC 62881: a permit blocks leaving the safe position, an interlock
forces while its cause stands, a protect latches and needs a reset. Delays count elapsed time.
A bad signal votes as its row declares.
"""

from __future__ import annotations

from controller.core.signal import Quality, Reason
from controller.field.hint import rare
from controller.field.image import Image
from controller.field.jit import at, inlined, kernel
from controller.field.ring import EventKind, emit
from controller.field.sense import set_quality
from controller.profile.plan import BadRule, CauseKind, CompareOp, EffectOp, Plan

BAD = int(Quality.BAD)
STUCK = int(Reason.STUCK)
ABOVE, IS_BAD = int(CompareOp.ABOVE), int(CompareOp.IS_BAD)
TRIP, DEGRADE = int(BadRule.TRIP), int(BadRule.DEGRADE)
PLAUSIBILITY, PROTECT = int(CauseKind.PLAUSIBILITY), int(CauseKind.PROTECT)
SIGNAL_BAD = int(EffectOp.SIGNAL_BAD)
ACTIVE, CLEARED = int(EventKind.CAUSE_ACTIVE), int(EventKind.CAUSE_CLEARED)
RESET, RESET_REFUSED = int(EventKind.CAUSE_RESET), int(EventKind.RESET_REFUSED)
ACTION = int(EventKind.ACTION)
BYPASS_LAPSED, VALIDITY = int(EventKind.BYPASS_LAPSED), int(EventKind.VALIDITY)


@inlined
def condition_true(plan: Plan, image: Image, index: int, now_ns: int) -> bool:
    """One comparison with hysteresis, on-delay and off-delay; NaN is never compared, it is bad."""
    condition = plan.conditions[at(index)]
    state = image.conditions[at(index)]
    signal = image.signals[at(condition.signal)]
    slack = 0.0
    if rare(state.raw == 1):
        slack = condition.hysteresis
    if condition.op == IS_BAD:
        true = signal.quality == BAD
    elif condition.op == ABOVE:
        true = rare(signal.value > condition.limit - slack)
    else:
        true = rare(signal.value < condition.limit + slack)
    if rare(true):
        if state.raw == 0:
            state.raw = 1
            state.since_ns = now_ns
        state.last_ns = now_ns
        if now_ns - state.since_ns >= condition.on_delay_ns:
            state.state = 1
    elif rare(state.raw == 1 or state.state == 1):
        state.raw = 0
        if now_ns - state.last_ns >= condition.off_delay_ns:
            state.state = 0
    return bool(state.state == 1)


@inlined
def vote(plan: Plan, image: Image, index: int, now_ns: int) -> int:
    """0 = no, 1 = the cause's vote is reached, 2 = reached only because signals are bad.

    What a signal last said stands until it has been bad for the cause's `bad_after`: losing the
    sensor in the middle of a trip must not give the actuator free. A stuck one never said it.
    """
    cause = plan.causes[at(index)]
    true = bad_trip = bad_dropped = 0
    place, count = cause.first_condition, cause.n_conditions
    end = place + count
    while place < end:
        condition = plan.conditions[at(place)]
        signal = image.signals[at(condition.signal)]
        is_bad = signal.quality == BAD and condition.op != IS_BAD
        if not rare(is_bad):
            true += 1 if condition_true(plan, image, place, now_ns) else 0
        elif condition.bad == TRIP:
            bad_trip += 1
        elif (
            image.conditions[at(place)].state == 1
            and signal.reason != STUCK
            and now_ns - signal.sample_ns <= cause.bad_delay_ns
        ):
            true += 1
        elif condition.bad == DEGRADE:
            bad_dropped += 1
        place += 1
    if not rare((true | bad_trip | bad_dropped) != 0):
        return 0
    left = count - bad_dropped
    if rare(left == 0):
        return 2
    needed = min(cause.votes, left)
    if rare(true >= needed):
        return 1
    return 2 if true + bad_trip >= needed else 0


@kernel
def awaits_readback(plan: Plan, image: Image, index: int) -> bool:
    """Whether a cause acts on an output whose device has not said yet what it does."""
    cause = plan.causes[at(index)]
    for place in range(cause.first_effect, cause.first_effect + cause.n_effects):
        effect = plan.effects[at(place)]
        if effect.op != SIGNAL_BAD and image.outputs[at(effect.output)].adopting == 1:
            return True
    return False


@inlined
def is_valid(plan: Plan, image: Image, index: int) -> bool:
    """Whether a row applies in this phase or mode; a change of that is an event."""
    cause = plan.causes[at(index)]
    if cause.valid_flag < 0:
        return True
    state = image.causes[at(index)]
    valid = (image.signals[at(cause.valid_flag)].value > 0.5) == (cause.valid_when == 1)
    if rare(valid == (state.invalid == 1)):
        state.invalid = 0 if valid else 1
        emit(image, VALIDITY, index, 1.0 if valid else 0.0, 0.0)
    return bool(valid)


@inlined
def is_told(plan: Plan, image: Image, index: int) -> bool:
    """Whether the board that runs a row, too, says that it stands there."""
    told = plan.causes[at(index)].told
    if not rare(told >= 0):
        return False
    signal = image.signals[at(told)]
    return bool(signal.quality != BAD and signal.value > 0.5)


@inlined
def timed(plan: Plan, image: Image, index: int, now_ns: int) -> bool:
    """Whether the cause stands now: its vote held for its delay, or is inside its off-delay.

    What its board says counts at once: there the delay is over already.
    """
    cause = plan.causes[at(index)]
    state = image.causes[at(index)]
    reached = vote(plan, image, index, now_ns)
    told = is_told(plan, image, index)
    if rare(told):
        reached = 1
    if not is_valid(plan, image, index):
        reached = 0
    if rare(reached == 2) and awaits_readback(plan, image, index):
        # After a restart nothing is known yet; not knowing alone may not stop heat or oxygen.
        reached = 0
    if rare(reached != 0 or state.raw != 0):
        state.raw = reached
        if reached == 1 and state.raw_ns < 0:
            state.raw_ns = now_ns
        if reached == 2 and state.bad_ns < 0:
            state.bad_ns = now_ns
        if reached == 0:
            state.raw_ns = -1
        if reached != 2:
            state.bad_ns = -1
    if rare(state.bypass_until_ns > 0):
        # The delay goes on under a bypass: what has stood all the time acts when it lapses.
        if now_ns < state.bypass_until_ns:
            return False
        state.bypass_until_ns = 0
        emit(image, BYPASS_LAPSED, index, 0.0, 0.0)
    stands = reached > 0 and (
        state.active == 1
        or told
        or (state.raw_ns >= 0 and now_ns - state.raw_ns >= cause.on_delay_ns)
        or (reached == 2 and now_ns - state.bad_ns >= cause.bad_delay_ns)
    )
    if stands:
        state.active_ns = now_ns
    elif state.active == 1 and now_ns - state.active_ns < cause.off_delay_ns:
        return True
    return bool(stands)


@inlined
def mark_signals(plan: Plan, image: Image, index: int, now_ns: int) -> None:
    """A plausibility cause takes the quality of the signals it names, since its window began."""
    cause = plan.causes[at(index)]
    for place in range(cause.first_effect, cause.first_effect + cause.n_effects):
        effect = plan.effects[at(place)]
        if effect.op == SIGNAL_BAD:
            signal = image.signals[at(effect.output)]
            signal.forced_bad = 1
            signal.suspect_ns = now_ns - cause.bad_window_ns
            set_quality(image, effect.output, BAD, STUCK)


@inlined
def act(plan: Plan, image: Image, index: int, now_ns: int) -> None:
    """Asks the procedure for the row's action once its own delay is over."""
    cause = plan.causes[at(index)]
    state = image.causes[at(index)]
    if state.action_done == 1 or cause.action == 0:
        return
    if now_ns - state.action_ns < cause.action_delay_ns:
        return
    if cause.unless_a >= 0 and image.signals[at(cause.unless_a)].value > 0.5:
        return
    if cause.unless_b >= 0 and image.signals[at(cause.unless_b)].value > 0.5:
        return
    state.action_done = 1
    emit(image, ACTION, index, float(cause.action), 0.0)


@kernel
def enter_group(plan: Plan, image: Image, index: int) -> None:
    """Gives a cause that begins to act its place in its first-out group: 0 is the first out."""
    cause = plan.causes[at(index)]
    if cause.group < 0:
        return
    group = image.groups[at(cause.group)]
    if group.standing == 0:
        group.places = 0
    image.causes[at(index)].place = group.places
    group.places += 1
    group.standing += 1


@kernel
def leave_group(plan: Plan, image: Image, index: int) -> None:
    """A cause neither stands nor is latched any more; its place stays till the group is empty."""
    cause = plan.causes[at(index)]
    if cause.group >= 0:
        image.groups[at(cause.group)].standing -= 1


@inlined
def evaluate(plan: Plan, image: Image, now_ns: int) -> None:
    """Every cause once: edges become events, protects latch, first-out is kept."""
    head = image.head[0]
    for index in range(len(plan.causes)):
        cause = plan.causes[at(index)]
        state = image.causes[at(index)]
        stands = timed(plan, image, index, now_ns)
        if rare(stands and state.active == 0):
            state.active = 1
            if state.latched == 0:
                state.order = head.orders
                head.orders += 1
                enter_group(plan, image, index)
            state.action_ns = now_ns
            state.action_done = 0
            if cause.kind == PROTECT or cause.kind == PLAUSIBILITY:
                state.latched = 1
            emit(image, ACTIVE, index, float(state.place), float(state.raw))
            if cause.kind == PLAUSIBILITY:
                mark_signals(plan, image, index, now_ns)
        elif rare(not stands and state.active == 1):
            state.active = 0
            emit(image, CLEARED, index, float(state.latched), 0.0)
            if state.latched == 0:
                leave_group(plan, image, index)
        if rare(state.active == 1 or state.latched == 1):
            act(plan, image, index, now_ns)


@kernel
def release_signals(plan: Plan, image: Image, index: int) -> None:
    """Gives the signals of a plausibility cause free that no other one still holds bad."""
    cause = plan.causes[at(index)]
    for place in range(cause.first_effect, cause.first_effect + cause.n_effects):
        if plan.effects[at(place)].op == SIGNAL_BAD:
            image.signals[at(plan.effects[at(place)].output)].forced_bad = 0
    for place in range(len(plan.effects)):
        effect = plan.effects[at(place)]
        if effect.op == SIGNAL_BAD and image.causes[at(effect.cause)].latched == 1:
            image.signals[at(effect.output)].forced_bad = 1


@kernel
def reset(plan: Plan, image: Image, index: int) -> bool:
    """Takes the latch off a cause that is gone with all its signals good; starts nothing.

    False if the cause stands or a signal it reads is bad. A plausibility cause is reset to find out
    whether its signal, which it made bad itself, lives again.
    """
    state = image.causes[at(index)]
    cause = plan.causes[at(index)]
    blind = False
    if cause.kind != PLAUSIBILITY:
        for place in range(cause.first_condition, cause.first_condition + cause.n_conditions):
            condition = plan.conditions[at(place)]
            blind |= condition.op != IS_BAD and image.signals[at(condition.signal)].quality == BAD
    if blind or state.raw != 0 or state.active == 1:
        emit(image, RESET_REFUSED, index, 0.0, 0.0)
        return False
    if state.latched == 1:
        state.latched = 0
        leave_group(plan, image, index)
        release_signals(plan, image, index)
        emit(image, RESET, index, 0.0, 0.0)
    state.resets += 1  # a board that runs the row takes its own latch off
    return True


@kernel
def latch(plan: Plan, image: Image, index: int, now_ns: int) -> bool:
    """Latches a cause again that latched in a field before this one; False if it cannot latch.

    It is no new trip: no edge, no first-out, and what it asks of the procedure was asked then.
    """
    cause = plan.causes[at(index)]
    state = image.causes[at(index)]
    if cause.kind != PROTECT and cause.kind != PLAUSIBILITY:
        return False
    if state.latched == 0:
        enter_group(plan, image, index)
        state.latched = 1
        state.action_done = 1
        if cause.kind == PLAUSIBILITY:
            mark_signals(plan, image, index, now_ns)
    return True

"""Feedback loops: ISA two-degree-of-freedom PID with everything a real one needs.

u = K (b SP - PV) + I - D + feed-forward; the derivative is filtered and acts on PV alone
(c = 0 by default); anti-windup by back-calculation from what the gate let through (Astrom and
Hagglund, Advanced PID Control, 2006, ch. 3). A bad process value holds the output, then falls back.
"""

from __future__ import annotations

from controller.core.signal import Quality
from controller.field.effects import mean_before
from controller.field.hint import rare
from controller.field.image import Image
from controller.field.jit import at, inlined, kernel
from controller.field.ring import EventKind, emit
from controller.profile.plan import Fallback, Mode, Plan

BAD = int(Quality.BAD)
OFF, MANUAL, AUTO, CASCADE = int(Mode.OFF), int(Mode.MANUAL), int(Mode.AUTO), int(Mode.CASCADE)
OTHER, MEAN = int(Fallback.OTHER), int(Fallback.MEAN)
FALLBACK, RESTORED = int(EventKind.FALLBACK), int(EventKind.RESTORED)
STUCK = 2  # of `track`: the slave follows no setpoint now
# `in_fallback`: 0 on its process value, 1 fallen back, then
ON_OTHER = 2  # on the other sensor
UNTRIED = 3  # started while its process value was bad: it starts anew when that comes


@inlined
def clip(value: float, low: float, high: float) -> float:
    """`value` inside `low..high`."""
    return float(min(max(value, low), high))


@inlined
def segment_value(plan: Plan, index: int, demand: float) -> float:
    """An output's share of a demand: linear between (u0, y0) and (u1, y1), flat outside."""
    part = plan.segments[at(index)]
    share = clip((demand - part.u0) / (part.u1 - part.u0), 0.0, 1.0)
    return float(part.y0 + share * (part.y1 - part.y0))


@inlined
def let_through(plan: Plan, image: Image, index: int) -> float:
    """The demand that the released outputs amount to: what the loop must track."""
    loop = plan.loops[at(index)]
    demand = image.loops[at(index)].op
    for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
        part = plan.segments[at(place)]
        output = image.outputs[at(part.output)]
        wish = segment_value(plan, place, demand)
        if abs(output.released - wish) <= 1.5 * plan.outputs[at(part.output)].resolution:
            continue
        free = output.forced == 0 and output.locked == 0
        if free and output.low_bound <= wish <= output.high_bound:
            continue
        last = place == loop.first_segment + loop.n_segments - 1
        if free and wish > output.high_bound and not last:
            continue  # a ceiling on one actuator: the demand goes on to the next one
        share = clip((output.released - part.y0) / (part.y1 - part.y0), 0.0, 1.0)
        seen = part.u0 + share * (part.u1 - part.u0)
        if part.u0 <= demand <= part.u1 or (demand > part.u1 and seen < part.u1):
            return float(seen)
    return float(demand)


@kernel
def shown(plan: Plan, image: Image, index: int) -> float:
    """The demand that the outputs show now; of a master, its slave's setpoint."""
    loop = plan.loops[at(index)]
    demand = image.loops[at(index)].op
    for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
        part = plan.segments[at(place)]
        released = image.outputs[at(part.output)].released
        if rare(image.outputs[at(part.output)].adopting == 1):
            released = part.y0
        share = (released - part.y0) / (part.y1 - part.y0)
        if place == loop.first_segment or share > 0.0:
            demand = part.u0 + clip(share, 0.0, 1.0) * (part.u1 - part.u0)
            if share < 1.0:
                break
    if loop.first_segment < 0:
        demand = image.signals[at(loop.pv)].value
        for other in range(len(plan.loops)):
            if plan.loops[at(other)].master == index and image.loops[at(other)].mode != OFF:
                demand = image.loops[at(other)].sp
    return clip(demand, loop.low, loop.high)


@kernel
def awaits_readback(plan: Plan, image: Image, index: int) -> bool:
    """Whether a device behind a loop's outputs has not said yet what it does."""
    loop = plan.loops[at(index)]
    for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
        if image.outputs[at(plan.segments[at(place)].output)].adopting == 1:
            return True
    return False


@inlined
def error_of(plan: Plan, image: Image, index: int, pv: float) -> float:
    """Setpoint less process value, with nothing inside the dead band."""
    loop = plan.loops[at(index)]
    error = image.loops[at(index)].sp - pv
    if abs(error) <= loop.deadband:
        return 0.0
    return float(error - loop.deadband if error > 0.0 else error + loop.deadband)


@inlined
def feed_of(plan: Plan, image: Image, index: int) -> float:
    """The feed-forward part of a loop's demand."""
    loop = plan.loops[at(index)]
    if loop.feedforward < 0:
        return 0.0
    return float(loop.feedforward_gain * image.signals[at(loop.feedforward)].value)


@kernel
def adopt(plan: Plan, image: Image, index: int, demand: float, source: int, now_ns: int) -> None:
    """Starts a loop bumpless at `demand` on the process value `source`."""
    loop = plan.loops[at(index)]
    state = image.loops[at(index)]
    pv = image.signals[at(source)].value
    state.op = demand
    state.pv_last = pv
    state.d_filter = 0.0
    error = error_of(plan, image, index, pv)
    proportional = loop.gain * (error - (1.0 - loop.beta) * state.sp)
    state.integral = demand - proportional - feed_of(plan, image, index)
    state.run_ns = now_ns


@kernel
def begin(plan: Plan, image: Image, index: int, demand: float, now_ns: int) -> None:
    """Starts a loop bumpless at `demand` on its own process value, or as soon as that is good."""
    pv = plan.loops[at(index)].pv
    state = image.loops[at(index)]
    adopt(plan, image, index, demand, pv, now_ns)
    state.in_fallback = UNTRIED if image.signals[at(pv)].quality == BAD else 0


@inlined
def process_value(plan: Plan, image: Image, index: int, now_ns: int) -> int:
    """The signal a loop controls now, or -1 while its output is held or has fallen back."""
    loop = plan.loops[at(index)]
    state = image.loops[at(index)]
    if not rare(image.signals[at(loop.pv)].quality == BAD):
        if rare(state.in_fallback != 0):
            if state.in_fallback != UNTRIED:
                emit(image, RESTORED, index, 0.0, 0.0)
            state.in_fallback = 0
            adopt(plan, image, index, shown(plan, image, index), loop.pv, now_ns)
        state.bad_since_ns = -1
        return int(loop.pv)
    if state.bad_since_ns < 0:
        state.bad_since_ns = now_ns
    if now_ns - state.bad_since_ns < loop.bad_hold_ns:
        return -1
    if state.in_fallback == 0 or state.in_fallback == UNTRIED:
        state.in_fallback = 1
        emit(image, FALLBACK, index, float(loop.fallback), 0.0)
        fall_back(plan, image, index)
    if loop.fallback != OTHER:
        return -1
    if image.signals[at(loop.other_pv)].quality == BAD:
        state.in_fallback = 1
        return -1
    if state.in_fallback == 1:
        state.in_fallback = ON_OTHER
        adopt(plan, image, index, shown(plan, image, index), loop.other_pv, now_ns)
    return int(loop.other_pv)


@kernel
def fall_back(plan: Plan, image: Image, index: int) -> None:
    """Puts the outputs where the profile says once the process value has been bad too long."""
    loop = plan.loops[at(index)]
    state = image.loops[at(index)]
    if loop.fallback == OTHER:
        return
    if loop.fallback != MEAN:
        state.op = clip(loop.fallback_value, loop.low, loop.high)
        return
    suspect = image.signals[at(loop.pv)].suspect_ns
    for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
        output = plan.segments[at(place)].output
        image.outputs[at(output)].wanted = mean_before(image, output, suspect)


@inlined
def pid(plan: Plan, image: Image, index: int, pv: float, seconds: float) -> None:
    """One execution of a loop on `pv`, `seconds` after the last."""
    loop = plan.loops[at(index)]
    state = image.loops[at(index)]
    error = error_of(plan, image, index, pv)
    # The proportional part sees the dead band as well, or noise would move the output inside it.
    proportional = loop.gain * (error - (1.0 - loop.beta) * state.sp)
    if loop.td_s > 0.0:
        weight = loop.td_s / (loop.td_s + loop.n * seconds)
        state.d_filter = weight * (state.d_filter - loop.gain * loop.n * (pv - state.pv_last))
    state.pv_last = pv
    wish = proportional + state.integral + state.d_filter + feed_of(plan, image, index)
    demand = clip(wish, loop.low, loop.high)
    if loop.rate_max > 0.0:
        step = loop.rate_max * seconds
        demand = clip(demand, state.op - step, state.op + step)
    integral = state.integral
    if loop.ti_s > 0.0:
        integral += loop.gain * error * seconds / loop.ti_s
    state.op = demand
    actual = let_through(plan, image, index) if loop.n_segments > 0 else demand
    pushes = state.track == STUCK or (state.track > 0) == (error * loop.gain > 0.0)
    if loop.n_segments == 0 and loop.ti_s > 0.0 and state.track != 0 and pushes:
        # The slave is at a limit, or cannot follow at all: do not push it further that way.
        integral -= loop.gain * error * seconds / loop.ti_s
    share = min(1.0, seconds / loop.tracking_s) if loop.tracking_s > 0.0 else 0.0
    state.integral = integral + share * (actual - wish)


@kernel
def saturation(plan: Plan, image: Image, index: int) -> int:
    """+1 or -1 when a higher or lower setpoint would change nothing, STUCK on a bad one, else 0."""
    loop = plan.loops[at(index)]
    state = image.loops[at(index)]
    up = 1 if loop.gain >= 0.0 else -1
    actual = let_through(plan, image, index)
    if state.bad_since_ns >= 0 and state.in_fallback != ON_OTHER:
        return STUCK
    if state.op >= loop.high or actual < state.op - 1e-9:
        return up
    if state.op <= loop.low or actual > state.op + 1e-9:
        return -up
    return 0


@inlined
def request_outputs(plan: Plan, image: Image, index: int) -> None:
    """Hands the loop's demand to its outputs as what it wants from the gate."""
    loop = plan.loops[at(index)]
    demand = image.loops[at(index)].op
    for place in range(loop.first_segment, loop.first_segment + loop.n_segments):
        output = image.outputs[at(plan.segments[at(place)].output)]
        output.wanted = segment_value(plan, place, demand)


@inlined
def run_loops(plan: Plan, image: Image, now_ns: int) -> None:
    """Executes every loop that is due; masters stand before their slaves in the Plan."""
    for index in range(len(plan.loops)):
        loop = plan.loops[at(index)]
        state = image.loops[at(index)]
        if state.mode == OFF or now_ns - state.run_ns < loop.period_ns:
            continue
        seconds = (now_ns - state.run_ns) * 1e-9
        state.run_ns = now_ns
        if state.mode == CASCADE:
            state.sp = clip(image.loops[at(loop.master)].op, loop.sp_low, loop.sp_high)
        if state.mode == MANUAL:
            request_outputs(plan, image, index)
        else:
            source = process_value(plan, image, index, now_ns)
            if source >= 0:
                pid(plan, image, index, image.signals[at(source)].value, seconds)
                request_outputs(plan, image, index)
            elif state.in_fallback != 0 and loop.fallback != MEAN:
                request_outputs(plan, image, index)
        if loop.master >= 0 and state.mode == CASCADE:
            image.loops[at(loop.master)].track = saturation(plan, image, index)
        image.signals[at(loop.sp_signal)].value = state.sp
        image.signals[at(loop.op_signal)].value = state.op

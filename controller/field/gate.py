"""The only door to an output: range, forces, bounds, rate, write class, resolution.

Nothing reaches a link but what `release` lets through, and a value forced by a cause is released
in the scan that forces it, marked so that its link sends it first. After a start with a batch open
what keeps the cells alive is *adopted*: nothing is released before the device was read back.
"""

from __future__ import annotations

import math

from controller.core.signal import Quality, Reason
from controller.field.hint import rare
from controller.field.image import MEAN_BUCKET_NS, MEAN_BUCKETS, Image
from controller.field.jit import at, floor, inlined, kernel
from controller.field.ring import remember
from controller.profile.plan import Mode, Plan

OFF = int(Mode.OFF)
GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)
NONE, NEVER_READ = int(Reason.NONE), int(Reason.NEVER_READ)
SLACK = 1e-6  # of a resolution: what floating point may do to a value on the grid


@inlined
def quantised(value: float, resolution: float) -> float:
    """The nearest value the device resolves."""
    return float(floor(value / resolution + 0.5) * resolution)


@inlined
def on_grid(value: float, low: float, high: float, resolution: float) -> float:
    """The nearest value the device resolves inside `low..high`; the lower one if there is none."""
    found = quantised(value, resolution)
    if rare(found < low - SLACK * resolution):
        found = math.ceil(low / resolution - SLACK) * resolution
    if rare(found > high + SLACK * resolution):
        found = math.floor(high / resolution + SLACK) * resolution
    return found


@inlined
def decide(image: Image, output: int, want: float, higher: bool) -> tuple[float, int]:
    """What the causes make of `want`, and the cause that decided it (-1: none).

    Where rows want different values the declared winner holds: `lower` lets a ceiling and a force
    beat a floor, `higher` the other way round.
    """
    state = image.outputs[at(output)]
    value, cause = want, -1
    if state.forced == 1:
        value, cause = state.force, state.force_cause
    elif higher and value > state.high_bound:
        value, cause = state.high_bound, state.high_cause
    elif not higher and value < state.low_bound:
        value, cause = state.low_bound, state.low_cause
    if higher and value < state.low_bound:
        value, cause = state.low_bound, state.low_cause
    if not higher and value > state.high_bound:
        value, cause = state.high_bound, state.high_cause
    return value, cause


@inlined
def put(image: Image, output: int, value: float, cause: int, safe: int, now_ns: int) -> None:
    """Releases a value: a new sequence number for the link, a row for the history."""
    state = image.outputs[at(output)]
    state.released = value
    state.released_ns = now_ns
    state.safe = safe
    state.by_cause = cause
    state.sequence += 1
    remember(image, output, value, cause)


@inlined
def average(image: Image, output: int, now_ns: int) -> None:
    """Keeps the 30 s means of what was released, for the rules that fall back to a mean."""
    state = image.outputs[at(output)]
    state.mean_sum += state.released
    state.mean_n += 1.0
    if rare(now_ns >= state.mean_end_ns):
        image.means[at(output), at(state.mean_head)] = state.mean_sum / state.mean_n
        state.mean_head = (state.mean_head + 1) % MEAN_BUCKETS
        state.mean_filled = min(state.mean_filled + 1, MEAN_BUCKETS)
        state.mean_end_ns = now_ns + MEAN_BUCKET_NS
        state.mean_sum = 0.0
        state.mean_n = 0.0


@inlined
def resolved(plan: Plan, image: Image, output: int, value: float) -> float:
    """A decided value as the device resolves it; a bound it keeps is never left by rounding."""
    limits = plan.outputs[at(output)]
    state = image.outputs[at(output)]
    low, high = limits.low, limits.high
    if value >= state.low_bound:
        low = max(low, state.low_bound)
    if value <= state.high_bound:
        high = min(high, state.high_bound)
    return on_grid(min(max(value, limits.low), limits.high), low, high, limits.resolution)


@inlined
def modulate(plan: Plan, image: Image, output: int, goal: float, now_ns: int) -> None:
    """Releases an unforced value at the output's write class and rate."""
    limits = plan.outputs[at(output)]
    state = image.outputs[at(output)]
    if now_ns - state.released_ns < limits.interval_ns:
        return
    value = goal
    if limits.rate_max > 0.0:
        step = limits.rate_max * (now_ns - state.released_ns) * 1e-9
        step = max(step, limits.resolution)
        value = min(max(goal, state.released - step), state.released + step)
        value = on_grid(value, limits.low, limits.high, limits.resolution)
    put(image, output, value, -1, 0, now_ns)


@inlined
def release_one(plan: Plan, image: Image, output: int, now_ns: int) -> None:
    """Decides what leaves for one output, and when."""
    limits = plan.outputs[at(output)]
    state = image.outputs[at(output)]
    higher = limits.higher_wins == 1
    # After a reset the output stays where the protect put it, until somebody commands it.
    want = state.released if state.locked == 1 else state.wanted
    if rare(not math.isfinite(want)):
        want = limits.safe
    value, cause = decide(image, output, want, higher)
    goal = resolved(plan, image, output, value)
    stays, kept_by = decide(image, output, state.released, higher)
    if rare(state.reassert == 1):
        state.reassert = 0
        if cause < 0:
            goal = resolved(plan, image, output, stays)
        put(image, output, goal, cause if cause >= 0 else kept_by, 1, now_ns)
    elif abs(goal - state.released) > 0.5 * limits.resolution:
        if cause >= 0 or abs(stays - state.released) > 0.5 * limits.resolution:
            put(image, output, goal, cause, 1, now_ns)
        else:
            modulate(plan, image, output, goal, now_ns)


@inlined
def ask(plan: Plan, image: Image, output: int, value: float) -> None:
    """Keeps what a command asks of an output, and shows it to the rows of this scan."""
    image.outputs[at(output)].request = value
    if plan.outputs[at(output)].asked >= 0:
        image.signals[at(plan.outputs[at(output)].asked)].value = value


@kernel
def begin_adopting(plan: Plan, image: Image, output: int) -> None:
    """Nothing is known of an output until its device says what it does."""
    state = image.outputs[at(output)]
    state.adopting = 1
    state.request = state.wanted = state.released = math.nan
    state.sequence = 0
    signal = image.signals[at(plan.outputs[at(output)].signal)]
    signal.quality, signal.reason = BAD, NEVER_READ


@kernel
def adopt(plan: Plan, image: Image, output: int, now_ns: int) -> bool:
    """Takes an output over without a bump: at what its device says, or what a row or command wants.

    True once it is taken over. The value is released, though the device has it: so its link goes on
    to watch that it stays.
    """
    limits = plan.outputs[at(output)]
    state = image.outputs[at(output)]
    found = image.signals[at(limits.readback)]
    if state.forced == 1:
        value = state.force
    elif math.isfinite(state.wanted):
        value = state.wanted
    elif found.quality == GOOD:
        value = found.value
    else:
        return False
    value = on_grid(
        min(max(value, limits.low), limits.high), limits.low, limits.high, limits.resolution
    )
    state.adopting = 0
    state.wanted = value
    ask(plan, image, output, value)
    # Also the first value stands under the bounds of this scan: a link may take it at once.
    value, cause = decide(image, output, value, limits.higher_wins == 1)
    value = resolved(plan, image, output, value)
    signal = image.signals[at(limits.signal)]
    signal.quality, signal.reason = GOOD, NONE
    state.mean_end_ns = now_ns + MEAN_BUCKET_NS
    put(image, output, value, cause, 1 if cause >= 0 else 0, now_ns)
    return True


@inlined
def release(plan: Plan, image: Image, now_ns: int) -> None:
    """Every output once."""
    for output in range(len(plan.outputs)):
        limits = plan.outputs[at(output)]
        state = image.outputs[at(output)]
        if limits.loop < 0 or image.loops[at(limits.loop)].mode == OFF:
            state.wanted = state.request
        if rare(state.adopting == 1) and not adopt(plan, image, output, now_ns):
            continue
        release_one(plan, image, output, now_ns)
        image.signals[at(limits.signal)].value = state.released
        average(image, output, now_ns)

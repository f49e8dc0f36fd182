"""The only door to an output: range, forces, bounds, rate, write class, resolution.

Nothing reaches a link but what `release` lets through, and a value forced by a cause is released
in the scan that forces it, marked so that its link sends it first. No intrinsics here.
"""

from __future__ import annotations

import math

from controller.field.image import MEAN_BUCKET_NS, MEAN_BUCKETS, Image
from controller.field.jit import inlined
from controller.field.ring import remember
from controller.profile.plan import Mode, Plan

OFF = int(Mode.OFF)


@inlined
def quantised(value: float, resolution: float) -> float:
    """The nearest value the device resolves."""
    return math.floor(value / resolution + 0.5) * resolution


@inlined
def bounded(plan: Plan, image: Image, output: int) -> float:
    """What the causes allow of what is wanted, inside the device's range."""
    limits = plan.outputs[output]
    state = image.outputs[output]
    value = state.wanted if math.isfinite(state.wanted) else limits.safe
    value = min(max(value, limits.low), limits.high)
    if state.forced == 1:
        value = state.force
    elif value < state.low_bound:
        value = state.low_bound
    if value > state.high_bound:
        value = state.high_bound
    return min(max(value, limits.low), limits.high)


@inlined
def put(image: Image, output: int, value: float, safe: int, now_ns: int) -> None:
    """Releases a value: a new sequence number for the link, a row for the history."""
    state = image.outputs[output]
    state.released = value
    state.released_ns = now_ns
    state.safe = safe
    state.sequence += 1
    remember(image, output, value, state.by_cause)


@inlined
def average(image: Image, output: int, now_ns: int) -> None:
    """Keeps the 30 s means of what was released, for the rules that fall back to a mean."""
    state = image.outputs[output]
    state.mean_sum += state.released
    state.mean_n += 1.0
    if now_ns >= state.mean_end_ns:
        image.means[output, state.mean_head] = state.mean_sum / state.mean_n
        state.mean_head = (state.mean_head + 1) % MEAN_BUCKETS
        state.mean_filled = min(state.mean_filled + 1, MEAN_BUCKETS)
        state.mean_end_ns = now_ns + MEAN_BUCKET_NS
        state.mean_sum = 0.0
        state.mean_n = 0.0


@inlined
def release(plan: Plan, image: Image, now_ns: int) -> None:
    """Every output once: decides what leaves and when."""
    for output in range(len(plan.outputs)):
        limits = plan.outputs[output]
        state = image.outputs[output]
        if limits.loop < 0 or image.loops[limits.loop].mode == OFF:
            state.wanted = state.request
        allowed = quantised(bounded(plan, image, output), limits.resolution)
        held = state.forced == 1 or not (state.low_bound <= state.wanted <= state.high_bound)
        if state.reassert == 1:
            state.reassert = 0
            put(image, output, allowed, 1, now_ns)
        elif abs(allowed - state.released) > 0.5 * limits.resolution:
            if held:
                put(image, output, allowed, 1, now_ns)
            elif now_ns - state.released_ns >= limits.interval_ns:
                if limits.rate_max > 0.0:
                    step = limits.rate_max * (now_ns - state.released_ns) * 1e-9
                    step = max(step, limits.resolution)
                    low, high = state.released - step, state.released + step
                    allowed = quantised(min(max(allowed, low), high), limits.resolution)
                put(image, output, allowed, 0, now_ns)
        image.signals[limits.signal].value = state.released
        average(image, output, now_ns)

"""Signals computed from signals: sums, totals, windows; of the quality of the worst operand."""

from __future__ import annotations

import math

from controller.core.signal import Quality, Reason
from controller.field.hint import rare
from controller.field.image import BUCKETS, Image
from controller.field.jit import at, inlined
from controller.profile.plan import UNASKED, BlockOp, Plan

GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
NONE, OPERAND = int(Reason.NONE), int(Reason.OPERAND)
SUBSTITUTED, STUCK = int(Reason.SUBSTITUTED), int(Reason.STUCK)
LINEAR, DIFF, ABSDIFF = int(BlockOp.LINEAR), int(BlockOp.DIFF), int(BlockOp.ABSDIFF)
RATIO, ELSE = int(BlockOp.RATIO), int(BlockOp.ELSE)
SUM, TOTAL = int(BlockOp.SUM), int(BlockOp.TOTAL)
RISE, LOWEST, SPREAD = int(BlockOp.RISE), int(BlockOp.LOWEST), int(BlockOp.SPREAD)
LAG, HIGHEST, MEAN = int(BlockOp.LAG), int(BlockOp.HIGHEST), int(BlockOp.MEAN)
HOLD, WHILE = int(BlockOp.HOLD), int(BlockOp.WHILE)


@inlined
def summary(image: Image, window: int, lag: int) -> None:
    """Lowest and highest over the completed buckets of a window, kept until the next bucket."""
    state = image.windows[at(window)]
    low, high = math.inf, -math.inf
    for back in range(1, min(state.filled - 1, lag) + 1):
        place = (state.head - back) % BUCKETS
        low = min(low, image.window_low[at(window), at(place)])
        high = max(high, image.window_high[at(window), at(place)])
    state.low, state.high = low, high


@inlined
def push(image: Image, window: int, bucket_ns: int, lag: int, value: float, now_ns: int) -> None:
    """Adds a value to a window of `lag` buckets of `bucket_ns` each (at most BUCKETS - 1)."""
    state = image.windows[at(window)]
    if state.filled == 0 or now_ns >= state.bucket_end_ns:
        if state.filled > 0:
            state.head = (state.head + 1) % BUCKETS
        state.filled = min(state.filled + 1, BUCKETS)
        behind = now_ns - state.bucket_end_ns
        state.bucket_end_ns = (
            state.bucket_end_ns + bucket_ns
            if state.filled > 1 and behind < bucket_ns
            else now_ns + bucket_ns
        )
        image.window_low[at(window), at(state.head)] = value
        image.window_high[at(window), at(state.head)] = value
        summary(image, window, lag)
    place = state.head
    if value < image.window_low[at(window), at(place)]:
        image.window_low[at(window), at(place)] = value
    if value > image.window_high[at(window), at(place)]:
        image.window_high[at(window), at(place)] = value
    image.window_last[at(window), at(place)] = value


@inlined
def averaged(
    image: Image, window: int, bucket_ns: int, lag: int, value: float, now_ns: int
) -> float:
    """The mean over a window of `lag` buckets, whose sums and counts stand where others keep lows
    and highs."""
    state = image.windows[at(window)]
    if state.filled == 0 or now_ns >= state.bucket_end_ns:
        state.head = (state.head + 1) % BUCKETS
        state.filled = min(state.filled + 1, BUCKETS)
        state.bucket_end_ns = now_ns + bucket_ns
        image.window_low[at(window), at(state.head)] = 0.0
        image.window_high[at(window), at(state.head)] = 0.0
        state.low = state.high = 0.0
        for back in range(1, min(state.filled - 1, lag) + 1):
            place = (state.head - back) % BUCKETS
            state.low += image.window_low[at(window), at(place)]
            state.high += image.window_high[at(window), at(place)]
    image.window_low[at(window), at(state.head)] += value
    image.window_high[at(window), at(state.head)] += 1.0
    total = state.low + image.window_low[at(window), at(state.head)]
    return float(total / (state.high + image.window_high[at(window), at(state.head)]))


@inlined
def windowed(plan: Plan, image: Image, index: int, value: float, now_ns: int) -> float:
    """The value of a windowed block after `value` has entered its window."""
    block = plan.blocks[at(index)]
    window = block.window
    if block.op == MEAN:
        return averaged(image, window, block.bucket_ns, block.lag, value, now_ns)
    push(image, window, block.bucket_ns, block.lag, value, now_ns)
    state = image.windows[at(window)]
    if block.op == RISE:
        back = min(state.filled - 1, block.lag)
        return float(value - image.window_last[at(window), at((state.head - back) % BUCKETS)])
    if block.p1 == 1.0 and state.filled <= block.lag:
        return float(block.p0)
    low = min(state.low, image.window_low[at(window), at(state.head)])
    if block.op == LOWEST:
        return float(low)
    high = max(state.high, image.window_high[at(window), at(state.head)])
    return float(high if block.op == HIGHEST else high - low)


@inlined
def value_of(plan: Plan, image: Image, index: int, seconds: float, now_ns: int) -> float:
    """A block's new value from good operands."""
    block = plan.blocks[at(index)]
    a = image.signals[at(block.a)].value
    old = image.signals[at(block.target)].value
    if block.op == LINEAR:
        return float(block.p0 * a + block.p1)
    if block.op == TOTAL:
        return float(old + block.p0 * a * seconds)
    if rare(block.op == LAG):
        if image.signals[at(block.target)].quality == BAD:
            return float(a)
        return float(old + (a - old) * (1.0 - math.exp(-seconds / block.p0)))
    if rare(block.window >= 0):
        return windowed(plan, image, index, a, now_ns)
    b = image.signals[at(block.b)].value
    if rare(block.op == WHILE):
        return float(a if block.p1 * b > block.p1 * block.p0 else UNASKED)
    if block.op == DIFF:
        return float(a - b)
    if block.op == ABSDIFF:
        return float(abs(a - b))
    return float(100.0 * a / b if b >= block.p0 else 100.0)


@inlined
def weighted_sum(plan: Plan, image: Image, index: int) -> float:
    """Sum of a block's weighted terms, not a number if one of them is bad."""
    block = plan.blocks[at(index)]
    total = 0.0
    for place in range(block.first_term, block.first_term + block.n_terms):
        term = plan.terms[at(place)]
        if image.signals[at(term.signal)].quality == BAD:
            return math.nan
        total += term.weight * image.signals[at(term.signal)].value
    return total


@inlined
def doubtful(plan: Plan, image: Image, index: int) -> bool:
    """Whether an operand of a block is uncertain."""
    block = plan.blocks[at(index)]
    if block.op == SUM:
        for place in range(block.first_term, block.first_term + block.n_terms):
            if image.signals[at(plan.terms[at(place)].signal)].quality == UNCERTAIN:
                return True
        return False
    if block.op == ELSE:
        first = image.signals[at(block.a)].quality
        return bool((first if first != BAD else image.signals[at(block.b)].quality) == UNCERTAIN)
    if image.signals[at(block.a)].quality == UNCERTAIN:
        return True
    return bool(block.b >= 0 and image.signals[at(block.b)].quality == UNCERTAIN)


@inlined
def held(plan: Plan, image: Image, index: int, now_ns: int) -> float:
    """The operand while it is good, then its last good value for the block's time; else NaN."""
    block = plan.blocks[at(index)]
    first = image.signals[at(block.a)]
    target = image.signals[at(block.target)]
    if first.quality != BAD:
        target.suspect_ns = now_ns
        return float(first.value)
    if target.quality == BAD or first.reason == STUCK:
        return math.nan
    return float(target.value if now_ns - target.suspect_ns <= block.p0 * 1e9 else math.nan)


@inlined
def compute(plan: Plan, image: Image, now_ns: int, seconds: float) -> None:
    """Runs every block once, in the order of the Plan (operands first)."""
    for index in range(len(plan.blocks)):
        block = plan.blocks[at(index)]
        target = image.signals[at(block.target)]
        if block.op == SUM:
            value = weighted_sum(plan, image, index)
        elif block.op == ELSE:
            first = image.signals[at(block.a)]
            second = image.signals[at(block.b)]
            value = first.value if first.quality != BAD else second.value
            if first.quality == BAD and second.quality == BAD:
                value = math.nan
        elif block.op == HOLD:
            value = held(plan, image, index, now_ns)
        elif image.signals[at(block.a)].quality == BAD or (
            block.b >= 0 and image.signals[at(block.b)].quality == BAD
        ):
            value = math.nan
        else:
            value = value_of(plan, image, index, seconds, now_ns)
        if not rare(not math.isfinite(value)):
            target.value = value
            target.quality = GOOD
            target.reason = NONE
            if rare(doubtful(plan, image, index)):
                target.quality = UNCERTAIN
                target.reason = OPERAND
            elif (block.op == ELSE or block.op == HOLD) and image.signals[
                at(block.a)
            ].quality == BAD:
                target.reason = SUBSTITUTED
            target.sample_ns = now_ns
        else:
            target.quality = BAD
            target.reason = OPERAND
            if block.op == MEAN and image.signals[at(block.a)].reason == STUCK:
                target.reason = STUCK  # the mean of a stuck signal is no value to fall back to

"""What leaves for one output, in plain Python: bounds, the declared winner, grid, rate, means.

The other half of `reference`. Nothing is on a device's grid but whole steps of its resolution, so
a value is a number of steps here until it leaves.
"""

from __future__ import annotations

import math
from typing import Any

from reference_plan import AT_LEAST, AT_MOST, GOOD

OFF = 0
SLACK = 1e-6  # of a step: what floating point may do to a value on the grid
BUCKET_NS = 30_000_000_000
BUCKETS_KEPT, BUCKETS_10_MIN = 160, 20


class Output:
    """One output: what is wanted of it, what causes ask, what was released."""

    def __init__(self, limits: Any, now_ns: int) -> None:
        self.limits = limits
        self.request = self.wanted = self.released = limits.start
        self.sequence = self.safe = 1
        self.released_ns = now_ns
        self.by_cause = 0
        self.reassert = self.locked = self.adopting = 0
        self.forced, self.force, self.force_cause = 0, 0.0, 0
        self.low_bound = self.high_bound = 0.0
        self.low_cause = self.high_cause = 0
        self.buckets: list[float] = []  # means of 30 s each, the newest last
        self.bucket_end_ns = 0
        self.bucket_sum = self.bucket_n = 0.0

    @property
    def bucket_head(self) -> int:
        """The place of the open bucket in a ring of those kept."""
        return len(self.buckets) % BUCKETS_KEPT

    @property
    def bucket_filled(self) -> int:
        """How many are kept."""
        return min(len(self.buckets), BUCKETS_KEPT)

    def begin_adopting(self) -> None:
        """Nothing is known of it until its device says what it does."""
        self.adopting, self.sequence = 1, 0
        self.request = self.wanted = self.released = math.nan

    # -- what causes ask ------------------------------------------------------------------------

    def ask_nothing(self) -> None:
        """Before the causes of this scan."""
        self.forced, self.low_bound, self.high_bound = 0, -math.inf, math.inf

    def ask(self, op: int, value: float, cause: int) -> None:
        """One effect: the tightest bound holds, and of two forces the declared winner."""
        if op == AT_MOST:
            if value < self.high_bound:
                self.high_bound, self.high_cause = value, cause
        elif op == AT_LEAST:
            if value > self.low_bound:
                self.low_bound, self.low_cause = value, cause
        else:
            first = not self.forced
            if first or (value > self.force if self.limits.higher_wins else value < self.force):
                self.force, self.force_cause = value, cause
            self.forced = 1

    def decided(self, want: float) -> tuple[float, int]:
        """What the causes make of a wish, and which of them: where the lower wins a ceiling is the
        last word, over forces and floors; where the higher wins a floor is."""
        floor, ceiling = (self.low_bound, self.low_cause), (self.high_bound, self.high_cause)
        found = (self.force, self.force_cause) if self.forced else (want, -1)
        if self.limits.higher_wins:
            if not self.forced and want > self.high_bound:
                found = ceiling
            return floor if found[0] < self.low_bound else found
        if not self.forced and want < self.low_bound:
            found = floor
        return ceiling if found[0] > self.high_bound else found

    # -- the device's grid ----------------------------------------------------------------------

    def step(self, value: float) -> int:
        """The number of the nearest step, halves upwards."""
        return math.floor(value / self.limits.resolution + 0.5)

    def on_grid(self, value: float, low: float, high: float) -> float:
        """The nearest step between low and high; where there is none the one below high."""
        size = self.limits.resolution
        value = min(max(value, self.limits.low), self.limits.high)
        lowest, highest = math.ceil(low / size - SLACK), math.floor(high / size + SLACK)
        return min(max(self.step(value), lowest), highest) * size

    def resolved(self, value: float) -> float:
        """On the grid and in range; a bound that is kept is not left by rounding."""
        low, high = self.limits.low, self.limits.high
        if value >= self.low_bound:
            low = max(low, self.low_bound)
        if value <= self.high_bound:
            high = min(high, self.high_bound)
        return self.on_grid(value, low, high)

    def differs(self, value: float, other: float) -> bool:
        """By more than half a step."""
        return abs(value - other) > 0.5 * self.limits.resolution


def mean_until(output: Output, until_ns: int) -> float:
    """The mean of the 10 min before `until_ns`, of whole buckets; the open one began at the end of
    the newest. Without any it is what was released last."""
    begun_ns = output.bucket_end_ns - BUCKET_NS
    kept = output.buckets[-BUCKETS_KEPT:]
    later = max(0, -((until_ns - begun_ns) // BUCKET_NS))  # buckets that end after it
    found = kept[::-1][later : later + BUCKETS_10_MIN]
    total = 0.0
    for each in found:
        total += each
    return total / len(found) if found else output.released


def put(unit: Any, index: int, value: float, cause: int, safe: int) -> None:
    """A value leaves: a new sequence number, and a row of the history."""
    output = unit.outputs[index]
    output.released, output.released_ns = value, unit.now
    output.by_cause, output.safe = cause, safe
    output.sequence += 1
    unit.history.append((index, cause, value))


def release(unit: Any, index: int) -> None:
    """What leaves for one output in this scan."""
    output = unit.outputs[index]
    limits, shown = output.limits, unit.signals[output.limits.signal]
    if limits.loop < 0 or unit.modes[limits.loop] == OFF:
        output.wanted = output.request
    if output.adopting and not adopted(unit, index):
        return
    want = output.released if output.locked else output.wanted
    value, cause = output.decided(want if math.isfinite(want) else limits.safe)
    kept, kept_by = output.decided(output.released)
    goal = output.resolved(value)
    if output.reassert:
        # An effect that began is written though the value may be there already.
        output.reassert = 0
        if cause < 0:
            goal, cause = output.resolved(kept), kept_by
        put(unit, index, goal, cause, 1)
    elif output.differs(goal, output.released):
        if cause >= 0 or output.differs(kept, output.released):
            put(unit, index, goal, cause, 1)
        elif unit.now - output.released_ns >= limits.interval_ns:
            put(unit, index, modulated(output, goal, unit.now), -1, 0)
    shown.value = output.released
    average(output, unit.now)


def modulated(output: Output, goal: float, now_ns: int) -> float:
    """As far towards its goal as the output's rate allows, one step at least."""
    limits = output.limits
    if limits.rate_max <= 0.0:
        return goal
    reach = limits.rate_max * (now_ns - output.released_ns) * 1e-9
    reach = max(reach, limits.resolution)
    value = min(max(goal, output.released - reach), output.released + reach)
    return output.on_grid(value, limits.low, limits.high)


def adopted(unit: Any, index: int) -> bool:
    """Taken over at what a row forces, a command wants, or its device says, inside the bounds that
    stand; False: nothing yet."""
    output = unit.outputs[index]
    limits = output.limits
    found, shown = unit.signals[limits.readback], unit.signals[limits.signal]
    if output.forced:
        value = output.force
    elif math.isfinite(output.wanted):
        value = output.wanted
    elif found.quality == GOOD:
        value = found.value
    else:
        return False
    output.adopting = 0
    output.wanted = output.on_grid(value, limits.low, limits.high)
    unit.asked(output, output.wanted)
    shown.quality, shown.reason = GOOD, 0
    output.bucket_end_ns = unit.now + BUCKET_NS
    value, cause = output.decided(output.wanted)
    put(unit, index, output.resolved(value), cause, int(cause >= 0))
    return True


def average(output: Output, now_ns: int) -> None:
    """Keeps what was released as means of 30 s; the first scan is a bucket of its own."""
    output.bucket_sum += output.released
    output.bucket_n += 1.0
    if now_ns >= output.bucket_end_ns:
        output.buckets.append(output.bucket_sum / output.bucket_n)
        output.bucket_end_ns = now_ns + BUCKET_NS
        output.bucket_sum = output.bucket_n = 0.0

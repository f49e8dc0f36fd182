"""What the reference reads and holds: the Plan's rows as plain objects, signals, states of rows.

A sample is judged here as well: law 3, a value without quality and age is not a value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from controller.core.signal import Quality, Reason
from controller.profile.plan import (
    BadRule,
    CauseKind,
    CompareOp,
    EffectOp,
    Plan,
    SignalKind,
)

GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
STUCK = int(Reason.STUCK)
ABOVE, BELOW, IS_BAD = int(CompareOp.ABOVE), int(CompareOp.BELOW), int(CompareOp.IS_BAD)
TRIP, DEGRADE = int(BadRule.TRIP), int(BadRule.DEGRADE)
PLAUSIBILITY, PERMIT = int(CauseKind.PLAUSIBILITY), int(CauseKind.PERMIT)
PROTECT = int(CauseKind.PROTECT)
FORCE, AT_MOST, AT_LEAST = int(EffectOp.FORCE), int(EffectOp.AT_MOST), int(EffectOp.AT_LEAST)
MEAN, SIGNAL_BAD = int(EffectOp.MEAN), int(EffectOp.SIGNAL_BAD)
INPUT = int(SignalKind.INPUT)
NEVER = -1
NO, TRUE, BLIND = 0, 1, 2  # what a vote comes to; BLIND: reached only because signals are bad


def objects(table: Any) -> list[Any]:
    """A table's rows as objects with the table's fields."""
    names = table.dtype.names
    kind = type("PlanRow", (), {"__slots__": (*names, "number")})
    found = []
    for number, values in enumerate(table.tolist()):
        row = kind()
        for name, value in zip(names, values, strict=True):
            setattr(row, name, value)
        row.number = number
        found.append(row)
    return found


class Model:
    """A Plan to be read: its tables as lists, and what belongs to each cause."""

    def __init__(self, plan: Plan) -> None:
        self.signals, self.links = objects(plan.signals), objects(plan.links)
        self.conditions, self.causes = objects(plan.conditions), objects(plan.causes)
        self.effects, self.outputs = objects(plan.effects), objects(plan.outputs)
        self.loops = objects(plan.loops)
        self.unit = objects(plan.unit)[0]
        self.n_groups = max((cause.group for cause in self.causes), default=-1) + 1
        effects: list[list[Any]] = [
            self.effects[cause.first_effect : cause.first_effect + cause.n_effects]
            for cause in self.causes
        ]
        self.actuating = [[e for e in own if e.op != SIGNAL_BAD] for own in effects]
        self.spoiled = [[e.output for e in own if e.op == SIGNAL_BAD] for own in effects]


@dataclass(slots=True)
class Signal:
    """What is known of one signal."""

    sample_ns: int
    value: float = 0.0
    quality: int = BAD
    reason: int = int(Reason.NEVER_READ)
    suspect_ns: int = 0
    stuck: int = 0  # a plausibility took its quality


@dataclass(slots=True)
class Comparison:
    """What a condition's signal last said, and since when."""

    true: int = 0  # the comparison with its hysteresis
    counts: int = 0  # the same after on-delay and off-delay
    since_ns: int = 0
    last_ns: int = 0


@dataclass(slots=True)
class Row:
    """How a cause stands."""

    reached: int = NO
    true_since: int = NEVER
    blind_since: int = NEVER
    stands: int = 0
    stood_ns: int = 0
    latched: int = 0
    bypass_until: int = 0
    order: int = 0  # among all trips of the unit
    place: int = 0  # in its first-out group, 0 = first out
    asked: int = 0  # of the procedure what the row asks
    tripped_ns: int = 0
    invalid: int = 0
    resets: int = 0  # that were accepted

    @property
    def in_force(self) -> bool:
        """Its effects act."""
        return self.stands == 1 or self.latched == 1


@dataclass(slots=True)
class Wish:
    """How one effect stands: its proof is 0 awaited, 1 there, 2 missing."""

    on: int = 0
    since_ns: int = 0
    proof: int = 0
    second: int = 0
    mean: float = 0.0


@dataclass(slots=True)
class Group:
    """A first-out group."""

    standing: int = 0
    places: int = 0


def sense(unit: Any, samples: Any) -> None:
    """Takes samples (link, point, quality, reason, sample_ns, value), then ages what is there."""
    for sample in samples:
        take(unit, *sample)
    for link, fresh_ns in zip(unit.model.links, unit.fresh_ns, strict=True):
        age = unit.signals[link.age_signal]
        age.value, age.quality, age.reason = (unit.now - fresh_ns) * 1e-9, GOOD, 0
        age.sample_ns = unit.now
    if unit.model.unit.supervisor_signal >= 0:
        silent = unit.signals[unit.model.unit.supervisor_signal]
        silent.value, silent.sample_ns = max(unit.now - unit.beat_ns, 0) * 1e-9, unit.now
    for index, limits in enumerate(unit.model.signals):
        signal = unit.signals[index]
        old = unit.now - signal.sample_ns > limits.max_age_ns
        if limits.kind == INPUT and signal.quality != BAD and old:
            unit.set_quality(index, BAD, int(Reason.TOO_OLD))


def take(
    unit: Any, link: int, point: int, quality: int, reason: int, sample_ns: int, value: float
) -> None:
    """A sample is believed if it is finite, in range, young and no faster than the process; else it
    takes the quality away and never the value."""
    signal, limits = unit.signals[point], unit.model.signals[point]
    sample_ns = min(sample_ns, unit.now)  # none is from the future
    if reason not in (Reason.COMMUNICATION, Reason.DRIVER):
        unit.fresh_ns[link] = max(unit.fresh_ns[link], sample_ns)
    if quality != BAD:
        why = doubt(signal, limits, value, sample_ns, unit.now)
        if why:
            quality, reason = BAD, why
        elif signal.quality != BAD and sample_ns < signal.sample_ns:
            return  # yesterday's news
        else:
            signal.value, signal.sample_ns = value, sample_ns
            if not signal.stuck:
                signal.suspect_ns = sample_ns
    if signal.stuck:
        quality, reason = BAD, STUCK
    unit.set_quality(point, quality, reason)


def doubt(signal: Signal, limits: Any, value: float, sample_ns: int, now_ns: int) -> int:
    """Why a sample must not be believed; 0 = it may."""
    if now_ns - sample_ns > limits.max_age_ns:
        return int(Reason.TOO_OLD)
    if not math.isfinite(value):
        return int(Reason.NOT_FINITE)
    if not limits.low <= value <= limits.high:
        return int(Reason.OUT_OF_RANGE)
    newer_s = (sample_ns - signal.sample_ns) * 1e-9
    judged = limits.rate_max > 0.0 and signal.quality == GOOD and newer_s > 0.0
    too_fast = judged and abs(value - signal.value) > limits.rate_max * newer_s
    return int(Reason.TOO_FAST) if too_fast else 0

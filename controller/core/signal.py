"""A value is never alone: tag, unit, range, quality with its reason, sample time.

Law 3 of the house: a value without quality and age is not a value. The integers of `Quality` and
`Reason` are the ones the kernel's arrays hold, so they may be extended but never renumbered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum


class Quality(IntEnum):
    """How far a value may be trusted (OPC UA Part 8 severity order: higher is worse)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(IntEnum):
    """Why a quality is not good; the first reason found wins."""

    NONE = 0
    NEVER_READ = 1
    TOO_OLD = 2
    NOT_FINITE = 3
    OUT_OF_RANGE = 4
    TOO_FAST = 5
    DEVICE = 6
    COMMUNICATION = 7
    STUCK = 8
    OPERAND = 9
    SUBSTITUTED = 10
    DRIVER = 11

    @property
    def words(self) -> str:
        """The reason as an operator reads it."""
        return _WORDS[self]


_WORDS = {
    Reason.NONE: "good",
    Reason.NEVER_READ: "never read",
    Reason.TOO_OLD: "too old",
    Reason.NOT_FINITE: "not a finite number",
    Reason.OUT_OF_RANGE: "outside the sensor's range",
    Reason.TOO_FAST: "changed faster than the process can",
    Reason.DEVICE: "the device says it is not valid",
    Reason.COMMUNICATION: "no valid answer from the device",
    Reason.STUCK: "stuck: it does not move as a living process must",
    Reason.OPERAND: "computed from a value that is not good",
    Reason.SUBSTITUTED: "substituted by a declared fallback",
    Reason.DRIVER: "the driver failed and was restarted",
}


@dataclass(frozen=True, slots=True)
class Tag:
    """A named signal: canonical unit, physical range in that unit, and what it means."""

    name: str
    unit: str
    low: float
    high: float
    title: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"tag {self.name}: range {self.low}..{self.high} is not a range")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one tag as the image holds it: canonical unit, sampled at `sample_ns`."""

    value: float
    quality: Quality
    reason: Reason
    sample_ns: int

    def age_ns(self, now_ns: int) -> int:
        """Time since the device took the sample, on the monotonic clock, in ns."""
        return now_ns - self.sample_ns

    @property
    def good(self) -> bool:
        """True only for a finite value of good quality."""
        return self.quality is Quality.GOOD and math.isfinite(self.value)

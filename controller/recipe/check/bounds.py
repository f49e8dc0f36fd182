"""What a part of an expression can be worth: numbers between bounds, truths, texts.

Each may be unknown besides. Bounds are never too narrow: what is said to be impossible is. A value
that is never known has bounds with nothing between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

INFINITE = math.inf


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers from `low` to `high`, in the canonical unit; none when `low` is above `high`."""

    low: float = -INFINITE
    high: float = INFINITE
    unknown: bool = False

    @property
    def never(self) -> bool:
        """Whether it is never known."""
        return self.low > self.high

    @property
    def exact(self) -> bool:
        """Whether it is one number, always known."""
        return self.low == self.high and not self.unknown

    def joined(self, other: Span) -> Span:
        """What is in either."""
        return Span(
            min(self.low, other.low), max(self.high, other.high), self.unknown or other.unknown
        )

    def met(self, other: Span) -> Span:
        """What is in both."""
        return Span(
            max(self.low, other.low), min(self.high, other.high), self.unknown or other.unknown
        )

    def moved(self, factor: float) -> Span:
        """Every number times `factor`, which is above 0."""
        return Span(self.low * factor, self.high * factor, self.unknown)


NEVER = Span(INFINITE, -INFINITE, True)
ANY = Span(unknown=True)
AGE = Span(0.0, INFINITE, True)


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether a condition can be true, false, unknown."""

    true: bool = True
    false: bool = True
    unknown: bool = True


EITHER = Truth()


@dataclass(frozen=True, slots=True)
class Words:
    """The texts a value can be; None stands for any."""

    texts: frozenset[str] | None = None
    unknown: bool = False

    @property
    def never(self) -> bool:
        """Whether it is never known."""
        return self.texts is not None and not self.texts

    def joined(self, other: Words) -> Words:
        """What is in either."""
        both = None if self.texts is None or other.texts is None else self.texts | other.texts
        return Words(both, self.unknown or other.unknown)


SILENT = Words(frozenset(), True)
Worth = Span | Words


def add(a: Span, b: Span) -> Span:
    """Bounds of a sum."""
    return _made(a, b, lambda: (a.low + b.low, a.high + b.high))


def subtract(a: Span, b: Span) -> Span:
    """Bounds of a difference."""
    return _made(a, b, lambda: (a.low - b.high, a.high - b.low))


def multiply(a: Span, b: Span) -> Span:
    """Bounds of a product."""

    def corners() -> tuple[float, float]:
        found = [_product(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return min(found), max(found)

    return _made(a, b, corners)


def divide(a: Span, b: Span) -> Span:
    """Bounds of a quotient; by something that may be 0 it is anything, and may be unknown."""
    if not b.never and b.low <= 0 <= b.high:
        return NEVER if b.low == b.high == 0 or a.never else ANY

    def corners() -> tuple[float, float]:
        found = [_quotient(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return min(found), max(found)

    return _made(a, b, corners)


def least(a: Span, b: Span) -> Span:
    """Bounds of the smaller of two."""
    return _made(a, b, lambda: (min(a.low, b.low), min(a.high, b.high)))


def greatest(a: Span, b: Span) -> Span:
    """Bounds of the larger of two."""
    return _made(a, b, lambda: (max(a.low, b.low), max(a.high, b.high)))


def negative(a: Span) -> Span:
    """Bounds of what is opposite."""
    return a if a.never else Span(-a.high, -a.low, a.unknown)


def absolute(a: Span) -> Span:
    """Bounds without a sign."""
    if a.never:
        return a
    low = 0.0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
    return Span(low, max(abs(a.low), abs(a.high)), a.unknown)


def exponential(a: Span) -> Span:
    """Bounds of e to the power."""
    return a if a.never else Span(_exp(a.low), _exp(a.high), a.unknown or a.high > 700)


def logarithm(a: Span) -> Span:
    """Bounds of the natural logarithm; unknown where there is none."""
    if a.never or a.high <= 0:
        return NEVER
    low = math.log(a.low) if a.low > 0 else -INFINITE
    high = INFINITE if a.high == INFINITE else math.log(a.high)
    return Span(low, high, a.unknown or a.low <= 0)


def above(a: Span, b: Span, *, equal: bool) -> Truth:
    """Whether `a` is above `b`, or as high as it when `equal`."""
    if a.never or b.never:
        return Truth(False, False, True)
    can = a.high >= b.low if equal else a.high > b.low
    cannot = a.low < b.high if equal else a.low <= b.high
    return Truth(can, cannot, a.unknown or b.unknown)


def same(a: Span, b: Span) -> Truth:
    """Whether two counts are equal."""
    if a.never or b.never:
        return Truth(False, False, True)
    unknown = a.unknown or b.unknown
    alike = a.low == a.high == b.low == b.high
    return Truth(a.low <= b.high and b.low <= a.high, not alike, unknown)


def same_text(a: Words, b: Words) -> Truth:
    """Whether two texts are equal."""
    if a.never or b.never:
        return Truth(False, False, True)
    unknown = a.unknown or b.unknown
    if a.texts is None or b.texts is None:
        return Truth(True, True, unknown)
    alike = len(a.texts) == 1 and a.texts == b.texts
    return Truth(bool(a.texts & b.texts), not alike, unknown)


def every(parts: list[Truth]) -> Truth:
    """All of them (Kleene)."""
    return Truth(
        all(part.true for part in parts), any(part.false for part in parts),
        any(part.unknown for part in parts) and all(part.true or part.unknown for part in parts),
    )  # fmt: skip


def opposite(part: Truth) -> Truth:
    """The contrary."""
    return Truth(part.false, part.true, part.unknown)


def either(parts: list[Truth]) -> Truth:
    """Any of them (Kleene)."""
    return opposite(every([opposite(part) for part in parts]))


def _made(a: Span, b: Span, bounds: Callable[[], tuple[float, float]]) -> Span:
    if a.never or b.never:
        return NEVER
    low, high = bounds()
    low = -INFINITE if math.isnan(low) else low
    high = INFINITE if math.isnan(high) else high
    return Span(low, high, a.unknown or b.unknown)


def _product(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def _quotient(x: float, y: float) -> float:
    # Of two endless bounds the corners beside this one are 0 and endless already.
    return 0.0 if math.isinf(y) else x / y


def _exp(x: float) -> float:
    return INFINITE if x > 700 else math.exp(x)

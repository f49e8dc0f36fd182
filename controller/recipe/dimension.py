"""Dimensions of expressions: what may be added, compared and multiplied, and by which exact factor.

Values stay in cellwright's canonical units; a product of them (`VVD * L`) carries an exact scale to
coherent units, so that a factor appears only where a derived unit meets a named one (law 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

# Exponents of: metre, kilogram, second, kelvin, mole, cell, pH.
_Vector = tuple[int, int, int, int, int, int, int]
_NONE: _Vector = (0, 0, 0, 0, 0, 0, 0)
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Dimension:
    """What a value is: `kind` is number, truth or text.

    One unit of a number's value is `scale` coherent units. `point` marks a scale with an offset
    (degC): two points may be subtracted and compared, never multiplied.
    """

    kind: str
    exponents: _Vector = _NONE
    scale: Fraction = Fraction(1)
    point: bool = False

    @property
    def plain(self) -> bool:
        """True for a number without a unit or in %."""
        return self.kind == "number" and self.exponents == _NONE and not self.point

    @property
    def words(self) -> str:
        """The dimension as a person reads it."""
        if self.kind != "number":
            return {"truth": "a yes/no", "text": "a text"}[self.kind]
        for name, known in NAMED.items():
            if known == self:
                return f"a {name}"
        for name, known in NAMED.items():
            if known.exponents == self.exponents and known.point == self.point:
                return f"a {name}"
        return "a product of units that cellwright has no name for"

    def times(self, other: Dimension, power: int = 1) -> Dimension:
        """The dimension of a product (`power` 1) or a quotient (`power` -1)."""
        parts = [a + power * b for a, b in zip(self.exponents, other.exponents, strict=True)]
        vector: _Vector = (parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6])
        return Dimension("number", vector, self.scale * other.scale**power)

    def factor_from(self, other: Dimension) -> float | None:
        """What a value of `other` is multiplied with to be of this dimension; None if it is not.

        A % and a plain number do not mix: `AT102 > 30` must say `30 %`.
        """
        same = (self.kind, self.exponents, self.point) == (other.kind, other.exponents, other.point)
        if not same or (self.plain and self.scale != other.scale):
            return None
        return float(other.scale / self.scale)


def _number(*exponents: int, scale: Fraction | int = 1, point: bool = False) -> Dimension:
    padded = (*exponents, *(0,) * (7 - len(exponents)))
    vector: _Vector = (
        padded[0], padded[1], padded[2], padded[3], padded[4], padded[5], padded[6],
    )  # fmt: skip
    return Dimension("number", vector, Fraction(scale), point)


TRUTH = Dimension("truth")
TEXT = Dimension("text")
PLAIN = _number()
# Every dimension of `core.quantity.CANONICAL`, with the scale of its canonical unit.
NAMED: dict[str, Dimension] = {
    "count": PLAIN,
    "ratio": PLAIN,
    "fraction": _number(scale=Fraction(1, 100)),
    "temperature": _number(0, 0, 0, 1, point=True),
    "temperature_difference": _number(0, 0, 0, 1),
    "pressure": _number(-1, 1, -2, scale=1000),
    "flow": _number(3, 0, -1, scale=Fraction(1, 60_000_000)),
    "volume": _number(3, scale=Fraction(1, 1000)),
    "mass": _number(0, 1, scale=Fraction(1, 1000)),
    "mass_flow": _number(0, 1, -1, scale=Fraction(1, 60_000)),
    "ph": _number(0, 0, 0, 0, 0, 0, 1),
    "speed": _number(0, 0, -1, scale=Fraction(1, 60)),
    "time": _number(0, 0, 1),
    "concentration": _number(-3, 0, 0, 0, 1),
    "cell_density": _number(-3, 0, 0, 0, 0, 1, scale=10**12),
    "perfusion": _number(0, 0, -1, scale=Fraction(1, _DAY_S)),
    "cell_perfusion": _number(3, 0, -1, 0, 0, -1, scale=Fraction(1, 10**15 * _DAY_S)),
    "power": _number(2, 1, -3),
    "cells": _number(0, 0, 0, 0, 0, 1, scale=10**6),
    "truth": TRUTH,
    "text": TEXT,
}

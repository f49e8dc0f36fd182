"""Numbers and small words of the solver: exact constants, minimum, rounding as the gate rounds.

Constants are the shortest decimals of the plan's floats, so a limit of 38.3 is 38.3 here. The
kernel counts in floats: where the two could differ is half a step of the last place.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import z3

Term = Any  # the solver's own expressions: it ships no types
SLACK = Fraction(1, 1_000_000)  # gate.SLACK


def real(value: float) -> Term:
    """A float as the decimal it is written as."""
    return _decimal(repr(float(value)))


@lru_cache(maxsize=4096)
def _decimal(text: str) -> Term:
    return z3.RealVal(Fraction(text))


def all_of(parts: list[Term]) -> Term:
    """And, of none True."""
    return z3.And(*parts) if parts else z3.BoolVal(True)


def any_of(parts: list[Term]) -> Term:
    """Or, of none False."""
    return z3.Or(*parts) if parts else z3.BoolVal(False)


def lower(a: Term, b: Term) -> Term:
    """The lower of two."""
    return z3.If(b < a, b, a)


def higher(a: Term, b: Term) -> Term:
    """The higher of two."""
    return z3.If(b > a, b, a)


def clipped(value: Term, low: Term, high: Term) -> Term:
    """`value` inside `low..high`, as min(max()) does it."""
    return lower(higher(value, low), high)


def quantised(value: Term, resolution: float) -> Term:
    """The nearest value the device resolves (gate.quantised)."""
    step = real(resolution)
    return z3.ToReal(z3.ToInt(value / step + z3.Q(1, 2))) * step


def on_grid(value: Term, low: Term, high: Term, resolution: float) -> Term:
    """The nearest resolved value inside `low..high`; the lower one if there is none (gate)."""
    step, slack = real(resolution), z3.RealVal(SLACK)
    found = quantised(value, resolution)
    up = -z3.ToReal(z3.ToInt(-(low / step - slack))) * step
    found = z3.If(found < low - slack * step, up, found)
    down = z3.ToReal(z3.ToInt(high / step + slack)) * step
    return z3.If(found > high + slack * step, down, found)


def distance(a: Term, b: Term) -> Term:
    """|a - b|."""
    return z3.If(a >= b, a - b, b - a)


def value_of(model: Any, term: Term) -> float | int | bool:
    """What a model says of a term."""
    found = model.eval(term, model_completion=True)
    if z3.is_bool(found):
        return bool(z3.is_true(found))
    if z3.is_int_value(found):
        return int(found.as_long())
    if z3.is_rational_value(found):
        return float(Fraction(found.numerator_as_long(), found.denominator_as_long()))
    return float(Fraction(found.approx(20).as_fraction()))

"""Text with a unit becomes a canonical number, once, at the edge.

One canonical unit per dimension inside (law 8). Conversion is done in decimal arithmetic, so no
limit moves by a rounding: `30 mbar` is exactly the float 3.0 kPa and `12 mL/h` exactly 0.2 mL/min.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import pint

from controller.core.errors import nearest

# dimension -> canonical unit. Offsets are only allowed for "temperature".
CANONICAL: dict[str, str] = {
    "temperature": "degC",
    "temperature_difference": "K",
    "pressure": "kPa",
    "flow": "mL/min",
    "volume": "L",
    "mass": "g",
    "fraction": "%",
    "ph": "pH",
    "speed": "rpm",
    "time": "s",
    "concentration": "mM",
    "cell_density": "1e6/mL",
    "perfusion": "VVD",
    "cell_perfusion": "pL/cell/d",
    "count": "1",
    "ratio": "1",
    "power": "W",
    "cells": "1e6",
    "mass_flow": "g/min",
}
_NUMBER = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
# Units pint does not know, or knows as something else, as exact factors to the canonical unit.
_OWN: dict[str, tuple[str, Decimal]] = {
    "%": ("fraction", Decimal(1)),
    "pH": ("ph", Decimal(1)),
    "rpm": ("speed", Decimal(1)),
    "VVD": ("perfusion", Decimal(1)),
    "pL/cell/d": ("cell_perfusion", Decimal(1)),
    "1e6/mL": ("cell_density", Decimal(1)),
    "cells/mL": ("cell_density", Decimal("1e-6")),
    "/mL": ("cell_density", Decimal("1e-6")),
    "1e6": ("cells", Decimal(1)),
    "cells": ("cells", Decimal("1e-6")),
    "degC": ("temperature", Decimal(1)),
    "K": ("temperature_difference", Decimal(1)),
    "mM": ("concentration", Decimal(1)),
    "g/min": ("mass_flow", Decimal(1)),
    "": ("count", Decimal(1)),
    "1": ("count", Decimal(1)),
}
_PINT_DIMENSION = {
    "pressure": "kPa",
    "flow": "mL/min",
    "volume": "L",
    "mass": "g",
    "time": "s",
    "power": "W",
}
_MAX_TEXT = 64
# Our spelling where it is not UCUM's (case-sensitive codes, https://ucum.org/ucum, tables 1 to 10;
# annotations in braces have no meaning of their own, section 12). [pH] is on the pH scale, Cel has
# an offset: both are special units (sections 21, 22) and are never scaled.
UCUM: dict[str, str] = {
    "": "1",
    "1": "1",
    "1e6": "10*6",
    "1e6/mL": "10*6/mL",
    "/mL": "/mL",
    "cells": "{cells}",
    "cells/mL": "{cells}/mL",
    "%": "%",
    "degC": "Cel",
    "pH": "[pH]",
    "mM": "mmol/L",
    "rpm": "{rev}/min",
    "VVD": "{vessel}/d",
    "pL/cell/d": "pL/{cell}/d",
}
_UCUM_SAME = frozenset((
    "L", "mL", "uL", "pL", "kg", "g", "mg", "s", "ms", "min", "h", "d", "K", "kPa", "Pa", "bar",
    "mbar", "mmol", "W", "kW",
))  # fmt: skip


@lru_cache(maxsize=1)
def _registry() -> Any:
    return pint.UnitRegistry(non_int_type=Decimal, cache_folder=None)


@lru_cache(maxsize=512)
def unit_factor(unit: str) -> tuple[str, Decimal]:
    """The dimension of a unit and its exact factor to that dimension's canonical unit.

    Raises ValueError for an unknown unit or one of a dimension we do not use.
    """
    if unit in _OWN:
        return _OWN[unit]
    registry = _registry()
    try:
        parsed = registry.Quantity(Decimal(1), registry.parse_units(unit))
    except Exception as error:  # pint raises many kinds, all of them "not a unit"
        hint = nearest(unit, [*_OWN, *CANONICAL.values(), "min", "h", "d", "mbar", "mL/h"])
        raise ValueError(f"unknown unit {unit!r}. {hint}") from error
    for dimension, canonical in _PINT_DIMENSION.items():
        if parsed.is_compatible_with(canonical):
            return dimension, Decimal(parsed.to(canonical).magnitude)
    raise ValueError(f"unit {unit!r} has a dimension cellwright does not use")


def ucum(unit: str) -> str:
    """The UCUM code (case-sensitive, https://ucum.org/ucum) of a unit as profiles spell it.

    Raises ValueError for a unit that has none here.
    """
    if unit in UCUM:
        return UCUM[unit]
    if not set(unit.split("/")) <= _UCUM_SAME:
        raise ValueError(f"no UCUM code is known for the unit {unit!r}")
    return unit


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[float, str]:
    """`"30 mbar"` -> `(3.0, "pressure")`: the canonical value and its dimension.

    Raises ValueError for text that is not a number with a known unit.
    """
    match = _NUMBER.match(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise ValueError(f"{text[:_MAX_TEXT]!r} is not a number with a unit")
    dimension, factor = unit_factor(match[2])
    try:
        number = Decimal(match[1])
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is not a number with a unit") from error
    if number.adjusted() > 30:
        raise ValueError(f"{text!r} is beyond any physical quantity")
    return float(number * factor), dimension


def canonical(text: str | float | int, dimension: str) -> float:
    """The canonical value of `text`, which must be of `dimension`.

    A bare number is taken only for `count`. A K may stand where a temperature difference is meant,
    never a degC. Raises ValueError with the expected unit when the dimension is wrong.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text} is not a quantity")
    value, found = parse(str(text))
    if found == "count" and dimension == "ratio":
        return value
    if found != dimension:
        raise ValueError(
            f"{text!r} is a {found}, a {dimension} is needed here, e.g. in {CANONICAL[dimension]}"
        )
    return value


def decimal_text(value: float, digits: int = 6) -> str:
    """A float as the record holds it: a decimal string, at most `digits` significant digits.

    Raises ValueError for a value that is not finite: the record never holds one.
    """
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("a value that is not finite cannot be recorded as a number")
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = format(Decimal(text), "f")
    return "0" if text in ("-0", "0") else text

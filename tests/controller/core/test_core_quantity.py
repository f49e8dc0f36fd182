"""Text with a unit becomes one canonical number, and no limit moves by a rounding."""

from __future__ import annotations

import contextlib
import math
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.core import quantity
from controller.core.quantity import (
    CANONICAL,
    canonical,
    decimal_text,
    parse,
    ucum,
    unit_factor,
)
from equipment_profiles import DEVICES, UNITS
from recipes import RECIPES

# Unit -> exact factor to canonical, from the definitions of SI, not from the code.
EXACT = {
    "mbar": ("pressure", Fraction(1, 10)), "kPa": ("pressure", Fraction(1)),
    "Pa": ("pressure", Fraction(1, 1000)), "bar": ("pressure", Fraction(100)),
    "mL/h": ("flow", Fraction(1, 60)), "L/h": ("flow", Fraction(1000, 60)),
    "mL": ("volume", Fraction(1, 1000)), "kg": ("mass", Fraction(1000)),
    "min": ("time", Fraction(60)), "h": ("time", Fraction(3600)), "d": ("time", Fraction(86_400)),
    "ms": ("time", Fraction(1, 1000)), "cells/mL": ("cell_density", Fraction(1, 1_000_000)),
    "kW": ("power", Fraction(1000)), "%": ("fraction", Fraction(1)),
}  # fmt: skip


@given(st.sampled_from(sorted(EXACT)), st.decimals(-10**6, 10**6, places=6))
def test_a_converted_quantity_is_the_float_nearest_to_the_exact_product(unit, number):
    dimension, factor = EXACT[unit]
    value, found = parse(f"{number} {unit}")
    assert found == dimension
    exact = float(Fraction(number) * factor)
    assert value == exact or math.isclose(value, exact, rel_tol=2e-16)


@pytest.mark.parametrize(("text", "value"), [
    ("30 mbar", 3.0), ("12 mL/h", 0.2), ("38.5 degC", 38.5), ("0.5 s", 0.5), ("2.3 L", 2.3),
    ("900 mL", 0.9), ("1e3 g", 1000.0), ("-20 mbar", -2.0), (".5 %", 0.5),
])  # fmt: skip
def test_the_limits_of_the_unit_become_exactly_these_floats(text, value):
    assert parse(text)[0] == value


@pytest.mark.parametrize("text", [
    "", "degC", "3..5 s", "3,5 s", "nan s", "inf s", "0x10 s", "1e99 s", "3 furlongs_of_arc", "1 m",
    "1 s; 2 s", "9" * 65, "1 __import__('os')",
])  # fmt: skip
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_an_unknown_unit_is_answered_with_the_nearest_one():
    with pytest.raises(ValueError, match="'mbar'"):
        unit_factor("mbarr")


@pytest.mark.parametrize(("text", "dimension"), [
    ("37 degC", "temperature_difference"), ("1 K", "temperature"), ("5", "time"), ("5 s", "count"),
    (True, "count"),
])  # fmt: skip
def test_a_quantity_of_another_dimension_is_refused(text, dimension):
    with pytest.raises(ValueError, match=r".+"):
        canonical(text, dimension)


def test_a_bare_number_is_a_count_or_a_ratio():
    assert canonical(5, "count") == 5
    assert canonical("0.5", "ratio") == 0.5


@pytest.mark.parametrize("dimension", sorted(CANONICAL))
def test_every_canonical_unit_is_of_its_dimension_with_factor_one(dimension):
    found, factor = unit_factor(CANONICAL[dimension])
    assert found == ("count" if dimension == "ratio" else dimension)
    assert factor == Decimal(1)


@given(st.floats(-1e15, 1e15))
def test_a_recorded_number_is_plain_decimal_text_of_six_significant_digits(value):
    text = decimal_text(value)
    assert set(text) <= set("-0123456789.")
    assert math.isclose(float(text), value, rel_tol=5e-6, abs_tol=1e-300)
    assert text != "-0"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_never_recorded(value):
    with pytest.raises(ValueError, match="finite"):
        decimal_text(value)


# -- UCUM -----------------------------------------------------------------------------------------

# Terminal symbols of https://ucum.org/ucum (case-sensitive): metric ones take a prefix, the others
# do not. Only those met here.
METRIC = ("L", "g", "s", "K", "Cel", "Pa", "bar", "mol", "W")
OTHERS = ("min", "h", "d", "%", "[pH]", "10*", "10*6")
PREFIXES = ("", "k", "m", "u", "n", "p")


def is_code(text: str) -> bool:
    """Whether a text is a UCUM term of atoms and quotients (grammar of section 8)."""
    atoms = {prefix + unit for prefix in PREFIXES for unit in METRIC} | set(OTHERS)
    parts = text.removeprefix("/").split("/")
    return text == "1" or all(
        part in atoms or (part[:1] + part[-1:] == "{}" and part[1:-1].isalpha()) for part in parts
    )


def texts(value: object) -> list[str]:
    """Every scalar of a document, as text."""
    if isinstance(value, dict):
        return [text for part in [*value, *value.values()] for text in texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in texts(part)]
    return [str(value)]


def units_shipped() -> set[str]:
    """Every unit in the shipped profiles and recipes: of quantities, and under `unit:`."""
    found = set()
    for folder in (DEVICES, UNITS, RECIPES):
        for file in sorted(folder.glob("*.yaml")):
            content = file.read_text("utf-8")
            found |= {
                part.strip("'\"")
                for part in re.findall(r"\bunit: *([^,}\s]+)", content)
                if file.parent != RECIPES and part != "perfusion_2l"
            }
            for text in texts(yaml.safe_load(content)):
                for part in re.findall(r"(?:^|[\s(])[-+]?\d[\d.e]* ([A-Za-z%][\w%/]*)", text):
                    with contextlib.suppress(ValueError):
                        unit_factor(part)
                        found.add(part)
    return found - {"a"}  # the article in a sentence, to pint a year


def test_every_unit_in_the_shipped_profiles_and_recipes_has_a_ucum_code():
    shipped = units_shipped()
    assert shipped >= {"%", "mbar", "mL/min", "degC", "pH", "rpm", "VVD", "pL/cell/d", "mM"}
    codes = {unit: ucum(unit) for unit in shipped | set(CANONICAL.values())}
    assert [unit for unit, code in codes.items() if not is_code(code)] == []


@pytest.mark.parametrize(("unit", "code"), [
    ("degC", "Cel"), ("%", "%"), ("pH", "[pH]"), ("1e6/mL", "10*6/mL"), ("mM", "mmol/L"),
    ("mL/min", "mL/min"), ("mbar", "mbar"), ("/mL", "/mL"), ("", "1"), ("rpm", "{rev}/min"),
])  # fmt: skip
def test_units_are_spelled_as_ucum_has_them(unit, code):
    assert ucum(unit) == code


@pytest.mark.parametrize("unit", ["psi", "degF", "ML", "mL/", "ml/min", "L.min", "mL//min"])
def test_a_unit_without_a_ucum_code_is_no_unit_of_the_record(unit):
    with pytest.raises(ValueError, match="no UCUM code"):
        ucum(unit)


def test_the_table_of_the_format_is_that_of_the_program():
    text = (Path(quantity.__file__).parents[1] / "record" / "FORMAT.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \|", text.partition("**Units.**")[2], re.M)
    other = {unit: code for unit, code in quantity.UCUM.items() if unit not in ("", code)}
    assert dict(rows) == other

"""The expression language: units, quality, errors."""

from __future__ import annotations

import math
import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name, compile_expression, constant_value
from controller.recipe.operators import ExpressionError, Value

NAMES = {
    "TT101": Name("tag", NAMED["temperature"]),
    "VOL": Name("tag", NAMED["volume"]),
    "DO": Name("tag", NAMED["fraction"]),
    "ZSC": Name("tag", NAMED["count"]),
    "vcd": Name("variable", NAMED["cell_density"]),
    "growth": Name("variable", NAMED["ratio"]),
    "choice": Name("variable", NAMED["text"]),
    "rate": Name("constant", NAMED["flow"], 25.0),
}


class Table:
    """An environment from a table; what is missing is unknown."""

    def __init__(self, held: tuple[bool, ...] = (), **values: float | str) -> None:
        self._values, self._held = values, held

    def tag(self, name: str) -> float | None:
        value = self._values.get(name)
        return None if isinstance(value, str) else value

    def variable(self, name: str) -> float | str | None:
        return self._values.get(name)

    def age(self, name: str) -> float | None:
        value = self._values.get(f"age_{name}")
        return None if isinstance(value, str) else value

    def held(self, part: int) -> bool:
        return self._held[part]


def value(text: str, dimension: str | None = None, **values: float | str) -> Value:
    return compile_expression(text, NAMES, dimension).evaluate(Table((), **values))


@pytest.mark.parametrize(
    ("text", "dimension", "wanted"),
    [
        ("2 VVD * VOL", "flow", 4000 / 1440),
        ("VOL * min(2 VVD, 80 pL/cell/d * vcd)", "flow", 3200 / 1440),
        ("vcd * VOL", "cells", 40_000.0),
        ("TT101 - 36.5 degC", "temperature_difference", 0.5),
        ("TT101 + 1 K", "temperature", 38.0),
        ("30 mbar", "pressure", 3.0),
        ("DO * VOL", "volume", 0.8),
        ("vcd * exp(log(growth) * age(vcd) / 24 h)", "cell_density", 40.0),
        ("1 h + 30 min", "time", 5400.0),
        ("-2 * 3", "count", -6.0),
        ("2e3 + 1E-1", "count", 2000.1),
        ("max(1, growth, 0.5)", "ratio", 2.0),
        ("abs(TT101 - 38 degC)", "temperature_difference", 1.0),
        ("1.5e6 /mL", "cell_density", 1.5),
        ("10.4 1e6/mL", "cell_density", 10.4),
    ],
)
def test_units_are_carried_exactly_to_the_canonical_one(
    text: str, dimension: str, wanted: float
) -> None:
    found = value(text, dimension, VOL=2.0, vcd=20.0, TT101=37.0, DO=40.0, growth=2.0,
                  age_vcd=86_400.0)  # fmt: skip
    assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("DO > 30", "write the unit"),
        ("TT101 > 3 kPa", "do not fit"),
        ("TT101 * 2", "cannot be used with"),
        ("TT101 + 1 degC", "cannot be added"),
        ("VOL + 1 g", "do not fit"),
        ("vcd == 3 /mL", "compares counts"),
        ("VLO > 1 L", "Did you mean 'VOL'"),
        ("VOL > 1 Lx", "unknown unit"),
        ("sin(growth)", "unknown function"),
        ("VOL and ZSC == 1", "joins conditions"),
        ("exp(VOL)", "takes a ratio"),
        ("held(held(ZSC == 1, 1 min), 1 min)", "not nested"),
        ("held(ZSC == 1, growth)", "is needed here"),
        (" and ".join(["held(ZSC == 1, 1 min)"] * 9), "an expression may have 8"),
        ("age(VOL)", "one variable"),
        ("VOL >", "cannot be read from its character"),
        ("VOL > 1 L extra", "cannot be read"),
        ("__import__('os')", "cannot be read"),
        ("(" * 40 + "1" + ")" * 40 + " > -" + "-" * 40 + "1", "nested deeper"),
        ("1 + " * 200 + "1", "longer than"),
        ("1e999 > 2", "finite"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=says.replace("(", r"\(").replace(")", r"\)")):
        compile_expression(text, NAMES)


def test_a_result_of_another_dimension_is_refused() -> None:
    with pytest.raises(ExpressionError, match="a flow is needed here"):
        compile_expression("VOL", NAMES, "flow")


def test_an_unknown_input_makes_an_unknown_result() -> None:
    for text in ("VOL > 1 L", "VOL + 1 L", "not VOL > 1 L", "min(VOL, 1 L)", "age(vcd) > 1 h"):
        assert value(text) is None, text


def test_only_a_part_that_decides_alone_decides_without_the_unknown_one() -> None:
    assert value("VOL > 1 L and ZSC == 1", ZSC=0.0) is False
    assert value("VOL > 1 L and ZSC == 1", ZSC=1.0) is None
    assert value("VOL > 1 L or ZSC == 1", ZSC=1.0) is True
    assert value("VOL > 1 L or ZSC == 1", ZSC=0.0) is None
    assert value("known(VOL) or ZSC == 1", ZSC=0.0) is False


def test_a_division_by_zero_is_unknown_and_not_a_number() -> None:
    assert value("growth / ZSC", growth=1.0, ZSC=0.0) is None
    assert value("log(growth)", growth=0.0) is None
    assert value("exp(growth * 1000)", growth=9.0) is None


def test_a_range_takes_its_unit_from_the_upper_bound() -> None:
    assert value("TT101 within 36.8..37.2 degC", TT101=37.2) is True
    assert value("TT101 within 36.8..37.2 degC", TT101=37.21) is False
    assert value("VOL within 100 mL..2 L", VOL=0.05) is False


def test_texts_compare_with_texts() -> None:
    assert value('choice == "retest"', choice="retest") is True
    assert value('choice == "retest"') is None


def test_held_needs_its_condition_for_the_time_and_numbers_its_parts() -> None:
    expression = compile_expression(
        "vcd > 1.5e6 /mL and held(TT101 within 36.8..37.2 degC, 10 min)", NAMES, "truth"
    )
    assert [part.duration_ns for part in expression.held] == [600_000_000_000]
    assert expression.evaluate(Table((False,), vcd=2.0, TT101=37.0)) is False
    assert expression.evaluate(Table((True,), vcd=2.0, TT101=37.0)) is True


def test_a_constant_is_known_at_load_and_a_measurement_is_not() -> None:
    assert constant_value("2 * rate", NAMES, "flow") == 50.0
    with pytest.raises(ExpressionError, match="known before the batch"):
        constant_value("VOL", NAMES, "volume")


_NUMBERS = st.decimals(min_value="0.001", max_value="1000", places=3, allow_nan=False)
_TREES = st.recursive(
    _NUMBERS.map(lambda number: (str(number), float(number))),
    lambda parts: st.tuples(parts, st.sampled_from("+-*/"), parts).map(
        lambda t: (f"({t[0][0]} {t[1]} {t[2][0]})", _apply(t[1], t[0][1], t[2][1]))
    ),
    max_leaves=12,
)
_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def _apply(sign: str, left: float, right: float) -> float:
    try:
        return float(_OPERATORS[sign](left, right))
    except (ZeroDivisionError, OverflowError):
        return math.nan


@settings(max_examples=100, deadline=None)
@given(_TREES)
def test_arithmetic_is_that_of_python(tree: tuple[str, float]) -> None:
    text, wanted = tree
    if len(text) > 400:
        return
    found = compile_expression(text, {}).evaluate(Table())
    if not math.isfinite(wanted):
        assert found is None
    else:
        assert found == wanted


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='VOLTdegC0123456789.+-*/()<>=, andorwithheld"%\n', max_size=60))
def test_any_text_is_an_expression_or_refused_as_one(text: str) -> None:
    try:
        compile_expression(text, NAMES)
    except ExpressionError as error:
        message = str(error)
    else:
        message = "an expression"
    assert message

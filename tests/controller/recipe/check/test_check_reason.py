"""What the check says of an expression holds for what the engine makes of it, for any values."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.recipe.check import questions, reason
from controller.recipe.check.bounds import Span, Truth, Words
from controller.recipe.check.reason import Scope
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name, compile_expression
from controller.recipe.operators import Value

# name -> dimension; two of each, so that terms of one dimension can be joined.
TAGS = {"A": "ratio", "B": "ratio", "F": "flow", "G": "flow", "V": "volume", "W": "volume",
        "T": "temperature", "U": "temperature"}  # fmt: skip
VARIABLES = {"m": "ratio", "s": "time", "word": "text"}
NAMES = {name: Name("tag", NAMED[kind]) for name, kind in TAGS.items()} | {
    name: Name("variable", NAMED[kind]) for name, kind in VARIABLES.items()
}
UNITS = {"ratio": "", "flow": " mL/min", "volume": " L", "time": " min", "temperature": " degC"}
NUMBERS = st.integers(-20, 20).map(lambda n: n / 4)


@dataclass
class World:
    """Values of an instant; None is unknown."""

    values: dict[str, float | str | None]
    ages: dict[str, float | None]
    holds: bool = False

    def tag(self, name: str) -> float | None:
        value = self.values[name]
        assert not isinstance(value, str)
        return value

    def variable(self, name: str) -> float | str | None:
        return self.values[name]

    def age(self, name: str) -> float | None:
        return self.ages[name]

    def held(self, part: int) -> bool:
        return self.holds


def _leaf(kind: str) -> st.SearchStrategy[str]:
    names = [name for name, found in {**TAGS, **VARIABLES}.items() if found == kind]
    written = st.integers(0, 20).map(lambda n: f"{n / 4}{UNITS[kind]}")
    options = [st.sampled_from(names), written]
    if kind == "time":
        options.append(st.sampled_from(["age(m)", "age(s)"]))
    return st.one_of(options)


@st.composite
def numbers(draw: st.DrawFn, kind: str, depth: int = 2) -> str:
    """A term of one dimension."""
    if depth == 0 or draw(st.booleans()):
        return draw(_leaf(kind))
    one, two = draw(numbers(kind, depth - 1)), draw(numbers(kind, depth - 1))
    plain = draw(numbers("ratio", depth - 1))
    shapes = [f"min({one}, {two})", f"max({one}, {two})"]
    if kind == "temperature":
        shapes.append(f"({one} + ({two} - {one}))")
    else:
        shapes += [f"({one} + {two})", f"({one} - {two})", f"({one} * {plain})", f"abs({one})",
                   f"({one} / {plain})", f"(-{one})"]  # fmt: skip
    if kind == "ratio":
        shapes += [f"exp({one})", f"log({one})", f"({draw(numbers('flow', 0))} / 3 mL/min)"]
    if kind == "volume":
        shapes.append(f"({draw(numbers('flow', depth - 1))} * {draw(numbers('time', depth - 1))})")
    return draw(st.sampled_from(shapes))


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    """A condition."""
    if depth and draw(st.booleans()):
        one, two = draw(conditions(depth - 1)), draw(conditions(depth - 1))
        return draw(st.sampled_from([f"({one} and {two})", f"({one} or {two})", f"not ({one})"]))
    if draw(st.integers(0, 9)) == 0:
        return f'word {draw(st.sampled_from(["==", "!="]))} "{draw(st.sampled_from("xy"))}"'
    if draw(st.integers(0, 9)) == 0:
        return f"known({draw(st.sampled_from(sorted(NAMES)))})"
    kind = draw(st.sampled_from(sorted(UNITS)))
    one, two, three = (draw(numbers(kind, 1)) for _ in range(3))
    sign = draw(st.sampled_from([">", "<", ">=", "<=", *(["==", "!="] if kind == "ratio" else [])]))
    return draw(st.sampled_from([f"{one} {sign} {two}", f"{one} within {two}..{three}"]))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Scope, World]:
    """Bounds of every name, and values within them; what may be unknown sometimes is."""
    tags: dict[str, Span] = {}
    variables: dict[str, Span | Words] = {}
    values: dict[str, float | str | None] = {}
    ages: dict[str, float | None] = {}
    known = draw(st.frozensets(st.sampled_from(sorted(VARIABLES))))
    for name in (*TAGS, *VARIABLES):
        if name == "word":
            texts = draw(st.frozensets(st.sampled_from("xyz"), min_size=1))
            variables[name], value = Words(texts), draw(st.sampled_from(sorted(texts)))
        else:
            low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
            span = Span(low, high, name in TAGS)
            (tags if name in TAGS else variables)[name] = span  # type: ignore[index]
            value = draw(st.sampled_from([low, high, (low + high) / 2]))
        unknown = name not in known and draw(st.integers(0, 3)) == 0
        values[name] = None if unknown else value
        ages[name] = None if unknown else 60.0 + draw(st.integers(0, 300))
    dimensions = {name: found.dimension for name, found in NAMES.items()}
    scope = Scope(dimensions, tags, variables, known=known, maybe=frozenset(VARIABLES),
                  ages=dict.fromkeys(VARIABLES, 60.0))  # fmt: skip
    return scope, World(values, ages)


def agrees(found: Truth, value: Value) -> bool:
    """Whether what came was called possible."""
    return {True: found.true, False: found.false, None: found.unknown}[value]  # type: ignore[index]


@settings(max_examples=100)
@given(conditions(), worlds())
def test_no_condition_becomes_what_the_check_calls_impossible(
    text: str, world: tuple[Scope, World]
) -> None:
    scope, now = world
    expression = compile_expression(text, NAMES, "truth")
    assert agrees(reason.truth(expression, scope), expression.evaluate(now))


@settings(max_examples=100)
@given(st.sampled_from(sorted(UNITS)).flatmap(lambda kind: st.tuples(st.just(kind), numbers(kind))),
       worlds())  # fmt: skip
def test_no_value_is_outside_its_bounds(term: tuple[str, str], world: tuple[Scope, World]) -> None:
    kind, text = term
    scope, now = world
    expression = compile_expression(text, NAMES, kind)
    found, value = reason.worth(expression, scope), expression.evaluate(now)
    assert isinstance(found, Span)
    if value is None:
        assert found.unknown
    else:
        assert isinstance(value, float)
        slack = 1e-9 * max(1.0, abs(value))
        assert found.low - slack <= value <= found.high + slack
        assert not math.isnan(found.low)


@settings(max_examples=100)
@given(conditions(), worlds())
def test_ages_a_condition_needs_are_reached_when_it_is_true(
    text: str, world: tuple[Scope, World]
) -> None:
    scope, now = world
    expression = compile_expression(text, NAMES, "truth")
    needed = reason.ages_needed(expression, scope)
    if expression.evaluate(now) is True:
        assert all((now.ages[name] or 0.0) >= age - 1e-9 or now.ages[name] is None
                   for name, age in needed.items())  # fmt: skip


SCOPE = Scope(
    {name: found.dimension for name, found in NAMES.items()},
    {"T": Span(0, 100, True), "U": Span(0, 100, True), "V": Span(0, 3, True),
     "W": Span(0, 3, True), "A": Span(0, 1, True), "B": Span(0, 1, True),
     "F": Span(0, 60, True), "G": Span(0, 60, True)},
    {"m": Span(0, 1), "s": Span(0, 600), "word": Words(frozenset({"x", "y"}))},
    known=frozenset({"m"}), ages={"m": 3600.0},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "true", "false"),
    [
        ("T > 100 degC", False, True),
        ("T >= 100 degC", True, True),
        ("T < 0 degC", False, True),
        ("T >= 0 degC", True, False),
        ("T within 50 degC..40 degC", False, True),
        ("T > 60 degC and T < 50 degC", False, True),
        ("T > U and U > 99 degC", True, True),
        ("T - U > 101 K", False, True),
        ("V / 2 > 1.6 L", False, True),
        ("V * A > 3.1 L", False, True),
        ("A == 2", False, True),
        ("m == 0.5", True, True),
        ('word == "z"', False, True),
        ('word != "z"', True, False),
        ("age(m) < 1 h", False, True),
        ("age(m) >= 1 h", True, False),
        ("held(T > 120 degC, 5 min)", False, True),
        ("not (T <= 100 degC)", False, True),
        ("T > 120 degC or V > 1 L", True, True),
        ("not (T > 3 degC or T < 5 degC)", False, True),
        ("F * 1 h > 3.6 L", False, True),
        ("F * 1 h >= 3.6 L", True, True),
        ("log(A) > 0.1", False, True),
        ("exp(A) > 2.8", False, True),
        ("abs(T - U) > 101 K", False, True),
        ("min(V, 1 L) > 1 L", False, True),
        ("known(m)", True, False),
        ("known(word)", True, True),
    ],
)
def test_what_is_possible_is_found_from_the_bounds(text: str, true: bool, false: bool) -> None:
    found = reason.truth(compile_expression(text, NAMES, "truth"), SCOPE)
    assert (found.true, found.false) == (true, false)


def test_what_is_never_set_is_never_known() -> None:
    scope = Scope(SCOPE.dimensions, SCOPE.tags, {})
    found = reason.truth(compile_expression("m > 0 or age(s) > 1 h", NAMES, "truth"), scope)
    assert found == Truth(False, False, True)


def test_only_a_comparison_of_the_same_is_one_with_itself() -> None:
    def same(text: str) -> bool:
        return questions.with_itself(compile_expression(text, NAMES, "truth"))

    assert same("T > 3 degC and V * 2 >= V*2")
    assert not same("T > U and V > 2 L")


def test_a_name_asked_for_with_known_only_is_not_read() -> None:
    expression = compile_expression("known(m) and s > 1 h", NAMES, "truth")
    assert questions.reads(expression) == {"s"}


def test_deeply_nested_conditions_are_judged_at_once() -> None:
    text = "V > 1 L"
    for number in range(28):
        text = f"(V>1L {'and' if number % 2 else 'or'} {text})"
    began = time.process_time()
    found = reason.truth(compile_expression(text, NAMES, "truth"), SCOPE)
    assert found.true
    assert found.false
    assert time.process_time() - began < 5

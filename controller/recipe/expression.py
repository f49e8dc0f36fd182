"""Expressions of recipes: one grammar, units checked at load, quality carried through.

`VCD > 1.5e6 /mL and held(TT101 within 36.8..37.2 degC, 10 min)`. Compiled once to closures; an
unknown input makes an unknown result (None), and only `and` / `or` may decide without it (Kleene).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from controller.core.errors import nearest
from controller.core.quantity import parse as parse_quantity
from controller.recipe.dimension import NAMED, PLAIN, TEXT, TRUTH, Dimension
from controller.recipe.operators import (
    BRANCHES,
    FUNCTIONS,
    Evaluate,
    ExpressionError,
    Node,
    Value,
    compare,
    fit,
)

MAX_LENGTH = 400
MAX_DEPTH = 32
MAX_HELD = 8

_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction ("or" conjunction)*
?conjunction: negation ("and" negation)*
?negation: "not" negation -> inverse
    | comparison
?comparison: sum
    | sum COMPARE sum -> compare
    | sum "within" sum ".." sum -> within
?sum: product
    | sum "+" product -> add
    | sum "-" product -> subtract
?product: factor
    | product "*" factor -> multiply
    | product "/" factor -> divide
?factor: "-" factor -> negative
    | atom
?atom: QUANTITY -> quantity
    | NUMBER -> number
    | STRING -> string
    | NAME "(" disjunction ("," disjunction)* ")" -> call
    | NAME -> name
    | "(" disjunction ")"
COMPARE: ">=" | "<=" | "==" | "!=" | ">" | "<"
QUANTITY.3: /\d+(\.\d+)?([eE][-+]?\d+)?[ \t]*(%|1e6(\/mL)?(?![\w.])|\/mL(?!\w)|(?!(and|or|not|within)\b|[eE][-+]?\d)[A-Za-z]+(\/[A-Za-z]+)*(?!\w))/
NUMBER.2: /\d+(\.\d+)?([eE][-+]?\d+)?/
NAME.1: /(?!(and|or|not|within)\b)[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?/
STRING: /"[^"]{0,64}"/
%ignore /[ \t\n]+/
"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Name:
    """What a name stands for: `source` is tag, variable or constant (with its `value`)."""

    source: str
    dimension: Dimension
    value: Value = None


@dataclass(frozen=True, slots=True)
class Held:
    """One `held(condition, duration)`: true once the condition held without a break."""

    condition: Evaluate
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `evaluate` returns None when an input it needs is unknown.

    `names`: the tags and variables in it; `ages`: the variables whose age it asks for.
    """

    text: str
    dimension: Dimension
    evaluate: Evaluate
    constant: bool
    names: frozenset[str] = frozenset()
    held: tuple[Held, ...] = ()
    ages: frozenset[str] = frozenset()


class _Nowhere:
    """The environment of constants: everything is unknown."""

    def tag(self, name: str) -> float | None:
        return None

    def variable(self, name: str) -> float | str | None:
        return None

    def age(self, name: str) -> float | None:
        return None

    def held(self, part: int) -> bool:
        return False


NOWHERE = _Nowhere()


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


@lru_cache(maxsize=4096)
def tree_of(text: str) -> Tree[Token]:
    """The parsed text, for who must look into it; raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        column = max(getattr(error, "column", 1) or 1, 1)
        raise ExpressionError(f"{text!r} cannot be read from its character {column} on") from None


def compile_expression(
    text: str, names: Mapping[str, Name], dimension: str | None = None
) -> Expression:
    """Reads `text` over `names`; the value is in the canonical unit of `dimension` if one is given.

    Raises ExpressionError for a text that cannot be read, an unknown name (with the nearest one),
    units that do not fit, nesting beyond 32 levels and a result of another dimension.
    """
    builder = _Builder(names)
    node = builder.build(tree_of(text), 0)
    if dimension is not None:
        node = fit(node, NAMED[dimension], f"{text!r}")
    held = tuple(builder.held)
    return Expression(
        text, node.dimension, node.run, node.constant, frozenset(builder.used), held,
        frozenset(builder.ages),
    )  # fmt: skip


def constant_value(text: str, names: Mapping[str, Name], dimension: str) -> float:
    """The number of an expression that depends on constants only; raises ExpressionError."""
    expression = compile_expression(text, names, dimension)
    value = expression.evaluate(NOWHERE) if expression.constant else None
    if value is None or isinstance(value, str):
        raise ExpressionError(f"{text!r} must be known before the batch starts")
    return float(value)


def _finite(value: Value) -> Value:
    """What is not finite is not known (law 3 of the house), whoever answers for the name."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(slots=True)
class _Builder:
    names: Mapping[str, Name]
    held: list[Held] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    ages: set[str] = field(default_factory=set)
    in_held: bool = False

    def build(self, tree: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels")
        if tree.data == "call":
            return self._call(str(tree.children[0]), tree.children[1:], depth)
        if tree.data in _LEAVES:
            return _LEAVES[tree.data](self, str(tree.children[0]))
        if tree.data == "compare":
            left, operator, right = tree.children
            return compare(self.build(left, depth + 1), str(operator), self.build(right, depth + 1))
        parts = [self.build(child, depth + 1) for child in tree.children]
        return BRANCHES[tree.data](*parts)

    def quantity(self, text: str) -> Node:
        try:
            value, dimension = parse_quantity(text)
        except ValueError as error:
            raise ExpressionError(f"{error} (put spaces around / to divide)") from None
        return Node(NAMED[dimension], lambda env: value, True)

    def number(self, text: str) -> Node:
        value = float(text)
        if not math.isfinite(value):
            raise ExpressionError(f"{text} is not a finite number")
        return Node(PLAIN, lambda env: value, True, bare=True)

    def string(self, text: str) -> Node:
        inner = text[1:-1]
        return Node(TEXT, lambda env: inner, True)

    def name(self, text: str) -> Node:
        found = self._find(text)
        value = found.value
        if found.source == "constant":
            return Node(found.dimension, lambda env: value, True)
        self.used.add(text)
        if found.source == "tag":
            return Node(found.dimension, lambda env: _finite(env.tag(text)), False)
        return Node(found.dimension, lambda env: _finite(env.variable(text)), False)

    def _find(self, text: str) -> Name:
        if text not in self.names:
            raise ExpressionError(f"unknown name {text!r}. {nearest(text, list(self.names))}")
        return self.names[text]

    def _call(self, function: str, arguments: list[Any], depth: int) -> Node:
        if function == "age":
            return self._age(arguments)
        if function == "held":
            return self._held(arguments, depth)
        parts = [self.build(argument, depth + 1) for argument in arguments]
        if function not in FUNCTIONS:
            known = [*FUNCTIONS, "age", "held"]
            raise ExpressionError(f"unknown function {function!r}. {nearest(function, known)}")
        return FUNCTIONS[function](function, parts)

    def _age(self, arguments: list[Any]) -> Node:
        name = str(arguments[0].children[0]) if arguments[0].data == "name" else ""
        if len(arguments) != 1 or not name or self._find(name).source != "variable":
            raise ExpressionError("age(...) takes the name of one variable")
        self.used.add(name)
        self.ages.add(name)
        return Node(NAMED["time"], lambda env: env.age(name), False)

    def _held(self, arguments: list[Any], depth: int) -> Node:
        if len(arguments) != 2 or self.in_held or len(self.held) >= MAX_HELD:
            raise ExpressionError(
                "held(condition, duration) takes two parts and is not nested; "
                f"an expression may have {MAX_HELD}"
            )
        self.in_held = True
        condition = fit(self.build(arguments[0], depth + 1), TRUTH, "the condition of held(...)")
        duration = fit(self.build(arguments[1], depth + 1), NAMED["time"], "its duration")
        self.in_held = False
        seconds = duration.run(NOWHERE) if duration.constant else None
        if not isinstance(seconds, float) or seconds <= 0:
            raise ExpressionError("the duration of held(...) must be known and above 0")
        part = len(self.held)
        self.held.append(Held(condition.run, round(seconds * 1e9)))
        return Node(TRUTH, lambda env: env.held(part), False)


_LEAVES: dict[str, Callable[[_Builder, str], Node]] = {
    "quantity": _Builder.quantity,
    "number": _Builder.number,
    "string": _Builder.string,
    "name": _Builder.name,
}

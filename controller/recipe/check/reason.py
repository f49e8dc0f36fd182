"""What an expression can be worth at one place of a recipe, from what its names can be worth there.

Walks the same tree the engine's closures are built from (expression.py, operators.py), with bounds
in place of values. Conditions joined by `and` narrow each other, so that `x > 3 and x < 2` is seen
to be impossible. What the walk does not know can be anything: nothing possible is called so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.core.quantity import parse
from controller.recipe.check import bounds
from controller.recipe.check.bounds import (
    AGE,
    ANY,
    EITHER,
    NEVER,
    SILENT,
    Span,
    Truth,
    Words,
    Worth,
)
from controller.recipe.dimension import NAMED, PLAIN, TEXT, TRUTH, Dimension
from controller.recipe.expression import Expression, tree_of

_FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}
_CONTRARY = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Scope:
    """What names are worth at one place.

    `constants`: parameters and formula; `tags` and `variables` as anywhere in the batch. `known`
    are the variables set on every way to here, `maybe` those set on some way, None when that is not
    asked; `ages`: how old a variable is at least, in s.
    """

    dimensions: Mapping[str, Dimension]
    tags: Mapping[str, Span]
    variables: Mapping[str, Worth]
    constants: Mapping[str, tuple[Dimension, Worth]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    maybe: frozenset[str] | None = None
    ages: Mapping[str, float] = field(default_factory=dict)
    narrow: Mapping[str, Span] = field(default_factory=dict)

    def worth(self, name: str) -> tuple[Dimension, Worth]:
        """The dimension of a name and what it can be worth."""
        if name in self.constants:
            return self.constants[name]
        dimension = self.dimensions[name]
        if name in self.tags:
            return dimension, self.tags[name]
        silent: Worth = SILENT if dimension == TEXT else NEVER
        if self.maybe is not None and name not in self.maybe:
            return dimension, silent
        found = self.variables.get(name, silent)
        return dimension, replace(found, unknown=found.never or name not in self.known)

    def age(self, name: str) -> Span:
        """How old a variable can be."""
        if name in self.constants or self.worth(name)[1].never:
            return NEVER
        return replace(AGE, low=self.ages.get(name, 0.0), unknown=name not in self.known)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression: its dimension, and what it can be worth."""

    dimension: Dimension
    worth: Span | Words | Truth
    bare: bool = False


class _Beyond(Exception):
    """The walk meets what it does not know."""


def truth(expression: Expression, scope: Scope) -> Truth:
    """Whether a condition can be true, false, unknown."""
    try:
        found = _walk(tree_of(expression.text), scope).worth
    except _Beyond:
        return EITHER
    return found if isinstance(found, Truth) else EITHER


def worth(expression: Expression, scope: Scope) -> Worth:
    """What a value can be, in the unit of the expression's dimension."""
    try:
        found = _walk(tree_of(expression.text), scope)
        return _text(found) if expression.dimension == TEXT else _span(found, expression.dimension)
    except _Beyond:
        return Words(None, True) if expression.dimension == TEXT else ANY


def ages_needed(expression: Expression, scope: Scope) -> dict[str, float]:
    """How old each variable is at least, in s, once the condition is true."""
    found = _narrowed(tree_of(expression.text), scope, True)
    return {key[4:-1]: span.low for key, span in found.items()
            if key.startswith("age(") and not span.never}  # fmt: skip


def ages_enough(expression: Expression, scope: Scope) -> list[tuple[str, float]]:
    """Ages of which any one makes the condition true, in s: `age(x) >= 3 h or ...`."""
    tree: Any = tree_of(expression.text)
    arms = tree.children if tree.data == "disjunction" else [tree]
    found = []
    for arm in arms:
        spans = _narrowed(arm, scope, True) if arm.data == "compare" else {}
        ages = [(key[4:-1], span.low) for key, span in spans.items()
                if key.startswith("age(") and not span.never]  # fmt: skip
        found += [(name, low) for name, low in ages if low > scope.age(name).low]
    return found


def _walk(tree: Any, scope: Scope) -> Part:
    if tree.data not in _NODES:
        raise _Beyond(tree.data)
    return _NODES[tree.data](tree, scope)


def _key(tree: Any) -> str:
    """What a part is called when conditions narrow it; empty for what they do not."""
    if tree.data == "name":
        return str(tree.children[0])
    if tree.data == "call" and str(tree.children[0]) == "age" and tree.children[1].data == "name":
        return f"age({tree.children[1].children[0]})"
    return ""


def _narrowed(tree: Any, scope: Scope, holds: bool) -> dict[str, Span]:
    """Bounds of names when a condition holds, or when it does not."""
    found: dict[str, Span] = {}
    joined = "conjunction" if holds else "disjunction"
    if tree.data == joined:
        for child in tree.children:
            _meet(found, _narrowed(child, scope, holds))
    elif tree.data == "inverse":
        _meet(found, _narrowed(tree.children[0], scope, not holds))
    elif tree.data == "call" and str(tree.children[0]) == "held" and holds:
        _meet(found, _narrowed(tree.children[1], scope, True))
    elif tree.data == "within" and holds:
        value, low, high = tree.children
        _meet(found, _bound(value, ">=", low, scope))
        _meet(found, _bound(value, "<=", high, scope))
    elif tree.data == "compare":
        left, operator, right = tree.children
        sign = str(operator) if holds else _CONTRARY[str(operator)]
        _meet(found, _bound(left, sign, right, scope))
        _meet(found, _bound(right, _FLIPPED[sign], left, scope))
    return found


def _meet(found: dict[str, Span], more: Mapping[str, Span]) -> None:
    for key, span in more.items():
        found[key] = found[key].met(span) if key in found else span


def _bound(tree: Any, sign: str, other: Any, scope: Scope) -> dict[str, Span]:
    key = _key(tree)
    if not key or sign == "!=":
        return {}
    try:
        own, limit = _walk(tree, scope), _walk(other, scope)
        if own.dimension.kind != "number":
            return {}
        if limit.bare and not own.bare:
            limit = Part(own.dimension, limit.worth)
        span, reach = _span(own, own.dimension), _span(limit, own.dimension)
    except _Beyond:
        return {}
    if reach.never:
        return {}
    low = reach.low if sign in (">", ">=", "==") else -bounds.INFINITE
    high = reach.high if sign in ("<", "<=", "==") else bounds.INFINITE
    return {key: replace(span.met(Span(low, high)), unknown=span.unknown)}


def _span(part: Part, dimension: Dimension) -> Span:
    """A number in the unit of `dimension`."""
    if not isinstance(part.worth, Span):
        raise _Beyond("a number is needed")
    factor = dimension.factor_from(part.dimension)
    if factor is None:
        raise _Beyond("units")
    return part.worth if factor == 1.0 else part.worth.moved(factor)


def _truth(part: Part) -> Truth:
    if not isinstance(part.worth, Truth):
        raise _Beyond("a condition is needed")
    return part.worth


def _text(part: Part) -> Words:
    if not isinstance(part.worth, Words):
        raise _Beyond("a text is needed")
    return part.worth


def _quantity(tree: Any, scope: Scope) -> Part:
    value, dimension = parse(str(tree.children[0]))
    return Part(NAMED[dimension], Span(value, value))


def _number(tree: Any, scope: Scope) -> Part:
    value = float(str(tree.children[0]))
    return Part(PLAIN, Span(value, value), bare=True)


def _string(tree: Any, scope: Scope) -> Part:
    return Part(TEXT, Words(frozenset({str(tree.children[0])[1:-1]})))


def _name(tree: Any, scope: Scope) -> Part:
    name = str(tree.children[0])
    try:
        dimension, found = scope.worth(name)
    except KeyError:
        raise _Beyond(name) from None
    return Part(dimension, scope.narrow.get(name, found) if isinstance(found, Span) else found)


def _sum(tree: Any, scope: Scope) -> Part:
    left, right = (_walk(child, scope) for child in tree.children)
    degrees, kelvin = NAMED["temperature"], NAMED["temperature_difference"]
    act = bounds.add if tree.data == "add" else bounds.subtract
    if kelvin in (left.dimension, right.dimension) and degrees in (left.dimension, right.dimension):
        first, second = _span(left, left.dimension), _span(right, right.dimension)
        return Part(degrees, act(first, second))
    found = act(_span(left, left.dimension), _span(right, left.dimension))
    return Part(kelvin if left.dimension.point else left.dimension, found)


def _product(tree: Any, scope: Scope) -> Part:
    left, right = (_walk(child, scope) for child in tree.children)
    power, act = (1, bounds.multiply) if tree.data == "multiply" else (-1, bounds.divide)
    found = act(_span(left, left.dimension), _span(right, right.dimension))
    return Part(left.dimension.times(right.dimension, power), found)


def _negated(tree: Any, scope: Scope) -> Part:
    part = _walk(tree.children[0], scope)
    return Part(part.dimension, bounds.negative(_span(part, part.dimension)), part.bare)


def _compared(tree: Any, scope: Scope) -> Part:
    left, right = _walk(tree.children[0], scope), _walk(tree.children[2], scope)
    return Part(TRUTH, _judge(left, str(tree.children[1]), right))


def _judge(left: Part, sign: str, right: Part) -> Truth:
    if left.dimension == TEXT:
        found = bounds.same_text(_text(left), _text(right))
        return found if sign == "==" else bounds.opposite(found)
    a, b = _span(left, left.dimension), _span(right, left.dimension)
    if sign in ("==", "!="):
        found = bounds.same(a, b)
        return found if sign == "==" else bounds.opposite(found)
    if sign in (">", ">="):
        return bounds.above(a, b, equal=sign == ">=")
    return bounds.above(b, a, equal=sign == "<=")


def _between(tree: Any, scope: Scope) -> Part:
    value, low, high = (_walk(child, scope) for child in tree.children)
    if low.bare and not high.bare:
        low = Part(high.dimension, low.worth)
    both = bounds.every([_judge(value, ">=", low), _judge(value, "<=", high)])
    between = bounds.above(_span(high, value.dimension), _span(low, value.dimension), equal=True)
    return Part(TRUTH, replace(both, true=both.true and between.true))


def _conjoined(tree: Any, scope: Scope) -> Part:
    """All are true at once only where each leaves the others room."""
    found = bounds.every([_truth(_walk(child, scope)) for child in tree.children])
    room = _room(tree, scope, True)
    together = room is None or all(_truth(_walk(child, room)).true for child in tree.children)
    return Part(TRUTH, replace(found, true=found.true and together))


def _disjoined(tree: Any, scope: Scope) -> Part:
    """None is true only where each leaves the others room."""
    found = bounds.either([_truth(_walk(child, scope)) for child in tree.children])
    room = _room(tree, scope, False)
    together = room is None or all(_truth(_walk(child, room)).false for child in tree.children)
    return Part(TRUTH, replace(found, false=found.false and together))


def _room(tree: Any, scope: Scope, holds: bool) -> Scope | None:
    """The scope narrowed by a condition that holds or not. Once only: what is nested in it is
    looked at within it, so that nested conditions do not take ever longer."""
    spans = {} if scope.narrow else _narrowed(tree, scope, holds)
    return replace(scope, narrow=spans) if spans else None


def _inverted(tree: Any, scope: Scope) -> Part:
    return Part(TRUTH, bounds.opposite(_truth(_walk(tree.children[0], scope))))


def _called(tree: Any, scope: Scope) -> Part:
    function, *arguments = tree.children
    name = str(function)
    if name == "age":
        variable = str(arguments[0].children[0])
        found = scope.narrow.get(f"age({variable})", scope.age(variable))
        return Part(NAMED["time"], found)
    parts = [_walk(argument, scope) for argument in arguments]
    if name == "held":
        return Part(TRUTH, replace(_truth(parts[0]), false=True, unknown=False))
    if name == "known":
        return Part(TRUTH, _is_known(parts[0]))
    if name in ("min", "max"):
        act = bounds.least if name == "min" else bounds.greatest
        result = _span(parts[0], parts[0].dimension)
        for part in parts[1:]:
            result = act(result, _span(part, parts[0].dimension))
        return Part(parts[0].dimension, result)
    if name not in _SINGLE:
        raise _Beyond(name)
    part = parts[0]
    if name == "abs":
        return Part(part.dimension, bounds.absolute(_span(part, part.dimension)))
    return Part(
        PLAIN, _SINGLE[name](_span(part, part.dimension).moved(float(part.dimension.scale)))
    )


def _is_known(part: Part) -> Truth:
    if isinstance(part.worth, Truth):
        return Truth(part.worth.true or part.worth.false, part.worth.unknown, False)
    return Truth(not part.worth.never, part.worth.unknown, False)


_SINGLE: dict[str, Callable[[Span], Span]] = {
    "abs": bounds.absolute, "exp": bounds.exponential, "log": bounds.logarithm,
}  # fmt: skip
_NODES: dict[str, Callable[[Any, Scope], Part]] = {
    "quantity": _quantity,
    "number": _number,
    "string": _string,
    "name": _name,
    "add": _sum,
    "subtract": _sum,
    "multiply": _product,
    "divide": _product,
    "negative": _negated,
    "compare": _compared,
    "within": _between,
    "conjunction": _conjoined,
    "disjunction": _disjoined,
    "inverse": _inverted,
    "call": _called,
}

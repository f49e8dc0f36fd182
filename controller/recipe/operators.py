"""What operators and functions of expressions do: units that fit, and None for unknown.

Each builds a closure over its parts. Arithmetic with an unknown part, a division by zero or a
result that is not finite is unknown; `and` / `or` decide as soon as one part decides (Kleene).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from controller.recipe.dimension import NAMED, PLAIN, TEXT, TRUTH, Dimension

Value = float | bool | str | None
MAX_EXPONENT = 12  # of a base unit: more is no quantity, and its scale would not be a float


class ExpressionError(ValueError):
    """The text is not an expression of the expected dimension over the known names."""


class Environment(Protocol):
    """Where an expression finds its inputs. None means unknown."""

    def tag(self, name: str) -> float | None:
        """A process value of good quality."""
        ...

    def variable(self, name: str) -> float | str | None:
        """A unit variable."""
        ...

    def age(self, name: str) -> float | None:
        """Seconds since a unit variable was set."""
        ...

    def held(self, part: int) -> bool:
        """Whether the numbered `held(...)` of this expression has held long enough."""
        ...


Evaluate = Callable[[Environment], Value]


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression; `bare` marks a number written without a unit."""

    dimension: Dimension
    run: Evaluate
    constant: bool
    bare: bool = False


def fit(node: Node, wanted: Dimension, what: str) -> Node:
    """The node in another scale of its dimension."""
    factor = wanted.factor_from(node.dimension)
    if factor is None:
        raise ExpressionError(
            f"{what} is {node.dimension.words}, {wanted.words} is needed here"
            + (": write its unit" if node.bare and not wanted.plain else "")
        )
    if factor == 1.0 or wanted.kind != "number":
        return Node(wanted, node.run, node.constant)
    run = node.run

    def scaled(env: Environment) -> Value:
        value = run(env)
        if value is None:
            return None
        number = value * factor  # type: ignore[operator]
        return number if math.isfinite(number) else None

    return Node(wanted, scaled, node.constant)


def _both(left: Node, right: Node, what: str) -> Node:
    """The right node in the scale of the left one."""
    if left.dimension.kind == "number" and right.dimension.kind == "number":
        factor = left.dimension.factor_from(right.dimension)
        if factor is None:
            hint = ": write the unit" if left.bare or right.bare else ""
            raise ExpressionError(
                f"{what} {left.dimension.words} and {right.dimension.words} do not fit{hint}"
            )
        return fit(right, left.dimension, what)
    raise ExpressionError(f"{what} needs numbers, not {left.dimension.words}")


def _arithmetic(
    left: Node, right: Node, dimension: Dimension, act: Callable[[float, float], float]
) -> Node:
    first, second = left.run, right.run

    def run(env: Environment) -> Value:
        a, b = first(env), second(env)
        if a is None or b is None:
            return None
        try:
            value = act(a, b)  # type: ignore[arg-type]
        except (ZeroDivisionError, OverflowError):
            return None
        return value if math.isfinite(value) else None

    return Node(dimension, run, left.constant and right.constant)


def _add(left: Node, right: Node) -> Node:
    degrees, difference = NAMED["temperature"], NAMED["temperature_difference"]
    pair = (left.dimension, right.dimension)
    if pair in ((degrees, difference), (difference, degrees)):
        return _arithmetic(left, right, degrees, lambda a, b: a + b)
    if left.dimension.point:
        raise ExpressionError("two temperatures cannot be added; a difference is in K")
    fitted = _both(left, right, "+")
    return _arithmetic(left, fitted, left.dimension, lambda a, b: a + b)


def _subtract(left: Node, right: Node) -> Node:
    degrees, difference = NAMED["temperature"], NAMED["temperature_difference"]
    if left.dimension == degrees and right.dimension == difference:
        return _arithmetic(left, right, degrees, lambda a, b: a - b)
    fitted = _both(left, right, "-")
    result = difference if left.dimension.point else left.dimension
    return _arithmetic(left, fitted, result, lambda a, b: a - b)


def _scalable(node: Node, what: str) -> Node:
    if node.dimension.kind != "number" or node.dimension.point:
        raise ExpressionError(f"{node.dimension.words} cannot be used with {what}")
    return node


def _product(left: Node, right: Node, what: str, power: int) -> Dimension:
    dimension = _scalable(left, what).dimension.times(_scalable(right, what).dimension, power)
    if max(map(abs, dimension.exponents)) > MAX_EXPONENT:
        raise ExpressionError(f"{what} leads to a unit of a power above {MAX_EXPONENT}")
    return dimension


def _multiply(left: Node, right: Node) -> Node:
    dimension = _product(left, right, "*", 1)
    return _arithmetic(left, right, dimension, lambda a, b: a * b)


def _divide(left: Node, right: Node) -> Node:
    dimension = _product(left, right, "/", -1)
    return _arithmetic(left, right, dimension, lambda a, b: a / b)


def _negative(part: Node) -> Node:
    run = _scalable(part, "-").run

    def negated(env: Environment) -> Value:
        value = run(env)
        return None if value is None else -value  # type: ignore[operator]

    return Node(part.dimension, negated, part.constant, part.bare)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def compare(left: Node, operator: str, right: Node) -> Node:
    """A comparison; == and != only for counts and texts, never for a measurement."""
    if operator in ("==", "!="):
        exact = left.dimension in (PLAIN, TEXT) and left.dimension == right.dimension
        if not exact:
            raise ExpressionError(
                f"{operator} compares counts or texts; use within for a measurement"
            )
        second = right.run
    else:
        second = _both(left, right, operator).run
    first, act = left.run, _COMPARISONS[operator]

    def run(env: Environment) -> Value:
        a, b = first(env), second(env)
        return None if a is None or b is None else act(a, b)

    return Node(TRUTH, run, left.constant and right.constant)


def _within(value: Node, low: Node, high: Node) -> Node:
    if low.bare and not high.bare:
        low = Node(high.dimension, low.run, low.constant)
    return _every(compare(value, ">=", low), compare(value, "<=", high))


def _truths(parts: tuple[Node, ...], what: str) -> list[Evaluate]:
    for part in parts:
        if part.dimension != TRUTH:
            raise ExpressionError(f"{what} joins conditions, not {part.dimension.words}")
    return [part.run for part in parts]


def _every(*parts: Node) -> Node:
    runs = _truths(parts, "and")

    def run(env: Environment) -> Value:
        result: Value = True
        for part in runs:
            value = part(env)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return Node(TRUTH, run, all(part.constant for part in parts))


def _any(*parts: Node) -> Node:
    runs = _truths(parts, "or")

    def run(env: Environment) -> Value:
        result: Value = False
        for part in runs:
            value = part(env)
            if value is True:
                return True
            if value is None:
                result = None
        return result

    return Node(TRUTH, run, all(part.constant for part in parts))


def _inverse(part: Node) -> Node:
    run = _truths((part,), "not")[0]

    def inverted(env: Environment) -> Value:
        value = run(env)
        return None if value is None else not value

    return Node(TRUTH, inverted, part.constant)


def _extreme(function: str, parts: list[Node]) -> Node:
    pick: Callable[[float, float], float] = min if function == "min" else max
    result = parts[0]
    for part in parts[1:]:
        result = _arithmetic(result, _both(result, part, function), result.dimension, pick)
    return result


def _single(function: str, parts: list[Node]) -> Node:
    if len(parts) != 1:
        raise ExpressionError(f"{function}(...) takes one part")
    part = _scalable(parts[0], function)
    if function != "abs":
        if not part.dimension.plain:
            raise ExpressionError(f"{function}(...) takes a ratio, not {part.dimension.words}")
        scale = float(part.dimension.scale)
        factor = Node(PLAIN, lambda env: scale, True)
        part = _arithmetic(part, factor, PLAIN, lambda a, b: a * b)
    acts: dict[str, Callable[[float], float]] = {"abs": abs, "exp": math.exp, "log": math.log}
    act = acts[function]
    run = part.run

    def applied(env: Environment) -> Value:
        value = run(env)
        try:
            return None if value is None else act(value)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            return None

    return Node(part.dimension, applied, part.constant)


def _known(function: str, parts: list[Node]) -> Node:
    if len(parts) != 1:
        raise ExpressionError("known(...) takes one part")
    run = parts[0].run
    return Node(TRUTH, lambda env: run(env) is not None, parts[0].constant)


BRANCHES: dict[str, Callable[..., Node]] = {
    "disjunction": _any,
    "conjunction": _every,
    "inverse": _inverse,
    "within": _within,
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
}
FUNCTIONS: dict[str, Callable[[str, list[Node]], Node]] = {
    "min": _extreme,
    "max": _extreme,
    "abs": _single,
    "exp": _single,
    "log": _single,
    "known": _known,
}

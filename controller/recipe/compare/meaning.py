"""What an expression means, as a text that is the same for two ways of writing the same.

`37 degC` and `37.0 degC`, `2 h` and `120 min`, `a > b` and `b < a`, the order of what `and` or `or`
join: none of these is a difference to a reviewer. Nothing is evaluated and no name is replaced.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from lark import Token

from controller.core.quantity import canonical, parse
from controller.recipe.expression import tree_of
from controller.recipe.operators import ExpressionError

_FLIPPED: Final = {">": "<", ">=": "<="}
_JOINED: Final = {"disjunction": " or ", "conjunction": " and "}
_SWAPPED: Final = {"add": " + ", "multiply": " * "}
_BETWEEN: Final = {"subtract": " - ", "divide": " / "}


@lru_cache(maxsize=4096)
def meaning(text: str) -> str:
    """The meaning of an expression, or of a quantity; a text that is neither means itself."""
    try:
        return _said(tree_of(text))
    except ExpressionError:
        return text.strip()


def value_of(raw: object, dimension: str) -> str:
    """The meaning of a quantity that may be written without its unit."""
    try:
        return repr(canonical(str(raw), dimension))
    except ValueError:
        return meaning(str(raw))


def _said(tree: Any) -> str:
    if isinstance(tree, Token):
        return str(tree)
    kind = str(tree.data)
    if kind == "quantity":
        return _quantity(str(tree.children[0]))
    if kind == "number":
        return repr(float(tree.children[0]))
    if kind == "compare":
        left, sign, right = (_said(child) for child in tree.children)
        if sign in _FLIPPED:
            left, sign, right = right, _FLIPPED[sign], left
        return f"({left} {sign} {right})"
    parts = [_said(child) for child in tree.children]
    if kind in _JOINED:
        return f"({_JOINED[kind].join(sorted(_flat(tree, kind)))})"
    if kind in _SWAPPED:
        return f"({_SWAPPED[kind].join(sorted(parts))})"
    if kind in _BETWEEN:
        return f"({_BETWEEN[kind].join(parts)})"
    return f"{kind}({', '.join(parts)})"


def _flat(tree: Any, kind: str) -> set[str]:
    """What a chain of the same operator joins, brackets or not; what is said twice once."""
    found: set[str] = set()
    for child in tree.children:
        if getattr(child, "data", None) == kind:
            found |= _flat(child, kind)
        else:
            found.add(_said(child))
    return found


def _quantity(text: str) -> str:
    try:
        value, dimension = parse(text)
    except ValueError:
        return text
    return f"{value!r} {dimension}"

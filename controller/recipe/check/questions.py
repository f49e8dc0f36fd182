"""What stands in an expression, whatever its names are worth: which are read, which are asked for.

The same tree as everywhere (expression.py); nothing is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.recipe.expression import Expression, tree_of


def held_longest(expression: Expression) -> float:
    """The longest `held(...)` of a condition in s; 0 for none."""
    return max((part.duration_ns / 1e9 for part in expression.held), default=0.0)


def with_itself(expression: Expression) -> bool:
    """Whether a comparison has the same on both sides."""
    return any(
        tree.children[0] == tree.children[-1]
        for tree in tree_of(expression.text).iter_subtrees()
        if tree.data == "compare"
    )


def reads(expression: Expression) -> frozenset[str]:
    """The names whose value or age is needed, without those it asks for with known(...)."""
    tree = tree_of(expression.text)
    return (frozenset(_reads(tree)) & expression.names) - frozenset(_asked(tree))


def assured(expression: Expression) -> frozenset[str]:
    """The names that are known once a condition is true, because it asks with known(...)."""
    tree: Any = tree_of(expression.text)
    parts = tree.children if tree.data == "conjunction" else [tree]
    calls = [part for part in parts if part.data == "call" and str(part.children[0]) == "known"]
    return frozenset(name for call in calls for name in _asked(call))


def _asked(tree: Any) -> Iterator[str]:
    """The names in a known(...)."""
    for part in tree.iter_subtrees():
        if part.data == "call" and str(part.children[0]) == "known":
            yield from (str(each.children[0]) for each in part.children[1:] if each.data == "name")


def contrary(one: str, other: str) -> bool:
    """Whether one condition is `not` the other."""
    a, b = tree_of(one), tree_of(other)
    return (a.data == "inverse" and a.children[0] == b) or (
        b.data == "inverse" and b.children[0] == a
    )


def names_of(text: str) -> frozenset[str]:
    """Every name in an expression; raises ExpressionError."""
    tree = tree_of(text)
    return frozenset(str(part.children[0]) for part in tree.iter_subtrees() if part.data == "name")


def _reads(tree: Any) -> Iterator[str]:
    if tree.data == "name":
        yield str(tree.children[0])
    elif tree.data == "call" and str(tree.children[0]) == "known":
        return
    for child in tree.children:
        if hasattr(child, "data"):
            yield from _reads(child)

"""Random conditions with a meaning of their own: an interpreter that shares no code with ours.

A tree is text for cellwright and, beside it, `mean` here: exact fractions, None for unknown. Both
must agree wherever both have a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name

World = Mapping[str, Fraction | None]
# Litres in one of each unit a volume may be written in.
VOLUMES = {"L": Fraction(1), "mL": Fraction(1, 1000)}
TIMES = {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600)}
NAMES = {
    "VOL": Name("tag", NAMED["volume"]),
    "LEFT": Name("tag", NAMED["volume"]),
    "wait": Name("variable", NAMED["time"]),
    "fold": Name("variable", NAMED["ratio"]),
    "mark": Name("variable", NAMED["count"]),
}
OF = {"volume": ("VOL", "LEFT"), "time": ("wait",), "count": ("fold", "mark")}
UNITS: dict[str, Mapping[str, Fraction]] = {
    "volume": VOLUMES, "time": TIMES, "count": {"": Fraction(1)},
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One node: an operator with its parts, or a leaf with its text."""

    kind: str
    parts: tuple[Any, ...]

    def text(self) -> str:
        """As a recipe has it."""
        kind, parts = self.kind, self.parts
        words = [part.text() for part in parts if isinstance(part, Part)]
        if kind == "name":
            return str(parts[0])
        if kind == "number":
            return f"{parts[0]} {parts[1]}".strip()
        if kind == "not":
            return f"(not {words[0]})"
        if kind == "known":
            return f"known({words[0]})"
        if kind in ("min", "max"):
            return f"{kind}({', '.join(words)})"
        if kind == "within":
            return f"({words[0]} within {words[1]}..{words[2]})"
        return f"({words[0]} {kind} {words[1]})"

    def mean(self, world: World) -> Fraction | bool | None:
        """Its value by the rules of the language, in litres, seconds or plain numbers."""
        kind, parts = self.kind, self.parts
        if kind == "name":
            return world[str(parts[0])]
        if kind == "number":
            return Fraction(str(parts[0])) * Fraction(parts[2])
        values: list[Any] = [part.mean(world) for part in parts]
        if kind == "known":
            return values[0] is not None
        if kind == "not":
            return None if values[0] is None else not values[0]
        if kind in ("and", "or"):
            decides = kind == "or"
            if decides in values:
                return decides
            return None if None in values else not decides
        if kind == "within":  # two comparisons: one alone can say that it is not
            low, high = (None if None in pair else pair[0] <= pair[1]
                         for pair in ((values[1], values[0]), (values[0], values[2])))  # fmt: skip
            return False if False in (low, high) else None if None in (low, high) else True
        if None in values:
            return None
        return _plain(kind, values)


def _plain(kind: str, values: list[Any]) -> Fraction | bool | None:
    one, other = values[0], values[1]
    if kind == "/" and other == 0:
        return None
    ways = {
        "+": lambda: one + other, "-": lambda: one - other, "*": lambda: one * other,
        "/": lambda: one / other, "min": lambda: min(values), "max": lambda: max(values),
        ">": lambda: one > other, "<": lambda: one < other, ">=": lambda: one >= other,
        "<=": lambda: one <= other,
    }  # fmt: skip
    return ways[kind]()  # type: ignore[no-any-return]


def near(part: Part, world: World) -> bool:
    """Whether some comparison in it is decided by less than a float can tell."""
    if part.kind in (">", "<", ">=", "<=", "within"):
        values = [one.mean(world) for one in part.parts]
        pairs = [(values[0], other) for other in values[1:]]
        if any(_close(one, other) for one, other in pairs):
            return True
    return any(near(one, world) for one in part.parts if isinstance(one, Part))


def _close(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return False
    return bool(abs(one - other) <= Fraction(1, 10**9) * max(abs(one), abs(other), 1))


_DECIMALS = st.decimals(min_value=0, max_value=1000, places=2).map(str)


def numbers(dimension: str) -> st.SearchStrategy[Part]:
    """A value of one dimension, at most a few operators deep."""
    leaves = st.sampled_from(OF[dimension]).map(lambda name: Part("name", (name,)))
    written = st.tuples(_DECIMALS, st.sampled_from(sorted(UNITS[dimension]))).map(
        lambda pair: Part("number", (*pair, UNITS[dimension][pair[1]]))
    )
    same = st.sampled_from(["+", "-", "min", "max"])
    scale = _DECIMALS.map(lambda text: Part("number", (text, "", Fraction(1))))

    def grow(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
        return st.one_of(
            st.tuples(same, inner, inner).map(lambda t: Part(t[0], (t[1], t[2]))),
            st.tuples(st.sampled_from(["*", "/"]), inner, scale).map(
                lambda t: Part(t[0], (t[1], t[2]))
            ),
        )

    return st.recursive(st.one_of(leaves, written), grow, max_leaves=4)


def _compared(dimension: str) -> st.SearchStrategy[Part]:
    value = numbers(dimension)
    pairs = st.tuples(st.sampled_from([">", "<", ">=", "<="]), value, value)
    return st.one_of(
        pairs.map(lambda t: Part(t[0], (t[1], t[2]))),
        st.tuples(value, value, value).map(lambda t: Part("within", t)),
    )


def conditions(*, deciding: bool = True) -> st.SearchStrategy[Part]:
    """A condition. Not `deciding`: without `or`, `not` and `known`."""
    leaves = st.sampled_from(sorted(OF)).flatmap(_compared)
    if deciding:
        named = st.sampled_from(sorted(NAMES)).map(
            lambda name: Part("known", (Part("name", (name,)),))
        )
        leaves = st.one_of(leaves, named)
    joins = ["and", "or"] if deciding else ["and"]

    def grow(inner: st.SearchStrategy[Part]) -> st.SearchStrategy[Part]:
        joined = st.tuples(st.sampled_from(joins), inner, inner).map(
            lambda t: Part(t[0], (t[1], t[2]))
        )
        return st.one_of(joined, inner.map(lambda part: Part("not", (part,)))) if deciding \
            else joined  # fmt: skip

    return st.recursive(leaves, grow, max_leaves=5)


def used(part: Part) -> set[str]:
    """The names in it."""
    if part.kind == "name":
        return {str(part.parts[0])}
    return {name for one in part.parts if isinstance(one, Part) for name in used(one)}


worlds: st.SearchStrategy[dict[str, Fraction | None]] = st.fixed_dictionaries({
    name: st.none() | st.decimals(min_value=-1000, max_value=1000, places=3).map(Fraction)
    for name in NAMES
})  # fmt: skip

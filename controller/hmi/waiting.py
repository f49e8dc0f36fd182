"""Why a step waits: the parts of its condition, each with what it reads now and whether it is met.

A module because the words of a recipe (`TT101 within temperature_low..temperature_high`) are not
what an operator needs at night: which part is missing, what it stands at, what cannot be known. A
part is judged by the same compiler as the step; where a text cannot be taken apart it stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.clock import NS_PER_S
from controller.core.quantity import decimal_text
from controller.core.signal import Reading
from controller.recipe.batch import BatchState
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Expression, Held, Name, compile_expression, constant_value
from controller.recipe.offer import base_names, with_unit
from controller.recipe.operators import ExpressionError, Value
from controller.recipe.plan import ControlRecipe, PhasePlan

Row = dict[str, Any]
PARTS_MAX = 12
_WORD = re.compile(r'"[^"]*"|[A-Za-z_]\w*')
_AGE = re.compile(r"age\(\s*(\w+)\s*\)")
_DUE = re.compile(r"^age\(\s*(\w+)\s*\)\s*>=?(.+)$")
_PAIRS = {"(": 1, ")": -1}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a condition. `first`: the number of its first `held(...)` in the whole one.

    `inner`: it is one `held(...)` itself, and these must hold without a break; with `any`, one of
    them is enough.
    """

    text: str
    condition: Expression
    first: int
    inner: tuple[Part, ...] = ()
    any: bool = False


class Now:
    """What an expression reads at one moment. Nothing is recorded by looking."""

    def __init__(
        self, state: BatchState, read: Callable[[str], Reading], now_ns: int,
        since: tuple[tuple[int, int], ...] = (),
    ) -> None:  # fmt: skip
        """`since`: which `held(...)` of the step hold, by number, and since when."""
        self.read, self._state, self._now_ns = read, state, now_ns
        self._since, self._held, self._first = dict(since), tuple[Held, ...](), 0

    def truth(self, part: Part, held: tuple[Held, ...]) -> Value:
        """Whether a part is true; `held`: those of the whole condition."""
        self._first, self._held = part.first, held
        return part.condition.evaluate(self)

    def lasts_s(self, number: int) -> float | None:
        """How long a numbered `held(...)` has held by now; None if it does not."""
        since = self._since.get(number)
        return None if since is None else (self._now_ns - since) / NS_PER_S

    def tag(self, name: str) -> float | None:
        """A process value, if it is good."""
        reading = self.read(name)
        return reading.value if reading.good else None

    def variable(self, name: str) -> float | str | None:
        """A variable of the unit, if it was ever set."""
        found = self._state.variables.get(name)
        return None if found is None else found.value

    def age(self, name: str) -> float | None:
        """Seconds since a variable was set."""
        found = self._state.variables.get(name)
        return None if found is None else (self._now_ns - found.set_ns) / NS_PER_S

    def held(self, part: int) -> bool:
        """Whether a `held(...)` of the part that is looked at has held long enough."""
        number = part + self._first
        lasts = self.lasts_s(number)
        return lasts is not None and lasts * NS_PER_S >= self._held[number].duration_ns


class Waits:
    """Takes the conditions of one recipe apart, each once."""

    def __init__(self, recipe: ControlRecipe) -> None:
        self._recipe, self._known = recipe, dict[tuple[str, str], tuple[Part, ...]]()
        self._constants = dict[str, dict[str, str]]()

    def rows(self, plan: PhasePlan, condition: Expression, now: Now) -> list[Row]:
        """`[{text, now, met, inner}]`; `met` None: it cannot be known."""
        found: list[Row] = []
        for part in self._parts(plan, condition):
            found += self._rows(plan, part, condition.held, now)
        return found[:PARTS_MAX]

    def due_s(self, plan: PhasePlan, condition: Expression, now: Now) -> float | None:
        """In how many seconds it will be true at the latest, where time alone makes it so."""
        longest = 0.0
        for part in self._parts(plan, condition):
            if part.any:
                each = [self._due_s(plan, one.text, now) for one in part.inner]
                due = min((found for found in each if found is not None), default=None)
            else:
                due = None if part.inner else self._due_s(plan, part.text, now)
            if due is None:
                return None
            longest = max(longest, due)
        return longest

    def _due_s(self, plan: PhasePlan, text: str, now: Now) -> float | None:
        """The same of one part: an age that is waited for."""
        wanted = _DUE.match(text)
        age = now.age(wanted[1]) if wanted is not None else None
        if wanted is None or age is None:
            return None
        try:
            return constant_value(wanted[2].strip(), self._names(plan), "time") - age
        except ExpressionError:
            return None

    def _names(self, plan: PhasePlan) -> dict[str, Name]:
        offer = self._recipe.offer
        names = base_names(offer.equipment, offer.variables)
        own = offer.parameters.get(plan.use, {})
        for name, value in plan.values.items():
            names[name] = Name("constant", NAMED[own[name].dimension], value)
        if not plan.use:
            for name, item in self._recipe.ranges.items():
                if item.value is not None:
                    names[name] = Name("constant", NAMED[item.dimension], item.value)
        return names

    def _parts(self, plan: PhasePlan, condition: Expression) -> tuple[Part, ...]:
        key = (plan.path, condition.text)
        if key not in self._known:
            whole = Part(condition.text, condition, 0)
            try:
                self._known[key] = tuple(_taken_apart(condition.text, self._names(plan)))
            except ExpressionError:
                self._known[key] = (whole,)
        return self._known[key]

    def _rows(self, plan: PhasePlan, part: Part, held: tuple[Held, ...], now: Now) -> list[Row]:
        if not part.inner:
            row = {"text": self._worded(plan, part.text), "now": self._reads(part.text, now),
                   "met": now.truth(part, held), "inner": False}  # fmt: skip
            return [row]
        inner = [self._rows(plan, one, held, now)[0] | {"inner": True} for one in part.inner]
        if part.any:
            either = {"text": "one of these is enough", "now": "",
                      "met": now.truth(part, held), "inner": False}  # fmt: skip
            return [either, *inner]
        wanted_s, lasts = held[part.first].duration_ns / NS_PER_S, now.lasts_s(part.first)
        row = {
            "text": f"all of this for {time_words(wanted_s)} without a break",
            "now": "not now" if lasts is None else f"for {time_words(lasts)}",
            "met": lasts is not None and lasts >= wanted_s, "inner": False,
        }  # fmt: skip
        return [row, *inner]

    def _worded(self, plan: PhasePlan, text: str) -> str:
        """The text with parameters as values: `TT101 within 36.5 degC..37.5 degC`."""
        values = dict(plan.parameters) if plan.use else dict(self._recipe.formula)
        return _WORD.sub(lambda match: values.get(match[0], match[0]), text)

    def _reads(self, text: str, now: Now) -> str:
        """What the names of a text stand at: `TT101 36.92 degC`."""
        offer, said = self._recipe.offer, list[str]()
        for name in dict.fromkeys(_AGE.findall(text)):
            age = now.age(name)
            told = "not set yet" if age is None else time_words(age)
            said.append(f"age({name}) {told}")
        for name in dict.fromkeys(_WORD.findall(_AGE.sub("", text))):
            if name in offer.equipment.tags:
                reading = now.read(name)
                told = reading.reason.words
                if reading.good:
                    told = _short(reading.value, offer.equipment.tags[name])
                said.append(f"{name} {told}")
            elif name in offer.variables:
                found = now.variable(name)
                told = "not set yet" if found is None else _short(found, offer.variables[name])
                said.append(f"{name} {told}")
        return ", ".join(said)


def time_words(seconds: float) -> str:
    """A time as the screen writes it: `2 h 05 min`, `4 min 10 s`, `12 s`."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02d} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60:02d} min" if whole % 3600 >= 60 else "")


def _short(value: float | str, dimension: str) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if dimension == "time":
        return time_words(value)
    return with_unit(float(decimal_text(value, 4)), dimension)


def _taken_apart(text: str, names: Mapping[str, Name]) -> list[Part]:
    either = _split(text, "or")
    if len(either) > 1:
        ways, first = list[Part](), 0
        for piece in either:
            way = Part(piece, compile_expression(piece, names, "truth"), first)
            ways.append(way)
            first += len(way.condition.held)
        return [Part(text, compile_expression(text, names, "truth"), 0, tuple(ways), True)]
    found, first = list[Part](), 0
    for piece in _split(text, "and"):
        condition = compile_expression(piece, names, "truth")
        inner = tuple[Part, ...]()
        if piece.startswith("held(") and _closes(piece) == len(piece) - 1:
            held = _split(piece[5:-1], ",")[:-1]
            inner = tuple(
                Part(one, compile_expression(one, names, "truth"), first)
                for one in _conjunction(",".join(held))
            )
        found.append(Part(piece, condition, first, inner))
        first += len(condition.held)
    return found


def _conjunction(text: str) -> list[str]:
    """The parts that must be met together; a text with an outer `or` is one of them."""
    return [text.strip()] if len(_split(text, "or")) > 1 else _split(text, "and")


def _closes(text: str) -> int:
    """Where the first bracket of a text is closed."""
    depth, quoted = 0, False
    for place, sign in enumerate(text):
        quoted ^= sign == '"'
        depth += 0 if quoted else _PAIRS.get(sign, 0)
        if sign == ")" and depth == 0 and not quoted:
            return place
    return -1


def _split(text: str, by: str) -> list[str]:
    """The pieces of a text between `by`, brackets and quotes left whole."""
    words = re.compile(r'"[^"]*"|[()]|,|\b(?:and|or)\b')
    depth, start, pieces = 0, 0, list[str]()
    for found in words.finditer(text):
        depth += _PAIRS.get(found[0], 0)
        if depth == 0 and found[0] == by:
            pieces.append(text[start : found.start()].strip())
            start = found.end()
    return [*pieces, text[start:].strip()]

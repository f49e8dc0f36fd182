"""Numbers of the Plan as a person reads them: times, values with their unit, computed signals.

A module because a limit must read as it stands in the unit file, though it is executed in another
unit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from controller.core.clock import NS_PER_S
from controller.core.quantity import decimal_text, parse, unit_factor
from controller.profile.compile import Profile
from controller.profile.plan import BlockOp, CompareOp, EffectOp

_SIGN: Final = {CompareOp.ABOVE: ">", CompareOp.BELOW: "<"}
_BOUND: Final = {EffectOp.FORCE: "", EffectOp.AT_MOST: "<= ", EffectOp.AT_LEAST: ">= "}
_STEPS: Final = ((3600, "h"), (60, "min"))
MEAN, BAD = "mean", "bad"


def time(ns: int) -> str:
    """`600000000000` -> `10 min`; empty for 0."""
    if ns == 0:
        return ""
    seconds = Decimal(ns) / NS_PER_S
    for step, unit in _STEPS:
        if seconds >= step and seconds % step == 0:
            return f"{seconds // step:f} {unit}"
    return f"{seconds.normalize():f} s"


def unit_of(profile: Profile, signal: int) -> tuple[str, float]:
    """The unit people read a signal in, and what a canonical value is divided by."""
    tag = profile.tags[signal]
    model = profile.model.tags.get(tag.name)
    if model is None:
        return tag.unit, 1.0
    return model.unit, float(unit_factor(model.unit)[1])


def value(profile: Profile, signal: int, number: float) -> str:
    """A value of a signal with its unit; a count has none."""
    unit, factor = unit_of(profile, signal)
    text = decimal_text(number / factor)
    return text if unit in ("1", "") else f"{text} {unit}"


def comparison(profile: Profile, row: Any, text: str = "") -> str:
    """One condition: `TT101 > 38.5 degC`, `AT101 is bad`, `rate(TT101, 1 min) > 0.5 K in 1 min`.

    `text` is how the unit file says it; it is used where it means just what the Plan has.
    """
    signal = int(row["signal"])
    name, op = profile.signals[signal], CompareOp(int(row["op"]))
    if op is CompareOp.IS_BAD:
        return f"{name} is bad"
    head = f"{name} {_SIGN[op]} "
    limit = text.removeprefix(head)
    if limit != text and parse(limit)[0] == float(row["limit"]):
        return text
    said = head + value(profile, signal, float(row["limit"]))
    return f"{said} in {name.rpartition(', ')[2][:-1]}" if name.startswith("rate(") else said


def written(item: Any, place: int) -> str:
    """The text of one condition in the unit file; empty for a row that has none there."""
    lists = (getattr(item, key, []) for key in ("any", "all", "of"))
    votes: list[Any] = next((found for found in lists if found), [])
    given = votes[place] if place < len(votes) else ""
    return given if isinstance(given, str) else str(getattr(given, "compare", ""))


def effect(row: Any) -> str:
    """What an effect asks of its column: `0`, `<= 30`, `mean`, `bad`."""
    op = EffectOp(int(row["op"]))
    if op is EffectOp.MEAN:
        return MEAN
    if op is EffectOp.SIGNAL_BAD:
        return BAD
    return _BOUND[op] + decimal_text(float(row["value"]), 3)


def computed(profile: Profile) -> list[tuple[str, str, str]]:
    """Name, unit and formula of every signal that the unit file computes."""
    plan, names, found = profile.plan, profile.signals, []
    for row in plan.blocks:
        name = names[int(row["target"])]
        model = profile.model.blocks.get(name)
        if model is None:
            continue  # named by its formula
        a = names[int(row["a"])] if row["a"] >= 0 else ""
        b = names[int(row["b"])] if row["b"] >= 0 else ""
        terms = plan.terms[int(row["first_term"]) :][: int(row["n_terms"])]
        operand = next((part for part in (model.rise, model.lowest, model.spread) if part), None)
        over = operand.over if operand is not None else None
        words = _formula(row, a, b, str(over or time(int(row["bucket_ns"]) * int(row["lag"]))), [
            f"{decimal_text(float(term['weight']))} {names[int(term['signal'])]}" for term in terms
        ])  # fmt: skip
        found.append((name, profile.tags[int(row["target"])].unit, words))
    return found


def _formula(row: Any, a: str, b: str, over: str, terms: list[str]) -> str:
    op = BlockOp(int(row["op"]))
    p0, p1 = decimal_text(float(row["p0"])), decimal_text(float(row["p1"]))
    return {
        BlockOp.LINEAR: f"{p0} x {a} + {p1}",
        BlockOp.DIFF: f"{a} - {b}",
        BlockOp.ABSDIFF: f"abs({a} - {b})",
        BlockOp.RATIO: f"100 x {a} / {b}; 100 while {b} < {p0}",
        BlockOp.ELSE: f"{a}; {b} while {a} is bad",
        BlockOp.SUM: " + ".join(terms).replace("+ -", "- "),
        BlockOp.TOTAL: f"integral of {p0} x {a} over seconds",
        BlockOp.RISE: f"{a} less its value {over} ago",
        BlockOp.LOWEST: f"lowest {a} in {over}",
        BlockOp.HIGHEST: f"highest {a} in {over}",
        BlockOp.MEAN: f"mean {a} in {over}",
        BlockOp.SPREAD: f"highest less lowest {a} in {over}; {p0} until that is full",
        BlockOp.LAG: f"{a}, filtered with {p0} s",
        BlockOp.HOLD: f"{a}; its last value while it is bad, for {p0} s",
        BlockOp.WHILE: f"{a} while {b} is beyond {p0}",
    }[op]

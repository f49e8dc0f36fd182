"""Recipes for the tests of BatchML: one with everything, and a strategy for many."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from controller.core.yamltext import parse
from controller.recipe.model import OfferModel
from controller.recipe.offer import Offer, compile_offer
from controller.recipe.steps import Equipment

UNIT = """
variables:
  vcd: {dimension: cell_density}
  mark: {dimension: count}
  lot: {dimension: text}
phases:
  - id: dose
    title: Dose
    parameters:
      rate: {dimension: flow, low: 1 mL/min, high: 60 mL/min, default: 5 mL/min}
      time: {dimension: time, low: 1 min, high: 400 h, default: 2 min}
    running:
      - {text: "Wait for {time}", for: time}
  - id: sample
    running:
      - {prompt: {kind: confirm, id: draw, text: Draw}, timeout: 30 min}
"""


def offer() -> Offer:
    """A small unit."""
    document = parse(UNIT.encode(), "unit.yaml")
    equipment = Equipment(tags={}, loops={}, outputs={}, flags=frozenset())
    return compile_offer(document.validate(OfferModel), document, "bench", equipment)


def _named(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {kind: name, **{key: value for key, value in more.items() if value is not None}}


# Braces name parameters in the text of a step.
LETTERS = st.characters(
    codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="{}\ufffe\uffff"
)
WORDS = st.text(LETTERS, min_size=1, max_size=30).map(lambda text: " ".join(text.split()))
WORDS = WORDS.filter(bool)
CONDITION = st.sampled_from([
    "vcd > 1.5e6 /mL and mark == 1", "known(vcd)", 'lot == "A <b> & \'c\'  d"',
    "age(mark) >= 24 h or not known(mark)", "vcd within 1e6 /mL..2e6 /mL",
])  # fmt: skip
# Nested less than a recipe may be: a few levels show every kind inside every other.
STRUCTURES = ["parallel", "select", "loop"]
TITLE = st.none() | WORDS
QUANTITY = st.sampled_from(
    ["5 mL/min", "0.3 L/h", "30 mL/min", "rate", "rate + 1 mL/min", "2 * rate"]
)
TIME = st.sampled_from(["10 min", "2 h", "300 s"])


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    """The data of a recipe that `offer()` can run."""
    names = iter(f"n{number}" for number in range(10_000))
    formula = {"rate": {"value": "5 mL/min", "low": "1 mL/min", "high": "30 mL/min"}}
    if draw(st.booleans()):
        formula["rate"]["source"] = "entered"
        formula["rate"]["title"] = draw(WORDS)
    if draw(st.booleans()):
        formula["twice"] = {"source": "deferred", "from": "2 * rate", "low": "1 mL/min",
                            "high": "60 mL/min"}  # fmt: skip
    if draw(st.booleans()):
        unknown = draw(st.sampled_from(["hold", "default"]))
        formula["seen"] = {"source": "sample", "from": "vcd", "value": "1e6 /mL", "low": "0 /mL",
                           "high": "9e6 /mL", "unknown": unknown}  # fmt: skip
    data: dict[str, Any] = {
        "recipe": "generated", "version": draw(st.sampled_from(["1.0", "2", "3.1-rc <1>"])),
        "title": draw(WORDS), "unit": "bench", "unit_version": "1", "formula": formula,
    }  # fmt: skip
    if draw(st.booleans()):
        data["controls"] = [{"control": "c", "of": "vcd", "low": "1e5 /mL",
                             "outside": ["retest", "hold"], "when": draw(CONDITION)}]  # fmt: skip
    if draw(st.booleans()):
        data["long_hold"] = {"after": draw(TIME), "operation": "care",
                             "phases": [_phase(draw, names, [])]}  # fmt: skip
    data["procedure"] = [
        _unit_procedure(draw, names) for _ in range(draw(st.integers(1, 3)))
    ]  # fmt: skip
    return data


def _unit_procedure(draw: st.DrawFn, names: Any) -> dict[str, Any]:
    goals = [next(names) for _ in range(draw(st.integers(0, 2)))]
    found = _named("unit_procedure", next(names), title=draw(TITLE))
    found["operations"] = _items(draw, names, goals, "operation", 0)
    if goals:
        found["alternatives"] = [
            _operation(draw, goal, names, goals[goals.index(goal) + 1 :])
            | {"then": draw(st.sampled_from(["next", "stop", "abort"]))}
            for goal in goals
        ]
    return found


def _operation(draw: st.DrawFn, name: str, names: Any, goals: list[str]) -> dict[str, Any]:
    found = _named("operation", name, title=draw(TITLE))
    if draw(st.integers(0, 3)) == 0:
        found["branches"] = [_items(draw, names, goals, "phase", 1) for _ in range(2)]
    else:
        found["phases"] = _items(draw, names, goals, "phase", 1)
    return found


def _phase(draw: st.DrawFn, names: Any, goals: list[str]) -> dict[str, Any]:
    found = _named("phase", next(names), title=draw(TITLE), use="dose")
    if draw(st.booleans()):
        found["with"] = {"rate": draw(QUANTITY), "time": draw(TIME)}
    if draw(st.integers(0, 2)) == 0:
        found["level"] = draw(st.sampled_from(["phase", "operation", "unit_procedure"]))
        found["recovery"] = "5 min"
    if draw(st.integers(0, 2)) == 0:
        do = st.sampled_from(["hold", "abort", *({"go_to": goal} for goal in goals)])
        found["exceptions"] = [{"when": draw(CONDITION), "unknown": "ignore", "do": draw(do)}]
    return found


def _items(
    draw: st.DrawFn, names: Any, goals: list[str], kind: str, depth: int
) -> list[dict[str, Any]]:
    return [_item(draw, names, goals, kind, depth) for _ in range(draw(st.integers(1, 3)))]


def _item(
    draw: st.DrawFn, names: Any, goals: list[str], kind: str, depth: int
) -> dict[str, Any]:
    nested = STRUCTURES if depth < (1 if kind == "operation" else 3) else []
    kinds = [kind, kind, "transition", *nested]
    chosen = draw(st.sampled_from(kinds))

    def inner() -> list[dict[str, Any]]:
        return _items(draw, names, goals, kind, depth + 1)

    if chosen == "operation":
        return _operation(draw, next(names), names, goals)
    if chosen == "phase":
        return _phase(draw, names, goals)
    name, title = next(names), draw(TITLE)
    if chosen == "transition":
        return _named(chosen, name, when=draw(CONDITION), text=draw(TITLE), timeout=draw(TIME),
                      on_timeout=draw(st.sampled_from(["alarm", ["alarm", "hold"]])))  # fmt: skip
    if chosen == "parallel":
        return _named(chosen, name, title=title, branches=[inner() for _ in range(2)])
    if chosen == "loop":
        limit = {"at_most": draw(st.integers(1, 99)), "on_limit": "hold", "unknown": "again"}
        return _named(chosen, name, title=title, do=inner(), until=draw(CONDITION), **limit)
    choices: list[dict[str, Any]] = [
        {"when": draw(CONDITION), "do": inner() if draw(st.booleans()) else []}
        for _ in range(draw(st.integers(1, 2)))
    ]
    choices.append({"otherwise": inner() if draw(st.booleans()) else []})
    return _named(chosen, name, title=title, choices=choices, unknown="wait")

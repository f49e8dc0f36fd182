"""One state and one scan in numbers: what a counter-example is, and what is replayed on the kernel.

Plain values by index of the Plan's tables; what is not named does not matter to the question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import z3

from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term, any_of, real, value_of

Values = dict[str, Any]


@dataclass(slots=True)
class Case:
    """The state before a scan, the signals in it, and what the model says comes of it."""

    dt_ns: int
    stood_ns: int = 0
    signals: dict[int, Values] = field(default_factory=dict)
    links: dict[int, int] = field(default_factory=dict)
    conditions: dict[int, Values] = field(default_factory=dict)
    causes: dict[int, Values] = field(default_factory=dict)
    effects: dict[int, Values] = field(default_factory=dict)
    outputs: dict[int, Values] = field(default_factory=dict)
    released: dict[int, float] = field(default_factory=dict)
    waiting: dict[int, bool] = field(default_factory=dict)
    acting: dict[int, Values] = field(default_factory=dict)


def case_of(scan: Scan, model: Any, stood: Term | None = None) -> Case:
    """The case a solver's model describes."""

    def read(row: Any) -> Values:
        return {name: value_of(model, getattr(row, name)) for name in row.__slots__}

    return _built(scan, read, lambda term: value_of(model, term), stood)


def _built(
    scan: Scan, read: Callable[[Any], Values], one: Callable[[Term], Any], stood: Term | None
) -> Case:
    state = scan.state
    case = Case(one(state.dt), one(stood) if stood is not None else 0)
    case.signals = {i: read(row) for i, row in scan.signals.found.items()}
    case.links = {i: one(age) for i, age in scan.signals.link_ages.items()}
    case.conditions = {i: read(row) for i, row in state.conditions.items()}
    case.causes = {i: read(row) for i, row in state.causes.items()}
    case.effects = {i: read(row) for i, row in state.effects.items()}
    case.outputs = {i: read(row) for i, row in state.outputs.items()}
    case.released = {i: one(found.value) for i, found in scan.gate.found.items()}
    case.waiting = {i: one(found.adopting) for i, found in scan.gate.found.items()}
    case.acting = {
        i: {"active": one(row.active), "latched": one(row.latched)}
        for i, row in scan.causes.after.items()
    }
    return case


def _round(scan: Scan, index: int) -> list[float]:
    """Values a reader takes in at a glance: ends of a switch, quarters of a range."""
    row = scan.profile.plan.signals[index]
    low, high = float(row["low"]), float(row["high"])
    quarters = [low + (high - low) * share for share in (0.25, 0.5, 0.75)] if high < 1e6 else []
    return [0.0, 1.0, *(float(f"{value:.3g}") for value in quarters)]


def quiet(scan: Scan) -> Iterator[Term]:
    """What a reader would rather see in a counter-example, most wanted first: nothing odd."""
    for cause in scan.state.causes.values():
        yield from (z3.Not(cause.latched), z3.Not(cause.bypassed))
    for output in scan.state.outputs.values():
        yield from (z3.Not(output.adopting), z3.Not(output.lost), z3.Not(output.locked),
                    z3.Not(output.reassert))  # fmt: skip
    for index, output in scan.state.outputs.items():
        limits = scan.profile.plan.outputs[index]
        yield z3.And(real(limits["low"]) <= output.wanted, output.wanted <= real(limits["high"]))
        yield output.released == real(limits["safe"])
        yield output.age >= 60_000_000_000
    for signal in scan.signals.found.values():
        yield z3.Not(signal.bad)
    for index, signal in scan.signals.found.items():
        yield z3.And(signal.fair, signal.age <= 1_000_000_000)
        yield any_of([signal.value == real(value) for value in _round(scan, index)])
    for cause in scan.state.causes.values():
        yield from (z3.Not(cause.active), z3.Not(cause.bad_on), z3.Not(cause.raw_on))
    for condition in scan.state.conditions.values():
        yield z3.Not(condition.raw)
    for effect in scan.state.effects.values():
        yield z3.Not(effect.on)
    period_ns = int(scan.profile.plan.unit[0]["period_ns"])
    yield scan.state.dt == period_ns

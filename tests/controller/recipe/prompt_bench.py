"""A unit that takes samples, recipes with controls over it, and batches of them."""

from __future__ import annotations

from recipe_bench import Desk, offer_of, recipe_of

from controller.core.events import Event
from controller.recipe.batch import BatchState, evolve, state_digest

VARIABLES = """
variables:
  lot: {dimension: text}
  seen: {dimension: count}
  top: {dimension: temperature}
  started: {dimension: count}
  vcd: {dimension: cell_density}
  expected: {dimension: cell_density}
  viability: {dimension: fraction}
"""
SAMPLE = """
  - id: sample
    running:
      - text: Model
        set: {expected: 10e6 /mL}
      - prompt: {kind: sample, id: vcd, text: Count, into: vcd, unit: 1e6/mL,
                 low: 0.1e6 /mL, high: 100e6 /mL, predicted: expected}
      - prompt: {kind: sample, id: viability, text: Viability, into: viability, unit: "%",
                 low: 0 %, high: 100 %}
      - text: Counted
        set: {seen: 1}
    aborting:
      - text: Nothing was moved
        set: {seen: 0}
"""
HEAD = """
recipe: small
version: "1"
title: Small
unit: bench
unit_version: "1"
"""
ONE = "{phase: sample}"


def batch(
    controls: str = "", *, items: str = ONE, phases: str = SAMPLE, **readings: float
) -> Desk:  # fmt: skip
    """A batch of one operation with `items`, started; `controls` is a YAML list in one line."""
    offer = offer_of(f"{VARIABLES}\nphases:\n{phases}")
    listed = f"controls: {controls}\n" if controls else ""
    bench = Desk(recipe_of(
        f"{HEAD}{listed}procedure:\n  - unit_procedure: u\n    operations:\n"
        f"      - operation: o\n        phases: [{items}]\n", offer
    ), dict(readings))  # fmt: skip
    bench.order("start")
    return bench


def told(bench: Desk, name: str) -> list[Event]:
    """The records of one kind."""
    return [event for event in bench.records if event.name == name]


def refusals(bench: Desk) -> list[str]:
    """Why answers were refused, the last one last."""
    return [event.data["why"] for event in told(bench, "prompt.refused")]


def rebuilt(bench: Desk) -> bool:
    """Whether every prefix of the records folds to the states there were, and to the last one."""
    state = BatchState()
    for event in bench.records:
        state = evolve(state, event)
    return state_digest(state) == state_digest(bench.state)

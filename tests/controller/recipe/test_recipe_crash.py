"""The supervisor dies after each single item of a run's log, and the run comes to the same end.

Every story is played once without a death, and once for every record and command in its log, with
the death right after it. What people do depends only on what they see.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from recipe_life import Laws
from recipe_zoo import Bench, Crash, batch, good_answer, whole

from controller.recipe.states import FINAL

LOOP = """
- loop: l
  until: rounds >= 30
  at_most: 2
  on_limit: {limit}
  unknown: hold
  do: [{{phase: count}}, {{phase: rest, with: {{time: 2 s}}}}]
- {{phase: mark}}
"""
SIDES = """
- parallel: p
  branches:
    - [{phase: drain, with: {time: 8 s}}, {phase: count}]
    - [{phase: fill, with: {volume: 1 L}, level: phase}]
- select: s
  unknown: hold
  choices: [{when: rounds == 1, do: [{phase: mark, with: {n: 4}}]}, {otherwise: [{phase: slow}]}]
"""
PEOPLE = (
    "- {phase: identity}\n- {phase: sample}\n- {phase: feed, with: {density: counted, time: 10 s}}"
)
SAMPLED = """
formula:
  counted: {source: sample, from: vcd, low: 0.5e6 /mL, high: 50e6 /mL, value: 2e6 /mL,
            unknown: hold}
controls: [{control: alive, of: viability, low: 95 %, outside: [retest, hold]}]
"""
CARE = """
long_hold: {after: 10 s, operation: care, phases: [{phase: drain, with: {time: 5 s}}]}
"""
LEFT = """
- unit_procedure: u
  operations:
    - operation: first
      phases:
        - {phase: drain, exceptions: [{when: AT102 < 20 %, unknown: ignore, do: {go_to: other}},
            {row: "9", do: {go_to: other}}]}
        - {phase: never, use: mark, with: {n: 666}}
    - {operation: second, phases: [{phase: rest, with: {time: 3 s}}]}
  alternatives:
    - operation: other
      phases: [{phase: count}, {phase: still, use: rest, with: {time: 3 s}}]
"""


def _left() -> Bench:
    bench = whole(LEFT)
    bench.readings["AT102"] = 10.0
    return bench


def _orders(bench: Bench, second: int) -> None:
    """Orders and changes at their times, once each: a person sees whether they were taken."""
    for at, path in ((4, "u/o/slow"), (120, "small")):
        if at <= second <= at + 1 and bench.state_of(path) == "Running":
            bench.press("hold", path)
    if second >= 6 and "u/o/rest" not in bench.state.skipped:
        bench.change("skip", "u/o/rest")


def _nobody(bench: Bench, second: int) -> None:
    """Nobody does anything."""


def _ends(bench: Bench, second: int) -> None:
    """Stops the batch while no phase is at work."""
    if second >= 5 and bench.state_of("small") == "Running":
        bench.press("stop")


def _pauses(bench: Bench, second: int) -> None:
    """Pauses a phase that cannot and then the whole, and lets go on what stands."""
    for at, path in ((3, "u/o/drain"), (14, "small")):
        if at <= second <= at + 1 and bench.state_of(path) == "Running":
            bench.press("pause", path)
    paused = [path for path in bench.recipe.nodes if bench.state_of(path) == "Paused"]
    if paused:
        bench.press("resume", paused[0])


STORIES: dict[str, tuple[Callable[[], Bench], Callable[[Bench, int], None]]] = {
    "a loop to its limit, then on": (
        lambda: batch(LOOP.format(limit="continue"), start=False), _nobody),
    "a loop to its limit, then Held": (
        lambda: batch(LOOP.format(limit="hold"), start=False), _nobody),
    "a loop to its limit, then aborted": (
        lambda: batch(LOOP.format(limit="abort"), start=False), _nobody),
    "side by side": (lambda: batch(SIDES, start=False), _nobody),
    "people and samples": (lambda: batch(PEOPLE, SAMPLED, start=False), _nobody),
    "left for an alternative": (_left, _nobody),
    "paused and resumed": (
        lambda: batch("- {phase: drain, with: {time: 8 s}}\n- {phase: slow}\n- {phase: mark}",
                      start=False), _pauses),
    "stopped between phases": (
        lambda: batch("- {phase: open_line}\n- {transition: t, when: VOL > 9 L, timeout: 1 h,\n"
                      "   text: Full, unknown: wait}\n- {phase: close_line}", start=False), _ends),
    "held, cared for, a phase skipped": (
        lambda: batch("- {phase: slow}\n- {phase: rest}\n- {phase: mark}", CARE, start=False),
        _orders),
}  # fmt: skip


def _answer(bench: Bench, kind: str, name: str) -> None:
    """The cells look poor until somebody has measured three times."""
    value = good_answer(kind, name)
    if name.endswith("viability"):
        value = "97" if dict(bench.state.prompts[name].outside).get("alive", 0) > 1 else "90"
    bench.answer(name, value, second="ben")


def _play(name: str, left: int | None) -> tuple[Bench, list[str]]:
    """Plays a story; returns the bench and what was Held, in order, each once in a row."""
    make, act = STORIES[name]
    bench = make()
    laws = Laws(bench)
    holds: list[str] = []
    bench.left = left
    root, waited = bench.recipe.root, 0
    for second in range(1_500):
        held = [path for path in bench.recipe.nodes if bench.state_of(path) == "Held"]
        if held and (not holds or holds[-1] != held[0]):
            holds.append(held[0])
        waited = waited + 1 if held else 0
        try:
            if bench.state_of(root) == "Idle":
                bench.press("start")
            act(bench, second)
            for prompt in bench.engine.prompts(bench.state):
                _answer(bench, prompt.kind, prompt.prompt_id)
            if waited > 20:
                bench.press("restart", held[0])
            bench.go(1)
        except Crash:
            bench.die(1)
        laws.look()
        if bench.state_of(root) in FINAL and not bench.state.runs:
            return bench, holds
    raise AssertionError(f"{name} does not end")


@pytest.mark.parametrize("name", STORIES)
def test_a_death_after_any_item_of_the_log_leads_to_the_same_end(name: str) -> None:
    whole_life, holds = _play(name, None)
    assert len(whole_life.log) > 20
    for left in range(len(whole_life.log)):
        bench, held = _play(name, left)
        where = f"{name}: died after {left} items"
        assert bench.state.nodes == whole_life.state.nodes, where
        assert bench.state.taken == whole_life.state.taken, where
        assert bench.state.skipped == whole_life.state.skipped, where
        assert bench.state.diverted == whole_life.state.diverted, where
        assert held == holds, where
        assert bench.outputs == whole_life.outputs, where
        assert {"unit_held": False} | bench.flags == {"unit_held": False} | whole_life.flags, where
        values = {name: found.value for name, found in bench.state.variables.items()}
        assert values == {n: v.value for n, v in whole_life.state.variables.items()}, where

"""What a unit sets when a procedure ends early, whatever the procedure was at."""

from __future__ import annotations

import pytest
from recipe_bench import HEAD, VARIABLES, Desk, offer_of, recipe_of

from controller.core.errors import BadInput

PHASE = """
phases:
  - id: p
    leaves: [xv204]
    running:
      - text: Open the base line
        set: {xv204: open}
    aborting:
      - text: Close the base line
        set: {xv204: closed}
"""
ENDING = "ending: {no_base: true, xv204: closed, base: 0 mL/min}\n"
RECIPE = f"""{HEAD}        phases:
          - {{phase: p}}
          - {{transition: warm, when: TT101 > 30 degC, timeout: 2 h}}
          - {{phase: again, use: p}}
"""


def waiting(ending: str = ENDING) -> Desk:
    """A batch whose first phase is over and has left the base line open; a transition waits."""
    bench = Desk(recipe_of(RECIPE, offer_of(VARIABLES + ending + PHASE)), {"TT101": 20.0})
    bench.order("start")
    bench.go(3)
    assert bench.state_of("u/o/warm") == "Running"
    return bench


@pytest.mark.parametrize(("verb", "last"), [("stop", "Stopped"), ("abort", "Aborted")])
@pytest.mark.parametrize("first", ["", "pause", "hold"])
def test_a_procedure_that_ends_between_phases_closes_what_they_left_open(first, verb, last):
    bench = waiting()
    if first:
        bench.order(first)
        bench.go(3)
    before = len(bench.commands)
    bench.order(verb)
    bench.go(3)
    assert bench.state_of("small") == last
    sent = [(each.verb, each.target, each.value) for each in bench.commands[before:]]
    for wanted in [("set_flag", "no_base", True), ("set_output", "xv204", 0.0),
                   ("set_output", "base", 0.0)]:  # fmt: skip
        assert wanted in sent


def test_a_hold_ends_nothing():
    bench = waiting()
    before = len(bench.commands)
    bench.order("hold")
    bench.go(3)
    assert all(each.target == "unit_held" for each in bench.commands[before:])


def test_a_supervisor_that_died_while_a_procedure_stopped_says_it_again():
    wait = "      - {text: Slow, wait: TT101 > 30 degC, timeout: 1 h, on_timeout: continue}\n"
    slow = PHASE.replace("    aborting:\n", f"{wait}    aborting:\n{wait}")
    bench = Desk(recipe_of(RECIPE, offer_of(VARIABLES + ENDING + slow)), {"TT101": 20.0})
    bench.order("start")
    bench.order("stop")
    assert bench.state_of("small") == "Stopping"
    before = len(bench.commands)
    bench.record("batch.attached", gap_s="3", state="Stopping")
    bench.go(1)
    again = [(each.verb, each.target, each.value) for each in bench.commands[before:]]
    assert ("set_flag", "no_base", True) in again
    assert ("set_output", "xv204", 0.0) in again


@pytest.mark.parametrize(("ending", "says"), [
    ("ending: {xv204: shut}\n", "open or closed"),
    ("ending: {base: TT101}\n", "a flow is needed here"),
    ("ending: {xv240: closed}\n", "Did you mean 'xv2"),
    ("ending: {base: ST_FEED}\n", "depends on what is not known here"),
])  # fmt: skip
def test_what_a_unit_sets_at_the_end_depends_on_nothing(ending, says):
    with pytest.raises(BadInput, match=says) as bad:
        waiting(ending)
    assert bad.value.where.startswith("unit.yaml:")

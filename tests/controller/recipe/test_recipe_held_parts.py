"""What was held by itself stays so until somebody restarts it, and not for hours."""

from __future__ import annotations

import pytest
from recipe_zoo import Bench, batch

from controller.recipe.tree import PART_HELD_NS

SIDES = """
- parallel: sides
  branches:
    - [{phase: drain}]
    - [{phase: rest, with: {time: 1 h}}]
"""
DRAIN, REST = "u/o/sides/drain", "u/o/sides/rest"


def held_beside_a_running_phase() -> Bench:
    bench = batch(SIDES)
    bench.go(3)
    assert bench.outputs["perfusate"] == 5.0
    bench.press("hold", DRAIN)
    bench.go(2)
    assert (bench.state_of(DRAIN), bench.state_of(REST)) == ("Held", "Running")
    return bench


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_of_the_whole_is_no_restart_of_what_was_held_by_itself(crash: bool) -> None:
    bench = held_beside_a_running_phase()
    bench.press("hold")
    bench.go(2)
    if crash:
        bench.die(2)
    bench.press("restart")
    bench.go(5)
    assert bench.state_of("small") == "Running"
    assert (bench.state_of(DRAIN), bench.state_of(REST)) == ("Held", "Running")
    assert bench.outputs["perfusate"] == 1.5  # what it is while held
    bench.press("restart", DRAIN)
    bench.go(3)
    assert bench.state_of(DRAIN) == "Running"
    assert not bench.state.held_parts


def test_a_part_that_is_held_for_an_hour_holds_the_whole_for_the_unit_knows_nothing_of_it() -> None:
    bench = held_beside_a_running_phase()
    bench.go(PART_HELD_NS / 1e9 - 10)
    assert bench.state_of("small") == "Running"
    bench.go(15)
    assert bench.state_of("small") == "Held"
    assert any(DRAIN in cause for cause in bench.state.hold_causes)
    bench.press("restart")
    bench.go(60)
    assert bench.state_of("small") == "Running"  # looked at: its time begins anew


def test_everything_that_was_held_by_itself_can_be_left() -> None:
    bench = held_beside_a_running_phase()
    bench.press("stop")
    bench.go(60)
    assert bench.state_of("small") == "Stopped"
    assert not bench.state.held_parts

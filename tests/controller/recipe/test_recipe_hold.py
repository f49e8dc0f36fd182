"""Holds and pauses: where a phase goes on, what waits, and the care of the cells in a long Hold."""

from __future__ import annotations

import pytest
from recipe_life import Laws
from recipe_zoo import Bench, batch

from controller.core.events import Event


def _named(bench: Bench, name: str) -> list[Event]:
    return [event for event in bench.records if event.name == name]


def test_a_restart_from_held_goes_on_from_the_last_re_entry_step_and_says_so() -> None:
    bench = batch("- {phase: fill, with: {volume: 2 L}}")
    bench.go(3)
    assert bench.state.runs["u/o/fill"].index == 3
    bench.press("hold")
    bench.go(16)
    assert bench.state_of("small") == "Held"
    count = len(bench.records)
    bench.press("restart")
    bench.go(6)
    entered = [e.data for e in bench.records[count:] if e.name == "step.re_entry"]
    assert entered == [{"path": "u/o/fill", "index": 2, "at": 3}]
    started = [e.data["index"] for e in bench.records[count:] if e.name == "step.started"]
    assert started[-2:] == [2, 3]
    assert bench.outputs["feed"] == 25.0


def test_a_hold_before_any_re_entry_step_goes_on_where_it_was() -> None:
    bench = batch("- {phase: slow}")
    bench.go(100)
    bench.press("hold")
    bench.go(61)
    bench.press("restart")
    bench.go(60)
    assert not _named(bench, "step.re_entry")
    assert bench.state.runs["u/o/slow"].index == 1
    bench.go(199)
    assert bench.state.runs["u/o/slow"].index == 1
    bench.go(2)
    assert bench.state.runs["u/o/slow"].index == 2


def test_a_pause_waits_for_a_mark_and_only_the_environment_and_what_is_on_goes_on() -> None:
    bench = batch("- {phase: slow}\n- {phase: mark}")
    bench.go(100)
    bench.press("pause")
    assert bench.state_of("u/o/slow") == "Pausing"
    bench.go(199)
    assert bench.state_of("small") == "Pausing"
    bench.go(2)
    assert bench.state_of("small") == bench.state_of("u/o/slow") == "Paused"
    assert bench.flags.get("unit_held", False) is False
    bench.go(5_000)
    assert bench.state_of("small") == "Paused"
    bench.press("resume")
    bench.go(299)
    assert bench.state_of("small") == "Running"
    bench.go(2)
    assert bench.state_of("small") == "Complete"


def test_a_phase_without_a_mark_runs_to_its_end_and_the_next_does_not_begin() -> None:
    bench = batch("- {phase: rest}\n- {phase: mark}")
    bench.go(5)
    bench.press("pause")
    bench.go(100)
    assert bench.state_of("small") == "Paused"
    assert bench.state_of("u/o/mark") == "Idle"
    bench.press("resume")
    bench.go(1)
    assert bench.state_of("small") == "Complete"


def test_a_paused_phase_without_a_mark_completes_and_what_follows_it_waits() -> None:
    bench = batch("- {phase: drain, with: {time: 10 s}}\n- {phase: mark}")
    bench.go(5)
    bench.press("pause", "u/o/drain")
    bench.go(10)
    assert bench.state_of("u/o/drain") == "Complete"
    assert bench.state_of("u/o") == "Paused"
    assert bench.state_of("small") == "Running"
    bench.press("hold")
    bench.go(5)
    bench.press("restart")
    bench.go(5)
    assert not any(bench.outputs.values())
    assert bench.state_of("small") == "Complete"


def test_a_long_hold_gets_its_care_and_the_batch_goes_on_where_it_was_after_it() -> None:
    bench = batch(
        "- {phase: slow}",
        "long_hold: {after: 3 min, operation: care, phases: [{phase: drain, with: {time: 1 min}}]}",
    )
    bench.go(10)
    bench.press("hold")
    bench.go(239)
    assert "care/drain" not in bench.state.runs
    bench.go(3)
    assert bench.state_of("care/drain") == "Running"
    assert bench.state_of("small") == "Held"
    assert bench.outputs["perfusate"] == 5.0
    assert bench.flags["unit_held"] is True
    bench.press("restart")
    bench.go(12)
    assert bench.outputs["perfusate"] == 0.0
    assert "care/drain" not in bench.state.runs
    bench.go(62)
    assert bench.state_of("u/o/slow") == "Running"
    bench.press("hold")
    bench.go(245)
    assert bench.state_of("care/drain") == "Running"
    bench.go(100)
    assert bench.state_of("small") == "Held"
    assert bench.outputs["perfusate"] == 0.0


def test_a_long_hold_is_counted_on_over_a_crash() -> None:
    bench = batch(
        "- {phase: slow}",
        "long_hold: {after: 3 min, operation: care, phases: [{phase: drain, with: {time: 1 min}}]}",
    )
    bench.press("hold")
    bench.go(161)
    bench.die(100)
    bench.go(2)
    assert bench.state_of("care/drain") == "Running"


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_care_is_ended_with_the_batch(verb: str) -> None:
    bench = batch(
        "- {phase: slow}",
        "long_hold: {after: 3 min, operation: care, phases: [{phase: drain, with: {time: 1 h}}]}",
    )
    bench.press("hold")
    bench.go(300)
    assert bench.outputs["perfusate"] == 5.0
    bench.press(verb)
    bench.go(62)
    assert bench.state_of("small") == {"stop": "Stopped", "abort": "Aborted"}[verb]
    assert not bench.state.runs
    Laws(bench).look()


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_care_whose_part_was_ended_stands_by_itself_and_the_batch_can_be_ended(verb: str) -> None:
    bench = batch(
        "- {phase: slow}",
        "long_hold: {after: 10 s, operation: care, phases: [{phase: ask}, {phase: drain}]}",
    )
    bench.press("hold")
    bench.go(75)
    bench.press(verb, "care/ask")
    bench.go(5)
    assert bench.state_of("care") == "Held"
    assert bench.state_of("small") == "Held"
    twin = bench.twin()
    twin.press("restart")
    twin.go(65)
    assert twin.state_of("u/o/slow") == "Running"
    bench.press("abort")
    bench.go(65)
    assert bench.state_of("small") == "Aborted"

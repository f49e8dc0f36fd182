"""Answers of people: limits, second persons, plausibility, and prompts through Hold."""

from __future__ import annotations

import pytest
from recipe_bench import Desk, P, desk

from controller.recipe.prompts import PromptAnswer

PROMPTS = """
      - prompt: {kind: scan, id: lot, text: Scan, into: lot}
      - prompt: {kind: confirm, id: sure, text: Sure, people: 2}
      - text: Model
        set: {expected: 10e6 /mL}
      - prompt: {kind: sample, id: vcd, text: Count, into: vcd, unit: 1e6/mL,
                 low: 0.1e6 /mL, high: 100e6 /mL, predicted: expected}
      - prompt: {kind: choose, id: pick, text: Pick, options: [one, two]}
"""


def _refusals(bench: Desk) -> list[str]:
    return [event.data["why"] for event in bench.records if event.name == "prompt.refused"]


def test_an_answer_that_does_not_fit_is_refused_and_the_prompt_stays_open() -> None:
    bench = desk(PROMPTS, others="")
    bench.answer(f"{P}.lot", "no spaces allowed")
    bench.answer(f"{P}.nothing", "yes")
    bench.answer(f"{P}.lot", "x" * 500)
    bench.answer(f"{P}.lot", "LOT-1", actor=" ")
    assert list(bench.state.prompts) == [f"{P}.lot"]
    bench.answer(f"{P}.lot", "LOT-1")
    assert bench.state.variables["lot"].value == "LOT-1"
    for second in ("", "anna", " ANNA "):
        bench.answer(f"{P}.sure", "yes", second=second)
    bench.answer(f"{P}.sure", "no", second="ben")
    assert list(bench.state.prompts) == [f"{P}.sure"]
    bench.answer(f"{P}.sure", "yes", second="ben")
    bench.answer(f"{P}.vcd", "101")
    bench.answer(f"{P}.vcd", "10 kPa")
    bench.answer(f"{P}.vcd", "nan")
    bench.answer(f"{P}.vcd", "9.5e6 cells/mL")
    bench.answer(f"{P}.pick", "three")
    bench.answer(f"{P}.pick", "two")
    assert bench.state_of("small") == "Complete"
    assert len(_refusals(bench)) == 12
    sample = next(event for event in bench.records if event.name == "sample.recorded")
    assert (sample.data["value"], sample.data["predicted"]) == ("9.5", "10")
    assert sample.actor == "anna"


@pytest.mark.parametrize("value", ["4.9", "20.1"])
def test_an_implausible_value_needs_entering_again_and_a_second_person(value: str) -> None:
    bench = desk(PROMPTS, others="")
    bench.answer(f"{P}.lot", "LOT-1")
    bench.answer(f"{P}.sure", "yes", second="ben")
    bench.answer(f"{P}.vcd", value, second="ben")
    assert "vcd" not in bench.state.variables
    assert bench.engine.prompts(bench.state)[0].repeat == value
    bench.answer(f"{P}.vcd", value)
    assert "second person" in _refusals(bench)[-1]
    bench.answer(f"{P}.vcd", "30", second="ben")
    assert "vcd" not in bench.state.variables
    bench.answer(f"{P}.vcd", "30", second="ben")
    assert bench.state.variables["vcd"].value == 30.0


@pytest.mark.parametrize("value", ["5", "20", "10"])
def test_a_plausible_value_is_taken_at_once(value: str) -> None:
    bench = desk(PROMPTS, others="")
    bench.answer(f"{P}.lot", "LOT-1")
    bench.answer(f"{P}.sure", "yes", second="ben")
    bench.answer(f"{P}.vcd", value)
    assert bench.state.variables["vcd"].value == float(value)


def test_a_prompt_stays_open_through_hold_but_cannot_be_answered_there() -> None:
    bench = desk(PROMPTS, others="")
    bench.order("hold")
    bench.answer(f"{P}.lot", "LOT-1")
    assert "Held" in _refusals(bench)[-1]
    bench.order("restart")
    bench.answer(f"{P}.lot", "LOT-1")
    assert bench.state.variables["lot"].value == "LOT-1"
    assert bench.names().count("prompt.opened") == 2


def test_two_answers_in_one_tick_count_once() -> None:
    bench = desk(PROMPTS, others="")
    answer = PromptAnswer(f"{P}.lot", "LOT-1", "anna")
    bench.tick(answers=[answer, answer])
    assert bench.names().count("variable.set") == 1
    assert "no such prompt" in _refusals(bench)[0]

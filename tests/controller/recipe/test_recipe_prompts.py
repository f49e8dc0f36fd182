"""Answers of people: limits, second persons, plausibility, and prompts through Hold."""

from __future__ import annotations

import pytest
from prompt_bench import batch, rebuilt, refusals, told
from recipe_bench import Desk, P, desk

from controller.core.errors import BadInput
from controller.core.events import EVENTS
from controller.recipe.batch import evolve
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
    assert len(refusals(bench)) == 12
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
    assert "second person" in refusals(bench)[-1]
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
    assert "Held" in refusals(bench)[-1]
    bench.order("restart")
    bench.answer(f"{P}.lot", "LOT-1")
    assert bench.state.variables["lot"].value == "LOT-1"
    assert bench.names().count("prompt.opened") == 2


def test_two_answers_in_one_tick_count_once() -> None:
    bench = desk(PROMPTS, others="")
    answer = PromptAnswer(f"{P}.lot", "LOT-1", "anna")
    bench.tick(answers=[answer, answer])
    assert bench.names().count("variable.set") == 1
    assert "no such prompt" in refusals(bench)[0]


# -- kinds, limits, time-outs -----------------------------------------------------------------


def phase(steps: str) -> str:
    return f"  - id: ask\n    running:\n{steps}"


def asking(steps: str, **readings: float) -> Desk:
    return batch("", items="{phase: ask}", phases=phase(steps), **readings)


Q = "u/o/ask"


def test_an_instruction_is_read_and_said_to_be_done() -> None:
    bench = asking("      - prompt: {kind: instruction, id: wipe, text: Wipe the port}\n")
    bench.answer(f"{Q}.wipe", "maybe")
    assert refusals(bench) == ["answer yes or done once it is done"]
    bench.answer(f"{Q}.wipe", "Done")
    assert bench.state_of("small") == "Complete"


SCAN = "      - prompt: {kind: scan, id: lot, text: Scan, into: lot, expect: batch_set_lot}\n"


def opened(bench: Desk, set_lot: str) -> None:
    bench.record(
        "batch.opened", batch_id="B-1", unit="bench", use="engineering", notice="", sync="",
        identity="PSN-1", set_lot=set_lot, calibration="", recipe="", profile="", software="",
        parameters={}, rights="", boards="",
    )  # fmt: skip


def test_a_code_is_the_one_of_the_batch_or_refused() -> None:
    bench = asking(SCAN)
    bench.answer(f"{Q}.lot", "LOT-7")
    assert "nothing is known to compare it with: batch_set_lot" in refusals(bench)[-1]
    opened(bench, "LOT-7")
    assert bench.engine.prompts(bench.state)[0].expect == "LOT-7"
    bench.answer(f"{Q}.lot", "LOT-8")
    assert refusals(bench)[-1] == "the code is not the one of this batch: LOT-7 is expected"
    assert "lot" not in bench.state.variables
    bench.answer(f"{Q}.lot", "LOT-7")
    assert bench.state.variables["lot"].value == "LOT-7"
    assert told(bench, "prompt.answered")[-1].data["limits"] == "LOT-7"


LIMITS = """
      - prompt: {kind: enter, id: top, text: Top, into: top, unit: degC,
                 low: TT101 - 1 K, high: TT101 + 1 K}
"""


def test_limits_may_be_computed_and_are_those_of_the_moment_of_the_answer() -> None:
    bench = asking(LIMITS, TT101=37.0)
    view = bench.engine.prompts(bench.state)[0]
    assert (view.low, view.high) == ("TT101 - 1 K", "TT101 + 1 K")
    bench.answer(f"{Q}.top", "35.9")
    assert refusals(bench)[-1] == "outside 36 degC .. 38 degC"
    bench.readings["TT101"] = 36.5
    bench.answer(f"{Q}.top", "35.9")
    done = told(bench, "prompt.answered")[0]
    assert done.data == {"prompt_id": f"{Q}.top", "value": "35.9 degC", "second": "",
                         "limits": "35.5 degC .. 37.5 degC"}  # fmt: skip
    assert (done.actor, done.role) == ("anna", "operator")


def test_a_limit_that_is_not_known_refuses_every_value_and_says_what_it_depends_on() -> None:
    bench = asking(LIMITS, TT101=37.0)
    bench.bad.add("TT101")
    bench.answer(f"{Q}.top", "37")
    assert refusals(bench)[-1] == "its lower limit is not known now: it depends on TT101"
    assert bench.state_of(Q) == "Running"
    bench.bad.clear()
    bench.answer(f"{Q}.top", "37")
    assert bench.state_of("small") == "Complete"


def test_a_limit_by_a_variable_is_shown_as_its_value() -> None:
    bench = asking("""
      - text: Note
        set: {top: 37 degC}
      - prompt: {kind: enter, id: again, text: Again, into: top, unit: degC,
                 low: top - 2 K, high: 40 degC}
""")
    view = bench.engine.prompts(bench.state)[0]
    assert (view.low, view.high) == ("35 degC", "40 degC")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ("low: TT101 - 1 degC", "two temperatures|a temperature is needed|cannot be"),
        ("low: TT10 - 1 K", "Did you mean 'TT101'"),
        ("low: 38 degC, high: 37 degC", "low is not below high"),
        ("low: 1 kPa", "is needed here"),
    ],
)
def test_limits_are_checked_at_load(edit: str, says: str) -> None:
    high = "" if "high" in edit else ", high: 38 degC"
    with pytest.raises(BadInput, match=says):
        asking(f"      - prompt: {{kind: enter, id: x, text: X, into: top, {edit}{high}}}\n")


@pytest.mark.parametrize("value", ["-", "1e999", "٣٧", "37 °C", "37; drop", "0x25", "37 degC 2"])
def test_what_is_no_number_with_a_fitting_unit_is_refused(value: str) -> None:
    bench = asking(LIMITS, TT101=37.0)
    bench.answer(f"{Q}.top", value)
    assert len(refusals(bench)) == 1
    assert list(bench.state.prompts) == [f"{Q}.top"]


def test_an_overdue_prompt_does_one_thing_worse_each_time() -> None:
    bench = asking("""
      - prompt: {kind: confirm, id: look, text: Look}
        timeout: 1 min
        on_timeout: [alarm, alarm, hold]
""")
    bench.go(61)
    assert (bench.names().count("step.timeout"), bench.state_of("small")) == (1, "Running")
    bench.go(60)
    assert (bench.names().count("step.timeout"), bench.state_of("small")) == (2, "Running")
    bench.go(61)
    assert (bench.names().count("step.timeout"), bench.state_of("small")) == (3, "Held")
    bench.order("restart")
    bench.go(30)
    assert bench.state_of("small") == "Running"
    bench.go(31)
    assert bench.state_of("small") == "Held"
    bench.order("restart")
    bench.answer(f"{Q}.look", "yes")
    assert bench.state_of("small") == "Complete"
    assert rebuilt(bench)


def test_a_log_from_before_limits_were_recorded_is_read_as_ever() -> None:
    bench = asking("      - prompt: {kind: confirm, id: look, text: Look}\n")
    before = bench.state
    bench.answer(f"{Q}.look", "yes")
    done = told(bench, "prompt.answered")[0]
    data = {key: value for key, value in done.data.items() if key != "limits"}
    record = {"event": "prompt.answered", "data": data, "actor": "anna", "mono_ns": "1",
              "time": "2026-01-05T08:00:00Z"}  # fmt: skip
    assert not evolve(before, record).prompts
    assert EVENTS["prompt.answered"].words(data) == f"Prompt {Q}.look answered: yes"


def test_the_record_of_a_choice_says_what_there_was_to_choose_from() -> None:
    bench = asking("      - prompt: {kind: choose, id: pick, text: Pick, options: [one, two]}\n")
    bench.answer(f"{Q}.pick", "two")
    assert told(bench, "prompt.answered")[0].data["limits"] == "one | two"


def test_two_people_are_two_whoever_of_them_answers() -> None:
    bench = asking("      - prompt: {kind: instruction, id: read, text: Read, people: 2}\n")
    for second in ("", "anna", " Anna"):
        bench.answer(f"{Q}.read", "yes", second=second)
    assert refusals(bench) == ["this needs two different people"] * 3
    bench.answer(f"{Q}.read", "yes", second="ben")
    assert told(bench, "prompt.answered")[0].data["second"] == "ben"


def test_a_sample_is_called_after_its_phase_and_in_a_loop_after_the_round() -> None:
    bench = batch(items="{loop: daily, do: [{phase: sample}], until: seen > 1, at_most: 3, "
                        "on_limit: continue, unknown: again}")  # fmt: skip
    labels = []
    for _ in range(3):
        labels.append(bench.engine.prompts(bench.state)[0].sample)
        bench.answer("u/o/daily/sample.vcd", "10")
        bench.answer("u/o/daily/sample.viability", "90")
    assert labels == ["sample-1", "sample-2", "sample-3"]
    assert bench.state_of("small") == "Complete"
    two = batch(items="{phase: sample}, {parallel: side, branches: [[{phase: a, use: sample}], "
                      "[{loop: l, do: [{phase: sample}], until: seen > 1, at_most: 2, "
                      "on_limit: continue, unknown: again}]]}")  # fmt: skip
    for name in ("vcd", "viability"):
        assert two.engine.prompts(two.state)[0].sample == "u.o.sample"
        two.answer(f"u/o/sample.{name}", "10")
    assert [view.sample for view in two.engine.prompts(two.state)] == [
        "a", "u.o.side.l.sample-1"
    ]  # fmt: skip

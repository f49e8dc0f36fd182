"""Whatever words come in from outside, the engine answers; what it refuses changes nothing."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_life import Laws, nothing_happened
from recipe_zoo import Bench, batch, good_answer, rebuilt, zoo

from controller.recipe.batch import state_digest
from controller.recipe.engine import Change, Order, PromptAnswer, ProtectiveRequest
from controller.recipe.states import COMMANDS

_ODD = st.one_of(
    st.text(max_size=30),
    st.sampled_from([
        "", " ", "\x00", "\n", "ü" * 5_000, "9" * 10_000, "-" * 10_000, "nan", "inf", "1e9999", "٣",
        "५ mL", "5,0", "0x10", "1_000", "½", "5 µL", "5 mL/min", "..", "u/o", "u/../u", "yes",
        "'; drop table", "{0}", "%s", "\u202e123", "e\u0301", "None", "true",
    ]),
)  # fmt: skip


@lru_cache
def _asking() -> Bench:
    """A batch with a question of every kind open, side by side."""
    bench = batch("""
    - parallel: p
      branches:
        - [{phase: ask}]
        - [{phase: sample}]
        - [{phase: identity}]
        - [{phase: feed, with: {time: 1 h}}]
    """)
    bench.go(2)
    return bench


def _names(bench: Bench) -> list[str]:
    return [prompt.prompt_id for prompt in bench.engine.prompts(bench.state)]


@settings(max_examples=300, deadline=None)
@given(number=st.integers(0, 3), value=_ODD, actor=_ODD, second=_ODD, reason=st.text(max_size=9))
def test_any_answer_is_taken_or_refused_with_its_reason(
    number: int, value: str, actor: str, second: str, reason: str
) -> None:
    bench = _asking().twin()
    bench.tick()
    names = [*_names(bench), "u/o/none.here"]
    before, count = state_digest(bench.state), len(bench.records)
    name = names[number % len(names)]
    given_ = PromptAnswer(name, value, actor[:200], "operator", second[:200], reason)
    bench.tick(answers=[given_])
    assert len(bench.records) > count, "an answer is never passed over in silence"
    if bench.records[count].name == "prompt.refused":
        nothing_happened(bench, before, count)
    again = rebuilt(_asking().records + bench.records[count:])
    assert state_digest(again) == state_digest(bench.state)


@settings(max_examples=200, deadline=None)
@given(verb=st.one_of(_ODD, st.sampled_from(COMMANDS)), path=_ODD, action=_ODD, row=_ODD)
def test_any_order_and_any_row_is_taken_or_refused(
    verb: str, path: str, action: str, row: str
) -> None:
    bench = _asking().twin()
    bench.tick()
    before, count = state_digest(bench.state), len(bench.records)
    bench.tick(orders=[Order(verb, "anna", "operator", "test", path)])
    if bench.records[count].name == "command.refused":
        nothing_happened(bench, before, count)
    bench.tick(protective=[ProtectiveRequest(action, f"row {row[:40]}", row)])
    Laws(bench)._rest()


@settings(max_examples=300, deadline=None)
@given(kind=st.one_of(_ODD, st.sampled_from(["set", "extend", "skip", "repeat", "insert"])),
       path=st.one_of(_ODD, st.sampled_from(["u/o/p/feed", "u/o/p", "u/o/p/ask"])),
       name=st.one_of(_ODD, st.sampled_from(["time", "patience", "rest", "mark"])),
       value=st.one_of(_ODD, st.sampled_from(["1 min", "n=1", "time=3 s", "2 h"])),
       second=st.sampled_from(["", "ben", "eva", "Eva "]))  # fmt: skip
def test_any_change_is_made_or_refused_with_its_reason(
    kind: str, path: str, name: str, value: str, second: str
) -> None:
    bench = _asking().twin()
    bench.tick()
    before, count = state_digest(bench.state), len(bench.records)
    bench.tick(changes=[Change(kind, path, name, value, "eva", "engineer", "test", second, "D-1")])
    first = bench.records[count]
    assert first.name in ("recipe.changed", "change.refused")
    if first.name == "change.refused":
        nothing_happened(bench, before, count)
    again = rebuilt(_asking().records + bench.records[count:])
    assert state_digest(again) == state_digest(bench.state)


def test_an_answer_that_comes_too_late_is_refused_and_changes_nothing() -> None:
    bench = batch("- {phase: identity}\n- {phase: rest}")
    late = _names(bench)[0]
    bench.answer(late, "LOT-1", "anna")
    before, count = state_digest(bench.state), len(bench.records)
    bench.answer(late, "LOT-2", "anna")
    nothing_happened(bench, before, count)
    bench.press("abort")
    bench.go(2)
    before, count = state_digest(bench.state), len(bench.records)
    bench.answer("u/o/identity.same", "yes", "anna", "ben")
    nothing_happened(bench, before, count)


def test_two_answers_to_one_question_in_one_tick_count_once() -> None:
    bench = batch("- {phase: identity}")
    name = _names(bench)[0]
    answers = [PromptAnswer(name, f"LOT-{n}", "anna", "operator") for n in (1, 2)]
    count = len(bench.records)
    bench.tick(answers=answers)
    made = [event.name for event in bench.records[count:]]
    assert made.count("prompt.answered") == 1
    assert made.count("prompt.refused") == 1
    assert bench.state.variables["lot"].value == "LOT-1"


def test_an_answer_while_held_counts_and_the_question_is_not_asked_again() -> None:
    bench = batch("- {phase: identity}\n- {phase: rest}")
    bench.press("hold")
    for prompt in bench.engine.prompts(bench.state):
        bench.answer(prompt.prompt_id, good_answer(prompt.kind, prompt.prompt_id), "anna", "ben")
    answered = [event for event in bench.records if event.name == "prompt.answered"]
    bench.press("restart")
    bench.go(1)
    if answered:
        assert "u/o/identity.lot" not in bench.state.prompts
    assert bench.state_of("small") == "Running"


@pytest.mark.parametrize(("verb", "other"), [("hold", "hold"), ("stop", "abort"), ("abort", "stop"),
                                             ("hold", "restart"), ("pause", "pause")])  # fmt: skip
def test_two_orders_in_one_tick_are_taken_one_after_the_other(verb: str, other: str) -> None:
    bench = Bench(zoo("levels"))
    bench.press("start")
    bench.go(15)
    count = len(bench.records)
    bench.tick(orders=[Order(each, "anna", "operator", "test") for each in (verb, other)])
    refused = [event for event in bench.records[count:] if event.name == "command.refused"]
    assert len(refused) == (0 if (verb, other) == ("stop", "abort") else 1)
    assert state_digest(rebuilt(bench.records)) == state_digest(bench.state)


def test_a_hold_of_a_row_goes_before_a_restart_of_a_person_in_the_same_tick() -> None:
    bench = batch("- {phase: slow}")
    bench.press("hold")
    bench.go(61)
    bench.tick(
        orders=[Order("restart", "anna", "operator", "test")],
        protective=[ProtectiveRequest("hold", "row 9: weight", "9")],
    )
    assert bench.state_of("small") in ("Holding", "Held")
    assert bench.flags["unit_held"] is True

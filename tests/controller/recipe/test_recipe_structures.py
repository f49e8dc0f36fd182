"""Structures of a recipe: what a loop, a selection, a transition and branches do, on record."""

from __future__ import annotations

import pytest
from recipe_zoo import Bench, batch, rebuilt

from controller.core.events import Event
from controller.recipe.batch import state_digest


def _named(bench: Bench, name: str) -> list[Event]:
    return [event for event in bench.records if event.name == name]


def _loop(until: str, at_most: int = 4, limit: str = "hold", unknown: str = "wait") -> str:
    return f"""
    - loop: l
      until: {until}
      at_most: {at_most}
      on_limit: {limit}
      unknown: {unknown}
      do: [{{phase: count}}, {{phase: rest, with: {{time: 10 s}}}}]
    - {{phase: mark, with: {{n: 42}}}}
    """


def _mark(bench: Bench) -> bool:
    return "mark" in bench.state.variables


def test_a_loop_goes_round_until_its_condition_holds_after_a_round_and_counts_on_record() -> None:
    bench = batch(_loop("rounds >= 3"))
    bench.go(29)
    assert not _mark(bench)
    assert bench.state.loops["u/o/l"] == 2
    bench.go(3)
    assert _mark(bench)
    assert bench.state_of("small") == "Complete"
    assert bench.state.variables["rounds"].value == 3
    again = _named(bench, "loop.again")
    assert [event.data["path"] for event in again] == ["u/o/l"] * 2
    assert [int(event.data["count"]) for event in again] == [1, 2]


@pytest.mark.parametrize(
    ("limit", "batch_state", "marked"),
    [("continue", "Complete", True), ("abort", "Aborted", False), ("hold", "Held", False)],
)
def test_a_loop_at_its_limit_does_what_its_author_said(
    limit: str, batch_state: str, marked: bool
) -> None:
    bench = batch(_loop("rounds >= 30", limit=limit))
    bench.go(39)
    assert bench.state_of("small") == "Running"
    bench.go(3)
    assert bench.state_of("small") == batch_state
    assert _mark(bench) is marked
    assert bench.state.variables["rounds"].value == 4
    causes = [event.data["cause"] for event in _named(bench, "procedure.state")]
    assert limit == "continue" or any("u/o/l" in cause and "4" in cause for cause in causes)


@pytest.mark.parametrize(("unknown", "after"), [("again", 2), ("wait", 1), ("hold", 1)])
def test_a_loop_whose_condition_is_unknown_does_what_its_author_said(
    unknown: str, after: int
) -> None:
    bench = batch(_loop("VOL > 1 L", unknown=unknown))
    bench.bad.add("VOL")
    bench.go(15)
    assert bench.state.variables["rounds"].value == after
    assert bench.state_of("small") == ("Held" if unknown == "hold" else "Running")
    assert not _mark(bench)
    bench.bad.clear()
    if unknown == "hold":
        bench.press("restart")
    bench.go(10)
    assert _mark(bench)
    assert bench.state.variables["rounds"].value == after


def test_a_loop_that_is_taken_up_again_goes_on_in_the_round_it_was_in() -> None:
    bench = batch(_loop("rounds >= 3"))
    bench.go(15)
    assert bench.state.loops["u/o/l"] == 1
    bench.die(2)
    bench.go(18)
    assert bench.state_of("small") == "Complete"
    assert bench.state.variables["rounds"].value == 3


SELECT = """
- select: s
  unknown: {unknown}
  choices:
    - when: VOL > 2 L
      do: [{{phase: high, use: rest}}, {{phase: a, use: mark, with: {{n: 1}}}}]
    - when: VOL > 1 L
      do: [{{phase: middle, use: rest}}, {{phase: b, use: mark, with: {{n: 2}}}}]
    - otherwise: [{{phase: low, use: rest}}, {{phase: c, use: mark, with: {{n: 3}}}}]
- {{phase: last, use: rest}}
"""


@pytest.mark.parametrize(("volume", "phase", "mark"), [
    (2.5, "high", 1), (1.5, "middle", 2), (0.5, "low", 3),
])  # fmt: skip
def test_a_selection_takes_the_first_branch_whose_condition_holds_and_stays_with_it(
    volume: float, phase: str, mark: int
) -> None:
    bench = batch(SELECT.format(unknown="wait"), VOL=volume)
    bench.go(1)
    assert list(bench.state.runs) == [f"u/o/s/{phase}"]
    taken = _named(bench, "selection.taken")
    assert len(taken) == 1
    assert taken[0].data["path"] == "u/o/s"
    assert taken[0].data["cause"]
    bench.readings["VOL"] = 5.0 if volume < 2 else 0.0
    bench.die(3)
    bench.go(25)
    assert bench.state.variables["mark"].value == mark
    assert len(_named(bench, "selection.taken")) == 1
    others = {"high", "middle", "low"} - {phase}
    assert all(bench.state_of(f"u/o/s/{other}") == "Idle" for other in others)
    bench.go(25)
    assert bench.state_of("small") == "Complete"


@pytest.mark.parametrize("unknown", ["wait", "hold", "otherwise"])
def test_a_selection_that_cannot_know_does_what_its_author_said(unknown: str) -> None:
    bench = batch(SELECT.format(unknown=unknown), start=False)
    bench.bad.add("VOL")
    bench.press("start")
    bench.go(5)
    if unknown == "otherwise":
        assert list(bench.state.runs) == ["u/o/s/low"]
        return
    assert bench.state_of("small") == ("Held" if unknown == "hold" else "Running")
    assert not bench.state.runs
    bench.bad.clear()
    if unknown == "hold":
        bench.press("restart")
    bench.go(2)
    assert list(bench.state.runs) == ["u/o/s/middle"]


def test_a_branch_with_nothing_in_it_is_passed_at_once() -> None:
    bench = batch("""
    - select: s
      unknown: hold
      choices: [{when: VOL > 1 L, do: []}, {otherwise: [{phase: slow}]}]
    - {phase: mark}
    """)  # fmt: skip
    bench.go(1)
    assert bench.state_of("small") == "Complete"
    assert bench.state_of("u/o/s/slow") == "Idle"


def test_a_selection_in_a_loop_chooses_anew_each_round() -> None:
    bench = batch("""
    - loop: l
      until: rounds >= 2
      at_most: 3
      on_limit: abort
      unknown: hold
      do:
        - phase: count
        - select: s
          unknown: hold
          choices:
            - {when: rounds == 1, do: [{phase: one, use: mark, with: {n: 1}}]}
            - {otherwise: [{phase: two, use: mark, with: {n: 2}}]}
    """)  # fmt: skip
    bench.go(2)
    assert bench.state_of("small") == "Complete"
    marks = [e.data["new"] for e in _named(bench, "variable.set") if e.data["name"] == "mark"]
    assert marks == ["1", "2"]
    assert len(_named(bench, "selection.taken")) == 2


TRANSITION = """
- {{transition: t, when: VOL > 2 L, timeout: 1 min, on_timeout: {late}, text: Enough,
   unknown: {unknown}}}
- {{phase: mark}}
"""


def test_a_transition_lets_nothing_past_until_its_condition_holds() -> None:
    bench = batch(TRANSITION.format(late="alarm", unknown="wait"))
    bench.go(50)
    assert bench.state_of("u/o/t") == "Running"
    assert bench.state_of("u/o/mark") == "Idle"
    bench.readings["VOL"] = 2.5
    bench.go(1)
    assert bench.state_of("small") == "Complete"


def test_a_transition_that_is_late_goes_one_step_worse_each_time() -> None:
    bench = batch(TRANSITION.format(late="[alarm, hold]", unknown="wait"))
    bench.go(61)
    assert len(_named(bench, "step.timeout")) == 1
    assert bench.state_of("small") == "Running"
    bench.go(60)
    assert len(_named(bench, "step.timeout")) == 2
    assert bench.state_of("small") == "Held"
    assert state_digest(rebuilt(bench.records)) == state_digest(bench.state)
    bench.press("restart")
    bench.readings["VOL"] = 2.5
    bench.go(1)
    assert bench.state_of("small") == "Complete"


@pytest.mark.parametrize(("unknown", "state"), [("wait", "Running"), ("hold", "Held")])
def test_a_transition_that_cannot_know_waits_or_holds(unknown: str, state: str) -> None:
    bench = batch(TRANSITION.format(late="alarm", unknown=unknown))
    bench.go(5)
    bench.bad.add("VOL")
    bench.readings["VOL"] = 2.5
    bench.go(5)
    assert bench.state_of("small") == state
    assert bench.state_of("u/o/mark") == "Idle"


def test_branches_side_by_side_inside_one_another_join_where_the_last_one_ends() -> None:
    bench = batch("""
    - parallel: p
      branches:
        - - {phase: a, use: rest, with: {time: 10 s}}
        - - parallel: q
            branches:
              - - {phase: b, use: rest, with: {time: 20 s}}
              - - {phase: c, use: rest, with: {time: 30 s}}
          - {phase: d, use: mark}
    - {phase: after, use: rest, with: {time: 5 s}}
    """)  # fmt: skip
    assert sorted(bench.state.runs) == ["u/o/p/a", "u/o/p/q/b", "u/o/p/q/c"]
    bench.go(29)
    assert list(bench.state.runs) == ["u/o/p/q/c"]
    assert not _mark(bench)
    bench.go(1)
    assert _mark(bench)
    assert list(bench.state.runs) == ["u/o/after"]
    assert bench.state_of("u/o/p") == "Complete"

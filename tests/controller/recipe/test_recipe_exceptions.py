"""What becomes of a phase on a cause: rows, conditions, alternatives, levels, care in a Hold."""

from __future__ import annotations

import pytest
from recipe_life import Laws
from recipe_zoo import Bench, batch, whole, zoo

from controller.core.events import Event
from controller.recipe.engine import ProtectiveRequest


def _named(bench: Bench, name: str) -> list[Event]:
    return [event for event in bench.records if event.name == name]


def _row(bench: Bench, row: str, action: str = "hold") -> None:
    bench.tick(protective=[ProtectiveRequest(action, f"row {row} tripped", row)])


def test_a_row_without_an_exception_holds_the_whole() -> None:
    bench = batch("- {phase: drain}")
    _row(bench, "9")
    assert bench.state_of("small") == "Held"


def test_an_exception_makes_a_rows_hold_an_abort_for_its_own_phase_only() -> None:
    items = "- {phase: drain, exceptions: [{row: '9', do: abort}]}\n- {phase: slow}"
    bench = batch(items)
    _row(bench, "16")
    assert bench.state_of("small") == "Held"
    bench.press("restart")
    _row(bench, "9")
    assert bench.state_of("small") in ("Aborting", "Aborted")
    bench = batch(items)
    bench.go(41)
    assert list(bench.state.runs) == ["u/o/slow"]
    _row(bench, "9")
    assert bench.state_of("small") == "Holding"


@pytest.mark.parametrize(("unknown", "state"), [("ignore", "Running"), ("act", "Held")])
def test_a_condition_that_is_unknown_is_ignored_or_acts_as_its_author_said(
    unknown: str, state: str
) -> None:
    bench = batch(
        f"- {{phase: rest, exceptions: [{{when: AT102 < 20 %, unknown: {unknown}, do: hold}}]}}"
    )
    bench.go(5)
    assert bench.state_of("small") == "Running"
    bench.bad.add("AT102")
    bench.go(2)
    assert bench.state_of("small") == state


def test_a_condition_that_holds_is_looked_at_while_its_phase_waits_for_people() -> None:
    bench = batch("- {phase: ask, exceptions: [{when: AT102 < 20 %, unknown: ignore, do: hold}]}")
    bench.go(5)
    bench.readings["AT102"] = 10.0
    bench.go(2)
    assert bench.state_of("small") == "Held"
    assert "AT102 < 20 %" in " ".join(bench.state.hold_causes)


def _diverting(then: str) -> Bench:
    bench = whole(f"""
    - unit_procedure: u
      operations:
        - operation: first
          phases:
            - {{phase: drain, with: {{time: 5 min}},
               exceptions: [{{when: AT102 < 20 %, unknown: ignore, do: {{go_to: other}}}}]}}
            - {{phase: never, use: mark, with: {{n: 666}}}}
        - operation: second
          phases: [{{phase: after, use: rest}}]
      alternatives:
        - operation: other
          then: {then}
          phases: [{{phase: air, use: mark, with: {{n: 16}}}},
                   {{phase: still, use: rest, with: {{time: 10 s}}}}]
    """)  # fmt: skip
    bench.press("start")
    bench.go(3)
    return bench


@pytest.mark.parametrize(
    ("then", "end"), [("next", "Complete"), ("stop", "Stopped"), ("abort", "Aborted")]
)
def test_an_exception_goes_to_its_alternative_and_then_where_that_says(then: str, end: str) -> None:
    bench = _diverting(then)
    laws = Laws(bench)
    bench.readings["AT102"] = 10.0
    bench.go(2)
    laws.look()
    taken = _named(bench, "exception.taken")
    assert len(taken) == 1
    assert (taken[0].data["path"], taken[0].data["operation"], taken[0].data["target"]) == (
        "u/first/drain", "u/first", "u/other",
    )  # fmt: skip
    assert "AT102 < 20 %" in taken[0].data["cause"]
    assert bench.outputs["perfusate"] == 0.0
    bench.go(11)
    assert bench.outputs["xv202"] == 0.0
    assert bench.state.variables["mark"].value == 16
    bench.go(10)
    laws.look()
    if then == "next":
        assert list(bench.state.runs) == ["u/second/after"]
    bench.go(60)
    laws.look()
    assert bench.state_of("small") == end
    assert bench.state_of("u/first/never") == "Idle"
    assert bench.state_of("u/first") in ("Stopped", "Aborted")
    assert bench.state_of("u/other") == "Complete"


@pytest.mark.parametrize("crash", [False, True])
def test_an_exception_never_leads_past_what_is_protected_and_holds_instead(crash: bool) -> None:
    bench = whole("""
    - unit_procedure: u
      operations:
        - operation: first
          branches:
            - [{phase: drain, with: {time: 5 min},
                exceptions: [{when: AT102 < 20 %, unknown: ignore, do: {go_to: other}}]}]
            - [{phase: identity}]
      alternatives:
        - {operation: other, phases: [{phase: air, use: mark, with: {n: 16}}]}
    """)
    bench.press("start")
    bench.go(3)
    bench.readings["AT102"] = 10.0
    bench.go(2)
    if crash:
        bench.die(2)
    assert bench.state_of("small") == "Held"
    assert "u/first/identity is not complete" in " ".join(bench.state.hold_causes)
    assert not bench.state.diverted
    bench.readings["AT102"] = 50.0
    bench.press("restart")
    bench.go(3)
    assert bench.state_of("u/first/identity") == "Running"


def test_an_alternative_that_nothing_calls_never_runs() -> None:
    bench = _diverting("next")
    bench.go(400)
    assert bench.state_of("small") == "Complete"
    assert bench.state_of("u/other") == "Idle"


@pytest.mark.parametrize("after_s", [1, 4, 7, 13])
def test_a_crash_on_the_way_to_an_alternative_does_not_lose_the_way(after_s: int) -> None:
    bench = _diverting("next")
    bench.readings["AT102"] = 10.0
    bench.go(after_s)
    bench.die(2)
    bench.readings["AT102"] = 50.0
    bench.go(60)
    assert bench.state_of("small") == "Complete"
    assert bench.state_of("u/first/never") == "Idle"
    assert bench.state_of("u/other") == "Complete"


@pytest.mark.parametrize("ended", ["runs", "stopped", "aborted"])
def test_what_an_alternative_stands_for_is_skipped_with_it(ended: str) -> None:
    bench = _diverting("next")
    bench.readings["AT102"] = 10.0
    bench.go(5)
    assert list(bench.state.runs) == ["u/other/still"]
    if ended != "runs":
        bench.press({"stopped": "stop", "aborted": "abort"}[ended], "u/other")
        bench.go(2)
        assert bench.state_of("small") == "Held"
    assert bench.change("skip", "u/other")[0].name == "change.refused"
    assert bench.change("skip", "u/first")[0].name == "recipe.changed"
    bench.press("restart")
    bench.go(2)
    assert list(bench.state.runs) == ["u/second/after"]
    assert bench.state_of("u/other") in ("Stopped", "Aborted")


LEVELS = """
- parallel: p
  branches:
    - - {{transition: t, when: VOL > 5 L, timeout: 10 s, on_timeout: {late}, text: Full,
         level: {level}, unknown: wait}}
    - [{{phase: slow}}]
"""


@pytest.mark.parametrize(("level", "held"), [
    ("phase", ["u/o/p/t"]), ("operation", ["u/o", "u/o/p", "u/o/p/slow", "u/o/p/t"]),
    ("unit_procedure", ["u", "u/o", "u/o/p", "u/o/p/slow", "u/o/p/t"]),
    ("procedure", ["small", "u", "u/o", "u/o/p", "u/o/p/slow", "u/o/p/t"]),
])  # fmt: skip
def test_a_hold_of_a_phases_own_goes_to_its_declared_level_and_no_higher(
    level: str, held: list[str]
) -> None:
    bench = batch(LEVELS.format(level=level, late="hold"))
    bench.go(75)
    found = [path for path in bench.recipe.nodes if bench.state_of(path) == "Held"]
    assert found == [path for path in bench.recipe.nodes if path in held]
    rest = [path for path in bench.recipe.nodes if path not in held]
    assert {bench.state_of(path) for path in rest} <= {"Running"}
    assert bench.flags.get("unit_held", False) is (level == "procedure")
    bench.readings["VOL"] = 6.0
    for path in bench.recipe.nodes:
        if bench.state_of(path) == "Held":
            bench.press("restart", path)
    bench.go(63)
    assert bench.state_of("u/o/p/t") == "Complete"
    assert bench.state_of("u/o/p/slow") == "Running"


@pytest.mark.parametrize("level", ["phase", "operation", "unit_procedure", "procedure"])
def test_an_abort_of_a_phases_own_ends_its_level_and_nobody_passes_over_it(level: str) -> None:
    bench = batch(LEVELS.format(level=level, late="abort"))
    bench.go(140)
    top = {"phase": "u/o/p/t", "operation": "u/o", "unit_procedure": "u", "procedure": "small"}
    assert bench.state_of(top[level]) == "Aborted"
    assert bench.state_of("small") == ("Aborted" if level == "procedure" else "Held")
    Laws(bench).look()


def test_a_value_from_a_sample_is_read_when_its_phase_starts_and_is_on_record() -> None:
    bench = Bench(zoo("daily"))
    bench.press("start")
    for _ in range(80):
        for prompt in bench.engine.prompts(bench.state):
            bench.answer(prompt.prompt_id, {"vcd": "5", "viability": "90", "lot": "LOT-1"}.get(
                prompt.prompt_id.rpartition(".")[2], "yes"), second="ben")  # fmt: skip
        bench.go(5)
        if "culture/grow/round/feed" in bench.state.runs:
            break
    found = [e.data for e in _named(bench, "parameter.resolved")]
    assert found[0]["path"] == "culture/grow/round/feed"
    assert found[0]["name"] == "density"
    assert float(str(found[0]["value"]).split()[0].removesuffix("e6")) == 5.0


def test_an_operation_in_a_loop_is_itself_again_in_the_next_round_after_it_was_left_once() -> None:
    bench = whole("""
    - unit_procedure: u
      operations:
        - loop: l
          until: rounds >= 3
          at_most: 5
          on_limit: abort
          unknown: hold
          do:
            - operation: o
              phases:
                - {phase: rest, exceptions: [{when: AT102 < 20 %, unknown: ignore,
                   do: {go_to: other}}]}
            - {operation: number, phases: [{phase: count}]}
      alternatives:
        - {operation: other, phases: [{phase: still, use: rest, with: {time: 10 s}}]}
    """)
    bench.press("start")
    bench.readings["AT102"] = 10.0
    bench.go(5)
    assert list(bench.state.runs) == ["u/other/still"]
    bench.readings["AT102"] = 40.0
    bench.go(12)
    assert list(bench.state.runs) == ["u/l/o/rest"]
    bench.readings["AT102"] = 10.0
    bench.go(5)
    assert list(bench.state.runs) == ["u/other/still"]
    bench.readings["AT102"] = 40.0
    bench.go(12)
    assert list(bench.state.runs) == ["u/l/o/rest"]
    bench.go(20)
    assert bench.state_of("small") == "Complete"
    assert len(_named(bench, "exception.taken")) == 2


def test_two_operations_that_go_to_the_same_alternative_each_get_it() -> None:
    first = """
        - operation: o{0}
          phases:
            - {{phase: rest, exceptions: [{{when: AT102 < 20 %, unknown: ignore,
               do: {{go_to: other}}}}]}}"""
    bench = whole(f"""
    - unit_procedure: u
      operations:{first.format(1)}{first.format(2)}
      alternatives:
        - {{operation: other, phases: [{{phase: count}}, {{phase: rest, with: {{time: 5 s}}}}]}}
    """)
    bench.press("start")
    bench.readings["AT102"] = 10.0
    bench.go(30)
    assert bench.state_of("small") == "Complete"
    assert bench.state.variables["rounds"].value == 2

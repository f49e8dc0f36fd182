"""What could have harmed a batch: holds that went away by themselves, gaps that nobody saw, ways
out that led nowhere. Each of these went wrong once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from recipe_bench import HEAD, VARIABLES, Desk, offer_of, recipe_of
from recipe_zoo import batch, rebuilt, whole

from controller.core.errors import BadInput
from controller.recipe.engine import Engine, ProtectiveRequest

sys.path.insert(0, str(Path(__file__).parents[1]))
from takeup_bench import MortalDeck, restart_field, skid_says

S = 1_000_000_000
SIDES = "- {parallel: s, branches: [[{phase: slow}], [{phase: rest, with: {time: 1 h}}]]}"
SLOW = "u/o/s/slow"
CARE = """
long_hold:
  after: 10 min
  operation: care
  phases: [{phase: look, use: rest, with: {time: 30 min}}]
"""
SLOWLY = """
phases:
  - id: rest
    parameters: {time: {dimension: time, low: 1 s, high: 10 h, default: 10 h}}
    running: [{text: Rest, for: time}]
    leaving: [{text: End it slowly, for: 1 min}]
"""
UNPROVEN = """
phases:
  - id: p
    running:
      - {text: Run, set: {feed: 10 mL/min}}
      - {text: Wait, for: 10 h}
      - {text: Off, set: {feed: 0 mL/min}}
    holding:
      - {text: Off while held, set: {feed: 0 mL/min}}
    restarting:
      - {text: Open, set: {xv201: open}}
      - {text: Proven, wait: XV201_ZSO == 1, timeout: 10 s, on_timeout: hold}
    aborting:
      - {text: Off, set: {feed: 0 mL/min, xv201: closed}}
"""
ALTERNATIVES = """
- unit_procedure: u
  operations:
    - operation: first
      phases:
        - {phase: rest, exceptions: [{when: AT102 < 20 %, unknown: ignore, do: {go_to: one}}]}
  alternatives:
    - operation: one
      then: next
      phases:
        - {phase: rest_one, use: rest,
           exceptions: [{when: AT101 < 5 pH, unknown: ignore, do: {go_to: two}}]}
    - operation: two
      then: next
      phases: [{phase: rest_two, use: rest}]
"""


# -- a Hold stays until a person ends it --------------------------------------------------------


def test_a_hold_of_a_part_while_the_whole_restarts_is_not_undone_by_that_restart() -> None:
    bench = batch(SIDES)
    bench.go(10)
    bench.press("hold")
    bench.go(90)
    bench.press("restart")
    bench.go(5)
    assert bench.state_of("small") == bench.state_of(SLOW) == "Restarting"
    bench.press("hold", SLOW)
    bench.go(600, 5)
    assert bench.state_of(SLOW) == "Held"
    assert bench.state_of("small") == "Held"


def test_a_restart_that_fails_at_the_level_of_its_phase_is_not_tried_again_by_itself() -> None:
    recipe = recipe_of(
        f"{HEAD}        phases: [{{phase: p, level: phase}}]\n", offer_of(VARIABLES + UNPROVEN)
    )
    bench = Desk(recipe, {"XV201_ZSO": 0.0})
    bench.order("start")
    bench.go(5)
    bench.order("hold")
    bench.go(5)
    bench.order("restart")
    bench.go(120)
    assert bench.state_of("u/o/p") == "Held"
    opened = [each for each in bench.sent() if each == ("set_output", "xv201", 1.0)]
    assert len(opened) == 1


def test_a_worse_failure_does_not_end_the_care_of_a_long_hold_for_good() -> None:
    bench = batch("- {phase: rest, with: {time: 10 h}}", CARE)
    bench.go(5)
    bench.press("hold")
    bench.go(700, 10)
    assert bench.state_of("care") == "Running"
    bench.protect("hold", "row 9")
    bench.go(60, 10)
    assert bench.state_of("care") == "Running"


def test_a_hold_in_a_restart_that_still_ends_the_care_gets_its_own_care_when_it_lasts() -> None:
    bench = Desk(
        recipe_of(f"{CARE}{HEAD}        phases: [{{phase: rest}}]\n", offer_of(VARIABLES + SLOWLY))
    )
    bench.order("start")
    bench.order("hold")
    bench.go(700, 10)
    bench.order("restart")
    bench.go(3)
    assert (bench.state_of("small"), bench.state_of("care")) == ("Restarting", "Stopping")
    bench.order("hold")
    bench.go(500, 10)
    assert (bench.state_of("small"), bench.state_of("care")) == ("Held", "Idle")
    bench.go(200, 10)
    assert bench.state_of("care") == "Running"


def test_the_conditions_of_a_phase_are_watched_while_it_is_paused() -> None:
    bench = batch("- {phase: slow, exceptions: [{when: AT102 < 20 %, unknown: ignore, do: hold}]}")
    bench.go(10)
    bench.press("pause", "u/o/slow")
    bench.go(400, 5)
    assert bench.state_of("u/o/slow") == "Paused"
    bench.readings["AT102"] = 5.0
    bench.go(3)
    assert bench.state_of("small") == "Holding"


# -- taken up again -------------------------------------------------------------------------------


def test_a_row_that_stands_when_a_batch_is_taken_up_does_not_hide_the_gap() -> None:
    bench = batch("- {phase: rest, with: {time: 4 h}}")
    bench.go(10)
    bench.clock.advance_to(bench.clock.now_ns + 11 * 3600 * S)
    bench.engine, bench.state = Engine(bench.recipe), rebuilt(bench.records)
    bench.record("batch.attached", gap_s="39600", state="Running")
    bench.tick(protective=[ProtectiveRequest("hold", "row 9: weight", "9")])
    assert bench.state_of("small") == "Held"
    assert "39600 s" in bench.state.hold_causes[0]
    assert "row 9: weight" in bench.state.hold_causes
    resume = bench.state.runs["u/o/rest"].resume
    assert resume is not None
    assert resume.elapsed_ns == 10 * S


@pytest.fixture
def deck(tmp_path: Path) -> MortalDeck:
    made = MortalDeck(tmp_path)
    made.open()
    return made


def test_what_a_row_asked_before_a_crash_still_names_the_row(deck: MortalDeck) -> None:
    data = {"row": "16", "action": "hold", "title": "DO low", "scan": 1}
    deck.supervisor.orders.take(
        {"event": "row.asks", "data": data, "actor": "system", "role": "", "reason": ""}
    )
    assert deck.supervisor.orders.asked == [ProtectiveRequest("hold", "row 16: DO low", "16")]


def test_a_new_field_holds_from_its_first_command_on_also_when_the_batch_was_pausing(
    deck: MortalDeck,
) -> None:
    deck.ask("pause")
    assert deck.supervisor.procedure_state == "Pausing"
    skid_says(deck)
    deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    deck.run(8)
    given = [told.data["new"] for told in deck.told
             if told.name == "command.intent" and told.data["target"] == "unit_held"]  # fmt: skip
    assert given[0] == "1"
    assert deck.flag("unit_held") == 1.0
    assert deck.supervisor.procedure_state == "Held"


# -- ways out ------------------------------------------------------------------------------------


def test_an_alternative_may_be_left_for_another_and_the_sequence_goes_on_behind_that() -> None:
    bench = whole(ALTERNATIVES)
    bench.press("start")
    bench.go(2)
    bench.readings["AT102"] = 10.0
    bench.go(3)
    assert (bench.state_of("u/first"), bench.state_of("u/one")) == ("Stopped", "Running")
    bench.readings["AT101"] = 4.0
    bench.go(3)
    assert (bench.state_of("u/one"), bench.state_of("u/two")) == ("Stopped", "Running")
    bench.go(30)
    assert bench.state_of("small") == "Complete"


def test_an_operation_skipped_while_the_alternative_of_its_alternative_runs_ends_that() -> None:
    bench = whole(ALTERNATIVES)
    bench.press("start")
    bench.go(2)
    bench.readings |= {"AT102": 10.0, "AT101": 4.0}
    bench.go(3)
    assert bench.state_of("u/two") == "Running"
    bench.change("skip", "u/first")
    bench.go(3)
    assert bench.state_of("u/two") == "Stopped"
    assert bench.state_of("small") == "Complete"


@pytest.mark.parametrize("target", ["one", "two"])
def test_alternatives_cannot_go_round_for_ever(target: str) -> None:
    with pytest.raises(BadInput, match="round for ever"):
        whole(ALTERNATIVES.replace("{phase: rest_two, use: rest}", (
            "{phase: rest_two, use: rest, exceptions: [{when: AT101 > 9 pH, unknown: ignore, "
            f"do: {{go_to: {target}}}}}]}}")))  # fmt: skip


LOOPED = """
- unit_procedure: u
  operations:
    - loop: l
      until: known(mark)
      at_most: 3
      on_limit: hold
      do:
        - operation: first
          phases:
            - {phase: rest, exceptions: [{when: AT102 < 20 %, unknown: ignore, do: {go_to: one}}]}
    - operation: second
      phases: [{phase: after, use: rest}]
  alternatives:
    - operation: one
      then: next
      phases: [ONE]
"""


def test_a_loop_that_is_skipped_takes_the_alternative_in_its_place_with_it() -> None:
    bench = whole(LOOPED.replace("ONE", "{phase: rest_one, use: rest, with: {time: 1 h}}"))
    bench.press("start")
    bench.go(2)
    bench.readings["AT102"] = 10.0
    bench.go(3)
    assert bench.state_of("u/one") == "Running"
    bench.change("skip", "u/l")
    bench.go(3)
    assert (bench.state_of("u/one"), bench.state_of("u/second")) == ("Stopped", "Running")


@pytest.mark.parametrize("path", ["u/l", "u/l/first"])
def test_no_skip_leads_past_what_is_protected_in_an_alternative(path: str) -> None:
    bench = whole(LOOPED.replace("ONE", "{phase: identity}"))
    bench.press("start")
    bench.go(2)
    bench.readings["AT102"] = 10.0
    bench.go(3)
    assert bench.state_of("u/one/identity") == "Running"
    (refused,) = bench.change("skip", path)
    assert refused.name == "change.refused"
    assert "protected" in refused.data["why"]
    assert bench.state_of("u/one/identity") == "Running"


@pytest.mark.parametrize("verb", ["stop", "abort"])
@pytest.mark.parametrize("path", ["u/o/identity", "u/o", "u"])
def test_a_part_that_could_never_be_skipped_is_held_or_the_whole_is_ended(
    verb: str, path: str
) -> None:
    bench = batch("- {phase: identity}\n- {phase: rest}")
    bench.go(3)
    bench.press(verb, path)
    bench.go(2)
    assert bench.state_of(path) == bench.state_of("small") == "Running"
    assert "could never go on without it" in bench.records[-1].data["why"]
    bench.press("hold", path)
    bench.go(2)
    assert bench.state_of(path) == "Held"
    bench.press(verb)
    bench.go(2)
    assert bench.state_of("small") in ("Stopped", "Aborted")


def test_a_part_whose_protected_phases_are_over_may_be_ended_by_itself() -> None:
    bench = batch("- {phase: identity}\n- {phase: rest}")
    bench.answer("u/o/identity.lot", "LOT-17")
    bench.answer("u/o/identity.same", "yes", second="udo")
    bench.go(3)
    bench.press("stop", "u/o")
    bench.go(2)
    assert bench.state_of("u/o") == "Stopped"

"""The one door: what it refuses, why, and that nothing happened."""

from __future__ import annotations

import pytest
from supervisor_bench import ME, YOU, Deck

from controller.core.errors import Refused
from controller.desk import REASON_MAX, REQUESTS_MAX, TEXT_MAX, Request


@pytest.fixture
def deck(tmp_path):
    return Deck(tmp_path)


def refused(deck, says, *request, **more):
    """Asks; expects a refusal in words, no intent, and no released change."""
    before = [deck.out(name) for name in deck.profile.outputs]
    deck.told.clear()
    deck.ask(*request, **more)
    assert says in deck.last("command.refused").data["why"]
    assert "command.intent" not in deck.names()
    assert [deck.out(name) for name in deck.profile.outputs] == before


def test_a_command_leaves_an_intent_then_acts_then_an_outcome(deck):
    deck.told.clear()
    deck.ask("set_output", "o2", "12", reason="start up")
    names = deck.names()
    assert names == ["command.intent", "command.outcome"]
    intent, outcome = deck.told
    assert intent.actor == ME
    assert (intent.data["old"], intent.data["new"]) == ("0", "12")
    assert outcome.data == {"id": intent.data["id"], "result": "applied", "why": ""}
    assert deck.out("o2") == 12


@pytest.mark.parametrize(("request_", "says"), [
    (("set_outputs", "stirrer", "120"), "Did you mean 'set_output'?"),
    (("set_output", "stirer", "120"), "Did you mean 'stirrer'?"),
    (("set_sp", "TIC11", "37"), "'TIC101'"), (("set_flag", "cels_in", "1"), "'cells_in'"),
    (("set_output", "stirrer", "fast"), "not a number"),
    (("set_output", "stirrer", ""), "not a number"),
    (("set_output", "stirrer", "nan"), "not a finite number"),
    (("set_output", "stirrer", "inf"), "not a finite number"),
    (("set_mode", "TIC101", "automatic"), "Did you mean 'auto'?"),
    (("set_mode", "TIC101", "cascade"), "unknown mode"),
    (("reset", "99"), "unknown row"),
    (("acknowledge", "row:99"), "no alarm"),
])  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused_with_the_nearest_name(deck, request_, says):
    people = {"reason": "test", "second": YOU}
    refused(deck, says, *request_, **people)


def test_a_request_made_on_another_state_than_the_screen_showed_is_refused(deck):
    refused(deck, "the screen showed 50", "set_output", "stirrer", "120", expected="50")
    deck.ask("set_output", "stirrer", "120", expected="0.0")
    assert deck.out("stirrer") == 120


@pytest.mark.parametrize("verb", ["reset", "bypass"])
def test_a_reset_and_a_bypass_need_a_reason(deck, verb):
    refused(deck, "needs a reason", verb, "2", "60", second=YOU)


@pytest.mark.parametrize("second", ["", ME])
def test_a_bypass_needs_a_second_person_who_is_another(deck, second):
    refused(deck, "second person", "bypass", "2", "60", reason="probe change", second=second)


def test_a_bypass_by_two_people_with_a_reason_is_recorded_with_its_end(deck):
    deck.told.clear()
    deck.ask("bypass", "2", "60;TT103 read by hand", reason="probe change", second=YOU)
    assert deck.last("bypass.set").data["until"] == "60 s"
    assert deck.last("command.outcome").data["result"] == "applied"


@pytest.mark.parametrize("flag", ["unit_held", "environment"])
def test_nobody_sets_the_flags_of_hold_and_environment_by_hand(deck, flag):
    refused(deck, "follows the procedure", "set_flag", flag, "0", reason="x", second=YOU)


def test_a_flag_that_opens_a_row_needs_two_people_and_a_reason(deck):
    refused(deck, "second person", "set_flag", "lineup", "1", reason="x")
    refused(deck, "reason", "set_flag", "lineup", "1", second=YOU)
    deck.ask("set_flag", "lineup", "1", reason="line-up checked", second=YOU)
    assert deck.flag("lineup") == 1


def test_what_field_refuses_has_an_outcome_that_says_why(deck):
    deck.ask("set_output", "stirrer", "9999")
    assert deck.last("command.outcome").data["result"] == "refused"
    assert "range" in deck.last("command.outcome").data["why"]
    assert deck.out("stirrer") == 0


@pytest.mark.parametrize("verb", ["hold", "restart", "stop", "abort", "start"])
def test_an_order_to_the_procedure_without_a_batch_is_refused(deck, verb):
    refused(deck, "no batch is open", verb)


@pytest.mark.parametrize("field", ["target", "value", "second", "actor", "role", "expected"])
def test_a_text_longer_than_its_limit_is_refused_at_the_door(deck, field):
    with pytest.raises(Refused, match=f"{field} is longer"):
        deck.supervisor.desk.ask(Request("set_output", **{field: "x" * (TEXT_MAX + 1)}))
    with pytest.raises(Refused, match="reason is longer"):
        deck.supervisor.desk.ask(Request("hold", reason="x" * (REASON_MAX + 1)))
    deck.told.clear()
    deck.run(2)
    assert deck.told == []


def test_the_longest_allowed_reason_is_recorded_whole(deck):
    deck.told.clear()
    deck.ask("set_output", "stirrer", "100", reason="x" * REASON_MAX)
    assert deck.out("stirrer") == 100


def test_more_requests_than_the_queue_holds_are_refused_and_the_others_are_done(deck):
    for _ in range(REQUESTS_MAX):
        deck.supervisor.desk.ask(Request("set_output", "stirrer", "100", ME))
    with pytest.raises(Refused, match="too many"):
        deck.supervisor.desk.ask(Request("set_output", "stirrer", "1", ME))
    deck.told.clear()
    deck.run(3)
    assert deck.names().count("command.outcome") == REQUESTS_MAX
    assert deck.out("stirrer") == 100


def test_ids_of_commands_are_never_used_twice(deck):
    for value in ("100", "110", "120"):
        deck.ask("set_output", "stirrer", value)
    ids = [told.data["id"] for told in deck.told if told.name == "command.intent"]
    assert ids == sorted(set(ids))

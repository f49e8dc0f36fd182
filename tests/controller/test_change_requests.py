"""A change of a running recipe: two signatures, the old and the new value, or nothing at all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_bench import TERMINAL, PeopleDeck, refused
from supervisor_bench import ME, YOU
from takeup_bench import MortalDeck

from controller.asking import Request
from controller.change_requests import WAYS, change_of, tried
from controller.core.errors import BadInput, Refused
from controller.recipe.batch import state_digest
from controller.recipe.check import plant_of
from controller.recipe.check.bounds import Span
from controller.report.fold import Fold

EXPAND, LEAK, PRIME = "culture/grow/expand", "prepare/set_up/leak_test", "prepare/set_up/prime"
LONGER = "set;until;180 h"
WHY = "the cells grow slowly"


@pytest.fixture
def deck(tmp_path):
    made = PeopleDeck(tmp_path)
    made.started()
    return made


@pytest.fixture
def console(tmp_path):
    """A station without accounts: people are named, not signed for."""
    made = MortalDeck(tmp_path)
    made.open()
    made.run(3)
    return made


def shown(deck, path):
    return f"{deck.supervisor.state.node(path)}, {changes(deck)} changes so far"


def changes(deck):
    return len(deck.supervisor.orders.standing.changes)


def ask(deck, path, value, signed=("emil", "quinn"), user="emil", **more):
    given = {"reason": WHY, "expected": shown(deck, path), **more}
    return deck.by(user, "change", path, value, signed, **given)


def untouched(deck, act):
    """Does something that must change nothing of the batch, whatever it answers."""
    before, recipe = state_digest(deck.supervisor.state), deck.supervisor.engine.recipe.digest
    answer = act()
    assert state_digest(deck.supervisor.state) == before
    assert deck.supervisor.engine.recipe.digest == recipe
    assert changes(deck) == 0
    return answer


def running(deck):
    return deck.supervisor.engine.current(deck.supervisor.state)


# -- what an engineer and QA do ---------------------------------------------------------------


def test_an_engineer_changes_a_value_and_qa_agrees_and_both_stand_in_the_log(deck):
    answer = ask(deck, EXPAND, LONGER)
    assert answer.accepted, answer
    deck.run(1)
    rows = [row for row in deck.in_batch_log() if row["event"] in (
        "command.intent", "signature.given", "recipe.changed", "command.outcome")]  # fmt: skip
    rows = [row for row in rows if row["data"]["id"] == answer.id]
    assert [row["event"] for row in rows] == [
        "command.intent", "signature.given", "signature.given", "recipe.changed",
        "command.outcome",
    ]  # fmt: skip
    intent, first, second, changed, outcome = rows
    assert (intent["actor"], intent["reason"]) == (f"emil@{TERMINAL}", WHY)
    assert (first["data"]["user"], first["data"]["meaning"]) == ("emil", "performed the change")
    assert (second["data"]["user"], second["data"]["meaning"]) == ("quinn", "agreed to the change")
    data = changed["data"]
    assert data["deviation"] == f"DEV-{answer.id}"
    assert (data["path"], data["name"], data["old"], data["new"]) == (
        EXPAND, "until", "168 h", "180 h")  # fmt: skip
    assert (changed["actor"], data["second"]) == (f"emil@{TERMINAL}", f"quinn@{TERMINAL}")
    assert outcome["data"]["result"] == "applied"


def test_the_frozen_recipe_stays_beside_the_one_that_runs(deck):
    ask(deck, EXPAND, LONGER)
    frozen = deck.supervisor.engine.recipe
    assert frozen.phases[EXPAND].parameters["until"] == "168 h"
    assert running(deck).phases[EXPAND].parameters["until"] == "180 h"
    assert deck.station.recipe is frozen


def test_the_time_of_the_present_step_is_extended(deck):
    assert ask(deck, LEAK, "extend;30 min").accepted
    assert deck.supervisor.state.runs[LEAK].extra_ns == 30 * 60 * 10**9
    assert deck.last("recipe.changed").data["old"] == "3600"


def test_a_phase_is_skipped_and_another_one_put_behind_it(deck):
    assert ask(deck, LEAK, "insert;leak_test;hold_time=10 min;pressure=22 mbar").accepted
    added = deck.last("recipe.changed").data["path"]
    plan = running(deck).phases[added]
    assert (plan.parameters["hold_time"], plan.parameters["pressure"]) == ("10 min", "22 mbar")
    assert added not in deck.supervisor.engine.recipe.nodes
    assert ask(deck, added, "skip").accepted
    assert added in deck.supervisor.state.skipped


def test_a_phase_that_has_run_is_repeated_as_an_element_of_its_own(deck):
    assert ask(deck, LEAK, "repeat").accepted
    assert deck.last("recipe.changed").data["after"] == LEAK
    assert changes(deck) == 1


# -- what is refused, and leaves nothing --------------------------------------------------------


@pytest.mark.parametrize(("path", "value", "says"), [
    (EXPAND, "set;until;500 h", "registered range"),
    (EXPAND, "set;untill;180 h", "no parameter 'untill'"),
    (EXPAND, "set;until;180 degC", "until"),
    (EXPAND, "set;until;soon", "until"),
    (EXPAND, "set;until", "is no change"),
    (EXPAND, "extend;1 h", "at no step"),
    (EXPAND, "repeat", "has not run yet"),
    (EXPAND, "forget", "unknown change 'forget'"),
    (EXPAND, "", "unknown change ''"),
    (LEAK, "extend;25 h", "up to 24 h"),
    (LEAK, "extend;-1 h", "up to 24 h"),
    (LEAK, "skip;now", "is no change"),
    (LEAK, "insert;sampel", "no phase 'sampel'"),
    (LEAK, "insert;leak_test;hold_time", "is not NAME=VALUE"),
    (LEAK, "insert;leak_test;hold_time=2 h", "outside its registered range"),
    (LEAK, "insert;inoculate", "never inserted"),
    (LEAK, "insert;harvest", "never inserted"),
    ("culture/start/inoculate", "skip", "never skipped"),
    ("culture/grow/transduce", "skip", "never skipped"),
    ("culture/start/inoculate", "repeat", "never repeated"),
    ("culture/grow", "skip", "is protected"),
])  # fmt: skip
def test_a_change_that_cannot_be_is_refused_with_its_reason_and_changes_nothing(
    deck, path, value, says
):
    answer = untouched(deck, lambda: ask(deck, path, value))
    assert not answer.accepted, answer
    assert says in answer.why, answer.why
    assert deck.one_record() == "command.refused"
    assert says in deck.last("command.refused").data["why"] + answer.why


def test_an_unknown_element_is_refused_with_the_nearest_name(deck):
    answer = untouched(deck, lambda: deck.by("emil", "change", "culture/grow/expnd", LONGER,
                                             ("emil", "quinn"), reason=WHY, expected="x"))
    refused(deck, answer, "bad_input", "unknown element 'culture/grow/expnd'")
    assert EXPAND in answer.why


@pytest.mark.parametrize(("path", "value", "says"), [
    ("prepare/condition/condition_medium", "set;temperature_low;37.6 degC", "can never be true"),
    (LEAK, "insert;expand", "reads growth"),
    ("culture/grow/sample_day_1", "insert;expand", "both drive WIC101, side by side"),
])  # fmt: skip
def test_what_would_break_what_lies_ahead_is_refused_before_anybody_does_it(
    deck, path, value, says
):
    answer = untouched(deck, lambda: ask(deck, path, value))
    refused(deck, answer, "refused", "what lies ahead could not run")
    assert says in answer.why


def test_what_the_equipment_cannot_do_is_found_before_it_is_changed(deck):
    plant = plant_of(deck.profile)
    slow = replace(plant, outputs={**plant.outputs, "feed": Span(0.0, 30.0)})
    faster = change_of(Request("change", PRIME, "set;rate;35 mL/min", ME, second=YOU))
    batch = (deck.supervisor.engine.recipe, deck.supervisor.state, faster)
    assert tried(*batch, plant).new == "35 mL/min"
    with pytest.raises(Refused, match=r"what lies ahead could not run: .*feed"):
        tried(*batch, slow)


@pytest.mark.parametrize(("user", "signed", "says"), [
    ("emil", (), "signatures of two people, not 0"),
    ("emil", ("emil",), "signatures of two people, not 1"),
    ("emil", ("emil", "emil"), "a second person, who is another"),
    ("emil", ("quinn", "emil"), "first signature must be that of emil"),
    ("emil", ("emil", "sam"), "a supervisor may not be the second person: qa"),
    ("emil", ("emil", "olivia"), "a operator may not be the second person: qa"),
    ("sam", ("sam", "quinn"), "supervisor may not change"),
    ("olivia", ("olivia", "quinn"), "operator may not change"),
    ("quinn", ("quinn", "sam"), "qa may not change"),
    ("", (), "nobody is logged in"),
])  # fmt: skip
def test_without_the_signatures_of_an_engineer_and_of_qa_nothing_is_changed(
    deck, user, signed, says
):
    answer = untouched(deck, lambda: ask(deck, EXPAND, LONGER, signed, user))
    assert not answer.accepted
    assert says in answer.why, answer.why
    assert deck.one_record() == "command.refused"


def test_a_change_needs_a_reason(deck):
    answer = untouched(deck, lambda: ask(deck, EXPAND, LONGER, reason="  "))
    assert (answer.accepted, answer.kind) == (False, "bad_input")


def test_a_signature_for_one_change_does_not_fit_another(deck):
    asked = deck.request("emil", "change", EXPAND, LONGER, ("emil", "quinn"), reason=WHY,
                         expected=shown(deck, EXPAND))  # fmt: skip
    answer = untouched(deck, lambda: deck.give(replace(asked, value="set;until;190 h")))
    assert "does not count" in answer.why
    assert deck.give(asked).accepted


def test_a_dialog_that_was_open_while_somebody_else_changed_the_recipe_is_stale(deck):
    old = shown(deck, EXPAND)
    assert ask(deck, EXPAND, LONGER).accepted
    before = state_digest(deck.supervisor.state)
    answer = ask(deck, EXPAND, "set;until;190 h", expected=old)
    refused(deck, answer, "stale", f"the screen showed {old}")
    assert state_digest(deck.supervisor.state) == before
    unsaid = ask(deck, EXPAND, "set;until;190 h", expected="")
    refused(deck, unsaid, "bad_input", "does not say which state")


def test_there_is_nothing_to_change_before_the_start_and_after_the_end(tmp_path):
    made = PeopleDeck(tmp_path)
    answer = made.by("emil", "change", EXPAND, LONGER, ("emil", "quinn"), reason=WHY, expected="x")
    refused(made, answer, "refused", "no batch is open")
    made.open()
    early = ask(made, EXPAND, LONGER)
    refused(made, early, "refused", "change is not possible while Idle")


@pytest.mark.parametrize(("value", "kind", "name", "text"), [
    ("set; until ; 180 h", "set", "until", "180 h"), ("skip", "skip", "", ""),
    ("extend;30 min", "extend", "", "30 min"), ("insert;sample", "insert", "sample", ""),
    ("insert;sample;at=24 h;ph_offset=0.1 pH", "insert", "sample", "at=24 h, ph_offset=0.1 pH"),
])  # fmt: skip
def test_a_change_is_read_from_its_text(value, kind, name, text):
    found = change_of(Request("change", EXPAND, value, ME, second=YOU), 7)
    assert (found.kind, found.path, found.name, found.value) == (kind, EXPAND, name, text)
    assert (found.second, found.deviation, found.id) == (YOU, "DEV-7", 7)


@pytest.mark.parametrize("value", ["set", "set;a", "set;;1 h", "set;a;b;c", "extend", "extend;1;2",
                                   "skip;x", "skip;", "insert", "insert;;a=1", "insert;x;;a=1",
                                   ";", "SKIP"])  # fmt: skip
def test_a_text_that_says_no_change_is_refused_with_how_to_say_one(value):
    with pytest.raises(BadInput) as error:
        change_of(Request("change", EXPAND, value))
    assert error.value.do.startswith("Say ")


@given(st.text(max_size=200) | st.lists(st.sampled_from(
    ["set", "extend", "skip", "repeat", "insert", "until", "1 h", "", "=", ";", ",", "a=b"])
).map(";".join))  # fmt: skip
def test_whatever_is_typed_is_a_change_or_refused_in_words(text):
    with suppress(BadInput):
        assert change_of(Request("change", EXPAND, text)).kind in WAYS


# -- a station without accounts, and one that dies ----------------------------------------------


def test_scripts_name_two_different_people(console):
    console.ask("change", EXPAND, LONGER, reason=WHY, second=ME)
    assert "needs a second person" in console.last("command.refused").data["why"]
    console.ask("change", EXPAND, LONGER, reason=WHY, second=YOU)
    assert console.last("recipe.changed").data["second"] == YOU


def test_a_change_survives_the_supervisor_with_its_deviation(console):
    console.ask("change", EXPAND, LONGER, reason=WHY, second=YOU)
    before = console.supervisor.orders.standing.changes
    console.drop()
    console.come_back()
    console.run(3)
    assert console.supervisor.orders.standing.changes == before
    assert before[0].new == "180 h"
    assert running(console).phases[EXPAND].parameters["until"] == "180 h"


# -- deviations that were found out later -------------------------------------------------------


@pytest.mark.parametrize("user", ["olivia", "sam", "quinn", "emil"])
def test_whoever_works_on_the_batch_records_a_deviation_and_nothing_else_changes(deck, user):
    before = deck.supervisor.state
    answer = deck.by(user, "deviation", LEAK, "the clamp was loose", (user,),
                     reason="seen on the camera")  # fmt: skip
    assert answer.accepted, answer
    now = deck.supervisor.state
    assert (now.nodes, now.runs, now.amendments) == (before.nodes, before.runs, before.amendments)
    assert now.deviations == before.deviations  # those of controls have numbers of their own
    told = deck.last("deviation.recorded")
    assert told.data == {"deviation": f"DEV-{answer.id}", "id": answer.id, "target": LEAK,
                         "what": "the clamp was loose", "second": ""}  # fmt: skip
    assert (told.actor, told.reason) == (f"{user}@{TERMINAL}", "seen on the camera")


@pytest.mark.parametrize(("target", "value", "signed", "says"), [
    ("procedure", " ", ("olivia",), "not said"), ("procedure", "x", (), "one signature"),
    ("prepare/nowhere", "x", ("olivia",), "unknown element"),
])  # fmt: skip
def test_a_deviation_says_what_was_found_where_and_is_signed(deck, target, value, signed, says):
    answer = deck.by("olivia", "deviation", target, value, signed, reason="x")
    assert not answer.accepted
    assert says in answer.why
    assert deck.one_record() == "command.refused"
    for user in ("ada", "aud"):
        assert deck.by(user, "deviation", "procedure", "x", (user,), reason="x").kind == "forbidden"


def test_a_deviation_is_recorded_after_the_end_of_the_procedure_too(deck):
    assert deck.by("sam", "stop", signed=("sam",), reason="x", expected="Running").accepted
    deck.run(5)
    assert deck.supervisor.procedure_state == "Stopped"
    assert deck.by("quinn", "deviation", "procedure", "found in the review", ("quinn",),
                   reason="review").accepted  # fmt: skip


def test_the_batch_report_lists_changes_and_what_was_found_later_as_deviations(console):
    console.ask("change", EXPAND, LONGER, reason=WHY, second=YOU)
    console.ask("change", LEAK, "insert;leak_test;hold_time=10 min", reason=WHY, second=YOU)
    console.ask("deviation", LEAK, "the clamp was loose", reason="seen later")
    fold = Fold()
    for row in console.logs():
        fold.take(row)
    loud = [row["event"] for row in fold.table("deviations").rows]
    assert loud.count("recipe.changed") == 2
    assert "deviation.recorded" in loud
    value, added, later = fold.table("amendments").rows
    assert (value["where"], value["what"]) == (f"set {EXPAND}", "until: 168 h -> 180 h")
    assert (value["reason"], value["who"], value["second"]) == (WHY, ME, YOU)
    assert added["where"].startswith("insert prepare/set_up/leak_test_2 behind")
    assert added["what"] == "leak_test: hold_time = 10 min"
    assert (later["where"], later["what"]) == (LEAK, "the clamp was loose")

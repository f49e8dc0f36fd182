"""Orders to the whole procedure and to one element of it: whose state counts, and what follows."""

from __future__ import annotations

import pytest
from people_bench import LOT, PeopleDeck, refused
from supervisor_bench import ME, Deck
from takeup_bench import MortalDeck

from controller.asking import Busy, Request
from controller.core.errors import RecordFailure
from controller.desk import REQUESTS_MAX
from controller.recipe.batch import state_digest

LEAK, SET_UP, PREPARE = "prepare/set_up/leak_test", "prepare/set_up", "prepare"
PRIME = "prepare/set_up/prime"


@pytest.fixture
def deck(tmp_path):
    made = PeopleDeck(tmp_path)
    made.started()
    return made


def state(deck, path=""):
    supervisor = deck.supervisor
    return supervisor.state.node(path) if path else supervisor.procedure_state


def order(deck, user, verb, path="procedure", signed=None, **more):
    """An order as a screen gives it, signed by who asks, on the state it shows."""
    shown = state(deck, "" if path == "procedure" else path)
    signed = (user,) if signed is None else signed
    given = {"reason": "as told", "expected": shown, **more}
    return deck.by(user, verb, path, "", signed, **given)


def held_part(deck, path=LEAK):
    assert order(deck, "olivia", "hold", path, ()).accepted
    deck.run(3)
    assert state(deck, path) == "Held"


def unchanged(deck, act):
    before = state_digest(deck.supervisor.state)
    answer = act()
    assert state_digest(deck.supervisor.state) == before
    assert deck.one_record() == "command.refused"
    return answer


# -- hold and restart of an element ---------------------------------------------------------------


def test_a_held_element_waits_and_what_is_above_and_beside_it_goes_on(deck):
    held_part(deck)
    assert [state(deck), state(deck, PREPARE), state(deck, SET_UP)] == ["Running"] * 3
    assert deck.flag("unit_held") == 0, "the unit's Hold column is not in force"
    assert deck.only().data["target"] == LEAK
    assert deck.only().data["old"] == "Running"


def test_a_hold_of_an_element_is_no_hold_in_field_before_anybody_looked_at_it(deck):
    deck.supervisor.desk.ask(deck.request("olivia", "hold", LEAK))
    deck.scan()
    assert deck.flag("unit_held") == 0
    deck.supervisor.desk.ask(deck.request("olivia", "hold"))
    deck.scan()
    assert deck.flag("unit_held") == 1


def test_an_element_is_restarted_by_the_rights_of_its_own_state(deck):
    held_part(deck)
    refused(deck, order(deck, "olivia", "restart", LEAK, ()), "forbidden", "takes one signature")
    assert order(deck, "olivia", "restart", LEAK).accepted
    deck.run(3)
    assert state(deck, LEAK) == "Running"
    assert deck.last("signature.given").data["meaning"] == "restarted"
    again = unchanged(deck, lambda: order(deck, "olivia", "restart", LEAK))
    refused(deck, again, "refused", "restart is not possible while Running")
    assert "It is while Held. Possible now: pause, hold, stop, abort." in again.why


def test_an_element_is_not_restarted_below_one_that_is_held(deck):
    held_part(deck)
    assert order(deck, "olivia", "hold", signed=()).accepted
    deck.run(3)
    assert state(deck) == "Held"
    answer = unchanged(deck, lambda: order(deck, "olivia", "restart", LEAK))
    refused(deck, answer, "refused", f"{LEAK} cannot restart: {SET_UP} is Held")
    assert f"Let {SET_UP} run first" in answer.why


def test_a_hold_of_an_element_by_nobody_knows_whom_is_named_before_a_restart(deck):
    assert deck.by("", "hold", LEAK, reason="pressed").accepted
    deck.run(3)
    answer = unchanged(deck, lambda: order(deck, "olivia", "restart", LEAK))
    refused(deck, answer, "refused", "who is not named yet")
    assert deck.by("olivia", "identify_hold", value="Nora", reason="she said so").accepted
    assert order(deck, "olivia", "restart", LEAK).accepted


# -- pause and resume -----------------------------------------------------------------------------


def changed(deck, path, value):
    shown = f"{state(deck, path)}, {len(deck.supervisor.orders.standing.changes)} changes so far"
    answer = deck.by("emil", "change", path, value, ("emil", "quinn"), reason="x", expected=shown)
    assert answer.accepted, answer


def tested(deck):
    """The leak test, to its end."""
    changed(deck, LEAK, "set;hold_time;1 min")
    deck.values["PT101"] = 2.5
    for prompt, value in ((LOT, "LOT-0001"), (f"{LEAK}.pressurise", "yes")):
        assert deck.by("olivia", "answer", prompt, value).accepted
        deck.run(3)
    deck.run(65)
    assert deck.by("olivia", "answer", f"{LEAK}.release", "yes").accepted
    deck.values["PT101"] = 0.1
    deck.run(5)


def paused(deck):
    order(deck, "olivia", "pause", signed=())
    changed(deck, LEAK, "skip")
    deck.run(5)
    assert state(deck) == "Paused"


@pytest.mark.parametrize("path", ["procedure", PREPARE, SET_UP])
def test_a_pause_waits_for_a_place_to_pause_and_a_resume_goes_on_behind_it(deck, path):
    where = "" if path == "procedure" else path
    assert order(deck, "olivia", "pause", path, ()).accepted
    deck.run(2)
    assert state(deck, where) == "Pausing", "its phase is in the middle of a test"
    changed(deck, LEAK, "skip")
    deck.run(5)
    assert (state(deck, where), state(deck, LEAK)) == ("Paused", "Stopped")
    deck.run(20)
    assert state(deck, PRIME) == "Idle", "nothing begins while it is paused"
    refused(deck, order(deck, "olivia", "resume", path, ()), "forbidden", "one signature")
    assert order(deck, "olivia", "resume", path).accepted
    deck.run(3)
    assert (state(deck, where), state(deck, PRIME)) == ("Running", "Running")
    assert deck.last("signature.given").data["meaning"] == "resumed"


def test_a_phase_without_a_place_to_pause_completes_and_what_follows_it_waits(deck):
    order(deck, "olivia", "pause", LEAK, ())
    deck.run(2)
    assert (state(deck, LEAK), state(deck)) == ("Pausing", "Running")
    tested(deck)
    above = LEAK.rpartition("/")[0]
    assert (state(deck, LEAK), state(deck, above), state(deck)) == ("Complete", "Paused", "Running")
    assert state(deck, PRIME) == "Idle"
    assert order(deck, "olivia", "resume", above).accepted
    deck.run(3)
    assert (state(deck, above), state(deck, PRIME)) == ("Running", "Running")


def test_a_pause_is_taken_back_before_it_has_begun(deck):
    order(deck, "olivia", "pause", signed=())
    deck.run(2)
    assert state(deck) == "Pausing"
    assert order(deck, "olivia", "resume").accepted
    deck.run(2)
    assert state(deck) == "Running"


def test_a_pause_stops_nothing_and_a_hold_out_of_it_does_what_a_hold_does(deck):
    paused(deck)
    assert (state(deck), deck.flag("unit_held")) == ("Paused", 0)
    assert order(deck, "olivia", "hold", signed=()).accepted
    deck.run(3)
    assert (state(deck), deck.flag("unit_held")) == ("Held", 1)


def test_a_row_that_stands_keeps_a_paused_procedure_where_it_is(deck, monkeypatch):
    paused(deck)
    row = deck.profile.causes[0]
    monkeypatch.setattr(deck.supervisor.requests, "standing", lambda: [row])
    answer = unchanged(deck, lambda: order(deck, "olivia", "resume"))
    refused(deck, answer, "refused", f"row {row.row} asks for Hold and stands")


# -- stop and abort of an element -----------------------------------------------------------------


def test_a_stopped_element_holds_the_whole_until_somebody_decides_what_stands_for_it(deck):
    refused(deck, order(deck, "olivia", "stop", LEAK), "forbidden", "operator may not stop")
    assert order(deck, "sam", "stop", LEAK).accepted
    deck.run(5)
    assert (state(deck, LEAK), state(deck)) == ("Stopped", "Held")
    why = "\n".join(deck.supervisor.state.hold_causes)
    assert "skip it, run it again, or stop the procedure" in why
    shown = f"{state(deck, LEAK)}, 0 changes so far"
    assert deck.by("emil", "change", LEAK, "repeat", ("emil", "quinn"), reason="a new set",
                   expected=shown).accepted  # fmt: skip
    assert order(deck, "olivia", "restart").accepted
    deck.run(5)
    assert state(deck) == "Running"
    assert state(deck, deck.supervisor.orders.standing.changes[0].path) == "Running"


def test_an_element_is_aborted_with_the_signature_of_a_supervisor(deck):
    own = order(deck, "olivia", "abort", LEAK)
    refused(deck, own, "forbidden", "signed by a supervisor")
    assert order(deck, "olivia", "abort", LEAK, ("sam",)).accepted
    deck.run(5)
    assert (state(deck, LEAK), state(deck)) == ("Aborted", "Held")


# -- what is no order -----------------------------------------------------------------------------


def test_an_element_is_never_started_by_a_person(deck):
    answer = unchanged(deck, lambda: order(deck, "olivia", "start", PRIME))
    refused(deck, answer, "refused", "starts when its turn comes")


@pytest.mark.parametrize("verb", ["hold", "restart", "stop", "abort", "pause", "resume"])
def test_an_order_to_an_element_nobody_knows_is_refused_with_the_nearest_name(deck, verb):
    answer = unchanged(deck, lambda: deck.by("sam", verb, "prepare/set_up/leak_tset", "",
                                             ("sam",), reason="x", expected="Running"))
    assert not answer.accepted
    if verb in ("hold", "stop", "abort", "pause"):
        assert LEAK in answer.why


def test_an_order_belongs_to_the_state_of_the_element_that_was_shown(deck):
    held_part(deck)
    answer = unchanged(deck, lambda: order(deck, "olivia", "restart", LEAK, expected="Running"))
    refused(deck, answer, "stale", "the screen showed Running, the procedure is Held")
    unsaid = unchanged(deck, lambda: order(deck, "olivia", "restart", LEAK, expected=""))
    refused(deck, unsaid, "bad_input", "which state the screen showed")


def test_while_the_log_is_down_only_a_hold_of_the_whole_is_taken(deck):
    deck.supervisor.log_failed(RecordFailure("no space", do="x"), deck.clock.stamp())
    answers = []
    deck.supervisor.desk.ask(deck.request("olivia", "hold", LEAK), answers.append)
    deck.supervisor.tick(deck.clock.stamp())
    assert "no command but Hold" in answers[0].why
    assert not answers[0].accepted


def test_holds_of_elements_take_no_room_from_the_hold_of_the_unit(tmp_path):
    made = Deck(tmp_path)
    made.open()
    desk = made.supervisor.desk
    for _ in range(REQUESTS_MAX):
        desk.ask(Request("hold", LEAK, actor=ME))
    with pytest.raises(Busy):
        desk.ask(Request("hold", LEAK, actor=ME))
    desk.ask(Request("hold", actor=ME))
    made.run(3)
    assert made.supervisor.procedure_state == "Held"


def test_a_hold_of_an_element_that_died_with_its_supervisor_is_a_hold_of_the_whole(tmp_path):
    made = MortalDeck(tmp_path)
    made.open()
    made.run(3)
    made.supervisor.desk.intent(Request("hold", LEAK, actor=ME), made.clock.stamp())
    made.run(1)
    made.drop()
    made.come_back()
    made.run(3)
    assert made.supervisor.procedure_state == "Held"

"""Clicks on old screens are refused; a Hold is not, and an unknown person's is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from people_bench import LOT, TERMINAL, PeopleDeck, refused
from supervisor_bench import S

from controller.core.events import Event
from controller.orders import Orders
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.station import Station


@pytest.fixture
def deck(tmp_path):
    return PeopleDeck(tmp_path)


@pytest.fixture
def running(deck):
    deck.started()
    return deck


# -- old screens ------------------------------------------------------------------------------


def test_a_click_on_a_screen_older_than_five_seconds_is_refused(running):
    """UR-14."""
    old = running.request("olivia", "set_sp", "TIC101", "36", expected="33")
    refused(running, running.give(replace(old, seen_ns=old.seen_ns - 6 * S)), "stale", "6.0 s old")
    refused(running, running.give(replace(old, seen_ns=old.seen_ns + 2 * S)), "stale", "s old")
    refused(running, running.give(replace(old, seen_ns=-1)), "bad_input", "which frame")


def test_what_came_after_its_time_is_not_carried_out(running):
    late = running.request("olivia", "set_sp", "TIC101", "36", expected="33")
    late = replace(late, until_ns=running.clock.now_ns - 1)
    refused(running, running.give(late), "expired", "too late")


def test_a_hold_needs_no_fresh_screen_no_time_and_no_state(running):
    hold = running.request("", "hold", expected="Idle")
    assert running.give(replace(hold, seen_ns=0, until_ns=0)).accepted
    assert running.supervisor.procedure_state in ("Holding", "Held")


@pytest.mark.parametrize(("user", "verb", "target", "value", "shown", "signed"), [
    ("olivia", "set_sp", "TIC101", "36", "35", ()),
    ("sam", "set_mode", "TIC101", "manual", "cascade", ()),
    ("sam", "set_output", "stirrer", "120", "77", ("sam",)),
    ("sam", "set_flag", "lineup", "1", "1", ("sam", "sue")),
    ("olivia", "reset", "2", "", "latched", ()),
    ("sam", "stop", "procedure", "", "Held", ("sam",)),
    ("olivia", "answer", LOT, "LOT-0001", "another prompt", ()),
])  # fmt: skip
def test_a_click_on_another_state_than_the_present_one_is_refused(
    running, user, verb, target, value, shown, signed
):
    """UR-14."""
    answer = running.by(user, verb, target, value, signed, reason="x", expected=shown)
    refused(running, answer, "stale", f"the screen showed {shown}")


@pytest.mark.parametrize("verb", ["start", "stop", "acknowledge", "set_sp", "reset"])
def test_a_screen_that_does_not_say_what_it_showed_is_refused(deck, verb):
    deck.open()
    user = "sam"
    if verb == "stop":
        assert deck.by("sam", "start", signed=("sam",), expected="Idle").accepted
    signers = ("sam",) if verb in ("start", "stop") else ()
    answer = deck.by(user, verb, "TIC101", "36", signers, reason="x")
    refused(deck, answer, "bad_input", "which state the screen showed")


def test_an_alarm_is_acknowledged_as_it_was_shown_by_name_and_only_once(running):
    running.by("olivia", "hold")
    running.run(3)
    alarm = running.supervisor.alarms.all["unit:hold"]
    shown = f"{alarm.state}@{alarm.since_ns}"
    old = f"{alarm.state}@{alarm.since_ns - 1}"
    refused(running, running.by("emil", "acknowledge", "unit:hold", expected=old), "stale", old)
    assert running.by("emil", "acknowledge", "unit:hold", expected=shown).accepted
    assert running.last("alarm.state").actor == f"emil@{TERMINAL}"
    again = running.by("emil", "acknowledge", "unit:hold", expected=shown)
    refused(running, again, "refused", "nothing to acknowledge")


# -- a Hold by nobody knows whom ----------------------------------------------------------------


def restart(deck):
    return deck.by("olivia", "restart", signed=("olivia",), reason="go on", expected="Held")


def test_restart_waits_until_the_person_who_pressed_hold_is_named(running):
    """UR-12."""
    hold = running.by("", "hold", reason="pressed")
    assert hold.accepted
    running.run(3)
    refused(running, restart(running), "refused", "who is not named yet")
    assert not running.by("olivia", "identify_hold", value=" ", reason="asked").accepted
    named = running.by("olivia", "identify_hold", value="Nora, night shift", reason="she said so")
    assert named.accepted
    told = running.last("hold.identified")
    assert told.data == {"id": hold.id, "who": "Nora, night shift"}
    assert (told.actor, told.reason) == (f"olivia@{TERMINAL}", "she said so")
    assert restart(running).accepted
    refused(running, running.by("olivia", "identify_hold", value="me", reason="x"), "refused",
            "no Hold waits")  # fmt: skip


def test_a_hold_of_a_person_who_is_logged_in_waits_for_nobody(running):
    assert running.by("aud", "hold").accepted
    running.run(3)
    assert restart(running).accepted


def born_anew(deck):
    """Another supervisor on the same field, from what the logs say."""
    for log in (deck.supervisor.station_log, deck.station.batch_log):
        log.close()
    state = StateDir(deck.station.state_dir.path, deck.disk)
    station = Station(deck.profile, deck.station.offer, state, Keys.from_seed(1), deck.disk,
                      deck.clock.stamp(), deck.station.board, deck.people)  # fmt: skip
    station.take_up(deck.clock.stamp())
    station.bound = deck.station.bound
    deck.station, deck.supervisor = station, station.supervisor
    deck.supervisor.listeners.append(deck._listen)
    deck.run(3)


def test_a_new_supervisor_still_waits_for_the_name(running):
    """UR-12."""
    running.by("", "hold")
    running.run(3)
    number = running.supervisor.orders.standing.unidentified
    assert number > 0
    born_anew(running)
    assert running.supervisor.orders.standing.unidentified == number
    refused(running, restart(running), "refused", "who is not named yet")
    assert running.by("sam", "identify_hold", value="Nora", reason="camera").accepted
    assert restart(running).accepted


def test_what_became_of_a_user_that_was_being_added_is_unknown_in_the_log_of_its_intent(running):
    answer = running.by("ada", "user_add", "nora", "operator;Nora")
    born_anew(running)
    (outcome,) = [r for r in running.in_station_log() if r["event"] == "command.outcome"
                  and r["data"]["id"] == answer.id]  # fmt: skip
    assert outcome["data"]["result"] == "unknown"
    assert running.by("ada", "user_add", "nora", "operator;Nora").id > answer.id


def test_sessions_go_on_over_a_new_supervisor(running):
    born_anew(running)
    answer = running.by("olivia", "set_sp", "TIC101", "36", expected="33")
    assert answer.accepted
    assert running.only().actor == f"olivia@{TERMINAL}"


def test_a_hold_by_nobody_in_an_earlier_batch_is_of_no_account_in_the_next(running):
    orders = Orders(running.profile)
    for record in (
        Event("command.intent", running.clock.stamp(), "unidentified person@x", "nobody", "",
              {"id": 3, "verb": "hold", "target": "procedure", "old": "", "new": "", "second": "",
               "expected": "", "valid_until": ""}),
        Event("batch.closed", running.clock.stamp(), data={"state": "Aborted"}),
    ):  # fmt: skip
        orders.take(record)
    assert orders.standing.unidentified == 0

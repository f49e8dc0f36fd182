"""A wall clock that goes back: an alarm, and nothing is signed before somebody has seen it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from people_bench import PeopleDeck, refused
from supervisor_bench import S

from controller.alarms import CLOCK_BACK
from controller.core.clock import Stamp
from controller.record.keys import Keys
from controller.station import Station

HOUR = 3600


@pytest.fixture
def deck(tmp_path):
    made = PeopleDeck(tmp_path)
    made.started()
    return made


def step(deck: PeopleDeck, seconds: float) -> None:
    """The wall clock is set by hand, from now on."""
    at = deck.clock.at
    shift = round(seconds * S)

    def stepped(mono_ns: int) -> Stamp:
        stamp = at(mono_ns)
        return replace(stamp, utc_ns=stamp.utc_ns + shift)

    deck.clock.at = stepped


def clock_alarms(deck):
    return [alarm for alarm in deck.supervisor.alarms.active() if alarm.name.startswith("clock:")]


def stop(deck):
    """A signed request, as a screen makes it."""
    return deck.by("sam", "stop", signed=("sam",), reason="done", expected="Running")


def acknowledge(deck, user="olivia"):
    alarm = deck.supervisor.alarms.all[CLOCK_BACK]
    return deck.by(user, "acknowledge", CLOCK_BACK, expected=f"{alarm.state}@{alarm.since_ns}")


def test_a_step_back_is_an_alarm_and_keeps_signatures_back_until_it_is_acknowledged(deck):
    step(deck, -HOUR)
    refused(deck, stop(deck), "refused", "nothing is signed: the wall clock went back")
    (alarm,) = clock_alarms(deck)
    assert (alarm.name, alarm.text) == (CLOCK_BACK, "The wall clock stepped by -3600 s")
    assert acknowledge(deck).accepted
    assert clock_alarms(deck) == []
    assert stop(deck).accepted


def test_the_very_request_that_comes_with_the_step_is_not_signed(deck):
    before = deck.request("sam", "stop", signed=("sam",), reason="x", expected="Running")
    step(deck, -2)
    refused(deck, deck.give(before), "refused", "nothing is signed")
    names = [r["event"] for r in deck.in_batch_log()]
    assert names.index("clock.step") < len(names) - 1 - names[::-1].index("command.refused")


def test_hold_and_logging_in_do_not_wait_for_the_clock(deck):
    step(deck, -HOUR)
    assert deck.log_in("oscar").accepted
    assert deck.by("", "hold").accepted
    deck.run(3)
    assert deck.supervisor.procedure_state == "Held"


def test_a_step_forward_is_an_alarm_and_keeps_nothing_back(deck):
    step(deck, HOUR)
    assert stop(deck).accepted
    (alarm,) = clock_alarms(deck)
    assert (alarm.name, alarm.text) == ("clock:clock.step", "The wall clock stepped by 3600 s")


def test_a_step_forward_after_one_back_does_not_set_signing_free(deck):
    step(deck, -HOUR)
    deck.run(2)
    step(deck, HOUR)
    deck.run(2)
    refused(deck, stop(deck), "refused", "nothing is signed")
    assert len(clock_alarms(deck)) == 2


def test_less_than_a_second_is_the_discipline_of_the_clock(deck):
    step(deck, -0.9)
    assert stop(deck).accepted
    assert clock_alarms(deck) == []


def test_both_logs_have_the_step_and_people_hear_of_it_once(deck):
    step(deck, -HOUR)
    deck.run(3)
    for log in (deck.in_station_log(), deck.in_batch_log()):
        (found,) = [r for r in log if r["event"] == "clock.step"]
        assert found["data"] == {"seconds": "-3600"}
    told = [t for t in deck.told if t.name == "alarm.state" and t.data["alarm"] == CLOCK_BACK]
    assert [(t.data["old"], t.data["new"]) for t in told] == [
        ("NORM", "UNACK"), ("UNACK", "RTN-UNACK"),
    ]  # fmt: skip


def test_the_next_supervisor_still_waits_for_the_acknowledgement(deck):
    step(deck, -HOUR)
    deck.run(2)
    state, profile = deck.station.state_dir, deck.station.profile
    for log in (deck.station.batch_log, deck.supervisor.station_log):
        log.close()
    again = Station(profile, deck.station.offer, state, Keys.from_seed(1), deck.disk,
                    deck.clock.stamp(), people=deck.people)  # fmt: skip
    assert again.supervisor.alarms.unseen(CLOCK_BACK)


def test_a_clock_that_went_back_while_nothing_ran_is_found_at_the_next_start(deck):
    state, profile = deck.station.state_dir, deck.station.profile
    deck.run(2)
    for log in (deck.station.batch_log, deck.supervisor.station_log):
        log.close()
    step(deck, -HOUR)
    now = replace(deck.clock.stamp(), boot_id="another boot")
    again = Station(profile, deck.station.offer, state, Keys.from_seed(1), deck.disk, now,
                    people=deck.people)  # fmt: skip
    again.take_up(now)
    again.supervisor.tick(now)
    assert again.supervisor.alarms.unseen(CLOCK_BACK)

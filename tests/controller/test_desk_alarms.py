"""What people ask about alarms goes through the desk, and outlives the supervisor that did it."""

from __future__ import annotations

import pytest
from supervisor_bench import ME, YOU
from takeup_bench import MortalDeck

from controller.alarms import ACK, NORM, OUT_OF_SERVICE, SHELVED, UNACK
from controller.record.entry import read_records


@pytest.fixture
def deck(tmp_path):
    made = MortalDeck(tmp_path)
    made.open()
    return made


def hot_jacket(deck):
    """Row 2, an interlock that only alarms."""
    deck.values["TT103"] = 50.0
    deck.run(5)
    return deck.supervisor.alarms.all["row:2"]


def state(deck, name="row:2"):
    return deck.supervisor.alarms.all[name].state


def again(deck):
    """The supervisor is killed, and another takes its place."""
    deck.drop()
    deck.come_back()
    deck.run(2)


def ended(deck):
    """The batch is aborted, its environment ended, its log sealed."""
    deck.ask("abort", reason="done")
    deck.run(15)
    deck.ask("end_environment", "environment", reason="empty", second=YOU)
    for _ in range(6):
        deck.run(5)
        if deck.station.may_close:
            break
    deck.station.close_batch(deck.clock.stamp())
    deck.run(1)


def test_shelving_is_asked_with_a_time_and_a_reason_and_has_an_intent_and_an_outcome(deck):
    alarm = hot_jacket(deck)
    deck.told.clear()
    deck.ask("shelve", "row:2", "2 min", reason="sensor is being changed", expected=alarm.expected)
    assert state(deck) == SHELVED
    names = [n for n in deck.names() if n.startswith(("command.", "alarm."))]
    assert names[:3] == ["command.intent", "alarm.state", "command.outcome"]
    moved = deck.last("alarm.state")
    assert (moved.actor, moved.reason) == (ME, "sensor is being changed")
    assert moved.data["detail"] == {"lasts_s": 120}
    again(deck)
    assert state(deck) == SHELVED, "a kill -9 shows nothing that was shelved"
    deck.run(120)
    assert state(deck) == UNACK
    assert deck.out("heater") == 0, "the row acted all the time"


@pytest.mark.parametrize(("verb", "value", "why"), [
    ("shelve", "", "how long the alarm is shelved"), ("shelve", "soon", "how long"),
    ("shelve", "5 L", "how long"), ("shelve", "9 h", "may be shelved for 1 s to 60 min"),
    ("shelve", "0 s", "is not shelved for 0 s"), ("shelve", "25 h", "is not shelved for 25 h"),
    ("unshelve", "", "it is not shelved"), ("in_service", "", "it is not out of service"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_leaves_neither_intent_nor_record(deck, verb, value, why):
    hot_jacket(deck)
    deck.told.clear()
    deck.ask(verb, "row:2", value, reason="r")
    assert why in deck.last("command.refused").data["why"]
    assert "command.intent" not in deck.names()
    assert "alarm.state" not in deck.names()
    assert state(deck) == UNACK


def test_a_critical_alarm_is_not_shelved_by_anybody(deck):
    deck.values["PT101"] = 4.6
    deck.run(3)
    for verb in ("shelve", "out_of_service"):
        deck.ask(verb, "row:6", "5 min", reason="noise")
        assert "row:6 is never" in deck.last("command.refused").data["why"]
    deck.ask("shelve", "row:66", "5 min", reason="noise")
    assert "no alarm 'row:66'" in deck.last("command.refused").data["why"]


def test_what_the_screen_showed_must_still_be_so(deck):
    alarm = hot_jacket(deck)
    deck.ask("acknowledge", "row:2", expected=alarm.expected)
    for verb in ("shelve", "out_of_service"):
        deck.ask(verb, "row:2", "5 min", reason="r", expected=alarm.expected)
        assert "the screen showed UNACK@" in deck.last("command.refused").data["why"]
        assert "the alarm is ACK@" in deck.last("command.refused").data["why"]
    assert state(deck) == ACK


def test_out_of_service_and_back_is_kept_over_a_restart(deck):
    hot_jacket(deck)
    deck.ask("out_of_service", "row:2", reason="jacket sensor is exchanged")
    again(deck)
    assert state(deck) == OUT_OF_SERVICE
    deck.values["TT103"] = 38.0
    deck.run(5)
    assert not deck.supervisor.alarms.stands("row:2")
    again(deck)
    assert not deck.supervisor.alarms.stands("row:2"), "its condition is a record too"
    deck.ask("in_service", "row:2", reason="done")
    assert state(deck) == NORM


def test_the_horn_is_silenced_and_stays_silent_over_a_restart(deck):
    hot_jacket(deck)
    assert deck.supervisor.alarms.horn
    deck.ask("silence", "horn")
    assert not deck.supervisor.alarms.horn
    assert deck.supervisor.alarms.unseen("row:2")
    deck.ask("silence", "horn")
    assert "no horn sounds" in deck.last("command.refused").data["why"]
    deck.drop()
    deck.come_back()
    silenced = deck.supervisor.alarms.all["row:2"].silenced
    assert silenced, "but what is new (the take-up) sounds"


def test_an_acknowledgement_in_a_batch_outlives_the_batch_and_the_supervisor(deck):
    """Raised before the batch, acknowledged in it: after its end nothing stands again."""
    ended(deck)
    hot_jacket(deck)
    path = deck.station.state_dir.station
    assert state(deck) == UNACK
    from supervisor_bench import find_recipe

    from controller.station import BatchOrder

    recipe = find_recipe("car_t_perfusion")
    order = BatchOrder("B-2", "virtual", "PSN-1", "LOT-1")
    deck.station.open_batch(deck.station.load_recipe(recipe), recipe, order, deck.clock.stamp())
    deck.ask("acknowledge", "row:2")
    assert state(deck) == ACK
    deck.ask("shelve", "row:13", "30 min", reason="noise")
    deck.ask("start")
    ended(deck)
    kept = [r for r in read_records(path) if r["event"] == "alarm.carried"]
    assert "row:2" in {a["name"] for a in kept[-1]["data"]["alarms"]}
    before = {n: a for n, a in deck.supervisor.alarms.all.items() if a.state != NORM}
    deck.supervisor.station_log.close()
    deck.come_back()
    assert {n: a for n, a in deck.supervisor.alarms.all.items() if a.state != NORM} == before
    assert (state(deck), state(deck, "row:13")) == (ACK, SHELVED)


def test_a_supervisor_killed_between_the_seal_and_the_end_loses_no_alarm(deck, monkeypatch):
    hot_jacket(deck)
    deck.ask("acknowledge", "row:2")
    deck.ask("abort", reason="done")
    deck.run(15)
    deck.ask("end_environment", "environment", reason="empty", second=YOU)
    for _ in range(6):
        deck.run(5)
        if deck.station.may_close:
            break

    class Killed(BaseException):
        pass

    def dies():
        raise Killed

    monkeypatch.setattr(deck.supervisor, "detach", dies)
    with pytest.raises(Killed):
        deck.station.close_batch(deck.clock.stamp())
    deck.drop()
    deck.come_back()
    assert deck.station.batch_log is None
    assert state(deck) == ACK
    deck.supervisor.tick(deck.clock.stamp())
    deck.supervisor.station_log.close()
    deck.come_back()
    assert state(deck) == ACK

"""Hold at a full desk: its room is its own, it is taken first, and no earlier order undoes it."""

from __future__ import annotations

import pytest
from people_bench import PeopleDeck

from controller.asking import Busy, Request
from controller.desk import REQUESTS_MAX


@pytest.fixture
def running(tmp_path):
    deck = PeopleDeck(tmp_path)
    deck.started()
    return deck


def _hold() -> Request:
    return Request("hold", origin="screen", station="bench")


def test_a_full_desk_takes_a_hold_and_carries_it_out_first(running):
    desk, told, other = running.supervisor.desk, [], Request("acknowledge", "x", origin="screen")
    for _ in range(REQUESTS_MAX):
        desk.ask(other, lambda answer: told.append("other"))
    with pytest.raises(Busy):
        desk.ask(other)
    desk.ask(_hold(), lambda answer: told.append(answer))
    running.supervisor.tick(running.clock.stamp())
    assert told[0].accepted
    assert told[1:] == ["other"] * REQUESTS_MAX
    assert running.supervisor.procedure_state in ("Holding", "Held")


def test_a_hold_is_not_undone_by_a_restart_that_was_asked_for_before_it(running):
    assert running.give(_hold()).accepted
    running.by("sam", "identify_hold", value="olivia", reason="saw it")
    running.run(5)
    assert running.supervisor.procedure_state == "Held"
    restart = running.request("olivia", "restart", signed=("olivia",), expected="Held", reason="on")
    answers = []
    running.supervisor.desk.ask(restart, answers.append)
    running.supervisor.desk.ask(_hold(), answers.append)
    running.supervisor.tick(running.clock.stamp())
    assert [answer.accepted for answer in answers] == [True, True]
    running.run(5)
    assert running.supervisor.procedure_state == "Held"


def test_a_hold_acts_in_field_at_the_next_scan_whatever_the_disk_does(running):
    """SR-HOLD: the press itself holds; nothing of it is recorded yet, and no tick has run."""
    desk, board = running.supervisor.desk, running.supervisor.board
    before = len(running.told)
    desk.ask(_hold())
    running.scan()
    assert board.read("unit_held").value == 1.0
    assert running.out("n2") == 0.0
    assert running.out("air") >= 50.0
    assert running.told[before:] == []
    running.supervisor.tick(running.clock.stamp())
    intents = [event for event in running.told[before:] if event.name == "command.intent"]
    assert intents[0].data["verb"] == "hold"
    assert running.supervisor.procedure_state in ("Holding", "Held")


def test_a_restart_leaves_a_hold_that_was_pressed_once_and_no_more(running):
    assert running.give(_hold()).accepted
    running.by("sam", "identify_hold", value="olivia", reason="saw it")
    running.run(5)
    running.by("olivia", "restart", signed=("olivia",), expected="Held", reason="on")
    running.run(5)
    assert running.supervisor.board.read("unit_held").value == 0.0
    assert running.supervisor.procedure_state == "Running"


def test_a_hold_that_is_refused_leaves_field_as_it_was(running):
    desk = running.supervisor.desk
    running.by("sam", "abort", signed=("sam",), expected="Running", reason="enough")
    running.run(30)
    assert running.supervisor.procedure_state == "Aborted"
    assert not desk.holdable
    desk.holdable = True  # as if it had been pressed just before the end
    assert not running.give(_hold()).accepted
    running.run(2)
    assert running.supervisor.board.read("unit_held").value == 0.0


def test_a_hold_refused_long_ago_takes_back_no_hold_that_came_later(tmp_path):
    deck = PeopleDeck(tmp_path)
    assert not deck.give(_hold()).accepted  # no batch is open: field was not pressed
    deck.started()
    deck.by("sam", "abort", signed=("sam",), expected="Running", reason="enough")
    deck.run(30)
    deck.supervisor.fault(RuntimeError("of the supervisor"), deck.clock.stamp())
    deck.run(5)
    assert deck.flag("unit_held") == 1.0


def test_a_hold_that_is_taken_back_leaves_outputs_where_a_reset_left_them(running):
    image, place = running.station.image, running.profile.outputs.index("stirrer")
    running.by("sam", "abort", signed=("sam",), expected="Running", reason="enough")
    running.run(30)
    running.supervisor.orders.locked["stirrer"] = 1
    image.outputs["locked"][place] = 1
    running.supervisor.desk.holdable = True  # as if it had been pressed just before the end
    assert not running.give(_hold()).accepted
    running.run(2)
    assert running.flag("unit_held") == 0.0
    assert image.outputs["locked"][place] == 1


def test_a_hold_from_before_the_batch_ends_with_the_start(tmp_path):
    deck = PeopleDeck(tmp_path)
    deck.supervisor.fault(RuntimeError("of the supervisor"), deck.clock.stamp())
    deck.run(5)
    assert deck.flag("unit_held") == 1.0
    deck.started()
    assert deck.flag("unit_held") == 0.0


def test_a_hold_pressed_while_the_disk_takes_the_restart_is_not_undone_by_it(running):
    assert running.give(_hold()).accepted
    running.by("sam", "identify_hold", value="olivia", reason="saw it")
    running.run(5)
    supervisor, board = running.supervisor, running.supervisor.board
    restart = running.request("olivia", "restart", signed=("olivia",), expected="Held", reason="on")
    sync = supervisor.log.sync

    def slow(stamp):  # on a disk like this a person presses while the record is written
        supervisor.log.sync = sync
        supervisor.desk.ask(_hold())
        running.scan()
        sync(stamp)

    supervisor.log.sync = slow
    supervisor.desk.ask(restart)
    supervisor.tick(running.clock.stamp())
    for _ in range(3):
        running.scan()
        assert board.read("unit_held").value == 1.0
    running.run(5)
    assert supervisor.procedure_state == "Held"
    assert board.read("unit_held").value == 1.0

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

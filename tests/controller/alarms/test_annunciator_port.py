"""What an annunciator is told and what it must answer, with time by hand."""

from __future__ import annotations

import json

import pytest

from controller.annunciator.port import (
    ANSWER_NS,
    BEAT_NS,
    FIRST_ANSWER_NS,
    LINE_MAX,
    PAUSE_NS,
    PAUSE_NS_MAX,
    Port,
)

QUIET, LOUD = {"horn": False}, {"horn": True}


def running(now=0):
    """A port whose program has answered its first line."""
    port = Port(now)
    assert port.starts(now)
    assert port.line(now, QUIET) == b'{"n": 1, "horn": false}\n'
    assert port.heard("ok 1\n", now) == ""
    return port


def test_the_times_are_those_that_a_maker_of_a_program_is_told():
    times = BEAT_NS, ANSWER_NS, FIRST_ANSWER_NS, PAUSE_NS, PAUSE_NS_MAX
    assert [ns / 1e9 for ns in times] == [5, 3, 15, 1, 60]


def test_nothing_is_lost_before_anything_was_started():
    port = Port(5)
    assert (port.state, port.lost, port.lost_ns) == ("stopped", "", 0)
    assert port.heard("ok 0", 5) == "it said 'ok 0', not 'ok 0'", "nothing was asked"


@pytest.mark.parametrize("now", [FIRST_ANSWER_NS, 10**18 + 1])
def test_every_time_counts_from_the_moment_it_is_about(now):
    port = Port(now)
    assert port.starts(now)
    assert port.line(now, QUIET)
    assert [port.silent(now + FIRST_ANSWER_NS + late) for late in (-1, 0)] == [False, True]
    now += BEAT_NS - now % BEAT_NS
    assert port.heard("ok 1", now) == ""
    assert port.line(now + BEAT_NS - 1, QUIET) == b""
    now += BEAT_NS
    assert port.line(now, QUIET)
    assert [port.silent(now + ANSWER_NS + late) for late in (-1, 0)] == [False, True]
    port.stopped("it is silent", now)
    assert [port.starts(now + PAUSE_NS + late) for late in (-1, 0)] == [False, True]


def test_what_runs_is_not_started_beside_itself_however_late_it_is():
    port = Port(0)
    port.starts(0)
    assert not port.starts(10**12)
    port.line(0, QUIET)
    assert not port.starts(10**12)
    port.heard("ok 1", 1)
    assert not port.starts(10**12)
    port.stopped("it ended", 2)
    assert port.starts(10**12), "however late somebody looks"


def test_it_is_started_once_and_told_at_once_how_things_are():
    port = Port(5)
    assert not port.starts(4)
    assert port.line(5, QUIET) == b""
    assert port.starts(5)
    assert not port.starts(5)
    assert json.loads(port.line(5, QUIET)) == {"n": 1, "horn": False}


def test_the_first_answer_may_take_as_long_as_a_program_needs_to_start():
    port = Port(0)
    port.starts(0)
    port.line(0, QUIET)
    assert not port.silent(FIRST_ANSWER_NS - 1)
    assert port.silent(FIRST_ANSWER_NS)
    assert port.silent(10**12), "however late somebody looks"


def test_a_change_is_told_at_once_and_a_beat_without_one():
    port = running()
    assert port.line(1, QUIET) == b""
    assert json.loads(port.line(2, LOUD)) == {"n": 2, "horn": True}
    assert port.line(3, QUIET) == b"", "one line at a time"
    assert port.heard("ok 2", 4) == ""
    assert json.loads(port.line(5, QUIET)) == {"n": 3, "horn": False}, "what changed meanwhile"
    assert port.heard(" ok 3 \n", 6) == ""
    assert port.line(6 + BEAT_NS - 1, QUIET) == b""
    assert json.loads(port.line(6 + BEAT_NS, QUIET))["n"] == 4


def test_what_was_said_is_kept_even_if_its_maker_changes_it():
    port, shown = running(), {"horn": True}
    port.line(1, shown)
    port.heard("ok 2", 1)
    shown["horn"] = False
    assert port.line(2, shown) != b""


def test_an_answer_is_due_within_its_time():
    port = running()
    port.line(0, LOUD)
    assert not port.silent(ANSWER_NS - 1)
    assert port.silent(ANSWER_NS)
    port.heard("ok 2", ANSWER_NS)
    assert not port.silent(10 * ANSWER_NS)


@pytest.mark.parametrize("line", ["ok 1", "ok 3", "OK 2", "ok 2 x", "", "\x00" * 999])
def test_a_wrong_answer_is_said_in_its_own_words_and_changes_nothing(line):
    port = running()
    port.line(0, LOUD)
    why = port.heard(line, 0)
    assert why == f"it said {line[:200]!r}, not 'ok 2'"
    assert port.silent(ANSWER_NS)


def test_an_answer_nobody_asked_for_is_wrong():
    assert running().heard("ok 1", 3) == "it said 'ok 1', not 'ok 1'"
    assert LINE_MAX == 200


def test_it_is_started_again_ever_more_slowly_and_at_once_after_an_answer():
    port, now = running(), 0
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        port.stopped("it ended", now)
        assert not port.starts(now + pause * PAUSE_NS - 1)
        now += pause * PAUSE_NS
        assert port.starts(now)
    assert PAUSE_NS_MAX == 60 * PAUSE_NS
    number = json.loads(port.line(now, QUIET))["n"]
    assert port.lost == "it ended"
    assert port.heard(f"ok {number}", now) == ""
    assert port.lost == ""
    port.stopped("again", now)
    assert port.starts(now + PAUSE_NS)


def test_the_first_loss_is_the_one_that_is_told():
    port = running()
    port.stopped("it ended", 7)
    port.stopped("it cannot be started", 99)
    assert (port.lost, port.lost_ns) == ("it ended", 7)
    assert not port.silent(10**12)

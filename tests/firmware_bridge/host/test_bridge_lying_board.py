"""A board that lies, or a line in its name: what the host keeps stays small, what it asks ends."""

from __future__ import annotations

import random

from scripted_board import ScriptedBoard
from session_desk import MS, Desk

from firmware_bridge import messages as m
from firmware_bridge.clock import Clock
from firmware_bridge.codes import Type
from firmware_bridge.happenings import EventsCame

S_NS = 1_000_000_000
BYTES_PER_S = 11_520


def test_times_that_run_backwards_are_not_collected() -> None:
    clock = Clock()
    clock.begin(1)
    for k in range(2_000):
        clock.add(k * S_NS, (2_000 - k) * 10_000_000, k * S_NS + MS)
        assert len(clock._answers) <= 17


def test_random_times_are_not_collected_and_the_first_two_true_ones_set_the_clock_right() -> None:
    rng = random.Random(1)
    clock = Clock()
    clock.begin(1)
    for k in range(500):
        clock.add(k * S_NS, rng.randrange(1 << rng.randrange(1, 65)), k * S_NS + MS)
        assert len(clock._answers) <= 17
    for k in (500, 501):
        clock.add(k * S_NS, k * 1_000_000, k * S_NS + MS)
    host_ns, error_ns = clock.to_host(501_500_000)
    assert abs(host_ns - 501_500 * MS) <= error_ns < 5 * MS


def test_a_clock_that_stood_still_is_known_anew_with_the_next_answer() -> None:
    clock = Clock()
    clock.begin(1)
    for k in range(30):
        clock.add(k * S_NS, k * 1_000_000, k * S_NS + MS)
    clock.add(90 * S_NS, 31_000_000, 90 * S_NS + MS)  # the emulator was held up for a minute
    host_ns, error_ns = clock.to_host(31_000_000)
    assert abs(host_ns - 90 * S_NS) <= error_ns < 5 * MS


def test_no_time_a_board_can_say_is_more_than_a_host_can_hold() -> None:
    clock = Clock()
    clock.begin(1)
    clock.add(0, (1 << 64) - 1, MS)
    clock.add(S_NS, 5_000_000, S_NS + MS)
    for board_us in (0, 5_000_000, (1 << 63), (1 << 64) - 1):
        assert all(abs(each) < 1 << 63 for each in clock.to_host(board_us))


def test_events_that_are_promised_and_never_given_are_not_asked_for_without_end() -> None:
    desk = Desk(ScriptedBoard()).armed()
    desk.trip_ns = 100_000
    desk.note(desk.session.feed(desk.board.status(1, 5, events=1_000), desk.now_ns))
    desk.run(S_NS)
    assert desk.types().count(Type.EVENTS) <= 2
    desk.board.events = [m.Event(k, 1, 0, 0, 0) for k in range(1_004)]
    desk.note(desk.session.feed(desk.board.status(2, 5), desk.now_ns))
    desk.run(S_NS)
    numbers = [each.first + len(each.events) for each in desk.of(EventsCame)
               if isinstance(each, EventsCame)]  # fmt: skip
    assert numbers[-1] == 1_004


def test_the_same_old_events_again_and_again_do_not_fill_the_line() -> None:
    desk = Desk(ScriptedBoard()).armed()
    desk.trip_ns = 100_000
    desk.board.events = [m.Event(k, 1, 0, 0, 0) for k in range(5)]
    desk.note(desk.session.feed(desk.board.status(1, 5, events=1_000), desk.now_ns))
    desk.run(S_NS)
    assert desk.types().count(Type.EVENTS) <= 3

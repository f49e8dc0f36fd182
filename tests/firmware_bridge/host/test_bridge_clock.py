"""The board's time on the host's clock: the stated error holds, whatever the line does."""

from __future__ import annotations

import random

import pytest

from firmware_bridge.clock import Clock

S_NS = 1_000_000_000


class Pair:
    """Two clocks and a line between them; the board's quartz is `ppm` off and may wander."""

    def __init__(self, seed: int, ppm: float, jitter_ns: int, wander_ppm: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.ppm, self.jitter_ns, self.wander_ppm = ppm, jitter_ns, wander_ppm
        self.host_ns = self.random.randrange(10**15)
        self._host0, self._board_us = self.host_ns, self.random.uniform(0, 1e9)
        self.clock = Clock()
        self.clock.begin(1)

    def board_us(self, host_ns: int) -> float:
        return self._board_us + (host_ns - self._host0) / 1_000 * (1 + self.ppm * 1e-6)

    def host_of(self, board_us: float) -> float:
        return self._host0 + (board_us - self._board_us) * 1_000 / (1 + self.ppm * 1e-6)

    def later(self, span_ns: int) -> None:
        """Time goes on; the quartz may go at another rate from now on."""
        at_ns = self.host_ns + span_ns
        self._board_us, self._host0 = self.board_us(at_ns), at_ns
        self.host_ns = at_ns
        off = self.random.uniform(-self.wander_ppm, self.wander_ppm)
        self.ppm = min(max(self.ppm + off, -230.0), 230.0)

    def exchange(self) -> None:
        """One request and its answer; either way may take long, and not the same time."""
        there = round(self.random.expovariate(1 / self.jitter_ns)) + 300_000
        back = round(self.random.expovariate(1 / self.jitter_ns)) + 300_000
        made_ns = self.host_ns + there
        self.clock.add(self.host_ns, int(self.board_us(made_ns)), made_ns + back)

    def error_ns(self, board_us: int) -> tuple[float, int]:
        """True and stated."""
        host_ns, stated = self.clock.to_host(board_us)
        return abs(host_ns - self.host_of(board_us)), stated


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ppm", [-200.0, 0.0, 200.0])
@pytest.mark.parametrize("jitter_ns", [50_000, 2_000_000, 30_000_000])
def test_the_stated_error_is_never_smaller_than_the_true_one(
    seed: int, ppm: float, jitter_ns: int
) -> None:
    pair = Pair(seed, ppm, jitter_ns)
    for _ in range(400):
        pair.exchange()
        pair.later(pair.random.randrange(S_NS // 2))
        now_us = int(pair.board_us(pair.host_ns))
        for board_us in (now_us, now_us - pair.random.randrange(3_000_000)):
            true, stated = pair.error_ns(board_us)
            assert true <= stated


def test_the_stated_error_holds_while_the_quartz_wanders() -> None:
    pair = Pair(5, 200.0, 1_000_000, wander_ppm=0.5)
    for _ in range(2_000):
        pair.exchange()
        pair.later(S_NS // 4)
        true, stated = pair.error_ns(int(pair.board_us(pair.host_ns)))
        assert true <= stated


def test_a_quiet_line_gives_less_than_two_milliseconds() -> None:
    pair = Pair(1, 200.0, 50_000)
    for _ in range(200):
        pair.exchange()
        pair.later(S_NS // 4)
    assert pair.clock.error_ns < 2_000_000
    assert pair.clock.error_ns >= 300_000


def test_one_short_round_trip_is_worth_more_than_many_long_ones() -> None:
    clock = Clock()
    clock.begin(1)
    for k in range(20):
        clock.add(k * S_NS, k * 1_000_000, k * S_NS + 80_000_000)
    wide = clock.to_host(20_000_000)[1]
    clock.add(20 * S_NS - 500_000, 20_000_000, 20 * S_NS + 500_000)
    host_ns, narrow = clock.to_host(21_000_000)
    assert abs(host_ns - 21 * S_NS) <= narrow < 3_000_000 < wide


def test_time_never_runs_backwards_through_a_new_fit() -> None:
    clock = Clock()
    clock.begin(1)
    clock.add(0, 1_000_000, 80_000_000)
    first_ns, first_error = clock.to_host(1_000_100)
    clock.add(0, 1_000_000, 1_000_000)  # the long way back alone made it look 40 ms later
    assert clock.to_host(1_000_200) == (first_ns, first_error)
    assert clock.to_host_ns(1_000_050) <= first_ns
    assert clock.to_host_ns(1_500_000) > first_ns


def test_events_stand_in_their_order_whatever_the_line_does() -> None:
    pair = Pair(3, 150.0, 20_000_000)
    pair.exchange()
    last = 0
    for _ in range(2_000):
        pair.later(2_000_000)
        pair.exchange()
        told = pair.clock.to_host_ns(int(pair.board_us(pair.host_ns)))
        assert told >= last
        last = told


def test_what_lies_far_from_every_answer_is_stated_with_a_larger_error() -> None:
    pair = Pair(4, 100.0, 50_000)
    for _ in range(20):
        pair.exchange()
        pair.later(S_NS)
    now_us = int(pair.board_us(pair.host_ns))
    assert pair.error_ns(now_us - 3_600_000_000)[1] > S_NS > pair.error_ns(now_us)[1]
    true, stated = pair.error_ns(now_us - 3_600_000_000)
    assert true <= stated


def test_another_boot_has_another_time() -> None:
    clock = Clock()
    clock.begin(1)
    clock.add(0, 5, 10)
    clock.begin(1)
    assert clock.ready
    clock.begin(2)
    assert not clock.ready
    for ask in (lambda: clock.to_host(5), lambda: clock.error_ns):
        with pytest.raises(LookupError):
            ask()


def test_what_is_kept_stays_small_over_a_month() -> None:
    clock = Clock()
    clock.begin(1)
    for minute in range(0, 31 * 24 * 60, 7):
        at = minute * 60
        clock.add(at * S_NS, at * 1_000_000, at * S_NS + 1_000_000)
        assert len(clock._answers) <= 17


def test_an_answer_before_its_question_is_not_counted() -> None:
    clock = Clock()
    clock.begin(1)
    clock.add(10, 5, 0)
    assert not clock.ready

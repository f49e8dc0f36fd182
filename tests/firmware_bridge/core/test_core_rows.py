"""One row at a time: votes, bad signals, delays, latches, first-out places."""

from __future__ import annotations

import pytest
from board_alone import HOST, cause, channel, condition

from firmware_bridge.codes import Bad, Kind, Nak, Op, Quality, Reason
from firmware_bridge.native_board import NativeBoard
from firmware_bridge.table import Cause, Condition, Effect, Table

MS = 1_000
STANDS, LATCHED = 1, 2
TRIP, DEGRADE, IGNORE = int(Bad.TRIP), int(Bad.DEGRADE), int(Bad.IGNORE)
FAR = 4_000_000_000  # us: no signal grows old


class Rows:
    """Rows over three host signals, all at 0 and good; one channel that every row shuts."""

    def __init__(self, conditions: tuple[Condition, ...], *causes: Cause) -> None:
        signal = HOST.__class__(0, 0, 0, FAR)
        self.board, self.now = NativeBoard(), 0
        table = Table((signal,) * 3, conditions, causes, (Effect(0, 0, 0),), (channel(),), (), 0, 2)
        assert self.board.load(table.join()) == 0
        self.set(0.0, 0.0, 0.0)

    def set(self, *values: float | None, reason: Reason = Reason.DEVICE) -> None:
        """Values of the signals; None: bad, the last good one of that signal stays as it is."""
        for number, value in enumerate(values):
            if value is None:
                self.board.signal(number, 0.0, int(Quality.BAD), int(reason), self.now, self.now)
            else:
                self.board.signal(number, value, 0, 0, self.now, self.now)

    def after(self, ms: float, row: int = 0) -> int:
        """Scans every millisecond for so long; the row's flags."""
        for _ in range(int(ms)):
            self.now += MS
            self.board.scan_rows(self.now)
        return self.board.row(row)[0]


INTERLOCK = Kind.INTERLOCK


@pytest.mark.parametrize(
    ("votes", "values", "stands"),
    [(1, (1.0, 0.0, 0.0), 1), (2, (1.0, 0.0, 0.0), 0), (2, (1.0, 0.0, 1.0), 1),
     (3, (1.0, 0.0, 1.0), 0), (3, (1.0, 1.0, 1.0), 1)],
)  # fmt: skip
def test_so_many_of_three_must_agree(
    votes: int, values: tuple[float, float, float], stands: int
) -> None:
    rows = Rows(tuple(condition(n) for n in range(3)), cause(0, 3, INTERLOCK, votes=votes))
    rows.set(*values)
    assert rows.after(1) == stands


@pytest.mark.parametrize(
    ("rule", "values", "stands"),
    [
        (DEGRADE, (None, None, 1.0), 1), (DEGRADE, (None, 0.0, 1.0), 0),
        (DEGRADE, (None, None, 0.0), 0), (DEGRADE, (None, None, None), 1),
        (IGNORE, (None, None, 1.0), 0), (IGNORE, (None, 1.0, 1.0), 1),
        (IGNORE, (None, None, None), 0),
        (TRIP, (None, 0.0, 1.0), 1), (TRIP, (None, 0.0, 0.0), 0), (TRIP, (None, None, 0.0), 1),
    ],
)  # fmt: skip
def test_two_of_three_with_bad_signals(
    rule: int, values: tuple[float | None, ...], stands: int
) -> None:
    rows = Rows(tuple(condition(n, bad=rule) for n in range(3)), cause(0, 3, INTERLOCK, votes=2))
    rows.set(*values)
    assert rows.after(1) == stands


def test_a_row_reached_only_by_bad_signals_waits_its_bad_delay_not_its_on_delay() -> None:
    rows = Rows((condition(0),), cause(0, kind=INTERLOCK, on_us=2 * MS, bad_us=10 * MS))
    rows.set(None)
    assert rows.after(10) == 0
    assert rows.after(1) == STANDS


@pytest.mark.parametrize("rule", [DEGRADE, IGNORE])
def test_a_signal_lost_in_the_middle_of_a_trip_holds_it_for_the_bad_delay(rule: int) -> None:
    two = (condition(0, bad=rule), condition(1, bad=rule))
    rows = Rows(two, cause(0, 2, INTERLOCK, bad_us=20 * MS))
    rows.set(1.0, 0.0)
    assert rows.after(3) == STANDS
    rows.set(None, 0.0)
    assert rows.after(17) == STANDS
    assert rows.after(2) == 0


def test_a_signal_that_was_stuck_never_said_it() -> None:
    rows = Rows((condition(0, bad=IGNORE),), cause(0, kind=INTERLOCK, bad_us=20 * MS))
    rows.set(1.0)
    assert rows.after(3) == STANDS
    rows.set(None, reason=Reason.STUCK)
    assert rows.after(1) == 0


def test_a_condition_that_asks_for_bad_counts_on_bad() -> None:
    rows = Rows((condition(0, op=Op.BAD, bad=IGNORE),), cause(0, kind=INTERLOCK))
    assert rows.after(1) == 0
    rows.set(None)
    assert rows.after(1) == STANDS


def test_hysteresis_holds_until_the_value_is_back_by_it() -> None:
    above = condition(0, 5.0, hysteresis=1.0)
    below = condition(0, -5.0, op=Op.BELOW, hysteresis=1.0)
    rows = Rows((above, below), cause(0, kind=INTERLOCK), cause(1, kind=INTERLOCK))
    for value, up, down in ((5.0, 0, 0), (5.1, 1, 0), (4.1, 1, 0), (4.0, 0, 0), (-5.0, 0, 0),
                            (-5.1, 0, 1), (-4.1, 0, 1), (-4.0, 0, 0)):  # fmt: skip
        rows.set(value)
        assert (rows.after(1), rows.board.row(1)[0]) == (up, down), value


def test_delays_of_conditions_count_elapsed_time() -> None:
    rows = Rows((condition(0, on_us=10 * MS, off_us=5 * MS),), cause(0, kind=INTERLOCK))
    rows.set(1.0)
    assert rows.after(10) == 0
    assert rows.after(1) == STANDS
    rows.set(0.0)
    assert rows.after(4) == STANDS
    assert rows.after(1) == 0
    rows.set(1.0)
    assert rows.after(9) == 0
    rows.set(0.0)
    rows.after(1)
    rows.set(1.0)
    assert rows.after(10) == 0, "a gap starts the delay anew"


def test_delays_of_a_row_count_elapsed_time() -> None:
    rows = Rows((condition(0),), cause(0, kind=INTERLOCK, on_us=10 * MS, off_us=5 * MS))
    rows.set(1.0)
    assert rows.after(10) == 0
    assert rows.after(10) == STANDS
    rows.set(0.0)
    assert rows.after(4) == STANDS
    rows.set(1.0)
    assert rows.after(1) == STANDS
    rows.set(0.0)
    assert rows.after(4) == STANDS, "it stood a moment ago"
    assert rows.after(1) == 0


def test_a_protect_stays_latched_and_forces_until_it_is_reset() -> None:
    rows = Rows((condition(0),), cause(0))
    rows.set(1.0)
    assert rows.after(1) == STANDS | LATCHED
    assert rows.board.reset(0, rows.now) == Nak.STANDS
    rows.set(0.0)
    assert rows.after(1) == LATCHED
    assert rows.board.forced(0) == 0
    assert rows.board.reset(0, rows.now) == 0
    assert rows.after(1) == 0
    assert rows.board.forced(0) == -1


def test_a_latched_row_with_a_bad_signal_is_blind_and_not_reset() -> None:
    rows = Rows((condition(0, bad=IGNORE), condition(1, op=Op.BAD, bad=IGNORE)), cause(0, 2))
    rows.set(1.0)
    rows.after(1)
    rows.set(0.0)
    rows.after(1)
    rows.set(None)
    assert rows.after(1) == LATCHED
    assert rows.board.reset(0, rows.now) == Nak.BLIND
    assert rows.after(1) == LATCHED
    rows.set(0.0)
    rows.after(1)
    assert rows.board.reset(0, rows.now) == 0


def test_reset_of_an_interlock_that_does_not_stand_is_nothing() -> None:
    rows = Rows((condition(0),), cause(0, kind=INTERLOCK))
    rows.after(1)
    head = rows.board.events_head
    assert rows.board.reset(0, rows.now) == 0
    assert rows.board.events_head == head


def test_places_of_a_group_begin_anew_only_when_nothing_in_it_stands_or_is_latched() -> None:
    three = tuple(condition(n) for n in range(3))
    rows = Rows(three, cause(0, group=0), cause(1, kind=INTERLOCK, group=0), cause(2, group=1))

    def places() -> list[int]:
        return [rows.board.row(number)[1] for number in range(3)]

    rows.after(1)
    assert places() == [255, 255, 255]
    rows.set(0.0, 1.0, 1.0)
    rows.after(1)
    assert places() == [255, 0, 0]
    rows.set(1.0, 1.0, 1.0)
    rows.after(1)
    assert places() == [1, 0, 0]
    rows.set(0.0, 0.0, 0.0)
    rows.after(1)
    rows.set(1.0, 0.0, 0.0)
    rows.after(1)
    assert places() == [1, 0, 0], "it was latched all the time: no new place"
    rows.set(0.0, 0.0, 0.0)
    rows.after(1)
    assert rows.board.reset(0, rows.now) == 0
    rows.set(1.0, 0.0, 0.0)
    rows.after(1)
    assert places() == [0, 0, 0]

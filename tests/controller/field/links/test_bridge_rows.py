"""What a board's latches say to the kernel, and which resets go down: pure, time is passed in."""

from __future__ import annotations

import pytest

from controller.field.links.bridge_rows import Lapses, Rows
from controller.profile.link_plan import RowPlan

MS, S = 1_000_000, 1_000_000_000
STANDS, LATCHED = 1, 2
ROW = RowPlan(row=0, cause=31, told=41, id="1", bypassable=False)
OTHER = RowPlan(row=3, cause=44, told=44, id="12.rate", bypassable=False)


@pytest.fixture
def rows():
    found = Rows([ROW, OTHER])
    found.kernel([0, 0], 0)
    return found


def flags(first, other=0):
    return bytes([first, 0, 0, other])


def told(rows, now_ns):
    return dict(rows.told(now_ns))


def test_a_row_that_stands_on_the_board_is_told_by_its_own_signal_alone(rows):
    rows.take(flags(0, STANDS), 0)
    assert told(rows, 0) == {41: False, 44: True}


def test_the_shortest_trip_is_told_for_a_second(rows):
    rows.take(flags(STANDS | LATCHED), 0)
    rows.kernel([0, 0], 0b01)
    rows.take(flags(LATCHED), 10 * MS)
    assert told(rows, 999 * MS)[41]
    assert not told(rows, S)[41]


def test_a_trip_between_two_statuses_is_told_by_its_event(rows):
    rows.take(flags(0), 0)
    rows.stood(3, 5 * MS)
    assert told(rows, S)[44]
    assert not told(rows, 1005 * MS)[44]


def test_a_latch_the_kernel_does_not_have_is_told_until_it_has_it(rows):
    rows.take(flags(LATCHED), 0)
    heard = [at for at in range(0, 10 * S, 100 * MS) if told(rows, at)[41]]
    assert len(heard) == 50
    rows.kernel([0, 0], 0b01)
    assert not any(told(rows, at)[41] for at in range(11 * S, 20 * S, 100 * MS))


def test_a_reset_in_the_kernel_goes_down_once_and_only_for_what_is_latched_there(rows):
    rows.take(flags(LATCHED), 0)
    assert rows.kernel([1, 1], 0) == [0]
    assert rows.kernel([1, 1], 0) == []


def test_the_resets_a_restarted_host_finds_are_none_of_its_own():
    rows = Rows([ROW])
    rows.take(flags(LATCHED), 0)
    assert rows.kernel([7], 0b1) == []


def test_a_reset_the_board_refused_is_told_again_and_one_under_way_is_not(rows):
    rows.take(flags(LATCHED), 0)
    rows.kernel([0, 0], 0b01)
    assert rows.kernel([1, 0], 0) == [0]
    rows.by_number[0].asked = True
    assert not told(rows, 5 * S)[41]
    rows.answered(0, done=False)
    assert told(rows, 6 * S)[41]


def test_a_reset_that_went_with_its_session_is_told_again(rows):
    rows.take(flags(LATCHED), 0)
    rows.by_number[0].asked = True
    assert not told(rows, 5 * S)[41]
    rows.forget()
    assert told(rows, 6 * S)[41]


# -- lapses -----------------------------------------------------------------------------------


def pulses(lapses, until_ns, from_ns=0):
    return [at for at in range(from_ns, until_ns, 100 * MS) if lapses.shows(at)]


@pytest.fixture
def lapses():
    found = Lapses()
    found.kernel(0, False, 0)
    return found


def test_a_new_latch_shows_for_two_seconds(lapses):
    lapses.take(0b0011, 0)
    lapses.kernel(0, True, 0)
    assert pulses(lapses, 10 * S) == list(range(0, 2 * S, 100 * MS))


def test_no_latch_shows_nothing(lapses):
    lapses.take(0, 0)
    assert pulses(lapses, 10 * S) == []


def test_a_latch_the_kernel_never_took_shows_again_and_again(lapses):
    lapses.take(0b1, 0)
    assert len(pulses(lapses, 12 * S)) == 60


def test_another_channel_that_latches_later_shows_anew(lapses):
    lapses.take(0b01, 0)
    lapses.kernel(0, True, 0)
    pulses(lapses, 5 * S)
    lapses.take(0b11, 5 * S)
    assert pulses(lapses, 10 * S, 5 * S) == list(range(5 * S, 7 * S, 100 * MS))


def test_the_reset_of_the_row_clears_only_what_people_were_shown(lapses):
    lapses.take(0b01, 0)
    lapses.kernel(0, True, 0)
    pulses(lapses, 3 * S)
    lapses.take(0b11, 3 * S)
    assert lapses.kernel(1, False, 3 * S) == 0b01


def test_what_a_clear_left_latched_shows_again_at_once(lapses):
    lapses.take(0b1, 0)
    lapses.kernel(0, True, 0)
    pulses(lapses, 3 * S)
    assert lapses.kernel(1, False, 3 * S) == 0b1
    assert lapses.answered(done=True) == 0b1
    assert not lapses.shows(3 * S)
    lapses.take(0b1, 3 * S)
    assert lapses.shows(3 * S)


@pytest.mark.parametrize("lost", ["refused", "session over"])
def test_a_clear_that_was_refused_or_lost_shows_again(lapses, lost):
    lapses.take(0b1, 0)
    lapses.kernel(0, True, 0)
    pulses(lapses, 3 * S)
    assert lapses.kernel(1, False, 3 * S) == 0b1
    if lost == "refused":
        assert lapses.answered(done=False) == 0
    else:
        lapses.forget()
    lapses.take(0b1, 4 * S)
    assert lapses.shows(4 * S)


def test_channels_whose_latch_is_gone_are_named_once(lapses):
    lapses.take(0b111, 0)
    assert lapses.take(0b100, S) == 0b011
    assert lapses.take(0b100, S) == 0

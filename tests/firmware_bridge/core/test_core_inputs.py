"""What the board makes of its pins and of what the host gives it."""

from __future__ import annotations

import math

import pytest
from board_alone import (
    CONTACTOR,
    FLOW,
    GAS,
    LIQUID,
    MODE,
    QUIET,
    Host,
    good,
    kinds,
    pins,
    ready,
)

from firmware_bridge.codes import Quality, Reason
from firmware_bridge.messages import Given


def row(host: Host, number: int) -> int:
    """Flags of a row."""
    return host.board.row(number)[0]


def test_a_contact_counts_when_two_passes_in_a_row_agree() -> None:
    host = ready()
    for closed in (True, False, True, False):
        host.board.set_digital(0, closed)
        host.board.passes(1)
        assert host.board.status().inputs == 0
    host.board.set_digital(0, True)
    host.board.passes(1)
    assert row(host, 0) == 0
    host.board.passes(1)
    assert (host.board.status().inputs, row(host, 0)) == (1, 3)


def test_each_contact_is_debounced_by_itself() -> None:
    host = ready()
    host.board.inputs.digital = 0b0101
    host.board.passes(1)
    host.board.inputs.digital = 0b0110
    host.board.passes(1)
    assert host.board.status().inputs == 0b0100


def test_one_wild_sample_of_an_analog_input_is_not_seen() -> None:
    host = ready()
    for wild in (0, 4_095, 65_535):
        host.board.inputs.analog[0] = wild
        host.board.passes(1)
        host.board.inputs.analog[0] = QUIET
        host.board.passes(2)
    assert row(host, 1) == 0
    assert kinds(host).count("STANDS") == 0


def test_two_samples_beyond_the_limit_trip() -> None:
    host = ready()
    host.board.inputs.analog[0] = 2_620
    host.board.passes(1)
    assert row(host, 1) == 0
    host.board.passes(1)
    assert row(host, 1) == 1
    assert host.board.status().analog[0].value == 45.5


@pytest.mark.parametrize("raw", [0, 799, 4_001, 65_535])
def test_a_broken_wire_is_bad_and_trips_a_row_that_says_so(raw: int) -> None:
    host = ready()
    host.board.inputs.analog[0] = raw
    host.board.passes(3)
    assert host.board.status().analog[0].quality == Quality.BAD
    assert row(host, 1) == 1
    assert pins(host, [GAS]) == [0]


@pytest.mark.parametrize("raw", [800, 2_600])
def test_the_ends_of_the_span_are_good(raw: int) -> None:
    host = ready()
    host.board.inputs.analog[0] = raw
    host.board.passes(3)
    assert host.board.status().analog[0].quality == Quality.GOOD
    assert row(host, 1) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_bad_and_never_compared(value: float) -> None:
    host = ready()
    host.live(100, good(FLOW, 0.0), good(MODE, 0.0))
    host.live(100, good(FLOW, value), good(MODE, 0.0))
    assert row(host, 2) == 0, "bad for less than its delay"
    host.live(10_100, good(FLOW, value), good(MODE, 0.0))
    assert row(host, 2) == 3


def test_a_signal_the_host_does_not_renew_grows_too_old_and_its_row_trips_after_its_delay() -> None:
    host = ready()
    host.live(100, good(FLOW, 0.0), good(MODE, 0.0))
    host.live(1_900)
    host.live(10_000, good(MODE, 0.0))
    assert row(host, 2) == 0
    host.live(200, good(MODE, 0.0))
    assert row(host, 2) == 3
    assert pins(host, [CONTACTOR]) == [0]


def test_an_age_of_65535_is_that_or_more() -> None:
    host = ready()
    host.live(10, good(FLOW, 0.0), good(MODE, 0.0))
    host.beat(good(FLOW, 9.0, age_ms=65_535))
    host.board.passes(2)
    assert row(host, 2) == 0
    host.beat(good(FLOW, 9.0, age_ms=1_999))
    host.board.passes(2)
    assert row(host, 2) == 3, "1999 ms is young enough"


def test_a_sample_older_than_the_one_held_is_no_news() -> None:
    host = ready()
    host.live(50, good(FLOW, 1.0), good(MODE, 0.0))
    assert host.beat(good(FLOW, 9.0, age_ms=500)) is None
    host.board.passes(2)
    assert row(host, 2) == 0
    assert host.beat(good(FLOW, 9.0)) is None
    host.board.passes(2)
    assert row(host, 2) == 3


def test_a_bad_sample_takes_the_quality_and_never_the_value() -> None:
    host = ready()
    host.live(50, good(FLOW, 4.0), good(MODE, 0.0))
    host.beat(Given(FLOW, int(Quality.BAD), int(Reason.DEVICE), 0, 99.0))
    host.board.passes(2)
    assert row(host, 2) == 0
    host.beat(Given(FLOW, int(Quality.UNCERTAIN), 0, 0, 4.0))
    host.live(11_000, good(FLOW, 4.0), good(MODE, 0.0))
    assert row(host, 2) == 0, "the bad time ended"


def test_a_row_is_not_valid_in_another_mode_and_says_so() -> None:
    host = ready()
    host.live(50, good(FLOW, 9.0), good(MODE, 1.0))
    assert row(host, 2) == 8
    assert pins(host, [CONTACTOR]) == [0]
    host.live(50, good(FLOW, 9.0), good(MODE, 0.0))
    assert row(host, 2) == 3


def test_a_bypass_lasts_as_long_as_the_beat_and_what_stood_all_the_time_acts_when_it_ends() -> None:
    host = ready()
    given = (good(FLOW, 9.0), good(MODE, 0.0))
    first = host.board.events_head
    for _ in range(20):
        assert host.beat(*given, bypassed=1 << 2) is None
        host.wait(50)
    assert row(host, 2) == 4
    host.wait(949)
    assert row(host, 2) == 4
    host.wait(2)
    assert row(host, 2) == 3
    rows = [k for k in kinds(host, first) if k != "LAPSED"]
    assert rows == ["BYPASS_BEGAN", "BYPASS_ENDED", "STANDS"]


def test_a_bypass_ends_with_the_first_beat_that_does_not_name_it() -> None:
    host = ready()
    given = (good(FLOW, 9.0), good(MODE, 0.0))
    host.beat(*given, bypassed=1 << 2)
    host.board.passes(2)
    assert row(host, 2) == 4
    host.beat(*given)
    host.board.passes(1)
    assert row(host, 2) == 3


def test_first_out_keeps_the_order_of_what_tripped() -> None:
    host = ready()
    host.board.inputs.analog[0] = 3_000
    host.board.passes(3)
    host.board.set_digital(0, True)
    host.board.passes(3)
    places = {e.index: e.place for e in host.board.events() if e.kind.name == "STANDS"}
    assert places == {1: 0, 0: 1}
    assert pins(host, [LIQUID, GAS]) == [0, 0]

"""Leases, lapses, latches and locks of the board: asserted on its pins and its events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from board_alone import (
    BUBBLE,
    CONTACT,
    CONTACTOR,
    GAS,
    HORN,
    LIQUID,
    QUIET,
    Host,
    cause,
    channel,
    condition,
    kinds,
    pins,
    plant,
    ready,
)

from firmware_bridge.codes import ChannelKind, Kind, LatchReason, Nak
from firmware_bridge.table import Effect, Table

ALL = (LIQUID, GAS, CONTACTOR, HORN)


def running() -> Host:
    """Liquid open, gas and contactor on, horn silent."""
    host = ready()
    assert host.command((LIQUID, 1, 200), (GAS, 1, 1000), (CONTACTOR, 1, 1000)) is None
    assert host.command((HORN, 0, 1000)) is None
    host.board.passes(1)
    assert pins(host, ALL) == [1, 1, 1, 0]
    return host


def test_a_command_moves_its_pins_at_the_next_pass() -> None:
    host = ready()
    assert host.command((LIQUID, 1, 200)) is None
    assert pins(host, [LIQUID]) == [0]
    host.board.passes(1)
    assert pins(host, [LIQUID]) == [1]


def test_each_channel_is_at_its_own_lapse_value_within_its_own_lease_and_a_pass() -> None:
    host = running()
    host.wait(199)
    assert pins(host, ALL) == [1, 1, 1, 0]
    host.wait(1)
    assert pins(host, ALL) == [0, 1, 1, 0]
    host.wait(799)
    assert pins(host, ALL) == [0, 1, 1, 0]
    host.wait(1)
    assert pins(host, ALL) == [0, 1, 1, 1000]


def test_a_beat_that_moved_renews_every_lease_by_its_own_length() -> None:
    host = running()
    host.live(5000)
    assert pins(host, ALL) == [1, 1, 1, 0]
    host.wait(200)
    assert pins(host, ALL) == [0, 1, 1, 0]


def test_a_beat_of_a_scan_that_stands_still_renews_nothing() -> None:
    host = running()
    for _ in range(10):
        assert host.beat(moved=False) is None
        host.wait(50)
    assert pins(host, ALL) == [0, 1, 1, 0]


def test_a_lease_that_ran_out_since_the_last_pass_is_not_renewed() -> None:
    host = running()
    host.wait(199)
    host.board.now_us += 1_400
    host.beat()
    host.board.passes(1)
    assert pins(host, [LIQUID]) == [0]


def test_a_liquid_that_lapsed_takes_only_its_lapse_value_until_a_clear() -> None:
    host = running()
    first = len(host.board.events())
    host.wait(250)
    assert kinds(host, first) == ["LATCHED"]
    assert host.board.events(first)[0].detail == LatchReason.LEASE
    assert host.command((LIQUID, 1, 200)) is Nak.LATCHED
    assert host.command((LIQUID, 0, 200)) is None
    host.board.passes(1)
    assert pins(host, [LIQUID]) == [0]
    assert host.clear(1 << LIQUID) is None
    host.board.passes(2)
    assert pins(host, [LIQUID]) == [0], "a clear starts nothing"
    assert host.command((LIQUID, 1, 200)) is None
    host.board.passes(1)
    assert pins(host, [LIQUID]) == [1]


def test_a_clear_ends_the_lease_under_the_latch() -> None:
    host = running()
    host.arm(plant().join(), distrust=1)
    assert host.command((LIQUID, 0, 200)) is None
    assert host.clear(1 << LIQUID) is None
    first = host.board.events_head
    host.wait(300)
    assert kinds(host, first) == [], "a lease that is over cannot lapse and latch again"


def test_heat_and_gas_that_lapsed_take_the_next_command_without_a_person() -> None:
    host = running()
    host.wait(3000)
    assert pins(host, [GAS, CONTACTOR]) == [1, 1]
    assert host.command((GAS, 0, 1000), (CONTACTOR, 1, 1000)) is None
    host.board.passes(1)
    assert pins(host, [GAS, CONTACTOR]) == [0, 1]


def test_clear_of_a_channel_that_is_not_latched_changes_nothing() -> None:
    host = running()
    first = host.board.events_head
    assert host.clear(0xFF) is None
    host.board.passes(1)
    assert pins(host, ALL) == [1, 1, 1, 0]
    assert kinds(host, first) == []


def test_an_unknown_image_latches_every_channel_where_it_is_and_shuts_liquids() -> None:
    host = running()
    assert host.arm(plant().join(), distrust=1) is None
    host.board.passes(1)
    assert pins(host, ALL) == [0, 1, 1, 1000]
    assert host.board.status().latched == 0xFF
    reasons = {e.detail for e in host.board.events() if e.kind.name == "LATCHED"}
    assert LatchReason.IMAGE in reasons
    assert host.command((CONTACTOR, 1, 1000)) is None, "what it keeps is its lapse value"
    assert host.clear(1 << CONTACTOR) is None
    host.board.passes(1)
    assert pins(host, [CONTACTOR]) == [1]


def test_a_latched_contactor_can_be_opened_and_stays_so_until_a_clear() -> None:
    host = running()
    host.arm(plant().join(), distrust=1)
    host.board.passes(1)
    assert host.command((CONTACTOR, 0, 1000)) is None
    host.board.passes(1)
    assert pins(host, [CONTACTOR]) == [0]
    assert host.command((CONTACTOR, 1, 1000)) is Nak.LATCHED
    host.board.passes(2_500)
    assert pins(host, [CONTACTOR]) == [0]
    assert host.clear(1 << CONTACTOR) is None
    assert host.command((CONTACTOR, 1, 1000)) is None
    host.board.passes(1)
    assert pins(host, [CONTACTOR]) == [1]


def test_another_table_latches_every_channel_and_the_same_one_changes_nothing() -> None:
    host = running()
    same, other = plant().join(), bytearray(plant().join())
    host.open()
    host.load(same)
    host.arm(same)
    host.board.passes(1)
    assert pins(host, ALL) == [1, 1, 1, 0]
    host.open()
    other[-1 - 36 - 12 - 1] = 0  # longest lease of the last but one channel: 1000 -> 232 ms
    assert host.load(bytes(other)) == (None, 0)
    assert pins(host, ALL) == [0, 1, 1, 1000]
    assert host.board.status().latched == 0xFF
    assert host.arm(bytes(other)) is None
    assert host.command((GAS, 1, 1000), (LIQUID, 1, 200)) is Nak.LATCHED
    assert host.command((GAS, 0, 1000)) is None


def test_a_reset_starts_nothing_until_a_command_comes_after_it() -> None:
    host = running()
    host.board.set_digital(0, True)
    host.board.passes(3)
    assert pins(host, [LIQUID]) == [0]
    assert host.command((LIQUID, 1, 200)) is None, "a command under the force does not count"
    host.board.set_digital(0, False)
    host.board.passes(3)
    assert host.reset(0) is None
    host.board.passes(3)
    assert pins(host, [LIQUID]) == [0]
    assert host.command((LIQUID, 1, 200)) is None
    host.board.passes(1)
    assert pins(host, [LIQUID]) == [1]


def test_a_command_right_behind_the_reset_in_one_piece_of_bytes_counts() -> None:
    host = running()
    host.board.set_digital(0, True)
    host.board.passes(3)
    host.board.set_digital(0, False)
    host.board.passes(3)
    assert host.reset(0) is None
    assert host.command((LIQUID, 1, 200)) is None
    host.board.passes(1)
    assert pins(host, [LIQUID]) == [1]


def test_a_command_right_before_the_reset_does_not_start_anything() -> None:
    host = running()
    host.board.set_digital(0, True)
    host.board.passes(3)
    host.board.set_digital(0, False)
    host.board.passes(3)
    assert host.command((LIQUID, 1, 200)) is None
    assert host.reset(0) is None
    host.board.passes(3)
    assert pins(host, [LIQUID]) == [0]


def test_an_interlock_gives_its_channel_back_when_its_cause_is_gone() -> None:
    host = running()
    host.board.inputs.analog[0] = 3_000
    host.board.passes(4)
    assert pins(host, [GAS]) == [0]
    host.board.inputs.analog[0] = QUIET
    host.board.passes(4)
    assert pins(host, [GAS]) == [1]


def test_gas_that_lapsed_under_an_interlock_goes_on_when_the_interlock_is_gone() -> None:
    host = running()
    host.board.inputs.analog[0] = 3_000
    host.wait(2000)
    assert pins(host, [GAS]) == [0]
    host.board.inputs.analog[0] = QUIET
    host.board.passes(4)
    assert pins(host, [GAS]) == [1]


def test_gas_that_an_interlock_held_while_the_image_was_distrusted_comes_back_with_it() -> None:
    host = running()
    host.board.inputs.analog[0] = 3_000
    host.wait(2000)
    assert host.arm(plant().join(), distrust=1) is None
    host.board.passes(4)
    assert pins(host, [GAS]) == [0]
    host.board.inputs.analog[0] = QUIET
    host.board.passes(4)
    assert pins(host, [GAS]) == [1], "no row asks for less, and nobody is there to clear"


def test_under_its_lock_a_channel_stays_where_it_was_forced_last() -> None:
    """A protect opened it half, an interlock shut it; both are gone, nobody commanded."""
    rows = Table(
        (CONTACT, replace(CONTACT, number=1)), (condition(0), condition(1)),
        (cause(0, effect=0), cause(1, kind=Kind.INTERLOCK, effect=1)),
        (Effect(HORN, 0, 500), Effect(HORN, 0, 0)),
        (*[channel()] * 7, channel(lapse=900, kind=ChannelKind.PWM)), (), 2, 0,
    )  # fmt: skip
    host = ready(rows)
    for raw, value in ((0b01, 500), (0b00, 500)):
        host.board.inputs.digital = raw
        host.board.passes(3)
        assert pins(host, [HORN]) == [value]
    assert host.reset(0) is None
    for raw, value in ((0b00, 500), (0b10, 0), (0b00, 0)):
        host.board.inputs.digital = raw
        host.board.passes(3)
        assert pins(host, [HORN]) == [value]
    assert host.command((HORN, 700, 1000)) is None
    host.board.passes(1)
    assert pins(host, [HORN]) == [700]


def test_a_command_with_one_wrong_write_changes_nothing() -> None:
    host = ready()
    for wrong, code in (((9, 1, 100), Nak.CHANNEL), ((GAS, 2, 100), Nak.VALUE),
                        ((HORN, 1001, 100), Nak.VALUE), ((GAS, 1, 1001), Nak.LEASE),
                        ((GAS, 1, 0), Nak.LEASE)):  # fmt: skip
        assert host.command((LIQUID, 1, 200), wrong) is code
        host.board.passes(1)
        assert pins(host, [LIQUID]) == [0]
        assert host.board.status().wished == 0


@pytest.mark.parametrize(("higher", "value"), [(0, 300), (1, 800)])
def test_of_two_forces_the_declared_winner_holds(higher: int, value: int) -> None:
    rows = Table(
        (CONTACT,), (condition(0), condition(0)),
        (cause(0, kind=Kind.INTERLOCK, effect=0), cause(1, kind=Kind.INTERLOCK, effect=1)),
        (Effect(HORN, 0, 300), Effect(HORN, 0, 800)),
        (*[channel()] * 7, channel(higher=higher, kind=ChannelKind.PWM)), (), 1, 0,
    )  # fmt: skip
    host = ready(rows)
    host.board.set_digital(0, True)
    host.board.passes(3)
    assert pins(host, [HORN]) == [value]
    assert host.board.status().forced == 1 << HORN


def test_the_signal_numbers_of_the_plant_are_those_the_tests_name() -> None:
    assert [row.source for row in plant().signals] == [0, 2, 1, 0]
    assert plant().conditions[0].signal == BUBBLE

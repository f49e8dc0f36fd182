"""What a reset of the processor leaves: liquids shut and latched, heat and gas as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from board_alone import (
    CONTACTOR,
    FLOW,
    GAS,
    HORN,
    LIQUID,
    MODE,
    Host,
    channel,
    digest,
    good,
    kinds,
    pins,
    plant,
    ready,
    restarted,
)

from firmware_bridge.codes import ChannelKind, LatchReason, Nak, ResetReason
from firmware_bridge.table import Table

TABLE = plant().join()
ALL = (LIQUID, GAS, CONTACTOR, HORN)


def on() -> Host:
    """Liquid open, gas and contactor on, horn silent."""
    host = ready()
    assert host.command((LIQUID, 1, 200), (GAS, 1, 1000), (CONTACTOR, 1, 1000)) is None
    assert host.command((HORN, 0, 1000)) is None
    host.board.passes(1)
    return host


@pytest.mark.parametrize("reason", [ResetReason.WATCHDOG, ResetReason.OTHER])
def test_after_a_reset_liquids_are_shut_at_once_and_heat_and_gas_stay(reason: ResetReason) -> None:
    host = restarted(on(), reason)
    assert pins(host, ALL) == [0, 1, 1, 1000], "before the first pass"
    host.board.passes(4000)
    assert pins(host, ALL)[:2] == [0, 1]
    identity = host.open()
    assert (identity.boot_id, identity.reset_reason) == (2, reason)
    assert (identity.table, identity.latched) == (digest(TABLE), 1 << LIQUID)
    assert host.arm(TABLE) is None
    assert host.command((LIQUID, 1, 200)) is Nak.LATCHED
    assert host.command((GAS, 0, 1000), (CONTACTOR, 1, 1000)) is None, "they need no person"


def test_after_power_came_back_nothing_is_driven_and_no_table_is_known() -> None:
    host = restarted(on(), ResetReason.POWER_UP)
    host.board.passes(10)
    assert pins(host, ALL) == [0, 0, 0, 0]
    identity = host.open()
    assert (identity.table, identity.latched, identity.reset_reason) == (bytes(32), 0, 0)
    assert host.arm(TABLE) is Nak.TABLE_DIGEST
    assert host.load(TABLE) == (None, 0)
    assert pins(host, ALL) == [0, 0, 0, 1000]
    assert host.board.status().latched == 1 << LIQUID
    assert host.board.events()[1].detail == LatchReason.RESTART
    assert host.arm(TABLE) is None
    assert host.command((GAS, 1, 1000), (CONTACTOR, 1, 1000)) is None, "the first table is no other"


def test_a_channel_that_keeps_comes_up_at_its_start_value_with_its_first_table() -> None:
    rows = Table((), (), (), (), (channel(keep=1, start=1), channel(start=1)), (), 0, 0)
    host = ready(rows)
    assert pins(host, [0, 1]) == [1, 0]


def test_a_row_that_was_latched_is_latched_after_a_reset_and_its_actuator_stays_safe() -> None:
    host = on()
    host.live(20, good(FLOW, 9.0), good(MODE, 0.0))
    assert pins(host, [CONTACTOR]) == [0]
    host = restarted(host, ResetReason.WATCHDOG)
    assert pins(host, [CONTACTOR]) == [0]
    assert host.board.status().rows[2] == 2
    host.open()
    host.arm(TABLE)
    host.live(20, good(FLOW, 0.0), good(MODE, 0.0))
    assert host.command((CONTACTOR, 1, 1000)) is None
    host.board.passes(2)
    assert pins(host, [CONTACTOR]) == [0]
    assert host.reset(2) is None
    host.board.passes(2)
    assert pins(host, [CONTACTOR]) == [0], "a reset starts nothing"
    assert host.command((CONTACTOR, 1, 1000)) is None
    host.board.passes(1)
    assert pins(host, [CONTACTOR]) == [1]


def test_an_actuator_that_an_interlock_held_comes_up_held_not_as_it_was_wished() -> None:
    host = on()
    host.board.inputs.analog[0] = 3_000
    host.board.passes(4)
    host = restarted(host, ResetReason.WATCHDOG)
    assert pins(host, [GAS]) == [0]


def test_the_table_runs_on_after_a_reset_before_any_host_has_come() -> None:
    host = restarted(on(), ResetReason.WATCHDOG)
    host.board.passes(5)
    assert pins(host, [GAS]) == [1]
    host.board.inputs.analog[0] = 3_000
    host.board.passes(3)
    assert pins(host, [GAS]) == [0]
    assert "STANDS" in kinds(host)


def test_no_row_trips_because_the_inputs_are_not_known_yet_right_after_a_reset() -> None:
    host = restarted(on(), ResetReason.WATCHDOG)
    host.board.passes(2000)
    assert kinds(host) == ["BOOT", "LATCHED"]


def test_a_record_is_believed_only_whole_whichever_byte_is_wrong() -> None:
    host = on()
    saved = bytes(host.board.retained())
    for at in range(0, len(saved), 7):
        spoiled = bytearray(saved)
        spoiled[at] ^= 0x20
        host.board.retained()[:] = bytes(spoiled)
        host.board.start(3, ResetReason.WATCHDOG)
        assert pins(host, [LIQUID, GAS, CONTACTOR]) in ([0, 1, 1], [0, 0, 0])
        if at >= 56:  # digest and table
            beyond = at >= 56 + 32 + len(TABLE)
            assert pins(host, [GAS, CONTACTOR]) == ([1, 1] if beyond else [0, 0])


def test_of_two_copies_the_whole_one_is_taken_while_the_other_was_being_written() -> None:
    host = on()
    for first in (0, 28):
        saved = bytes(host.board.retained())
        host.board.retained()[first : first + 28] = b"\xa5" * 28
        host.board.start(3, ResetReason.WATCHDOG)
        assert host.board.status().latched == 1 << LIQUID, "a record was believed"
        host.board.retained()[:] = saved
        host.board.start(4, ResetReason.WATCHDOG)
        assert pins(host, [GAS, CONTACTOR]) == [1, 1]


def test_after_a_torn_copy_was_passed_over_the_next_record_is_the_one_believed() -> None:
    host = on()
    torn = b"\xf0\xff\xff\x7f" + b"\xa5" * 24  # a high number, and no CRC of it
    for first in (0, 28):
        host.board.retained()[first : first + 28] = torn
        if pins(restarted(host, ResetReason.WATCHDOG), [GAS]) == [1]:
            break
    again = Host(host.board)
    again.open()
    assert again.arm(TABLE) is None
    assert again.command((GAS, 0, 1000)) is None
    again.board.passes(2)
    assert pins(again, [GAS]) == [0]
    assert pins(restarted(again, ResetReason.WATCHDOG, 3), [GAS, CONTACTOR]) == [0, 1]


def test_another_table_than_the_retained_one_latches_every_channel() -> None:
    host = restarted(on(), ResetReason.WATCHDOG)
    rows = plant()
    channels = (channel(latch=1, lease_ms=201), *rows.channels[1:])
    other = replace(rows, channels=channels)
    host.open()
    assert host.load(other.join()) == (None, 0)
    assert pins(host, ALL) == [0, 1, 1, 1000]
    assert host.board.status().latched == 0xFF


def test_a_session_of_before_the_reset_is_not_heard() -> None:
    host = on()
    session, sequence = host.session, host.sequence
    host = restarted(host, ResetReason.WATCHDOG)
    assert host.send(8, session, sequence + 1, bytes.fromhex("01 01 0000 e803")) == []
    host.hello()
    assert host.session != session


def test_the_watchdog_is_fed_only_if_main_loop_and_lease_check_both_ran() -> None:
    board = ready().board
    board.fed()
    board.passes(3)
    assert not board.fed(), "nobody served the line"
    board.receive(b"", board.now_us)
    assert board.fed(), "the pass before and the line now"
    assert not board.fed(), "once"
    board.receive(b"", board.now_us)
    board.transmit()
    assert not board.fed(), "no pass since"
    board.passes(1)
    assert board.fed()


def test_a_board_without_a_table_drives_nothing_whatever_its_inputs_say() -> None:
    host = Host()
    for raw in (0, 0xFFFF_FFFF, 5):
        host.board.inputs.digital = raw
        host.board.passes(3)
        assert host.board.outputs() == (0, 0)
        assert host.board.status().inputs == raw


def test_time_that_goes_back_is_taken_as_no_time() -> None:
    host = on()
    host.board.now_us = 0
    host.board.passes(3)
    assert pins(host, ALL) == [1, 1, 1, 0]
    assert host.board.status().time_us > 3 * 500


def test_the_annunciator_is_a_pwm_channel_and_keeps_nothing() -> None:
    assert plant().channels[HORN].kind == ChannelKind.PWM
    host = restarted(on(), ResetReason.WATCHDOG)
    host.board.passes(3)
    assert pins(host, [HORN]) == [1000]

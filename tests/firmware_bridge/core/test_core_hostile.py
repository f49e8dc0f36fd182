"""A hostile or unlucky world at the real core: two hosts, stalls, long life, resets at any byte."""

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
    MS,
    Host,
    channel,
    good,
    kinds,
    pins,
    plant,
    ready,
    restarted,
)

from firmware_bridge.codes import LatchReason, Nak, ResetReason

TABLE = plant().join()
ALL = (LIQUID, GAS, CONTACTOR, HORN)
LONG_US = (1 << 31, 1 << 32, (1 << 32) * MS, 1 << 50)
"""36 min, 72 min, 50 days, 36 years: where counters of 32 bits would come round, and beyond."""


def running() -> Host:
    """Liquid open, gas and contactor on, horn silent."""
    host = ready()
    assert host.command((LIQUID, 1, 200), (GAS, 1, 1000), (CONTACTOR, 1, 1000)) is None
    assert host.command((HORN, 0, 1000)) is None
    host.board.passes(1)
    return host


def test_the_beats_of_another_session_do_not_renew_what_was_commanded_in_the_one_before() -> None:
    running_host = running()
    other = Host(running_host.board)
    other.progress = 500
    other.open()
    assert other.arm(TABLE) is None
    other.live(180)
    assert pins(other, ALL) == [1, 1, 1, 0], "its lease still runs"
    other.live(40)
    assert pins(other, ALL) == [0, 1, 1, 0]
    assert other.command((LIQUID, 1, 200)) is Nak.LATCHED
    other.live(1000)
    assert pins(other, ALL) == [0, 1, 1, 1000]
    assert other.command((HORN, 0, 1000), (GAS, 1, 1000)) is None
    other.live(3000)
    assert pins(other, ALL) == [0, 1, 1, 0], "what it commands itself, it renews"


def test_a_command_after_a_stall_cannot_save_a_lease_that_ran_out_in_it() -> None:
    host = running()
    host.board.now_us += 300 * MS  # no pass ran: the machine stood still
    assert host.command((LIQUID, 1, 200)) is Nak.LATCHED
    host.board.passes(1)
    assert pins(host, ALL) == [0, 1, 1, 0]
    assert host.board.events()[-1].detail == LatchReason.LEASE


def test_a_command_after_a_stall_finds_heat_and_gas_free_of_latches() -> None:
    host = running()
    host.board.now_us += 5000 * MS
    assert host.command((GAS, 0, 1000), (CONTACTOR, 1, 1000)) is None
    host.board.passes(1)
    assert pins(host, ALL) == [0, 0, 1, 1000]


@pytest.mark.parametrize("begin_us", LONG_US)
def test_a_board_that_has_run_for_long_does_all_as_on_its_first_day(begin_us: int) -> None:
    host = Host()
    host.board.now_us = begin_us - 400 * MS
    host.open()
    assert host.load(TABLE) == (None, 0)
    assert host.arm(TABLE) is None
    host.board.passes(3)
    host.live(100, good(FLOW, 0.0), good(MODE, 0.0))
    assert host.clear(0xFF) is None
    assert host.command((LIQUID, 1, 200), (GAS, 1, 1000), (CONTACTOR, 1, 1000), (HORN, 0, 1000)) \
        is None
    host.live(1000, good(FLOW, 0.0, age_ms=1500), good(MODE, 0.0))
    assert host.board.now_us > begin_us
    assert pins(host, ALL) == [1, 1, 1, 0]
    assert host.board.status().rows == bytes(3)
    host.wait(149)
    assert pins(host, ALL) == [1, 1, 1, 0]
    host.wait(52)
    assert pins(host, ALL) == [0, 1, 1, 0]
    host.live(50, good(FLOW, 9.0), good(MODE, 0.0))
    assert pins(host, [CONTACTOR]) == [0]
    assert host.unasked[-1].time_us <= host.board.now_us < host.unasked[-1].time_us + 110 * MS
    assert kinds(host)[-1] == "STANDS"


@pytest.mark.parametrize("change", ["gas off", "row trips"])
def test_a_reset_at_any_byte_of_a_write_to_the_record_leaves_what_was_or_what_is(
    change: str,
) -> None:
    host = running()
    before = bytes(host.board.retained())
    if change == "gas off":
        assert host.command((GAS, 0, 1000)) is None
        host.board.passes(1)
    else:
        host.live(1, good(FLOW, 9.0), good(MODE, 0.0))
    after = bytes(host.board.retained())
    found = []
    touched = [at for at in range(len(after)) if before[at] != after[at]]
    assert touched
    for order in (touched, touched[::-1], touched[::2] + touched[1::2]):
        for count in range(len(order) + 1):
            torn = bytearray(before)
            for at in order[:count]:
                torn[at] = after[at]
            host.board.retained()[:] = bytes(torn)
            host.board.start(3, ResetReason.WATCHDOG)
            found.append((*pins(host, ALL), host.board.status().rows))
    was = (0, 1, 1, 1000, bytes(3))
    now = (0, 0, 1, 1000, bytes(3)) if change == "gas off" else (0, 1, 0, 1000, b"\0\0\x02")
    assert set(found) == {was, now}


def test_another_table_while_everything_is_leased_keeps_heat_and_gas_and_opens_nothing() -> None:
    host = running()
    rows = plant()
    other = replace(rows, channels=(channel(latch=1, lease_ms=201), *rows.channels[1:])).join()
    host.open()
    for _ in range(3):
        assert host.load(other) == (None, 0)
        host.board.passes(3)
        assert pins(host, ALL) == [0, 1, 1, 1000]
    assert host.arm(other) is None
    assert host.beat(good(FLOW, 0.0), good(MODE, 0.0)) is None
    host.live(3000, good(FLOW, 0.0), good(MODE, 0.0))
    assert pins(host, ALL) == [0, 1, 1, 1000]


def test_a_bypass_ends_with_the_beat_also_when_another_host_came_meanwhile() -> None:
    host = running()
    assert host.beat(good(FLOW, 9.0), good(MODE, 0.0), bypassed=1 << 2) is None
    host.board.passes(2)
    assert pins(host, [CONTACTOR]) == [1]
    other = Host(host.board)
    other.open()
    other.wait(990)
    assert pins(other, [CONTACTOR]) == [1]
    other.wait(12)
    assert pins(other, [CONTACTOR]) == [0]


def test_a_whole_conversation_played_again_moves_nothing() -> None:
    host = ready()
    host.heard()
    taken: list[bytes] = []
    receive = host.board.receive

    def record(data: bytes, now_us: int) -> None:
        taken.append(data)
        receive(data, now_us)

    host.board.receive = record  # type: ignore[method-assign]
    host.open()
    host.arm(TABLE)
    host.clear(0xFF)
    host.command((LIQUID, 1, 200))
    host.live(100)
    assert pins(host, [LIQUID]) == [1]
    host.board.receive = receive  # type: ignore[method-assign]
    for data in taken * 2:
        receive(data, host.board.now_us)
    host.wait(300)
    assert pins(host, [LIQUID]) == [0]
    for data in taken * 3:
        receive(data, host.board.now_us)
        host.board.passes(1)
        assert pins(host, [LIQUID]) == [0]
    again = restarted(host, ResetReason.WATCHDOG)
    for data in taken:
        receive(data, again.board.now_us)
        again.board.passes(1)
        assert pins(again, [LIQUID, GAS]) == [0, 0]

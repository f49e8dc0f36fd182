"""Host to pins on both builds, frame by frame, with the board's time moved by the test."""

from __future__ import annotations

import pytest
from board_host import (
    BUBBLE_ROW,
    CALM,
    DIGEST,
    HEAT_AND_GAS,
    KM101,
    LIQUIDS,
    SECOND,
    XV201,
    Host,
    Refusal,
)

from firmware_bridge import build
from firmware_bridge import messages as m
from firmware_bridge.codes import PASS_US, LatchReason, Nak, ResetReason, Type
from firmware_bridge.pins import Out, Strip

OPEN_201 = 1 << XV201
LEASE_MS = 1_000
LATE_US = 20_000
"""How late a lapse may be (the requirement)."""


class Bench:
    """A board in lock-step: its time is `now_us`."""

    def __init__(self, host: Host, strip: Strip) -> None:
        self.host, self.strip, self.now_us = host, strip, 10 * SECOND
        strip.set([CALM])
        strip.lockstep()
        self.pass_on(5 * PASS_US)

    def pass_on(self, us: int, step_us: int = PASS_US) -> Out:
        """Passes until so many microseconds are over; what the outputs do then."""
        end = self.now_us + us
        while self.now_us < end:
            self.now_us = min(end, self.now_us + step_us)
            out = self.strip.step(self.now_us)
        return out

    def run(self, **channels: int) -> Out:
        """Armed, cleared, with these channels commanded for LEASE_MS and heat and gas on."""
        self.host.arm()
        self.pass_on(PASS_US)
        self.host.clear()
        self.host.command(60_000, XV100=1, KM101=1)
        self.host.command(LEASE_MS, **channels)
        return self.pass_on(PASS_US)


@pytest.fixture
def bench(host: Host, strip: Strip) -> Bench:
    """A board in lock-step with a host."""
    return Bench(host, strip)


def test_the_board_says_which_image_it_is_and_that_its_power_came(host: Host, strip: Strip) -> None:
    said = host.hello()
    assert said.image in {build.digest(build.image()), build.digest(build.process())}
    assert said.table == bytes(32)
    assert said.reset_reason == ResetReason.POWER_UP
    assert strip.get().digital == 0


def test_a_command_moves_the_pins_it_names(bench: Bench) -> None:
    out = bench.run(XV201=1)
    assert out.digital == OPEN_201 | HEAT_AND_GAS
    assert out.time_us == bench.now_us
    bench.host.command(LEASE_MS, XV201=0, HORN=750)
    out = bench.pass_on(PASS_US)
    assert (out.digital, out.pwm) == (HEAT_AND_GAS, 750)


def test_a_lease_that_nobody_renews_shuts_the_valve_in_time_and_keeps_heat_and_gas(
    bench: Bench,
) -> None:
    bench.run(XV201=1)
    given_us = bench.now_us - PASS_US
    before = bench.pass_on(LEASE_MS * 1_000 - 2 * PASS_US, 10_000)
    assert before.digital == OPEN_201 | HEAT_AND_GAS
    after = bench.pass_on(LATE_US)
    assert after.digital == HEAT_AND_GAS
    assert given_us + LEASE_MS * 1_000 <= after.time_us <= given_us + LEASE_MS * 1_000 + LATE_US


def test_beats_that_move_on_renew_a_lease_and_beats_that_stand_still_do_not(bench: Bench) -> None:
    bench.run(XV201=1)
    for _ in range(8):
        bench.host.beat()
        assert bench.pass_on(250_000, 50_000).digital & OPEN_201
    for _ in range(5):
        bench.host.progress -= 1
        bench.host.beat()
        out = bench.pass_on(250_000, 50_000)
    assert out.digital == HEAT_AND_GAS


def test_a_lapsed_valve_opens_only_after_a_clear_and_a_new_command(bench: Bench) -> None:
    bench.run(XV201=1)
    bench.pass_on(1_100_000, 50_000)
    with pytest.raises(Refusal) as refused:
        bench.host.command(LEASE_MS, XV201=1)
    assert (refused.value.nak, refused.value.detail) == (Nak.LATCHED, XV201)
    bench.host.clear(OPEN_201)
    assert not bench.pass_on(PASS_US).digital & OPEN_201
    bench.host.command(LEASE_MS, XV201=1)
    assert bench.pass_on(PASS_US).digital & OPEN_201


def test_heat_and_gas_lapse_without_a_latch_and_take_the_next_command(bench: Bench) -> None:
    bench.run(XV201=1)
    bench.host.command(100, XV100=1)
    bench.pass_on(200_000, 10_000)
    bench.host.command(100, XV100=0)
    assert bench.pass_on(PASS_US).digital & HEAT_AND_GAS == 1 << KM101


def test_a_protect_stays_until_its_reset_and_the_reset_starts_nothing(bench: Bench) -> None:
    bench.run(XV201=1)
    bench.strip.set([CALM], digital=1)
    assert bench.pass_on(4 * PASS_US).digital == HEAT_AND_GAS
    with pytest.raises(Refusal) as refused:
        bench.host.ask(m.Reset(BUBBLE_ROW))
    assert (refused.value.nak, refused.value.detail) == (Nak.STANDS, BUBBLE_ROW)
    bench.strip.set([CALM])
    assert bench.pass_on(4 * PASS_US).digital == HEAT_AND_GAS
    bench.host.ask(m.Reset(BUBBLE_ROW))
    assert bench.pass_on(4 * PASS_US).digital == HEAT_AND_GAS
    bench.host.command(LEASE_MS, XV201=1)
    assert bench.pass_on(PASS_US).digital == HEAT_AND_GAS | OPEN_201


def test_a_board_that_just_booted_latches_the_liquids_with_its_table(bench: Bench) -> None:
    bench.host.arm()
    bench.pass_on(PASS_US)
    assert bench.host.hello().latched == LIQUIDS
    bench.host.ask(m.Open())
    with pytest.raises(Refusal) as refused:
        bench.host.command(LEASE_MS, XV201=1)
    assert refused.value.nak == Nak.NOT_ARMED


def test_a_copy_of_a_command_is_answered_and_does_not_act_again(bench: Bench) -> None:
    bench.run(XV202=1)
    copy = bench.host.frame(m.Command((m.Write(XV201, 1, LEASE_MS),)))
    bench.host.put(copy)
    first = bench.host.answer(Type.ACK, bench.host.sequence)
    assert bench.pass_on(PASS_US).digital & OPEN_201
    bench.pass_on(1_100_000, 50_000)
    bench.host.put(copy)
    again = bench.host.answer(Type.ACK, bench.host.sequence)
    assert again.payload == first.payload
    assert bench.pass_on(4 * PASS_US).digital == HEAT_AND_GAS
    bench.host.clear(LIQUIDS)
    bench.host.put(copy)
    with pytest.raises(Refusal) as refused:
        bench.host.answer(Type.ACK, bench.host.sequence - 1)
    assert refused.value.nak == Nak.SEQUENCE
    assert bench.pass_on(4 * PASS_US).digital == HEAT_AND_GAS


def test_commands_out_of_order_and_of_a_session_that_is_over_move_nothing(bench: Bench) -> None:
    bench.run(XV202=1)
    ahead = bench.host.sequence + 2
    bench.host.put(bench.host.frame(m.Command((m.Write(XV201, 1, LEASE_MS),)), ahead))
    with pytest.raises(Refusal) as refused:
        bench.host.answer(Type.ACK, ahead)
    assert (refused.value.nak, refused.value.detail) == (Nak.SEQUENCE, ahead - 2)
    old = bench.host.frame(m.Command((m.Write(XV201, 1, LEASE_MS),)))
    bench.host.hello()
    bench.host.ask(m.Open())
    bench.host.put(old)
    assert not bench.pass_on(4 * PASS_US).digital & OPEN_201


def test_a_late_hello_leaves_the_session_and_its_leases_alone(bench: Bench) -> None:
    bench.run(XV201=1)
    session, sequence = bench.host.session, bench.host.sequence
    bench.host.hello()
    bench.host.session, bench.host.sequence = session, sequence
    bench.host.beat()
    assert bench.pass_on(900_000, 50_000).digital & OPEN_201


def test_a_command_with_any_byte_changed_moves_nothing(bench: Bench) -> None:
    bench.run(XV202=1)
    good = bench.host.frame(m.Command((m.Write(XV201, 1, LEASE_MS),)))
    for at in range(len(good) - 1):
        for bit in (0, 3, 7):
            if good[at] ^ 1 << bit:
                bench.host.put(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])
    assert not bench.pass_on(4 * PASS_US).digital & OPEN_201
    bench.host.put(good)
    bench.host.answer(Type.ACK, bench.host.sequence)
    assert bench.pass_on(PASS_US).digital & OPEN_201


def test_a_second_host_finds_heat_and_gas_on_and_liquids_latched(bench: Bench) -> None:
    bench.run(XV201=1)
    bench.pass_on(1_100_000, 50_000)
    said = bench.host.hello()
    assert (said.table, said.latched) == (DIGEST, OPEN_201)
    bench.host.ask(m.Open())
    bench.host.ask(m.Arm(DIGEST, 0))
    bench.host.command(LEASE_MS, XV100=1, KM101=1)
    assert bench.pass_on(PASS_US).digital == HEAT_AND_GAS


def test_an_image_that_the_host_distrusts_latches_every_channel_where_it_is(bench: Bench) -> None:
    bench.run(XV201=1)
    bench.host.hello()
    bench.host.ask(m.Open())
    bench.host.ask(m.Arm(DIGEST, 1))
    assert bench.pass_on(PASS_US).digital == HEAT_AND_GAS
    with pytest.raises(Refusal) as refused:
        bench.host.command(LEASE_MS, XV201=1)
    assert (refused.value.nak, refused.value.detail) == (Nak.LATCHED, XV201)
    bench.host.put(bench.host.frame(m.Events(0)))
    events = m.EventsList.unpack(bench.host.answer(Type.EVENTS_LIST, bench.host.sequence).payload)
    assert LatchReason.IMAGE in {event.detail for event in events.events}

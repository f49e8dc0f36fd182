"""From a change on an input to the change on the output: at most 2 ms of board time.

The board stamps both itself. In QEMU board time counts instructions here, 32 ns each: what the
image computes is in it, what this machine does beside is not. Natively board time is this machine's
time: its median is asserted, its maximum printed. In lock-step the passes are counted.
"""

from __future__ import annotations

import statistics

import pytest
from board_host import CALM, FILLED, KEY_BIT, SECOND, TABLE, XV100, Host

from firmware_bridge.codes import PASS_US
from firmware_bridge.emulator import EmulatedBoard, native, qemu
from firmware_bridge.pins import Strip

TRIP_US_MAX = 2_000
HIGH = 3_000
"""Raw pressure above the row's limit."""
INPUTS = {"digital": ([CALM], KEY_BIT), "analog": ([HIGH], 0)}


def trips_us(board: EmulatedBoard, kind: str, count: int, table: bytes = TABLE) -> list[int]:
    """Board time from input to output of so many trips of an interlock."""
    with board, board.strip() as strip:
        strip.set([CALM])
        with Host(board.line) as host:
            host.arm(table)
            host.command(60_000, XV100=1)
            strip.wait(lambda out: bool(out.digital & 1 << XV100))
        found = []
        for _ in range(count):
            strip.set(*INPUTS[kind])
            out = strip.wait(lambda out: not out.digital & 1 << XV100)
            found.append(out.time_us - out.changed_us)
            strip.set([CALM])
            strip.wait(lambda out: bool(out.digital & 1 << XV100))
    return found


def say(name: str, kind: str, found: list[int]) -> None:
    """What was measured, for `pytest -s`."""
    middle = statistics.median(found)
    print(f"{name}, {kind}: {len(found)} trips, p50 {middle:.0f} us, max {max(found)} us")


@pytest.mark.parametrize("kind", INPUTS)
def test_the_image_trips_within_two_milliseconds_of_board_time(kind: str) -> None:
    found = trips_us(qemu(counted=True), kind, 200)
    say("image", kind, found)
    assert max(found) <= TRIP_US_MAX


def test_the_image_trips_in_time_with_as_many_rows_as_there_can_be() -> None:
    found = trips_us(qemu(counted=True), "digital", 200, FILLED)
    say("image, 16 rows", "digital", found)
    assert max(found) <= TRIP_US_MAX


@pytest.mark.parametrize("kind", INPUTS)
def test_the_native_board_trips_within_two_milliseconds_of_board_time(kind: str) -> None:
    found = trips_us(native(), kind, 200)
    say("native", kind, found)
    assert statistics.median(found) <= TRIP_US_MAX


@pytest.mark.campaign
@pytest.mark.parametrize("kind", INPUTS)
def test_the_image_trips_within_two_milliseconds_of_board_time_every_time(kind: str) -> None:
    found = trips_us(qemu(counted=True), kind, 10_000)
    say("image", kind, found)
    assert max(found) <= TRIP_US_MAX


@pytest.mark.parametrize("kind", INPUTS)
def test_in_lock_step_a_trip_takes_two_passes(kind: str, host: Host, strip: Strip) -> None:
    strip.set([CALM])
    strip.lockstep()
    now_us = 10 * SECOND
    host.arm()
    host.command(60_000, XV100=1)
    for _ in range(5):
        now_us += PASS_US
        strip.step(now_us)
    assert strip.get().digital == 1 << XV100
    strip.set(*INPUTS[kind])
    passes = 0
    while strip.get().digital:
        now_us += PASS_US
        strip.step(now_us)
        passes += 1
    assert passes == 2
    assert strip.get().time_us - strip.get().changed_us == 2 * PASS_US

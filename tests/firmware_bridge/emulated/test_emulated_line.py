"""Lines that fail under a board: bits turned over, cut, plugged in again; owners that die."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from board_host import CALM, HEAT_AND_GAS, SECOND, XV201, Host

from firmware_bridge import messages as m
from firmware_bridge.codes import PASS_US, RETRIES, Type
from firmware_bridge.emulator import EmulatedBoard, native
from firmware_bridge.pins import Strip

BIT_ERRORS = 1e-3
OWNER = """
import sys, time
from firmware_bridge.emulator import native, qemu
board = (native if sys.argv[1] == "native" else qemu)()
print(board.process.pid, flush=True)
time.sleep(600)
"""


def turned(data: bytes, draw: random.Random) -> bytes:
    """The bytes with each bit turned over with probability BIT_ERRORS."""
    return bytes(
        byte ^ sum(1 << bit for bit in range(8) if draw.random() < BIT_ERRORS) for byte in data
    )


def lock_step(host: Host, strip: Strip) -> int:
    """Armed and cleared, in lock-step; board time in us."""
    strip.set([CALM])
    strip.lockstep()
    host.arm()
    strip.step(10 * SECOND)
    host.clear()
    host.command(60_000, XV100=1, KM101=1)
    return 10 * SECOND


def delivered(host: Host, data: bytes, draw: random.Random) -> int:
    """Sends a request over the bad line until it is answered; how often it went out."""
    for tries in range(1, 100):
        host.put(turned(data, draw) + b"\0")
        try:
            host.answer(Type.ACK, host.sequence, 0.05)
        except AssertionError:
            continue
        return tries
    raise AssertionError("never answered")


def commanded(host: Host, strip: Strip, seed: int, count: int) -> int:
    """So many commands over the bad line, each seen on the pin; frames that went out for them."""
    now_us, draw, frames = lock_step(host, strip), random.Random(seed), 0
    for number in range(count):
        wish = number + 1 & 1
        data = host.frame(m.Command((m.Write(XV201, wish, 5_000),)))
        frames += delivered(host, data, draw)
        now_us += PASS_US
        assert strip.step(now_us).digital == HEAT_AND_GAS | wish << XV201, (seed, number)
    return frames


def test_with_bits_turned_over_each_command_acts_once_and_nothing_else_does(
    host: Host, strip: Strip
) -> None:
    assert commanded(host, strip, 1, 60) > 60


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(5))
def test_with_bits_turned_over_each_of_many_commands_acts_once(
    host: Host, strip: Strip, seed: int
) -> None:
    assert commanded(host, strip, seed, 1_000) > 1_000


def test_a_cut_cable_is_a_lapse_and_the_next_host_finds_the_board(
    board: EmulatedBoard, strip: Strip
) -> None:
    with Host(board.line) as host:
        now_us = lock_step(host, strip)
        host.command(500, XV201=1)
        assert strip.step(now_us + PASS_US).digital == HEAT_AND_GAS | 1 << XV201
        host.put(host.frame(m.Beat(1, 0, ()))[:-3])
    assert strip.step(now_us + 499_500).digital == HEAT_AND_GAS | 1 << XV201
    assert strip.step(now_us + 500_000).digital == HEAT_AND_GAS
    with Host(board.line) as host:
        host.put(b"\0")
        host.arm()
        host.command(5_000, XV100=1, KM101=1, XV202=1)
        assert strip.step(now_us + 600_000).digital == HEAT_AND_GAS | 1 << 2


def test_a_request_repeated_as_often_as_the_protocol_says_acts_once(
    host: Host, strip: Strip
) -> None:
    now_us = lock_step(host, strip)
    data = host.frame(m.Command((m.Write(XV201, 1, 100),)))
    for late_us in range(0, 60_000 * (RETRIES + 1), 60_000):
        host.put(data)
        host.answer(Type.ACK, host.sequence)
        out = strip.step(now_us + late_us)
    # The lease counts from the first copy: it ended although copies came after.
    assert out.digital == HEAT_AND_GAS


def test_a_native_board_on_a_pseudo_terminal_speaks_as_on_a_socket() -> None:
    with native(line="pty") as board, board.strip() as strip, Host(board.line) as host:
        assert os.isatty(host._stream)
        strip.set([CALM])
        host.arm()
        host.command(5_000, KM101=1)
        strip.wait(lambda out: out.digital != 0)


@pytest.mark.parametrize("kind", ["native", "qemu"])
def test_a_board_dies_with_its_owner(kind: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, kind], stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        os.kill(child, 0)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10.0
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(process: int) -> bool:
    """Whether a process still runs; a dead one that nobody waits for does not."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
        return text.rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

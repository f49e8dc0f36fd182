"""The Cortex-M3 image: what it takes of its processor, and that it keeps its time there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from board_host import CALM, FILLED, SECOND, Host

from controller.core.errors import BadInput
from firmware_bridge import build, emulator
from firmware_bridge import messages as m
from firmware_bridge.codes import SIGNALS_MAX
from firmware_bridge.emulator import QemuBoard, StartFailed, qemu
from firmware_bridge.pins import ScanSignal

STACK_SPARE = 128
"""Bytes of the stack that nothing these tests do may ever have touched."""


def test_the_image_fits_into_the_flash_and_ram_it_may_have() -> None:
    sizes = build.sizes(build.image())
    print(sizes)
    assert 0 < sizes.flash <= 32_768
    assert 0 < sizes.ram <= 8_192


def test_the_image_carries_the_digest_of_its_own_bytes(image_board: QemuBoard) -> None:
    with Host(image_board.line) as host:
        assert host.hello().image == build.digest(build.image())


def test_a_session_with_its_longest_frames_leaves_stack_to_spare(image_board: QemuBoard) -> None:
    with image_board.strip() as strip, Host(image_board.line) as host:
        strip.set([CALM])
        host.arm()
        host.clear()
        host.command(5_000, XV100=1, XV201=1, XV202=1, XV203=1, XV204=1, KM101=1, HORN=1)
        strip.set([3_000], 3)
        host.beat(39.0)
        host.put(host.frame(m.Events(0)))
        host.status(lambda status: status.forced != 0)
        strip.lockstep()
        strip.load(FILLED)
        at = 100 * SECOND
        strip.scan(at, (), [ScanSignal(n, 0, 0, at, -2.0) for n in range(SIGNALS_MAX)])
        strip.scan(at + SECOND)
        said = strip.scan(at + SECOND + 1_000)
        assert all(flags for flags, _ in said.rows[4:])
        fit = strip.fit()
    print(f"stack: {fit.stack_free} bytes never used")
    assert fit.stack_free >= STACK_SPARE


def test_a_second_of_passes_with_the_largest_table_leaves_none_out() -> None:
    with qemu(counted=True) as board, board.strip() as strip:
        with Host(board.line) as host:
            host.arm(FILLED)
            first = host.status(lambda status: True)
            began = strip.fit().overruns
            host.status(lambda status: status.time_us - first.time_us > SECOND)
        fit = strip.fit()
    print(f"longest pass: {fit.longest_us} us")
    assert fit.overruns == began


def test_what_is_no_image_is_said_and_nothing_stays_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "START_S", 1.0)
    bad = tmp_path / "no.elf"
    bad.write_bytes(b"no image")
    with pytest.raises(StartFailed) as failed:
        qemu(bad)
    assert "strip" in failed.value.what
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(bad) not in shown.stdout


def test_without_qemu_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInput) as refused:
        qemu()
    assert "apt-get install qemu-system-arm" in refused.value.do


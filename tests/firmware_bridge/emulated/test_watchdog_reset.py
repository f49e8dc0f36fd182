"""A board that hangs with interrupts masked: reset, and up again as for a lost field."""

from __future__ import annotations

from pathlib import Path

import pytest
from board_host import (
    CALM,
    DIGEST,
    HEAT_AND_GAS,
    HEAT_ROW,
    KM101,
    LIQUIDS,
    XV100,
    XV201,
    XV203,
    Host,
    Refusal,
)

from firmware_bridge import messages as m
from firmware_bridge.codes import Nak, ResetReason, RowFlag
from firmware_bridge.emulator import EmulatedBoard, native, qemu
from firmware_bridge.pins import Out, Strip

ALL_ON = HEAT_AND_GAS | 1 << XV201 | 1 << XV203


def run(host: Host, strip: Strip) -> m.HelloAck:
    """Two liquid valves open, heat and gas on, the pins say so."""
    strip.set([CALM])
    said = host.arm()
    host.status(lambda status: len(status.analog) > 0 and status.analog[0].quality == 0)
    host.clear()
    host.command(5_000, XV100=1, KM101=1, XV201=1, XV203=1)
    strip.wait(lambda out: out.digital == ALL_ON)
    return said


def hang(strip: Strip) -> Out:
    """Hangs the board; the first thing it does when it is back."""
    strip.outs()
    strip.hang()
    return strip.wait(lambda out: out.resets == 1)


def test_a_hung_board_comes_back_with_liquids_shut_at_once_and_heat_and_gas_as_they_were(
    strip: Strip, host: Host
) -> None:
    before = run(host, strip)
    assert hang(strip).digital == HEAT_AND_GAS
    said = host.hello()
    assert said.reset_reason == ResetReason.WATCHDOG
    assert said.boot_id != before.boot_id
    assert (said.table, said.latched) == (DIGEST, LIQUIDS)


def test_after_a_watchdog_reset_heat_and_gas_need_nobody_and_liquids_a_clear(
    strip: Strip, host: Host
) -> None:
    run(host, strip)
    hang(strip)
    host.arm()
    host.command(5_000, XV100=0, KM101=1)
    strip.wait(lambda out: out.digital == 1 << KM101)
    with pytest.raises(Refusal) as refused:
        host.command(5_000, XV203=1)
    assert (refused.value.nak, refused.value.detail) == (Nak.LATCHED, XV203)
    host.clear()
    host.command(5_000, XV203=1)
    strip.wait(lambda out: out.digital == 1 << KM101 | 1 << XV203)


def test_what_a_protect_switched_off_stays_off_over_a_watchdog_reset(
    strip: Strip, host: Host
) -> None:
    run(host, strip)
    host.beat(temperature=39.0)
    strip.wait(lambda out: not out.digital & 1 << KM101)
    assert hang(strip).digital == 1 << XV100
    host.arm()
    host.beat(temperature=37.0)
    status = host.status(lambda found: len(found.rows) > HEAT_ROW)
    assert status.rows[HEAT_ROW] & RowFlag.LATCHED
    host.command(5_000, KM101=1)
    assert not strip.get().digital & 1 << KM101


def test_a_session_from_before_the_reset_moves_nothing(strip: Strip, host: Host) -> None:
    run(host, strip)
    session, sequence = host.session, host.sequence
    hang(strip)
    host.put(host.frame(m.Command((m.Write(XV201, 1, 5_000),)), sequence + 1, session))
    host.hello()
    assert strip.get().digital == HEAT_AND_GAS


def test_an_image_that_gets_power_again_is_at_its_start_values_with_another_boot_id() -> None:
    with qemu() as board, board.strip() as strip, Host(board.line) as host:
        first = run(host, strip)
    with qemu() as board, board.strip() as strip, Host(board.line) as host:
        assert strip.get().digital == 0
        said = host.hello()
    assert (first.reset_reason, said.reset_reason) == (ResetReason.POWER_UP, ResetReason.POWER_UP)
    assert said.boot_id != first.boot_id
    assert (said.image, said.table) == (first.image, bytes(32))


def killed(board: EmulatedBoard) -> m.HelloAck:
    """Runs a board and kills it in the middle."""
    with board, board.strip() as strip, Host(board.line) as host:
        return run(host, strip)


def test_a_native_board_killed_and_started_again_is_as_after_a_watchdog_reset(
    tmp_path: Path,
) -> None:
    ram = tmp_path / "retained"
    before = killed(native(retained=ram))
    with native(retained=ram) as board, board.strip() as strip, Host(board.line) as host:
        assert strip.get().digital == HEAT_AND_GAS
        said = host.hello()
        assert (said.reset_reason, said.latched) == (ResetReason.WATCHDOG, LIQUIDS)
        assert (said.boot_id, said.table) == (before.boot_id + 1, DIGEST)


@pytest.mark.parametrize("harm", ["cut", "bit"])
def test_a_retained_record_that_is_not_whole_is_not_believed(tmp_path: Path, harm: str) -> None:
    ram = tmp_path / "retained"
    killed(native(retained=ram))
    data = bytearray(ram.read_bytes())
    if harm == "cut":
        data[200:] = bytes(len(data) - 200)
    else:
        for at in range(200, len(data), 64):
            data[at] ^= 1
    ram.write_bytes(data)
    with native(retained=ram) as board, board.strip() as strip, Host(board.line) as host:
        assert strip.get().digital == 0
        assert host.hello().table == bytes(32)

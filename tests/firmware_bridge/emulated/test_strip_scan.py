"""The rows by themselves over the strip: what the differential test asks of the emulated image."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from board_host import BUBBLE_ROW, HEAT_ROW, KM101, SECOND, TABLE, TT101, XV100, XV201

from firmware_bridge.codes import EventKind, Nak, Quality, Reason, RowFlag, Source
from firmware_bridge.emulator import EmulatedBoard, native, qemu
from firmware_bridge.pins import Asked, ScanSignal, Strip, TableRefused
from firmware_bridge.table import Signal, Table

NAN = float("nan")
IN_FORCE = RowFlag.STANDS | RowFlag.LATCHED


def hosted() -> bytes:
    """The table of these tests with every signal given by the host."""
    rows = Table.split(TABLE)
    given = tuple(Signal(Source.HOST, 0, 0, 2 * SECOND) for _ in rows.signals)
    return Table(
        given, rows.conditions, rows.causes, rows.effects, rows.channels, (), 0, rows.groups
    ).join()


def good(signal: int, value: float, now_us: int) -> ScanSignal:
    return ScanSignal(signal, Quality.GOOD, Reason.NONE, now_us, value)


def calm(now_us: int) -> list[ScanSignal]:
    """Nothing trips."""
    return [good(signal, 0.0, now_us) for signal in range(4)]


@pytest.fixture
def rows(strip: Strip) -> Strip:
    """A board in lock-step that runs the hosted rows."""
    strip.lockstep()
    strip.load(hosted())
    return strip


def test_a_scan_says_rows_forces_and_events_and_a_reset_is_taken_or_refused(rows: Strip) -> None:
    now = 20 * SECOND
    first = rows.scan(now, (), calm(now))
    assert {flags for flags, _ in first.rows} == {0}
    assert first.forced == (-1,) * 8
    hot = rows.scan(now + 1, (), [*calm(now), good(TT101, 39.0, now + 1)])
    assert hot.rows[HEAT_ROW] == (IN_FORCE, 0)
    assert hot.forced[KM101] == 0
    assert hot.events == ((EventKind.STANDS, HEAT_ROW, 0),)
    still = rows.scan(now + 2, (HEAT_ROW, BUBBLE_ROW), ())
    assert still.taken == (False, True)
    rows.scan(now + 3, (), calm(now + 3))
    done = rows.scan(now + 4, (HEAT_ROW,), ())
    assert done.taken == (True,)
    assert done.forced[KM101] == -1


def test_a_value_that_is_no_number_trips_as_a_bad_signal_after_its_delay(rows: Strip) -> None:
    now = 20 * SECOND
    rows.scan(now, (), calm(now))
    for at in (now + 1, now + 10 * SECOND):
        said = rows.scan(at, (), [good(0, NAN, at)])
        assert said.forced[XV201] == -1
    at = now + 10 * SECOND + 1
    assert rows.scan(at, (), [good(0, NAN, at)]).forced[XV201] == 0


def test_a_bypassed_row_does_not_stand(rows: Strip) -> None:
    now = 20 * SECOND
    said = rows.scan(now, (), [*calm(now), good(2, 1.0, now)], bypassed=0b100)
    assert said.forced[XV100] == -1
    assert said.rows[2][0] & RowFlag.BYPASSED
    assert rows.scan(now + 1).forced[XV100] == 0


@pytest.mark.parametrize("harm", ["kind", "long"])
def test_a_table_that_is_none_is_refused_and_the_old_one_stays(rows: Strip, harm: str) -> None:
    bad = b"XXXX" + hosted()[4:] if harm == "kind" else hosted() + bytes(2_000)
    with pytest.raises(TableRefused) as refused:
        rows.load(bad)
    assert refused.value.nak == (Nak.TABLE_BAD if harm == "kind" else Nak.TABLE_SIZE)
    assert len(rows.scan(20 * SECOND).rows) == 4


def drawn(seed: int, count: int) -> Iterator[Asked]:
    """Random signals, ages, qualities, resets and bypasses, on the limits and beside them."""
    draw = random.Random(seed)
    now = 20 * SECOND
    for _ in range(count):
        now += draw.choice((1, 500, SECOND, 3 * SECOND))
        signals = [
            ScanSignal(
                draw.randrange(4), draw.choice((0, 0, 0, 1, 2)), draw.choice((0, 6, 8)),
                now - draw.choice((0, 0, SECOND, 2 * SECOND, 2 * SECOND + 1)),
                draw.choice((0.0, 0.5, 0.50001, 20.0, 20.1, 38.5, 39.0, NAN, float("inf"))),
            )
            for _ in range(draw.randrange(14))
        ]  # fmt: skip
        resets = [draw.randrange(4) for _ in range(draw.choice((0, 0, 1, 3)))]
        yield now, resets, signals, draw.choice((0, 0, 0, 0b0101))


def compared(board: EmulatedBoard, other: EmulatedBoard, count: int) -> float:
    """Scans a second of `board`, after it said in each what `other` said."""
    said = []
    for one in (board, other):
        with one.strip() as strip:
            strip.lockstep()
            strip.load(hosted())
            began = time.monotonic()
            said.append(list(strip.scans(drawn(1, count))))
            if one is board:
                speed = count / (time.monotonic() - began)
    for number, (left, right) in enumerate(zip(*said, strict=True)):
        assert left == right, number
    assert sum(any(force >= 0 for force in one.forced) for one in said[0]) > count // 10
    return speed


def test_image_and_native_board_say_the_same_in_every_scan() -> None:
    with qemu() as image, native() as other:
        speed = compared(image, other, 1_000)
    print(f"image: {speed:.0f} scans/s over the strip")

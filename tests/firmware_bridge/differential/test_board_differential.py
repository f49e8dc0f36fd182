"""One row means one thing: kernel, plain-Python reference and the board's C agree in every state.

The kernel and the reference take samples; the board is given the same ones, natively built and as
the image in QEMU. Compared after every scan: which rows stand, are latched, bypassed, not valid,
their first-out places, what is forced on every channel, which resets were refused, the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import pytest
from board_stories import US, BoardStory, drawn, table_of
from random_plans import Beat
from reference import Reference
from reference_plan import Model
from twin import START, Compiled, difference

from controller.field.image import size
from controller.field.ring import EventKind as Kernel
from controller.field.verbs import Verb
from controller.profile.plan import Plan, SignalKind
from firmware_bridge import emulator
from firmware_bridge.codes import NONE, EventKind, RowFlag
from firmware_bridge.emulator import EmulatedBoard
from firmware_bridge.native_board import NativeBoard
from firmware_bridge.pins import Scanned, ScanSignal, Strip
from firmware_bridge.table import Table

SAME = {Kernel.CAUSE_ACTIVE: EventKind.STANDS, Kernel.CAUSE_CLEARED: EventKind.CLEARED,
        Kernel.CAUSE_RESET: EventKind.RESET}  # fmt: skip
IN_FORCE = RowFlag.STANDS | RowFlag.LATCHED


class Board(Protocol):
    """A build of the board's core that takes one scan at a time."""

    def scan(self, unit: Reference, beat: Beat, given: list[int], resets: Sequence[int],
             bypassed: int) -> Scanned:  # fmt: skip
        """Resets, signals, rows; `given` is the reference's signal behind each of the board's."""
        ...


class Native:
    """The core in this process; samples are judged by it, as in a BEAT."""

    def __init__(self, table: Table) -> None:
        self._board, self._table = NativeBoard(), table
        if self._board.load(table.join()) != 0:
            raise ValueError("the board refuses the table")
        self._seen = self._board.events_head

    def scan(self, unit: Reference, beat: Beat, given: list[int], resets: Sequence[int],
             bypassed: int) -> Scanned:  # fmt: skip
        """See Board."""
        board, now_us = self._board, beat.now_ns // US
        place = {signal: at for at, signal in enumerate(given)}
        board.bypass(bypassed, now_us)
        taken = tuple(board.reset(row, now_us) == 0 for row in resets)
        for _, number, quality, reason, sample_ns, value in beat.samples:
            sample_us = min(sample_ns // US, now_us)  # none is from the future
            board.signal(place[number], value, quality, reason, sample_us, now_us)
        for number, at in place.items():
            if unit.model.signals[number].kind == SignalKind.FLAG:
                board.signal(at, unit.signals[number].value, 0, 0, now_us, now_us)
        board.scan_rows(now_us)
        rows = tuple(board.row(at) for at in range(len(self._table.causes)))
        forced = tuple(board.forced(at) for at in range(len(self._table.channels)))
        events = [(e.kind, e.index, e.place) for e in board.events(self._seen)]
        self._seen += len(events)
        return Scanned(rows, forced, taken, tuple(events))


class Emulated:
    """The image in QEMU; it is told the signals as the reference has judged them.

    One image runs all stories, each `base_us` later: time on a board never goes back.
    """

    def __init__(self, strip: Strip, table: Table, base_us: int) -> None:
        self._strip, self._base_us, self.now_us = strip, base_us, base_us
        strip.load(table.join())

    def scan(self, unit: Reference, beat: Beat, given: list[int], resets: Sequence[int],
             bypassed: int) -> Scanned:  # fmt: skip
        """See Board."""
        signals = []
        for at, number in enumerate(given):
            s, measured = unit.signals[number], unit.model.signals[number].kind == SignalKind.INPUT
            sample_ns = s.sample_ns if measured else beat.now_ns  # a flag is never old
            sample_us = sample_ns // US + self._base_us
            signals.append(ScanSignal(at, s.quality, s.reason, sample_us, s.value))
        self.now_us = beat.now_ns // US + self._base_us
        return self._strip.scan(self.now_us, resets, signals, bypassed)


def expected(unit: Reference, now_ns: int) -> list[tuple[int, int]]:
    """Flags of each row, and its place in its first-out group while it has one, else -1."""
    found = []
    for row, cause in zip(unit.rows, unit.model.causes, strict=True):
        flags = RowFlag.STANDS * row.stands | RowFlag.LATCHED * row.latched
        flags |= RowFlag.BYPASSED * (row.bypass_until > now_ns) | RowFlag.NOT_VALID * row.invalid
        found.append((flags, row.place if row.in_force and cause.group >= 0 else -1))
    return found


def shown(said: Scanned) -> list[tuple[int, int]]:
    """The same of the board."""
    return [(flags, place if flags & IN_FORCE and place != NONE else -1)
            for flags, place in said.rows]  # fmt: skip


def new_resets(unit: Reference, beat: Beat, last_id: int) -> Iterator[int]:
    """The rows whose reset the reference tries: not of commands it has seen, nor unknown rows."""
    for id_, verb, row, value in beat.commands:
        fresh, last_id = id_ > last_id, max(last_id, id_)
        if fresh and verb == Verb.RESET and 0 <= row < len(unit.rows) and value == value:
            yield row


def differs(board: Board, unit: Reference, kernel: Compiled, beat: Beat, given: list[int]) -> str:
    """One beat to all three; where they differ, else empty."""
    resets = tuple(new_resets(unit, beat, unit.last_id))
    unit.scan(beat.now_ns, beat.samples, beat.commands)
    kernel.scan(beat)
    found = difference(unit, kernel)
    if found:
        return found
    mask = sum(1 << at for at, row in enumerate(unit.rows) if row.bypass_until > beat.now_ns)
    said = board.scan(unit, beat, given, resets, mask)
    refused = [row for row, good in zip(resets, said.taken, strict=True) if not good]
    forced = [int(o["force"]) if o["forced"] else -1 for o in kernel.image.outputs]
    told = [(int(SAME[Kernel(kind)]), index) for kind, index, *_ in unit.told if kind in SAME]
    heard = [(kind, index) for kind, index, _ in said.events if kind in SAME.values()]
    for name, wanted, got in (
        ("refused resets", [i for k, i, *_ in unit.told if k == Kernel.RESET_REFUSED], refused),
        ("rows", expected(unit, beat.now_ns), shown(said)),
        ("forces", forced, list(said.forced)),
        ("events", told, heard),
    ):  # fmt: skip
        if wanted != got:
            return f"{name}: kernel and reference {wanted}, board {got}"
    return ""


def alike(board: Board, seed: int, plan: Plan, model: Model, given: list[int], scans: int) -> int:
    """Tells one story to the three; the number of states in which they agreed: all of them."""
    unit, kernel = Reference(model, START), Compiled(plan, buffer=bytearray(size(plan)))
    story = BoardStory(unit, seed)
    for count in range(scans):
        beat = story.beat()
        if count == 0:
            beat.commands = []  # the board was given no flag yet
        for loop, mode in beat.modes.items():
            kernel.set_signal(model.loops[loop].auto_signal, float(mode >= 2))
        found = differs(board, unit, kernel, beat, given)
        if found:
            raise AssertionError(f"seed {seed}, scan {count}: {found}\n{beat}")
    return scans


def natively(seeds: range, stories: int, scans: int) -> int:
    """Random rows of these seeds, some stories each, each from the start of a board."""
    total = 0
    for seed in seeds:
        plan, model = drawn(seed)
        table, given = table_of(plan)
        for number in range(stories):
            story = seed * stories + number
            total += alike(Native(table), story, plan, model, given, scans)
    return total


def in_qemu(board: EmulatedBoard, seeds: range, scans: int) -> int:
    """Random rows of these seeds on one running image, which takes each table anew."""
    total = now_us = 0
    with board.strip() as strip:
        strip.lockstep()
        for seed in seeds:
            plan, model = drawn(seed)
            table, given = table_of(plan)
            emulated = Emulated(strip, table, now_us)
            total += alike(emulated, seed, plan, model, given, scans)
            now_us = emulated.now_us
    return total


@pytest.mark.parametrize("part", range(4))
def test_kernel_reference_and_native_board_agree_in_every_state(part: int) -> None:
    assert natively(range(part * 50, part * 50 + 50), 2, 50) == 5_000


def test_kernel_reference_and_the_image_in_qemu_agree_in_every_state() -> None:
    with emulator.qemu() as board:
        assert in_qemu(board, range(20), 50) == 1_000


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(4))
def test_kernel_reference_and_native_board_agree_in_a_million_states(part: int) -> None:
    assert natively(range(1_000 + part * 500, 1_500 + part * 500), 5, 101) == 252_500


@pytest.mark.campaign
def test_kernel_reference_and_the_image_in_qemu_agree_in_twenty_thousand_states() -> None:
    with emulator.qemu() as board:
        assert in_qemu(board, range(5_000, 5_400), 50) == 20_000

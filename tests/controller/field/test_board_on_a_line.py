"""A running field with the native board at a real line: a pseudo terminal, and TCP."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from board_room import CONTACTOR, FEED, HORN_ANSWERS, LIQUIDS, io_profile

from controller.core.signal import Quality
from controller.field.links.bridge_notes import read_note
from controller.field.links.note import Note, NoteKind, from_bytes
from controller.field.verbs import Verb
from firmware_bridge import emulator
from firmware_bridge.pins import Strip
from hil_sim.bench import running

WAIT_S = 30.0
COUNTS = (18_545, 29_760, 12_000)  # 10 mbar, 37 degC, no air
CLOSED = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10 | HORN_ANSWERS


@dataclass
class Bench:
    """A field, its board, and the strip of that board."""

    field: running.Running
    native: emulator.EmulatedBoard
    strip: Strip
    notes: list[Note]
    next_id: int = 1

    def command(self, verb: Verb, target: int, value: float = 0.0) -> None:
        board = self.field.attached.board
        board.command(self.next_id, int(verb), target, value, time.monotonic_ns() + 10**10)
        self.next_id += 1

    def eventually(self, true, what):
        """Waits for it, beats as a supervisor, takes notes."""
        board = self.field.attached.board
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            board.beat(time.monotonic_ns())
            board.refresh()
            for number in range(len(io_profile().links)):
                self.notes += [from_bytes(text) for _, text in board.take_notes(number)]
            board.drain()
            board.events_done()
            if true():
                return
            time.sleep(0.02)
        raise AssertionError(f"{what} never came; notes: {self.told()}")

    def told(self) -> list[str]:
        return [read_note(note)[0].value if note.kind is NoteKind.BOARD
                else f"{note.kind} {note.what}" for note in self.notes
                if note.device in ("io", "")]  # fmt: skip

    def latched(self, row: str) -> bool:
        causes = [cause.row for cause in io_profile().causes]
        return bool(self.field.attached.board.image.causes["latched"][causes.index(row)])

    def quality(self, tag: str) -> Quality:
        return self.field.attached.board.read(tag).quality


@contextlib.contextmanager
def board_at(line: str) -> Iterator[Bench]:
    profile = io_profile()
    with emulator.native(line=line) as native, native.strip() as strip:
        strip.set(COUNTS, CLOSED)
        urls = running.nowhere(profile, Path("/nowhere")) | {"io_line": native.line}
        with running.field(profile, urls, fifo=False) as field:
            yield Bench(field, native, strip, [])


@pytest.mark.parametrize("line", ["pty", "tcp:0"])
def test_a_running_field_commands_the_board_and_a_dead_board_is_known_to_be_bad(line):
    profile = io_profile()
    outputs, rows = profile.outputs, [cause.row for cause in profile.causes]
    with board_at(line) as bench:
        bench.eventually(lambda: bench.latched("io.lapse"), "the latch of the start")
        assert "board.session" in bench.told()
        reading = bench.field.attached.board.read("TT102")
        assert reading.value == pytest.approx(37.0, abs=0.01)
        bench.command(Verb.SET_OUTPUT, outputs.index("km101"), 1.0)
        bench.eventually(lambda: bench.strip.get().digital & 1 << CONTACTOR, "the contactor")
        assert bench.strip.get().digital & LIQUIDS == 0

        def freed():
            bench.command(Verb.RESET, rows.index("io.lapse"))
            return not bench.latched("io.lapse")

        bench.eventually(freed, "the reset")
        bench.eventually(lambda: bench.told().count("board.cleared") >= 4, "the clear")
        assert bench.strip.get().digital & 1 << FEED == 0
        bench.native.kill()
        bench.eventually(lambda: bench.quality("TT102") is Quality.BAD, "bad quality")
        assert any(note.kind is NoteKind.LOST for note in bench.notes)

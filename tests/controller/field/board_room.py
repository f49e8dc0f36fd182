"""The shipped unit with its I/O board: kernel, link machine and the real core, in virtual time.

Between two scans the line lives in steps of a millisecond: bytes need `trip_ns` each way and may be
cut, flipped or doubled. Contacts follow what the board does. All other links are played by the
kernel's bench.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from kernel_bench import MS, RUNNING, SHIPPED, Bench, _follow, _values
from kernel_bench import VALVES as KERNEL_VALVES

from controller.core.signal import Quality
from controller.field.host_view import HostView
from controller.field.links.bridge import BridgeLink
from controller.field.links.bridge_notes import read_note
from controller.field.links.note import Note, NoteKind
from controller.field.ring import InputRing
from controller.field.verbs import Verb
from controller.profile.compile import Profile, load_profile
from firmware_bridge import native_board
from firmware_bridge.codes import ResetReason
from firmware_bridge.native_board import NativeBoard

FEED, WASTE, PRODUCT, BASE, HEADER, CONTACTOR, HORN = 0, 1, 2, 3, 4, 5, 7
LIQUIDS = 0b1111
ON = 1 << HEADER | 1 << CONTACTOR
OPEN = {0: CONTACTOR, 1: HEADER, 3: FEED, 5: WASTE, 7: PRODUCT, 9: BASE}  # input -> channel
CLOSED = {2: HEADER, 4: FEED, 6: WASTE, 8: PRODUCT, 10: BASE}
HORN_ANSWERS = 1 << 11


@lru_cache(maxsize=1)
def io_profile() -> Profile:
    return load_profile(SHIPPED / "units" / "perfusion_2l_io.yaml", SHIPPED / "devices")


class BoardRoom(Bench):
    """A bench whose link `io_line` is the machine of live against the core."""

    def __init__(self, *, image: bytes | None = None, known: Collection[bytes] | None = None,
                 restarted: bool = False) -> None:  # fmt: skip
        super().__init__(io_profile(), _values(), _follow(), restarted=restarted)
        self.fields = {"PT101": 1.0, "TT102": 37.0, "BS101": 0.0}
        self.core, self.boots, self.image_id = NativeBoard(), 0, image
        self.boot(ResetReason.POWER_UP)
        self.number = next(at for at, link in enumerate(self.profile.links)
                           if link.kind == "bridge")  # fmt: skip
        board = self.profile.links[self.number].board
        assert board is not None
        self.plan, self._tags[self.number] = board, []
        self._owner = [int(row["link"]) for row in self.profile.plan.outputs]
        self.known = {native_board.image()} if known is None else known
        self.trip_ns, self.flips, self.doubles, self.cut = 2 * MS, 0.0, 0.0, False
        self.dice = random.Random(8)
        self.scanning = True
        self.to_board: list[tuple[int, bytes]] = []
        self.to_host: list[tuple[int, bytes]] = []
        self.notes: list[Note] = []
        self.moves: list[tuple[int, int, int]] = []  # time, digital outputs, PWM
        self._line_ns = self.now
        self.start_host()

    def boot(self, reason: ResetReason) -> None:
        """The board starts, or starts again: its time begins at 0 once more."""
        self.boots += 1
        self.core.start(self.boots, reason, self.image_id)
        self.boot_ns = self.now

    def start_host(self) -> None:
        """A link machine that knows nothing, as a new field has it; the kernel goes on."""
        ring = InputRing(self.image, self.number)
        self.link = BridgeLink(self.profile.links[self.number], ring, self.now, self.known)
        self.view = HostView(self.profile.plan, self.image)
        self._seen = [0] * len(self.profile.outputs)

    def run_in(self) -> None:
        """Freed by a person after the cold start, cells in, everything on."""
        self.run(4)
        assert self.do(Verb.RESET, "io.lapse") is None
        self.run(1)
        for flag in ("environment", "cells_in"):
            assert self.do(Verb.SET_FLAG, flag, 1.0) is None
        for name in dict.fromkeys(["km101", *KERNEL_VALVES[:3], "xv204", "stirrer", *RUNNING]):
            assert self.do(Verb.SET_OUTPUT, name, RUNNING[name]) is None
        self.run(6)
        self.seen.clear()
        self.notes.clear()
        self.moves.clear()

    # -- time ---------------------------------------------------------------------------------

    def scan(self, step_ns: int = 100 * MS) -> None:
        """The line up to the scan, and the scan; without `scanning` only the line lives."""
        until = self.now + step_ns
        while self._line_ns < until:
            self._line_ns += MS
            self._live(self._line_ns)
        if not self.scanning:
            self.now = until
            return
        super().scan(step_ns)
        self.hand_over()

    def hand_over(self) -> None:
        """As the worker: what was released, then what the kernel shows."""
        outputs = self.image.outputs
        for output, link in enumerate(self._owner):
            row = outputs[output]
            if link == self.number and int(row["sequence"]) not in (self._seen[output], 0):
                self._seen[output] = int(row["sequence"])
                self.link.write(output, float(row["released"]), bool(row["safe"]), self.now)
        self.link.attend(self.view, int(self.image.head["scan"][0]), self.now)

    def _live(self, now_ns: int) -> None:
        """One millisecond of pins, board and both directions of the line."""
        core = self.core
        driven, _ = core.outputs()
        digital = HORN_ANSWERS
        digital |= sum((driven >> channel & 1) << bit for bit, channel in OPEN.items())
        digital |= sum((~driven >> channel & 1) << bit for bit, channel in CLOSED.items())
        core.inputs.digital = digital
        core.inputs.analog[0] = _counts((10 * self.fields["PT101"] + 75) / 0.004583333333333333)
        core.inputs.analog[1] = _counts((self.fields["TT102"] + 25) / 0.0020833333333333333)
        core.inputs.analog[2] = _counts((self.fields["BS101"] + 0.25) / 0.000020833333333333333)
        while self.to_board and self.to_board[0][0] <= now_ns:
            core.receive(self.to_board.pop(0)[1], core.now_us)
        core.run((now_ns - self.boot_ns) // 1000)
        self._put(self.to_host, core.transmit(), now_ns)
        if not self.moves or self.moves[-1][1:] != core.outputs():
            self.moves.append((now_ns, *core.outputs()))
        while self.to_host and self.to_host[0][0] <= now_ns:
            self.link.feed(self.to_host.pop(0)[1], now_ns)
        while self.link.next_ns() <= now_ns:
            tx = self.link.take_tx(now_ns)
            if not tx:
                break
            self._put(self.to_board, tx, now_ns)
        self.notes += self.link.take_notes()

    def _put(self, line: list[tuple[int, bytes]], data: bytes, now_ns: int) -> None:
        if not data or self.cut:
            return
        if self.flips:
            spoilt = bytearray(data)
            for at in range(8 * len(spoilt)):
                if self.dice.random() < self.flips:
                    spoilt[at // 8] ^= 1 << at % 8
            data = bytes(spoilt)
        for _ in range(2 if self.dice.random() < self.doubles else 1):
            line.append((now_ns + self.trip_ns, data))

    # -- out ----------------------------------------------------------------------------------

    @property
    def driven(self) -> int:
        """What the board's digital outputs do."""
        return self.core.outputs()[0]

    @property
    def horn(self) -> int:
        return self.core.outputs()[1]

    def told_of(self, name: str) -> list[dict[str, Any]]:
        """What the board told of one kind, oldest first, with the host's time of it."""
        found = [(note.at_ns, *read_note(note)) for note in self.notes
                 if note.kind is NoteKind.BOARD]  # fmt: skip
        return [{"at_ns": at, **fields} for at, told, fields in found if told.value == name]

    def quality_of(self, name: str) -> Quality:
        return self.board.read(name).quality

    def latched(self, row: str) -> bool:
        """Whether the kernel's row is latched."""
        return bool(self.image.causes["latched"][self._rows[row]])

    def first_move(self, channels: int, value: int, since_ns: int) -> int:
        """When these channels all came to `value` after `since_ns`, in ms after it."""
        for at_ns, digital, _ in self.moves:
            if at_ns > since_ns and digital & channels == value:
                return (at_ns - since_ns) // MS
        raise AssertionError(f"channels {channels:#b} never came to {value:#b}: {self.moves}")


def _counts(raw: float) -> int:
    """Of a 16-bit converter."""
    return min(max(round(raw), 0), 65_535)

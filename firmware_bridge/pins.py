"""The simulated terminal strip of an emulated board (`pins/pins.h`): set inputs, watch outputs.

A second byte stream beside the line, in frames of the same form; it exists only in the emulated
builds. Here stand its messages and `Strip`, the blocking client of tests and of the plant.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Self

from controller.core.errors import CellwrightError
from firmware_bridge.codes import CAUSES_MAX, CHANNELS_MAX, CHUNK_MAX, EVENTS_KEPT, Nak
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.layout import F64, U8, U16, U32, U64, Counted, Rest, Wire

Address = tuple[str, int] | Path
"""A TCP host and port, or the path of a Unix socket."""

ANSWER_S: Final = 10.0
"""How long an emulated board may take for an answer before it counts as gone."""
SIGNALS_IN_FRAME: Final = 11
AHEAD: Final = 8
FREE: Final = 0xFFFF
"""A channel that no row forces."""


class PinsType(IntEnum):
    """Types of frames on the strip."""

    SET = 0x60
    OUT = 0x61
    GET = 0x62
    HANG = 0x63
    LOCKSTEP = 0x64
    STEP = 0x65
    LOAD = 0x66
    SCAN = 0x67
    ROWS = 0x68
    LOADED = 0x69
    TELL = 0x6A
    HEALTH = 0x6B
    FIT = 0x6C


class BoardGone(CellwrightError):
    """The emulated board does not answer on its strip, or said what cannot be."""


class TableRefused(CellwrightError):
    """The board did not take a table; `nak` says why."""

    def __init__(self, nak: Nak) -> None:
        super().__init__(f"the board refuses the table: {nak.words}")
        self.nak = nak


@dataclass(frozen=True, slots=True)
class Set(Wire):
    """What lies on the inputs from now on."""

    analog_0: U16
    analog_1: U16
    analog_2: U16
    analog_3: U16
    digital: U32


@dataclass(frozen=True, slots=True)
class Out(Wire):
    """What the outputs do since `time_us`; the raw inputs last changed at `changed_us`."""

    time_us: U64
    changed_us: U64
    digital: U8
    pwm: U16
    resets: U16


@dataclass(frozen=True, slots=True)
class ScanSignal(Wire):
    """One signal of the table as the rows shall see it."""

    signal: U8
    quality: U8
    reason: U8
    sample_us: U64
    value: F64


@dataclass(frozen=True, slots=True)
class Scan(Wire):
    """At this time: reset these rows, give these signals, run all rows once."""

    now_us: U64
    bypassed: U16
    resets: Annotated[bytes, Counted(0, CAUSES_MAX)]
    signals: Annotated[tuple[ScanSignal, ...], Counted(0, SIGNALS_IN_FRAME, ScanSignal)]


@dataclass(frozen=True, slots=True)
class RowSaid(Wire):
    """Flags of a row (RowFlag) and its first-out place, 255 if it never stood."""

    flags: U8
    place: U8


@dataclass(frozen=True, slots=True)
class Forced(Wire):
    """What the rows force on a channel; FREE if nothing."""

    value: U16


@dataclass(frozen=True, slots=True)
class EventSaid(Wire):
    """An event since the last Rows: EventKind, row or channel, first-out place."""

    kind: U8
    index: U8
    place: U8


@dataclass(frozen=True, slots=True)
class Rows(Wire):
    """What a Scan came to; `refused`: bit n, the n-th reset was refused."""

    refused: U16
    rows: Annotated[tuple[RowSaid, ...], Counted(0, CAUSES_MAX, RowSaid)]
    forced: Annotated[tuple[Forced, ...], Counted(0, CHANNELS_MAX, Forced)]
    events: Annotated[tuple[EventSaid, ...], Counted(0, EVENTS_KEPT, EventSaid)]


@dataclass(frozen=True, slots=True)
class Load(Wire):
    """Bytes of a table, in order."""

    size: U16
    offset: U16
    data: Annotated[bytes, Rest(1, CHUNK_MAX)]


@dataclass(frozen=True, slots=True)
class Fit(Wire):
    """Passes left out since boot, the longest pass, bytes of the stack never used.

    The last two are 0 where nobody counts them.
    """

    overruns: U32
    longest_us: U32
    stack_free: U16


@dataclass(frozen=True, slots=True)
class Scanned:
    """One evaluation of all rows, in plain numbers."""

    rows: tuple[tuple[int, int], ...]
    """Of each row its RowFlags and its first-out place, 255 if it never stood."""
    forced: tuple[int, ...]
    """What the rows force on each channel, -1 if nothing."""
    taken: tuple[bool, ...]
    """Of each reset whether it was accepted."""
    events: tuple[tuple[int, int, int], ...]
    """EventKind, index and place of each event since the scan before."""


Asked = tuple[int, Sequence[int], Sequence[ScanSignal], int]
"""A scan to make: board time in us, rows to reset, signals to give, mask of bypassed rows."""


def connect(address: Address, timeout_s: float = ANSWER_S) -> socket.socket:
    """A stream to an emulated board; raises BoardGone if nobody listens there."""
    try:
        if isinstance(address, Path):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(timeout_s)
            made.connect(str(address))
            return made
        made = socket.create_connection(address, timeout=timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise BoardGone(f"no board listens: {error}", where=address) from error
    return made


class Strip:
    """The strip's client: one question at a time, OUTs that nobody asked for in between."""

    def __init__(self, address: Address, answer_s: float = ANSWER_S) -> None:
        self._where, self._answer_s = address, answer_s
        self._socket = connect(address, answer_s)
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()
        self._outs: deque[Out] = deque()
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the stream up; the board goes on."""
        self._socket.close()

    # Inputs and outputs.

    def set(self, analog: Sequence[int] = (), digital: int = 0) -> None:
        """Raw values of the analog inputs (missing ones 0) and bits of the digital ones."""
        first, second, third, fourth = (*analog, 0, 0, 0, 0)[:4]
        self._send(PinsType.SET, Set(first, second, third, fourth, digital).pack())

    def get(self) -> Out:
        """What the outputs do now."""
        return Out.unpack(self._ask(PinsType.GET, b"", PinsType.OUT))

    def outs(self, wait_s: float = 0.0) -> list[Out]:
        """The changes pushed since the last call, waiting at most so long for the first."""
        deadline = time.monotonic() + wait_s
        self._collect(0.0)
        while not self._outs and (left := deadline - time.monotonic()) > 0.0:
            self._collect(left)
        found = list(self._outs)
        self._outs.clear()
        return found

    def wait(self, true: Callable[[Out], bool], timeout_s: float = ANSWER_S) -> Out:
        """The first pushed change that this is true of; raises BoardGone after the time."""
        deadline = time.monotonic() + timeout_s
        while True:
            while self._outs:
                if true(out := self._outs.popleft()):
                    return out
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise BoardGone(f"no such output within {timeout_s:g} s", where=self._where)
            self._collect(left)

    # What only a tester does.

    def hang(self) -> None:
        """The board stands still for ever; only its watchdog helps."""
        self._send(PinsType.HANG, b"")

    def lockstep(self) -> None:
        """Till its next reset the board's time moves only by `step`."""
        self._send(PinsType.LOCKSTEP, b"\1")

    def step(self, now_us: int) -> Out:
        """One pass at this board time."""
        return Out.unpack(self._ask(PinsType.STEP, now_us.to_bytes(8, "little"), PinsType.OUT))

    def fit(self) -> Fit:
        """Overruns and stack of the board."""
        return Fit.unpack(self._ask(PinsType.HEALTH, b"", PinsType.FIT))

    def load(self, table: bytes) -> None:
        """Loads, activates and arms a table; raises TableRefused."""
        for offset in range(0, len(table), CHUNK_MAX):
            chunk = Load(len(table), offset, table[offset : offset + CHUNK_MAX])
            answer = self._ask(PinsType.LOAD, chunk.pack(), PinsType.LOADED)
            if answer[0]:
                raise TableRefused(Nak(answer[0]))

    def scan(
        self,
        now_us: int,
        resets: Sequence[int] = (),
        signals: Sequence[ScanSignal] = (),
        bypassed: int = 0,
    ) -> Scanned:
        """Rows reset in this order, signals given, then all rows run once (under LOCKSTEP)."""
        (said,) = self.scans([(now_us, resets, signals, bypassed)])
        return said

    def scans(self, each: Iterable[Asked]) -> Iterator[Scanned]:
        """As `scan`, many: the next ones are sent while the board works on the first."""
        asked: deque[tuple[int, int]] = deque()
        for one in each:
            asked.append((self._send_scan(*one), len(one[1])))
            if len(asked) >= AHEAD:
                yield self._scanned(*asked.popleft())
        while asked:
            yield self._scanned(*asked.popleft())

    def _send_scan(
        self, now_us: int, resets: Sequence[int], signals: Sequence[ScanSignal], bypassed: int
    ) -> int:
        last = max(0, (len(signals) - 1) // SIGNALS_IN_FRAME * SIGNALS_IN_FRAME)
        rows = bytes(resets)
        for start in range(0, last, SIGNALS_IN_FRAME):
            part = tuple(signals[start : start + SIGNALS_IN_FRAME])
            self._send(PinsType.TELL, Scan(now_us, bypassed, rows, part).pack())
            rows = b""
        tail = Scan(now_us, bypassed, rows, tuple(signals[last:]))
        return self._send(PinsType.SCAN, tail.pack())

    def _scanned(self, sequence: int, resets: int) -> Scanned:
        said = Rows.unpack(self._answer(sequence, PinsType.ROWS))
        return Scanned(
            tuple((row.flags, row.place) for row in said.rows),
            tuple(-1 if one.value == FREE else one.value for one in said.forced),
            tuple(not said.refused >> n & 1 for n in range(resets)),
            tuple((event.kind, event.index, event.place) for event in said.events),
        )

    # The stream.

    def _send(self, type_: PinsType, payload: bytes) -> int:
        self._sequence = self._sequence % 0xFFFF + 1  # 0 is nobody's question
        try:
            self._socket.sendall(encode(type_, 0, self._sequence, payload))
        except OSError as error:
            raise BoardGone(f"its strip is gone: {error}", where=self._where) from error
        return self._sequence

    def _ask(self, type_: PinsType, payload: bytes, answer: PinsType) -> bytes:
        return self._answer(self._send(type_, payload), answer)

    def _answer(self, sequence: int, type_: PinsType) -> bytes:
        deadline = time.monotonic() + self._answer_s
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame.sequence == sequence and frame.type == type_:
                    return frame.payload
            left = deadline - time.monotonic()
            if left <= 0.0:
                raise BoardGone(f"no {type_.name} within {self._answer_s:g} s", where=self._where)
            self._collect(left)

    def _collect(self, wait_s: float) -> None:
        """Takes what came, waiting at most so long for the first byte."""
        if not select.select([self._socket], [], [], wait_s)[0]:
            return
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise BoardGone(f"its strip is gone: {error}", where=self._where) from error
        if not data:
            raise BoardGone("its strip was closed", where=self._where)
        for found in self._decoder.feed(data):
            if not isinstance(found, Frame):
                raise BoardGone(f"a frame on the strip is {found.value}", where=self._where)
            if found.type == PinsType.OUT and found.sequence == 0:
                self._outs.append(Out.unpack(found.payload))
            else:
                self._frames.append(found)

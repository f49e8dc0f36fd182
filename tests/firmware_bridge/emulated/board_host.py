"""A small host for boards under test: frames one by one, and the table that these tests run.

Not `firmware_bridge.session`: here a test says which frame goes out, and sees every one that comes.
"""

from __future__ import annotations

import hashlib
import os
import select
import time
import tty
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from firmware_bridge import messages as m
from firmware_bridge.codes import (
    CAUSES_MAX,
    NONE,
    SIGNALS_MAX,
    Bad,
    ChannelKind,
    Kind,
    Nak,
    Op,
    Quality,
    Source,
    Type,
)
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.layout import Wire
from firmware_bridge.pins import connect
from firmware_bridge.table import AnalogInput, Cause, Channel, Condition, Effect, Signal, Table

XV100, XV201, XV202, XV203, XV204, KM101, BEACON, HORN = range(8)
LIQUIDS = 1 << XV201 | 1 << XV202 | 1 << XV203 | 1 << XV204
HEAT_AND_GAS = 1 << XV100 | 1 << KM101
BUBBLE, PRESSURE, TEST_KEY, TT101 = range(4)
BUBBLE_ROW, PRESSURE_ROW, KEY_ROW, HEAT_ROW = range(4)
KEY_BIT: Final = 2
"""The digital input of TEST_KEY (bit 1)."""
LIQUID_MS, ENVIRONMENT_MS = 5_000, 60_000
CALM: Final = 1_000
"""Raw pressure well below the row's limit, which is 2,000."""
SECOND: Final = 1_000_000
"""One second of board time, in us."""


def row(kind: Kind, number: int, n_effects: int, first_effect: int, bad_us: int = 0) -> Cause:
    """A row of one condition, without a delay."""
    return Cause(kind, number, 1, 1, 0, bad_us, 0, NONE, 0, first_effect, n_effects, 1, 0)


def valve(latch: int) -> Channel:
    """A liquid valve: shuts when its lease ends."""
    return Channel(ChannelKind.DIGITAL, 0, latch, 0, 0, 0, 0, 0, LIQUID_MS)


def table() -> bytes:
    """Bubble shuts XV201, TT101 opens KM101 (protects); pressure and a key shut XV100."""
    kept = Channel(ChannelKind.DIGITAL, 1, 0, 1, 0, 0, 0, 0, ENVIRONMENT_MS)
    return Table(
        signals=(
            Signal(Source.DIGITAL, 0, 0, SECOND), Signal(Source.ANALOG, 0, 0, SECOND),
            Signal(Source.DIGITAL, 1, 0, SECOND), Signal(Source.HOST, 0, 0, 2 * SECOND),
        ),
        conditions=(
            Condition(BUBBLE, Op.ABOVE, Bad.TRIP, 0, 0, 0, 0.5, 0.0),
            Condition(PRESSURE, Op.ABOVE, Bad.IGNORE, 0, 0, 0, 20.0, 0.0),
            Condition(TEST_KEY, Op.ABOVE, Bad.IGNORE, 0, 0, 0, 0.5, 0.0),
            Condition(TT101, Op.ABOVE, Bad.IGNORE, 0, 0, 0, 38.5, 0.0),
        ),
        causes=(
            row(Kind.PROTECT, 0, 1, 0, 10 * SECOND), row(Kind.INTERLOCK, 1, 1, 1),
            row(Kind.INTERLOCK, 2, 1, 2), row(Kind.PROTECT, 3, 1, 3),
        ),
        effects=(
            Effect(XV201, 0, 0), Effect(XV100, 0, 0), Effect(XV100, 0, 0), Effect(KM101, 0, 0),
        ),
        channels=(
            kept, valve(1), valve(1), valve(1), valve(1), kept, valve(0),
            Channel(ChannelKind.PWM, 0, 0, 0, 0, 0, 0, 0, LIQUID_MS),
        ),
        analog=(AnalogInput(100, 4_000, 0.01, 0.0, 0.0, 60.0),),
        digital=2, groups=1,
    ).join()  # fmt: skip


def filled() -> bytes:
    """The same, and as many rows beside them as there can be, each of two signals."""
    base = Table.split(table())
    more_signals = SIGNALS_MAX - len(base.signals)
    more_rows = CAUSES_MAX - len(base.causes)
    c, e = len(base.conditions), len(base.effects)
    return replace(
        base,
        signals=base.signals + (Signal(Source.HOST, 0, 0, 2 * SECOND),) * more_signals,
        conditions=base.conditions + tuple(
            Condition(4 + k % more_signals, Op.BELOW, Bad.DEGRADE, 0, 500, 500, -1.0, 0.1)
            for k in range(2 * more_rows)
        ),
        causes=base.causes + tuple(
            Cause(Kind.PROTECT, c + 2 * k, 2, 2, 500, 500, 500, NONE, 0, e + 2 * k, 2, 1, k % 4)
            for k in range(more_rows)
        ),
        effects=base.effects + (Effect(BEACON, 0, 0), Effect(HORN, 0, 0)) * more_rows,
        groups=4,
    ).join()  # fmt: skip


TABLE: Final = table()
FILLED: Final = filled()
DIGEST: Final = hashlib.sha256(TABLE).digest()
TYPES: Final = {kind: type_ for type_, kind in m.MESSAGES.items()}


class Refusal(AssertionError):
    """The board said NAK."""

    def __init__(self, said: m.NakReply) -> None:
        super().__init__(f"{Nak(said.code).name} {said.detail}")
        self.nak, self.detail = Nak(said.code), said.detail


class Host:
    """One host on a board's line. `session` and `sequence` are the test's to falsify."""

    def __init__(self, line: str) -> None:
        if line.startswith("socket://"):
            host, port = line.removeprefix("socket://").split(":")
            self._stream = connect((host, int(port))).detach()
        else:
            self._stream = os.open(line, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self._stream)
        self._decoder = Decoder()
        self.session = self.sequence = self.progress = 0
        self.frames: list[Frame] = []
        self.statuses: list[m.Status] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._stream)

    # Frames.

    def put(self, data: bytes) -> None:
        """Bytes as they are."""
        while data:
            data = data[os.write(self._stream, data) :]

    def frame(
        self, message: Wire, sequence: int | None = None, session: int | None = None
    ) -> bytes:
        """The bytes of a request; numbered as the next one if nothing else is said."""
        if sequence is None:
            self.sequence = sequence = (self.sequence + 1) & 0xFFFF
        session = self.session if session is None else session
        return encode(TYPES[type(message)], session, sequence, message.pack())

    def collect(self, wait_s: float) -> None:
        """Takes what came; waits at most so long for the first byte."""
        if select.select([self._stream], [], [], wait_s)[0]:
            for found in self._decoder.feed(os.read(self._stream, 65_536)):
                assert isinstance(found, Frame), found
                if found.type == Type.STATUS:
                    self.statuses.append(m.Status.unpack(found.payload))
                else:
                    self.frames.append(found)

    def answer(self, type_: Type, sequence: int, wait_s: float = 10.0) -> Frame:
        """The answer with this sequence; raises Refusal for a NAK."""
        deadline = time.monotonic() + wait_s
        while True:
            while self.frames:
                found = self.frames.pop(0)
                if found.sequence == sequence and found.type == Type.NAK:
                    raise Refusal(m.NakReply.unpack(found.payload))
                if found.sequence == sequence and found.type == type_:
                    return found
            left = deadline - time.monotonic()
            assert left > 0.0, f"no {type_.name}"
            self.collect(left)

    def status(self, true: Callable[[m.Status], bool], wait_s: float = 10.0) -> m.Status:
        """The first STATUS from now on that this is true of."""
        deadline = time.monotonic() + wait_s
        self.statuses.clear()
        while True:
            while self.statuses:
                if true(found := self.statuses.pop(0)):
                    return found
            left = deadline - time.monotonic()
            assert left > 0.0, "no such STATUS"
            self.collect(left)

    # The session.

    def hello(self) -> m.HelloAck:
        """Asks who the board is; takes the session it offers."""
        self.put(self.frame(m.Hello(m.SCHEMA), 7, 0))
        found = self.answer(Type.HELLO_ACK, 7)
        self.session, self.sequence = found.session, 0
        return m.HelloAck.unpack(found.payload)

    def ask(self, message: Wire) -> m.Ack:
        """One request that is answered with ACK."""
        self.put(self.frame(message))
        return m.Ack.unpack(self.answer(Type.ACK, self.sequence).payload)

    def load(self, data: bytes) -> None:
        """Loads a table and reads it back."""
        digest = hashlib.sha256(data).digest()
        self.ask(m.TableBegin(len(data), digest))
        for offset in range(0, len(data), 200):
            self.ask(m.TableData(offset, data[offset : offset + 200]))
        read = b""
        while len(read) < len(data):
            self.put(self.frame(m.TableRead(len(read), min(200, len(data) - len(read)))))
            found = self.answer(Type.TABLE_BYTES, self.sequence)
            read += m.TableBytes.unpack(found.payload).data
        assert read == data
        self.ask(m.TableActivate(digest))

    def arm(self, data: bytes = TABLE) -> m.HelloAck:
        """HELLO, OPEN, the table if it is another one, ARM."""
        said, digest = self.hello(), hashlib.sha256(data).digest()
        self.ask(m.Open())
        if said.table != digest:
            self.load(data)
        self.ask(m.Arm(digest, 0))
        return said

    def command(self, lease_ms: int, **values: int) -> m.Ack:
        """Wishes for channels by their names, all for the same time."""
        writes = tuple(m.Write(globals()[name], value, lease_ms) for name, value in values.items())
        return self.ask(m.Command(writes))

    def beat(self, temperature: float = 37.0, bypassed: int = 0) -> m.Ack:
        """A beat whose progress moved, with the temperature of now."""
        self.progress += 1
        given = (m.Given(TT101, Quality.GOOD, 0, 0, temperature),)
        return self.ask(m.Beat(self.progress, bypassed, given))

    def clear(self, channels: int = LIQUIDS) -> m.Ack:
        """Takes latches off."""
        return self.ask(m.Clear(channels))

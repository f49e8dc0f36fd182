"""The real core in virtual time with a host of few words: one request after another, as bytes.

The table of most tests: channel 0 a liquid (latches, falls to 0, 200 ms), 1 a gas valve (keeps,
retained, 1 s), 2 a contactor (keeps, retained, 1 s), 7 the annunciator (falls to 1000).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from firmware_bridge import frames
from firmware_bridge.codes import (
    NONE,
    ChannelKind,
    Kind,
    Nak,
    Op,
    ResetReason,
    Source,
    Type,
)
from firmware_bridge.layout import Wire
from firmware_bridge.messages import (
    SCHEMA,
    Arm,
    Beat,
    Clear,
    Command,
    Given,
    Hello,
    HelloAck,
    NakReply,
    Open,
    Reset,
    Status,
    TableActivate,
    TableBegin,
    TableData,
    Write,
)
from firmware_bridge.native_board import NativeBoard
from firmware_bridge.table import AnalogInput, Cause, Channel, Condition, Effect, Signal, Table

LIQUID, GAS, CONTACTOR, HORN = 0, 1, 2, 7
FLOW, BUBBLE, PRESSURE, MODE = 0, 1, 2, 3  # signals: host, contact, 4-20 mA, host
MS = 1_000

HOST = Signal(int(Source.HOST), 0, 0, 2_000_000)
CONTACT = Signal(int(Source.DIGITAL), 0, 0, 1_000_000)
CURRENT = Signal(int(Source.ANALOG), 0, 0, 1_000_000)


def condition(
    signal: int, limit: float = 0.5, op: Op = Op.ABOVE, bad: int = 0, on_us: int = 0,
    off_us: int = 0, hysteresis: float = 0.0,
) -> Condition:  # fmt: skip
    """One comparison; a bad signal trips unless said otherwise."""
    return Condition(signal, int(op), bad, 0, on_us, off_us, limit, hysteresis)


def cause(
    first: int, count: int = 1, kind: Kind = Kind.PROTECT, votes: int = 1, on_us: int = 0,
    bad_us: int = 0, off_us: int = 0, valid: int = NONE, when: int = 0, effect: int = 0,
    effects: int = 1, bypassable: int = 0, group: int = NONE,
) -> Cause:  # fmt: skip
    """One row over the conditions from `first` on."""
    return Cause(int(kind), first, count, votes, on_us, bad_us, off_us, valid, when, effect,
                 effects, bypassable, group)  # fmt: skip


def channel(
    keep: int = 0, latch: int = 0, retain: int = 0, higher: int = 0, lapse: int = 0,
    start: int = 0, lease_ms: int = 1000, kind: ChannelKind = ChannelKind.DIGITAL,
) -> Channel:  # fmt: skip
    """One output."""
    return Channel(int(kind), keep, latch, retain, higher, 0, lapse, start, lease_ms)


CHANNELS = (
    channel(latch=1, lease_ms=200),
    channel(keep=1, retain=1),
    channel(keep=1, retain=1),
    channel(), channel(), channel(), channel(),
    channel(lapse=1000, kind=ChannelKind.PWM),
)  # fmt: skip
CURRENT_LOOP = AnalogInput(800, 4000, 0.025, -20.0, -10.0, 70.0)
QUIET = 1_200
"""Counts of the current loop that trip nothing: 10.0."""


def plant() -> Table:
    """Bubble shuts the liquid (protect), pressure the gas (interlock), flow opens the contactor
    (protect, bypassable, valid only while mode is 0). All in one first-out group."""
    return Table(
        signals=(HOST, CONTACT, CURRENT, HOST),
        conditions=(condition(BUBBLE), condition(PRESSURE, 45.0), condition(FLOW, 5.0)),
        causes=(
            cause(0, effect=0, group=0),
            cause(1, kind=Kind.INTERLOCK, effect=1, group=0),
            cause(2, effect=2, bypassable=1, valid=MODE, when=0, group=0, bad_us=10_000_000),
        ),
        effects=(Effect(LIQUID, 0, 0), Effect(GAS, 0, 0), Effect(CONTACTOR, 0, 0)),
        channels=CHANNELS, analog=(CURRENT_LOOP,), digital=4, groups=1,
    )  # fmt: skip


def digest(table: bytes) -> bytes:
    """What names a table."""
    return hashlib.sha256(table).digest()


class Host:
    """A host of one board. `board.now_us` is the time of everything it says."""

    def __init__(self, board: NativeBoard | None = None) -> None:
        self.board = board or NativeBoard()
        self.session = self.sequence = self.progress = 0
        self.unasked: list[Status] = []
        self._decoder = frames.Decoder()
        self.board.inputs.analog[0] = QUIET

    def heard(self) -> list[frames.Frame]:
        """Answers that came; STATUS goes to `unasked`."""
        found = []
        for frame in self._decoder.feed(self.board.transmit()):
            assert isinstance(frame, frames.Frame), frame
            if frame.type == Type.STATUS:
                self.unasked.append(Status.unpack(frame.payload))
            else:
                found.append(frame)
        return found

    def send(
        self, type_: int, session: int, sequence: int, payload: bytes, version: int = 1
    ) -> list[frames.Frame]:
        """One frame; what is answered."""
        self.heard()
        data = frames.encode(type_, session, sequence, payload, version)
        self.board.receive(data, self.board.now_us)
        return self.heard()

    def ask(self, type_: Type, message: Wire) -> Nak | None:
        """The next request; None for ACK, or the code of the NAK."""
        return self.answer(type_, message.pack())[0]

    def answer(self, type_: int, payload: bytes) -> tuple[Nak | None, int]:
        """The next request as bytes; code and detail."""
        self.sequence = (self.sequence + 1) % 65_536
        (frame,) = self.send(type_, self.session, self.sequence, payload)
        assert (frame.session, frame.sequence) == (self.session, self.sequence)
        return said(frame)

    def hello(self) -> HelloAck:
        """HELLO; the identity of the board and its pending session."""
        (frame,) = self.send(Type.HELLO, 0, 9, Hello(SCHEMA).pack())
        self.session = frame.session
        return HelloAck.unpack(frame.payload)

    def open(self) -> HelloAck:
        """HELLO and OPEN."""
        identity = self.hello()
        self.sequence = 0
        assert self.ask(Type.OPEN, Open()) is None
        return identity

    def load(self, table: bytes) -> tuple[Nak | None, int]:
        """Stages and activates; code and detail of the activation."""
        assert self.ask(Type.TABLE_BEGIN, TableBegin(len(table), digest(table))) is None
        for at in range(0, len(table), 200):
            assert self.ask(Type.TABLE_DATA, TableData(at, table[at : at + 200])) is None
        return self.answer(Type.TABLE_ACTIVATE, TableActivate(digest(table)).pack())

    def arm(self, table: bytes, distrust: int = 0) -> Nak | None:
        """ARM."""
        return self.ask(Type.ARM, Arm(digest(table), distrust))

    def command(self, *writes: tuple[int, int, int]) -> Nak | None:
        """COMMAND of (channel, value, lease in ms)."""
        return self.ask(Type.COMMAND, Command(tuple(Write(*write) for write in writes)))

    def beat(self, *given: Given, moved: bool = True, bypassed: int = 0) -> Nak | None:
        """BEAT of a scan that moved, or stands still."""
        self.progress += moved
        return self.ask(Type.BEAT, Beat(self.progress, bypassed, tuple(given)))

    def reset(self, row: int) -> Nak | None:
        """RESET."""
        return self.ask(Type.RESET, Reset(row))

    def clear(self, channels: int) -> Nak | None:
        """CLEAR."""
        return self.ask(Type.CLEAR, Clear(channels))

    def live(self, until_ms: float, *given: Given) -> None:
        """Beats every 50 ms and lets passes run for so long."""
        end = self.board.now_us + int(until_ms * MS)
        while self.board.now_us < end:
            assert self.beat(*given) is None
            self.board.run(min(self.board.now_us + 50 * MS, end))

    def wait(self, ms: float) -> None:
        """Passes run; the host says nothing."""
        self.board.run(self.board.now_us + int(ms * MS))


def said(frame: frames.Frame) -> tuple[Nak | None, int]:
    """Code and detail of an answer; None and 0 for ACK."""
    if frame.type == Type.ACK:
        return None, 0
    assert frame.type == Type.NAK, frame
    reply = NakReply.unpack(frame.payload)
    return Nak(reply.code), reply.detail


def good(signal: int, value: float, age_ms: int = 0) -> Given:
    """A good sample."""
    return Given(signal, 0, 0, age_ms, value)


def ready(table: Table | None = None, clear: bool = True) -> Host:
    """A board with a table, armed, its liquids cleared, good signals, 10 passes old."""
    host = Host()
    data = (table or plant()).join()
    host.open()
    assert host.load(data) == (None, 0)
    assert host.arm(data) is None
    host.board.passes(3)
    if table is None:
        assert host.beat(good(FLOW, 0.0), good(MODE, 0.0)) is None
    host.board.passes(7)
    if clear:
        assert host.clear((1 << len((table or plant()).channels)) - 1) is None
    return host


def restarted(host: Host, reason: ResetReason, boot_id: int = 2) -> Host:
    """The board after a reset; its line begins anew."""
    host.board.start(boot_id, reason)
    return Host(host.board)


def kinds(host: Host, first: int = 0) -> list[str]:
    """Names of the board's events from this number on."""
    return [event.kind.name for event in host.board.events(first)]


def pins(host: Host, channels: Sequence[int]) -> list[int]:
    """What these channels do."""
    digital, pwm = host.board.outputs()
    return [pwm if n == HORN else digital >> n & 1 for n in channels]

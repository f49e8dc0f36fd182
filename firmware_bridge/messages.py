"""Every message of the I/O board's protocol (`PROTOCOL.md`), one declaration each.

The only source: `core/protocol.h` is made from here, `table.py` and `codes.py`
(`python -m firmware_bridge.header`), and a test says that the committed file is current. Field
order is byte order. `SCHEMA` names these layouts in HELLO: whoever changes one writes the new
digest here, by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from firmware_bridge.codes import (
    ANALOG_MAX,
    CAUSES_MAX,
    CHUNK_MAX,
    EVENTS_MAX,
    GIVEN_MAX,
    WRITES_MAX,
    State,
    Type,
)
from firmware_bridge.layout import F64, U8, U16, U32, U64, Counted, Raw8, Raw32, Rest, Wire

SCHEMA: Final = bytes.fromhex("a6072d6708473d9b")
"""First 8 bytes of the SHA-256 of `core/protocol.h`."""


# Host to board.


@dataclass(frozen=True, slots=True)
class Hello(Wire):
    """Who are you? Changes nothing but the pending session."""

    schema: Raw8


@dataclass(frozen=True, slots=True)
class Open(Wire):
    """The pending session becomes the open one, not armed."""


@dataclass(frozen=True, slots=True)
class TableBegin(Wire):
    """Staging of a table begins anew; `digest` is the SHA-256 of all its bytes."""

    size: U16
    digest: Raw32


@dataclass(frozen=True, slots=True)
class TableData(Wire):
    """Bytes of the staged table."""

    offset: U16
    data: Annotated[bytes, Rest(1, CHUNK_MAX)]


@dataclass(frozen=True, slots=True)
class TableRead(Wire):
    """Read the staged table back."""

    offset: U16
    count: U8


@dataclass(frozen=True, slots=True)
class TableActivate(Wire):
    """The staged table becomes the active one."""

    digest: Raw32


@dataclass(frozen=True, slots=True)
class Arm(Wire):
    """From now on the session may command; `distrust` 1: latch every channel (unknown image)."""

    digest: Raw32
    distrust: U8


@dataclass(frozen=True, slots=True)
class Write(Wire):
    """A wish for one channel: 0 or 1, or per mille for PWM, under a lease in ms."""

    channel: U8
    value: U16
    lease_ms: U16


@dataclass(frozen=True, slots=True)
class Command(Wire):
    """All its writes or none."""

    writes: Annotated[tuple[Write, ...], Counted(1, WRITES_MAX, Write)]


@dataclass(frozen=True, slots=True)
class Given(Wire):
    """A signal that the host gives: age of the sample in ms (65535: that or more)."""

    signal: U8
    quality: U8
    reason: U8
    age_ms: U16
    value: F64


@dataclass(frozen=True, slots=True)
class Beat(Wire):
    """The host's scan counter, the rows bypassed (bit n: row n) and the signals it gives."""

    progress: U32
    bypassed: U32
    given: Annotated[tuple[Given, ...], Counted(0, GIVEN_MAX, Given)]


@dataclass(frozen=True, slots=True)
class Reset(Wire):
    """Reset one latched row."""

    row: U8


@dataclass(frozen=True, slots=True)
class Clear(Wire):
    """Unlatch channels (bit n: channel n)."""

    channels: U16


@dataclass(frozen=True, slots=True)
class Events(Wire):
    """Events from this number on."""

    start: U32


# Board to host.


@dataclass(frozen=True, slots=True)
class HelloAck(Wire):
    """Who the board is; its frame's session is the pending one."""

    schema: Raw8
    image: Raw32
    table: Raw32
    boot_id: U32
    time_us: U64
    reset_reason: U8
    latched: U16
    table_bytes_max: U16


@dataclass(frozen=True, slots=True)
class Ack(Wire):
    """Done, at this board time."""

    time_us: U64


@dataclass(frozen=True, slots=True)
class NakReply(Wire):
    """Refused, nothing changed; `detail` by code."""

    code: U8
    detail: U16
    time_us: U64


@dataclass(frozen=True, slots=True)
class TableBytes(Wire):
    """Bytes of the staged table."""

    offset: U16
    data: Annotated[bytes, Rest(1, CHUNK_MAX)]


@dataclass(frozen=True, slots=True)
class Event(Wire):
    """Something that happened on the board; `kind` is an EventKind."""

    time_us: U64
    kind: U8
    index: U8
    place: U8
    detail: U8


@dataclass(frozen=True, slots=True)
class EventsList(Wire):
    """Events numbered first, first + 1, ...; `head` is the number of the next one to come."""

    first: U32
    head: U32
    events: Annotated[tuple[Event, ...], Counted(0, EVENTS_MAX, Event)]


@dataclass(frozen=True, slots=True)
class Analog(Wire):
    """An analog input in its unit."""

    quality: U8
    value: F64


@dataclass(frozen=True, slots=True)
class Status(Wire):
    """What the board sees and does, unasked."""

    number: U32
    time_us: U64
    events: U32
    state: U8
    inputs: U32
    driven: U8
    wished: U8
    pwm: U16
    latched: U16
    forced: U16
    analog: Annotated[tuple[Analog, ...], Counted(0, ANALOG_MAX, Analog)]
    rows: Annotated[bytes, Counted(0, CAUSES_MAX)]

    @property
    def session(self) -> State:
        """None, open or armed; raises ValueError for 3."""
        return State(self.state & 3)

    @property
    def beat_alive(self) -> bool:
        """A beat with moved progress came within BEAT_ALIVE_MS."""
        return bool(self.state & 4)


MESSAGES: Final[dict[Type, type[Wire]]] = {
    Type.HELLO: Hello, Type.OPEN: Open, Type.TABLE_BEGIN: TableBegin, Type.TABLE_DATA: TableData,
    Type.TABLE_READ: TableRead, Type.TABLE_ACTIVATE: TableActivate, Type.ARM: Arm,
    Type.COMMAND: Command, Type.BEAT: Beat, Type.RESET: Reset, Type.CLEAR: Clear,
    Type.EVENTS: Events,
    Type.HELLO_ACK: HelloAck, Type.ACK: Ack, Type.NAK: NakReply, Type.TABLE_BYTES: TableBytes,
    Type.EVENTS_LIST: EventsList, Type.STATUS: Status,
}  # fmt: skip

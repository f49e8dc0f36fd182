"""A board as PROTOCOL.md says it, in a few lines: for tests of the host's side alone.

It keeps what acted in `acted`, in order; it knows nothing of leases, rows or outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from firmware_bridge import messages as m
from firmware_bridge.codes import VERSION, Nak, Type
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.layout import Wire

TABLE = bytes(range(256)) + bytes(range(200))
DIGEST = sha256(TABLE).digest()
IMAGE = sha256(b"image").digest()
ACTING = (Type.COMMAND, Type.BEAT, Type.RESET, Type.CLEAR)


@dataclass
class ScriptedBoard:
    """Bytes in, bytes out; `mute` answers nothing, `refuse` answers a type with that NAK."""

    boot_id: int = 7
    table: bytes = b""
    version: int = VERSION
    schema: bytes = m.SCHEMA
    image: bytes = IMAGE
    table_bytes_max: int = 4096
    mute: bool = False
    spoil_read: int = 0
    refuse: dict[Type, tuple[Nak, int]] = field(default_factory=dict)
    events: list[m.Event] = field(default_factory=list)
    oldest: int = 0
    acted: list[Wire] = field(default_factory=list)
    heard: list[Type] = field(default_factory=list)
    open: int = 0
    armed: bool = False
    _pending: int = 0
    _numbers: int = 0
    _last: int = 0
    _reply: bytes = b""
    _staged: bytearray = field(default_factory=bytearray)
    _digest: bytes = b""
    _decoder: Decoder = field(default_factory=Decoder)

    @property
    def digest(self) -> bytes:
        return sha256(self.table).digest() if self.table else bytes(32)

    def feed(self, data: bytes, now_us: int) -> bytes:
        """What it says to these bytes."""
        out = b""
        for frame in self._decoder.feed(data):
            if isinstance(frame, Frame) and not self.mute:
                out += self._take(frame, now_us)
        return out

    def status(self, number: int, now_us: int, events: int | None = None) -> bytes:
        """A STATUS in the open session."""
        head = len(self.events) if events is None else events
        status = m.Status(number, now_us, head, 2, 0, 0, 0, 0, 0, 0, (), b"")
        return encode(Type.STATUS, self.open, number & 0xFFFF, status.pack(), self.version)

    def _take(self, frame: Frame, now_us: int) -> bytes:
        kind = Type(frame.type)
        self.heard.append(kind)
        if self.version != VERSION:
            return self._nak(0, frame.sequence, Nak.VERSION, self.version, now_us)
        if kind in self.refuse:
            code, detail = self.refuse.pop(kind)
            session = 0 if kind is Type.HELLO else frame.session
            self._last = frame.sequence if kind is not Type.HELLO else self._last
            return self._nak(session, frame.sequence, code, detail, now_us)
        request = m.MESSAGES[kind].unpack(frame.payload)
        if isinstance(request, m.Hello):
            return self._hello(request, frame, now_us)
        if kind is Type.OPEN and frame.session == self._pending != 0:
            self.open, self._pending, self.armed, self._last = self._pending, 0, False, 0
        elif frame.session != self.open:
            if kind is Type.OPEN:
                return self._nak(frame.session, frame.sequence, Nak.SESSION, 0, now_us)
            return b""
        if frame.sequence == self._last:
            return self._reply
        if frame.sequence != (self._last + 1) % 65_536:
            return self._nak(frame.session, frame.sequence, Nak.SEQUENCE, self._last, now_us)
        self._last = frame.sequence
        self._reply = self._act(kind, request, frame, now_us)
        return self._reply

    def _hello(self, request: m.Hello, frame: Frame, now_us: int) -> bytes:
        if request.schema != self.schema:
            return self._nak(0, frame.sequence, Nak.SCHEMA, 0, now_us)
        self._numbers += 1
        self._pending = self.boot_id << 8 | self._numbers
        ack = m.HelloAck(
            self.schema, self.image, self.digest, self.boot_id, now_us, 0, 0, self.table_bytes_max
        )
        return encode(Type.HELLO_ACK, self._pending, frame.sequence, ack.pack())

    def _act(self, kind: Type, request: Wire, frame: Frame, now_us: int) -> bytes:
        if kind in ACTING and not self.armed:
            return self._nak(frame.session, frame.sequence, Nak.NOT_ARMED, 0, now_us)
        match request:
            case m.TableBegin():
                self._staged, self._digest = bytearray(request.size), request.digest
            case m.TableData():
                self._staged[request.offset : request.offset + len(request.data)] = request.data
            case m.TableRead():
                data = bytes(self._staged[request.offset : request.offset + request.count])
                if self.spoil_read:
                    self.spoil_read -= 1
                    data = bytes([data[0] ^ 1]) + data[1:]
                answer = m.TableBytes(request.offset, data)
                return encode(Type.TABLE_BYTES, frame.session, frame.sequence, answer.pack())
            case m.TableActivate():
                self.table = bytes(self._staged)
            case m.Arm():
                self.armed = True
                self.acted.append(request)
            case m.Events():
                first = max(request.start, self.oldest)
                some = tuple(self.events[first : first + 12])
                answer_ = m.EventsList(first, len(self.events), some)
                return encode(Type.EVENTS_LIST, frame.session, frame.sequence, answer_.pack())
            case _ if kind in ACTING:
                self.acted.append(request)
        return encode(Type.ACK, frame.session, frame.sequence, m.Ack(now_us).pack())

    def _nak(self, session: int, sequence: int, code: Nak, detail: int, now_us: int) -> bytes:
        reply = m.NakReply(code, detail, now_us).pack()
        return encode(Type.NAK, session, sequence, reply, self.version)

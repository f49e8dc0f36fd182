"""The host's side of a session with the I/O board, sans-IO: bytes and time in, happenings out.

It opens a session, loads the table if the board has another one (and reads it back), arms, and then
carries out what its owner asks, one request in flight. A request is repeated with the same bytes,
never made anew (PROTOCOL.md, Session). Its states stand in `states.py`, its queues in `outbox.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from controller.core.errors import BrokenInvariant
from firmware_bridge import messages as m
from firmware_bridge.clock import Clock
from firmware_bridge.codes import BEAT_MS, CHUNK_MAX, RETRIES, RETRY_MS, VERSION, Nak, Type
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.happenings import (
    Acked,
    Armed,
    EventsCame,
    Fault,
    Happening,
    Lost,
    Opened,
    Refused,
    Sample,
)
from firmware_bridge.layout import LayoutError, Wire
from firmware_bridge.outbox import NS_PER_MS, Outbox
from firmware_bridge.states import Phase, Turn, after

RETRY_NS: Final = RETRY_MS * NS_PER_MS
HELLO_WAITS_NS: Final = tuple(RETRY_NS << k for k in (0, 1, 2, 3))
REST_NS: Final = 5_000 * NS_PER_MS
LOADS_MAX: Final = 3
CHUNK_NOISY: Final = 64
SEQUENCES: Final = 1 << 16

ANSWERS: Final[dict[Type, Type]] = {
    Type.HELLO: Type.HELLO_ACK,
    Type.TABLE_READ: Type.TABLE_BYTES,
    Type.EVENTS: Type.EVENTS_LIST,
}
TYPES: Final[dict[type[Wire], Type]] = {kind: type_ for type_, kind in m.MESSAGES.items()}
OF_CHANNEL: Final = (Nak.CHANNEL, Nak.VALUE, Nak.LEASE, Nak.LATCHED)
NEW_SESSION: Final = (Nak.SESSION, Nak.SEQUENCE, Nak.NOT_ARMED)


@dataclass(slots=True)
class Flight:
    """The request in flight: `t0_ns` is when it first left, `due_ns` when this attempt is over."""

    message: Wire
    session: int
    sequence: int
    t0_ns: int
    due_ns: int
    tries: int = 1

    @property
    def type(self) -> Type:
        return TYPES[type(self.message)]

    @property
    def tx(self) -> bytes:
        return encode(self.type, self.session, self.sequence, self.message.pack())


class Session:
    """One board's session. Not thread-safe: one worker or one rig owns it.

    `take_tx` may end a session, so ask `happened` after it; `feed` returns all until then. What is
    asked for is taken only while armed and is gone with the session.
    """

    def __init__(
        self,
        digest: bytes,
        table: bytes,
        known_images: Collection[bytes],
        now_ns: int = 0,
        beat_ns: int = BEAT_MS * NS_PER_MS,
    ) -> None:
        self._digest, self._table, self._images = digest, table, frozenset(known_images)
        self._beat_ns = beat_ns
        self.clock = Clock()
        self.identity: m.HelloAck | None = None
        self._happened: list[Happening] = []
        self._lost = self._same_boot = False
        self._chunk_max = CHUNK_MAX
        self._hello = 0
        self._next_event = 0
        self.reset(now_ns)

    @property
    def phase(self) -> Phase:
        """Where the session stands."""
        return self._phase

    @property
    def armed(self) -> bool:
        """Whether commands act."""
        return self._phase is Phase.ARMED

    def reset(self, now_ns: int) -> None:
        """The line was opened anew: nothing is in flight, the board is called."""
        self._decoder = Decoder()
        self._phase = Phase.CALL
        self._begin(now_ns)

    def _begin(self, now_ns: int) -> None:
        """Forgets everything that belonged to the session before."""
        self._session = self._sequence = self._offset = self._loads = self._silences = 0
        self._flight: Flight | None = None
        self._ready_ns = now_ns
        self._outbox = Outbox(self._beat_ns, now_ns)
        self._status: m.Status | None = None
        self._promised = 0  # events that STATUS told of and EVENTS did not bring

    # What the owner asks for.

    def command(self, writes: Mapping[int, tuple[int, int]], safe: bool) -> bool:
        """Wishes (value, lease_ms) by channel; the latest of a channel wins. False: not armed."""
        if self.armed:
            self._outbox.command(writes, safe)
        return self.armed

    def wants_beat(self, now_ns: int) -> bool:
        """Whether a beat given now leaves with the next `take_tx`, but for safe commands."""
        return self.armed and self._flight is None and now_ns >= self._outbox.beat_due_ns

    def beat(self, progress: int, bypassed: int, signals: Iterable[Sample]) -> None:
        """What the next beat says; without it none is sent. Ages are counted when it leaves."""
        if self.armed:
            self._outbox.beat(progress, bypassed, signals)

    def ask_reset(self, row: int) -> bool:
        """Reset one latched row. False: not armed."""
        if self.armed:
            self._outbox.reset(row)
        return self.armed

    def ask_clear(self, mask: int) -> bool:
        """Unlatch channels (bit n: channel n). False: not armed."""
        if self.armed:
            self._outbox.clear(mask)
        return self.armed

    # The line.

    def take_tx(self, now_ns: int) -> bytes:
        """The bytes to put onto the line now, or none."""
        flight = self._flight
        if flight is not None:
            return self._again(flight, now_ns) if now_ns >= flight.due_ns else b""
        if now_ns < self._ready_ns:
            return b""
        if self._phase is Phase.REST:
            self._turn(Turn.DUE, now_ns)
        message = self._choose(now_ns)
        if message is None:
            return b""
        if isinstance(message, m.Hello):
            self._hello = (self._hello + 1) % SEQUENCES
            wait_ns = HELLO_WAITS_NS[min(self._silences, len(HELLO_WAITS_NS) - 1)]
            flight = Flight(message, 0, self._hello, now_ns, now_ns + wait_ns)
        else:
            self._sequence = (self._sequence + 1) % SEQUENCES
            flight = Flight(message, self._session, self._sequence, now_ns, now_ns + RETRY_NS)
        self._flight = flight
        # What noise left on the line ends at this zero and not in our frame.
        return (b"\0" if flight.session == 0 else b"") + flight.tx

    def feed(self, data: bytes, now_ns: int) -> list[Happening]:
        """Takes bytes from the line; everything that happened since the last call."""
        faults: dict[str, int] = {}
        for found in self._decoder.feed(data):
            why = self._take(found, now_ns) if isinstance(found, Frame) else found.value
            if why:
                faults[why] = faults.get(why, 0) + 1
        self._happened += [Fault(why, count) for why, count in faults.items()]
        return self.happened()

    def happened(self) -> list[Happening]:
        """Everything that happened since the last call, oldest first."""
        happened, self._happened = self._happened, []
        return happened

    def next_ns(self) -> int:
        """When `take_tx` has something to do again if no byte comes before."""
        if self._flight is not None:
            return self._flight.due_ns
        if not self.armed:
            return self._ready_ns
        return self._outbox.next_ns(self._ready_ns, self._events_wait)

    # Inside.

    @property
    def _events_wait(self) -> bool:
        told = 0 if self._status is None else self._status.events
        return told > max(self._next_event, self._promised)

    def _choose(self, now_ns: int) -> Wire | None:
        """The next request of this phase."""
        match self._phase:
            case Phase.CALL:
                return m.Hello(m.SCHEMA)
            case Phase.OPEN:
                return m.Open()
            case Phase.BEGIN:
                self._offset = 0
                return m.TableBegin(len(self._table), self._digest)
            case Phase.DATA:
                return m.TableData(self._offset, self._chunk)
            case Phase.READ:
                return m.TableRead(self._offset, len(self._chunk))
            case Phase.ACTIVATE:
                return m.TableActivate(self._digest)
            case Phase.ARM:
                return m.Arm(self._digest, int(not self._known))
            case _:
                return self._outbox.choose(now_ns, self._next_event, self._events_wait)

    @property
    def _chunk(self) -> bytes:
        return self._table[self._offset : self._offset + self._chunk_max]

    @property
    def _known(self) -> bool:
        return self.identity is not None and self.identity.image in self._images

    def _again(self, flight: Flight, now_ns: int) -> bytes:
        """One more attempt, or the end of the session."""
        tries_max = 1 if flight.type is Type.HELLO else 1 + RETRIES
        if flight.tries >= tries_max:
            if self._phase is Phase.CALL:
                self._silences += 1
                if self._silences >= len(HELLO_WAITS_NS):
                    self._tell_lost("no answer to HELLO")
                silences = self._silences
            else:
                self._tell_lost(f"no answer to {flight.type.name}")
                silences = 0
                if flight.type in (Type.TABLE_DATA, Type.TABLE_READ):
                    # At 1e-3 wrong bits one long frame in six is whole, but every second short one.
                    self._chunk_max = CHUNK_NOISY
            self._turn(Turn.SILENT, now_ns)
            self._silences = silences
            return self.take_tx(now_ns)
        flight.tries += 1
        flight.due_ns = now_ns + RETRY_NS
        return b"\0" + flight.tx

    def _take(self, frame: Frame, now_ns: int) -> str:
        """One frame from the board; what is wrong with it, or nothing."""
        if frame.version != VERSION:
            if self._phase is not Phase.REST:
                self._refuse(m.Hello(m.SCHEMA), Nak.VERSION, frame.version, now_ns)
            return ""
        kind = m.MESSAGES.get(Type(frame.type)) if frame.type in Type._value2member_map_ else None
        if kind is None or frame.type < Type.HELLO_ACK:
            return f"a frame of type {frame.type:#x}"
        try:
            message = kind.unpack(frame.payload)
        except LayoutError as error:
            return str(error)
        if isinstance(message, m.Status):
            self._take_status(message, frame.session)
            return ""
        flight = self._flight
        if flight is None or frame.sequence != flight.sequence:
            return ""  # an answer that came late, or twice
        if isinstance(message, m.HelloAck) and flight.type is Type.HELLO and frame.session:
            self._take_hello(message, frame.session, flight, now_ns)
        elif frame.session == flight.session and isinstance(message, m.NakReply):
            self._take_nak(message, flight, now_ns)
        elif frame.session == flight.session and flight.session:
            if frame.type != ANSWERS.get(flight.type, Type.ACK):
                return f"{Type(frame.type).name} to {flight.type.name}"
            self._take_answer(message, flight, now_ns)
        return ""

    def _take_status(self, status: m.Status, session: int) -> None:
        """Only newer ones of this session: late and doubled ones would turn time back."""
        if session != self._session or not session or self._phase in (Phase.CALL, Phase.OPEN):
            return
        last = self._status
        if last is None or 0 < (status.number - last.number) % (1 << 32) < 1 << 31:
            self._status = status
            self._happened.append(status)

    def _take_hello(self, ack: m.HelloAck, session: int, flight: Flight, now_ns: int) -> None:
        if ack.schema != m.SCHEMA:
            self._refuse(flight.message, Nak.SCHEMA, 0, now_ns)
            return
        self._same_boot = self.clock.boot_id == ack.boot_id
        if not self._same_boot:
            self._next_event = 0
        self.clock.begin(ack.boot_id)
        self.clock.add(flight.t0_ns, ack.time_us, now_ns)
        self.identity, self._session = ack, session
        self._turn(Turn.ANSWER, now_ns)

    def _take_answer(self, message: Wire, flight: Flight, now_ns: int) -> None:
        request, turn = flight.message, Turn.ANSWER
        if isinstance(message, m.Ack):
            self.clock.add(flight.t0_ns, message.time_us, now_ns)
            if isinstance(request, m.Open):
                turn = self._opened()
            elif isinstance(request, m.TableData):
                turn = self._advance(len(request.data))
            elif isinstance(request, m.Arm):
                self._chunk_max = CHUNK_MAX
                self._happened.append(Armed(bool(request.distrust), self._loads > 0))
            elif self.armed:
                self._happened.append(Acked(request, message.time_us))
        elif isinstance(message, m.TableBytes):
            same = message.offset == self._offset and message.data == self._chunk
            turn = self._advance(len(message.data)) if same else Turn.DIFFERS
            self._loads += turn is Turn.DIFFERS
            if self._loads > LOADS_MAX:
                self._refuse(request, Nak.TABLE_DIGEST, 0, now_ns)
                return
        elif isinstance(message, m.EventsList):
            self._take_events(message)
        self._turn(turn, now_ns)

    def _opened(self) -> Turn:
        identity = self.identity
        if identity is None:
            raise BrokenInvariant("opened without HELLO_ACK", where="firmware_bridge.session")
        self._lost = False
        self._happened.append(Opened(identity, self._known, self._same_boot))
        if identity.table == self._digest:
            return Turn.SAME
        self._loads = 1
        return Turn.ANSWER

    def _advance(self, count: int) -> Turn:
        """The next chunk of the table; after the last one the next stage begins at 0."""
        self._offset += count
        if self._offset < len(self._table):
            return Turn.ANSWER
        self._offset = 0
        return Turn.LAST

    def _take_events(self, came: m.EventsList) -> None:
        before = self._next_event
        if came.events:
            missed, skip = max(came.first - before, 0), max(before - came.first, 0)
            if some := came.events[skip:]:
                self._happened.append(EventsCame(came.first + skip, some, missed))
            self._next_event = max(before, came.first + len(came.events))
        else:
            self._next_event = came.head
        if self._next_event <= before and self._status is not None:
            self._promised = self._status.events  # to ask at once brings no more

    def _take_nak(self, nak: m.NakReply, flight: Flight, now_ns: int) -> None:
        code = Nak(nak.code) if nak.code in Nak._value2member_map_ else nak.code
        if code in NEW_SESSION and self._phase is not Phase.CALL:
            self._tell_lost(f"{flight.type.name}: {Nak(code).words} ({nak.detail})")
            self._turn(Turn.UNFIT, now_ns)
            self._ready_ns = now_ns + RETRY_NS
            return
        request = flight.message
        if not self.armed:
            self._refuse(request, code, nak.detail, now_ns)
            return
        self.clock.add(flight.t0_ns, nak.time_us, now_ns)
        if isinstance(request, m.Command) and code in OF_CHANNEL:
            self._outbox.again(request, nak.detail)
        self._happened.append(Refused(request, code, nak.detail, armed=True))
        self._turn(Turn.REFUSED, now_ns)

    def _refuse(self, request: Wire, code: Nak | int, detail: int, now_ns: int) -> None:
        """No session comes about; the board is called again after a rest."""
        self._happened.append(Refused(request, code, detail, armed=False))
        self._tell_lost("the board refused the session")
        self._phase = Phase.REST
        self._begin(now_ns)
        self._ready_ns = now_ns + REST_NS

    def _tell_lost(self, why: str) -> None:
        if not self._lost:
            self._lost = True
            self._happened.append(Lost(why))

    def _turn(self, turn: Turn, now_ns: int) -> None:
        """One step of the table; an illegal one raises BrokenInvariant, and nothing happens."""
        self._phase = after(self._phase, turn)
        self._flight, self._ready_ns = None, now_ns
        if self._phase is Phase.CALL:
            self._begin(now_ns)


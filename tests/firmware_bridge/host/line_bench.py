"""A host, a faulty line and the real core, in virtual time: what the tests of the faulty line run.

The PWM channel gets a higher number with every command, so a command that acted twice, late or out
of its order would show as a number that comes back.
"""

from __future__ import annotations

import random
from hashlib import sha256

from faulty_line import Faults, FaultyLine

from firmware_bridge import messages as m
from firmware_bridge.codes import NONE, PASS_US, PWM_CHANNEL, Bad, Kind, Op, ResetReason, Source
from firmware_bridge.happenings import Armed, Happening, Lost, Opened, Sample
from firmware_bridge.native_board import BoardEvent, NativeBoard, image
from firmware_bridge.session import Session
from firmware_bridge.table import Cause, Channel, Condition, Effect, Signal, Table

MS = 1_000_000
LEASE_MS = 1_000
HEAT, LIQUID, GAS = 0, 1, 2
SCAN_NS = 10 * MS


def channel(kind: int, keep: int, latch: int) -> Channel:
    """A channel that keeps its value, or falls to 0 (and latches there)."""
    return Channel(kind, keep, latch, keep, 0, 0, 0, 0, LEASE_MS)


TABLE = Table(
    signals=(Signal(Source.HOST, 0, 0, 2_000_000),),
    conditions=(Condition(0, Op.ABOVE, Bad.IGNORE, 0, 0, 0, 38.5, 0.0),),
    causes=(Cause(Kind.PROTECT, 0, 1, 1, 0, 0, 0, NONE, 0, 0, 1, 0, NONE),),
    effects=(Effect(HEAT, 0, 0),),
    channels=(
        channel(0, 1, 0), channel(0, 0, 1), channel(0, 1, 0), *[channel(0, 0, 1)] * 4,
        channel(1, 0, 0),
    ),
    analog=(),
    digital=8,
    groups=0,
).join()  # fmt: skip
DIGEST = sha256(TABLE).digest()


class LineBench:
    """`run` moves everything; `person` decides whether a latched liquid is cleared."""

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)
        self.core = NativeBoard()
        self.core.start(boot_id=seed % 1_000 + 1)
        self.events: list[BoardEvent] = []
        self._next_event = 0
        self.faults = faults or Faults()
        self.now_ns = 0
        self.person = self.alive = True
        self.temperature = 37.0
        self.down_bytes: list[bytes] = []
        self.up = FaultyLine(self.faults, self.random)
        self.down = FaultyLine(self.faults, self.random)
        self.wish = 0
        self.heat = 1
        self.log: list[tuple[int, Happening]] = []
        self.pwm: list[tuple[int, int]] = []
        self.digital: list[tuple[int, int]] = []
        self.heard_ns = 0
        self.commands = self.clears = 0
        self.latched = 0
        self.armed_ns = 0
        self.new_host()

    def close(self) -> None:
        """Gives the core's memory back."""
        self.core.close()

    def restart(self, boot_id: int, reason: ResetReason) -> None:
        """The board is reset; its no-init RAM stays."""
        self.core.start(boot_id, reason)
        self._next_event = 0
        self._board()

    def new_host(self) -> None:
        """A host that was just started: it knows nothing of the one before."""
        self.session = Session(DIGEST, TABLE, {image()}, self.now_ns)
        self.alive = True
        self._scan_ns = self.now_ns
        self._progress = self.random.randrange(1 << 32)

    def run(self, span_ns: int) -> None:
        """Virtual time, pass by pass."""
        end = self.now_ns + span_ns
        while self.now_ns < end:
            self.now_ns += PASS_US * 1_000
            self.core.passes(1)
            self._board()
            if self.alive:
                self._host()

    def output(self, n: int) -> int:
        """What a channel does at its pin."""
        digital, pwm = self.core.outputs()
        return pwm if n == PWM_CHANNEL else digital >> n & 1

    def _board(self) -> None:
        came = self.down.take(self.now_ns)
        if came:
            self.heard_ns = self.now_ns
            self.core.receive(came, self.core.now_us)
        self.up.put(self.core.transmit(), self.now_ns)
        for event in self.core.events(self._next_event):
            self.events.append(event)
            self._next_event = event.number + 1
        digital, pwm = self.core.outputs()
        if not self.pwm or self.pwm[-1][1] != pwm:
            self.pwm.append((self.now_ns, pwm))
        if not self.digital or self.digital[-1][1] != digital:
            self.digital.append((self.now_ns, digital))

    def _host(self) -> None:
        session, now_ns = self.session, self.now_ns
        came = self.up.take(now_ns)
        if came:
            self._note(session.feed(came, now_ns))
        if now_ns >= self._scan_ns:
            self._scan_ns += SCAN_NS
            self._progress = (self._progress + 1) & 0xFFFFFFFF
        if session.wants_beat(now_ns):
            session.beat(self._progress, 0, (Sample(0, self.temperature, 0, 0, now_ns),))
        if session.armed and now_ns % (40 * MS) == 0:
            self.ask()
        tx = session.take_tx(now_ns)
        self._note(session.happened())
        self.down.put(tx, now_ns)
        if tx:
            self.down_bytes.append(tx)
        self.armed_ns += PASS_US * 1_000 * session.armed

    def ask(self) -> None:
        """Everything the host wants, again, with a number that was never sent before."""
        self.wish = min(self.wish + 1, 1_000)
        self.commands += 1
        writes = {PWM_CHANNEL: self.wish, HEAT: self.heat, GAS: 1, LIQUID: 1}
        self.session.command({n: (value, LEASE_MS) for n, value in writes.items()}, safe=False)
        if self.latched and self.person:
            self.clears += self.session.ask_clear(self.latched)

    def _note(self, happened: list[Happening]) -> None:
        self.log += [(self.now_ns, each) for each in happened]
        for each in happened:
            if isinstance(each, m.Status):
                self.latched = each.latched
            elif isinstance(each, Opened):
                self.latched = each.identity.latched

    def of(self, *kinds: type) -> list[tuple[int, Happening]]:
        """What happened of some kinds."""
        return [(at, each) for at, each in self.log if isinstance(each, kinds)]

    def story(self) -> str:
        """For a failing test."""
        told = [(at // MS, type(each).__name__) for at, each in self.of(Opened, Armed, Lost)]
        return f"{told[-12:]} pwm {self.pwm[-5:]} wish {self.wish}"

"""A session at a scripted board with a perfect line in between; time moves as the test says."""

from __future__ import annotations

from collections.abc import Callable

from scripted_board import DIGEST, IMAGE, TABLE, ScriptedBoard

from firmware_bridge.codes import Type
from firmware_bridge.frames import Decoder, Frame
from firmware_bridge.happenings import Happening
from firmware_bridge.session import Session

MS = 1_000_000


class Desk:
    """Host and board with a perfect line of `trip_ns` in between; time moves by `run`."""

    def __init__(self, board: ScriptedBoard | None = None, known: bool = True) -> None:
        self.board = board or ScriptedBoard()
        self.session = Session(DIGEST, TABLE, {IMAGE} if known else set())
        self.now_ns = 0
        self.trip_ns = MS
        self.log: list[tuple[int, Happening]] = []
        self.sent: list[tuple[int, Frame]] = []
        self.cut = False
        self.spoil: Callable[[bytes], bytes] = lambda data: data

    def step(self, end_ns: int = 1 << 62) -> None:
        """At most one frame and its answer, or on to the next thing to do."""
        tx = self.session.take_tx(self.now_ns)
        self.note(self.session.happened())
        if not tx:
            self.now_ns = min(max(self.now_ns + MS, self.session.next_ns()), end_ns)
            return
        found = [each for each in Decoder().feed(tx) if isinstance(each, Frame)]
        self.sent += [(self.now_ns, frame) for frame in found]
        answer = b"" if self.cut else self.board.feed(tx, self.now_ns // 1_000)
        self.now_ns += self.trip_ns
        self.note(self.session.feed(self.spoil(answer), self.now_ns))

    def note(self, happened: list[Happening]) -> None:
        self.log += [(self.now_ns, each) for each in happened]

    def run(self, span_ns: int, beats: bool = False) -> None:
        end = self.now_ns + span_ns
        while self.now_ns < end:
            if beats and self.session.wants_beat(self.now_ns):
                self.session.beat(self.now_ns // MS, 0, ())
            self.step(end)

    def armed(self) -> Desk:
        self.run(50 * MS)
        assert self.session.armed
        self.sent.clear()
        self.log.clear()
        return self

    def of(self, kind: type) -> list[Happening]:
        return [each for _, each in self.log if isinstance(each, kind)]

    def types(self) -> list[Type]:
        return [Type(frame.type) for _, frame in self.sent]

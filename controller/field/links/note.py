"""What a link has to say beside its samples: faults, writes, losses. Few, small and bounded.

A good poll says nothing. A fault that repeats is told at its 1st, 2nd, 4th, 8th ... time, so that a
dead line cannot flood the record.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

NOTES_MAX = 256
KINDS_OF_FAULT_MAX = 256
TEXT_MAX = 508  # bytes of a note in its ring
WORDS_MAX = 320
NAN = float("nan")


class NoteKind(StrEnum):
    """What a note tells."""

    FAULT = "fault"  # what went wrong, how often so far
    SENT = "sent"  # a write left: every safe one, the first to an output, every repetition
    CONFIRMED = "confirmed"  # such a write was read back
    MISMATCH = "mismatch"  # read back, and it is something else
    REFUSED = "refused"  # a write that was not sent
    IDENTIFIED = "identified"
    LOST = "lost"  # a device stopped answering; with an empty device, the whole link did
    RESTORED = "restored"
    BOARD = "board"  # an I/O board's own: `what` as bridge_notes writes it
    STARTED = "started"  # field's own: what it started with, in words
    STOPPING = "stopping"  # field's own: what it leaves behind


@dataclass(frozen=True, slots=True)
class Note:
    """One note. `value` and `found` are canonical; `frame` is what went onto the line."""

    kind: NoteKind
    device: str
    what: str
    at_ns: int
    count: int = 0
    output: int = -1
    value: float = NAN
    found: float = NAN
    safe: bool = False
    frame: bytes = b""


def to_bytes(note: Note) -> bytes:
    """A note as it stands in a note ring: JSON, its words cut so that it fits."""
    words = note.what[:WORDS_MAX]
    while True:
        fields = (note.kind.value, note.device[:40], words, note.at_ns, note.count,
                  note.output, note.value, note.found, note.safe,
                  note.frame[:64].hex())  # fmt: skip
        text = json.dumps(fields, separators=(",", ":")).encode()
        if len(text) <= TEXT_MAX or not words:
            return text
        words = words[: -max((len(text) - TEXT_MAX) // 12, 1)]  # of one character: 1 to 12


def from_bytes(text: bytes) -> Note:
    """The inverse of `to_bytes`; raises ValueError for anything else."""
    kind, device, what, at_ns, count, output, value, found, safe, frame = json.loads(text)
    return Note(NoteKind(kind), device, what, at_ns, count, output, value, found, safe,
                bytes.fromhex(frame))  # fmt: skip


class Notes:
    """A bounded queue of notes with fault counters; the oldest fall out and are counted."""

    def __init__(self) -> None:
        self._queue: deque[Note] = deque(maxlen=NOTES_MAX)
        self.faults: dict[tuple[str, str], int] = {}
        self.dropped = 0

    def add(self, note: Note) -> None:
        """Queues one note."""
        if len(self._queue) == NOTES_MAX:
            self.dropped += 1
        self._queue.append(note)

    def fault(self, device: str, what: str, at_ns: int) -> None:
        """Counts a fault and tells it at powers of two."""
        key = (device, what)
        if key not in self.faults and len(self.faults) >= KINDS_OF_FAULT_MAX:
            key = (device, "other faults")
        count = self.faults.get(key, 0) + 1
        self.faults[key] = count
        if count & (count - 1) == 0:
            self.add(Note(NoteKind.FAULT, device, key[1], at_ns, count))

    def take(self) -> list[Note]:
        """All queued notes, oldest first; the queue is empty afterwards."""
        if not self._queue:
            return []
        taken = list(self._queue)
        self._queue.clear()
        return taken

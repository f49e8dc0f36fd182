"""The supervisor's side of the image: readings by name, events, history and notes out, commands in.

It reads a copy of the image taken under the sequence lock (`refresh`), never the image itself, and
it alone moves the read indices: after what it drained is durable.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.errors import BrokenInvariant
from controller.core.signal import Quality, Reading, Reason
from controller.field import ring
from controller.field.image import (
    COMMAND_CAPACITY,
    EVENT_CAPACITY,
    HISTORY_CAPACITY,
    NOTE_BYTES,
    NOTE_CAPACITY,
    Image,
    snapshot_of,
)
from controller.profile.plan import Plan

Rows = npt.NDArray[Any]
REFRESH_TRIES = 200
EVENTS, HISTORY = "e", "h"  # names of two rings in a record's source; the others are links' names


@dataclass(frozen=True, slots=True)
class KernelEvent:
    """One entry of the event ring; kinds and meanings are in field.ring.EventKind.

    `sequence` is its place in the ring since the generation began: 0, 1, 2, ...
    """

    sequence: int
    scan: int
    time_ns: int
    kind: int
    index: int
    a: float
    b: float


class Board:
    """One supervisor's view of one image. With a `plan`, field scans beside it: then `image` is a
    copy as of the last `refresh`; without, nobody scans while it is read, as in the rig."""

    def __init__(self, image: Image, index: Mapping[str, int], plan: Plan | None = None) -> None:
        self._live = image
        self._copy: Rows | None = None
        self.image = image
        if plan is not None:
            self.image, self._copy, self._words = snapshot_of(plan, image)
            self._spare = self._copy.copy()
        self._index = dict(index)
        self._signals = self.image.signals
        self._head = image.head
        self._event_cursor = ring.word(self._head, ring.EVENT_TAIL)
        self._note_cursors = [int(tail) for tail in image.note_rings["tail"]]
        self.refresh()

    def refresh(self) -> None:
        """Makes `image` what field has now, whole scans only.

        Waits for the end of a scan that the machine interrupted, at most REFRESH_TRIES ms. Raises
        BrokenInvariant when field stands in the middle of one: the copy is then the last whole one.
        """
        if self._copy is None:
            return
        for _ in range(REFRESH_TRIES):
            if ring.copy_locked(self._head, self._words, self._spare):
                self._copy[:] = self._spare
                return
            time.sleep(0.001)
        raise BrokenInvariant("field does not finish its scan: its image cannot be read")

    def read(self, tag: str) -> Reading:
        """The last reading of a signal; raises KeyError for an unknown one."""
        quality, reason, sample_ns, _, _, value = self._signals[self._index[tag]].item()
        return Reading(value, Quality(quality), Reason(reason), sample_ns)

    @property
    def generation(self) -> int:
        """Which field this is: a restarted one makes a new image, with the next number."""
        return int(self._head["generation"][0])

    @property
    def scan(self) -> int:
        """Scans done so far."""
        return int(self._head["scan"][0])

    @property
    def events_ready(self) -> int:
        """How many events field has put since its generation began: it changes with news."""
        return int(ring.word(self._head, ring.EVENT_HEAD))

    def beat(self, now_ns: int) -> None:
        """Tells field that the supervisor lives."""
        ring.publish(self._head, ring.BEAT_WORD, now_ns)

    def annunciate(self, level: int) -> None:
        """How loud the annunciator of an I/O board is to be, per mille; 0 is silent."""
        ring.publish(self._head, ring.ANNUNCIATE_WORD, level)

    def lost(self) -> tuple[int, int, int, int]:
        """Entries lost by full rings: events, history, inputs, notes."""
        inputs = int(self._live.input_rings["lost"].sum())
        notes = int(self._live.note_rings["lost"].sum())
        head = self._head
        return int(head["events_lost"][0]), int(head["history_lost"][0]), inputs, notes

    def left(self) -> tuple[Rows, Rows]:
        """Which causes stand latched and which outputs locked in the region itself: also there
        when the events that said so were lost, or field died inside a scan."""
        return self._live.causes["latched"] != 0, self._live.outputs["locked"] != 0

    @property
    def drained(self) -> bool:
        """Whether every event, note and released change in the rings is durable elsewhere."""
        notes = self._live.note_rings
        return (
            self.events_ready == int(self._head["event_tail"][0])
            and self.history_waiting() == 0
            and bool((notes["head"] == notes["tail"]).all())
        )

    # -- up: events, notes, history -----------------------------------------------------------

    def drain(self) -> list[KernelEvent]:
        """Events that came since the last call, oldest first."""
        end = self.events_ready
        if end == self._event_cursor:
            return []
        found = [
            KernelEvent(place, *self._live.events[place % EVENT_CAPACITY].item())
            for place in range(self._event_cursor, end)
        ]
        self._event_cursor = end
        return found

    @property
    def pending(self) -> bool:
        """Whether field has put events that were not drained yet."""
        return self.events_ready != self._event_cursor

    def take_notes(self, number: int) -> list[tuple[int, bytes]]:
        """Notes of one note ring since the last call: sequence and text, oldest first."""
        offset = number * ring.RING_BYTES + ring.RING_HEAD
        end = ring.word(self._live.note_rings, offset)
        found = []
        for place in range(self._note_cursors[number], end):
            start = place % NOTE_CAPACITY * NOTE_BYTES
            row = self._live.notes[number, start : start + NOTE_BYTES].tobytes()
            found.append((place, row[2 : 2 + int.from_bytes(row[:2], "little")]))
        self._note_cursors[number] = end
        return found

    def events_done(self) -> None:
        """Everything drained is durable: the rings may use its places again."""
        ring.publish(self._head, ring.EVENT_TAIL, self._event_cursor)
        for number, cursor in enumerate(self._note_cursors):
            offset = number * ring.RING_BYTES + ring.RING_TAIL
            ring.publish(self._live.note_rings, offset, cursor)

    def history_waiting(self) -> int:
        """Released changes that wait in the ring."""
        return int(ring.word(self._head, ring.HISTORY_HEAD)) - self.history_first

    @property
    def history_first(self) -> int:
        """Sequence of the oldest released change that waits."""
        return int(self._head["history_tail"][0])

    def history(self) -> Rows:
        """A copy of the waiting released changes, oldest first."""
        start, end = self.history_first, int(ring.word(self._head, ring.HISTORY_HEAD))
        return self._live.history[np.arange(start, end) % HISTORY_CAPACITY]

    def history_done(self, rows: int) -> None:
        """The oldest `rows` changes are durable."""
        ring.publish(self._head, ring.HISTORY_TAIL, self.history_first + rows)

    def skip(self, name: str, upto: int, note_ring: int = -1) -> None:
        """The log holds ring `name` up to sequence `upto`: it is not handed out again."""
        if name == EVENTS:
            self._event_cursor = max(self._event_cursor, upto + 1)
        elif name == HISTORY:
            self.history_done(max(upto + 1 - self.history_first, 0))
        elif note_ring >= 0:
            self._note_cursors[note_ring] = max(self._note_cursors[note_ring], upto + 1)

    # -- down: commands -----------------------------------------------------------------------

    def command(self, id_: int, verb: int, target: int, value: float, valid_until_ns: int) -> bool:
        """Queues a command for the next scan; False when the ring is full."""
        return bool(
            ring.put_command(
                self._head, self._live.commands, id_, verb, target, value, valid_until_ns
            )
        )

    def hold(self) -> None:
        """Holds the unit at the next scan, from any thread: no command, no id, no room needed."""
        ring.publish(self._head, ring.HOLD_WORD, ring.word(self._head, ring.HOLD_WORD) + 1)

    def handed_over(self, id_: int) -> bool:
        """Whether a command was ever put into this region's ring. Ids only grow."""
        head = int(self._head["command_head"][0])
        if head == 0:
            return False
        return id_ <= int(self._live.commands["id"][(head - 1) % COMMAND_CAPACITY])

"""The rings of the region: one producer and one consumer each, never blocking.

Down: commands. Up: the kernel's events and released values, each link worker's samples and notes. A
full ring loses the newest entry and counts it; the count itself becomes an event. How words are
published is in `atomic`.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from controller.field import atomic
from controller.field.image import (
    COMMAND_CAPACITY,
    EVENT_CAPACITY,
    HEAD,
    HISTORY_CAPACITY,
    INPUT_CAPACITY,
    NOTE_BYTES,
    NOTE_CAPACITY,
    RING,
    Image,
    Table,
    offset_of,
)
from controller.field.jit import at, inlined, kernel

EVENT_HEAD, EVENT_TAIL = offset_of(HEAD, "event_head"), offset_of(HEAD, "event_tail")
HISTORY_HEAD, HISTORY_TAIL = offset_of(HEAD, "history_head"), offset_of(HEAD, "history_tail")
COMMAND_HEAD, COMMAND_TAIL = offset_of(HEAD, "command_head"), offset_of(HEAD, "command_tail")
HOLD_WORD = offset_of(HEAD, "holds")
BEAT_WORD, LOCK = offset_of(HEAD, "supervisor_beat_ns"), offset_of(HEAD, "lock")
ANNUNCIATE_WORD = offset_of(HEAD, "annunciate")
RING_HEAD, RING_TAIL = offset_of(RING, "head"), offset_of(RING, "tail")
RING_BYTES = RING.itemsize
SNAPSHOT_TRIES = 1000


class EventKind(IntEnum):
    """Kinds of kernel events. `index`, `a` and `b` are per kind, see supervisor.translate."""

    CAUSE_ACTIVE = 1
    CAUSE_CLEARED = 2
    CAUSE_RESET = 3
    RESET_REFUSED = 4
    EFFECT_ON = 5
    NOT_CONFIRMED = 6
    CONFIRMED = 7
    QUALITY = 8
    ACTION = 9
    APPLIED = 10
    REFUSED = 11
    FALLBACK = 12
    RESTORED = 13
    BYPASS_SET = 14
    BYPASS_LAPSED = 15
    OVERRUN = 16
    VALIDITY = 17


class Why(IntEnum):
    """Why field refused a command."""

    EXPIRED = 1
    ALREADY_APPLIED = 2
    UNKNOWN_TARGET = 3
    OUT_OF_RANGE = 4
    KEEPS_CELLS_ALIVE = 5
    NOT_POSSIBLE = 6


# -- the kernel's ends --------------------------------------------------------------------------


@kernel
def put_event(head: Table, events: Table, kind: int, index: int, a: float, b: float) -> None:
    """Puts one event in the ring and marks the scan as urgent for the supervisor."""
    state = head[0]
    state.urgent = 1
    place = state.event_head
    if place - atomic.load(head, EVENT_TAIL) >= EVENT_CAPACITY:
        state.events_lost += 1
        return
    event = events[at(place % EVENT_CAPACITY)]
    event.scan = state.scan
    event.time_ns = state.now_ns
    event.kind = kind
    event.index = index
    event.a = a
    event.b = b
    atomic.store(head, EVENT_HEAD, place + 1)


@inlined
def emit(image: Image, kind: int, index: int, a: float, b: float) -> None:
    """Calls `put_event`: events are rare, and their code in every hot loop makes those slower."""
    put_event(image.head, image.events, kind, index, a, b)


@inlined
def remember(image: Image, output: int, value: float, cause: int) -> None:
    """Puts one released change of an output in the history ring."""
    head = image.head[0]
    place = head.history_head
    if place - atomic.load(image.head, HISTORY_TAIL) >= HISTORY_CAPACITY:
        head.history_lost += 1
        return
    row = image.history[at(place % HISTORY_CAPACITY)]
    row.scan = head.scan
    row.output = output
    row.cause = cause
    row.value = value
    atomic.store(image.head, HISTORY_HEAD, place + 1)


# -- a worker's ends ----------------------------------------------------------------------------


@kernel
def put_sample(
    rings: Table, inputs: Table, link: int, point: int, value: float, quality: int, reason: int,
    sample_ns: int,
) -> bool:  # fmt: skip
    """Queues one sample in a link's input ring; False and counted when it is full."""
    place = rings[link].head
    if place - atomic.load(rings, link * RING_BYTES + RING_TAIL) >= INPUT_CAPACITY:
        rings[link].lost += 1
        return False
    row = inputs[link, place % INPUT_CAPACITY]
    row.point = point
    row.quality = quality
    row.reason = reason
    row.sample_ns = sample_ns
    row.value = value
    atomic.store(rings, link * RING_BYTES + RING_HEAD, place + 1)
    return True


@kernel
def put_note(rings: Table, notes: Table, number: int, text: Table) -> bool:
    """Queues one note's bytes (u1, its length at most NOTE_BYTES - 2); False when it is full."""
    place = rings[number].head
    if place - atomic.load(rings, number * RING_BYTES + RING_TAIL) >= NOTE_CAPACITY:
        rings[number].lost += 1
        return False
    start = place % NOTE_CAPACITY * NOTE_BYTES
    notes[number, start] = len(text) & 0xFF
    notes[number, start + 1] = len(text) >> 8
    for index in range(len(text)):
        notes[number, start + 2 + index] = text[index]
    atomic.store(rings, number * RING_BYTES + RING_HEAD, place + 1)
    return True


class InputRing:
    """The producer's end of one link's input ring (one link worker, nobody else)."""

    def __init__(self, image: Image, link: int) -> None:
        self._rings, self._inputs, self._link = image.input_rings, image.inputs, link

    def push(self, point: int, value: float, quality: int, reason: int, sample_ns: int) -> bool:
        """Queues one sample; False and counted when the ring is full."""
        return put_sample(
            self._rings, self._inputs, self._link, point, value, quality, reason, sample_ns
        )


class NoteRing:
    """The producer's end of one note ring: a link's worker, or field's main thread (the last)."""

    def __init__(self, image: Image, number: int) -> None:
        self._rings, self._notes, self._number = image.note_rings, image.notes, number

    def put(self, text: bytes) -> bool:
        """Queues one note; False and counted when the ring is full or the note too long."""
        if len(text) > NOTE_BYTES - 2:
            self._rings["lost"][self._number] += 1
            return False
        found = np.frombuffer(text, np.uint8)
        return bool(put_note(self._rings, self._notes, self._number, found))


# -- the supervisor's ends ----------------------------------------------------------------------


@kernel
def word(table: Table, offset: int) -> int:
    """A shared word, before anything that is read after it."""
    return int(atomic.load(table, offset))


@kernel
def publish(table: Table, offset: int, value: int) -> None:
    """Writes a shared word, after everything that was written before it."""
    atomic.store(table, offset, value)


@kernel
def put_command(
    head: Table, commands: Table, id_: int, verb: int, target: int, value: float, until_ns: int
) -> bool:
    """Queues a command for the next scan; False when the ring is full."""
    place = head[0].command_head
    if place - atomic.load(head, COMMAND_TAIL) >= COMMAND_CAPACITY:
        return False
    row = commands[place % COMMAND_CAPACITY]
    row.id = id_
    row.verb = verb
    row.target = target
    row.valid_until_ns = until_ns
    row.value = value
    atomic.store(head, COMMAND_HEAD, place + 1)
    return True


@kernel
def copy_locked(head: Table, words: Table, copy: Table) -> bool:
    """Copies the words under the sequence lock; False, with nothing promised, if it never rests.

    `words` and `copy` are int64 of equal length. The writer holds the lock for one scan, some
    microseconds in each period.
    """
    for _ in range(SNAPSHOT_TRIES):
        before = atomic.load(head, LOCK)
        if before % 2 == 0:
            for index in range(len(copy)):
                copy[index] = words[index]
            atomic.fence_acquire()
            if atomic.load(head, LOCK) == before:
                return True
    return False

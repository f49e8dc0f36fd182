"""What the kernel says: the event ring and the history ring, single producer, never blocking.

A full ring loses the newest entry and counts it; the count itself becomes an event.
"""

from __future__ import annotations

from enum import IntEnum

from controller.field.image import EVENT_CAPACITY, HISTORY_CAPACITY, Image
from controller.field.jit import inlined


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


class Why(IntEnum):
    """Why field refused a command."""

    EXPIRED = 1
    ALREADY_APPLIED = 2
    UNKNOWN_TARGET = 3
    OUT_OF_RANGE = 4
    KEEPS_CELLS_ALIVE = 5
    NOT_POSSIBLE = 6


@inlined
def emit(image: Image, kind: int, index: int, a: float, b: float) -> None:
    """Puts one event in the ring and marks the scan as urgent for the supervisor."""
    head = image.head[0]
    head.urgent = 1
    if head.event_head - head.event_tail >= EVENT_CAPACITY:
        head.events_lost += 1
        return
    event = image.events[head.event_head % EVENT_CAPACITY]
    event.scan = head.scan
    event.time_ns = head.now_ns
    event.kind = kind
    event.index = index
    event.a = a
    event.b = b
    head.event_head += 1


@inlined
def remember(image: Image, output: int, value: float, cause: int) -> None:
    """Puts one released change of an output in the history ring."""
    head = image.head[0]
    if head.history_head - head.history_tail >= HISTORY_CAPACITY:
        head.history_lost += 1
        return
    row = image.history[head.history_head % HISTORY_CAPACITY]
    row.scan = head.scan
    row.output = output
    row.cause = cause
    row.value = value
    head.history_head += 1

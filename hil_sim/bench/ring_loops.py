"""Compiled ends of the region's rings, as fast as they go: what the kernel does, in a loop.

Every entry carries its number and, beside it, a value made from that number; the reader counts
what is lost or torn. A loop looks in vain at most `waits_max`
times, and says so.
"""

from __future__ import annotations

from controller.field import atomic
from controller.field.image import COMMAND_CAPACITY, EVENT_CAPACITY, INPUT_CAPACITY, Table
from controller.field.jit import kernel
from controller.field.ring import (
    COMMAND_HEAD,
    COMMAND_TAIL,
    EVENT_HEAD,
    EVENT_TAIL,
    RING_HEAD,
    RING_TAIL,
    put_command,
    put_event,
    put_sample,
)


@kernel
def put_events(head: Table, events: Table, count: int, waits_max: int) -> int:
    """Puts events as long as there is room; returns how many."""
    waits = 0
    for number in range(count):
        while number - atomic.load(head, EVENT_TAIL) >= EVENT_CAPACITY:
            waits += 1
            if waits > waits_max:
                return number
        put_event(head, events, number, number, number * 2.0, number * 3.0)
    return count


@kernel
def take_events(head: Table, events: Table, count: int, waits_max: int) -> int:
    """Takes events; returns how many were not what they should be, -1 when none came."""
    bad = waits = done = 0
    while done < count:
        end = atomic.load(head, EVENT_HEAD)
        if end == done:
            waits += 1
            if waits > waits_max:
                return -1
            continue
        for number in range(done, end):
            row = events[number % EVENT_CAPACITY]
            if row.index != number or row.a != number * 2.0 or row.b != number * 3.0:
                bad += 1
        done = end
        atomic.store(head, EVENT_TAIL, done)
    return bad


@kernel
def put_samples(rings: Table, inputs: Table, count: int, waits_max: int) -> int:
    """Queues samples in ring 0 as long as there is room; returns how many."""
    waits = 0
    for number in range(count):
        while number - atomic.load(rings, RING_TAIL) >= INPUT_CAPACITY:
            waits += 1
            if waits > waits_max:
                return number
        put_sample(rings, inputs, 0, number, number * 2.0, 0, 0, number)
    return count


@kernel
def take_samples(rings: Table, inputs: Table, count: int, waits_max: int) -> int:
    """Takes samples of ring 0; as `take_events`."""
    bad = waits = done = 0
    while done < count:
        end = atomic.load(rings, RING_HEAD)
        if end == done:
            waits += 1
            if waits > waits_max:
                return -1
            continue
        for number in range(done, end):
            row = inputs[0, number % INPUT_CAPACITY]
            if row.point != number or row.sample_ns != number or row.value != number * 2.0:
                bad += 1
        done = end
        atomic.store(rings, RING_TAIL, done)
    return bad


@kernel
def put_commands(head: Table, commands: Table, count: int, waits_max: int) -> int:
    """Queues commands as long as there is room; returns how many."""
    waits = number = 0
    while number < count:
        if put_command(head, commands, number, number, number, number * 2.0, number):
            number += 1
        else:
            waits += 1
            if waits > waits_max:
                return number
    return count


@kernel
def take_commands(head: Table, commands: Table, count: int, waits_max: int) -> int:
    """Takes commands; as `take_events`."""
    bad = waits = done = 0
    while done < count:
        end = atomic.load(head, COMMAND_HEAD)
        if end == done:
            waits += 1
            if waits > waits_max:
                return -1
            continue
        for number in range(done, end):
            row = commands[number % COMMAND_CAPACITY]
            if row.id != number or row.valid_until_ns != number or row.value != number * 2.0:
                bad += 1
        done = end
        atomic.store(head, COMMAND_TAIL, done)
    return bad

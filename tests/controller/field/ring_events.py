"""Events of the ring stress, both ends: as they are, and as mutants that break one rule each.

Apart from `ring_stress` for its length; the checksums of every other message are here as well.
"""

from __future__ import annotations

from numba import types

from controller.field import atomic
from controller.field.image import EVENT_CAPACITY
from controller.field.jit import inlined, kernel
from controller.field.ring import EVENT_HEAD, EVENT_TAIL, put_event
from controller.field.views import image_at

RESTS = 40  # calls of the system between two scans: the reader must get its turn
TAKEN_AWAY = 3_000  # the same, of a process that is interrupted for a millisecond
EXACT = (1 << 52) - 1  # so much of a checksum fits into a float

give_way = types.ExternalFunction("sched_yield", types.int32())


@inlined
def mix(number):
    """A number that looks like another one for every input; not negative."""
    found = number * 0x2545F4914F6CDD1D & 0x7FFFFFFFFFFFFFF
    return found ^ (found >> 29)


@inlined
def sum_of(one, two, three, four):
    """A checksum over four words that is exact in a float."""
    return mix(one ^ (two << 1) ^ (three << 2) ^ (four << 3)) & EXACT


@kernel
def put_events(handles, count):
    image = image_at(handles)
    head = image.head[0]
    for number in range(count):
        while head.event_head - atomic.load(image.head, EVENT_TAIL) >= EVENT_CAPACITY:
            give_way()
        value = mix(number)
        head.scan, head.now_ns = number, value
        kind, index = value & 15, (value >> 8) & 0xFFFF
        check = sum_of(number, value, kind, index)
        put_event(image.head, image.events, kind, index, float(check), float(number & 0xFFFF))
    return head.events_lost


@kernel
def put_events_head_first(handles, count):
    """A mutant: what `put_event` does, but the head is published before the row is written."""
    image = image_at(handles)
    head = image.head[0]
    for number in range(count):
        while head.event_head - atomic.load(image.head, EVENT_TAIL) >= EVENT_CAPACITY:
            give_way()
        value = mix(number)
        kind, index = value & 15, (value >> 8) & 0xFFFF
        place = head.event_head
        atomic.store(image.head, EVENT_HEAD, place + 1)
        atomic.fence_release()
        if number % 1024 == 0:
            for _ in range(RESTS):
                give_way()  # an interruption just there
        event = image.events[place % EVENT_CAPACITY]
        event.scan, event.time_ns, event.kind, event.index = number, value, kind, index
        event.a, event.b = float(sum_of(number, value, kind, index)), float(number & 0xFFFF)
    return 0


@kernel
def take_events(handles, count, bad):
    image = image_at(handles)
    place = atomic.load(image.head, EVENT_TAIL)
    while place < count:
        end = atomic.load(image.head, EVENT_HEAD)
        if end == place:
            give_way()
        while place < end:
            row = image.events[place % EVENT_CAPACITY]
            check = sum_of(row.scan, row.time_ns, row.kind, row.index)
            bad[0] += int(row.a != float(check) or row.b != float(row.scan & 0xFFFF))
            bad[1] += int(row.scan != place)
            place += 1
        atomic.store(image.head, EVENT_TAIL, place)


@kernel
def take_events_tail_first(handles, count, bad):
    """A mutant: places are given back before their rows are read."""
    image = image_at(handles)
    place = atomic.load(image.head, EVENT_TAIL)
    while place < count:
        end = atomic.load(image.head, EVENT_HEAD)
        if end == place:
            give_way()
        atomic.store(image.head, EVENT_TAIL, end)
        for _ in range(TAKEN_AWAY):
            give_way()
        while place < end:
            row = image.events[place % EVENT_CAPACITY]
            check = sum_of(row.scan, row.time_ns, row.kind, row.index)
            bad[0] += int(row.a != float(check) or row.b != float(row.scan & 0xFFFF))
            bad[1] += int(row.scan != place)
            place += 1

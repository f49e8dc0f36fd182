"""A device that does not show what was written is said, and said once, not with every value."""

from __future__ import annotations

import pytest

from controller.field.links.note import NoteKind
from controller.field.links.writes import CALM_NS, Order, WriteBook
from controller.units import find_unit, load_unit

S = 1_000_000_000


class Heard:
    def __init__(self):
        self.notes = []

    def add(self, note):
        self.notes.append(note)

    def counts(self):
        return [note.count for note in self.notes if note.kind is NoteKind.MISMATCH]


@pytest.fixture
def book():
    links = load_unit(find_unit("perfusion_2l"))[0].links
    device, plan = next((device, write) for link in links if link.name == "gas_bus"
                        for device in link.devices for write in device.writes)  # fmt: skip
    heard = Heard()
    order = Order(plan, 0)
    return WriteBook([order], [device.name], heard), order, heard


def write(book, order, value, found, now):
    """A value leaves, and the device shows another (or the same) three retries later."""
    book.put(order.plan.output, value, False, now)
    book.left(order, now, b"")
    while not book.step_done(order):
        pass
    later = now + 3 * order.plan.retry_ns
    book.check(order, order.raw + found, later, later)


def test_a_device_that_follows_no_value_is_said_ever_more_rarely_with_the_count(book):
    made, order, heard = book
    for number in range(64):
        write(made, order, 10.0 + number, 50 * order.plan.tolerance + 1, number * S)
    assert heard.counts() == [1, 2, 4, 8, 16, 32, 64]


def test_one_that_flaps_is_no_new_finding_and_one_after_a_minute_in_order_is(book):
    made, order, heard = book
    for number in range(16):
        wrong = 50 * order.plan.tolerance + 1 if number % 2 == 0 else 0.0
        write(made, order, 10.0 + number, wrong, number * S)
    assert heard.counts() == [1, 2, 4, 8]
    write(made, order, 5.0, 50 * order.plan.tolerance + 1, 20 * S + CALM_NS)
    assert heard.counts() == [1, 2, 4, 8, 1]

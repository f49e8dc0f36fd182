"""What is known of an I/O board after a silence, and of one that is not armed: nothing invented,
nothing left out."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from board_room import ON, BoardRoom
from kernel_bench import MS

from controller.core.signal import Quality
from controller.field.links.note import NoteKind
from controller.field.ring import EventKind
from firmware_bridge import table as rows
from firmware_bridge.codes import EVENTS_KEPT, ResetReason
from firmware_bridge.session import Session


@pytest.fixture
def room():
    found = BoardRoom()
    found.run_in()
    return found


class Heard:
    """Stands before the ring of a link and keeps what goes into it."""

    def __init__(self, ring):
        self._ring, self.samples = ring, []

    def push(self, signal, value, quality, reason, sample_ns):
        self.samples.append((signal, value, quality))
        self._ring.push(signal, value, quality, reason, sample_ns)


def silence(room, seconds):
    room.scanning, room.cut = False, True
    room.run(seconds)
    room.scanning, room.cut = True, False
    room.start_host()


def test_a_trip_while_no_host_was_there_is_told_with_the_boards_own_time(room):
    room.scanning, room.cut = False, True
    room.run(1)
    room.fields["PT101"], high_ns = 5.0, room.now
    room.run(2)
    room.fields["PT101"] = 1.0
    room.run(17)
    room.scanning, room.cut = True, False
    room.start_host()
    room.run(6)
    assert room.latched("6")
    [trip] = [each for each in room.told_of("board.trip") if each["row"] == "6"]
    assert 0 <= trip["at_ns"] - high_ns <= 600_000_000
    assert trip["first_out"] == 0


def test_events_the_board_had_no_more_are_told_with_their_number(room):
    for _ in range(4):
        room.cut = True
        room.run(6)
        room.cut = False
        room.run(0.5)
    head = room.core.events_head
    silence(room, 20)
    gone = room.core.events_head - EVENTS_KEPT  # the ARM before the reading makes it one more
    room.notes.clear()
    room.run(3)
    [lost] = room.told_of("board.events_lost")
    assert 0 < gone <= lost["count"] <= gone + 2 > head - EVENTS_KEPT
    assert (lost["number"], lost["boot_id"]) == (lost["count"] - 1, 1)


def other(table):
    """The same rows over a transmitter of another span."""
    found = rows.Table.split(table)
    analog = tuple(dataclasses.replace(each, offset=each.offset + 7.0) for each in found.analog)
    return dataclasses.replace(found, analog=analog).join()


def test_what_a_board_shows_under_another_table_is_never_a_value():
    room = BoardRoom()
    strange = other(room.plan.table)
    room.link.session = Session(hashlib.sha256(strange).digest(), strange, room.known, room.now,
                                200_000_000)  # fmt: skip
    room.run(3)
    room.trip_ns = 20 * MS  # the right table takes longer to load than a STATUS to come
    room.start_host()
    heard = room.link._inputs = Heard(room.link._inputs)
    signal = next(signal for place, signal in room.plan.analog if place == 1)
    room.run(5)
    good = [value for number, value, quality in heard.samples
            if number == signal and quality == int(Quality.GOOD)]  # fmt: skip
    assert good
    assert good == pytest.approx([37.0] * len(good), abs=0.05)


def test_a_board_that_refuses_its_table_stays_silent_and_says_so_ever_more_rarely(room):
    no_table = b"CWT1" + bytes(200)
    room.link.session = Session(hashlib.sha256(no_table).digest(), no_table, room.known, room.now,
                                200_000_000)  # fmt: skip
    room.link._silent("no answer", 0, room.now)
    room.notes.clear()
    room.seen.clear()
    room.run(90)
    said = room.told_of("board.refused")
    assert 3 <= len(said) <= 6
    assert "Activate" in said[0]["why"]
    assert not [note for note in room.notes if note.kind is NoteKind.RESTORED]
    assert len(room.told(EventKind.CAUSE_ACTIVE, "20.io")) == 1
    assert room.driven & ON == ON


def test_heat_and_gas_come_back_from_a_cold_board_without_a_person(room):
    room.core = type(room.core)()
    room.boot(ResetReason.POWER_UP)
    room.run(5)
    assert room.driven == ON
    assert room.latched("io.lapse")

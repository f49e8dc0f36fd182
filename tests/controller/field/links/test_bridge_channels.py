"""What the host commands of a board's channels, and when again: pure, time is passed in."""

from __future__ import annotations

import math

import pytest

from controller.field.links.bridge_channels import Channels
from controller.field.links.note import NoteKind, Notes
from controller.profile.link_plan import ChannelPlan
from firmware_bridge.codes import Nak
from firmware_bridge.messages import Command, Status, Write

MS, S = 1_000_000, 1_000_000_000
FEED, WASTE, HEADER, HORN = 0, 1, 4, 7
OUTPUTS = {11: FEED, 12: WASTE, 10: HEADER}


@pytest.fixture
def line():
    return Line()


class Line:
    """The channels and what they gave to the session."""

    def __init__(self):
        self.notes = Notes()
        plans = [ChannelPlan(number, output, 1.0, 5000, f"xv{number}", number < 2, -1)
                 for output, number in OUTPUTS.items()]  # fmt: skip
        plans.append(ChannelPlan(HORN, -1, 10.0, 2000, "annunciator", False, -1))
        self.channels = Channels(plans, "io", self.notes)
        self.sent = []

    def go(self, now_ns=0, latched=0, flags_ns=2**62):
        """What leaves: [(channels with values, safe)]."""
        self.sent = []
        self.channels.hand_over(self._take, latched, flags_ns, now_ns)
        return self.sent

    def _take(self, writes, safe):
        self.sent.append(({number: value for number, (value, _) in writes.items()}, safe))
        self.last = Command(tuple(Write(n, v, lease) for n, (v, lease) in writes.items()))
        return True

    def ack(self, at_us=10, now_ns=0):
        self.channels.acked(self.last, at_us, now_ns)

    def kinds(self):
        return [(note.kind, note.output) for note in self.notes.take()]


def status(at_us, driven=0, wished=None, latched=0, pwm=0):
    wish = driven if wished is None else wished
    return Status(1, at_us, 0, 6, 0, driven, wish, pwm, latched, 0, (), b"")


def test_safe_values_leave_first_and_by_themselves(line):
    line.channels.put(10, 1.0, False, 0)
    line.channels.put(11, 0.0, True, 0)
    assert line.go() == [({FEED: 0}, True), ({HEADER: 1}, False)]
    assert line.go() == []


def test_what_is_not_safe_waits_for_the_flags_of_its_scan(line):
    line.channels.put(11, 1.0, False, 100)
    assert line.go(flags_ns=99) == []
    assert line.go(flags_ns=100) == [({FEED: 1}, False)]


def test_a_latched_channel_is_left_alone_but_for_safe_values(line):
    line.channels.put(11, 1.0, False, 0)
    line.channels.put(10, 1.0, False, 0)
    assert line.go(latched=1 << FEED) == [({HEADER: 1}, False)]
    line.channels.put(11, 0.0, True, 0)
    assert line.go(latched=1 << FEED) == [({FEED: 0}, True)]


def test_the_same_value_goes_once_but_a_safe_one_each_time_a_row_asks(line):
    line.channels.put(11, 0.0, False, 0)
    line.go()
    line.channels.put(11, 0.0, False, 0)
    assert line.go() == []
    for _ in range(2):
        line.channels.put(11, 0.0, True, 0)
        assert line.go() == [({FEED: 0}, True)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 2.0, 0.5])
def test_what_is_no_value_of_a_valve_is_told_and_not_sent(line, value):
    line.channels.put(11, value, True, 0)
    assert line.go() == []
    assert line.kinds() == [(NoteKind.REFUSED, 11)]


def test_an_output_of_another_link_is_an_error(line):
    with pytest.raises(KeyError):
        line.channels.put(3, 0.0, True, 0)


def test_a_new_session_and_a_lapse_send_it_again(line):
    line.channels.put(10, 1.0, False, 0)
    line.go()
    line.channels.again()
    assert line.go() == [({HEADER: 1}, False)]
    line.channels.one_again(HEADER)
    assert line.go() == [({HEADER: 1}, False)]
    assert line.go() == []


def test_a_refused_channel_is_tried_again_after_a_rest_and_the_others_are_not_held_up(line):
    line.channels.put(11, 1.0, False, 0)
    line.channels.put(10, 1.0, False, 0)
    line.go()
    line.channels.refused(line.last, Nak.LATCHED, FEED, 0)
    assert line.go(now_ns=999 * MS) == []
    assert line.go(now_ns=S) == [({FEED: 1}, False)]


def test_a_safe_write_is_told_when_the_board_took_it_and_when_the_pin_shows_it(line):
    line.channels.put(11, 1.0, False, 0)
    line.go()
    line.ack(10)
    line.channels.check(status(11, driven=1), 0)
    line.kinds()
    line.channels.put(11, 0.0, True, 0)
    line.go()
    line.ack(20)
    assert line.kinds() == [(NoteKind.SENT, 11)]
    line.channels.check(status(19, driven=1), 0)  # older than the answer
    assert line.kinds() == []
    line.channels.check(status(21, driven=0), 0)
    assert line.kinds() == [(NoteKind.CONFIRMED, 11)]


def test_another_wish_on_the_board_is_told_and_corrected(line):
    line.channels.put(10, 1.0, False, 0)
    line.go()
    line.ack(10)
    line.kinds()
    line.channels.check(status(20, driven=0, wished=0), 0)
    note = line.notes.take()[-1]
    assert (note.kind, note.output, note.value, note.found) == (NoteKind.MISMATCH, 10, 1.0, 0.0)
    assert line.go() == [({HEADER: 1}, False)]


def test_a_channel_a_row_holds_on_the_board_is_no_mismatch(line):
    line.channels.put(10, 1.0, False, 0)
    line.go()
    line.ack(10)
    line.kinds()
    line.channels.check(status(20, driven=0, wished=1 << HEADER), 0)
    assert line.go() == []
    assert line.kinds() == []


def test_the_horn_follows_its_level_and_says_nothing(line):
    line.channels.level(HORN, 300)
    assert line.go() == [({HORN: 300}, False)]
    line.ack(10)
    line.channels.check(status(20, pwm=300), 0)
    line.channels.level(HORN, 300)
    assert line.go() == []
    assert line.kinds() == []

"""Sessions, sequence numbers, replays and every NAK code: a request acts once or not at all."""

from __future__ import annotations

from itertools import pairwise

import pytest
from board_alone import BUBBLE, FLOW, GAS, LIQUID, Host, good, kinds, pins, plant, ready, said

from firmware_bridge import frames
from firmware_bridge.codes import EVENTS_KEPT, Nak, Quality, Type
from firmware_bridge.messages import (
    SCHEMA,
    Ack,
    Beat,
    Command,
    Events,
    EventsList,
    Given,
    Hello,
    Open,
    Status,
    TableBegin,
    TableBytes,
    TableData,
    TableRead,
    Write,
)
from firmware_bridge.native_board import image

OPEN_GAS = Command((Write(GAS, 1, 1000),)).pack()


def test_hello_says_who_the_board_is_and_changes_nothing_else() -> None:
    host = ready()
    before, first = host.board.status(), host.board.events_head
    session = host.session
    identity = host.hello()
    assert identity.schema == SCHEMA
    assert identity.image == image()
    assert (identity.boot_id, identity.reset_reason) == (1, 0)
    assert identity.table_bytes_max == 1_856
    assert host.session not in (0, session)
    assert host.board.status() == before
    assert host.board.events_head == first
    host.session = session
    assert host.command((GAS, 1, 1000)) is None, "the open session goes on"


def test_every_hello_gets_another_session_number() -> None:
    host, seen = Host(), set()
    for _ in range(100):
        host.hello()
        seen.add(host.session)
    assert len(seen) == 100
    assert 0 not in seen


def test_a_session_that_is_over_is_not_heard() -> None:
    host = ready()
    old, sequence = host.session, host.sequence
    host.open()
    dropped = host.board.dropped()
    for number in range(sequence, sequence + 3):
        assert host.send(Type.COMMAND, old, number, OPEN_GAS) == []
    assert host.board.dropped() == dropped + 3
    host.board.passes(2)
    assert pins(host, [GAS]) == [0]


def test_open_of_a_number_that_is_not_pending_is_refused() -> None:
    host = ready()
    host.session += 7
    host.sequence = 0
    assert host.ask(Type.OPEN, Open()) is Nak.SESSION


def test_open_with_another_sequence_than_one_is_refused_and_the_number_stays_pending() -> None:
    host = Host()
    host.hello()
    (frame,) = host.send(Type.OPEN, host.session, 2, b"")
    assert said(frame) == (Nak.SEQUENCE, 0)
    (frame,) = host.send(Type.OPEN, host.session, 1, b"x")
    assert said(frame) == (Nak.LENGTH, 1)
    (frame,) = host.send(Type.OPEN, host.session, 1, b"")
    assert said(frame) == (None, 0)


def test_a_repeated_request_is_answered_with_the_same_bytes_and_acts_once() -> None:
    host = ready()
    host.sequence += 1
    (once,) = host.send(Type.COMMAND, host.session, host.sequence, OPEN_GAS)
    host.board.passes(1)
    assert pins(host, [GAS]) == [1]
    until = host.board.now_us
    host.wait(900)
    (again,) = host.send(Type.COMMAND, host.session, host.sequence, OPEN_GAS)
    assert again == once
    assert Ack.unpack(again.payload).time_us <= until
    first = host.board.events_head
    host.wait(150)
    assert kinds(host, first) == ["LAPSED"], "the repetition renewed no lease"


def test_a_repeated_refusal_is_the_same_refusal_even_if_it_could_be_done_now() -> None:
    host = ready(clear=False)
    refused = Command((Write(LIQUID, 1, 100),)).pack()
    assert host.answer(Type.COMMAND, refused) == (Nak.LATCHED, LIQUID)
    number = host.sequence
    assert host.clear(1) is None
    (frame,) = host.send(Type.COMMAND, host.session, number, refused)
    assert said(frame) == (Nak.SEQUENCE, host.sequence), "it is not the last one any more"
    assert host.answer(Type.COMMAND, Command((Write(9, 1, 100),)).pack()) == (Nak.CHANNEL, 9)
    (frame,) = host.send(Type.COMMAND, host.session, host.sequence, refused)
    assert said(frame) == (Nak.CHANNEL, 9)


@pytest.mark.parametrize("off", [-2, -1, 2, 3, 32_768])
def test_another_sequence_than_the_next_is_refused_and_does_not_act(off: int) -> None:
    host = ready()
    number = (host.sequence + off) % 65_536
    (frame,) = host.send(Type.COMMAND, host.session, number, OPEN_GAS)
    assert said(frame) == (Nak.SEQUENCE, host.sequence)
    host.board.passes(2)
    assert pins(host, [GAS]) == [0]


def test_sequence_numbers_go_on_over_65535() -> None:
    host = ready()
    for _ in range(65_530):
        host.sequence = (host.sequence + 1) % 65_536
        beat = Beat(host.sequence, 0, ()).pack()
        host.board.receive(frames.encode(Type.BEAT, host.session, host.sequence, beat), 0)
        host.board.transmit()
    assert host.sequence < 100
    assert host.command((GAS, 1, 1000)) is None


def test_a_request_that_only_read_is_read_again_but_its_number_never_acts() -> None:
    host = ready()
    host.sequence += 1
    ask = Events(0).pack()
    (frame,) = host.send(Type.EVENTS, host.session, host.sequence, ask)
    host.board.set_digital(0, True)
    host.board.passes(3)
    (again,) = host.send(Type.EVENTS, host.session, host.sequence, ask)
    assert EventsList.unpack(again.payload).head > EventsList.unpack(frame.payload).head
    (frame,) = host.send(Type.COMMAND, host.session, host.sequence, OPEN_GAS)
    assert said(frame) == (Nak.SEQUENCE, host.sequence)


def test_another_version_another_schema_and_a_wrong_length_are_refused_in_words() -> None:
    host = Host()
    (frame,) = host.send(Type.HELLO, 0, 5, Hello(SCHEMA).pack(), version=2)
    assert (said(frame), frame.session, frame.sequence) == ((Nak.VERSION, 1), 0, 5)
    (frame,) = host.send(Type.HELLO, 0, 6, Hello(bytes(8)).pack())
    assert (said(frame), frame.session) == ((Nak.SCHEMA, 0), 0)
    (frame,) = host.send(Type.HELLO, 0, 7, SCHEMA + b"x")
    assert said(frame) == (Nak.LENGTH, 9)


@pytest.mark.parametrize(
    ("type_", "payload", "code", "detail"),
    [
        (0x0D, b"", Nak.TYPE, 0x0D),
        (0x00, b"", Nak.TYPE, 0),
        (Type.HELLO, Hello(SCHEMA).pack(), Nak.TYPE, 1),
        (Type.ACK, bytes(8), Nak.TYPE, 0x42),
        (Type.COMMAND, b"", Nak.LENGTH, 0),
        (Type.COMMAND, bytes(6), Nak.LENGTH, 6),
        (Type.COMMAND, b"\x02" + bytes(5), Nak.LENGTH, 6),
        (Type.COMMAND, b"\x09" + bytes(40), Nak.LENGTH, 41),
        (Type.BEAT, bytes(8), Nak.LENGTH, 8),
        (Type.BEAT, bytes(8) + b"\x01", Nak.LENGTH, 9),
        (Type.BEAT, bytes(8) + b"\x12" + bytes(221), Nak.LENGTH, 230),
        (Type.RESET, bytes(2), Nak.LENGTH, 2),
        (Type.CLEAR, bytes(1), Nak.LENGTH, 1),
        (Type.EVENTS, bytes(5), Nak.LENGTH, 5),
        (Type.RESET, b"\x03", Nak.ROW, 3),
        (Type.CLEAR, b"\x00\x01", Nak.CHANNEL, 8),
        (Type.BEAT, Beat(1, 0, (good(BUBBLE, 1.0),)).pack(), Nak.SIGNAL, BUBBLE),
        (Type.BEAT, Beat(1, 0, (good(4, 1.0),)).pack(), Nak.SIGNAL, 4),
        (Type.BEAT, Beat(1, 0, (Given(FLOW, 3, 0, 0, 1.0),)).pack(), Nak.SIGNAL, FLOW),
        (Type.BEAT, Beat(1, 1, ()).pack(), Nak.BYPASS, 0),
        (Type.BEAT, Beat(1, 8, ()).pack(), Nak.ROW, 3),
        (Type.TABLE_BEGIN, TableBegin(100, bytes(32)).pack(), Nak.ARMED, 0),
        (Type.TABLE_DATA, TableData(0, b"x").pack(), Nak.ARMED, 0),
        (Type.TABLE_READ, TableRead(0, 1).pack(), Nak.ARMED, 0),
        (Type.TABLE_ACTIVATE, bytes(32), Nak.ARMED, 0),
        (Type.ARM, bytes(33), Nak.TABLE_DIGEST, 0),
    ],
)
def test_a_wrong_request_is_named_and_changes_nothing(
    type_: int, payload: bytes, code: Nak, detail: int
) -> None:
    host = ready()
    before, first = host.board.status(), host.board.events_head
    assert host.answer(type_, payload) == (code, detail)
    assert host.board.status() == before
    assert host.board.events_head == first


@pytest.mark.parametrize("type_", [Type.COMMAND, Type.BEAT, Type.RESET, Type.CLEAR])
def test_nothing_acts_before_it_is_armed(type_: Type) -> None:
    host = Host()
    host.open()
    host.load(plant().join())
    payload = {
        Type.COMMAND: OPEN_GAS, Type.BEAT: bytes(9), Type.RESET: b"\0", Type.CLEAR: b"\1\0"
    }[type_]  # fmt: skip
    assert host.answer(type_, payload) == (Nak.NOT_ARMED, 0)


def test_a_row_is_reset_only_when_its_cause_is_gone_and_its_signals_are_good() -> None:
    host = ready()
    host.board.set_digital(0, True)
    host.board.passes(3)
    assert host.answer(Type.RESET, b"\x00") == (Nak.STANDS, 0)
    host.board.set_digital(0, False)
    host.board.passes(3)
    host.live(10, Given(FLOW, int(Quality.BAD), 6, 0, 0.0))
    assert host.answer(Type.RESET, b"\x02") == (Nak.STANDS, 2), "its vote is reached by bad signals"
    assert host.answer(Type.RESET, b"\x00") == (None, 0)
    assert host.board.status().rows[0] == 0


def test_a_frame_split_into_single_bytes_and_noise_between_frames_are_taken() -> None:
    host = ready()
    host.sequence += 1
    data = frames.encode(Type.COMMAND, host.session, host.sequence, OPEN_GAS)
    host.board.receive(b"\x05noise" + b"\x00", host.board.now_us)
    for byte in data:
        host.board.receive(bytes([byte]), host.board.now_us)
    host.board.passes(1)
    assert pins(host, [GAS]) == [1]
    assert host.board.dropped() == 1


def test_bytes_taken_in_small_pieces_are_the_same_bytes() -> None:
    pieces = []
    for room in (1_024, 1, 7):
        host = ready()
        host.board.receive(frames.encode(Type.HELLO, 0, 1, Hello(SCHEMA).pack()), 0)
        taken = b""
        while piece := host.board.transmit(room):
            assert len(piece) <= room
            taken += piece
        pieces.append(taken)
    assert pieces[0] == pieces[1] == pieces[2]
    assert len(pieces[0]) > 100


def test_what_is_read_back_is_what_was_staged() -> None:
    host, table = Host(), plant().join()
    host.open()
    host.load(table)
    host.sequence += 1
    (frame,) = host.send(Type.TABLE_READ, host.session, host.sequence, TableRead(16, 200).pack())
    assert TableBytes.unpack(frame.payload) == TableBytes(16, table[16:216])
    assert host.answer(Type.TABLE_READ, TableRead(200, 200).pack()) == (
        Nak.TABLE_SIZE, len(table),
    )  # fmt: skip
    assert host.answer(Type.TABLE_READ, TableRead(0, 201).pack()) == (Nak.LENGTH, 201)


def test_status_comes_every_100_ms_and_soon_after_a_change_but_not_more_often_than_10_ms() -> None:
    host = ready()
    host.live(500)
    host.heard()
    host.unasked.clear()
    start = host.board.now_us
    for _ in range(20):
        host.wait(50)
        host.heard()
    times = [status.time_us for status in host.unasked]
    assert len(times) == 10
    assert all(b - a == 100_000 for a, b in pairwise(times))
    host.unasked.clear()
    host.wait(30)
    host.heard()
    host.board.set_digital(0, True)
    host.unasked.clear()
    host.wait(5)
    host.heard()
    (status,) = host.unasked
    assert status.rows[0] == 3
    assert status.time_us <= start + 1_030_000 + 3_000
    host.board.set_digital(0, False)
    host.wait(5)
    host.heard()
    assert len(host.unasked) == 1
    host.wait(10)
    host.heard()
    assert len(host.unasked) == 2


def test_a_full_queue_drops_answers_and_the_repeated_request_is_answered() -> None:
    host = ready()
    host.heard()
    number = host.sequence
    for _ in range(40):
        number += 1
        host.board.receive(
            frames.encode(Type.BEAT, host.session, number, Beat(number, 0, ()).pack()),
            host.board.now_us,
        )
    assert 0 < len(host.heard()) < 40
    (frame,) = host.send(Type.BEAT, host.session, number, Beat(number, 0, ()).pack())
    assert said(frame) == (None, 0)


def test_events_are_told_in_order_from_the_oldest_kept_on() -> None:
    host = ready()
    for closed in (True, False) * 16:
        host.board.set_digital(0, closed)
        host.board.passes(3)
        if not closed:
            assert host.reset(0) is None
    head = host.board.events_head
    oldest = head - EVENTS_KEPT
    for first, count in ((0, 12), (oldest, 12), (head - 4, 4), (head, 0), (head + 9, 0)):
        host.sequence += 1
        (frame,) = host.send(Type.EVENTS, host.session, host.sequence, Events(first).pack())
        found = EventsList.unpack(frame.payload)
        assert (found.head, len(found.events)) == (head, count)
        assert found.first == min(max(first, oldest), head)
        times = [event.time_us for event in found.events]
        assert times == sorted(times)


def test_status_names_what_stands_what_is_wished_and_what_is_measured() -> None:
    host = ready()
    host.command((GAS, 1, 1000))
    host.board.set_digital(0, True)
    host.board.passes(4)
    status = host.board.status()
    assert isinstance(status, Status)
    assert (status.driven, status.wished, status.inputs) == (1 << GAS, 1 << GAS, 1)
    assert (status.analog[0].quality, status.analog[0].value) == (0, 10.0)
    assert (status.state, status.forced) == (2 | 4, 1)

"""The host's session against a scripted board: what leaves, in which order, and what only once."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from scripted_board import DIGEST, IMAGE, TABLE, ScriptedBoard
from session_desk import MS, Desk

from controller.core.errors import BrokenInvariant
from firmware_bridge import messages as m
from firmware_bridge.codes import CHUNK_MAX, Nak, Type
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.happenings import (
    Acked,
    Armed,
    EventsCame,
    Fault,
    Lost,
    Opened,
    Refused,
    Sample,
)
from firmware_bridge.session import Session


def test_a_session_opens_loads_the_table_reads_it_back_and_arms() -> None:
    desk = Desk()
    desk.run(50 * MS)
    chunks = -(-len(TABLE) // CHUNK_MAX)
    assert desk.types() == [
        Type.HELLO, Type.OPEN, Type.TABLE_BEGIN, *[Type.TABLE_DATA] * chunks,
        *[Type.TABLE_READ] * chunks, Type.TABLE_ACTIVATE, Type.ARM,
    ]  # fmt: skip
    assert [type(each) for _, each in desk.log] == [Opened, Armed]
    assert desk.board.table == TABLE
    assert [frame.sequence for _, frame in desk.sent[1:]] == list(range(1, len(desk.sent)))


def test_a_board_that_has_the_table_is_armed_without_a_load() -> None:
    desk = Desk(ScriptedBoard(table=TABLE))
    desk.run(50 * MS)
    assert desk.types() == [Type.HELLO, Type.OPEN, Type.ARM]
    assert desk.of(Armed) == [Armed(distrusted=False, loaded=False)]


def test_an_unknown_image_is_armed_with_distrust() -> None:
    desk = Desk(ScriptedBoard(table=TABLE), known=False)
    desk.run(50 * MS)
    assert desk.board.acted == [m.Arm(DIGEST, 1)]
    opened = desk.of(Opened)[0]
    assert isinstance(opened, Opened)
    assert not opened.known
    assert opened.identity.image == IMAGE


def test_what_is_read_back_wrong_is_loaded_again_and_never_activated() -> None:
    desk = Desk(ScriptedBoard(spoil_read=1))
    desk.run(60 * MS)
    assert desk.types().count(Type.TABLE_BEGIN) == 2
    assert desk.types().count(Type.TABLE_ACTIVATE) == 1
    assert desk.board.table == TABLE


def test_a_board_that_never_reads_back_right_is_left_alone_for_five_seconds() -> None:
    desk = Desk(ScriptedBoard(spoil_read=1_000))
    desk.run(4_000 * MS)
    assert Type.TABLE_ACTIVATE not in desk.types()
    assert len(desk.of(Refused)) == 1
    assert desk.types().count(Type.HELLO) == 1
    desk.run(2_000 * MS)
    assert desk.types().count(Type.HELLO) == 2


@pytest.mark.parametrize(
    ("board", "code"),
    [
        (ScriptedBoard(version=2), Nak.VERSION),
        (ScriptedBoard(schema=bytes(8)), Nak.SCHEMA),
        (ScriptedBoard(refuse={Type.TABLE_BEGIN: (Nak.TABLE_SIZE, 100)}), Nak.TABLE_SIZE),
        (ScriptedBoard(refuse={Type.TABLE_ACTIVATE: (Nak.TABLE_BAD, 16)}), Nak.TABLE_BAD),
        (ScriptedBoard(refuse={Type.ARM: (Nak.TABLE_DIGEST, 0)}), Nak.TABLE_DIGEST),
    ],
    ids=lambda value: value.name if isinstance(value, Nak) else "",
)
def test_a_board_that_cannot_be_used_gets_no_command_and_a_word_why(
    board: ScriptedBoard, code: Nak
) -> None:
    desk = Desk(board)
    desk.run(1_000 * MS)
    (refused,) = desk.of(Refused)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.armed) == (code, False)
    assert code.words in refused.words
    assert not desk.session.command({0: (1, 100)}, safe=True)
    assert board.acted == []
    assert len(desk.of(Lost)) == 1


def test_a_silent_board_is_called_at_growing_intervals_and_lost_once() -> None:
    desk = Desk()
    desk.cut = True
    desk.run(5_000 * MS)
    gaps = [b - a for (a, _), (b, _) in pairwise(desk.sent)]
    assert gaps[:4] == [60 * MS, 120 * MS, 240 * MS, 480 * MS]
    assert set(gaps[4:]) == {480 * MS}
    assert set(desk.types()) == {Type.HELLO}
    assert desk.of(Lost) == [Lost("no answer to HELLO")]


def test_a_request_without_an_answer_leaves_five_times_alike_then_the_board_is_called() -> None:
    desk = Desk().armed()
    desk.cut = True
    desk.session.command({2: (1, 700)}, safe=False)
    desk.run(310 * MS)
    commands = [(at, frame) for at, frame in desk.sent if frame.type == Type.COMMAND]
    assert [at - commands[0][0] for at, _ in commands] == [k * 60 * MS for k in range(5)]
    assert len({frame.sequence for _, frame in commands}) == 1
    assert desk.of(Lost) == [Lost("no answer to COMMAND")]
    assert desk.types()[5] is Type.HELLO


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_acts_twice() -> None:
    desk = Desk().armed()
    desk.board.acted.clear()
    drops = iter([True, True, False])
    desk.spoil = lambda data: b"" if next(drops, False) else data
    desk.session.command({2: (1, 700)}, safe=False)
    desk.run(200 * MS)
    assert desk.board.acted == [m.Command((m.Write(2, 1, 700),))]
    assert len(desk.of(Acked)) == 1


def test_safe_commands_leave_first_then_beat_reset_clear_commands() -> None:
    desk = Desk().armed()
    desk.board.acted.clear()
    session = desk.session
    session.command({0: (1, 100), 7: (500, 100)}, safe=False)
    session.ask_clear(0b10)
    session.ask_clear(0b100)
    session.ask_reset(4)
    session.beat(9, 1, (Sample(0, 37.0, 0, 0, desk.now_ns),))
    session.command({3: (0, 200), 4: (0, 200)}, safe=True)
    desk.run(20 * MS)
    kinds = [type(each) for each in desk.board.acted]
    assert kinds == [m.Command, m.Beat, m.Reset, m.Clear, m.Command]
    assert desk.board.acted[0] == m.Command((m.Write(3, 0, 200), m.Write(4, 0, 200)))
    assert desk.board.acted[3] == m.Clear(0b110)
    assert desk.board.acted[4] == m.Command((m.Write(0, 1, 100), m.Write(7, 500, 100)))


def test_only_the_latest_wish_of_a_channel_leaves() -> None:
    desk = Desk().armed()
    desk.board.acted.clear()
    for value in range(200):
        desk.session.command({7: (value, 100)}, safe=False)
    desk.run(20 * MS)
    assert desk.board.acted == [m.Command((m.Write(7, 199, 100),))]


def test_the_refusal_of_one_channel_does_not_keep_the_others_from_their_value() -> None:
    desk = Desk().armed()
    desk.board.acted.clear()
    desk.board.refuse[Type.COMMAND] = (Nak.LATCHED, 1)
    desk.session.command({0: (1, 100), 1: (1, 100), 2: (0, 100)}, safe=False)
    desk.run(20 * MS)
    assert desk.board.acted == [m.Command((m.Write(0, 1, 100), m.Write(2, 0, 100)))]
    (refused,) = desk.of(Refused)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.detail, refused.armed) == (Nak.LATCHED, 1, True)


def test_a_beat_leaves_every_quarter_second_with_the_ages_of_that_moment() -> None:
    desk = Desk().armed()
    sampled = desk.now_ns
    for _ in range(200):
        desk.session.beat(1, 0, (Sample(3, 1.5, 0, 0, sampled),))
        desk.run(5 * MS)
    beats = [(at, m.Beat.unpack(f.payload)) for at, f in desk.sent if f.type == Type.BEAT]
    assert [b - a for (a, _), (b, _) in pairwise(beats)] == [250 * MS] * 3
    for at, beat in beats:
        assert beat.given == (m.Given(3, 0, 0, (at - sampled + MS - 1) // MS, 1.5),)


def test_a_host_that_gives_no_beat_sends_none() -> None:
    desk = Desk().armed()
    desk.run(3_000 * MS)
    assert Type.BEAT not in desk.types()
    assert desk.session.wants_beat(desk.now_ns)


def test_what_was_never_sampled_has_the_greatest_age() -> None:
    desk = Desk().armed()
    desk.now_ns += 100_000 * MS
    desk.session.beat(1, 0, (Sample(3, float("inf"), 2, 1, 0),))
    desk.step()
    (given,) = m.Beat.unpack(desk.sent[-1][1].payload).given
    assert given.age_ms == 65_535
    assert math.isnan(given.value)


def test_events_are_fetched_by_number_and_none_comes_twice() -> None:
    desk = Desk().armed()
    desk.board.events = [m.Event(k, 1, k % 8, 0, 0) for k in range(30)]
    for number in (1, 2):
        desk.note(desk.session.feed(desk.board.status(number, 5), desk.now_ns))
        desk.run(30 * MS)
    came = [each for each in desk.of(EventsCame) if isinstance(each, EventsCame)]
    assert [each.first for each in came] == [0, 12, 24]
    assert [event for each in came for event in each.events] == desk.board.events


def test_events_that_the_board_no_longer_has_are_counted_as_missed() -> None:
    desk = Desk(ScriptedBoard(oldest=14)).armed()
    desk.board.events = [m.Event(k, 1, 0, 0, 0) for k in range(20)]
    desk.note(desk.session.feed(desk.board.status(1, 5), desk.now_ns))
    desk.run(30 * MS)
    (came,) = desk.of(EventsCame)
    assert isinstance(came, EventsCame)
    assert (came.first, len(came.events), came.missed) == (14, 6, 14)


def test_a_status_that_is_late_doubled_or_of_another_session_is_not_shown() -> None:
    desk = Desk().armed()
    board = desk.board
    other = encode(Type.STATUS, board.open + 1, 9, m.Status.unpack(
        next(f for f in Decoder().feed(board.status(9, 1)) if isinstance(f, Frame)).payload
    ).pack())  # fmt: skip
    five, six = board.status(5, 1), board.status(6, 1)
    for line in (five, board.status(4, 1), five, other, six):
        desk.note(desk.session.feed(line, desk.now_ns))
    assert [each.number for each in desk.of(m.Status) if isinstance(each, m.Status)] == [5, 6]


def test_the_number_of_a_status_may_go_round() -> None:
    desk = Desk().armed()
    for number in (0xFFFFFFFE, 0xFFFFFFFF, 0, 1):
        desk.note(desk.session.feed(desk.board.status(number, 1), desk.now_ns))
    assert len(desk.of(m.Status)) == 4


def test_a_restarted_board_is_armed_again_and_what_was_asked_before_is_gone() -> None:
    desk = Desk().armed()
    desk.board = ScriptedBoard(boot_id=8, image=IMAGE)
    desk.session.command({0: (1, 100)}, safe=False)
    desk.session.ask_clear(0xFF)
    desk.session.ask_reset(1)
    desk.run(500 * MS)
    assert desk.session.armed
    assert desk.board.acted == [m.Arm(DIGEST, 0)]
    opened = desk.of(Opened)[0]
    assert isinstance(opened, Opened)
    assert not opened.same_boot
    assert desk.board.table == TABLE


def test_the_same_boot_is_known_again_and_its_events_go_on_where_they_were() -> None:
    desk = Desk().armed()
    desk.board.events = [m.Event(k, 1, 0, 0, 0) for k in range(3)]
    desk.note(desk.session.feed(desk.board.status(1, 5), desk.now_ns))
    desk.run(20 * MS)
    desk.session.reset(desk.now_ns)
    desk.run(50 * MS)
    desk.note(desk.session.feed(desk.board.status(2, 5, events=3), desk.now_ns))
    desk.run(20 * MS)
    assert [each.same_boot for each in desk.of(Opened) if isinstance(each, Opened)] == [True]
    assert len(desk.of(EventsCame)) == 1


@pytest.mark.parametrize("code", [Nak.SESSION, Nak.SEQUENCE, Nak.NOT_ARMED], ids=lambda c: c.name)
def test_a_board_that_knows_another_session_is_opened_anew(code: Nak) -> None:
    desk = Desk().armed()
    desk.board.refuse[Type.COMMAND] = (code, 0)
    desk.session.command({0: (1, 100)}, safe=False)
    desk.run(150 * MS)
    assert len(desk.of(Lost)) == 1
    assert desk.session.armed
    assert len(desk.of(Opened)) == 1


def test_an_answer_to_another_request_or_in_another_session_is_nothing() -> None:
    desk = Desk().armed()
    desk.cut = True
    desk.session.command({0: (1, 100)}, safe=False)
    desk.step()
    frame = desk.sent[-1][1]
    ack = m.Ack(1).pack()
    own, last = frame.session, frame.sequence
    for session, sequence in ((own, last - 1), (own ^ 1, last)):
        desk.note(desk.session.feed(encode(Type.ACK, session, sequence, ack), desk.now_ns))
    assert desk.log == []
    desk.note(desk.session.feed(encode(Type.ACK, frame.session, frame.sequence, ack), desk.now_ns))
    assert desk.of(Acked) == [Acked(m.Command((m.Write(0, 1, 100),)), 1)]


def test_an_answer_of_the_wrong_kind_is_a_fault_and_the_request_stays_in_flight() -> None:
    desk = Desk().armed()
    desk.cut = True
    desk.session.command({0: (1, 100)}, safe=False)
    desk.step()
    frame = desk.sent[-1][1]
    answer = m.EventsList(0, 0, ()).pack()
    line = encode(Type.EVENTS_LIST, frame.session, frame.sequence, answer)
    desk.note(desk.session.feed(line, desk.now_ns))
    assert desk.of(Fault) == [Fault("EVENTS_LIST to COMMAND")]
    assert desk.of(Acked) == []


def test_faults_of_one_feed_are_counted_not_listed() -> None:
    desk = Desk().armed()
    happened = desk.session.feed(b"\x05\x02\0" * 500, desk.now_ns)
    assert happened == [Fault("not COBS", 500)]


def test_frames_of_no_known_type_or_from_another_host_are_faults() -> None:
    desk = Desk().armed()
    line = encode(0x99, 0, 0, b"") + encode(Type.OPEN, 0, 0, b"") + encode(Type.ACK, 0, 0, b"x")
    assert len(desk.session.feed(line, desk.now_ns)) == 3


def test_the_clock_of_the_session_knows_the_boards_time() -> None:
    desk = Desk()
    desk.now_ns = 10**15
    desk.session.reset(desk.now_ns)
    desk.run(3_000 * MS, beats=True)
    host_ns, error_ns = desk.session.clock.to_host(desk.now_ns // 1_000)
    assert abs(host_ns - desk.now_ns) <= error_ns < 2 * MS


def test_sequences_go_round_past_65535_to_0() -> None:
    desk = Desk().armed()
    desk.session._sequence = desk.board._last = 65_534
    desk.board.acted.clear()
    for value in range(4):
        desk.session.command({0: (value & 1, 100)}, safe=False)
        desk.run(3 * MS)
    assert [frame.sequence for _, frame in desk.sent] == [65_535, 0, 1, 2]
    assert len(desk.board.acted) == 4


def test_nothing_is_taken_before_the_board_is_armed() -> None:
    session = Session(DIGEST, TABLE, {IMAGE})
    assert not session.command({0: (1, 1)}, safe=True)
    assert not session.ask_reset(0)
    assert not session.ask_clear(1)
    session.beat(1, 0, ())
    assert not session.wants_beat(0)
    for _ in range(3):
        frame = Decoder().feed(session.take_tx(0))
        assert [each.type for each in frame if isinstance(each, Frame)] in ([Type.HELLO], [])


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.command({8: (0, 1)}, safe=False),
        lambda s: s.ask_reset(16),
        lambda s: s.beat(0, 0, [Sample(0, 0.0, 0, 0, 0)] * 18),
    ],
)
def test_what_no_board_has_is_an_error_of_ours(ask: Callable[[Session], object]) -> None:
    desk = Desk().armed()
    with pytest.raises(BrokenInvariant):
        ask(desk.session)
    desk.run(20 * MS)
    assert desk.types() == []

"""What an I/O board tells becomes records: each event once, its identity in every batch."""

from __future__ import annotations

import pytest
from supervisor_bench import Deck

from controller.alarms import UNACK
from controller.alarms.alarms import LOUD, SEEN, SILENCED
from controller.core.events import EVENTS
from controller.field.links.bridge_events import event_note
from controller.field.links.bridge_notes import WORD_MAX, Told, board_note
from controller.field.links.note import TEXT_MAX, from_bytes, to_bytes
from controller.profile.link_plan import BoardPlan, ChannelPlan, RowPlan
from controller.record.entry import read_records
from firmware_bridge.codes import EventKind, LatchReason
from firmware_bridge.messages import Event

IMAGE, TABLE = "ab" * 32, "cd" * 32
PLAN = BoardPlan(
    "io", b"", b"", (), True, 115_200, 0, (), (), (),
    (ChannelPlan(0, 11, 1.0, 5000, "xv201", True, -1),),
    (RowPlan(2, 40, 43, "9", True),), -1, -1, -1,
)  # fmt: skip


@pytest.fixture
def deck(tmp_path):
    return Deck(tmp_path / "state")


def session(at_ns, boot_id=7):
    return board_note(Told.SESSION, "io", at_ns, boot_id=boot_id, reset="power-up", image=IMAGE,
                      table=TABLE, known=True)  # fmt: skip


def event(kind, number, at_ns, index=0, place=0, detail=0, boot_id=7):
    found = Event(1_000 * number, kind, index, place, detail)
    return event_note(PLAN, found, number, boot_id, at_ns, 2_001_500)


def tell(deck, *notes):
    deck.told.clear()
    deck.supervisor.note("io_line", [note for note in notes if note is not None])
    deck.run(1)
    return [told for told in deck.told if told.name.startswith("board.")]


def test_a_trip_on_the_board_is_told_with_its_first_out_and_the_error_of_its_time(deck):
    now = deck.clock.now_ns
    [told] = tell(deck, event(EventKind.STANDS, 3, now, index=2, place=1))
    assert told.name == "board.trip"
    assert (told.data["row"], told.data["first_out"]) == ("9", 1)
    assert (told.data["at_us"], told.data["error_us"]) == (3_000, 2_002)
    assert told.data["title"] == next(c.title for c in deck.profile.causes if c.row == "9")


@pytest.mark.parametrize(
    ("kind", "more", "name", "shows"),
    [
        (EventKind.CLEARED, {"index": 2}, "board.row_gone", {"row": "9"}),
        (EventKind.RESET, {"index": 2}, "board.row_reset", {"row": "9"}),
        (EventKind.BYPASS_BEGAN, {"index": 2}, "board.bypass", {"row": "9", "stands": True}),
        (EventKind.BYPASS_ENDED, {"index": 2}, "board.bypass", {"row": "9", "stands": False}),
        (EventKind.LAPSED, {}, "board.lapsed", {"channel": "xv201"}),
        (EventKind.LATCHED, {"detail": LatchReason.LEASE}, "board.latched",
         {"channel": "xv201", "why": "its lease ran out"}),
        (EventKind.UNLATCHED, {}, "board.cleared", {"channel": "xv201"}),
        (EventKind.BOOT, {"detail": 1}, "board.started", {"reset": "its watchdog"}),
        (EventKind.LOST, {"detail": 4}, "board.events_lost", {"count": 4}),
    ],
)
def test_every_kind_of_event_has_a_record_of_its_own(deck, kind, more, name, shows):
    [told] = tell(deck, event(kind, 0, deck.clock.now_ns, **more))
    assert told.name == name
    assert {key: told.data[key] for key in shows} == shows


def test_a_new_field_that_reads_the_last_events_again_tells_none_twice_and_leaves_no_gap(deck):
    now = deck.clock.now_ns
    first = [event(EventKind.LAPSED, number, now) for number in range(3)]
    assert len(tell(deck, session(now), *first)) == 4
    again = [event(EventKind.LAPSED, number, now) for number in range(1, 4)]
    told = [(each.name, each.data["number"]) for each in tell(deck, *again)]
    assert told == [("board.retold", 1), ("board.retold", 2), ("board.lapsed", 3)]


def test_a_new_field_counts_as_lost_only_what_no_field_had_read(deck):
    now = deck.clock.now_ns
    tell(deck, session(now), *(event(EventKind.LAPSED, number, now) for number in range(5)))
    assert [told.name for told in tell(deck, event(EventKind.LOST, 4, now, detail=5))] == [
        "board.retold"
    ]
    [told] = tell(deck, event(EventKind.LOST, 6, now, detail=7))
    assert told.data["count"] == 2


def test_another_boot_of_the_board_numbers_its_events_anew(deck):
    now = deck.clock.now_ns
    tell(deck, session(now), event(EventKind.LAPSED, 5, now))
    assert len(tell(deck, event(EventKind.BOOT, 0, now, boot_id=8))) == 1


def test_the_header_of_a_batch_names_image_and_table_of_every_board(deck):
    tell(deck, session(deck.clock.now_ns))
    deck.open()
    log = deck.station.batch_log.directory
    header = next(r for r in read_records(log) if r["event"] == "batch.opened")
    assert header["data"]["boards"] == f"io: image {IMAGE}, table {TABLE}, boot 7"


def test_a_board_that_never_answered_is_unknown_in_the_header_and_not_left_out(deck):
    assert deck.supervisor.orders.standing.of_boards(["io"]) == "io: unknown"


def test_a_board_that_started_again_is_unknown_until_it_said_which_image_it_runs(deck):
    now = deck.clock.now_ns
    tell(deck, session(now),
         board_note(Told.RESTARTED, "io", now, boot_id=8, reset="power-up"))  # fmt: skip
    assert deck.supervisor.orders.standing.of_boards(["io"]) == "io: unknown"
    tell(deck, session(now, boot_id=8))
    assert deck.supervisor.orders.standing.of_boards(["io"]).endswith("boot 8")


def test_a_unit_without_a_board_says_so_by_an_empty_field(deck):
    deck.open()
    log = deck.station.batch_log.directory
    header = next(r for r in read_records(log) if r["event"] == "batch.opened")
    assert header["data"]["boards"] == ""


def test_the_identity_goes_on_in_the_stations_log_when_a_batch_is_closed(deck):
    tell(deck, session(deck.clock.now_ns))
    carried = deck.supervisor.orders.standing.carried(deck.clock.stamp())
    assert [(each.name, each.data["image"]) for each in carried] == [("board.session", IMAGE)]


@pytest.mark.parametrize(
    ("note", "alarm"),
    [
        (board_note(Told.UNKNOWN, "io", 0, image=IMAGE), "board:io"),
        (board_note(Told.RESTARTED, "io", 0, boot_id=9, reset="its watchdog"), "board:io"),
        (event(EventKind.LOST, 1, 0, detail=3), "ring:io"),
    ],
)
def test_what_asks_for_a_person_is_an_alarm(deck, note, alarm):
    tell(deck, note)
    assert deck.supervisor.alarms.unseen(alarm)
    assert deck.supervisor.alarms.horn


def test_the_level_of_the_boards_annunciator_follows_the_alarms(deck):
    def level():
        return int(deck.station.image.head["annunciate"][0])

    alarms = deck.supervisor.alarms
    deck.run(1)
    assert (alarms.loudness, level()) == (0, 0)
    deck.values["PT101"] = 4.6
    deck.run(4)
    assert alarms.known("row:6").state == UNACK
    assert (alarms.loudness, level()) == (LOUD, LOUD)
    alarms.silence(deck.clock.stamp(), "olivia@bench", "operator")
    deck.run(1)
    assert level() == SILENCED
    for alarm in alarms.active():
        alarms.acknowledge(alarm.name, deck.clock.stamp(), "olivia@bench", "operator")
    deck.run(1)
    assert level() == SEEN


def test_the_longest_note_of_a_board_fits_its_ring():
    for told in Told:
        fields = {name: "f" * (64 if name in ("image", "table") else WORD_MAX)
                  for name in EVENTS[told.value].fields
                  if name in ("image", "table", "why", "row", "channel", "request", "reset")
                  and not (told is Told.SESSION and name == "reset")}  # fmt: skip
        numbers = {name: 2**52 for name in EVENTS[told.value].fields
                   if name not in ("link", "device", "title", *fields)}  # fmt: skip
        note = board_note(told, "d" * 40, 2**62, **fields, **numbers)
        assert from_bytes(to_bytes(note)).what == note.what, told
        assert len(to_bytes(note)) <= TEXT_MAX

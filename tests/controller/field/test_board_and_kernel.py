"""Kernel, link machine and the real core of the I/O board together, over a line that may fail."""

from __future__ import annotations

from itertools import pairwise

import pytest
from board_room import BASE, CONTACTOR, FEED, HEADER, LIQUIDS, ON, PRODUCT, BoardRoom
from kernel_bench import MS

from controller.core.signal import Quality
from controller.field.host_view import HostView
from controller.field.kernel import let_go_at
from controller.field.ring import EventKind, Why
from controller.field.verbs import Verb
from firmware_bridge import native_board
from firmware_bridge.codes import EventKind as EventKindOfBoard
from firmware_bridge.codes import ResetReason, Type
from firmware_bridge.frames import Decoder, Frame
from firmware_bridge.happenings import EventsCame
from firmware_bridge.messages import MESSAGES, Beat, Command, Event

BAD, GOOD = Quality.BAD, Quality.GOOD
SLACK_MS = 20
TAGS = ("PT101", "TT102", "BS101", "io.6", "IO_LAPSE", "XV201_ZSC")


@pytest.fixture
def room():
    found = BoardRoom()
    found.run_in()
    return found


def spoken(room, line, kind, seconds):
    """The messages, of one type or of all, put onto one direction of the line meanwhile."""
    found, decoder, put = [], Decoder(), room._put

    def heard(which, data, now_ns):
        if which is line:
            found.extend(decoder.feed(data))
        put(which, data, now_ns)

    room._put = heard
    room.run(seconds)
    room._put = put
    return [MESSAGES[Type(each.type)].unpack(each.payload) for each in found
            if isinstance(each, Frame) and kind in (None, each.type)]  # fmt: skip


def beats(room, seconds):
    return spoken(room, room.to_board, Type.BEAT, seconds)


def trips(room, row):
    return len(room.told(EventKind.CAUSE_ACTIVE, row))


# -- start ------------------------------------------------------------------------------------


def test_after_power_up_liquids_stay_shut_until_a_person_resets_one_row():
    room = BoardRoom()
    room.run(4)
    assert room.latched("io.lapse")
    assert [each["channel"] for each in room.told_of("board.latched")][:4] == [
        "xv201", "xv202", "xv203", "xv204"]  # fmt: skip
    assert room.do(Verb.SET_OUTPUT, "xv201", 1.0) is None
    room.run(2)
    assert room.driven & LIQUIDS == 0
    assert room.do(Verb.RESET, "io.lapse") is None
    room.run(3)
    assert room.driven & LIQUIDS == 0  # a reset starts nothing
    assert {each["channel"] for each in room.told_of("board.cleared")} >= {"xv201", "xv204"}
    room.do(Verb.SET_OUTPUT, "xv201", 1.0)
    room.run(1)
    assert room.driven & LIQUIDS == 1 << FEED
    assert trips(room, "io.lapse") == 1


def test_the_session_tells_who_the_board_is_once():
    room = BoardRoom()
    room.run(5)
    [session] = room.told_of("board.session")
    assert session["image"] == native_board.image().hex()
    assert session["table"] == room.profile.links[room.number].board.digest.hex()
    assert (session["boot_id"], session["reset"], session["known"]) == (1, "power-up", True)


def test_values_come_at_the_boards_own_time(room):
    room.fields["TT102"] = 36.5
    room.run(1)
    reading = room.board.read("TT102")
    assert reading.good
    assert reading.value == pytest.approx(36.5, abs=0.01)
    assert 0 <= room.now - reading.sample_ns <= 110 * MS


def test_a_long_way_does_not_make_a_value_younger(room):
    room.trip_ns = 25 * MS
    room.run(70)
    made_ns = [room.boot_ns + 1000 * status.time_us
               for status in spoken(room, room.to_host, Type.STATUS, 1)]  # fmt: skip
    sample_ns = room.board.read("TT102").sample_ns
    assert min(abs(sample_ns - at_ns) for at_ns in made_ns) <= 2 * MS


def test_a_beat_gives_what_the_scan_has_with_its_age_and_stands_still_with_it(room):
    room.run(1)
    first = beats(room, 0.6)
    moved, given = first[-1].progress - first[0].progress, first[-1].given
    assert 2 <= moved <= 6
    assert len(given) == len(room.plan.given)
    assert max(each.age_ms for each in given) <= 300
    room.scanning = False
    beats(room, 3)
    later = beats(room, 0.6)
    assert len({beat.progress for beat in later}) == 1
    assert min(each.age_ms for each in later[-1].given) >= 3000


def test_a_bypass_that_the_board_would_refuse_is_never_asked_for(room):
    class Careless(HostView):
        def bypassed(self, causes):
            return (1 << len(causes)) - 1

    room.view = Careless(room.profile.plan, room.image)
    room.run(0.5)
    allowed = sum(1 << row.row for row in room.plan.rows if row.bypassable)
    assert {beat.bypassed for beat in beats(room, 0.6)} == {allowed}


# -- trips ------------------------------------------------------------------------------------


def test_a_trip_too_short_for_the_scan_trips_the_kernels_row_once(room):
    room.fields["PT101"] = 4.7
    room.scan(505 * MS)
    room.fields["PT101"] = 1.0
    room.run(3)
    assert trips(room, "6") == 1
    assert room.latched("6")
    [trip] = room.told_of("board.trip")
    assert trip["row"] == "6"
    assert room.driven & 1 << HEADER == 0
    assert room.first_move(1 << HEADER | 1 << FEED | 1 << BASE, 0, trip["at_ns"] - 2 * MS) <= 5


def test_a_trip_that_only_an_event_shows_is_told_for_a_second(room):
    at_us = room.core.now_us
    seen = Event(at_us, EventKindOfBoard.STANDS, 6, 0, 0)
    room.link._take([EventsCame(99, (seen,), 0)], room.now)
    room.run(0.3)
    assert room.stands("air")
    room.run(8)
    assert not room.stands("air")
    assert trips(room, "air") == 1


def test_the_time_of_a_trip_is_known_to_the_stated_error(room):
    room.run(5)
    room.fields["PT101"] = 4.7
    room.run(2)
    [trip] = room.told_of("board.trip")
    moved_ns = next(at for at, digital, _ in room.moves if not digital & 1 << HEADER)
    assert trip["error_us"] <= 5_000
    # What is seen of the outputs is known to a millisecond.
    assert abs(trip["at_ns"] - moved_ns) <= 1_000 * trip["error_us"] + MS


def test_one_reset_frees_both_and_starts_nothing(room):
    room.fields["PT101"] = 4.7
    room.run(2)
    assert room.do(Verb.RESET, "6") is Why.NOT_POSSIBLE
    room.fields["PT101"] = 1.0
    room.run(3)
    assert room.do(Verb.RESET, "6") is None
    room.run(5)
    assert [each["row"] for each in room.told_of("board.row_reset")] == ["6"]
    assert not room.latched("6")
    assert trips(room, "6") == 1
    assert room.driven & (1 << HEADER | 1 << FEED | 1 << BASE) == 0
    room.do(Verb.SET_OUTPUT, "xv100", 1.0)
    room.run(1)
    assert room.driven & 1 << HEADER


def test_a_reset_that_never_reached_the_board_has_to_be_given_again(room):
    room.fields["PT101"] = 4.7
    room.run(2)
    room.fields["PT101"] = 1.0
    room.run(3)
    assert room.do(Verb.RESET, "6") is None
    room.cut = True
    room.to_board.clear()
    room.run(0.6)
    room.cut = False
    room.run(3)
    assert room.latched("6")
    assert room.told_of("board.row_reset") == []
    assert room.do(Verb.RESET, "6") is None
    room.run(3)
    assert not room.latched("6")
    assert len(room.told_of("board.row_reset")) == 1


def test_a_bypass_in_the_kernel_stands_on_the_board_and_ends_with_it(room):
    assert room.do(Verb.BYPASS, "air", 5.0) is None
    room.run(1)
    room.fields["BS101"] = 1.0
    room.run(2)
    assert room.driven & 1 << FEED
    assert [each["stands"] for each in room.told_of("board.bypass")] == [True]
    room.run(4)
    assert not room.driven & 1 << FEED
    assert [each["stands"] for each in room.told_of("board.bypass")] == [True, False]


def test_a_safe_value_leaves_in_the_millisecond_it_was_released(room):
    room.run(0.13)
    room.link.write(room.profile.outputs.index("xv204"), 0.0, True, room.now)
    since_ns = room.now
    room.run(0.1)
    assert room.first_move(1 << BASE, 0, since_ns) <= 2 * room.trip_ns // MS + 3


@pytest.mark.parametrize("scans", range(3))
def test_a_value_leaves_after_the_beat_with_the_flags_of_its_scan(room, scans):
    for _ in range(scans):
        room.scan()
    room.image.signals["value"][room.profile.index["lineup"]] = 1.0
    room.link.write(room.profile.outputs.index("xv203"), 1.0, False, room.now)
    room.link.attend(room.view, int(room.image.head["scan"][0]), room.now)
    given = next(row.board_signal for row in room.plan.given
                 if room.profile.signals[row.signal] == "lineup")  # fmt: skip
    order = []
    for message in spoken(room, room.to_board, None, 0.6):
        if isinstance(message, Beat):
            order += [("flag", each.value) for each in message.given if each.signal == given]
        elif isinstance(message, Command):
            order += [("valve", each.value) for each in message.writes if each.channel == PRODUCT]
    assert order[: order.index(("valve", 1))][-1] == ("flag", 1.0)


def test_a_valve_opens_under_its_flag_without_a_trip_of_the_board(room):
    for name in ("perfusate", "xv202"):
        assert room.do(Verb.SET_OUTPUT, name, 0.0) is None
    room.run(2)
    room.command(Verb.SET_FLAG, "lineup", 1.0)
    for flag in ("cells_in", "harvest"):
        room.command(Verb.SET_FLAG, flag, float(flag == "harvest"))
    assert room.do(Verb.SET_OUTPUT, "xv203", 1.0) is None
    room.run(2)
    assert room.told_of("board.trip") == []
    assert room.driven & 1 << PRODUCT


# -- the host, the line and the board are lost ------------------------------------------------


@pytest.mark.parametrize("how", ["scan stands", "cable cut"])
def test_without_a_host_liquids_close_in_time_and_heat_and_gas_stay(room, how):
    room.scanning, room.cut = how != "scan stands", how == "cable cut"
    since_ns = room.now
    room.run(8)
    assert room.first_move(LIQUIDS, 0, since_ns) <= 5_000 + SLACK_MS
    assert room.driven & ON == ON
    assert room.horn == 1000
    room.scanning, room.cut = True, False
    room.run(5)
    assert room.driven == ON
    assert room.horn == 0
    assert room.latched("io.lapse")
    assert {each["why"] for each in room.told_of("board.latched")} == {"its lease ran out"}


def test_a_contactor_whose_lease_ran_out_obeys_again_without_a_person(room):
    room.scanning = False
    room.run(7)
    room.scanning = True
    room.run(2)
    room.values["TT101"] = room.fields["TT102"] = 39.0
    room.run(5)
    assert room.latched("1")
    assert room.driven & 1 << CONTACTOR == 0


@pytest.mark.parametrize(("value", "safe"), [(1.0, False), (0.0, True)])
def test_what_was_commanded_while_the_cable_was_cut_arrives_with_the_next_session(
    room, value, safe
):
    for name in ("base", "xv204"):
        room.do(Verb.SET_OUTPUT, name, 0.0)
        room.run(2)
    if safe:
        assert room.do(Verb.SET_OUTPUT, "xv204", 1.0) is None
        room.run(2)
    assert room.driven >> BASE & 1 == safe
    room.cut = True
    room.link.write(room.profile.outputs.index("xv204"), value, safe, room.now)
    room.run(0.5)
    room.cut = False
    room.run(2)
    assert room.driven >> BASE & 1 == value


def test_a_cut_cable_makes_every_signal_of_the_board_bad_and_it_heals_by_itself(room):
    room.cut = True
    room.run(1.5)
    assert {room.quality_of(tag) for tag in TAGS} == {BAD}
    room.run(1)
    assert room.stands("20.io")
    room.cut = False
    room.run(3)
    assert {room.quality_of(tag) for tag in TAGS} == {GOOD}
    assert not room.stands("20.io")
    kinds = [note.kind.value for note in room.notes if note.kind.value in ("lost", "restored")]
    assert kinds == ["lost", "restored"]


def test_a_restarted_host_finds_what_runs_and_what_is_latched(room):
    room.fields["PT101"] = 4.7
    room.run(2)
    room.start_host()
    room.notes.clear()
    room.run(2)
    assert room.driven & 1 << CONTACTOR
    assert trips(room, "6") == 1
    assert len(room.told_of("board.session")) == 1
    assert room.told_of("board.restarted") == []


def test_a_field_that_starts_beside_a_running_board_shuts_liquids_and_goes_on_with_the_rest(room):
    later = BoardRoom(restarted=True)
    later.core, later.boot_ns, later.boots = room.core, later.now - 1000 * room.core.now_us, 1
    later.moves.clear()
    since_ns = later.now
    later.run(4)
    assert later.first_move(LIQUIDS, 0, since_ns) <= 500
    assert all(digital & ON == ON for _, digital, _ in later.moves)
    assert (later.out("xv100"), later.out("km101")) == (1.0, 1.0)
    assert later.core.status().latched == 0  # shut by the rows, in time: nothing has lapsed


def test_a_field_that_ends_in_order_leaves_heat_and_gas_and_shuts_liquids(room):
    let_go_at(room.bound.handles, room.now)
    room.hand_over()
    room.scanning = False
    since_ns = room.now
    room.run(8)
    assert room.first_move(LIQUIDS, 0, since_ns) <= 100
    assert room.driven == ON


def test_a_board_that_restarts_in_mid_batch_keeps_heat_and_gas_and_shuts_liquids(room):
    room.boot(ResetReason.WATCHDOG)
    assert room.driven == ON
    room.run(4)
    assert room.latched("io.lapse")
    assert room.driven == ON
    assert [(each["reset"], each["boot_id"]) for each in room.told_of("board.restarted")] == [
        ("its watchdog", 2)]  # fmt: skip
    assert room.do(Verb.RESET, "io.lapse") is None
    room.run(2)
    assert room.driven == ON
    room.do(Verb.SET_OUTPUT, "xv201", 1.0)
    room.run(1)
    assert room.driven & LIQUIDS == 1 << FEED


def test_an_unknown_image_moves_nothing_until_a_person_allowed_it():
    room = BoardRoom(image=bytes(range(32)))
    room.run(5)
    assert [each["image"] for each in room.told_of("board.unknown")] == [bytes(range(32)).hex()]
    assert room.latched("io.lapse")
    for name in ("km101", "xv201"):
        room.do(Verb.SET_OUTPUT, name, 1.0)
    room.run(2)
    assert room.driven == 0
    assert room.do(Verb.RESET, "io.lapse") is None
    room.run(2)
    for name in ("km101", "xv201"):
        room.do(Verb.SET_OUTPUT, name, 1.0)
    room.run(2)
    assert room.driven == 1 << CONTACTOR | 1 << FEED


def test_on_a_poor_line_everything_goes_on(room):
    room.flips, room.doubles = 1e-4, 0.1
    before = room.driven
    room.run(30)
    assert {digital for _, digital, _ in room.moves} == {before}
    for name in ("base", "xv204"):
        room.do(Verb.SET_OUTPUT, name, 0.0)
        room.run(2)
    assert room.driven == before & ~(1 << BASE)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(4, 60))]
)
def test_on_a_line_full_of_errors_liquids_lapse_once_and_stay_shut(room, seed):
    room.flips, room.doubles = 4e-3, 0.1
    room.dice.seed(seed)
    room.run(20)
    assert all(digital & ON == ON for _, digital, _ in room.moves)
    assert room.core.status().latched & LIQUIDS == LIQUIDS
    room.flips = room.doubles = 0.0
    room.run(5)
    assert room.latched("io.lapse")
    assert {after & ~before for (_, before, _), (_, after, _) in pairwise(room.moves)} == {0}
    assert room.driven == ON


# -- the annunciator ---------------------------------------------------------------------------


def test_the_horn_follows_the_supervisor_and_sounds_when_it_is_silent(room):
    room.board.annunciate(300)
    room.run(1)
    assert room.horn == 300
    room.beating = False
    room.run(9.5)
    assert room.horn == 300
    room.run(1.5)
    assert room.horn == 1000

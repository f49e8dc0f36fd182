"""The device side of the I/O board: its terminals, its cable, its machine."""

from __future__ import annotations

import itertools

import pytest

from controller.units import find_unit, load_unit
from firmware_bridge.codes import Type
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.messages import SCHEMA, Hello, HelloAck, Status
from firmware_bridge.table import Table
from hil_sim.devices.board_line import BoardBus
from hil_sim.devices.io_board import UNKNOWN_IMAGE, IoBoard
from hil_sim.devices.terminals import BROKEN, COILS, CONTACTS, LOOPS, MOVED, Terminals, tag_at
from hil_sim.devices.unit import BOARD_FAULTS, PERFUSION_IO, DeviceFaultError, UnitDevices
from hil_sim.plant.plant import Plant
from hil_sim.plant.state import ACTUATORS

MS = 1_000_000
S = 1_000 * MS


def drives(plant: Plant) -> dict[str, float]:
    return dict(zip(ACTUATORS, map(float, plant.u["drive"][0]), strict=True))


def unit_of(plant: Plant) -> UnitDevices:
    return UnitDevices(plant, drives(plant), 0, PERFUSION_IO, IoBoard)


class Wire(BoardBus):
    """A cable to nowhere that keeps what arrives."""

    def __init__(self) -> None:
        super().__init__(1)
        self.arrived: list[tuple[int, bytes]] = []

    def carry(self, data: bytes, at_ns: int) -> None:
        if data:
            self.arrived.append((at_ns, data))


def hello(board: IoBoard, now_ns: int) -> HelloAck | None:
    """Says HELLO and waits 50 ms for the answer."""
    board.receive(encode(Type.HELLO, 0, 1, Hello(SCHEMA).pack()), now_ns)
    said = b"".join(data for _, data in board.advance(now_ns + 50 * MS))
    for frame in Decoder().feed(said):
        if isinstance(frame, Frame) and frame.type == Type.HELLO_ACK:
            return HelloAck.unpack(frame.payload)
    return None


# -- terminals ------------------------------------------------------------------------------------


def test_the_drawing_and_the_profile_agree_on_every_terminal() -> None:
    profile, _ = load_unit(find_unit("perfusion_2l_io"))
    (board,) = (link.board for link in profile.links if link.board is not None)
    for number, signal in board.analog:
        assert tag_at(profile.signals[signal]) == ("analog", number)
    for number, signal in board.digital:
        assert tag_at(profile.signals[signal]) == ("contact", number)
    for channel in board.channels:
        if channel.output >= 0:
            assert COILS[channel.channel] == profile.outputs[channel.output]
    assert len(board.analog) == len(LOOPS)
    assert len(board.digital) == len(CONTACTS)


def test_a_current_read_by_the_boards_table_is_the_value_the_transmitter_shows() -> None:
    profile, _ = load_unit(find_unit("perfusion_2l_io"))
    (board,) = (link.board for link in profile.links if link.board is not None)
    rows = Table.split(board.table).analog
    for loop, row in zip(LOOPS, rows, strict=True):
        for share in (0.0, 0.3, 1.0):
            value = loop.low + share * (loop.high - loop.low)
            counts = loop.counts(value)
            assert row.low_raw <= counts <= row.high_raw
            canonical = 0.1 if loop.channel == "PT101" else 1.0  # mbar are shown, kPa meant
            assert counts * row.scale + row.offset == pytest.approx(
                value * canonical, abs=1e-3 * (loop.high - loop.low)
            )


def test_a_broken_wire_carries_nothing_and_a_value_beyond_the_span_stays_a_live_current() -> None:
    plant = Plant(1)
    strip = Terminals(plant)
    strip.broken.add("PT101")
    assert strip.read().analog[0] == BROKEN
    assert LOOPS[0].counts(1e6) == 61_500
    assert LOOPS[0].counts(-1e6) == 11_400
    assert LOOPS[0].counts(float("nan")) == BROKEN


def test_contacts_are_bits_and_coils_drive_their_valves() -> None:
    plant = Plant(1)
    strip = Terminals(plant)
    strip.drive(0b01_0010, 300)
    assert drives(plant)["xv202"] == 1.0
    assert drives(plant)["xv100"] == 1.0
    assert drives(plant)["km101"] == drives(plant)["xv201"] == 0.0
    assert drives(plant)["annunciator"] == pytest.approx(0.3)
    plant.advance(50)
    bits = strip.read().digital
    for name, closed in (("XV202_OPEN", 1), ("XV202_CLOSED", 0), ("XV201_CLOSED", 1), ("HS101", 1)):
        assert bits >> CONTACTS.index(name) & 1 == closed


def test_the_skid_beside_a_board_knows_nothing_of_what_hangs_there() -> None:
    plant = Plant(1)
    skid = unit_of(plant).skid
    assert not MOVED & set(skid.nodes)
    assert skid.write("XV201_CMD", True, 0) == 0x80340000
    before = drives(plant)
    skid.advance(60 * S)
    after = drives(plant)
    assert after["heater_pct"] <= 30.0
    assert {n: after[n] for n in COILS} == {n: before[n] for n in COILS}


# -- the cable ------------------------------------------------------------------------------------


def test_bytes_arrive_when_the_last_of_them_has_passed_the_line() -> None:
    wire = Wire()
    wire.receive(b"12345", 7)
    assert wire.arrived == [(7 + 5 * (S * 10 // 115_200), b"12345")]
    ((due, data),) = wire.said(b"abc", 0)
    assert (due, data) == (3 * (S * 10 // 115_200), b"abc")


def test_a_cut_cable_carries_nothing_either_way_and_a_healed_one_everything() -> None:
    wire = Wire()
    wire.disturb(silent=None)
    wire.receive(b"lost", 0)
    assert wire.said(b"lost", 0) == []
    wire.disturb()
    wire.receive(b"here", 0)
    assert [data for _, data in wire.arrived] == [b"here"]


def test_bits_turn_over_at_the_rate_asked_for_and_in_the_same_places_for_the_same_seed() -> None:
    flipped = []
    for _ in range(2):
        wire = Wire()
        wire.spoil(1e-3)
        for _ in range(200):
            wire.receive(bytes(1_000), 0)
        flipped.append(b"".join(data for _, data in wire.arrived))
    assert flipped[0] == flipped[1]
    wrong = sum(byte.bit_count() for byte in flipped[0])
    assert wrong == pytest.approx(1_600, abs=160)  # 4 sigma of 1.6e6 bits at 1e-3
    wire.spoil(0.0)
    wire.arrived.clear()
    wire.receive(bytes(1_000), 0)
    assert wire.arrived[0][1] == bytes(1_000)


# -- its machine ----------------------------------------------------------------------------------


def test_a_board_without_power_drives_nothing_and_answers_nothing() -> None:
    plant = Plant(1)
    unit = unit_of(plant)
    board = unit.board
    assert isinstance(board, IoBoard)
    assert hello(board, S) is not None
    unit.set_fault("io_power_cut", 2 * S)
    assert hello(board, 3 * S) is None
    assert all(drives(plant)[name] == 0.0 for name in (*COILS, "annunciator"))
    unit.clear_fault("io_power_cut", 4 * S)
    assert hello(board, 5 * S) is not None


def test_each_start_has_its_own_boot_id_and_says_why() -> None:
    plant = Plant(1)
    unit = unit_of(plant)
    board = unit.board
    assert isinstance(board, IoBoard)
    first = hello(board, S)
    unit.set_fault("io_reset", 2 * S)
    second = hello(board, 3 * S)
    assert first is not None
    assert second is not None
    assert (first.reset_reason, second.reset_reason) == (0, 1)
    assert first.boot_id != second.boot_id
    assert second.time_us < 2_000_000


def test_an_unknown_image_says_so_itself() -> None:
    unit = unit_of(Plant(1))
    board = unit.board
    assert isinstance(board, IoBoard)
    ours = hello(board, S)
    unit.set_fault("io_unknown_image", 2 * S)
    theirs = hello(board, 3 * S)
    assert ours is not None
    assert theirs is not None
    assert theirs.image == UNKNOWN_IMAGE != ours.image


def test_a_status_comes_every_tenth_of_a_second_without_being_asked() -> None:
    board = unit_of(Plant(1)).board
    assert isinstance(board, IoBoard)
    found = []
    for step in range(1, 201):
        for _, data in board.advance(step * 5 * MS):
            found += [f for f in Decoder().feed(data) if isinstance(f, Frame)]
    times = [Status.unpack(f.payload).time_us for f in found if f.type == Type.STATUS]
    assert len(times) in (9, 10, 11)
    assert {after - before for before, after in itertools.pairwise(times)} == {100_000}


@pytest.mark.parametrize("name", BOARD_FAULTS)
def test_a_unit_without_a_board_has_no_fault_of_one(name: str) -> None:
    plant = Plant(1)
    unit = UnitDevices(plant, drives(plant))
    with pytest.raises(DeviceFaultError, match="no fault"):
        unit.set_fault(name, 0)
    with pytest.raises(DeviceFaultError, match="no fault"):
        unit.clear_fault(name)


def test_a_unit_nobody_simulates_is_refused() -> None:
    plant = Plant(1)
    with pytest.raises(DeviceFaultError, match="no device side"):
        UnitDevices(plant, drives(plant), unit="washer")


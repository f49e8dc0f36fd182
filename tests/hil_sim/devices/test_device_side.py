"""The device side alone, against the words of the manuals."""

from __future__ import annotations

import pytest

from hil_sim.devices.modbus import checksum
from hil_sim.devices.skid import Skid
from hil_sim.devices.unit import FAULTS, DeviceFaultError, UnitDevices
from hil_sim.plant.plant import Plant
from hil_sim.plant.state import ACTUATORS

S = 1_000_000_000


@pytest.fixture
def plant():
    return Plant(1)


@pytest.fixture
def unit(plant):
    return UnitDevices(plant, dict(zip(ACTUATORS, map(float, plant.u["drive"][0]), strict=True)))


def say(bus, text, now=0):
    return b"".join(data for _, data in bus.receive(text, now))


def test_devices_are_found_running_in_the_middle_of_their_range(unit):
    assert b" +0250.0    Air\r" in say(unit.gas, b"A\r")
    assert b" 110.0 CW P/N 1 " in say(unit.pumps, b"1RS\r")
    assert unit.skid.commands["HEATER_CMD"] == 50.0


def test_a_setpoint_drives_the_plant_and_a_wrong_command_does_not(unit, plant):
    assert b"+0100.0" in say(unit.gas, b"AS 100.0\r")
    assert plant.u["drive"][0][0] == 100.0
    assert say(unit.gas, b"AS one\r") == b"?\r"
    assert say(unit.gas, b"EXY\r") == b""
    assert plant.u["drive"][0][0] == 100.0


def test_the_legacy_shape_moves_the_valve_as_on_a_real_one(unit, plant):
    say(unit.gas, b"A32000\r")
    assert plant.u["drive"][0][0] == 250.0


def test_a_reply_is_due_when_its_last_byte_has_passed_the_line(unit):
    ((due, reply),) = unit.gas.receive(b"A\r", 0)
    assert due == 3_000_000 + (2 + len(reply)) * (S * 10 // 19_200)


def test_a_request_in_pieces_is_one_request(unit):
    assert say(unit.gas, b"A") == b""
    assert say(unit.gas, b"\r").startswith(b"A +")
    assert say(unit.probes, bytes.fromhex("010308")) == b""
    assert say(unit.probes, bytes.fromhex("29000A1665"), 1000)[:3] == b"\x01\x03\x14"


def test_modbus_answers_are_whole_and_an_absent_or_misspelt_unit_is_silent(unit):
    reply = say(unit.probes, bytes.fromhex("01030829000A1665"))
    assert checksum(reply[:-2]) == reply[-2:]
    assert say(unit.probes, bytes.fromhex("01030829000A1666")) == b""
    absent = bytes.fromhex("09030829000A")
    assert say(unit.probes, absent + checksum(absent)) == b""
    unknown = bytes.fromhex("010300000001")
    assert say(unit.probes, unknown + checksum(unknown))[:3] == b"\x01\x83\x02"


def test_a_pump_echoes_everything_acknowledges_nothing_and_obeys(unit, plant):
    feed = ACTUATORS.index("feed_rpm")
    assert say(unit.pumps, b"1SP57.0\r", S) == b"1SP57.0\r"
    assert plant.u["drive"][0][feed] == 57.0
    assert say(unit.pumps, b"1ST\r", 2 * S) == b"1ST\r"
    assert plant.u["drive"][0][feed] == 0.0
    assert say(unit.pumps, b"1RS\r", 3 * S).endswith(b" 0 !\r")


def test_a_command_within_ten_ms_of_the_last_is_echoed_and_lost(unit, plant):
    say(unit.pumps, b"1SP57.0\r", S)
    say(unit.pumps, b"1ST\r", S + 5_000_000)
    assert plant.u["drive"][0][ACTUATORS.index("feed_rpm")] == 57.0


def test_a_stuck_pump_says_that_it_runs_and_its_tachometer_agrees(unit, plant):
    unit.set_fault("pump_stuck_on", 0, pump="feed", rpm=20.0)
    say(unit.pumps, b"1ST\r", S)
    status = say(unit.pumps, b"1RS\r", 2 * S)
    assert b" 20.0 CW " in status
    assert status.endswith(b" 1 !\r")
    assert plant.u["drive"][0][ACTUATORS.index("feed_rpm")] == 20.0


def test_the_balance_shows_the_vessel_and_knows_no_nonsense(unit):
    assert say(unit.balance, b"SI\r\n").startswith((b"S S ", b"S D "))
    assert say(unit.balance, b"hello\r\n") == b"ES\r\n"
    unit.set_fault("bad_quality", 0, point="WT101")
    assert say(unit.balance, b"SI\r\n") == b"S I\r\n"


def test_the_skid_without_a_host_takes_only_the_safe_direction(unit, plant):
    skid = unit.skid
    skid.advance(11 * S)
    assert skid.write("XV201_CMD", True, 12 * S) != 0
    assert skid.write("HEATER_CMD", 80.0, 12 * S) != 0
    assert skid.write("HEATER_CMD", 10.0, 12 * S) == 0
    assert skid.write("HOST_BEAT", 1, 13 * S) == 0
    assert skid.write("XV201_CMD", True, 13 * S) == 0
    assert plant.u["drive"][0][ACTUATORS.index("xv201")] == 1.0


@pytest.mark.parametrize(
    ("node", "value"),
    [("TT101", 1.0), ("NOTHING", 1.0), ("HEATER_CMD", 101.0), ("HEATER_CMD", None)],
)
def test_the_skid_refuses_what_it_cannot_take(unit, node, value):
    assert unit.skid.write(node, value, 0) != 0
    assert unit.skid.commands["HEATER_CMD"] == 50.0


@pytest.mark.parametrize("name", FAULTS)
def test_every_named_fault_can_be_set_and_cleared(unit, name):
    unit.set_fault(name, 0)
    unit.clear_fault(name)


@pytest.mark.parametrize(("name", "how"), [
    ("nonsense", {}), ("pump_stuck_on", {"pump": "other"}), ("pump_stuck_on", {"rpm": 1e9}),
    ("slow_read", {"link": "other"}), ("bad_quality", {"point": "other"}),
])  # fmt: skip
def test_an_unknown_fault_or_parameter_is_refused(unit, name, how):
    with pytest.raises(DeviceFaultError):
        unit.set_fault(name, 0, **how)


def test_the_mean_of_the_heater_is_weighted_by_time(plant):
    found = dict(zip(ACTUATORS, map(float, plant.u["drive"][0]), strict=True))
    skid = Skid(plant, found | {"heater_pct": 10.0})
    for second in range(60):
        skid.write("HOST_BEAT", second + 1, second * S)
    skid.write("HEATER_CMD", 30.0, 39 * S)
    skid.advance(69 * S)
    assert skid.commands["HEATER_CMD"] == pytest.approx(20.0)

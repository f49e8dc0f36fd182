"""One serial line in lock-step with the device side: order, timing, repetition, limits."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_bench import (
    MS,
    S,
    Samples,
    StillPlant,
    Wire,
    balance_plan,
    gas_plan,
    probe_plan,
    pump_plan,
)

from controller.field.links.machine import SerialLink
from hil_sim.devices.unit import UnitDevices

GOOD, UNCERTAIN, BAD = 0, 1, 2
COMMUNICATION, DEVICE, DRIVER = 7, 6, 11


def bench(plan, line):
    plant = StillPlant()
    devices = UnitDevices(plant, plant.driven)
    samples = Samples()
    return Wire(SerialLink(plan, samples), devices.serial[line]), devices, samples, plant


def notes(wire, kind):
    return [note for note in wire.link.take_notes() if note.kind == kind]


def test_every_point_is_read_once_a_second_and_good():
    wire, _, samples, _ = bench(gas_plan(), "gas_bus")
    wire.run(10 * S)
    for point in range(4):
        rows = [row for row in samples.rows if row[0] == point]
        assert 9 <= len(rows) <= 11
        assert {row[2] for row in rows} == {GOOD}


def test_the_first_write_to_every_actuator_is_the_value_it_was_given():
    wire, _, _, plant = bench(gas_plan(), "gas_bus")
    for output in range(4):
        wire.link.write(output, 0.0, False, 0)
    wire.run(2 * S)
    writes = [tx for _, tx in wire.sent if b"S " in tx]
    assert writes == [b"AS 0.0\r", b"BS 0.0\r", b"CS 0.0\r", b"DS 0.0\r"]
    assert [plant.driven[gas] for gas in ("air", "o2", "co2", "n2")] == [0, 0, 0, 0]


def test_a_safe_write_waits_for_no_identification_and_goes_first():
    wire, _, _, _ = bench(pump_plan(), "pump_bus")
    wire.link.write(0, 1.8, False, 0)
    wire.link.write(1, 0.0, True, 0)
    wire.run(S)
    assert wire.sent[0][1] == b"2ST\r"


def test_a_safe_write_overtakes_polls_and_writes_and_leaves_when_the_exchange_in_flight_ends():
    wire, devices, _, _ = bench(gas_plan(), "gas_bus")
    wire.run(2 * S + 2 * MS)
    wire.link.write(1, 30.0, False, wire.now)
    wire.run(wire.now + MS)
    in_flight = wire.sent[-1]
    wire.link.write(2, 10.0, False, wire.now)
    wire.link.write(0, 0.0, True, wire.now)
    devices.gas.disturb(silent=frozenset("B"))
    wire.run(wire.now + S)
    following = [(at, tx) for at, tx in wire.sent if at > in_flight[0]]
    assert following[0][1] == b"AS 0.0\r"
    assert following[0][0] - in_flight[0] <= 160 * MS


def test_only_the_latest_value_of_an_output_leaves():
    wire, _, _, _ = bench(gas_plan("A"), "gas_bus")
    wire.run(S)
    for value in (10.0, 20.0, 30.0):
        wire.link.write(0, value, False, wire.now)
    wire.run(wire.now + S)
    assert [tx for _, tx in wire.sent if b"S " in tx] == [b"AS 30.0\r"]


def test_a_write_is_repeated_until_it_is_read_back_and_not_faster_than_the_profile_says():
    wire, devices, _, _ = bench(pump_plan(), "pump_bus")
    wire.run(S)
    devices.pumps.stick(1, 20.0)
    wire.link.write(0, 0.0, True, wire.now)
    wire.run(wire.now + 10 * S)
    times = [at for at, tx in wire.sent if tx == b"1ST\r"]
    assert 8 <= len(times) <= 20
    assert min(b - a for a, b in pairwise(times)) >= 500 * MS
    devices.pumps.unstick(1)
    wire.run(wire.now + 2 * S)
    kinds = [note.kind for note in wire.link.take_notes() if note.output == 0]
    assert kinds[0] == "sent"
    assert "mismatch" in kinds
    assert kinds[-1] == "confirmed"


def test_a_write_in_the_first_instant_of_time_is_verified_like_any_other():
    wire, _, _, _ = bench(gas_plan("A"), "gas_bus")
    wire.link.write(0, 80.0, True, 0)
    wire.run(S)
    assert wire.sent[0] == (0, b"AS 80.0\r")
    assert len(notes(wire, "confirmed")) == 1


def test_a_device_that_forgets_its_setpoint_is_told_again():
    wire, devices, _, _ = bench(gas_plan("A"), "gas_bus")
    wire.link.write(0, 80.0, False, 0)
    wire.run(3 * S)
    devices.gas.controllers["A"].setpoint = 0.0
    wire.run(6 * S)
    assert devices.gas.controllers["A"].setpoint == 80.0


def test_a_pump_gets_its_speed_and_then_its_go_at_least_ten_ms_apart():
    wire, _, _, plant = bench(pump_plan(), "pump_bus")
    wire.run(S)
    wire.link.write(0, 1.8, False, wire.now)
    wire.run(wire.now + S)
    writes = [(at, tx) for at, tx in wire.sent if tx in (b"1SP2.0\r", b"1GO\r")]
    assert [tx for _, tx in writes] == [b"1SP2.0\r", b"1GO\r"]
    assert writes[1][0] - writes[0][0] >= 10 * MS
    assert plant.driven["feed_rpm"] == 2.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -5.0, 1e9])
def test_a_value_no_device_can_take_is_refused_and_changes_nothing(value):
    wire, _, _, _ = bench(gas_plan("A"), "gas_bus")
    wire.run(S)
    wire.link.write(0, value, True, wire.now)
    wire.run(2 * S)
    assert not [tx for _, tx in wire.sent if b"S " in tx]
    assert len(notes(wire, "refused")) == 1


def test_a_silent_device_turns_bad_after_its_retries_and_the_others_go_on():
    wire, devices, samples, _ = bench(gas_plan(), "gas_bus")
    wire.run(3 * S)
    devices.gas.disturb(silent=frozenset("C"))
    wire.run(6 * S)
    assert samples.last(2)[1:3] == (BAD, COMMUNICATION)
    assert samples.last(0)[1] == samples.last(3)[1] == GOOD
    devices.gas.disturb()
    wire.run(12 * S)
    assert samples.last(2)[1] == GOOD
    kinds = [note.kind for note in wire.link.take_notes() if note.device == "mfc_C"]
    assert kinds.index("lost") < kinds.index("restored")


def test_a_silent_line_is_told_lost_and_restored_once():
    wire, devices, _, _ = bench(gas_plan(), "gas_bus")
    wire.run(3 * S)
    good_ns = wire.link.last_good_ns
    devices.gas.disturb(silent=None)
    wire.run(30 * S)
    assert wire.link.last_good_ns - good_ns < S
    devices.gas.disturb()
    wire.run(40 * S)
    told = [note.kind for note in wire.link.take_notes() if note.device == ""]
    assert told == ["lost", "restored"]


def test_after_a_silence_a_released_value_reaches_the_device():
    wire, devices, _, _ = bench(gas_plan("A"), "gas_bus")
    wire.run(2 * S)
    devices.gas.disturb(silent=None)
    wire.link.write(0, 33.0, True, wire.now)
    wire.run(20 * S)
    devices.gas.disturb()
    wire.run(30 * S)
    assert devices.gas.controllers["A"].setpoint == 33.0


@pytest.mark.parametrize("late_ms", [200, 350, 700, 1500, 2500])
def test_a_late_answer_never_passes_for_news(late_ms):
    wire, devices, samples, plant = bench(balance_plan(), "balance")
    wire.run(3 * S)
    devices.balance.disturb(late_ms=late_ms)
    true_at = {}
    for step in range(3000, 30_000, 10):
        plant.values["WT101"] = true_at[step] = 1000.0 + step / 10
        wire.run(step * MS)
    for _, value, quality, _, sample_ns in samples.rows:
        if quality != BAD and sample_ns > 3 * S:
            taken_ms = (value - 1000.0) * 10
            assert taken_ms >= sample_ns / MS - 20


@pytest.mark.parametrize("every", [2, 3, 5])
def test_garbled_answers_are_counted_and_never_good(every):
    wire, devices, samples, _ = bench(probe_plan(), "probe_bus")
    devices.probes.disturb(garble_every=every)
    wire.run(60 * S)
    goods = {row[0]: set() for row in samples.rows}
    for point, value, quality, _, _ in samples.rows:
        if quality == GOOD:
            goods[point].add(round(value, 3))
    assert goods[0] == {7.2}
    assert goods[2] == {40.0}
    assert any(note.kind == "fault" for note in wire.link.take_notes())


def test_a_device_that_doubts_its_own_value_is_bad_though_it_answers():
    wire, devices, samples, _ = bench(probe_plan(), "probe_bus")
    devices.set_fault("bad_quality", 0, point="AT102")
    wire.run(3 * S)
    assert samples.last(2)[1:3] == (BAD, DEVICE)
    devices.clear_fault("bad_quality")
    wire.run(5 * S)
    assert samples.last(2)[1] == GOOD


def test_another_model_than_the_profile_says_is_refused_and_takes_safe_writes_only():
    wire, devices, samples, _ = bench(gas_plan("A"), "gas_bus")
    devices.gas._maker = lambda mfc: b"A M04 Model Number M-500SCCM-D\r"
    wire.link.write(0, 80.0, False, 0)
    wire.run(5 * S)
    assert not [tx for _, tx in wire.sent if b"S " in tx]
    assert samples.last(0)[1] == BAD
    wire.link.write(0, 0.0, True, wire.now)
    wire.run(6 * S)
    assert [tx for _, tx in wire.sent if b"S " in tx] == [b"AS 0.0\r"]
    assert len(notes(wire, "refused")) >= 1


def test_a_failure_of_the_driver_makes_every_signal_bad_until_it_is_read():
    wire, _, samples, _ = bench(probe_plan(), "probe_bus")
    wire.run(3 * S)
    wire.link.line_down("a driver nobody tested", wire.now, driver_failed=True)
    wire.link.reset(wire.now)
    assert samples.last(0)[1:3] == (BAD, DRIVER)
    wire.run(5 * S)
    assert samples.last(0)[1] == GOOD


def test_a_babbling_line_grows_nothing_and_spoils_only_itself():
    wire, _, samples, _ = bench(gas_plan("A"), "gas_bus")
    wire.run(2 * S)
    for step in range(5_000):
        now = 2 * S + step * MS
        wire.link.take_tx(now)
        wire.link.feed(b"\xff" * 400, now)
    assert len(wire.link._buffer) <= 1_024
    assert len(wire.link.take_notes()) <= 256
    assert samples.last(0)[1] == BAD
    wire.run(20 * S)
    assert samples.last(0)[1] == GOOD


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), max_size=6))
def test_a_reply_in_pieces_is_the_same_reply(cuts):
    samples = Samples()
    link = SerialLink(gas_plan("A"), samples)
    link.take_tx(0)
    link.feed(b"A M00 Model Number MC-500SCCM-D\r", MS)
    link.take_tx(100 * MS)
    reply, now = b"A +014.62 +021.89 +000.0 +012.5 +078.9     N2\r", 200 * MS
    for cut in [*cuts, len(reply)]:
        piece, reply = reply[:cut], reply[cut:]
        if piece:
            link.feed(piece, now)
    assert samples.last(0)[:2] == (12.5, GOOD)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=40))
def test_no_noise_makes_a_good_value_or_stops_the_machine(chunks):
    samples = Samples()
    link = SerialLink(pump_plan(), samples)
    now = 0
    for chunk in chunks:
        now = max(now + MS, min(link.next_ns(), now + 300 * MS))
        link.take_tx(now)
        link.feed(chunk, now)
    assert all(row[2] == BAD for row in samples.rows)
    assert link.next_ns() < now + 20 * S

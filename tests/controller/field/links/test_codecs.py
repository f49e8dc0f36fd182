"""Codecs against byte vectors from manuals, and against everything else."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_bench import balance_plan, gas_plan, probe_plan, pump_plan

from controller.field.links.codec_ascii import AsciiRead
from controller.field.links.codec_modbus import ModbusRead, crc16
from controller.profile.frames import frames

GOOD, UNCERTAIN, BAD = 0, 1, 2


def ascii_codec(plan, device=0):
    return AsciiRead(plan.devices[device], plan.devices[device].reads[0])


def modbus_codec(device=0, read=0):
    plan = probe_plan().devices[device]
    return ModbusRead(plan, plan.reads[read])


def arc(value, low, high, status=0, swap=True, unit=1):
    words = [struct.pack(">I", 0x1000), struct.pack(">f", value), struct.pack(">I", status),
             struct.pack(">f", low), struct.pack(">f", high)]  # fmt: skip
    body = b"".join(word[2:] + word[:2] if swap else word for word in words)
    frame = bytes([unit, 3, 20]) + body
    return frame + crc16(frame).to_bytes(2, "little")


def test_the_alicat_frame_of_the_manual_gives_mass_flow_and_setpoint():
    codec = ascii_codec(gas_plan())
    assert codec.parse(b"A +014.62 +021.89 +000.00 +000.00 +078.95     N2\r") == ""
    assert codec.values == [0.0, 78.95]
    assert (codec.quality, codec.reason) == (GOOD, 0)


@pytest.mark.parametrize(("word", "quality"), [("ADC", BAD), ("MOV", UNCERTAIN), ("LCK", GOOD)])
def test_an_alicat_status_word_decides_the_quality(word, quality):
    codec = ascii_codec(gas_plan())
    frame = f"A +014.62 +021.89 +000.00 +012.50 +078.95     N2 {word}\r"
    assert codec.parse(frame.encode()) == ""
    assert codec.quality == quality


@pytest.mark.parametrize("frame", [
    b"?\r", b"B +014.62 +021.89 +000.00 +000.00 +078.95     N2\r", b"A49408\r",
    b"A +014.62 +021.89 +000.00 +000.00\r", b"\r",
    b"A +014.6x +021.89 +000.00 +000.00 +078.95 N2\r",
])  # fmt: skip
def test_what_is_not_a_whole_alicat_frame_is_no_value(frame):
    assert ascii_codec(gas_plan()).parse(frame) != ""


def test_the_watson_marlow_status_of_the_manual_counts_only_while_running():
    codec = ascii_codec(pump_plan())
    assert codec.parse(b"520Du 15.84 520R 9.6MM 220.0 CW P/N 1 123456789 1 !") == ""
    assert codec.values == [220.0]
    assert codec.parse(b"520Du 15.84 520R 9.6MM 220.0 CW P/N 1 123456789 0 !") == ""
    assert codec.values == [0.0]
    assert codec.parse(b"520Du 15.84 520R 9.6MM 220.0 CW P/N 2 123456789 1 !") != ""


@pytest.mark.parametrize(("frame", "value", "quality"), [
    (b"S S     100.00 g\r\n", 100.0, GOOD), (b"S D    6100.10 g\r\n", 6100.1, GOOD),
    (b"S I\r\n", math.nan, BAD), (b"S +\r\n", math.nan, BAD), (b"S -\r\n", math.nan, BAD),
])  # fmt: skip
def test_mt_sics_answers_have_the_quality_of_the_manual(frame, value, quality):
    codec = ascii_codec(balance_plan())
    assert codec.parse(frame) == ""
    assert codec.values == pytest.approx([value], nan_ok=True)
    assert codec.quality == quality


@pytest.mark.parametrize("frame", [b"ES\r\n", b"S L\r\n", b"S S     100.00 kg\r\n"])
def test_mt_sics_errors_and_other_units_are_no_value(frame):
    assert ascii_codec(balance_plan()).parse(frame) != ""


def test_crc16_gives_the_check_value_of_the_catalogue():
    assert crc16(b"123456789") == 0x4B37


def test_an_arc_request_asks_for_ten_registers_at_the_wire_address():
    assert modbus_codec().tx[:6] == bytes.fromhex("01 03 08 29 00 0A")
    assert modbus_codec().tx == bytes.fromhex("01 03 08 29 00 0A 16 65")


@pytest.mark.parametrize("swap", [False, True])
def test_the_word_order_is_found_from_the_limits_of_the_same_reply(swap):
    codec = modbus_codec()
    assert codec.parse(arc(7.2, 0.0, 14.0, swap=swap)) == ""
    assert codec.values == pytest.approx([7.2], rel=1e-6)


def test_a_reply_that_fits_no_word_order_is_no_value():
    assert "word order" in modbus_codec().parse(arc(99.0, 0.0, 14.0))


@pytest.mark.parametrize(("bit", "quality"), [(0, UNCERTAIN), (1, BAD), (2, UNCERTAIN),
                                              (3, UNCERTAIN), (4, BAD), (9, GOOD)])  # fmt: skip
def test_arc_status_bits_decide_the_quality(bit, quality):
    codec = modbus_codec()
    assert codec.parse(arc(7.2, 0.0, 14.0, status=1 << bit)) == ""
    assert codec.quality == quality


def test_a_float_that_is_not_finite_is_bad():
    codec = modbus_codec()
    assert codec.parse(arc(7.2, 0.0, 14.0)) == ""
    assert codec.parse(arc(math.nan, 0.0, 14.0)) == ""
    assert codec.quality == BAD


def test_modbus_exceptions_and_other_addresses_are_named():
    codec = modbus_codec()
    body = bytes([1, 0x83, 2])
    assert codec.parse(body + crc16(body).to_bytes(2, "little")) == "Modbus exception 2"
    assert "another address" in codec.parse(arc(7.2, 0.0, 14.0, unit=2))


@given(at=st.integers(0, 24), flip=st.integers(1, 255))
def test_no_flipped_byte_of_a_modbus_reply_becomes_a_value(at, flip):
    frame = bytearray(arc(7.2, 0.0, 14.0))
    frame[at] ^= flip
    assert modbus_codec().parse(bytes(frame)) != ""


@given(st.binary(max_size=200))
def test_no_line_noise_is_an_alicat_value(noise):
    codec = ascii_codec(gas_plan())
    assert codec.parse(noise + b"\r") != "" or noise.startswith(b"A ")


@given(st.floats(0, 500))
def test_no_alicat_write_ever_has_the_legacy_shape(value):
    (frame,) = frames(gas_plan().devices[0].writes[0], value)
    assert frame.startswith(b"AS ")
    assert frame.endswith(b"\r")

"""The codec: what is encoded comes back; what the line spoiled never comes through as another."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.codes import ENCODED_MAX, FRAME_MAX, PAYLOAD_MAX
from firmware_bridge.frames import Decoder, Fault, Frame, cobs_decode, cobs_encode, decode, encode

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())

frames = st.builds(
    Frame,
    type=st.integers(0, 255),
    session=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 65_535),
    payload=st.binary(max_size=PAYLOAD_MAX),
)


def sent(frame: Frame) -> bytes:
    return encode(frame.type, frame.session, frame.sequence, frame.payload, frame.version)


@given(st.binary(max_size=1_100))
def test_cobs_comes_back_without_a_zero_in_between(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) <= len(data) + len(data) // 254 + 1
    assert cobs_decode(encoded) == data


@pytest.mark.parametrize("size", [0, 1, 252, 253, 254, 255, 256, 507, 508, 509])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0", b"x", b"\0x"])
def test_cobs_at_the_edges_of_its_blocks(size: int, tail: bytes) -> None:
    data = b"a" * size + tail
    assert cobs_decode(cobs_encode(data)) == data


def test_cobs_says_what_the_paper_says() -> None:
    # Cheshire and Baker 1999, table II: a block of 254 without a zero has code 0xFF and no zero.
    assert cobs_encode(b"") == b"\x01"
    assert cobs_encode(b"\0") == b"\x01\x01"
    assert cobs_encode(b"\x11\x22\x00\x33") == b"\x03\x11\x22\x02\x33"
    block = bytes(range(1, 255))
    assert cobs_encode(block) == b"\xff" + block
    assert cobs_encode(block + b"\xff") == b"\xff" + block + b"\x02\xff"
    assert cobs_encode(block + b"\0") == b"\xff" + block + b"\x01\x01"


@pytest.mark.parametrize("wrong", [b"\x00", b"\x05abc", b"\x02", b"\x03a\0", b"\xff" + b"a" * 253])
def test_what_is_not_cobs_is_refused(wrong: bytes) -> None:
    assert cobs_decode(wrong) is None


@pytest.mark.parametrize("size", range(PAYLOAD_MAX + 1))
def test_a_frame_of_every_length_comes_back(size: int) -> None:
    for payload in (bytes(size), b"\xff" * size, random.Random(size).randbytes(size)):
        line = encode(0x42, 0xDEADBEEF, 65_535, payload)
        assert len(line) <= ENCODED_MAX
        assert Decoder().feed(line) == [Frame(0x42, 0xDEADBEEF, 65_535, payload)]


def test_a_payload_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ValueError, match="241"):
        encode(1, 0, 0, bytes(PAYLOAD_MAX + 1))


@given(st.lists(frames, max_size=5), st.data())
def test_frames_come_back_in_whatever_pieces_the_line_brings_them(
    wanted: list[Frame], data: st.DataObject
) -> None:
    line = b"".join(map(sent, wanted))
    decoder, found = Decoder(), []
    while line:
        size = data.draw(st.integers(1, max(1, len(line))))
        found += decoder.feed(line[:size])
        line = line[size:]
    assert found == wanted


@settings(max_examples=20)
@given(frames)
def test_no_single_wrong_bit_comes_through_as_another_frame(frame: Frame) -> None:
    line = sent(frame)
    for bit in range(8 * len(line)):
        spoiled = bytearray(line)
        spoiled[bit // 8] ^= 1 << bit % 8
        for found in Decoder().feed(bytes(spoiled) + b"\0"):
            assert isinstance(found, Fault), f"bit {bit}: {found}"


@given(st.binary(max_size=2_000), frames)
def test_after_any_garbage_the_frame_behind_a_zero_is_read(noise: bytes, frame: Frame) -> None:
    found = Decoder().feed(noise + b"\0" + sent(frame))
    assert found[-1] == frame


def test_the_decoder_holds_no_more_than_a_frame_however_long_no_zero_comes() -> None:
    decoder = Decoder()
    for _ in range(1_000):
        assert decoder.feed(b"\x55" * 1_000) == []
        assert len(decoder._held) < ENCODED_MAX
    assert decoder.feed(b"\0") == [Fault.LONG]
    assert decoder.feed(encode(1, 2, 3, b"x")) == [Frame(1, 2, 3, b"x")]


@pytest.mark.parametrize(
    ("encoded", "fault"),
    [
        (cobs_encode(bytes(11)), Fault.SHORT),
        (cobs_encode(bytes(12)), Fault.CRC),
        (cobs_encode(b"a" * (FRAME_MAX + 1)), Fault.LONG),
        (b"a" * ENCODED_MAX, Fault.LONG),
        (b"\x09ab", Fault.CODE),
    ],
)
def test_every_fault_has_its_name(encoded: bytes, fault: Fault) -> None:
    assert decode(encoded) is fault
    assert Decoder().feed(encoded + b"\0") == [fault]


def test_zeros_alone_are_nothing() -> None:
    assert Decoder().feed(bytes(1_000)) == []


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=lambda vector: vector["name"])
def test_the_shared_vectors_are_what_we_say_and_hear(vector: dict[str, object]) -> None:
    line = bytes.fromhex(str(vector["line"]))
    frame = Frame(
        int(str(vector["type"])), int(str(vector["session"])), int(str(vector["sequence"])),
        bytes.fromhex(str(vector["payload"])),
    )  # fmt: skip
    assert sent(frame) == line
    assert Decoder().feed(line) == [frame]


@pytest.mark.parametrize("vector", VECTORS["faults"], ids=lambda vector: vector["name"])
def test_the_shared_faulty_lines_are_dropped(vector: dict[str, str]) -> None:
    assert Decoder().feed(bytes.fromhex(vector["line"])) == [Fault[vector["fault"]]]

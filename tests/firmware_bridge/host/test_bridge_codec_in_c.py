"""The codec of host and board: the same bytes, the same frames, the same refusals."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from pathlib import Path

import pytest

from firmware_bridge.codes import PAYLOAD_MAX
from firmware_bridge.frames import Decoder, Frame, encode
from firmware_bridge.header import FOLDER

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "vectors.json").read_text())


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core's frame.c behind a filter."""
    made = tmp_path_factory.mktemp("codec") / "codec"
    sources = [HERE / "codec.c", FOLDER / "frame.c", FOLDER / "crc32.c"]
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{FOLDER}"]
    subprocess.run(["cc", *flags, "-o", made, *sources], check=True)
    return made


def c_encodes(codec: Path, frames: list[Frame]) -> bytes:
    asked = b"".join(
        struct.pack("<BIHH", frame.type, frame.session, frame.sequence, len(frame.payload))
        + frame.payload
        for frame in frames
    )
    return subprocess.run([codec, "e"], input=asked, capture_output=True, check=True).stdout


def c_decodes(codec: Path, line: bytes) -> list[bytes]:
    told = subprocess.run([codec, "d"], input=line, capture_output=True, check=True).stdout
    found, at = [], 0
    while at < len(told):
        (size,) = struct.unpack_from("<H", told, at)
        found.append(told[at + 2 : at + 2 + size])
        at += 2 + size
    return found


def body(frame: Frame) -> bytes:
    """What stands before the CRC."""
    head = struct.pack("<BBIH", frame.version, frame.type, frame.session, frame.sequence)
    return head + frame.payload


def some(rng: random.Random, count: int) -> list[Frame]:
    """Frames of every length and of every density of zeros."""
    found = []
    for _ in range(count):
        size = rng.randrange(PAYLOAD_MAX + 1)
        payload = rng.randbytes(size)
        if rng.random() < 0.5:
            keep = rng.randrange(256)
            payload = bytes(byte if byte < keep else 0 for byte in payload)
        frame = Frame(rng.randrange(256), rng.randrange(1 << 32), rng.randrange(1 << 16), payload)
        found.append(frame)
    return found


def both_directions(codec: Path, seed: int, count: int) -> None:
    rng = random.Random(seed)
    frames = some(rng, count)
    lines = [encode(f.type, f.session, f.sequence, f.payload) for f in frames]
    assert c_encodes(codec, frames) == b"".join(lines)
    assert [data[:-4] for data in c_decodes(codec, b"".join(lines))] == [body(f) for f in frames]


def spoiled(codec: Path, seed: int, count: int) -> None:
    """Wrong bits, lost bytes and noise: both hear the same frames."""
    rng = random.Random(seed)
    line = bytearray()
    for frame in some(rng, count):
        line += encode(frame.type, frame.session, frame.sequence, frame.payload)
        kind = rng.randrange(4)
        if kind == 1:
            line[-1 - rng.randrange(min(len(line), 200))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del line[-1 - rng.randrange(20)]
        elif kind == 3:
            line += rng.randbytes(rng.randrange(600)).replace(b"\0", bytes([rng.randrange(2)]))
    ours = [body(each) for each in Decoder().feed(bytes(line)) if isinstance(each, Frame)]
    assert [data[:-4] for data in c_decodes(codec, bytes(line))] == ours
    assert count // 8 < len(ours) < count


def test_random_frames_are_the_same_bytes_in_both_languages(codec: Path) -> None:
    both_directions(codec, 1, 30_000)


def test_what_is_spoiled_is_refused_alike(codec: Path) -> None:
    spoiled(codec, 2, 10_000)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(20))
def test_a_million_random_frames_are_the_same_bytes_in_both_languages(
    codec: Path, seed: int
) -> None:
    both_directions(codec, 100 + seed, 50_000)
    spoiled(codec, 200 + seed, 50_000)


def test_the_shared_vectors_are_what_the_core_says_and_hears(codec: Path) -> None:
    vectors = VECTORS["frames"]
    frames = [
        Frame(each["type"], each["session"], each["sequence"], bytes.fromhex(each["payload"]))
        for each in vectors
    ]
    line = b"".join(bytes.fromhex(each["line"]) for each in vectors)
    assert c_encodes(codec, frames) == line
    assert [data[:-4] for data in c_decodes(codec, line)] == [body(frame) for frame in frames]


@pytest.mark.parametrize("vector", VECTORS["faults"], ids=lambda vector: vector["name"])
def test_the_core_drops_the_shared_faulty_lines(codec: Path, vector: dict[str, str]) -> None:
    assert c_decodes(codec, bytes.fromhex(vector["line"])) == []

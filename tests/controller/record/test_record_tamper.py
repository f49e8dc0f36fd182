"""Whatever is done to a finished log, `verify` fails and names it."""

from __future__ import annotations

import os
import random
import shutil
import struct
import zlib
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from big_log import make_big_log
from record_logs import contents, files_under, frames_of, make_log
from three_verifiers import script

from controller.record.frame import HEADER_BYTES, pack
from controller.record.verify import verify

FILES = ("blobs", "checkpoint", "checkpoints", "history", "key.cert", "segments", "tile", "vkey")
STEP = 5  # every fifth byte in a short run; the campaign takes every bit of every byte
SCRIPT_SAMPLE = 40


def payloads_of(directory: Path) -> list[bytes]:
    """The payloads of a log."""
    return [frame.payload for frame in frames_of(directory)]


def file_called(directory: Path, start: str) -> Path:
    """The one file whose path in the log begins with a word."""
    return next(p for p in files_under(directory) if p.relative_to(directory).parts[0] == start)


def rewrite(directory: Path, payloads: list[bytes]) -> None:
    """The segment anew from payloads, with CRCs and numbers as a careful forger makes them."""
    data = b"".join(pack(seq, payload) for seq, payload in enumerate(payloads))
    (directory / "segments" / "00000000.seg").write_bytes(data)


def starts(directory: Path) -> list[int]:
    """The offset of every frame in the only segment."""
    return [frame.offset for frame in frames_of(directory)]


def named_at(directory: Path, part: str, offset: int, frames: list[int]) -> str:
    """What a problem must mention when byte `offset` of a file is spoiled."""
    if part == "segments":
        return f"record {sum(start <= offset for start in frames) - 1} ("
    return "(checkpoints," if part == "checkpoints" else part


def flips(copy: Path, part: str, step: int, bits: int) -> Iterator[tuple[int, int]]:
    """Spoils one bit after another of a file, and mends it again."""
    path = file_called(copy, part)
    original = path.read_bytes()
    dense = part != "segments"
    with path.open("r+b", buffering=0) as file:
        for offset in range(0, len(original), 1 if dense and step < STEP else step):
            for bit in range(bits):
                spoiled = original[offset] ^ 1 << (offset // step + bit) % 8
                os.pwrite(file.fileno(), bytes([spoiled]), offset)
                yield offset, bit
            os.pwrite(file.fileno(), original[offset : offset + 1], offset)


def missed_flips(copy: Path, part: str, step: int, bits: int) -> list[object]:
    """The flips that were not found, or not named."""
    frames, missed = starts(copy), []
    for offset, bit in flips(copy, part, step, bits):
        report = verify(copy)
        wanted = named_at(copy, part, offset, frames)
        if report.ok or not any(wanted in problem.where for problem in report.problems):
            missed.append((offset, bit, report.problems))
    return missed


@pytest.mark.parametrize("part", FILES)
def test_a_flipped_bit_in_every_fifth_byte_is_found_and_named(copy: Path, part: str) -> None:
    step = STEP if part == "segments" else 2
    assert missed_flips(copy, part, step, bits=1) == []
    assert verify(copy).ok


@pytest.mark.campaign
@pytest.mark.parametrize("part", FILES)
def test_every_flipped_bit_of_every_byte_is_found_and_named(copy: Path, part: str) -> None:
    assert missed_flips(copy, part, step=1, bits=8) == []
    assert verify(copy).ok


@pytest.mark.campaign
def test_every_flipped_byte_of_a_log_with_full_tiles_is_found(tmp_path: Path) -> None:
    make_big_log(tmp_path / "log", 300, segment=40_000)
    missed = []
    for path in files_under(tmp_path / "log"):
        original = path.read_bytes()
        with path.open("r+b", buffering=0) as file:
            for offset in range(0, len(original), 7 if path.suffix == ".seg" else 1):
                os.pwrite(file.fileno(), bytes([original[offset] ^ 1 << offset % 8]), offset)
                if verify(tmp_path / "log").ok:
                    missed.append((path, offset))
                os.pwrite(file.fileno(), original[offset : offset + 1], offset)
    assert missed == []
    assert verify(tmp_path / "log").ok


def test_the_script_finds_what_is_flipped_in_every_file(copy: Path) -> None:
    chosen = random.Random(11)
    missed = []
    for _ in range(SCRIPT_SAMPLE):
        path = file_called(copy, chosen.choice(FILES))
        original = path.read_bytes()
        offset = chosen.randrange(len(original))
        spoiled = bytearray(original)
        spoiled[offset] ^= 1 << chosen.randrange(8)
        path.write_bytes(spoiled)
        if script(copy).ok:
            missed.append((path, offset))
        path.write_bytes(original)
    assert missed == []
    assert script(copy).ok


def lengths(whole: int, frames: list[int]) -> list[int]:
    """Lengths below `whole`, longest first: around every frame's end, else every seventh."""
    edges = {
        begin + step for begin in frames for step in (-1, 0, 1, HEADER_BYTES, HEADER_BYTES + 1)
    }
    dense = frames[-1] if frames else whole - 300
    return [n for n in range(whole - 1, -1, -1) if n >= dense or n in edges or n % 7 == 0]


@pytest.mark.parametrize("part", FILES)
def test_a_truncation_at_every_edge_is_found_and_named(copy: Path, part: str) -> None:
    frames = starts(copy)
    whole = file_called(copy, part).stat().st_size
    chosen = lengths(whole, frames if part == "segments" else [])
    assert missed_truncations(copy, part, frames, chosen) == []
    assert verify(copy).ok


@pytest.mark.campaign
@pytest.mark.parametrize("part", FILES)
def test_every_truncation_of_every_file_is_found_and_named(copy: Path, part: str) -> None:
    whole = file_called(copy, part).stat().st_size
    every = list(range(whole - 1, -1, -1))
    assert missed_truncations(copy, part, starts(copy), every) == []
    assert verify(copy).ok


def missed_truncations(copy: Path, part: str, frames: list[int], sizes: list[int]) -> list[object]:
    """The truncations, longest first, that were not found or not named; then it is mended."""
    path = file_called(copy, part)
    original = path.read_bytes()
    missed: list[object] = []
    for size in sizes:
        os.truncate(path, size)
        report = verify(copy)
        wanted = named_at(copy, part, size, frames)
        if part == "segments" and size in frames:
            wanted = "checkpoint"  # whole records are missing: a checkpoint says so
        if part == "checkpoints":
            wanted = "checkpoint"
        if report.ok or not any(wanted in problem.where for problem in report.problems):
            missed.append((size, report.problems))
    path.write_bytes(original)
    return missed


def test_every_missing_file_is_found_and_named(copy: Path) -> None:
    for name, data in contents(copy).items():
        (copy / name).unlink()
        report = verify(copy)
        assert any(name.partition("/")[0] in problem.where for problem in report.problems), name
        (copy / name).write_bytes(data)
    assert verify(copy).ok


@pytest.mark.parametrize("data", [b"", b"x"])
@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "segments/00000001.seg",
        "segments/00000000.bak",
        "history/00000001.chunk",
        "blobs/sha256-" + "0" * 64,
        "torn/sha256-" + "0" * 64,
        "tile/0/000",
        "tile/0/000.p/29",
        "tile/1/000.p/1",
        "tile/entries/000.p/30",
        "checkpoint.tmp",
    ],
)
def test_a_file_that_no_record_covers_is_found_and_named(
    copy: Path, name: str, data: bytes
) -> None:
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(data)
    assert any(name in problem.where for problem in verify(copy).problems)


def test_a_link_or_pipe_in_place_of_a_file_is_found_and_named(copy: Path, tmp_path: Path) -> None:
    for name in ("checkpoint", "vkey", "checkpoints", "segments/00000000.seg"):
        path = copy / name
        aside = tmp_path / "aside"
        path.rename(aside)
        path.symlink_to(aside)
        assert any(name.partition("/")[0] in problem.where for problem in verify(copy).problems)
        path.unlink()
        os.mkfifo(path)
        assert any(name.partition("/")[0] in problem.where for problem in verify(copy).problems)
        path.unlink()
        aside.rename(path)
    assert verify(copy).ok


def swapped(payloads: list[bytes], every: bool = False) -> Iterator[tuple[int, int, list[bytes]]]:
    """The payloads with two of them changed over: every two, or neighbours and some far apart."""
    pairs = (
        list(combinations(range(len(payloads)), 2))
        if every
        else [(at, at + 1) for at in range(len(payloads) - 1)] + [(1, 29), (3, 17)]
    )
    for one, other in pairs:
        changed = list(payloads)
        changed[one], changed[other] = changed[other], changed[one]
        yield one, other, changed


EVERY = pytest.param(True, marks=pytest.mark.campaign, id="every two")
SOME = pytest.param(False, id="neighbours")


@pytest.mark.parametrize("every", [SOME, EVERY])
def test_every_swap_of_whole_frames_is_found_and_named(copy: Path, every: bool) -> None:
    path = copy / "segments" / "00000000.seg"
    data, begins = path.read_bytes(), [*starts(copy), path.stat().st_size]
    frames = [data[a:b] for a, b in pairwise(begins)]
    for one, _, changed in swapped(frames, every):
        path.write_bytes(b"".join(changed))
        report = verify(copy)
        assert f"record {one} (" in report.problems[0].where


@pytest.mark.parametrize("every", [SOME, EVERY])
def test_every_swap_with_forged_numbers_and_crcs_is_found_and_named(
    copy: Path, every: bool
) -> None:
    for one, _, changed in swapped(payloads_of(copy), every):
        rewrite(copy, changed)
        problems = verify(copy).problems
        assert problems
        covering = [problem for problem in problems if "checkpoint" in problem.where]
        assert covering or "record 0" in problems[0].where, one


@pytest.mark.parametrize("deep", [False, True])
def test_a_record_changed_with_its_crc_forged_is_found(copy: Path, deep: bool) -> None:
    payloads = payloads_of(copy)
    payloads[12] = payloads[12].replace(b'"old":"good"', b'"old":"evil"')
    rewrite(copy, payloads)
    report = verify(copy, deep=deep)
    assert "one of records 9 to 16 was changed" in report.problems[0].what
    assert "checkpoint 2 of size 17" in report.problems[0].where


def test_a_record_removed_or_added_with_the_rest_forged_is_found(copy: Path) -> None:
    payloads = payloads_of(copy)
    rewrite(copy, payloads[:12] + payloads[13:])
    assert not verify(copy).ok
    rewrite(copy, [*payloads, payloads[-1]])
    assert any("added after the log was sealed" in p.what for p in verify(copy).problems)


def test_a_sealed_log_rolled_back_to_an_earlier_checkpoint_is_not_sealed(copy: Path) -> None:
    blocks = (copy / "checkpoints").read_bytes().split(b"\n\n")
    keep = blocks[:6]  # three checkpoints; the third covers 17 records, before chunk and blob
    (copy / "checkpoints").write_bytes(b"\n\n".join(keep) + b"\n\n")
    (copy / "checkpoint").write_bytes(b"\n\n".join(keep[-2:]) + b"\n")
    rewrite(copy, payloads_of(copy)[:17])
    shutil.rmtree(copy / "history")
    shutil.rmtree(copy / "blobs")
    shutil.rmtree(copy / "tile")
    report = verify(copy)
    assert [problem.where for problem in report.problems] == ["checkpoint"]
    assert "not sealed" in report.problems[0].what
    assert verify(copy, expect_sealed=False).ok


def test_removing_a_checkpoint_from_the_middle_of_the_history_is_found(copy: Path) -> None:
    blocks = (copy / "checkpoints").read_bytes().split(b"\n\n")
    for index in range(len(blocks) // 2):
        kept = blocks[: 2 * index] + blocks[2 * index + 2 :]
        (copy / "checkpoints").write_bytes(b"\n\n".join(kept))
        assert any("checkpoint" in problem.where for problem in verify(copy).problems), index


def test_keys_and_checkpoints_of_another_log_do_not_pass(copy: Path, tmp_path: Path) -> None:
    make_log(tmp_path / "other", seed=2)
    mine = contents(copy)
    for name in ("vkey", "key.cert", "checkpoint", "checkpoints"):
        (copy / name).write_bytes((tmp_path / "other" / name).read_bytes())
        assert not verify(copy).ok, name
        (copy / name).write_bytes(mine[name])
    for name in ("vkey", "key.cert"):
        (copy / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert not verify(copy).ok


def test_a_length_that_runs_over_the_next_frame_is_found(copy: Path) -> None:
    path = copy / "segments" / "00000000.seg"
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<I", data, 0)
    longer = length + HEADER_BYTES + 20
    crc = zlib.crc32(bytes(data[8 : HEADER_BYTES + longer]))
    struct.pack_into("<II", data, 0, longer, crc)
    path.write_bytes(bytes(data))
    assert "record 0 (" in verify(copy).problems[0].where


def test_verify_of_what_is_not_a_log_reports_instead_of_raising(tmp_path: Path) -> None:
    assert not verify(tmp_path).ok
    assert not verify(tmp_path / "absent").ok
    (tmp_path / "vkey").mkdir()
    assert "vkey" in verify(tmp_path).problems[0].where

"""Logs, good and bad, for programs that must agree about them: fifty, the same in every run."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from big_log import make_big_log, payload_of
from record_logs import contents, files_under, fill, frames_of, make_log, stamp_at

from controller.record.files import DurableFiles
from controller.record.frame import pack
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.note import Checkpoint

FORMAT_1 = Path(__file__).parent / "fixtures" / "format-1"
SEED = 5
NOTES = ("checkpoint", "checkpoints", "key.cert", "vkey")
Make = Callable[[Path], None]
Spoil = Callable[[Path, random.Random], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One log, and whether it is good. `may_be_open`: as the state's `current` would say."""

    name: str
    good: bool
    make: Make
    may_be_open: bool = False


def small(path: Path) -> None:
    make_log(path)


def copy_of_format_1(path: Path) -> None:
    shutil.copytree(FORMAT_1, path)


def opened(path: Path) -> None:
    """A log whose writer was killed: space is set aside in its segment, nothing is sealed."""
    log = BatchLog.create(
        path, Keys.from_seed(3), stamp_at(0), purpose="batch B-3", files=DurableFiles()
    )
    fill(log, 12)
    log.checkpoint(stamp_at(60))
    log.close()
    with (path / "segments" / "00000000.seg").open("ab") as file:
        file.write(bytes(4096))


def torn(path: Path) -> None:
    """A log that was taken up again after a torn write, and finished."""
    make_log(path, sealed=False, seed=4).close()
    with (path / "segments" / "00000000.seg").open("ab") as file:
        file.write(pack(30, b"x" * 100)[:60])
    log = BatchLog.open(path, Keys.from_seed(4), stamp_at(50))
    log.seal(stamp_at(60))


def big(records: int, **changes: object) -> Make:
    """A log with tiles and several segments."""

    def make(path: Path) -> None:
        make_big_log(path, records, segment=40_000, **changes)  # type: ignore[arg-type]

    return make


def spoiled(make: Make, spoil: Spoil, seed: int = 0) -> Make:
    """A log that is made well and then changed."""

    def make_spoiled(path: Path) -> None:
        make(path)
        for file in files_under(path):
            file.chmod(0o644)
        spoil(path, random.Random(SEED * 1000 + seed))

    return make_spoiled


def flip(path: Path, rng: random.Random) -> None:
    """One bit, anywhere."""
    file = rng.choice([file for file in files_under(path) if file.stat().st_size])
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def truncate(path: Path, rng: random.Random) -> None:
    """The end of a file is gone."""
    file = rng.choice([file for file in files_under(path) if file.stat().st_size])
    file.write_bytes(file.read_bytes()[: rng.randrange(file.stat().st_size)])


def remove(path: Path, rng: random.Random) -> None:
    """A file is gone."""
    rng.choice(files_under(path)).unlink()


def insert(path: Path, rng: random.Random) -> None:
    """Bytes that were not there."""
    file = rng.choice(files_under(path))
    data = bytearray(file.read_bytes())
    place = rng.randint(0, len(data))
    data[place:place] = rng.choice([b"\n", b" ", b"\0", b"\r", b"=", rng.randbytes(3)])
    file.write_bytes(data)


def cut_out(path: Path, rng: random.Random) -> None:
    """Bytes that are gone from the middle."""
    file = rng.choice([file for file in files_under(path) if file.stat().st_size])
    data = bytearray(file.read_bytes())
    place = rng.randrange(len(data))
    del data[place : place + rng.choice([1, 4, 16])]
    file.write_bytes(data)


def another_character(path: Path, rng: random.Random) -> None:
    """A character of a note that could stand there."""
    file = path / rng.choice(NOTES)
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] = rng.choice("\n +=/ABsealednone0123456789\r\t\x85".encode())
    file.write_bytes(data)


def lines_moved(path: Path, rng: random.Random) -> None:
    """Lines of a note changed over, doubled or gone."""
    file = path / rng.choice(NOTES)
    lines = file.read_bytes().split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    way = rng.randrange(3)
    if way == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif way == 1:
        lines.insert(one, lines[other])
    else:
        del lines[one]
    file.write_bytes(b"\n".join(lines))


def end_zeroed(path: Path, rng: random.Random) -> None:
    """Zeros where a segment ended."""
    file = rng.choice(sorted((path / "segments").iterdir()))
    data = file.read_bytes()
    gone = rng.randint(1, min(200, len(data)))
    file.write_bytes(data[:-gone] + bytes(gone))


def rewritten(change: Callable[[list[bytes], random.Random], list[bytes]]) -> Spoil:
    """Other records in the first segment, with numbers and CRCs as a careful forger makes them."""

    def spoil(path: Path, rng: random.Random) -> None:
        first = [frame for frame in frames_of(path) if frame.file.endswith("0.seg")]
        payloads = change([frame.payload for frame in first], rng)
        data = b"".join(pack(seq, payload) for seq, payload in enumerate(payloads))
        (path / "segments" / "00000000.seg").write_bytes(data)

    return spoil


def swap(payloads: list[bytes], rng: random.Random) -> list[bytes]:
    one, other = rng.sample(range(len(payloads)), 2)
    payloads[one], payloads[other] = payloads[other], payloads[one]
    return payloads


def drop(payloads: list[bytes], rng: random.Random) -> list[bytes]:
    del payloads[rng.randrange(len(payloads))]
    return payloads


def append(payloads: list[bytes], rng: random.Random) -> list[bytes]:
    return [*payloads, payload_of(len(payloads))]


def later_format(payloads: list[bytes], rng: random.Random) -> list[bytes]:
    first = json.loads(payloads[0]) | {"v": 3}
    return [json.dumps(first).encode(), *payloads[1:]]


def extra(name: str, data: bytes = b"x") -> Spoil:
    """A file more."""

    def spoil(path: Path, rng: random.Random) -> None:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)

    return spoil


def without(name: str) -> Spoil:
    """A file or folder less."""

    def spoil(path: Path, rng: random.Random) -> None:
        shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink()

    return spoil


def link(path: Path, rng: random.Random) -> None:
    """A link to the same bytes in place of a file."""
    file = path / "checkpoints"
    file.rename(path.with_name("aside"))
    file.symlink_to(path.with_name("aside"))


def folder(path: Path, rng: random.Random) -> None:
    (path / "torn").mkdir()


def wrong_tile(path: Path, rng: random.Random) -> None:
    (path / "tile/0/001").write_bytes((path / "tile/0/000").read_bytes())


def foreign(*names: str) -> Spoil:
    """Files of another log of the same shape."""

    def spoil(path: Path, rng: random.Random) -> None:
        other = path.with_name("other")
        make_log(other, seed=2)
        for name in names:
            (path / name).write_bytes((other / name).read_bytes())
        shutil.rmtree(other)

    return spoil


def roll_back(path: Path, rng: random.Random) -> None:
    """The log as it honestly was at its third checkpoint, before chunk and blob."""
    blocks = (path / "checkpoints").read_bytes().split(b"\n\n")[:6]
    (path / "checkpoints").write_bytes(b"\n\n".join(blocks) + b"\n\n")
    (path / "checkpoint").write_bytes(b"\n\n".join(blocks[-2:]) + b"\n")
    rewritten(lambda payloads, _: payloads[:17])(path, rng)
    for name in ("history", "blobs", "tile"):
        shutil.rmtree(path / name)


def signed_twice(path: Path, rng: random.Random) -> None:
    """The last signature line once more: it holds, but nobody wrote it."""
    for name in ("checkpoint", "checkpoints"):
        data = (path / name).read_bytes().rstrip(b"\n")
        line = data.rpartition(b"\n")[2]
        end = b"\n" if name == "checkpoint" else b"\n\n"
        (path / name).write_bytes(data + b"\n" + line + end)


def spare_in_sealed(path: Path, rng: random.Random) -> None:
    with (path / "segments" / "00000000.seg").open("ab") as file:
        file.write(bytes(64))


def spare_then_more(path: Path, rng: random.Random) -> None:
    with (path / "segments" / "00000000.seg").open("ab") as file:
        file.write(b"x")


def forked(path: Path, rng: random.Random) -> None:
    """One record changed and everything signed anew, by a key that the device did not certify."""
    mine = contents(path)
    shutil.rmtree(path)
    make_log(path, seed=8)
    (path / "key.cert").chmod(0o644)
    (path / "key.cert").write_bytes(mine["key.cert"])


def named(event: str, file: str, digest: str) -> Callable[[int], bytes]:
    """Records of which number 40 names a file; the signer means it."""
    data = {"file": file, "sha256": digest, "name": "x", "bytes": 1}

    def payload(number: int) -> bytes:
        if number != 40:
            return payload_of(number)
        record = json.loads(payload_of(number)) | {"event": event, "data": data}
        return compact(record)

    return payload


def sized(length: int) -> Callable[[int], bytes]:
    """Records of which number 40 has that many bytes, in texts of a thousand."""

    def payload(number: int) -> bytes:
        record = json.loads(payload_of(number))
        if number == 40:
            parts = [""] * 64
            record["data"]["reason"] = parts
            missing = length - len(compact(record))
            parts[:] = ["x" * (missing // 64)] * 63 + ["x" * (missing - missing // 64 * 63)]
        return compact(record)

    return payload


def compact(record: dict[str, Any]) -> bytes:
    """A record of ASCII text and integers in RFC 8785 form."""
    return json.dumps(record, separators=(",", ":"), sort_keys=True).encode()


def at(size: int, **changes: object) -> Callable[[Checkpoint], Checkpoint]:
    """Signs something else at one size."""
    return lambda found: replace(found, **changes) if found.size == size else found


BASES = (small, opened, torn, big(600), big(700, sealed=False), copy_of_format_1)
DAMAGE = (
    flip, truncate, remove, insert, cut_out, another_character, lines_moved, end_zeroed,
    rewritten(swap), rewritten(drop), rewritten(append),
)  # fmt: skip


def cases() -> list[Case]:
    """Fifty logs."""
    no, other = "0" * 64, b"\1" * 32
    good = [
        Case("format 1", True, copy_of_format_1),
        Case("small, sealed", True, small),
        Case("small, still open", True, opened, may_be_open=True),
        Case("taken up again after a torn write", True, torn),
        Case("a station log is never sealed", True, big(300, sealed=False, kind="station")),
        *(Case(f"{n} records", True, big(n)) for n in (1, 2, 255, 256, 257, 700)),
        Case("65,800 records in two segments", True, lambda path: make_big_log(path, 65_800)),
        Case("open, newest tile missing", True,
             spoiled(big(700, sealed=False), without("tile/0/001")), may_be_open=True),
        Case("empty folders left out", True, spoiled(big(20), without("blobs"))),
        Case("the longest record", True, big(60, payload=sized(65_535))),
    ]  # fmt: skip
    bad = [
        *(Case(f"bit {n} flipped", False, spoiled(small, flip, n)) for n in range(4)),
        *(Case(f"bit {n} flipped, tiles", False, spoiled(big(600), flip, n)) for n in range(3)),
        *(Case(f"file {n} cut short", False, spoiled(small, truncate, n)) for n in range(4)),
        *(Case(f"file {n} gone", False, spoiled(big(300), remove, n)) for n in range(3)),
        *(Case(f"records swapped {n}", False, spoiled(small, rewritten(swap), n)) for n in (1, 2)),
        Case("a record dropped", False, spoiled(small, rewritten(drop))),
        Case("a record added after the seal", False, spoiled(small, rewritten(append))),
        Case("not sealed", False, opened),
        Case("rolled back to an earlier checkpoint", False, spoiled(small, roll_back)),
        Case("a later format", False, spoiled(small, rewritten(later_format))),
        Case("a file more", False, spoiled(small, extra("notes.txt"))),
        Case("an empty segment more", False,
             spoiled(small, extra("segments/00000001.seg", b""))),
        Case("a tile in format 1", False,
             spoiled(copy_of_format_1, extra("tile/0/000.p/30"))),
        Case("a partial tile in an open log", False,
             spoiled(big(300, sealed=False), extra("tile/0/001.p/44")), may_be_open=True),
        Case("a folder more", False, spoiled(small, folder)),
        Case("a link", False, spoiled(small, link)),
        Case("a tile in another's place", False, spoiled(big(600), wrong_tile)),
        Case("a gap in the tiles of an open log", False,
             spoiled(big(700, sealed=False), without("tile/0/000")), may_be_open=True),
        Case("checkpoints of another log", False,
             spoiled(small, foreign("checkpoint", "checkpoints"))),
        Case("keys of another log", False, spoiled(small, foreign("vkey", "key.cert"))),
        Case("forged anew under another key", False, spoiled(small, forked)),
        Case("signed twice", False, spoiled(small, signed_twice)),
        Case("zeros after the seal", False, spoiled(small, spare_in_sealed)),
        Case("a byte after the space set aside", False, spoiled(opened, spare_then_more),
             may_be_open=True),
        Case("a record too long", False, big(60, payload=sized(65_536))),
        Case("a named file that is not there", False,
             big(60, payload=named("blob.stored", f"blobs/sha256-{no}", no))),
        Case("a named file outside of the log", False,
             big(60, payload=named("history.chunk", "../checkpoint", no))),
        Case("a signed lie about the root", False, big(250, edit=at(101, root=other))),
        Case("a signed break in the chain", False, big(250, edit=at(101, previous=other))),
        Case("sealed in the middle", False, big(250, edit=at(101, sealed=True))),
    ]  # fmt: skip
    return good + bad

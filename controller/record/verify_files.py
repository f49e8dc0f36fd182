"""The files beside the records: those that records name, the tiles, and that there is no other.

A module because each of them is checked against what the records say, never against what the
program that wrote them thinks: the tables here are FORMAT.md's, not the writer's.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rfc8785

from controller.core.errors import RecordFailure
from controller.core.events import EVENTS, check_recordable
from controller.record.checkpoints import Problem
from controller.record.frame import open_plain, read_limited
from controller.record.tiles import TILE_BYTES, WIDTH, tile_path, tiles_of
from controller.record.verify_frames import Growing, segment_names

FILE_BYTES_MAX = 64 * 1024 * 1024
PIECE_BYTES = 1 << 20
DEPTH_MAX = 32  # levels of JSON in a record
VERSIONS = (1, 2)
NEEDLE = b'"sha256":'  # every record that names a file has this field
_FIELDS = frozenset(
    ("v", "event", "time", "mono_ns", "boottime_ns", "actor", "role", "reason", "data")
)
_OPTIONAL = frozenset(("boot_id", "sync", "source"))
_DIGITS_MAX = 17  # with the sign
_ALWAYS = ("checkpoint", "checkpoints", "key.cert", "vkey")
_BASE = ("segments", "history", "blobs")
_NAMED = ("history", "blobs", "torn", "tile")  # unknown here as long as records could not be read
_CHUNK = re.compile(r"history/[0-9]{8}\.chunk")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_record(payload: bytes, version: int) -> dict[str, Any]:
    """The record in a payload. Raises ValueError for what no log of this version holds.

    Also for what two readers of JSON could take for two things: a name that stands twice, a number
    that is no integer below 2^53, more than DEPTH_MAX levels.
    """
    try:
        record = json.loads(payload.decode(), parse_constant=_no_number, parse_float=_no_number,
                            parse_int=_integer, object_pairs_hook=_once)  # fmt: skip
        _check_depth(record)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the payload is not JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        raise ValueError("the payload is not a record")
    if type(record.get("v")) is not int or record["v"] != version:
        raise ValueError(f"the record has format {record.get('v')!r}, its log {version}")
    if not isinstance(record.get("data"), dict):
        raise ValueError("the record has no data")
    return record


def _no_number(text: str) -> None:
    raise ValueError(f"{text[:20]} is no number of a record")


def _integer(text: str) -> int:
    if len(text) > _DIGITS_MAX or abs(int(text)) >= 2**53:
        _no_number(text)
    return int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def _check_depth(record: Any) -> None:
    level = [record]
    for _ in range(DEPTH_MAX):
        level = [
            part
            for each in level
            if isinstance(each, dict | list)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise ValueError(f"it has more than {DEPTH_MAX} levels")


def check_meaning(payload: bytes, record: dict[str, Any]) -> None:
    """Raises ValueError for a record that no writer of this format makes."""
    odd = (record.keys() - _OPTIONAL) ^ _FIELDS
    odd |= {
        name
        for name, value in record.items()
        if name not in ("v", "data") and not isinstance(value, str)
    }
    if ("boot_id" in record) != ("sync" in record):
        odd |= {"boot_id", "sync"}
    if odd:
        raise ValueError(f"the fields {sorted(odd)} are missing, unknown or of another type")
    if rfc8785.dumps(record) != payload:
        raise ValueError("the payload is not in RFC 8785 form")
    check_recordable(record["data"], record["event"])
    declared = EVENTS.get(record["event"])
    if declared is None or set(record["data"]) != set(declared.fields):
        raise ValueError(f"the event {record['event']!r} is not declared with these fields")


def named_file(record: dict[str, Any], version: int) -> tuple[str, str] | None:
    """Path and SHA-256 (hex) of the file a record names, or None. Raises ValueError."""
    event, data = record["event"], record["data"]
    digest = data.get("sha256")
    if event == "blob.stored":
        path = data.get("file")
        good = path == f"blobs/sha256-{digest}"
    elif event == "log.recovered":
        path, good = f"torn/sha256-{digest}", True
    elif event == "history.chunk" or (event == "history.tags" and version >= 2):
        path = data.get("file")
        good = isinstance(path, str) and _CHUNK.fullmatch(path) is not None
    else:
        return None
    if not good or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"the record names the file {path!r}, which is not of this form")
    return str(path), digest


class Files:
    """Checks what records name, and remembers it for the inventory.

    `deep` unpacks chunks. Nothing larger than a chunk is held in memory.
    """

    def __init__(self, directory: Path, *, deep: bool) -> None:
        self.named: set[str] = set()
        self._directory, self._deep = directory, deep

    def check(
        self, record: dict[str, Any], where: str, name: str, digest: str
    ) -> Iterator[Problem]:
        """Whether the file is there and has the contents its record names."""
        if name in self.named and not name.startswith("history/"):
            return  # its name is its digest: it was compared before
        self.named.add(name)
        unpack = self._deep and name.startswith("history/")
        try:
            found, data = _digest_of(self._directory / name, keep=unpack)
        except RecordFailure as failure:
            yield Problem(name, f"it {failure.what}; {where} names it")
            return
        if found != digest:
            yield Problem(name, f"its contents are not those that {where} names")
        elif unpack:
            yield from _check_chunk(record, where, name, data)


def _digest_of(path: Path, *, keep: bool) -> tuple[str, bytes]:
    """SHA-256 of a plain file, read in pieces, and its bytes if they are to be kept."""
    digest, size, kept = hashlib.sha256(), 0, []
    try:
        with open_plain(path) as file:
            while piece := file.read(PIECE_BYTES):
                size += len(piece)
                if size > FILE_BYTES_MAX:
                    raise RecordFailure(f"is longer than the {FILE_BYTES_MAX} bytes allowed")
                digest.update(piece)
                if keep:
                    kept.append(piece)
    except OSError as error:
        raise RecordFailure(f"cannot be read: {error.strerror}", where=path) from error
    return digest.hexdigest(), b"".join(kept)


def _check_chunk(record: dict[str, Any], where: str, name: str, data: bytes) -> Iterator[Problem]:
    """Whether a chunk unpacks to the rows its record counts."""
    from controller.record import history, tags  # numpy, which only a deep check needs

    said = record["data"]
    try:
        if record["event"] == "history.chunk":
            head, rows = history.decode(data)
            good = (said.get("first_scan"), said.get("last_scan")) == (
                head.first_scan,
                head.last_scan,
            )
        else:
            cover, rows = tags.decode(data)
            good = (said.get("from"), said.get("to")) == (cover.begin, cover.end)
    except RecordFailure as failure:
        yield Problem(name, failure.what)
        return
    except (ArithmeticError, RecursionError) as error:
        yield Problem(name, f"it is not a chunk: {error}")
        return
    if not good or said.get("rows") != len(rows):
        yield Problem(name, f"it holds other rows than {where} names")


class TileCheck:
    """Compares the tiles of a log with the tree while it grows; `problems` collects.

    A sealed log must have every tile. An open one may lack the newest of a level, so a gap below
    a tile that is there is a problem.
    """

    def __init__(self, directory: Path, *, sealed: bool) -> None:
        self.problems: list[Problem] = []
        self._directory, self._sealed = directory, sealed
        self._gaps: dict[int, str] = {}

    def full(self, level: int, index: int, hashes: bytes) -> None:
        """A tile of the tree is complete: what the log holds of it must be these bytes."""
        name = tile_path(level, index)
        there = self._compare(name, hashes)
        if not there and self._sealed:
            self.problems.append(Problem(name, "the tile is missing"))
        elif not there:
            self._gaps.setdefault(level, name)
        elif level in self._gaps:
            self.problems.append(
                Problem(self._gaps.pop(level), f"the tile is missing, but {name} is there")
            )

    def finish(self, tree: Growing) -> None:
        """Compares the partial tiles, which only a sealed log has."""
        if not self._sealed:
            return
        for level, index, width in tiles_of(tree.size):
            if width < WIDTH:
                name = tile_path(level, index, width)
                if not self._compare(name, tree.partial(level)):
                    self.problems.append(Problem(name, "the tile is missing"))

    def _compare(self, name: str, hashes: bytes) -> bool:
        path = self._directory / name
        if not os.path.lexists(path):
            return False
        try:
            if read_limited(path, TILE_BYTES) != hashes:
                self.problems.append(Problem(name, "it does not hold the hashes of the records"))
        except RecordFailure as failure:
            self.problems.append(Problem(name, f"it {failure.what}"))
        return True


def inventory(
    directory: Path, named: set[str], tiles: Iterator[str], *, complete: bool
) -> Iterator[Problem]:
    """Every file in the directory must be one that a check covered. `tiles` are those allowed."""
    known = {*_ALWAYS, *named, *tiles}
    known |= {f"segments/{name}" for name in segment_names(directory)}
    folders = set(_BASE)
    for name in known:
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    unseen: list[OSError] = []
    for folder, inner, files in os.walk(directory, onerror=unseen.append):
        base = Path(folder)
        for path in sorted(base / name for name in (*inner, *files)):
            name = path.relative_to(directory).as_posix()
            mode = path.lstat().st_mode
            unread = not complete and name.partition("/")[0] in _NAMED
            if stat.S_ISDIR(mode):
                if name not in folders and not unread:
                    yield Problem(name, "the directory is not part of the log")
            elif not stat.S_ISREG(mode):
                yield Problem(name, "it is not a plain file")
            elif name not in known and not unread:
                yield Problem(name, "no record or checkpoint covers this file")
    for error in unseen:
        name = Path(str(error.filename)).relative_to(directory).as_posix()
        yield Problem(name, f"it cannot be looked into: {error.strerror}")


def allowed_tiles(size: int, *, sealed: bool) -> Iterator[str]:
    """The paths of the tiles that a log of `size` records may hold."""
    for level, index, width in tiles_of(size):
        if sealed or width == WIDTH:
            yield tile_path(level, index, width)

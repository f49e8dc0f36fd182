"""The tree's hashes in tiles (https://c2sp.org/tlog-tiles) and the proofs that are made from them.

A module because a proof must not need the whole log in memory: a tile keeps the roots of up to 256
neighbouring subtrees, so any hash of the tree is one small file away. Whether a proof holds is
decided in `tree`, from the proof alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from controller.core.errors import BadInput, RecordFailure
from controller.record.checkpoints import LAST
from controller.record.frame import Damage, read_frames, read_limited
from controller.record.note import NOTE_BYTES_MAX, Checkpoint, Note, NoteError
from controller.record.tree import HASH_BYTES, leaf_hash, node_hash

WIDTH = 256
TILE_BYTES = WIDTH * HASH_BYTES
FOLDER = "tile"
_LEVEL_BITS = 8

Node = Callable[[int, int], bytes]
"""`node(level, index)`: the root of the perfect subtree of 2**level records, number `index`."""


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """The path of a tile in its log directory: `tile/0/x001/067`, `.p/W` after a partial one."""
    name = f"{index % 1000:03d}"
    rest = index // 1000
    while rest:
        name = f"x{rest % 1000:03d}/{name}"
        rest //= 1000
    partial = "" if width == WIDTH else f".p/{width}"
    return f"{FOLDER}/{level}/{name}{partial}"


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, index and width of every tile of a tree of `size` records."""
    level = 0
    while size:
        full, rest = divmod(size, WIDTH)
        for index in range(full):
            yield level, index, WIDTH
        if rest:
            yield level, full, rest
        level, size = level + 1, full


class Tiles:
    """The tiles of a tree that grows; keeps only the last, partial one of each level.

    Full tiles are in `finished`, in order, until somebody takes them.
    """

    def __init__(self) -> None:
        self.size = 0
        self.finished: list[tuple[int, int, bytes]] = []
        self._last: list[bytearray] = []
        self._counts: list[int] = []

    def push(self, leaf: bytes) -> None:
        """Adds a record, given by its leaf hash."""
        self.size += 1
        level = 0
        while True:
            if level == len(self._last):
                self._last.append(bytearray())
                self._counts.append(0)
            tile = self._last[level]
            tile += leaf
            if len(tile) < TILE_BYTES:
                return
            data = bytes(tile)
            self.finished.append((level, self._counts[level], data))
            self._counts[level] += 1
            tile.clear()
            leaf, level = _root(data), level + 1

    def take(self) -> list[tuple[int, int, bytes]]:
        """The full tiles finished since the last call."""
        finished, self.finished = self.finished, []
        return finished

    def partial(self) -> list[tuple[int, int, bytes]]:
        """Level, index and hashes of the partial tile of every level that has one."""
        found = zip(self._counts, self._last, strict=True)
        return [(level, n, bytes(tile)) for level, (n, tile) in enumerate(found) if tile]

    def last(self, level: int, index: int) -> bytes:
        """The hashes of the partial tile at `level`, if it is the one numbered `index`."""
        here = level < len(self._last) and self._counts[level] == index
        return bytes(self._last[level]) if here else b""


def node_in(tile: Callable[[int, int], bytes]) -> Node:
    """A `Node` over tiles, given as `tile(level, index)`, their hashes one after another."""

    def node(level: int, index: int) -> bytes:
        at, below = divmod(level, _LEVEL_BITS)
        first = index << below
        offset = first % WIDTH * HASH_BYTES
        hashes = tile(at, first // WIDTH)[offset : offset + (HASH_BYTES << below)]
        if len(hashes) != HASH_BYTES << below:
            raise BadInput(f"subtree {index} of 2^{level} records is not in this tree")
        return _root(hashes)

    return node


def inclusion_proof(node: Node, index: int, size: int) -> list[bytes]:
    """The audit path of record `index` in the tree of `size` (RFC 6962 section 2.1.1).

    Raises BadInput for a record that the tree has not.
    """
    if not 0 <= index < size:
        raise BadInput(f"record {index} is not in a tree of {size} records")
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, begin, middle))
            begin = middle
    return path[::-1]


def consistency_proof(node: Node, old: int, new: int) -> list[bytes]:
    """The proof that the tree of `old` records begins the one of `new` (RFC 6962 section 2.1.2).

    Raises BadInput unless 0 < old <= new. Empty for equal sizes.
    """
    if not 0 < old <= new:
        raise BadInput(f"a tree of {old} records is no beginning of one of {new}")
    begin, end, path, whole = 0, new, [], True
    while old < end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, begin, middle))
            begin, whole = middle, False
    if not whole:
        path.append(_subtree(node, begin, end))
    return path[::-1]


class DirectoryHashes:
    """The tree of a log on the disk: from its tiles, or from its records where tiles are missing.

    `size` is that of its last checkpoint. Raises RecordFailure if that cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._rebuilt: dict[tuple[int, int], bytes] = {}
        try:
            note = Note.parse(read_limited(directory / LAST, NOTE_BYTES_MAX))
            self.size = Checkpoint.parse(note.text).size
        except NoteError as error:
            raise RecordFailure(str(error), where=directory / LAST) from error
        self.node: Node = node_in(self._tile)

    def _tile(self, level: int, index: int) -> bytes:
        here = (self.size >> (_LEVEL_BITS * level)) - index * WIDTH
        if here <= 0:
            return b""
        path = self._directory / tile_path(level, index, min(here, WIDTH))
        if not self._rebuilt and path.is_file():
            return read_limited(path, TILE_BYTES)
        if not self._rebuilt:
            self._rebuild()
        return self._rebuilt.get((level, index), b"")

    def _rebuild(self) -> None:
        tiles = Tiles()
        for item in read_frames(self._directory):
            if isinstance(item, Damage) or item.seq == self.size:
                break
            tiles.push(leaf_hash(item.payload))
        for level, index, data in (*tiles.take(), *tiles.partial()):
            self._rebuilt[level, index] = data


def _root(hashes: bytes) -> bytes:
    """The root of a perfect subtree, from 2^k neighbouring hashes."""
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    while len(row) > 1:
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _subtree(node: Node, begin: int, end: int) -> bytes:
    """The root of records `begin` to `end`, which begin where a subtree does."""
    count = end - begin
    if count & (count - 1) == 0:
        return node(count.bit_length() - 1, begin // count)
    middle = begin + _split(count)
    return node_hash(_subtree(node, begin, middle), _subtree(node, middle, end))

"""A disk that keeps count of what it has promised, and what a crash of the machine leaves of it.

Files and names stand here as they are now and as they are for certain. `DiskModel.survivor` makes a
directory that a crash at this moment may leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

PAGE = 4096  # what the system writes back in one piece, and forgets in one piece
SECTOR = 512  # what a disk writes whole or not at all
JUNK_CHANCE = 0.03
STYLES = ("dropped", "kept", "prefix", "sectors", "mixed")
Op = tuple[Any, ...]


@dataclass(slots=True)
class Inode:
    """A file: its bytes now and for certain, and every state in between of what is not certain."""

    mode: int = 0o644
    now: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pages: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    steps: list[tuple[int, bytes | None]] = field(default_factory=list)  # writes; lengths: no bytes

    def write(self, offset: int, data: bytes) -> None:
        """Bytes that are in memory only."""
        if offset > len(self.now):
            self.now += bytes(offset - len(self.now))
        self.now[offset : offset + len(data)] = data
        for page in range(offset // PAGE, (offset + len(data) - 1) // PAGE + 1):
            self.pages.setdefault(page, []).append(bytes(self.now[page * PAGE : (page + 1) * PAGE]))
        self.sizes.append(len(self.now))
        self.steps.append((offset, data))

    def resize(self, size: int) -> None:
        """A new length that is in memory only; what is new reads as zeros."""
        if size != len(self.now):
            del self.now[size:]
            self.now += bytes(size - len(self.now))
            for page in [page for page in self.pages if page * PAGE >= size]:
                del self.pages[page]
            self.sizes.append(size)
            self.steps.append((size, None))

    def sync(self, forgotten: frozenset[int] = frozenset()) -> None:
        """Pages written since the last sync are certain now, but for those that are `forgotten`."""
        if self.sizes:
            del self.durable[len(self.now) :]
            self.durable += bytes(len(self.now) - len(self.durable))
        for page in self.pages.keys() - forgotten:
            part = slice(page * PAGE, (page + 1) * PAGE)
            self.durable[part] = self.now[part]
        self.pages.clear()
        self.sizes.clear()
        self.steps.clear()

    def left(self, chance: Random, style: str) -> bytes:
        """What a crash now may leave of it."""
        if style == "mixed":
            style = chance.choice(STYLES[:-1])
        if not self.sizes or style == "dropped":
            return bytes(self.durable)
        if style == "kept":
            return bytes(self.now)
        if style == "prefix":
            return self._in_order(chance)
        return self._sectors(chance, chance.choice(self.sizes))

    def _in_order(self, chance: Random) -> bytes:
        """Some of what was done since the last sync, the last of it broken off at any byte."""
        left, count = Inode(now=bytearray(self.durable)), chance.randint(0, len(self.steps))
        for place, (number, data) in enumerate(self.steps[:count], 1):
            if data is None:
                left.resize(number)
            else:
                whole = place < count
                left.write(number, data if whole else data[: chance.randint(1, len(data))])
        return bytes(left.now)

    def _sectors(self, chance: Random, grown: int) -> bytes:
        """Each sector as it was at any time since the last sync, and the length at another."""
        certain = len(self.durable)
        edge = chance.randint(certain // SECTOR, max(certain, grown) // SECTOR) * SECTOR
        size = chance.choice((certain, grown, grown, max(edge, certain)))
        found = bytearray(size)
        found[: min(size, certain)] = self.durable[:size]
        for page, versions in self.pages.items():
            for begin in range(page * PAGE, min((page + 1) * PAGE, size), SECTOR):
                inside = begin - page * PAGE
                old = bytes(self.durable[begin : begin + SECTOR])
                states = [old, *(each[inside : inside + SECTOR] for each in versions)]
                sector = chance.choice(states)
                if begin >= certain and chance.random() < JUNK_CHANCE:
                    sector = chance.randbytes(SECTOR)  # what lay there before
                length = min(SECTOR, size - begin)
                found[begin : begin + length] = sector.ljust(SECTOR, b"\0")[:length]
        return bytes(found)


class DiskModel:
    """Names and files, as they are and as they are for certain; a name of no file is a folder."""

    def __init__(self) -> None:
        self.inodes: list[Inode] = []
        self.names: dict[str, int | None] = {}
        self.durable: dict[str, int | None] = {}
        self.pending: list[tuple[str, str, str, int | None]] = []  # folder, name gone, name new

    @classmethod
    def of(cls, root: Path) -> DiskModel:
        """A directory that is there already, all of it for certain."""
        model = cls()
        for path in sorted(root.rglob("*")):
            name, number = path.relative_to(root).as_posix(), None
            if path.is_file():
                data, number = path.read_bytes(), len(model.inodes)
                mode = path.stat().st_mode & 0o777
                model.inodes.append(Inode(mode, bytearray(data), bytearray(data)))
            model.names[name] = model.durable[name] = number
        return model

    def apply(self, op: Op) -> None:
        """One call of the journal."""
        getattr(self, f"_{op[0]}")(*op[1:])

    def _create(self, name: str, mode: int) -> None:
        self.names[name] = len(self.inodes)
        self.inodes.append(Inode(mode))
        self.pending.append((_folder(name), "", name, self.names[name]))

    def _mkdir(self, name: str) -> None:
        self.names[name] = None
        self.pending.append((_folder(name), "", name, None))

    def _unlink(self, name: str) -> None:
        del self.names[name]
        self.pending.append((_folder(name), name, "", None))

    def _rename(self, old: str, new: str) -> None:
        self.names[new] = number = self.names.pop(old)
        self.pending.append((_folder(new), old, new, number))

    def _write(self, number: int, offset: int, data: bytes) -> None:
        self.inodes[number].write(offset, data)

    def _resize(self, number: int, size: int) -> None:
        self.inodes[number].resize(size)

    def _sync(self, number: int) -> None:
        self.inodes[number].sync()

    def _forget(self, number: int, pages: frozenset[int]) -> None:
        self.inodes[number].sync(pages)

    def _chmod(self, number: int, mode: int) -> None:
        self.inodes[number].mode = mode

    def _sync_dir(self, folder: str) -> None:
        waiting, self.pending = self.pending, []
        for change in waiting:
            if change[0] == folder:
                _rename_in(self.durable, change)
            else:
                self.pending.append(change)

    def present(self, target: Path) -> None:
        """Makes the directory as programs see it now: what a process that is killed leaves."""
        target.mkdir(parents=True)
        for name, number in sorted(self.names.items()):
            if number is None:
                (target / name).mkdir(exist_ok=True)
            else:
                (target / name).write_bytes(self.inodes[number].now)
                (target / name).chmod(self.inodes[number].mode)

    def survivor(self, target: Path, chance: Random, style: str) -> None:
        """Makes the directory a crash may leave: unsynced bytes and names kept, torn or gone."""
        names = dict(self.durable)
        in_order = chance.randint(0, len(self.pending))
        for place, change in enumerate(self.pending):
            if style == "kept" or (
                style != "dropped"
                and (place < in_order if style == "prefix" else chance.random() < 0.5)
            ):
                _rename_in(names, change)
        target.mkdir(parents=True)
        for name, number in sorted(names.items()):
            path = target / name
            if not path.parent.is_dir():
                continue  # its folder was not certain
            if number is None:
                path.mkdir(exist_ok=True)
            else:
                inode = self.inodes[number]
                path.write_bytes(inode.left(chance, style))
                path.chmod(inode.mode)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _rename_in(names: dict[str, int | None], change: tuple[str, str, str, int | None]) -> None:
    _, old, new, number = change
    if old:
        names.pop(old, None)
    if new:
        names[new] = number

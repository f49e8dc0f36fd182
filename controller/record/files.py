"""The one door from the log to the disk, and the only place where durability is decided.

A module of its own so that a run in virtual time can leave out the waiting for the disk (same
bytes, no fdatasync) and a test can put a failing disk in the same place.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from controller.record.later import Later

FILE_MODE = 0o644
SECRET_MODE = 0o600
HELD_MAX = 8


class FileLayer(Protocol):
    """What the log asks of a disk. Every method raises OSError when the disk refuses."""

    def make_dir(self, path: Path) -> None:
        """Makes a directory and its parents, durable in every parent that was new."""
        ...

    def open_append(self, path: Path) -> int:
        """Opens (or makes, durably) a file for appending, locked against a second writer."""
        ...

    def open_within(self, path: Path, offset: int = 0) -> int:
        """Opens a file that is there, to write over what it holds from `offset` on."""
        ...

    def write(self, fd: int, data: bytes) -> int:
        """One write call; the number of bytes taken, which may be fewer than given."""
        ...

    def sync(self, fd: int) -> None:
        """Waits until what was written is on the disk."""
        ...

    def commit(self, fd: int, data: bytes) -> None:
        """Writes all of `data` in one call and waits until it is on the disk."""
        ...

    def close(self, fd: int) -> None:
        """Closes a file opened for appending."""
        ...

    def store(self, path: Path, data: bytes, mode: int = FILE_MODE) -> None:
        """Makes a new file, whole and durable. FileExistsError if it is there already."""
        ...

    def replace(self, path: Path, data: bytes) -> None:
        """Gives a file new contents; after a crash it holds the old or the new ones."""
        ...

    def cut(self, path: Path, size: int) -> None:
        """Shortens a file to `size` bytes, durably."""
        ...

    def remove(self, path: Path) -> None:
        """Removes a file durably; no error if it is not there."""
        ...

    def remove_dir(self, path: Path) -> None:
        """Removes an empty directory durably."""
        ...

    def sync_dir(self, path: Path) -> None:
        """Waits until the names in a directory are on the disk."""
        ...

    def destroy(self, path: Path) -> None:
        """Overwrites a file with zeros where it lies, then removes it."""
        ...

    def protect(self, path: Path) -> None:
        """Makes a finished file read-only."""
        ...

    def reserve(self, fd: int, size: int) -> None:
        """Lengthens a file to `size` bytes with space set aside that reads as zeros."""
        ...

    def free(self, path: Path) -> int:
        """How many bytes there is still room for where `path` lies."""
        ...

    def fresh(self) -> FileLayer:
        """The same disk for one who has not met a failure of it."""
        ...

    def later(self, job: Callable[[], None]) -> None:
        """Runs a job that nobody waits for, in the order given. A job deals with its failures."""
        ...

    def settle(self) -> None:
        """Waits until every job given to `later` is done; OSError if that takes too long."""
        ...


class ShortWrite(OSError):
    """The disk took fewer bytes than it was given; what it holds now is not known."""


def write_all(files: FileLayer, fd: int, data: bytes) -> None:
    """Writes `data` in one call. A short write raises ShortWrite: it is never continued."""
    taken = files.write(fd, data)
    if taken != len(data):
        raise ShortWrite(f"short write, {taken} of {len(data)} bytes")


class DurableFiles:
    """The real disk: files and directories are synced before a call returns."""

    def __init__(self) -> None:
        self._later = Later()

    def make_dir(self, path: Path) -> None:
        """See FileLayer."""
        if not path.exists():
            self.make_dir(path.parent)
            path.mkdir(exist_ok=True)
            self.sync_dir(path.parent)

    def open_append(self, path: Path) -> int:
        """See FileLayer."""
        made = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if made:
                self.sync_dir(path.parent)
        except OSError:
            os.close(fd)
            raise
        return fd

    def open_within(self, path: Path, offset: int = 0) -> int:
        """See FileLayer."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        os.lseek(fd, offset, os.SEEK_SET)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        """See FileLayer."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """See FileLayer."""
        os.fdatasync(fd)

    def commit(self, fd: int, data: bytes) -> None:
        """See FileLayer."""
        write_all(self, fd, data)
        self.sync(fd)

    def close(self, fd: int) -> None:
        """See FileLayer."""
        os.close(fd)

    def store(self, path: Path, data: bytes, mode: int = FILE_MODE) -> None:
        """See FileLayer. A crash leaves no half of it under its name."""
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._put_in_place(path, data, mode)

    def replace(self, path: Path, data: bytes) -> None:
        """See FileLayer."""
        self._put_in_place(path, data, FILE_MODE)

    def cut(self, path: Path, size: int) -> None:
        """See FileLayer."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            self.sync(fd)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        """See FileLayer."""
        path.unlink(missing_ok=True)
        self.sync_dir(path.parent)

    def remove_dir(self, path: Path) -> None:
        """See FileLayer."""
        path.rmdir()
        self.sync_dir(path.parent)

    def destroy(self, path: Path) -> None:
        """See FileLayer. Flash memory and snapshots may still hold what was overwritten."""
        if path.exists():
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                write_all(self, fd, bytes(os.fstat(fd).st_size))
                self.sync(fd)
            finally:
                os.close(fd)
            self.remove(path)

    def protect(self, path: Path) -> None:
        """See FileLayer."""
        path.chmod(0o444)

    def reserve(self, fd: int, size: int) -> None:
        """See FileLayer."""
        os.posix_fallocate(fd, 0, size)
        os.fsync(fd)

    def free(self, path: Path) -> int:
        """See FileLayer."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def fresh(self) -> FileLayer:
        """See FileLayer. Nothing is kept of a failure here."""
        return self

    def later(self, job: Callable[[], None]) -> None:
        """See FileLayer. In a thread of its own."""
        self._later.put(job)

    def settle(self) -> None:
        """See FileLayer."""
        self._later.settle()

    def sync_dir(self, path: Path) -> None:
        """Waits until the names in a directory are on the disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _put_in_place(self, path: Path, data: bytes, mode: int) -> None:
        """Writes aside, syncs, renames, syncs the directory."""
        aside = path.with_name(path.name + ".tmp")
        aside.unlink(missing_ok=True)
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if data:
                write_all(self, fd, data)
            self.sync(fd)
        finally:
            os.close(fd)
        aside.rename(path)
        self.sync_dir(path.parent)


class VolatileFiles(DurableFiles):
    """The same bytes without waiting for the disk: for runs in virtual time, never for a batch.

    A crash of the machine may lose or tear anything; a crash of the program loses nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[Path, tuple[int, int]] = {}

    def sync(self, fd: int) -> None:
        """Does not wait."""

    def sync_dir(self, path: Path) -> None:
        """Does not wait."""

    def reserve(self, fd: int, size: int) -> None:
        """Sets nothing aside."""

    def later(self, job: Callable[[], None]) -> None:
        """At once: a run in virtual time is a function of its inputs."""
        job()

    def replace(self, path: Path, data: bytes) -> None:
        """Rewrites in place, through a handle kept open: a run does this thousands of times."""
        fd = self._handle(path)
        if os.pwrite(fd, data, 0) != len(data):
            raise ShortWrite(f"short write of {len(data)} bytes")
        os.ftruncate(fd, len(data))

    def close(self, fd: int) -> None:
        """See FileLayer. Lets go of the kept handles too."""
        self._let_go()
        super().close(fd)

    def _handle(self, path: Path) -> int:
        """The kept handle, unless another file has taken the name since."""
        held = self._held.get(path)
        if held is not None and path.exists() and path.stat().st_ino == held[1]:
            return held[0]
        if held is not None or len(self._held) >= HELD_MAX:
            self._let_go()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        self._held[path] = fd, os.fstat(fd).st_ino
        return fd

    def _let_go(self) -> None:
        while self._held:
            os.close(self._held.popitem()[1][0])


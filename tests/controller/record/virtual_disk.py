"""The real system's calls below one directory, carried out, written down and spoiled.

The code under test is the real one, with its own `os.write`, `os.fsync`, `os.rename`; what a crash
after any prefix of the calls leaves is for `disk_model`. Faults are put at single calls.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from disk_model import DiskModel, Op


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at the `at`-th call (from 1), or at the first after it that can fail so:
    `eio` any, `enospc` what takes space, `short` a write.

    After an error in a sync some of its pages are forgotten: no later sync writes them. Memory
    shows them still, or with `reverted` what the disk has.
    """

    kind: str
    at: int
    reverted: bool = False
    seed: int = 0


class VirtualDisk:
    """Watches and spoils what is done to the files below `root`, while it is installed."""

    def __init__(
        self, root: Path, fault: Fault | None = None, model: DiskModel | None = None
    ) -> None:
        """`model` is what is known of `root` already; without one, all that is there is certain."""
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.fault = root, fault
        self.model = model or DiskModel.of(root)
        self.base = copy.deepcopy(self.model)
        self.journal: list[Op] = []
        self.struck = ""  # the call the fault was put at
        self._fds: dict[int, tuple[int | str, int]] = {}  # file or folder, where to write; -1: end
        self._lock = threading.RLock()
        self._real: dict[str, Callable[..., Any]] = {}

    @property
    def calls(self) -> int:
        """How many calls have changed something or made it certain."""
        return len(self.journal)

    @contextlib.contextmanager
    def installed(self) -> Iterator[VirtualDisk]:
        """Takes the place of the system's calls for everything below `root`."""
        names = ("open", "close", "write", "fsync", "fdatasync", "ftruncate", "rename", "mkdir",
                 "unlink", "chmod", "lseek", "posix_fallocate")  # fmt: skip
        self._real = {name: getattr(os, name) for name in names}
        for name in names:
            setattr(os, name, self._serve(getattr(self, f"_{name}")))
        try:
            yield self
        finally:
            for name, real in self._real.items():
                setattr(os, name, real)
            for fd in self._fds:
                with contextlib.suppress(OSError):
                    os.close(fd)

    def _serve(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def served(*given: Any, **more: Any) -> Any:
            with self._lock:
                return call(*given, **more)

        return served

    def _inside(self, path: Any) -> str | None:
        """The name below `root`, None for what is not there."""
        text, root = str(path), str(self.root)
        if text == root:
            return ""
        return text[len(root) + 1 :] if text.startswith(f"{root}/") else None

    def _do(self, *op: Any) -> None:
        """Writes a call down; raises what is put there."""
        fault = self.fault
        if fault is not None and self._strikes(op[0]):
            self.struck = op[0]
            if fault.kind == "eio" and op[0] == "sync":
                self._forgets(fault, op[1])
            number = errno.EIO if fault.kind == "eio" else errno.ENOSPC
            if fault.kind != "short":
                raise OSError(number, os.strerror(number))
        self.journal.append(op)
        self.model.apply(op)

    def _strikes(self, call: str) -> bool:
        """Whether the fault is due, and this call can fail so."""
        fault = self.fault
        if fault is None or self.struck or self.calls + 1 < fault.at:
            return False
        kinds = {"enospc": ("create", "mkdir", "write"), "short": ("write",)}
        return call in kinds.get(fault.kind, (call,))

    def _forgets(self, fault: Fault, number: int) -> None:
        """Some pages of a file never reach the disk, and no later call hears of it."""
        chance, inode = Random(fault.seed), self.model.inodes[number]
        lost = frozenset(page for page in inode.pages if chance.random() < 0.7)
        self.journal.append(("forget", number, lost))
        self.model.apply(self.journal[-1])
        if fault.reverted:
            inode.now[:] = inode.durable
            for name, found in self.model.names.items():
                if found == number:
                    (self.root / name).write_bytes(inode.durable)

    # -- the calls --------------------------------------------------------------------------

    def _open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        name = self._inside(path)
        if name is None:
            return int(self._real["open"](path, flags, mode, **more))
        if flags & os.O_DIRECTORY:
            fd = int(self._real["open"](path, flags, mode, **more))
            self._fds[fd] = (name, 0)
            return fd
        if not flags & (os.O_WRONLY | os.O_RDWR):
            return int(self._real["open"](path, flags, mode, **more))
        if flags & os.O_CREAT and name not in self.model.names:
            self._do("create", name, mode)
        elif flags & os.O_TRUNC:
            self._do("resize", self.model.names[name], 0)
        fd = int(self._real["open"](path, flags, mode, **more))
        number = self.model.names[name]
        assert number is not None, name
        self._fds[fd] = (number, -1 if flags & os.O_APPEND else 0)
        return fd

    def _close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        self._real["close"](fd)

    def _write(self, fd: int, data: bytes) -> int:
        if fd not in self._fds:
            return int(self._real["write"](fd, data))
        number, place = self._fds[fd]
        assert isinstance(number, int)
        offset = len(self.model.inodes[number].now) if place < 0 else place
        if self.fault is not None and self.fault.kind == "short" and self._strikes("write"):
            data = data[: len(data) // 2]
        self._do("write", number, offset, bytes(data))
        if place >= 0:
            self._fds[fd] = (number, place + len(data))
        return int(self._real["write"](fd, data))

    def _fdatasync(self, fd: int) -> None:
        if fd in self._fds:
            place = self._fds[fd][0]
            self._do("sync" if isinstance(place, int) else "sync_dir", place)
        else:
            self._real["fdatasync"](fd)

    _fsync = _fdatasync

    def _ftruncate(self, fd: int, size: int) -> None:
        if fd in self._fds:
            self._do("resize", self._fds[fd][0], size)
        self._real["ftruncate"](fd, size)

    def _lseek(self, fd: int, offset: int, how: int) -> int:
        if fd in self._fds and self._fds[fd][1] >= 0:
            assert how == os.SEEK_SET
            self._fds[fd] = (self._fds[fd][0], offset)
        return int(self._real["lseek"](fd, offset, how))

    def _posix_fallocate(self, fd: int, offset: int, size: int) -> None:
        if fd in self._fds:
            number = self._fds[fd][0]
            assert isinstance(number, int)
            self._do("resize", number, max(len(self.model.inodes[number].now), offset + size))
        self._real["posix_fallocate"](fd, offset, size)

    def _rename(self, old: Any, new: Any, **more: Any) -> None:
        names = self._inside(old), self._inside(new)
        if None not in names:
            self._do("rename", *names)
        self._real["rename"](old, new, **more)

    def _mkdir(self, path: Any, mode: int = 0o777, **more: Any) -> None:
        if self._inside(path) is not None and self._inside(path) not in self.model.names:
            self._do("mkdir", self._inside(path))
        self._real["mkdir"](path, mode, **more)

    def _unlink(self, path: Any, **more: Any) -> None:
        if self._inside(path) in self.model.names:
            self._do("unlink", self._inside(path))
        self._real["unlink"](path, **more)

    def _chmod(self, path: Any, mode: int, **more: Any) -> None:
        number = self.model.names.get(self._inside(path) or "")
        if number is not None:  # the mode of a folder is not kept
            self._do("chmod", number, mode)
        self._real["chmod"](path, mode, **more)

"""The segment a log writes to: frames one after another, synced, and space kept ahead of them.

A module because of that space. It holds the records of the minutes in which a full disk sends the
unit to Hold; and a write into a file that need not grow is durable sooner, since its file system
has nothing to note down.
"""

from __future__ import annotations

import errno
from pathlib import Path

from controller.record.files import FileLayer

RESERVE_BYTES = 1 << 20  # [assumed] several minutes of records
# What a file system says that has no room or cannot set any aside; anything else is a failed disk.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EOPNOTSUPP, errno.ENOSYS,
                     errno.EINVAL})  # fmt: skip


class SegmentWriter:
    """The last segment in a folder, open for appending. Every method raises OSError."""

    def __init__(
        self, files: FileLayer, folder: Path, number: int, fill: int, limit: int
    ) -> None:
        """Takes up segment `number`, which holds `fill` bytes; a new one follows at `limit`."""
        self._files, self._folder, self._limit = files, folder, limit
        self._number, self._fill, self._reserved = number, fill, 0
        self._fd = files.open_within(self._path(number), fill)
        self._reserve(0)

    def write(self, data: bytes) -> None:
        """One write and one sync; a short write is a failure."""
        if self._fill >= self._limit:
            self._next()
        self._reserve(len(data))
        self._files.commit(self._fd, data)
        self._fill += len(data)

    def finish(self) -> None:
        """Gives back the space that was set aside and is not needed."""
        self._files.cut(self._path(self._number), self._fill)

    def close(self) -> None:
        """Lets go of the file; no error if that was done."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._files.close(fd)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.seg"

    def _reserve(self, coming: int) -> None:
        """Keeps space ahead. Where none is left records still go into what was set aside."""
        if self._fill + coming > self._reserved - RESERVE_BYTES // 2:
            self._reserved = self._fill + coming + RESERVE_BYTES
            try:
                self._files.reserve(self._fd, self._reserved)
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise

    def _next(self) -> None:
        self.finish()
        path = self._path(self._number + 1)
        self._files.store(path, b"")
        fd = self._files.open_within(path)
        self._files.close(self._fd)
        self._fd, self._fill, self._reserved = fd, 0, 0
        self._number += 1

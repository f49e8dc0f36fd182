"""Who may write to a station's lines: the one process that holds its lock.

Apart from the region because it is needed first: the first frames leave before the region is made.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from controller.core.errors import BadInput, Refused

SHM = Path("/dev/shm")  # noqa: S108 - the place the system gives for shared memory


def hold_lines(folder: Path, urls: Iterable[str]) -> list[int]:
    """Takes the lock of every line: two stations must not drive one device, also over OPC UA.

    A serial port is known by what its name leads to; a pseudo terminal, whose number is given out
    again, also by when it was made. Raises as `hold`.
    """
    found = []
    for url in urls:
        name = url.removeprefix("pty:")
        line = str(Path(name).resolve()) if name.startswith("/") else name.rstrip("/")
        if line.startswith("/dev/pts/"):
            with suppress(OSError):
                line += f" {Path(line).stat().st_ctime_ns}"
        digest = hashlib.sha256(line.encode()).hexdigest()[:16]
        found.append(hold(folder, f"line.{digest}", url))
    return found


def hold(folder: Path, station: str, what: str = "") -> int:
    """Takes a station's lock and returns its descriptor; the kernel lets it go with the process.

    `what` names it for people, if it is no station's. Raises Refused when a living process holds
    it, BadInput when the file cannot be made.
    """
    path = folder / f"cellwright-{station}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BadInput(f"the lock cannot be made: {error.strerror}", where=path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Refused(
            f"a living field owns {what or f'station {station}'}",
            where=path,
            means="Two programs must not drive one unit. Nothing was written or changed.",
            do=f"Stop the other one first; `fuser {path}` names it.",
        ) from None
    return descriptor

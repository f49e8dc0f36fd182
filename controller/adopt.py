"""Who runs a station: its launcher's lock, and programs whose launcher was killed.

A module because a new launcher must tell programs of its own station, which it may keep or end,
from everything else that may have their numbers by now. A process is known by its number and the
time it began (`/proc/PID/stat`, field 22), and by what its command line says.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from pathlib import Path

from controller.core.errors import Refused
from controller.field.lock import hold

MODULES = {"field": "controller.field", "supervisor": "controller.cli.supervise"}
STATUS_UNKNOWN = -signal.SIGKILL  # nobody but its parent learns how a process ended
_BYTES_MAX = 4096


def hold_launcher(folder: Path, station: str) -> int:
    """Takes the lock of the station's launcher; raises Refused when another launcher lives."""
    try:
        return hold(folder, f"{station}.launcher")
    except Refused as error:
        raise Refused(
            f"another `cellwright run` keeps station {station}",
            where=error.where,
            means="Two programs must not drive one unit. Nothing was written or changed.",
            do=f"Stop the other one first; `fuser {error.where}` names it.",
        ) from None


def pids_path(folder: Path, station: str) -> Path:
    """Where a launcher says which processes it started."""
    return folder / f"cellwright-{station}.pids"


def write_pids(path: Path, pids: dict[str, int]) -> None:
    """Writes the programs' numbers and when each began. Raises OSError."""
    text = json.dumps({name: [pid, began(pid)] for name, pid in pids.items() if pid > 0})
    partial = path.with_name(path.name + ".part")
    partial.write_text(text)
    partial.replace(path)


def began(pid: int) -> int:
    """When a living process began, in clock ticks since boot; -1 if there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return -1 if words[0] in "ZX" else int(words[19])
    except (OSError, ValueError, IndexError):
        return -1


def is_program(pid: int, name: str, station: str) -> bool:
    """Whether a process is this program of this station, by its command line."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    named = any(words[at : at + 2] == ["--station", station] for at in range(len(words)))
    return named and MODULES[name] in words


def find_program(name: str, station: str) -> int:
    """The number of a living program of a station, 0 if none can be seen."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return next((pid for pid in numbers if is_program(pid, name, station)), 0)


def adopt(folder: Path, station: str) -> dict[str, Adopted]:
    """The living programs of a station that its last launcher started, by name."""
    try:
        with pids_path(folder, station).open("rb") as file:
            known = json.loads(file.read(_BYTES_MAX))
        claimed = {name: (int(known[name][0]), int(known[name][1])) for name in MODULES
                   if name in known}  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return {}
    found = {}
    for name, (pid, since) in claimed.items():
        process = Adopted.of(pid)
        if process is None:
            continue
        # Asked after the descriptor was taken: it is this process or none.
        if began(pid) == since >= 0 and is_program(pid, name, station):
            found[name] = process
        else:
            process.close()
    return found


class Adopted:
    """A process somebody else started; what the launcher needs of a `subprocess.Popen`."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid, self._descriptor = pid, descriptor

    @classmethod
    def of(cls, pid: int) -> Adopted | None:
        """The process of a number, None if there is none."""
        try:
            return cls(pid, os.pidfd_open(pid)) if pid > 0 else None
        except OSError:
            return None

    def poll(self) -> int | None:
        """None while it lives, then STATUS_UNKNOWN."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; raises subprocess.TimeoutExpired."""
        status = self._look(-1 if timeout is None else round(timeout * 1000))
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def terminate(self) -> None:
        """Asks it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Lets its descriptor go."""
        os.close(self._descriptor)

    def _look(self, timeout_ms: int) -> int | None:
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        return STATUS_UNKNOWN if poller.poll(timeout_ms) else None

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

"""Time as a value: a Stamp is passed in, nothing below the entry points reads a clock.

Two makers of stamps: the machine's clocks, and a virtual clock whose epoch and boot id come from a
seed, so that a run in virtual time is a function of its inputs.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
VIRTUAL_EPOCH_NS = int(datetime(2026, 1, 5, 8, 0, tzinfo=UTC).timestamp()) * NS_PER_S


@dataclass(frozen=True, slots=True)
class Stamp:
    """One instant on every clock that matters.

    `mono_ns` orders control, `boottime_ns` counts through suspend, `utc_ns` is since 1970 without
    leap seconds, `offset_min` is local time east of UTC in minutes, `sync` says what disciplines
    the wall clock (`ntp`, `unsynchronised`, `virtual`).
    """

    mono_ns: int
    boottime_ns: int
    utc_ns: int
    offset_min: int
    boot_id: str
    sync: str

    def at(self, mono_ns: int) -> Stamp:
        """The stamp of an earlier instant of the monotonic clock; an instant to come is now.

        The other clocks are set back by as much: right unless the machine slept or a clock was
        stepped in between.
        """
        back_ns = self.mono_ns - mono_ns
        if back_ns <= 0:
            return self
        return replace(
            self, mono_ns=mono_ns, boottime_ns=self.boottime_ns - back_ns,
            utc_ns=self.utc_ns - back_ns,
        )  # fmt: skip

    def rfc3339(self) -> str:
        """Local wall time with offset and milliseconds, e.g. `2026-01-05T08:00:00.100+00:00`."""
        seconds, rest = divmod(self.utc_ns, NS_PER_S)
        zone = timezone(timedelta(minutes=self.offset_min))
        base = datetime.fromtimestamp(seconds, zone)
        text = base.isoformat(timespec="seconds")
        return f"{text[:19]}.{rest // NS_PER_MS:03d}{text[19:]}"


class Clock(Protocol):
    """Makes stamps."""

    def stamp(self) -> Stamp:
        """The present instant."""
        ...


class VirtualClock:
    """Time the rig moves. Same seed, same stamps."""

    def __init__(self, seed: int, epoch_ns: int = VIRTUAL_EPOCH_NS) -> None:
        digest = hashlib.sha256(f"cellwright virtual boot {seed}".encode()).hexdigest()
        head = f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}"
        self._boot_id = f"{head}-8{digest[17:20]}-{digest[20:32]}"
        self._epoch_ns = epoch_ns
        self.now_ns = 0

    def advance_to(self, mono_ns: int) -> None:
        """Moves time forward to `mono_ns`; raises ValueError for a step back."""
        if mono_ns < self.now_ns:
            raise ValueError(f"virtual time would step back from {self.now_ns} to {mono_ns} ns")
        self.now_ns = mono_ns

    def stamp(self) -> Stamp:
        """The present virtual instant; the monotonic clock starts at 0."""
        return self.at(self.now_ns)

    def at(self, mono_ns: int) -> Stamp:
        """The stamp of any virtual instant."""
        return Stamp(mono_ns, mono_ns, self._epoch_ns + mono_ns, 0, self._boot_id, "virtual")


class RealClock:
    """The machine's clocks. Only entry points make one."""

    def __init__(self) -> None:
        boot_id_file = Path("/proc/sys/kernel/random/boot_id")
        self._boot_id = boot_id_file.read_text().strip() if boot_id_file.exists() else "unknown"
        self._sync = "ntp" if Path("/run/systemd/timesync/synchronized").exists() else (
            "unsynchronised"
        )

    def stamp(self) -> Stamp:
        """The present instant."""
        boottime = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        utc_ns = time.time_ns()
        offset = datetime.fromtimestamp(utc_ns / NS_PER_S).astimezone().utcoffset()
        minutes = int(offset.total_seconds() // 60) if offset is not None else 0
        return Stamp(
            time.monotonic_ns(),
            time.clock_gettime_ns(boottime),
            utc_ns,
            minutes,
            self._boot_id,
            self._sync,
        )

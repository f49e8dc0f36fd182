"""The real field program under measurement: its own process, its own region, its own lines.

A module because three benches start the same program, and each must leave nothing behind: no
process, no region, no lock.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import equipment_profiles
from controller.attachment import Attached, Attachment
from controller.core.errors import BadInput
from controller.field.lock import SHM
from controller.profile import planfile
from controller.profile.compile import Profile, load_profile
from controller.profile.plan import digest

SHIPPED = Path(equipment_profiles.__file__).parent
STATION = "bench"
START_S_MAX = 180.0  # the first start of all compiles the kernel
POLL_S = 0.005
Counts = npt.NDArray[np.int64]


def shipped() -> Profile:
    """The unit that is shipped, compiled."""
    return load_profile(SHIPPED / "units" / "perfusion_2l.yaml", SHIPPED / "devices")


def with_period(profile: Profile, period_ns: int) -> Profile:
    """The same unit, scanned at another period."""
    unit = profile.plan.unit.copy()
    unit["period_ns"] = period_ns
    plan = profile.plan._replace(unit=unit)
    return replace(profile, plan=plan, plan_digest=digest(plan))


def nowhere(profile: Profile, folder: Path) -> dict[str, str]:
    """Addresses of links that lead nowhere: their workers try again and again."""
    return {
        link.name: "opc.tcp://127.0.0.1:9/" if link.kind == "opcua" else str(folder / link.name)
        for link in profile.links
    }


@dataclass(frozen=True, slots=True)
class Running:
    """One field program. `asked_ns` is when its process was asked for, on the monotonic clock."""

    attached: Attached
    plan_file: Path
    folder: Path
    asked_ns: int

    def page(self) -> dict[str, int]:
        """The heartbeat page between two scans, as it is now."""
        board = self.attached.board
        board.refresh()
        row = board.image.beat[0]
        return {name: int(row[name]) for name in row.dtype.names}

    def latencies(self) -> Counts:
        """How many wake-ups there were in each bin since field began."""
        return self.attached.region.image.latency.copy()


@contextlib.contextmanager
def field(profile: Profile, urls: Mapping[str, str], *, fifo: bool = True) -> Iterator[Running]:
    """Starts field on `profile` and waits until it scans; kills it on leaving.

    Raises BadInput when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="cellwright-bench-", dir=SHM) as name:
        folder = Path(name)
        plan_file = folder / "unit.plan"
        planfile.write(profile, plan_file)
        words = [f"--link={link}={url}" for link, url in urls.items()]
        if not fifo:
            words.append("--no-fifo")
        command = [sys.executable, "-m", "controller.field", "--plan", str(plan_file),
                   "--station", STATION, "--shm", name, "--batch", "none", *words]  # fmt: skip
        with (folder / "said").open("w+") as said:
            asked_ns = time.monotonic_ns()
            process = subprocess.Popen(command, stdout=said, stderr=said)  # noqa: S603 - our own
            try:
                attached = _attached(profile, folder, process, said)
                yield Running(attached, plan_file, folder, asked_ns)
            finally:
                process.kill()
                process.wait()


def _attached(
    profile: Profile, folder: Path, process: subprocess.Popen[bytes], said: Any
) -> Attached:
    attachment = Attachment(STATION, profile, folder)
    limit_s = time.monotonic() + START_S_MAX
    while process.poll() is None and time.monotonic() < limit_s:
        living, _ = attachment.find()
        if living is not None:
            living.board.refresh()
            if living.board.image.beat["scans"][0] > 0:
                return living
            living.region.close()
        time.sleep(POLL_S)
    said.seek(0)
    raise BadInput(f"field did not start: {said.read()[-2000:]}", do="Run `cellwright check`.")


def last_cpu() -> int:
    """The CPU that field pins its loop to, -1 when there is but one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1] if len(allowed) > 1 else -1

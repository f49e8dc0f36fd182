"""A room for the field program alone: its devices' lines are PTYs of the test, nobody answers.

Everything a test looks at is what leaves: bytes at the other end of the lines, the region, the exit
status, what was written to the standard error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import equipment_profiles
from controller.core.yamltext import parse
from controller.field.board import Board
from controller.field.image import BEAT, offset_of
from controller.field.links.note import Note, from_bytes
from controller.field.region import Region, generations, is_owned, open_region, region_path
from controller.field.ring import publish
from controller.profile import planfile
from controller.profile.compile import Profile, compile_unit

ROOT = Path(__file__).parents[3]
SHIPPED = Path(equipment_profiles.__file__).parent
UNIT = SHIPPED / "units" / "perfusion_2l.yaml"
STATION = "perfusion_2l.room"
START_S = 120.0  # the first start of all compiles the kernel
SERIAL = ("gas_bus", "probe_bus", "pump_bus", "balance")
S, MS = 1_000_000_000, 1_000_000


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = 30.0) -> Any:
    """The first true value of `condition`; fails with `what` when the time is over."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.02)
    return found


@lru_cache
def profile_of(period: str = "100 ms") -> Profile:
    """The shipped unit with another period of the scan."""
    text = UNIT.read_text().replace("period: 100 ms", f"period: {period}", 1)
    if period == "1 s":  # no delay is shorter than a scan
        text = text.replace("delay: 0.5 s", "delay: 1 s")
    return compile_unit(parse(text.encode(), "unit.yaml"), SHIPPED / "devices")


class Lines:
    """The serial lines of the unit: the devices' ends, with nobody there; the skid is not there."""

    def __init__(self) -> None:
        self.urls = {"skid": "opc.tcp://127.0.0.1:9/skid/"}
        self._ends: dict[str, int] = {}
        self._slaves: list[int] = []
        self.heard = dict.fromkeys(SERIAL, b"")
        for name in SERIAL:
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self.urls[name] = f"pty:{os.ttyname(slave)}"
            self._ends[name] = master
            self._slaves.append(slave)

    def listen(self) -> dict[str, bytes]:
        """All that came over each line so far."""
        for name, end in self._ends.items():
            with suppress(BlockingIOError):
                while data := os.read(end, 4096):
                    self.heard[name] += data
        return dict(self.heard)

    def close(self) -> None:
        """Hangs up."""
        for fd in (*self._ends.values(), *self._slaves):
            os.close(fd)


class Running:
    """One field program and, once it scans, its region."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: Path, profile: Profile, errors: Path
    ) -> None:
        self.process, self.folder, self.profile = process, folder, profile
        self._errors = errors
        self._region: Region | None = None

    @property
    def words(self) -> str:
        """What it wrote to its standard error."""
        return self._errors.read_text(errors="replace")

    @property
    def region(self) -> Region:
        """The region of the generation this process owns."""
        if self._region is None:
            self._region = eventually(self._find, "no region", START_S)
        return self._region

    def _find(self) -> Region | None:
        if self.process.poll() is not None:
            raise AssertionError(f"field ended with {self.process.returncode}: {self.words}")
        for number in reversed(generations(STATION, self.folder)):
            if is_owned(region_path(STATION, number, self.folder)):
                with suppress(Exception):
                    found = open_region(STATION, number, self.profile.plan, self.folder)
                    if found.image.beat["pid"][0] == self.process.pid:
                        return found
                    found.close()
        return None

    @property
    def beat(self) -> Any:
        """The heartbeat page's only row."""
        return self.region.image.beat[0]

    def scans(self, number: int = 1) -> Running:
        """Waits for so many scans more."""
        goal = int(self.beat["scans"]) + number
        eventually(lambda: int(self.beat["scans"]) >= goal, "field does not scan")
        return self

    def notes(self) -> list[Note]:
        """What field itself has said so far."""
        board = Board(self.region.image, self.profile.index, self.profile.plan)
        return [from_bytes(text) for _, text in board.take_notes(len(self.profile.links))]

    def stop_the_loop(self) -> None:
        """As if it stood still: the one word that ends the loop and not the process."""
        publish(self.region.image.beat, offset_of(BEAT, "stop"), 1)

    def ended(self, timeout_s: float = 15.0) -> int:
        """Waits for its end; its exit status."""
        return self.process.wait(timeout_s)


@contextmanager
def field(
    folder: Path, urls: dict[str, str], words: Sequence[str] = (), profile: Profile | None = None,
    batch: str = "none", **how: Any,
) -> Iterator[Running]:
    """Starts the field program in a folder that stands for /dev/shm; ends it on leaving.

    `how` goes to Popen.
    """
    found = profile or profile_of()
    plan = folder / f"{found.plan_digest[:8]}.plan"
    if not plan.exists():
        planfile.write(found, plan)
    command = [sys.executable, "-m", "controller.field", "--plan", str(plan), "--shm", str(folder),
               "--batch", batch, *(word for name, url in urls.items()
                                   for word in ("--link", f"{name}={url}")), *words,
               "--station", STATION]  # fmt: skip
    how["env"] = {**os.environ, **how.get("env", {})}
    errors = folder / f"field.{time.monotonic_ns()}.err"
    with errors.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=file, **how)
    try:
        yield Running(process, folder, found, errors)
    finally:
        process.kill()
        process.wait()

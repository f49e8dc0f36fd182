"""A supervisor that does nothing but work, as a load beside what is measured.

Two processes: one computes in Python without a pause, one hammers a region as the supervisor reads
it (snapshots, events, history, notes, beats) without ever waiting. `python -m hil_sim.bench.load`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from controller.core.errors import BadInput, BrokenInvariant
from controller.field.board import Board
from controller.field.region import make, open_region
from controller.profile import planfile
from controller.profile.compile import Profile
from hil_sim.bench.running import STATION

READY = b"ready\n"
RESTING = f"{STATION}.rest"  # a region that nobody scans, to be hammered where there is no field


def spin() -> None:
    """Computes for ever."""
    _say_ready()
    total = 0
    while True:
        for number in range(100_000):
            total = (total * 31 + number) & 0xFFFF_FFFF


def hammer(plan_file: Path, folder: Path, station: str, generation: int) -> None:
    """Reads all there is in a region, for ever, and gives every place back."""
    plan = planfile.load(plan_file).plan
    board = Board(open_region(station, generation, plan, folder).image, {}, plan)
    rings = len(plan.links) + 1
    _say_ready()
    while True:
        with contextlib.suppress(BrokenInvariant):  # its field was killed in the middle of a scan
            board.refresh()
        board.beat(time.monotonic_ns())
        board.drain()
        for number in range(rings):
            board.take_notes(number)
        board.history_done(len(board.history()))
        board.events_done()


def _say_ready() -> None:
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()


@contextlib.contextmanager
def resting_region(profile: Profile, folder: Path) -> Iterator[tuple[Path, int]]:
    """A region like field's that nobody scans: its plan's file and its generation."""
    plan_file = folder / "rest.plan"
    planfile.write(profile, plan_file)
    region = make(RESTING, profile.plan, 0, 1, folder)
    try:
        yield plan_file, region.generation
    finally:
        region.unlink()
        region.close()


@contextlib.contextmanager
def saturated(plan_file: Path, folder: Path, station: str, generation: int) -> Iterator[None]:
    """Both processes at work on one region; raises BadInput when they do not start."""
    own = [sys.executable, "-m", "hil_sim.bench.load"]
    wanted = [[*own, "spin"], [*own, str(plan_file), str(folder), station, str(generation)]]
    started = [
        subprocess.Popen(words, stdout=subprocess.PIPE)  # noqa: S603 - our own
        for words in wanted
    ]
    try:
        for process in started:
            if process.stdout is None or process.stdout.readline() != READY:
                raise BadInput("the load beside the measurement did not start")
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    if sys.argv[1:] == ["spin"]:
        spin()
    hammer(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))

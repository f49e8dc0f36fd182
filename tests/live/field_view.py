"""A living field seen from outside: what stands in its region, and whether the machine let it run.

A loop with absolute deadlines loses no scan: every period since its start was scanned or is counted
as missed. A period is missed by nobody's fault when the machine itself stood still; a bare loop of
the same class on the same CPU tells.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from controller.attachment import Attached, Attachment
from controller.cli.run import station_name
from controller.core.signal import Quality
from controller.field.board import Board
from controller.field.lock import SHM
from controller.profile.compile import Profile
from controller.profile.plan import SignalKind
from controller.record.state import StateDir
from controller.units import find_unit, load_unit
from hil_sim.rig.serving import UNIT

PERIOD_NS = 100_000_000
WITNESS = Path(__file__).with_name("stall_witness.py")


@lru_cache(maxsize=1)
def profile() -> Profile:
    """The shipped unit."""
    return load_unit(find_unit(UNIT))[0]


def station(state: Path) -> str:
    """The name of the station of a state directory."""
    return station_name(profile().id, state)


def field_of(state: Path) -> Attached | None:
    """The living field of a state directory: its region and a board on it."""
    living, dead = Attachment(station(state), profile()).find()
    for each in dead:
        each.region.close()
    return living


def tidy(state: Path) -> None:
    """Takes away what the programs of a state directory left in shared memory."""
    for path in SHM.glob(f"cellwright-{station(state)}*"):
        path.unlink(missing_ok=True)
    twin = StateDir.live(state, SHM).twin
    if twin is not None:
        twin.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Beats:
    """The heartbeat page of one field at one instant, whole."""

    generation: int
    at_ns: int
    started_ns: int
    scans: int
    missed: int
    deadline_ns: int


def beats_of(board: Board) -> Beats:
    """The page as it stands now."""
    board.refresh()
    beat = board.image.beat[0]
    return Beats(
        board.generation, time.monotonic_ns(), int(beat["started_ns"]),
        int(beat["scans"]), int(beat["missed"]), int(beat["deadline_ns"]),
    )  # fmt: skip


def at_fault(board: Board) -> list[str]:
    """Measured signals that are bad, rows of links that are silent."""
    plan, signals, causes = profile().plan, board.image.signals, board.image.causes
    bad = [
        name for i, name in enumerate(profile().signals)
        if plan.signals[i]["kind"] == SignalKind.INPUT and signals[i]["quality"] == Quality.BAD
    ]  # fmt: skip
    return bad + [cause.row for i, cause in enumerate(profile().causes)
                  if cause.row.startswith("20.") and causes[i]["active"]]  # fmt: skip


class Stalls:
    """What the witness saw: times at which this machine let a loop of field's class wait."""

    def __init__(self, output: Path) -> None:
        self._output = output

    def periods(self, since_ns: int) -> int:
        """How many scans at most could not be done since then, whoever was to do them."""
        pairs = [tuple(map(int, line.split())) for line in self._output.read_text().splitlines()]
        return sum(1 + late // PERIOD_NS for at, late in pairs if at >= since_ns)


@contextmanager
def watched_machine(folder: Path) -> Iterator[Stalls]:
    """The witness beside whatever runs in the block."""
    output = folder / f"stalls.{time.monotonic_ns()}"
    with output.open("w") as file:
        process = subprocess.Popen([sys.executable, str(WITNESS)], stdout=file)
        try:
            yield Stalls(output)
        finally:
            process.kill()
            process.wait()


def scans_are_all_there(before: Beats, after: Beats, stalls: Stalls | None = None) -> None:
    """Asserts that one field ran on, with every period in between scanned.

    Periods missed are excused by the witness alone.
    """
    assert after.generation == before.generation
    periods, rest = divmod(after.deadline_ns - before.deadline_ns, PERIOD_NS)
    assert rest == 0
    scans, missed = after.scans - before.scans, after.missed - before.missed
    assert scans + missed == periods
    assert after.deadline_ns > after.at_ns - 2 * PERIOD_NS, "the loop is behind"
    excused = stalls.periods(before.at_ns - PERIOD_NS) if stalls is not None else 0
    assert missed <= excused, f"{missed} scans missed, {excused} by the machine"

"""Which benches there are, and how what they found leaves: a table, JSON, a picture."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path

from controller.core.errors import BadInput
from hil_sim.bench import plot as pictures
from hil_sim.bench.result import Result
from hil_sim.bench.table import show

BENCHES = {
    name: f"hil_sim.bench.{name}"
    for name in ("kernel", "jitter", "reaction", "rings", "start", "screen", "log")
}
ROUNDS_MAX = 1_000
SECONDS_MAX = 3_600.0


def found_by(name: str, rounds: int, seconds: float | None = None) -> Result:
    """Runs a bench; `seconds` is what one measurement of a round takes, None as the bench thinks.

    Raises BadInput for a bench that is not there, or useless rounds or seconds.
    """
    if name not in BENCHES:
        raise BadInput(f"there is no bench {name!r}", do=f"Choose one of: {', '.join(BENCHES)}.")
    if not 1 <= rounds <= ROUNDS_MAX:
        raise BadInput(f"{rounds} rounds", do=f"Give a number from 1 to {ROUNDS_MAX}.")
    if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= SECONDS_MAX):
        raise BadInput(f"{seconds:g} seconds", do=f"Give more than 0, up to {SECONDS_MAX:g}.")
    found: Result = importlib.import_module(BENCHES[name]).run(rounds=rounds, seconds=seconds)
    return found


def run_bench(
    name: str, as_json: bool = False, plot: Path | None = None, rounds: int = 5,
    seconds: float | None = None,
) -> int:  # fmt: skip
    """Runs one bench and prints its rows; `plot` names a PNG to write. Returns the exit status.

    With `as_json` nothing but `{"bench": name, "rows": [...]}` goes to standard output. Raises
    BadInput for useless arguments, OSError where the picture cannot be written.
    """
    found = found_by(name, rounds, seconds)
    if plot is not None:
        plot.parent.mkdir(parents=True, exist_ok=True)
    if as_json:
        sys.stdout.write(json.dumps({"bench": name, "rows": found.rows}) + "\n")
    else:
        show(name, found.rows)
    if plot is not None and found.histograms:
        pictures.histogram(name, found.histograms, plot)
    elif plot is not None:
        pictures.bars(name, found.rows, plot)
    return 0

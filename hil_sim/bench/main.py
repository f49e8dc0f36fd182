"""Which benches there are, and how their rows leave: a table, JSON, a picture."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from controller.core.errors import BadInput
from hil_sim.bench import plot as pictures
from hil_sim.bench.table import show

BENCHES = {"kernel": "hil_sim.bench.kernel"}
ROUNDS_MAX = 1_000


def rows_of(name: str, rounds: int) -> list[dict[str, Any]]:
    """Runs a bench; raises BadInput for one that is not there or a useless number of rounds."""
    if name not in BENCHES:
        raise BadInput(f"there is no bench {name!r}", do=f"Choose one of: {', '.join(BENCHES)}.")
    if not 1 <= rounds <= ROUNDS_MAX:
        raise BadInput(f"{rounds} rounds", do=f"Give a number from 1 to {ROUNDS_MAX}.")
    found: list[dict[str, Any]] = importlib.import_module(BENCHES[name]).run(rounds=rounds)
    return found


def run_bench(name: str, as_json: bool = False, plot: Path | None = None, rounds: int = 5) -> int:
    """Runs one bench and prints its rows; `plot` names a PNG to write. Returns the exit status.

    With `as_json` nothing but `{"bench": name, "rows": [...]}` goes to standard output.
    """
    rows = rows_of(name, rounds)
    if as_json:
        sys.stdout.write(json.dumps({"bench": name, "rows": rows}) + "\n")
    else:
        show(name, rows)
    if plot is not None:
        pictures.bars(name, rows, plot)
    return 0

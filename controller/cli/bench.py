"""`cellwright bench`: measures on this machine, in ratios within one run."""

from __future__ import annotations

from pathlib import Path


def bench(name: str, json: bool, plot: Path | None, rounds: int, seconds: float | None) -> int:
    """Runs one bench; the exit status. Raises BadInput for one that is not there."""
    from hil_sim.bench.main import run_bench

    return run_bench(name, as_json=json, plot=plot, rounds=rounds, seconds=seconds)

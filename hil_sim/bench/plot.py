"""What a bench found as a picture: how often which latency, or bars of a figure of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hil_sim.bench.result import Histogram

BINS = 80
LABELS = ("case", "impl", "policy", "period_us", "name")
FIGURES = ("ratio_to_c", "p99_us", "ops_per_s", "median_ms")


def bars(title: str, rows: Sequence[dict[str, Any]], path: Path) -> str:
    """Writes a PNG of the first of FIGURES that the rows have; returns its name.

    Rows without that figure are left out. Raises ValueError when no row has one.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure = next((f for f in FIGURES if any(row.get(f) is not None for row in rows)), None)
    if figure is None:
        raise ValueError(f"{title}: no row has one of {', '.join(FIGURES)}")
    kept = [row for row in rows if row.get(figure) is not None]
    names = [" ".join(str(row[key]) for key in LABELS if key in row) for row in kept]
    kinds = sorted({str(row.get("impl", "")) for row in kept})
    colours = [f"C{kinds.index(str(row.get('impl', '')))}" for row in kept]
    drawing, axes = plt.subplots(figsize=(8, 0.22 * len(kept) + 1.2), layout="constrained")
    axes.barh(range(len(kept)), [row[figure] for row in kept], color=colours)
    axes.set_yticks(range(len(kept)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(figure)
    axes.set_title(title)
    if figure.startswith("ratio"):
        axes.axvline(1.0, color="black", linewidth=0.8)
    drawing.savefig(path, dpi=120)
    plt.close(drawing)
    return figure


def histogram(title: str, found: Mapping[str, Histogram], path: Path) -> None:
    """Writes a PNG of how often which latency was seen, one line for each thing measured."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    drawing, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    low = max(min(float(each.values_us.min()) for each in found.values()), 0.1)
    high = max(max(float(each.values_us.max()) for each in found.values()), 2 * low)
    edges = np.geomspace(low, high * 1.01, BINS)
    for name, each in found.items():
        axes.stairs(np.histogram(each.values_us, edges, weights=each.counts)[0], edges, label=name)
    axes.set_xscale("log")
    axes.set_yscale("symlog")
    axes.set_xlabel("us")
    axes.set_ylabel("times seen")
    axes.set_title(title)
    axes.legend()
    drawing.savefig(path, dpi=120)
    plt.close(drawing)

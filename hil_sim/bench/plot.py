"""Rows of a bench as a picture: bars of a figure, grouped by case, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = ("case", "impl", "policy", "period_us", "name")
FIGURES = ("ratio_to_c", "p99_us", "median_ns", "median_us")


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


def histogram(title: str, samples_us: dict[str, Sequence[float]], path: Path) -> None:
    """Writes a PNG of how often which latency was seen, one line an implementation."""
    import matplotlib as mpl
    import numpy as np

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    drawing, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, samples in samples_us.items():
        low, high = max(min(samples), 0.1), max(max(samples), 1.0)
        edges = np.geomspace(low, high * 1.01, 80)
        axes.stairs(np.histogram(samples, edges)[0], edges, label=name)
    axes.set_xscale("log")
    axes.set_yscale("symlog")
    axes.set_xlabel("us")
    axes.set_ylabel("times seen")
    axes.set_title(title)
    axes.legend()
    drawing.savefig(path, dpi=120)
    plt.close(drawing)

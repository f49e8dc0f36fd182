"""What a run looked like: truth and readings every ten minutes, drawn as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S
from controller.field.board import Board
from controller.profile.compile import Profile
from hil_sim.plant.plant import Plant

EVERY_NS = 600 * NS_PER_S
ROWS_MAX = 21 * 144
OUTPUTS = ("air", "o2", "co2", "n2", "heater", "feed", "perfusate", "base")
TAGS = ("TT101", "AT102", "AT101", "PT101", "VOL")


class Trends:
    """Keeps rows; `draw` makes the picture."""

    def __init__(self, profile: Profile, plant: Plant, board: Board) -> None:
        self._plant, self._board = plant, board
        self._next_ns = 0
        self._known = set(profile.signals)
        self.rows: list[dict[str, Any]] = []

    def keep(self, now_ns: int) -> None:
        """Adds a row when ten minutes have passed; the oldest run out of room first."""
        if now_ns < self._next_ns or len(self.rows) >= ROWS_MAX:
            return
        self._next_ns = now_ns + EVERY_NS
        row = {"hour": now_ns / (3600 * NS_PER_S), **self._plant.truth()}
        for name in (*OUTPUTS, *TAGS):
            if name in self._known:
                reading = self._board.read(name)
                row[name] = reading.value if reading.good else None
        self.rows.append(row)

    def draw(self, file: Path, title: str) -> None:
        """Writes a PNG; a reading that was not good is a gap, not a line."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot as plt

        hours = [row["hour"] / 24 for row in self.rows]
        figure, axes = plt.subplots(4, 2, figsize=(12, 11), sharex=True)
        panels: list[tuple[str, list[tuple[str, str, str]]]] = [
            ("viable cells, 1e6/mL", [("vcd_e6_per_ml", "viable", "-")]),
            ("mM", [("glucose_mm", "glucose", "-"), ("lactate_mm", "lactate", "-")]),
            ("degC", [("TT101", "TT101", "-"), ("temperature_degc", "true", "--")]),
            ("% air saturation", [("AT102", "AT102", "-"), ("do_pct", "true", "--")]),
            ("pH", [("AT101", "AT101", "-"), ("ph", "true", "--")]),
            ("gas, mL/min", [(n, n, "-") for n in ("air", "o2", "co2", "n2")]),
            ("mL/min", [("feed", "feed", "-"), ("perfusate", "perfusate", "-"),
                        ("base", "base", "-")]),
            ("L", [("VOL", "volume", "-"), ("volume_l", "true", "--")]),
        ]  # fmt: skip
        limits = {"degC": (34, 39), "pH": (6.9, 7.6), "% air saturation": (0, 110)}
        for axis, (label, lines) in zip(axes.flat, panels, strict=True):
            for key, name, style in lines:
                values = [row.get(key) for row in self.rows]
                clean = [float("nan") if v is None else v for v in values]
                axis.plot(hours, clean, style, label=name, linewidth=1.0)
            axis.set_ylabel(label)
            axis.grid(True, linewidth=0.3)
            axis.legend(loc="best", fontsize=7, frameon=False)
            if label in limits:
                axis.set_ylim(*limits[label])
        for axis in axes[-1]:
            axis.set_xlabel("days")
        figure.suptitle(title)
        figure.tight_layout()
        figure.savefig(file, dpi=110)
        plt.close(figure)

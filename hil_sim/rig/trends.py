"""What a run looked like: truth and readings every ten minutes, drawn as one picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S
from controller.core.events import Event
from controller.field.board import Board
from controller.profile.compile import Profile
from hil_sim.plant.plant import Plant

EVERY_NS = 600 * NS_PER_S
ROWS_MAX = 21 * 144
MARKS_MAX = 200
NS_PER_DAY = 86_400 * NS_PER_S
OUTPUTS = ("air", "o2", "co2", "n2", "heater", "feed", "perfusate", "base")
TAGS = ("TT101", "AT102", "AT101", "VOL", "TIC101.sp", "DIC101.sp", "AIC101.sp")
# Panel: label, lines (key, name, factor), truth key, setpoint key and half band, limits, log axis.
Panel = tuple[str, tuple[tuple[str, str, float], ...], str, tuple[str, float] | None,
              tuple[float, float] | None, bool]  # fmt: skip
PANELS: tuple[Panel, ...] = (
    ("viable cells, 1e6/mL", (), "vcd_e6_per_ml", None, (0.1, 100), True),
    ("glucose and lactate, mM",
     (("glucose_mm", "glucose", 1), ("lactate_mm", "lactate", 1)), "", None, None, False),
    ("temperature, degC", (("TT101", "TT101", 1),), "temperature_degc", ("TIC101.sp", 0.2),
     (36, 38), False),
    ("DO, % air saturation", (("AT102", "AT102", 1),), "do_pct", ("DIC101.sp", 10), (0, 110),
     False),
    ("pH", (("AT101", "AT101", 1),), "ph", ("AIC101.sp", 0.1), (6.9, 7.6), False),
    ("air and oxygen, mL/min", (("air", "air", 1), ("o2", "O2", 1)), "", None, None, False),
    ("CO2 and nitrogen, mL/min", (("co2", "CO2", 1), ("n2", "N2", 1)), "", None, (0, 20), False),
    ("feed and perfusate, mL/min", (("feed", "feed", 1), ("perfusate", "perfusate", 1)), "",
     None, (0, 5), False),
    ("base, mL/h", (("base", "base", 60),), "", None, None, False),
    ("volume, L", (("VOL", "by weight", 1),), "volume_l", None, (0, 2.4), False),
)  # fmt: skip


class Trends:
    """Keeps rows and marks; `draw` makes the picture."""

    def __init__(self, profile: Profile, plant: Plant, board: Board) -> None:
        self._plant, self._board = plant, board
        self._next_ns = 0
        self._known = set(profile.signals)
        self.rows: list[dict[str, Any]] = []
        self.phases: list[tuple[float, str]] = []
        self.trips: list[float] = []
        self.counts: list[tuple[float, float]] = []

    def keep(self, now_ns: int) -> None:
        """Adds a row when ten minutes have passed, as long as there is room."""
        if now_ns < self._next_ns or len(self.rows) >= ROWS_MAX:
            return
        self._next_ns = now_ns + EVERY_NS
        row = {"day": now_ns / NS_PER_DAY, **self._plant.truth()}
        for name in (*OUTPUTS, *TAGS):
            if name in self._known:
                reading = self._board.read(name)
                row[name] = reading.value if reading.good else None
        self.rows.append(row)

    def listen(self, event: Event) -> None:
        """Marks phases, trips and counts."""
        day = event.stamp.mono_ns / NS_PER_DAY
        if event.name == "procedure.state" and event.data["new"] == "Running":
            path = str(event.data["path"])
            if event.data["level"] == "phase" and "sample" not in path:
                self._mark(self.phases, (day, path.rsplit("/", 1)[-1]))
        elif event.name == "cause.active":
            self._mark(self.trips, day)
        elif event.name == "sample.recorded" and event.data["name"] == "vcd":
            self._mark(self.counts, (day, float(event.data["value"])))

    @staticmethod
    def _mark(marks: list[Any], mark: Any) -> None:
        if len(marks) < MARKS_MAX:
            marks.append(mark)

    def _column(self, key: str, factor: float = 1.0) -> list[float]:
        """One value a row; a reading that was not good is a gap, not a line."""
        values = (row.get(key) for row in self.rows)
        return [math.nan if value is None else float(value) * factor for value in values]

    def draw(self, file: Path, title: str) -> None:
        """Writes a PNG."""
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(5, 2, figsize=(13, 13), sharex=True)
        for axis, panel in zip(axes.flat, PANELS, strict=True):
            self._panel(axis, panel)
        for axis in axes[-1]:
            axis.set_xlabel("days")
        for axis in axes[0]:
            self._name_phases(axis)
        figure.suptitle(title, fontsize=12)
        figure.text(0.5, 0.005, "pale: the plant's truth   green: band around the setpoint   "
                    "grey lines: phases   red ticks: trips", ha="center", fontsize=8)  # fmt: skip
        figure.tight_layout(rect=(0, 0.015, 1, 1))
        figure.savefig(file, dpi=100)
        plt.close(figure)

    def _panel(self, axis: Any, panel: Panel) -> None:
        label, lines, truth, band, limits, logarithmic = panel
        days = self._column("day")
        if band is not None:
            centre = self._column(band[0])
            axis.fill_between(days, [c - band[1] for c in centre], [c + band[1] for c in centre],
                              color="#9ccf9c", alpha=0.35, linewidth=0)  # fmt: skip
        if truth:
            axis.plot(days, self._column(truth), color="#c9b28f", linewidth=3.0, label="true")
        for key, name, factor in lines:
            axis.plot(days, self._column(key, factor), linewidth=0.9, label=name)
        if logarithmic:
            axis.set_yscale("log")
            axis.plot(*zip(*self.counts, strict=True), "o", color="#1f4e79", markersize=4,
                      label="counted") if self.counts else None  # fmt: skip
        if limits is not None:
            axis.set_ylim(*limits)
        for day, _ in self.phases:
            axis.axvline(day, color="#bbbbbb", linewidth=0.6)
        for day in self.trips:
            axis.plot([day], [0.02], "|", color="#c03030", transform=axis.get_xaxis_transform())
        axis.set_ylabel(label, fontsize=9)
        axis.grid(True, linewidth=0.25)
        axis.legend(loc="upper left", fontsize=7, frameon=False, ncols=3)

    def _name_phases(self, axis: Any) -> None:
        last = -1.0
        for day, name in self.phases:
            if day - last > 0.35:
                axis.text(day, 1.02, name, rotation=25, fontsize=7, color="#666666",
                          transform=axis.get_xaxis_transform())  # fmt: skip
                last = day

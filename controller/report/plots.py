"""The process over the whole batch in one picture, one panel a tag.

A module because a week of values must fit into a page without hiding a spike: each pixel column
shows the lowest, the highest and the last value, and where no good value was there is no line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from controller.core.signal import Quality
from controller.record.process import Stream

COLUMNS: Final = 700
PANELS_MAX: Final = 8
MS_PER_H: Final = 3_600_000
_INK, _BAND, _HELD = "#1b4965", "#bcd4e0", "#f3d9d9"
_SIZE = (7.1, 1.35)  # inches: a page's width, the height of a row of panels


@dataclass(slots=True)
class Trend:
    """One tag over the batch, in COLUMNS columns: lowest, highest and last value of each."""

    tag: str
    unit: str
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    last: npt.NDArray[np.float64]


def trends(
    directory: Path, wanted: Sequence[str], begin_ms: int, end_ms: int, *, growing: bool
) -> list[Trend]:
    """The wanted tags, those that have values, read once from the log's tag chunks.

    Raises RecordFailure where a chunk is not the recorded one.
    """
    stream = Stream(directory, growing, writes=False)
    width = max(1, (end_ms - begin_ms + COLUMNS - 1) // COLUMNS)
    found: dict[int, Trend] = {}
    for block in stream.blocks():
        for number in np.unique(block["tag"]).tolist():
            name = stream.names.names[number]
            if name not in wanted or (len(found) >= PANELS_MAX and number not in found):
                continue
            trend = found.setdefault(number, _empty(name, stream.names.units[number]))
            rows = block[block["tag"] == number]
            columns = np.clip((rows["time_ms"] - begin_ms) // width, 0, COLUMNS - 1)
            good = rows["quality"] < int(Quality.BAD)
            values = np.where(good, rows["value"], np.nan)
            np.fmin.at(trend.low, columns, values)
            np.fmax.at(trend.high, columns, values)
            trend.last[columns] = np.where(good, values, np.inf)  # inf: from here on no value
    for trend in found.values():
        _hold(trend)
    order = {name: place for place, name in enumerate(wanted)}
    return sorted(found.values(), key=lambda trend: order[trend.tag])


def _empty(tag: str, unit: str) -> Trend:
    low, high, last = (np.full(COLUMNS, np.nan) for _ in range(3))
    return Trend(tag, unit, low, high, last)


def _hold(trend: Trend) -> None:
    """A value stands until the next row: columns without one show it, while it is good."""
    now = np.nan
    for column in range(COLUMNS):
        before, now = now, trend.last[column] if not np.isnan(trend.last[column]) else now
        if np.isfinite(before):
            trend.low[column] = np.fmin(trend.low[column], before)
            trend.high[column] = np.fmax(trend.high[column], before)
        trend.last[column] = now if np.isfinite(now) else np.nan


def draw(
    found: Sequence[Trend], hours: float, held: Sequence[tuple[float, float]],
    titles: dict[str, str],
) -> bytes:  # fmt: skip
    """The panels as SVG, two in a row, over `hours`; `held` are times in Hold, in hours."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows = (len(found) + 1) // 2
    style: Any = {
        "svg.hashsalt": "cellwright", "svg.fonttype": "path", "font.size": 6.5,
        "axes.linewidth": 0.5, "axes.titlesize": 7, "xtick.major.width": 0.5,
        "ytick.major.width": 0.5,
        "figure.facecolor": "none", "axes.facecolor": "none", "axes.spines.top": False,
        "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context():
        mpl.rcdefaults()  # nobody's own settings
        mpl.rcParams.update(style)
        figure = Figure(figsize=(_SIZE[0], _SIZE[1] * rows + 0.3), layout="constrained")
        FigureCanvasSVG(figure)
        panels = figure.subplots(rows, 2, squeeze=False, sharex=True)
        at = np.linspace(0, hours, COLUMNS)
        for place, panel in enumerate(panels.flat):
            if place >= len(found):
                panel.set_axis_off()
                continue
            trend = found[place]
            for since, until in held:
                panel.axvspan(since, until, color=_HELD, linewidth=0)
            panel.fill_between(at, trend.low, trend.high, color=_BAND, linewidth=0, step="post")
            panel.plot(at, trend.last, color=_INK, linewidth=0.8, drawstyle="steps-post")
            title = titles.get(trend.tag, "")
            panel.set_title(f"{trend.tag}  {title} ({trend.unit})".replace("$", ""), loc="left")
            panel.set_xlim(0, max(hours, 1e-9))
            panel.grid(visible=True, linewidth=0.3, color="#dde2e6")
            if place >= len(found) - 2:
                panel.set_xlabel("hours since the batch was opened")
                panel.tick_params(labelbottom=True)
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()

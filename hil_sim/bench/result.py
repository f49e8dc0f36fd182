"""What a bench found: its rows, and where it took latencies, how often it saw which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Histogram:
    """Latencies in us and how often each was seen."""

    values_us: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    def percentile(self, percent: float) -> float:
        """The value that so many percent do not exceed; NaN when nothing was seen."""
        total = np.cumsum(self.counts)
        if len(total) == 0 or total[-1] == 0:
            return float("nan")
        place = int(np.searchsorted(total, percent / 100.0 * total[-1]))
        return float(self.values_us[min(place, len(total) - 1)])


@dataclass(frozen=True, slots=True)
class Result:
    """`histograms` are by the name of what was measured; empty where nothing has a spread."""

    rows: list[dict[str, Any]]
    histograms: dict[str, Histogram] = field(default_factory=dict)

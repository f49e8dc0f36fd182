"""Whether the disk has room for a batch: asked before it may start, watched while it runs.

A module because a batch that meets a full disk after ten days cannot be begun again. The estimate
stands in one place; what a disk has free is asked of the file layer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import RecordFailure, Refused
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.record.entry import read_records, stamp_of
from controller.record.files import FileLayer

MB: Final = 1_000_000
DAY_S, HOUR_S = 86_400.0, 3_600.0
# Seven days of the demo leave 5.3 MB a day: records 1.6, checkpoints and tiles 0.6, history 3.1.
# Close to four times that [assumed]: a batch is noisier, the live history lies beside its log, and
# history is copied once more at the end.
BYTES_PER_DAY: Final = 20 * MB
DAYS_MAX: Final = 14.0  # the longest expansion meant
TIMES: Final = 2  # a batch starts with that many times its estimate free
LOOK_NS: Final = 60 * NS_PER_S
LOOKS_MAX: Final = 60  # one hour of looks tells what really goes
LOOKED_S_MIN: Final = 600.0
CRITICAL_H: Final = 1.0
# To be well again takes more than not to be ill: no row of records from a value that swings.
WELL_AGAIN: Final = 1.2
CRITICAL_OVER_H: Final = 2.0
ENOUGH, LOW, CRITICAL = "disk.enough", "disk.low", "disk.critical"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a batch writes, at most."""

    bytes_per_day: int = BYTES_PER_DAY
    days: float = DAYS_MAX

    @property
    def whole(self) -> int:
        """Bytes of a whole batch."""
        return round(self.bytes_per_day * self.days)

    def rest(self, elapsed_s: float) -> int:
        """Bytes a batch has still to write after so long; one that is overdue, those of a day."""
        days = self.days - max(elapsed_s, 0.0) / DAY_S
        return round(self.bytes_per_day * max(days, min(1.0, self.days)))


def check_space(files: FileLayer, path: Path, budget: Budget) -> None:
    """Raises Refused where a batch may not start: less than twice its estimate is free.

    The figures are in `do`, which is said and not recorded: a virtual run's log knows no machine.
    RecordFailure when the disk does not say.
    """
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        free = files.free(there)
    except OSError as error:
        raise RecordFailure(
            f"the disk does not say what is free: {error.strerror}", where=path,
            means="No batch was opened.", do="Check the disk.",
        ) from error  # fmt: skip
    needed = TIMES * budget.whole
    if free < needed:
        raise Refused(
            "the disk has too little space for a batch",
            means="No batch was opened.",
            do=f"Free {_mb(needed - free)} MB where {path} lies: {_mb(free)} MB are free, a batch "
            f"starts with {_mb(needed)} MB, twice what {budget.days:g} days write at most.",
        )


class SpaceWatch:
    """Says once that space gets short in a batch, once that it is all but gone, once that it is
    back."""

    def __init__(
        self, files: FileLayer, budget: Budget, record: Callable[[Event], None],
        critical: bool = False,
    ) -> None:  # fmt: skip
        """`critical`: an earlier supervisor said so, and its alarm stands."""
        self._files, self._budget, self._record = files, budget, record
        self._level = CRITICAL if critical else ENOUGH
        self._next_ns = -1
        self._log: Path | None = None
        self._opened_ns = 0
        self._looks: deque[tuple[int, int]] = deque(maxlen=LOOKS_MAX)

    def due(self, stamp: Stamp, log: Path | None) -> None:
        """To be called often; looks every minute. `log`: directory of the open batch's log."""
        if stamp.mono_ns < self._next_ns:
            return
        self._next_ns = stamp.mono_ns + LOOK_NS
        if log is None:
            self._log = None
            self._looks.clear()
            return
        try:
            if log != self._log:
                self._opened_ns = stamp_of(next(iter(read_records(log)))).utc_ns
                self._log = log
            free = self._files.free(log)
        except (OSError, RecordFailure, StopIteration):
            return  # a disk that cannot even be asked shows at the next sync
        self._looks.append((stamp.mono_ns, free))
        self._judge(free, stamp)

    def _judge(self, free: int, stamp: Stamp) -> None:
        rest = self._budget.rest((stamp.utc_ns - self._opened_ns) / NS_PER_S)
        hours = free / (self._bytes_per_s() * HOUR_S)
        was, level = self._level, ENOUGH
        if free < rest * (WELL_AGAIN if was != ENOUGH else 1.0):
            level = LOW
        if hours < (CRITICAL_OVER_H if was == CRITICAL else CRITICAL_H):
            level = CRITICAL
        if level != was:
            self._level = level
            data = {"free_mb": _mb(free), "rest_mb": _mb(rest), "hours": decimal_text(hours, 3)}
            self._record(Event(level, stamp, data=data))

    def _bytes_per_s(self) -> float:
        """What goes in a second: the estimate, or more where another program fills the disk."""
        estimate = self._budget.bytes_per_day / DAY_S
        (begin_ns, before), (end_ns, after) = self._looks[0], self._looks[-1]
        seconds = (end_ns - begin_ns) / NS_PER_S
        return max(estimate, (before - after) / seconds) if seconds >= LOOKED_S_MIN else estimate


def _mb(size: int) -> str:
    return decimal_text(size / MB, 4)

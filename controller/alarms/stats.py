"""How good an alarm system a log shows: the figures of EEMUA 191 and ANSI/ISA-18.2-2016, clause 16.

Counted is what called a person: an alarm that became UNACK. What was shelved, suppressed or out of
service called nobody and is counted apart. One operator is assumed for one unit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controller.alarms.defaults import PRIORITIES
from controller.alarms.table import CONDITION_OF, NORM, STANDS, SUPPRESSED, UNACK
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput
from controller.record.entry import stamp_of

TEN_MIN_S: Final = 600
FLOOD_BEGINS, FLOOD_ENDS = 10, 5  # more than ten in ten minutes, until fewer than five
CHATTER_N, CHATTER_S = 3, 60
FLEETING_S: Final = 10  # [assumed] nobody can respond in less
STALE_S: Final = 24 * 3600
TOP: Final = 10
# What the guides call acceptable, in the words of the table that is printed beside.
RECOMMENDED: Final[Mapping[str, str]] = {
    "alarms_per_10_min": "about 1, at most 2",
    "alarms_per_hour": "about 6, at most 12",
    "peak_in_10_min": "at most 10",
    "periods_above_10_pct": "below 1 %",
    "flood_pct": "below 1 %",
    "top10_pct": "1 % to 5 %, with action for what is above",
    "chattering": "0",
    "fleeting": "0",
    "stale": "fewer than 5 on any day",
    "critical_pct": "below 1 %",
    "high_pct": "about 5 %",
    "medium_pct": "about 15 %",
    "low_pct": "about 80 %",
}


@dataclass(slots=True)
class Told:
    """What a log tells of its alarms: (seconds, alarm, priority) of each that called somebody."""

    begin_s: float = 0.0
    end_s: float = 0.0
    called: list[tuple[float, str, str]] = field(default_factory=list)
    stood_s: list[tuple[str, float]] = field(default_factory=list)  # from its call to its end
    suppressed: int = 0
    escalated: int = 0
    raised: dict[str, float] = field(default_factory=dict)  # those that stand
    boot_id: str | None = None  # of the machine's last start, and when that was
    boot_s: float = 0.0
    boot_mono_ns: int = 0

    def take(self, record: Mapping[str, Any]) -> None:
        """Takes one decoded record."""
        now_s = self._second(stamp_of(dict(record)))
        self.end_s = max(self.end_s, now_s)
        data = record["data"]
        if record["event"] == "alarm.escalated":
            self.escalated += 1
        if record["event"] != "alarm.state":
            return
        name, new = str(data["alarm"]), str(data["new"])
        if new == UNACK:
            self.called.append((now_s, name, str(data["priority"])))
            self.raised[name] = now_s
        self.suppressed += new == SUPPRESSED and data["old"] == NORM
        stands = CONDITION_OF.get(new) == STANDS  # of what is hidden nobody asks how long
        if not stands and name in self.raised:
            self.stood_s.append((name, now_s - self.raised.pop(name)))

    def _second(self, stamp: Stamp) -> float:
        """When it was: by the wall clock where a machine was started, from there on by the clock
        that nobody sets. Never before the first record."""
        if stamp.boot_id != self.boot_id:
            wall_s = stamp.utc_ns / NS_PER_S
            self.begin_s = self.begin_s or wall_s
            self.boot_id, self.boot_s = stamp.boot_id, max(wall_s, self.end_s)
            self.boot_mono_ns = stamp.mono_ns
        return max(self.boot_s + (stamp.mono_ns - self.boot_mono_ns) / NS_PER_S, self.begin_s)


def told(records: Iterable[Mapping[str, Any]]) -> Told:
    """Reads a log. Raises BadInput for one without a record."""
    found = Told()
    for record in records:
        found.take(record)
    if not found.begin_s:
        raise BadInput("the log has no record")
    return found


def figures(log: Told) -> dict[str, Any]:
    """The figures, by the names of RECOMMENDED and some more; shares in percent."""
    times = sorted(second for second, _, _ in log.called)
    hours = max(log.end_s - log.begin_s, 1.0) / 3600
    counts = Counter(name for _, name, _ in log.called)
    bins = _bins(times, log.begin_s, log.end_s)
    total = len(times)
    top = counts.most_common(TOP)
    still = [(name, log.end_s - since) for name, since in log.raised.items()]
    found: dict[str, Any] = {
        "hours": round(hours, 3), "alarms": total,
        "alarms_per_hour": round(total / hours, 2),
        "alarms_per_10_min": round(total / hours / 6, 3),
        "peak_in_10_min": _peak(times),
        "periods_above_10_pct": _share(sum(n > FLOOD_BEGINS for n in bins), len(bins)),
        "flood_pct": _share(_flooded(bins), len(bins)),
        "top10_pct": _share(sum(n for _, n in top), total),
        "chattering": len(_chattering(log.called)),
        "fleeting": sum(0 < lasted < FLEETING_S for _, lasted in log.stood_s),
        "stale": len({name for name, lasted in (*log.stood_s, *still) if lasted > STALE_S}),
        "suppressed": log.suppressed, "escalated": log.escalated,
    }  # fmt: skip
    for priority in PRIORITIES:
        number = sum(each == priority for _, _, each in log.called)
        found[f"{priority}_pct"] = _share(number, total)
    found["top"] = [{"alarm": name, "count": number} for name, number in top]
    found["chattering_alarms"] = _chattering(log.called)
    return found


def _bins(times: Sequence[float], begin_s: float, end_s: float) -> list[int]:
    """How many in each ten minutes from the beginning on; the last may be shorter."""
    found = [0] * (int((end_s - begin_s) // TEN_MIN_S) + 1)
    for each in times:
        found[int((each - begin_s) // TEN_MIN_S)] += 1
    return found


def _flooded(bins: Sequence[int]) -> int:
    """The periods from one with more than ten to the one before the first with fewer than five."""
    flooded, count = False, 0
    for number in bins:
        flooded = number > FLOOD_BEGINS or (flooded and number >= FLOOD_ENDS)
        count += flooded
    return count


def _peak(times: Sequence[float]) -> int:
    """The most in any ten minutes, wherever they begin."""
    return max((bisect_left(times, first + TEN_MIN_S) - place
                for place, first in enumerate(times)), default=0)  # fmt: skip


def _chattering(called: Sequence[tuple[float, str, str]]) -> list[str]:
    """Alarms that called three times within a minute."""
    times: dict[str, list[float]] = {}
    for second, name, _ in called:
        times.setdefault(name, []).append(second)
    return sorted(
        name for name, own in times.items()
        if any(later - first <= CHATTER_S
               for first, later in zip(own, own[CHATTER_N - 1 :], strict=False))
    )  # fmt: skip


def _share(part: int, whole: int) -> float:
    return round(100.0 * part / whole, 2) if whole else 0.0

"""kill -9 again and again at seeded random instants, and what it cost: figures and assertions.

One station lives through many kills, as a plant would. Nothing is asked of the programs' own
counters where the wire, the plant's truth or the log can tell.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from field_view import Stalls, field_of, scans_are_all_there, station
from harness import (
    LIQUID_VALVES,
    Live,
    Row,
    S,
    contiguous,
    kill,
    liquids_shut,
    log_rows,
    logs_of,
    named,
    processes,
    wait_until,
)

from controller.attachment import Attached
from controller.field.region import generations
from controller.record.verify import verify

STOPS = (b"1ST\r", b"2ST\r", b"3ST\r")
FIRST_BYTE_S = 1.0
LATEST_S = 30
IN_THE_LINE_NS = 30_000_000  # what a field sent before it died; no program starts so soon
POLL_S = 0.02
PUMPS = ("feed_rpm", "perfusate_rpm", "base_rpm")
LEAST = {"km101": 1.0, "xv100": 1.0, "stirrer_rpm": 1.0, "air": 0.5, "heater_pct": 0.5}
BASE_ML, VOLUME_ML, DEGC, DO_PCT = 1.0, 20.0, 36.5, 20.0


@dataclass
class Figures:
    """What the kills cost. Times in s, by name; `low` and `high` extremes of the plant."""

    kills: int = 0
    early: int = 0  # before the program killed had taken up the batch
    scans: int = 0
    missed: int = 0
    excused: int = 0
    records: int = 0
    entries: int = 0  # of field's rings, each recorded once
    times: dict[str, list[float]] = field(default_factory=dict)
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)

    def took(self, name: str, seconds: float) -> None:
        """One more duration."""
        self.times.setdefault(name, []).append(seconds)

    def reached(self, name: str, low: float, high: float) -> None:
        """How far something of the plant went."""
        self.low[name] = min(low, self.low.get(name, low))
        self.high[name] = max(high, self.high.get(name, high))

    def add(self, other: Figures) -> None:
        """Those of another station."""
        for name in ("kills", "early", "scans", "missed", "excused", "records", "entries"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, found in other.times.items():
            self.times.setdefault(name, []).extend(found)
        for name, low in other.low.items():
            self.reached(name, low, other.high[name])

    def lines(self) -> list[str]:
        """For people."""
        found = [
            f"kills {self.kills}, {self.early} of them before the batch was taken up",
            f"scans {self.scans}, missed {self.missed}, by the machine at most {self.excused}",
            f"records {self.records}; ring entries, each recorded once: {self.entries}",
        ]
        found += [
            f"{name}: p50 {statistics.median(times):.2f} s, max {max(times):.2f} s, n {len(times)}"
            for name, times in self.times.items()
        ]
        found += [f"{name}: {low:.3f} to {self.high[name]:.3f}" for name, low in self.low.items()]
        return found


def running(live: Live, timeout_s: float = 90.0) -> None:
    """Waits for a batch that runs and is fed; the outlet follows the weight in its own time."""
    wait_until(
        lambda: live.batch_state == "Running" and live.unit.drives()["feed_rpm"] > 0,
        lambda: f"the batch does not run\n{live.words()}", timeout_s,
    )  # fmt: skip


def settle(live: Live, figures: Figures) -> None:
    """Asserts what the logs must hold at the end of a station, whose programs are stopped."""
    live.kill_everything()
    found: list[Row] = []
    for log in logs_of(live.state):
        report = verify(log, expect_sealed=False, deep=True)
        assert report.ok, (log, report.problems)
        found += log_rows(log)
    assert contiguous(found) == []
    assert not named(found, "ring.overflow", "log.failed", "supervisor.fault", "record.replaced")
    figures.records += len(found)
    figures.entries += sum(1 for row in found if row.get("source"))


# -- the supervisor -----------------------------------------------------------------------------


def kill_supervisors(live: Live, kills: int, chance: random.Random, stalls: Stalls) -> Figures:
    """Kills supervisors of a running batch; asserts that field, batch and record never noticed.

    About half die while they start or take the batch up, the others at an age of up to 7 s.
    """
    figures = Figures(kills=kills)
    running(live)
    before, marks, ends = live.beats(), [], []
    for _ in range(kills):
        pid = live.supervisor
        time.sleep(chance.uniform(0.0, 2.0) if chance.random() < 0.5
                   else chance.uniform(2.0, 7.0))
        marks.append(kill(pid))
        wait_until(lambda pid=pid: pid not in processes(live.token), "it is not dead")
        ends.append(len(batch_rows(live)))
    live.wait_record(marks[-1], "batch.attached", 60.0)
    running(live)
    after = live.beats()
    scans_are_all_there(before, after, stalls)
    figures.scans, figures.missed = after.scans - before.scans, after.missed - before.missed
    figures.excused = stalls.periods(before.at_ns)
    _attached(live, figures, marks)
    found = batch_rows(live)
    assert never_silent(found, ends) == []
    states = [row["data"]["state"] for row in named(found[ends[0]:], "batch.state")]
    assert set(states) <= {"Running"}, "the batch was to go on"  # each says it was taken up again
    return figures


def batch_rows(live: Live) -> list[Row]:
    """The records of the open batch, in the order of its log."""
    live.rows()
    (found,) = [known.rows for log, known in live.known.items() if log.name == "log"]
    return found


def never_silent(found: Sequence[Row], ends: Sequence[int]) -> list[str]:
    """What is wrong with the first records after each of the lengths the log had at a kill."""
    problems = []
    for end, following in zip(ends, [*ends[1:], len(found)], strict=True):
        names = [row["event"] for row in found[end:following] if row["event"] != "log.recovered"]
        if names and names[0] != "batch.attached":
            problems.append(f"after record {end}: {names[0]}")
    return problems


def _attached(live: Live, figures: Figures, marks: Sequence[int]) -> None:
    """How long after each kill the batch was taken up again, if it was before the next one."""
    at = [int(row["mono_ns"]) for row in live.since(marks[0], "batch.attached")]
    for mark, following in zip(marks, [*marks[1:], time.monotonic_ns()], strict=True):
        found = [each for each in at if mark <= each < following]
        assert len(found) <= 1
        if found:
            figures.took("kill to batch attached", (found[0] - mark) / S)
        else:
            figures.early += 1


# -- field --------------------------------------------------------------------------------------


def kill_fields(live: Live, kills: int, chance: random.Random) -> Figures:
    """Kills the field of a running batch; asserts on the wire, the plant's truth and the log."""
    figures = Figures(kills=kills)
    for _ in range(kills):
        running(live)
        time.sleep(chance.uniform(0.0, 3.0))
        _one_field(live, figures)
    return figures


def _one_field(live: Live, figures: Figures) -> None:
    unit, pid, old = live.unit, live.field, live.beats()
    trace = {line: unit.trace(line)[-1].number + 1 for line in ("pump_bus", "gas_bus", "skid")}
    before = unit.drives()
    unit.mark()
    mark = kill(pid)
    least, at_ns = _until_adopted(live, mark, old.generation, before)
    at_ns["first byte"] = _first_bytes(live, trace, mark)
    told = live.wait_record(mark, "field.restarted", 60.0)
    at_ns["recorded"] = int(told["mono_ns"])
    at_ns[f"adopted, {_how(live, mark)}"] = at_ns["heat, stirring and gas adopted"]
    for what, when_ns in at_ns.items():
        figures.took(f"kill to {what}", (when_ns - mark) / S)
    assert at_ns["first byte"] - mark <= FIRST_BYTE_S * S
    for name, share in LEAST.items():
        assert least[name] >= share * before[name], (name, least[name], before[name])
    _recorded(live, mark)
    running(live)
    figures.took("kill to perfusion again, by a person", (time.monotonic_ns() - mark) / S)
    _truth(live, figures)


def _how(live: Live, mark: int) -> str:
    """How the field after a kill was started."""
    found = wait_until(
        lambda: [row["data"]["words"] for row in live.since(mark, "field.started")
                 if "scanning after" in row["data"]["words"]],
        live.words,
    )  # fmt: skip
    return "from the reserve" if "from the reserve" in found[0] else "cold start"


def _until_adopted(
    live: Live, mark: int, generation: int, before: dict[str, float]
) -> tuple[dict[str, float], dict[str, int]]:
    """The lowest drives until a new field has read all outputs back, and when what was so."""
    least, at_ns = dict(before), dict[str, int]()
    found: Attached | None = None
    while len(at_ns) < 4 and time.monotonic_ns() < mark + LATEST_S * S:
        drives = live.unit.drives()
        least = {name: min(value, drives[name]) for name, value in least.items()}
        if all(drives[name] == 0.0 for name in PUMPS):
            at_ns.setdefault("pumps at rest", time.monotonic_ns())
        if liquids_shut(live.unit):
            at_ns.setdefault("pinch valves closed too", time.monotonic_ns())
        if found is None and generations(station(live.state))[-1] > generation:
            found = field_of(live.state)
        if found is not None:
            found.board.refresh()
            image = found.board.image
            if image.beat["started_ns"][0]:
                at_ns.setdefault("first scan", int(image.beat["started_ns"][0]))
                if not image.outputs["adopting"].any():
                    at_ns.setdefault("heat, stirring and gas adopted", time.monotonic_ns())
        time.sleep(POLL_S)
    if found is not None:
        found.region.close()
    assert len(at_ns) == 4, at_ns
    return least, at_ns


def _first_bytes(live: Live, since: dict[str, int], mark: int) -> int:
    """When the first byte came; liquids before anything else, and no pump told to go."""
    pumps, gas, skid = (
        [frame for frame in live.unit.trace(line, since[line])
         if frame.mono_ns > mark + IN_THE_LINE_NS]
        for line in ("pump_bus", "gas_bus", "skid")
    )  # fmt: skip
    written = [frame for frame in skid if frame.node != "HOST_BEAT" and frame.status == 0]
    assert pumps[0].data in STOPS, pumps[:4]
    assert {frame.data for frame in pumps[:8]} >= set(STOPS), pumps[:8]
    assert written[0].node in LIQUID_VALVES, written[:4]
    assert not any(b"AS 0.0\r" in frame.data for frame in gas)
    return pumps[0].mono_ns


def _recorded(live: Live, mark: int) -> None:
    """Restarted, tripped, Held: in the log."""
    live.wait_record(mark, "cause.active", row="restart")
    live.wait_record(mark, "batch.state", state="Held")
    restored = live.wait_record(mark, "field.restored", 60.0)
    assert restored["data"]["refused"] == ""


def _truth(live: Live, figures: Figures) -> None:
    """The plant from the kill until its perfusion ran again."""
    truth = live.unit.marked()
    warm, oxygen, volume = truth["temperature_degc"], truth["do_pct"], truth["volume_l"]
    base_ml = truth["base_total_ml"].gained
    error_ml = 1e3 * max(volume.high - volume.first, volume.first - volume.low)
    figures.reached("temperature, degC", warm.low, warm.high)
    figures.reached("DO, %", oxygen.low, oxygen.high)
    figures.reached("base a kill, mL", base_ml, base_ml)
    figures.reached("volume off its value at the kill, mL", error_ml, error_ml)
    assert warm.low >= DEGC, warm
    assert oxygen.low >= DO_PCT, oxygen
    assert base_ml <= BASE_ML, base_ml
    assert error_ml <= VOLUME_ML, volume


def said(name: str, figures: Figures, seed: int) -> None:
    """Prints the figures."""
    print("\n".join(["", f"{name}, seed {seed}", *(f"  {line}" for line in figures.lines())]))

"""How late the scan loop wakes beside a saturated supervisor, in alternation with cyclictest.

Field is the real program on the shipped unit, scanned at 1 kHz, its links leading nowhere; the same
load runs beside both. A round measures one after the other, in an order that turns about.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from controller.core.clock import NS_PER_MS
from controller.core.errors import BadInput
from controller.field.lock import SHM
from controller.field.loop import latency_of
from controller.profile.compile import Profile
from hil_sim.bench import cyclic
from hil_sim.bench.load import RESTING, resting_region, saturated
from hil_sim.bench.result import Histogram, Result
from hil_sim.bench.running import STATION, Running, field, last_cpu, nowhere, shipped, with_period

PERIOD_NS = NS_PER_MS
POLICIES = ("fifo", "other")
SECONDS = 3.0
SETTLE_S = 0.5
OURS = "cellwright"
PERCENTILES = (("p50_us", 50.0), ("p99_us", 99.0), ("p999_us", 99.9), ("max_us", 100.0))


def profile_1khz() -> Profile:
    """The shipped unit, scanned every millisecond."""
    return with_period(shipped(), PERIOD_NS)


def between(running: Running, seconds: float) -> Histogram:
    """The wake-ups of field from now on, for so long."""
    before = running.latencies()
    time.sleep(seconds)
    counts = running.latencies() - before
    seen = np.flatnonzero(counts)
    return Histogram(np.array([latency_of(int(place)) for place in seen]) / 1e3, counts[seen])


def of_field(profile: Profile, policy: str, seconds: float) -> Histogram:
    """Wake-up latencies of one generation of field; raises BadInput when the class is refused."""
    with tempfile.TemporaryDirectory(prefix="cellwright-bench-") as name:
        urls = nowhere(profile, Path(name))
        with field(profile, urls, fifo=policy == "fifo") as running:
            if running.page()["policy"] != int(policy == "fifo"):
                raise BadInput("field was not given SCHED_FIFO", do="Run this bench as root.")
            generation = running.attached.region.generation
            with saturated(running.plan_file, running.folder, STATION, generation):
                time.sleep(SETTLE_S)
                return between(running, seconds)


def of_cyclictest(profile: Profile, policy: str, seconds: float) -> Histogram:
    """Wake-up latencies of cyclictest, or its stand-in, beside the same load."""
    with tempfile.TemporaryDirectory(prefix="cellwright-bench-", dir=SHM) as name:
        folder = Path(name)
        with (
            resting_region(profile, folder) as (plan_file, generation),
            saturated(plan_file, folder, RESTING, generation),
        ):
            time.sleep(SETTLE_S)
            return cyclic.measure(policy, last_cpu(), PERIOD_NS // 1_000, seconds)


def permitted() -> tuple[str, ...]:
    """The classes this process may ask for; says so when the real-time one is not among them."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError as error:
        sys.stderr.write(f"jitter: no SCHED_FIFO ({error.strerror}): only SCHED_OTHER\n")
        return tuple(policy for policy in POLICIES if policy != "fifo")
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return POLICIES


def rows_of(policy: str, rounds: dict[str, list[Histogram]]) -> list[dict[str, Any]]:
    """One row an implementation: medians of the rounds' percentiles, the worst of all rounds, the
    median of the ratios within rounds."""
    other = next(name for name in rounds if name != OURS)
    rows = []
    for name, found in rounds.items():
        row: dict[str, Any] = {"impl": name, "policy": policy}
        for column, percent in PERCENTILES:
            values = [each.percentile(percent) for each in found]
            row[column] = round(max(values) if column == "max_us" else median(values), 1)
        ratios = [mine.percentile(99) / its.percentile(99)
                  for mine, its in zip(found, rounds[other], strict=True)]  # fmt: skip
        row["ratio_p99_to_cyclictest"] = round(median(ratios), 3)
        rows.append(row)
    return rows


def run(rounds: int = 5, seconds: float | None = None) -> Result:
    """Rows for SCHED_FIFO, where permitted, and SCHED_OTHER.

    Raises BadInput when a program does not start or refuses.
    """
    profile = profile_1khz()
    calls: dict[str, Callable[[Profile, str, float], Histogram]] = {
        OURS: of_field, cyclic.implementation(): of_cyclictest,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    pictures: dict[str, Histogram] = {}
    for policy in permitted():
        found: dict[str, list[Histogram]] = {name: [] for name in calls}
        for number in range(rounds):
            for name in sorted(calls, reverse=number % 2 == 1):
                found[name].append(calls[name](profile, policy, seconds or SECONDS))
        rows += rows_of(policy, found)
        for name, each in found.items():
            pictures[f"{name} {policy}"] = Histogram(
                np.concatenate([one.values_us for one in each]),
                np.concatenate([one.counts for one in each]),
            )
    return Result(rows, pictures)

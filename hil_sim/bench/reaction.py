"""How long the way is from a byte that crosses a limit to the safe byte, through the real field.

A transmitter answers a poll on one terminal with a level beyond its limit; the clock runs from just
before that write until the first byte of the safe write is read from the valve's terminal. Field is
the real program, and a saturated supervisor works beside it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import select
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.core.errors import BadInput
from controller.profile.compile import Profile, load_profile
from hil_sim.bench.load import saturated
from hil_sim.bench.result import Histogram, Result
from hil_sim.bench.running import STATION, field, with_period

HERE = Path(__file__).parent
PERIODS_MS = (1, 10, 100)
SECONDS = 2.5
LOW, HIGH = b"L 50\r", b"L 95\r"
POLL, STATE, SHUT, OPEN = b"L\r", b"V?\r", b"V0\r", b"V1\r"
BELOW_LOOP = 50  # of the real-time class, under the loop's own: the clock may not come late either
SETTLE_NS = 10 * NS_PER_MS
LOST_NS = 10 * NS_PER_S
BUFFER_BYTES = 256


def unit(period_ns: int) -> Profile:
    """The bench's own unit, scanned at a period."""
    return with_period(load_profile(HERE / "reaction.yaml", HERE / "reaction_devices"), period_ns)


class Peers:
    """Both devices of the unit, on two terminals."""

    def __init__(self) -> None:
        self._fds = [fd for _ in range(2) for fd in os.openpty()]
        self.sensor, sensor_end, self.valve, valve_end = self._fds
        for fd in (sensor_end, valve_end):
            tty.setraw(fd)
        for fd in (self.sensor, self.valve):
            os.set_blocking(fd, False)
        self.urls = {"sensor": os.ttyname(sensor_end), "valve": os.ttyname(valve_end)}
        self._poller = select.poll()
        for fd in (self.sensor, self.valve):
            self._poller.register(fd, select.POLLIN)
        self._said = b""
        self._level, self._answered_ns, self._late_ns = LOW, -1, 0

    def close(self) -> None:
        """Hangs both up."""
        for fd in self._fds:
            os.close(fd)

    def until_valve(self, word: bytes, until_ns: int) -> int:
        """Serves both until the valve is told `word`; when its first byte was there, -1 if never.

        `until_ns` is when to give up.
        """
        while time.monotonic_ns() < until_ns:
            for fd, _ in self._poller.poll(10):
                data = os.read(fd, BUFFER_BYTES)
                now_ns = time.monotonic_ns()
                if fd == self.sensor:
                    self._answer(data)
                elif self._told(data) == word:
                    return now_ns
        return -1

    def serve(self, until_ns: int) -> None:
        """Answers until then."""
        self.until_valve(b"", until_ns)

    def cross(self, late_ns: int, until_ns: int) -> int:
        """The next answer is beyond the limit, `late_ns` after its question.

        Returns the ns from that answer to the safe byte, -1 when there is none.
        """
        self._level, self._answered_ns, self._late_ns = HIGH, -1, late_ns
        shut_ns = self.until_valve(SHUT, until_ns)
        crossed_ns = self._answered_ns
        self._level = LOW
        return shut_ns - crossed_ns if shut_ns >= 0 and crossed_ns >= 0 else -1

    def _answer(self, data: bytes) -> None:
        if POLL not in data:
            return
        if self._level is HIGH and self._answered_ns < 0:
            time.sleep(self._late_ns / NS_PER_S)
            self._answered_ns = time.monotonic_ns()
        os.write(self.sensor, self._level)

    def _told(self, data: bytes) -> bytes:
        """The last command to the valve, at its first byte."""
        if STATE in data:
            os.write(self.valve, b"V 1\r")
            return b""
        return data[-len(SHUT) :]


@contextlib.contextmanager
def on_time() -> Iterator[None]:
    """Who takes the times runs in the real-time class, where permitted, and collects no garbage."""
    gc.disable()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(BELOW_LOOP))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        gc.enable()


def reactions(period_ns: int, seconds: float, seed: int = 1) -> list[int]:
    """Nanoseconds of every reaction within `seconds`, at random phases of the scan.

    Raises BadInput when field does not react at all.
    """
    chance, peers, found = random.Random(seed), Peers(), list[int]()  # noqa: S311 - phases
    try:
        with (
            field(unit(period_ns), peers.urls) as running,
            saturated(running.plan_file, running.folder, STATION,
                      running.attached.region.generation),
            on_time(),
        ):  # fmt: skip
            end_ns = time.monotonic_ns() + round(seconds * NS_PER_S)
            while (now_ns := time.monotonic_ns()) < end_ns or not found:
                peers.serve(now_ns + SETTLE_NS)
                # The polls keep to a grid as the scans do: only a late answer meets every phase.
                took_ns = peers.cross(chance.randrange(period_ns), now_ns + LOST_NS)
                if took_ns < 0:
                    raise BadInput(f"field did not shut the valve within {LOST_NS // NS_PER_S} s")
                found.append(took_ns)
                peers.until_valve(OPEN, time.monotonic_ns() + LOST_NS)
    finally:
        peers.close()
    return found


def run(rounds: int = 5, seconds: float | None = None) -> Result:
    """Rows `{period_us, p50_us, p99_us, max_us}` over the reactions of all rounds, `seconds` each.

    Raises BadInput when field does not react.
    """
    all_ns: dict[int, list[int]] = {period_ms: [] for period_ms in PERIODS_MS}
    for number in range(rounds):
        for period_ms in PERIODS_MS if number % 2 == 0 else PERIODS_MS[::-1]:
            found = reactions(period_ms * NS_PER_MS, seconds or SECONDS, number)
            all_ns[period_ms] += found
    rows: list[dict[str, Any]] = []
    pictures: dict[str, Histogram] = {}
    for period_ms, found in all_ns.items():
        taken_us = np.array(found) / 1e3
        p50, p99 = np.percentile(taken_us, [50, 99])
        rows.append({"period_us": period_ms * 1_000, "p50_us": round(p50), "p99_us": round(p99),
                     "max_us": round(taken_us.max())})  # fmt: skip
        pictures[f"{period_ms} ms"] = Histogram(taken_us, np.ones(len(taken_us), np.int64))
    return Result(rows, pictures)

"""The scan loop: absolute deadlines, no allocation, no interpreter, and everything late is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from field_room import MS, ROOT, S, profile_of
from hypothesis import given
from hypothesis import strategies as st

from controller.field import loop
from controller.field.board import Board
from controller.field.image import LATENCY_BINS, create
from controller.field.jit import kernel
from controller.field.ring import EventKind
from controller.field.views import Bound, image_at

ALONE = Path(__file__).with_name("loop_alone.py")


@kernel
def counted(handles, woke_ns, done_ns):
    return loop.counted(image_at(handles), woke_ns, done_ns)


@kernel
def tell(handles, told, now_ns):
    loop.tell_overruns(image_at(handles), told, now_ns)


@kernel
def latency_bin(late_ns):
    return loop.latency_bin(late_ns)


def started(*words, **how):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ALONE.parent}", **how.pop("env", {})}
    return subprocess.Popen([sys.executable, str(ALONE), *words], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, env=environment, **how)  # fmt: skip


def alone(*words, **how):
    """What a loop in its own process saw."""
    process = started(*words, **how)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


def every_period_is_there(found):
    """A scan or a miss for each, and each scan in the histogram."""
    passed_ns = found["deadline_ns"] - found["first_ns"]
    assert passed_ns == (found["scans"] + found["missed"]) * found["period_ns"]
    assert found["bins"] == found["scans"]
    assert found["ended"] == 1


# -- the count, by itself ---------------------------------------------------------------------


class Counted:
    """The loop's book-keeping on times of the test's own."""

    def __init__(self, period_ns=100 * MS):
        profile = profile_of()
        self.image = create(profile.plan, 0)
        self.bound = Bound(profile.plan, self.image)
        self.beat = self.image.beat[0]
        self.beat["period_ns"], self.beat["deadline_ns"] = period_ns, 0
        self.told = np.zeros(8, np.int64)
        self.board = Board(self.image, profile.index)

    def scan(self, late_ns, took_ns):
        woke_ns = int(self.beat["deadline_ns"]) + late_ns
        following = counted(self.bound.handles, woke_ns, woke_ns + took_ns)
        tell(self.bound.handles, self.told, woke_ns)
        return woke_ns + took_ns, following

    def counts(self):
        return tuple(int(self.beat[name]) for name in ("scans", "late", "long", "missed"))

    def events(self):
        found = [(e.index, int(e.a), int(e.b)) for e in self.board.drain()
                 if e.kind == EventKind.OVERRUN]  # fmt: skip
        self.board.events_done()
        return found


@given(st.lists(st.tuples(st.integers(0, 500 * MS), st.integers(0, 500 * MS)), max_size=60),
       st.sampled_from([MS, 100 * MS, S]))  # fmt: skip
def test_every_period_is_one_scan_or_one_miss_and_no_deadline_drifts(days, period_ns):
    found = Counted(period_ns)
    for late_ns, took_ns in days:
        done_ns, following = found.scan(late_ns, took_ns)
        assert following > done_ns
        assert following - done_ns <= period_ns
        scans, _, _, missed = found.counts()
        assert following == (scans + missed) * period_ns
    assert int(found.image.latency.sum()) == len(days)
    assert int(found.image.head["lock"][0]) % 2 == 0


def test_a_late_wake_a_long_scan_and_a_missed_period_are_counted_apart():
    found = Counted()
    found.scan(30 * MS, 1 * MS)
    assert found.counts() == (1, 1, 0, 0)
    found.scan(0, 60 * MS)
    assert found.counts() == (2, 1, 1, 0)
    found.scan(0, 100 * MS)
    assert found.counts() == (3, 1, 2, 1)
    assert int(found.beat["worst_late_ns"]) == 30 * MS
    assert int(found.beat["worst_scan_ns"]) == 100 * MS


def test_a_scan_of_350_ms_is_three_misses_and_no_burst():
    found = Counted()
    done_ns, following = found.scan(0, 350 * MS)
    assert (done_ns, following) == (350 * MS, 400 * MS)
    assert found.counts() == (1, 0, 1, 3)


def test_overruns_are_told_at_once_and_then_at_most_once_in_ten_seconds():
    found = Counted()
    assert found.events() == []
    found.scan(30 * MS, 0)
    assert found.events() == [(1, 0, 0)]
    for _ in range(99):
        found.scan(30 * MS, 60 * MS)
        assert found.events() == []
    found.scan(30 * MS, 0)
    assert found.events() == [(100, 99, 0)]
    for _ in range(200):
        found.scan(0, 0)
    assert found.events() == []
    found.scan(0, 250 * MS)
    assert found.events() == [(0, 1, 2)]


@given(st.integers(-(10**9), 64 * (1 << 31) - 1))
def test_a_latency_and_its_bin_are_inverse_within_1_6_per_cent(late_ns):
    place = latency_bin(late_ns)
    assert 0 <= place < LATENCY_BINS
    known = max(late_ns, 0)
    assert abs(loop.latency_of(place) - known) <= 0.016 * known


@given(st.integers(64 * (1 << 31), 2**62))
def test_a_latency_beyond_every_bin_falls_into_the_last(late_ns):
    assert latency_bin(late_ns) == LATENCY_BINS - 1


def test_every_bin_is_reached_by_its_own_middle():
    for place in range(LATENCY_BINS):
        assert latency_bin(int(loop.latency_of(place))) == place


# -- the loop itself --------------------------------------------------------------------------


def test_a_hundred_thousand_scans_allocate_nothing():
    found = alone("allocation", env={"NUMBA_NRT_STATS": "1"})
    assert found["looked_at"] >= 100_000
    assert found["after"] == found["before"]
    assert found["before"][0] > 0  # the count is on


def test_the_loop_goes_on_while_another_thread_keeps_the_interpreter():
    found = alone("gil")
    assert found["held_s"] > 1.0
    every_period_is_there(found)
    assert found["held_scans"] + found["missed"] >= 1000 * found["held_s"] - 100
    # It scans while another has the interpreter's lock; how often is the machine's business.
    assert found["held_scans"] > 100


@pytest.mark.parametrize(("period", "period_ns"), [("1 ms", MS), ("1 s", S)])
def test_the_shortest_and_the_longest_period_run_without_drift(period, period_ns):
    found = alone("plain", period)
    assert found["period_ns"] == period_ns
    assert found["scans"] + found["missed"] >= 2
    every_period_is_there(found)


def test_a_process_that_is_stopped_for_350_ms_has_misses_that_are_told_and_no_burst():
    process = started("wait", stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "runs\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.35)
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate("\n", timeout=30)
    finally:
        process.kill()
        process.wait()
    found = json.loads(out)
    every_period_is_there(found)
    assert found["missed"] >= 33
    assert found["worst_late_ns"] >= 330 * MS
    assert 1 <= len(found["told"]) <= 2  # one before it silences the next for ten seconds

"""Link workers run in the real-time class below the loop, where the machine permits it."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

import pytest

from controller.field.links.worker import PRIORITY, Worker
from controller.field.posix import PRIORITY as LOOP_PRIORITY
from hil_sim.bench import running

NOWHERE = Path("/nowhere")
WAIT_S = 10.0


def real_time(pid: int) -> Counter[int]:
    """How many threads of a process run in the real-time class, by priority."""
    found: Counter[int] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        if os.sched_getscheduler(int(task.name)) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO:
            found[os.sched_getparam(int(task.name)).sched_priority] += 1
    return found


def classes_of_field(fifo: bool) -> tuple[Counter[int], int, bool]:
    """Threads by real-time priority once they settled, links, whether the class was granted."""
    profile = running.shipped()
    with running.field(profile, running.nowhere(profile, NOWHERE), fifo=fifo) as found:
        page = found.page()
        granted = page["policy"] == 1
        limit_s = time.monotonic() + (WAIT_S if granted else 1.0)
        seen = real_time(page["pid"])
        while seen[PRIORITY] < len(profile.links) and time.monotonic() < limit_s:
            time.sleep(0.05)
            seen = real_time(page["pid"])
    return seen, len(profile.links), granted and len(os.sched_getaffinity(0)) > 1


def test_every_link_of_a_running_field_is_in_the_real_time_class_below_the_loop() -> None:
    seen, links, granted = classes_of_field(fifo=True)
    assert PRIORITY < LOOP_PRIORITY
    assert seen == (Counter({PRIORITY: links, LOOP_PRIORITY: 1}) if granted else Counter())


def test_nothing_of_field_is_in_the_real_time_class_when_it_was_not_to_ask() -> None:
    assert classes_of_field(fifo=False)[0] == Counter()


class Idle(Worker):
    """A worker without a line."""

    def _session(self) -> None:
        self._stopping.wait(WAIT_S)


class Machine:
    """Says nothing."""

    def take_notes(self) -> list[object]:
        return []


class Duty:
    """Has nothing to write."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def released(self, link: str) -> list[object]:
        return []


def test_with_one_cpu_no_link_may_take_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    worker = Idle("line", "pty:/nowhere", Machine(), Duty())
    worker.start()
    before = real_time(os.getpid())
    assert "one CPU" in worker.urge()
    assert real_time(os.getpid()) == before
    assert worker.stop()

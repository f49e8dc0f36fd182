"""The scan loop by itself, in a process of its own: `loop_alone.py CASE`; prints one JSON object.

What it needs of the system it calls directly; it prints what it saw, the test judges.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time

import numpy as np
from numba.core.runtime import rtsys

from controller.field import loop
from controller.field.board import Board
from controller.field.image import create
from controller.field.kernel import initialise_at
from controller.field.realtime import _stop, warm
from controller.field.ring import EventKind
from controller.field.views import Bound


class Alone:
    """A loop on the shipped unit in a thread, no links."""

    def __init__(self, period):
        from field_room import profile_of

        self.profile = profile_of(period)
        plan = self.profile.plan
        warm(plan, len(self.profile.links))
        self.image = create(plan, time.monotonic_ns())
        self.bound = Bound(plan, self.image)
        initialise_at(self.bound.handles, time.monotonic_ns())
        self.board = Board(self.image, self.profile.index, plan)
        links = len(self.profile.links)
        arguments = (self.bound.handles, np.full(links, -1, np.int64),
                     loop.scratch_for(len(plan.outputs), links))  # fmt: skip
        self.thread = threading.Thread(target=loop.run, args=arguments)

    def begin(self):
        """The first deadline is one period from now; when it stands at."""
        beat = self.image.beat[0]
        beat["deadline_ns"] = time.monotonic_ns() + int(beat["period_ns"])
        first_ns = int(beat["deadline_ns"])
        self.thread.start()
        return first_ns

    def end(self, first_ns):
        """Stops it; what became of it."""
        _stop(self.image.beat)
        self.thread.join()
        beat = {name: int(self.image.beat[name][0]) for name in self.image.beat.dtype.names}
        late = [event for event in self.board.drain() if event.kind == EventKind.OVERRUN]
        return beat | {
            "first_ns": first_ns, "bins": int(self.image.latency.sum()),
            "told": [[event.time_ns, event.index, int(event.a), int(event.b)] for event in late],
        }  # fmt: skip


def gil_held():
    """One call in C that keeps the interpreter for itself: no other thread of it runs meanwhile."""
    alone = Alone("1 ms")
    first_ns = alone.begin()
    time.sleep(0.2)
    text, seconds, scans = "a" * 26 + "b", 0.0, 0
    while seconds < 1.5:
        before, began = int(alone.image.beat["scans"][0]), time.perf_counter()
        re.match("(a|aa)+$", text)
        took = time.perf_counter() - began
        seconds += took
        scans += int(alone.image.beat["scans"][0]) - before
        text = "a" + text if took < 1.0 and len(text) < 36 else text
    return alone.end(first_ns) | {"held_s": seconds, "longest_s": took, "held_scans": scans}


def without_allocation():
    """A hundred thousand scans in one call, and what numba's allocator did meanwhile."""
    alone = Alone("1 ms")
    beat = alone.image.beat[0]
    beat["period_ns"] = 1  # as fast as it goes
    alone.begin()
    while int(beat["scans"]) < 100:
        time.sleep(0.001)  # it is in the loop: the call's own arguments are wrapped
    before, scans = rtsys.get_allocation_stats(), int(beat["scans"])
    while int(beat["scans"]) < scans + 100_000:
        time.sleep(0.05)
    after, scans = rtsys.get_allocation_stats(), int(beat["scans"]) - scans
    return alone.end(0) | {"before": list(before), "after": list(after), "looked_at": scans}


def plain():
    """Half a second at the period asked for, ten periods at least."""
    alone = Alone(sys.argv[2])
    first_ns = alone.begin()
    time.sleep(max(0.5, 2.2 * float(alone.image.beat["period_ns"][0]) / 1e9))
    return alone.end(first_ns)


def wait():
    """Runs until a line comes in; says when it runs. For a test that stops this process."""
    alone = Alone("10 ms")
    first_ns = alone.begin()
    time.sleep(0.1)
    print("runs", flush=True)
    sys.stdin.readline()
    time.sleep(0.05)
    return alone.end(first_ns)


if __name__ == "__main__":
    print(json.dumps({"gil": gil_held, "allocation": without_allocation, "plain": plain,
                      "wait": wait}[sys.argv[1]]()))  # fmt: skip

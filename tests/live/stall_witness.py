"""A bare loop of field's class on field's CPU: prints `when late` (ns) for every late wake.

A program of its own, for another thread's lock must not keep it waiting. It ends with its parent.
"""

import contextlib
import os
import sys
import time

PERIOD_NS, LATE_NS = 20_000_000, 40_000_000

parent = os.getppid()
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
with contextlib.suppress(PermissionError):  # then field has no such class either
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(59))
next_ns = time.monotonic_ns()
while os.getppid() == parent:
    next_ns += PERIOD_NS
    time.sleep(max(next_ns - time.monotonic_ns(), 0) / 1e9)
    now_ns = time.monotonic_ns()
    if now_ns - next_ns > LATE_NS:
        sys.stdout.write(f"{now_ns} {now_ns - next_ns}\n")
        sys.stdout.flush()
        next_ns = now_ns

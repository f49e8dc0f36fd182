"""Many scans in one call of compiled code: the twin of `scans` in scan.c."""

from __future__ import annotations

from controller.field.jit import kernel
from controller.field.kernel import scan_at
from controller.field.views import Handles, image_at, plan_at


@kernel
def numba_scans(handles: Handles, now_ns: int, period_ns: int, count: int, feed: Handles) -> int:
    """`count` scans `period_ns` apart after `now_ns`; returns the time of the last.

    Before each scan every link has brought as many samples as `feed` says for it; after each the
    event and the history ring are drained, as a supervisor that keeps up would.
    """
    plan, image = plan_at(handles), image_at(handles)
    head = image.head[0]
    for _ in range(count):
        now_ns += period_ns
        for link in range(len(plan.links)):
            image.input_rings[link].head += feed[link]
        scan_at(handles, now_ns)
        head.event_tail = head.event_head
        head.history_tail = head.history_head
    return now_ns

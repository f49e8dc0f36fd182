"""The scan loop: absolute deadlines in compiled code that never takes the interpreter's lock.

One call runs until field's main thread writes `stop`. A scan that comes late or takes long is
counted and never made good by a burst: what was missed is missed, and said. What the loop needs of
the machine are three C functions of libc; nothing is allocated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from controller.core.clock import NS_PER_S
from controller.field import atomic
from controller.field.image import BEAT, Image, offset_of
from controller.field.jit import inlined, kernel
from controller.field.kernel import scan_at
from controller.field.ring import LOCK, EventKind, emit
from controller.field.views import Handles, image_at, plan_at

CLOCK_MONOTONIC, TIMER_ABSTIME = 1, 1
LATE_OF_PERIOD = 4  # a wake is late beyond this part of the period [assumed]
LONG_OF_PERIOD = 2  # a scan is long beyond this part of it [assumed]
TOLD_NS = 10 * NS_PER_S  # overruns are told at once, then at most once in this time
OVERRUN = int(EventKind.OVERRUN)
STOP = offset_of(BEAT, "stop")
OCTAVE = 6  # bits of a latency below its leading one that choose its bin: 64 bins to the octave
OCTAVES = 31

_sleep: Any = types.ExternalFunction(
    "clock_nanosleep", types.int32(types.int32, types.int32, types.voidptr, types.voidptr)
)
_time: Any = types.ExternalFunction("clock_gettime", types.int32(types.int32, types.voidptr))
_write: Any = types.ExternalFunction(
    "write", types.intp(types.int32, types.voidptr, types.uintp)
)


@inlined
def latency_bin(late_ns: int) -> int:
    """The bin of a latency in ns: exact below 64, then 64 to the octave."""
    late = max(late_ns, 0)
    octave = 0
    while late >> (OCTAVE + octave + 1) > 0 and octave < OCTAVES - 1:
        octave += 1
    if late >> OCTAVE == 0:
        return int(late)
    return int(64 + octave * 64 + min((late >> octave) - 64, 63))


def latency_of(bin_: int) -> float:
    """The middle of a bin in ns: the inverse of `latency_bin`."""
    if bin_ < 64:
        return float(bin_)
    octave, part = divmod(bin_ - 64, 64)
    return (64 + part + 0.5) * float(1 << octave)


@inlined
def counted(image: Image, woke_ns: int, done_ns: int) -> int:
    """Counts the scan of the present deadline and sets the next one after `done_ns`."""
    head, beat = image.head[0], image.beat[0]
    atomic.store(image.head, LOCK, head.lock + 1)
    atomic.fence_release()
    late_ns, long_ns = woke_ns - beat.deadline_ns, done_ns - woke_ns
    missed = max(done_ns - beat.deadline_ns, 0) // beat.period_ns
    beat.scans += 1
    beat.missed += missed
    if late_ns * LATE_OF_PERIOD > beat.period_ns:
        beat.late += 1
    if long_ns * LONG_OF_PERIOD > beat.period_ns:
        beat.long += 1
    beat.worst_late_ns = max(beat.worst_late_ns, late_ns)
    beat.worst_scan_ns = max(beat.worst_scan_ns, long_ns)
    image.latency[latency_bin(late_ns)] += 1
    beat.deadline_ns += (1 + missed) * beat.period_ns
    atomic.store(image.head, LOCK, head.lock + 1)
    return int(beat.deadline_ns)


@inlined
def tell_overruns(image: Image, told: Any, now_ns: int) -> None:
    """Late wakes, long scans and missed periods since they were last told become one event.

    `told` (int64, 4) keeps the counts told and when.
    """
    beat = image.beat[0]
    late, long, missed = beat.late - told[0], beat.long - told[1], beat.missed - told[2]
    if late + long + missed > 0 and now_ns >= told[3]:
        emit(image, OVERRUN, late, float(long), float(missed))
        told[0], told[1], told[2] = beat.late, beat.long, beat.missed
        told[3] = now_ns + TOLD_NS


@inlined
def now(spec: Any) -> int:
    """CLOCK_MONOTONIC in ns; `spec` is a timespec, int64 of 2."""
    _time(CLOCK_MONOTONIC, spec.ctypes)
    return int(spec[0] * NS_PER_S + spec[1])


@kernel
def run(handles: Handles, wakes: Any, scratch: Any) -> int:
    """Scans at every deadline until told to stop; returns the scans done.

    `wakes` (int64, links) are eventfds, -1 for none; `scratch` is int64 of outputs + links + 16.
    The first deadline stands in the image's beat.
    """
    plan, image = plan_at(handles), image_at(handles)
    outputs, links = len(plan.outputs), len(wakes)
    seen, changed = scratch[:outputs], scratch[outputs : outputs + links]
    spec, told = scratch[outputs + links : outputs + links + 2], scratch[outputs + links + 2 :]
    one = scratch[outputs + links + 8 :]
    seen[:] = -1
    one[0] = 1
    deadline_ns = image.beat[0].deadline_ns
    while atomic.load(image.beat, STOP) == 0:
        spec[0], spec[1] = deadline_ns // NS_PER_S, deadline_ns % NS_PER_S
        while _sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, spec.ctypes, spec.ctypes) != 0:
            pass  # a signal interrupted it; the deadline is absolute
        woke_ns = now(spec)
        scan_at(handles, woke_ns)
        changed[:] = 0
        for output in range(outputs):
            if image.outputs[output].sequence != seen[output]:
                seen[output] = image.outputs[output].sequence
                changed[plan.outputs[output].link] = 1
        for link in range(links):
            if changed[link] == 1 and wakes[link] >= 0:
                _write(wakes[link], one.ctypes, 8)
        deadline_ns = counted(image, woke_ns, now(spec))
        tell_overruns(image, told, woke_ns)
    image.beat[0].ended = 1
    return int(image.beat[0].scans)


def scratch_for(outputs: int, links: int) -> Any:
    """The loop's working words."""
    return np.zeros(outputs + links + 16, np.int64)

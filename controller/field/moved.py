"""Which signals left their band since they were last kept: the process history's look at an image.

A module because it is compiled: the supervisor looks at every tick, and a run in virtual time ticks
hundreds of thousands of times. Reads the image, writes only what it is given.
"""

from __future__ import annotations

import numpy as np

from controller.core.signal import Quality, Reason
from controller.field.image import Table
from controller.field.jit import kernel

KEPT = np.dtype([("time_ns", "i8"), ("tag", "i8"), ("state", "i8"), ("value", "f8")])
"""One kept value; `state` is quality * 256 + reason, `value` NaN where quality is bad."""
MEMORY = np.dtype([("kept_ns", "i8"), ("state", "i8"), ("value", "f8"), ("band", "f8")])
"""What was last kept of one signal, and how far it may move from there."""
STATE = 256
_BAD = int(Quality.BAD)
_NOT_FINITE = _BAD * STATE + int(Reason.NOT_FINITE)


@kernel
def keep_moved(
    signals: Table, memory: Table, rows: Table, fill: int, now_ns: int, seen_ns: int,
    heartbeat_ns: int,
) -> int:  # fmt: skip
    """Puts what moved since the look at `seen_ns` into `rows` from place `fill` on; the new fill.

    With `seen_ns` -1 everything is kept, as of now. A value's time is that of its sample if it was
    taken since the last look, else `now_ns`. `rows` must have room for every signal.
    """
    for index in range(len(signals)):
        signal, kept = signals[index], memory[index]
        value, quality = signal.value, signal.quality
        state = quality * STATE + signal.reason
        if not np.isfinite(value):
            if quality != _BAD:
                state = _NOT_FINITE
            value = np.nan
        if quality == _BAD:
            value = np.nan
        moved = abs(value - kept.value) > kept.band  # never true where one of them is bad
        late = now_ns - kept.kept_ns >= heartbeat_ns
        if moved or late or state != kept.state or seen_ns < 0:
            time_ns = signal.sample_ns
            if seen_ns < 0 or time_ns <= seen_ns or time_ns > now_ns:
                time_ns = now_ns
            row = rows[fill]
            row.time_ns, row.tag, row.state, row.value = time_ns, index, state, value
            kept.kept_ns, kept.state, kept.value = now_ns, state, value
            fill += 1
    return fill

"""The bytes that carry one value to one device, and the frames a line is sent first.

Links render every write here, and so do the first frames, at `check`: what leaves before anything
else is running has been seen by the same code that writes later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from controller.profile.link_plan import WritePlan


def raw_value(plan: WritePlan, value: float) -> float | None:
    """A canonical value in the device's unit; None when not finite or outside its range."""
    raw = value / plan.scale
    slack = plan.resolution / plan.scale
    if not math.isfinite(raw) or not plan.low - slack <= raw <= plan.high + slack:
        return None
    return min(max(raw, plan.low), plan.high) + 0.0


def frames(plan: WritePlan, raw: float) -> tuple[bytes, ...]:
    """The frames of one value, in order; a single empty one where nothing is spoken as text."""
    zero = plan.zero_steps and abs(raw) < plan.resolution / plan.scale / 2
    steps = plan.zero_steps if zero else plan.steps
    return tuple(step.format(v=raw).encode("ascii") for step in steps) or (b"",)


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """One frame of the start. `output` is an index, `value` canonical.

    The answer ends with `until`, looked for `skip` bytes behind its begin (an echo stands there);
    an empty `until` waits for none. `wait_ns` runs from the first byte, `gap_ns` after the answer.
    """

    device: str
    output: int
    value: float
    frame: bytes
    until: bytes
    skip: int
    wait_ns: int
    gap_ns: int


@dataclass(frozen=True, slots=True)
class FirstLine:
    """What one serial line is set to and told, in order."""

    baud: int
    format: str
    frames: tuple[FirstFrame, ...]


@dataclass(frozen=True, slots=True)
class FirstFrames:
    """The start of one serial line: `cold` with no batch open, `open` with one."""

    cold: FirstLine
    open: FirstLine


FirstByLink = Mapping[str, FirstFrames]

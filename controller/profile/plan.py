"""The Plan: one unit's whole behaviour as flat tables, the only thing the kernel executes.

Every table is a numpy structured array with 8-byte fields, so the same bytes are digested, mapped,
proved and run. Names live beside it in `PlanNames`; the kernel sees only indices.
Canonical units throughout (see core.quantity), times in ns, -1 = none.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[Any]


class SignalKind(IntEnum):
    """Where a signal's value comes from."""

    INPUT = 0
    BLOCK = 1
    FLAG = 2
    OUTPUT = 3
    SETPOINT = 4
    DEMAND = 5
    LINK_AGE = 6
    SUPERVISOR_AGE = 7  # since the supervisor's last beat
    MODE = 8  # 1 while a loop is in auto or cascade
    ASKED = 9  # what commands ask of an output, whatever rows make of it


class BlockOp(IntEnum):
    """How a block computes its signal from others."""

    LINEAR = 0  # p0 * a + p1
    DIFF = 1  # a - b
    ABSDIFF = 2  # |a - b|
    RATIO = 3  # 100 * a / b, 100 when b < p0
    ELSE = 4  # a when it is good, else b
    SUM = 5  # sum of weighted terms
    TOTAL = 6  # integral of p0 * a dt, seconds
    RISE = 7  # a now - a one window ago
    LOWEST = 8  # lowest a in the window; p1 = 1: p0 until the window is full
    SPREAD = 9  # highest - lowest a in the window; p0 and p1 as LOWEST
    LAG = 10  # first-order filter of a, p0 = time constant in s
    HIGHEST = 11  # highest a in the window; p0 and p1 as LOWEST
    MEAN = 12  # mean of a, scan by scan, in the window
    HOLD = 13  # a; while it is bad its last good value, for p0 seconds at most
    WHILE = 14  # a while b is above p0 (p1 = 1) or below it (p1 = -1), else UNASKED


WINDOWED = (BlockOp.RISE, BlockOp.LOWEST, BlockOp.SPREAD, BlockOp.HIGHEST, BlockOp.MEAN)
WHOLE = (BlockOp.LOWEST, BlockOp.SPREAD, BlockOp.HIGHEST)  # may wait until their window is full
UNASKED = 1e9
"""What a WHILE block says while nothing is expected: no response could be larger."""


class CompareOp(IntEnum):
    """What makes a condition true."""

    ABOVE = 0
    BELOW = 1
    IS_BAD = 2


class BadRule(IntEnum):
    """What a bad signal means to a vote."""

    TRIP = 0
    DEGRADE = 1
    IGNORE = 2


class CauseKind(IntEnum):
    """What a cause does with its effects."""

    PLAUSIBILITY = 0
    PERMIT = 1
    INTERLOCK = 2
    PROTECT = 3


class EffectOp(IntEnum):
    """What an effect does to an actuator; SIGNAL_BAD is a plausibility cause's effect on a tag."""

    FORCE = 0
    AT_MOST = 1
    AT_LEAST = 2
    MEAN = 3
    SIGNAL_BAD = 4


class Action(IntEnum):
    """What a cause asks of the procedure."""

    NONE = 0
    ALARM = 1
    HOLD = 2
    ABORT = 3


class Mode(IntEnum):
    """Loop modes. OFF: the actuators follow their direct request."""

    OFF = 0
    MANUAL = 1
    AUTO = 2
    CASCADE = 3


class Fallback(IntEnum):
    """What a loop does when its process value stays bad."""

    OTHER = 0
    MEAN = 1
    VALUE = 2


def _dtype(ints: str, floats: str = "") -> np.dtype[Any]:
    return np.dtype([(n, "i8") for n in ints.split()] + [(n, "f8") for n in floats.split()])


SIGNAL = _dtype("kind start max_age_ns", "low high rate_max")  # start: of a flag
BLOCK = _dtype("op target a b first_term n_terms window bucket_ns lag", "p0 p1")
TERM = _dtype("signal", "weight")
CONDITION = _dtype("signal op bad on_delay_ns off_delay_ns", "limit hysteresis")
# told: a signal that says that the row stands elsewhere, on a board that runs it too; -1: none.
CAUSE = _dtype(
    "kind first_condition n_conditions votes on_delay_ns bad_delay_ns off_delay_ns"
    " valid_flag valid_when first_effect n_effects action action_delay_ns"
    " unless_a unless_b bypassable bad_signal bad_window_ns group told"
)
EFFECT = _dtype(
    "cause op output confirm_signal confirm_op confirm_ns second_output",
    "value confirm_limit second_value",
)
LOOP = _dtype(
    "pv other_pv master first_segment n_segments period_ns fallback bad_hold_ns feedforward"
    " sp_signal op_signal auto_signal",
    "gain ti_s td_s n beta low high rate_max deadband sp_low sp_high"
    " fallback_value feedforward_gain tracking_s",
)
SEGMENT = _dtype("output", "u0 u1 y0 y1")
# read_back 1: over a restart with a batch open it goes on at what the device says, by the signal
# `readback`; 0: at its start value. asked: the signal that shows the request, -1: none.
OUTPUT = _dtype(
    "signal link loop interval_ns environment higher_wins read_back readback asked",
    "low high resolution rate_max start safe keep",
)
LINK = _dtype("age_signal")
UNIT = _dtype("period_ns guard_flag held_flag restarted_flag supervisor_signal")

TABLES: dict[str, np.dtype[Any]] = {
    "signals": SIGNAL,
    "blocks": BLOCK,
    "terms": TERM,
    "conditions": CONDITION,
    "causes": CAUSE,
    "effects": EFFECT,
    "loops": LOOP,
    "segments": SEGMENT,
    "outputs": OUTPUT,
    "links": LINK,
    "unit": UNIT,
}


class Plan(NamedTuple):
    """The tables, in the order the kernel's parts use them."""

    signals: Table
    blocks: Table
    terms: Table
    conditions: Table
    causes: Table
    effects: Table
    loops: Table
    segments: Table
    outputs: Table
    links: Table
    unit: Table


def table(name: str, rows: list[dict[str, float | int]]) -> Table:
    """One table from row dicts, which must name every field: no default hides in here."""
    dtype = TABLES[name]
    array = np.zeros(len(rows), dtype)
    for index, row in enumerate(rows):
        if dtype.names is None or set(row) != set(dtype.names):
            raise ValueError(f"{name} row {index}: {set(row) ^ set(dtype.names or ())}")
        for field, value in row.items():
            array[index][field] = value
    return array


def digest(plan: Plan) -> str:
    """SHA-256 over names, layouts and bytes of every table: what the kernel really executes."""
    total = hashlib.sha256()
    for name, array in zip(Plan._fields, plan, strict=True):
        total.update(f"{name} {array.dtype.descr} {len(array)}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()

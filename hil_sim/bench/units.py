"""Units for measuring: `loops` x `causes` as flat tables, without a profile.

Every loop has its own process value and its own output and is due in every scan; a cause has one to
three conditions on signals that move, so that loops compute and some causes come and go. All rows
of all tables are drawn from one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.field.image import INPUT_CAPACITY, create, size
from controller.field.views import Bound, Handles
from controller.profile.plan import (
    TABLES,
    WINDOWED,
    BadRule,
    BlockOp,
    CauseKind,
    CompareOp,
    EffectOp,
    Mode,
    Plan,
    SignalKind,
    Table,
)

PERIOD_NS = 10_000_000
MS = 1_000_000
S = 1_000_000_000
AHEAD_NS = 1 << 61  # a sample of the future counts as taken now
PAGE = 4096
INPUTS_A_LINK = 256
SAMPLED_EVERY = 4  # scans: each input brings a new sample that often
CAUSES_AN_INPUT = 4
CAUSES_A_BLOCK = 8
CAUSES_AN_OUTPUT = 16
GROUPS = 8  # of first-out
SWINGS_ONE_IN = 64  # inputs that now and then cross the limits of their conditions
Column = npt.ArrayLike


@dataclass(frozen=True, slots=True)
class Unit:
    """A plan with an image that has been read once, and what its links bring before each scan.

    `feed` holds samples a scan for each link; the input rings are filled once, with samples that
    are always new, and the drivers only move their heads.
    """

    bound: Bound
    feed: Handles
    now_ns: int


def filled(name: str, rows: int, **columns: Column) -> Table:
    """One table from columns, which must name every field of it."""
    dtype = TABLES[name]
    if dtype.names is None or set(columns) != set(dtype.names):
        raise ValueError(f"{name}: {set(columns) ^ set(dtype.names or ())}")
    found = np.zeros(rows, dtype)
    for field, values in columns.items():
        found[field] = values
    return found


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each kind of signal stands, and how many rows each table has."""

    loops: int
    causes: int

    @property
    def inputs(self) -> int:
        return self.loops + max(8, self.causes // CAUSES_AN_INPUT)

    @property
    def blocks(self) -> int:
        return self.causes // CAUSES_A_BLOCK

    @property
    def outputs(self) -> int:
        return self.loops + max(1, self.causes // CAUSES_AN_OUTPUT)

    @property
    def links(self) -> int:
        return -(-self.inputs // INPUTS_A_LINK)

    def first(self, kind: SignalKind) -> int:
        """Index of the first signal of a kind."""
        counts = {SignalKind.INPUT: self.inputs, SignalKind.BLOCK: self.blocks,
                  SignalKind.FLAG: 2, SignalKind.OUTPUT: self.outputs,
                  SignalKind.SETPOINT: self.loops, SignalKind.DEMAND: self.loops,
                  SignalKind.LINK_AGE: self.links, SignalKind.SUPERVISOR_AGE: 1,
                  SignalKind.MODE: self.loops}  # fmt: skip
        return sum(n for other, n in counts.items() if other < kind)


def _signals(at: _Places) -> Table:
    total = at.first(SignalKind.MODE) + at.loops
    kinds = np.zeros(total, np.int64)
    for kind in SignalKind:
        kinds[at.first(kind) :] = int(kind)
    return filled("signals", total, kind=kinds, start=0, max_age_ns=S, low=-1e6, high=1e6,
                  rate_max=1e6)  # fmt: skip


def _causes(at: _Places, rng: np.random.Generator) -> dict[str, Table]:
    """Conditions, causes and effects: 1oo1, 1oo2 and 2oo3; interlock, protect and permit."""
    votes_of = rng.choice([1, 2, 3], at.causes, p=[0.4, 0.3, 0.3])
    first = np.cumsum(votes_of) - votes_of
    total = int(votes_of.sum())
    measured = at.inputs - at.loops
    # Mostly the inputs that are there for the causes, some process values, some blocks.
    signal = at.loops + rng.integers(0, measured, total)
    signal = np.where(rng.random(total) < 0.1, rng.integers(0, at.loops, total), signal)
    of_block = at.first(SignalKind.BLOCK) + rng.integers(0, at.blocks, total)
    block = rng.random(total) < 0.15
    above = rng.random(total) < 0.6
    width = np.where(block, 2.0, 1.0)
    kind = rng.choice([CauseKind.INTERLOCK, CauseKind.PROTECT, CauseKind.PERMIT], at.causes,
                      p=[0.6, 0.2, 0.2])  # fmt: skip
    acts = rng.choice([1, 2], at.causes)
    first_effect = np.cumsum(acts) - acts
    effects = int(acts.sum())
    owner = np.repeat(np.arange(at.causes), acts)
    free = kind[owner] == CauseKind.INTERLOCK
    op = np.where(free, rng.choice([EffectOp.FORCE, EffectOp.AT_MOST, EffectOp.AT_LEAST], effects),
                  EffectOp.FORCE)  # fmt: skip
    return {
        "conditions": filled(
            "conditions", total, signal=np.where(block, of_block, signal),
            op=np.where(above, CompareOp.ABOVE, CompareOp.BELOW),
            bad=rng.choice(list(BadRule), total), on_delay_ns=0, off_delay_ns=0,
            limit=np.where(above, 80.0, 20.0) * width, hysteresis=rng.uniform(0.0, 2.0, total)),
        "causes": filled(
            "causes", at.causes, kind=kind, first_condition=first, n_conditions=votes_of,
            votes=np.where(votes_of == 3, 2, 1), on_delay_ns=rng.integers(0, 8, at.causes) * 5 * MS,
            bad_delay_ns=S, off_delay_ns=rng.choice([0, 20 * MS], at.causes), valid_flag=-1,
            valid_when=1, first_effect=first_effect, n_effects=acts,
            action=rng.choice([0, 1], at.causes), action_delay_ns=0, unless_a=-1, unless_b=-1,
            bypassable=0, bad_signal=-1, bad_window_ns=0, group=np.arange(at.causes) % GROUPS,
            told=-1),
        "effects": filled(
            "effects", effects, cause=owner, op=op, output=rng.integers(0, at.outputs, effects),
            confirm_signal=-1, confirm_op=0, confirm_ns=S, second_output=-1,
            value=np.where(op == EffectOp.AT_MOST, 90.0, np.where(op == EffectOp.AT_LEAST, 2.0, 0)),
            confirm_limit=0.0, second_value=0.0),
    }  # fmt: skip


def _loops(at: _Places, rng: np.random.Generator) -> dict[str, Table]:
    """One PI or PID loop an output; the outputs beyond the loops are valves on direct request."""
    own = np.arange(at.loops)
    derivative = np.where(rng.random(at.loops) < 0.5, 2.0, 0.0)
    loop = np.full(at.outputs, -1)
    loop[: at.loops] = own
    return {
        "loops": filled(
            "loops", at.loops, pv=own, other_pv=-1, master=-1, first_segment=own, n_segments=1,
            period_ns=PERIOD_NS, fallback=1, bad_hold_ns=S, feedforward=-1,
            sp_signal=at.first(SignalKind.SETPOINT) + own,
            op_signal=at.first(SignalKind.DEMAND) + own,
            auto_signal=at.first(SignalKind.MODE) + own, gain=rng.uniform(0.5, 3.0, at.loops),
            ti_s=rng.uniform(5.0, 60.0, at.loops), td_s=derivative, n=8.0, beta=1.0, low=0.0,
            high=100.0, rate_max=np.where(rng.random(at.loops) < 0.25, 20.0, 0.0), deadband=0.0,
            sp_low=0.0, sp_high=100.0, fallback_value=0.0, feedforward_gain=0.0, tracking_s=10.0),
        "segments": filled("segments", at.loops, output=own, u0=0.0, u1=100.0, y0=0.0, y1=100.0),
        "outputs": filled(
            "outputs", at.outputs, signal=at.first(SignalKind.OUTPUT) + np.arange(at.outputs),
            link=0, loop=loop, interval_ns=100 * MS, environment=0, higher_wins=0,
            read_back=0, readback=-1, asked=-1, low=0.0,
            high=100.0, resolution=0.1, rate_max=0.0, start=0.0, safe=0.0, keep=0.0),
    }  # fmt: skip


def _completed(plan: Plan, rng: np.random.Generator, inputs: int) -> None:
    """Gives every cause of a plan all that a row can have, in place.

    Delays of conditions and of the row, validity, feedback and a second element for what is forced,
    a group of first-out and an action; half of the blocks are windows.
    """
    causes, effects, conditions = plan.causes, plan.effects, plan.conditions
    flag = int(plan.unit["guard_flag"][0])
    conditions["on_delay_ns"] = rng.choice([0, 20], len(conditions)) * MS
    conditions["off_delay_ns"] = rng.choice([0, 20], len(conditions)) * MS
    causes["valid_flag"], causes["valid_when"] = flag, rng.choice([0, 0, 0, 1], len(causes))
    causes["action"], causes["action_delay_ns"] = 1, rng.choice([0, 50], len(causes)) * MS
    causes["bad_signal"] = conditions["signal"][causes["first_condition"]]
    forced = effects["op"] == EffectOp.FORCE
    effects["confirm_signal"][forced] = rng.integers(0, inputs, int(forced.sum()))
    effects["confirm_limit"] = 30.0
    effects["second_output"][forced] = rng.integers(0, len(plan.outputs), int(forced.sum()))
    blocks = plan.blocks
    windows = np.arange(len(blocks)) % 2 == 0
    blocks["op"][windows] = rng.choice(list(WINDOWED), int(windows.sum()))
    blocks["b"][windows] = -1
    blocks["window"][windows] = np.arange(int(windows.sum()))
    blocks["bucket_ns"], blocks["lag"], blocks["p1"] = 10 * PERIOD_NS, 30, 1.0


def plan_of(loops: int, causes: int, seed: int = 1, complete: bool = False) -> Plan:
    """A plan of `loops` loops and `causes` causes, at least 1 and 8; `complete`: see there."""
    if loops < 1 or causes < CAUSES_A_BLOCK:
        raise ValueError(f"{loops} loops and {causes} causes: at least 1 and {CAUSES_A_BLOCK}")
    rng = np.random.default_rng([seed, loops, causes])
    at = _Places(loops, causes)
    flags, last = at.first(SignalKind.FLAG), at.first(SignalKind.SUPERVISOR_AGE)
    operands = rng.integers(at.loops, at.inputs, (2, at.blocks))
    made: dict[str, Any] = {
        "signals": _signals(at),
        "blocks": filled(
            "blocks", at.blocks, op=rng.choice([BlockOp.LINEAR, BlockOp.RATIO], at.blocks),
            target=at.first(SignalKind.BLOCK) + np.arange(at.blocks), a=operands[0],
            b=operands[1], first_term=0, n_terms=0, window=-1, bucket_ns=0, lag=0, p0=2.0, p1=0.0),
        "terms": filled("terms", 0, signal=0, weight=0.0),
        "links": filled("links", at.links,
                        age_signal=at.first(SignalKind.LINK_AGE) + np.arange(at.links)),
        "unit": filled("unit", 1, period_ns=PERIOD_NS, guard_flag=flags, held_flag=flags + 1,
                       restarted_flag=-1, supervisor_signal=last),
    } | _causes(at, rng) | _loops(at, rng)  # fmt: skip
    plan = Plan(**made)
    if complete:
        _completed(plan, rng, at.inputs)
    return plan


def _samples(plan: Plan, rng: np.random.Generator, inputs: int) -> npt.NDArray[np.float64]:
    """What every input shows, one row a lap through its ring: quiet, but for those that swing."""
    laps = 2 * INPUT_CAPACITY
    values = 50.0 + rng.normal(0.0, 1.0, (laps, inputs)).cumsum(axis=0) * 0.05
    values = 50.0 + np.clip(values - 50.0, -20.0, 20.0)
    loops = len(plan.loops)
    swings = (np.arange(inputs) >= loops) & (rng.random(inputs) < 1 / SWINGS_ONE_IN)
    for column in np.flatnonzero(swings):
        # For two samples in eight, that is 80 ms of 320 ms.
        away = (np.arange(laps) + rng.integers(0, 8)) % 8 < 2
        values[away, column] = rng.choice([10.0, 90.0])
    return values


def _aligned(count: int) -> memoryview:
    """`count` bytes that begin on a page, so that no implementation has the better place."""
    space = np.zeros(count + PAGE, np.uint8)
    start = -space.ctypes.data % PAGE
    return space.data[start : start + count]


def unit_of(plan: Plan, seed: int = 1) -> Unit:
    """A fresh image of a plan, its rings filled with moving samples, every loop in automatic."""
    rng = np.random.default_rng([seed, len(plan.loops), len(plan.causes), 2])
    image = create(plan, 0, buffer=_aligned(size(plan)))
    bound = Bound(plan, image)
    image.loops["sp"] = rng.uniform(45.0, 55.0, len(plan.loops))
    image.outputs["request"] = np.round(rng.uniform(10.0, 60.0, len(plan.outputs)))
    inputs = int(np.count_nonzero(plan.signals["kind"] == SignalKind.INPUT))
    values = _samples(plan, rng, inputs)
    feed = np.zeros(len(plan.links), np.int64)
    for link in range(len(plan.links)):
        own = np.arange(link * INPUTS_A_LINK, min(inputs, (link + 1) * INPUTS_A_LINK))
        place = np.arange(INPUT_CAPACITY)
        rows = image.inputs[link]
        rows["point"] = own[place % len(own)]
        rows["sample_ns"] = AHEAD_NS
        rows["value"] = values[place // len(own), rows["point"]]
        feed[link] = -(-len(own) // SAMPLED_EVERY)
    image.signals["value"][:inputs] = values[0]
    image.signals["quality"] = image.signals["reason"] = 0
    image.signals["value"][plan.loops["sp_signal"]] = image.loops["sp"]
    image.loops["integral"] = rng.uniform(20.0, 60.0, len(plan.loops))
    image.loops["mode"] = int(Mode.AUTO)
    return Unit(bound, feed, 0)

"""A bench unit made rough: everything a plan may hold that the C scan has, and bad samples.

Cascades and split ranges, every kind of row, feedback, fallbacks, bypasses, outputs to be adopted;
samples that are bad, late, not finite, out of range or for no signal at all.
"""

from __future__ import annotations

import numpy as np

from controller.profile.plan import TABLES, WINDOWED, BlockOp, CauseKind, EffectOp, Mode, Plan
from hil_sim.bench.units import MS, S, Unit, plan_of, unit_of


def _rows(plan: Plan, rng: np.random.Generator, inputs: int) -> None:
    causes, effects, conditions = plan.causes, plan.effects, plan.conditions
    n, outputs = len(causes), len(plan.outputs)
    flags = int(plan.unit["guard_flag"][0])
    causes["kind"] = rng.integers(0, 4, n)
    causes["valid_flag"] = rng.choice([-1, -1, flags, flags + 1], n)
    causes["valid_when"] = rng.integers(0, 2, n)
    causes["bad_delay_ns"] = rng.choice([0, 200, 500], n) * MS
    causes["action_delay_ns"] = rng.choice([0, 300], n) * MS
    causes["unless_a"], causes["unless_b"] = rng.choice([-1, -1, flags], (2, n))
    causes["bad_signal"] = rng.integers(-1, inputs, n)
    causes["bad_window_ns"] = S
    conditions["op"] = rng.choice([0, 1, 1, 2], len(conditions))
    conditions["on_delay_ns"] = rng.choice([0, 0, 100, 250], len(conditions)) * MS
    conditions["off_delay_ns"] = rng.choice([0, 0, 300], len(conditions)) * MS
    causes["group"] = rng.integers(-1, 5, n)
    for column, choices in (("op", [0, 1, 2, 3]), ("confirm_op", [0, 1])):
        effects[column] = rng.choice(choices, len(effects))
    effects["confirm_signal"] = rng.integers(-20, inputs, len(effects)).clip(-1)
    effects["confirm_ns"] = rng.choice([0, 250], len(effects)) * MS
    effects["confirm_limit"] = rng.uniform(30.0, 60.0, len(effects))
    effects["second_output"] = rng.integers(-outputs, outputs, len(effects)).clip(-1)
    effects["value"] = rng.uniform(0.0, 100.0, len(effects)).round(1)
    marks = causes["kind"][effects["cause"]] == CauseKind.PLAUSIBILITY
    effects["op"][marks] = EffectOp.SIGNAL_BAD
    effects["output"][marks] = rng.integers(0, inputs, int(marks.sum()))
    causes["told"] = rng.choice([-1, -1, -1, flags + 1], n)


def _loops(plan: Plan, rng: np.random.Generator, inputs: int) -> Plan:
    loops, outputs = plan.loops, plan.outputs
    n = len(loops)
    loops["deadband"] = rng.choice([0.0, 0.5], n)
    loops["feedforward"] = rng.choice([-1, 0], n)
    loops["feedforward_gain"] = 0.1
    loops["ti_s"] *= rng.choice([0.0, 1.0, 1.0], n)
    loops["tracking_s"] *= rng.choice([0.0, 1.0], n)
    loops["gain"] *= rng.choice([-1.0, 1.0], n)
    loops["fallback"] = rng.integers(0, 3, n)
    loops["fallback_value"] = 33.0
    loops["bad_hold_ns"] = rng.choice([0, 300], n) * MS
    loops["other_pv"] = rng.integers(0, inputs, n)
    slaves = np.arange(1, n, 2)
    masters = slaves - 1
    loops["master"][slaves] = masters
    loops["first_segment"][masters], loops["n_segments"][masters] = -1, 0
    outputs["loop"][masters] = -1
    split = slaves[::2]
    segments = np.zeros(len(plan.segments) + 2 * len(split), TABLES["segments"])
    segments[: len(plan.segments)] = plan.segments
    for place, slave in enumerate(split):
        at = len(plan.segments) + 2 * place
        segments[at] = (slave, 0.0, 50.0, 0.0, 100.0)
        segments[at + 1] = (slave - 1, 50.0, 100.0, 0.0, 80.0)
        loops["first_segment"][slave], loops["n_segments"][slave] = at, 2
        outputs["loop"][slave - 1] = slave
    outputs["higher_wins"] = rng.integers(0, 2, len(outputs))
    outputs["rate_max"] = rng.choice([0.0, 7.0], len(outputs))
    outputs["resolution"] = rng.choice([0.1, 0.37, 1.0], len(outputs))
    outputs["interval_ns"] = rng.choice([0, 100, 500], len(outputs)) * MS
    outputs["readback"] = rng.integers(0, inputs, len(outputs))
    return plan._replace(segments=segments)


def _blocks(plan: Plan, rng: np.random.Generator) -> Plan:
    blocks = plan.blocks
    blocks["op"] = rng.integers(0, len(BlockOp), len(blocks))
    alone = (BlockOp.LINEAR, BlockOp.TOTAL, BlockOp.LAG, BlockOp.HOLD, *WINDOWED)
    blocks["b"][np.isin(blocks["op"], alone)] = -1
    windowed = np.flatnonzero(np.isin(blocks["op"], WINDOWED))
    blocks["window"][windowed] = np.arange(len(windowed))
    blocks["bucket_ns"] = rng.choice([100, 250], len(blocks)) * MS
    blocks["lag"] = rng.choice([3, 20, 58], len(blocks))
    blocks["p1"] = rng.choice([-1.0, 1.0], len(blocks))
    blocks["p0"][blocks["op"] == BlockOp.WHILE] = 50.0
    blocks["first_term"], blocks["n_terms"] = np.arange(len(blocks)), 2
    terms = np.zeros(len(blocks) + 1, TABLES["terms"])
    terms["signal"] = rng.integers(0, len(plan.loops), len(terms))
    terms["weight"] = rng.uniform(-2.0, 2.0, len(terms))
    return plan._replace(terms=terms)


def rough_plan(loops: int, causes: int, seed: int) -> Plan:
    """A plan with everything in it."""
    rng = np.random.default_rng([seed, 7])
    plan = plan_of(loops, causes, seed)
    inputs = int(np.count_nonzero(plan.signals["kind"] == 0))
    _rows(plan, rng, inputs)
    plan = _blocks(_loops(plan, rng, inputs), rng)
    plan.signals["max_age_ns"] = rng.choice([250 * MS, S, 10 * S], len(plan.signals))
    plan.signals["rate_max"] = rng.choice([0.0, 5.0, 1e6], len(plan.signals))
    return plan


def rough_unit(plan: Plan, seed: int) -> Unit:
    """A fresh image of a rough plan; the same seed gives the same bytes."""
    rng = np.random.default_rng([seed, 8])
    unit = unit_of(plan, seed)
    image = unit.bound.image
    rows = image.inputs
    rows["value"] += rng.normal(0.0, 12.0, rows.shape)
    odd = rng.random(rows.shape)
    rows["value"][odd < 0.02] = np.nan
    rows["value"][(odd > 0.02) & (odd < 0.03)] = 1e9
    rows["quality"] = np.where(odd > 0.96, rng.choice([1, 2, 3], rows.shape), 0)
    rows["reason"] = np.where(rows["quality"] > 0, rng.integers(1, 12, rows.shape), 0)
    rows["sample_ns"] = np.where(odd > 0.99, -5 * S, rows["sample_ns"])
    rows["point"] = np.where(odd > 0.998, rng.integers(-3, 10_000, rows.shape), rows["point"])
    unit.feed[:] = np.maximum(unit.feed // 2, 1)
    modes = rng.choice([Mode.OFF, Mode.MANUAL, Mode.AUTO, Mode.AUTO], len(plan.loops))
    slaves = plan.loops["master"] >= 0
    image.loops["mode"] = np.where(slaves & (rng.random(len(modes)) < 0.7), Mode.CASCADE, modes)
    bypassed = rng.random(len(plan.causes)) < 0.1
    image.causes["bypass_until_ns"] = np.where(bypassed, rng.integers(1, 20 * S, len(bypassed)), 0)
    adopting = rng.random(len(plan.outputs)) < 0.2
    image.outputs["adopting"] = adopting
    for column in ("request", "wanted", "released"):
        image.outputs[column][adopting] = np.nan
    image.signals["value"][plan.unit["guard_flag"]] = 1.0
    return unit

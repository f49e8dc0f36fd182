"""The scan as a numpy programmer writes it: one array operation for all causes, loops or outputs.

Only for units of `units.unit_of`: what those never have (bad signals, cascades, feedback, other
block types) is left out. Events are counted, not written. A test holds its outputs to the kernel's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from controller.field.image import INPUT_CAPACITY, MEAN_BUCKET_NS, MEAN_BUCKETS
from controller.field.views import Handles
from controller.profile.plan import BlockOp, CauseKind, CompareOp, EffectOp, SignalKind
from hil_sim.bench.units import Unit

Column = npt.NDArray[Any]


def _columns(table: Column) -> dict[str, Column]:
    """Each field of a table as a contiguous array of its own."""
    return {name: np.ascontiguousarray(table[name]) for name in table.dtype.names or ()}


class NumpyScan:
    """A unit's state as columns; `scans` is the twin of `numba_scans`."""

    def __init__(self, unit: Unit) -> None:
        plan, image = unit.bound.plan, unit.bound.image
        self.events = 0
        self._rows = image.inputs
        self._tail = image.input_rings["tail"].copy()
        self._good_ns = image.links["last_good_ns"].copy()
        self._ages = plan.links["age_signal"]
        self._supervisor = int(plan.unit["supervisor_signal"][0])
        self._is_input = np.flatnonzero(plan.signals["kind"] == SignalKind.INPUT)
        self._signal, self._limit = _columns(image.signals), _columns(plan.signals)
        self._block, self._condition = _columns(plan.blocks), _columns(plan.conditions)
        self._is_ratio = self._block["op"] == BlockOp.RATIO
        self._above = self._condition["op"] == CompareOp.ABOVE
        self._held = np.zeros(len(plan.conditions), bool)
        self._cause, self._state = _columns(plan.causes), _columns(image.causes)
        self._effect, self._acts = _columns(plan.effects), _columns(image.effects)
        self._kind = self._cause["kind"][self._effect["cause"]]
        self._loop, self._pid = _columns(plan.loops), _columns(image.loops)
        self._segment = _columns(plan.segments)
        self._limits, self._output = _columns(plan.outputs), _columns(image.outputs)
        self._means = image.means.copy()
        self._own = np.arange(len(plan.outputs))

    @property
    def released(self) -> Column:
        """What the gate let through last, one value an output."""
        return self._output["released"]

    def scans(self, now_ns: int, period_ns: int, count: int, feed: Handles) -> int:
        """`count` scans `period_ns` apart after `now_ns`; returns the time of the last."""
        for _ in range(count):
            now_ns += period_ns
            self._sense(now_ns, feed)
            self._compute()
            self._evaluate(now_ns)
            self._apply(now_ns)
            self._run_loops(now_ns)
            self._release(now_ns)
        return now_ns

    def _sense(self, now_ns: int, feed: Handles) -> None:
        signal, limit = self._signal, self._limit
        for link, count in enumerate(feed):
            rows = self._rows[link][(self._tail[link] + np.arange(count)) % INPUT_CAPACITY]
            self._tail[link] += count
            at, values = rows["point"], rows["value"]
            old, old_ns = signal["value"][at], signal["sample_ns"][at]
            step = limit["rate_max"][at] * (now_ns - old_ns) * 1e-9
            fits = (values >= limit["low"][at]) & (values <= limit["high"][at])
            fits &= np.isfinite(values) & ((np.abs(values - old) <= step) | (now_ns <= old_ns))
            signal["quality"][at] = np.where(fits, 0, 2)
            signal["value"][at[fits]] = values[fits]
            signal["sample_ns"][at[fits]] = now_ns
            self._good_ns[link] = now_ns
        signal["value"][self._ages] = (now_ns - self._good_ns) * 1e-9
        signal["sample_ns"][self._ages] = now_ns
        signal["value"][self._supervisor] = now_ns * 1e-9  # it never beat
        signal["sample_ns"][self._supervisor] = now_ns
        own = self._is_input
        old_now = now_ns - signal["sample_ns"][own] > limit["max_age_ns"][own]
        signal["quality"][own[old_now]] = 2

    def _compute(self) -> None:
        block, value = self._block, self._signal["value"]
        a, b = value[block["a"]], value[block["b"]]
        ratio = np.where(b >= block["p0"], 100.0 * a / b, 100.0)
        value[block["target"]] = np.where(self._is_ratio, ratio, block["p0"] * a + block["p1"])

    def _evaluate(self, now_ns: int) -> None:
        condition, cause, state = self._condition, self._cause, self._state
        value = self._signal["value"][condition["signal"]]
        slack = np.where(self._held, condition["hysteresis"], 0.0)
        limit = condition["limit"]
        self._held = np.where(self._above, value > limit - slack, value < limit + slack)
        votes = np.add.reduceat(self._held.astype(np.int64), cause["first_condition"])
        reached = votes >= cause["votes"]
        state["raw_ns"] = np.where(
            reached, np.where(state["raw_ns"] < 0, now_ns, state["raw_ns"]), -1
        )
        was = state["active"] == 1
        stands = reached & (was | (now_ns - state["raw_ns"] >= cause["on_delay_ns"]))
        state["active_ns"] = np.where(stands, now_ns, state["active_ns"])
        active = stands | (was & (now_ns - state["active_ns"] < cause["off_delay_ns"]))
        state["latched"] |= active & (cause["kind"] == CauseKind.PROTECT)
        self.events += int(np.count_nonzero(active != was))
        self.events += int(np.count_nonzero(active & ~was & (cause["action"] != 0)))
        state["active"] = active.astype(np.int64)

    def _apply(self, now_ns: int) -> None:
        effect, output = self._effect, self._output
        output["forced"][:] = 0
        output["low_bound"][:] = -np.inf
        output["high_bound"][:] = np.inf
        on = (self._state["active"][effect["cause"]] == 1) | (
            self._state["latched"][effect["cause"]] == 1
        )
        permit = self._kind == CauseKind.PERMIT
        begun = np.flatnonzero(on & ~permit & (self._acts["on"] == 0))
        self._acts["on"] = (on & ~permit).astype(np.int64)
        output["reassert"][effect["output"][begun]] = 1
        self.events += len(begun)
        live = np.flatnonzero(on)
        place, op, value = effect["output"][live], effect["op"][live], effect["value"][live]
        near = np.abs(output["released"][place] - value) <= self._limits["resolution"][place]
        acts = ~permit[live] | near
        high, low = acts & (op == EffectOp.AT_MOST), acts & (op == EffectOp.AT_LEAST)
        force = acts & (op == EffectOp.FORCE)
        np.minimum.at(output["high_bound"], place[high], value[high])
        np.maximum.at(output["low_bound"], place[low], value[low])
        first = force & (output["forced"][place] == 0)
        output["force"][place[first]] = np.inf
        np.minimum.at(output["force"], place[force], value[force])
        output["forced"][place[force]] = 1
        output["locked"][place[force & (self._kind[live] == CauseKind.PROTECT)]] = 1

    def _let_through(self, demand: Column, wish: Column) -> Column:
        part, output = self._segment, self._output
        at = part["output"]
        released = output["released"][at]
        close = np.abs(released - wish) <= 1.5 * self._limits["resolution"][at]
        inside = (output["low_bound"][at] <= wish) & (wish <= output["high_bound"][at])
        is_free = (output["forced"][at] == 0) & (output["locked"][at] == 0)
        share = np.clip((released - part["y0"]) / (part["y1"] - part["y0"]), 0.0, 1.0)
        seen = part["u0"] + share * (part["u1"] - part["u0"])
        return np.where(close | (is_free & inside), demand, seen)

    def _run_loops(self, now_ns: int) -> None:
        loop, state, part = self._loop, self._pid, self._segment
        pv = self._signal["value"][loop["pv"]]
        seconds = (now_ns - state["run_ns"]) * 1e-9
        state["run_ns"][:] = now_ns
        error = state["sp"] - pv
        proportional = loop["gain"] * (error - (1.0 - loop["beta"]) * state["sp"])
        weight = loop["td_s"] / (loop["td_s"] + loop["n"] * seconds)
        moved = loop["gain"] * loop["n"] * (pv - state["pv_last"])
        state["d_filter"] = np.where(
            loop["td_s"] > 0.0, weight * (state["d_filter"] - moved), state["d_filter"]
        )
        state["pv_last"] = pv
        wish = proportional + state["integral"] + state["d_filter"]
        step = np.where(loop["rate_max"] > 0.0, loop["rate_max"] * seconds, np.inf)
        demand = np.clip(wish, loop["low"], loop["high"])
        state["op"] = np.clip(demand, state["op"] - step, state["op"] + step)
        state["integral"] += loop["gain"] * error * seconds / loop["ti_s"]
        share = np.clip((state["op"] - part["u0"]) / (part["u1"] - part["u0"]), 0.0, 1.0)
        wanted = part["y0"] + share * (part["y1"] - part["y0"])
        actual = self._let_through(state["op"], wanted)
        state["integral"] += np.minimum(1.0, seconds / loop["tracking_s"]) * (actual - wish)
        self._output["wanted"][part["output"]] = wanted
        self._signal["value"][loop["sp_signal"]] = state["sp"]
        self._signal["value"][loop["op_signal"]] = state["op"]

    def _decide(self, want: Column) -> tuple[Column, Column]:
        """What the causes make of `want`, and whether one of them decided it."""
        output = self._output
        forced = output["forced"] == 1
        value = np.where(forced, output["force"], np.maximum(want, output["low_bound"]))
        found = np.minimum(value, output["high_bound"])
        return found, forced | (found != want)

    def _on_grid(self, value: Column, low: Column, high: Column) -> Column:
        step = self._limits["resolution"]
        found = np.floor(value / step + 0.5) * step
        found = np.where(found < low - 1e-6 * step, np.ceil(low / step - 1e-6) * step, found)
        return np.where(found > high + 1e-6 * step, np.floor(high / step + 1e-6) * step, found)

    def _resolved(self, value: Column) -> Column:
        limits, output = self._limits, self._output
        low, high = output["low_bound"], output["high_bound"]
        lowest = np.where(value >= low, np.maximum(limits["low"], low), limits["low"])
        highest = np.where(value <= high, np.minimum(limits["high"], high), limits["high"])
        return self._on_grid(np.clip(value, limits["low"], limits["high"]), lowest, highest)

    def _release(self, now_ns: int) -> None:
        limits, output = self._limits, self._output
        direct = limits["loop"] < 0
        output["wanted"][direct] = output["request"][direct]
        released = output["released"]
        want = np.where(output["locked"] == 1, released, output["wanted"])
        value, decided = self._decide(want)
        goal = self._resolved(value)
        stays, _ = self._decide(released)
        half = 0.5 * limits["resolution"]
        again = output["reassert"] == 1
        goal = np.where(again & ~decided, self._resolved(stays), goal)
        at_once = decided | (np.abs(stays - released) > half)
        due = now_ns - output["released_ns"] >= limits["interval_ns"]
        puts = again | ((np.abs(goal - released) > half) & (at_once | due))
        output["reassert"][:] = 0
        output["released"] = np.where(puts, goal, released)
        output["released_ns"] = np.where(puts, now_ns, output["released_ns"])
        output["sequence"] += puts
        self._signal["value"][limits["signal"]] = output["released"]
        self._average(now_ns)

    def _average(self, now_ns: int) -> None:
        output = self._output
        output["mean_sum"] += output["released"]
        output["mean_n"] += 1.0
        full = now_ns >= output["mean_end_ns"]
        if full.any():
            at = self._own[full]
            self._means[at, output["mean_head"][at]] = output["mean_sum"][at] / output["mean_n"][at]
            output["mean_head"][at] = (output["mean_head"][at] + 1) % MEAN_BUCKETS
            output["mean_filled"][at] = np.minimum(output["mean_filled"][at] + 1, MEAN_BUCKETS)
            output["mean_end_ns"][at] = now_ns + MEAN_BUCKET_NS
            output["mean_sum"][at] = output["mean_n"][at] = 0.0

"""Loops of a unit file become loop and segment tables: cascades, split range, fallback.

Every name and dimension is resolved here, and each error points at its line.
"""

from __future__ import annotations

from typing import Any

from controller.profile.plan import Fallback
from controller.profile.scope import Scope
from controller.profile.unit import Loop

BAD_HOLD_NS_MAX = 60_000_000_000  # how long a bad process value may be held


def loop_rows(scope: Scope) -> list[dict[str, Any]]:
    """One row a loop; masters must stand before their slaves."""
    return [_loop_row(scope, name, loop) for name, loop in scope.model.loops.items()]


def _loop_row(scope: Scope, name: str, loop: Loop) -> dict[str, Any]:
    path = ("loops", name)
    fallback, other, value, hold_ns = _fallback(scope, name, loop)
    master = -1
    if loop.master is not None:
        known = list(scope.model.loops)
        if loop.master not in known or known.index(loop.master) >= known.index(name):
            raise scope.error(f"master {loop.master!r} must be a loop above", *path, "master")
        master = known.index(loop.master)
    first = len(scope.segment_rows) if loop.segments else -1
    for place, part in enumerate(loop.segments):
        where = (*path, "segments", place)
        if part.demand[0] >= part.demand[1] or part.value[0] == part.value[1]:
            raise scope.error("demand must rise and value must change", *where)
        scope.segment_rows.append(
            {"output": scope.actuator(part.actuator, *where), "u0": part.demand[0],
             "u1": part.demand[1], "y0": part.value[0], "y1": part.value[1]}
        )  # fmt: skip
    forward = loop.feedforward
    ti_s = scope.duration(loop.tuning.ti, *path, "tuning") * 1e-9
    td_s = scope.duration(loop.tuning.td, *path, "tuning") * 1e-9 if loop.tuning.td else 0.0
    if loop.output[0] >= loop.output[1] or loop.setpoint[0] >= loop.setpoint[1]:
        raise scope.error("output and setpoint must be ranges, low below high", *path)
    return {
        "pv": scope.resolve(loop.pv, *path, "pv"), "other_pv": other, "master": master,
        "first_segment": first, "n_segments": len(loop.segments),
        "period_ns": scope.duration(loop.period, *path, "period"),
        "fallback": int(fallback), "bad_hold_ns": hold_ns,
        "feedforward": scope.resolve(forward.of, *path, "feedforward") if forward else -1,
        "sp_signal": scope.index[f"{name}.sp"], "op_signal": scope.index[f"{name}.op"],
        "auto_signal": scope.index[f"{name}.auto"],
        "gain": loop.tuning.gain, "ti_s": ti_s, "td_s": td_s, "n": loop.tuning.n,
        "beta": loop.tuning.beta, "low": loop.output[0], "high": loop.output[1],
        "rate_max": scope.rate(loop.rate, *path), "deadband": loop.deadband,
        "sp_low": loop.setpoint[0], "sp_high": loop.setpoint[1], "fallback_value": value,
        "feedforward_gain": forward.gain if forward else 0.0,
        "tracking_s": max(ti_s * 0.1, 5.0),
    }  # fmt: skip


def _fallback(scope: Scope, name: str, loop: Loop) -> tuple[Fallback, int, float, int]:
    path = ("loops", name, "fallback")
    given = loop.fallback
    if given is None:
        raise scope.error(
            f"loop {name} has no fallback for a bad process value", "loops", name
        )
    hold_ns = scope.duration(given.after, *path, "after")
    if hold_ns > BAD_HOLD_NS_MAX:
        raise scope.error("a bad process value may be held for at most 60 s", *path, "after")
    chosen = [given.other is not None, given.mean, given.value is not None]
    if sum(chosen) != 1:
        raise scope.error("give exactly one of other, mean, value", *path)
    if given.other is not None:
        return Fallback.OTHER, scope.resolve(given.other, *path, "other"), 0.0, hold_ns
    if given.mean:
        if not loop.segments:
            raise scope.error("a loop without actuators has no mean to fall back to", *path)
        return Fallback.MEAN, -1, 0.0, hold_ns
    return Fallback.VALUE, -1, float(given.value or 0.0), hold_ns

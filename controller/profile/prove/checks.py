"""What is asked of every unit without being written: safe states, winners, rows, resets.

Each question is one or two calls of the solver on the slice it needs; rows stand in `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import z3

from controller.profile.compile import Profile
from controller.profile.plan import CauseKind, EffectOp
from controller.profile.prove.case import case_of
from controller.profile.prove.prover import Result
from controller.profile.prove.rows import RowChecks
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term, any_of, distance, higher, lower, real


def always(profile: Profile) -> Iterator[Result]:
    """Every question, in the order of the unit file."""
    for output in range(len(profile.outputs)):
        yield safe_state(profile, output)
    for output in range(len(profile.outputs)):
        yield from winners(profile, output)
    yield from RowChecks(profile).results()


def _effects(profile: Profile, output: int) -> list[int]:
    """The effects on an output but those of permits, which only keep."""
    plan = profile.plan
    return [
        index for index, row in enumerate(plan.effects)
        if row["op"] != EffectOp.SIGNAL_BAD and row["output"] == output
        and plan.causes[int(row["cause"])]["kind"] != CauseKind.PERMIT
    ]  # fmt: skip


def safe_state(profile: Profile, output: int) -> Result:
    """Some row puts it to its safe value, and nothing keeps it from there but the winner."""
    plan, name = profile.plan, profile.outputs[output]
    limits = plan.outputs[output]
    words = f"some row puts {name} to {limits['safe']:g}, and only the declared winner beats it"
    key = f"always.safe.{name}"
    scan = Scan(profile)
    found, half = scan.gate[output], real(limits["resolution"]) / 2
    there = z3.And(z3.Not(found.adopting), distance(found.value, real(limits["safe"])) <= half)
    wins = limits["higher_wins"] == 1
    reaching = []
    for index in _effects(profile, output):
        row = plan.effects[index]
        if row["op"] != EffectOp.FORCE or row["value"] != limits["safe"]:
            continue
        cause = int(row["cause"])
        acts = scan.causes.effective(cause)
        beaten = [
            z3.And(scan.causes.effective(int(plan.effects[other]["cause"])), beats)
            for other in _effects(profile, output) if other != index
            for beats in [_beats(scan, other, index, wins)] if beats is not None
        ]  # fmt: skip
        beaten += _seconds(scan, output, float(limits["safe"]), wins)
        reaching.append((cause, acts, any_of(beaten)))
    solver = scan.solver()
    broken = [z3.And(acts, z3.Not(beaten)) for _, acts, beaten in reaching]
    if solver.check(z3.Not(there), any_of(broken)) != z3.unsat:
        case = _case(scan, solver)
        rows = [info.row for info in profile.causes]
        standing = [rows[c] for c, _, _ in reaching if case and any(case.acting[c].values())]
        why = f"{name} is not at its safe value though {' and '.join(standing) or 'a row'} acts"
        return Result(key, "Safe state", words, False, False, why, case)
    able = solver.check(there, any_of([acts for _, acts, _ in reaching])) == z3.sat
    if not able:
        return Result(key, "Safe state", words, False, True, f"no row can put {name} there")
    return Result(key, "Safe state", words, True, False)


def _case(scan: Scan, solver: z3.Solver) -> Any:
    try:
        return case_of(scan, solver.model())
    except z3.Z3Exception:
        return None  # it was not decided in time: there is no model


def _seconds(scan: Scan, output: int, safe: float, wins: bool) -> list[Term]:
    """Second final elements that ask another value of an output."""
    plan, found = scan.profile.plan, []
    for index, row in enumerate(plan.effects):
        kind = plan.causes[int(row["cause"])]["kind"]
        if row["second_output"] != output or row["confirm_signal"] < 0 or kind == CauseKind.PERMIT:
            continue
        if (row["second_value"] > safe) if wins else (row["second_value"] < safe):
            found.append(scan.gate.effect(index).second_on)
    return found


def _value(scan: Scan, effect: int) -> Term:
    row = scan.profile.plan.effects[effect]
    if row["op"] == EffectOp.MEAN:
        return scan.gate.effect(effect).mean
    return real(row["value"])


def _beats(scan: Scan, other: int, index: int, higher_wins: bool) -> Term | None:
    """Whether by the winner rule `other` may put the output elsewhere than `index` forces it."""
    op = EffectOp(int(scan.profile.plan.effects[other]["op"]))
    mine, theirs = _value(scan, index), _value(scan, other)
    if higher_wins:
        return None if op == EffectOp.AT_MOST else theirs > mine
    return None if op == EffectOp.AT_LEAST else theirs < mine


def winners(profile: Profile, output: int) -> Iterator[Result]:
    """Where two rows want different values of one actuator, it is the declared one that leaves."""
    plan, name = profile.plan, profile.outputs[output]
    pairs = [
        (a, b) for a, b in combinations(_effects(profile, output), 2)
        if plan.effects[a]["cause"] != plan.effects[b]["cause"] and _differ(profile, a, b)
    ]  # fmt: skip
    if not pairs:
        return
    winner = "higher" if plan.outputs[output]["higher_wins"] == 1 else "lower"
    words = f"of {len(pairs)} pairs of rows that want different {name}, the {winner} leaves"
    scan = Scan(profile)
    found, step = scan.gate[output], real(plan.outputs[output]["resolution"])
    asks = {e: scan.gate.effect(e).on for e in _effects(profile, output)}
    wanted = {pair: _expected(scan, *pair, winner == "higher") for pair in pairs}
    seconds = [e.second_on for e in scan.gate.after.values()]
    solver = scan.solver()
    solver.add(z3.Not(scan.state.output(output).adopting))
    together = 0
    for pair, value in wanted.items():
        both = [asks[effect] for effect in pair]
        alone = [z3.Not(ask) for effect, ask in asks.items() if effect not in pair]
        alone += [z3.Not(second) for second in seconds]
        permits = z3.Not(any_of(_permits(scan, output)))
        off = distance(found.value, value) >= step
        if solver.check(*both, *alone, permits) != z3.sat:
            # They never stand without a third: then it is no further from the winner's side.
            off = found.value < value - step if winner == "higher" else found.value > value + step
            alone, permits = [], z3.BoolVal(True)
        if solver.check(*both, *alone, permits) == z3.sat:
            together += 1
        if solver.check(*both, *alone, permits, off) != z3.unsat:
            rows = " and ".join(profile.causes[int(plan.effects[e]["cause"])].row for e in pair)
            why = f"rows {rows}: what leaves is not the {winner}"
            yield Result(f"always.winner.{name}", "Winner", words, False, False, why,
                         _case(scan, solver))  # fmt: skip
            return
    yield Result(f"always.winner.{name}", "Winner", f"{words} ({together} can stand together)",
                 True, False)  # fmt: skip


def _permits(scan: Scan, output: int) -> list[Term]:
    plan = scan.profile.plan
    return [
        scan.causes.effective(int(row["cause"])) for row in plan.effects
        if row["output"] == output and row["op"] != EffectOp.SIGNAL_BAD
        and plan.causes[int(row["cause"])]["kind"] == CauseKind.PERMIT
    ]  # fmt: skip


def _differ(profile: Profile, a: int, b: int) -> bool:
    """Whether no value satisfies both effects, or one is a mean that may be anything."""
    rows = [profile.plan.effects[index] for index in (a, b)]
    ops = [EffectOp(int(row["op"])) for row in rows]
    if EffectOp.MEAN in ops:
        return True
    low, high = -float("inf"), float("inf")
    for op, row in zip(ops, rows, strict=True):
        value = float(row["value"])
        if op in (EffectOp.FORCE, EffectOp.AT_LEAST):
            low = max(low, value)
        if op in (EffectOp.FORCE, EffectOp.AT_MOST):
            high = min(high, value)
    return low > high


def _expected(scan: Scan, a: int, b: int, higher_wins: bool) -> Term:
    """What the declared winner says of two effects: `lower` lets a force or a ceiling beat a floor
    and the lower of two forces win; `higher` is its mirror."""
    plan = scan.profile.plan
    values = {index: _value(scan, index) for index in (a, b)}
    ops = {index: EffectOp(int(plan.effects[index]["op"])) for index in (a, b)}
    weak = EffectOp.AT_MOST if higher_wins else EffectOp.AT_LEAST
    strong = [index for index in (a, b) if ops[index] != weak]
    if len(strong) == 1:
        return values[strong[0]]
    pair = values[a], values[b]
    return higher(*pair) if higher_wins else lower(*pair)

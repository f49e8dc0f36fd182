"""What leaves: effects become bounds and forces, and the gate releases, as in the kernel.

What loop, recipe or person want of an output is free, so a proof holds for every wish.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import z3

from controller.profile.plan import CauseKind, CompareOp, EffectOp
from controller.profile.prove.causes import Causes
from controller.profile.prove.signals import NS, Signals
from controller.profile.prove.state import Effect, Output, State
from controller.profile.prove.terms import (
    Term,
    any_of,
    clipped,
    distance,
    higher,
    lower,
    on_grid,
    real,
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the rows ask of one output: force, ceiling, floor; whether they lock or tell it anew."""

    forced: Term
    force: Term
    capped: Term
    cap: Term
    raised: Term
    floor: Term
    locked: Term
    told: Term


@dataclass(frozen=True, slots=True)
class Released:
    """One output after the scan. `adopting`: it still waits for its device, nothing is released."""

    value: Term
    adopting: Term
    by_row: Term


@dataclass(slots=True)
class Gate:
    """The outputs that were asked for so far, after this scan."""

    state: State
    signals: Signals
    causes: Causes
    after: dict[int, Effect] = field(default_factory=dict)
    found: dict[int, Released] = field(default_factory=dict)
    wished: dict[int, Wishes] = field(default_factory=dict)
    late: dict[int, Term] = field(default_factory=dict)

    def __getitem__(self, output: int) -> Released:
        if output not in self.found:
            self.found[output] = self._released(output)
        return self.found[output]

    def effect(self, index: int) -> Effect:
        """One effect after this scan (effects.apply, confirm)."""
        if index not in self.after:
            self.after[index] = self._effect(index)
        return self.after[index]

    def wishes(self, output: int) -> Wishes:
        """What every row asks of an output."""
        if output not in self.wished:
            self.wished[output] = self._wishes(output)
        return self.wished[output]

    def _acts(self, index: int) -> Term:
        """Whether an effect acts: its cause does, and a mean is known."""
        row = self.state.profile.plan.effects[index]
        acts = self.causes.effective(int(row["cause"]))
        if row["op"] == EffectOp.MEAN:
            acts = z3.And(acts, z3.Not(self.state.output(int(row["output"])).adopting))
        return acts

    def _effect(self, index: int) -> Effect:
        row, old = self.state.profile.plan.effects[index], self.state.effect(index)
        cause_acts, acts = self.causes.effective(int(row["cause"])), self._acts(index)
        begins = z3.And(acts, z3.Not(old.on))
        on = z3.And(cause_acts, z3.Or(old.on, acts))
        since = z3.If(begins, z3.IntVal(0), old.since_age)
        mean = z3.If(begins, old.mean_new, old.mean)
        if row["confirm_signal"] < 0:
            no = z3.BoolVal(False)
            return Effect(on, since, no, no, no, mean, old.mean_new)
        number = int(row["confirm_signal"])
        proof = self.signals[number]
        usable = z3.Not(self.causes.bad(number, len(self.state.profile.plan.causes)))
        below = row["confirm_op"] == CompareOp.BELOW
        limit = real(row["confirm_limit"])
        there = proof.value < limit if below else proof.value > limit
        seen = z3.And(acts, usable, proof.age < since, there)
        late = z3.And(acts, z3.Not(seen), z3.Not(old.failed), since > int(row["confirm_ns"]))
        second = z3.BoolVal(False)
        if row["second_output"] >= 0:
            self.late[index] = late
            second = z3.Or(z3.And(acts, old.second_on), late)
        confirmed = z3.Or(seen, z3.And(acts, old.confirmed, z3.Not(late)))
        failed = z3.Or(late, z3.And(acts, old.failed, z3.Not(seen)))
        since = z3.If(seen, proof.age, since)
        return Effect(on, since, confirmed, failed, second, mean, old.mean_new)

    def _wishes(self, output: int) -> Wishes:
        plan = self.state.profile.plan
        limits, memory = plan.outputs[output], self.state.output(output)
        forces: list[tuple[Term, Term]] = []
        caps: list[tuple[Term, Term]] = []
        floors: list[tuple[Term, Term]] = []
        locks: list[Term] = []
        told: list[Term] = []
        on_it = (plan.effects["output"] == output) | (plan.effects["second_output"] == output)
        for index in (on_it & (plan.effects["op"] != EffectOp.SIGNAL_BAD)).nonzero()[0].tolist():
            row = plan.effects[index]
            kind = plan.causes[int(row["cause"])]["kind"]
            watched = row["confirm_signal"] >= 0 and kind != CauseKind.PERMIT
            if row["second_output"] == output and watched:
                second = self.effect(index).second_on
                forces.append((second, real(row["second_value"])))
                locks.append(second)
                told.append(self.late[index])
            if row["output"] != output:
                continue
            if kind == CauseKind.PERMIT:
                value = real(row["value"])
                near = distance(memory.released, value) <= real(limits["resolution"]) / 2
                keeps = z3.And(self._acts(index), near, z3.Not(memory.adopting))
                forces.append((keeps, value))
                continue
            acts = self._acts(index)
            told.append(z3.And(acts, z3.Not(self.state.effect(index).on)))
            value = self.effect(index).mean if row["op"] == EffectOp.MEAN else real(row["value"])
            part = {EffectOp.AT_MOST: caps, EffectOp.AT_LEAST: floors}.get(
                EffectOp(int(row["op"])), forces
            )
            part.append((acts, value))
            if part is forces and kind == CauseKind.PROTECT:
                locks.append(acts)
        force = higher if limits["higher_wins"] == 1 else lower
        return Wishes(
            any_of([acts for acts, _ in forces]), _best(forces, force),
            any_of([acts for acts, _ in caps]), _best(caps, lower),
            any_of([acts for acts, _ in floors]), _best(floors, higher),
            any_of(locks), any_of(told),
        )  # fmt: skip

    def _decided(self, wishes: Wishes, want: Term, higher_wins: bool) -> tuple[Term, Term]:
        """What the rows make of a wish, and whether one of them did (gate.decide)."""
        over = z3.And(wishes.capped, want > wishes.cap)
        under = z3.And(wishes.raised, want < wishes.floor)
        if higher_wins:
            value = z3.If(wishes.forced, wishes.force, z3.If(over, wishes.cap, want))
            decided = z3.Or(wishes.forced, over)
            last = z3.And(wishes.raised, value < wishes.floor)
            return z3.If(last, wishes.floor, value), z3.Or(decided, last)
        value = z3.If(wishes.forced, wishes.force, z3.If(under, wishes.floor, want))
        decided = z3.Or(wishes.forced, under)
        last = z3.And(wishes.capped, value > wishes.cap)
        return z3.If(last, wishes.cap, value), z3.Or(decided, last)

    def _resolved(self, limits: Any, wishes: Wishes, value: Term) -> Term:
        """A decided value as the device resolves it, inside the bounds it keeps (gate.resolved)."""
        low, high = real(limits["low"]), real(limits["high"])
        keeps_floor = z3.And(wishes.raised, value >= wishes.floor)
        keeps_cap = z3.And(wishes.capped, value <= wishes.cap)
        bottom = z3.If(keeps_floor, higher(low, wishes.floor), low)
        top = z3.If(keeps_cap, lower(high, wishes.cap), high)
        return on_grid(clipped(value, low, high), bottom, top, float(limits["resolution"]))

    def _adopted(self, limits: Any, memory: Output, wishes: Wishes) -> tuple[Term, Term]:
        """Whether an output can be taken over in this scan, and at what (gate.adopt)."""
        value, known = memory.wanted, z3.Not(memory.lost)
        if limits["readback"] >= 0:
            found = self.signals[int(limits["readback"])]
            value = z3.If(memory.lost, found.value, value)
            known = z3.Or(known, found.fair)
        value = z3.If(wishes.forced, wishes.force, value)
        low, high = real(limits["low"]), real(limits["high"])
        grid = on_grid(clipped(value, low, high), low, high, float(limits["resolution"]))
        return z3.Or(wishes.forced, known), grid

    def _released(self, output: int) -> Released:
        """What leaves, and whether a row decided it (gate.release, release_one, modulate)."""
        limits, memory = self.state.profile.plan.outputs[output], self.state.output(output)
        wishes = self.wishes(output)
        higher_wins, step = limits["higher_wins"] == 1, real(limits["resolution"])
        wanted, present = memory.wanted, memory.released
        lost, age = memory.lost, memory.age
        waits = z3.BoolVal(False)
        if limits["read_back"] == 1:
            taken, grid = self._adopted(limits, memory, wishes)
            waits = z3.And(memory.adopting, z3.Not(taken))
            present = z3.If(memory.adopting, grid, present)
            wanted = z3.If(memory.adopting, grid, wanted)
            lost = z3.And(lost, z3.Not(memory.adopting))
            age = z3.If(memory.adopting, z3.IntVal(0), age)
        locked = z3.Or(memory.locked, wishes.locked)
        want = z3.If(locked, present, z3.If(lost, real(limits["safe"]), wanted))
        value, by_row = self._decided(wishes, want, higher_wins)
        goal = self._resolved(limits, wishes, value)
        stays, _ = self._decided(wishes, present, higher_wins)
        again = z3.Or(memory.reassert, wishes.told)
        restated = z3.If(by_row, goal, self._resolved(limits, wishes, stays))
        half = step / 2
        moves = distance(goal, present) > half
        at_once = z3.Or(by_row, distance(stays, present) > half)
        due = age >= int(limits["interval_ns"])
        slow = z3.If(due, self._stepped(limits, goal, present, age), present)
        found = z3.If(again, restated, z3.If(moves, z3.If(at_once, goal, slow), present))
        return Released(found, waits, by_row)

    def _stepped(self, limits: Any, goal: Term, present: Term, age: Term) -> Term:
        if limits["rate_max"] <= 0.0:
            return goal
        step = higher(real(limits["rate_max"]) * z3.ToReal(age) / NS, real(limits["resolution"]))
        value = clipped(goal, present - step, present + step)
        low, high = real(limits["low"]), real(limits["high"])
        return on_grid(value, low, high, float(limits["resolution"]))


def _best(parts: list[tuple[Term, Term]], better: Any) -> Term:
    """The winning value of those that act; a value without meaning when none does."""
    best, known = z3.RealVal(0), z3.BoolVal(False)
    for acts, value in parts:
        best = z3.If(acts, z3.If(known, better(best, value), value), best)
        known = z3.Or(known, acts)
    return best

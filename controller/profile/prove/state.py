"""Everything the kernel remembers from the scans before, as free variables of the solver.

Any state is possible but for what every scan leaves so (`facts`): stamps lie in the past, a cause
without a vote has no timers, an output stands on its grid. Commands before the scan change latches,
locks, flags, totals, setpoints and requests, which are free here: no command leaves these states.
Ages are whole nanoseconds before this scan, `dt` after the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import z3

from controller.profile.compile import Profile
from controller.profile.plan import CauseKind, CompareOp, EffectOp, Plan
from controller.profile.prove.terms import Term, all_of, real

LATE = 2  # scans come at most this many periods apart


@dataclass(frozen=True, slots=True)
class Condition:
    """Of one condition: whether it compared true and counted, since when, and when last."""

    raw: Term
    state: Term
    since_age: Term
    last_age: Term


@dataclass(frozen=True, slots=True)
class Said:
    """What a signal was when its conditions were compared last, and whether they ever were."""

    value: Term
    heard: Term


@dataclass(frozen=True, slots=True)
class Cause:
    """Of one cause. `raw_on`, `bad_on`: its vote was reached, or by bad signals alone, since."""

    raw_on: Term
    raw_age: Term
    bad_on: Term
    bad_age: Term
    active: Term
    active_age: Term
    latched: Term
    bypassed: Term


@dataclass(frozen=True, slots=True)
class Effect:
    """Of one effect. `mean_new` is what a mean would be that is taken in this scan."""

    on: Term
    since_age: Term
    confirmed: Term
    failed: Term
    second_on: Term
    mean: Term
    mean_new: Term


@dataclass(frozen=True, slots=True)
class Output:
    """Of one output, with what loop, recipe or person want of it now (`lost`: not finite)."""

    released: Term
    age: Term
    adopting: Term
    locked: Term
    reassert: Term
    wanted: Term
    lost: Term


@dataclass(slots=True)
class State:
    """The variables that were asked for so far, and what is always true of them."""

    profile: Profile
    bypassed: frozenset[int] = frozenset()
    dt: Term = field(init=False)
    facts: list[Term] = field(default_factory=list)
    conditions: dict[int, Condition] = field(default_factory=dict)
    causes: dict[int, Cause] = field(default_factory=dict)
    effects: dict[int, Effect] = field(default_factory=dict)
    outputs: dict[int, Output] = field(default_factory=dict)
    said: dict[int, Said] = field(default_factory=dict)
    spoiled: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.dt = z3.Int("dt")
        self.spoiled = suspects(self.profile.plan)
        self.facts += [self.dt > 0, self.dt <= self.dt_max]

    @property
    def dt_max(self) -> int:
        """The longest time between two scans, in ns."""
        return LATE * int(self.profile.plan.unit[0]["period_ns"])

    def _age(self, name: str) -> Term:
        """How long before this scan a stamp of an earlier one is."""
        age = z3.Int(name)
        self.facts.append(age >= self.dt)
        return age

    def condition(self, index: int) -> Condition:
        """One condition's memory."""
        if index not in self.conditions:
            row, key = self.profile.plan.conditions[index], f"condition {index}"
            made = Condition(z3.Bool(f"{key} raw"), z3.Bool(f"{key} state"),
                             self._age(f"{key} since"), self._age(f"{key} last"))  # fmt: skip
            on_ns, off_ns = int(row["on_delay_ns"]), int(row["off_delay_ns"])
            self.facts.append(made.last_age <= made.since_age)
            kept = made.since_age - made.last_age < on_ns
            self.facts.append(z3.Implies(z3.And(made.raw, z3.Not(made.state)), kept))
            if on_ns == 0:
                self.facts.append(z3.Implies(made.raw, made.state))
            if off_ns == 0:
                self.facts.append(z3.Implies(made.state, made.raw))
            self._said(row, made.raw)
            self.conditions[index] = made
        return self.conditions[index]

    def _said(self, row: Any, raw: Term) -> None:
        """All conditions on one signal compared the same value last, while it was not bad.

        Not so of one that a plausibility row spoils in the middle of a scan.
        """
        signal = int(row["signal"])
        if row["op"] == CompareOp.IS_BAD or signal in self.spoiled:
            return
        if signal not in self.said:
            name = self.profile.signals[signal]
            self.said[signal] = Said(z3.Real(f"{name} said"), z3.Bool(f"{name} heard"))
        value, heard = self.said[signal].value, self.said[signal].heard
        limit, slack = real(row["limit"]), float(row["hysteresis"])
        if row["op"] == CompareOp.ABOVE:
            true, kept = value > limit, value > real(row["limit"] - slack)
        else:
            true, kept = value < limit, value < real(row["limit"] + slack)
        self.facts += [z3.Implies(raw, z3.And(heard, kept)),
                       z3.Implies(z3.And(heard, z3.Not(raw)), z3.Not(true))]  # fmt: skip

    def cause(self, index: int) -> Cause:
        """One cause's memory."""
        if index not in self.causes:
            row, key = self.profile.plan.causes[index], f"cause {self.profile.causes[index].row}"
            free = index in self.bypassed
            made = Cause(
                z3.Bool(f"{key} raw"), self._age(f"{key} raw since"), z3.Bool(f"{key} bad"),
                self._age(f"{key} bad since"), z3.Bool(f"{key} active"),
                self._age(f"{key} active last"), z3.Bool(f"{key} latched"),
                z3.Bool(f"{key} bypassed") if free else z3.BoolVal(False),
            )  # fmt: skip
            if row["kind"] in (CauseKind.PROTECT, CauseKind.PLAUSIBILITY):
                self.facts.append(z3.Implies(made.active, made.latched))
            else:
                self.facts.append(z3.Not(made.latched))
            if row["off_delay_ns"] == 0:
                self.facts.append(z3.Implies(made.active, z3.Or(made.raw_on, made.bad_on)))
            self.causes[index] = made
        return self.causes[index]

    def effect(self, index: int) -> Effect:
        """One effect's memory."""
        if index not in self.effects:
            row, key = self.profile.plan.effects[index], f"effect {index}"
            made = Effect(
                z3.Bool(f"{key} on"), self._age(f"{key} since"), z3.Bool(f"{key} confirmed"),
                z3.Bool(f"{key} failed"), z3.Bool(f"{key} second"), z3.Real(f"{key} mean"),
                z3.Real(f"{key} mean now"),
            )  # fmt: skip
            idle = [z3.Not(made.confirmed), z3.Not(made.failed), z3.Not(made.second_on)]
            self.facts += [z3.Implies(z3.Not(made.on), all_of(idle)),
                           z3.Not(z3.And(made.confirmed, made.failed))]  # fmt: skip
            has_second = row["second_output"] >= 0
            ends = made.second_on if has_second else z3.Not(made.second_on)
            self.facts.append(z3.Implies(made.failed, ends))
            if not has_second:
                self.facts.append(z3.Not(made.second_on))
            limits = self.profile.plan.outputs[int(row["output"])]
            low, high = real(limits["low"]), real(limits["high"])
            for mean in (made.mean, made.mean_new):
                self.facts += [low <= mean, mean <= high]
            self.effects[index] = made
        return self.effects[index]

    def output(self, index: int) -> Output:
        """One output's memory."""
        if index not in self.outputs:
            row, name = self.profile.plan.outputs[index], self.profile.outputs[index]
            made = Output(
                z3.Real(f"{name} released"), self._age(f"{name} since"),
                z3.Bool(f"{name} adopting"), z3.Bool(f"{name} locked"),
                z3.Bool(f"{name} reassert"), z3.Real(f"{name} wanted"), z3.Bool(f"{name} lost"),
            )  # fmt: skip
            step = z3.Int(f"{name} steps")
            low, high, start = real(row["low"]), real(row["high"]), real(row["start"])
            self.facts += [
                # A ceiling between two steps at the low end leaves the step below it.
                low - real(row["resolution"]) < made.released, made.released <= high,
                z3.Or(made.released == step * real(row["resolution"]), made.released == start),
                z3.Implies(made.reassert, made.adopting),
            ]  # fmt: skip
            if row["read_back"] == 0:
                self.facts.append(z3.Not(made.adopting))
            self.outputs[index] = made
        return self.outputs[index]


def suspects(plan: Plan) -> frozenset[int]:
    """The signals whose quality a plausibility cause may take."""
    taken = plan.effects[plan.effects["op"] == EffectOp.SIGNAL_BAD]["output"]
    return frozenset(int(signal) for signal in taken)

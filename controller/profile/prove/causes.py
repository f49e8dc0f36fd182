"""Votes, delays, latches and validity of causes, as matrix.py evaluates them once.

Each cause is a small formula over the state before the scan and the signals in it; a plausibility
cause takes the quality of its signal for those that come after it, as in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import z3

from controller.profile.plan import BadRule, CauseKind, CompareOp, EffectOp
from controller.profile.prove.signals import Signals
from controller.profile.prove.state import Cause, Condition, State
from controller.profile.prove.terms import Term, all_of, any_of, real


@dataclass(frozen=True, slots=True)
class Vote:
    """Whether a cause's vote is reached, or only because signals are bad."""

    reached: Term
    blind: Term


@dataclass(slots=True)
class Causes:
    """The causes that were asked for so far, after this scan."""

    state: State
    signals: Signals
    conditions: dict[int, Condition] = field(default_factory=dict)
    after: dict[int, Cause] = field(default_factory=dict)
    spoilers: dict[int, list[int]] = field(default_factory=dict)
    _votes: dict[int, Vote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plan = self.state.profile.plan
        for effect in plan.effects[plan.effects["op"] == EffectOp.SIGNAL_BAD]:
            row = self.spoilers.setdefault(int(effect["output"]), [])
            if plan.causes[int(effect["cause"])]["kind"] == CauseKind.PLAUSIBILITY:
                row.append(int(effect["cause"]))

    def __getitem__(self, index: int) -> Cause:
        if index not in self.after:
            self.after[index] = self._timed(index)
        return self.after[index]

    def effective(self, index: int) -> Term:
        """Whether a cause acts after this scan: it stands or is latched."""
        found = self[index]
        return z3.Or(found.active, found.latched)

    def bad(self, signal: int, before: int) -> Term:
        """A signal's bad quality as cause number `before` sees it."""
        return z3.Or(self.signals[signal].bad, *self._marked(signal, before))

    def stuck(self, signal: int, before: int) -> Term:
        """Whether its reason is that it is stuck."""
        return z3.Or(self.signals[signal].stuck, *self._marked(signal, before))

    def _marked(self, signal: int, before: int) -> list[Term]:
        """For every plausibility cause of the signal: whether it begins to act in this scan."""
        return [
            z3.And(self[number].active, z3.Not(self.state.cause(number).active))
            for number in self.spoilers.get(signal, ()) if number < before
        ]  # fmt: skip

    def condition(self, index: int, cause: int) -> Condition:
        """One condition after this scan (matrix.condition_true); as before while it is bad."""
        if index in self.conditions:
            return self.conditions[index]
        row, old = self.state.profile.plan.conditions[index], self.state.condition(index)
        signal, op = int(row["signal"]), CompareOp(int(row["op"]))
        limit = real(row["limit"])
        compared = z3.BoolVal(True)
        if op == CompareOp.IS_BAD:
            true = self.bad(signal, cause)
        else:
            compared = z3.Not(self.bad(signal, cause))
            true = self.signals.compared(signal, op, limit)
            if row["hysteresis"] > 0.0:
                slack = row["hysteresis"] if op == CompareOp.BELOW else -row["hysteresis"]
                kept = self.signals.compared(signal, op, real(row["limit"] + slack))
                true = z3.If(old.raw, kept, true)
        since = z3.If(z3.And(true, old.raw), old.since_age, z3.IntVal(0))
        counts = z3.Or(old.state, since >= int(row["on_delay_ns"]))
        lasts = z3.And(old.state, old.last_age < int(row["off_delay_ns"]))
        made = Condition(
            z3.If(compared, true, old.raw),
            z3.If(compared, z3.If(true, counts, lasts), old.state),
            z3.If(z3.And(compared, true), since, old.since_age),
            z3.If(z3.And(compared, true), z3.IntVal(0), old.last_age),
        )
        self.conditions[index] = made
        return made

    def vote(self, index: int) -> Vote:
        """What the conditions of a cause come to (matrix.vote)."""
        if index not in self._votes:
            self._votes[index] = self._vote(index)
        return self._votes[index]

    def _vote(self, index: int) -> Vote:
        plan = self.state.profile.plan
        row = plan.causes[index]
        first, count, votes = (int(row[k]) for k in ("first_condition", "n_conditions", "votes"))
        true, trip, drop = [], [], []
        for place in range(first, first + count):
            condition = plan.conditions[place]
            signal, rule = int(condition["signal"]), int(condition["bad"])
            after = self.condition(place, index)
            if condition["op"] == CompareOp.IS_BAD:
                true.append(after.state)
                continue
            bad = self.bad(signal, index)
            if rule == BadRule.TRIP:
                true.append(z3.And(z3.Not(bad), after.state))
                trip.append(bad)
                continue
            # What it last said stands for a while; a stuck one never said it.
            said = z3.And(
                bad, self.state.condition(place).state, z3.Not(self.stuck(signal, index)),
                self.signals[signal].age <= int(row["bad_delay_ns"]),
            )  # fmt: skip
            true.append(z3.Or(said, z3.And(z3.Not(bad), after.state)))
            if rule == BadRule.DEGRADE:
                drop.append(z3.And(bad, z3.Not(said)))
        return _counted(true, trip, drop, count, votes)

    def _valid(self, index: int) -> Term:
        row = self.state.profile.plan.causes[index]
        if row["valid_flag"] < 0:
            return z3.BoolVal(True)
        flag = self.signals[int(row["valid_flag"])].value > z3.Q(1, 2)
        return flag if row["valid_when"] == 1 else z3.Not(flag)

    def _told(self, index: int) -> Term:
        """Whether a board that runs the row says that it stands there (matrix.is_told)."""
        told = int(self.state.profile.plan.causes[index]["told"])
        if told < 0:
            return z3.BoolVal(False)
        return z3.And(z3.Not(self.bad(told, index)), self.signals[told].value > z3.Q(1, 2))

    def _awaits(self, index: int) -> Term:
        """Whether a cause acts on an output that is still being read back."""
        plan = self.state.profile.plan
        first, count = (int(plan.causes[index][k]) for k in ("first_effect", "n_effects"))
        return any_of([
            self.state.output(int(e["output"])).adopting
            for e in plan.effects[first : first + count] if e["op"] != EffectOp.SIGNAL_BAD
        ])  # fmt: skip

    def _timed(self, index: int) -> Cause:
        """A cause's timers and whether it stands (matrix.timed, evaluate)."""
        row, old = self.state.profile.plan.causes[index], self.state.cause(index)
        found = self.vote(index)
        valid = self._valid(index)
        told = z3.And(valid, self._told(index))
        reached = z3.Or(z3.And(valid, found.reached), told)
        blind = z3.And(valid, found.blind, z3.Not(told))
        if not z3.is_false(z3.simplify(blind)):
            blind = z3.And(blind, z3.Not(self._awaits(index)))
        raw_on = z3.And(z3.Or(reached, blind), z3.Or(old.raw_on, reached))
        raw_age = z3.If(old.raw_on, old.raw_age, z3.IntVal(0))
        bad_age = z3.If(old.bad_on, old.bad_age, z3.IntVal(0))
        stands = z3.And(
            z3.Or(reached, blind),
            z3.Or(
                old.active,
                told,
                z3.And(raw_on, raw_age >= int(row["on_delay_ns"])),
                z3.And(blind, bad_age >= int(row["bad_delay_ns"])),
            ),
        )
        lasts = z3.And(old.active, old.active_age < int(row["off_delay_ns"]))
        active = z3.And(z3.Not(old.bypassed), z3.Or(stands, lasts))
        latches = row["kind"] in (CauseKind.PROTECT, CauseKind.PLAUSIBILITY)
        latched = z3.Or(old.latched, z3.And(active, z3.Not(old.active))) if latches else old.latched
        return Cause(
            raw_on, raw_age, blind, bad_age, active,
            z3.If(stands, z3.IntVal(0), old.active_age), latched, old.bypassed,
        )  # fmt: skip


def _counted(
    true: list[Term], trip: list[Term], drop: list[Term], count: int, votes: int
) -> Vote:
    """MooN with bad ones: enough true, or enough with those whose bad signal votes to trip."""
    if not drop:
        reached, blind = _at_least(true, votes), _at_least([*true, *trip], votes)
        return Vote(reached, z3.And(z3.Not(reached), blind) if trip else z3.BoolVal(False))
    left = count - _number(drop)
    needed = z3.If(left < votes, left, z3.IntVal(votes))
    reached = z3.And(left > 0, _number(true) >= needed)
    enough = z3.Or(left == 0, _number([*true, *trip]) >= needed)
    return Vote(reached, z3.And(z3.Not(reached), enough))


def _number(parts: list[Term]) -> Term:
    return z3.Sum(*[z3.If(part, 1, 0) for part in parts])


def _at_least(parts: list[Term], votes: int) -> Term:
    if votes == 1:
        return any_of(parts)
    if votes == len(parts):
        return all_of(parts)
    return z3.AtLeast(*parts, votes)

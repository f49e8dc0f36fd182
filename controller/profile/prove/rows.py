"""Whether every row matters: it can stand, makes a difference when it does, and can go again.

A row is dead when nothing makes it true, masked when other rows that wait no longer always ask as
much as it does, and there for good when its own effect keeps its cause standing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import z3

from controller.profile.compile import Profile
from controller.profile.plan import CauseKind, CompareOp, EffectOp
from controller.profile.prove.prover import Result
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term, all_of, any_of, real

_LATCHES = (CauseKind.PROTECT, CauseKind.PLAUSIBILITY)


class RowChecks:
    """What every row must be able to do, asked of one scan in which all causes are built."""

    def __init__(self, profile: Profile) -> None:
        self._profile, self._scan = profile, Scan(profile)
        for cause in range(len(profile.causes)):
            _ = self._scan.causes[cause]
        for output in range(len(profile.outputs)):
            _ = self._scan.state.output(output)
        self._solver = self._scan.solver()

    def results(self) -> Iterator[Result]:
        """One result a row: it can stand, makes a difference when it does, and can go again."""
        for cause, info in enumerate(self._profile.causes):
            why = self._dead(cause) or self._masked(cause) or self._stays(cause)
            words = f"row {info.row} can stand, makes a difference, and can be reset"
            yield Result(f"always.row.{info.row}", info.title, words, not why, False, why)

    def _possible(self, *terms: Term) -> bool:
        answer: Any = self._solver.check(*terms)
        return bool(answer == z3.sat)

    def _new(self, cause: int) -> list[Term]:
        """States in which the cause did not act before."""
        old = self._scan.state.cause(cause)
        return [z3.Not(old.active), z3.Not(old.latched)]

    def _dead(self, cause: int) -> str:
        vote = self._scan.causes.vote(cause)
        reached = z3.Or(vote.reached, vote.blind)
        if self._possible(*self._new(cause), reached, self._scan.causes[cause].active):
            return ""
        return "it is dead: nothing makes it true"

    def _masked(self, cause: int) -> str:
        """Which rows ask everything that this one asks whenever it stands; empty if none do."""
        profile, plan = self._profile, self._profile.plan
        first, count = (int(plan.causes[cause][k]) for k in ("first_effect", "n_effects"))
        effects = range(first, first + count)
        if count == 0 or any(plan.effects[e]["op"] == EffectOp.SIGNAL_BAD for e in effects):
            return ""
        shown, others = [], set()
        for effect in effects:
            rivals = self._rivals(cause, effect)
            others |= rivals
            quiet = [z3.Not(self._scan.causes.effective(rival)) for rival in sorted(rivals)]
            shown.append(all_of(quiet))
        acts = self._scan.causes.effective(cause)
        given = [*self._new(cause), acts, *(self._settled(rival) for rival in sorted(others))]
        if not others or self._possible(*given, any_of(shown)):
            return ""
        return "it is masked: rows " + ", ".join(profile.causes[o].row for o in sorted(others))

    def _rivals(self, cause: int, effect: int) -> set[int]:
        """The rows that leave an effect nothing to do, and wait no longer than it does."""
        plan = self._profile.plan
        mine = plan.causes[cause]
        same = plan.effects["output"] == plan.effects[effect]["output"]
        same &= (plan.effects["op"] != EffectOp.SIGNAL_BAD) & (plan.effects["cause"] != cause)
        return {
            int(plan.effects[other]["cause"]) for other in same.nonzero()[0].tolist()
            for row in [plan.causes[int(plan.effects[other]["cause"])]]
            if _covers(self._profile, other, effect)
            and all(row[key] <= mine[key] for key in ("on_delay_ns", "bad_delay_ns"))
        }  # fmt: skip

    def _settled(self, cause: int) -> Term:
        """A row whose vote is reached has waited long enough."""
        after = self._scan.causes[cause]
        return z3.Implies(z3.Or(after.raw_on, after.bad_on), after.active)

    def _stays(self, cause: int) -> str:
        """Why no scan leaves the cause gone and its signals good while its effects are in force."""
        plan, scan = self._profile.plan, self._scan
        row, after = plan.causes[cause], scan.causes[cause]
        given = [z3.Not(after.active), z3.Not(after.raw_on), z3.Not(after.bad_on)]
        for effect in plan.effects[int(row["first_effect"]) :][: int(row["n_effects"])]:
            if effect["op"] == EffectOp.FORCE and row["kind"] != CauseKind.PERMIT:
                memory = scan.state.output(int(effect["output"]))
                given.append(memory.released == real(effect["value"]))
        if row["kind"] != CauseKind.PLAUSIBILITY:
            first, count = int(row["first_condition"]), int(row["n_conditions"])
            for condition in plan.conditions[first : first + count]:
                if condition["op"] != CompareOp.IS_BAD:
                    given.append(z3.Not(scan.signals[int(condition["signal"])].bad))
        if self._possible(*given):
            return ""
        what = "reset" if row["kind"] in _LATCHES else "released"
        return f"it can never be {what}: its own effect keeps its cause standing"


def _covers(profile: Profile, other: int, mine: int) -> bool:
    """Whether one effect leaves nothing for another to do on the same output."""
    plan = profile.plan
    a, b = plan.effects[other], plan.effects[mine]
    kinds = [plan.causes[int(e["cause"])]["kind"] for e in (a, b)]
    if kinds[0] == CauseKind.PERMIT and kinds[1] != CauseKind.PERMIT:
        return False  # a permit only keeps
    if kinds[1] == CauseKind.PROTECT and kinds[0] != CauseKind.PROTECT:
        return False  # an interlock goes when its cause goes
    ops = [EffectOp(int(e["op"])) for e in (a, b)]
    if EffectOp.MEAN in ops:
        return False
    value, wish = float(a["value"]), float(b["value"])
    wins = plan.outputs[int(b["output"])]["higher_wins"] == 1
    if ops[1] == EffectOp.FORCE:
        stronger = value >= wish if wins else value <= wish
        return ops[0] == EffectOp.FORCE and stronger
    if ops[1] == EffectOp.AT_MOST:
        return ops[0] in (EffectOp.FORCE, EffectOp.AT_MOST) and value <= wish
    return ops[0] in (EffectOp.FORCE, EffectOp.AT_LEAST) and value >= wish

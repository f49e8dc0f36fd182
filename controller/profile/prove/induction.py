"""Time bounds by induction over scans: what must be true of timers once a premise has stood for e.

Candidates are guessed for every condition, cause and second final element (its timer runs since the
premise began, less a delay it may have had before it), and those that a scan does not keep are
dropped until none is (Flanagan and Leino, Houdini, FME 2001). What is left is proved for scans of
any number; scans come at most two periods apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import z3

from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term, all_of

Invariant = Callable[["View"], Term]
SUMS_MAX = 24
ROUNDS_MAX = 200
BY = ("known", "blind", "either")  # a vote by what signals say, by bad ones alone, by one of both
# A row that a board told of may have begun its own delay anew since, but then it acts.
BY_TOLD = (*BY, "acting")


@dataclass(frozen=True, slots=True)
class View:
    """A state, how long the premise has stood in it, and how much older its stamps look here."""

    scan: Scan
    after: bool
    stood: Term

    def age(self, term: Term) -> Term:
        """The age of a stamp when that scan ended."""
        return term if self.after else term - self.scan.state.dt


class Induction:
    """What is known of the timers of a slice while a premise stands."""

    def __init__(self, scan: Scan, premise: Term, stood: Term) -> None:
        self._scan, self._premise, self.stood = scan, premise, stood
        self.kept: list[Invariant] = []

    def find(self, causes: list[int], within_ns: int) -> bool:
        """Finds the invariants of some causes; False if the solver could not decide."""
        candidates = [c for index in causes for c in self._of_cause(index, within_ns)]
        after = View(self._scan, True, self.stood)
        # Built before the facts are taken, for building adds to them.
        ends = [(c, c(after)) for c in candidates]
        starts = {id(c): c(self._before()) for c in candidates}
        solver = self._scan.solver()
        solver.add(self._premise, self.stood >= 0)
        solver.push()
        solver.add(self.stood == 0)
        ends, decided = _drop(solver, ends, {})
        solver.pop()
        if not decided:
            return False
        solver.add(self.stood >= self._scan.state.dt)
        ends, decided = _drop(solver, ends, starts)
        self.kept = [c for c, _ in ends]
        return decided

    def known(self) -> Term:
        """What is known before this scan: nothing in the first of the premise."""
        before = self._before()
        holds = all_of([invariant(before) for invariant in self.kept])
        return z3.Or(self.stood == 0, z3.And(self.stood >= self._scan.state.dt, holds))

    def _before(self) -> View:
        return View(self._scan, False, self.stood - self._scan.state.dt)

    def _of_cause(self, index: int, within_ns: int) -> list[Invariant]:
        plan, late = self._scan.profile.plan, self._scan.state.dt_max
        row = plan.causes[index]
        first, count = int(row["first_condition"]), int(row["n_conditions"])
        ways = BY_TOLD if row["told"] >= 0 else BY
        found: list[Invariant] = []
        delays = {0}
        for place in range(first, first + count):
            condition = plan.conditions[place]
            on_ns = int(condition["on_delay_ns"])
            delays |= {on_ns, int(condition["off_delay_ns"])}
            found.append(_raw_since(place, index))
            found.append(_counts_from(place, index, on_ns))
        bad_ns, on_ns = int(row["bad_delay_ns"]), int(row["on_delay_ns"])
        delays |= {d + bad_ns for d in delays}
        starts = sorted(d for d in delays if d <= within_ns)[:SUMS_MAX]
        ends = {d + end + slack for d in starts for end in (on_ns, bad_ns) for slack in (0, late)}
        for start in starts:
            found += [_voted_from(index, start, slack, by) for slack in (0, late) for by in ways]
        active_from = sorted(e for e in ends if e <= within_ns)[:SUMS_MAX]
        found += [_active_from(index, end) for end in active_from]
        effects = range(int(row["first_effect"]), int(row["first_effect"]) + int(row["n_effects"]))
        for effect in effects:
            if plan.effects[effect]["second_output"] >= 0:
                confirm_ns = int(plan.effects[effect]["confirm_ns"])
                for end in active_from:
                    found += [_watched_from(effect, end, slack) for slack in (0, late)]
                    found.append(_second_from(effect, end + confirm_ns + 2 * late))
        return found


def _drop(
    solver: z3.Solver, ends: list[tuple[Invariant, Term]], starts: dict[int, Term]
) -> tuple[list[tuple[Invariant, Term]], bool]:
    """Those that hold after the scan if all of them held before it; and whether it was decided."""
    for _ in range(ROUNDS_MAX):
        if not ends:
            return [], True
        solver.push()
        solver.add(*[starts[id(c)] for c, _ in ends if id(c) in starts])
        solver.add(z3.Not(all_of([end for _, end in ends])))
        answer = solver.check()
        if answer == z3.unsat:
            solver.pop()
            return ends, True
        if answer == z3.unknown:
            solver.pop()
            return [], False
        model = solver.model()
        ends = [(c, end) for c, end in ends if not z3.is_false(model.eval(end, True))]
        solver.pop()
    return [], False


def _raw_since(condition: int, cause: int) -> Invariant:
    def holds(view: View) -> Term:
        scan = view.scan
        row = scan.causes.condition(condition, cause) if view.after else (
            scan.state.condition(condition)
        )  # fmt: skip
        return z3.And(row.raw, view.age(row.since_age) >= view.stood)

    return holds


def _counts_from(condition: int, cause: int, start_ns: int) -> Invariant:
    def holds(view: View) -> Term:
        scan = view.scan
        row = scan.causes.condition(condition, cause) if view.after else (
            scan.state.condition(condition)
        )  # fmt: skip
        return z3.Implies(view.stood >= start_ns, row.state)

    return holds


def _voted_from(cause: int, start_ns: int, slack_ns: int, by: str) -> Invariant:
    def holds(view: View) -> Term:
        row = view.scan.causes[cause] if view.after else view.scan.state.cause(cause)
        least = view.stood - start_ns - slack_ns
        known = z3.And(row.raw_on, view.age(row.raw_age) >= least)
        blind = z3.And(row.bad_on, view.age(row.bad_age) >= least)
        voted = {"known": known, "blind": blind, "either": z3.Or(known, blind),
                 "acting": z3.Or(known, blind, row.active)}[by]  # fmt: skip
        return z3.Implies(view.stood >= start_ns, voted)

    return holds


def _active_from(cause: int, start_ns: int) -> Invariant:
    def holds(view: View) -> Term:
        row = view.scan.causes[cause] if view.after else view.scan.state.cause(cause)
        return z3.Implies(view.stood >= start_ns, row.active)

    return holds


def _watched_from(effect: int, start_ns: int, slack_ns: int) -> Invariant:
    def holds(view: View) -> Term:
        row = view.scan.gate.effect(effect) if view.after else view.scan.state.effect(effect)
        watched = z3.And(
            z3.Not(row.failed), view.age(row.since_age) >= view.stood - start_ns - slack_ns
        )
        acts = z3.And(row.on, z3.Or(row.second_on, watched))
        return z3.Implies(view.stood >= start_ns, acts)

    return holds


def _second_from(effect: int, start_ns: int) -> Invariant:
    def holds(view: View) -> Term:
        row = view.scan.gate.effect(effect) if view.after else view.scan.state.effect(effect)
        return z3.Implies(view.stood >= start_ns, z3.And(row.on, row.second_on))

    return holds

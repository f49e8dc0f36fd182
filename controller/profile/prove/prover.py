"""Proves one claim: over all states and inputs by one scan, over time by induction.

A claim that holds only because its premise can never stand, or because nothing could ever break
what it demands, is vacuous. What the solver cannot decide in its time does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import z3

from controller.profile.compile import Profile
from controller.profile.plan import Plan, SignalKind
from controller.profile.prove.case import Case, case_of, quiet
from controller.profile.prove.claims import Claim
from controller.profile.prove.induction import Induction
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term

CHECK_MS = 20_000


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one claim. `why` it is vacuous or was not decided; `case` breaks it."""

    id: str
    title: str
    words: str
    holds: bool
    vacuous: bool
    why: str = ""
    case: Case | None = None
    claim: Claim | None = None


def prove_claim(profile: Profile, claim: Claim) -> Result:
    """Proves or refutes one claim."""
    scan = Scan(profile, claim.bypassed)
    premise, wanted = claim.given(scan), claim.wanted(scan)
    stood = z3.Int("stood")
    extra = _bad_since(scan, claim, premise, stood) if claim.within_ns else []
    why = _vacuous(scan, claim, premise)
    if why:
        return Result(claim.id, claim.title, claim.words(), False, True, why)
    found = _broken(scan, premise, wanted, [stood == 0], stood) if not claim.within_ns else None
    if claim.within_ns:
        induction = Induction(scan, z3.And(premise, *extra), stood)
        if not induction.find(_concerned(scan, claim), claim.within_ns):
            return _undecided(claim)
        given = [*extra, stood >= claim.within_ns, induction.known()]
        found = _broken(scan, premise, wanted, given, stood)
    if isinstance(found, str):
        return _undecided(claim)
    if found is None:
        return Result(claim.id, claim.title, claim.words(), True, False, claim=claim)
    return Result(claim.id, claim.title, claim.words(), False, False, "", found, claim)


def _undecided(claim: Claim) -> Result:
    why = f"the solver could not decide it in {CHECK_MS // 1000} s"
    return Result(claim.id, claim.title, claim.words(), False, False, why, claim=claim)


def _bad_since(scan: Scan, claim: Claim, premise: Term, stood: Term) -> list[Term]:
    """A signal that is bad took no sample since: it last said something before the premise began.

    Not so of one that a plausibility row has made bad: its samples go on, and are not believed.
    A premise about a silent link makes the signals of that link bad as well.
    """
    kinds = scan.profile.plan.signals["kind"]
    told = {asked.signal for asked in claim.premise if asked.op == "is bad"}
    if any(kinds[asked.signal] == SignalKind.LINK_AGE for asked in claim.premise):
        solver = scan.solver(CHECK_MS)
        solver.add(premise)
        told |= {
            index for index, signal in list(scan.signals.found.items())
            if kinds[index] == SignalKind.INPUT and solver.check(z3.Not(signal.bad)) == z3.unsat
        }  # fmt: skip
    return [
        scan.signals[index].age >= stood
        for index in sorted(told - scan.state.spoiled)
        if kinds[index] in (SignalKind.INPUT, SignalKind.BLOCK)
    ]


def _concerned(scan: Scan, claim: Claim) -> list[int]:
    """The causes of the slice that read what the premise speaks of, or what is computed from it."""
    plan = scan.profile.plan
    reached = {asked.signal for asked in claim.premise}
    below = set(reached)
    for block in reversed(plan.blocks):
        if int(block["target"]) in below:
            below |= _operands(plan, block)
    reached |= below
    for block in plan.blocks:
        if reached & _operands(plan, block):
            reached.add(int(block["target"]))
    found = []
    for index in sorted(scan.causes.after):
        first = int(plan.causes[index]["first_condition"])
        count = int(plan.causes[index]["n_conditions"])
        if reached & {int(s) for s in plan.conditions[first : first + count]["signal"]}:
            found.append(index)
    return found


def _operands(plan: Plan, block: Any) -> set[int]:
    first, count = int(block["first_term"]), int(block["n_terms"])
    terms = plan.terms[first : first + count]["signal"]
    return {int(block[k]) for k in ("a", "b") if block[k] >= 0} | {int(s) for s in terms}


def _vacuous(scan: Scan, claim: Claim, premise: Term) -> str:
    """Why a claim says nothing, or an empty text."""
    solver = scan.solver(CHECK_MS)
    if solver.check(premise) == z3.unsat:
        return "its premise can never stand: no state and no input makes it true"
    if claim.never:
        for output in {asked.output for asked in claim.demands}:
            parts = [asked for asked in claim.demands if asked.output == output]
            if solver.check(*(asked.holds(scan) for asked in parts)) == z3.unsat:
                words = " and ".join(asked.text for asked in parts)
                return f"{words} can never be released, whatever rows do"
        return ""
    for asked in claim.demands:
        taken = z3.Not(scan.gate[asked.output].adopting)
        if solver.check(z3.Not(asked.holds(scan)), taken) == z3.unsat:
            return f"{asked.text} is always so: no row is needed for it and none could break it"
    return ""


def _broken(
    scan: Scan, premise: Term, wanted: Term, given: list[Term], stood: Term
) -> Case | str | None:
    """A case that breaks it, as quiet as there is one; None if there is none; a text: undecided."""
    solver = scan.solver(CHECK_MS)
    solver.add(premise, *given, z3.Not(wanted))
    answer = solver.check()
    if answer == z3.unsat:
        return None
    if answer == z3.unknown:
        return str(solver.reason_unknown())
    model = solver.model()
    for wish in quiet(scan):
        if z3.is_true(model.eval(wish, True)):
            solver.add(wish)
            continue
        if solver.check(wish) == z3.sat:
            model = solver.model()
            solver.add(wish)
    return case_of(scan, model, stood)

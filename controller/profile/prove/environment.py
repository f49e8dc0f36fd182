"""With a batch open no command turns heat, stirring or oxygen off: over every command of the ring.

Two lemmas for each actuator of the environment. No command but the end of the guard takes what is
wanted of it below what cells need, whatever mode its loop is in (kernel.carry_out, set_mode,
starves); what is wanted leaves if no row asks otherwise (gate). And the profile itself clears the
guard only behind a prompt that two people answer. A loop in automatic may reach 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import z3

from controller.profile.compile import Profile
from controller.profile.plan import Mode
from controller.profile.prove.case import case_of
from controller.profile.prove.prover import Result
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import Term, all_of, any_of, clipped, quantised, real

OFF, MANUAL, AUTO, CASCADE = (int(mode) for mode in Mode)
TITLE = "Heat, stirring and oxygen"


@dataclass(frozen=True, slots=True)
class Drive:
    """What drives a loop's outputs before a command: its mode, its demand, direct requests."""

    mode: Term
    demand: Term
    requests: dict[int, Term]
    released: dict[int, Term]
    waits: dict[int, Term]


def environment(profile: Profile) -> Iterator[Result]:
    """Every lemma, for every loop and actuator that keeps cells alive."""
    plan = profile.plan
    if plan.unit[0]["guard_flag"] < 0:
        return
    kept = [int(o) for o in plan.outputs["environment"].nonzero()[0]]
    for loop in sorted({int(plan.outputs[o]["loop"]) for o in kept} - {-1}):
        yield _loop_commands(profile, loop)
    for output in kept:
        yield _request(profile, output)
        yield _leaves(profile, output)
    yield _guard(profile)


def _segments(profile: Profile, loop: int) -> list[Any]:
    row = profile.plan.loops[loop]
    first, count = int(row["first_segment"]), int(row["n_segments"])
    return list(profile.plan.segments[first : first + count])


def _share(part: Any, demand: Term) -> Term:
    """An output's share of a demand (loops.segment_value)."""
    u0, u1, y0, y1 = (real(part[key]) for key in ("u0", "u1", "y0", "y1"))
    return y0 + clipped((demand - u0) / (u1 - u0), z3.RealVal(0), z3.RealVal(1)) * (y1 - y0)


def _starves(profile: Profile, loop: int, demand: Term) -> Term:
    """Whether a demand leaves nothing of the environment at what cells need (kernel.starves)."""
    plan = profile.plan
    parts = [
        quantised(_share(part, demand), float(limits["resolution"])) < real(limits["keep"])
        for part in _segments(profile, loop)
        for limits in [plan.outputs[int(part["output"])]] if limits["environment"] == 1
    ]  # fmt: skip
    return all_of(parts) if parts else z3.BoolVal(False)


def _drive(profile: Profile, loop: int) -> tuple[Drive, list[Term]]:
    """Any state of a loop and its outputs."""
    row, name = profile.plan.loops[loop], profile.loops[loop]
    mode, demand = z3.Int(f"{name} mode"), z3.Real(f"{name} demand")
    facts = [mode >= OFF, mode <= CASCADE, real(row["low"]) <= demand, demand <= real(row["high"])]
    drive = Drive(mode, demand, {}, {}, {})
    for part in _segments(profile, loop):
        output = int(part["output"])
        limits, label = profile.plan.outputs[output], profile.outputs[output]
        for kind, table in (("request", drive.requests), ("released", drive.released)):
            table[output] = z3.Real(f"{label} {kind}")
            facts += [real(limits["low"]) <= table[output], table[output] <= real(limits["high"])]
        drive.waits[output] = z3.Bool(f"{label} waits")
        if limits["read_back"] == 0:
            facts.append(z3.Not(drive.waits[output]))
    return drive, facts


def _shown(profile: Profile, loop: int, drive: Drive) -> Term:
    """The demand that the outputs show (loops.shown)."""
    row = profile.plan.loops[loop]
    demand, going = drive.demand, z3.BoolVal(True)
    for place, part in enumerate(_segments(profile, loop)):
        output = int(part["output"])
        u0, u1, y0, y1 = (real(part[key]) for key in ("u0", "u1", "y0", "y1"))
        present = z3.If(drive.waits[output], y0, drive.released[output])
        share = (present - y0) / (y1 - y0)
        here = u0 + clipped(share, z3.RealVal(0), z3.RealVal(1)) * (u1 - u0)
        told = going if place == 0 else z3.And(going, share > 0)
        demand = z3.If(told, here, demand)
        going = z3.And(going, z3.Not(z3.And(told, share < 1)))
    return clipped(demand, real(row["low"]), real(row["high"]))


def _dark(profile: Profile, loop: int, mode: Term, demand: Term, requests: dict[int, Term]) -> Term:
    """Whether nothing of a loop's environment is wanted, but by the loop itself in automatic."""
    plan = profile.plan
    direct = [
        quantised(request, float(limits["resolution"])) < real(limits["keep"])
        for output, request in requests.items()
        for limits in [plan.outputs[output]] if limits["environment"] == 1
    ]  # fmt: skip
    return z3.Or(
        z3.And(mode == OFF, all_of(direct)), z3.And(mode == MANUAL, _starves(profile, loop, demand))
    )


def _loop_commands(profile: Profile, loop: int) -> Result:
    """set_mode, set_op and set_sp of a loop, with the guard on."""
    name = profile.loops[loop]
    words = f"no mode and no demand of {name} leaves cells without what it brings"
    drive, facts = _drive(profile, loop)
    row = profile.plan.loops[loop]
    shown, value, asked = _shown(profile, loop, drive), z3.Real("value"), z3.Int("asked")
    before = _dark(profile, loop, drive.mode, drive.demand, drive.requests)
    # set_mode, with the guard on: to OFF never; to MANUAL only if what is shown feeds the cells.
    waits = any_of(list(drive.waits.values()))
    refused = z3.Or(
        asked < OFF, asked > CASCADE, z3.And(asked != OFF, waits), asked == OFF,
        z3.And(asked == MANUAL, _starves(profile, loop, shown)),
    )  # fmt: skip
    same = drive.mode == asked
    mode, demand = z3.If(same, drive.mode, asked), z3.If(same, drive.demand, shown)
    by_mode = z3.And(z3.Not(refused), _dark(profile, loop, mode, demand, drive.requests))
    # set_op: in MANUAL, inside the range, and not so that it starves them.
    takes = z3.And(drive.mode == MANUAL, real(row["low"]) <= value, value <= real(row["high"]),
                   z3.Not(_starves(profile, loop, value)))  # fmt: skip
    by_demand = z3.And(takes, _dark(profile, loop, drive.mode, value, drive.requests))
    solver = z3.Solver()
    solver.add(*facts, z3.Not(before))
    able = [solver.check(z3.Not(refused)), solver.check(takes)]
    holds = solver.check(z3.Or(by_mode, by_demand)) == z3.unsat
    vacuous = z3.unsat in able
    return Result(f"always.environment.{name}", TITLE, words, holds and not vacuous, vacuous)


def _request(profile: Profile, output: int) -> Result:
    """set_output, with the guard on."""
    limits, name = profile.plan.outputs[output], profile.outputs[output]
    words = f"no command asks less of {name} than {limits['keep']:g}"
    value = z3.Real("value")
    low, high, keep = (real(limits[key]) for key in ("low", "high", "keep"))
    reaches = quantised(value, float(limits["resolution"]))
    takes = z3.And(low <= value, value <= high, z3.Not(reaches < keep))
    solver = z3.Solver()
    vacuous = solver.check(takes) == z3.unsat
    holds = solver.check(takes, reaches <= low) == z3.unsat
    why = f"its `keep` of {limits['keep']:g} lets a command turn it off" if not holds else ""
    return Result(f"always.environment.{name}.request", TITLE, words, holds and not vacuous,
                  vacuous, why)  # fmt: skip


def _leaves(profile: Profile, output: int) -> Result:
    """What is wanted above what cells need leaves so, if no row asks otherwise."""
    limits, name = profile.plan.outputs[output], profile.outputs[output]
    words = f"{name} stays at {limits['keep']:g} or above unless a row that names it acts"
    scan = Scan(profile)
    found, wishes, memory = scan.gate[output], scan.gate.wishes(output), scan.state.output(output)
    keep, size = real(limits["keep"]), float(limits["resolution"])
    untouched = z3.Not(z3.Or(wishes.forced, wishes.capped, wishes.raised))
    kept = z3.And(z3.Not(memory.adopting), memory.released >= keep, z3.Not(memory.lost),
                  quantised(memory.wanted, size) >= keep)  # fmt: skip
    solver = scan.solver()
    vacuous = solver.check(untouched, kept) != z3.sat
    answer = solver.check(untouched, kept, found.value < keep)
    case = case_of(scan, solver.model()) if answer == z3.sat else None
    holds = answer == z3.unsat
    why = "" if holds else "the gate lets less through"
    return Result(f"always.environment.{name}", TITLE, words, holds and not vacuous, vacuous, why,
                  case)  # fmt: skip


def _guard(profile: Profile) -> Result:
    """Only behind a prompt of two people in the same steps does a phase clear the guard."""
    guard = profile.model.unit.guard
    words = f"a phase clears {guard} only after two people answered in the same steps"
    faults, cleared = [], 0
    for phase in profile.model.phases:
        for section, steps in _sections(phase):
            two = False
            for step in steps:
                prompt = step.get("prompt")
                asks = isinstance(prompt, dict) and prompt.get("kind") == "confirm"
                two |= asks and int(prompt.get("people", 1)) >= 2 and "when" not in step
                given = step.get("set")
                asked = given.get(guard, True) if isinstance(given, dict) else True
                if asked not in ("true", True):
                    cleared += 1
                    if not two:
                        faults.append(f"phase {phase.get('id')}, {section}")
    why = f"{', '.join(faults)} clears it with nobody asked" if faults else ""
    if not faults and not cleared:
        why = "no phase ever clears it: the environment could not be ended"
    return Result("always.environment.guard", TITLE, words, not why, not cleared, why)


def _sections(phase: Any) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(phase, dict):
        for name, steps in phase.items():
            if isinstance(steps, list):
                yield name, [step for step in steps if isinstance(step, dict)]

"""Blocks, links and the shipped unit whole: any state the solver finds, the kernel scans the same.

The solver is asked for states of the shipped unit, blocks and all, with some readings nailed to a
limit or beside it; each is put into the kernel, and every output and cause must come out the same.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import z3
from seeded import changed

from controller.field.replay import replay
from controller.profile.plan import CompareOp, SignalKind
from controller.profile.prove.case import case_of
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import real


@pytest.fixture(scope="module")
def scan() -> Scan:
    """One scan of the whole unit."""
    found = Scan(changed(lambda data: None), frozenset())
    for output in range(len(found.profile.outputs)):
        _ = found.gate[output]
    for cause in range(len(found.profile.causes)):
        _ = found.causes[cause]
    return found


def nailed(scan: Scan, draw: Random) -> list[Any]:
    """Some readings near limits, some bad; some causes and outputs in the middle of something."""
    plan, found = scan.profile.plan, []
    for condition in draw.sample(list(plan.conditions), 12):
        if condition["op"] == CompareOp.IS_BAD:
            continue
        signal = scan.signals[int(condition["signal"])]
        limit, step = float(condition["limit"]), draw.choice((-0.01, 0.0, 0.01, 1.0, -1.0))
        found.append(signal.value == real(limit + step))
    for index, signal in scan.signals.found.items():
        if plan.signals[index]["kind"] == SignalKind.INPUT and draw.random() < 0.7:
            found.append(signal.bad if draw.random() < 0.2 else z3.Not(signal.bad))
    for cause in scan.state.causes.values():
        if draw.random() < 0.5:
            found.append(draw.choice((cause.active, cause.latched, cause.raw_on, cause.bad_on)))
        if draw.random() < 0.5:
            older = draw.choice((0, 10**8, 3 * 10**9, 10**10))
            found.append(cause.raw_age == scan.state.dt + older)
    for number, output in scan.state.outputs.items():
        limits = plan.outputs[number]
        share = draw.random() * 0.9 + 0.01
        wish = float(limits["low"] + share * (limits["high"] - limits["low"]))
        found.append(output.wanted == real(wish))
        found.append(draw.choice((output.locked, z3.Not(output.locked), output.adopting)))
        found.append(output.released == real(limits["resolution"]) * draw.randint(0, 9))
    return found


def state(scan: Scan, seed: int) -> z3.ModelRef:
    """A state with as many of the nailed things as go together."""
    draw, solver = Random(seed), scan.solver()
    assert solver.check() == z3.sat
    model = solver.model()
    for term in nailed(scan, draw):
        if solver.check(term) == z3.sat:
            model = solver.model()
            solver.add(term)
    return model


@pytest.mark.parametrize("seed", range(6))
def test_the_kernel_does_what_the_model_says_of_the_whole_shipped_unit(scan, seed):
    model = state(scan, seed)
    case = case_of(scan, model)
    outcome = replay(scan.profile.plan, case)
    for index, said in case.acting.items():
        row = outcome.image.causes[index]
        name = scan.profile.causes[index].row
        assert bool(row["active"]) == said["active"], name
        assert bool(row["latched"]) == said["latched"], name
    for index, value in case.released.items():
        size = float(scan.profile.plan.outputs[index]["resolution"])
        name = scan.profile.outputs[index]
        assert outcome.waiting[index] == case.waiting[index], name
        if not case.waiting[index]:
            assert outcome.released[index] == pytest.approx(value, abs=1.001 * size), name


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 200))
def test_the_kernel_does_so_in_many_more_states(scan, seed):
    test_the_kernel_does_what_the_model_says_of_the_whole_shipped_unit(scan, seed)

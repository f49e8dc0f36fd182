"""What the proof says of commands with a batch open is what the kernel does with them.

The solver's formulas of `starves` and `shown` are evaluated beside the kernel's functions; and the
kernel is sent every verb with wild values: none but the end of the guard leaves cells without.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
import z3
from kernel_bench import Bench, shipped, shipped_profile

from controller.field.ring import Why
from controller.field.verbs import Verb
from controller.profile.plan import Mode
from controller.profile.prove.environment import _drive, _shown, _starves
from controller.profile.prove.terms import real, value_of

PROFILE = shipped_profile()
PLAN = PROFILE.plan
DRIVERS = [PROFILE.loops.index(name) for name in ("TIC103", "DIC101")]
GUARD = PROFILE.model.unit.guard


@pytest.mark.parametrize("loop", DRIVERS)
def test_what_starves_cells_is_what_the_kernel_refuses(loop):
    bench, demand, model = shipped(), z3.Real("asked"), _model()
    formula, row, draw = _starves(PROFILE, loop, demand), PLAN.loops[loop], Random(loop)
    assert bench.do(Verb.SET_MODE, loop, float(Mode.MANUAL)) is None
    starving = 0
    for _ in range(150):
        value = round(draw.choice((draw.uniform(row["low"], row["high"]), draw.uniform(0, 9))), 3)
        model.update_value(demand, real(value))
        answer = bench.do(Verb.SET_OP, loop, value)
        starving += answer is Why.KEEPS_CELLS_ALIVE
        assert value_of(model, formula) == (answer is Why.KEEPS_CELLS_ALIVE), value
    assert starving > 5


@pytest.mark.parametrize("loop", DRIVERS)
def test_what_the_outputs_show_is_what_the_kernel_starts_from(loop):
    bench, draw, model = shipped(running=False), Random(loop), _model()
    drive, _ = _drive(PROFILE, loop)
    formula, image = _shown(PROFILE, loop, drive), bench.image
    for _ in range(60):
        assert bench.do(Verb.SET_MODE, loop, float(Mode.OFF)) is None
        model.update_value(drive.demand, real(float(image.loops[loop]["op"])))
        for output, released in drive.released.items():
            limits = PLAN.outputs[output]
            value = round(draw.choice((0.0, draw.uniform(limits["low"], limits["high"]))), 3)
            image.outputs[output]["released"] = value
            model.update_value(released, real(value))
            model.update_value(drive.waits[output], z3.BoolVal(False))
        assert bench.do(Verb.SET_MODE, loop, float(Mode.MANUAL)) is None
        shown = float(image.loops[loop]["op"])
        assert value_of(model, formula) == pytest.approx(shown, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_command_to_the_kernel_leaves_cells_without(seed):
    bench, draw = shipped(), Random(seed)
    for loop in DRIVERS:
        if draw.random() < 0.5:
            assert bench.do(Verb.SET_MODE, loop, float(Mode.AUTO)) is None
    wanting, accepted = _dark(bench), 0
    assert wanting == set()
    for _ in range(300):
        verb, target, value = _command(draw)
        if verb == Verb.SET_FLAG and target == PROFILE.index[GUARD]:
            continue
        accepted += bench.do(verb, target, value) is None
        assert _dark(bench) == set(), (verb, target, value)
    assert accepted > 20


def _dark(bench: Bench) -> set[str]:
    """The actuators and loops of which nothing is wanted, but by a loop in automatic."""
    image, found = bench.image, set()
    for output, limits in enumerate(PLAN.outputs):
        loop = int(limits["loop"])
        by_hand = loop < 0 or image.loops[loop]["mode"] == Mode.OFF
        little = _resolved(image.outputs[output]["request"], limits) < limits["keep"]
        if limits["environment"] == 1 and by_hand and little:
            found.add(PROFILE.outputs[output])
    for loop in DRIVERS:
        state = image.loops[loop]
        if state["mode"] == Mode.MANUAL:
            demand = real(float(state["op"]))
            if z3.is_true(z3.simplify(_starves(PROFILE, loop, demand))):
                found.add(PROFILE.loops[loop])
    return found


def _resolved(request: float, limits: Any) -> float:
    return math.floor(request / limits["resolution"] + 0.5) * float(limits["resolution"])


def _command(draw: Random) -> tuple[Verb, int, float]:
    verb = draw.choice(list(Verb))
    many = {
        Verb.SET_OUTPUT: len(PLAN.outputs), Verb.LOCK: len(PLAN.outputs),
        Verb.SET_FLAG: len(PLAN.signals), Verb.SET_TOTAL: len(PLAN.blocks),
    }.get(verb, len(PLAN.loops) if verb <= Verb.SET_OP else len(PLAN.causes))  # fmt: skip
    value = draw.choice((0.0, 1.0, 2.0, 3.0, 33.0, 40.0, 4.9, 5.0, 0.5, -20.0, 100.0, 59.4, 60.0))
    return verb, draw.randrange(many), value


def _model() -> z3.ModelRef:
    solver = z3.Solver()
    solver.check()
    return solver.model()

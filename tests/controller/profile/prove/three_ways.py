"""One state, three answers: the solver's model, the plain-Python reference, the compiled kernel.

A random story is told to the reference. Between a beat's samples and its causes the state is taken
down as a `Case`; the solver's formulas are evaluated in it, the kernel replays it, the reference
goes on, and all three must say the same of every cause, effect and output.
"""

from __future__ import annotations

import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import z3
from random_plans import Beat, Story
from reference import Reference
from reference_gate import release
from reference_plan import BAD, GOOD, MEAN, NEVER, SIGNAL_BAD, STUCK, Model, sense

from controller.field.replay import replay
from controller.profile.plan import Plan
from controller.profile.prove.case import Case
from controller.profile.prove.scan import Scan
from controller.profile.prove.terms import value_of

DT_FACTS = 2  # a story scans whenever it likes: the first two facts are about when scans come


def named(plan: Plan) -> Any:
    """A profile of which only the names are made up."""
    return SimpleNamespace(
        plan=plan, links=(),
        signals=[f"s{n}" for n in range(len(plan.signals))],
        outputs=[f"o{n}" for n in range(len(plan.outputs))],
        causes=[SimpleNamespace(row=f"{n}") for n in range(len(plan.causes))],
    )  # fmt: skip


class Voices:
    """A unit with its formulas, built once and evaluated in every state."""

    def __init__(self, plan: Plan) -> None:
        self.plan, profile = plan, named(plan)
        self.said: dict[int, float] = {}
        bypassable = frozenset(int(n) for n in plan.causes["bypassable"].nonzero()[0])
        self.scan = scan = Scan(profile, bypassable)
        for output in range(len(plan.outputs)):
            _ = scan.gate[output]
        for cause in range(len(plan.causes)):
            _ = scan.causes[cause]
        self.facts = [*scan.state.facts[DT_FACTS:], *scan.signals.facts]
        solver = z3.Solver()
        solver.check()
        self._model = solver.model()

    def told(self, case: Case) -> z3.ModelRef:
        """The model that is the case; fails if the case is not what every scan leaves behind."""
        for constant, value in self._constants(case):
            if z3.is_const(constant) and constant.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                self._model.update_value(constant, _literal(constant, value))
        wrong = [f for f in self.facts if not z3.is_true(self._model.eval(f, True))]
        assert not wrong, wrong
        return self._model

    def _constants(self, case: Case) -> list[tuple[Any, Any]]:
        scan, state = self.scan, self.scan.state
        found = [(state.dt, case.dt_ns)]
        tables = [
            (state.conditions, case.conditions), (state.causes, case.causes),
            (state.effects, case.effects), (state.outputs, case.outputs),
            (scan.signals.found, case.signals),
        ]  # fmt: skip
        for rows, values in tables:
            for index, row in rows.items():
                found += [(getattr(row, name), values[index][name]) for name in row.__slots__]
        for signal, row in state.said.items():
            found += [(row.value, self.said.get(signal, 0.0)), (row.heard, signal in self.said)]
        found += [(age, case.links[link]) for link, age in scan.signals.link_ages.items()]
        for index, values in case.outputs.items():
            size = float(self.plan.outputs[index]["resolution"])
            found.append((z3.Int(f"o{index} steps"), round(values["released"] / size)))
        return found


def _literal(constant: Any, value: Any) -> Any:
    if z3.is_bool(constant):
        return z3.BoolVal(bool(value))
    if z3.is_int(constant):
        return z3.IntVal(int(value))
    exact = value if isinstance(value, Fraction) else Fraction(repr(float(value)))
    return z3.RealVal(exact)


def on_grid(value: float, size: float) -> float | Fraction:
    """A value that is a whole number of steps but for its floating point, as those steps."""
    steps = round(value / size)
    exact = steps * Fraction(repr(size))
    return exact if abs(value - float(exact)) < 1e-9 * size else value


def taken_down(unit: Reference, before_ns: int) -> Case:
    """The reference's state, between samples and causes."""
    now, model = unit.now, unit.model
    case = Case(now - before_ns)
    for n, signal in enumerate(unit.signals):
        bad = signal.quality == BAD
        case.signals[n] = {
            "value": signal.value if math.isfinite(signal.value) else 0.0, "bad": bad,
            "stuck": bad and signal.reason == STUCK, "age": now - signal.sample_ns,
            "fair": signal.quality == GOOD,
        }  # fmt: skip
    case.links = {n: now - fresh for n, fresh in enumerate(unit.fresh_ns)}
    for n, state in enumerate(unit.comparisons):
        case.conditions[n] = {
            "raw": state.true, "state": state.counts,
            "since_age": now - state.since_ns, "last_age": now - state.last_ns,
        }  # fmt: skip
    for n, row in enumerate(unit.rows):
        case.causes[n] = {
            "raw_on": row.true_since != NEVER, "raw_age": _age(now, row.true_since, case),
            "bad_on": row.blind_since != NEVER, "bad_age": _age(now, row.blind_since, case),
            "active": row.stands, "active_age": now - row.stood_ns, "latched": row.latched,
            "bypassed": row.bypass_until > now,
        }  # fmt: skip
    for n, wish in enumerate(unit.wishes):
        mean = _inside(model, n, wish.mean)
        case.effects[n] = {
            "on": wish.on, "since_age": _age(now, wish.since_ns if wish.on else NEVER, case),
            "confirmed": wish.proof == 1, "failed": wish.proof == 2, "second_on": wish.second,
            "mean": mean, "mean_new": mean,
        }  # fmt: skip
    for n, output in enumerate(unit.outputs):
        limits = model.outputs[n]
        by_request = limits.loop < 0 or unit.modes[limits.loop] == 0
        wanted = output.request if by_request else output.wanted
        lost, waits = not math.isfinite(wanted), bool(output.adopting)
        case.outputs[n] = {
            "released": on_grid(limits.start if waits else output.released, limits.resolution),
            "age": now - output.released_ns, "adopting": waits, "locked": output.locked,
            "reassert": output.reassert, "wanted": limits.start if lost else wanted, "lost": lost,
        }  # fmt: skip
    return case


def _inside(model: Model, effect: int, mean: float) -> float:
    """A mean in its output's range; one that was never taken, or of nothing, is of no effect."""
    if model.effects[effect].op == SIGNAL_BAD:
        return 0.0
    limits = model.outputs[model.effects[effect].output]
    return min(max(mean, limits.low), limits.high) if math.isfinite(mean) else limits.low


def _age(now: int, stamp: int, case: Case) -> int:
    return case.dt_ns if stamp == NEVER else now - stamp


def compare(voices: Voices, unit: Reference, beat: Beat, said: dict[int, float]) -> int:
    """Tells one beat to all three; the outputs that were a matter of rounding half a step.

    `said` is what each signal was when conditions compared it last; it is brought up to date.
    """
    before_ns = unit.now
    unit.now, unit.told, unit.history = beat.now_ns, [], []
    for order in beat.commands:
        unit.carry_out(*order)
    sense(unit, beat.samples)
    case = taken_down(unit, before_ns)
    voices.said = dict(said)
    said |= {n: values["value"] for n, values in case.signals.items() if not values["bad"]}
    for index in range(len(unit.rows)):
        unit.judge(index)
    unit.apply()
    for index in range(len(unit.outputs)):
        release(unit, index)
    for n, row in enumerate(unit.rows):
        case.acting[n] = {"active": bool(row.in_force)}
    taken: dict[int, set[float]] = {}
    for n, wish in enumerate(unit.wishes):
        case.effects[n]["mean_new"] = _inside(unit.model, n, wish.mean)
        effect = unit.model.effects[n]
        if effect.op == MEAN and wish.on and not case.effects[n]["on"]:
            taken.setdefault(effect.output, set()).add(wish.mean)
    outcome = replay(voices.plan, case)
    model = voices.told(case)
    _agree_on_rows(voices, unit, case, model, outcome.image)
    # Two means of one output, of different times, taken in one scan: a case holds only one past.
    return sum(
        _agree_on_output(voices, unit, model, outcome, index)
        for index in range(len(unit.outputs)) if len(taken.get(index, ())) < 2
    )  # fmt: skip


def _agree_on_rows(voices: Voices, unit: Reference, case: Case, model: Any, image: Any) -> None:
    scan = voices.scan
    for n, row in enumerate(unit.rows):
        said = scan.causes[n]
        solver = [bool(value_of(model, term)) for term in (said.active, said.latched, said.bad_on)]
        kernel = [bool(image.causes[n][key]) for key in ("active", "latched")]
        kernel.append(int(image.causes[n]["raw"]) == 2)
        plain = [bool(row.stands), bool(row.latched), row.reached == 2]
        assert solver == kernel == plain, (n, case)
    for n, state in enumerate(unit.comparisons):
        if n in scan.causes.conditions:
            found = scan.causes.conditions[n]
            solver = [bool(value_of(model, term)) for term in (found.raw, found.state)]
            assert solver == [bool(state.true), bool(state.counts)], (n, case)
    for n, wish in enumerate(unit.wishes):
        if n in scan.gate.after:
            after = scan.gate.after[n]
            terms = (after.on, after.confirmed, after.failed, after.second_on)
            solver = [bool(value_of(model, term)) for term in terms]
            plain = [bool(wish.on), wish.proof == 1, wish.proof == 2, bool(wish.second)]
            assert solver == plain, (n, case)


def _agree_on_output(
    voices: Voices, unit: Reference, model: Any, outcome: Any, index: int
) -> int:
    found, size = voices.scan.gate[index], float(voices.plan.outputs[index]["resolution"])
    plain = unit.outputs[index]
    waiting = bool(value_of(model, found.adopting))
    assert waiting == bool(plain.adopting) == outcome.waiting[index], index
    if waiting:
        return 0
    kernel, solver = outcome.released[index], float(value_of(model, found.value))
    close = max(1e-9 * size, 1e-12 * abs(kernel))
    if abs(kernel - solver) <= close and abs(kernel - plain.released) <= close:
        return 0
    # Half a step: a real number is rounded up where a float was a hair below, or the reverse.
    assert abs(kernel - solver) <= size * 1.000001, (index, kernel, solver, plain.released)
    assert abs(kernel - plain.released) <= close, (index, kernel, plain.released)
    return 1


def told_alike(plan: Plan, seed: int, scans: int) -> int:
    """Tells one story of so many scans; how many outputs were a matter of rounding."""
    unit = Reference(Model(plan), 10**15, restarted=seed % 3 == 0)
    voices, rounded = Voices(plan), 0
    story, said = Story(unit, seed), dict[int, float]()
    for _ in range(scans):
        rounded += compare(voices, unit, story.beat(), said)
    return rounded

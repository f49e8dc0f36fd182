"""OQ: what a bad signal means to each row, made from the requirements; all in virtual time.

`trip`: it votes for the trip once it was bad for `bad_after`. `degrade`: one of several is left
out, all of them trip. `ignore`: it never trips the row.
"""

from __future__ import annotations

from hil_sim.qualification.bench import VIRTUAL, Bench
from hil_sim.qualification.chart import said
from hil_sim.qualification.excite import excited
from hil_sim.qualification.plugin import Case, Context, cases
from hil_sim.qualification.protocol import CaseProtocol
from hil_sim.qualification.requirements import Requirements, Rule
from hil_sim.qualification.trips import evidence, trip_rows, trip_time

POLL_S = 4.5  # until a point of the slowest line is known to be bad
EARLY_S = 0.2
KINDS = ("interlock", "protect")
# A silent line, a flag or a window of minutes is no signal somebody can spoil by itself.
WITHOUT = frozenset({"restart", "restart.n2", "supervisor", "supervisor.liquids", "12.total"})


def points_of(rule: Rule, bench: Bench) -> list[str]:
    """The measured points a rule depends on, each once, in its order."""
    found = [point for item in excited(bench, rule) for point in item.points]
    return list(dict.fromkeys(found))


def spoilt(required: Requirements) -> list[Case]:
    """A case for every row with a measured signal and a bad rule that can be shown."""
    return [
        Case(f"OQ-BAD-{rule.row}", f"Row {rule.row}: bad signal, {rule.bad}", (rule.id,), VIRTUAL,
             rule)
        for rule in required.rules
        if rule.kind in KINDS and rule.row not in WITHOUT
        and not all(c.op == "bad" or c.signal.endswith(".age") for c in rule.conditions)
        and not any(c.signal.endswith(".age") for c in rule.conditions)
    ]  # fmt: skip


@cases(spoilt)
def oq_bad_signal(
    subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context
) -> None:
    """One row with its signals bad, one after the other, then all."""
    rule, required = subject, context.requirements
    points = points_of(rule, bench)
    trips = rule.bad == "trip"
    plans = []
    for point in points:
        alone = trips or (rule.bad == "degrade" and len(points) == 1)
        step = protocol.step(f"{point} turns bad at its device" + (
            ", the other conditions stand" if rule.vote == "all" and len(points) > 1 else ""))
        if alone:
            measure = step.measure("time to trip").within(
                rule.bad_after_s - EARLY_S, rule.bad_after_s + required.response_s + POLL_S,
                unit="s")  # fmt: skip
        else:
            measure = step.measure("trips of the row").equals(0)
        plans.append((point, alone, step, measure))
    every = None
    if rule.bad == "degrade" and len(points) > 1:
        step = protocol.step(f"{' and '.join(points)} turn bad")
        every = step, step.measure("time to trip").within(
            rule.bad_after_s - EARLY_S, rule.bad_after_s + required.response_s + POLL_S, unit="s")
    for point, alone, step, measure in plans:
        with step:
            _others(rule, point, bench)
            at_ns = bench.spoil(point)
            wait_s = rule.bad_after_s + required.response_s + POLL_S
            note = (f"Row {rule.row}: requirement {rule.id} v{required.version} asks for "
                    f"bad: {rule.bad} after {rule.bad_after_s:g} s. "
                    f"{said(bench.profile, rule.row, 'bad')}.")  # fmt: skip
            if alone:
                seconds = trip_time(bench, rule, at_ns, wait_s + 5.0)
                measure.take(seconds, note, **evidence(bench, at_ns))
            else:
                bench.wait(wait_s)
                measure.take(len(trip_rows(bench, rule, at_ns)), note, **evidence(bench, at_ns))
        bench.normal()
    if every is not None:
        step, measure = every
        with step:
            at_ns = bench.now_ns
            for point in points:
                bench.spoil(point)
            seconds = trip_time(bench, rule, at_ns, rule.bad_after_s + POLL_S + 8.0)
            measure.take(seconds, **evidence(bench, at_ns))
        bench.normal()


def _others(rule: Rule, point: str, bench: Bench) -> None:
    """What else the vote needs: the flag of the row, and for `all` every other condition."""
    if rule.only_in:
        bench.answer("set_flag", rule.only_in, "1", "qualification")
    if rule.vote != "all":
        return
    if rule.row == "4":
        _warms(bench)
        return
    items = excited(bench, rule)
    for item in items:
        if point in item.points:
            item.inside()
    for item in items:
        if point not in item.points:
            item.beyond()


def _warms(bench: Bench) -> None:
    """The heater above 60 % for eleven minutes, a vessel below its setpoint that does warm up."""
    bench.answer("set_sp", "TIC101", "37")
    bench.force(TT101=34.5, TT102=34.5)
    bench.answer("set_output", "heater", "61")
    for minute in range(12):
        warm = 34.5 + 0.07 * minute
        bench.force(TT101=warm, TT102=warm)
        bench.wait(60.0)

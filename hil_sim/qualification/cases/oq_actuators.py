"""OQ: every output, from the requirements: at a cold start, when it must be safe, and what acts
when its safe value is not proven. In virtual time, each on a unit that was just started.
"""

from __future__ import annotations

from hil_sim.qualification.bench import VIRTUAL, Bench
from hil_sim.qualification.excite import excited
from hil_sim.qualification.plugin import Case, Context, cases
from hil_sim.qualification.protocol import CaseProtocol
from hil_sim.qualification.requirements import ActuatorRule, Requirements, Rule, effect_of
from hil_sim.qualification.trips import (
    effects_at_device,
    evidence,
    meets,
    planned,
    take_effect,
)

GAS = frozenset({"air", "o2", "co2", "n2"})


def outputs(required: Requirements) -> list[Case]:
    """A case for every output."""
    return [Case(f"OQ-ACT-{item.actuator}", f"Output {item.actuator}", (item.id,), VIRTUAL, item)
            for item in required.actuators]  # fmt: skip


@cases(outputs)
def oq_output(
    subject: ActuatorRule, protocol: CaseProtocol, bench: Bench, context: Context
) -> None:
    """Start value, safe value, second final element."""
    item, required = subject, context.requirements
    rule = required.rule(item.by)
    safe = effect_of(f"{item.actuator} = {item.safe:g}")
    cold = protocol.step("A station is started with no batch open")
    start = cold.measure(f"{item.actuator} at the device").equals(f"{item.start:g}")
    trip = protocol.step(f"Row {rule.row} trips")
    at_safe = trip.measure(f"{item.actuator} at the device").equals(f"{item.safe:g}")
    unproven = second = reported = None
    if item.second:
        unproven = protocol.step(
            f"Row {rule.row} trips and nothing proves that {item.actuator} is at {item.safe:g}")
        reported = unproven.measure("NOT CONFIRMED recorded").equals("yes")
        second = planned(unproven, effect_of(item.second), f"second final element, {item.second}")
    with cold:
        fresh = context.benches[VIRTUAL]()
        try:
            value = fresh.at_device(item.actuator)
            start.take(f"{value:g}", **evidence(fresh, 0))
        finally:
            fresh.close()
    with trip:
        at_ns = _trip(bench, rule)
        before = {item.actuator: bench.at_device(item.actuator)}
        told_ns = at_ns if rule.row.endswith("_stuck") else -1
        values = effects_at_device(bench, [safe], before, required.confirm_s + 6.0, told_ns)
        good = meets(safe, values[item.actuator], 0.0)
        at_safe.take(f"{item.safe:g}" if good else f"{values[item.actuator]:.4g}",
                     **evidence(bench, at_ns))  # fmt: skip
    if unproven is None or second is None or reported is None:
        return
    bench.normal()
    with unproven:
        if item.actuator in GAS:
            bench.hurt("line_silent", link="gas_bus")
        bench.show(dict(item.shows))
        bench._shown.update(item.shows)
        at_ns = _trip(bench, rule)
        found = bench.until(
            lambda: bench.since(at_ns, "effect.not_confirmed", output=item.actuator),
            required.confirm_s + 6.0,
        )
        reported.take("yes" if found else "no")
        wanted = effect_of(item.second)
        before = {wanted.output: bench.at_device(wanted.output)}
        values = effects_at_device(bench, [wanted], before, required.confirm_s)
        take_effect(second, wanted, values[wanted.output], 0.0, **evidence(bench, at_ns))


def _trip(bench: Bench, rule: Rule) -> int:
    """Makes the row trip and waits for it."""
    items = excited(bench, rule)
    at_ns = bench.now_ns
    for item in reversed(items) if rule.vote == "all" else items[:1]:
        item.beyond()
    bench.until(lambda: bench.since(at_ns, "cause.active", row=rule.row), rule.delay_s + 5.0)
    return at_ns

"""OQ: close after stop: a valve asked to close waits until the pump behind it stands still."""

from __future__ import annotations

from hil_sim.qualification.bench import VIRTUAL, Bench
from hil_sim.qualification.excite import LINE_UP, POLLED_S, PUMPS
from hil_sim.qualification.plant_state import OUTPUTS
from hil_sim.qualification.plugin import Case, Context, cases
from hil_sim.qualification.protocol import CaseProtocol
from hil_sim.qualification.requirements import Requirements, Rule
from hil_sim.qualification.trips import evidence

KEEPS_S = 8.0  # a pump's request is written after 5 s at most, and then it stands still


def keeps(required: Requirements) -> list[Case]:
    """A case for every valve that is kept open."""
    return [Case(f"OQ-INT-{r.row}", r.title, (r.id,), VIRTUAL, r)
            for r in required.rules if r.row.startswith("keep.")]  # fmt: skip


@cases(keeps)
def oq_keeps(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """The pump runs and its valve is asked to close, then the pump is asked to stop."""
    (effect,), valve = subject.effects, subject.effects[0].output
    pump = PUMPS[subject.conditions[0].signal]
    asked = protocol.step(f"{pump} runs through {valve}; {valve} is asked to close")
    open_ = asked.measure(f"{valve}, at the device").at_least(effect.value)
    stopped = protocol.step(f"{pump} is asked to stop")
    still = stopped.measure(f"{pump}, at the device").at_most(1e-3)
    closed = stopped.measure(f"{valve}, at the device").at_most(1e-3)
    first = stopped.measure(f"{valve} closed before {pump} stopped").equals("no")
    with asked:
        if valve == "xv203":
            by_product(bench, pump)
        bench.wait(POLLED_S)  # the rule goes by the speed that was read, not the one asked for
        at_ns = bench.now_ns
        bench.answer("set_output", valve, "0")
        bench.wait(3.0)
        open_.take(bench.at_device(valve), **evidence(bench, at_ns))
    with stopped:
        at_ns = bench.now_ns
        bench.answer("set_output", pump, "0")
        early = False

        def done() -> bool:
            nonlocal early
            early |= bench.at_device(valve) < 1e-3 < bench.at_device(pump)
            return bench.at_device(valve) < 1e-3 and bench.at_device(pump) < 1e-3

        bench.until(done, KEEPS_S)
        still.take(bench.at_device(pump), **evidence(bench, at_ns))
        closed.take(bench.at_device(valve))
        first.take("yes" if early else "no")


def by_product(bench: Bench, pump: str) -> None:
    """The pump runs by the product line.

    The line-up is confirmed as the recipe has it: pump at rest and waste valve closed first, or it
    would close the waste valve against a pump that turns.
    """
    _there(bench, pump, 0.0)
    _there(bench, "xv202", 0.0)
    bench.answer("set_flag", LINE_UP, "1", "qualification")
    _there(bench, "xv203", 1.0)
    _there(bench, pump, OUTPUTS[pump])


def _there(bench: Bench, output: str, value: float) -> None:
    bench.answer("set_output", output, f"{value:g}")
    bench.until(lambda: abs(bench.at_device(output) - value) < 0.05, KEEPS_S)
    bench.wait(POLLED_S)

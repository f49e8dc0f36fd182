"""OQ: instruments that stand still or drift apart, and pumps that turn and move nothing.

Windows of minutes, so all in virtual time. Each is shown healthy first, for longer than its window,
then as required to be found.
"""

from __future__ import annotations

import re

from hil_sim.qualification.bench import VIRTUAL, Bench
from hil_sim.qualification.plant_state import G_PER_L, OUTPUTS, TARE_G, VOLUME_L, channel_of
from hil_sim.qualification.plugin import Case, Context, cases
from hil_sim.qualification.protocol import CaseProtocol
from hil_sim.qualification.requirements import Requirements, Rule
from hil_sim.qualification.trips import evidence, trip_rows, trip_time
from hil_sim.qualification.virtual_bench import VirtualBench

STILL = re.compile(r"^spread\((\w+), (\d+) min\)$")
DRIFT = re.compile(r"^abs\(mean\((\w+), (\d+) min\) - mean\((\w+), \d+ min\)\)$")
BUCKETS_S = 70.0  # by how much a window of 30 min is seen late
MINUTE_S = 60.0
WEIGHT_G = TARE_G + VOLUME_L * G_PER_L
NET_ML_MIN = 2.97  # more or less than the other pump: 15 g in 5 min, as 10 g are asked for
CREEP_G_MIN = 0.8  # a weight that follows a little: 4 g in 5 min, as 2.5 g are asked for
FOUND_S = (3.0 * 60.0, 4.5 * 60.0)  # until 10 g are asked for; then the row's delay


def _cases(rules: list[Rule]) -> list[Case]:
    return [Case(f"OQ-INT-{r.row}", r.title, (r.id,), VIRTUAL, r) for r in rules]


def still(required: Requirements) -> list[Case]:
    """A case for every instrument that may not show one number for long, but the DO probe's own."""
    return _cases([r for r in required.rules if STILL.match(r.conditions[0].signal)])


@cases(still)
def oq_still(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """It moves by a few digits: nothing. It stands still: found after its window, not before."""
    if not isinstance(bench, VirtualBench):
        raise TypeError("windows of minutes are for virtual time")
    match = STILL.match(subject.conditions[0].signal)
    if match is None:
        raise TypeError(f"row {subject.row} is no row about an instrument that stands still")
    tag, window_s = match[1], MINUTE_S * float(match[2])
    lives = protocol.step(f"{tag} moves by a few digits a minute for {window_s / 60 + 2:g} min, "
                          f"{subject.only_in} set")  # fmt: skip
    none = lives.measure("trips of the row").equals(0)
    stands = protocol.step(f"{tag} shows one number")
    time = stands.measure("time until it is found").within(
        window_s * 0.93, window_s + BUCKETS_S, unit="s")
    bad = stands.measure(f"{tag} turned bad").equals("yes" if subject.spoils else "no")
    with lives:
        at_ns = bench.now_ns
        bench.answer("set_flag", subject.only_in, "1", "qualification")
        bench.wait(window_s + 2 * MINUTE_S)
        none.take(len(trip_rows(bench, subject, at_ns)), **evidence(bench, at_ns))
    with stands:
        bench.still = frozenset({channel_of(tag)})
        at_ns = bench.now_ns
        seconds = trip_time(bench, subject, at_ns, window_s * 1.2)
        time.take(seconds, **evidence(bench, at_ns))
        turned = bench.since(at_ns, "quality.changed", tag=tag, new="bad")
        bad.take("yes" if turned else "no")
        bench.still = frozenset()


def drift(required: Requirements) -> list[Case]:
    """A case for every pair of instruments whose means must agree."""
    return _cases([r for r in required.rules if DRIFT.match(r.conditions[0].signal)])


@cases(drift)
def oq_drift(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """Apart by less than the limit: nothing. Beyond it: found once the mean has followed."""
    condition = subject.conditions[0]
    match = DRIFT.match(condition.signal)
    if match is None:
        raise TypeError(f"row {subject.row} is no row about two means")
    window_s = MINUTE_S * float(match[2])
    near_s = window_s + subject.delay_s + 2 * MINUTE_S
    near = protocol.step(f"{match[3]} is {0.8 * condition.limit:g} {condition.unit} beside "
                         f"{match[1]} for {near_s / 60:g} min")  # fmt: skip
    none = near.measure("trips of the row").equals(0)
    far = protocol.step(f"{match[3]} is {1.3 * condition.limit:g} {condition.unit} beside it")
    time = far.measure("time until it is found").within(
        0.3 * window_s + subject.delay_s, window_s + MINUTE_S + subject.delay_s, unit="s"
    )
    back = protocol.step("They agree again")
    gone = back.measure("row").equals("gone by itself")
    channel = channel_of(match[3])
    level = {"TT102": 37.0, "LT101": VOLUME_L}[channel]
    with near:
        at_ns = bench.force(**{channel: level + 0.8 * condition.limit})
        bench.wait(near_s)
        none.take(len(trip_rows(bench, subject, at_ns)), **evidence(bench, at_ns))
    with far:
        at_ns = bench.force(**{channel: level + 1.3 * condition.limit})
        time.take(trip_time(bench, subject, at_ns, 2 * window_s), **evidence(bench, at_ns))
    with back:
        at_ns = bench.force(**{channel: level})
        found = bench.until(
            lambda: bench.since(at_ns, "cause.cleared", row=subject.row), 2 * window_s, 2.0
        )
        gone.take("gone by itself" if found else "stands")


def moves(required: Requirements) -> list[Case]:
    """A case for each pump that must move the weight."""
    return _cases([r for r in required.rules if r.row.endswith("_moves")])


@cases(moves)
def oq_moves(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """The pump runs 3 mL/min faster than the other: with a weight that follows, and without."""
    pump = subject.row.removeprefix("p.").removesuffix("_moves")
    sign = 1.0 if pump == "feed" else -1.0
    rate = f"{OUTPUTS[pump] + NET_ML_MIN:g}"
    follows = protocol.step(f"{pump} at {rate} mL/min for 15 min, the weight follows a little")
    none = follows.measure("trips of the row").equals(0)
    deaf = protocol.step(f"{pump} at {rate} mL/min, the weight stands")
    early_s, late_s = (part + subject.delay_s for part in FOUND_S)
    time = deaf.measure("time until it is found").within(early_s, late_s, unit="s")
    with follows:
        at_ns = bench.now_ns
        bench.answer("set_output", pump, rate)
        for minute in range(1, 16):
            bench.wait(MINUTE_S)
            bench.show({"WT101": WEIGHT_G + sign * CREEP_G_MIN * minute})
        none.take(len(trip_rows(bench, subject, at_ns)), **evidence(bench, at_ns))
    bench.normal()
    bench.wait(11 * MINUTE_S)
    with deaf:
        at_ns = bench.now_ns
        bench.answer("set_output", pump, rate)
        time.take(trip_time(bench, subject, at_ns, 2 * late_s), **evidence(bench, at_ns))

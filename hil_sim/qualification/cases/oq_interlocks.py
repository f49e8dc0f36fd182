"""OQ: every row of the chart, made from the requirements: limit, delay, effects, alarm, reset.

Each condition is approached from inside its limit (must not trip) and from just beyond (must trip
in the delay's band); the first one is followed through to the devices, the record and the reset.
"""

from __future__ import annotations

from contextlib import suppress

from hil_sim.qualification.bench import LIVE, PUMP_ADDRESS, VIRTUAL, Bench
from hil_sim.qualification.excite import Excited, excited, slack_s
from hil_sim.qualification.plugin import Case, Context, cases
from hil_sim.qualification.protocol import CaseProtocol, Measurement, Step
from hil_sim.qualification.requirements import Requirements, Rule
from hil_sim.qualification.trips import (
    early_words,
    effect_words,
    effects_at_device,
    evidence,
    late_words,
    meets,
    no_trip_words,
    planned,
    prepared,
    released,
    take_effect,
    trip_rows,
    trip_time,
)

# Rows whose conditions are no instrument at a limit: cases of their own.
SPECIAL = frozenset({
    "permit.heater", "permit.base", "p.do_still", "p.do_deaf", "4", "9", "12.total",
    "restart", "restart.n2", "supervisor", "supervisor.liquids", "hold.n2", "hold.gas",
    "hold.product", "hold.harvest", "hold.liquids", "path.feed", "path.perfusate", "path.base",
    "keep.xv201", "keep.xv202", "keep.xv203", "keep.xv204", "p.ph_still", "p.t1_noise",
    "p.t2_noise", "p.pressure_noise", "p.weight_noise", "p.t_drift", "p.volume_drift",
    "p.feed_moves", "p.perfusate_moves",
})  # fmt: skip
UNPROVEN = frozenset({"12.rate", "p.xv201", "p.xv202", "p.xv204"})
LIVE_S_MAX = 8.0  # a condition that takes longer is executed in virtual time
INSIDE_S = 1.5
PUMP_NS = 200_000_000  # a pump that is safe already is told so again with the trip
SMOKE = frozenset({"5", "6"})


def ordinary(required: Requirements) -> list[Case]:
    """A case for every row whose conditions are instruments, contacts, flags or lines."""
    found = []
    for rule in required.rules:
        if rule.row in SPECIAL:
            continue
        # The hold's own delay is waited for in virtual time, and what goes only after minutes.
        mean = any(effect.op == "mean" for effect in rule.effects)
        # A pump that turned against its closed valve leaves row 19 standing for ten minutes, and so
        # does a valve that a running pump needs and whose contacts do not say that it is open.
        stuck = rule.row.endswith("_stuck") or rule.row in UNPROVEN
        long = mean or stuck or max(rule.delay_s, rule.off_delay_s, rule.hold_after_s) > LIVE_S_MAX
        where = VIRTUAL if long or (rule.only_in and rule.delay_s > 5.0) else LIVE
        found.append(Case(
            f"OQ-INT-{rule.row}", f"Row {rule.row}: {rule.title}", (rule.id,), where, rule,
            rule.row in SMOKE,
        ))  # fmt: skip
    return found


@cases(ordinary)
def oq_row(subject: Rule, protocol: CaseProtocol, bench: Bench, context: Context) -> None:
    """One row, as required."""
    Execution(subject, protocol, bench, context.requirements).execute()


class Execution:
    """The steps of one row on one bench, planned first."""

    def __init__(
        self, rule: Rule, protocol: CaseProtocol, bench: Bench, required: Requirements
    ) -> None:
        self.rule, self.protocol, self.bench, self.required = rule, protocol, bench, required
        self.items = excited(bench, rule)
        self.band: dict[int, tuple[float, float]] = {}

    def execute(self) -> None:
        """Plans everything, then does it."""
        plans = [self._plan_condition(index, item) for index, item in enumerate(self.items)]
        follow = self._plan_follow()
        for index, (item, (inside, trips, beyond, time)) in enumerate(
            zip(self.items, plans, strict=True)
        ):
            self._inside(item, inside, trips)
            before = prepared(self.bench, self.rule)
            tripped = self._beyond(item, beyond, time)
            if index == 0 and tripped is not None:
                self._follow(item, follow, tripped, before)
            self.bench.normal()

    # -- the plan ---------------------------------------------------------------------------

    def _plan_condition(
        self, index: int, item: Excited
    ) -> tuple[Step, Measurement, Step, Measurement]:
        rule, step = self.rule, self.protocol.step
        others = " while the others stand" if rule.vote == "all" and len(self.items) > 1 else ""
        low, high = item.words(item.at(-1.0)), item.words(item.at(1.0))
        valid = f", {rule.only_in} set" if rule.only_in else ""
        word = f"{item.signal} at {low}" if item.analog else f"{item.condition.text} does not hold"
        inside = step(f"{word}{others}{valid}, for {self._quiet_s:g} s")
        trips = inside.measure("trips of the row").equals(0)
        word = f"{item.signal} to {high}" if item.analog else f"{item.condition.text} is made true"
        beyond = step(f"{word}{others}{valid}")
        delay, slack = self._delay_s(item), slack_s(self.bench, item)
        self.band[index] = (max(0.0, delay - slack), delay + self.required.response_s)
        time = beyond.measure("time to trip").within(*self.band[index], unit="s")
        return inside, trips, beyond, time

    def _delay_s(self, item: Excited) -> float:
        return self.rule.delay_s + (item.condition.limit if item.signal.endswith(".age") else 0.0)

    @property
    def _quiet_s(self) -> float:
        return self.rule.delay_s + INSIDE_S

    def _plan_follow(self) -> dict[str, tuple[Step, list[Measurement]]]:
        rule, step = self.rule, self.protocol.step
        found: dict[str, tuple[Step, list[Measurement]]] = {}
        if rule.effects:
            act = step(f"Effects at the devices, within {self.required.confirm_s:g} s of the trip")
            found["effects"] = act, [planned(act, e) for e in rule.effects]
        log = step("Record, alarm and procedure after the trip")
        wanted = sorted({e.output for e in (*rule.effects, *rule.requested)})
        # Beside the devices, because another row may ask for the same: these are the row's own.
        measures = [
            log.measure("trip recorded").equals(1) if rule.kind == "procedure"
            else log.measure("alarm").equals(rule.priority),
            log.measure("effects recorded").equals(", ".join(wanted) or "none"),
        ]  # fmt: skip
        if rule.action == "hold" and not rule.hold_after_s:
            measures.append(log.measure("procedure").equals("Held"))
        found["record"] = log, measures
        if rule.hold_after_s:
            late = step(f"The cause stands for {rule.hold_after_s:g} s")
            asks = late.measure("time from trip to the row asking for Hold").within(
                rule.hold_after_s - 1.0, rule.hold_after_s + self.required.response_s, unit="s"
            )
            found["hold"] = late, [asks]
        if rule.never_bypass:
            odd = step("Two people ask for a bypass of the row")
            found["bypass"] = odd, [odd.measure("answer").equals("refused")]
        if rule.kind == "protect":
            stands = step("A person resets the row while its cause stands")
            found["early"] = stands, [stands.measure("reset").equals("refused")]
        gone = step("The cause is removed")
        if rule.kind == "protect":
            found["gone"] = gone, [gone.measure("row").equals("latched")]
            reset = step("A person resets the row, with a reason")
            done = reset.measure("row").equals("reset")
            none = reset.measure("outputs started by the reset").equals("none")
            found["reset"] = reset, [done, none]
        else:
            found["gone"] = gone, [gone.measure("row").equals("gone by itself")]
        return found

    # -- the actions ------------------------------------------------------------------------

    def _others(self, item: Excited) -> None:
        """For `all` of several: every other condition is made to hold, and the flag is set."""
        rule, bench = self.rule, self.bench
        if rule.only_in:
            bench.answer("set_flag", rule.only_in, "1", "qualification")
        if rule.vote == "all":
            for other in self.items:
                if other is not item:
                    other.beyond()

    def _inside(self, item: Excited, step: Step, trips: Measurement) -> None:
        with step:
            item.inside()
            self._others(item)
            at_ns = item.inside()
            self.bench.wait(self._quiet_s)
            found = trip_rows(self.bench, self.rule, at_ns)
            note = early_words(self.rule, item, self.required, self.bench, found) if found else ""
            trips.take(len(found), note, **evidence(self.bench, at_ns))

    def _beyond(self, item: Excited, step: Step, time: Measurement) -> int | None:
        rule, bench = self.rule, self.bench
        with step:
            at_ns = item.beyond()
            limit_s = (time.high or 0.0) + max(3.0, rule.delay_s)
            seconds = trip_time(bench, rule, at_ns, limit_s)
            note = ""
            if seconds is not None and not time.meets(seconds):
                note = late_words(rule, self.required, bench, seconds)
            kept = evidence(bench, at_ns)
            if seconds is None:
                note = no_trip_words(rule, item, self.required, bench)
            time.take(seconds, note, **kept)
        return None if seconds is None else at_ns + round(seconds * 1e9)

    def _follow(
        self, item: Excited, plan: dict[str, tuple[Step, list[Measurement]]], at_ns: int,
        before: dict[str, float],
    ) -> None:  # fmt: skip
        rule, bench = self.rule, self.bench
        if "effects" in plan:
            self._effects(item, plan["effects"], at_ns, before)
        self._record(plan["record"], at_ns)
        if "hold" in plan:
            step, (measure,) = plan["hold"]
            with step:
                wait_s = rule.hold_after_s + self.required.response_s + 5.0
                held = bench.until(
                    lambda: bench.since(at_ns, "row.asks", row=rule.row), wait_s, 1.0
                )
                measure.take((int(held[0]["mono_ns"]) - at_ns) / 1e9 if held else None)
        if "bypass" in plan:
            step, (measure,) = plan["bypass"]
            with step:
                result, why = bench.answer("bypass", rule.row, "600;watched by hand",
                                            "qualification")
                measure.take(result, why)
        self._reset(item, plan, at_ns)

    def _effects(
        self, item: Excited, plan: tuple[Step, list[Measurement]], at_ns: int,
        before: dict[str, float],
    ) -> None:  # fmt: skip
        rule, bench = self.rule, self.bench
        step, measures = plan
        with step:
            stuck_ns = at_ns - PUMP_NS if item.stuck else -1
            values = effects_at_device(
                bench, rule.effects, before, self.required.confirm_s, stuck_ns
            )
            kept = evidence(bench, at_ns)
            for effect, measure in zip(rule.effects, measures, strict=True):
                value = values[effect.output]
                note = effect_words(rule, effect, self.required, bench, value)
                take_effect(measure, effect, value, before[effect.output], note, **kept)

    def _record(self, planned: tuple[Step, list[Measurement]], at_ns: int) -> None:
        rule, bench = self.rule, self.bench
        step, measures = planned
        with step:
            for measure in measures:
                if measure.name == "alarm":
                    found = bench.until(
                        lambda: bench.since(at_ns, "alarm.state", alarm=f"row:{rule.row}"), 2.0
                    )
                    measure.take(found[0]["data"]["priority"] if found else "none")
                elif measure.name == "effects recorded":
                    names = {row["data"]["output"] for row in
                             bench.since(at_ns, "effect.applied", row=rule.row)}  # fmt: skip
                    measure.take(", ".join(sorted(names)) or "none")
                elif measure.name == "procedure":
                    bench.until(lambda: bench.procedure == "Held", 3.0)
                    measure.take(bench.procedure)
                else:
                    measure.take(len(trip_rows(bench, rule, at_ns)))

    def _reset(
        self, item: Excited, plan: dict[str, tuple[Step, list[Measurement]]], at_ns: int
    ) -> None:
        rule, bench = self.rule, self.bench
        if "early" in plan:
            step, (measure,) = plan["early"]
            with step:
                since = bench.now_ns
                bench.ask({"verb": "reset", "target": rule.row, "reason": "qualification"})
                refused = bench.until(
                    lambda: bench.since(since, "cause.reset_refused", row=rule.row), 3.0
                )
                measure.take("refused" if refused else "not refused")
        step, (measure,) = plan["gone"]
        with step:
            since = bench.now_ns
            self._remove(item)
            if rule.kind == "protect":
                bench.until(lambda: bench.standing().get(rule.row) == "latched", 8.0)
                measure.take(bench.standing().get(rule.row, "gone"))
            else:
                gone = released(bench, rule, since, rule.off_delay_s + 8.0)
                measure.take("gone by itself" if gone else bench.standing().get(rule.row, "stands"))
        if "reset" not in plan:
            return
        step, (row, started) = plan["reset"]
        with step:
            since = bench.now_ns
            bench.answer("reset", rule.row, "", "qualification")
            done = bench.until(lambda: bench.since(since, "cause.reset", row=rule.row), 3.0)
            row.take("reset" if done else bench.standing().get(rule.row, "gone"))
            bench.wait(1.0)
            asked = {e.output for other in self.required.rules if other.kind == "procedure"
                     for e in other.effects if e.op == ">="}  # fmt: skip
            stuck = PUMP_ADDRESS if item.stuck else {}
            moved = [e.output for e in rule.effects
                     if e.op == "=" and e.output not in asked and e.output not in stuck
                     and not meets(e, bench.at_device(e.output), 0.0)]  # fmt: skip
            started.take(", ".join(moved) or "none")

    def _remove(self, item: Excited) -> None:
        """The cause goes: the signal is brought as far inside as required, or the switch back."""
        if item.analog:
            back = self.rule.back + 2 * item.margin
            item.to(item.condition.limit - item.sign * back)
        else:
            with suppress(KeyError):
                item.inside()

"""Random small units as Plans, and random stories for them that sit densely on every boundary.

A story knows the reference it is told to: it puts values on a limit, one ulp and one hysteresis
beside it, and scans at the nanosecond a delay is over, one before and one after. The same seed
tells the same story.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from reference import Reference

from controller.core.signal import Reason
from controller.field.verbs import Verb
from controller.profile.plan import (
    BadRule,
    CauseKind,
    CompareOp,
    EffectOp,
    Mode,
    Plan,
    SignalKind,
    table,
)

MS, S = 1_000_000, 1_000_000_000
PERIOD = 100 * MS
FOREVER = 1 << 61
DELAYS = (0, 0, 1, 100 * MS, 300 * MS, S, 35 * S)
WEIRD = (math.nan, math.inf, -math.inf, 1e300, -100.0, 100.0, 100.00000000000001, 5e-324, -0.0)
STEPS = (PERIOD, PERIOD, PERIOD, 1, S, 30 * S, 300 * S)
PATIENT = (30 * S, 30 * S, 30 * S + 1, 31 * S, PERIOD)  # for what is remembered of ten minutes
Rows = list[dict[str, Any]]


class Drawn:
    """The tables of one random unit while they are drawn."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        draw = self.random
        self.signals: Rows = []
        self.conditions: Rows = []
        self.causes: Rows = []
        self.effects: Rows = []
        self.flags = [self.signal(SignalKind.FLAG) for _ in range(3)]
        self.inputs = [self.signal(SignalKind.INPUT) for _ in range(draw.randint(2, 4))]
        age = self.signal(SignalKind.LINK_AGE)
        self.loop = [self.signal(kind) for kind in
                     (SignalKind.SETPOINT, SignalKind.DEMAND, SignalKind.MODE)]  # fmt: skip
        self.outputs = [self.output() for _ in range(draw.randint(1, 3))]
        kinds = sorted(draw.choices(
            [int(kind) for kind in CauseKind], (2, 2, 4, 5), k=draw.randint(1, 6)))  # fmt: skip
        for kind in kinds:
            self.cause(kind)
        self.links = [{"age_signal": age}]

    def plan(self) -> Plan:
        """The Plan."""
        sp, op, auto = self.loop
        loops = [dict.fromkeys(
            ("fallback", "bad_hold_ns", "gain", "ti_s", "td_s", "n", "beta", "low", "high",
             "rate_max", "deadband", "sp_low", "sp_high", "fallback_value", "feedforward_gain",
             "tracking_s", "first_segment", "n_segments"), 0)
            | dict.fromkeys(("other_pv", "master", "feedforward"), -1)
            | {"pv": self.inputs[0], "period_ns": FOREVER, "sp_signal": sp, "op_signal": op,
               "auto_signal": auto}]  # fmt: skip
        pick = self.random.choice
        unit = {"period_ns": PERIOD, "guard_flag": pick((-1, self.flags[0])),
                "held_flag": pick((-1, self.flags[1])), "restarted_flag": pick((-1, self.flags[2])),
                "supervisor_signal": -1}  # fmt: skip
        return Plan(
            table("signals", self.signals), table("blocks", []), table("terms", []),
            table("conditions", self.conditions), table("causes", self.causes),
            table("effects", self.effects), table("loops", loops), table("segments", []),
            table("outputs", self.outputs), table("links", self.links), table("unit", [unit]),
        )  # fmt: skip

    def signal(self, kind: SignalKind) -> int:
        draw = self.random
        self.signals.append({
            "kind": int(kind), "start": draw.randint(0, 1), "low": -100.0, "high": 100.0,
            "max_age_ns": draw.choice((200 * MS, 2 * S, FOREVER)),
            "rate_max": draw.choice((0.0, 0.0, 0.0, 50.0)),
        })  # fmt: skip
        return len(self.signals) - 1

    def asked(self) -> int:
        """The signal of what is asked of an output; not every one has it."""
        return self.signal(SignalKind.ASKED) if self.random.random() < 0.5 else -1

    def output(self) -> dict[str, Any]:
        draw = self.random
        low = draw.choice((0.0, -2.0, -0.35))
        size = draw.choice((0.1, 0.9, 1.0, 0.25, 0.00035))
        high = low + draw.choice((60.0, 1.0, 20 * size, 7.3 * size))
        start = math.ceil(low / size) * size
        return {
            "signal": self.signal(SignalKind.OUTPUT), "link": 0, "loop": draw.choice((-1, -1, 0)),
            "interval_ns": draw.choice((0, 0, S, 5 * S)), "environment": draw.randint(0, 1),
            "higher_wins": draw.randint(0, 1), "read_back": draw.randint(0, 1),
            "readback": draw.choice(self.inputs), "asked": self.asked(), "low": low, "high": high,
            "resolution": size,
            "rate_max": draw.choice((0.0, 0.0, 2.0, 0.0001)), "start": start, "safe": start,
            "keep": draw.choice((0.0, low + 0.4 * (high - low))),
        }  # fmt: skip

    def cause(self, kind: int) -> None:
        draw = self.random
        first, count = len(self.conditions), draw.choice((1, 1, 2, 3))
        rule = draw.choice([int(rule) for rule in BadRule])
        for _ in range(count):
            self.conditions.append({
                "signal": draw.choice([*self.inputs, *self.inputs, *self.flags, self.loop[2]]),
                "op": draw.choice((0, 0, 1, 1, int(CompareOp.IS_BAD))),
                "bad": draw.choice((rule, rule, draw.randint(0, 2))),
                "on_delay_ns": draw.choice((0, 0, *DELAYS)),
                "off_delay_ns": draw.choice((0, 0, *DELAYS)),
                "limit": draw.choice((0.5, 0.5, -3.0, 0.1, 38.5)),
                "hysteresis": draw.choice((0.0, 0.3, 1.0)),
            })  # fmt: skip
        first_effect, number = len(self.effects), len(self.causes)
        if kind == CauseKind.PLAUSIBILITY:
            self.effects.append(self.effect(number, int(EffectOp.SIGNAL_BAD)))
            self.effects[-1]["output"] = draw.choice(self.inputs)
        if kind != CauseKind.PLAUSIBILITY or draw.random() < 0.3:
            for _ in range(draw.choice((0, 1, 1, 2, 3))):
                op = 0 if kind == CauseKind.PERMIT else draw.choice((0, 0, 1, 1, 2, 2, 3))
                self.effects.append(self.effect(number, op))
        flag = lambda: draw.choice((-1, -1, -1, *self.flags))  # noqa: E731
        self.causes.append({
            "kind": kind, "first_condition": first, "n_conditions": count,
            "votes": draw.randint(1, count), "on_delay_ns": draw.choice(DELAYS),
            "bad_delay_ns": draw.choice(DELAYS), "off_delay_ns": draw.choice(DELAYS),
            "valid_flag": draw.choice((-1, -1, *self.flags, self.loop[2])),
            "valid_when": draw.randint(0, 1), "first_effect": first_effect,
            "n_effects": len(self.effects) - first_effect, "action": draw.randint(0, 3),
            "action_delay_ns": draw.choice(DELAYS), "unless_a": flag(), "unless_b": flag(),
            "bypassable": draw.randint(0, 1), "bad_signal": draw.choice((-1, self.inputs[0])),
            "bad_window_ns": draw.choice((0, 60 * S, 600 * S)), "group": draw.choice((-1, 0, 0, 1)),
            "told": draw.choice((-1, -1, -1, *self.inputs)),
        })  # fmt: skip

    def at(self, output: int) -> float:
        """A value an effect may ask of an output: an end of its range, its start, or between."""
        limits, draw = self.outputs[output], self.random
        between = draw.uniform(limits["low"], limits["high"])
        return draw.choice((limits["low"], limits["high"], limits["start"], between, between))

    def effect(self, cause: int, op: int) -> dict[str, Any]:
        draw = self.random
        output, second = (draw.randrange(len(self.outputs)) for _ in range(2))
        same = [effect["value"] for effect in self.effects if effect["output"] == output]
        proved = op != EffectOp.SIGNAL_BAD and draw.random() < 0.5
        return {
            "cause": cause, "op": op, "output": output,
            "confirm_signal": draw.choice(self.inputs) if proved else -1,
            "confirm_op": draw.randint(0, 1), "confirm_ns": draw.choice((0, 200 * MS, 2 * S)),
            "second_output": draw.choice((-1, second)),
            "value": draw.choice((*same, self.at(output))),
            "confirm_limit": draw.choice((0.5, 38.5)), "second_value": self.at(second),
        }  # fmt: skip


def random_plan(seed: int) -> Plan:
    """The unit of a seed."""
    return Drawn(seed).plan()


def stripped(plan: Plan) -> Plan:
    """A compiled unit whose blocks are measured and whose loops never run: its causes, effects and
    outputs are all that is left of it, and every signal they read can be told anything."""
    signals, loops = plan.signals.copy(), plan.loops.copy()
    blocks = signals["kind"] == SignalKind.BLOCK
    signals["kind"][blocks] = SignalKind.INPUT
    signals["max_age_ns"][blocks] = FOREVER
    signals["low"][blocks], signals["high"][blocks] = -1e9, 1e9
    signals["rate_max"] = 0.0
    loops["period_ns"] = FOREVER
    return plan._replace(signals=signals, loops=loops, blocks=plan.blocks[:0].copy())


@dataclass(slots=True)
class Beat:
    """What happens up to one scan: commands as (id, verb, target, value), samples as (link, point,
    quality, reason, sample_ns, value), loop modes, what loops want of their outputs."""

    now_ns: int
    samples: list[tuple[int, int, int, int, int, float]] = field(default_factory=list)
    commands: list[tuple[int, int, int, float]] = field(default_factory=list)
    modes: dict[int, int] = field(default_factory=dict)
    wants: dict[int, float] = field(default_factory=dict)


class Story:
    """An endless story for a reference; tell it each beat before the next is asked for."""

    def __init__(self, unit: Reference, seed: int) -> None:
        self.unit, self.random, self._id = unit, Random(seed), 0
        self.steps = PATIENT if seed % 5 == 4 else STEPS
        model = unit.model
        self.inputs = [row.number for row in model.signals if row.kind == SignalKind.INPUT]
        self.flags = [row.number for row in model.signals if row.kind == SignalKind.FLAG]
        self.values = {number: self.near(number) for number in self.inputs}

    def __iter__(self) -> Iterator[Beat]:
        while True:
            yield self.beat()

    def beat(self) -> Beat:
        """What happens next."""
        draw = self.random
        found = Beat(self.when())
        dark = draw.random() < 0.8 and any(output.adopting for output in self.unit.outputs)
        share = 0.0 if dark else 0.85  # a device that was found says nothing for a while
        samples = [self.sample(n, found.now_ns) for n in self.inputs if draw.random() < share]
        found.samples = sorted(samples, key=lambda sample: sample[0])  # link by link
        if draw.random() < 0.4:
            found.commands = [self.command() for _ in range(draw.randint(1, 2))]
        for number, loop in enumerate(self.unit.model.loops):
            if draw.random() < 0.1:
                mode = draw.choice((0, 1, 2, 3))
                found.modes[number] = mode
                self.unit.modes[number] = mode
                self.unit.signals[loop.auto_signal].value = float(mode >= Mode.AUTO)
            if self.unit.modes[number] and draw.random() < 0.6:
                for output in self.unit.outputs:
                    if output.limits.loop == number:
                        output.wanted = draw.choice((self.wish(output.limits), math.nan))
                        found.wants[output.limits.number] = output.wanted
        return found

    def when(self) -> int:
        """A scan's time: often on the nanosecond something is due, or beside it."""
        now, draw = self.unit.now, self.random
        coming = [due for due in self.due() if now + 1 < due < now + 3600 * S]
        if self.steps is STEPS and coming and draw.random() < 0.6:
            return draw.choice(coming) + draw.choice((-1, 0, 0, 1))
        return now + draw.choice(self.steps)

    def due(self) -> list[int]:
        """When the delays that run now are over."""
        unit, model = self.unit, self.unit.model
        found = [unit.now + PERIOD]
        for row, cause in zip(unit.rows, model.causes, strict=True):
            if row.reached or row.stands:
                found += [row.true_since + cause.on_delay_ns, row.blind_since + cause.bad_delay_ns,
                          row.stood_ns + cause.off_delay_ns,
                          row.tripped_ns + cause.action_delay_ns]  # fmt: skip
            if row.bypass_until:
                found.append(row.bypass_until)
        for state, condition in zip(unit.comparisons, model.conditions, strict=True):
            if state.true or state.counts:
                found += [state.since_ns + condition.on_delay_ns,
                          state.last_ns + condition.off_delay_ns]  # fmt: skip
        for wish, effect in zip(unit.wishes, model.effects, strict=True):
            if wish.on and effect.confirm_signal >= 0:
                found.append(wish.since_ns + effect.confirm_ns)
        for output in unit.outputs:
            found += [output.released_ns + output.limits.interval_ns, output.bucket_end_ns]
        for number in self.inputs:
            signal = unit.signals[number]
            found.append(signal.sample_ns + model.signals[number].max_age_ns)
            found += [signal.sample_ns + cause.bad_delay_ns for cause in model.causes]
        return found

    def sample(self, number: int, now_ns: int) -> tuple[int, int, int, int, int, float]:
        """One sample, mostly of good quality and mostly of now."""
        draw = self.random
        if draw.random() < 0.5:
            self.values[number] = self.near(number)
        quality, reason = 0, 0
        if draw.random() < 0.1:
            quality = draw.choice((1, 2, 2))
            reason = int(draw.choice((Reason.DEVICE, Reason.COMMUNICATION)))
        late = draw.choice((0, 0, 0, 0, 0, 1, 50 * MS, -S))
        link = draw.randrange(len(self.unit.model.links))
        return (link, number, quality, reason, now_ns - late, self.values[number])

    def near(self, number: int) -> float:
        """A value on a limit of the signal, beside it, or anything."""
        draw, model = self.random, self.unit.model
        limits = [(c.limit, c.hysteresis) for c in model.conditions if c.signal == number]
        limits += [(e.confirm_limit, 0.0) for e in model.effects if e.confirm_signal == number]
        if not limits or draw.random() < 0.2:
            return draw.choice((draw.uniform(-5.0, 45.0), draw.choice(WEIRD), 0.0, 1.0))
        limit, hysteresis = draw.choice(limits)
        value = draw.choice((limit, limit + hysteresis, limit - hysteresis, limit + 2, limit - 2))
        return draw.choice((value, math.nextafter(value, 1e9), math.nextafter(value, -1e9)))

    def wish(self, limits: Any) -> float:
        """A value for an output: its ends, what keeps, halves of a step, beyond."""
        draw = self.random
        size = limits.resolution
        bounds = [effect.value + step * size for effect in self.unit.model.effects
                  if effect.output == limits.number and effect.op < EffectOp.SIGNAL_BAD
                  for step in (0, 1)]  # fmt: skip
        value = draw.choice((limits.low, limits.high, limits.keep, limits.keep - 0.5 * size,
                             draw.uniform(limits.low, limits.high), *bounds))  # fmt: skip
        return draw.choice((value, value, math.nextafter(value, 1e9), value + 0.5 * size))

    def command(self) -> tuple[int, int, int, float]:
        """One command, now and then one that was there before or cannot be."""
        draw, model = self.random, self.unit.model
        self._id += draw.choice((1, 1, 1, 1, 1, 0))
        verb = draw.choice((Verb.SET_OUTPUT, Verb.SET_OUTPUT, Verb.SET_FLAG, Verb.RESET, Verb.RESET,
                            Verb.BYPASS, Verb.LATCH, Verb.LOCK))  # fmt: skip
        value = draw.choice((0.0, 1.0, 0.3, 60.0, 3600.0, 3600.1, -1.0, math.nan))
        if verb is Verb.SET_FLAG and self.flags:
            return (self._id, int(verb), draw.choice(self.flags), draw.choice((0.0, 1.0, value)))
        if verb is Verb.SET_OUTPUT:
            target = draw.randrange(len(model.outputs))
            return (self._id, int(verb), target, self.wish(model.outputs[target]))
        many = model.outputs if verb is Verb.LOCK else model.causes
        return (self._id, int(verb), draw.randrange(len(many)), value)

"""Random rows that a board can run, the same rows as a Plan and as a table, and stories for both.

A story is that of the field's tests, on whole microseconds: values on a limit and one ulp
beside it, scans at the microsecond a delay is over, one before and one after, signals bad or old.
"""

from __future__ import annotations

from typing import Any

from random_plans import FOREVER, MS, PATIENT, Beat, Drawn, S, Story
from reference import Reference
from reference_plan import Model

from controller.field.verbs import Verb
from controller.profile.plan import CauseKind, EffectOp, Plan, SignalKind
from firmware_bridge.codes import NONE
from firmware_bridge.table import Cause, Channel, Condition, Effect, Signal, Table

US = 1_000
DELAYS = (0, 0, US, 100 * MS, 300 * MS, S, 35 * S)
AGES = (200 * MS, 2 * S, 4_000 * S)
LEASE_MS = 60_000
TOLD = (Verb.RESET, Verb.RESET, Verb.RESET, Verb.BYPASS, Verb.SET_FLAG)


class BoardRows(Drawn):
    """Interlocks and protects that force channels, over signals the host gives."""

    def plan(self) -> Plan:
        """The Plan of what was drawn; times are whole microseconds."""
        for row in self.signals:
            row.update(low=-1.7e308, high=1.7e308, rate_max=0.0)
            if row["max_age_ns"] == FOREVER:
                row["max_age_ns"] = AGES[2]
        return super().plan()

    def output(self) -> dict[str, Any]:
        return super().output() | {
            "low": 0.0, "high": 1.0, "resolution": 1.0, "rate_max": 0.0,
            "start": 0.0, "safe": 0.0, "keep": 0.0, "interval_ns": 0, "loop": -1, "read_back": 0,
        }  # fmt: skip

    def cause(self, kind: int) -> None:
        kind = self.random.choice((int(CauseKind.INTERLOCK), int(CauseKind.PROTECT)))
        super().cause(kind)
        draw, row = self.random, self.causes[-1]
        for name in ("on_delay_ns", "bad_delay_ns", "off_delay_ns"):
            row[name] = draw.choice(DELAYS)
        first = row["first_condition"]
        for condition in self.conditions[first:]:
            condition["on_delay_ns"] = draw.choice((0, 0, *DELAYS))
            condition["off_delay_ns"] = draw.choice((0, 0, *DELAYS))
            condition["signal"] = draw.choice([*self.inputs, *self.inputs, *self.flags])
        row.update(valid_flag=draw.choice((-1, -1, *self.flags)), told=-1, action=0)

    def effect(self, cause: int, op: int) -> dict[str, Any]:
        found = super().effect(cause, int(EffectOp.FORCE))
        value = self.random.choice((0.0, 0.0, 1.0))
        return found | {"value": value, "confirm_signal": -1, "second_output": -1}


def table_of(plan: Plan) -> tuple[Table, list[int]]:
    """The board's table of a drawn plan, and the kernel's signal behind each of its signals."""
    known = (SignalKind.INPUT, SignalKind.FLAG)
    given = [at for at, row in enumerate(plan.signals) if row["kind"] in known]
    place = {signal: at for at, signal in enumerate(given)}
    us = lambda ns: int(ns) // US  # noqa: E731
    forced = plan.effects["op"] == EffectOp.FORCE
    if not forced.all():
        raise ValueError("only effects that force")
    groups = int(plan.causes["group"].max(initial=-1)) + 1
    return Table(
        tuple(Signal(0, 0, 0, us(plan.signals[at]["max_age_ns"])) for at in given),
        tuple(
            Condition(place[int(c["signal"])], int(c["op"]), int(c["bad"]), 0,
                      us(c["on_delay_ns"]), us(c["off_delay_ns"]), float(c["limit"]),
                      float(c["hysteresis"]))
            for c in plan.conditions
        ),
        tuple(
            Cause(int(c["kind"]), int(c["first_condition"]), int(c["n_conditions"]),
                  int(c["votes"]), us(c["on_delay_ns"]), us(c["bad_delay_ns"]),
                  us(c["off_delay_ns"]), place.get(int(c["valid_flag"]), NONE),
                  int(c["valid_when"]), int(c["first_effect"]), int(c["n_effects"]),
                  int(c["bypassable"]), int(c["group"]) if c["group"] >= 0 else NONE)
            for c in plan.causes
        ),
        tuple(Effect(int(e["output"]), 0, int(e["value"])) for e in plan.effects),
        tuple(
            Channel(0, 0, 0, 0, int(o["higher_wins"]), 0, 0, 0, LEASE_MS)
            for o in plan.outputs
        ),
        (), 0, groups,
    ), given  # fmt: skip


class BoardStory(Story):
    """A story on whole microseconds, of what reaches a board: signals, flags, resets, bypasses."""

    def __init__(self, unit: Reference, seed: int) -> None:
        super().__init__(unit, seed)
        steps = [step for step in self.steps if step % US == 0]
        self.steps = PATIENT if self.steps is PATIENT else (US, *steps)

    def when(self) -> int:
        now, draw = self.unit.now, self.random
        coming = [due for due in self.due() if now + US < due < now + 3600 * S]
        if coming and draw.random() < 0.6:
            return (draw.choice(coming) + draw.choice((-US, 0, 0, US))) // US * US
        return now + draw.choice(self.steps) // US * US

    def sample(self, number: int, now_ns: int) -> tuple[int, int, int, int, int, float]:
        link, point, quality, reason, _, value = super().sample(number, now_ns)
        late = self.random.choice((0, 0, 0, 0, 0, US, 50 * MS, -S))
        return (link, point, quality, reason, now_ns - late, value)

    def beat(self) -> Beat:
        found = super().beat()
        verbs = {int(verb) for verb in TOLD}
        found.commands = [order for order in found.commands if order[1] in verbs]
        return found


def drawn(seed: int) -> tuple[Plan, Model]:
    """The rows of a seed."""
    plan = BoardRows(seed).plan()
    return plan, Model(plan)

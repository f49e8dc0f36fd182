"""Signals as a scan's causes see them: measured ones free, computed ones as their blocks compute.

Exact: LINEAR, DIFF, ABSDIFF, RATIO against a limit, ELSE, SUM, WHILE. Free inside what they can
be: windows, totals, lags and what is held, whose past is long; so a proof holds for every past.
A measured value may be anything in its range with any quality; a good one is not older than its
limit, and never newer than the last answer of its link.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import z3

from controller.profile.plan import UNASKED, BlockOp, CompareOp, SignalKind
from controller.profile.prove.state import State
from controller.profile.prove.terms import Term, any_of, real

NS = 1_000_000_000
AGE_S_MAX = 10**6  # of a silence: longer ones are no other
TOTAL_MAX = 10**9


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal now. `fair`: its quality is good, not only usable. `age` of its sample, in ns."""

    value: Term
    bad: Term
    stuck: Term
    age: Term
    fair: Term


@dataclass(slots=True)
class Signals:
    """The signals that were asked for so far."""

    state: State
    facts: list[Term] = field(default_factory=list)
    found: dict[int, Signal] = field(default_factory=dict)
    link_ages: dict[int, Term] = field(default_factory=dict)
    _blocks: dict[int, Any] = field(default_factory=dict)
    _links: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        profile = self.state.profile
        plan = profile.plan
        self._blocks = {int(block["target"]): block for block in plan.blocks}
        self._links = {
            point.signal: number
            for number, link in enumerate(profile.links)
            for device in link.devices for read in device.reads for point in read.points
        }  # fmt: skip

    def __getitem__(self, index: int) -> Signal:
        if index not in self.found:
            self.found[index] = self._made(index)
        return self.found[index]

    def name(self, index: int) -> str:
        """The signal's name."""
        return self.state.profile.signals[index]

    def compared(self, index: int, op: int, limit: Term) -> Term:
        """Whether a signal's value is above or below a limit."""
        block = self._blocks.get(index)
        if block is not None and block["op"] == BlockOp.RATIO and float(block["p0"]) > 0.0:
            # 100 a / b against a limit, without a product of two unknowns.
            a, b = self[int(block["a"])].value, self[int(block["b"])].value
            left, right = 100 * a, limit * b
            full = z3.RealVal(100)
            if op == CompareOp.ABOVE:
                return z3.If(b >= real(block["p0"]), left > right, full > limit)
            return z3.If(b >= real(block["p0"]), left < right, full < limit)
        value = self[index].value
        return value > limit if op == CompareOp.ABOVE else value < limit

    def link_age(self, link: int) -> Term:
        """For how long a link has said nothing, in ns."""
        if link not in self.link_ages:
            age = z3.Int(f"link {link} silent")
            self.facts += [age >= 0, age <= AGE_S_MAX * NS]
            self.link_ages[link] = age
        return self.link_ages[link]

    def _made(self, index: int) -> Signal:
        row, name = self.state.profile.plan.signals[index], self.name(index)
        kind = SignalKind(int(row["kind"]))
        if kind == SignalKind.BLOCK:
            return self._block(index, self._blocks[index])
        if kind == SignalKind.OUTPUT:
            plan = self.state.profile.plan
            output = int((plan.outputs["signal"] == index).nonzero()[0][0])
            known = self.state.output(output)
            return self._derived(known.released, known.adopting)
        if kind == SignalKind.LINK_AGE:
            plan = self.state.profile.plan
            link = int((plan.links["age_signal"] == index).nonzero()[0][0])
            return self._derived(z3.ToReal(self.link_age(link)) / NS)
        value = z3.Real(name)
        if kind == SignalKind.INPUT:
            return self._measured(index, row, value)
        if kind in (SignalKind.FLAG, SignalKind.MODE):
            self.facts.append(z3.Or(value == 0, value == 1))
        elif kind in (SignalKind.SETPOINT, SignalKind.DEMAND):
            plan, key = self.state.profile.plan, "sp" if kind == SignalKind.SETPOINT else "op"
            loop = plan.loops[int((plan.loops[f"{key}_signal"] == index).nonzero()[0][0])]
            low, high = ("sp_low", "sp_high") if key == "sp" else ("low", "high")
            # A demand that was never computed reads 0.
            inside = z3.And(real(loop[low]) <= value, value <= real(loop[high]))
            self.facts.append(z3.Or(inside, value == 0))
        else:
            self.facts += [value >= 0, value <= AGE_S_MAX]
        return self._derived(value)

    def _derived(self, value: Term, bad: Term | None = None) -> Signal:
        bad = z3.BoolVal(False) if bad is None else bad
        return Signal(value, bad, z3.BoolVal(False), z3.IntVal(0), z3.Not(bad))

    def _measured(self, index: int, row: Any, value: Term) -> Signal:
        name = self.name(index)
        bad, fair = z3.Bool(f"{name} bad"), z3.Bool(f"{name} fair")
        stuck = z3.Bool(f"{name} stuck") if index in self.state.spoiled else z3.BoolVal(False)
        age = z3.Int(f"{name} age")
        self.facts += [
            z3.Or(z3.And(real(row["low"]) <= value, value <= real(row["high"])),
                  z3.And(bad, value == 0)),  # it was never read
            age >= 0,
            z3.Implies(z3.Not(bad), age <= int(row["max_age_ns"])),
            z3.Implies(stuck, bad), z3.Implies(fair, z3.Not(bad)),
        ]  # fmt: skip
        if index in self._links:
            self.facts.append(age >= self.link_age(self._links[index]))
        return Signal(value, bad, stuck, age, fair)

    def _block(self, index: int, block: Any) -> Signal:
        name, op = self.name(index), BlockOp(int(block["op"]))
        plan = self.state.profile.plan
        if op == BlockOp.SUM:
            first, count = int(block["first_term"]), int(block["n_terms"])
            rows = plan.terms[first : first + count]
            terms = [(self[int(term["signal"])], term["weight"]) for term in rows]
            bad = any_of([signal.bad for signal, _ in terms])
            total = z3.Sum(*[real(weight) * signal.value for signal, weight in terms])
            return self._computed(name, total, bad)
        a = self[int(block["a"])]
        b = self[int(block["b"])] if block["b"] >= 0 else None
        if op == BlockOp.ELSE and b is not None:
            return self._computed(name, z3.If(a.bad, b.value, a.value), z3.And(a.bad, b.bad))
        if op == BlockOp.HOLD:
            return self._held(name, a)
        bad = a.bad if b is None else z3.Or(a.bad, b.bad)
        exact = self._exact(op, block, a, b)
        if exact is not None:
            return self._computed(name, exact, bad)
        value = z3.Real(name)
        self._bounded(op, block, a.value, value)
        found = self._computed(name, value, bad)
        stuck = a.stuck if op == BlockOp.MEAN else z3.BoolVal(False)
        return Signal(value, found.bad, stuck, found.age, found.fair)

    def _computed(self, name: str, value: Term, bad: Term) -> Signal:
        age = z3.Int(f"{name} age")
        self.facts += [age >= 0, z3.Implies(z3.Not(bad), age == 0)]
        return Signal(value, bad, z3.BoolVal(False), age, z3.Not(bad))

    def _exact(self, op: BlockOp, block: Any, a: Signal, b: Signal | None) -> Term | None:
        if op == BlockOp.LINEAR:
            return real(block["p0"]) * a.value + real(block["p1"])
        if b is None:
            return None
        if op == BlockOp.DIFF:
            return a.value - b.value
        if op == BlockOp.ABSDIFF:
            return z3.If(a.value >= b.value, a.value - b.value, b.value - a.value)
        if op == BlockOp.WHILE:
            sign = real(block["p1"])
            asked = sign * b.value > sign * real(block["p0"])
            return z3.If(asked, a.value, real(UNASKED))
        return None

    def _held(self, name: str, a: Signal) -> Signal:
        """Its operand while that is good, then what it last said, for as long as it may."""
        old, gone = z3.Real(f"{name} held"), z3.Bool(f"{name} gone")
        bad = z3.And(a.bad, z3.Or(gone, a.stuck))
        return self._computed(name, z3.If(a.bad, old, a.value), bad)

    def _bounded(self, op: BlockOp, block: Any, a: Term, value: Term) -> None:
        """What is sure of a value that depends on a long past."""
        limits = self.state.profile.plan.signals[int(block["a"])]
        if op == BlockOp.LOWEST:
            self.facts.append(value <= a)
        elif op == BlockOp.HIGHEST:
            self.facts.append(value >= a)
        elif op == BlockOp.SPREAD:
            self.facts.append(z3.Or(value >= 0, value == real(block["p0"])))
        low, high = real(limits["low"]), real(limits["high"])
        if op in (BlockOp.LOWEST, BlockOp.HIGHEST, BlockOp.MEAN):
            self.facts += [low <= value, value <= high]
        elif op in (BlockOp.RISE, BlockOp.SPREAD):
            until_full = real(block["p0"])
            self.facts.append(
                z3.Or(z3.And(low - high <= value, value <= high - low), value == until_full)
            )
        else:
            self.facts += [value >= -TOTAL_MAX, value <= TOTAL_MAX]

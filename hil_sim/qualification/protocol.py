"""One case as it is executed: steps, criteria fixed before the first action, actual values.

A module because this order is the point of a qualification: a criterion that was written after the
result is none. Entering the first step fixes the plan; what was not planned cannot be measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

import rfc8785

from controller.core.quantity import decimal_text

PASS, FAIL, NOT_TAKEN = "pass", "fail", "not taken"  # noqa: S105 - verdicts
EVIDENCE_BYTES_MAX = 4 * 1024 * 1024
TEXT_MAX = 1_500


class ProtocolError(Exception):
    """The case broke the rules of execution: measured what was not planned, or planned too late."""


class CriterionFailed(Exception):
    """A case is over with at least one criterion not met; the words say which."""


class Sink(Protocol):
    """Where an execution is recorded; every call is durable before it returns."""

    def planned(self, case: str, plan: Mapping[str, Any], digest: str) -> None:
        """The plan of a case, before its first action."""
        ...

    def evidence(self, case: str, name: str, data: bytes) -> str:
        """Stores a file; returns its SHA-256 in hex."""
        ...

    def step(self, case: str, number: int, state: str) -> str:
        """A step has begun or ended; returns the time, RFC 3339."""
        ...

    def measured(self, case: str, row: Mapping[str, Any]) -> None:
        """One criterion with its actual value and verdict."""
        ...


@dataclass(slots=True)
class Measurement:
    """One criterion. Give exactly one of within, at_most, at_least, equals, before execution."""

    name: str
    step: Step
    unit: str = ""
    kind: str = ""
    low: float | None = None
    high: float | None = None
    wanted: Any = None
    verdict: str = NOT_TAKEN
    actual: str = ""
    note: str = ""
    time: str = ""
    evidence: list[dict[str, str]] = field(default_factory=list)

    def within(self, low: float, high: float, unit: str = "") -> Measurement:
        """The value must lie from `low` to `high`, both included."""
        return self._fix("within", unit, low=low, high=high)

    def at_most(self, high: float, unit: str = "") -> Measurement:
        """The value must not be above `high`."""
        return self._fix("at most", unit, high=high)

    def at_least(self, low: float, unit: str = "") -> Measurement:
        """The value must not be below `low`."""
        return self._fix("at least", unit, low=low)

    def equals(self, wanted: Any, unit: str = "") -> Measurement:
        """The value must be this one."""
        return self._fix("equals", unit, wanted=wanted)

    def _fix(self, kind: str, unit: str, **values: Any) -> Measurement:
        if self.step.protocol.fixed:
            raise ProtocolError(f"{self.name}: a criterion cannot be set after the first action")
        if self.kind:
            raise ProtocolError(f"{self.name}: its criterion is set already")
        self.kind, self.unit = kind, unit
        for name, value in values.items():
            setattr(self, name, value)
        return self

    @property
    def criterion(self) -> str:
        """The criterion in words."""
        unit = f" {self.unit}" if self.unit else ""
        if self.kind == "within":
            return f"{plain(self.low)} to {plain(self.high)}{unit}"
        if self.kind == "equals":
            return f"{plain(self.wanted)}{unit}"
        return f"{self.kind} {plain(self.low if self.high is None else self.high)}{unit}"

    def meets(self, value: Any) -> bool:
        """Whether a value meets the criterion; not a number meets none with limits."""
        if self.kind == "equals":
            return bool(value == self.wanted)
        if value is None or value != value:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def take(self, value: Any, note: str = "", /, **evidence: bytes | str) -> bool:
        """The actual value, once, inside its step; `note` says what a failure means.

        Returns whether the criterion is met. The case goes on, and fails at its end.
        """
        protocol = self.step.protocol
        if protocol.running is not self.step:
            raise ProtocolError(f"{self.name}: measured outside of step {self.step.number}")
        if self.verdict != NOT_TAKEN:
            raise ProtocolError(f"{self.name}: measured twice")
        for name, data in evidence.items():
            raw = data.encode() if isinstance(data, str) else data
            raw = raw[:EVIDENCE_BYTES_MAX]
            digest = protocol.sink.evidence(protocol.case, name, raw)
            self.evidence.append({"name": name, "sha256": digest, "bytes": str(len(raw))})
        self.verdict = PASS if self.meets(value) else FAIL
        self.actual = plain(value) + (f" {self.unit}" if self.unit and value is not None else "")
        self.note = note[:TEXT_MAX] if self.verdict == FAIL or note.startswith("ok:") else ""
        self.time = protocol.sink.step(protocol.case, self.step.number, "measured")
        protocol.sink.measured(protocol.case, {"step": self.step.number, **self.row()})
        return self.verdict == PASS

    def row(self) -> dict[str, Any]:
        """As it stands in the executed protocol."""
        return {"name": self.name, "criterion": self.criterion, "actual": self.actual,
                "verdict": self.verdict, "note": self.note, "time": self.time,
                "evidence": self.evidence}  # fmt: skip


@dataclass(slots=True)
class Step:
    """One step: what is done, and what must come of it. A context manager around its actions."""

    protocol: CaseProtocol
    number: int
    action: str
    measurements: list[Measurement] = field(default_factory=list)
    began: str = ""
    ended: str = ""

    def measure(self, name: str) -> Measurement:
        """Declares a measurement; raises ProtocolError after the first action."""
        if self.protocol.fixed:
            raise ProtocolError(f"{name}: not in the plan, and the plan is fixed")
        if any(m.name == name for m in self.measurements):
            raise ProtocolError(f"{name}: declared twice in step {self.number}")
        found = Measurement(name, self)
        self.measurements.append(found)
        return found

    def __enter__(self) -> Step:
        self.protocol.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.protocol.leave(self)

    def row(self) -> dict[str, Any]:
        """As it stands in the executed protocol."""
        return {"number": self.number, "action": self.action, "began": self.began,
                "ended": self.ended, "measurements": [m.row() for m in self.measurements]}


class CaseProtocol:
    """The protocol of one case in one run."""

    def __init__(self, case: str, sink: Sink) -> None:
        self.case, self.sink = case, sink
        self.steps: list[Step] = []
        self.running: Step | None = None
        self.digest = ""
        self.notes: list[str] = []

    @property
    def fixed(self) -> bool:
        """Whether the plan is fixed: an action was begun."""
        return bool(self.digest)

    def step(self, action: str) -> Step:
        """Declares the next step; raises ProtocolError after the first action."""
        if self.fixed:
            raise ProtocolError(f"step {action!r} is not in the plan, and the plan is fixed")
        self.steps.append(Step(self, len(self.steps) + 1, action))
        return self.steps[-1]

    def plan(self) -> dict[str, Any]:
        """Steps and criteria, without any result."""
        return {"case": self.case, "steps": [
            {"number": s.number, "action": s.action, "criteria": [
                {"name": m.name, "criterion": m.criterion} for m in s.measurements
            ]} for s in self.steps
        ]}  # fmt: skip

    def enter(self, step: Step) -> None:
        """A step begins; the first one fixes the plan."""
        if self.running is not None:
            raise ProtocolError(f"step {step.number} inside step {self.running.number}")
        if not self.fixed:
            open_ = [m.name for s in self.steps for m in s.measurements if not m.kind]
            if open_:
                raise ProtocolError(f"no criterion is set for {', '.join(open_)}")
            plan = self.plan()
            self.digest = hashlib.sha256(rfc8785.dumps(plan)).hexdigest()
            self.sink.planned(self.case, plan, self.digest)
        if step.began:
            raise ProtocolError(f"step {step.number} was executed already")
        self.running = step
        step.began = self.sink.step(self.case, step.number, "begun")

    def leave(self, step: Step) -> None:
        """A step ends, however it ends."""
        self.running = None
        step.ended = self.sink.step(self.case, step.number, "ended")

    def finish(self) -> None:
        """Raises CriterionFailed unless every criterion was measured and met."""
        found = [(s, m) for s in self.steps for m in s.measurements if m.verdict != PASS]
        if not self.steps or not any(s.measurements for s in self.steps):
            raise ProtocolError("a case without a criterion proves nothing")
        if found:
            raise CriterionFailed("\n".join(words(step, m) for step, m in found))


def words(step: Step, item: Measurement) -> str:
    """One criterion that is not met, as people read it."""
    head = f"step {step.number}, {item.name}: expected {item.criterion}, "
    head += f"found {item.actual}" if item.verdict == FAIL else "not measured"
    return f"{head}. {item.note}" if item.note else head


def plain(value: Any) -> str:
    """A value as the record holds it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return decimal_text(value, 6) if value == value and abs(value) != float("inf") else "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "none"
    return "none" if value is None else str(value)

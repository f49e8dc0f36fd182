"""One scan of a unit, of which only what was asked for is built: the slice a question needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import z3

from controller.profile.compile import Profile
from controller.profile.prove.causes import Causes
from controller.profile.prove.gate import Gate
from controller.profile.prove.signals import Signals
from controller.profile.prove.state import State
from controller.profile.prove.terms import Term


@dataclass(slots=True)
class Scan:
    """State before, signals in it, causes and outputs after it."""

    profile: Profile
    bypassed: frozenset[int] = frozenset()
    state: State = field(init=False)
    signals: Signals = field(init=False)
    causes: Causes = field(init=False)
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(self.profile, self.bypassed)
        self.signals = Signals(self.state)
        self.causes = Causes(self.state, self.signals)
        self.gate = Gate(self.state, self.signals, self.causes)

    def facts(self) -> list[Term]:
        """What is true of every state and input of the slice built so far."""
        return [*self.state.facts, *self.signals.facts]

    def solver(self, timeout_ms: int = 20_000) -> z3.Solver:
        """A solver that knows the facts."""
        solver = z3.Solver()
        solver.set("timeout", timeout_ms)
        solver.add(z3.And(*self.facts()))
        return solver

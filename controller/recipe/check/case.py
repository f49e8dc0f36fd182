"""One check of one recipe: what all its parts share, and where things stand in the files.

A phase's steps stand in the unit's file; what calls them, and every structure, in the recipe's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.core.errors import Place
from controller.core.quantity import decimal_text
from controller.recipe.check import questions
from controller.recipe.check.bounds import Span, Words, Worth
from controller.recipe.check.finding import Findings
from controller.recipe.check.flow import Flow, Walk
from controller.recipe.check.plant import Plant
from controller.recipe.check.reason import Scope
from controller.recipe.check.values import Values
from controller.recipe.dimension import NAMED, Dimension
from controller.recipe.expression import Expression
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlRecipe, PhasePlan, Step

_SHOWN = 4  # names an explanation tells the bounds of


@dataclass(slots=True)
class Case:
    """The recipe, the plant, what values can be, the walk through it, its end, and the findings."""

    recipe: ControlRecipe
    plant: Plant
    values: Values
    walk: Walk
    end: Flow
    findings: Findings = field(default_factory=Findings)

    def reached(self) -> Iterator[PhasePlan]:
        """The phases and transitions that some way leads to and nobody skipped."""
        for path, plan in self.recipe.phases.items():
            if path in self.walk.entry and path not in self.walk.skipped:
                yield plan

    def node_place(self, path: str, *keys: str | int) -> Place:
        """Where an element, or a part of it, stands in the recipe."""
        return self.recipe.document.place(*self.recipe.nodes[path].place, *keys)

    def step_place(self, plan: PhasePlan, logic: str, index: int, *keys: str | int) -> Place:
        """Where a step stands: in the unit's file, a transition's in the recipe."""
        if not plan.use:
            return self.recipe.document.place(*plan.place, *("when" if k == "wait" else k
                                                             for k in keys))  # fmt: skip
        offer = self.recipe.offer
        model = offer.classes[plan.use]
        if logic == "leaving" and model.leaving is None:
            logic = "stopping"
        if logic == "stopping" and not model.stopping:
            logic = "aborting"
        return offer.document.place(
            *offer.prefix, "phases", offer.index[plan.use], logic, index, *keys
        )

    def class_place(self, use: str, *keys: str | int) -> Place:
        """Where a class stands in the unit's file."""
        offer = self.recipe.offer
        return offer.document.place(*offer.prefix, "phases", offer.index[use], *keys)

    def steps(self, plan: PhasePlan) -> Iterator[tuple[str, int, Step, Scope]]:
        """Every step of a phase with what it sees. What the other logics see is not followed step
        by step: they may begin at any step of the running logic."""
        loose = self.walk.values.of_phase(plan)
        flow = self.walk.entry[plan.path]
        whole = flow.maybe | self.walk.written(plan.path)
        seen: set[int] = set()
        for logic, steps in sorted(plan.logics.items(), key=lambda item: item[0]):
            if id(steps) in seen:
                continue
            seen.add(id(steps))
            for index, step in enumerate(steps):
                if logic == "running":
                    yield logic, index, step, self.walk.scope(plan, index)
                else:
                    later = Flow(flow.known, whole)
                    yield logic, index, step, later.seen(loose)

    def why(self, expression: Expression, scope: Scope) -> str:
        """What the names of an expression can be, to be put behind what is said of it."""
        words = [f"{name} is {_told(*scope.worth(name))}" for name in sorted(expression.names)]
        words += [
            f"{name} is {_told(*value)}"
            for name, value in scope.constants.items()
            if name in questions.names_of(expression.text)
        ]
        return f": {'; '.join(words[:_SHOWN])}" if words else ""

    def itself(self, condition: Expression, where: Place, path: str) -> bool:
        """Whether a condition compares something with itself; says so."""
        if not questions.with_itself(condition):
            return False
        self.findings.error(
            "itself", f"{condition.text!r} compares something with itself", where,
            "Name what it is to be compared with.", path,
        )  # fmt: skip
        return True


def _told(dimension: Dimension, value: Worth) -> str:
    if value.never:
        return "never known"
    if isinstance(value, Words):
        return "any text" if value.texts is None else " or ".join(map(repr, sorted(value.texts)))
    return told(value, dimension)


def told(span: Span, dimension: Dimension) -> str:
    """Bounds as people read them, e.g. `36 degC to 38 degC`."""
    if span.low == span.high:
        return _number(span.low, dimension)
    infinite = float("inf")
    if span.low == -infinite and span.high == infinite:
        return "anything"
    if span.high == infinite:
        return f"at least {_number(span.low, dimension)}"
    if span.low == -infinite:
        return f"at most {_number(span.high, dimension)}"
    return f"{_number(span.low, dimension)} to {_number(span.high, dimension)}"


def _number(value: float, dimension: Dimension) -> str:
    name = next((name for name, known in NAMED.items() if known == dimension), "")
    return with_unit(value, name) if name else decimal_text(value)

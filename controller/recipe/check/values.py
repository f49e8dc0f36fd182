"""What the unit's variables can ever be worth in a batch: everything that any step or answer sets.

Goes round until nothing new comes; a variable that still grows then can be anything. A module of
its own because it asks of the whole recipe at once, in whatever order things run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from controller.recipe.check import reason
from controller.recipe.check.bounds import ANY, Span, Words, Worth
from controller.recipe.check.plant import Plant
from controller.recipe.check.reason import Scope
from controller.recipe.dimension import NAMED, TEXT, Dimension
from controller.recipe.expression import Expression
from controller.recipe.offer import OF_THE_BATCH
from controller.recipe.plan import ControlRecipe, PhasePlan, PromptStep, SetStep, Step

_ROUNDS = 4
Constants = Mapping[str, tuple[Dimension, Worth]]


@dataclass(slots=True)
class Values:
    """`scope`: names of the whole recipe, with what variables can ever be. Phases add their own."""

    recipe: ControlRecipe
    scope: Scope

    def of_phase(self, plan: PhasePlan) -> Scope:
        """The names a phase's steps see: its parameters; a transition sees the formula."""
        if not plan.use:
            return self.scope
        return replace(self.scope, constants=self._parameters(plan))

    def of_class(self, use: str) -> Scope:
        """The names of a class with every parameter anywhere in its range."""
        own = self.recipe.offer.parameters[use]
        constants: Constants = {
            name: (NAMED[item.dimension], Span(item.low, item.high)) for name, item in own.items()
        }
        return replace(self.scope, constants=constants)

    def _parameters(self, plan: PhasePlan) -> Constants:
        own = self.recipe.offer.parameters[plan.use]
        found: dict[str, tuple[Dimension, Worth]] = {
            name: (NAMED[own[name].dimension], Span(value, value))
            for name, value in plan.values.items()
        }
        for name, later in plan.deferred.items():
            limits = Span(own[name].low, own[name].high)
            value = reason.worth(later.expression, self.scope)
            known = limits.met(value) if isinstance(value, Span) else limits
            default = Span(plan.values[name], plan.values[name])
            found[name] = (
                NAMED[own[name].dimension], replace(known.joined(default), unknown=False)
            )  # fmt: skip
        return found


def values_of(
    recipe: ControlRecipe, plant: Plant, start: Mapping[str, float | str] | None = None
) -> Values:
    """The values of a recipe's names; `start` are variables a running batch has set already.

    A formula parameter that is not fixed may be anything in its range: what a recipe does for a
    value that is given at the opening is no mistake while another one stands.
    """
    dimensions = {name: NAMED[kind] for name, kind in recipe.offer.equipment.tags.items()}
    dimensions |= {name: NAMED[kind] for name, kind in recipe.variables.items()}
    formula: dict[str, tuple[Dimension, Worth]] = {
        name: (NAMED[item.dimension], Span(item.low, item.high))
        if item.value is None or item.source != "fixed"
        else (NAMED[item.dimension], Span(item.value, item.value))
        for name, item in recipe.ranges.items()
    }
    found: dict[str, Worth] = {name: Words(None) for name in OF_THE_BATCH}
    for name, value in (start or {}).items():
        found[name] = Words(frozenset({value})) if isinstance(value, str) else Span(value, value)
    values = Values(recipe, Scope(dimensions, plant.tags, found, formula))
    writers = list(_writers(recipe))
    for number in range(_ROUNDS + 1):
        before = dict(found)
        for plan, step in writers:
            _written(values.of_phase(plan), step, found)
        grown = [name for name, value in found.items() if before.get(name) != value]
        if number == _ROUNDS:
            for name in grown:
                found[name] = (
                    Words(None) if dimensions[name] == TEXT else replace(ANY, unknown=False)
                )
        if not grown:
            break
    return values


def _writers(recipe: ControlRecipe) -> Iterator[tuple[PhasePlan, SetStep | PromptStep]]:
    """Every step that sets a variable; of calls that are alike only one."""
    seen: set[int] = set()
    for plan in recipe.phases.values():
        if id(plan.logics) in seen and not plan.deferred:
            continue
        seen.add(id(plan.logics))
        for steps in plan.logics.values():
            for step in steps:
                if (isinstance(step, PromptStep) and step.into) or (
                    isinstance(step, SetStep)
                    and any(item.verb == "set_variable" for item in step.items)
                ):
                    yield plan, step


def _written(scope: Scope, step: SetStep | PromptStep, found: dict[str, Worth]) -> None:
    if isinstance(step, PromptStep):
        _join(found, step.into, answer(step, scope))
        return
    for item in step.items:
        if item.verb == "set_variable":
            value = item.value
            if isinstance(value, Expression):
                _join(found, item.target, replace(reason.worth(value, scope), unknown=False))
            else:
                _join(found, item.target, Words(frozenset({str(value)})))


def answer(step: PromptStep, scope: Scope) -> Worth:
    """What the answer to a prompt can be."""
    if step.kind == "choose":
        return Words(frozenset(step.options))
    if step.dimension == "text":
        return Words(None)
    low, high = (
        reason.worth(limit, scope) if limit is not None else Span()
        for limit in (step.low, step.high)
    )
    if not isinstance(low, Span) or not isinstance(high, Span):
        return Span()
    return Span(
        low.low if not low.never else -float("inf"), high.high if not high.never else float("inf")
    )


def _join(found: dict[str, Worth], name: str, value: Worth) -> None:
    if value.never:
        return
    old = found.get(name)
    if isinstance(value, Words):
        found[name] = value.joined(old) if isinstance(old, Words) else value
    else:
        found[name] = value.joined(old) if isinstance(old, Span) else value


def sets(step: Step) -> frozenset[str]:
    """The variables a step sets."""
    if isinstance(step, PromptStep):
        return frozenset({step.into} - {""})
    if isinstance(step, SetStep):
        return frozenset(item.target for item in step.items if item.verb == "set_variable")
    return frozenset()

"""Whether a recipe can be run on a unit from its beginning to its end, before anybody signs it.

The loader refuses what cannot be read or compiled; here the compiled recipe is followed on every
way, without running it: what can be reached, what every wait waits for, what is left moving, what
the equipment can do, how long it takes. Every fault is told, with its line and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller.core.errors import BadInput
from controller.recipe.batch import BatchState
from controller.recipe.check import conditions, ends, limits, parallel, structure
from controller.recipe.check.case import Case
from controller.recipe.check.duration import ASSUMED, Duration, durations
from controller.recipe.check.finding import ERROR, WARNING, Finding
from controller.recipe.check.flow import Flow, Walk
from controller.recipe.check.plant import Plant, bare, plant_of
from controller.recipe.check.values import values_of
from controller.recipe.plan import ControlRecipe
from controller.recipe.states import FINAL

_PARTS = (structure, conditions, limits, ends, parallel)
# Warnings about a recipe that people review at leisure, and no change may bring about.
_NOT_IN_A_CHANGE = frozenset({"after-the-end"})


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: errors first, and how long the recipe takes."""

    findings: tuple[Finding, ...]
    durations: tuple[Duration, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps a batch from being opened."""
        return tuple(each for each in self.findings if each.severity == ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What asks for a look."""
        return tuple(each for each in self.findings if each.severity == WARNING)


def check(recipe: ControlRecipe, plant: Plant | None = None) -> Report:
    """Everything that is wrong with a recipe on its unit; without a plant, ranges are not known."""
    case = _case(recipe, plant, Flow(), {}, frozenset())
    return Report(tuple(case.findings), durations(case))


def refuse(recipe: ControlRecipe, plant: Plant) -> None:
    """Raises BadInput for the first error; warnings pass."""
    for found in check(recipe, plant).errors:
        raise found.as_error()


def forward(
    current: ControlRecipe, changed: ControlRecipe, state: BatchState, plant: Plant | None = None
) -> list[BadInput]:
    """What a change would break in what still lies ahead of a running batch.

    `current` is the recipe as it runs, `changed` as it would; `state` is the batch's, with what the
    change would skip. Elements that are over are not asked any more, and what the batch has set is
    set. A fault that `current` has ahead without any skip is not the change's: a skip that broke
    something would have been refused.
    """
    own = {(each.rule, each.path, each.what) for each in _ahead(current, state, plant, ())}
    return [
        each.as_error()
        for each in _ahead(changed, state, plant, state.skipped)
        if (each.rule, each.path, each.what) not in own
    ]


def _ahead(
    recipe: ControlRecipe, state: BatchState, plant: Plant | None, skipped: Iterable[str]
) -> list[Finding]:
    values = {name: found.value for name, found in state.variables.items()}
    start = Flow(known=Flow().known | values.keys(), maybe=Flow().maybe | values.keys())
    case = _case(recipe, plant, start, values, frozenset(skipped))
    return [
        each
        for each in case.findings
        if (each.severity == ERROR or each.rule in _NOT_IN_A_CHANGE)
        and each.rule != "unreachable"  # what a skip makes unneeded endangers nothing
        # What a phase that is over left on still lies ahead.
        and (each.rule == "left-on" or state.node(each.path or recipe.root) not in FINAL)
    ]


def _case(
    recipe: ControlRecipe, plant: Plant | None, start: Flow,
    given: Mapping[str, float | str], skipped: frozenset[str],
) -> Case:  # fmt: skip
    known = bare(recipe.offer.equipment) if plant is None else plant
    values = values_of(recipe, known, given)
    walk = Walk(recipe, known, values, skipped)
    case = Case(recipe, known, values, walk, walk.run(start))
    for part in _PARTS:
        part.check(case)
    return case


__all__ = [
    "ASSUMED",
    "Duration",
    "Finding",
    "Plant",
    "Report",
    "bare",
    "check",
    "forward",
    "plant_of",
    "refuse",
]

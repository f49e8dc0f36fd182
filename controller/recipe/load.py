"""A recipe file and a unit's offer become a frozen control recipe, or a BadInput at a line.

Nothing is left to be found while a batch runs: names, units, ranges, time-outs and sizes are all
checked here, before a batch exists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical, parse
from controller.core.yamltext import Document
from controller.core.yamltext import load as load_yaml
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name, constant_value
from controller.recipe.model import (
    MAX_PHASES,
    MAX_STEPS,
    ControlRecipe,
    FormulaModel,
    NodePlan,
    OperationModel,
    PhaseCallModel,
    PhasePlan,
    RecipeModel,
)
from controller.recipe.offer import Offer, with_unit
from controller.recipe.operators import ExpressionError

Path_ = tuple[str | int, ...]


def load_recipe(
    path: Path, offer: Offer, formula: Mapping[str, str] | None = None
) -> ControlRecipe:
    """The control recipe of a file for a unit; `formula` overrides values within their ranges.

    Raises BadInput with file:line:column for the first fault.
    """
    return compile_recipe(load_yaml(path), offer, formula)


def compile_recipe(
    document: Document, offer: Offer, formula: Mapping[str, str] | None = None
) -> ControlRecipe:
    """As `load_recipe`, from a parsed document."""
    model = document.validate(RecipeModel)
    if model.unit != offer.unit:
        raise document.error(
            f"the recipe is for unit {model.unit!r}, this unit is {offer.unit!r}", "unit"
        )
    values = _formula(model, document, formula or {})
    compiler = _Compiler(document, offer, values)
    compiler.build(model)
    texts = {name: with_unit(item.value, item.dimension) for name, item in values.items()}
    body = json.dumps([document.sha256, offer.sha256, texts], sort_keys=True)
    return ControlRecipe(
        model.recipe, model.version, model.title, model.unit, texts, compiler.nodes,
        compiler.phases, offer.variables, document.sha256, offer.sha256,
        hashlib.sha256(body.encode()).hexdigest(),
    )  # fmt: skip


def checks(document: Document, offer: Offer) -> list[BadInput]:
    """The first fault of a recipe in a list, or an empty list."""
    try:
        compile_recipe(document, offer)
    except BadInput as error:
        return [error]
    return []


@dataclass(frozen=True, slots=True)
class _FormulaValue:
    value: float
    dimension: str


def _formula(
    model: RecipeModel, document: Document, given: Mapping[str, str]
) -> dict[str, _FormulaValue]:
    for name in given:
        if name not in model.formula:
            hint = nearest(name, list(model.formula))
            raise document.error(f"the recipe has no parameter {name!r}. {hint}", "formula")
    return {
        name: _formula_value(name, item, given.get(name, item.value), document)
        for name, item in model.formula.items()
    }


def _formula_value(
    name: str, item: FormulaModel, raw: str | float, document: Document
) -> _FormulaValue:
    key = "value"
    try:
        _, dimension = parse(str(item.value))
        value = canonical(raw, dimension)
        key = "low"
        low = canonical(item.low, dimension)
        key = "high"
        high = canonical(item.high, dimension)
    except ValueError as error:
        raise document.error(str(error), "formula", name, key) from None
    if not low <= value <= high:
        raise document.error(
            f"{name} = {raw} is out of range {item.low} .. {item.high}", "formula", name, "value"
        )
    return _FormulaValue(value, dimension)


@dataclass(slots=True)
class _Compiler:
    document: Document
    offer: Offer
    values: Mapping[str, _FormulaValue]
    nodes: dict[str, NodePlan] = field(default_factory=dict)
    phases: dict[str, PhasePlan] = field(default_factory=dict)
    steps: int = 0

    def build(self, model: RecipeModel) -> None:
        root = model.recipe
        children = tuple(item.unit_procedure for item in model.procedure)
        self._node(root, "procedure", model.title, "", (children,), ("recipe",))
        for number, unit in enumerate(model.procedure):
            place: Path_ = ("procedure", number)
            path = unit.unit_procedure
            operations = tuple(f"{path}/{item.operation}" for item in unit.operations)
            self._node(
                path, "unit_procedure", unit.title, root, (operations,), (*place, "unit_procedure")
            )
            for position, operation in enumerate(unit.operations):
                self._operation(path, operation, (*place, "operations", position))

    def _node(
        self, path: str, level: str, title: str, parent: str,
        branches: tuple[tuple[str, ...], ...], place: Path_,
    ) -> None:  # fmt: skip
        if path in self.nodes:
            raise self.document.error(f"duplicate id {path.rpartition('/')[2]!r}", *place)
        self.nodes[path] = NodePlan(path, level, title, parent, branches)

    def _operation(self, parent: str, model: OperationModel, place: Path_) -> None:
        if bool(model.phases) == bool(model.branches) or not all(model.branches):
            raise self.document.error("an operation has `phases` or full `branches`", *place)
        path = f"{parent}/{model.operation}"
        lists = model.branches or [model.phases]
        branches = tuple(tuple(f"{path}/{call.phase}" for call in calls) for calls in lists)
        self._node(path, "operation", model.title, parent, branches, (*place, "operation"))
        for call, where in _calls(model, place):
            self._phase(path, call, where)

    def _phase(self, parent: str, call: PhaseCallModel, place: Path_) -> None:
        use, path = call.use or call.phase, f"{parent}/{call.phase}"
        if use not in self.offer.classes:
            key = "use" if call.use else "phase"
            hint = nearest(use, list(self.offer.classes))
            raise self.document.error(f"the unit offers no phase {use!r}. {hint}", *place, key)
        values = self._parameters(use, call, place)
        try:
            logics = self.offer.compile_class(use, values)
        except BadInput as error:
            raise self.document.error(
                f"phase {call.phase!r} does not work with these parameters: {error.what} "
                f"({error.where})", *place,
            ) from None  # fmt: skip
        self.steps += len(logics["running"])
        if self.steps > MAX_STEPS:
            raise self.document.error(f"the recipe has more than {MAX_STEPS} steps", *place)
        if len(self.phases) >= MAX_PHASES:
            raise self.document.error(f"the recipe has more than {MAX_PHASES} phases", *place)
        title = call.title or self.offer.classes[use].title
        self._node(path, "phase", title, parent, (), (*place, "phase"))
        own = self.offer.parameters[use]
        texts = {name: with_unit(value, own[name].dimension) for name, value in values.items()}
        self.phases[path] = PhasePlan(path, use, title, texts, logics)

    def _parameters(self, use: str, call: PhaseCallModel, place: Path_) -> dict[str, float]:
        own = self.offer.parameters[use]
        names = {
            name: Name("constant", NAMED[item.dimension], item.value)
            for name, item in self.values.items()
        }
        values = {name: parameter.default for name, parameter in own.items()}
        for name, raw in call.with_.items():
            where = (*place, "with", name)
            if name not in own:
                hint = nearest(name, list(own))
                raise self.document.error(f"{use!r} has no parameter {name!r}. {hint}", *where)
            parameter = own[name]
            try:
                value = constant_value(str(raw), names, parameter.dimension)
            except ExpressionError as error:
                raise self.document.error(f"{name}: {error}", *where) from None
            if not parameter.low <= value <= parameter.high:
                low = with_unit(parameter.low, parameter.dimension)
                high = with_unit(parameter.high, parameter.dimension)
                raise self.document.error(
                    f"{name} = {raw} is out of this unit's range {low} .. {high}", *where
                )
            values[name] = value
        return values


def _calls(model: OperationModel, place: Path_) -> Iterator[tuple[PhaseCallModel, Path_]]:
    for index, call in enumerate(model.phases):
        yield call, (*place, "phases", index)
    for branch, calls in enumerate(model.branches):
        for index, call in enumerate(calls):
            yield call, (*place, "branches", branch, index)

"""A recipe's call of a phase of the unit: parameters with units, within ranges; exceptions.

The only place that turns `{phase: ..., use: ..., with: ...}` into a compiled phase, for a recipe
that is loaded and for a phase that is inserted into a running batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical
from controller.core.yamltext import Document
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Expression, Name, constant_value
from controller.recipe.formula import Formula
from controller.recipe.model import MAX_PHASES, MAX_STEPS, ExceptionModel, ItemModel
from controller.recipe.offer import RECOVERY_NS, Offer, base_names, with_unit
from controller.recipe.operators import ExpressionError
from controller.recipe.plan import Deferred, ExceptionPlan, Path_, PhasePlan

if TYPE_CHECKING:
    from controller.recipe.items import Tree

_UNKNOWN = ("ignore", "act")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the phase's path, its item and place, and the alternatives it may go to."""

    path: str
    item: ItemModel
    place: Path_
    goals: tuple[str, ...]


class Calls:
    """Compiles calls against one unit's offer and one formula."""

    def __init__(self, document: Document, offer: Offer, formula: Formula) -> None:
        self.document, self.offer, self.formula = document, offer, formula
        self._steps = self._phases = 0

    def phase(self, call: Call, tree: Tree) -> PhasePlan:
        """One phase of the control recipe; raises BadInput at the call's line."""
        item, place = call.item, call.place
        use = item.use or str(item.phase)
        if use not in self.offer.classes:
            key = "use" if item.use else "phase"
            hint = nearest(use, list(self.offer.classes))
            raise self._error(f"the unit offers no phase {use!r}. {hint}", (*place, key))
        values, deferred = self._parameters(use, item, place)
        try:
            logics = self.offer.compile_class(use, values)
        except BadInput as error:
            raise self._error(
                f"phase {item.phase!r} does not work with these parameters: {error.what} "
                f"({error.where})", place,
            ) from None  # fmt: skip
        self._steps += len(logics["running"])
        self._phases += 1
        if self._steps > MAX_STEPS:
            raise self._error(f"the recipe has more than {MAX_STEPS} steps", place)
        if self._phases > MAX_PHASES:
            raise self._error(f"the recipe has more than {MAX_PHASES} phases", place)
        kind = self.offer.classes[use]
        return PhasePlan(
            call.path, use, item.title or kind.title, self.texts(use, values), values, logics,
            deferred, self._exceptions(call, tree), item.level,
            self.recovery_ns(item, use, place), kind.protected, self._bounds(use, item), place,
        )  # fmt: skip

    def _bounds(self, use: str, item: ItemModel) -> dict[str, tuple[float, float]]:
        """The unit's ranges; narrower where the recipe registered one for its parameter."""
        found = {}
        for name, own in self.offer.parameters[use].items():
            registered = self.formula.ranges.get(str(item.with_.get(name, "")).strip())
            low, high = own.low, own.high
            if registered is not None:
                low, high = max(low, registered.low), min(high, registered.high)
            found[name] = (low, high)
        return found

    def texts(self, use: str, values: Mapping[str, float]) -> dict[str, str]:
        """Parameter values as people read them."""
        own = self.offer.parameters[use]
        return {name: with_unit(value, own[name].dimension) for name, value in values.items()}

    def recovery_ns(self, item: ItemModel, use: str, place: Path_) -> int:
        """The gap after which a phase is Held; a recipe may only make the class's shorter."""
        most = self.offer.recovery_ns.get(use, RECOVERY_NS)
        if item.recovery is None:
            return most
        try:
            wanted = round(canonical(item.recovery, "time") * 1e9)
        except ValueError as error:
            raise self._error(str(error), (*place, "recovery")) from None
        if not 0 <= wanted <= most:
            raise self._error(
                f"recovery is {item.recovery}; the unit allows from 0 s to "
                f"{with_unit(most / 1e9, 'time')} here", (*place, "recovery"),
            )  # fmt: skip
        return wanted

    def _parameters(
        self, use: str, item: ItemModel, place: Path_
    ) -> tuple[dict[str, float], dict[str, Deferred]]:
        own = self.offer.parameters[use]
        values = {name: parameter.default for name, parameter in own.items()}
        deferred: dict[str, Deferred] = {}
        for name, raw in item.with_.items():
            where = (*place, "with", name)
            if name not in own:
                hint = nearest(name, list(own))
                raise self._error(f"{use!r} has no parameter {name!r}. {hint}", where)
            parameter = own[name]
            try:
                value = constant_value(str(raw), self.formula.names, parameter.dimension)
                later = self._deferred(str(raw), parameter.dimension)
            except ExpressionError as error:
                raise self._error(f"{name}: {error}", where) from None
            if not parameter.low <= value <= parameter.high:
                low = with_unit(parameter.low, parameter.dimension)
                high = with_unit(parameter.high, parameter.dimension)
                raise self._error(
                    f"{name} = {raw} is out of this unit's range {low} .. {high}", where
                )
            values[name] = value
            if later is not None:
                deferred[name] = later
        return values, deferred

    def _deferred(self, text: str, dimension: str) -> Deferred | None:
        names: dict[str, Name] = base_names(self.offer.equipment, self.offer.variables)
        names |= {
            name: Name("constant", NAMED[item.dimension], item.value)
            for name, item in self.formula.ranges.items() if item.value is not None
        }  # fmt: skip
        return self.formula.deferred(text, names, dimension)

    def _exceptions(self, call: Call, tree: Tree) -> tuple[ExceptionPlan, ...]:
        return tuple(
            self._exception(model, (*call.place, "exceptions", index), call, tree)
            for index, model in enumerate(call.item.exceptions)
        )

    def _exception(
        self, model: ExceptionModel, place: Path_, call: Call, tree: Tree
    ) -> ExceptionPlan:
        if (model.row is None) == (model.when is None):
            raise self._error("an exception names a `row` or says `when`", place)
        do = model.do if isinstance(model.do, str) else "go_to"
        if not model.do:
            raise self._error("an exception says what to `do`: hold, abort or {go_to: OPERATION}",
                              (*place, "do"))  # fmt: skip
        target = "" if isinstance(model.do, str) else model.do["go_to"]
        if target:
            known = {goal.rpartition("/")[2]: goal for goal in call.goals}
            if target not in known:
                hint = nearest(target, list(known))
                raise self._error(
                    f"no alternative operation {target!r} in this unit procedure. {hint}",
                    (*place, "do"),
                )
            target = known[target]
            from_here_on = call.goals[call.goals.index(target) :]
            if any(call.path.startswith(f"{one}/") for one in from_here_on):
                raise self._error(
                    f"{call.path} belongs to an alternative itself, which goes only to one that "
                    "stands behind it: else they could go round for ever", (*place, "do"),
                )  # fmt: skip
        condition: Expression | None = None
        if model.when is not None:
            condition = tree.condition(model.when, model.unknown, _UNKNOWN, place, "when")
        elif model.row not in self.offer.equipment.rows:
            rows = self.offer.equipment.rows
            raise self._error(
                f"row {model.row!r} asks nothing of the procedure. "
                f"{nearest(str(model.row), list(rows))}", (*place, "row"),
            )  # fmt: skip
        return ExceptionPlan(model.row or "", condition, model.unknown or "ignore", do, target)

    def _error(self, what: str, place: Path_) -> BadInput:
        return self.document.error(what, *place)

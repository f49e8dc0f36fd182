"""A recipe file and a unit's offer become a frozen control recipe, or a BadInput at a line.

Nothing is left to be found while a batch runs: names, units, ranges, time-outs and sizes are all
checked here, before a batch exists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical
from controller.core.yamltext import Document
from controller.core.yamltext import load as load_yaml
from controller.recipe.calls import Calls
from controller.recipe.formula import Formula
from controller.recipe.items import Tree
from controller.recipe.model import ControlModel, ItemModel, RecipeModel
from controller.recipe.offer import Offer, base_names, with_unit
from controller.recipe.plan import CarePlan, ControlPlan, ControlRecipe, Path_

# Characters that turn text around, have no width, or are none: what is read is not what is there.
_TURNING = frozenset(
    "\x7f\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


def load_recipe(
    path: Path, offer: Offer, formula: Mapping[str, str] | None = None
) -> ControlRecipe:
    """The control recipe of a file for a unit; `formula` gives values within their ranges.

    Raises BadInput with file:line:column for the first fault.
    """
    return compile_recipe(load_yaml(path), offer, formula)


def compile_recipe(
    document: Document, offer: Offer, given: Mapping[str, str] | None = None
) -> ControlRecipe:
    """As `load_recipe`, from a parsed document."""
    model = document.validate(RecipeModel)
    _readable(document, document.data, ())
    _for_this_unit(model, document, offer)
    formula = Formula(
        model, document, offer.variables, given or {}, offer.equipment.tags
    )
    names = {**base_names(offer.equipment, offer.variables), **formula.names}
    tree = Tree(document, Calls(document, offer, formula), names)
    _procedure(model, tree)
    texts = {
        name: with_unit(item.value, item.dimension)
        for name, item in formula.ranges.items()
        if item.source != "sample" and item.value is not None
    }
    body = json.dumps([document.sha256, offer.sha256, texts], sort_keys=True)
    return ControlRecipe(
        model.recipe, model.version, model.title, model.unit, model.unit_version, texts, tree.nodes,
        tree.phases, offer.variables, _controls(model, tree), _care(model, tree), formula.ranges,
        offer, document, document.sha256, offer.sha256, hashlib.sha256(body.encode()).hexdigest(),
    )  # fmt: skip


def checks(document: Document, offer: Offer) -> list[BadInput]:
    """The first fault of a recipe in a list, or an empty list."""
    try:
        compile_recipe(document, offer)
    except BadInput as error:
        return [error]
    return []


def _readable(document: Document, data: object, path: Path_) -> None:
    """A reviewer sees what is there: no character that hides or turns around others."""
    if isinstance(data, str):
        hidden = next((c for c in data if c in _TURNING or (c < " " and c not in "\n\t")), "")
        if hidden:
            raise document.error(
                f"the character {hidden!a} cannot be seen and is not allowed", *path
            )
    elif isinstance(data, dict):
        for key, value in data.items():
            _readable(document, value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _readable(document, value, (*path, index))


def _for_this_unit(model: RecipeModel, document: Document, offer: Offer) -> None:
    if model.unit not in offer.serves:
        raise document.error(
            f"the recipe is for unit {model.unit!r}, this unit is {offer.unit!r}", "unit"
        )
    version = offer.serves[model.unit]
    if "\n" in model.version:
        raise document.error("a version is one line", "version")
    if model.unit_version != version:
        raise document.error(
            f"the recipe was written for version {model.unit_version} of {model.unit}, this is "
            f"version {version}", "unit_version",
            do="Review the recipe against the unit as it is now, then change its unit_version.",
        )  # fmt: skip
    for number, part in enumerate(model.procedure):
        if part.unit not in (None, model.unit):
            raise document.error(
                f"{part.unit!r} is not the recipe's unit: a recipe runs on one unit so far",
                "procedure", number, "unit",
            )  # fmt: skip


def _procedure(model: RecipeModel, tree: Tree) -> None:
    root = model.recipe
    children = tuple(item.unit_procedure for item in model.procedure)
    tree.element(root, "procedure", model.title, "", (children,), ("recipe",))
    later = []
    for number, unit in enumerate(model.procedure):
        place = ("procedure", number)
        path = unit.unit_procedure
        goals = [f"{path}/{item.operation}" for item in unit.alternatives]
        where = (*place, "unit_procedure")
        tree.element(path, "unit_procedure", unit.title, root, (), where)
        branch = tree.operations(path, unit.operations, (*place, "operations"), goals)
        tree.replace(path, (branch,))
        later.append((path, unit.alternatives, (*place, "alternatives"), goals))
    for path, items, where, goals in later:
        for index, item in enumerate(items):
            if item.operation is None:
                raise tree.document.error("an alternative is an operation", *where, index)
            tree.operation(path, item, (*where, index), goals, item.then)


def _care(model: RecipeModel, tree: Tree) -> CarePlan | None:
    found = model.long_hold
    if found is None:
        return None
    try:
        after_ns = round(canonical(found.after, "time") * 1e9)
    except ValueError as error:
        raise tree.document.error(str(error), "long_hold", "after") from None
    if after_ns <= 0:
        raise tree.document.error("a long hold begins after some time", "long_hold", "after")
    item = ItemModel(operation=found.operation, title=found.title, phases=found.phases)
    return CarePlan(tree.operation("", item, ("long_hold",), ()), after_ns)


def _controls(model: RecipeModel, tree: Tree) -> tuple[ControlPlan, ...]:
    found: dict[str, ControlPlan] = {}
    for index, item in enumerate(model.controls):
        if item.control in found:
            raise tree.document.error(
                f"duplicate control {item.control!r}", "controls", index, "control"
            )
        found[item.control] = _control(item, index, tree)
    return tuple(found.values())


def _control(item: ControlModel, index: int, tree: Tree) -> ControlPlan:
    document, variables = tree.document, tree.calls.offer.variables
    if item.of not in variables or variables[item.of] == "text":
        hint = nearest(item.of, [name for name, kind in variables.items() if kind != "text"])
        raise document.error(f"no number {item.of!r} is sampled. {hint}", "controls", index, "of")
    limits: list[float | None] = []
    for key, raw in (("low", item.low), ("high", item.high)):
        try:
            limits.append(None if raw is None else canonical(raw, variables[item.of]))
        except ValueError as error:
            raise document.error(str(error), "controls", index, key) from None
    low, high = limits
    if (low is None and high is None) or (low is not None and high is not None and low >= high):
        raise document.error(
            "a control has a low or a high limit, low below high", "controls", index
        )
    if "retest" in (item.outside[-1], *item.outside[2:]):
        raise document.error(
            "`outside` ends with hold or deviation; a retest may come first", "controls", index,
            "outside",
        )  # fmt: skip
    when = None
    if item.when is not None:
        when = tree.read(item.when, ("controls", index, "when"))
    return ControlPlan(
        item.control, item.title or item.control, item.of, variables[item.of], low, high, when,
        tuple(item.outside),
    )  # fmt: skip

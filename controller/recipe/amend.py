"""The recipe as it really runs: the frozen one with the amendments of a batch.

A pure function of both, so that a batch rebuilt from its log runs the same. Raises BadInput for an
amendment the unit cannot run; a change is tried here before it is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical
from controller.recipe.offer import with_unit
from controller.recipe.plan import Amendment, ControlRecipe, NodePlan, PhasePlan


def amended(recipe: ControlRecipe, amendments: tuple[Amendment, ...]) -> ControlRecipe:
    """The recipe with its amendments, each on top of those before it."""
    if not amendments:
        return recipe
    found = _CACHE.get((recipe, amendments))
    if found is None:
        # Mostly the last one is all that is new.
        before = _CACHE.get((recipe, amendments[:-1]))
        found = recipe if before is None else before
        for amendment in amendments if before is None else amendments[-1:]:
            found = _amended(found, amendment)
        if len(_CACHE) >= _CACHE_MAX:
            _CACHE.clear()
        _CACHE[recipe, amendments] = found
    return found


_CACHE: dict[tuple[ControlRecipe, tuple[Amendment, ...]], ControlRecipe] = {}
_CACHE_MAX = 64


def _amended(before: ControlRecipe, last: Amendment) -> ControlRecipe:
    if last.path in before.phases and last.kind != "insert":
        phase = _with_value(before, before.phases[last.path], last)
        return replace(before, phases={**before.phases, last.path: phase})
    if last.kind == "insert":
        return _with_phase(before, last)
    raise BadInput(f"the procedure has no phase {last.path!r}")


def _with_value(recipe: ControlRecipe, phase: PhasePlan, change: Amendment) -> PhasePlan:
    name = change.name
    if name not in phase.values:
        raise BadInput(
            f"{phase.path} has no parameter {name!r}. {nearest(name, list(phase.values))}"
        )
    dimension = recipe.offer.parameters[phase.use][name].dimension
    values = {**phase.values, name: _number(change.text, dimension, name)}
    _in_range(recipe, phase, name, values[name], dimension)
    deferred = phase.deferred
    if change.kind == "value":
        deferred = {key: found for key, found in deferred.items() if key != name}
    return replace(
        phase, values=values, parameters=_texts(recipe, phase.use, values), deferred=deferred,
        logics=recipe.offer.compile_class(phase.use, values),
    )  # fmt: skip


def _in_range(
    recipe: ControlRecipe, phase: PhasePlan, name: str, value: float, dimension: str
) -> None:
    low, high = phase.bounds[name]
    if not low <= value <= high:
        raise BadInput(
            f"{name} = {with_unit(value, dimension)} is outside its registered range "
            f"{with_unit(low, dimension)} .. {with_unit(high, dimension)}"
        )


def _with_phase(recipe: ControlRecipe, change: Amendment) -> ControlRecipe:
    """A phase behind another element, in the same branch."""
    use, offer = change.name, recipe.offer
    if use not in offer.classes:
        raise BadInput(f"the unit offers no phase {use!r}. {nearest(use, list(offer.classes))}")
    own = offer.parameters[use]
    values = {name: parameter.default for name, parameter in own.items()}
    bounds = {name: (parameter.low, parameter.high) for name, parameter in own.items()}
    for name, text in change.values:
        if name not in own:
            raise BadInput(f"{use!r} has no parameter {name!r}. {nearest(name, list(own))}")
        values[name] = _number(text, own[name].dimension, name)
    kind = offer.classes[use]
    before = recipe.nodes[change.after]
    phase = PhasePlan(
        change.path, use, kind.title, _texts(recipe, use, values), values,
        offer.compile_class(use, values), recovery_ns=offer.recovery_ns[use],
        protected=kind.protected, bounds=bounds, place=before.place,
    )  # fmt: skip
    for name, value in values.items():
        _in_range(recipe, phase, name, value, own[name].dimension)
    node = NodePlan(change.path, "phase", kind.title, before.parent, (), place=before.place)
    return replace(
        recipe, nodes=_nodes(recipe, change, node),
        phases={**recipe.phases, change.path: phase},
    )  # fmt: skip


def _nodes(recipe: ControlRecipe, change: Amendment, new: NodePlan) -> dict[str, NodePlan]:
    if change.path in recipe.nodes:
        raise BadInput(f"{change.path} exists already")
    found: dict[str, NodePlan] = {}
    for path, node in recipe.nodes.items():
        if path == new.parent:
            branches = tuple(_behind(branch, change) for branch in node.branches)
            node = replace(node, branches=branches)
        found[path] = node
    after = change.after
    ordered: dict[str, NodePlan] = {}
    waiting = True
    for path, node in found.items():
        inside = path == after or path.startswith(f"{after}/")
        if waiting and after in ordered and not inside:
            ordered[new.path], waiting = new, False
        ordered[path] = node
    ordered.setdefault(new.path, new)
    return ordered


def _behind(branch: tuple[str, ...], change: Amendment) -> tuple[str, ...]:
    if change.after not in branch:
        return branch
    place = branch.index(change.after) + 1
    return (*branch[:place], change.path, *branch[place:])


def _number(text: str, dimension: str, name: str) -> float:
    try:
        return canonical(text, dimension)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from None


def _texts(recipe: ControlRecipe, use: str, values: Mapping[str, float]) -> dict[str, str]:
    own = recipe.offer.parameters[use]
    return {name: with_unit(value, own[name].dimension) for name, value in values.items()}

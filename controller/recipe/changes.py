"""Changes of a running batch: checked against the equipment and the rules, then one record.

A change is a deviation: who asked and who agreed stands in its record. It never leads past the
phases a unit protects (identity, inoculate, transduce, harvest), and the frozen recipe stays as it
is. A refused change leaves its reason and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput, CellwrightError, Refused, nearest
from controller.core.quantity import canonical, decimal_text
from controller.recipe import tree
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState
from controller.recipe.check import forward
from controller.recipe.decision import Draft
from controller.recipe.offer import with_unit
from controller.recipe.plan import Amendment, ControlRecipe, PhasePlan, amend
from controller.recipe.states import COMPLETE, FINAL, IDLE

KINDS = ("set", "extend", "skip", "repeat", "insert")
AMENDMENTS_MAX = 128
EXTEND_S_MAX = 24 * 3_600
_TEXT_MAX = 200


@dataclass(frozen=True, slots=True)
class Change:
    """What an engineer asks of a running batch.

    set: parameter `name` of the phase at `path` = `value`; extend: its present step by the time
    `value`; skip: the element; repeat: the phase; insert: one of class `name` behind `path`, its
    parameters in `value` as `a=1 h, b=2 L`. `second` is who agreed for quality, `deviation` its
    number.
    """

    kind: str
    path: str
    name: str
    value: str
    actor: str
    role: str = ""
    reason: str = ""
    second: str = ""
    deviation: str = ""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would do: the record's fields, and what it cannot reach any more."""

    path: str
    after: str
    name: str
    old: Any
    new: Any
    amendments: tuple[Amendment, ...]
    notes: tuple[str, ...] = ()


def change(draft: Draft, given: Change) -> None:
    """Records a change, or that and why it is refused."""
    draft.actor, draft.role, draft.reason = given.actor, given.role, given.reason
    try:
        effect = examine(draft.frozen, draft.state, given)
    except CellwrightError as error:
        draft.emit(
            "change.refused", change=given.kind[:40], path=given.path[:_TEXT_MAX],
            name=given.name[:_TEXT_MAX], new=given.value[:_TEXT_MAX], why=error.what,
        )  # fmt: skip
    else:
        draft.emit(
            "recipe.changed", deviation=given.deviation, id=given.id, change=given.kind,
            path=effect.path, after=effect.after, name=effect.name, old=effect.old, new=effect.new,
            check="; ".join(effect.notes) or "the unit can run it", second=given.second,
        )  # fmt: skip
    draft.actor, draft.role, draft.reason = "recipe", "", ""


def examine(frozen: ControlRecipe, state: BatchState, given: Change) -> Effect:
    """What a change would do; changes nothing. Raises Refused or BadInput with the reason."""
    recipe = amended(frozen, state.amendments)
    if given.kind not in KINDS:
        raise BadInput(f"unknown change {given.kind[:40]!r}. {nearest(given.kind, list(KINDS))}")
    if state.node(recipe.root) in (*FINAL, IDLE):
        raise Refused(f"the procedure is {state.node(recipe.root)}: there is nothing to change")
    if any(len(text) > _TEXT_MAX for text in (given.path, given.name, given.value)):
        raise BadInput(f"a change is told in texts of up to {_TEXT_MAX} characters each")
    if given.path not in recipe.nodes:
        raise BadInput(
            f"the procedure has no element {given.path[:80]!r}. "
            f"{nearest(given.path, list(recipe.nodes))}"
        )
    if given.second.strip().casefold() in ("", given.actor.strip().casefold()):
        raise Refused("a change needs a second, independent person")
    effect = _KINDS[given.kind](recipe, state, given)
    if sum(each.kind != "resolved" for each in effect.amendments) > AMENDMENTS_MAX:
        raise Refused(f"there are {AMENDMENTS_MAX} changes already, the most there may be")
    skipped = (*state.skipped, effect.path) if given.kind == "skip" else state.skipped
    faults = forward(recipe, amended(frozen, effect.amendments), replace(state, skipped=skipped))
    if faults:
        raise Refused(f"what lies ahead could not run: {faults[0].what}", do=faults[0].do)
    return effect


def _phase(recipe: ControlRecipe, given: Change) -> PhasePlan:
    found = recipe.phases.get(given.path)
    if found is None or not found.use:
        raise Refused(f"{given.path} is no phase of the unit")
    return found


def _not_protected(recipe: ControlRecipe, path: str, use: str, what: str) -> None:
    if use and recipe.offer.classes[use].protected:
        raise Refused(f"{path} is protected: a {use} is never {what} in a running batch")


def _set(recipe: ControlRecipe, state: BatchState, given: Change) -> Effect:
    phase = _phase(recipe, given)
    now = state.node(phase.path)
    if now in FINAL:
        raise Refused(f"{phase.path} is {now}: a new value would reach nothing")
    if phase.protected and now != IDLE:
        raise Refused(f"{phase.path} is protected and has begun")
    if given.name not in phase.parameters:
        hint = nearest(given.name, list(phase.parameters))
        raise BadInput(f"{phase.path} has no parameter {given.name[:40]!r}. {hint}")
    dimension = recipe.offer.parameters[phase.use][given.name].dimension
    try:
        text = with_unit(canonical(given.value, dimension), dimension)
    except ValueError as error:
        raise BadInput(f"{given.name}: {error}") from None
    new = Amendment("value", phase.path, given.name, text)
    notes = () if now == IDLE else ("steps that are over are not done again",)
    return Effect(
        phase.path, "", given.name, phase.parameters[given.name], text,
        amend(state.amendments, new), notes,
    )  # fmt: skip


def _extend(recipe: ControlRecipe, state: BatchState, given: Change) -> Effect:
    run = state.runs.get(given.path)
    plan = recipe.phases.get(given.path)
    if run is None or plan is None or run.index < 0 or not run.logic:
        raise Refused(f"{given.path} is at no step whose time could be extended")
    step = plan.logics[run.logic][run.index]
    lasts_ns = getattr(step, "timeout_ns", 0) or getattr(step, "duration_ns", 0)
    if not lasts_ns or run.over:
        raise Refused(f"{given.path}: the present step waits for no time")
    try:
        seconds = canonical(given.value, "time")
    except ValueError as error:
        raise BadInput(str(error)) from None
    if not 0 < seconds <= EXTEND_S_MAX:
        raise BadInput(f"a step is extended by up to {EXTEND_S_MAX // 3600} h at a time")
    old = decimal_text((lasts_ns + run.extra_ns) / NS_PER_S)
    new = decimal_text(float(Decimal(str(seconds))))
    return Effect(given.path, "", f"step {run.index + 1}", old, new, state.amendments)


def _skip(recipe: ControlRecipe, state: BatchState, given: Change) -> Effect:
    path = given.path
    if path == recipe.root:
        raise Refused("the procedure itself is stopped, not skipped")
    if recipe.nodes[path].then:
        raise Refused(f"{path} is an alternative: skip the operation it stands for")
    ends = (path, *tree.in_place(recipe, state, path))
    for inner, phase in recipe.phases.items():
        inside = any(tree.below(recipe, inner, one) for one in ends)
        if inside and (inner == path or state.node(inner) != COMPLETE):
            _not_protected(recipe, inner, phase.use, "skipped")
    now = state.node(path)
    if now == COMPLETE or path in state.skipped:
        raise Refused(f"{path} is over already")
    return Effect(path, "", "", now, "skipped", state.amendments)


def _repeat(recipe: ControlRecipe, state: BatchState, given: Change) -> Effect:
    phase = _phase(recipe, given)
    _not_protected(recipe, phase.path, phase.use, "repeated")
    if state.node(phase.path) == IDLE:
        raise Refused(f"{phase.path} has not run yet")
    branch = _branch(recipe, phase.path)
    begun = [path for path in branch if state.node(path) != IDLE]
    effect = _inserted(recipe, state, begun[-1], phase.use, dict(phase.parameters))
    return replace(effect, old=phase.path)


def _insert(recipe: ControlRecipe, state: BatchState, given: Change) -> Effect:
    use = given.name
    if use not in recipe.offer.classes:
        hint = nearest(use, list(recipe.offer.classes))
        raise BadInput(f"the unit offers no phase {use[:40]!r}. {hint}")
    _not_protected(recipe, use, use, "inserted")
    values = {}
    for part in filter(None, (text.strip() for text in given.value.split(","))):
        name, equals, text = part.partition("=")
        if not equals:
            raise BadInput(f"{part[:40]!r} is not NAME=VALUE")
        if name.strip() in values:
            raise BadInput(f"{name.strip()[:40]!r} is given twice")
        values[name.strip()] = text.strip()
    return _inserted(recipe, state, given.path, use, values)


def _inserted(
    recipe: ControlRecipe, state: BatchState, after: str, use: str, values: dict[str, str]
) -> Effect:
    branch = _branch(recipe, after)
    parent = recipe.nodes[after].parent
    behind = branch[branch.index(after) + 1 :]
    if behind and state.node(behind[0]) != IDLE:
        raise Refused(f"{behind[0]} behind {after} has begun: nothing can be put before it")
    if state.node(parent) in FINAL:
        raise Refused(f"{parent} is {state.node(parent)}: nothing can be put into it")
    number = 2
    while (path := f"{parent}/{use}_{number}") in recipe.nodes:
        number += 1
    new = Amendment("insert", path, use, after=after, values=tuple(sorted(values.items())))
    return Effect(path, after, use, "", dict(values), (*state.amendments, new))


def _branch(recipe: ControlRecipe, path: str) -> tuple[str, ...]:
    """The branch an element stands in; raises Refused for one that is no item of an operation."""
    parent = recipe.nodes[path].parent
    for branch in recipe.nodes[parent].branches if parent else ():
        if path in branch and recipe.nodes[path].level not in ("operation", "unit_procedure"):
            return branch
    raise Refused(f"{path} is no item of an operation: a phase can be put behind those only")


_KINDS: dict[str, Callable[[ControlRecipe, BatchState, Change], Effect]] = {
    "set": _set,
    "extend": _extend,
    "skip": _skip,
    "repeat": _repeat,
    "insert": _insert,
}

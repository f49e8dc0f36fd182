"""One element of the procedure in full, and what a change of it would do, before anybody signs.

Worked out in the server's thread from what the supervisor handed over: the frozen recipe and one
state of the batch, both of which nobody changes. The desk tries the change again when it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller.asking import WHOLE, Request
from controller.change_requests import change_of, shown_at, tried
from controller.core.errors import CellwrightError
from controller.hmi.marks import value_words
from controller.hmi.procedure import after
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState
from controller.recipe.changes import Effect
from controller.recipe.check import Plant
from controller.recipe.offer import Offer, with_unit
from controller.recipe.plan import ControlRecipe, ExceptionPlan, PhasePlan
from controller.recipe.states import IDLE

Data = dict[str, Any]
NO_BATCH = "no batch is open"
FROZEN = "It is a deviation of this batch; the recipe it was opened with stays as it is, beside it."


@dataclass(frozen=True, slots=True)
class Running:
    """A batch at one moment: the frozen recipe, the state, and how often people changed it."""

    frozen: ControlRecipe
    state: BatchState
    changes: int
    plant: Plant


def element(running: Running, path: str) -> Data:
    """One element with its values, steps and exceptions; raises BadInput for an unknown one."""
    state = running.state
    recipe = amended(running.frozen, state.amendments)
    path = recipe.root if path in WHOLE else path
    expected = shown_at(recipe, state, running.changes, path)
    found: Data = {
        "path": path, "use": "", "expected": expected, "protected": False, "parameters": [],
        "steps": [], "exceptions": [],
        "offers": _offers(recipe.offer) if _takes_one_behind(recipe, path) else [],
    }  # fmt: skip
    plan = recipe.phases.get(path)
    if plan is None:
        return found
    run = state.runs.get(path)
    logic = run.logic if run is not None and run.logic else "running"
    index = run.index if run is not None and run.logic else -1
    return {
        **found, "use": plan.use, "protected": plan.protected,
        "parameters": _parameters(running.frozen, recipe.offer, plan),
        "steps": [
            {"number": number + 1, "text": step.text, "here": number == index}
            for number, step in enumerate(plan.logics[logic])
        ],
        "exceptions": [_exception(found) for found in plan.exceptions],
    }  # fmt: skip


def preview(running: Running, target: str, value: str, user: str) -> Data:
    """What a change would do, and whether it can be: `{allowed, why, old, new, follows, expected}`.

    Nothing is changed, and nothing recorded.
    """
    state, found = running.state, {"old": "", "new": "", "follows": [], "expected": ""}
    request = Request("change", target, value, actor=user, second="a second person")
    try:
        recipe = amended(running.frozen, state.amendments)
        found["expected"] = shown_at(recipe, state, running.changes, target)
        effect = tried(running.frozen, state, change_of(request), running.plant)
    except CellwrightError as error:
        why = f"{error.what}. {error.do}" if error.do else error.what
        return {**found, "allowed": False, "why": why}
    kind = value.partition(";")[0].strip()
    old, new = value_words(kind, effect.old, effect.new)
    return {
        **found, "allowed": True, "why": "", "old": old, "new": new,
        "follows": _follows(kind, recipe, state, effect),
    }  # fmt: skip


def _follows(kind: str, recipe: ControlRecipe, state: BatchState, effect: Effect) -> list[str]:
    path, now = effect.path, state.node(effect.path)
    said = list[str]()
    if kind == "set":
        idle = f"{path} has not begun: it begins with the new value."
        begun = (
            f"{effect.name} of {path} counts from now on, in its conditions, times and followed "
            "values."
        )
        said.append(idle if now == IDLE else begun)
    elif kind == "extend":
        said.append(f"The present step of {path} may last longer by that much.")
    elif kind == "skip":
        said.append(
            f"{path} will not run."
            if now == IDLE
            else f"{path} is {now}: it ends by its stopping steps."
        )
        said.append(f"After it: {after(recipe, state, path)}.")
    else:
        said.append(
            f"A new element {path} stands behind {effect.after} and runs when it is its turn."
        )
    said += [f"What does not act any more: {note}." for note in effect.notes]
    return [*said, "The check of what lies ahead finds no fault on this unit.", FROZEN]


def _takes_one_behind(recipe: ControlRecipe, path: str) -> bool:
    level = recipe.nodes[path].level
    return level not in ("procedure", "unit_procedure", "operation")


def _parameters(frozen: ControlRecipe, offer: Offer, plan: PhasePlan) -> list[Data]:
    own = offer.parameters.get(plan.use, {})
    opened = frozen.phases.get(plan.path)
    found = []
    for name, text in plan.parameters.items():
        low, high = plan.bounds.get(name, (own[name].low, own[name].high))
        found.append({
            "name": name, "value": text, "low": with_unit(low, own[name].dimension),
            "high": with_unit(high, own[name].dimension),
            "frozen": opened.parameters.get(name, "") if opened is not None else "",
        })  # fmt: skip
    return found


def _offers(offer: Offer) -> list[Data]:
    """The phases of the unit that may be put into a running batch."""
    found = []
    for use, kind in offer.classes.items():
        if kind.protected:
            continue
        parameters = [
            {"name": name, "value": with_unit(item.default, item.dimension), "frozen": "",
             "low": with_unit(item.low, item.dimension),
             "high": with_unit(item.high, item.dimension)}
            for name, item in offer.parameters[use].items()
        ]  # fmt: skip
        found.append({"use": use, "title": kind.title, "parameters": parameters})
    return found


def _exception(plan: ExceptionPlan) -> str:
    cause = f"row {plan.row}" if plan.row else (plan.condition.text if plan.condition else "")
    do = f"go to {plan.target.rsplit('/', 1)[-1]}" if plan.do == "go_to" else plan.do
    unknown = "" if plan.row or plan.unknown != "act" else ", also when it cannot be known"
    return f"on {cause}{unknown}: {do}"

"""What people ask of the recipe of a running batch, and deviations that were found out later.

A change is made by an engineer and agreed to by an independent QA; the engine checks it against the
equipment and either records it (`recipe.changed`) or says why not. What it was asked about must
still be so: the element's state, and how often the recipe was changed so far.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from controller.asking import WHOLE, Request
from controller.core.clock import Stamp
from controller.core.errors import BadInput, Refused, nearest
from controller.core.events import Event
from controller.recipe.amend import amended
from controller.recipe.changes import KINDS, Change, Effect, examine
from controller.recipe.check import Plant, forward, plant_of
from controller.recipe.engine import Inputs

if TYPE_CHECKING:
    from controller.recipe.batch import BatchState
    from controller.recipe.plan import ControlRecipe
    from controller.supervisor import Supervisor

WAYS: Final = {
    "set": "set;PARAMETER;VALUE", "extend": "extend;TIME", "skip": "skip", "repeat": "repeat",
    "insert": "insert;PHASE CLASS;PARAMETER=VALUE;...",
}  # fmt: skip


def change_of(request: Request, number: int = 0) -> Change:
    """The change a request asks for; raises BadInput for a value that says none.

    The value is `set;PARAMETER;VALUE`, `extend;TIME`, `skip`, `repeat` or
    `insert;PHASE CLASS;PARAMETER=VALUE;...`; the target is the path of an element.
    """
    kind, *rest = (part.strip() for part in request.value.split(";"))
    if kind not in KINDS:
        hint = nearest(kind, list(KINDS))
        ways = ", ".join(WAYS.values())
        raise BadInput(f"unknown change {kind[:40]!r}. {hint}", do=f"Say {ways}.")
    least, most = {"set": (2, 2), "extend": (1, 1), "insert": (1, 40)}.get(kind, (0, 0))
    if not least <= len(rest) <= most or not all(rest):
        raise BadInput(f"{request.value[:80]!r} is no change", do=f"Say {WAYS[kind]}.")
    name = rest[0] if kind in ("set", "insert") else ""
    value = ", ".join(rest[1:] if name else rest)
    return Change(kind, request.target, name, value, request.actor, request.role, request.reason,
                  request.second, f"DEV-{number}", number)  # fmt: skip


def tried(frozen: ControlRecipe, state: BatchState, change: Change, plant: Plant) -> Effect:
    """What a change would do; raises BadInput or Refused when it cannot be, or would break
    something that still lies ahead. `plant`: the ranges of this unit's equipment, which the engine
    does not know."""
    effect = examine(frozen, state, change)
    ahead = state
    if change.kind == "skip":
        ahead = replace(state, skipped=(*state.skipped, effect.path))
    current, changed = amended(frozen, state.amendments), amended(frozen, effect.amendments)
    broken = forward(current, changed, ahead, plant)
    if broken:
        more = f"; and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise Refused(f"what lies ahead could not run: {broken[0].what}{more}", do=broken[0].do)
    return effect


def shown_of(unit: Supervisor, request: Request) -> str:
    """What a face shows of the element a change is for; raises BadInput for an unknown one."""
    if unit.engine is None:
        raise Refused("no batch is open")
    recipe = unit.engine.current(unit.state)
    return shown_at(recipe, unit.state, len(unit.orders.standing.changes), request.target)


def shown_at(recipe: ControlRecipe, state: BatchState, changes: int, target: str) -> str:
    """The same, of the recipe as it runs: `Running, 2 changes so far`."""
    path = recipe.root if target in WHOLE else target
    if path not in recipe.nodes:
        hint = nearest(path, list(recipe.nodes))
        raise BadInput(f"unknown element {path[:80]!r}. {hint}")
    return f"{state.node(path)}, {changes} changes so far"


def change_recipe(unit: Supervisor, request: Request, stamp: Stamp) -> tuple[int, str]:
    """Intent, then the engine's answer, then the outcome; why it was refused after all, or empty.

    Raises BadInput or Refused before anything is recorded.
    """
    if unit.engine is None:
        raise Refused("no batch is open: there is no recipe to change")
    tried(unit.engine.recipe, unit.state, change_of(request), plant_of(unit.profile))
    number = unit.desk.intent(request, stamp)
    change = change_of(request, number)
    why = unit.decide(Inputs(unit.board.read, changes=(change,)), stamp)
    unit.desk.outcome(number, "refused" if why else "applied", stamp, why)
    return number, why


def late_deviation(unit: Supervisor, request: Request, stamp: Stamp) -> int:
    """Records what somebody found out later; it changes nothing in the procedure."""
    if unit.engine is None:
        raise Refused("no batch is open: a deviation belongs to one")
    words = request.value.strip()
    if not words:
        raise BadInput("what was found is not said", do="Say what happened, where and when.")
    shown_of(unit, request)
    number = unit.desk.intent(request, stamp)
    target = "procedure" if request.target in WHOLE else request.target
    data = {"deviation": f"DEV-{number}", "id": number, "target": target, "what": words,
            "second": request.second}  # fmt: skip
    unit.record(Event("deviation.recorded", stamp, request.actor, request.role, request.reason,
                      data))  # fmt: skip
    unit.desk.outcome(number, "applied", stamp)
    return number

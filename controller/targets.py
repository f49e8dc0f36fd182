"""From the names in a request to the places and numbers field knows, and what is there now."""

from __future__ import annotations

import math

from controller.asking import FIELD_VERBS, ORDERS, SYSTEM_VERBS, Request, bypass_of
from controller.core.errors import BadInput, nearest
from controller.field.board import Board
from controller.field.verbs import Verb
from controller.orders import SYSTEM
from controller.profile.compile import Profile
from controller.profile.plan import BlockOp, Mode
from controller.translate import shown


def resolve(profile: Profile, board: Board, request: Request) -> tuple[Verb, int, float, str]:
    """Verb, index, number, and what it is now as text, of a field command.

    Raises BadInput for an unknown verb, target or value.
    """
    name = request.verb
    known = FIELD_VERBS if request.actor != SYSTEM else (*FIELD_VERBS, *SYSTEM_VERBS)
    if name not in known:
        raise BadInput(f"unknown verb {name!r}. {nearest(name, [*ORDERS, *FIELD_VERBS])}")
    verb, target = Verb[name.upper()], request.target
    if verb in (Verb.SET_SP, Verb.SET_MODE, Verb.SET_OP):
        index = _place(target, profile.loops, "loop")
        loop = board.image.loops[index]
        if verb is Verb.SET_MODE:
            return verb, index, _mode(profile, request.value, index), Mode(int(loop["mode"])).name
        old = float(loop["sp" if verb is Verb.SET_SP else "op"])
        return verb, index, _number(request.value), shown(old)
    if verb is Verb.SET_OUTPUT:
        index = _place(target, profile.outputs, "actuator")
        old = float(board.image.outputs[index]["request"])
        return verb, index, _number(request.value), shown(old)
    if verb is Verb.LOCK:
        return verb, _place(target, profile.outputs, "actuator"), 1.0, ""
    if verb is Verb.SET_FLAG:
        index = profile.index[_named(target, list(profile.model.flags), "flag")]
        old = float(board.image.signals[index]["value"])
        return verb, index, _number(request.value), shown(old)
    if verb is Verb.SET_TOTAL:
        signals, blocks = profile.signals, profile.plan.blocks
        places = {signals[int(row["target"])]: index for index, row in enumerate(blocks)
                  if row["op"] == BlockOp.TOTAL}  # fmt: skip
        index = places[_named(target, list(places), "totaliser")]
        old = float(board.image.signals[profile.index[target]]["value"])
        return verb, index, _number(request.value), shown(old)
    rows = [cause.row for cause in profile.causes]
    text = bypass_of(request.value)[0] if verb is Verb.BYPASS else request.value
    return verb, _place(target, rows, "row"), _number(text or "0"), ""


def _mode(profile: Profile, text: str, loop: int) -> float:
    slave = int(profile.plan.loops[loop]["master"]) >= 0
    modes = {"off": Mode.OFF, "manual": Mode.MANUAL, "auto": Mode.AUTO}
    if slave:
        modes["cascade"] = Mode.CASCADE
    if text not in modes:
        raise BadInput(f"unknown mode {text!r}. {nearest(text, list(modes))}")
    return float(modes[text])


def _named(name: str, known: list[str], kind: str) -> str:
    if name not in known:
        raise BadInput(f"unknown {kind} {name!r}. {nearest(name, known)}")
    return name


def _place(name: str, known: tuple[str, ...] | list[str], kind: str) -> int:
    return list(known).index(_named(name, list(known), kind))


def _number(text: str) -> float:
    try:
        value = float({"true": "1", "false": "0"}.get(text.lower(), text))
    except ValueError:
        raise BadInput(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise BadInput(f"{text!r} is not a finite number")
    return value

"""Heat, stirring and gas of an open batch: in force from its first scan until two people end it.

A module because both ends may be cut in two by a death, and whoever comes after must see, from the
log and from field alone, what is missing: the guard, or the last of what switches it off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from controller.asking import Request
from controller.core.clock import Stamp
from controller.field.board import Board
from controller.orders import SYSTEM, ending, totals
from controller.profile.compile import Profile
from controller.profile.plan import Mode
from controller.recipe.states import IDLE

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

BEGINS, AGAIN, ENDED = (
    "a batch begins", "the batch is open", "two people confirmed that the environment ends"
)  # fmt: skip


def begin(unit: Supervisor, actor: str, role: str, stamp: Stamp) -> None:
    """Orders the guard and totals from zero; what is lost of it `complete` finds later."""
    guard = Request("set_flag", unit.profile.model.unit.guard, "1", actor, role)
    unit.desk.issue(guard, stamp)
    _zero(unit, list(totals(unit.profile)), BEGINS, stamp)


def is_guarded(unit: Supervisor) -> bool:
    """Whether field guards the environment, or will before whatever is ordered next."""
    guard = unit.profile.model.unit.guard
    last = unit.orders.applied.get(("set_flag", guard))
    told = last is not None and last.generation == unit.board.generation
    return (
        unit.board.read(guard).value > 0.5
        or (told and unit.orders.flag(guard))
        or any(
            (intent.verb, intent.target, intent.value) == ("set_flag", guard, "1")
            for intent in unit.orders.open.values()
        )
    )


def guard(unit: Supervisor, stamp: Stamp) -> None:
    """Orders the guard of an open batch once more."""
    flag = unit.profile.model.unit.guard
    unit.desk.issue(Request("set_flag", flag, "1", SYSTEM, "", AGAIN), stamp)


def complete(unit: Supervisor, stamp: Stamp) -> None:
    """Taken up again: orders what a death kept from field, at the beginning or at the end.

    A field that is being given everything again is given this with it (`Orders.again`).
    """
    if unit.restore.active:
        return
    if unit.orders.ended:
        for verb, target, value in remaining(unit.profile, unit.board):
            unit.desk.issue(Request(verb, target, value, SYSTEM, "", ENDED), stamp)
        return
    if not unit.finished and unit.board.read(unit.profile.model.unit.guard).value <= 0.5:
        guard(unit, stamp)
    if unit.procedure_state == IDLE:
        waits = {i.target for i in unit.orders.open.values() if i.verb == "set_total"}
        lost = [t for t in totals(unit.profile) if t not in unit.orders.zeroed | waits]
        _zero(unit, lost, BEGINS, stamp)


def remaining(profile: Profile, board: Board) -> list[tuple[str, str, str]]:
    """Of what ends the environment, the commands whose effect field does not show."""
    return [item for item in ending(profile) if not _shown(profile, board, *item)]


def _shown(profile: Profile, board: Board, verb: str, target: str, value: str) -> bool:
    if verb == "set_flag":
        return (board.read(target).value > 0.5) == (value == "1")
    if verb == "set_mode":
        return int(board.image.loops["mode"][profile.loops.index(target)]) == Mode.OFF
    request = float(board.image.outputs["request"][profile.outputs.index(target)])
    return math.isclose(request, float(value), rel_tol=1e-6, abs_tol=1e-9)


def _zero(unit: Supervisor, names: list[str], why: str, stamp: Stamp) -> None:
    for name in names:
        unit.desk.issue(Request("set_total", name, "0", SYSTEM, "", why), stamp)

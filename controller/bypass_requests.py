"""A bypass of one row: for how long, what is done instead, and the deviation it opens.

A module because it is the one request that opens a protection: what is asked for is checked whole
before anything is intended, and its deviation is durable before the row is bypassed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.asking import BYPASS_S_MAX, Request, bypass_of
from controller.core.clock import Stamp
from controller.core.errors import BadInput, Refused
from controller.core.events import Event

if TYPE_CHECKING:
    from controller.supervisor import Supervisor


def bypass_row(unit: Supervisor, request: Request, stamp: Stamp) -> int:
    """Intent and deviation; the command's id. Raises BadInput or Refused before anything of it."""
    row = request.target
    unit.desk.present(request)  # refuses an unknown row and what is no number
    text, measure = bypass_of(request.value)
    seconds = float(text or 0)
    cause = next(cause for cause in unit.profile.causes if cause.row == row)
    place = unit.profile.causes.index(cause)
    if not unit.profile.plan.causes[place]["bypassable"]:
        raise Refused(f"row {row} can never be bypassed", do="Remove its cause, or hold.")
    if seconds == 0.0:
        return unit.desk.issue(request, stamp)  # ends the one that stands
    if not 0.0 < seconds <= BYPASS_S_MAX:
        raise BadInput("a bypass lasts more than 0 s and at most 60 min")
    if not measure:
        raise BadInput(
            f"the compensating measure for row {row} is missing",
            do="Say who watches what meanwhile, and what is done by hand when it trips.",
        )
    asked = any((i.verb, i.target) == ("bypass", row) for i in unit.orders.open.values())
    if asked or unit.board.image.causes[place]["bypass_until_ns"]:
        raise Refused(f"row {row} is bypassed already", do="Wait until it has lapsed.")
    number = unit.desk.issue(request, stamp)
    data = {"deviation": f"DEV-{number}", "id": number, "row": row, "title": cause.title,
            "seconds": text, "measure": measure, "second": request.second}  # fmt: skip
    unit.record(Event("deviation.opened", stamp, request.actor, request.role, request.reason,
                      data))  # fmt: skip
    return number

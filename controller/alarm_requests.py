"""What people ask about alarms: acknowledge, shelve, out of service, silence; and what follows.

A module because none of it touches the unit: it changes who is called, and a log that cannot be
written is the only other thing that refuses it.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from controller.asking import Request
from controller.core.clock import Stamp
from controller.core.errors import BadInput
from controller.core.events import Event
from controller.core.quantity import canonical

if TYPE_CHECKING:
    from controller.alarms import Alarms
    from controller.supervisor import Supervisor

SHELVE_S_MAX = 86_400


def change_alarms(unit: Supervisor, request: Request, stamp: Stamp) -> int:
    """Intent, the alarm's records, outcome. Raises Refused or BadInput before anything of it."""
    trial = copy(unit.alarms)  # tried on a copy: an intent is recorded for what can be done
    trial.all = dict(unit.alarms.all)
    _asked(trial, request, stamp)
    number = unit.desk.intent(request, stamp)
    for event in _asked(unit.alarms, request, stamp):
        unit.record(event)
    unit.desk.outcome(number, "applied", stamp)
    return number


def _asked(alarms: Alarms, request: Request, stamp: Stamp) -> list[Event]:
    name, verb = request.target, request.verb
    who = (request.actor, request.role, request.reason)
    if verb == "shelve":
        return alarms.shelve(name, _seconds(request.value), stamp, who)
    if verb == "unshelve":
        return alarms.unshelve(name, stamp, who)
    if verb == "out_of_service":
        return alarms.take_out(name, stamp, who)
    if verb == "in_service":
        return alarms.put_back(name, stamp, who)
    if verb == "silence":
        return alarms.silence(stamp, request.actor, request.role)
    return alarms.acknowledge(name, stamp, request.actor, request.role)


def _seconds(text: str) -> int:
    try:
        seconds = canonical(text, "time")
    except ValueError as error:
        raise BadInput(f"how long the alarm is shelved: {error}", do="Say it as 30 min.") from None
    if not 1 <= seconds <= SHELVE_S_MAX:
        raise BadInput(f"an alarm is not shelved for {text}", do="Say it as 30 min.")
    return round(seconds)

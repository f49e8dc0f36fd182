"""What people ask for, request by request: may it be now, and what follows.

Authorise -> expected state -> intent -> engine, alarms or field. Who may do what waits for log-ins;
what needs two people, a reason, or a cause that is gone is asked for here already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.core.clock import Stamp
from controller.core.errors import Refused
from controller.desk import ORDERS, Request
from controller.profile.compile import CauseInfo
from controller.profile.plan import Action
from controller.recipe.engine import Inputs, Order
from controller.recipe.prompts import PromptAnswer
from controller.recipe.states import IDLE

if TYPE_CHECKING:
    from controller.supervisor import Supervisor


class Requests:
    """Carries out requests for one supervisor."""

    def __init__(self, unit: Supervisor) -> None:
        self._unit = unit

    def carry_out(self, request: Request, stamp: Stamp) -> None:
        """Carries out one request; raises Refused or BadInput when it may not be, or cannot."""
        if self._unit.failed and request.verb != "hold":
            raise Refused("the log cannot be written: no command but Hold is possible")
        if self._unit.restore.active and request.verb != "acknowledge":
            raise Refused(
                "field was restarted and is being given its setpoints and modes again",
                do="Try again in a few seconds.",
            )
        state = self._unit.procedure_state
        if request.expected and request.expected != state:
            raise Refused(f"the screen showed {request.expected}, the procedure is {state}")
        if request.verb in ORDERS:
            self._order(request, stamp)
        elif request.verb == "answer":
            if self._unit.engine is None:
                raise Refused("no batch is open: nothing was asked")
            answer = PromptAnswer(request.target, request.value, request.actor, request.role,
                                  request.second, request.reason)  # fmt: skip
            self._unit.decide(Inputs(self._unit.board.read, (answer,)), stamp)
        elif request.verb == "acknowledge":
            for event in self._unit.alarms.acknowledge(
                request.target, stamp, request.actor, request.role
            ):
                self._unit.record(event)
        elif request.verb == "end_environment":
            self._end_environment(request, stamp)
        else:
            self._field_request(request, stamp)

    def _order(self, request: Request, stamp: Stamp) -> None:
        """Start, hold, restart, stop, abort: intent, then what the engine makes of it."""
        if self._unit.engine is None:
            raise Refused("no batch is open")
        self._unit.engine.check_order(self._unit.state, request.verb)
        standing = self.standing() if request.verb in ("start", "restart") else []
        if standing:
            raise Refused(
                f"row {', '.join(cause.row for cause in standing)} asks for Hold and stands",
                do="Remove the cause, reset the row where it latched, then try again.",
            )
        number = self._unit.desk.intent(request, stamp, self._unit.procedure_state)
        order = Order(request.verb, request.actor, request.role, request.reason)
        refused = self._unit.decide(Inputs(self._unit.board.read, (), (order,)), stamp)
        self._unit.desk.outcome(number, "refused" if refused else "applied", stamp)

    def standing(self) -> list[CauseInfo]:
        """Rows in force that asked for Hold or Abort and apply in the present phase."""
        plan, image = self._unit.profile.plan, self._unit.board.image
        found = []
        for index, cause in enumerate(self._unit.profile.causes):
            row, state = plan.causes[index], image.causes[index]
            flags = [int(row[key]) for key in ("unless_a", "unless_b") if int(row[key]) >= 0]
            # Before the start no phase has set its flags yet: a row that knows exceptions waits.
            idle = self._unit.procedure_state == IDLE and bool(flags)
            excused = any(image.signals[flag]["value"] > 0.5 for flag in flags)
            asked = int(row["action"]) >= Action.HOLD and int(state["action_done"]) == 1
            if asked and (state["active"] or state["latched"]) and not (idle or excused):
                found.append(cause)
        return found

    def _field_request(self, request: Request, stamp: Stamp) -> None:
        unit = self._unit.profile.model.unit
        if request.verb == "set_flag" and request.target in (unit.held, unit.guard):
            raise Refused(
                f"{request.target} follows the procedure",
                do="Use hold and restart, or end_environment once the vessel is empty.",
            )
        two = request.verb in ("bypass", "set_flag")
        if (two or request.verb == "reset") and not request.reason:
            raise Refused(f"a {request.verb} needs a reason")
        if two and _same_person(request):
            raise Refused(f"{request.verb} {request.target} needs a second person")
        self._unit.desk.issue(request, stamp)

    def _end_environment(self, request: Request, stamp: Stamp) -> None:
        """After Stop or Abort: two people confirm that the vessel is empty or discarded."""
        if not self._unit.finished:
            raise Refused(f"the procedure is {self._unit.procedure_state}; stop or abort it first")
        if _same_person(request) or not request.reason:
            raise Refused(
                "two people must confirm that the vessel is empty or discarded, and say why"
            )
        number = self._unit.desk.intent(request, stamp, "on")
        who = (request.actor, request.role, request.reason, request.second)
        for name, flag in self._unit.profile.model.flags.items():
            if name != self._unit.profile.model.unit.held:
                value = str(int(flag.start))
                self._unit.desk.issue(Request("set_flag", name, value, *who), stamp)
        for loop in self._unit.profile.loops:
            self._unit.desk.issue(Request("set_mode", loop, "off", *who), stamp)
        for name, actuator in self._unit.profile.model.actuators.items():
            self._unit.desk.issue(Request("set_output", name, str(actuator.start), *who), stamp)
        self._unit.desk.outcome(number, "applied", stamp, "two people confirmed; commands follow")


def _same_person(request: Request) -> bool:
    """Whether the second person is missing or is the first one."""
    second = request.second.strip().casefold()
    return second in ("", request.actor.strip().casefold())

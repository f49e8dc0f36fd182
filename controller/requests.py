"""What people ask for, request by request: is the screen they saw still true, and what follows.

After `admission`: expected state -> intent -> engine, alarms, accounts or field -> outcome. In the
supervisor's thread, on the state as it is then; every refusal is made and recorded in one place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from controller.admission import Admission, Situation
from controller.alarm_requests import change_alarms
from controller.alarms import CLOCK_BACK
from controller.asking import (
    ALARM_VERBS,
    ORDERS,
    Answer,
    Asked,
    Denied,
    Request,
    of_whole,
)
from controller.bypass_requests import bypass_row
from controller.change_requests import change_recipe, late_deviation, shown_of
from controller.core.clock import Stamp
from controller.core.errors import BadInput, CellwrightError, Refused
from controller.core.events import Event
from controller.environment import guard, is_guarded
from controller.orders import SYSTEM, ending
from controller.people.people import People
from controller.people.roles import NO_BATCH, Rights
from controller.profile.compile import CauseInfo
from controller.profile.plan import Action
from controller.recipe.engine import Inputs, Order
from controller.recipe.prompts import PromptAnswer
from controller.recipe.states import ABORTING, FINAL, IDLE, STOPPING
from controller.result_files import asked_of, hand_in

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

LATCHED: Final = "latched"
GOES_ON: Final = ("start", "restart", "resume")
SETTERS: Final = ("set_sp", "set_mode", "set_op", "set_output", "set_flag")
# What a screen must have shown the present state of.
EXPECTED: Final = (
    "start", "restart", "stop", "abort", "pause", "resume", "change", "end_environment", "reset",
    *SETTERS,
    *(verb for verb in ALARM_VERBS if verb != "silence"),
)  # fmt: skip


class Opener(Protocol):
    """Opens batches where a run leaves that to people."""

    def prepare(self, request: Request, stamp: Stamp) -> Callable[[], None]:
        """Checks `open_batch` (target: recipe, value: `SET_LOT;PSEUDONYM` and what is entered);
        what then opens it. Raises BadInput or Refused, and nothing was changed."""
        ...

    def offered(self) -> list[dict[str, Any]]:
        """The recipes it opens: `{id, title, entered: [{name, value, low, high}]}`. Raises BadInput
        for one that is broken."""
        ...


class Requests:
    """Carries out requests for one supervisor."""

    def __init__(self, unit: Supervisor, people: People | None) -> None:
        self._unit, self.people = unit, people
        self._admission = Admission(Rights.shipped(), people)
        self.opener: Opener | None = None
        self._late = False

    def carry_out(self, asked: Asked, stamp: Stamp) -> None:
        """Carries out one request or refuses it: the one place that refuses.

        It leaves exactly one `command.intent` or one `command.refused`.
        """
        unit = self._unit
        request, idle = self._admission.identified(asked.request, stamp)
        try:
            request = self._admission.admit(request, idle, self._situation(request), stamp)
            self._expected(request)
            number, why = self._done(request, stamp)
        except CellwrightError as error:
            personal = isinstance(error, Denied) and error.personal
            unit.desk.refuse(request, stamp, error.what, personal=personal)
            self._late = self._late or asked.pressed
            kind = error.kind if isinstance(error, Denied) else (
                "bad_input" if isinstance(error, BadInput) else "refused"
            )
            words = f"{error.what}. {error.do}" if error.do else error.what
            unit.desk.answer(asked, Answer(False, 0, words, kind))
            return
        self._admission.spend(request.signatures, stamp)
        kind = "refused" if why else "accepted"
        unit.desk.answer(asked, Answer(not why, number, why, kind))

    def _situation(self, request: Request) -> Situation:
        unit, standing = self._unit, self._unit.orders.standing
        clock_back = unit.alarms.unseen(CLOCK_BACK)
        if unit.engine is None:
            return Situation(NO_BATCH, "none", "", clock_back=clock_back)
        people, again, state = 0, False, unit.procedure_state
        if request.verb in ORDERS and not of_whole(request):
            # An element nobody knows is refused further on, with the nearest name.
            state = unit.state.node(request.target) if self._known(request.target) else state
        if request.verb == "answer":
            for prompt in unit.engine.prompts(unit.state):
                if prompt.prompt_id == request.target:
                    people, again = prompt.people, bool(prompt.repeat)
        elif request.verb == "result_file":
            people, again = asked_of(unit.engine.prompts(unit.state))
        return Situation(state, standing.use, standing.batch_id, people, again, clock_back)

    def _known(self, path: str) -> bool:
        engine = self._unit.engine
        return engine is not None and path in engine.current(self._unit.state).nodes

    def _expected(self, request: Request) -> None:
        """Refuses a request made on another state than the one that is."""
        unit, verb, shown = self._unit, request.verb, request.expected
        if verb == "hold":
            return
        if not shown:
            if request.origin == "screen" and verb in EXPECTED:
                raise BadInput(f"the request does not say which state the screen showed for {verb}")
            return
        now = unit.procedure_state
        if verb == "silence":
            return
        if verb in ORDERS and not of_whole(request):
            if not self._known(request.target):
                return  # said with the nearest name further on
            now = str(unit.state.node(request.target))
        elif verb == "change":
            now = shown_of(unit, request)
        elif verb in ALARM_VERBS:
            known = unit.alarms.waiting if verb == "acknowledge" else unit.alarms.known
            now = known(request.target).expected
        elif verb == "answer":
            now = request.target
        elif verb in SETTERS:
            now = unit.desk.present(request)
            if same_value(shown, now):
                return
        elif verb == "reset" and shown == LATCHED:
            rows = [cause.row for cause in unit.profile.causes]
            if request.target not in rows:
                return  # said with the nearest name further on
            latched = unit.board.image.causes["latched"][rows.index(request.target)]
            now = LATCHED if latched else "not latched"
        elif verb in ("user_add", "user_disable") or (shown, now) == (NO_BATCH, IDLE):
            return
        if shown != now:
            raise Denied("stale", f"the screen showed {shown[:80]}, the {_thing(verb)} is {now}")

    def _done(self, request: Request, stamp: Stamp) -> tuple[int, str]:
        """The command's id, and why what was intended was refused after all (mostly empty)."""
        unit, verb = self._unit, request.verb
        hold = verb == "hold" and of_whole(request)
        if unit.failed and not hold:
            raise Refused("the log cannot be written: no command but Hold is possible")
        if verb in ("user_add", "user_disable"):
            return self._account(request, stamp), ""
        if unit.restore.active and hold:
            return self._hold_first(request, stamp), ""
        if unit.restore.active and verb not in ALARM_VERBS:
            raise Refused(
                "field was restarted and is being given its setpoints and modes again",
                do="Try again in a few seconds.",
            )
        if verb in ORDERS:
            return self._order(request, stamp)
        if verb == "answer":
            return self._answer(request, stamp)
        if verb == "result_file":
            return hand_in(unit, request, stamp)
        if verb == "change":
            return change_recipe(unit, request, stamp)
        if verb == "deviation":
            return late_deviation(unit, request, stamp), ""
        if verb in ALARM_VERBS:
            return change_alarms(unit, request, stamp), ""
        if verb == "identify_hold":
            return self._identify(request, stamp), ""
        if verb == "open_batch":
            return self._open_batch(request, stamp)
        if verb == "end_environment":
            return self._end_environment(request, stamp), ""
        return self._field_request(request, stamp), ""

    # -- people -------------------------------------------------------------------------------

    def _account(self, request: Request, stamp: Stamp) -> int:
        """The intent; `door` does the work off this thread, and reports it with the outcome."""
        if self.people is None:
            raise Refused("this station has no accounts")
        if request.verb == "user_add":
            role, _, name = request.value.partition(";")
            self.people.accounts.check_free(request.target, name or request.target, role)
        else:
            self.people.accounts.check_disable(request.target)
        return self._unit.desk.intent(request, stamp)

    def _identify(self, request: Request, stamp: Stamp) -> int:
        """Names the person who pressed Hold without a log-in; Restart waits for it."""
        unit, hold = self._unit, self._unit.orders.standing.unidentified
        if not hold:
            raise Refused("no Hold waits for the name of who pressed it")
        if not request.value.strip():
            raise BadInput("who pressed Hold is not said")
        number = unit.desk.intent(request, stamp)
        data = {"id": hold, "who": request.value}
        unit.record(Event("hold.identified", stamp, request.actor, request.role, request.reason,
                          data))  # fmt: skip
        unit.desk.outcome(number, "applied", stamp)
        return number

    # -- the batch ----------------------------------------------------------------------------

    def _open_batch(self, request: Request, stamp: Stamp) -> tuple[int, str]:
        if self.opener is None:
            raise Refused("this run opens its batch by itself")
        opens, desk = self.opener.prepare(request, stamp), self._unit.desk
        number = desk.intent(request, stamp)
        try:
            opens()
        except CellwrightError as error:
            desk.outcome(number, "refused", stamp, error.what[:500], station=True)
            return number, f"{error.what}. {error.do}" if error.do else error.what
        desk.outcome(number, "applied", stamp, station=True)
        return number, ""

    def _answer(self, request: Request, stamp: Stamp) -> tuple[int, str]:
        """The intent; then the engine takes the answer, refuses it or asks for it again."""
        unit = self._unit
        if unit.engine is None:
            raise Refused("no batch is open: nothing was asked")
        number = unit.desk.intent(request, stamp)
        answer = PromptAnswer(request.target, request.value, request.actor, request.role,
                              request.second, request.reason)  # fmt: skip
        why = unit.decide(Inputs(unit.board.read, (answer,)), stamp)
        unit.desk.outcome(number, "refused" if why else "applied", stamp, why)
        return number, why

    def _order(self, request: Request, stamp: Stamp) -> tuple[int, str]:
        """An order to the procedure or one of its elements: intent, then what the engine makes."""
        unit, verb = self._unit, request.verb
        if unit.engine is None:
            raise Refused("no batch is open")
        path = "" if of_whole(request) else request.target
        unit.engine.check_order(unit.state, verb, path)
        if verb in GOES_ON:
            self._may_go_on(verb, stamp)
        now = unit.state.node(path) if path else unit.procedure_state
        number = unit.desk.intent(request, stamp, now)
        held = unit.profile.model.unit.held
        if verb == "start" and unit.board.read(held).value > 0.5:
            # A fault or a log that was down held the unit while no procedure ran: who ends it?
            unit.desk.issue(Request("set_flag", held, "0", SYSTEM, "", "the start"), stamp)
        order = Order(verb, request.actor, request.role, request.reason, path)
        why = unit.decide(Inputs(unit.board.read, (), (order,)), stamp)
        unit.desk.outcome(number, "refused" if why else "applied", stamp, why)
        return number, why

    def _may_go_on(self, verb: str, stamp: Stamp) -> None:
        """Refuses a start, restart or resume that something in the unit forbids."""
        unit = self._unit
        if verb == "restart" and unit.orders.standing.unidentified:
            raise Refused(
                f"Hold was pressed by an {unit.orders.standing.pressed_at}, who is not named yet",
                do="Name the person who pressed it first.",
            )
        if not is_guarded(unit):
            guard(unit, stamp)
            raise Refused(
                f"{unit.profile.model.unit.guard} is not set in field: it would not keep heat, "
                "stirring and gas on",
                do="It is being set again. Try again in a few seconds.",
            )
        standing = self.standing()
        if standing:
            raise Refused(
                f"row {', '.join(cause.row for cause in standing)} asks for Hold and stands",
                do="Remove the cause, reset the row where it latched, then try again.",
            )

    def _hold_first(self, request: Request, stamp: Stamp) -> int:
        """A Hold while field is given everything again: field holds now, the recipe first of all
        when it goes on. A supervisor that dies before takes the batch up with a Hold."""
        unit = self._unit
        if unit.engine is None:
            raise Refused("no batch is open")
        number = unit.desk.intent(request, stamp, unit.procedure_state)
        held, why = unit.profile.model.unit.held, f"hold by {request.actor}"
        unit.desk.issue(Request("set_flag", held, "1", SYSTEM, "", why), stamp)
        unit.hold(why)
        unit.desk.outcome(number, "applied", stamp, "the procedure follows once field is restored")
        return number

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

    def let_go(self, stamp: Stamp) -> None:
        """A Hold acts before it is looked at: one that came too late to be one is taken back.

        Once field shows it, for a command in the scan of the press would lose against it.
        """
        unit, flag = self._unit, self._unit.profile.model.unit.held
        if not self._late or unit.failed or unit.board.read(flag).value <= 0.5:
            return
        self._late = False
        if unit.procedure_state in (*FINAL, IDLE, STOPPING, ABORTING):
            # What a reset left where it was stays there: this was no Hold that somebody ended.
            for verb, target, value in (("set_flag", flag, "0"), *unit.orders.locks()):
                unit.desk.issue(Request(verb, target, value, SYSTEM, "", "refused"), stamp)

    def _field_request(self, request: Request, stamp: Stamp) -> int:
        unit = self._unit.profile.model.unit
        if request.verb == "set_flag" and request.target in (unit.held, unit.guard):
            raise Refused(
                f"{request.target} follows the procedure",
                do="Use hold and restart, or end_environment once the vessel is empty.",
            )
        if request.verb == "bypass":
            return bypass_row(self._unit, request, stamp)
        return self._unit.desk.issue(request, stamp)

    def _end_environment(self, request: Request, stamp: Stamp) -> int:
        """After the end: two people have confirmed that the vessel is empty or discarded."""
        number = self._unit.desk.intent(request, stamp, "on")
        who = (request.actor, request.role, request.reason, request.second)
        for verb, target, value in ending(self._unit.profile):
            self._unit.desk.issue(Request(verb, target, value, *who), stamp)
        self._unit.desk.outcome(number, "applied", stamp, "two people confirmed; commands follow")
        return number


def same_value(shown: str, now: str) -> bool:
    """Whether a face showed the present value: the same text, or the same number but for what a
    face rounds."""
    try:
        return math.isclose(float(shown), float(now), rel_tol=1e-4, abs_tol=1e-6)
    except ValueError:
        return shown.casefold() == now.casefold()


def _thing(verb: str) -> str:
    known = {"answer": "prompt", "reset": "row", "change": "element"}
    known |= dict.fromkeys(ALARM_VERBS, "alarm")
    return known.get(verb, "value" if verb in SETTERS else "procedure")

"""The tick: drain events -> records -> alarms -> recipe engine -> desk -> one sync -> commands.

Runs on every event that is not modulating and at least every second, and follows transitions to
rest. Nothing it does can stop a loop or an interlock; when the log fails the unit goes to Hold and
no command but Hold is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from controller.alarms import Alarms
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, CellwrightError, RecordFailure, Refused
from controller.core.events import Event
from controller.desk import ORDERS, RECIPE, Desk, Request
from controller.field.board import Board
from controller.field.image import HISTORY_CAPACITY
from controller.field.links.note import Note
from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.compile import Profile
from controller.profile.plan import Action
from controller.recipe.decision import Command
from controller.recipe.engine import Engine, Inputs, Order, ProtectiveRequest
from controller.recipe.prompts import PromptAnswer
from controller.recipe.states import FINAL, IDLE
from controller.record import history
from controller.record.log import BatchLog
from controller.translate import Translator

CHUNK_NS = 60 * NS_PER_S
TRANSITIONS_MAX = 64
EMERGENCY_MAX = 4096
_RINGS = ("event", "history", "input")
_NO_LOG = "the log cannot be written"
# What ends the environment once two people confirmed that the vessel is empty or discarded.
_END: tuple[tuple[str, str], ...] = (("set_flag", "cells_in"), ("set_flag", "environment"))


class LogLike(Protocol):
    """What the supervisor needs of a log."""

    def append(self, event: Event) -> int:
        """Adds a record."""
        ...

    def sync(self, stamp: Stamp) -> None:
        """Makes it durable."""
        ...

    def store_chunk(self, data: bytes, stamp: Stamp) -> int:
        """Stores a history chunk."""
        ...


class Supervisor:
    """One unit's supervisor. `station_log` takes what belongs to no batch."""

    def __init__(self, profile: Profile, board: Board, station_log: BatchLog) -> None:
        self.profile, self.board = profile, board
        self.log: LogLike = station_log
        self.station_log = station_log
        self.engine: Engine | None = None
        self.state: Any = None
        self.alarms = Alarms({cause.row: cause.action for cause in profile.causes})
        self.desk = Desk(profile, board, self.record)
        self.failed = ""
        self.emergency: list[Event] = []
        self.records = 0
        self.holds = 0
        self.trips: list[str] = []
        self._translator = Translator(profile, board)
        self._notes: list[tuple[str, Note]] = []
        self._chunk_ns = 0
        self._lost = (0, 0, 0)
        self._protective: list[ProtectiveRequest] = []
        self._dirty = False
        self._ordered: list[int] = []
        self._period_ns = int(profile.plan.unit[0]["period_ns"])
        self._outputs = list(profile.outputs)
        self.listeners: list[Callable[[Event], None]] = []

    # -- records ----------------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Appends one record to the log that is open, and lets everything follow from it."""
        if not self.failed:
            try:
                self.log.append(event)
            except RecordFailure as error:
                self._log_failed(error, event.stamp)
        if self.failed and len(self.emergency) < EMERGENCY_MAX:
            self.emergency.append(event)
        self.records += 1
        self._dirty = True
        self._count(event)
        if self.engine is not None:
            self.state = self.engine.evolve(self.state, event)
        for follower in self.alarms.follow(event):
            self.record(follower)
        for listener in self.listeners:
            listener(event)

    def _count(self, event: Event) -> None:
        if event.name == "cause.active":
            self.trips.append(str(event.data["row"]))
        elif event.name == "unit.hold":
            self.holds += 1

    def note(self, link: str, notes: list[Note]) -> None:
        """Takes what a link had to say; recorded at the next tick."""
        self._notes += [(link, note) for note in notes]

    # -- batch ------------------------------------------------------------------------------

    def attach(self, log: LogLike, engine: Engine, state: Any) -> None:
        """From now on records belong to this batch."""
        self.log, self.engine, self.state = log, engine, state

    def detach(self) -> None:
        """Records go to the station log again."""
        self.log, self.engine, self.state = self.station_log, None, None

    @property
    def procedure_state(self) -> str:
        """State of the whole procedure; Idle without a batch."""
        if self.engine is None or self.state is None:
            return IDLE
        return str(self.state.node(self.engine.recipe.root))

    @property
    def finished(self) -> bool:
        """The procedure is in a final state."""
        return self.procedure_state in FINAL

    # -- the tick ---------------------------------------------------------------------------

    def tick(self, stamp: Stamp) -> None:
        """Everything that is due at `stamp`."""
        head = self.board.drain()
        requests = self.desk.take()
        if head:
            for found in head:
                self._event(found, stamp)
        if self._notes:
            notes, self._notes = self._notes, []
            for link, note in notes:
                event = self._translator.note(link, note, stamp)
                if event is not None:
                    self.record(event)
        self._overflow(stamp)
        inputs = self._requests(requests, stamp) if requests else None
        if self.engine is not None:
            self._decide(inputs, stamp)
        if stamp.mono_ns - self._chunk_ns >= CHUNK_NS or (
            self.board.history_waiting() > HISTORY_CAPACITY // 2
        ):
            self.keep_history(stamp)
        self._settle(stamp)

    def _settle(self, stamp: Stamp) -> None:
        """One sync, then what waited for it: commands out, ring places free."""
        if not self.failed:
            try:
                self.log.sync(stamp)
            except RecordFailure as error:
                self._log_failed(error, stamp)
        if not self._dirty:
            return
        self._dirty = False
        if not self.failed:
            self.desk.hand_over()
        self.board.events_done()

    def _log_failed(self, error: RecordFailure, stamp: Stamp) -> None:
        """No record, no command: Hold, in the kernel at once; loops and interlocks go on."""
        self.failed = str(error)
        held = int(self.profile.plan.unit[0]["held_flag"])
        self.board.command(
            self.desk.next_id, int(Verb.SET_FLAG), held, 1.0, stamp.mono_ns + 10 * NS_PER_S
        )
        self.desk.next_id += 1
        self.record(Event("log.failed", stamp, data={"why": error.what[:500]}))
        if self.engine is None:
            self.record(Event("unit.hold", stamp, data={"cause": _NO_LOG}))
        else:
            self._protective.append(ProtectiveRequest("hold", _NO_LOG))

    def _overflow(self, stamp: Stamp) -> None:
        lost = self.board.lost()
        if lost == self._lost:
            return
        for name, now, before in zip(_RINGS, lost, self._lost, strict=True):
            if now != before:
                data = {"ring": name, "lost": now - before}
                self.record(Event("ring.overflow", stamp, data=data))
        self._lost = lost

    def _event(self, found: Any, stamp: Stamp) -> None:
        kind = EventKind(found.kind)
        if kind in (EventKind.APPLIED, EventKind.REFUSED):
            self.desk.answered(found.index, int(found.a), stamp)
            if kind is EventKind.REFUSED and self.desk.from_recipe(found.index):
                cause = f"field refused command {found.index} of the recipe"
                self._protective.append(ProtectiveRequest("hold", cause))
            return
        if kind is EventKind.ACTION:
            action = Action(int(found.a))
            if action in (Action.HOLD, Action.ABORT):
                cause = self.profile.causes[found.index]
                self._protective.append(
                    ProtectiveRequest(action.name.lower(), f"row {cause.row}: {cause.title}")
                )
            return
        event = self._translator.kernel(found, stamp)
        if event is not None:
            self.record(event)

    def keep_history(self, stamp: Stamp) -> None:
        """Stores the waiting released changes as one chunk; its digest is a record."""
        self._chunk_ns = stamp.mono_ns
        waiting = self.board.history()
        if not len(waiting) or self.failed:
            return
        rows = np.empty(len(waiting), history.ROW)
        for name in ("scan", "output", "value", "cause"):
            rows[name] = waiting[name]
        data = history.encode(rows, scan_ns=self._period_ns, outputs=self._outputs)
        try:
            self.log.store_chunk(data, stamp)
        except RecordFailure as error:
            self._log_failed(error, stamp)
            return
        self.records += 1
        self._dirty = True
        self.board.history_done(len(waiting))

    # -- people -----------------------------------------------------------------------------

    def _requests(self, requests: list[Request], stamp: Stamp) -> Inputs:
        orders: list[Order] = []
        answers: list[PromptAnswer] = []
        for request in requests:
            try:
                self._request(request, stamp, orders, answers)
            except CellwrightError as error:
                self.desk.refuse(request, stamp, error.what)
        return Inputs(self.board.read, answers, orders)

    def _request(
        self, request: Request, stamp: Stamp, orders: list[Order], answers: list[PromptAnswer]
    ) -> None:
        if self.failed and request.verb != "hold":
            raise Refused("the log cannot be written: no command but Hold is possible")
        if request.expected and request.expected != self.procedure_state:
            raise Refused(
                f"the screen showed {request.expected}, the procedure is {self.procedure_state}"
            )
        if request.verb in ORDERS:
            if self.engine is None:
                raise Refused("no batch is open")
            self.engine.check_order(self.state, request.verb)
            self._ordered.append(self.desk.intent(request, stamp, self.procedure_state))
            orders.append(Order(request.verb, request.actor, request.role, request.reason))
        elif request.verb == "answer":
            answers.append(
                PromptAnswer(request.target, request.value, request.actor, request.role,
                             request.second, request.reason)  # fmt: skip
            )
        elif request.verb == "acknowledge":
            for event in self.alarms.acknowledge(
                request.target, stamp, request.actor, request.role
            ):
                self.record(event)
        elif request.verb == "end_environment":
            self._end_environment(request, stamp)
        else:
            self._field_request(request, stamp)

    def _field_request(self, request: Request, stamp: Stamp) -> None:
        unit = self.profile.model.unit
        if request.verb == "set_flag" and request.target in (unit.held, unit.guard):
            raise Refused(
                f"{request.target} follows the procedure",
                do="Use hold and restart, or end_environment once the vessel is empty.",
            )
        two = request.verb in ("bypass", "set_flag")
        if (two or request.verb == "reset") and not request.reason:
            raise Refused(f"a {request.verb} needs a reason")
        if two and request.second in ("", request.actor):
            raise Refused(f"{request.verb} {request.target} needs a second person")
        self.desk.issue(request, stamp)

    def _end_environment(self, request: Request, stamp: Stamp) -> None:
        """After Stop or Abort: two people confirm that the vessel is empty or discarded."""
        if not self.finished:
            raise Refused(f"the procedure is {self.procedure_state}; stop or abort it first")
        if request.second in ("", request.actor):
            raise Refused("two people must confirm that the vessel is empty or discarded")
        who = (request.actor, request.role, request.reason, request.second)
        for verb, target in _END:
            self.desk.issue(Request(verb, target, "0", *who), stamp)
        for loop in self.profile.loops:
            self.desk.issue(Request("set_mode", loop, "off", *who), stamp)
        for name, actuator in self.profile.model.actuators.items():
            self.desk.issue(Request("set_output", name, str(actuator.start), *who), stamp)

    # -- the recipe -------------------------------------------------------------------------

    def _decide(self, inputs: Inputs | None, stamp: Stamp) -> None:
        engine = self.engine
        if engine is None:
            return
        protective, self._protective = self._protective, []
        if self.procedure_state == IDLE:
            protective = []
        if inputs is None:
            inputs = Inputs(self.board.read, protective=protective)
        elif protective:
            inputs = Inputs(inputs.read, inputs.answers, inputs.orders, protective)
        ordered, self._ordered = self._ordered, []
        for _ in range(TRANSITIONS_MAX):
            decision = engine.decide(self.state, inputs, stamp)
            if not decision.records and not decision.commands:
                return
            for event in decision.records:
                self.record(event)
            for number in ordered:
                self.desk.outcome(number, "applied", stamp)
            ordered = []
            for command in decision.commands:
                self._recipe_command(command, stamp)
            inputs = inputs.taken()

    def _recipe_command(self, command: Command, stamp: Stamp) -> None:
        value = command.value
        text = str(value).lower() if isinstance(value, bool | str) else repr(float(value))
        target = command.target
        if command.verb == "set_mode" and text == "auto" and self._has_master(target):
            text = "cascade"
        request = Request(command.verb, target, text, RECIPE, "", command.path)
        try:
            self.desk.issue(request, stamp)
        except (BadInput, Refused) as error:
            self.desk.refuse(request, stamp, error.what)
            self._protective.append(ProtectiveRequest("hold", f"{command.path}: {error.what}"))

    def _has_master(self, loop: str) -> bool:
        place = self.profile.loops.index(loop)
        return int(self.profile.plan.loops[place]["master"]) >= 0


def summary(supervisor: Supervisor) -> Mapping[str, Any]:
    """What the faces show of a run."""
    return {
        "state": supervisor.procedure_state,
        "trips": list(supervisor.trips),
        "holds": supervisor.holds,
        "records": supervisor.records,
    }

"""The tick: drain events -> records -> alarms -> recipe engine -> desk -> one sync -> commands.

Runs on every event that is not modulating and at least every second, and follows transitions to
rest. Nothing it does can stop a loop or an interlock; when the log fails the unit goes to Hold and
no command but Hold is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from controller.alarms import Alarms
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, CellwrightError, RecordFailure, Refused
from controller.core.events import Event
from controller.core.ports import Sink
from controller.desk import RECIPE, Desk, Request
from controller.field.board import Board
from controller.field.image import HISTORY_CAPACITY
from controller.field.links.note import Note
from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.profile.compile import Profile
from controller.profile.plan import Action
from controller.recipe.decision import Command
from controller.recipe.engine import Engine, Inputs, ProtectiveRequest
from controller.recipe.states import FINAL, IDLE
from controller.record import history
from controller.record.log import BatchLog
from controller.requests import Requests
from controller.translate import Translator

CHUNK_NS = 60 * NS_PER_S
TRANSITIONS_MAX = 64
EMERGENCY_MAX = 4096
_RINGS = ("event", "history", "input")
_NO_LOG = "the log cannot be written"

class Supervisor:
    """One unit's supervisor. `station_log` takes what belongs to no batch."""

    def __init__(self, profile: Profile, board: Board, station_log: BatchLog) -> None:
        self.profile, self.board = profile, board
        self.log: Sink = station_log
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
        self._requests = Requests(self)
        self._unsynced: list[Event] = []
        self._untold: list[Event] = []
        self._period_ns = int(profile.plan.unit[0]["period_ns"])
        self._outputs = list(profile.outputs)
        self.listeners: list[Callable[[Event], None]] = []

    # -- records ----------------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Appends one record to the log that is open, and lets everything follow from it.

        What cannot be stored is replaced by a record that says so: no input may stop the tick.
        """
        if not self.failed:
            try:
                self.log.append(event)
            except RecordFailure as error:
                self._log_failed(error, event.stamp)
            except (BadInput, ValueError) as error:
                self.record(_replaced(event, error))
                return
        if self.failed:
            self._keep(event)
        else:
            self._unsynced.append(event)
        self.records += 1
        self._dirty = True
        self._count(event)
        if self.engine is not None:
            self.state = self.engine.evolve(self.state, event)
        for follower in self.alarms.follow(event):
            self.record(follower)
        self._untold.append(event)

    def _keep(self, event: Event) -> None:
        """While the log is down records stay in memory, as many as there is room for."""
        if len(self.emergency) < EMERGENCY_MAX:
            self.emergency.append(event)
        elif len(self.emergency) == EMERGENCY_MAX:
            data = {"kept": EMERGENCY_MAX}
            self.emergency.append(Event("emergency.full", event.stamp, data=data))

    def _tell(self) -> None:
        """Faces hear of a record once it is durable; one that fails is served no longer."""
        untold, self._untold = self._untold, []
        for event in untold:
            for listener in list(self.listeners):
                try:
                    listener(event)
                except (Exception, SystemExit) as error:
                    self.listeners.remove(listener)
                    data = {"face": getattr(listener, "__qualname__", "face"),
                            "why": f"{type(error).__name__}: {error}"[:300]}  # fmt: skip
                    self.record(Event("face.lost", event.stamp, data=data))

    def fault(self, error: Exception, stamp: Stamp) -> None:
        """A fault nobody foresaw in the supervisor itself: recorded, and the unit goes to Hold."""
        why = f"{type(error).__name__}: {error}"[:300]
        self.record(Event("supervisor.fault", stamp, data={"why": ascii(why)}))
        self._hold_field(stamp)
        self.hold("a fault of the supervisor")

    def hold(self, cause: str) -> None:
        """A protective Hold at the next tick, asked for by no person and no row."""
        self._protective.append(ProtectiveRequest("hold", cause))

    def _count(self, event: Event) -> None:
        if event.name == "cause.active":
            self.trips.append(str(event.data["row"]))
        elif event.name == "unit.hold":
            self.holds += 1

    def note(self, link: str, notes: list[Note]) -> None:
        """Takes what a link had to say; recorded at the next tick."""
        self._notes += [(link, note) for note in notes]

    # -- batch ------------------------------------------------------------------------------

    def attach(self, log: Sink, engine: Engine, state: Any) -> None:
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
        if self.desk.overdue(stamp):
            self.hold("field never answered a command")
        if self.engine is not None:
            self.decide(Inputs(self.board.read), stamp)
        for request in requests:
            try:
                self._requests.carry_out(request, stamp)
            except CellwrightError as error:
                self.desk.refuse(request, stamp, error.what)
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
            self._unsynced.clear()
            self.desk.hand_over()
        self.board.events_done()
        self._tell()

    def _log_failed(self, error: RecordFailure, stamp: Stamp) -> None:
        """No record, no command: Hold, in the kernel at once; loops and interlocks go on."""
        self.failed = str(error)
        for event in self._unsynced:
            self._keep(event)  # appended, but never acknowledged as durable
        self._unsynced.clear()
        self._hold_field(stamp)
        self.record(Event("log.failed", stamp, data={"why": error.what[:500]}))
        if self.engine is None:
            self.record(Event("unit.hold", stamp, data={"cause": _NO_LOG}))
        else:
            self._protective.append(ProtectiveRequest("hold", _NO_LOG))

    def _hold_field(self, stamp: Stamp) -> None:
        """The Hold column, at once: protective, so it waits for no record."""
        held = int(self.profile.plan.unit[0]["held_flag"])
        until_ns = stamp.mono_ns + 10 * NS_PER_S
        self.board.command(self.desk.next_id, int(Verb.SET_FLAG), held, 1.0, until_ns)
        self.desk.next_id += 1

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

    # -- the recipe -------------------------------------------------------------------------

    def decide(self, inputs: Inputs, stamp: Stamp) -> bool:
        """Follows the procedure to rest; True when the order in `inputs` was refused."""
        engine = self.engine
        if engine is None:
            return False
        if self._protective:
            protective, self._protective = self._protective, []
            if self.procedure_state != IDLE:
                inputs = Inputs(inputs.read, inputs.answers, inputs.orders, protective)
        refused = False
        for _ in range(TRANSITIONS_MAX):
            decision = engine.decide(self.state, inputs, stamp)
            if not decision.records and not decision.commands:
                break
            for event in decision.records:
                refused = refused or (bool(inputs.orders) and event.name == "command.refused")
                self.record(event)
            for command in decision.commands:
                self._recipe_command(command, stamp)
            inputs = inputs.taken()
        return refused

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


def _replaced(event: Event, error: Exception) -> Event:
    """The record in place of one that cannot be stored."""
    data = {"event": event.name, "why": ascii(str(error))[:300]}
    return Event("record.replaced", event.stamp, data=data)

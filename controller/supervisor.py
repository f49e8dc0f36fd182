"""The tick: drain events -> records -> alarms -> recipe engine -> desk -> one sync -> commands.

Runs on every event that is not modulating and at least every second, and follows transitions to
rest. Nothing it does can stop a loop or an interlock; when the log fails the unit goes to Hold and
no command but Hold is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from controller.alarms import Alarms
from controller.clocksteps import follow_clock
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, BrokenInvariant, RecordFailure, Refused
from controller.core.events import Event
from controller.core.ports import Sink
from controller.desk import Desk, Request
from controller.field.board import Board, KernelEvent
from controller.field.image import EVENT_CAPACITY
from controller.field.links.note import Note
from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.historian import Historian
from controller.losses import Losses
from controller.orders import A_FAULT, NO_ANSWER, RECIPE, Orders, refused_words, row_words
from controller.people.people import People
from controller.profile.compile import Profile
from controller.recipe.decision import Command
from controller.recipe.engine import Engine, Inputs, ProtectiveRequest
from controller.recipe.states import FINAL, IDLE, legal
from controller.record.emergency import BATCH, STATION, Emergency
from controller.record.log import BatchLog
from controller.requests import Requests
from controller.restore import REASON, Restore
from controller.translate import Translator, replaced

TRANSITIONS_MAX = 64
_NO_LOG = "the log cannot be written"
_HELD_FIRST = "the unit was held first: {}"


class Supervisor:
    """One unit's supervisor. `station_log` takes what belongs to no batch."""

    def __init__(
        self, profile: Profile, board: Board, station_log: BatchLog, orders: Orders,
        alarms: Alarms, emergency: Emergency, people: People | None = None,
    ) -> None:  # fmt: skip
        """`orders` and `alarms` hold what the logs say already; without `people` none log in.

        `emergency` takes what the logs cannot."""
        self.profile, self.board = profile, board
        self.orders, self.alarms = orders, alarms
        self.log: Sink = station_log
        self.station_log = station_log
        self.engine: Engine | None = None
        self.state: Any = None
        self.desk = Desk(profile, board, self.record, orders.free_id(board), self.record_station)
        self.failed = ""
        self.emergency = emergency
        self._translator = Translator(profile, board)
        self._notes: list[tuple[str, Note, str]] = []
        self.historian = Historian(self)
        self._losses = Losses(self)
        self._protective: list[ProtectiveRequest] = []
        self._dirty = False
        self.requests = Requests(self, people)
        self.restore = Restore(self)
        self._unsynced: list[tuple[Event, Sink, int]] = []
        self._untold: list[Event] = []
        self.listeners: list[Callable[[Event], None]] = []

    # -- records ----------------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Appends one record to the log that is open, and lets everything follow from it. What
        cannot be stored is replaced by a record that says so: no input may stop the tick."""
        self._record(event, self.log)

    def record_station(self, event: Event) -> None:
        """The same, to the station log, also while a batch is open: who people are."""
        self._record(event, self.station_log)

    def _record(self, event: Event, log: Sink) -> None:
        number = -1
        if not self.failed:
            try:
                number = log.append(event)
            except RecordFailure as error:
                self.log_failed(error, event.stamp)
            except (BadInput, ValueError) as error:
                self._record(replaced(event.name, event.stamp, error, event.source), log)
                return
        if self.failed:
            self._keep(event, log)
        else:
            self._unsynced.append((event, log, number))
        self.took(event, log)

    def took(self, event: Event, log: Sink) -> None:
        """What follows from a record that `log` has."""
        self._dirty = True
        self.orders.take(event)
        if self.engine is not None and log is self.log:
            self.state = self.engine.evolve(self.state, event)
        for follower in self.alarms.follow(event):
            self.record(follower)
        self._untold.append(event)

    def _keep(self, event: Event, log: Sink, number: int = -1) -> None:
        """While the log is down its records go to the emergency area; `number`: it has one."""
        where = STATION if log is self.station_log else BATCH
        self.emergency.keep(event, where, self.failed.partition("\n")[0], number)

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
        self._hold_field(stamp)
        self.record(Event("supervisor.fault", stamp, data={"why": ascii(why)}))
        self.desk.withdraw(stamp, _HELD_FIRST.format(A_FAULT))
        self.hold(A_FAULT)

    def hold(self, cause: str) -> None:
        """A protective Hold at the next tick, asked for by no person and no row."""
        self.ask(ProtectiveRequest("hold", cause))

    def ask(self, request: ProtectiveRequest) -> None:
        """A protective Hold or abort at the next tick."""
        self._protective.append(request)

    def standing(self) -> list[ProtectiveRequest]:
        """What rows in force ask of the procedure in its present phase."""
        return [
            ProtectiveRequest(cause.action, row_words(cause.row, cause.title), cause.row)
            for cause in self.requests.standing()
        ]

    def note(
        self, link: str, notes: list[Note], first_sequence: int = -1, generation: int = -1
    ) -> None:
        """Takes what a link had to say; recorded at the next tick, one record a note.

        `first_sequence` is the first note's place in the link's ring, -1 where there is no ring;
        `generation` the field it lies in, -1 for the present one.
        """
        which = self.board.generation if generation < 0 else generation
        for place, note in enumerate(notes, first_sequence):
            source = f"{which}.{link}.{place}" if first_sequence >= 0 else ""
            self._notes.append((link, note, source))

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
        # A field that stands still is found by the launcher; its last image is kept.
        with suppress(BrokenInvariant):
            self.board.refresh()
        requests = self.desk.take()
        follow_clock(self, stamp)
        self._take(self.board, self._translator, stamp)
        self._losses.tell(stamp)
        for event in self.alarms.due(stamp):
            self.record(event)
        if self.desk.overdue(stamp):
            self.hold(NO_ANSWER)
        if self.restore.active or self.restore.later:
            self.restore.tick(stamp)
        if self.engine is not None and not self.restore.active:
            self.decide(Inputs(self.board.read), stamp)
        self.requests.let_go(stamp)
        self.desk.record_reports()
        for asked in requests:
            self.requests.carry_out(asked, stamp)
        if self.historian.due(stamp):
            self.keep_history(stamp)
        self.desk.holdable = legal(self.procedure_state, "hold")
        self._settle(stamp)
        self.board.annunciate(self.alarms.loudness)
        self.board.beat(stamp.mono_ns)

    def _take(self, board: Board, translator: Translator, stamp: Stamp) -> None:
        """Every waiting event and note becomes exactly one record, whatever is in it."""
        for found in board.drain():
            source = f"{board.generation}.e.{found.sequence}"
            try:
                event = translator.kernel(found, stamp.at(found.time_ns))
            except (ValueError, LookupError) as error:
                event = replaced(f"event {found.kind} of field", stamp, error, source)
            if event is None:
                self._answer(found, stamp.at(found.time_ns), source)
            else:
                self.record(replace(event, source=source))
                self._follow(event)
        notes, self._notes = self._notes, []
        for link, note, source in notes:
            try:
                event = translator.note(link, note, stamp.at(note.at_ns), source)
            except (ValueError, LookupError) as error:
                event = replaced(f"note of {link}", stamp, error, source)
            self.record(replace(self.orders.standing.news(event), source=source))

    def _settle(self, stamp: Stamp) -> None:
        """One sync, then what waited for it: commands out, ring places free."""
        self._deliver(stamp)
        self.desk.tell(self.failed, stamp)
        if not self._dirty:
            return
        self._dirty = False
        if self.failed:
            self.emergency.sync()
        if not self.failed or self._full():  # the log down: they stay for the next supervisor
            self.board.events_done()
        self._tell()

    def _deliver(self, stamp: Stamp) -> None:
        """Makes every record durable, then gives field the commands that are in them."""
        if not self.failed:
            try:
                self.log.sync(stamp)
                if self.log is not self.station_log:
                    self.station_log.sync(stamp)
            except RecordFailure as error:
                self.log_failed(error, stamp)
        if not self.failed:
            self._unsynced.clear()
            self.desk.hand_over()
        elif self.restore.active:  # heat and oxygen do not wait for a disk
            self.desk.hand_over(system_only=True)

    def _full(self) -> bool:
        waiting = self.board.events_ready - int(self.board.image.head["event_tail"][0])
        return waiting > EVENT_CAPACITY // 2

    def log_failed(self, error: RecordFailure, stamp: Stamp) -> None:
        """No record, no command: Hold, in the kernel at once; loops and interlocks go on."""
        self.failed = str(error)
        self._hold_field(stamp)
        while self._unsynced:  # appended, but never acknowledged as durable
            self._keep(*self._unsynced.pop(0))
        self.desk.withdraw(stamp, _HELD_FIRST.format(_NO_LOG))
        self.record(Event("log.failed", stamp, data={"why": error.what[:500]}))
        if self.engine is None:
            self.record(Event("unit.hold", stamp, data={"cause": _NO_LOG}))
        else:
            self.hold(_NO_LOG)

    def _hold_field(self, stamp: Stamp) -> None:
        """The Hold column, at once: protective, it waits for no record and no disk. Before it goes
        what a new field is being given: after a later command it would be refused."""
        if self.restore.active:
            self.desk.hand_over(system_only=True)
        held = int(self.profile.plan.unit[0]["held_flag"])
        until = stamp.mono_ns + 10 * NS_PER_S
        self.board.command(self.desk.next_id, int(Verb.SET_FLAG), held, 1.0, until)
        self.desk.next_id += 1

    def _answer(self, found: KernelEvent, stamp: Stamp, source: str) -> None:
        """Field applied or refused a command."""
        self.desk.answered(found.index, int(found.a), stamp, source)
        if found.kind == EventKind.REFUSED and self.desk.from_recipe(found.index):
            self.hold(refused_words(found.index))

    def _follow(self, event: Event) -> None:
        """What a row asks of the procedure."""
        if event.name == "row.asks" and event.data["action"] in ("hold", "abort"):
            cause = row_words(event.data["row"], event.data["title"])
            self.ask(ProtectiveRequest(event.data["action"], cause, event.data["row"]))

    def keep_history(self, stamp: Stamp) -> None:
        """Stores the waiting released changes as one chunk; its digest is a record."""
        if not self.failed:
            try:
                self.historian.keep(stamp)
            except RecordFailure as error:
                self.log_failed(error, stamp)

    # -- another field --------------------------------------------------------------------------

    def drain(self, board: Board, stamp: Stamp) -> None:
        """Records what a dead field left in its rings, durably. Its notes were handed in by `note`.

        Nothing is asked of it. Of its image only latches and locks are read.
        """
        present, self.board = self.board, board
        try:
            self._take(board, Translator(self.profile, board), stamp)
            self.restore.left_by(board, stamp)
            self.keep_history(stamp)
            self._settle(stamp)
        finally:
            self.board = present

    def field_restarted(self, board: Board, stamp: Stamp, why: str = REASON) -> None:
        """Another field runs, and `board` shows it: records, Hold, and what it must be told again.

        What the old one was given and never answered is unknown. Without a batch it started cold,
        and nothing is given to it.
        """
        if board is not self.board:
            self.desk.withdraw(stamp, why)
            self.drain(self.board, stamp)
            self.board = self.desk.board = board
            self._translator = Translator(self.profile, board)
            self._losses = Losses(self)
        open_ = self.engine is not None
        state = self.procedure_state if open_ else ""
        data = {"generation": board.generation, "why": why, "state": state}
        self.record(Event("field.restarted", stamp, data=data))
        self.desk.lost(stamp, why)
        for row in list(self.orders.bypassed):
            self.record(Event("bypass.lapsed", stamp, data={"row": row, "scan": board.scan}))
        if open_:
            self.hold(why)
            self.restore.begin(stamp)

    # -- the recipe -------------------------------------------------------------------------

    def decide(self, inputs: Inputs, stamp: Stamp) -> str:
        """Follows the procedure to rest; why what people gave in `inputs` was refused, or ""."""
        engine = self.engine
        if engine is None:
            return ""
        protective, self._protective = self._protective, []
        if protective and self.procedure_state != IDLE:
            inputs = replace(inputs, protective=protective)
        refused, commanded = "", False
        for _ in range(TRANSITIONS_MAX):
            decision = engine.decide(self.state, inputs, stamp)
            if not decision.records and not decision.commands:
                break
            if commanded:  # taken up again only the last step commands anew: these go first
                self._deliver(stamp)
            commanded = bool(decision.commands)
            for event in decision.records:
                if event.name in ("command.refused", "prompt.refused", "change.refused"):
                    refused = str(event.data["why"])
                self.record(event)
            for command in decision.commands:
                self._recipe_command(command, stamp)
            inputs = inputs.taken()
        return refused

    def _recipe_command(self, command: Command, stamp: Stamp) -> None:
        value, target = command.value, command.target
        text = str(value).lower() if isinstance(value, bool | str) else repr(float(value))
        if command.verb == "set_mode" and text == "auto" and self._has_master(target):
            text = "cascade"
        request = Request(command.verb, target, text, RECIPE, "", command.path)
        try:
            self.desk.issue(request, stamp)
        except (BadInput, Refused) as error:
            self.desk.refuse(request, stamp, error.what)
            self._protective.append(ProtectiveRequest("hold", f"{command.path}: {error.what}"))

    def _has_master(self, loop: str) -> bool:
        return int(self.profile.plan.loops[self.profile.loops.index(loop)]["master"]) >= 0

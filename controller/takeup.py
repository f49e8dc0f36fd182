"""Taking a batch up again: what the logs say, and what is to be done about it at once.

State, alarms and commands are rebuilt by folding the same records that made them. Nothing is tried
a second time: what was never handed over is said to be so, what field may have done is awaited, and
what nobody can know any more is unknown, and a Hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller import environment
from controller.alarms import ALARM_RECORDS, Alarms
from controller.asking import STATION_VERBS
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, RecordFailure, Refused
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.core.yamltext import MAX_BYTES, parse
from controller.field.board import EVENTS, HISTORY, Board
from controller.orders import Intent, Orders
from controller.profile.compile import Profile
from controller.profile.scope import SUPERVISOR_AGE
from controller.recipe.batch import BatchState, evolve
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
from controller.recipe.plan import ControlRecipe
from controller.recipe.states import IDLE
from controller.record.emergency import BATCH
from controller.record.entry import event_of, stamp_of
from controller.record.frame import read_limited
from controller.restore import REASON
from controller.supervisor import Supervisor

AGAIN = "the supervisor was restarted"
NEVER_GIVEN = "field was never given it"
HELD_UNRECORDED = "field was held, and no record says so"
GIVEN_AND_DEAD = "the field that may have it has died"
RECOVERED = "record:log.recovered"  # the alarm


@dataclass(slots=True)
class OpenBatch:
    """What the log of an open batch says, filled record by record."""

    opened: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    state: BatchState = field(default_factory=BatchState)
    last: Stamp | None = None

    def take(self, record: dict[str, Any]) -> None:
        """Takes one decoded record."""
        if record["event"] == "batch.opened":
            self.opened = record["data"]
        elif record["event"] == "blob.stored":
            self.files[record["data"]["name"]] = record["data"]["file"]
        self.state = evolve(self.state, record)
        if record["event"] not in ("log.gap", "log.recovered"):  # made at this start, not before
            self.last = stamp_of(record)

    @property
    def complete(self) -> bool:
        """Whether the batch ever began: its header and recipe are there."""
        return bool(self.opened) and "recipe" in self.files

    @property
    def batch_id(self) -> str:
        """The batch's id."""
        return str(self.opened.get("batch_id", ""))

    def control_recipe(self, profile: Profile, offer: Offer, log: Path) -> ControlRecipe:
        """The recipe the batch was opened with, from its own copy. Raises Refused otherwise."""
        if self.opened["profile"] != profile.sha256:
            raise self._refused("the equipment profile is not the one this batch was opened with")
        try:
            name = self.files["recipe"]
            data = read_limited(log / name, MAX_BYTES)
            if hashlib.sha256(data).hexdigest() != name.rpartition("-")[2]:
                raise self._refused("the recipe in its log is not what its record names")
            document = parse(data, f"{log / name}")
            recipe = compile_recipe(document, offer)
            if recipe.digest != self.opened["recipe"]:
                recipe = compile_recipe(document, offer, self.opened["parameters"])
        except (BadInput, RecordFailure) as error:
            raise self._refused(f"its recipe cannot be read: {error.what}") from error
        if recipe.digest != self.opened["recipe"]:
            raise self._refused("its recipe means something else with this profile or program")
        return recipe

    def _refused(self, what: str) -> Refused:
        return Refused(
            f"batch {self.batch_id} cannot be taken up: {what}",
            means="Nothing was changed. Field goes on with its last setpoints and its rows; the "
            "batch stays open.",
            do="Start the station with the unit profile and program the batch was opened with.",
        )


class Rebuilt:
    """What the logs of a station say about commands and alarms."""

    def __init__(self, profile: Profile) -> None:
        self.orders = Orders(profile)
        self.alarms = Alarms.of(profile)
        self._last: dict[str, Any] | None = None
        self._recovered: dict[str, Any] | None = None  # a log was, and nobody was told yet
        self._alarms_after: list[dict[str, Any]] = []

    def read(self, records: Iterable[dict[str, Any]], batch: OpenBatch | None = None) -> None:
        """Folds a log; the station's first, then that of the open batch."""
        for record in records:
            self.orders.take(record)
            if batch is not None:
                batch.take(record)
            if record["event"] in ALARM_RECORDS:
                self._alarms_after.append(record)
                if record["data"].get("alarm") == RECOVERED:
                    self._recovered = None
            else:
                self._evolve()
                self._last = record
                if record["event"] == "log.recovered":
                    self._recovered = record

    def add(self, waiting: Iterable[tuple[bytes, Event]], batch: OpenBatch | None) -> None:
        """Folds what waits in the emergency area for logs that are only read."""
        for where, event in waiting:
            self.orders.take(event)
            if batch is not None and where == BATCH:
                batch.state = evolve(batch.state, event)
            if event.name in ALARM_RECORDS:
                self.alarms.evolve(event)

    def missing(self) -> list[Event]:
        """Alarm records that should have followed the last record, and which a crash prevented; and
        those of a log that recovered itself, whatever came after."""
        if self._last is None:
            return []
        owed = [event_of(each) for each in (self._recovered,) if each and each is not self._last]
        known = [r for r in self._alarms_after if r["actor"] == "system"]
        try:
            following = self.alarms.follow(event_of(self._last))[len(known) :]
        except (ValueError, LookupError):  # a record of another version: nothing follows from it
            following = []
        self._evolve()
        for event in following:
            self.alarms.evolve(event)
        return following + [alarm for event in owed for alarm in self.alarms.follow(event)]

    def _evolve(self) -> None:
        for record in self._alarms_after:
            self.alarms.evolve(record)
        self._alarms_after.clear()


def skip_recorded(board: Board, profile: Profile, orders: Orders) -> None:
    """What the logs hold of this field's rings is not handed out again."""
    rings = [link.name for link in profile.links]
    for (generation, name), upto in orders.recorded.items():
        if generation != board.generation:
            continue
        if name in (EVENTS, HISTORY):
            board.skip(name, upto)
        elif name in rings:
            board.skip(name, upto, rings.index(name))
        else:
            board.skip(name, upto, len(rings))


def go_on(supervisor: Supervisor, batch: OpenBatch, older: Sequence[Board], stamp: Stamp) -> None:
    """After the batch is attached: says so, settles what was under way, and holds if it must."""
    orders, board = supervisor.orders, supervisor.board
    held = supervisor.profile.model.unit.held
    last_seen, restoring = orders.generation, orders.restoring
    asked, standing = list(orders.asked), supervisor.standing()
    lived = last_seen in (0, board.generation)
    gap_s = _gap(batch.last, stamp, board if lived and SUPERVISOR_AGE in supervisor.profile.index
                 else None)  # fmt: skip
    data = {"gap_s": gap_s, "state": supervisor.procedure_state}
    supervisor.record(Event("batch.attached", stamp, data=data))
    for dead in older:
        supervisor.drain(dead, stamp)
    for intent in list(orders.open.values()):
        _settle(supervisor, intent, older, not lived, stamp)
    if not lived:
        supervisor.field_restarted(board, stamp)
    elif restoring:
        supervisor.hold(REASON)
        supervisor.restore.begin(stamp)
    elif supervisor.profile.model.unit.supervisor_restart != "go_on":
        supervisor.hold(AGAIN)
    elif board.read(held).value > 0.5 and not orders.flag(held):
        supervisor.hold(HELD_UNRECORDED)
    environment.complete(supervisor, stamp)
    for request in asked:
        supervisor.ask(request)
    if supervisor.procedure_state != IDLE:
        for request in standing:
            supervisor.ask(request)


def _gap(last: Stamp | None, now: Stamp, board: Board | None) -> str:
    """For how many seconds at most nobody followed the recipe; empty when nobody can know: the
    machine was started since, and its wall clock stands before the last record.

    A field that lived on (`board`) knows when the last supervisor was there, and a quiet batch may
    have written no record for minutes.
    """
    if last is None:
        return ""
    ns = now.mono_ns - last.mono_ns if now.boot_id == last.boot_id else now.utc_ns - last.utc_ns
    seen = board.read(SUPERVISOR_AGE) if board is not None else None
    if seen is not None and seen.good and ns >= 0:
        ns = min(ns, round(seen.value * NS_PER_S))
    return decimal_text(ns / NS_PER_S) if ns >= 0 else ""


def _settle(
    supervisor: Supervisor, intent: Intent, older: Sequence[Board], field_died: bool, stamp: Stamp
) -> None:
    """What became of a command whose outcome is not recorded."""
    desk = supervisor.desk
    if intent.valid_until_ns < 0:
        station = intent.verb in STATION_VERBS  # the outcome follows its intent
        desk.outcome(intent.id, "unknown", stamp, AGAIN, station=station)
        if intent.verb == "hold":
            supervisor.hold(f"hold by {intent.actor} when {AGAIN}")
    elif supervisor.board.handed_over(intent.id):
        desk.adopt(intent)
    elif field_died and (not older or any(dead.handed_over(intent.id) for dead in older)):
        desk.outcome(intent.id, "unknown", stamp, GIVEN_AND_DEAD)
    else:
        desk.outcome(intent.id, "not_delivered", stamp, NEVER_GIVEN)

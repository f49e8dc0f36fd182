"""A live run: field and supervisor side by side on this machine's clock.

The field scans in its own thread; this module is the supervisor's side: a tick on news and at
least every second, the faces' turns between ticks, and the end. It is crash-only: what a tick has
synced is all that matters, and the end of a run does nothing a crash would lose.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from controller.core.clock import NS_PER_MS, NS_PER_S, Clock, Stamp
from controller.core.errors import BadInput, BrokenInvariant, CellwrightError, Refused, nearest
from controller.core.events import Event
from controller.core.signal import Quality, Reason
from controller.core.yamltext import load
from controller.desk import Request
from controller.field.links.note import Note, NoteKind
from controller.field.realtime import Counts, LiveField
from controller.profile.compile import Profile
from controller.profile.plan import SignalKind
from controller.recipe.model import ControlRecipe
from controller.recipe.states import FINAL, HELD
from controller.record.state import StateDir
from controller.script import ScriptedOperator
from controller.station import BatchOrder, Station, is_sealed

PAUSE_NS = 50 * NS_PER_MS
FOUND_NS_MAX = 25 * NS_PER_S  # twice the slowest poll and a session [assumed]
HOLD_NS_MAX = 15 * NS_PER_S
SETTLE_NS = NS_PER_S  # what the Hold itself does is recorded too
COUNTS_NS = 10 * NS_PER_S  # at most one record of late scans in this time


class _LinksModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    links: dict[str, str] = Field(max_length=64)
    control: str = ""


class Face(Protocol):
    """Somebody at the desk: a script, a keyboard, a screen."""

    def turn(self, stamp: Stamp) -> None:
        """Asks at the desk what it wants, shows what is new. Called often; must not block."""
        ...


def load_links(path: Path, profile: Profile) -> tuple[dict[str, str], str]:
    """URL of every link of a unit, and the control socket of a simulated one (or empty).

    Raises BadInput with file:line for a missing, unknown or wrong link; nothing is started.
    """
    document = load(path)
    model = document.validate(_LinksModel)
    kinds = {link.name: link.kind for link in profile.links}
    for name, url in model.links.items():
        if name not in kinds:
            raise document.error(
                f"unit {profile.id} has no link {name!r}. {nearest(name, list(kinds))}",
                "links", name,
            )  # fmt: skip
        if url.startswith("opc.tcp://") != (kinds[name] == "opcua"):
            raise document.error(f"link {name} is {kinds[name]}, {url!r} is not", "links", name)
    missing = [name for name in kinds if name not in model.links]
    if missing:
        raise document.error(f"nothing says where {', '.join(missing)} is", "links")
    return model.links, model.control


def refuse_open_batch(state: StateDir, unit: str) -> None:
    """Raises BadInput, and touches nothing, when a batch is open in this state directory."""
    found = state.current()
    if found is not None and not is_sealed(state, found):
        raise BadInput(
            f"batch {found} is still open in {state.path}; {unit} cannot start another",
            means="Its cells may depend on the unit it runs on. Nothing was started or changed.",
            do="Finish or end that batch with the unit and recipe it was opened for, "
            "or choose another --state.",
        )


def live_batch_id(stamp: Stamp, recipe: str) -> str:
    """The id of a live batch: its day and time, and what tells two of one second apart."""
    text = stamp.rfc3339()
    digest = hashlib.sha256(f"{recipe} {stamp.boot_id} {stamp.mono_ns}".encode()).hexdigest()
    return f"L-{text[:10].replace('-', '')}-{text[11:19].replace(':', '')}-{digest[:6]}"


def quiet_libraries() -> None:
    """Protocol libraries keep what they say to themselves: the links' notes are the record."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)


class ScriptFace:
    """A scripted operator at a live station."""

    def __init__(
        self,
        operator: ScriptedOperator,
        record: Callable[[Event], None],
        pour: Callable[[], None] | None = None,
    ) -> None:
        """`pour` is called once a second: hands that pour do it a little at a time."""
        self._operator, self._record, self._pour = operator, record, pour
        self._poured_ns = 0

    def turn(self, stamp: Stamp) -> None:
        """Does what is due. What cannot be done is recorded, and the rest goes on."""
        try:
            if self._pour is not None and stamp.mono_ns - self._poured_ns >= NS_PER_S:
                self._poured_ns = stamp.mono_ns
                self._pour()
            if stamp.mono_ns >= self._operator.next_ns:
                self._operator.act(stamp)
        except CellwrightError as error:
            data = {"action": "not possible:", "data": error.what[:500]}
            self._record(Event("simulation.hands", stamp, self._operator.actor, data=data))


class LiveRun:
    """One live station from its first scan to `until_s` or the end of its batch."""

    def __init__(
        self,
        station: Station,
        field: LiveField,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.station, self.field = station, field
        self.faces: list[Face] = []
        self.batch_id = self.final_state = ""
        self.began_ns = clock.stamp().mono_ns
        self._clock, self._pause = clock, pause
        self._supervisor = station.supervisor
        self._head = station.image.head["event_head"]
        self._seen = -1
        self._ticked_ns = 0
        self._counts = Counts()
        self._counts_ns = 0
        self._notes_lost = 0

    # -- the run ------------------------------------------------------------------------------

    def run(
        self, recipe: ControlRecipe, path: Path, order: BatchOrder, until_s: float | None = None
    ) -> None:
        """Starts the field, opens the batch when every device has answered, and runs it.

        At `until_s` (since the start) the procedure is ordered to Hold. Whatever was recorded is
        durable and covered by a checkpoint at the end. Raises Refused when a device was not
        found, BrokenInvariant when the scan loop ended by itself.
        """
        self.began_ns = self._clock.stamp().mono_ns
        end_ns = self.began_ns + round(until_s * NS_PER_S) if until_s is not None else None
        self.field.start()
        try:
            self._find()
            self._open(recipe, path, order)
            self._until(lambda now_ns: self._closed() or (end_ns is not None and now_ns >= end_ns))
            if not self._closed():
                self._hold(order)
            self._finish()
        except CellwrightError:
            self._finish()
            raise
        finally:
            self.field.stop()

    def missing(self) -> list[str]:
        """Measured signals that no device gives now, each with the reason."""
        signals, profile = self.station.image.signals, self.station.profile
        return [
            f"{name} ({Reason(int(signals['reason'][index])).words})"
            for index, name in enumerate(profile.signals)
            if profile.plan.signals[index]["kind"] == SignalKind.INPUT
            and signals["quality"][index] == Quality.BAD
        ]  # fmt: skip

    def _find(self) -> None:
        limit_ns = self.began_ns + FOUND_NS_MAX
        self._until(lambda now_ns: now_ns >= limit_ns or not self.missing())
        missing = self.missing()
        if missing:
            raise Refused(
                f"not every device is there: {', '.join(missing)}",
                means="No batch was opened.",
                do="Check the links file, the cables and the devices' addresses.",
            )

    def _open(self, recipe: ControlRecipe, path: Path, order: BatchOrder) -> None:
        self.station.open_batch(recipe, path, order, self._clock.stamp())
        self.batch_id = order.batch_id
        self._supervisor.desk.ask(
            Request("start", actor=order.actor, role=order.role, reason="the run starts")
        )

    def _hold(self, order: BatchOrder) -> None:
        """The last order of a run that ends before its batch: the cells wait, they are not left."""
        if self._supervisor.procedure_state not in (HELD, *FINAL):
            self._supervisor.desk.ask(
                Request("hold", actor=order.actor, role=order.role, reason="the run ends here")
            )
        limit_ns = self._clock.stamp().mono_ns + HOLD_NS_MAX
        self._until(
            lambda now_ns: now_ns >= limit_ns or self._supervisor.procedure_state in (HELD, *FINAL)
        )
        settled_ns = self._clock.stamp().mono_ns + SETTLE_NS
        self._until(lambda now_ns: now_ns >= settled_ns)

    @property
    def state(self) -> str:
        """State of the procedure, also after its batch was closed."""
        return self.final_state or self._supervisor.procedure_state

    def _closed(self) -> bool:
        return bool(self.batch_id) and self.station.batch_log is None

    def _until(self, done: Callable[[int], bool]) -> None:
        while True:
            stamp = self._clock.stamp()
            self._beat(stamp)
            if done(stamp.mono_ns):
                return
            self._pause(PAUSE_NS / NS_PER_S)

    def _finish(self) -> None:
        """What is recorded so far becomes durable, under a checkpoint; the batch stays open."""
        stamp = self._clock.stamp()
        self._record_counts(stamp)
        self._supervisor.tick(stamp)
        self._supervisor.keep_history(stamp)
        for log in (self.station.batch_log, self._supervisor.station_log):
            if log is not None and not self._supervisor.failed:
                log.sync(stamp)
                log.checkpoint(stamp)
                log.close()

    # -- one beat -----------------------------------------------------------------------------

    def _beat(self, stamp: Stamp) -> None:
        supervisor = self._supervisor
        for face in self.faces:
            face.turn(stamp)
        self._take_field(stamp)
        head = int(self._head[0])
        if (
            head != self._seen
            or supervisor.desk.requests
            or stamp.mono_ns - self._ticked_ns >= NS_PER_S
        ):
            self._seen, self._ticked_ns = head, stamp.mono_ns
            try:
                supervisor.tick(stamp)
            except CellwrightError:
                raise
            except Exception as error:  # the field goes on, the unit holds, the fault is recorded
                supervisor.fault(error, stamp)
            if self.station.may_close:
                self.final_state = supervisor.procedure_state
                self.station.close_batch(stamp)

    def _take_field(self, stamp: Stamp) -> None:
        """What the field says beside its image: notes, counts, and that it has failed."""
        field, supervisor = self.field, self._supervisor
        for link, notes in field.take_notes():
            supervisor.note(link, notes)
            self._ticked_ns = 0
        if field.notes_lost != self._notes_lost:
            lost, self._notes_lost = field.notes_lost - self._notes_lost, field.notes_lost
            supervisor.record(Event("ring.overflow", stamp, data={"ring": "notes", "lost": lost}))
        if stamp.mono_ns - self._counts_ns >= COUNTS_NS:
            self._counts_ns = stamp.mono_ns
            self._record_counts(stamp)
        if field.failed:
            self._field_failed(stamp)

    def _record_counts(self, stamp: Stamp) -> None:
        """Late, long and missed scans since the last record, if there were any."""
        now, old = self.field.counts, self._counts
        news = {
            "late": now.late - old.late, "long": now.long - old.long,
            "missed": now.missed - old.missed,
        }  # fmt: skip
        if any(news.values()):
            self._counts = now
            self._supervisor.record(Event("scan.late", stamp, data=news))

    def _field_failed(self, stamp: Stamp) -> None:
        """No scan, no loop, no interlock: it is recorded, and the process ends. The host's beat
        has stopped, so the devices do what safety's table says about a lost field."""
        why = f"the scan loop stopped: {self.field.failed}"
        note = Note(NoteKind.LOST, "", why, stamp.mono_ns)
        self._supervisor.note("field", [note])
        self._supervisor.hold(why[:200])
        self._supervisor.tick(stamp)
        raise BrokenInvariant(
            why,
            means="Nothing controls the unit; its devices fall back by themselves.",
            do="Look at the vessel, then start the station again.",
        )

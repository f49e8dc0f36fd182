"""A live run of the supervisor: a tick on news and at least every second, faces between ticks.

Field is another program; it scans whatever happens here. This side is crash-only: what a tick has
synced is all that matters, and the end of a run does nothing a crash would lose.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from controller.alarms import DISK
from controller.attachment import FIELD, Attached, Attachment
from controller.core.clock import NS_PER_MS, NS_PER_S, Clock, Stamp
from controller.core.errors import BadInput, CellwrightError, RecordFailure, Refused
from controller.core.events import Event
from controller.core.ports import Unwatched, Watch
from controller.core.signal import Quality, Reason
from controller.desk import Request
from controller.field.links.note import Note, NoteKind
from controller.mending import Mending
from controller.profile.plan import SignalKind
from controller.recipe.plan import ControlRecipe
from controller.recipe.states import FINAL, HELD
from controller.record.space import SpaceWatch
from controller.script import ScriptedOperator
from controller.station import BatchOrder, Station

PAUSE_NS = 50 * NS_PER_MS
FOUND_NS_MAX = 25 * NS_PER_S  # twice the slowest poll and a session [assumed]
HOLD_NS_MAX = 15 * NS_PER_S
SETTLE_NS = NS_PER_S  # what the Hold itself does is recorded too
FIELD_NS_MAX = 120 * NS_PER_S  # the first start of all compiles the kernel
SILENT_NS = 2 * NS_PER_S  # a field that has not scanned for so long is said to be silent
SILENT_PERIODS = 20
WAITING_NS = 5 * NS_PER_S  # how often it is said what a start waits for


class Face(Protocol):
    """Somebody at the desk: a script, a keyboard, a screen."""

    def turn(self, stamp: Stamp) -> None:
        """Asks at the desk what it wants, shows what is new. Called often; must not block."""
        ...


class Ended(BaseException):
    """The launcher ends this run by a signal. No fault: nothing that catches faults may stop it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def live_batch_id(stamp: Stamp, recipe: str) -> str:
    """The id of a live batch: its day and time, and what tells two of one second apart."""
    text = stamp.rfc3339()
    digest = hashlib.sha256(f"{recipe} {stamp.boot_id} {stamp.mono_ns}".encode()).hexdigest()
    return f"L-{text[:10].replace('-', '')}-{text[11:19].replace(':', '')}-{digest[:6]}"


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


def wait_for_field(
    attachment: Attachment, clock: Clock, pause: Callable[[float], None] = time.sleep
) -> tuple[Attached, list[Attached]]:
    """The living field and the dead ones before it; raises BadInput if none comes."""
    limit_ns = clock.stamp().mono_ns + FIELD_NS_MAX
    while True:
        living, dead = attachment.find()
        if living is not None:
            attachment.present = living
            return living, dead
        if clock.stamp().mono_ns > limit_ns:
            raise BadInput(
                "field has not started",
                means="Nothing scans. If its first frames have left, liquids are shut with a batch "
                "open, and every output is at its start value without one.",
                do="Look at what field wrote to its standard error.",
            )
        pause(PAUSE_NS / NS_PER_S)


class LiveRun:
    """One supervisor's run on a living field."""

    def __init__(
        self,
        station: Station,
        attachment: Attachment,
        clock: Clock,
        began_ns: int = -1,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`attachment.present` is the field the station was made with. `began_ns` is when the run
        began, before whatever restarts; -1 for now."""
        self.station, self.attachment = station, attachment
        self.faces: list[Face] = []
        self.watch: Watch = Unwatched()
        self.batch_id = self.final_state = ""
        self.said: Callable[[str], None] = lambda text: None  # where words for people go
        self.began_ns = clock.stamp().mono_ns if began_ns < 0 else began_ns
        self._clock, self._pause = clock, pause
        self._supervisor = station.supervisor
        self._seen, self._ticked_ns = -1, 0
        self._scan, self._scan_ns = -1, self.began_ns
        self._space = SpaceWatch(
            station.files, station.state_dir.budget, station.supervisor.record,
            station.supervisor.alarms.stands(DISK),
        )  # fmt: skip
        save = station.supervisor.emergency.save
        self._mending = Mending(station.state_dir, clock.stamp().mono_ns, save)
        self._silent, self._signal, self._actor = False, 0, "system"

    # -- the run ------------------------------------------------------------------------------

    def take_up(self, dead: list[Attached]) -> None:
        """Goes on with the batch that was open at this start; what dead fields left is recorded."""
        self.batch_id = self.station.found_open
        self._leave(dead)
        self.station.take_up(self._clock.stamp(), [each.board for each in dead])
        self._forget(dead)

    @property
    def restarted(self) -> bool:
        """Whether field started as with a batch open."""
        flag = self.station.profile.model.unit.restarted
        return flag is not None and self.station.board.read(flag).value > 0.5

    def start_cold(self) -> None:
        """Field waits for a batch that turned out to be over: it ends, and starts cold."""
        if self.attachment.present is None:
            return
        limit_ns = self._clock.stamp().mono_ns + FIELD_NS_MAX
        self._until(lambda now_ns: now_ns >= limit_ns or self._field_pid > 0)
        if self._field_pid <= 0:
            return  # it never said which process it is; number 0 would be this process's group
        before = self.attachment.present.region.generation
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._field_pid, signal.SIGTERM)
        self._until(
            lambda now_ns: now_ns >= limit_ns
            or (self.attachment.present is not None
                and self.attachment.present.region.generation > before)
        )  # fmt: skip

    @property
    def _field_pid(self) -> int:
        return int(self.station.board.image.beat["pid"][0])

    def open(
        self, recipe: ControlRecipe, path: Path, order: BatchOrder, dead: list[Attached],
        until_ns: int | None = None,
    ) -> None:  # fmt: skip
        """Opens the batch when every device has answered.

        Raises Refused, and opens none, when a device was not found, or not before `until_ns`.
        """
        self.record_dead(dead)
        self._find(until_ns)
        self.station.open_batch(recipe, path, order, self._clock.stamp())
        self.opened(order.batch_id)
        self._supervisor.desk.ask(
            Request("start", actor=order.actor, reason="the run starts", origin="script")
        )

    def record_dead(self, dead: list[Attached]) -> None:
        """What fields without a batch left is recorded; then their regions go."""
        self._leave(dead)
        for each in dead:
            self._supervisor.drain(each.board, self._clock.stamp())
        self._forget(dead)

    def opened(self, batch_id: str) -> None:
        """A batch was opened; the run is about it now."""
        self.batch_id, self.final_state = batch_id, ""

    def end(self, number: int) -> None:
        """From a signal's handler: at the next beat the run is over, and who ended it recorded."""
        self._signal = number

    def _ending(self, who: str, actor: str, stamp: Stamp) -> None:
        """A batch that stays open says who left it so."""
        if self.batch_id and not self._closed():
            data = {"who": who, "state": self._supervisor.procedure_state}
            self._supervisor.record(Event("run.ending", stamp, actor, data=data))
            self._supervisor.tick(stamp)

    def run(
        self, order: BatchOrder, until_ns: int | None = None, one_batch: bool = True
    ) -> None:
        """Runs until the batch is closed, or to `until_ns`, at which the procedure is held.

        Without `one_batch` people open batches, one after another. Whatever was recorded is durable
        and covered by a checkpoint at the end. Raises Ended after a signal.
        """
        self._actor = order.actor
        try:
            self._until(
                lambda now_ns: (one_batch and self._closed())
                or (until_ns is not None and now_ns >= until_ns)
            )
            if self.batch_id and not self._closed():
                self._ending("--until", order.actor, self._clock.stamp())
                self._hold(order)
        finally:
            self.finish()

    def missing(self) -> list[str]:
        """Measured signals that no device gives now, each with the reason."""
        signals, profile = self.station.board.image.signals, self.station.profile
        return [
            f"{name} ({Reason(int(signals['reason'][index])).words})"
            for index, name in enumerate(profile.signals)
            if profile.plan.signals[index]["kind"] == SignalKind.INPUT
            and signals["quality"][index] == Quality.BAD
        ]  # fmt: skip

    def _find(self, until_ns: int | None) -> None:
        now_ns = self._clock.stamp().mono_ns
        limit_ns = min(now_ns + FOUND_NS_MAX, until_ns or now_ns + FOUND_NS_MAX)
        told_ns = now_ns
        while now_ns < limit_ns and self.missing():
            if now_ns - told_ns >= WAITING_NS:
                told_ns = now_ns
                self.said(f"waiting for {', '.join(self.missing()[:6])}")
            until = min(limit_ns, told_ns + WAITING_NS)
            self._until(lambda now, until=until: now >= until or not self.missing())  # type: ignore[misc]
            now_ns = self._clock.stamp().mono_ns
        missing = self.missing()
        if missing:
            self.finish()
            raise Refused(
                f"not every device is there: {', '.join(missing)}",
                means="No batch was opened.",
                do="Check the links file, the cables and the devices' addresses.",
            )

    def _hold(self, order: BatchOrder) -> None:
        """The last order of a run that ends before its batch: the cells wait, they are not left."""
        if self._supervisor.procedure_state not in (HELD, *FINAL):
            self._supervisor.desk.ask(
                Request("hold", actor=order.actor, reason="the run ends here", origin="script")
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
            if self._signal:
                by_hand = self._signal == signal.SIGINT
                who = "Ctrl-C at the console" if by_hand else signal.Signals(self._signal).name
                self._ending(who, self._actor if by_hand else "system", stamp)
                raise Ended(self._signal)
            if done(stamp.mono_ns):
                return
            self._pause(PAUSE_NS / NS_PER_S)

    def finish(self) -> None:
        """What is recorded so far becomes durable, under a checkpoint; the batch stays open."""
        self.watch.finish(quick=bool(self._signal))
        stamp = self._clock.stamp()
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
        self.watch.due(stamp)
        self._look_for_room(stamp)
        log = self.station.batch_log
        self._space.due(stamp, None if log is None or supervisor.failed else log.directory)
        self._take_field(stamp)
        head = self.station.board.events_ready
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

    def _look_for_room(self, stamp: Stamp) -> None:
        """The log is down: once the disk is back the next supervisor opens the logs anew."""
        if not self.watch.held and self._mending.done(self._supervisor.failed, stamp):
            raise RecordFailure(
                "the disk takes records again",
                means="What was done without the log is in the emergency area.",
                do="Nothing: the next supervisor opens the logs, and the batch is in Hold.",
            )

    def _take_field(self, stamp: Stamp) -> None:
        """What field says beside its image, that it was started again, that it is silent."""
        newer = self.attachment.newer()
        present = self.attachment.present
        if newer is not None and present is not None:
            self._leave([present])
            self.attachment.present = newer
            self.station.field_restarted(newer.board, stamp)
            self._forget([present])
            self._seen, self._ticked_ns = -1, 0
        if self.attachment.present is not None:
            self._take_notes(self.attachment.present)
        self._watch(stamp)

    def _take_notes(self, attached: Attached) -> None:
        generation = attached.region.generation
        for name, sequence, note in self.attachment.notes(attached):
            self._supervisor.note(name, [note], sequence, generation)
            self._ticked_ns = 0

    def _leave(self, dead: list[Attached]) -> None:
        """Takes the last words of fields that died."""
        for each in dead:
            self._take_notes(each)

    def _forget(self, dead: list[Attached]) -> None:
        """What they left is recorded, and durable: their regions may go."""
        if self._supervisor.failed:
            return  # it is not durable: they stay for the next supervisor
        for each in dead:
            each.region.unlink()
            each.region.close()

    def _watch(self, stamp: Stamp) -> None:
        """A field that does not scan is an alarm; its devices fall back by themselves."""
        scan = self.station.board.scan
        if scan != self._scan:
            self._scan, self._scan_ns = scan, stamp.mono_ns
            if self._silent:
                self._silent = False
                self._supervisor.note(FIELD, [Note(NoteKind.RESTORED, "", "", stamp.mono_ns)])
        period_ns = int(self.station.profile.plan.unit[0]["period_ns"])
        if stamp.mono_ns - self._scan_ns > max(SILENT_NS, SILENT_PERIODS * period_ns) and (
            not self._silent
        ):
            self._silent = True
            why = "field does not scan: nothing controls the unit, its devices fall back"
            self._supervisor.note(FIELD, [Note(NoteKind.LOST, "", why, stamp.mono_ns)])
            self._supervisor.hold("field is silent")

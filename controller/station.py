"""The wiring diagram: the only file that joins profile, image, log, engine and desk.

A station is one unit with its state directory. Live, rig and tests make the same station; what
differs is who scans (`field`) and which clock, keys and file layer are handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import controller
from controller import environment
from controller._jit_cache import package_digest
from controller.beginning import Blob, begin, blobs_of, is_sealed, open_batch_in, put_away
from controller.core.clock import Stamp
from controller.core.errors import BadInput, CellwrightError, RecordFailure, Refused
from controller.core.events import Event
from controller.core.yamltext import load
from controller.field import image as layout
from controller.field import kernel
from controller.field.board import Board
from controller.field.image import Image
from controller.field.views import Bound
from controller.merging import Merging
from controller.people.people import People
from controller.people.roles import Rights
from controller.profile.compile import Profile
from controller.recipe.engine import Engine
from controller.recipe.formula import missing
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
from controller.recipe.plan import ControlRecipe
from controller.recipe.states import IDLE
from controller.record.emergency import Emergency
from controller.record.ends import finish
from controller.record.entry import read_records
from controller.record.files import FileLayer
from controller.record.frame import segment_files
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.state import StateDir
from controller.supervisor import Supervisor
from controller.takeup import OpenBatch, Rebuilt, go_on, skip_recorded

USES = ("virtual", "engineering")
NOTICE = "NOT FOR HUMAN USE"
CALIBRATION = "simulated devices: no calibration"


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """What a batch is opened with. `identity` is a pseudonym, never a name or a date of birth."""

    batch_id: str
    use: str
    identity: str
    set_lot: str
    calibration: str = CALIBRATION
    actor: str = "unverified:console@station"
    role: str = "operator"


class Station:
    """One unit, its image, its logs and its supervisor."""

    full: RecordFailure | None = None  # why the logs of the open batch are only read

    def __init__(
        self,
        profile: Profile,
        offer: Offer,
        state: StateDir,
        keys: Keys,
        files: FileLayer,
        stamp: Stamp,
        board: Board | None = None,
        people: People | None = None,
        emergency: FileLayer | None = None,
    ) -> None:
        """Opens the station log, and the log of a batch that is open: then `take_up` is to follow.

        `board` shows a field that runs already; without one an image is made here, and `bound` is
        what scans it. `people`: who may log in; None = nobody can. `emergency` writes what the
        logs cannot take; None = `files`. Raises Refused, with everything untouched, when it cannot
        be told which batch is open, and RecordFailure when a log is damaged.
        """
        found = open_batch_in(state)
        self.profile, self.offer = profile, offer
        self.state_dir, self.keys, self.files = state, keys, files
        self.batch_log: BatchLog | None = None
        self.recipe: ControlRecipe | None = None
        self._half = ""  # a batch that failed half-way to its opening and is not put away yet
        self._batch_is_open = found is not None
        logs = Rebuilt(profile)
        self._merging = Merging(area := Emergency(state.emergency, emergency or files), profile)
        station_log = self._station_log(stamp)
        if self.full is None:
            self._merging.into_station(station_log, stamp)
        logs.read(station_log.records())
        self._open: OpenBatch | None = None
        ended: list[Event] = []
        if found is not None:
            ended = self._find_open(found, logs, stamp)
        if self.full is None:
            self._merging.finish(station_log, stamp)
        else:
            logs.add(self._merging.waiting, self._open)
        self.board = board or self._cold(logs.orders.generation + 1, stamp)
        self._missing = logs.missing()
        self.supervisor = Supervisor(
            profile, self.board, station_log, logs.orders, logs.alarms, area, people
        )
        if self.full is not None:
            self.supervisor.failed = str(self.full)
        skip_recorded(self.board, profile, logs.orders)
        self.software = package_digest()
        self.supervisor.record(
            Event("station.started", stamp, data={
                "unit": profile.id, "software": self.software, "profile": profile.sha256,
                "rights": Rights.shipped().digest,
            })  # fmt: skip
        )
        # A batch that is over took its alarms' records with it: they go on in the station's log.
        kept = logs.alarms.carried(stamp) if ended else []
        for event in (*ended, *kept, *self._merging.told(stamp)):
            self.supervisor.record(event)
        if ended or self._open is None:
            self._tell_missing()

    def _find_open(self, batch_id: str, logs: Rebuilt, stamp: Stamp) -> list[Event]:
        """Opens the log of the batch named open; or its end, when it is over or never began.

        Its folder is there, made before its name was written: without a log in it, it never began.
        Nothing is commanded before the header of a batch is durable: without one, no cells depend
        on it.
        """
        folder = self.state_dir.batch_log(batch_id)
        data = {"batch_id": batch_id}
        log = None
        if segment_files(folder) and not is_sealed(self.state_dir, batch_id):
            log = self._taken_up(batch_id, stamp)
        if log is None and is_sealed(self.state_dir, batch_id):
            if self.full is not None:
                raise self.full
            logs.read(read_records(folder))
            finish(folder, self.keys, self.files)
            self._merging.over = folder
            self.state_dir.close_batch()
            number = {"id": logs.orders.next_id}
            return [Event("batch.was_closed", stamp, data=data),
                    Event("command.next", stamp, data=number)]  # fmt: skip
        if log is not None:
            if self.full is None:
                self._merging.into_batch(log, stamp)
            found = OpenBatch()
            logs.read(log.records(), found)
            if found.complete:
                self.batch_log, self._open = log, found
                return []
            if self.full is not None:
                raise self.full
            log.append(Event("batch.closed", stamp, data={"state": IDLE}))
            log.seal(stamp)
        self.state_dir.close_batch()
        return [Event("batch.never_began", stamp, data=data)]

    def _taken_up(self, batch_id: str, stamp: Stamp) -> BatchLog | None:
        """The log of the open batch; None if its seal was only to be finished."""
        try:
            return self._log(self.state_dir.batch_log(batch_id), stamp)
        except RecordFailure:
            if is_sealed(self.state_dir, batch_id):
                return None
            raise

    @property
    def image(self) -> Image:
        """What field has, as of the last tick."""
        return self.board.image

    def field_restarted(self, board: Board, stamp: Stamp) -> None:
        """Another field runs: what the old one left is recorded, and the batch is held."""
        self.supervisor.field_restarted(board, stamp)
        self.board = board

    def _cold(self, generation: int, stamp: Stamp) -> Board:
        """An image of our own. A new one beside an open batch is a restart of field."""
        image = layout.create(self.profile.plan, stamp.mono_ns, generation)
        self.bound = Bound(self.profile.plan, image)
        kernel.initialise_at(self.bound.handles, stamp.mono_ns, self._open is not None)
        return Board(image, self.profile.index)

    def _tell_missing(self) -> None:
        """Alarms that a crash kept from following their records."""
        missing, self._missing = self._missing, []
        for event in missing:
            self.supervisor.record(event)

    @property
    def found_open(self) -> str:
        """The batch that was open at this start and waits for `take_up`; empty if none does."""
        return self._open.batch_id if self._open is not None else ""

    def take_up(self, stamp: Stamp, older: Sequence[Board] = ()) -> None:
        """Goes on with the batch that was open at this start, from what its log says alone.

        `older` are the fields that died since, oldest first, their notes handed to the supervisor:
        what they left is recorded, and tells what became of their commands. Raises Refused, and
        changes nothing, when the log's recipe or profile is not that of this station.
        """
        found, log = self._open, self.batch_log
        if found is None or log is None:
            raise Refused("no batch was open at this start")
        recipe = found.control_recipe(self.profile, self.offer, log.directory)
        self._open = None
        self.recipe = recipe
        self.supervisor.attach(log, Engine(recipe), found.state)
        if self.full is not None:
            self.supervisor.log_failed(self.full, stamp)
        self._tell_missing()
        go_on(self.supervisor, found, older, stamp)

    def _station_log(self, stamp: Stamp) -> BatchLog:
        folder = self.state_dir.station
        if segment_files(folder):
            return self._log(folder, stamp)
        return BatchLog.create(
            folder, self.keys, stamp, kind="station", purpose=self.profile.id, files=self.files
        )

    def _log(self, folder: Path, stamp: Stamp) -> BatchLog:
        """A log, taken up. With a batch open and a disk that takes nothing it is only read: its
        cells need a screen and a Hold more than they need a record, and no command but Hold is
        possible."""
        try:
            return BatchLog.open(folder, self.keys, stamp, files=self.files)
        except RecordFailure as error:
            why = error.__cause__
            refused = isinstance(why, OSError) and not isinstance(why, BlockingIOError)
            if not self._batch_is_open or not refused:
                raise
            self.full = error
            return BatchLog.open_to_read(folder, self.keys, stamp, error.what, self.files)

    def load_recipe(self, path: Path, formula: Mapping[str, str] | None = None) -> ControlRecipe:
        """The control recipe of a file for this unit; raises BadInput."""
        return compile_recipe(load(path), self.offer, formula)

    def open_batch(
        self, recipe: ControlRecipe, path: Path, order: BatchOrder, stamp: Stamp
    ) -> None:
        """Opens a batch: header, digests and the files themselves, durable before anything acts.

        Raises BadInput for a use other than virtual or engineering, Refused if one is open or a
        file cannot be read, RecordFailure if the disk refuses: then none is open.
        """
        if order.use not in USES:
            raise BadInput(
                f"use {order.use!r} is refused: there are no approvals yet",
                do=f"Use one of {', '.join(USES)}. {NOTICE}.",
            )
        if self.batch_log is not None:
            raise Refused("a batch is open already")
        if owed := missing(recipe.ranges):
            raise BadInput(
                f"{', '.join(owed)} must be entered when the batch is opened",
                means="No batch was opened.", do="Give NAME=VALUE for each.",
            )  # fmt: skip
        supervisor = self.supervisor
        if supervisor.desk.busy:
            raise Refused("commands are under way", do="Try again in a few seconds.")
        blobs = blobs_of(self.profile, path)
        supervisor.keep_history(stamp)
        supervisor.station_log.sync(stamp)
        header = Event(
            "batch.opened", stamp, order.actor, order.role,
            data={
                "batch_id": order.batch_id, "unit": self.profile.id, "use": order.use,
                "notice": NOTICE, "identity": order.identity, "set_lot": order.set_lot,
                "calibration": order.calibration, "recipe": recipe.digest,
                "profile": self.profile.sha256, "software": self.software, "sync": stamp.sync,
                "parameters": dict(recipe.formula), "rights": Rights.shipped().digest,
                "boards": supervisor.orders.standing.of_boards(
                    link.board.device for link in self.profile.links if link.board is not None
                ),
            },
        )  # fmt: skip
        log = self._begin(order.batch_id, header, blobs)
        engine = Engine(recipe)
        supervisor.attach(log, engine, engine.initial())
        self.batch_log, self.recipe = log, recipe
        supervisor.took(header, log)
        supervisor.record(
            Event("recipe.unapproved", stamp,
                  data={"recipe": recipe.id, "digest": recipe.digest})  # fmt: skip
        )
        environment.begin(supervisor, order.actor, order.role, stamp)

    def _begin(self, batch_id: str, header: Event, blobs: list[Blob]) -> BatchLog:
        """The log of a new batch, durable; or nothing is open, and it is raised why."""
        stamp = header.stamp
        if self._half:
            self._put_away(stamp)
        self.state_dir.open_batch(batch_id)
        try:
            return begin(self.state_dir, batch_id, header, blobs, self.keys, self.files)
        except (CellwrightError, OSError) as error:
            self._half = batch_id
            with suppress(CellwrightError, OSError):  # else the next attempt does it first
                self._put_away(stamp)
            if isinstance(error, CellwrightError):
                raise
            raise RecordFailure(
                f"the log of batch {batch_id} cannot be written: {error.strerror}",
                means="No batch was opened.", do="Check the disk, its space and its rights.",
            ) from error  # fmt: skip

    def _put_away(self, stamp: Stamp) -> None:
        put_away(self.state_dir, self._half, self.keys, self.files, stamp)
        self._half = ""

    @property
    def environment_on(self) -> bool:
        """Whether cells may still depend on heat, stirring and oxygen."""
        guard = self.profile.model.unit.guard
        return self.board.read(guard).value > 0.5 or self.supervisor.orders.flag(guard)

    @property
    def may_close(self) -> bool:
        """The procedure and the environment have ended to the last loop and output, and no command
        is under way."""
        supervisor = self.supervisor
        return (
            self.batch_log is not None
            and supervisor.finished
            and not self.environment_on
            and not supervisor.desk.busy
            and not supervisor.restore.active
            and not self.board.pending
            and not supervisor.failed
            and all(verb == "set_flag" for verb, _, _ in environment.remaining(
                self.profile, self.board))
        )  # fmt: skip

    def close_batch(self, stamp: Stamp) -> None:
        """Closes and seals a finished batch; raises Refused while its environment is on."""
        log = self.batch_log
        if log is None or not self.supervisor.finished:
            raise Refused("no finished batch is open")
        if not self.may_close:
            raise Refused(
                "the environment is still on, or commands are under way",
                do="Two people confirm first that the vessel is empty or discarded.",
            )
        self.supervisor.keep_history(stamp)
        log.sync(stamp)
        self.supervisor.historian.tables(log, stamp)
        final = self.supervisor.procedure_state
        self.supervisor.record(Event("batch.closed", stamp, data={"state": final}))
        log.seal(stamp)
        self.supervisor.detach()
        number = {"id": self.supervisor.desk.next_id}
        for event in (Event("command.next", stamp, data=number),
                      *self.supervisor.orders.standing.carried(stamp),
                      *self.supervisor.alarms.carried(stamp)):  # fmt: skip
            self.supervisor.record(event)
        self.supervisor.station_log.sync(stamp)  # while the batch's name leads to its numbers
        self.state_dir.close_batch()
        self.batch_log = None

    def config_digests(self) -> dict[str, str]:
        """Recipe, profile and software digests."""
        recipe = self.recipe.digest if self.recipe else ""
        return {"recipe": recipe, "profile": self.profile.sha256, "software": self.software}


def batch_id_of(seed: int, recipe: str) -> str:
    """The id of a virtual batch: a function of its seed and recipe."""
    digest = hashlib.sha256(f"{controller.__version__} {recipe} {seed}".encode()).hexdigest()
    return f"V-{seed:04d}-{digest[:8]}"

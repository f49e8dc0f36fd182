"""What a live station does with its witnesses: asks before a batch goes on, records, holds.

A module because it is where a rollback becomes a Hold: the log is failed for this supervisor, in
the tick's thread, and the unit is held by the same path as when the disk refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from controller.asking import Busy
from controller.core.clock import Clock, Stamp
from controller.core.errors import RecordFailure
from controller.record.files import FileLayer
from controller.record.log import BatchLog
from controller.station import Station
from controller.witness.asking import WitnessAt
from controller.witness.evidence import lacking
from controller.witness.http import Address
from controller.witness.subject import Subject
from controller.witness.watch import RolledBack, Watch

FIRST_S = 3.0
LAST_S, LAST_QUICK_S = 5.0, 0.5
LEFT_MAX = 32
HELD = "a witness has seen more of the log than is here"
_DO = (
    "Keep this state directory as it is. Put back the newest copy of it; without one, end the "
    "batch by hand. docs/witness.md says how."
)


class StationWatch:
    """The witnesses and the authority of one station. In the tick's thread, but for its threads."""

    def __init__(
        self, station: Station, witnesses: Sequence[WitnessAt], clock: Clock, files: FileLayer,
        authority: tuple[Address, Path | None] | None = None,
    ) -> None:  # fmt: skip
        """`authority`: where it is, and the PEM file of the roots it is trusted by. Raises BadInput
        for a file that holds none."""
        self._station, self._files = station, files
        self._keys = [at.key for at in witnesses]
        self._watch = Watch(witnesses, clock)
        self._stamped = authority is not None
        if authority is not None:
            from controller.witness.stamper import Stamper
            from controller.witness.stamping import read_roots

            self._watch.add(Stamper(self._watch, authority[0], read_roots(authority[1])))
        self._followed: list[BatchLog] = []
        self._held = self._holding = False

    def first(self, stamp: Stamp) -> None:
        """Asks about the logs that are open, for up to 3 s; who does not answer is waited for no
        longer. Then about what finished batches lack.

        Raises RecordFailure for a rollback without a batch open: nothing may begin. With one the
        log is failed, and the batch that is taken up next is held.
        """
        self._follow()
        for asker in self._watch.askers:
            if self._station.supervisor.alarms.stands(f"witness:{asker.name}"):
                asker.was_lost()
        self._watch.start()
        self._watch.tried(FIRST_S)
        self.due(stamp)
        if self._held and not self._station.found_open:
            raise RecordFailure(
                self._station.supervisor.failed, means="Nothing was begun.", do=_DO
            )
        for log in self._finished():
            found = lacking(log, self._keys, stamped=self._stamped)
            if found is not None:
                self._watch.follow(Subject.finished(found, self._files))

    def due(self, stamp: Stamp) -> None:
        """See core.ports.Watch."""
        self._follow()
        supervisor = self._station.supervisor
        while self._watch.events:
            try:
                supervisor.desk.report([self._watch.events[0]])
            except Busy:
                break
            self._watch.events.popleft()
        while self._watch.rolled_back:
            self._rolled_back(self._watch.rolled_back.popleft(), stamp)
        if self._held and not self._holding and supervisor.engine is not None:
            self._holding = True
            supervisor.hold(HELD)

    @property
    def held(self) -> bool:
        """See core.ports.Watch."""
        return self._held

    def finish(self, *, quick: bool) -> None:
        """See core.ports.Watch."""
        self._follow()
        self._watch.sealed(LAST_QUICK_S if quick else LAST_S)
        self._watch.stop()
        self.due(self._watch.clock.stamp())

    def _rolled_back(self, found: RolledBack, stamp: Stamp) -> None:
        supervisor = self._station.supervisor
        if found.held:
            self._held = True
            if not supervisor.failed:
                means = "Records are missing here, or others stand in their place."
                supervisor.log_failed(RecordFailure(found.words, means=means, do=_DO), stamp)
        supervisor.record_station(found.event)

    def _follow(self) -> None:
        """The logs that are open now, each once."""
        station = self._station
        present = [log for log in (station.supervisor.station_log, station.batch_log)
                   if log is not None]  # fmt: skip
        for log in present:
            if not any(log is each for each in self._followed):
                log.listeners.append(self._watch.news)
                self._watch.follow(Subject.of(log, self._files))
        self._followed = present

    def _finished(self) -> list[Path]:
        """The logs of the newest batches that are not open."""
        try:
            found = sorted((self._station.state_dir.path / "batches").iterdir(), reverse=True)
        except OSError:
            return []
        open_ = self._station.batch_log.directory if self._station.batch_log else None
        return [each / "log" for each in found if each / "log" != open_][:LEFT_MAX]

"""What the supervisor keeps of the process, handed to the SQLite file of the open batch.

A module because it is the only seam between the tick and that file: it follows which batch is open,
and says once that a file could not be kept. It takes no part in the record.
"""

from __future__ import annotations

from controller.by_exception import Kept
from controller.core.clock import NS_PER_MS, Stamp
from controller.core.events import Event
from controller.field.moved import STATE
from controller.record.livestore import NAME, LiveStore, Moment
from controller.record.log import BatchLog
from controller.station import Station


class Mirror:
    """A face that asks for nothing: keeps `history.sqlite` of the open batch. Only live."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._log: BatchLog | None = None
        self._store: LiveStore | None = None
        self._told = False
        self._history = station.supervisor.historian.tags
        self._history.listeners.append(self._take)

    def turn(self, stamp: Stamp) -> None:
        """A batch that ended lets go of its file; a file that is not kept is said so, once."""
        if self._log is not None and self._station.batch_log is not self._log:
            self.close(wait=False)
        store = self._store
        if store is not None and store.trouble and not self._told:
            self._told = True
            data = {"why": ascii(store.trouble)[:300]}
            self._station.supervisor.record(Event("history.not_mirrored", stamp, data=data))

    def _take(self, kept: Kept) -> None:
        log = self._station.batch_log
        if log is not None and log is not self._log:
            self.close(wait=False)
            history, place = self._history, log.directory.parent / NAME
            self._log, self._told = log, False
            self._store = LiveStore(
                log.directory, place, history.names, history.units, kept.begin.boot_id
            )
        if self._store is not None:
            self._store.put(moment_of(kept))

    def close(self, wait: bool = True) -> None:
        """Ends with the file; with `wait`, until it is written, if that does not take long."""
        if self._store is not None:
            self._store.close(wait)
        self._store = self._log = None


def moment_of(kept: Kept) -> Moment:
    """Rows of one look in wall-clock time."""
    rows, begin = kept.rows, kept.begin
    time_ms = (rows["time_ns"] - begin.mono_ns + begin.utc_ns) // NS_PER_MS
    state = rows["state"]
    return Moment(
        begin.offset_min, kept.joined, time_ms, rows["tag"], rows["value"], state // STATE,
        state % STATE,
    )  # fmt: skip

"""What an earlier supervisor could not record comes into the logs at the next start.

A module because each record must come into exactly one log, once, however often a start is
interrupted; and because the area is emptied only when all of it is durable there.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from controller.core.clock import Stamp
from controller.core.events import Event
from controller.orders import Orders
from controller.profile.compile import Profile
from controller.record.emergency import BATCH, STATION, Emergency, merge
from controller.record.log import BatchLog


class Merging:
    """The emergency area of one station as it was found."""

    def __init__(self, area: Emergency, profile: Profile) -> None:
        self._area, self._profile = area, profile
        self._left = area.left()
        self._batch_done = False
        self.over: Path | None = None  # the sealed log of the batch that was named open

    @property
    def waiting(self) -> list[tuple[bytes, Event]]:
        """What the area holds and no log has taken yet, each with the log it is for."""
        return self._left.records if self._left is not None else []

    def told(self, stamp: Stamp) -> list[Event]:
        """The record of an area that cannot be used as it was found; none if there is no such."""
        why = self._area.trouble
        data = {"event": "the emergency area", "why": why}
        return [Event("record.replaced", stamp, data=data)] if why else []

    def into_station(self, log: BatchLog, stamp: Stamp) -> None:
        """The station's records and the mark of the gap. Raises RecordFailure."""
        self._merge(log, STATION, stamp)

    def into_batch(self, log: BatchLog, stamp: Stamp) -> None:
        """The open batch's records and the mark of the gap. Raises RecordFailure."""
        self._merge(log, BATCH, stamp)
        self._batch_done = True

    def finish(self, station_log: BatchLog, stamp: Stamp) -> None:
        """Empties the area. A batch that is over has no log that takes its records: the station's
        does. An area that cannot be emptied is found again, and nothing of it is taken twice: it
        keeps no station from its cells. Raises RecordFailure."""
        if self._left is None:
            return
        if not self._batch_done and any(where == BATCH for where, _ in self._left.records):
            self._merge(station_log, BATCH, stamp)
        with suppress(OSError):
            self._area.wipe()
        self._left = None

    def _merge(self, log: BatchLog, where: bytes, stamp: Stamp) -> None:
        if self._left is None:
            return
        orders = Orders(self._profile)
        for record in log.records():
            orders.take(record)
        failed = self.over if where == BATCH else None
        merge(log, self._left, where, orders.recorded, stamp, failed)

"""What an earlier supervisor could not record comes into the logs at the next start.

A module because each record must come into exactly one log, once, however often a start is
interrupted; and because the area is emptied only when all of it is durable there.
"""

from __future__ import annotations

from controller.core.clock import Stamp
from controller.core.errors import RecordFailure
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

    def into_station(self, log: BatchLog, stamp: Stamp) -> None:
        """The station's records and the mark of the gap. Raises RecordFailure."""
        self._merge(log, STATION, stamp)

    def into_batch(self, log: BatchLog, stamp: Stamp) -> None:
        """The open batch's records and the mark of the gap. Raises RecordFailure."""
        self._merge(log, BATCH, stamp)
        self._batch_done = True

    def finish(self, station_log: BatchLog, stamp: Stamp) -> None:
        """Empties the area. A batch that is over has no log that takes its records: the station's
        does. Raises RecordFailure."""
        if self._left is None:
            return
        if not self._batch_done and any(where == BATCH for where, _ in self._left.records):
            self._merge(station_log, BATCH, stamp)
        try:
            self._area.wipe()
        except OSError as error:
            raise RecordFailure(
                f"the emergency area cannot be emptied: {error.strerror}",
                where=self._area.path,
                means="What it held is in the logs; the next start finds it there.",
                do="Check the disk, its space and its rights.",
            ) from error
        self._left = None

    def _merge(self, log: BatchLog, where: bytes, stamp: Stamp) -> None:
        if self._left is None:
            return
        orders = Orders(self._profile)
        for record in log.records():
            orders.take(record)
        merge(log, self._left, where, orders.recorded, stamp)

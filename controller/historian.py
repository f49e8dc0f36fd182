"""History chunks: every released change of an output, what every tag was, what totalisers stand at.

A module because a chunk is durable before field's ring forgets its rows, whenever it is stored.
Tags are kept in chunks while a batch is open: without one there is no process to remember.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from controller.by_exception import ByException
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, RecordFailure
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.field.image import HISTORY_CAPACITY
from controller.orders import totals
from controller.record import history
from controller.record.log import BatchLog
from controller.record.tables import sealed_tables
from controller.translate import replaced

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

CHUNK_NS = 60 * NS_PER_S
QUIET_NS = 300 * NS_PER_S  # [assumed] how long tags wait for a chunk while little moves
QUIET_ROWS = 512  # a minute with fewer is quiet [assumed]


class Historian:
    """Keeps the history of one supervisor's unit."""

    def __init__(self, unit: Supervisor) -> None:
        self._unit = unit
        self._totals = totals(unit.profile)
        self._period_ns = int(unit.profile.plan.unit[0]["period_ns"])
        self._outputs = list(unit.profile.outputs)
        self._kept_ns = self._tags_ns = 0
        self._quiet = False
        self.tags = ByException(unit.profile)

    def due(self, stamp: Stamp) -> bool:
        """Looks at the image, and says whether what was seen so far is to be stored.

        A chunk holds at most 60 s, one of tags five minutes while little moves, and the ring is
        never more than half full.
        """
        unit = self._unit
        if unit.engine is None:
            self.tags.forget()
        else:
            self.tags.look(unit.board.image, stamp)
        waiting = unit.board.history_waiting()
        late = stamp.mono_ns - self._kept_ns >= CHUNK_NS
        due = late or waiting > HISTORY_CAPACITY // 2 or self.tags.due
        if due:
            quiet = self.tags.waiting < QUIET_ROWS
            self._quiet = quiet and stamp.mono_ns - self._tags_ns < QUIET_NS
        return due

    def keep(self, stamp: Stamp) -> None:
        """Stores what waits, made durable here. Raises RecordFailure."""
        unit = self._unit
        self._kept_ns = stamp.mono_ns
        if unit.engine is not None:
            self._keep_totals(stamp)
        released = self._keep_released(stamp)
        stored = released > 0
        quiet, self._quiet = self._quiet, False
        if unit.engine is not None and not quiet:
            stored |= self._keep_tags(stamp)
        if stored:
            unit.log.sync(stamp)
            unit.board.history_done(released)

    def tables(self, log: BatchLog, stamp: Stamp) -> None:
        """Stores the history of a log that is to be sealed as tables too.

        Damage among its chunks is recorded and keeps no batch from its end. Raises RecordFailure
        when the log cannot be written.
        """
        days = sealed_tables(log.directory, growing=False)
        while True:
            try:
                name, data = next(days)
            except StopIteration:
                return
            except RecordFailure as failure:
                why = {"why": f"{failure.where}: {failure.what}"[:500]}
                self._unit.record(Event("history.no_tables", stamp, data=why))
                return
            log.store_blob(name, data, stamp)

    def _keep_tags(self, stamp: Stamp) -> bool:
        """Whether there was a chunk. What cannot be one is said, and a gap: it stops no tick."""
        unit, stored = self._unit, False
        self._tags_ns = stamp.mono_ns
        try:
            for data, cover, rows in self.tags.chunks():
                unit.log.store_tags(data, begin=cover.begin, end=cover.end, rows=rows, stamp=stamp)
                stored = True
        except (BadInput, ValueError) as error:
            self.tags.forget()
            unit.record(replaced("history.tags", stamp, error, ""))
        return stored

    def _keep_released(self, stamp: Stamp) -> int:
        """How many released changes are in a chunk that the next sync makes durable."""
        unit = self._unit
        waiting = unit.board.history()
        if not len(waiting):
            return 0
        rows = np.empty(len(waiting), history.ROW)
        for name in ("scan", "output", "value", "cause"):
            rows[name] = waiting[name]
        data = history.encode(rows, scan_ns=self._period_ns, outputs=self._outputs)
        last = unit.board.history_first + len(waiting) - 1
        unit.log.store_chunk(data, stamp, f"{unit.board.generation}.h.{last}")
        return len(waiting)

    def _keep_totals(self, stamp: Stamp) -> None:
        """What a field that starts again must be told: how much has flowed in this batch."""
        unit = self._unit
        for name in self._totals:
            value = unit.board.read(name).value
            text = decimal_text(value, 12) if math.isfinite(value) else ""
            if text and unit.orders.totals.get(name) != text:
                data = {"name": name, "value": text}
                unit.record(Event("totaliser.value", stamp, data=data))

"""History chunks: every released change of an output, and what the totalisers stand at.

A module because a chunk is durable before field's ring forgets its rows, whenever it is stored.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from controller.core.clock import NS_PER_S, Stamp
from controller.core.events import Event
from controller.core.quantity import decimal_text
from controller.field.image import HISTORY_CAPACITY
from controller.orders import totals
from controller.record import history

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

CHUNK_NS = 60 * NS_PER_S


class Historian:
    """Keeps the history of one supervisor's unit."""

    def __init__(self, unit: Supervisor) -> None:
        self._unit = unit
        self._totals = totals(unit.profile)
        self._period_ns = int(unit.profile.plan.unit[0]["period_ns"])
        self._outputs = list(unit.profile.outputs)
        self._kept_ns = 0

    def due(self, stamp: Stamp) -> bool:
        """A chunk holds at most 60 s, and the ring is never more than half full."""
        waiting = self._unit.board.history_waiting()
        return stamp.mono_ns - self._kept_ns >= CHUNK_NS or waiting > HISTORY_CAPACITY // 2

    def keep(self, stamp: Stamp) -> None:
        """Stores what waits as one chunk, made durable here. Raises RecordFailure."""
        unit = self._unit
        self._kept_ns = stamp.mono_ns
        if unit.engine is not None:
            self._keep_totals(stamp)
        waiting = unit.board.history()
        if not len(waiting):
            return
        rows = np.empty(len(waiting), history.ROW)
        for name in ("scan", "output", "value", "cause"):
            rows[name] = waiting[name]
        data = history.encode(rows, scan_ns=self._period_ns, outputs=self._outputs)
        last = unit.board.history_first + len(waiting) - 1
        unit.log.store_chunk(data, stamp, f"{unit.board.generation}.h.{last}")
        unit.log.sync(stamp)
        unit.records += 1
        unit.board.history_done(len(waiting))

    def _keep_totals(self, stamp: Stamp) -> None:
        """What a field that starts again must be told: how much has flowed in this batch."""
        unit = self._unit
        for name in self._totals:
            value = unit.board.read(name).value
            text = decimal_text(value, 12) if math.isfinite(value) else ""
            if text and unit.orders.totals.get(name) != text:
                data = {"name": name, "value": text}
                unit.record(Event("totaliser.value", stamp, data=data))

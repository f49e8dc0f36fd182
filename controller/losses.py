"""What a field's full rings lost: told once, and not again by a supervisor that starts anew.

A module because the counts belong to one field's rings and end with it; the supervisor goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.core.clock import Stamp
from controller.core.events import Event

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

_RINGS = ("event", "history", "input", "note")


class Losses:
    """How much of each ring of the present field is recorded as lost already."""

    def __init__(self, unit: Supervisor) -> None:
        """Begins where the logs end."""
        self._unit = unit
        known, generation = unit.orders.lost, unit.board.generation
        self._told = tuple(known.get((generation, ring), 0) for ring in _RINGS)

    def tell(self, stamp: Stamp) -> None:
        """Records what has been lost since; one record a ring."""
        lost = self._unit.board.lost()
        if lost == self._told:
            return
        for ring, now, before in zip(_RINGS, lost, self._told, strict=True):
            if now != before:
                data = {"ring": ring, "lost": now - before}
                self._unit.record(Event("ring.overflow", stamp, data=data))
        self._told = lost

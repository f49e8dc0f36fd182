"""What follows from a step of the wall clock: an alarm, and after a step back no signature.

A module because the logs find and record steps by themselves, each its own; people are told once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.core.clock import Stamp
from controller.core.errors import RecordFailure

if TYPE_CHECKING:
    from controller.supervisor import Supervisor


def follow_clock(unit: Supervisor, stamp: Stamp) -> None:
    """Has every open log look at the clock; alarms follow from the records of the batch's, or of
    the station's without one. To be called before requests are carried out."""
    if unit.failed:
        return
    try:
        steps = unit.station_log.clock_steps(stamp)
        if unit.log is not unit.station_log:
            steps = unit.log.clock_steps(stamp)
    except RecordFailure as error:
        unit.log_failed(error, stamp)
        return
    for step in steps:
        unit.took(step, unit.log)

"""A virtual run at the pace of a clock: so many seconds of the unit for each second of the machine.

For the screen: a person watches seven days in minutes and may act at any moment. What cannot be
computed in time is left behind, never caught up in a burst; `speed` says what was reached.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp
from controller.core.errors import BadInput
from hil_sim.rig.rig import Rig

SPEED_MAX = 20_000.0
BUDGET_NS = 40 * NS_PER_MS  # computed at a stretch; then people are heard
MEASURED_NS = 2 * NS_PER_S
NEAR = 0.05


class Paced:
    """One rig, `speed` times as fast as the machine's clock, or as fast as it can."""

    def __init__(self, rig: Rig, speed: float, wall_ns: Callable[[], int]) -> None:
        """`wall_ns` reads the machine's monotonic clock. Raises BadInput beyond the limits."""
        if not 1.0 <= speed <= SPEED_MAX:
            raise BadInput(f"a speed of {speed:g} is not between 1 and {SPEED_MAX:g}")
        self.rig, self._asked, self._wall_ns = rig, speed, wall_ns
        self._wall_0 = self._marked_wall = wall_ns()
        self._virtual_0 = self._marked_virtual = rig.clock.now_ns
        self.speed = speed

    def turn(self) -> Stamp:
        """Moves the rig up to where the clock says, for at most `BUDGET_NS`; its stamp then."""
        rig, began = self.rig, self._wall_ns()
        target = self._virtual_0 + round((began - self._wall_0) * self._asked)
        while rig.clock.now_ns < target:
            rig.step(target)
            if self._wall_ns() - began > BUDGET_NS:
                self._wall_0, self._virtual_0 = self._wall_ns(), rig.clock.now_ns
                break
        self._measure()
        return rig.clock.stamp()

    def _measure(self) -> None:
        now = self._wall_ns()
        if now - self._marked_wall >= MEASURED_NS:
            reached = (self.rig.clock.now_ns - self._marked_virtual) / (now - self._marked_wall)
            near = abs(reached - self._asked) < NEAR * self._asked
            self.speed = self._asked if near else round(reached, 1)
            self._marked_wall, self._marked_virtual = now, self.rig.clock.now_ns

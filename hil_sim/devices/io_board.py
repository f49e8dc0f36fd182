"""Our I/O board in virtual time: the real core, its terminals on the plant, its cable to the host.

The C of the firmware runs here pass by pass; only its machine is played: power, reset line, clock,
converter. Without power every spring closes its valve and the contactor drops. Between two ticks of
the plant the inputs stand still, so passes in which nothing arrives are run in one go.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from firmware_bridge.codes import ResetReason
from firmware_bridge.native_board import NativeBoard, steady
from hil_sim.devices.board_line import DRIFT_PPM, Board
from hil_sim.devices.line import NS_PER_MS, Reply
from hil_sim.devices.terminals import Pins, Terminals

NS_PER_US: Final = 1_000
PASS_US: Final = 500
LOOK_NS: Final = 10 * NS_PER_MS  # what the board says is taken from it this often
UNKNOWN_IMAGE: Final = bytes(range(32))
OFF = (0, 0)


class IoBoard(Board):
    """One board, powered since `now_ns`. Times are the host's monotonic ns."""

    def __init__(self, terminals: Terminals, now_ns: int = 0, seed: int = 1) -> None:
        super().__init__(seed)
        self._terminals = terminals
        self._coming: deque[tuple[int, bytes]] = deque()
        self._boots = seed * 1_000
        self.powered = False
        self._epoch_ns = self._reached_ns = now_ns
        self._pins: Pins | None = None
        self.power_up(now_ns)

    # -- its machine ------------------------------------------------------------------------------

    def power_up(self, now_ns: int, *, unknown: bool = False) -> None:
        """See Board."""
        self._core = NativeBoard()  # what its memory held is gone
        self._image = UNKNOWN_IMAGE if unknown else None
        self._boot(ResetReason.POWER_UP, now_ns)

    def watchdog(self, now_ns: int) -> None:
        """See Board."""
        if self.powered:
            self._boot(ResetReason.WATCHDOG, now_ns)

    def cut_power(self, now_ns: int) -> None:
        """See Board."""
        self.advance(now_ns)
        self.powered = False
        self._coming.clear()
        self._terminals.drive(*OFF)

    def _boot(self, reason: ResetReason, now_ns: int) -> None:
        self._coming.clear()
        self._boots += 1
        self._epoch_ns = self._reached_ns = now_ns
        self._core.start(self._boots, reason, self._image)
        self.powered = True
        self._drive()

    def _us(self, now_ns: int) -> int:
        """The board's clock: microseconds since its boot, by its own crystal."""
        elapsed = now_ns - self._epoch_ns
        return (elapsed + elapsed * DRIFT_PPM // 1_000_000) // NS_PER_US

    # -- time -------------------------------------------------------------------------------------

    def carry(self, data: bytes, at_ns: int) -> None:
        """See BoardBus."""
        if data:
            self._coming.append((at_ns, data))

    def sense(self) -> None:
        """The plant has moved: the inputs are looked at anew."""
        self._pins = None

    def next_ns(self) -> int:
        """When it should be looked at again: bytes arrive, or it may have something to say."""
        due_ns = self._reached_ns - self._reached_ns % LOOK_NS + LOOK_NS
        return min(due_ns, self._coming[0][0]) if self._coming else due_ns

    def advance(self, now_ns: int) -> list[Reply]:
        """Lets the board live up to now; what it said, with the time at which it is there."""
        replies: list[Reply] = []
        while self._coming and self._coming[0][0] <= now_ns:
            at_ns, data = self._coming.popleft()
            replies += self._passes(at_ns)
            if self.powered:
                self._core.receive(data, self._us(at_ns))
                replies += self._heard(at_ns)
        return replies + self._passes(now_ns)

    def _passes(self, now_ns: int) -> list[Reply]:
        self._reached_ns = max(now_ns, self._reached_ns)
        if not self.powered:
            return []
        if self._pins is None:
            self._pins = self._terminals.read()
            self._core.inputs.analog = steady(self._pins.analog)
            self._core.inputs.digital = self._pins.digital
        self._core.run(self._us(now_ns), PASS_US)
        self._drive()
        return self._heard(now_ns)

    def _heard(self, now_ns: int) -> list[Reply]:
        data = self._core.transmit()
        return self.said(data, now_ns) if data else []

    def _drive(self) -> None:
        self._terminals.drive(*self._core.outputs())

"""The terminals of our I/O board: which wire leads to which channel or actuator of the plant.

A module of its own because it is the wiring list of the cabinet, written from the drawing and not
from the profile: a test holds both against each other. Transmitters drive 4 to 20 mA into a 16-bit
converter of 3,000 counts per mA; contacts and coils are on or off, the annunciator is driven by
pulse width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hil_sim.devices.line import PlantPort

COUNTS_PER_MA: Final = 3_000.0
LIVE_ZERO_MA, FULL_MA = 4.0, 20.0
LOWEST_MA, HIGHEST_MA = 3.8, 20.5  # what a healthy transmitter may drive, NAMUR NE 43
BROKEN: Final = 0  # counts of a wire that carries nothing
PWM_FULL: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Loop:
    """A transmitter on a current loop: the plant's channel and its values at 4 and 20 mA."""

    channel: str
    low: float
    high: float

    def counts(self, value: float) -> int:
        """What the converter reads for a value of the channel."""
        share = (value - self.low) / (self.high - self.low)
        ma = LIVE_ZERO_MA + share * (FULL_MA - LIVE_ZERO_MA)
        if not math.isfinite(ma):
            return BROKEN
        return round(min(max(ma, LOWEST_MA), HIGHEST_MA) * COUNTS_PER_MA)


VALVES: Final = ("XV100", "XV201", "XV202", "XV203", "XV204")
LOOPS: Final = (  # by analog input; the air detector drives 4 mA in liquid, 20 mA in air
    Loop("PT101", -20.0, 200.0), Loop("TT102", 0.0, 100.0), Loop("BS101", 0.0, 1.0),
)  # fmt: skip
CONTACTS: Final = (  # by digital input
    "KM101_AUX", *(f"{valve}_{end}" for valve in VALVES for end in ("OPEN", "CLOSED")), "HS101",
)  # fmt: skip
COILS: Final = ("xv201", "xv202", "xv203", "xv204", "xv100", "km101")  # by digital output
PWM_COIL: Final = "annunciator"
# What the skid no longer has when these hang on the board.
MOVED: Final = frozenset({
    "PT101", "KM101_FB", "KM101_CMD", *(f"{valve}_{part}" for valve in VALVES
                                        for part in ("ZSO", "ZSC", "CMD")),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pins:
    """What lies on the input terminals: converter counts, and bit n for contact n."""

    analog: tuple[int, int, int, int]
    digital: int


class Terminals:
    """The strip of one board. `broken` holds channels whose wire is off."""

    def __init__(self, plant: PlantPort) -> None:
        self._plant = plant
        self.broken: set[str] = set()
        self.driven: tuple[int, int] | None = None

    def read(self) -> Pins:
        """Every input now."""
        measure = self._plant.measure
        counts = [BROKEN if loop.channel in self.broken else loop.counts(measure(loop.channel))
                  for loop in LOOPS]  # fmt: skip
        counts += [BROKEN] * (4 - len(counts))
        digital = 0
        for bit, channel in enumerate(CONTACTS):
            if channel not in self.broken and measure(channel) > 0.5:
                digital |= 1 << bit
        return Pins((counts[0], counts[1], counts[2], counts[3]), digital)

    def drive(self, digital: int, pwm: int) -> None:
        """What the board's outputs do from now on: bit n is coil n, `pwm` is per mille."""
        if (digital, pwm) == self.driven:
            return
        self.driven = digital, pwm
        self._plant.command(**{name: float(digital >> bit & 1) for bit, name in enumerate(COILS)},
                            **{PWM_COIL: pwm / PWM_FULL})  # fmt: skip


def tag_at(tag: str) -> tuple[str, int] | None:
    """Where a tag of the profile hangs: ("analog" or "contact", number); None: elsewhere."""
    name = tag.replace("_ZSO", "_OPEN").replace("_ZSC", "_CLOSED")
    name = "KM101_AUX" if name == "KM101_FB" else name
    if name in CONTACTS:
        return "contact", CONTACTS.index(name)
    for number, loop in enumerate(LOOPS):
        if name == loop.channel:
            return "analog", number
    return None

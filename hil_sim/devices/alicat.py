"""Alicat MC mass-flow controllers on one RS-485 line, as their serial primer describes them.

Poll, setpoint, hold, model and frame description; the legacy setpoint (letter and digits) acts as
on a real one, so that a driver which emits it by accident does harm here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hil_sim.devices.line import PlantPort, Reply, TextBus, number

LEGACY_FULL_SCALE = 64_000
PSI_PER_MBAR = 0.0145038
GAS_TEMPERATURE_DEGC = 21.89


@dataclass(slots=True)
class Mfc:
    """One controller: unit letter, gas, full scale in SCCM, and where it is tied to the plant."""

    unit: str
    gas: str
    actuator: str
    flow_channel: str
    pressure_channel: str
    setpoint: float
    full_scale: float = 500.0
    status: tuple[str, ...] = ()
    held: str = ""
    poll: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.poll = self.unit.encode("ascii")


class AlicatBus(TextBus):
    """Up to 26 controllers at 19200 8N1."""

    def __init__(self, plant: PlantPort, controllers: list[Mfc]) -> None:
        super().__init__(baud=19_200, bits=10, turnaround_ms=3.0)
        self._plant = plant
        self.controllers = {mfc.unit: mfc for mfc in controllers}
        self._polls: Mapping[bytes, Mfc] = {mfc.poll: mfc for mfc in controllers}

    def request(self, line: bytes, sent_bytes: int, now_ns: int) -> list[Reply]:
        """One request; another unit's letter is met with silence."""
        mfc = self._polls.get(line)
        if mfc is not None:
            return self._reply(mfc.unit, self._frame(mfc), sent_bytes, now_ns)
        text = line.decode("ascii", "replace")
        mfc = self.controllers.get(text[:1])
        if mfc is None or not self._hears(mfc.unit):
            return []
        return self._reply(mfc.unit, self._execute(mfc, text[1:]), sent_bytes, now_ns)

    def _frame(self, mfc: Mfc) -> bytes:
        flow = self._plant.measure(mfc.flow_channel)
        pressure = self._plant.measure(mfc.pressure_channel) * PSI_PER_MBAR
        status = "".join(f" {word}" for word in mfc.status) if mfc.status else ""
        if mfc.held:
            status += " HLD"
        return (
            f"{mfc.unit} {pressure:+07.2f} {GAS_TEMPERATURE_DEGC:+07.2f} "
            f"{flow:+07.1f} {flow:+07.1f} {mfc.setpoint:+07.1f} {mfc.gas:>6}{status}\r"
        ).encode("ascii")

    def _execute(self, mfc: Mfc, command: str) -> bytes:
        if command == "??M*":
            return self._maker(mfc)
        if command == "??D*":
            return _columns(mfc)
        if command in ("HC", "HP", "C"):
            mfc.held = "" if command == "C" else command
        elif command.startswith("S"):
            value = number(command[1:].strip())
            if value is None:
                return b"?\r"
            mfc.setpoint = min(max(value, 0.0), mfc.full_scale)
        elif command.isdigit():
            mfc.setpoint = min(int(command) / LEGACY_FULL_SCALE, 1.0) * mfc.full_scale
        else:
            return b"?\r"
        # Hold closed shuts the valve; hold at position is taken as the flow of the setpoint.
        drive = 0.0 if mfc.held == "HC" else mfc.setpoint
        self._plant.command(**{mfc.actuator: drive})
        return self._frame(mfc)

    def _maker(self, mfc: Mfc) -> bytes:
        rows = (
            "Alicat Scientific",
            "www.AlicatScientific.com",
            "Ph  520-290-6060",
            "info@AlicatScientific.com",
            f"Model Number MC-{mfc.full_scale:.0f}SCCM-D",
            f"Serial Number 10000{ord(mfc.unit)}",
            "Date Manufactured 01/01/2026",
            "Date Calibrated   01/01/2026",
            "Calibrated By     TC",
            "Software Revision GP07R100",
        )
        lines = [f"{mfc.unit} M{at:02d} {row}\r" for at, row in enumerate(rows)]
        return "".join(lines).encode("ascii")


def _columns(mfc: Mfc) -> bytes:
    rows = (
        "ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________",
        "700 Unit ID                    string          1",
        "002 Pressure                   s decimal     7/2 010 02 PSIA",
        "003 Flow Temp                  s decimal     7/2 002 02 `C",
        "004 Volu Flow                  s decimal     7/1 012 02 CCM",
        "005 Mass Flow                  s decimal     7/1 012 02 SCCM",
        "037 Mass Flow Setpt            s decimal     7/1 012 02 SCCM",
        "703 Gas                        string          6",
        "701 *Status                    string          3",
    )
    return "".join(f"{mfc.unit} D{at:02d} {row}\r" for at, row in enumerate(rows)).encode("ascii")

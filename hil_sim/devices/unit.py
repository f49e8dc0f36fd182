"""All devices of the simulated units tied to one plant, and their faults by name.

The wiring of the device side in one place: which address drives which actuator and shows which
channel. Devices start as they are found: running, in the middle of their range, as the plant says.
Unit `perfusion_2l_io` is the same vessel with valves, contactor, PT101 and TT102 on our I/O board.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from hil_sim.devices import modbus
from hil_sim.devices.alicat import AlicatBus, Mfc
from hil_sim.devices.board_line import Board
from hil_sim.devices.line import Bus, PlantPort
from hil_sim.devices.modbus import ArcProbe, ModbusBus, Slave, Transmitter
from hil_sim.devices.mt_sics import MtSics
from hil_sim.devices.skid import BAD_SENSOR_FAILURE, Skid
from hil_sim.devices.terminals import CONTACTS, LOOPS, MOVED, Terminals, tag_at
from hil_sim.devices.watson_marlow import Pump, WatsonMarlowBus

GASES = (  # unit letter, gas, actuator, full scale SCCM
    ("A", "Air", "air", 500.0), ("B", "O2", "o2", 250.0),
    ("C", "CO2", "co2", 100.0), ("D", "N2", "n2", 500.0),
)  # fmt: skip
PUMPS = (  # address, name, channel, nominal mL/rev, tube
    (1, "feed", "ST_FEED", 0.9, "3.2MM"),
    (2, "perfusate", "ST_PERFUSATE", 0.9, "3.2MM"),
    (3, "base", "ST_BASE", 0.0035, "0.5MM"),
)
FAULTS = (
    "heater_stuck_on", "do_probe_stuck", "ph_probe_drift", "mfc_link_lost", "pump_stuck_on",
    "balance_disconnected", "skid_frozen", "skid_killed", "bad_quality", "slow_read", "garbage",
    "line_silent", "rubbish", "crossed_answers", "air_in_feed", "annunciator_cut",
)  # fmt: skip
BOARD_FAULTS = ("io_power_cut", "io_reset", "io_unknown_image", "io_bit_errors")
PERFUSION, PERFUSION_IO = "perfusion_2l", "perfusion_2l_io"
UNITS = (PERFUSION, PERFUSION_IO)
IO_LINE = "io_line"
Parameter = float | str


class DeviceFaultError(ValueError):
    """No such fault, or a parameter it cannot use; nothing was changed."""


class FaultyPlant(PlantPort, Protocol):
    """A plant with faults of its own, besides its channels."""

    def set_fault(self, name: str, value: float = 1.0, held: float | None = None) -> None:
        """Switches one fault of the plant on."""
        ...

    def clear_fault(self, name: str) -> None:
        """Switches it off."""
        ...


class UnitDevices:
    """The device side. `found` holds what each actuator is driven with at the start.

    `make_board` plays the board of a unit that has one, given its terminals; without, the terminals
    hang loose. Raises DeviceFaultError for a unit nobody simulates.
    """

    def __init__(
        self, plant: FaultyPlant, found: Mapping[str, float], now_ns: int = 0,
        unit: str = PERFUSION, make_board: Callable[[Terminals], Board] | None = None,
    ) -> None:  # fmt: skip
        if unit not in UNITS:
            raise DeviceFaultError(f"no device side for unit {unit!r}; known: {', '.join(UNITS)}")
        self._plant = plant
        on_board = unit == PERFUSION_IO
        self.gas = AlicatBus(plant, [
            Mfc(unit, gas, name, f"FT_{name.upper()}", f"PT_{name.upper()}", found[name],
                full_scale)
            for unit, gas, name, full_scale in GASES
        ])  # fmt: skip
        self.slaves: dict[int, ArcProbe | Transmitter] = {
            1: ArcProbe(plant, "AT101", modbus.UNIT_PH, (0.0, 14.0), "TT_PH"),
            2: ArcProbe(plant, "AT102", modbus.UNIT_PERCENT_AIR, (0.0, 300.0), "TT_DO"),
        }
        if not on_board:
            self.slaves[3] = Transmitter(plant, "TT102")
        slaves: dict[int, Slave] = {**self.slaves}
        self.probes = ModbusBus(slaves)
        self.pumps = WatsonMarlowBus(plant, [
            Pump(address, f"{name}_rpm", channel, round(found[f"{name}_rpm"], 1), ml, tube,
                 running=found[f"{name}_rpm"] > 0, counted_ns=now_ns)
            for address, name, channel, ml, tube in PUMPS
        ])  # fmt: skip
        self.balance = MtSics(plant, "WT101")
        self.skid = Skid(plant, dict(found), now_ns, MOVED if on_board else frozenset())
        self.serial: dict[str, Bus] = {
            "gas_bus": self.gas, "probe_bus": self.probes, "pump_bus": self.pumps,
            "balance": self.balance,
        }  # fmt: skip
        self._quality: Parameter = ""
        self.terminals = Terminals(plant) if on_board else None
        self.board: Board | None = None
        if self.terminals is not None and make_board is not None:
            self.board = make_board(self.terminals)
            self.serial[IO_LINE] = self.board

    def set_fault(self, name: str, now_ns: int, **how: Parameter) -> None:
        """Switches one fault on. Raises DeviceFaultError before anything changes.

        `heater_stuck_on(pct=100)`, `do_probe_stuck()`, `ph_probe_drift(per_h=0.05)`,
        `mfc_link_lost()`, `pump_stuck_on(pump="feed", rpm=20)`, `balance_disconnected()`,
        `skid_frozen()`, `skid_killed()`, `bad_quality(point="AT102", code=0x808C0000)` (the code
        for points of the skid), `slow_read(link="probe_bus", late_ms=350, reads=0)` (0 is all),
        `garbage(link="probe_bus", every=3)`, `line_silent(link="probe_bus")`,
        `rubbish(link="probe_bus", bytes=12)`, `crossed_answers(link="probe_bus")`,
        `air_in_feed(share=1)`, `annunciator_cut()`. With an I/O board: `io_power_cut()`,
        `io_reset()` (once), `io_unknown_image()`, `io_bit_errors(share=1e-3)`.
        """
        if name == "heater_stuck_on":
            self._plant.set_fault("heater_stuck", 1.0, number_of(how, "pct", 100.0, 0.0, 100.0))
        elif name == "do_probe_stuck":
            self._plant.set_fault("AT102_stuck")
        elif name == "ph_probe_drift":
            self._plant.set_fault("AT101_drift_per_h", number_of(how, "per_h", 0.05, -10.0, 10.0))
        elif name == "mfc_link_lost":
            self.gas.disturb(silent=None)
        elif name == "pump_stuck_on":
            self.pumps.stick(_pump(how), number_of(how, "rpm", 20.0, 0.1, 220.0))
        elif name == "balance_disconnected":
            self.balance.disturb(silent=None)
        elif name == "skid_frozen":
            self.skid.freeze(now_ns)
        elif name == "skid_killed":
            self.skid.killed = True
        elif name == "bad_quality":
            code = round(number_of(how, "code", BAD_SENSOR_FAILURE, 0x4000_0000, 0xFFFF_FFFF))
            self._spoil(str(how.get("point", "AT102")), code)
            self._quality = str(how.get("point", "AT102"))
        elif name == "slow_read":
            late_ms = number_of(how, "late_ms", 350.0, 0.0, 60_000.0)
            reads = round(number_of(how, "reads", 0.0, 0.0, 1e6))
            self._line(how).disturb(late_ms=late_ms, late_replies=reads)
        elif name == "garbage":
            every = round(number_of(how, "every", 3.0, 1.0, 1e6))
            self._line(how).disturb(garble_every=every)
        elif name == "line_silent":
            self._line(how).disturb(silent=None)
        elif name == "rubbish":
            self._line(how).disturb(rubbish=round(number_of(how, "bytes", 12.0, 1.0, 64.0)))
        elif name == "crossed_answers":
            self._line(how).disturb(crossed=True)
        elif name in ("air_in_feed", "annunciator_cut"):
            self._plant.set_fault(name, number_of(how, "share", 1.0, 0.0, 1.0))
        elif name in self._known:
            self._hurt_board(name, now_ns, how)
        else:
            raise DeviceFaultError(f"no fault {name!r}; known: {', '.join(self._known)}")

    def _hurt_board(self, name: str, now_ns: int, how: Mapping[str, Parameter]) -> None:
        board = self._board()
        if name == "io_power_cut":
            board.cut_power(now_ns)
        elif name == "io_unknown_image":
            board.power_up(now_ns, unknown=True)
        elif name == "io_bit_errors":
            board.spoil(number_of(how, "share", 1e-3, 0.0, 0.5))
        else:
            board.watchdog(now_ns)

    def _heal_board(self, name: str, now_ns: int) -> None:
        if name in ("io_power_cut", "io_unknown_image"):
            self._board().power_up(now_ns)
        elif name == "io_bit_errors":
            self._board().spoil(0.0)

    @property
    def _known(self) -> tuple[str, ...]:
        return FAULTS + BOARD_FAULTS if self.board is not None else FAULTS

    def _board(self) -> Board:
        if self.board is None:
            raise DeviceFaultError("this unit has no I/O board")
        return self.board

    def clear_fault(self, name: str, now_ns: int = 0, **how: Parameter) -> None:
        """Switches one fault off; raises DeviceFaultError for an unknown name."""
        if name not in self._known:
            raise DeviceFaultError(f"no fault {name!r}; known: {', '.join(self._known)}")
        plant_faults = {"heater_stuck_on": "heater_stuck", "do_probe_stuck": "AT102_stuck",
                        "ph_probe_drift": "AT101_drift_per_h"}  # fmt: skip
        if name in plant_faults:
            self._plant.clear_fault(plant_faults[name])
        elif name == "pump_stuck_on":
            self.pumps.unstick(_pump(how))
        elif name == "skid_frozen":
            self.skid.frozen = False
        elif name == "skid_killed":
            self.skid.killed = False
        elif name == "bad_quality":
            self._spoil(str(how.get("point", self._quality)), 0)
        elif name in ("air_in_feed", "annunciator_cut"):
            self._plant.clear_fault(name)
        elif name in BOARD_FAULTS:
            self._heal_board(name, now_ns)
        else:
            lines = {"mfc_link_lost": self.gas, "balance_disconnected": self.balance}
            (lines.get(name) or self._line(how)).disturb()

    def _line(self, how: Mapping[str, Parameter]) -> Bus:
        name = str(how.get("link", "probe_bus"))
        if name not in self.serial:
            raise DeviceFaultError(f"no serial link {name!r}; known: {', '.join(self.serial)}")
        return self.serial[name]

    def _spoil(self, point: str, code: int) -> None:
        bad = code != 0
        slaves = {"AT101": 1, "TT_PH": 1, "AT102": 2, "TT_DO": 2}
        if 3 in self.slaves:
            slaves["TT102"] = 3
        place = tag_at(point)
        if self.terminals is not None and place is not None:
            channel = CONTACTS[place[1]] if place[0] == "contact" else LOOPS[place[1]].channel
            (self.terminals.broken.add if bad else self.terminals.broken.discard)(channel)
            return
        mfcs = {f"FT_{name.upper()}": unit for unit, _, name, _ in GASES}
        if point in slaves:
            number = slaves[point]
            bit = 1 if number == 3 else modbus.STATUS_ERROR
            self.slaves[number].status = bit if bad else 0
        elif point in mfcs:
            self.gas.controllers[mfcs[point]].status = ("ADC",) if bad else ()
        elif point == "WT101":
            self.balance.not_ready = bad
        elif point in self.skid.sensors:
            if bad:
                self.skid.bad_status[point] = code
            else:
                self.skid.bad_status.pop(point, None)
        else:
            raise DeviceFaultError(f"no device shows {point!r}")


def _pump(how: Mapping[str, Parameter]) -> int:
    name = str(how.get("pump", "feed"))
    for address, known, *_ in PUMPS:
        if known == name:
            return address
    raise DeviceFaultError(f"no pump {name!r}; known: feed, perfusate, base")


def number_of(
    how: Mapping[str, Parameter], name: str, default: float, low: float, high: float
) -> float:
    """A parameter of a fault; raises DeviceFaultError beyond its limits."""
    value = how.get(name, default)
    if isinstance(value, str) or not math.isfinite(value) or not low <= value <= high:
        raise DeviceFaultError(f"{name}={value!r}: a number from {low} to {high} is needed")
    return float(value)

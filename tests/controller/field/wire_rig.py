"""The shipped unit with nobody in command: field and device side in wire fidelity, spied on.

What a test asserts is what came in at the devices: each frame with what the device made of it. A
second of it takes about 1.5 ms, so every cell of a chart can be driven from a fresh vessel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

import equipment_profiles
from controller.field.board import Board
from controller.field.image import create
from controller.field.kernel import initialise_at
from controller.field.ring import EventKind
from controller.field.verbs import Verb
from controller.field.views import Bound
from controller.profile.compile import Profile, load_profile
from hil_sim.devices.unit import GASES as UNIT_GASES
from hil_sim.plant.plant import ACTUATOR_INDEX
from hil_sim.qualification.bench import PUMP_ADDRESS
from hil_sim.qualification.plant_state import (
    ML_PER_REV,
    NORMAL,
    OUTPUTS,
    RATES,
    drive_of,
    filled_plant,
)
from hil_sim.rig.signal import BANDS
from hil_sim.rig.wire import WireField

MS, S = 1_000_000, 1_000_000_000
SCAN = 100 * MS
SHIPPED = Path(equipment_profiles.__file__).parent
# The units whose devices this rig plays: one with an I/O board has a rig of its own (board_room).
UNITS = sorted(path for path in (SHIPPED / "units").glob("*.yaml")
               if "kind: bridge" not in path.read_text())  # fmt: skip
RAMP = 2 * SCAN  # between two small steps of an instrument
RAMP_SHARE = 0.38  # of what its rate allows: one poll may see two steps
PUMPS = {str(address): name for name, address in PUMP_ADDRESS.items()}
_PUMP = re.compile(rb"^(\d)(?:ST|SP(\d+\.\d))\r$")
_GAS = re.compile(rb"^([A-Z])S ?(-?\d+\.?\d*)\r$")
GASES = {unit: name for unit, _, name, _ in UNIT_GASES}
Told = tuple[int, float]  # when it came in at the device, canonical value


@lru_cache
def profile_of(path: Path) -> Profile:
    """A shipped unit, compiled once."""
    return load_profile(path, SHIPPED / "devices")


@dataclass(frozen=True, slots=True)
class Sent:
    """What came in at a device, and what the device drives since then, by drive."""

    at_ns: int
    line: str
    data: Any
    drives: Mapping[str, float]


class WireRig:
    """One vessel of 2 L, instruments normal, outputs as OUTPUTS says once `started`."""

    def __init__(self, path: Path = UNITS[0], restarted: bool = False) -> None:
        self.profile = profile_of(path)
        self.plant = filled_plant(1)
        self.plant.p["quantum"] = 0.0  # instruments resolve what their line can carry
        self.image = create(self.profile.plan, 0)
        bound = Bound(self.profile.plan, self.image)
        initialise_at(bound.handles, 0, restarted)
        self.field = WireField(self.profile, bound, self.plant, np.zeros(1, BANDS))
        self.board = Board(self.image, self.profile.index)
        self.rows = {cause.row: at for at, cause in enumerate(self.profile.causes)}
        self.now, self.beating, self.living = 0, True, False
        self.sent: list[Sent] = []
        self.trips: list[tuple[int, str]] = []
        self.asked: list[tuple[int, str]] = []
        self.shown = dict(NORMAL)
        self._id = 0
        tap(self.plant, self.field.devices, self.sent)

    # -- time -------------------------------------------------------------------------------

    def scan(self, count: int = 1) -> None:
        """Lets so many scans pass."""
        for _ in range(count):
            end = self.now + SCAN
            if self.beating:
                self.board.beat(self.now)
            if self.living and self.now % (60 * S) == 0:
                side = 1 if self.now // (60 * S) % 2 else -1
                self.show(AT102=self.shown["AT102"] + side * 0.25)
            self.field.run(end)
            self.now = end
            self._drain()

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        self.scan(round(seconds * S / SCAN))

    def until(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Scans until something is so; its last value when the time is over."""
        for _ in range(round(seconds * S / SCAN)):
            if found := condition():
                return found
            self.scan()
        return condition()

    def _drain(self) -> None:
        for event in self.board.drain():
            if event.kind == EventKind.CAUSE_ACTIVE:
                self.trips.append((event.time_ns, self.profile.causes[event.index].row))
            elif event.kind == EventKind.ACTION:
                self.asked.append((event.time_ns, self.profile.causes[event.index].row))
        self.board.events_done()
        self.board.history_done(self.board.history_waiting())

    # -- hands ------------------------------------------------------------------------------

    def started(self, *, cells: bool = False, product: bool = False) -> WireRig:
        """Everything runs. `cells`: they are in; `product`: the line-up is for a harvest."""
        outputs = dict(OUTPUTS)
        if product:
            outputs |= {"xv202": 0.0, "perfusate": 0.0}
        pumps = [name for name in outputs if name in ML_PER_REV]
        for name in (*(n for n in outputs if n not in pumps), *pumps):
            self.do(Verb.SET_OUTPUT, self.profile.outputs.index(name), outputs[name])
            self.scan()
        self.run(14)
        if product:
            self.do(Verb.SET_FLAG, self.profile.index["lineup"], 1.0)
            self.run(1)
            self.do(Verb.SET_OUTPUT, self.profile.outputs.index("xv203"), 1.0)
            self.run(2)
            self.do(Verb.SET_OUTPUT, self.profile.outputs.index("perfusate"), OUTPUTS["perfusate"])
            self.run(8)
        if cells:
            self.flag("environment", 1)
            self.flag("cells_in", 1)
        self.run(4)
        return self

    def do(self, verb: Verb, target: int, value: float) -> None:
        """One command; it acts in the next scan."""
        self._id += 1
        self.board.command(self._id, int(verb), target, value, 1 << 62)

    def flag(self, name: str, value: float) -> None:
        """Sets a flag."""
        self.do(Verb.SET_FLAG, self.profile.index[name], float(value))
        self.scan()

    def want(self, output: str, value: float) -> None:
        """A request for an output."""
        self.do(Verb.SET_OUTPUT, self.profile.outputs.index(output), value)
        self.scan()

    def show(self, **channels: float) -> None:
        """Instruments show these values from now on, by channel of the plant."""
        for channel, value in channels.items():
            self.plant.set_fault(f"{channel}_stuck", 1.0, value)
            if channel != "AT102" or not self.living:
                self.shown[channel] = value

    def ramp(self, **channels: float) -> None:
        """As `show`, no faster than an instrument may move without being taken for broken."""
        while True:
            step = {}
            for name, goal in channels.items():
                room = RATES.get(name, 1e9) * RAMP / S * RAMP_SHARE
                now = self.shown.get(name, goal)
                step[name] = now + max(-room, min(room, goal - now))
            self.show(**step)
            if step == channels:
                return
            self.scan(2)

    # -- what is seen -----------------------------------------------------------------------

    def value(self, signal: str) -> float:
        """A signal as the field holds it; NaN while it is bad."""
        reading = self.board.read(signal)
        return reading.value if int(reading.quality) < 2 else float("nan")

    def tripped(self, row: str, since_ns: int = 0) -> int | None:
        """The time of the scan in which a row tripped first since then."""
        return next((at for at, name in self.trips if name == row and at >= since_ns), None)

    def standing(self) -> set[str]:
        """The rows whose cause stands now."""
        return {row for row, at in self.rows.items() if self.image.causes["active"][at]}

    def drive(self, output: str) -> float:
        """What a device drives an output with now, canonical."""
        name, per_unit = drive_of(output)
        return float(self.plant.u["drive"][0, ACTUATOR_INDEX[name]]) / per_unit

    def told(self, output: str, since_ns: int) -> list[Told]:
        """What its device was told for an output, from its frames alone, since then."""
        name, per_unit = drive_of(output)
        return [(one.at_ns, one.drives[name] / per_unit) for one in self.sent
                if one.at_ns >= since_ns and name in one.drives]  # fmt: skip

    def commands(self, line: str, since_ns: int) -> list[Sent]:
        """Everything on a line since then that drives an output."""
        return [one for one in self.sent
                if one.line == line and one.at_ns >= since_ns and one.drives]  # fmt: skip

    def line_of(self, output: str) -> str:
        """The line an output's device hangs on."""
        number = self.profile.outputs.index(output)
        return str(self.profile.links[int(self.profile.plan.outputs["link"][number])].name)


def tap(plant: Any, devices: Any, sent: list[Sent]) -> None:
    """Every frame as it comes in, with what the device makes of it; never through our codecs.

    A pump that is stuck ignores its line, a gas controller takes too much for its full scale: what
    they are told is read here by their manuals.
    """
    heard: dict[str, float] = {}
    command, write = plant.command, devices.skid.write

    def driven(**values: float) -> None:
        heard.update(values)
        command(**values)

    def written(node: str, value: Any, now_ns: int) -> int | None:
        heard.clear()
        status = write(node, value, now_ns)
        if node != "HOST_BEAT" and not status:
            sent.append(Sent(now_ns, "skid", (node, value), dict(heard)))
        return cast(int | None, status)

    def tapped(name: str, receive: Callable[..., Any]) -> Callable[..., Any]:
        def noted(data: bytes, now_ns: int) -> Any:
            heard.clear()
            replies = receive(data, now_ns)
            manual = {"pump_bus": pump_frame, "gas_bus": gas_frame}.get(name)
            drives = dict(heard) if manual is None else manual(data)
            sent.append(Sent(now_ns, name, data, drives))
            return replies

        return noted

    setattr(plant, "command", driven)  # noqa: B010 - of these instances alone
    setattr(devices.skid, "write", written)  # noqa: B010
    for name, bus in devices.serial.items():
        setattr(bus, "receive", tapped(name, bus.receive))  # noqa: B010


def gas_frame(data: bytes) -> dict[str, float]:
    """What a gas controller is told by one frame: `AS 150.0`."""
    match = _GAS.match(data)
    return {} if match is None else {GASES[match[1].decode()]: float(match[2])}


def pump_frame(data: bytes) -> dict[str, float]:
    """What a pump is told by one frame: `1ST` to stand, `1SP5.0` its speed in rpm."""
    match = _PUMP.match(data)
    if match is None:
        return {}
    return {f"{PUMPS[match[1].decode()]}_rpm": float(match[2] or 0.0)}

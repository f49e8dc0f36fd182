"""The shipped station with a disk that can die, a plant that stands still and time by hand."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.clock import VirtualClock
from controller.core.events import Event
from controller.desk import Request
from controller.field.kernel import scan_at
from controller.field.ring import InputRing
from controller.people.people import People
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.station import BatchOrder, Station
from controller.units import find_recipe, find_unit, load_unit

S = 1_000_000_000
TICK = 100_000_000
ME, YOU = "unverified:me@bench", "unverified:you@bench"
STILL = {"AT101": 7.2, "AT102": 40.0, "TT_PH": 37.0, "TT_DO": 37.0, "TT101": 37.0, "TT102": 37.0,
         "TT103": 38.0, "WT101": 6014.0, "PT101": 1.0, "LT101": 2.0}  # fmt: skip
SHOWN = {"FT_AIR": "air", "FT_O2": "o2", "FT_CO2": "co2", "FT_N2": "n2", "FS_AIR": "air",
         "FS_O2": "o2", "FS_CO2": "co2", "FS_N2": "n2", "ST_FEED": "feed", "ST_PERF": "perfusate",
         "ST_BASE": "base", "ST101": "stirrer", "JT101": "heater", "KM101_FB": "km101",
         "HEATER_SP": "heater", "STIRRER_SP": "stirrer", "KM101_CMD": "km101",
         "XV100_CMD": "xv100"}  # fmt: skip


class Disk(VolatileFiles):
    """A disk that takes nothing more once it is `full`, but over what was written in advance."""

    full = False

    def __init__(self) -> None:
        super().__init__()
        self._in_advance: set[int] = set()
        self._held_open: set[int] = set()
        self._left = 1 << 60

    def open_append(self, path: Path) -> int:
        fd = super().open_append(path)
        self._held_open.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self._held_open.discard(fd)
        super().close(fd)

    def die(self) -> None:
        """What becomes of the files of a process that ended: they are let go."""
        for fd in list(self._held_open):
            self.close(fd)

    def full_after(self, writes: int) -> None:
        """Takes that many writes more."""
        self.full, self._left = False, writes

    def open_within(self, path: Path, offset: int = 0) -> int:
        fd = super().open_within(path, offset)
        if path.name == "emergency":
            self._in_advance.add(fd)
        else:
            self._in_advance.discard(fd)
        return fd

    def write(self, fd: int, data: bytes) -> int:
        self._left -= 1
        self.full = self.full or self._left < 0
        if self.full and fd not in self._in_advance:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)


@dataclass(frozen=True)
class Told:
    """One record as the supervisor made it."""

    name: str
    data: dict[str, Any]
    actor: str
    role: str = ""
    reason: str = ""


class Deck:
    """A station, its records, and its released values."""

    def __init__(self, path: Path, people: People | None = None) -> None:
        self.clock, self.disk = VirtualClock(1), Disk()
        profile, offer = load_unit(find_unit("perfusion_2l"))
        self.station = Station(profile, offer, StateDir(path, self.disk), Keys.from_seed(1),
                               self.disk, self.clock.stamp(), people=people)  # fmt: skip
        self.profile, self.supervisor = profile, self.station.supervisor
        self.values, self.told = dict(STILL), []
        self.supervisor.listeners.append(self._listen)
        self.run(1)

    def _listen(self, event: Event) -> None:
        self.told.append(Told(event.name, dict(event.data), event.actor, event.role,
                              event.reason))

    def out(self, name: str) -> float:
        return float(self.station.image.outputs[self.profile.outputs.index(name)]["released"])

    def _sample(self) -> None:
        now, index = self.clock.now_ns, self.profile.index
        values = self.values | {tag: self.out(name) for tag, name in SHOWN.items()}
        for valve in ("xv100", "xv201", "xv202", "xv203", "xv204"):
            values[f"{valve.upper()}_ZSO"] = self.out(valve)
            values[f"{valve.upper()}_ZSC"] = 1.0 - self.out(valve)
        for number, link in enumerate(self.profile.links):
            ring = InputRing(self.station.image, number)
            for device in link.devices:
                for read in device.reads:
                    for point in read.points:
                        if point.signal >= 0:
                            tag = self.profile.signals[point.signal]
                            ring.push(index[tag], values[tag], 0, 0, now)

    def scan(self) -> None:
        """One scan of field, a tenth of a second later; no tick."""
        self.clock.advance_to(self.clock.now_ns + TICK)
        self._sample()
        scan_at(self.station.bound.handles, self.clock.now_ns)

    def run(self, seconds: float) -> None:
        """Ten scans and one tick a second, as the rig does without events."""
        for count in range(round(seconds * 10)):
            self.scan()
            if count % 10 == 9 or seconds < 1:
                self.supervisor.tick(self.clock.stamp())

    def ask(self, verb: str, target: str = "procedure", value: str = "", **more: str) -> None:
        """A request by `ME`, and time enough for its outcome."""
        self.supervisor.desk.ask(Request(verb, target, value, more.pop("actor", ME), **more))
        self.run(3)

    def open(self) -> None:
        """A batch, started and running."""
        path = find_recipe("car_t_perfusion")
        order = BatchOrder("B-1", "virtual", "PSN-1", "LOT-1")
        self.station.open_batch(self.station.load_recipe(path), path, order, self.clock.stamp())
        self.ask("start")

    def names(self) -> list[str]:
        return [told.name for told in self.told]

    def last(self, name: str) -> Told:
        return next(told for told in reversed(self.told) if told.name == name)

    def flag(self, name: str) -> float:
        return self.station.board.read(name).value

"""The links of the unit, bound to plain indices, and a lock-step line in memory."""

from __future__ import annotations

import heapq
from pathlib import Path

import equipment_profiles
from controller.field.links.machine import SerialLink
from controller.profile.device import LinkSettings, load_device
from controller.profile.link_compile import BoundDevice, compile_link
from controller.profile.link_plan import LinkPlan

DEVICES = Path(equipment_profiles.__file__).parent / "devices"
MS = 1_000_000
S = 1_000_000_000


class Samples:
    """An input ring that keeps everything."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, int, int, int]] = []

    def push(self, point: int, value: float, quality: int, reason: int, sample_ns: int) -> bool:
        self.rows.append((point, value, quality, reason, sample_ns))
        return True

    def last(self, point: int) -> tuple[float, int, int, int]:
        return next(row[1:] for row in reversed(self.rows) if row[0] == point)


def bound(name, profile, address, signals, outputs=None, calibration=None):
    return BoundDevice(
        name, load_device(DEVICES / f"{profile}.yaml"), address, signals, outputs or {},
        calibration or {},
    )  # fmt: skip


def gas_plan(units="ABCD") -> LinkPlan:
    devices = [
        bound(f"mfc_{unit}", "alicat_mc", unit, {"flow": at, "setpoint": 10 + at}, {"flow": at})
        for at, unit in enumerate(units)
    ]
    return compile_link("gas_bus", LinkSettings(kind="serial"), devices)


def probe_plan() -> LinkPlan:
    devices = [
        bound("ph", "hamilton_arc_ph", "1", {"ph": 0, "temperature": 1}),
        bound("do", "hamilton_arc_do", "2", {"oxygen": 2, "temperature": 3}),
        bound("rtd", "rtd_modbus", "3", {"temperature": 4}),
    ]
    return compile_link("probe_bus", LinkSettings(kind="serial", format="8N2"), devices)


def pump_plan() -> LinkPlan:
    rates = {1: 0.9, 2: 0.9, 3: 0.0035}
    devices = [
        bound(f"pump_{n}", "watson_marlow_520", str(n), {"rate": n - 1}, {"rate": n - 1},
              {"rate": rates[n]})
        for n in rates
    ]  # fmt: skip
    return compile_link("pump_bus", LinkSettings(kind="serial", baud=9600, format="8N2"), devices)


def balance_plan() -> LinkPlan:
    devices = [bound("balance", "mettler_mt_sics", "", {"weight": 0})]
    return compile_link("balance", LinkSettings(kind="serial", baud=9600), devices)


SKID_POINTS = ("TT101", "TT103", "PT101", "LT101", "ST101", "JT101", "KM101_FB", "XV201_ZSO",
               "XV201_ZSC", "HEATER_CMD", "XV201_CMD")  # fmt: skip
SKID_OUTPUTS = ("heater", "stirrer", "km101", "xv100", "xv201")


def skid_plan() -> LinkPlan:
    signals = {name: at for at, name in enumerate(SKID_POINTS)}
    outputs = {name: at for at, name in enumerate(SKID_OUTPUTS)}
    devices = [bound("skid", "skid_opcua", "", signals, outputs)]
    return compile_link("skid", LinkSettings(kind="opcua"), devices)


class Wire:
    """Host machine and device bus in lock-step; keeps what the host sent and when."""

    def __init__(self, link: SerialLink, bus) -> None:
        self.link, self.bus = link, bus
        self.sent: list[tuple[int, bytes]] = []
        self.flying: list[tuple[int, int, bytes]] = []
        self.now = 0
        self.bytes_back = 0

    def run(self, until_ns: int) -> None:
        link, flying = self.link, self.flying
        while True:
            at = link.next_ns()
            if flying and flying[0][0] <= at:
                at = flying[0][0]
            if at > until_ns:
                self.now = until_ns
                return
            self.now = max(self.now, at)
            while flying and flying[0][0] <= self.now:
                _, _, data = heapq.heappop(flying)
                self.bytes_back += len(data)
                link.feed(data, self.now)
            tx = link.take_tx(self.now)
            if tx:
                self.sent.append((self.now, tx))
                for due, data in self.bus.receive(tx, self.now):
                    heapq.heappush(flying, (due, len(self.sent), data))


class StillPlant:
    """A plant in which every channel shows what the actuators were told, or a fixed value."""

    def __init__(self):
        self.driven = {
            "air": 250.0, "o2": 125.0, "co2": 50.0, "n2": 250.0, "feed_rpm": 110.0,
            "perfusate_rpm": 110.0, "base_rpm": 110.0, "heater_pct": 50.0, "stirrer_rpm": 200.0,
            "km101": 1.0, "xv100": 1.0, "xv201": 1.0, "xv202": 1.0, "xv203": 1.0, "xv204": 1.0,
        }  # fmt: skip
        self.values = {"AT101": 7.2, "AT102": 40.0, "WT101": 6000.0}

    def measure(self, channel):
        return self.values.get(channel, 20.0)

    def command(self, **values):
        self.driven |= values

    def set_fault(self, name, value=1.0, held=None):
        raise NotImplementedError

    def clear_fault(self, name):
        raise NotImplementedError

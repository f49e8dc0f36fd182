"""Which simulated channel or actuator stands behind each point of a unit's links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.errors import BadInput
from controller.profile.compile import Profile
from hil_sim.plant.plant import ACTUATOR_INDEX, CHANNEL_INDEX

Table = npt.NDArray[Any]
NS_PER_MS = 1_000_000
# Time from a request to its answer in the image, by link: bytes at the line's speed [assumed].
DELAY_MS = {"gas_bus": 35, "probe_bus": 25, "pump_bus": 80, "balance": 35, "skid": 15}
READBACKS = {"HEATER_SP": "heater_pct", "STIRRER_SP": "stirrer_rpm", "KM101_CMD": "km101",
             "XV100_CMD": "xv100"}  # fmt: skip
FIRST_NS = 500 * NS_PER_MS  # a line first writes the start values and asks who is there
POINT = np.dtype([(n, "i8") for n in (
    "signal", "channel", "readback", "link", "period_ns", "phase_ns", "next_ns", "due_ns",
    "sampled_ns", "pending", "bad")] + [("scale", "f8"), ("value", "f8")])  # fmt: skip
DRIVE = np.dtype([(n, "i8") for n in ("actuator", "link", "seen", "due_ns", "pending", "pinch")]
                 + [("scale", "f8"), ("value", "f8")])  # fmt: skip
LINE = np.dtype([(n, "i8") for n in (
    "delay_ns", "timeout_ns", "wait_ns", "late_ns", "silent", "frozen", "driver",
    "skid")])  # fmt: skip
SKID = np.dtype([(n, "i8") for n in ("beat_ns", "beaten_ns", "fallen", "closed")]
                + [("mean", "f8"), ("heater", "f8")])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wiring:
    """The tables of one simulated device side, by position of link and output in the profile."""

    points: Table
    drives: Table
    lines: Table
    skid: Table


def channel_of(tag: str) -> tuple[int, int]:
    """(channel, -1) of a measured tag, or (-1, actuator) of one that reads a command back.

    Raises BadInput for a tag the simulated unit does not have.
    """
    if tag.startswith("FS_"):
        return -1, ACTUATOR_INDEX[tag[3:].lower()]
    if tag in READBACKS:
        return -1, ACTUATOR_INDEX[READBACKS[tag]]
    name = {
        "ST_PERF": "ST_PERFUSATE",
        "ST101": "ST_STIRRER",
        "JT101": "JT_HEATER",
        "KM101_FB": "KM101_AUX",
    }.get(tag, tag.replace("_ZSO", "_OPEN").replace("_ZSC", "_CLOSED"))
    if name not in CHANNEL_INDEX:
        raise BadInput(f"the simulated unit has no channel for {tag}")
    return CHANNEL_INDEX[name], -1


def actuator_of(output: str) -> int:
    """The plant's actuator behind an output; raises BadInput for one it does not have."""
    name = {
        "feed": "feed_rpm",
        "perfusate": "perfusate_rpm",
        "base": "base_rpm",
        "heater": "heater_pct",
        "stirrer": "stirrer_rpm",
    }.get(output, output)
    if name not in ACTUATOR_INDEX:
        raise BadInput(f"the simulated unit has no actuator for {output}")
    return ACTUATOR_INDEX[name]


def wire_up(profile: Profile) -> Wiring:
    """The tables for a profile; raises BadInput for what the simulated unit does not have."""
    points: list[tuple[Any, ...]] = []
    drives = np.zeros(len(profile.outputs), DRIVE)
    lines = np.zeros(len(profile.links), LINE)
    drives["actuator"] = -1  # a board's outputs are driven by the board
    for number, link in enumerate(profile.links):
        lines[number]["delay_ns"] = DELAY_MS.get(link.name, 30) * NS_PER_MS
        lines[number]["skid"] = link.kind == "opcua"
        slowest = max(link.devices, key=lambda device: device.timeout_ns)
        lines[number]["timeout_ns"] = slowest.timeout_ns
        lines[number]["wait_ns"] = slowest.timeout_ns * (slowest.retries + 1)
        for device in link.devices if link.kind != "bridge" else ():
            for read in device.reads:
                for point in read.points:
                    if point.signal < 0:
                        continue
                    channel, readback = channel_of(profile.signals[point.signal])
                    points.append(
                        (point.signal, channel, readback, number, read.period_ns, read.phase_ns,
                         read.phase_ns + FIRST_NS, 0, 0, 0, 0, point.scale, 0.0)
                    )  # fmt: skip
            for write in device.writes:
                name = profile.outputs[write.output]
                pinch = name in ("xv201", "xv202", "xv203", "xv204")
                drives[write.output] = (
                    actuator_of(name), number, 0, 0, 0, int(pinch), write.scale, 0.0
                )
    return Wiring(np.array(points, POINT), drives, lines, np.zeros(1, SKID))

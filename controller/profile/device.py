"""What a model of device speaks, as its YAML file says it and before any unit uses it.

The YAML is the only place that knows a device: requests, replies, units, time-outs, verification.
Here it becomes a checked model; `link_plan` binds it to a unit.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from controller.core.based import load_based
from controller.core.errors import nearest
from controller.core.quantity import CANONICAL, unit_factor
from controller.profile.board_device import BoardPoint, BoardWrite, check_board

POINTS_PER_READ_MAX = 64
Text = Annotated[str, Field(min_length=1, max_length=400)]
Kind = Literal["float32", "int16", "uint16", "uint32", "double", "boolean"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(_Model):
    """Which models the file is for and where each fact comes from (document and page)."""

    id: Text
    version: int = Field(ge=1)
    title: Text
    models: list[Text] = Field(min_length=1, max_length=16)
    sources: list[Text] = Field(min_length=1, max_length=16)


class Line(_Model):
    """Framing and patience. Times in ms; `timeout_ms` runs from the last request byte."""

    protocol: Literal["ascii", "modbus_rtu", "opcua", "bridge"]
    baud: int = Field(default=19_200, ge=300, le=921_600)
    format: Literal["8N1", "8N2", "8E1", "8O1", "7E1", "7O1"] = "8N1"
    eol_tx: str = Field(default="\r", max_length=2)
    eol_rx: str = Field(default="\r", max_length=2)
    echo: bool = False
    timeout_ms: int = Field(ge=5, le=5_000)
    gap_ms: int = Field(default=0, ge=0, le=1_000)
    retries: int = Field(default=2, ge=0, le=5)
    frame_bytes_max: int = Field(default=128, ge=8, le=1_024)
    namespace: str = Field(default="", max_length=200)
    beat: str = Field(default="", max_length=64)


class Identify(_Model):
    """A question whose answer tells the model; any line that matches is proof."""

    tx: Text
    match: Text


class Status(_Model):
    """Where the device says how far it trusts its own value."""

    group: str = ""
    bad: list[Text] = Field(default_factory=list, max_length=32)
    uncertain: list[Text] = Field(default_factory=list, max_length=32)
    at: int = Field(default=-1, ge=-1, le=120)
    bad_bits: list[int] = Field(default_factory=list, max_length=32)
    uncertain_bits: list[int] = Field(default_factory=list, max_length=32)


class Read(_Model):
    """One request and the shape of its reply. Modbus addresses are 0-based wire addresses."""

    every_s: float = Field(gt=0, le=3_600)
    tx: str = Field(default="", max_length=64)
    match: str = Field(default="", max_length=400)
    invalid: str = Field(default="", max_length=200)
    function: Literal[0, 3, 4] = 0
    address: int = Field(default=0, ge=0, le=65_535)
    count: int = Field(default=0, ge=0, le=120)
    words: Literal["high_first", "low_first", "check"] = "high_first"
    limits: tuple[int, int] | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _whole(self) -> Read:
        if self.words == "check" and self.limits is None:
            raise ValueError("words: check needs `limits`, the registers of minimum and maximum")
        for pattern in (self.match, self.invalid):
            _groups(pattern)
        return self


class Point(BoardPoint):
    """One value of a reply: a regex group, a register or a node. `times` is a group of 0 or 1."""

    read: Text
    unit: str
    calibrated_unit: str = ""
    group: str = ""
    times: str = ""
    at: int = Field(default=-1, ge=-1, le=120)
    kind: Kind = "double"
    node: str = Field(default="", max_length=64)
    factor: float = 1.0

    @property
    def canonical_unit(self) -> str:
        """The unit of the value a link hands up."""
        return CANONICAL[unit_factor(self.calibrated_unit or self.unit)[0]]

    @model_validator(mode="after")
    def _known(self) -> Point:
        unit_factor(self.unit)
        if self.calibrated_unit:
            unit_factor(self.calibrated_unit)
        return self


class Verify(_Model):
    """A write is done when this point reads what was written, within `tolerance` raw units."""

    point: Text
    tolerance: float = Field(ge=0)


class Write(BoardWrite):
    """How a value goes out. `steps` are sent in order; `zero_steps` replace them for 0."""

    unit: str
    calibrated_unit: str = ""
    steps: list[Text] = Field(default_factory=list, max_length=4)
    zero_steps: list[Text] = Field(default_factory=list, max_length=4)
    node: str = Field(default="", max_length=64)
    kind: Literal["double", "boolean"] = "double"
    low: float
    high: float
    resolution: float = Field(gt=0)
    reply: Text = "none"
    verify: Verify
    retry_ms: int = Field(default=500, ge=50, le=10_000)

    @property
    def canonical_unit(self) -> str:
        """The unit of the value a link is handed."""
        return CANONICAL[unit_factor(self.calibrated_unit or self.unit)[0]]


class DeviceProfile(_Model):
    """One model of device. Checked on its own; bound to a unit by `compile_link`."""

    based_on: str | None = None
    profile: Identity
    line: Line
    identify: Identify | None = None
    rejected: str = Field(default="", max_length=200)
    never: list[Text] = Field(default_factory=list, max_length=8)
    reads: dict[str, Read] = Field(min_length=1, max_length=16)
    points: dict[str, Point] = Field(min_length=1, max_length=POINTS_PER_READ_MAX)
    writes: dict[str, Write] = Field(default_factory=dict, max_length=POINTS_PER_READ_MAX)
    on_comm_loss: Text

    @model_validator(mode="after")
    def _joined(self) -> DeviceProfile:
        for pattern in (self.rejected, *self.never):
            _groups(pattern)
        for name, point in self.points.items():
            _check_point(name, point, self)
        for name, write in self.writes.items():
            _check_write(name, write, self)
        check_board(self.line.protocol == "bridge", self.points, self.writes)
        return self


class LinkSettings(_Model):
    """What the unit file says about one line."""

    kind: Literal["serial", "opcua", "bridge"]
    baud: int = 19_200
    format: str = "8N1"


def load_device(path: Path) -> DeviceProfile:
    """Reads one device file, merged if it is `based_on` another; raises BadInput with its place."""
    return load_based(path, own=(("profile", "id"), ("profile", "version"))).validate(DeviceProfile)


def _groups(pattern: str) -> set[str]:
    try:
        return set(re.compile(pattern.replace("{addr}", "A")).groupindex)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None


def _check_point(name: str, point: Point, profile: DeviceProfile) -> None:
    read = profile.reads.get(point.read)
    if read is None:
        hint = nearest(point.read, list(profile.reads))
        raise ValueError(f"point {name}: no read {point.read!r}. {hint}")
    if profile.line.protocol == "ascii":
        missing = {g for g in (point.group, point.times) if g} - _groups(read.match)
        if missing or not point.group:
            raise ValueError(f"point {name}: the reply of {point.read} has no group {missing}")
    elif profile.line.protocol == "modbus_rtu":
        size = 1 if point.kind in ("int16", "uint16") else 2
        if point.at < 0 or point.at + size > read.count:
            raise ValueError(f"point {name}: register {point.at} is not in the reply")
    elif profile.line.protocol == "opcua" and not point.node:
        raise ValueError(f"point {name}: an OPC UA point needs a `node`")


def _check_write(name: str, write: Write, profile: DeviceProfile) -> None:
    if write.verify.point not in profile.points:
        hint = nearest(write.verify.point, list(profile.points))
        raise ValueError(f"write {name}: no point {write.verify.point!r} to verify by. {hint}")
    if not write.low < write.high:
        raise ValueError(f"write {name}: low {write.low} is not below high {write.high}")
    if write.reply not in ("none", "echo", *profile.reads):
        raise ValueError(f"write {name}: reply {write.reply!r} is not echo, none or a read")
    protocol = profile.line.protocol
    needs = {"opcua": (True, False), "bridge": (False, False)}.get(protocol, (False, True))
    if (bool(write.node), bool(write.steps)) != needs:
        raise ValueError(f"write {name}: OPC UA needs `node`, a serial device needs `steps`")
    for step in (*write.steps, *write.zero_steps):
        fields = {field for _, field, _, _ in Formatter().parse(step) if field is not None}
        if not fields <= {"addr", "v"}:
            raise ValueError(f"write {name}: {step!r} may only hold {{addr}} and {{v}}")
        for value in (write.low, write.high, (write.low + write.high) / 2):
            frame = step.format(addr="A", v=value)
            for shape in profile.never:
                if re.search(shape, frame):
                    raise ValueError(f"write {name}: {frame!r} has a shape never to be sent")

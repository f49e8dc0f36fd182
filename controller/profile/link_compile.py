"""Device profiles bound to the signals and outputs of a unit become the plan of one link.

Every unit, address and line setting is resolved and checked here, once; what comes out is numbers,
bytes and patterns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.core.clock import NS_PER_MS
from controller.core.errors import BadInput, nearest
from controller.core.quantity import unit_factor
from controller.profile.device import DeviceProfile, LinkSettings, Point, Read, Write
from controller.profile.link_plan import (
    DevicePlan,
    LinkPlan,
    PointPlan,
    ReadPlan,
    StatusPlan,
    WritePlan,
)

DEVICES_PER_LINK_MAX = 32
_KINDS = {"opcua": "opcua", "bridge": "bridge"}  # protocol -> kind of line, else serial


@dataclass(frozen=True, slots=True)
class BoundDevice:
    """A device as the unit file places it: point -> signal, write -> output, name -> raw scale."""

    name: str
    profile: DeviceProfile
    address: str
    signals: Mapping[str, int]
    outputs: Mapping[str, int]
    calibration: Mapping[str, float]


def compile_link(name: str, settings: LinkSettings, devices: Sequence[BoundDevice]) -> LinkPlan:
    """The plan of one line; polls of equal period are spread evenly over it.

    Raises BadInput for an unknown point or write, a missing calibration, a line setting that a
    device does not have, or two devices with one address.
    """
    where = f"link {name}"
    if not devices or len(devices) > DEVICES_PER_LINK_MAX:
        raise BadInput(
            f"{len(devices)} devices on one line",
            where=where,
            do=f"Give it 1 to {DEVICES_PER_LINK_MAX} devices.",
        )
    if len({device.address for device in devices}) != len(devices):
        raise BadInput("two devices have the same address", where=where, do="Renumber one.")
    if settings.kind == "bridge" and len(devices) > 1:
        raise BadInput(
            f"{len(devices)} devices on the line of a board", where=where,
            do="Give our I/O board a line of its own.",
        )  # fmt: skip
    polls = sum(len(device.profile.reads) for device in devices)
    plans, slot = [], 0
    for device in devices:
        _check_bound(where, settings, device)
        plans.append(_device_plan(device, slot, polls))
        slot += len(device.profile.reads)
    namespace = devices[0].profile.line.namespace
    return LinkPlan(name, settings.kind, settings.baud, settings.format, namespace, tuple(plans))


def _check_bound(where: str, settings: LinkSettings, device: BoundDevice) -> None:
    profile, line = device.profile, device.profile.line
    place = f"{where}, device {device.name} ({profile.profile.id})"
    if _KINDS.get(line.protocol, "serial") != settings.kind:
        raise BadInput(f"it speaks {line.protocol}, the link is {settings.kind}", where=place)
    if settings.kind != "opcua" and (line.baud, line.format) != (settings.baud, settings.format):
        raise BadInput(
            f"it is set to {line.baud} {line.format}, the link to "
            f"{settings.baud} {settings.format}",
            where=place,
            do="One line has one setting: change the device or move it to another line.",
        )
    if line.protocol == "modbus_rtu" and not (
        device.address.isdigit() and 1 <= int(device.address) <= 247
    ):
        raise BadInput(f"{device.address!r} is not a Modbus address 1 to 247", where=place)
    for kind, wanted, known in (
        ("point", device.signals, profile.points),
        ("write", device.outputs, profile.writes),
    ):
        for item in wanted:
            if item not in known:
                raise BadInput(f"no {kind} {item!r}. {nearest(item, list(known))}", where=place)
    uses = {
        **{n: profile.points[n].calibrated_unit for n in device.signals},
        **{n: profile.writes[n].calibrated_unit for n in device.outputs},
    }
    for item, calibrated in uses.items():
        scale = device.calibration.get(item)
        if calibrated and (scale is None or not math.isfinite(scale) or scale <= 0):
            raise BadInput(f"{item!r} needs a calibration greater than 0", where=place)


def _device_plan(device: BoundDevice, slot: int, polls: int) -> DevicePlan:
    profile, line = device.profile, device.profile.line
    reads = []
    for number, (name, read) in enumerate(profile.reads.items()):
        period_ns = round(read.every_s * 1_000 * NS_PER_MS)
        phase_ns = period_ns * (slot + number) // polls if line.protocol != "opcua" else 0
        reads.append(_read_plan(device, name, read, period_ns, phase_ns))
    eol = line.eol_tx
    identify = profile.identify
    return DevicePlan(
        name=device.name,
        address=device.address,
        protocol=line.protocol,
        eol_rx=line.eol_rx.encode("ascii"),
        echo=line.echo,
        timeout_ns=line.timeout_ms * NS_PER_MS,
        gap_ns=line.gap_ms * NS_PER_MS,
        retries=line.retries,
        frame_bytes_max=line.frame_bytes_max,
        identify_tx=_addressed(identify.tx + eol, device).encode("ascii") if identify else b"",
        identify_match=_addressed(identify.match, device) if identify else "",
        rejected=_addressed(profile.rejected, device),
        beat=line.beat,
        reads=tuple(reads),
        writes=tuple(
            _write_plan(device, name, profile.writes[name], output)
            for name, output in device.outputs.items()
        ),
        on_comm_loss=profile.on_comm_loss,
    )


def _read_plan(
    device: BoundDevice, name: str, read: Read, period_ns: int, phase_ns: int
) -> ReadPlan:
    points, status = device.profile.points, read.status
    return ReadPlan(
        name=name,
        period_ns=period_ns,
        phase_ns=phase_ns,
        tx=_addressed(read.tx + device.profile.line.eol_tx, device).encode("ascii"),
        match=_addressed(read.match, device),
        invalid=_addressed(read.invalid, device),
        function=read.function,
        address=read.address,
        count=read.count,
        words=read.words,
        limits=read.limits,
        status=StatusPlan(
            status.group,
            frozenset(status.bad),
            frozenset(status.uncertain),
            status.at,
            sum(1 << bit for bit in status.bad_bits),
            sum(1 << bit for bit in status.uncertain_bits),
        )
        if status
        else None,
        points=tuple(
            PointPlan(
                key,
                device.signals.get(key, -1),
                point.group,
                point.times,
                point.at,
                point.kind,
                point.node,
                point.factor * _scale(device, key, point),
            )
            for key, point in points.items()
            if point.read == name
        ),
    )


def _write_plan(device: BoundDevice, name: str, write: Write, output: int) -> WritePlan:
    eol, scale = device.profile.line.eol_tx, _scale(device, name, write)
    return WritePlan(
        name=name,
        output=output,
        steps=tuple(_addressed(step + eol, device) for step in write.steps),
        zero_steps=tuple(_addressed(step + eol, device) for step in write.zero_steps),
        node=write.node,
        kind=write.kind,
        scale=scale,
        low=write.low,
        high=write.high,
        resolution=write.resolution * scale,
        reply=write.reply,
        verify_read=device.profile.points[write.verify.point].read,
        verify_point=write.verify.point,
        tolerance=write.verify.tolerance,
        retry_ns=write.retry_ms * NS_PER_MS,
    )


def _scale(device: BoundDevice, name: str, item: Point | Write) -> float:
    if item.calibrated_unit:
        factor = float(unit_factor(item.calibrated_unit)[1])
        return float(device.calibration.get(name, 1.0)) * factor
    return float(unit_factor(item.unit)[1])


def _addressed(template: str, device: BoundDevice) -> str:
    return template.replace("{addr}", device.address)

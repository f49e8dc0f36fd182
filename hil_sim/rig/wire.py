"""Wire fidelity: the link machines of live and the byte-true devices, in memory, in lock-step.

Between two scans the lines live in continuous time: a request leaves when its machine says so, the
answer arrives when the device and the baud rate say so. Only the OPC UA session is not there: the
skid is asked node by node, with status codes and source times.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.core.clock import NS_PER_S
from controller.field.kernel import scan_at
from controller.field.links.machine import SerialLink
from controller.field.links.opcua import OpcuaLink, ReadRequest, Response
from controller.field.ring import InputRing
from controller.field.views import Bound
from controller.profile.compile import Profile
from hil_sim.devices.line import Bus
from hil_sim.devices.unit import UnitDevices
from hil_sim.plant.plant import Plant
from hil_sim.plant.step import advance
from hil_sim.rig.signal import TICK_NS, watch

SESSION_NS = 5_000_000  # from an OPC UA request to its answer [assumed]


class _Line:
    """Where a line is in time: looked at up to `_reached_ns`, due again at `next_ns`."""

    next_ns = 0
    _reached_ns = 0

    def wake(self, now_ns: int) -> None:
        """Something new is to be sent: the line is looked at again from now on."""
        self.next_ns, self._reached_ns = 0, now_ns


class SerialLine(_Line):
    """One serial line: the machine, the bus, and the bytes on their way back."""

    def __init__(self, machine: SerialLink, bus: Bus) -> None:
        self.machine, self._bus = machine, bus
        self._coming: deque[tuple[int, bytes]] = deque()

    def run(self, until_ns: int) -> None:
        """Lets the line live up to and including `until_ns`."""
        machine, coming, bus = self.machine, self._coming, self._bus
        while True:
            # What was due before the line was last looked at is done now, never in the past.
            at_ns = max(machine.next_ns(), self._reached_ns)
            if coming and coming[0][0] <= at_ns:
                at_ns = coming[0][0]
                if at_ns > until_ns:
                    break
                machine.feed(coming.popleft()[1], at_ns)
            elif at_ns > until_ns:
                break
            tx = machine.take_tx(at_ns)
            if tx:
                coming.extend(bus.receive(tx, at_ns))
        self.next_ns, self._reached_ns = at_ns, until_ns

    def fail(self, now_ns: int) -> None:
        """The driver raised: what a live worker does about it."""
        why = "the driver failed and is restarted"
        self.machine.line_down(why, now_ns, driver_failed=True)
        self.machine.reset(now_ns)


class SkidLine(_Line):
    """The OPC UA link without its session."""

    def __init__(self, machine: OpcuaLink, devices: UnitDevices) -> None:
        self.machine, self._skid = machine, devices.skid
        self._coming: tuple[int, Response] | None = None

    def run(self, until_ns: int) -> None:
        """Lets the link live up to and including `until_ns`."""
        machine = self.machine
        while True:
            at_ns = max(machine.next_ns(), self._reached_ns)
            if self._coming is not None and self._coming[0] <= at_ns:
                at_ns, response = self._coming
                if at_ns > until_ns:
                    break
                self._coming = None
                machine.feed(response, at_ns)
            elif at_ns > until_ns:
                break
            request = machine.take_request(at_ns)
            if request is not None:
                response_ = self._ask(request, at_ns)
                self._coming = None if response_ is None else (at_ns + SESSION_NS, response_)
        self.next_ns, self._reached_ns = at_ns, until_ns

    def _ask(self, request: Any, now_ns: int) -> Response | None:
        if isinstance(request, ReadRequest):
            answer = self._skid.read(request.nodes, now_ns)
            if answer is None:
                return None
            return Response(answer.values, answer.statuses, answer.source_ns, answer.server_ns)
        status = self._skid.write(request.node, request.value, now_ns)
        return None if status is None else Response((None,), (status,), (now_ns,), (now_ns,))

    def fail(self, now_ns: int) -> None:
        """The driver raised: what a live worker does about it."""
        why = "the driver failed and is restarted"
        self.machine.line_down(why, now_ns, driver_failed=True)
        self.machine.reset(now_ns)


class WireField:
    """A field whose links are the real machines against the real device side."""

    def __init__(
        self, profile: Profile, bound: Bound, plant: Plant, bands: npt.NDArray[Any]
    ) -> None:
        self._bound, self._plant, self._bands = bound, plant, bands
        self.devices = UnitDevices(plant, _found(plant))
        self._names = [link.name for link in profile.links]
        self.lines: list[SerialLine | SkidLine] = []
        for number, plan in enumerate(profile.links):
            ring = InputRing(bound.image, number)
            if plan.kind == "opcua":
                self.lines.append(SkidLine(OpcuaLink(plan, ring), self.devices))
            else:
                bus = self.devices.serial[plan.name]
                self.lines.append(SerialLine(SerialLink(plan, ring), bus))
        self._skid = next(line for line in self.lines if isinstance(line, SkidLine))
        self._owner = [int(row["link"]) for row in profile.plan.outputs]
        self._seen = [0] * len(profile.outputs)
        self._outputs = bound.image.outputs
        self._sequence = self._outputs["sequence"]
        self._history = bound.image.head["history_head"]
        self._released = -1
        self._scans = bound.image.head["scan"]
        self._now_ns = 0

    def run(self, until_ns: int) -> int:
        """See `rig.VirtualField.run`."""
        handles, plant, lines = self._bound.handles, self._plant, self.lines
        s, p, u, f = plant.s, plant.p, plant.u, plant.f
        skid = self.devices.skid
        now_ns = self._now_ns
        while now_ns < until_ns:
            now_ns += TICK_NS
            advance(s, p, u, f, 1)
            if now_ns >= skid.next_ns():
                skid.advance(now_ns)
            for line in lines:
                if line.next_ns <= now_ns:
                    line.run(now_ns)
            if now_ns % NS_PER_S == 0:
                watch(s, self._bands)
                self._skid.machine.beat(int(self._scans[0]))
            urgent = scan_at(handles, now_ns)
            if int(self._history[0]) != self._released or self._released < 0:
                self._hand_over(now_ns)
            if urgent:
                break
        self._now_ns = now_ns
        return now_ns

    def _hand_over(self, now_ns: int) -> None:
        """Gives every newly released value to its link."""
        self._released = int(self._history[0])
        for output in np.flatnonzero(self._sequence != self._seen).tolist():
            row = self._outputs[output]
            self._seen[output] = int(row["sequence"])
            line = self.lines[self._owner[output]]
            line.machine.write(output, float(row["released"]), bool(row["safe"]), now_ns)
            line.wake(now_ns)

    def take_notes(self) -> list[tuple[str, list[Any]]]:
        """What the links had to say since the last call."""
        found = []
        for name, line in zip(self._names, self.lines, strict=True):
            notes = line.machine.take_notes()
            if notes:
                found.append((name, notes))
        return found

    def set_fault(self, name: str, on: bool, **how: Any) -> None:
        """Switches one fault of safety.md's table; raises KeyError for an unknown one."""
        if name == "driver_exception":
            if on:
                line = self.lines[self._names.index(str(how.get("link", "probe_bus")))]
                line.fail(self._now_ns)
                line.wake(self._now_ns)
        elif on:
            self.devices.set_fault(name, self._now_ns, **how)
        else:
            self.devices.clear_fault(name, **how)


def _found(plant: Plant) -> dict[str, float]:
    from hil_sim.plant.state import ACTUATORS

    return {name: float(plant.u["drive"][0][i]) for i, name in enumerate(ACTUATORS)}

"""Wire fidelity: the link machines of live and the byte-true devices, in memory, in lock-step.

Between two scans the lines live in continuous time: a request leaves when its machine says so, the
answer arrives when the device and the baud rate say so. Only the OPC UA session is not there: the
skid is asked node by node, with status codes and source times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from controller.core.clock import NS_PER_S
from controller.field.host_view import HostView
from controller.field.kernel import scan_at
from controller.field.links.bridge import BridgeLink
from controller.field.links.machine import SerialLink
from controller.field.links.opcua import OpcuaLink
from controller.field.ring import InputRing
from controller.field.views import Bound
from controller.profile.compile import Profile
from hil_sim.devices.unit import PERFUSION_IO, UnitDevices
from hil_sim.plant.plant import Plant
from hil_sim.plant.step import advance
from hil_sim.rig.signal import TICK_NS, watch
from hil_sim.rig.wire_lines import BoardLine, Line, SerialLine, SkidLine

if TYPE_CHECKING:
    from hil_sim.devices.io_board import IoBoard
    from hil_sim.devices.terminals import Terminals


class WireField:
    """A field whose links are the real machines against the real device side."""

    def __init__(
        self, profile: Profile, bound: Bound, plant: Plant, bands: npt.NDArray[Any]
    ) -> None:
        self._bound, self._plant, self._bands = bound, plant, bands
        make_board = _board_maker(plant.seed) if profile.id == PERFUSION_IO else None
        self.devices = UnitDevices(plant, _found(plant), 0, profile.id, make_board)
        self._board = cast("IoBoard | None", self.devices.board)
        self._names = [link.name for link in profile.links]
        self.lines: list[Line] = []
        self._board_line: BoardLine | None = None
        for number, plan in enumerate(profile.links):
            ring = InputRing(bound.image, number)
            if plan.kind == "opcua":
                self.lines.append(SkidLine(OpcuaLink(plan, ring), self.devices.skid))
            elif self._board is not None and plan.kind == "bridge":
                view = HostView(profile.plan, bound.image)
                self._board_line = BoardLine(BridgeLink(plan, ring), self._board, view)
                self.lines.append(self._board_line)
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
        skid, board_line, board = self.devices.skid, self._board_line, self._board
        now_ns = self._now_ns
        while now_ns < until_ns:
            now_ns += TICK_NS
            advance(s, p, u, f, 1)
            if now_ns >= skid.next_ns():
                skid.advance(now_ns)
            if board is not None:
                board.sense()
            for line in lines:
                if line.next_ns <= now_ns:
                    line.run(now_ns)
            if now_ns % NS_PER_S == 0:
                watch(s, self._bands)
                self._skid.machine.beat(int(self._scans[0]))
            urgent = scan_at(handles, now_ns)
            if int(self._history[0]) != self._released or self._released < 0:
                self._hand_over(now_ns)
            if board_line is not None:
                board_line.attend(int(self._scans[0]), now_ns)
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
            self.devices.clear_fault(name, self._now_ns, **how)


def _board_maker(seed: int) -> Callable[[Terminals], IoBoard]:
    """The board with the firmware built here; only a unit that has one needs it."""
    from hil_sim.devices.io_board import IoBoard

    return lambda terminals: IoBoard(terminals, 0, seed)


def _found(plant: Plant) -> dict[str, float]:
    from hil_sim.plant.state import ACTUATORS

    return {name: float(plant.u["drive"][0][i]) for i, name in enumerate(ACTUATORS)}

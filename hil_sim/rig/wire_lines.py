"""The lines of wire fidelity: each ties a link machine of live to what answers on its other end.

A module of its own because a line lives in continuous time between two scans, whatever kind it is:
a serial bus that answers, a skid that is asked, an I/O board that speaks when it likes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from controller.field.host_view import HostView
from controller.field.links.bridge import BridgeLink
from controller.field.links.machine import SerialLink
from controller.field.links.opcua import OpcuaLink, ReadRequest, Response
from hil_sim.devices.line import Bus
from hil_sim.devices.skid import Skid

if TYPE_CHECKING:
    from hil_sim.devices.io_board import IoBoard

SESSION_NS = 5_000_000  # from an OPC UA request to its answer [assumed]
WHY = "the driver failed and is restarted"


class Line:
    """Where a line is in time: looked at up to `_reached_ns`, due again at `next_ns`."""

    machine: SerialLink | OpcuaLink | BridgeLink
    next_ns = 0
    _reached_ns = 0

    def wake(self, now_ns: int) -> None:
        """Something new is to be sent: the line is looked at again from now on."""
        self.next_ns, self._reached_ns = 0, now_ns

    def run(self, until_ns: int) -> None:
        """Lets the line live up to and including `until_ns`."""
        raise NotImplementedError

    def fail(self, now_ns: int) -> None:
        """The driver raised: what a live worker does about it."""
        self.machine.line_down(WHY, now_ns, driver_failed=True)
        self.machine.reset(now_ns)


class SerialLine(Line):
    """One serial line: the machine, the bus, and the bytes on their way back."""

    machine: SerialLink

    def __init__(self, machine: SerialLink, bus: Bus) -> None:
        self.machine, self._bus = machine, bus
        self._coming: deque[tuple[int, bytes]] = deque()

    def run(self, until_ns: int) -> None:
        """See Line."""
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


class SkidLine(Line):
    """The OPC UA link without its session."""

    machine: OpcuaLink

    def __init__(self, machine: OpcuaLink, skid: Skid) -> None:
        self.machine, self._skid = machine, skid
        self._coming: tuple[int, Response] | None = None

    def run(self, until_ns: int) -> None:
        """See Line."""
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


class BoardLine(Line):
    """The link to our I/O board: bytes go both ways at any time."""

    machine: BridgeLink

    def __init__(self, machine: BridgeLink, board: IoBoard, view: HostView) -> None:
        self.machine, self._board, self._view = machine, board, view
        self._coming: deque[tuple[int, bytes]] = deque()

    def run(self, until_ns: int) -> None:
        """See Line."""
        machine, board, coming = self.machine, self._board, self._coming
        while True:
            host_ns, board_ns = machine.next_ns(), board.next_ns()
            at_ns = max(min(host_ns, board_ns), self._reached_ns)
            if coming and coming[0][0] <= at_ns:
                at_ns = coming[0][0]
                if at_ns > until_ns:
                    break
                machine.feed(coming.popleft()[1], at_ns)
                host_ns = at_ns
            elif at_ns > until_ns:
                break
            if host_ns <= at_ns:
                tx = machine.take_tx(at_ns)
                if tx:
                    board.receive(tx, at_ns)
            if board_ns <= at_ns:
                coming.extend(board.advance(at_ns))
        self.next_ns, self._reached_ns = at_ns, until_ns

    def attend(self, scan: int, now_ns: int) -> None:
        """After a scan: what the kernel shows the board."""
        self.machine.attend(self._view, scan, now_ns)
        self.wake(now_ns)

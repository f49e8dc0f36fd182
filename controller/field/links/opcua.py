"""The skid's OPC UA line as a machine without I/O: requests out, responses in, time passed in.

Age comes from the server's own two clocks (server time minus source time), so no clocks need to
agree. A source time that stands still keeps its first age and grows old, whatever the server
claims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controller.core.clock import NS_PER_S
from controller.core.ports import Inputs
from controller.core.signal import Quality, Reason
from controller.field.links.note import Note, NoteKind, Notes
from controller.field.links.writes import Order, WriteBook
from controller.profile.link_plan import LinkPlan, PointPlan

NAN = math.nan
GOOD, UNCERTAIN, BAD = int(Quality.GOOD), int(Quality.UNCERTAIN), int(Quality.BAD)
NONE, COMMUNICATION, DEVICE = int(Reason.NONE), int(Reason.COMMUNICATION), int(Reason.DEVICE)
DRIVER, NOT_FINITE = int(Reason.DRIVER), int(Reason.NOT_FINITE)
BEAT_EVERY_NS = NS_PER_S
SEVERITY_BAD, SEVERITY_UNCERTAIN = 0x80000000, 0x40000000
BEAT_MODULUS = 2**31


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Read these nodes in one request."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Write one node; `kind` is double, boolean or uint32."""

    node: str
    value: float | bool | int
    kind: str


Request = ReadRequest | WriteRequest


@dataclass(frozen=True, slots=True)
class Response:
    """Per node of a read: value, status code, source and server time (ns of any epoch, -1: none).

    For a write only `statuses` counts. An empty `statuses` says that nothing came back.
    """

    values: Sequence[float | bool | int | None]
    statuses: Sequence[int]
    source_ns: Sequence[int]
    server_ns: Sequence[int]


class OpcuaLink:
    """The host side of one OPC UA server. Not thread-safe: one worker or one rig owns it.

    Raises ValueError for a plan that is not one device with one batched read.
    """

    def __init__(self, plan: LinkPlan, inputs: Inputs, start_ns: int = 0) -> None:
        if len(plan.devices) != 1 or len(plan.devices[0].reads) != 1:
            raise ValueError(f"link {plan.name}: an OPC UA link has one device with one read")
        self.plan, self._inputs, self._notes = plan, inputs, Notes()
        self._device = plan.devices[0]
        self._read = self._device.reads[0]
        self._points: tuple[PointPlan, ...] = self._read.points
        self._request = ReadRequest(tuple(point.node for point in self._points))
        orders = [Order(write, 0) for write in self._device.writes]
        self._book = WriteBook(orders, [self._device.name], self._notes)
        names = [point.name for point in self._points]
        self._checks = tuple((order, names.index(order.plan.verify_point)) for order in orders)
        count = len(self._points)
        self._source = [-1] * count
        self._sampled = [start_ns] * count
        self._status = [0] * count
        self._busy: Request | None = None
        self._order: Order | None = None
        self._sent_value = NAN
        self._deadline_ns = 0
        self._due_ns = start_ns + self._read.phase_ns
        self._beat, self._beat_new = 0, False
        self._beat_ns = start_ns - BEAT_EVERY_NS
        self._lost = False
        self.last_good_ns = start_ns

    def write(self, output: int, value: float, safe: bool, now_ns: int) -> None:
        """Takes the latest value of an output; a safe one leaves before everything else."""
        self._book.put(output, value, safe, now_ns)

    def beat(self, count: int) -> None:
        """Takes the scan's progress; it is written once a second, and only when it moved."""
        count %= BEAT_MODULUS
        if count != self._beat:
            self._beat, self._beat_new = count, True

    def take_request(self, now_ns: int) -> Request | None:
        """The request to send now, or None. A request in flight too long is given up first."""
        if self._busy is not None:
            if now_ns < self._deadline_ns:
                return None
            self.feed(Response((), (), (), ()), now_ns)
        order = self._book.choose(now_ns, _any) if self._book.pending else None
        if order is None or not order.safe:
            if self._beat_new and self._device.beat and now_ns >= self._beat_ns + BEAT_EVERY_NS:
                return self._start_beat(now_ns)
            if self._due_ns + self._read.period_ns <= now_ns:
                return self._start_read(now_ns)
        if order is not None:
            return self._start_order(order, now_ns)
        return self._start_read(now_ns) if self._due_ns <= now_ns else None

    def feed(self, response: Response, now_ns: int) -> None:
        """Takes the response to the request in flight; without one it is counted and dropped."""
        request, self._busy = self._busy, None
        if request is None:
            self._notes.fault(self._device.name, "a response nobody waits for", now_ns)
        elif isinstance(request, ReadRequest):
            self._feed_read(response, now_ns)
        elif self._order is not None:
            order, self._order = self._order, None
            self._feed_write(order, response, now_ns)
        else:
            self._feed_beat(response, now_ns)

    def next_ns(self) -> int:
        """When `take_request` has something to do again if no response comes before."""
        if self._busy is not None:
            return self._deadline_ns
        first = self._due_ns
        if self._book.pending:
            first = min(first, self._book.next_ns(_any))
        if self._beat_new and self._device.beat:
            first = min(first, self._beat_ns + BEAT_EVERY_NS)
        return first

    def take_notes(self) -> list[Note]:
        """All notes since the last call, oldest first."""
        return self._notes.take()

    def reset(self, now_ns: int) -> None:
        """A new session: nothing is in flight, what was written is written and read back again."""
        self._busy = self._order = None
        self._due_ns = now_ns
        self._beat_ns = now_ns - BEAT_EVERY_NS

    def line_down(self, why: str, now_ns: int, *, driver_failed: bool = False) -> None:
        """The session, or our own driver, is gone: every signal of the link is bad at once."""
        self._busy = self._order = None
        self._notes.fault(self._device.name, why, now_ns)
        self._failed(why, now_ns, DRIVER if driver_failed else COMMUNICATION)

    # -- requests ---------------------------------------------------------------------------

    def _start(self, request: Request, now_ns: int) -> Request:
        self._busy, self._deadline_ns = request, now_ns + self._device.timeout_ns
        return request

    def _start_read(self, now_ns: int) -> Request:
        period = self._read.period_ns
        self._due_ns += period * max(1, (now_ns - self._due_ns) // period + 1)
        return self._start(self._request, now_ns)

    def _start_order(self, order: Order, now_ns: int) -> Request:
        plan = order.plan
        self._order, self._sent_value = order, order.raw
        value = order.raw > 0.5 if plan.kind == "boolean" else order.raw
        self._book.left(order, now_ns, f"{plan.node}={value}".encode())
        return self._start(WriteRequest(plan.node, value, plan.kind), now_ns)

    def _start_beat(self, now_ns: int) -> Request:
        self._beat_new, self._beat_ns = False, now_ns
        return self._start(WriteRequest(self._device.beat, self._beat, "uint32"), now_ns)

    # -- responses --------------------------------------------------------------------------

    def _feed_read(self, response: Response, now_ns: int) -> None:
        points = self._points
        if len(response.statuses) != len(points):
            self._notes.fault(self._device.name, "no answer to a read", now_ns)
            self._failed("no answer", now_ns)
            return
        push = self._inputs.push
        values, statuses = response.values, response.statuses
        source_ns, server_ns = response.source_ns, response.server_ns
        sampled, sources = self._sampled, self._source
        for at, point in enumerate(points):
            source, status = source_ns[at], statuses[at]
            age_ns = server_ns[at] - source
            sample_ns = now_ns - age_ns if age_ns > 0 else now_ns
            if source == sources[at] and sampled[at] < sample_ns:
                sample_ns = sampled[at]
            sources[at], sampled[at] = source, sample_ns
            if status or source < 0 or values[at] is None:
                self._push_doubtful(at, response, now_ns)
            elif point.signal >= 0:
                value = float(values[at]) * point.scale  # type: ignore[arg-type]
                if value - value == 0.0:
                    push(point.signal, value, GOOD, NONE, sample_ns)
                else:
                    push(point.signal, NAN, BAD, NOT_FINITE, sample_ns)
            if self._status[at] and not status:
                self._status[at] = 0
        self._good(now_ns)
        for order, at in self._checks:
            if order.sent_ns >= 0 and not statuses[at] and values[at] is not None:
                found = float(values[at])  # type: ignore[arg-type]
                self._book.check(order, found, sampled[at], now_ns)

    def _push_doubtful(self, at: int, response: Response, now_ns: int) -> None:
        """A value the server or its PLC does not stand behind; the status code is told once."""
        point, status = self._points[at], response.statuses[at]
        value = response.values[at]
        if status != self._status[at]:
            self._status[at] = status
            self._notes.fault(self._device.name, f"{point.name}: status 0x{status:08X}", now_ns)
        usable = status & SEVERITY_BAD == 0 and value is not None and response.source_ns[at] >= 0
        if point.signal >= 0:
            self._inputs.push(
                point.signal, float(value) * point.scale if usable and value is not None else NAN,
                UNCERTAIN if usable else BAD, DEVICE, self._sampled[at],
            )  # fmt: skip

    def _feed_write(self, order: Order, response: Response, now_ns: int) -> None:
        if self._sent_value != order.raw:
            return  # a newer value is queued already
        status = response.statuses[0] if response.statuses else -1
        if status == 0:
            self._book.step_done(order)
            if order.told:
                self._due_ns = min(self._due_ns, now_ns)
            return
        why = "no answer" if status < 0 else f"status 0x{status:08X}"
        what = f"{order.plan.name} not written: {why}"
        self._notes.fault(self._device.name, what, now_ns)
        self._book.failed(order, 0, now_ns)
        if status < 0:
            self._failed("no answer", now_ns)

    def _feed_beat(self, response: Response, now_ns: int) -> None:
        if not response.statuses or response.statuses[0]:
            self._beat_new = True
            self._notes.fault(self._device.name, "host beat not written", now_ns)
            if not response.statuses:
                self._failed("no answer", now_ns)

    def _good(self, now_ns: int) -> None:
        self.last_good_ns = now_ns
        if self._lost:
            self._lost = False
            self._notes.add(Note(NoteKind.RESTORED, "", "", now_ns))

    def _failed(self, why: str, now_ns: int, reason: int = COMMUNICATION) -> None:
        self._push_bad(reason, now_ns)
        if not self._lost:
            self._lost = True
            self._notes.add(Note(NoteKind.LOST, "", why, now_ns))

    def _push_bad(self, reason: int, now_ns: int) -> None:
        for point in self._points:
            if point.signal >= 0:
                self._inputs.push(point.signal, NAN, BAD, reason, now_ns)


def _any(order: Order) -> bool:
    return True

"""The outputs of one link: what is wanted, what was sent, what was read back.

Safe writes go before all others; of each output only the latest value counts; a value is repeated,
at a bounded rate, until the device shows it, also hours later when the device forgets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from controller.field.links.note import Note, NoteKind, Notes
from controller.profile.frames import frames, raw_value
from controller.profile.link_plan import WritePlan

BACKOFF_MAX = 8
CALM_NS = 60 * 10**9  # so long without a wrong readback, and the next one is a new finding
NEVER_NS = 2**62


class Order:
    """The state of one output. `raw` is in the device's unit; `sent_ns` is -1 while never sent."""

    __slots__ = ("plan", "device", "value", "raw", "safe", "wanted", "step", "frames", "sent_ns",
                 "not_before_ns", "failures", "confirmed", "told", "ever_sent",
                 "mismatches", "doubts", "doubted_ns")  # fmt: skip

    def __init__(self, plan: WritePlan, device: int) -> None:
        self.plan, self.device = plan, device
        self.value = self.raw = math.nan
        self.safe = self.wanted = self.confirmed = self.told = self.ever_sent = False
        self.frames: tuple[bytes, ...] = ()
        self.step = self.not_before_ns = self.failures = self.mismatches = 0
        self.doubts = self.doubted_ns = 0
        self.sent_ns = -1


class WriteBook:
    """All orders of a link. `pending` holds those that must still go out, oldest first."""

    def __init__(self, orders: Sequence[Order], names: Sequence[str], notes: Notes) -> None:
        self.orders = {order.plan.output: order for order in orders}
        self.pending: dict[int, Order] = {}
        self._names, self._notes = names, notes

    def put(self, output: int, value: float, safe: bool, now_ns: int) -> None:
        """Takes the latest canonical value of an output.

        A value that is not finite or outside the device's range is noted and changes nothing.
        Raises KeyError for an output that is not on this link.
        """
        order = self.orders[output]
        raw = raw_value(order.plan, value)
        if raw is None:
            self._say(NoteKind.REFUSED, order, now_ns, "outside the device's range", value=value)
            return
        known = order.value == value and order.safe == safe
        if known and not safe and (order.wanted or order.sent_ns >= 0):
            return  # a safe value is sent again each time a row asks for it, known or not
        order.value, order.raw, order.safe = value, raw, safe
        order.told = safe or not order.ever_sent
        order.frames = frames(order.plan, raw)
        order.failures = order.mismatches = order.not_before_ns = 0
        self._queue(order)

    def choose(self, now_ns: int, allowed: Callable[[Order], bool]) -> Order | None:
        """The order to send now: the oldest safe one, else the oldest other that may go."""
        other = None
        for order in self.pending.values():
            if order.not_before_ns <= now_ns and (order.safe or other is None):
                if order.safe:
                    return order
                if allowed(order):
                    other = order
        return other

    def next_ns(self, allowed: Callable[[Order], bool]) -> int:
        """When the earliest pending order may go; NEVER_NS when none may."""
        first = NEVER_NS
        for order in self.pending.values():
            if order.not_before_ns < first and (order.safe or allowed(order)):
                first = order.not_before_ns
        return first

    def left(self, order: Order, now_ns: int, frame: bytes) -> None:
        """A frame of this order goes onto the line."""
        order.sent_ns, order.ever_sent = now_ns, True
        if order.told:
            self._say(NoteKind.SENT, order, now_ns, order.plan.name, frame=frame)

    def step_done(self, order: Order) -> bool:
        """The frame in flight was taken by the device; True when it was the order's last."""
        order.step += 1
        if order.step < len(order.frames):
            return False
        order.wanted, order.failures = False, 0
        self.pending.pop(order.plan.output, None)
        return True

    def failed(self, order: Order, retries: int, now_ns: int) -> None:
        """No valid acknowledgement: again from the first frame, ever more slowly."""
        order.step = 0
        order.failures += 1
        beyond = order.failures - retries
        if beyond > 0:
            factor = min(2 ** min(beyond - 1, 8), 2 if order.safe else BACKOFF_MAX)
            order.not_before_ns = now_ns + order.plan.retry_ns * factor

    def drop(self, order: Order, now_ns: int, why: str) -> None:
        """Gives an order up: it is refused and forgotten."""
        self.pending.pop(order.plan.output, None)
        order.wanted, order.sent_ns, order.value = False, -1, math.nan
        self._say(NoteKind.REFUSED, order, now_ns, why)

    def check(self, order: Order, found: float, sample_ns: int, now_ns: int) -> None:
        """Compares a raw readback with what was sent; a difference sends it again."""
        if order.wanted or order.sent_ns < 0 or sample_ns < order.sent_ns:
            return
        if abs(found - order.raw) <= order.plan.tolerance:
            if not order.confirmed:
                order.confirmed, order.mismatches = True, 0
                if order.told:
                    order.told = False
                    self._say(NoteKind.CONFIRMED, order, now_ns, order.plan.name)
            return
        if order.confirmed or now_ns - order.sent_ns >= order.plan.retry_ns:
            order.mismatches += 1
            calm = now_ns - order.doubted_ns >= CALM_NS
            order.doubts, order.doubted_ns = 1 if calm else order.doubts + 1, now_ns
            # Whatever is written meanwhile: the first, then ever more rarely, each with the count.
            if order.doubts & (order.doubts - 1) == 0:
                order.told = True
                self._say(NoteKind.MISMATCH, order, now_ns, order.plan.name,
                          found=found * order.plan.scale, count=order.doubts)  # fmt: skip
            self._queue(order)

    def _queue(self, order: Order) -> None:
        order.wanted, order.confirmed, order.step = True, False, 0
        self.pending.setdefault(order.plan.output, order)

    def _say(
        self, kind: NoteKind, order: Order, now_ns: int, what: str, *, value: float | None = None,
        found: float = math.nan, frame: bytes = b"", count: int = 0,
    ) -> None:  # fmt: skip
        self._notes.add(
            Note(kind, self._names[order.device], what, now_ns, count, order.plan.output,
                 order.value if value is None else value, found, order.safe, frame)  # fmt: skip
        )

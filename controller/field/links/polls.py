"""What a serial link knows about each of its devices and polls.

A device that answers late is the danger here: its reply to an old question must not pass for news.
So a device that missed an answer is left alone until nothing old can still arrive, and the first
value after a miss is dated from the oldest question that went unanswered.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from controller.core.clock import NS_PER_MS
from controller.field.links.codec_ascii import AsciiRead
from controller.field.links.codec_modbus import ModbusRead
from controller.field.links.writes import Order
from controller.profile.link_plan import DevicePlan, ReadPlan

LATE_MAX_NS = 3_000 * NS_PER_MS
FIRST_REST_NS = 500 * NS_PER_MS
REIDENTIFY_NS = 10_000 * NS_PER_MS
DOUBTS_MAX = 3  # wrong or garbled answers before a device counts as another one


class Known(IntEnum):
    """Whether a device said what it is."""

    UNASKED = 0
    YES = 1
    OTHER = 2


class Poll:
    """One periodic read: its codec, where its points go, which orders it verifies."""

    __slots__ = ("device", "name", "codec", "period_ns", "due_ns", "attempt", "points", "checks")

    def __init__(self, device: Device, plan: ReadPlan, start_ns: int) -> None:
        self.device, self.name, self.period_ns = device, plan.name, plan.period_ns
        self.codec = (ModbusRead if device.plan.protocol == "modbus_rtu" else AsciiRead)(
            device.plan, plan
        )
        self.due_ns = start_ns + plan.phase_ns
        self.attempt = 0
        self.points = tuple(
            (at, point.signal, point.scale)
            for at, point in enumerate(plan.points)
            if point.signal >= 0
        )
        names = [point.name for point in plan.points]
        self.checks = tuple(
            (order, names.index(order.plan.verify_point))
            for order in device.orders
            if order.plan.verify_read == plan.name
        )

    def advance(self, now_ns: int) -> None:
        """Moves to the next due time on the grid that is not before now or the device's rest."""
        due = self.due_ns + self.period_ns
        floor = max(self.device.rest_until_ns, now_ns)
        if due < floor:
            due += -((due - floor) // self.period_ns) * self.period_ns
        self.due_ns = due


class Device:
    """One device: known or not, answering or not, resting or not."""

    __slots__ = ("plan", "index", "orders", "polls", "known", "ask_ns", "misses", "open_ns",
                 "rest_until_ns", "good_ns", "doubts", "proof")  # fmt: skip

    def __init__(
        self, plan: DevicePlan, index: int, start_ns: int, proof: Callable[[bytes], object]
    ) -> None:
        self.plan, self.index, self.proof = plan, index, proof
        self.orders = [Order(write, index) for write in plan.writes]
        self.known = Known.UNASKED if plan.identify_tx else Known.YES
        self.ask_ns = start_ns
        self.misses = self.open_ns = self.rest_until_ns = self.doubts = 0
        self.good_ns = -1
        self.polls = [Poll(self, read, start_ns) for read in plan.reads]

    def begin(self, now_ns: int) -> None:
        """The line was opened anew: who is it, and nothing old is under way."""
        self.known = Known.UNASKED if self.plan.identify_tx else Known.YES
        self.ask_ns, self.open_ns, self.rest_until_ns, self.doubts = now_ns, 0, 0, 0
        for poll in self.polls:
            if poll.due_ns < now_ns:
                poll.advance(now_ns)

    def proven(self) -> None:
        """It said that it is what the profile says."""
        self.known, self.doubts = Known.YES, 0

    def doubted(self, now_ns: int) -> bool:
        """It said something else; True when that has just become certain."""
        self.doubts += 1
        self.ask_ns = now_ns
        if self.doubts < DOUBTS_MAX:
            return False
        news = self.known is not Known.OTHER
        self.known, self.ask_ns = Known.OTHER, now_ns + REIDENTIFY_NS
        return news

    def must_prove_again(self, now_ns: int) -> bool:
        """It came back: it may be another one, or have started anew."""
        if not self.plan.identify_tx or self.known is not Known.YES:
            return False
        self.known, self.ask_ns = Known.UNASKED, now_ns
        return True

    def silent(self, sent_ns: int) -> None:
        """A question went unanswered."""
        if not self.open_ns:
            self.open_ns = max(sent_ns, 1)

    def gave_up(self, sent_ns: int) -> None:
        """No attempt brought a valid answer; after silence (`sent_ns` > 0) it is left alone."""
        self.misses += 1
        if sent_ns:
            self.rest_until_ns = sent_ns + (FIRST_REST_NS if self.misses == 1 else LATE_MAX_NS)

    def answered(self, sent_ns: int, now_ns: int) -> None:
        """A valid answer came; what is still under way comes at most as late as it was."""
        if self.open_ns:
            self.rest_until_ns = sent_ns + (now_ns - self.open_ns)
            self.open_ns = 0
        self.misses = 0
        self.good_ns = now_ns

    def clear_to_ask(self, now_ns: int) -> None:
        """Forgets old questions once no answer to them can come any more."""
        if self.open_ns and self.misses > 1 and now_ns >= self.rest_until_ns:
            self.open_ns = 0


def bits_per_byte(form: str) -> int:
    """Bits on the line per byte of a format like 8N1: start, data, parity, stop."""
    return 1 + int(form[0]) + (form[1] != "N") + int(form[2])

"""One serial line as a machine without I/O: bytes in, bytes out, time passed in.

It decides what goes onto the line next (safe writes, then what a device must say first, then
writes, then polls), when an answer is given up, and which quality each sample gets. The same
machine runs under a live worker and, in virtual time, against the device side in memory.
"""

from __future__ import annotations

import heapq
import math
import re

from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.core.ports import Inputs
from controller.core.signal import Quality, Reason
from controller.field.links.note import Note, NoteKind, Notes
from controller.field.links.polls import Device, Known, Poll, bits_per_byte
from controller.field.links.writes import Order, WriteBook
from controller.profile.link_plan import LinkPlan

NAN = math.nan
GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)
COMMUNICATION, DEVICE, DRIVER = int(Reason.COMMUNICATION), int(Reason.DEVICE), int(Reason.DRIVER)
QUIET_NS = 5 * NS_PER_MS
BUFFER_MAX = 1_024


class SerialLink:
    """The host side of one serial line. Not thread-safe: one worker or one rig owns it."""

    def __init__(self, plan: LinkPlan, inputs: Inputs, start_ns: int = 0) -> None:
        self.plan, self._inputs, self._notes = plan, inputs, Notes()
        self._devices = [
            Device(device, at, start_ns, re.compile(device.identify_match.encode("ascii")).match)
            for at, device in enumerate(plan.devices)
        ]
        orders = [order for device in self._devices for order in device.orders]
        self._book = WriteBook(orders, [device.name for device in plan.devices], self._notes)
        self._byte_ns = NS_PER_S * bits_per_byte(plan.format) // plan.baud
        self._heap: list[tuple[int, int, Poll]] = []
        self._urgent: list[Poll] = []
        self._unknown: list[Device] = []
        self._buffer = self._tx = b""
        self._why = ""
        self._poll: Poll | None = None
        self._retry: Poll | None = None
        self._order: Order | None = None
        self._frames: tuple[bytes, ...] = ()
        self._asked: Device | None = None
        self._busy = self._draining = self._turn = self._lost = False
        self._deadline_ns = self._cap_ns = self._sent_ns = 0
        self.last_good_ns = start_ns
        self._ready_ns = start_ns
        self.reset(start_ns)

    def write(self, output: int, value: float, safe: bool, now_ns: int) -> None:
        """Takes the latest value of an output; a safe one leaves before everything else."""
        self._book.put(output, value, safe, now_ns)

    def take_tx(self, now_ns: int) -> bytes:
        """The bytes to put onto the line now, or none."""
        if self._busy:
            if now_ns < self._deadline_ns:
                return b""
            self._over(now_ns)
        if now_ns < self._ready_ns:
            return b""
        if self._book.pending or self._unknown or self._retry or self._urgent:
            tx = self._choose(now_ns)
            if tx:
                return tx
        heap = self._heap
        while heap[0][0] <= now_ns:
            _, number, poll = heap[0]
            poll.advance(now_ns)
            heapq.heapreplace(heap, (poll.due_ns, number, poll))
            if poll.device.known is Known.OTHER:
                self._push_bad(poll, DEVICE, now_ns)
            elif poll.device.rest_until_ns <= now_ns:
                poll.attempt = 0
                return self._start_poll(poll, now_ns)
        return b""

    def feed(self, data: bytes, now_ns: int) -> None:
        """Takes bytes from the line."""
        if not self._busy:
            if data.strip():
                self._notes.fault("", "bytes nobody asked for", now_ns)
            return
        if self._draining:
            self._deadline_ns = min(self._cap_ns, now_ns + QUIET_NS)
            return
        buffer = self._buffer + data if self._buffer else data
        if len(buffer) > BUFFER_MAX:
            self._fail("a flood of bytes", now_ns)
            return
        self._buffer = buffer
        if self._poll is not None:
            self._feed_poll(self._poll, buffer, now_ns)
        elif self._order is not None:
            self._feed_order(self._order, buffer, now_ns)
        elif self._asked is not None:
            self._feed_identity(self._asked, buffer, now_ns)

    def next_ns(self) -> int:
        """When `take_tx` has something to do again if no byte comes before."""
        if self._busy:
            return self._deadline_ns
        first = self._heap[0][0]
        if self._retry is not None or self._urgent:
            first = self._ready_ns
        elif self._book.pending or self._unknown:
            if self._book.pending:
                first = min(first, self._book.next_ns(self._may_write))
            for device in self._unknown:
                first = min(first, device.ask_ns)
        return max(first, self._ready_ns)

    def take_notes(self) -> list[Note]:
        """All notes since the last call, oldest first."""
        return self._notes.take()

    def reset(self, now_ns: int) -> None:
        """The line was opened anew: nothing is in flight, every device is asked who it is."""
        self._busy = self._draining = False
        self._poll = self._retry = self._order = self._asked = None
        self._buffer = b""
        self._ready_ns = now_ns
        self._urgent.clear()
        self._unknown = [device for device in self._devices if device.plan.identify_tx]
        for device in self._devices:
            device.begin(now_ns)
        polls = [poll for device in self._devices for poll in device.polls]
        self._heap = [(poll.due_ns, number, poll) for number, poll in enumerate(polls)]
        heapq.heapify(self._heap)

    def line_down(self, why: str, now_ns: int, *, driver_failed: bool = False) -> None:
        """The port, or our own driver, is gone: every signal of the link is bad at once."""
        self._notes.fault("", why, now_ns)
        self._busy = self._draining = False
        self._poll = self._retry = self._order = self._asked = None
        for device in self._devices:
            device.misses = max(device.misses, 1)
            for poll in device.polls:
                self._push_bad(poll, DRIVER if driver_failed else COMMUNICATION, now_ns)
        self._tell_lost(why, now_ns)

    def _choose(self, now_ns: int) -> bytes:
        order = self._book.choose(now_ns, self._may_write) if self._book.pending else None
        if order is not None and order.safe:
            return self._start_order(order, now_ns)
        if self._turn and self._heap[0][0] + self._heap[0][2].period_ns // 2 <= now_ns:
            self._turn = False  # writes may not starve the polls
            return b""
        if order is not None:
            return self._start_order(order, now_ns)
        return self._choose_question(now_ns)

    def _choose_question(self, now_ns: int) -> bytes:
        wanted = {waiting.device for waiting in self._book.pending.values()}
        for device in sorted(self._unknown, key=lambda each: each.index not in wanted):
            if device.ask_ns <= now_ns:
                return self._start_identity(device, now_ns)
        if self._retry is not None:
            return self._start_poll(self._retry, now_ns)
        while self._urgent:
            poll = self._urgent.pop()
            if poll.device.rest_until_ns <= now_ns:
                poll.attempt = 0
                return self._start_poll(poll, now_ns)
        return b""

    def _may_write(self, order: Order) -> bool:
        return self._devices[order.device].known is not Known.UNASKED

    def _start_order(self, order: Order, now_ns: int) -> bytes:
        device = self._devices[order.device]
        if device.known is Known.OTHER and not order.safe:
            self._book.drop(order, now_ns, "the device is not what the profile says")
            return b""
        tx = order.frames[order.step]
        self._order, self._frames = order, order.frames
        self._turn = not order.safe
        self._send(tx, device, 1, now_ns)
        self._book.left(order, now_ns, tx)
        if order.plan.reply == "none":
            self._deadline_ns = self._cap_ns = now_ns + len(tx) * self._byte_ns
        return tx

    def _start_poll(self, poll: Poll, now_ns: int) -> bytes:
        self._poll = poll
        if poll is self._retry:
            self._retry = None
        device = poll.device
        if device.open_ns:
            device.clear_to_ask(now_ns)
        tx = poll.codec.tx
        self._send(tx, device, 1, now_ns)
        return tx

    def _start_identity(self, device: Device, now_ns: int) -> bytes:
        self._asked = device
        self._why = ""
        self._send(device.plan.identify_tx, device, 3, now_ns)
        return device.plan.identify_tx

    def _send(self, tx: bytes, device: Device, patience: int, now_ns: int) -> None:
        self._tx, self._buffer, self._busy, self._sent_ns = tx, b"", True, now_ns
        self._deadline_ns = now_ns + len(tx) * self._byte_ns + patience * device.plan.timeout_ns
        self._cap_ns = self._deadline_ns

    def _feed_poll(self, poll: Poll, buffer: bytes, now_ns: int) -> None:
        device, start = poll.device, 0
        if device.plan.echo:
            start = self._after_echo(buffer, now_ns)
            if start <= 0:
                return
        end = poll.codec.size(buffer, start)
        if not end:
            if len(buffer) > device.plan.frame_bytes_max:
                self._fail("a reply longer than any known", now_ns)
            return
        why = poll.codec.parse(buffer[start:end] if start or end < len(buffer) else buffer)
        if why:
            self._fail(why, now_ns)
            return
        sample_ns = device.open_ns or self._sent_ns
        self._take(poll, sample_ns, now_ns)
        self._good(device, now_ns)
        self._poll = None
        self._end(device, buffer, end, now_ns)

    def _take(self, poll: Poll, sample_ns: int, now_ns: int) -> None:
        """Hands the values of one good reply up and compares the readbacks."""
        codec, push = poll.codec, self._inputs.push
        values = codec.values
        for at, signal, scale in poll.points:
            push(signal, values[at] * scale, codec.quality, codec.reason, sample_ns)
        for order, at in poll.checks:
            if order.sent_ns >= 0:
                self._book.check(order, values[at], sample_ns, now_ns)

    def _good(self, device: Device, now_ns: int) -> None:
        self.last_good_ns = now_ns
        if device.misses:
            self._restored(device, now_ns)
        device.answered(self._sent_ns, now_ns)

    def _feed_order(self, order: Order, buffer: bytes, now_ns: int) -> None:
        device, plan = self._devices[order.device], order.plan
        if plan.reply == "none":
            self._fail("bytes nobody asked for", now_ns)
            return
        start = end = self._after_echo(buffer, now_ns) if device.plan.echo else 0
        if start < 0 or (device.plan.echo and not start):
            return
        if plan.reply != "echo":
            poll = next(poll for poll in device.polls if poll.name == plan.reply)
            end = poll.codec.size(buffer, start)
            if not end:
                return
            why = poll.codec.parse(buffer[start:end])
            if why:
                self._fail(why, now_ns)
                return
        done = self._frames is not order.frames or self._book.step_done(order)
        if plan.reply != "echo" and done and not device.open_ns and not order.wanted:
            self._take(poll, self._sent_ns, now_ns)
        elif done and (order.told or order.mismatches):
            self._urgent = [p for p in device.polls if p.name == plan.verify_read]
        self._good(device, now_ns)
        self._order = None
        self._end(device, buffer, end, now_ns)

    def _feed_identity(self, device: Device, buffer: bytes, now_ns: int) -> None:
        start = 0
        if device.plan.echo:
            start = self._after_echo(buffer, now_ns)
            if start <= 0:
                return
        for line in buffer[start:].split(device.plan.eol_rx)[:-1]:
            if device.proof(line):
                self._fail("ok", now_ns)
                return
            self._why = line[:60].decode("ascii", "replace")

    def _after_echo(self, buffer: bytes, now_ns: int) -> int:
        """Where the reply begins behind the echo; 0: not whole yet; -1: a wrong echo, failed."""
        tx = self._tx
        if buffer.startswith(tx):
            return len(tx)
        if tx.startswith(buffer):
            return 0
        self._fail("a wrong echo", now_ns)
        return -1

    def _end(self, device: Device, buffer: bytes, end: int, now_ns: int) -> None:
        self._busy = False
        self._ready_ns = now_ns + device.plan.gap_ns
        if end < len(buffer) and buffer[end:].strip():
            self._notes.fault(device.plan.name, "bytes behind the reply", now_ns)

    def _fail(self, why: str, now_ns: int) -> None:
        """The answer is wrong: wait until the line is quiet, then count it as failed."""
        self._why, self._draining, self._buffer = why, True, b""
        self._deadline_ns = min(self._cap_ns, now_ns + QUIET_NS)

    def _over(self, now_ns: int) -> None:
        """The exchange in flight ended without a valid answer, or its line has become quiet."""
        why = self._why if self._draining else ""
        self._busy = self._draining = False
        self._buffer = b""
        if self._poll is not None:
            poll, self._poll = self._poll, None
            self._poll_failed(poll, why, now_ns)
        elif self._order is not None:
            order, self._order = self._order, None
            self._order_failed(order, why, now_ns)
        elif self._asked is not None:
            device, self._asked = self._asked, None
            self._identity_over(device, now_ns)

    def _poll_failed(self, poll: Poll, why: str, now_ns: int) -> None:
        device = poll.device
        self._notes.fault(device.plan.name, why or "no answer", now_ns)
        self._ready_ns = now_ns + device.plan.gap_ns
        if not why:
            device.silent(self._sent_ns)
        poll.attempt += 1
        if poll.attempt <= device.plan.retries and not device.misses:
            self._retry = poll
            return
        self._push_bad(poll, COMMUNICATION, now_ns)
        self._gone(device, why, now_ns)

    def _gone(self, device: Device, why: str, now_ns: int) -> None:
        """A device gave no valid answer to any attempt; silence also makes it rest."""
        device.gave_up(0 if why else max(self._sent_ns, 1))
        why = why or "no answer"
        if device.misses == 1:
            self._notes.add(Note(NoteKind.LOST, device.plan.name, why, now_ns))
        if all(other.misses for other in self._devices):
            self._tell_lost(why, now_ns)

    def _order_failed(self, order: Order, why: str, now_ns: int) -> None:
        device = self._devices[order.device]
        self._ready_ns = now_ns + device.plan.gap_ns
        if self._frames is not order.frames:
            return
        if order.plan.reply == "none" and not why:
            self._book.step_done(order)
            return
        self._notes.fault(device.plan.name, f"write not taken: {why or 'no answer'}", now_ns)
        if not why:
            device.silent(self._sent_ns)
        self._book.failed(order, device.plan.retries, now_ns)

    def _identity_over(self, device: Device, now_ns: int) -> None:
        self._ready_ns = now_ns + device.plan.gap_ns
        if self._why == "ok":
            self._notes.add(Note(NoteKind.IDENTIFIED, device.plan.name, "", now_ns))
            device.proven()
            self._unknown.remove(device)
            self._good(device, now_ns)
        elif self._why:
            if device.doubted(now_ns):
                what = f"it says {self._why!r}"
                self._notes.add(Note(NoteKind.REFUSED, device.plan.name, what, now_ns))
        else:
            self._notes.fault(device.plan.name, "no answer to who it is", now_ns)
            device.silent(self._sent_ns)
            for poll in device.polls:
                self._push_bad(poll, COMMUNICATION, now_ns)
            self._gone(device, "", now_ns)
            device.ask_ns = device.rest_until_ns

    def _restored(self, device: Device, now_ns: int) -> None:
        self._notes.add(Note(NoteKind.RESTORED, device.plan.name, "", now_ns))
        if device.must_prove_again(now_ns):
            self._unknown.append(device)
        if self._lost:
            self._lost = False
            self._notes.add(Note(NoteKind.RESTORED, "", "", now_ns))

    def _tell_lost(self, why: str, now_ns: int) -> None:
        if not self._lost:
            self._lost = True
            self._notes.add(Note(NoteKind.LOST, "", why, now_ns))

    def _push_bad(self, poll: Poll, reason: int, now_ns: int) -> None:
        for _, signal, _ in poll.points:
            self._inputs.push(signal, NAN, BAD, reason, now_ns)


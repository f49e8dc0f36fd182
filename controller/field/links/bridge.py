"""The line to our I/O board as a machine without I/O: samples and trips up, outputs and beats down.

Sessions, retries and the board's clock are `firmware_bridge.session`'s; this decides what is said
in them. STATUS becomes samples at the board's own time; a row that stands on the board is told to
the kernel, what lapsed and latched shows on one tag, resets and clears go down. No first frames are
needed before field starts: the board itself holds each output only for as long as its lease.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import suppress
from subprocess import SubprocessError

from controller.core.clock import NS_PER_S
from controller.core.errors import CellwrightError
from controller.core.ports import Inputs
from controller.core.signal import Quality, Reason
from controller.field.links.bridge_channels import Channels
from controller.field.links.bridge_events import event_note, reset_words
from controller.field.links.bridge_notes import Told, board_note
from controller.field.links.bridge_rows import Lapses, Rows
from controller.field.links.note import Note, NoteKind, Notes
from controller.field.links.worker import Known, View
from controller.profile.link_plan import BoardPlan, LinkPlan
from firmware_bridge.codes import EventKind
from firmware_bridge.happenings import (
    Acked,
    Armed,
    EventsCame,
    Fault,
    Happening,
    Lost,
    Opened,
    Refused,
    Sample,
)
from firmware_bridge.messages import Beat, Clear, Command, Event, HelloAck, Reset, Status
from firmware_bridge.session import Session

NAN = math.nan
GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)
NONE, DEVICE = int(Reason.NONE), int(Reason.DEVICE)
COMMUNICATION, DRIVER = int(Reason.COMMUNICATION), int(Reason.DRIVER)
SILENT_NS = NS_PER_S  # a board without a STATUS, or a scan that did not move, for so long
IDLE_NS = 10_000_000
NEVER_NS = -(2**62)
RECENT_NS = 2 * NS_PER_S  # an older event is history, and no news to the kernel


class BridgeLink:
    """The host side of one I/O board. Not thread-safe: one worker or one rig owns it.

    `images` replaces what the plan says of known images. Raises ValueError for a plan without a
    board.
    """

    def __init__(
        self, plan: LinkPlan, inputs: Inputs, start_ns: int = 0,
        images: Collection[bytes] | None = None,
    ) -> None:  # fmt: skip
        if plan.board is None:
            raise ValueError(f"link {plan.name}: a bridge link has a board")
        self.plan, self._inputs, self._notes = plan, inputs, Notes()
        board = self._board = plan.board
        known = _known_images(board) if images is None else images
        self.session = Session(board.digest, board.table, known, start_ns, board.beat_ns)
        self._channels = Channels(board.channels, board.device, self._notes)
        self._rows, self._lapses = Rows(board.rows), Lapses()
        self._given = [row.signal for row in board.given]
        self._causes = [row.cause for row in board.rows]
        self._samples: tuple[Sample, ...] = ()
        self._bypassed, self._progress, self._moved_ns = 0, -1, start_ns
        self._samples_ns = self._given_ns = self._flags_ns = -1  # taken, in a beat, on the board
        self._identity: HelloAck | None = None
        self._told_of: tuple[int, bytes, bool] | None = None
        self._refusals = 0  # of a session, since the last one was armed
        self._heard_ns, self._idle_ns, self._stirred = start_ns, 0, True
        self._lost = False
        self.last_good_ns = start_ns

    # -- from the kernel -----------------------------------------------------------------------

    def write(self, output: int, value: float, safe: bool, now_ns: int) -> None:
        """Takes the latest value of an output; a safe one leaves before everything else."""
        self._stirred = True
        self._channels.put(output, value, safe, now_ns)

    def attend(self, view: View, progress: int, now_ns: int) -> None:
        """Takes what the kernel shows the board, after what it released. Called every turn.

        `progress` counts scans; one that stands still goes out unmoved, and renews no lease.
        """
        if progress != self._progress:
            self._progress, self._moved_ns = progress, now_ns
        self._stirred = True
        self._channels.level(self._board.annunciator, view.annunciate(now_ns))
        if not view.refresh():
            return  # field stands in the middle of a scan: what was given grows old
        self.give(view.given(self._given), now_ns)
        by_row = view.bypassed(self._causes)
        self._bypassed = sum(
            1 << row.row for place, row in enumerate(self._board.rows)
            if row.bypassable and by_row >> place & 1
        )  # fmt: skip
        self._pass_resets(view, now_ns)

    def give(self, known: Sequence[Known], now_ns: int) -> None:
        """Takes the signals that the board is given, in the plan's order."""
        self._samples_ns = now_ns
        self._samples = tuple(
            Sample(row.board_signal, value, quality, reason,
                   sample_ns if row.dated else self._moved_ns)
            for row, (value, quality, reason, sample_ns)
            in zip(self._board.given, known, strict=True)
        )  # fmt: skip

    def _pass_resets(self, view: View, now_ns: int) -> None:
        for number in self._rows.kernel(view.resets(self._causes), view.latched(self._causes)):
            self._rows.by_number[number].asked = self.session.ask_reset(number)
        if self._board.lapse_cause < 0:
            return
        cause = (self._board.lapse_cause,)
        mask = self._lapses.kernel(view.resets(cause)[0], bool(view.latched(cause)), now_ns)
        if mask and not self.session.ask_clear(mask):
            self._lapses.answered(done=False)

    # -- the line ------------------------------------------------------------------------------

    def take_tx(self, now_ns: int) -> bytes:
        """The bytes to put onto the line now, or none."""
        self._stirred = False
        if not self._lost and now_ns - self._heard_ns >= SILENT_NS:
            self._silent("no answer", COMMUNICATION, now_ns)
        session = self.session
        if session.armed:
            # A scan that stands still commands nothing: what lapsed for want of it stays lapsed.
            alive = now_ns - self._moved_ns < SILENT_NS
            flags_ns = self._flags_ns if alive else NEVER_NS
            self._channels.hand_over(session.command, self._lapses.latched, flags_ns, now_ns)
            if session.wants_beat(now_ns) and self._progress >= 0:
                self._given_ns = self._samples_ns
                session.beat(self._progress, self._bypassed, self._samples)
        tx = session.take_tx(now_ns)
        self._take(session.happened(), now_ns)
        # Without a view there is nothing to beat with: it is looked at again a little later.
        self._idle_ns = 0 if tx else now_ns + IDLE_NS
        return tx

    def feed(self, data: bytes, now_ns: int) -> None:
        """Takes bytes from the line."""
        self._stirred = True
        self._take(self.session.feed(data, now_ns), now_ns)

    def next_ns(self) -> int:
        """When `take_tx` has something to do again if no byte comes before."""
        return 0 if self._stirred else max(self.session.next_ns(), self._idle_ns)

    def take_notes(self) -> list[Note]:
        """All notes since the last call, oldest first."""
        return self._notes.take()

    def reset(self, now_ns: int) -> None:
        """The line was opened anew: the board is called."""
        self._forget()
        self.session.reset(now_ns)

    def line_down(self, why: str, now_ns: int, *, driver_failed: bool = False) -> None:
        """The line, or our own driver, is gone: every signal of the board is bad at once."""
        self._notes.fault(self._board.device, why, now_ns)
        self._silent(why, DRIVER if driver_failed else COMMUNICATION, now_ns)
        self.reset(now_ns)

    # -- what happened ---------------------------------------------------------------------------

    def _take(self, happened: Sequence[Happening], now_ns: int) -> None:
        board = self._board
        for found in happened:
            if isinstance(found, Status):
                if self.session.armed:  # before, another table may run: other rows, other scales
                    self._take_status(found, now_ns)
            elif isinstance(found, Acked):
                self._take_ack(found, now_ns)
            elif isinstance(found, EventsCame):
                self._take_events(found, now_ns)
            elif isinstance(found, Opened):
                self._opened(found, now_ns)
            elif isinstance(found, Armed):
                self._armed(not found.distrusted, now_ns)
            elif isinstance(found, Refused):
                self._refused(found, now_ns)
            elif isinstance(found, Lost):
                self._forget()
                self._notes.fault(board.device, f"session over: {found.why}"[:120], now_ns)
            elif isinstance(found, Fault):
                self._notes.fault(board.device, found.why[:120], now_ns)

    def _opened(self, found: Opened, now_ns: int) -> None:
        """Who answers: told when it is another board, boot or image than last time."""
        board, who = self._board, found.identity
        before, self._identity = self._identity, who
        if before is not None and before.boot_id != who.boot_id:
            self._notes.add(board_note(Told.RESTARTED, board.device, now_ns, boot_id=who.boot_id,
                                       reset=reset_words(who.reset_reason)))  # fmt: skip
        told_of = (who.boot_id, who.image, found.known)
        if not found.known and told_of != self._told_of:
            self._notes.add(
                board_note(Told.UNKNOWN, board.device, now_ns, image=who.image.hex()))  # fmt: skip

    def _armed(self, known: bool, now_ns: int) -> None:
        """The board obeys: every channel is commanded anew, the safe ones first."""
        board, who = self._board, self._identity
        self._channels.again()
        self._refusals = 0
        if who is None:
            return
        told_of = (who.boot_id, who.image, known)
        if told_of != self._told_of or self._lost:
            self._told_of = told_of
            self._notes.add(board_note(
                Told.SESSION, board.device, now_ns, boot_id=who.boot_id,
                reset=reset_words(who.reset_reason), image=who.image.hex(),
                table=board.digest.hex(), known=known))  # fmt: skip

    def _take_ack(self, found: Acked, now_ns: int) -> None:
        request = found.request
        if isinstance(request, Command):
            self._channels.acked(request, found.time_us, now_ns)
        elif isinstance(request, Beat):
            self._flags_ns = self._given_ns
        elif isinstance(request, Reset):
            self._rows.answered(request.row, done=True)
            # A channel the row had locked takes only what comes after its reset, and a value that
            # the kernel released with the reset may have left before it.
            self._channels.again()
        elif isinstance(request, Clear):
            self._free(self._lapses.answered(done=True))

    def _refused(self, found: Refused, now_ns: int) -> None:
        board, request = self._board, found.request
        if isinstance(request, Command):
            self._channels.refused(request, found.code, found.detail, now_ns)
        elif isinstance(request, Reset):
            self._rows.answered(request.row, done=False)
        elif isinstance(request, Clear):
            self._lapses.answered(done=False)
        if isinstance(request, Beat | Command):  # repeated for as long as it is refused
            self._notes.fault(board.device, found.words[:120], now_ns)
            return
        if not found.armed:
            self._refusals += 1
            if self._refusals & (self._refusals - 1):
                return  # every few seconds for ever: told at powers of two
        what = type(request).__name__.lower()
        self._notes.add(
            board_note(Told.REFUSED, board.device, now_ns, request=what, why=found.words))

    def _take_events(self, came: EventsCame, now_ns: int) -> None:
        board, who = self._board, self._identity
        if who is None:
            return
        events = tuple(enumerate(came.events, came.first))
        if came.missed:
            self._channels.again()  # a lapse may be among them
            lost = Event(came.events[0].time_us, EventKind.LOST, 0, 0, came.missed)
            events = ((came.first - 1, lost), *events)
        for number, event in events:
            at_ns, error_ns = self.session.clock.to_host(event.time_us)
            if event.kind in (EventKind.LAPSED, EventKind.LATCHED):
                self._channels.one_again(event.index)
            elif event.kind == EventKind.STANDS and now_ns - at_ns < RECENT_NS:
                self._rows.stood(event.index, now_ns)
            note = event_note(board, event, number, who.boot_id, min(at_ns, now_ns), error_ns)
            if note is not None:
                self._notes.add(note)

    def _take_status(self, status: Status, now_ns: int) -> None:
        self._heard_ns = now_ns
        self._free(self._lapses.take(status.latched, now_ns))
        self._rows.take(status.rows, now_ns)
        self._channels.check(status, now_ns)
        self._push(status, now_ns)
        self.last_good_ns = now_ns
        if self._lost:
            self._lost = False
            self._notes.add(Note(NoteKind.RESTORED, "", "", now_ns))

    def _free(self, channels: int) -> None:
        """Channels whose latch is gone take a command again."""
        for number in self._channels.by_number:
            if channels >> number & 1:
                self._channels.one_again(number)

    # -- samples ---------------------------------------------------------------------------------

    def _push(self, status: Status, now_ns: int) -> None:
        """Everything STATUS shows, at the board's time on our clock."""
        board, push = self._board, self._inputs.push
        at_ns = min(self.session.clock.to_host_ns(status.time_us), now_ns)
        for place, signal in board.analog:
            if place >= len(status.analog):
                push(signal, NAN, BAD, DEVICE, at_ns)
                continue
            found = status.analog[place]
            good = found.quality == GOOD and math.isfinite(found.value)
            push(signal, found.value if good else NAN, GOOD if good else BAD,
                 NONE if good else DEVICE, at_ns)  # fmt: skip
        for bit, signal in board.digital:
            push(signal, float(status.inputs >> bit & 1), GOOD, NONE, at_ns)
        for channel in self._channels.by_number.values():
            if channel.plan.driven_signal >= 0:
                value = channel.shown(status) / channel.plan.scale
                push(channel.plan.driven_signal, value, GOOD, NONE, at_ns)
        for signal, told in self._rows.told(now_ns):
            push(signal, float(told), GOOD, NONE, at_ns)
        if board.lapse_signal >= 0:
            push(board.lapse_signal, float(self._lapses.shows(now_ns)), GOOD, NONE, at_ns)

    def _silent(self, why: str, reason: int, now_ns: int) -> None:
        """Nothing of the board is known any more."""
        board = self._board
        signals = [signal for _, signal in (*board.analog, *board.digital)]
        signals += [channel.driven_signal for channel in board.channels]
        signals += [row.told for row in board.rows] + [board.lapse_signal]
        for signal in signals:
            if signal >= 0:
                self._inputs.push(signal, NAN, BAD, reason, now_ns)
        if not self._lost:
            self._lost = True
            self._notes.add(Note(NoteKind.LOST, "", why, now_ns))

    def _forget(self) -> None:
        """The session is over: what was asked in it may be lost."""
        self._flags_ns = -1
        self._rows.forget()
        self._lapses.forget()


def _known_images(board: BoardPlan) -> frozenset[bytes]:
    """Digests of the images that may act. What cannot be told here is not known: liquids shut."""
    found = frozenset(board.images)
    if board.installed:
        from firmware_bridge.build import installed  # it looks at files, only where they count

        with suppress(CellwrightError, OSError, SubprocessError):
            found |= installed()
    return found

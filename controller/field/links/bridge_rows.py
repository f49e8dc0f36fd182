"""What a board's rows and lapses say to the kernel, and what the kernel's resets say to the board.

The kernel has a latch for every row of the board, and one for all that lapsed. Where the board has
a latch and the kernel has not, the board speaks: until both agree, whatever was lost on the way.
A reset passes on once, and only what people were shown is given free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.core.clock import NS_PER_S
from controller.profile.link_plan import RowPlan
from firmware_bridge.codes import RowFlag

TOLD_NS = NS_PER_S  # of one trip, however short it was on the board
LAPSE_NS = 2 * NS_PER_S
STANDS, LATCHED = int(RowFlag.STANDS), int(RowFlag.LATCHED)


@dataclass(slots=True)
class Pulse:
    """One signal to the kernel: 1 until `until_ns`, and again after as long a silence."""

    long_ns: int
    until_ns: int = -(2**62)

    def begin(self, now_ns: int) -> None:
        """It is 1 from now on."""
        self.until_ns = now_ns + self.long_ns

    def on(self, now_ns: int) -> bool:
        """Whether it is 1."""
        return now_ns < self.until_ns

    def insist(self, now_ns: int) -> None:
        """Begins anew if its last time is over for as long as it lasts."""
        if now_ns >= self.until_ns + self.long_ns:
            self.begin(now_ns)


class Row:
    """One row of the board as its STATUS shows it."""

    __slots__ = ("plan", "flags", "pulse", "resets", "asked")

    def __init__(self, plan: RowPlan) -> None:
        self.plan, self.flags, self.asked = plan, 0, False
        self.pulse = Pulse(TOLD_NS)
        self.resets = -1  # of the kernel's cause, as last seen

    def take(self, flags: int, now_ns: int) -> None:
        """What STATUS says of it."""
        if flags & ~self.flags & (STANDS | LATCHED):
            self.pulse.begin(now_ns)
        self.flags = flags

    def told(self, kernel_latched: bool, now_ns: int) -> bool:
        """Whether the kernel is told that it stands."""
        if self.flags & LATCHED and not kernel_latched and not self.asked:
            self.pulse.insist(now_ns)
        return bool(self.flags & STANDS) or self.pulse.on(now_ns)

    def reset_by_kernel(self, count: int) -> bool:
        """Takes how often the kernel's cause was reset; True when the board's is to be, too."""
        again = 0 <= self.resets < count
        self.resets = count
        return again and bool(self.flags & LATCHED)


class Rows:
    """All rows that the board runs."""

    def __init__(self, plans: Sequence[RowPlan]) -> None:
        self.all = [Row(plan) for plan in plans]
        self.by_number = {row.plan.row: row for row in self.all}
        self._kernel_latched = 0

    def take(self, flags: bytes, now_ns: int) -> None:
        """What STATUS says of the rows, by their number on the board."""
        for number, row in self.by_number.items():
            if number < len(flags):
                row.take(flags[number], now_ns)

    def stood(self, number: int, now_ns: int) -> None:
        """An event says that a row stood, perhaps for less than two STATUS lie apart."""
        if number in self.by_number:
            self.by_number[number].pulse.begin(now_ns)

    def told(self, now_ns: int) -> list[tuple[int, bool]]:
        """(signal, whether it is 1) for every row."""
        return [
            (row.plan.told, row.told(bool(self._kernel_latched >> place & 1), now_ns))
            for place, row in enumerate(self.all)
        ]

    def kernel(self, resets: Sequence[int], latched: int) -> list[int]:
        """Takes resets and latches of the kernel's causes; rows of the board to be reset."""
        self._kernel_latched = latched
        return [row.plan.row for row, count in zip(self.all, resets, strict=True)
                if row.reset_by_kernel(count)]  # fmt: skip

    def answered(self, number: int, done: bool) -> None:
        """The board reset a row, or refused: then the kernel hears of it again."""
        row = self.by_number.get(number)
        if row is not None:
            row.asked = False
            if done:
                row.flags &= ~LATCHED

    def forget(self) -> None:
        """The session is over: what was asked in it is lost."""
        for row in self.all:
            row.asked = False


class Lapses:
    """The channels that latched: shown by a pulse, given free by the reset of one row."""

    def __init__(self) -> None:
        self.latched = 0
        self._shown = 0  # told by a pulse that is over
        self._telling = 0
        self._pulse = Pulse(LAPSE_NS)
        self._resets = -1
        self._asked = 0  # a CLEAR is under way for these
        self._kernel_latched = False

    def take(self, latched: int, now_ns: int) -> int:
        """The mask of STATUS; the channels whose latch is gone since the last one."""
        gone = self.latched & ~latched
        self.latched = latched
        self._shown &= latched
        self._telling &= latched
        if latched & ~(self._shown | self._telling):
            self._telling |= latched & ~self._shown
            self._pulse.begin(now_ns)
        return gone

    def shows(self, now_ns: int) -> bool:
        """Whether the kernel's tag is 1."""
        if self.latched and not self._kernel_latched and not self._asked:
            self._pulse.insist(now_ns)
        if self._pulse.on(now_ns):
            return True
        self._shown |= self._telling
        self._telling = 0
        return False

    def kernel(self, resets: int, latched: bool, now_ns: int) -> int:
        """Takes reset and latch of the kernel's row; the channels to be cleared, or 0."""
        self.shows(now_ns)
        again = 0 <= self._resets < resets
        self._resets, self._kernel_latched = resets, latched
        if again:
            self._asked = self.latched & self._shown
            return self._asked
        return 0

    def answered(self, done: bool) -> int:
        """The board cleared, or refused: then what is still latched is told once more. Returns the
        channels that are free now."""
        asked, self._asked = self._asked, 0
        self._shown &= ~asked
        if not done:
            return 0
        self.latched &= ~asked
        return asked

    def forget(self) -> None:
        """The session is over: a CLEAR that was asked in it may be lost."""
        self.answered(False)

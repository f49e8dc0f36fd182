"""The board's time on the host's clock, with a stated error that holds (PROTOCOL.md, Clock).

Every answer bounds one board time: it was made between the host's sending (t0) and receiving (t3).
A line is fitted through the middles of the shortest round trips. The stated error is a bound, not
an estimate, as long as the two clocks differ by less than RATE_PPM: from any answer, half its
round trip, plus its distance from the line, plus what two rates can differ by since then.
Selecting by round trip: Mills, RFC 5905, section 10 (the clock filter).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

WINDOW_US: Final = 64_000_000
BIN_US: Final = 4_000_000
RATE_PPM: Final = 500
TIME_MAX_US: Final = 1 << 50  # 35 years: no board runs so long, and ns still fit 64 bits
AHEAD_US: Final = 1_000_000
_RATE: Final = RATE_PPM * 1e-6 * 1_000  # ns of host time per us of board time
_MARGIN_NS: Final = 1_500  # the board's time is cut to whole us, and our arithmetic to ns


@dataclass(frozen=True, slots=True)
class Answer:
    """The shortest round trip of its bin: board time, middle and half of the round trip."""

    board_us: int
    middle_ns: int
    half_ns: int


@dataclass(slots=True)
class Clock:
    """Regression over the last WINDOW_US; one boot at a time."""

    boot_id: int | None = None
    _answers: dict[int, Answer] = field(default_factory=dict)
    _base: Answer = Answer(0, 0, 0)
    _offset_ns: float = 0.0
    _slope: float = 0.0
    _told: tuple[int, int, int] | None = None

    def begin(self, boot_id: int) -> None:
        """Another boot has another time; the same one goes on."""
        if boot_id != self.boot_id:
            self.boot_id = boot_id
            self._answers.clear()
            self._told = None

    @property
    def ready(self) -> bool:
        """Whether at least one answer of this boot came."""
        return bool(self._answers)

    def add(self, sent_ns: int, board_us: int, received_ns: int) -> None:
        """An answer made at `board_us` to a request first sent at t0, received at t3 (host ns)."""
        half_ns = (received_ns - sent_ns + 1) // 2
        if half_ns < 0 or board_us > TIME_MAX_US:
            return
        answer = Answer(board_us, (sent_ns + received_ns) // 2, half_ns)
        if self._answers and abs(self._residual(answer)) > half_ns + self._bound(board_us):
            # No two clocks go like this: one stood still, or the board does not tell the truth.
            self._answers.clear()
            self._told = None
        place = board_us // BIN_US
        held = self._answers.get(place)
        if held is None or half_ns <= held.half_ns:
            self._answers[place] = answer
            for old in [at for at in self._answers if at < place - WINDOW_US // BIN_US]:
                del self._answers[old]
            self._fit()

    def to_host(self, board_us: int) -> tuple[int, int]:
        """Host time and error of a board time, ns; later board times never come out earlier.

        Raises LookupError before the first answer of this boot.
        """
        if not self._answers:
            raise LookupError("no answer of this boot yet")
        board_us = min(board_us, TIME_MAX_US)
        x = board_us - self._base.board_us
        host_ns = self._base.middle_ns + round(self._offset_ns + x * (1_000.0 + self._slope))
        error_ns = self._bound(board_us)
        if self._told is not None:
            told_us, told_ns, told_error_ns = self._told
            if (host_ns < told_ns) if board_us >= told_us else (host_ns > told_ns):
                # A new fit may not turn the order of events round; the older error stands then.
                host_ns, error_ns = told_ns, max(error_ns, told_error_ns)
        if self._told is None or board_us >= self._told[0]:
            self._told = (board_us, host_ns, error_ns)
        return host_ns, error_ns

    def to_host_ns(self, board_us: int) -> int:
        """Host time of a board time, ns."""
        return self.to_host(board_us)[0]

    @property
    def error_ns(self) -> int:
        """The stated error for board times up to AHEAD_US after the last answer kept, ns."""
        if not self._answers:
            raise LookupError("no answer of this boot yet")
        return self._bound(max(each.board_us for each in self._answers.values()) + AHEAD_US)

    def _bound(self, board_us: int) -> int:
        """The least error that one answer warrants at a board time, ns."""
        return _MARGIN_NS + round(
            min(
                each.half_ns + abs(self._residual(each)) + 2 * _RATE * abs(board_us - each.board_us)
                for each in self._answers.values()
            )
        )

    def _residual(self, answer: Answer) -> float:
        x = answer.board_us - self._base.board_us
        line = self._offset_ns + x * self._slope
        return answer.middle_ns - self._base.middle_ns - x * 1_000 - line

    def _fit(self) -> None:
        """Least squares, each answer weighed by its round trip; the rate within RATE_PPM."""
        answers = list(self._answers.values())
        self._base = base = min(answers, key=lambda each: each.half_ns)
        points = [
            (
                1.0 / (1_000 + each.half_ns) ** 2,
                each.board_us - base.board_us,
                each.middle_ns - base.middle_ns - (each.board_us - base.board_us) * 1_000,
            )
            for each in answers
        ]
        total = sum(w for w, _, _ in points)
        mean_x = sum(w * x for w, x, _ in points) / total
        mean_y = sum(w * y for w, _, y in points) / total
        spread = sum(w * (x - mean_x) ** 2 for w, x, _ in points)
        self._slope = 0.0
        if spread > 0.0:
            slope = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in points) / spread
            self._slope = min(max(slope, -_RATE), _RATE)
        self._offset_ns = mean_y - self._slope * mean_x

"""A condition's text becomes one comparison of one signal, with the blocks it needs on the way.

`TT101 > 38.5 degC`, `abs(TT101 - TT102) > 0.7 K`, `rate(PT101, 10 s) > 60 mbar/min`,
`spread(AT102, 30 min) < 0.05 %`, `XV201_ZSO is bad`, or an expected response. What is derived is a
block of its own, so that the kernel, the proof and the screen see a signal like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from controller.core.errors import nearest
from controller.core.quantity import parse, unit_factor
from controller.profile.plan import UNASKED, WHOLE, BadRule, BlockOp, CompareOp
from controller.profile.scope import Scope
from controller.profile.unit import Expected, FullCondition, Instead

_COMPARISON = re.compile(r"^(.+?)\s*(?:(>|<)\s*(\S.*)|(?<![\w.])(is bad))$")
_NAME = re.compile(r"^[A-Za-z][\w.]*$")
_CALL = re.compile(r"^([a-z]+)\((.*)\)$")
_EXPECT = re.compile(r"^(\S+) (rises|falls) (\S.*)$")
_OPS = {">": CompareOp.ABOVE, "<": CompareOp.BELOW}
_FOR_ALL = {(CompareOp.ABOVE, "lowest"), (CompareOp.BELOW, "highest"), (CompareOp.BELOW, "spread")}
_NOT_YET = {CompareOp.ABOVE: -UNASKED, CompareOp.BELOW: UNASKED}  # true of no limit
WINDOWS = {
    "rate": BlockOp.RISE, "spread": BlockOp.SPREAD, "mean": BlockOp.MEAN,
    "lowest": BlockOp.LOWEST, "highest": BlockOp.HIGHEST,
}  # fmt: skip
MEAN_TEXT = "10 min"  # what a condition falls back to that says `bad: mean`
DEPTH_MAX = 3
FOR_EVER_S = UNASKED
Path = tuple[str | int, ...]
Given = str | FullCondition | Expected


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a row says for those of its conditions that do not say it themselves."""

    bad: BadRule
    hysteresis: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of the condition table; `limit` and `hysteresis` in the signal's canonical unit."""

    signal: int
    op: CompareOp
    limit: float
    hysteresis: float
    bad: BadRule
    on_delay_ns: int = 0
    off_delay_ns: int = 0


class Conditions:
    """Compiles conditions for one unit; each fault is a BadInput at its line."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def compiled(self, given: Given, defaults: Defaults, path: Path) -> Comparison:
        """One condition of a vote."""
        if isinstance(given, Expected):
            return self._expected(given, defaults, path)
        if isinstance(given, str):
            return self._compared(given, defaults, path)
        scope = self._scope
        bad, replaced = defaults.bad, given.bad == "mean" or isinstance(given.bad, Instead)
        if isinstance(given.bad, str) and not replaced:
            bad = BadRule[given.bad.upper()]
        slack = defaults.hysteresis if given.hysteresis is None else given.hysteresis
        found = self._compared(given.compare, Defaults(bad, slack), (*path, "is"))
        if replaced and found.op == CompareOp.IS_BAD:
            raise scope.error("a condition that is true on a bad signal has no other", *path, "bad")
        signal = found.signal
        if given.bad == "mean":
            mean = self._window("mean", signal, MEAN_TEXT, (*path, "bad"))
            kept = self._block(BlockOp.HOLD, f"hold({scope.names[mean]})", mean, path,
                               p0=FOR_EVER_S)  # fmt: skip
            signal = self._or_else(signal, kept, path)
        elif isinstance(given.bad, Instead):
            signal = self._instead(signal, given.bad, (*path, "bad"))
        return Comparison(
            signal, found.op, found.limit, found.hysteresis, bad,
            scope.delay(given.delay, *path, "delay"),
            scope.delay(given.off_delay, *path, "off_delay"),
        )  # fmt: skip

    def limit(self, text: str, signal: int, path: Path) -> float:
        """A limit in the signal's canonical unit, inside the sensor's range."""
        scope, tag = self._scope, self._scope.tags[signal]
        try:
            value, found = parse(text)
            wanted = unit_factor(tag.unit)[0]
        except ValueError as error:
            raise scope.error(str(error), *path) from None
        if found != wanted:
            raise scope.error(
                f"{text!r} is a {found}, but {tag.name} is a {wanted} in {tag.unit}", *path
            )
        if not tag.low <= value <= tag.high:
            raise scope.error(
                f"limit {text} is outside the range {tag.low:g} to {tag.high:g} {tag.unit} of "
                f"{tag.name}: the row could never trip", *path
            )  # fmt: skip
        return value

    # -- comparisons ------------------------------------------------------------------------

    def _compared(self, text: str, defaults: Defaults, path: Path) -> Comparison:
        scope = self._scope
        match = _COMPARISON.match(text.strip())
        if match is None:
            raise scope.error(f"{text!r} is not `TAG > VALUE UNIT`, `<` or `TAG is bad`", *path)
        if match[4]:
            signal = self.signal(match[1], path)
            return Comparison(signal, CompareOp.IS_BAD, 0.0, 0.0, defaults.bad)
        op, call = _OPS[match[2]], _CALL.match(match[1].strip())
        function = call[1] if call is not None else ""
        # What must hold for the whole window is not known before that is full.
        whole = (op, function) in _FOR_ALL
        signal = self.signal(match[1], path, _NOT_YET[op] if whole else None)
        if call is not None and function == "rate":
            limit = self._rate_limit(match[3], signal, call[2], path)
        else:
            limit = self.limit(match[3], signal, path)
        self._can_clear(signal, op, limit, defaults.hysteresis, path)
        return Comparison(signal, op, limit, defaults.hysteresis, defaults.bad)

    def _can_clear(
        self, signal: int, op: CompareOp, limit: float, slack: float, path: Path
    ) -> None:
        """A condition whose way back lies outside the sensor's range would stand for ever."""
        tag = self._scope.tags[signal]
        back = limit - slack if op == CompareOp.ABOVE else limit + slack
        if not tag.low <= back <= tag.high:
            raise self._scope.error(
                f"with a hysteresis of {slack:g} it clears at {back:g} {tag.unit}, outside the "
                f"range {tag.low:g} to {tag.high:g} of {tag.name}: it would never clear", *path
            )  # fmt: skip

    def _rate_limit(self, text: str, signal: int, inside: str, path: Path) -> float:
        """`0.5 K/min` over the window: what the signal may rise in it."""
        number, _, time = text.rpartition("/")
        over_s = self._scope.duration(inside.rpartition(",")[2].strip(), *path) * 1e-9
        try:
            per_s, dimension = parse(f"1 {time}") if number else (0.0, "")
        except ValueError as error:
            raise self._scope.error(str(error), *path) from None
        if dimension != "time":
            raise self._scope.error(f"rate {text!r} is not a quantity per time", *path)
        return self.limit(number, signal, path) * over_s / per_s

    def _expected(self, given: Expected, defaults: Defaults, path: Path) -> Comparison:
        """True when the output was beyond its limit for all of `over` and the response too small.

        It is one signal: the response while it is expected, else more than anybody could ask for.
        """
        scope = self._scope
        match, driven = _EXPECT.match(given.expect), _COMPARISON.match(given.driven)
        if match is None:
            raise scope.error(f"{given.expect!r} is not `TAG rises VALUE UNIT`, or falls",
                              *path, "expect")  # fmt: skip
        if driven is None or driven[4]:
            raise scope.error(f"{given.driven!r} is not `TAG > VALUE UNIT`", *path, "while")
        rising = match[2] == "rises"
        where, above = (*path, "expect"), driven[2] == ">"
        response = self._window("rate", self.signal(match[1], where), given.over, where)
        limit = self.limit(match[3], response, where)
        where = (*path, "while")
        kept = self._window("lowest" if above else "highest", self.signal(driven[1], where),
                            given.over, where, _NOT_YET[_OPS[driven[2]]])  # fmt: skip
        bound = self.limit(driven[3], kept, where)
        if not rising:
            negative = f"-{scope.names[response]}"
            response = self._block(BlockOp.LINEAR, negative, response, path, p0=-1.0)
        name = f"{scope.names[response]} while {driven[0]} for {given.over}"
        signal = self._block(BlockOp.WHILE, name, response, path, b=kept, p0=bound,
                             p1=1.0 if above else -1.0)  # fmt: skip
        return Comparison(signal, CompareOp.BELOW, limit, defaults.hysteresis, defaults.bad)

    # -- signals ----------------------------------------------------------------------------

    def signal(
        self, text: str, path: Path, until_full: float | None = None, depth: int = 0
    ) -> int:
        """The signal of an expression; a difference or a window is made as a block of its own."""
        scope, text = self._scope, text.strip()
        if depth > DEPTH_MAX:
            raise scope.error(f"{text!r} is nested too deep", *path)
        if _NAME.match(text):
            return scope.resolve(text, *path)
        call = _CALL.match(text)
        if call is not None and _closes(call[2]):
            if call[1] == "abs":
                return self._difference(call[2], BlockOp.ABSDIFF, path, depth)
            if call[1] not in WINDOWS:
                hint = nearest(call[1], [*WINDOWS, "abs"])
                raise scope.error(f"unknown function {call[1]!r}. {hint}", *path)
            inside, comma, over = call[2].rpartition(",")
            if not comma:
                raise scope.error(f"{text!r} says no time: {call[1]}(TAG, 10 min)", *path)
            operand = self.signal(inside, path, None, depth + 1)
            return self._window(call[1], operand, over.strip(), path, until_full)
        return self._difference(text, BlockOp.DIFF, path, depth)

    def _difference(self, text: str, op: BlockOp, path: Path, depth: int) -> int:
        scope = self._scope
        place = next((at for at in _top_level(text, " - ")), -1)
        if place < 0:
            raise scope.error(f"{text!r} is no tag and no expression of tags", *path)
        parts = (text[:place], text[place + 3 :])
        a, b = (self.signal(part, path, None, depth + 1) for part in parts)
        if scope.tags[a].unit != scope.tags[b].unit:
            raise scope.error(
                f"{scope.names[a]} is in {scope.tags[a].unit}, {scope.names[b]} in "
                f"{scope.tags[b].unit}: they have no difference", *path
            )  # fmt: skip
        name = f"{scope.names[a]} - {scope.names[b]}"
        if op == BlockOp.ABSDIFF:
            name = f"abs({name})"
        return self._block(op, name, a, path, b=b, unit=_difference_of(scope.tags[a].unit))

    def _window(
        self, function: str, operand: int, over: str, path: Path, until_full: float | None = None
    ) -> int:
        scope, op = self._scope, WINDOWS[function]
        unit = scope.tags[operand].unit
        if op in (BlockOp.RISE, BlockOp.SPREAD):
            unit = _difference_of(unit)
        name = f"{function}({scope.names[operand]}, {over})"
        if op in WHOLE and until_full is None:
            name += " so far"
        return self._block(op, name, operand, path, over=over, unit=unit, p0=until_full or 0.0,
                           p1=0.0 if until_full is None else 1.0)  # fmt: skip

    def _instead(self, signal: int, given: Instead, path: Path) -> int:
        scope, hold, other = self._scope, given.hold, given.other
        if (hold is None) == (other is None):
            raise scope.error("give exactly one of hold, other", *path)
        if hold is not None:
            seconds = scope.delay(hold, *path, "hold") * 1e-9
            name = f"hold({scope.names[signal]}, {hold})"
            return self._block(BlockOp.HOLD, name, signal, path, p0=seconds)
        second = self.signal(str(other), (*path, "other"))
        if scope.tags[signal].unit != scope.tags[second].unit:
            raise scope.error(
                f"{other} is in {scope.tags[second].unit}, not in {scope.tags[signal].unit}",
                *path, "other",
            )  # fmt: skip
        return self._or_else(signal, second, path)

    def _or_else(self, signal: int, second: int, path: Path) -> int:
        name = f"{self._scope.names[signal]} else {self._scope.names[second]}"
        return self._block(BlockOp.ELSE, name, signal, path, b=second)

    def _block(
        self, op: BlockOp, name: str, a: int, path: Path, *, b: int = -1, over: str = "",
        unit: str = "", p0: float = 0.0, p1: float = 0.0,
    ) -> int:  # fmt: skip
        if name in self._scope.index:
            return self._scope.index[name]
        return self._scope.derive(op, name, unit or self._scope.tags[a].unit, a, b, over, p0, p1,
                                  *path)  # fmt: skip


def _difference_of(unit: str) -> str:
    """Temperatures differ by kelvins; of everything else the difference has the same unit."""
    return "K" if unit == "degC" else unit


def _top_level(text: str, mark: str) -> Iterator[int]:
    """Where a mark stands outside all brackets."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and text.startswith(mark, place):
            yield place


def _closes(inside: str) -> bool:
    """Whether the bracket that was taken off belongs to the call: every one inside is closed."""
    depth = 0
    for letter in inside:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0

"""A condition in the language of recipes, held against the recorded history of a batch.

Tells from when to when it was true, false or unknown. A value counts from its row until the next,
as long as its quality is good, as it does for the engine; where nobody looked it is unknown. A
module because a reviewer's question must mean what the same words mean in a recipe.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import numpy as np

from controller.core.errors import BadInput, RecordFailure
from controller.core.quantity import CANONICAL, unit_factor
from controller.core.signal import Quality
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Expression, Held, Name, compile_expression
from controller.recipe.operators import ExpressionError, Value
from controller.record.changes import units_of
from controller.record.process import Stream
from controller.record.query import Filter, Moment, times_of
from controller.record.show import select
from controller.record.sources import Source

AGE_MS: Final = 10_000  # the age of a variable moves by itself: it is looked at this often
POINTS_MAX: Final = 5_000_000
_MS_PER_MIN: Final = 60_000
_NS_PER_MS: Final = 1_000_000
_FAR: Final = 1 << 62
_DIMENSION_OF: Final = {unit: dimension for dimension, unit in reversed(CANONICAL.items())}


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `begin_ms` to `end_ms` (UTC, since 1970) the condition had one value; None: unknown."""

    begin_ms: int
    end_ms: int
    value: bool | None


@dataclass(frozen=True, slots=True)
class Found:
    """The answer: stretches in their order without a break, and how the log tells local time."""

    text: str
    stretches: tuple[Stretch, ...]
    offset_min: int

    def total_ms(self, value: bool | None) -> int:
        """How long the condition had this value."""
        return sum(part.end_ms - part.begin_ms for part in self.stretches if part.value is value)

    def local(self, utc_ms: int) -> str:
        """A time as the log's own records give it."""
        zone = timezone(timedelta(minutes=self.offset_min))
        return datetime.fromtimestamp(utc_ms / 1_000, zone).isoformat(timespec="milliseconds")


@dataclass(slots=True)
class Series:
    """What one name was: `values[n]` from `times[n]` on; None for unknown."""

    times: list[int] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def add(self, at_ms: int, value: Value) -> None:
        """One more value; a clock that stepped back does not undo what was."""
        self.times.append(max(at_ms, self.times[-1]) if self.times else at_ms)
        self.values.append(value)

    def place(self, at_ms: int) -> int:
        """The number of the value at a time, -1 before the first."""
        return bisect_right(self.times, at_ms) - 1


def when(
    source: Source, text: str, since: Moment | None = None, until: Moment | None = None, *,
    growing: bool = False,
) -> Found:  # fmt: skip
    """When the condition `text` was true, false or unknown over the log of a batch.

    `growing`: the log is being written. Raises BadInput for a text that is no condition over the
    tags and variables of the batch, RecordFailure for a log or a chunk that is damaged.
    """
    log = _read(source)
    names = _names(source, log)
    try:
        expression = compile_expression(text, names, "truth")
    except ExpressionError as error:
        raise BadInput(str(error), do="See docs/expressions.md.") from None
    tags = {name for name in expression.names if names[name].source == "tag"}
    series = {name: log.variables[name] for name in expression.names - tags}
    series |= _tags(source, tags, log.seen_ms, growing)
    begin, end = (_utc(one, log.offset_min, edge) for one, edge in
                  ((since, log.begin_ms), (until, log.end_ms)))  # fmt: skip
    begin, end = max(begin, log.begin_ms), min(end, log.end_ms)
    parts = tuple(_clipped(evaluated(expression, series, log.begin_ms, end), begin))
    return Found(text, parts, log.offset_min)


@dataclass(slots=True)
class _Log:
    """What the records of a log say: its span, its variables, until when tags are known."""

    begin_ms: int = 0
    end_ms: int = 0
    seen_ms: int = 0
    offset_min: int = 0
    variables: dict[str, Series] = field(default_factory=dict)
    dimensions: dict[str, str] = field(default_factory=dict)


def _read(source: Source) -> _Log:
    log = _Log()
    for row in select(source, Filter()):
        utc_ms, local_ms = times_of(row)
        if not log.begin_ms:
            log.begin_ms, log.offset_min = utc_ms, (local_ms - utc_ms) // _MS_PER_MIN
        log.end_ms = max(log.end_ms, utc_ms)
        data = row["data"]
        if row["event"] == "history.tags":
            log.seen_ms = max(log.seen_ms, times_of({"time": data["to"]})[0])
        elif row["event"] == "variable.set":
            name, unit = str(data["name"]), str(data["unit"])
            log.dimensions[name] = "text" if unit == "text" else _DIMENSION_OF.get(unit, "count")
            value = str(data["new"]) if unit == "text" else float(data["new"])
            log.variables.setdefault(name, Series()).add(utc_ms, value)
    if not log.begin_ms:
        raise RecordFailure("the log has no records", where=source.directory)
    return log


def _names(source: Source, log: _Log) -> dict[str, Name]:
    names = {name: Name("variable", NAMED[found]) for name, found in log.dimensions.items()}
    for tag, unit in units_of(source).items():
        try:
            names[tag] = Name("tag", NAMED[unit_factor(unit)[0]])
        except ValueError:
            continue  # of a unit that no expression can name
    if not names:
        raise BadInput("this log keeps no plan of its unit: nothing can be asked about it",
                       where=source.directory, do="Ask about the log of a batch.")  # fmt: skip
    return names


def _tags(source: Source, wanted: set[str], seen_ms: int, growing: bool) -> dict[str, Series]:
    """The values of tags, each unknown again where it is bad, where nobody looked, and at last."""
    series = {name: Series() for name in wanted}
    if not wanted:
        return series
    stream = Stream(source.directory, growing, writes=False)
    points = 0
    for block in stream.blocks():
        numbers = [n for n, name in enumerate(stream.names.names) if name in wanted]
        rows = block[np.isin(block["tag"], numbers)]
        points += len(rows)
        if points > POINTS_MAX:
            raise BadInput(f"these tags have more than {POINTS_MAX} values", where=source.directory,
                           do="Ask with fewer tags.")  # fmt: skip
        good = (rows["quality"] == int(Quality.GOOD)) & np.isfinite(rows["value"])
        for at, number, value, known in zip(rows["time_ms"].tolist(), rows["tag"].tolist(),
                                            rows["value"].tolist(), good.tolist(),
                                            strict=True):  # fmt: skip
            series[stream.names.names[number]].add(at, value if known else None)
    for found in series.values():
        found.add(seen_ms, None)
    return series


def _utc(asked: Moment | None, offset_min: int, edge: int) -> int:
    if asked is None:
        return edge
    return asked.ms - offset_min * _MS_PER_MIN if asked.local else asked.ms


def evaluated(
    expression: Expression, series: Mapping[str, Series], begin_ms: int, end_ms: int
) -> Iterator[Stretch]:
    """The stretches of a condition over series of what its names were, one after the other."""
    world = _World(expression, series, begin_ms)
    at, value = begin_ms, world.look(begin_ms)
    while (following := world.next_ms()) < end_ms:
        found = world.look(following)
        if found is not value:
            yield Stretch(at, following, value)
            at, value = following, found
    if at < end_ms:
        yield Stretch(at, end_ms, value)


def _clipped(stretches: Iterator[Stretch], begin_ms: int) -> Iterator[Stretch]:
    for part in stretches:
        if part.end_ms > begin_ms:
            yield Stretch(max(part.begin_ms, begin_ms), part.end_ms, part.value)


class _World:
    """The environment of an expression that moves through recorded time."""

    def __init__(self, expression: Expression, series: Mapping[str, Series], begin_ms: int) -> None:
        self._expression, self._series = expression, series
        self._now = begin_ms
        self._places = {name: found.place(begin_ms) for name, found in series.items()}
        self._since = [_FAR] * len(expression.held)

    def look(self, at_ms: int) -> bool | None:
        """The value of the condition at a time not before the last one looked at."""
        self._now = at_ms
        for name, found in self._series.items():
            place = self._places[name]
            while place + 1 < len(found.times) and found.times[place + 1] <= at_ms:
                place += 1
            self._places[name] = place
        for part, held in enumerate(self._expression.held):
            if held.condition(self) is not True:
                self._since[part] = _FAR
            elif self._since[part] == _FAR:
                self._since[part] = at_ms
        value = self._expression.evaluate(self)
        return value if isinstance(value, bool) else None

    def next_ms(self) -> int:
        """When the value may be another one."""
        following = self._now + AGE_MS if self._expression.ages else _FAR
        for name, found in self._series.items():
            place = self._places[name] + 1
            if place < len(found.times):
                following = min(following, found.times[place])
        for since, held in zip(self._since, self._expression.held, strict=True):
            due = since + _lasts_ms(held) if since != _FAR else _FAR
            if due > self._now:
                following = min(following, due)
        return max(following, self._now + 1)

    def _value(self, name: str) -> Value:
        place = self._places[name]
        return self._series[name].values[place] if place >= 0 else None

    def tag(self, name: str) -> float | None:
        """A process value while it is good."""
        value = self._value(name)
        return value if isinstance(value, float) and math.isfinite(value) else None

    def variable(self, name: str) -> float | str | None:
        """A variable of the unit since it was set."""
        return self._value(name)

    def age(self, name: str) -> float | None:
        """Seconds since it was set last."""
        place = self._places[name]
        return (self._now - self._series[name].times[place]) / 1_000 if place >= 0 else None

    def held(self, part: int) -> bool:
        """Whether a `held(...)` has held long enough."""
        since = self._since[part]
        return since != _FAR and self._now - since >= _lasts_ms(self._expression.held[part])


def _lasts_ms(held: Held) -> int:
    return -(-held.duration_ns // _NS_PER_MS)


def as_rows(found: Found) -> list[dict[str, Any]]:
    """The stretches for a program."""
    return [
        {"from": found.local(part.begin_ms), "to": found.local(part.end_ms),
         "seconds": (part.end_ms - part.begin_ms) / 1_000, "value": part.value}
        for part in found.stretches
    ]  # fmt: skip

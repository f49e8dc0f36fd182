"""Which records somebody asked for: who, what, when, why, about which tag, in which batch.

A module because the same question must have the same answer with an index and without one: the
index only proposes records, `Filter.matches` decides, on the record as it was read from the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from controller.core.errors import BadInput

SEQ_MAX = 2**53
TEXT_MAX = 500
_PEOPLE = ("second", "user", "who", "executor")  # fields that name a person
_WHY = ("why", "cause")  # fields that say why, beside the record's own reason
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_WORD = re.compile(r"[^\W\d]\w*")
_HEX = re.compile(r"[0-9a-f]{8,}")  # frames and digests: hardly two alike, and nobody asks for one
_PLAIN = re.compile(r"[a-z_.]+")
WORD_MAX = 32


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in milliseconds since 1970; `local`: on the wall clock of the record it is held to."""

    ms: int
    local: bool

    def of(self, utc_ms: int, local_ms: int) -> int:
        """The one of a record's two times that this one is compared with."""
        return local_ms if self.local else utc_ms


def moment(text: str, *, end: bool = False) -> Moment:
    """A time as people give it: RFC 3339, or without an offset, or only a day (`end`: its last ms).

    Raises BadInput for anything else.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            f"{text[:40]!r} is not a time",
            do="Give it as 2026-01-05, 2026-01-05T08:30 or 2026-01-05T08:30:00+01:00; without an "
            "offset it is the local time of each record.",
        ) from error
    if end and _DAY.fullmatch(text.strip()):
        found += timedelta(days=1, milliseconds=-1)
    if found.tzinfo is not None:
        return Moment(_ms(found), local=False)
    return Moment(_local_ms(found), local=True)


def times_of(row: dict[str, Any]) -> tuple[int, int]:
    """A record's time in UTC and on its local wall clock, ms. Raises ValueError if it has none."""
    found = datetime.fromisoformat(row["time"])
    if found.tzinfo is None:
        raise ValueError(f"the time {row['time']!r} has no offset")
    return _ms(found), _local_ms(found)


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1_000)


def _local_ms(time: datetime) -> int:
    return _ms(time.replace(tzinfo=UTC))


def span(text: str) -> tuple[int, int]:
    """Record numbers `A..B`, `A..`, `..B` or `A`, both included. Raises BadInput."""
    first, dots, last = text.strip().partition("..")
    low, high = first or "0", (last or str(SEQ_MAX)) if dots else first
    good = all(part.isascii() and part.isdecimal() and len(part) <= 16 for part in (low, high))
    if not good or int(low) > int(high):
        raise BadInput(f"{text[:40]!r} is no range of record numbers",
                       do="Give --seq as 120..180, 120.. or ..180.")  # fmt: skip
    return int(low), int(high)


@dataclass(frozen=True)
class Filter:
    """A question to a log. What is empty asks nothing.

    `who`: a person or part of the system, as actor, second person or subject; with or without
    station; `*` stands for anything. `event`: a name or a pattern like `alarm.*`, or several with
    commas between them. `why`: part of a reason or cause. `tag`: a word that stands in the record's
    data. `batch`: a batch's id.
    """

    who: str = ""
    event: str = ""
    since: Moment | None = None
    until: Moment | None = None
    why: str = ""
    tag: str = ""
    batch: str = ""
    first: int = 0
    last: int = SEQ_MAX

    def __post_init__(self) -> None:
        for name in ("who", "event", "why", "tag", "batch"):
            if len(getattr(self, name)) > TEXT_MAX:
                raise BadInput(f"--{name} is longer than {TEXT_MAX} characters")

    @cached_property
    def _tag(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){re.escape(self.tag.casefold())}(?!\w)")

    @property
    def empty(self) -> bool:
        """Whether every record matches."""
        return self == Filter()

    @property
    def needle(self) -> bytes:
        """Bytes every matching payload holds, or none."""
        return f'"event":"{self.event}"'.encode() if _PLAIN.fullmatch(self.event) else b""

    def matches(self, row: dict[str, Any], log: str) -> bool:
        """Whether a record, of the log called `log`, is asked for."""
        return (
            self.first <= row["seq"] <= self.last
            and self.of_event(row["event"])
            and self.of_person(row)
            and self.in_time(row)
            and self.of_reason(row)
            and self.of_batch(row["data"], log)
            and (not self.tag or self.about(row["data"]))
        )

    def around(self, row: dict[str, Any], log: str) -> bool:
        """Whether what is packed in a chunk may be asked for, judged by the chunk's record."""
        begin, end = (row["data"].get(name) for name in ("from", "to"))
        if not isinstance(begin, str) or not isinstance(end, str):
            return replace(self, event="", tag="").matches(row, log)
        early, late = replace(self, until=None), replace(self, since=None)
        return (
            replace(self, event="", tag="", since=None, until=None).matches(row, log)
            and early.in_time({"time": end})
            and late.in_time({"time": begin})
        )

    def of_part(self, part: dict[str, Any]) -> bool:
        """Whether an unpacked row is asked for; `around` has said so of its chunk."""
        name = part["output"] if "output" in part else part["tag"]
        return (
            self.of_event(part["event"])
            and (not self.tag or self.about({"tag": name}))
            and ("time" not in part or self.in_time(part))
        )

    def of_event(self, name: str) -> bool:
        """Whether an event of this name is asked for."""
        return not self.event or any(fnmatchcase(name, part) for part in self.event.split(","))

    def of_person(self, row: dict[str, Any]) -> bool:
        """Whether somebody asked for stands in the record."""
        if not self.who:
            return True
        return any(self.is_who(name) for name in people(row))

    def is_who(self, name: str) -> bool:
        """Whether a name, as it stands in a record, is the one asked for."""
        wanted, found = self.who.casefold(), name.casefold()
        bare = found.removeprefix("unverified:")
        return any(fnmatchcase(form, wanted) for form in (found, bare, bare.partition("@")[0]))

    def in_time(self, row: dict[str, Any]) -> bool:
        """Whether the record's time is asked for; a record without a readable one is."""
        if self.since is None and self.until is None:
            return True
        try:
            times = times_of(row)
        except ValueError:
            return True
        return self.within(*times)

    def within(self, utc_ms: int, local_ms: int) -> bool:
        """Whether a time lies between `since` and `until`, both included."""
        since, until = self.since, self.until
        return (since is None or since.of(utc_ms, local_ms) >= since.ms) and (
            until is None or until.of(utc_ms, local_ms) <= until.ms
        )

    def of_reason(self, row: dict[str, Any]) -> bool:
        """Whether the reason or cause holds the text asked for."""
        wanted = self.why.casefold()
        return not wanted or any(wanted in text.casefold() for text in reasons(row))

    def of_batch(self, data: dict[str, Any], log: str) -> bool:
        """Whether a record is of the batch, or of another log and names it."""
        return not self.batch or log == self.batch or data.get("batch_id") == self.batch

    def about(self, data: Mapping[str, Any]) -> bool:
        """Whether the tag stands in the data as a word of its own."""
        return any(self._tag.search(text.casefold()) for text in texts(data))

    @cached_property
    def words(self) -> frozenset[str]:
        """Words (as `words_of` gives them) that the data of every match holds, where `tag` is asked
        for; empty if it has none."""
        return frozenset(words_of(self.tag))


def people(row: dict[str, Any]) -> Iterator[str]:
    """Everybody a record names as acting, agreeing or concerned."""
    yield row["actor"]
    for name in _PEOPLE:
        found = row["data"].get(name)
        if isinstance(found, str) and found:
            yield found


def reasons(row: dict[str, Any]) -> Iterator[str]:
    """What a record says about why."""
    if row["reason"]:
        yield row["reason"]
    for name in _WHY:
        found = row["data"].get(name)
        if isinstance(found, str) and found:
            yield found


def texts(data: Mapping[str, Any]) -> Iterator[str]:
    """Every text in a record's data, and the names of fields of inner objects."""
    for part in data.values():
        yield from _texts(part)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        yield from value
        yield from texts(value)


def words_of(text: str) -> Iterator[str]:
    """The words of a text by which an index knows a record; long ones and digests are left out."""
    for word in _WORD.findall(text.casefold()):
        if len(word) <= WORD_MAX and not _HEX.fullmatch(word):
            yield word

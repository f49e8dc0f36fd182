"""A log as people and programs read it: one row a record, history chunks unpacked on demand.

A module because what is shown must come from checked bytes: frames by their CRC, chunks by their
digest. Signatures are `verify`'s business.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from controller.core.errors import RecordFailure
from controller.core.events import EVENTS
from controller.core.quantity import decimal_text
from controller.core.signal import Quality
from controller.record import history, index, tags
from controller.record.entry import Context, read_records
from controller.record.frame import Damage, decode, read_frames, read_limited
from controller.record.layout import CHUNK_EVENTS
from controller.record.query import Filter, times_of
from controller.record.sources import STATION, Source, begun_ms

WRITE = "modulating.write"  # how an unpacked row is called; it is not a record of its own
VALUE = "tag.value"  # likewise, of a chunk of tags
TIMELESS = (WRITE, VALUE)
Row = dict[str, Any]


def rows(directory: Path, *, start: int = 0, expand: bool = False) -> Iterator[Row]:
    """The records of a log as stored, each with its `seq`, in order.

    With `expand`, every `history.chunk` is followed by its rows: `{"event": "modulating.write",
    "seq", "scan", "output", "value", "cause"}`, and every `history.tags` by its: `{"event":
    "tag.value", "seq", "time", "tag", "value", "unit", "quality", "reason"}`. Raises RecordFailure
    at the first damage.
    """
    asked = Filter(first=start)
    return select(Source("", directory), asked, expand=expand, indexed=False)


def select(
    source: Source, asked: Filter, *, expand: bool = False, indexed: bool = True
) -> Iterator[Row]:
    """The rows of one log that are asked for, as `rows` gives them.

    `indexed`: the index beside the log is asked where to look, if there is one; the rows are the
    same. An unpacked row is asked for by event and tag; a value of a tag by its own time, a write
    by the time of its chunk's record, which is at most a minute later.
    """
    found = _by_index(source, asked, expand) if indexed and not asked.empty else None
    for row in found if found is not None else _streamed(source.directory, asked, expand):
        if asked.matches(row, source.name):
            yield row
        if expand and row["event"] in CHUNK_EVENTS and asked.around(row, source.name):
            yield from (part for part in _unpacked(source.directory, row) if asked.of_part(part))


def _by_index(source: Source, asked: Filter, expand: bool) -> Iterator[Row] | None:
    path = index.usable(source)
    if path is None:
        return None
    return _from_places(source.directory, path, asked, expand)


def _from_places(directory: Path, path: Path, asked: Filter, expand: bool) -> Iterator[Row]:
    """By the index; where it breaks off, the log itself is read on."""
    reached = asked.first
    try:
        for row in index.read_at(directory, index.places(path, asked, expand=expand)):
            yield row
            reached = row["seq"] + 1
    except sqlite3.Error:
        yield from read_records(directory, reached)


def _streamed(directory: Path, asked: Filter, expand: bool) -> Iterator[Row]:
    """Records that may match, read from the first to the last; others are not decoded if the kind
    of event tells them apart."""
    context, needle = Context(), b"" if expand else asked.needle
    for frame in read_frames(directory):
        if isinstance(frame, Damage):
            yield from read_records(directory, frame.seq)  # it says what is wrong, and where
            return
        if frame.seq > asked.last:
            return
        if needle and needle not in frame.payload and b'"boot_id"' not in frame.payload:
            continue
        try:
            record = context.fill(decode(frame.payload))
        except ValueError as error:
            raise RecordFailure(str(error), where=f"{directory}, {frame.where}") from error
        if frame.seq >= asked.first:
            record["seq"] = frame.seq
            yield record


def select_all(
    sources: Sequence[Source],
    asked: Filter,
    *,
    of: Callable[[Source], Iterator[Row]],
) -> Iterator[Row]:
    """The rows that `of` gives for each log, by time, each with `log`, the name of its log.

    A log is opened when its time has come. One that is damaged ends there; the others go on, and
    at the end RecordFailure says which.
    """
    failures: list[RecordFailure] = []
    waiting: list[tuple[int, int, Row | None, Iterator[Row]]] = []
    for number, source in enumerate(sources):
        if not asked.batch or source.name in (asked.batch, STATION):
            waiting.append((begun_ms(source.directory), number, None, of(source)))
    heapq.heapify(waiting)
    while waiting:
        since, number, row, left = heapq.heappop(waiting)
        if row is not None:
            yield {"log": sources[number].name, **row}
        try:
            after = next(left, None)
        except RecordFailure as failure:
            failures.append(failure)
            continue
        if after is not None:
            heapq.heappush(waiting, (_time_of(after, since), number, after, left))
    if failures:
        raise failures[0]


def _time_of(row: Row, before: int) -> int:
    """When a row is due beside those of other logs; an unpacked row follows its chunk's record."""
    try:
        return before if row["event"] in TIMELESS else times_of(row)[0]
    except ValueError:
        return before


def _unpacked(directory: Path, record: Row) -> Iterator[Row]:
    name = record["data"]["file"]
    data = read_limited(directory / name, history.CHUNK_BYTES_MAX)
    if hashlib.sha256(data).hexdigest() != record["data"]["sha256"]:
        raise RecordFailure(
            f"its contents are not those that record {record['seq']} names", where=name
        )
    parts = _writes if record["event"] == "history.chunk" else _values
    yield from ({**part, "seq": record["seq"]} for part in parts(data))


def _writes(data: bytes) -> Iterator[Row]:
    head, found = history.decode(data)
    for scan, output, value, cause in found.tolist():
        yield {"event": WRITE, "seq": 0, "scan": scan, "output": head.outputs[output],
               "value": decimal_text(value, 12), "cause": cause}  # fmt: skip


def _values(data: bytes) -> Iterator[Row]:
    cover, found = tags.decode(data)
    zone = timezone(timedelta(minutes=cover.offset_min))
    reasons = tags.words_of(found["reason"].tolist())
    for (time, tag, value, quality, _), reason in zip(found.tolist(), reasons, strict=True):
        moment = datetime.fromtimestamp((cover.begin_ms + time) / 1_000, zone)
        yield {"event": VALUE, "seq": 0, "time": moment.isoformat(timespec="milliseconds"),
               "tag": cover.tags[tag], "unit": cover.units[tag],
               "value": None if math.isnan(value) else decimal_text(value, 12),
               "quality": Quality(quality).name.lower(), "reason": reason}  # fmt: skip


def lines(found: Iterator[Row]) -> Iterator[str]:
    """Rows as lines of text: log, number, local time, who, what; then the reason, if given."""
    for row in found:
        yield printable(_words(row))


def show(directory: Path, *, start: int = 0, expand: bool = False) -> Iterator[str]:
    """The rows of one log as lines of text."""
    return lines(rows(directory, start=start, expand=expand))


def printable(line: str) -> str:
    """A line that cannot move the cursor or colour the terminal."""
    return line if line.isprintable() else "".join(map(_visible, line))


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _words(row: Row) -> str:
    log = f"{row['log']:<24}  " if "log" in row else ""
    if row["event"] == WRITE:
        what = f"{row['output']} = {row['value']} (cause {row['cause']})"
        return f"{log}{'':>8}  scan {row['scan']:<26}  {what}"
    if row["event"] == VALUE:
        value = "no value" if row["value"] is None else f"{row['value']} {row['unit']}".strip()
        doubt = "" if row["quality"] == "good" else f" ({row['quality']}, {row['reason']})"
        return f"{log}{'':>8}  {row['time']}  {row['tag']} = {value}{doubt}"
    return log + _line(row)


def said(row: Row) -> str:
    """What a record says, in words; its data where this program does not know the event."""
    declared = EVENTS.get(row["event"])
    try:
        return declared.words(row["data"]) if declared else str(row["data"])
    except (KeyError, IndexError):
        return str(row["data"])


def _line(row: Row) -> str:
    who = f"{row['actor']} ({row['role']})" if row["role"] else row["actor"]
    reason = f"  Reason: {row['reason']}" if row["reason"] else ""
    return f"{row['seq']:>8}  {row['time']}  {row['event']:<20}  {who}: {said(row)}{reason}"

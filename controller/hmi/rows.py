"""The record as a page shows it: the last rows, numbered, in words.

Kept by the server's thread. What was recorded before the screen started is read once from the logs
on the disk; what comes afterwards arrives by the supervisor's listener, durable already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from controller.core.errors import RecordFailure
from controller.core.events import EVENTS, Event
from controller.hmi.limits import ROWS_A_PAGE, ROWS_KEPT
from controller.record.entry import read_records

Row = dict[str, Any]
EARLIER = 2_000
PREFIXES = 16


def row_of(number: int, event: Event) -> Row:
    """One row of an event."""
    return {
        "n": number, "utc": event.stamp.rfc3339(), "actor": event.actor, "role": event.role,
        "event": event.name, "severity": event.severity.value, "words": event.words(),
        "reason": event.reason,
    }  # fmt: skip


def earlier(logs: Sequence[tuple[Path, int]]) -> list[Row]:
    """The last rows of logs, each up to a record's number, by time; without numbers of their own.

    A log that cannot be read to its end gives what is before the damage.
    """
    found: list[Row] = []
    for directory, end in logs:
        kept: deque[Row] = deque(maxlen=EARLIER)
        try:
            for record in read_records(directory):
                if record["seq"] >= end:
                    break
                kept.append(_of_record(record))
        except (RecordFailure, OSError):
            pass  # said by the log itself; the screen shows what there is
        found += kept
    return sorted(found, key=lambda row: str(row["utc"]))[-EARLIER:]


def _of_record(record: dict[str, Any]) -> Row:
    kind = EVENTS.get(record["event"])
    try:
        words = kind.words(record["data"]) if kind else str(record["event"])
    except (KeyError, IndexError):
        words = str(record["event"])  # of another version, with other fields
    return {
        "n": 0, "utc": record["time"], "actor": record["actor"], "role": record["role"],
        "event": record["event"], "severity": kind.severity.value if kind else "info",
        "words": words, "reason": record["reason"],
    }  # fmt: skip


def ended_sessions(station: tuple[Path, int]) -> list[str]:
    """The ids of the sessions that the last rows of the station log say were ended."""
    found: deque[str] = deque(maxlen=EARLIER)
    with suppress(RecordFailure, OSError):
        for record in read_records(station[0]):
            if record["seq"] >= station[1]:
                break
            if record["event"] == "session.ended":
                found.append(str(record["data"].get("session", "")))
    return list(found)


class Rows:
    """The last ROWS_KEPT rows."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque(maxlen=ROWS_KEPT)
        self._known: set[tuple[str, str, str]] = set()

    def begin(self, rows: Sequence[Row], last: int) -> None:
        """Takes what was recorded before; `last` is the number of its last row."""
        first = last - len(rows) + 1
        self._rows.extend({**row, "n": number} for number, row in enumerate(rows, first))
        self._known = {_key(row) for row in rows}

    def add(self, events: Iterable[tuple[int, Event]]) -> None:
        """Takes numbered events, oldest first.

        Of the first ones some may have been read from the logs already.
        """
        fresh = [row_of(number, event) for number, event in events]
        self._rows.extend(row for row in fresh if _key(row) not in self._known)
        self._known = set() if fresh else self._known

    def page(self, before: int | None, limit: int, events: str = "") -> list[Row]:
        """The newest rows with a number below `before`, oldest first.

        `events`: how the names of the wanted events begin, up to PREFIXES of them between commas;
        empty: all.
        """
        limit = min(max(limit, 1), ROWS_A_PAGE)
        wanted = tuple(part for part in events.split(",", PREFIXES)[:PREFIXES] if part) or ("",)
        found: list[Row] = []
        for row in reversed(self._rows):
            if (before is None or row["n"] < before) and row["event"].startswith(wanted):
                found.append(row)
                if len(found) == limit:
                    break
        return found[::-1]


def _key(row: Row) -> tuple[str, str, str]:
    return str(row["utc"]), str(row["event"]), str(row["words"])

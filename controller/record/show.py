"""A log as people and programs read it: one row a record, history chunks unpacked on demand.

A module because what is shown must come from checked bytes: frames by their CRC, chunks by their
digest. Signatures are `verify`'s business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller.core.errors import RecordFailure
from controller.core.events import EVENTS
from controller.core.quantity import decimal_text
from controller.record import history
from controller.record.entry import read_records
from controller.record.frame import read_limited

WRITE = "modulating.write"  # how an unpacked row is called; it is not a record of its own


def rows(directory: Path, *, start: int = 0, expand: bool = False) -> Iterator[dict[str, Any]]:
    """The records of a log as stored, each with its `seq`, in order.

    With `expand`, every `history.chunk` is followed by its rows: `{"event": "modulating.write",
    "seq", "scan", "output", "value", "cause"}`. Raises RecordFailure at the first damage.
    """
    for record in read_records(directory, start):
        yield record
        if expand and record["event"] == "history.chunk":
            yield from _unpacked(directory, record)


def _unpacked(directory: Path, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = record["data"]["file"]
    data = read_limited(directory / name, history.CHUNK_BYTES_MAX)
    if hashlib.sha256(data).hexdigest() != record["data"]["sha256"]:
        raise RecordFailure(
            f"its contents are not those that record {record['seq']} names", where=name
        )
    head, found = history.decode(data)
    for scan, output, value, cause in found.tolist():
        yield {
            "event": WRITE,
            "seq": record["seq"],
            "scan": scan,
            "output": head.outputs[output],
            "value": decimal_text(value, 12),
            "cause": cause,
        }


def show(directory: Path, *, start: int = 0, expand: bool = False) -> Iterator[str]:
    """The same rows as lines of text: number, local time, who, what; then the reason, if given."""
    for row in rows(directory, start=start, expand=expand):
        line = _write_line(row) if row["event"] == WRITE else _line(row)
        yield line if line.isprintable() else "".join(map(_visible, line))


def _visible(char: str) -> str:
    """A character that cannot move the cursor or colour the terminal."""
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _write_line(row: dict[str, Any]) -> str:
    what = f"{row['output']} = {row['value']} (cause {row['cause']})"
    return f"{'':>8}  scan {row['scan']:<26}  {what}"


def _line(row: dict[str, Any]) -> str:
    declared = EVENTS.get(row["event"])
    try:
        words = declared.words(row["data"]) if declared else str(row["data"])
    except (KeyError, IndexError):
        words = str(row["data"])
    who = f"{row['actor']} ({row['role']})" if row["role"] else row["actor"]
    reason = f"  Reason: {row['reason']}" if row["reason"] else ""
    return f"{row['seq']:>8}  {row['time']}  {row['event']:<20}  {who}: {words}{reason}"

"""An event as a record's fields and back: what is stored of the time, and when.

A module because `boot_id`, `sync` and `offset_min` hardly change: they stand in the first record
and where they change, so writer and reader must carry the same small state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_MS, Stamp
from controller.core.errors import RecordFailure
from controller.core.events import Event
from controller.record.frame import FORMAT, Damage, canonical, decode, read_frames


@dataclass(slots=True)
class Context:
    """The version of a log, and the boot id and clock discipline in force after a record."""

    boot_id: str = ""
    sync: str = ""
    version: int = FORMAT
    _time_of: Stamp | None = None
    _time: str = ""

    def encode(self, event: Event) -> bytes:
        """The payload of an event. Raises BadInput and changes nothing if it cannot be stored."""
        stamp = event.stamp
        if stamp is not self._time_of:
            self._time, self._time_of = stamp.rfc3339(), stamp
        record: dict[str, Any] = {
            "v": self.version,
            "event": event.name,
            "time": self._time,
            "mono_ns": str(stamp.mono_ns),
            "boottime_ns": str(stamp.boottime_ns),
            "actor": event.actor,
            "role": event.role,
            "reason": event.reason,
            "data": dict(event.data),
        }
        if event.source:
            record["source"] = event.source
        changed = stamp.boot_id != self.boot_id or stamp.sync != self.sync
        if changed:
            record["boot_id"], record["sync"] = stamp.boot_id, stamp.sync
        payload = canonical(record)
        if changed:
            self.boot_id, self.sync = stamp.boot_id, stamp.sync
        return payload

    def fill(self, record: dict[str, Any]) -> dict[str, Any]:
        """Gives a stored record the context it was stored without."""
        self.boot_id = record.setdefault("boot_id", self.boot_id)
        self.sync = record.setdefault("sync", self.sync)
        return record


def stamp_of(record: dict[str, Any]) -> Stamp:
    """The instant of a record as `read_records` gives it; its wall clock to the millisecond.

    Raises ValueError if its times are none.
    """
    moment = datetime.fromisoformat(record["time"])
    offset = moment.utcoffset()
    return Stamp(
        int(record["mono_ns"]), int(record["boottime_ns"]),
        round(moment.timestamp() * 1_000) * NS_PER_MS,
        0 if offset is None else round(offset.total_seconds()) // 60,
        record["boot_id"], record["sync"],
    )  # fmt: skip


def event_of(record: dict[str, Any]) -> Event:
    """The event a record was made from. Raises ValueError for one this program does not know."""
    return Event(
        record["event"], stamp_of(record), record["actor"], record["role"], record["reason"],
        record["data"], record.get("source", ""),
    )  # fmt: skip


def read_records(directory: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """The records of a log from number `start`, each with its `seq` and full context.

    Reads what is on the disk; checks CRC-32 and order, not the signatures (that is `verify`).
    Raises RecordFailure at the first damage, after everything before it.
    """
    context = Context()
    for frame in read_frames(directory):
        if isinstance(frame, Damage):
            raise RecordFailure(
                frame.what,
                where=f"{directory}, {frame.where}",
                means="What follows in this log cannot be trusted.",
                do="Keep the directory as it is and run `cellwright log verify` on it.",
            )
        try:
            record = context.fill(decode(frame.payload))
        except ValueError as error:
            raise RecordFailure(str(error), where=f"{directory}, {frame.where}") from error
        if frame.seq >= start:
            record["seq"] = frame.seq
            yield record

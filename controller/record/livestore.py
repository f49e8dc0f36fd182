"""The process history as a SQLite file beside the log, for whoever asks while the batch runs.

Never the truth: it is made from what the chunks will hold, by a thread of its own, and made anew
from the chunks when it is missing, damaged or not complete. A module because nothing it does, or
fails to do, may reach the tick. One connection, and no write-ahead log: SQLite before 3.51.3 can
damage a file that two connections use with one (sqlite.org/wal.html, "the WAL-reset bug").
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from controller.core.errors import RecordFailure
from controller.core.signal import Reason
from controller.record.process import GAP, Stream

NAME = "history.sqlite"
MOMENTS_MAX = 3_600  # looks that wait for the disk; then the file is made anew at the next start
COMMIT_S = 2.0
JOIN_S = 5.0
_SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE tags(tag INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, unit TEXT NOT NULL);
CREATE TABLE rows(time_ms INTEGER NOT NULL, tag INTEGER NOT NULL, value REAL,
    quality INTEGER NOT NULL, reason INTEGER NOT NULL, offset_min INTEGER NOT NULL);
CREATE TABLE reasons(reason INTEGER PRIMARY KEY, word TEXT NOT NULL);
CREATE INDEX by_tag ON rows(tag, time_ms);
CREATE VIEW history AS SELECT time_ms, offset_min, tags.name AS tag, value, unit,
    CASE quality WHEN 0 THEN 'good' WHEN 1 THEN 'uncertain' WHEN 2 THEN 'bad' ELSE 'gap' END
    AS quality, ifnull(word, reason) AS reason
    FROM rows JOIN tags USING (tag) LEFT JOIN reasons USING (reason);
"""
_INSERT = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)"
Row = tuple[int, int, float | None, int, int, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """What one look kept: columns of one length. Without `joined` nobody looked before it."""

    offset_min: int
    joined: bool
    time_ms: npt.NDArray[Any]
    tag: npt.NDArray[Any]
    value: npt.NDArray[Any]
    quality: npt.NDArray[Any]
    reason: npt.NDArray[Any]

    def rows(self) -> list[Row]:
        """The rows as they are stored; a value that is not good enough is none."""
        columns = (self.time_ms, self.tag, self.value, self.quality, self.reason)
        return [
            (at, tag, None if value != value else value, quality, reason, self.offset_min)
            for at, tag, value, quality, reason in zip(*(c.tolist() for c in columns), strict=True)
        ]


def rebuild(log: Path, sqlite: Path, boot_id: str = "", growing: bool = True) -> int:
    """Makes the file anew from the chunks of a log; how many rows it has.

    It takes the place of the old one when it is whole. `growing`: the log may still be written to.
    Raises RecordFailure for a damaged log, OSError or sqlite3.Error when the disk refuses.
    """
    fresh = sqlite.with_name(sqlite.name + ".new")
    for path in (fresh, Path(f"{fresh}-journal")):
        path.unlink(missing_ok=True)
    stream, count, known = Stream(log, growing, writes=False), 0, 0
    with closing(_connect(fresh)) as db:
        db.executescript(_SCHEMA)
        db.executemany("INSERT INTO reasons VALUES (?, ?)",
                       [(int(reason), reason.name.lower()) for reason in Reason])  # fmt: skip
        for block in stream.blocks():
            names = stream.names
            added = range(known, len(names.names))
            db.executemany("INSERT INTO tags VALUES (?, ?, ?)",
                           [(n, names.names[n], names.units[n]) for n in added])  # fmt: skip
            known += len(added)
            columns = (block["time_ms"], block["tag"], block["value"], block["quality"],
                       block["reason"], block["offset_min"])  # fmt: skip
            rows = zip(*(column.tolist() for column in columns), strict=True)
            db.executemany(_INSERT, ((t, n, None if v != v else v, q, r, o)
                                     for t, n, v, q, r, o in rows))  # fmt: skip
            count += len(block)
        _set(db, boot_id=boot_id, whole="1")
        db.commit()
    Path(f"{sqlite}-journal").unlink(missing_ok=True)  # it would undo what is new
    fresh.replace(sqlite)
    return count


class LiveStore:
    """Keeps one batch's file up to date from what the supervisor looked at. Only live."""

    def __init__(
        self, log: Path, sqlite: Path, names: Sequence[str], units: Sequence[str], boot_id: str
    ) -> None:
        """`names` and `units` are those the tags of a Moment count through. Starts its thread."""
        self.trouble = ""  # why it stopped; the batch needs nothing of it
        self._log, self._path = log, sqlite
        self._tags = list(zip(names, units, strict=True))
        self._boot_id = boot_id
        self._queue: queue.Queue[Moment | None] = queue.Queue(MOMENTS_MAX)
        self._lost = False
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def put(self, moment: Moment) -> None:
        """Hands over what was kept; never waits. What does not fit makes the file incomplete."""
        try:
            self._queue.put_nowait(moment)
        except queue.Full:
            self._lost = True

    def close(self, wait: bool = True) -> None:
        """What waits is still written, then the file is let go; `wait` for it, JOIN_S at most."""
        with suppress(queue.Full):
            self._queue.put_nowait(None)
        if wait:
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        try:
            with closing(self._open()) as db:
                self._follow(db)
        except (sqlite3.Error, OSError, RecordFailure) as error:
            self.trouble = f"{type(error).__name__}: {error}"[:300]

    def _open(self) -> sqlite3.Connection:
        """The file as the last supervisor left it, or a new one made from the chunks."""
        with suppress(sqlite3.Error):
            if self._path.exists():
                db = _connect(self._path)
                if _whole(db, self._boot_id):
                    return db
                db.close()
        rebuild(self._log, self._path, self._boot_id)
        return _connect(self._path)

    def _follow(self, db: sqlite3.Connection) -> None:
        places = self._places(db)
        last = db.execute("SELECT time_ms FROM rows ORDER BY rowid DESC LIMIT 1").fetchone()
        end_ms = last[0] if last else None  # when somebody looked last
        ended, marked = False, False
        while not ended:
            moments = self._some()
            ended = None in moments
            for moment in moments:
                if moment is None:
                    continue
                rows = moment.rows()
                if not moment.joined and end_ms is not None:
                    offset = moment.offset_min
                    _add(db, [(end_ms, place, None, GAP, 0, offset) for place in places.values()])
                _add(db, ((t, places[n], v, q, r, o) for t, n, v, q, r, o in rows))
                end_ms = rows[-1][0]
            if self._lost and not marked:
                marked = True
                _set(db, whole="0")
            db.commit()

    def _some(self) -> list[Moment | None]:
        """What came within COMMIT_S; waits for the first."""
        found = [self._queue.get()]
        until = time.monotonic() + COMMIT_S
        while found[-1] is not None and len(found) < MOMENTS_MAX:
            try:
                found.append(self._queue.get(timeout=max(until - time.monotonic(), 0)))
            except queue.Empty:
                break
        return found

    def _places(self, db: sqlite3.Connection) -> dict[int, int]:
        """From a Moment's number of a tag to the file's."""
        db.executemany("INSERT OR IGNORE INTO tags(name, unit) VALUES (?, ?)", self._tags)
        known = dict(db.execute("SELECT name, tag FROM tags"))
        return {number: known[name] for number, (name, _) in enumerate(self._tags)}


def _connect(path: Path) -> sqlite3.Connection:
    """After a crash of the program the journal mends the file; after one of the machine, where
    nothing was waited for, the file is of another boot and made anew."""
    db = sqlite3.connect(path, timeout=JOIN_S, isolation_level="DEFERRED")
    db.execute("PRAGMA journal_mode=DELETE")
    db.execute("PRAGMA synchronous=OFF")
    return db


def _whole(db: sqlite3.Connection, boot_id: str) -> bool:
    """Whether the file can be gone on with: not damaged, complete, of this boot."""
    meta = dict(db.execute("SELECT name, value FROM meta"))
    if meta != {"boot_id": boot_id, "whole": "1"}:
        return False
    return bool(db.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))


def _set(db: sqlite3.Connection, **values: str) -> None:
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())


def _add(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    db.executemany(_INSERT, rows)

"""An index over a log in SQLite: which records may answer a question. Rebuildable, never the truth.

A module because it must be impossible to rely on: it names places in the log, the log is read
there, and an index of another log, of another root or damaged is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from controller.core.errors import BadInput, CellwrightError, RecordFailure
from controller.record.checkpoints import LAST
from controller.record.entry import Context
from controller.record.frame import (
    HEADER_BYTES,
    Damage,
    Frame,
    decode,
    open_plain,
    payload_at,
    read_frames,
    read_limited,
    segment_files,
)
from controller.record.layout import CHUNK_EVENTS, VKEY
from controller.record.note import NOTE_BYTES_MAX
from controller.record.query import Filter, people, reasons, texts, times_of, words_of
from controller.record.sources import Source, is_sealed
from controller.record.tree import Tree, leaf_hash

NAME = "index.sqlite"
FORMAT = 1
_BATCH = 20_000  # rows written at once
_SHORT = 40  # characters; the words of longer texts are not kept: such a record is always proposed
_PAYLOAD_READ_MAX = 1 << 17  # more than any payload has
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE record (seq INTEGER PRIMARY KEY, segment INTEGER, offset INTEGER, event INTEGER,
                     utc_ms INTEGER, local_ms INTEGER, why INTEGER, long INTEGER);
CREATE TABLE context (seq INTEGER PRIMARY KEY, boot_id TEXT, sync TEXT);
CREATE TABLE person (word INTEGER, seq INTEGER, PRIMARY KEY (word, seq)) WITHOUT ROWID;
CREATE TABLE mention (word INTEGER, seq INTEGER, PRIMARY KEY (word, seq)) WITHOUT ROWID;
"""
_AFTER = "CREATE INDEX by_event ON record (event, seq);"
_PROPOSED = """
SELECT seq, segment, offset, ifnull((SELECT other.offset FROM record AS other WHERE
    other.seq = record.seq - 1 AND other.segment = record.segment), -1) FROM record
"""
_PUT = {
    "word": "INSERT INTO word VALUES (?, ?)",
    "record": "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "context": "INSERT INTO context VALUES (?, ?, ?)",
    "person": "INSERT OR IGNORE INTO person VALUES (?, ?)",
    "mention": "INSERT OR IGNORE INTO mention VALUES (?, ?)",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record may lie that answers a question; `before`: the frame before, or -1."""

    seq: int
    segment: int
    offset: int
    before: int
    boot_id: str
    sync: str


@dataclass(frozen=True, slots=True)
class Built:
    """An index that is of its log as it is: records, root (hex), and whether it had to be made."""

    path: Path
    records: int
    root: str
    made: bool


@dataclass(slots=True)
class _Writer:
    """Rows on their way into a new index."""

    base: sqlite3.Connection
    words: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {name: [] for name in _PUT}
    )
    context: Context = field(default_factory=Context)
    known: tuple[str, str] = ("", "")

    def word(self, text: str) -> int:
        """The number of a word."""
        found = self.words.get(text)
        if found is None:
            found = self.words[text] = len(self.words)
            self.waiting["word"].append((found, text))
        return found

    def take(self, frame: Frame) -> None:
        """Adds a record. Raises ValueError if it is none."""
        row = self.context.fill(decode(frame.payload))
        seq, put = frame.seq, self.waiting
        segment, event = int(frame.file[-12:-4]), self.word(row["event"])
        said = list(texts(row["data"]))
        flags = (any(reasons(row)), any(len(text) > _SHORT for text in said))
        put["record"].append((seq, segment, frame.offset, event, *_times(row), *flags))
        now = (row["boot_id"], row["sync"])
        if now != self.known or seq == 0:
            put["context"].append((seq, *now))
            self.known = now
        put["person"] += [(self.word(name), seq) for name in set(people(row))]
        found = {word for text in said if len(text) <= _SHORT for word in words_of(text)}
        put["mention"] += [(self.word(name), seq) for name in found]
        if len(put["record"]) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        for name, rows in self.waiting.items():
            self.base.executemany(_PUT[name], rows)
            rows.clear()


def _times(row: dict[str, Any]) -> tuple[int, int] | tuple[None, None]:
    try:
        return times_of(row)
    except ValueError:
        return None, None


def usable(source: Source) -> Path | None:
    """The index to ask, if there is one; of a sealed log it is mended, an open one outgrows it."""
    path = source.beside(NAME)
    if not path.is_file():
        return None
    try:
        if is_sealed(source.directory):
            return ensure(source).path
        return path if _fresh(source, path) else None
    except CellwrightError:
        return None


def ensure(source: Source, *, again: bool = False) -> Built:
    """The index beside a log, made or made anew if it is missing, stale, foreign or damaged.

    `again`: made anew in any case. Raises RecordFailure for a log that is damaged (what is missing
    there cannot be told from what was not asked for), BadInput if nothing can be written beside it.
    """
    path = source.beside(NAME)
    found = None if again else _fresh(source, path)
    if found is not None:
        return found
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        aside.unlink(missing_ok=True)
        built = _build(source, aside, path)
        aside.replace(path)
    except (sqlite3.Error, OSError) as error:
        raise BadInput(f"no index can be written: {error}", where=path,
                       do="Give this user the right to write there, or ask without an index.",
                       ) from error  # fmt: skip
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
    return built


def _build(source: Source, aside: Path, path: Path) -> Built:
    state = _state(source.directory)
    tree = Tree()
    with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as base:
        base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        base.execute("BEGIN")
        writer = _Writer(base)
        for item in read_frames(source.directory):
            if isinstance(item, Damage):
                raise RecordFailure(
                    f"{item.what}; no index is made of a log that is not whole",
                    where=f"{source.directory}, {item.where}",
                    do="Run `cellwright log verify` on it; `show` reads it without an index.",
                )
            try:
                writer.take(item)
            except ValueError as error:
                where = f"{source.directory}, {item.where}"
                raise RecordFailure(str(error), where=where) from error
            tree.push(leaf_hash(item.payload))
        writer.flush()
        base.execute(_AFTER)
        facts = {"format": FORMAT, "size": tree.size, "root": tree.root().hex(), **state}
        base.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        base.execute("COMMIT")
    return Built(path, tree.size, tree.root().hex(), made=True)


def _state(directory: Path) -> dict[str, str]:
    """What changes when a log does: its key, its last checkpoint, its segments' names and sizes."""
    vkey = read_limited(directory / VKEY, NOTE_BYTES_MAX)
    note = read_limited(directory / LAST, NOTE_BYTES_MAX)
    found = [(path.name, path.stat()) for path in segment_files(directory)]
    sealed = is_sealed(directory)  # else records may come and the size stay: space is set aside
    sizes = [f"{name} {at.st_size} {0 if sealed else at.st_mtime_ns}" for name, at in found]
    return {
        "vkey": hashlib.sha256(vkey).hexdigest(),
        "checkpoint": hashlib.sha256(note).hexdigest(),
        "segments": hashlib.sha256("\n".join(sizes).encode()).hexdigest(),
    }


def _fresh(source: Source, path: Path) -> Built | None:
    """The index at `path` if it was made from the log as it is now."""
    if not path.is_file():
        return None
    try:
        with contextlib.closing(_open(path)) as base:
            meta = dict(base.execute("SELECT name, value FROM meta"))
            size, root = meta["size"], meta["root"]
            wanted = {"format": FORMAT, **_state(source.directory)}
            rows = base.execute("SELECT count(*), max(seq) FROM record").fetchone()
    except (sqlite3.Error, RecordFailure, OSError, KeyError):
        return None
    if any(meta.get(name) != value for name, value in wanted.items()):
        return None
    return Built(path, size, root, made=False) if rows == (size, size - 1) else None


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def places(path: Path, asked: Filter, *, expand: bool) -> Iterator[Place]:
    """Every place where a match may lie, in order; others too. Raises sqlite3.Error."""
    with contextlib.closing(_open(path)) as base:
        context = base.execute("SELECT seq, boot_id, sync FROM context ORDER BY seq").fetchall()
        begins = [seq for seq, _, _ in context]
        names = dict(base.execute("SELECT text, id FROM word"))
        text, given = _question(asked, names, expand)
        for seq, segment, offset, before in base.execute(text, given):
            _, boot_id, sync = context[bisect_right(begins, seq) - 1]
            yield Place(seq, segment, offset, before, boot_id, sync)


def _question(asked: Filter, names: dict[str, int], expand: bool) -> tuple[str, list[Any]]:
    """The SQL that proposes records: never fewer than match."""
    chunks = json.dumps([names[name] for name in CHUNK_EVENTS if expand and name in names])
    parts = ["seq BETWEEN ? AND ?"]
    given: list[Any] = [asked.first, asked.last]
    chunk = "event IN (SELECT value FROM json_each(?))"
    if asked.event:
        ids = [number for name, number in names.items() if asked.of_event(name)]
        parts.append(f"({chunk} OR {chunk})")
        given += [json.dumps(ids), chunks]
    if asked.who:
        ids = [number for name, number in names.items() if asked.is_who(name)]
        parts.append(
            "seq IN (SELECT seq FROM person WHERE word IN (SELECT value FROM json_each(?)))"
        )
        given.append(json.dumps(ids))
    if asked.why:
        parts.append("why")
    for word in sorted(asked.words):
        parts.append(f"(seq IN (SELECT seq FROM mention WHERE word = ?) OR long OR {chunk})")  # noqa: S608 - words are bound
        given += [names.get(word, -1), chunks]
    for limit, sign in ((asked.since, ">="), (asked.until, "<=")):
        if limit is not None:
            column = "local_ms" if limit.local else "utc_ms"
            parts.append(f"({column} IS NULL OR {column} {sign} ? OR {chunk})")
            given += [limit.ms, chunks]
    where = " AND ".join(parts)
    return f"{_PROPOSED} WHERE {where} ORDER BY seq", given


def _crc_at(file: BinaryIO, offset: int) -> int:
    file.seek(offset + 4)
    return int.from_bytes(file.read(4), "little")


def read_at(directory: Path, found: Iterator[Place]) -> Iterator[dict[str, Any]]:
    """The records at these places, checked as when the whole log is read.

    Raises RecordFailure where another record lies than the index says.
    """
    number, file = -1, None
    try:
        for place in found:
            name = f"segments/{place.segment:08d}.seg"
            if place.segment != number:
                if file is not None:
                    file.close()
                file, number = open_plain(directory / name), place.segment
            if file is None:
                continue
            before = _crc_at(file, place.before) if place.before >= 0 else 0
            file.seek(place.offset)
            data = file.read(HEADER_BYTES)
            data += file.read(min(int.from_bytes(data[:4], "little"), _PAYLOAD_READ_MAX))
            payload = payload_at(data, 0, place.seq, before)
            if isinstance(payload, str):
                where = f"{directory}, record {place.seq} ({name}, byte {place.offset})"
                raise RecordFailure(payload, where=where)
            row = Context(place.boot_id, place.sync).fill(decode(payload))
            row["seq"] = place.seq
            yield row
    except (OSError, ValueError) as error:
        raise RecordFailure(f"cannot be read: {error}", where=directory) from error
    finally:
        if file is not None:
            file.close()

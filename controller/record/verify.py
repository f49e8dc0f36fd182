"""Whether a log directory is what was signed: every byte of every file, and no file more.

A module because it must never share a decision with the writer: it reads, names what is wrong and
changes nothing. Formats and what each check covers: FORMAT.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rfc8785

from controller.core.errors import RecordFailure
from controller.core.events import EVENTS, check_recordable
from controller.record import history
from controller.record.checkpoints import HISTORY, LAST, Problem, Walk, read_last
from controller.record.frame import Damage, Frame, decode, read_frames, read_limited, segment_files
from controller.record.layout import (
    BLOB_BYTES_MAX,
    CERTIFICATE,
    VKEY,
    Identity,
    named_file,
    opening_problem,
    read_identity,
)
from controller.record.note import Checkpoint, NoteError
from controller.record.tree import Tree, leaf_hash

PROBLEMS_MAX = 100
_NAMED = ("history", "blobs", "torn")  # folders of files that records name


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict. `root` is hex over all readable records, `device` who certified the log's key.

    `ok` is true only without any problem. `sealed` tells a finished log from an open one: what
    follows the last checkpoint of an open log is covered by CRC-32 alone.
    """

    ok: bool
    records: int
    root: str
    problems: list[Problem]
    sealed: bool
    checkpoints: int
    covered: int
    kind: str
    origin: str
    device: str


@dataclass(slots=True)
class _State:
    """What the verifier knows so far."""

    directory: Path
    deep: bool
    tree: Tree = field(default_factory=Tree)
    last: Checkpoint | None = None
    last_data: bytes = b""
    kind: str = ""
    named: set[str] = field(default_factory=set)
    complete: bool = True


def verify(directory: Path, *, expect_sealed: bool = True, deep: bool = False) -> Report:
    """Checks a whole log directory; never raises for what it finds there.

    `expect_sealed`: a batch log that is not sealed is a problem. Give False only for the batch
    that the state's `current` names (see `state.StateDir.may_be_open`); a station log stays open.
    `deep` also checks every checkpoint's signature (else the last one, which covers the others by
    their chain), RFC 8785 form and declared fields of every record, and unpacks every chunk.
    """
    state = _State(directory, deep)
    problems: list[Problem] = []
    walk: Walk | None = None
    try:
        identity = read_identity(directory)
        problems += _read_last(state, identity)
        walk = Walk(directory, identity.log, identity.origin, deep=deep)
        for problem in _checks(state, identity, walk):
            problems.append(problem)
            if len(problems) >= PROBLEMS_MAX:
                problems.append(Problem(str(directory), "there is more; the check stopped here"))
                break
    except RecordFailure as failure:
        problems.append(Problem(_inside(directory, failure.where), failure.what))
    sealed = state.last is not None and state.last.sealed
    if not sealed and expect_sealed and state.kind == "batch":
        problems.append(
            Problem(LAST, "the log is not sealed: it was never finished, or its end is missing")
        )
    return Report(
        ok=not problems,
        records=state.tree.size,
        root=state.tree.root().hex(),
        problems=problems,
        sealed=sealed,
        checkpoints=walk.count if walk else 0,
        covered=state.last.size if state.last else 0,
        kind=state.kind,
        origin=identity.origin if walk else "",
        device=str(identity.device) if walk else "",
    )


def _read_last(state: _State, identity: Identity) -> list[Problem]:
    try:
        state.last_data, state.last = read_last(state.directory, identity.log)
    except NoteError as error:
        return [Problem(LAST, str(error))]
    except RecordFailure as failure:
        return [Problem(LAST, failure.what)]
    return []


def _checks(state: _State, identity: Identity, walk: Walk) -> Iterator[Problem]:
    for item in read_frames(state.directory):
        if isinstance(item, Damage):
            state.complete = False
            yield Problem(item.where, f"{item.what}; what follows it was not read")
            break
        yield from _check_record(state, identity, item)
        state.tree.push(leaf_hash(item.payload))
        yield from walk.reach(state.tree)
        if state.last and state.last.size == state.tree.size:
            yield from _check_root(state, state.last)
    yield from walk.finish(state.tree)
    yield from _check_end(state, walk)
    yield from _check_inventory(state)


def _check_record(state: _State, identity: Identity, frame: Frame) -> Iterator[Problem]:
    try:
        record = decode(frame.payload)
        if state.deep:
            _check_meaning(frame.payload, record)
        file = named_file(record)
    except ValueError as error:
        yield Problem(frame.where, str(error))
        return
    if frame.seq == 0:
        what = opening_problem(record, identity)
        if what:
            yield Problem(frame.where, what)
        state.kind = str(record["data"].get("kind"))
    if file is not None:
        state.named.add(file[0])
        yield from _check_file(state, record, frame, *file)


def _check_meaning(payload: bytes, record: dict[str, Any]) -> None:
    """Raises ValueError for a record that no writer of this format makes."""
    if rfc8785.dumps(record) != payload:
        raise ValueError("the payload is not in RFC 8785 form")
    check_recordable(record["data"], record["event"])
    declared = EVENTS.get(record["event"])
    if declared is None or set(record["data"]) != set(declared.fields):
        raise ValueError(f"the event {record['event']!r} is not declared with these fields")


def _check_file(
    state: _State, record: dict[str, Any], frame: Frame, name: str, digest: str
) -> Iterator[Problem]:
    try:
        data = read_limited(state.directory / name, BLOB_BYTES_MAX)
    except RecordFailure as failure:
        yield Problem(name, f"it {failure.what}; {frame.where} names it")
        return
    if hashlib.sha256(data).hexdigest() != digest:
        yield Problem(name, f"its contents are not those that {frame.where} names")
    elif state.deep and record["event"] == "history.chunk":
        try:
            head, rows = history.decode(data)
        except RecordFailure as failure:
            yield Problem(name, failure.what)
            return
        wanted = tuple(record["data"][key] for key in ("rows", "first_scan", "last_scan"))
        if wanted != (len(rows), head.first_scan, head.last_scan):
            yield Problem(name, f"it holds other rows than {frame.where} names")


def _check_root(state: _State, last: Checkpoint) -> Iterator[Problem]:
    if last.root != state.tree.root():
        yield Problem(
            f"{LAST} of size {last.size}",
            "its root is not the root of the records; a record was changed",
        )


def _check_end(state: _State, walk: Walk) -> Iterator[Problem]:
    last, size = state.last, state.tree.size
    if walk.torn is not None:
        yield Problem(walk.torn.where, walk.torn.what)
    elif walk.last is None:
        yield Problem(HISTORY, "it holds no checkpoint")
    elif state.last_data and walk.last.data != state.last_data:
        yield Problem(LAST, f"it is not the last checkpoint in {HISTORY}, {walk.last.where}")
    if size == 0 and state.complete:
        yield Problem("segments", "there are no records")
    if last is not None and last.size > size:
        yield Problem(LAST, f"it covers {last.size} records, the log holds {size}")
    if last is not None and last.sealed and last.size < size:
        yield Problem(f"record {last.size}", "it was added after the log was sealed")


def _check_inventory(state: _State) -> Iterator[Problem]:
    """Every file in the directory must be one that the checks above covered."""
    known = {VKEY, CERTIFICATE, LAST, HISTORY, *state.named}
    known |= {f"segments/{path.name}" for path in segment_files(state.directory)}
    folders = {name.rpartition("/")[0] for name in known} | {"segments", "history", "blobs"}
    for folder, inner, files in os.walk(state.directory):
        base = Path(folder)
        for path in sorted(base / name for name in (*inner, *files)):
            name = path.relative_to(state.directory).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                if name not in folders:
                    yield Problem(name, "the directory is not part of the log")
            elif not stat.S_ISREG(mode):
                yield Problem(name, "it is not a plain file")
            elif name not in known and (state.complete or name.partition("/")[0] not in _NAMED):
                yield Problem(name, "no record or checkpoint covers this file")


def _inside(directory: Path, where: str) -> str:
    """A place as seen from the log directory."""
    return where.removeprefix(str(directory)).lstrip("/") or where

"""Whether a log directory is what was signed: every byte of every file, and no file more.

A module because it must never share a decision with the writer: it reads, names what is wrong and
changes nothing. Formats and what each check covers: FORMAT.md. One pass, a few megabytes of memory.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.core.errors import RecordFailure
from controller.record.checkpoints import HISTORY, LAST, Problem, read_last
from controller.record.layout import Identity, opening_problem, read_identity
from controller.record.note import Checkpoint, NoteError
from controller.record.verify_chain import Chain
from controller.record.verify_files import (
    NEEDLE,
    VERSIONS,
    Files,
    TileCheck,
    allowed_tiles,
    check_meaning,
    inventory,
    named_file,
    read_record,
)
from controller.record.verify_frames import NEVER, Frames, Growing, first_payload

PROBLEMS_MAX = 100
ORIGIN = "cellwright/log"
PAYLOAD_BYTES_MAX = {1: 65_536, 2: 65_535}


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


def _no_tile(level: int, index: int, hashes: bytes) -> None:
    """A log of format 1 has no tiles."""


class _Enough(Exception):
    """So many problems that more would say nothing."""


@dataclass(slots=True)
class _Found:
    """What the verifier knows so far; `add` stops the check after PROBLEMS_MAX problems."""

    directory: Path
    version: int = 0
    kind: str = ""
    identity: Identity | None = None
    last: Checkpoint | None = None
    last_data: bytes = b""
    chain: Chain | None = None
    tree: Growing = field(default_factory=lambda: Growing(_no_tile))
    problems: list[Problem] = field(default_factory=list)

    @property
    def sealed(self) -> bool:
        """Whether the last checkpoint finished the log."""
        return self.last is not None and self.last.sealed

    def add(self, where: str, what: str) -> None:
        """Notes a problem."""
        self.problems.append(Problem(where, what))
        if len(self.problems) >= PROBLEMS_MAX:
            raise _Enough

    def take(self, problems: list[Problem]) -> None:
        """Notes problems that a part of the check collected."""
        for problem in problems:
            self.add(problem.where, problem.what)
        problems.clear()


def verify(
    directory: Path, *, expect_sealed: bool = True, deep: bool = False, device: str = ""
) -> Report:
    """Checks a whole log directory; never raises for what it finds there.

    `expect_sealed`: a batch log that is not sealed is a problem. Give False only for the batch
    that the state's `current` names (see `state.StateDir.may_be_open`); a station log stays open.
    `deep` also checks every checkpoint's signature (else the last one, which covers the others by
    their chain), RFC 8785 form and declared fields of every record, and unpacks every chunk.
    `device` is the verifier key of the one device that is trusted; without it any will do, and
    who reads the report must compare.
    """
    found = _Found(directory)
    try:
        _check(found, deep=deep, device=device)
        if not found.sealed and expect_sealed and found.kind == "batch":
            what = "the log is not sealed: it was never finished, or its end is missing"
            found.add(LAST, what)
        if not found.kind and not found.problems:
            found.add("record 0", "it was not seen to open a log")
    except RecordFailure as failure:
        found.problems.append(Problem(_inside(directory, failure.where), failure.what))
    except OSError as error:
        found.problems.append(Problem(str(error.filename or directory), f"cannot be read: {error}"))
    except _Enough:
        found.problems.append(Problem(str(directory), "there is more; the check stopped here"))
    finally:
        if found.chain is not None:
            found.chain.close()
    return Report(
        ok=not found.problems,
        records=found.tree.size,
        root=found.tree.root().hex(),
        problems=[Problem(_plain(each.where), _plain(each.what)) for each in found.problems],
        sealed=found.sealed,
        checkpoints=found.chain.count if found.chain else 0,
        covered=found.last.size if found.last else 0,
        kind=found.kind,
        origin=found.identity.origin if found.identity else "",
        device=str(found.identity.device) if found.identity else "",
    )


def _check(found: _Found, *, deep: bool, device: str) -> None:
    version = _version(found.directory)
    if type(version) is not int or version not in VERSIONS:
        where = "record 0 (segments/00000000.seg, byte 0)"
        read = " and ".join(str(known) for known in VERSIONS)
        found.add(where, f"the log has format {version!r}; this program reads {read}, nothing more")
        return
    found.version = version
    identity = found.identity = read_identity(found.directory)
    if identity.origin != f"{ORIGIN}/{hashlib.sha256(identity.log.public).hexdigest()[:16]}":
        found.add("vkey", "the log's name is not that of its key")
    if device and str(identity.device) != device:
        found.add("key.cert", f"the log's key is certified by another device, {identity.device}")
    try:
        found.last_data, found.last = read_last(found.directory, identity.log)
    except NoteError as error:
        found.add(LAST, str(error))
    except RecordFailure as failure:
        found.add(LAST, failure.what)
    files = Files(found.directory, deep=deep)
    tiles = TileCheck(found.directory, sealed=found.sealed)
    found.tree = Growing(tiles.full if version > 1 else _no_tile)
    found.chain = Chain(found.directory, identity.log, deep=deep)
    _check_opening(found, identity)
    complete = _records(found, identity, files, tiles, found.chain, deep=deep)
    found.take(list(found.chain.finish(found.tree.size)))
    _check_end(found, found.chain, complete=complete)
    if complete and version > 1:
        tiles.finish(found.tree)
        found.take(tiles.problems)
    allowed = allowed_tiles(found.tree.size if version > 1 else 0, sealed=found.sealed)
    for problem in inventory(found.directory, files.named, allowed, complete=complete):
        found.add(problem.where, problem.what)


def _records(
    found: _Found, identity: Identity, files: Files, tiles: TileCheck, chain: Chain, *, deep: bool
) -> bool:
    """Reads all records against the checkpoints; whether they were whole up to the end."""

    def look(seq: int, where: str, payload: bytes) -> None:
        try:
            record = read_record(payload, found.version)
            if deep:
                check_meaning(payload, record)
            file = named_file(record, found.version)
        except ValueError as error:
            found.add(where, str(error))
            return
        if file is not None:
            found.take(list(files.check(record, where, *file)))

    tree = found.tree
    frames = Frames(
        found.directory,
        tree,
        look,
        needle=b"" if deep else NEEDLE,
        payload_max=PAYLOAD_BYTES_MAX[found.version],
        chained=found.version > 1,
        spare=found.version > 1 and not found.sealed,
    )
    last_size = found.last.size if found.last else NEVER
    try:
        while True:
            more = frames.run(min(chain.next_size, last_size if last_size > tree.size else NEVER))
            found.take(tiles.problems)
            if not more:
                break
            found.take(list(chain.reach(tree.size, tree.root)))
            if found.last and tree.size == last_size and found.last.root != tree.root():
                where = f"{LAST} of size {last_size}"
                found.add(where, "its root is not the root of the records; a record was changed")
        if frames.damage:
            found.add(frames.where, f"{frames.damage}; what follows it was not read")
    finally:
        frames.close()
    return not frames.damage


def _version(directory: Path) -> Any:
    """The `v` of record 0; 2 where it cannot be read, so that the checks say why."""
    try:
        record = json.loads(first_payload(directory).decode())
    except (ValueError, RecursionError):
        return VERSIONS[-1]
    version = record.get("v") if isinstance(record, dict) else None
    return VERSIONS[-1] if version is None else version


def _check_opening(found: _Found, identity: Identity) -> None:
    """Whether record 0, if its frame is whole, opens the log of these keys."""
    payload = first_payload(found.directory)
    if not payload:
        return
    where = "record 0 (segments/00000000.seg, byte 0)"
    try:
        record = read_record(payload, found.version)
    except ValueError as error:
        found.add(where, str(error))
        return
    what = opening_problem(record, identity)
    if what:
        found.add(where, what)
    found.kind = str(record["data"].get("kind"))


def _check_end(found: _Found, chain: Chain, *, complete: bool) -> None:
    last, size = found.last, found.tree.size
    if chain.torn is not None:
        found.add(chain.torn.where, chain.torn.what)
    elif chain.last is None:
        found.add(HISTORY, "it holds no checkpoint")
    elif found.last_data and chain.last.data != found.last_data:
        found.add(LAST, f"it is not the last checkpoint in {HISTORY}, {chain.last.where}")
    if size == 0 and complete:
        found.add("segments", "there are no records")
    if last is not None and last.size > size:
        found.add(LAST, f"it covers {last.size} records, the log holds {size}")
    if last is not None and last.sealed and last.size < size:
        found.add(f"record {last.size}", "it was added after the log was sealed")


def _plain(text: str) -> str:
    """Text in which no file's name can pass for a line of the verdict."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _inside(directory: Path, where: str) -> str:
    """A place as seen from the log directory."""
    return where.removeprefix(str(directory)).lstrip("/") or where

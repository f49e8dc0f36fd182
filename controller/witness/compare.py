"""A log beside what its witnesses and the time-stamping authority say of it, for an inspector.

A module because this is the question asked years later, without the station: does the log that
lies here continue what others have seen, and since when can it not have changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.core.errors import BadInput, RecordFailure
from controller.record.frame import read_limited
from controller.record.layout import read_identity
from controller.record.note import NOTE_BYTES_MAX, NoteError
from controller.record.publish import Published
from controller.witness.asking import Asked, WitnessAt, continues
from controller.witness.cosign import Cosigned, WitnessKey, open_cosigned
from controller.witness.evidence import (
    STAMP_BYTES_MAX,
    STAMPED,
    WITNESSED,
    consistency_in,
    evidence_of,
    published_in,
)
from controller.witness.http import Unanswered


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was compared: whether the log stands by it, and in words."""

    ok: bool
    words: str


def log_in(path: Path) -> Path:
    """The log directory meant by a path: itself, or `log` in a batch's. Raises BadInput."""
    for found in (path, path / "log"):
        if (found / "checkpoint").is_file():
            return found
    raise BadInput("there is no log", where=path, do="Name a log directory, or a batch's.")


def with_evidence(log: Path, keys: list[WitnessKey]) -> Iterator[Finding]:
    """What the cosignatures kept beside a log say of it, one finding a witness.

    Raises RecordFailure, NoteError for a log without a checkpoint that holds.
    """
    path = evidence_of(log) / WITNESSED
    if not path.exists():
        yield Finding(False, f"no cosignature is kept ({path} is missing)")
        return
    try:
        seen = open_cosigned(read_limited(path, NOTE_BYTES_MAX), read_identity(log).log, keys)
    except (NoteError, RecordFailure) as error:
        yield Finding(False, f"{path}: {error}")
        return
    found = published_in(log)  # last: a log that is being written has gone on meanwhile
    here = _continues(log, found, seen)
    for key in keys:
        held = next((each for each in seen.cosignatures if each.key == key), None)
        if held is None:
            yield Finding(False, f"{key.name} has not cosigned what is kept")
            continue
        at = datetime.fromtimestamp(held.time_s, UTC).isoformat()
        yield Finding(here, _words(f"{key.name} has seen, at {at},", seen, found, here))


def with_witness(log: Path, at: WitnessAt) -> Finding:
    """What a witness shows now of a log."""
    try:
        seen = Asked(at).last(read_identity(log).log)
    except (Unanswered, NoteError) as error:
        return Finding(False, f"{at.key.name} cannot be asked: {error}")
    if seen is None:
        return Finding(False, f"{at.key.name} has never seen this log")
    found = published_in(log)  # last: a log that is being written has gone on meanwhile
    here = _continues(log, found, seen)
    return Finding(here, _words(f"{at.key.name} shows now", seen, found, here))


def with_stamp(log: Path, roots: Path | None) -> Finding:
    """What the time-stamp kept beside a log says of its last checkpoint. Raises BadInput."""
    from controller.witness.stamping import NotStamped, check, read_roots

    found, path = published_in(log), evidence_of(log) / STAMPED
    if not path.exists():
        return Finding(False, f"there is no time-stamp ({path} is missing)")
    try:
        stamped = check(read_limited(path, STAMP_BYTES_MAX), found.note, read_roots(roots))
    except NotStamped as error:
        return Finding(False, f"{path}: {error}")
    how = "signed by an authority of the roots given" if stamped.trusted else (
        "NOT checked who signed it: give --roots"
    )
    at = stamped.time.astimezone(UTC).isoformat()
    sealed = ", sealed" if found.sealed else ", NOT sealed"
    return Finding(True, f"{found.size} records{sealed}, existed at {at}; {how}")


def _continues(log: Path, found: Published, seen: Cosigned) -> bool:
    known = open_cosigned(found.note, read_identity(log).log, ())
    return continues(found, known, seen, lambda old, new: consistency_in(log, old, new))


def _words(begin: str, seen: Cosigned, found: Published, here: bool) -> str:
    size = seen.checkpoint.size
    sealed = ", sealed" if seen.checkpoint.sealed else ""
    after = found.size - size
    if not here:
        return f"{begin} {size} records{sealed}; the {found.size} here DO NOT CONTINUE them"
    more = f"; {after} of the {found.size} here came later" if after else ""
    return f"{begin} {size} records{sealed}, as they are here{more}"

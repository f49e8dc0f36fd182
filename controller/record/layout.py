"""Which files a log directory holds, and what its first record must say.

A module because create, recovery and verify must agree: a log directory holds only files that
verification covers, and everything else in it is a finding.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.errors import BadInput, RecordFailure
from controller.record.checkpoints import HISTORY, LAST
from controller.record.frame import read_limited
from controller.record.keys import open_note
from controller.record.note import NOTE_BYTES_MAX, NoteError, VerifierKey, certificate

VKEY = "vkey"
CERTIFICATE = "key.cert"
SEGMENTS, CHUNKS, BLOBS, TORN = "segments", "history", "blobs", "torn"
KINDS = ("batch", "station", "qualification")
BLOB_BYTES_MAX = 64 * 1024 * 1024
FIRST_CHECKPOINT_BYTES_MAX = 512  # a longer history is of a log that was used
CHUNK_NAME = re.compile(r"[0-9]{8}\.chunk")
CHUNK_EVENTS = ("history.chunk", "history.tags")
NAMING = (*CHUNK_EVENTS, "blob.stored", "log.recovered")  # the events whose records name a file
DIGEST_NAME = re.compile(r"sha256-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose log it is: its key, the device key that certifies it, and what it is certified for."""

    log: VerifierKey
    device: VerifierKey
    kind: str
    purpose: str

    @property
    def origin(self) -> str:
        """The origin line of this log's checkpoints."""
        return self.log.name


def chunk_name(number: int) -> str:
    """The path of a history chunk in its log directory."""
    return f"{CHUNKS}/{number:08d}.chunk"


def digest_name(folder: str, data: bytes) -> str:
    """The path of a file that is named by its contents."""
    return f"{folder}/sha256-{hashlib.sha256(data).hexdigest()}"


def read_identity(directory: Path) -> Identity:
    """The keys in `vkey` and `key.cert`, which must agree.

    Raises RecordFailure naming the file that is missing, damaged or of another log.
    """
    try:
        text = read_limited(directory / VKEY, NOTE_BYTES_MAX).decode()
        log_key = VerifierKey.parse(text.removesuffix("\n"))
        if text != f"{log_key}\n":
            raise NoteError("the file is not one verifier key and a newline")
    except (NoteError, UnicodeDecodeError) as error:
        raise RecordFailure(str(error), where=directory / VKEY) from error
    data = read_limited(directory / CERTIFICATE, NOTE_BYTES_MAX)
    try:
        named = certificate(_text_of(data))
        open_note(data, (named.device,))
        if named.log != log_key:
            raise NoteError(f"it certifies another key than the one in {VKEY}")
    except NoteError as error:
        raise RecordFailure(str(error), where=directory / CERTIFICATE) from error
    return Identity(log_key, named.device, named.kind, named.purpose)


def _text_of(note: bytes) -> str:
    try:
        return note.decode().partition("\n\n")[0] + "\n"
    except UnicodeDecodeError as error:
        raise NoteError("the note is not UTF-8") from error


def opening_problem(record: dict[str, Any], identity: Identity) -> str:
    """What is wrong with record 0; empty if it opens the log of these keys."""
    data = record["data"]
    if record["event"] != "log.opened" or data.get("kind") not in KINDS:
        return "the first record does not open a log"
    if data.get("vkey") != str(identity.log):
        return f"the first record names another key than {VKEY}"
    if data.get("key") != str(identity.device):
        return f"the first record names another device key than {CERTIFICATE}"
    certified = (data.get("kind"), data.get("purpose")) if record["v"] > 1 else ("", "")
    if (identity.kind, identity.purpose) != certified:
        return f"{CERTIFICATE} certifies the key for another log"
    return ""


def named_file(record: dict[str, Any]) -> tuple[str, str] | None:
    """The path and SHA-256 (hex) of the file a record names, or None if it names none.

    Raises ValueError for a name that could not be of this log.
    """
    event, data = record["event"], record["data"]
    if event not in NAMING:
        return None
    digest = str(data.get("sha256"))
    path = f"{TORN}/sha256-{digest}" if event == "log.recovered" else str(data.get("file"))
    folder, _, name = path.partition("/")
    if event in CHUNK_EVENTS:
        good = folder == CHUNKS and CHUNK_NAME.fullmatch(name) is not None
    else:
        wanted = BLOBS if event == "blob.stored" else TORN
        good = folder == wanted and name == f"sha256-{digest}"
    if not good or not DIGEST_NAME.fullmatch(f"sha256-{digest}"):
        raise ValueError(f"the record names the file {path!r}, which is not of this form")
    return path, digest


def refuse_used(directory: Path) -> None:
    """Raises BadInput for a directory that holds more than an interrupted `create` can leave."""
    if not directory.exists():
        return
    known = {VKEY, CERTIFICATE, LAST, HISTORY, SEGMENTS, CHUNKS, BLOBS}
    known |= {f"{name}.tmp" for name in known}
    odd = [path for path in directory.iterdir() if path.name not in known]
    for folder in (SEGMENTS, CHUNKS, BLOBS):
        odd += [path for path in (directory / folder).glob("*") if path.suffix != ".tmp"]
    checkpoints = directory / HISTORY
    if checkpoints.exists() and checkpoints.stat().st_size > FIRST_CHECKPOINT_BYTES_MAX:
        odd.append(checkpoints)
    if odd:
        found = min(path.relative_to(directory).as_posix() for path in odd)
        raise BadInput(
            f"there is {found} already", where=directory, do="Choose a directory that is empty."
        )

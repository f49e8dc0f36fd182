"""What a witness remembers: for each log its certificate and the last checkpoint it cosigned.

A module because this is the whole of a witness's promise: what is durable here before an answer
leaves can never be contradicted. Two plain files a log, named by the SHA-256 of its origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.core.errors import BadInput, RecordFailure
from controller.record.files import DurableFiles, FileLayer
from controller.record.frame import read_limited
from controller.record.keys import Keys, open_note
from controller.record.note import (
    NOTE_BYTES_MAX,
    Note,
    NoteError,
    VerifierKey,
)
from controller.record.note import certificate as read_certificate
from controller.witness.cosign import Cosigned, WitnessKey, open_cosigned, witness_key

LOGS = "logs"
NAME = "name"
CERTIFICATE, LAST = ".cert", ".note"
LOGS_MAX = 10_000
NAME_MAX = 100
_HELD = "a witness keeps its state here already"


class Full(RecordFailure):
    """The witness knows as many logs as it may."""


@dataclass(slots=True)
class Known:
    """A log the witness knows: its key, who certified it, the last checkpoint cosigned."""

    key: VerifierKey
    device: VerifierKey
    last: Cosigned | None = None


def log_name(public: bytes) -> str:
    """The name a log's key has (FORMAT.md): a name of its own choice would not bind the key."""
    return f"cellwright/log/{hashlib.sha256(public).hexdigest()[:16]}"


class Store:
    """The state directory of one witness, held alone by one process."""

    def __init__(self, path: Path, name: str = "", files: FileLayer | None = None) -> None:
        """Makes or reads the directory and the witness's key.

        `name` is the witness's at the first start; later it must be the same or empty. Raises
        BadInput for another name, or when another process holds the directory, RecordFailure for
        a state that cannot be read: a witness that forgot signs nothing.
        """
        self._files = files or DurableFiles()
        self.path = path
        try:
            self._files.make_dir(path / LOGS)
            self._lock = self._files.open_append(path / "lock")
        except BlockingIOError as error:
            raise BadInput(_HELD, where=path, do="Stop the other one.") from error
        except OSError as error:
            raise _failure(path, "cannot be held", error) from error
        self.signer = Keys.in_directory(path / "keys", self._files).device
        self.key = self._named(name)
        self.logs: dict[str, Known] = {}
        for known in read_logs(path, self.key):
            self.logs[known.key.name] = known

    def close(self) -> None:
        """Lets go of the directory."""
        self._files.close(self._lock)

    def add(self, certificate: bytes, key: VerifierKey, device: VerifierKey) -> None:
        """Makes a log known, durably. Raises Full, RecordFailure."""
        if len(self.logs) >= LOGS_MAX:
            raise Full(f"this witness knows {LOGS_MAX} logs already", where=self.path)
        self._write(self._file(key.name, CERTIFICATE), certificate)
        self.logs[key.name] = Known(key, device)

    def keep(self, origin: str, found: Cosigned) -> None:
        """Keeps the last checkpoint of a log, durably. Raises RecordFailure."""
        self._write(self._file(origin, LAST), found.render())
        self.logs[origin].last = found

    def _file(self, origin: str, suffix: str) -> Path:
        return self.path / LOGS / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}{suffix}"

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self._files.replace(path, data)
        except OSError as error:
            raise _failure(path, "cannot be written", error) from error

    def _named(self, name: str) -> WitnessKey:
        path = self.path / NAME
        if not path.exists():
            key = witness_key(self.signer, name)
            with suppress(NoteError):
                if len(key.name) <= NAME_MAX and key.name.isprintable():
                    WitnessKey.parse(str(key))
                    self._write(path, f"{key.name}\n".encode())
                    return key
            raise BadInput(
                f"{name[:NAME_MAX]!r} cannot be a witness's name",
                do="Use an address without blanks, such as witness.example/one.",
            )
        kept = key_in(self.path, self.signer.verifier.public)
        if name not in ("", kept.name):
            raise BadInput(
                f"this witness is called {kept.name}, not {name[:NAME_MAX]}", where=path,
                do="Leave --name out, or use another --state.",
            )  # fmt: skip
        return kept


def key_in(path: Path, public: bytes) -> WitnessKey:
    """The key of a witness, by the name kept in its directory. Raises RecordFailure."""
    try:
        text = read_limited(path / NAME, NAME_MAX + 1).decode()
        return WitnessKey.parse(str(WitnessKey(text.removesuffix("\n"), public)))
    except (OSError, UnicodeDecodeError, NoteError) as error:
        raise RecordFailure("the witness's name cannot be read", where=path / NAME) from error


def read_logs(path: Path, key: WitnessKey) -> Iterator[Known]:
    """Every log a witness knows, each file checked to the signature. Raises RecordFailure."""
    for note in sorted((path / LOGS).glob(f"*{LAST}")):
        if not note.with_suffix(CERTIFICATE).exists():
            raise _unreadable(note, "its certificate is missing")
    for file in sorted((path / LOGS).glob(f"*{CERTIFICATE}")):
        try:
            known = _known(read_limited(file, NOTE_BYTES_MAX))
            last = file.with_suffix(LAST)
            if last.exists():
                known.last = open_cosigned(
                    read_limited(last, NOTE_BYTES_MAX), known.key, (key,)
                )
                if not known.last.cosignatures:
                    raise NoteError("it has no cosignature of this witness")
        except (NoteError, OSError) as error:
            raise _unreadable(file, str(error)) from error
        yield known


def _unreadable(file: Path, why: str) -> RecordFailure:
    return RecordFailure(
        f"what the witness has seen cannot be read: {why}", where=file,
        means="It would not know what it may sign, so it signs nothing.",
        do="Put back the files of --state; without them begin a new witness, with a new key, in an "
        "empty directory.",
    )  # fmt: skip


def _known(certificate: bytes) -> Known:
    """The log and the device in a certificate by that device. Raises NoteError."""
    found = read_certificate(Note.parse(certificate).text)
    open_note(certificate, (found.device,))
    return Known(found.log, found.device)


def certified(certificate: bytes) -> tuple[VerifierKey, VerifierKey]:
    """Log and device of a certificate whose signature holds. Raises NoteError."""
    known = _known(certificate)
    if known.key.name != log_name(known.key.public):
        raise NoteError("the name of the log's key is not the one its key has")
    return known.key, known.device


def _failure(path: Path, what: str, error: OSError) -> RecordFailure:
    return RecordFailure(
        f"the state of the witness {what}: {error.strerror or error}", where=path,
        means="Nothing is cosigned.", do="Check the disk, its space and its rights.",
    )  # fmt: skip

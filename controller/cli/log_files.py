"""What the `log` commands take from files and leave in them: keys that are trusted, results."""

from __future__ import annotations

import os
from pathlib import Path

from controller.core.errors import BadInput, RecordFailure
from controller.record.frame import read_limited
from controller.record.note import NOTE_BYTES_MAX, NoteError, VerifierKey


def trusted(given: str) -> VerifierKey | None:
    """The verifier key in a text, or in the file of that name; None for an empty one.

    Raises BadInput for anything else.
    """
    text = given.strip()
    if not text:
        return None
    try:
        if "+" not in text or Path(text).is_file():
            text = read_limited(Path(text), NOTE_BYTES_MAX).decode("utf-8", "replace").strip()
        return VerifierKey.parse(text)
    except (NoteError, OSError, RecordFailure) as error:
        raise BadInput(
            f"{given[:60]!r} is no verifier key: {error}",
            do="Give NAME+HASH+KEY as `cellwright key show` prints it, or a file that holds it.",
        ) from error


def handed(path: Path, limit: int) -> bytes:
    """A file somebody was given. Raises BadInput where there is none, or one too long to be it."""
    try:
        return read_limited(path, limit)
    except RecordFailure as failure:
        raise BadInput(str(failure), do="Name the file with the proof or the checkpoint.") from None


def keep(path: Path, data: bytes) -> None:
    """Writes a result, whole or not at all. Raises BadInput if it cannot be written."""
    if path.exists() and not path.is_file():
        # A device or a pipe would be replaced by a file of that name.
        raise BadInput("it cannot be written: it is no file", where=path,
                       do="Name another place with --out, or print it without.")  # fmt: skip
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise BadInput(f"it cannot be written: {error.strerror}", where=path,
                       do="Name another place with --out.") from error  # fmt: skip

"""The files that records of a log name: history chunks and blobs, durable before their record.

A module because a file that no record names is what a crash left, and a record that names no file
would be a lie: whoever stores one gets the fields that name it.
"""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

from controller.core.errors import BadInput
from controller.record.files import FileLayer
from controller.record.layout import BLOB_BYTES_MAX, BLOBS, chunk_name, digest_name


class NamedFiles:
    """The chunks and blobs of one log, of which `chunks` are there. Methods raise OSError."""

    def __init__(self, directory: Path, files: FileLayer, chunks: int) -> None:
        self._directory, self._files, self._chunks = directory, files, chunks

    def chunk(self, data: bytes) -> dict[str, str]:
        """Stores the next chunk; `sha256` and `file` of its record."""
        name = chunk_name(self._chunks)
        self._files.store(self._directory / name, data)
        self._chunks += 1
        return {"sha256": hashlib.sha256(data).hexdigest(), "file": name}

    def blob(self, name: str, data: bytes) -> dict[str, str]:
        """Stores bytes under their digest, once; `sha256` and `file` of their record.

        Raises BadInput for more than 64 MiB of `name`.
        """
        if len(data) > BLOB_BYTES_MAX:
            raise BadInput(f"{len(data)} bytes, {BLOB_BYTES_MAX} are allowed", where=name)
        file = digest_name(BLOBS, data)
        path = self._directory / file
        if not path.exists():
            self._files.store(path, data)
        elif path.read_bytes() != data:
            raise OSError(errno.EIO, f"{file} does not hold what its name says")
        return {"sha256": file.rpartition("-")[2], "file": file}

"""Who signs: a device key that lasts, and one key for each log, certified by the device key.

The log's key is destroyed when the log is sealed, so that what was sealed cannot be signed anew.
A module because it is the only place that holds secrets and the only user of `cryptography`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from controller.core.errors import RecordFailure
from controller.record.files import SECRET_MODE, DurableFiles, FileLayer
from controller.record.note import (
    Note,
    NoteError,
    Signature,
    VerifierKey,
    certificate_text,
)

SECRET_BYTES = 32


class Signer:
    """A private key under a name; it signs notes and can be destroyed."""

    def __init__(self, prefix: str, secret: bytes) -> None:
        key = Ed25519PrivateKey.from_private_bytes(secret)
        public = key.public_key().public_bytes_raw()
        self.verifier = VerifierKey(f"{prefix}/{hashlib.sha256(public).hexdigest()[:16]}", public)
        self._key: Ed25519PrivateKey | None = key

    def sign(self, text: str) -> Note:
        """`text` as a signed note. Raises RecordFailure once the key is destroyed."""
        if self._key is None:
            raise RecordFailure("the key is destroyed", where=self.verifier.name)
        signature = self._key.sign(text.encode())
        line = Signature(self.verifier.name, self.verifier.key_hash, signature)
        return Note(text, (line,))

    def forget(self) -> None:
        """Drops the secret; nothing is signed any more."""
        self._key = None


class KeyStore(Protocol):
    """Where the secrets are kept between two starts of the program."""

    def device_secret(self) -> bytes:
        """The device's 32 secret bytes, made at the first call."""
        ...

    def new_log_secret(self, label: str) -> bytes:
        """32 secret bytes for a new log."""
        ...

    def keep(self, verifier: VerifierKey, secret: bytes) -> None:
        """Keeps a new log's secret durably until it is destroyed."""
        ...

    def recall(self, verifier: VerifierKey, label: str) -> bytes:
        """The secret of a log. Raises RecordFailure if it is gone."""
        ...

    def destroy(self, verifier: VerifierKey) -> None:
        """Overwrites and removes a log's secret; no error if it is gone already."""
        ...


class Keys:
    """The keys of one station: the device key, and the key of each log by its verifier key."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self.device = Signer("cellwright/device", store.device_secret())

    @classmethod
    def from_seed(cls, seed: int) -> Keys:
        """Keys of a virtual run: the same seed, the same signatures. Worth nothing as evidence."""
        return cls(_SeededSecrets(seed))

    @classmethod
    def in_directory(cls, path: Path, files: FileLayer | None = None) -> Keys:
        """Keys kept as files with mode 0600 in `path`, made where missing.

        Raises RecordFailure if a key file can be read by others or is not a key.
        """
        return cls(_SecretFiles(path, files or DurableFiles()))

    def issue(self, label: str) -> tuple[Signer, Note]:
        """A new log's signer and the certificate of its key by the device key."""
        secret = self._store.new_log_secret(label)
        signer = Signer("cellwright/log", secret)
        self._store.keep(signer.verifier, secret)
        return signer, self.device.sign(certificate_text(signer.verifier, self.device.verifier))

    def recall(self, verifier: VerifierKey, label: str) -> Signer:
        """The signer of an open log. Raises RecordFailure if its key is gone or another."""
        signer = Signer("cellwright/log", self._store.recall(verifier, label))
        if signer.verifier != verifier:
            raise RecordFailure(
                "the key at hand is not the key of this log",
                where=verifier.name,
                means="The log can be read and verified but not continued.",
                do="Start the station with the keys this log was made with.",
            )
        return signer

    def destroy(self, verifier: VerifierKey) -> None:
        """Makes sure that nobody can sign for a log any more. RecordFailure if it cannot be."""
        self._store.destroy(verifier)


class _SeededSecrets:
    """Secrets derived from a seed: nothing is kept, so nothing is really destroyed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def device_secret(self) -> bytes:
        return hashlib.sha256(f"cellwright virtual device key {self._seed}".encode()).digest()

    def new_log_secret(self, label: str) -> bytes:
        text = f"cellwright virtual log key {self._seed} {label}"
        return hashlib.sha256(text.encode()).digest()

    def keep(self, verifier: VerifierKey, secret: bytes) -> None:
        pass

    def recall(self, verifier: VerifierKey, label: str) -> bytes:
        return self.new_log_secret(label)

    def destroy(self, verifier: VerifierKey) -> None:
        pass


class _SecretFiles:
    """Secrets as files of 32 bytes: `device.key`, and `HASH.key` for each open log."""

    def __init__(self, path: Path, files: FileLayer) -> None:
        self._path, self._files = path, files

    def device_secret(self) -> bytes:
        path = self._path / "device.key"
        try:
            self._files.make_dir(self._path)
            if not path.exists():
                self._files.store(path, os.urandom(SECRET_BYTES), SECRET_MODE)
        except OSError as error:
            raise _key_failure(path, f"cannot be made: {error.strerror}") from error
        return self._read(path)

    def new_log_secret(self, label: str) -> bytes:
        return os.urandom(SECRET_BYTES)

    def keep(self, verifier: VerifierKey, secret: bytes) -> None:
        path = self._file(verifier)
        try:
            self._files.store(path, secret, SECRET_MODE)
        except OSError as error:
            raise _key_failure(path, f"cannot be written: {error.strerror}") from error

    def recall(self, verifier: VerifierKey, label: str) -> bytes:
        return self._read(self._file(verifier))

    def destroy(self, verifier: VerifierKey) -> None:
        path = self._file(verifier)
        try:
            self._files.destroy(path)
        except OSError as error:
            raise _key_failure(path, f"cannot be destroyed: {error.strerror}") from error

    def _file(self, verifier: VerifierKey) -> Path:
        return self._path / f"{hashlib.sha256(verifier.public).hexdigest()[:16]}.key"

    def _read(self, path: Path) -> bytes:
        try:
            if path.stat().st_mode & 0o077:
                raise _key_failure(path, "can be read by others", "Set its mode to 0600.")
            secret = path.read_bytes()
        except OSError as error:
            raise _key_failure(path, f"cannot be read: {error.strerror}") from error
        if len(secret) != SECRET_BYTES or not any(secret):
            raise _key_failure(path, "is not a key")
        return secret


def _key_failure(path: Path, what: str, do: str = "") -> RecordFailure:
    return RecordFailure(
        f"the key file {what}", where=path, means="Nothing can be signed with it.", do=do
    )


def signature_holds(verifier: VerifierKey, text: str, signature: bytes) -> bool:
    """Whether `signature` is this key's Ed25519 signature of `text`."""
    try:
        Ed25519PublicKey.from_public_bytes(verifier.public).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def open_note(data: bytes, known: Sequence[VerifierKey]) -> str:
    """The text of a note whose every signature is by a key in `known`.

    Raises NoteError for a note that is not well formed, a key that is not known or a signature
    that does not hold.
    """
    note = Note.parse(data)
    for line in note.signatures:
        keys = [key for key in known if key.name == line.name and key.key_hash == line.key_hash]
        if not keys:
            raise NoteError(f"a signature is by an unknown key of {line.name!r}")
        if not signature_holds(keys[0], note.text, line.signature):
            raise NoteError(f"the signature of {line.name} does not hold")
    return note.text

"""Who signs: a device key that lasts, and one key for each log, certified by the device key.

The log's key is destroyed when the log is sealed, so that what was sealed cannot be signed anew.
A module because it is the only place that holds secrets and the only user of `cryptography`.
"""

from __future__ import annotations

import hashlib
import os
import stat
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
DEVICE, LOG = "cellwright/device", "cellwright/log"
DEVICE_FILE = "device.key"
DIRECTORY_MODE = 0o700
OTHERS, OTHERS_WRITE = 0o077, 0o022


class Signer:
    """A private key under a name; it signs notes and can be destroyed."""

    def __init__(self, prefix: str, secret: bytes) -> None:
        key = Ed25519PrivateKey.from_private_bytes(secret)
        public = key.public_key().public_bytes_raw()
        self.verifier = VerifierKey(_name(prefix, public), public)
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


class DeviceKey(Protocol):
    """The key that certifies the keys of logs: a `Signer`, or one on a token (`token.TokenKey`)."""

    @property
    def verifier(self) -> VerifierKey:
        """Its verifier key. Raises Refused when it is out of reach."""
        ...

    def sign(self, text: str) -> Note:
        """`text` as a signed note. Raises Refused when the key is out of reach."""
        ...


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

    def __init__(self, store: KeyStore, device: DeviceKey | None = None) -> None:
        """`device`: a key that is kept elsewhere; else the store's, made at the first start."""
        self._store = store
        self.device: DeviceKey = device or Signer(DEVICE, store.device_secret())

    @classmethod
    def from_seed(cls, seed: int) -> Keys:
        """Keys of a virtual run: the same seed, the same signatures. Worth nothing as evidence."""
        return cls(_SeededSecrets(seed))

    @classmethod
    def in_directory(
        cls, path: Path, files: FileLayer | None = None, device: DeviceKey | None = None
    ) -> Keys:
        """Keys kept as files with mode 0600 in `path`, made where missing; but for `device`.

        Raises RecordFailure if a key file is not a key, not this user's, a link, can be read by
        others, or lies where others can put another in its place.
        """
        store = _SecretFiles(path, files or DurableFiles())
        store.prepare()
        return cls(store, device)

    def issue(self, kind: str, purpose: str) -> tuple[Signer, Note]:
        """A new log's signer and the certificate of its key, for that log, by the device key.

        Raises Refused, and keeps nothing, when the device key is out of reach.
        """
        secret = self._store.new_log_secret(f"{kind} {purpose}")
        signer = Signer(LOG, secret)
        text = certificate_text(signer.verifier, self.device.verifier, kind, purpose)
        certificate = self.device.sign(text)
        self._store.keep(signer.verifier, secret)
        return signer, certificate

    def recall(self, verifier: VerifierKey, label: str) -> Signer:
        """The signer of an open log. Raises RecordFailure if its key is gone or another."""
        signer = Signer(LOG, self._store.recall(verifier, label))
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

    def prepare(self) -> None:
        """Makes the directory, this user's alone; refuses one where others can put files."""
        try:
            if not self._path.exists():
                self._files.make_dir(self._path)
                self._path.chmod(DIRECTORY_MODE)
            found = self._path.lstat()
        except OSError as error:
            raise _key_failure(self._path, f"cannot be made: {error.strerror}") from error
        if not stat.S_ISDIR(found.st_mode):
            raise _key_failure(self._path, "would lie behind a link or in no directory")
        if found.st_uid != os.geteuid():
            raise _key_failure(self._path, "would lie in a directory of another user")
        if found.st_mode & OTHERS_WRITE:
            raise _key_failure(self._path, "would lie where others can put files",
                               f"chmod 700 {self._path}")  # fmt: skip

    def device_secret(self) -> bytes:
        path = self._path / DEVICE_FILE
        try:
            if not os.path.lexists(path):
                self._files.store(path, os.urandom(SECRET_BYTES), SECRET_MODE)
        except OSError as error:
            raise _key_failure(path, f"cannot be made: {error.strerror}") from error
        return _key_in(path)

    def new_log_secret(self, label: str) -> bytes:
        return os.urandom(SECRET_BYTES)

    def keep(self, verifier: VerifierKey, secret: bytes) -> None:
        path = self._file(verifier)
        try:
            self._files.store(path, secret, SECRET_MODE)
        except OSError as error:
            raise _key_failure(path, f"cannot be written: {error.strerror}") from error

    def recall(self, verifier: VerifierKey, label: str) -> bytes:
        return _key_in(self._file(verifier))

    def destroy(self, verifier: VerifierKey) -> None:
        path = self._file(verifier)
        try:
            self._files.destroy(path)
        except OSError as error:
            raise _key_failure(path, f"cannot be destroyed: {error.strerror}") from error

    def _file(self, verifier: VerifierKey) -> Path:
        return self._path / f"{hashlib.sha256(verifier.public).hexdigest()[:16]}.key"


def device_in(path: Path) -> VerifierKey:
    """The verifier key of the device key kept in `path`. Raises RecordFailure if there is none."""
    return Signer(DEVICE, _key_in(path / DEVICE_FILE)).verifier


def device_name(public: bytes) -> str:
    """The name of a device key, which follows from its public key."""
    return _name(DEVICE, public)


def read_secret(path: Path, limit: int) -> bytes:
    """A file that only this user can read, of at most `limit` bytes.

    Raises RecordFailure for a link, another user's file, one that others can read, a longer one.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise _key_failure(path, what) from error
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise _key_failure(path, "is no file")
        if found.st_uid != os.geteuid():
            raise _key_failure(path, "belongs to another user")
        if found.st_mode & OTHERS:
            raise _key_failure(path, "can be read by others", "Set its mode to 0600.")
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise _key_failure(path, f"cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise _key_failure(path, f"has more than {limit} bytes")
    return data


def _key_in(path: Path) -> bytes:
    secret = read_secret(path, SECRET_BYTES)
    if len(secret) != SECRET_BYTES or not any(secret):
        raise _key_failure(path, "is not a key")
    return secret


def _name(prefix: str, public: bytes) -> str:
    return f"{prefix}/{hashlib.sha256(public).hexdigest()[:16]}"


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

    Raises NoteError for a note that is not well formed, a key that is not known, a signature that
    does not hold, or two lines by one key: a repeated line would be a byte more that nobody misses.
    """
    note = Note.parse(data)
    if len({(line.name, line.key_hash) for line in note.signatures}) != len(note.signatures):
        raise NoteError("a key has signed twice")
    for line in note.signatures:
        keys = [key for key in known if key.name == line.name and key.key_hash == line.key_hash]
        if not keys:
            raise NoteError(f"a signature is by an unknown key of {line.name!r}")
        if not signature_holds(keys[0], note.text, line.signature):
            raise NoteError(f"the signature of {line.name} does not hold")
    return note.text

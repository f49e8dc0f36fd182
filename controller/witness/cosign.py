"""Cosignatures: a witness's timestamped signature under somebody else's checkpoint.

Format: https://c2sp.org/tlog-cosignature, `cosignature/v1` (Ed25519, key type 0x04). A module
because the witness that signs, the station that checks and whoever reads the evidence years later
must agree on it to the last byte; it knows no files and no network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from controller.record.keys import DeviceKey, signature_holds
from controller.record.note import (
    Checkpoint,
    Note,
    NoteError,
    Signature,
    VerifierKey,
    good_name,
    signature_line,
)

COSIGNATURE = 4
HEADER = "cosignature/v1"
TIME_MAX = 2**63 - 1
LINES_BYTES_MAX = 8_192
_KEY_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 32, 8, 64


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's Ed25519 public key under its name; its key type is 0x04."""

    name: str
    public: bytes

    @property
    def key_hash(self) -> bytes:
        """First 4 bytes of SHA-256(name, newline, 0x04, public key) (C2SP tlog-cosignature)."""
        text = self.name.encode() + b"\n" + bytes([COSIGNATURE]) + self.public
        return hashlib.sha256(text).digest()[:4]

    def __str__(self) -> str:
        """The verifier key string `name+hash+key`."""
        key = base64.b64encode(bytes([COSIGNATURE]) + self.public).decode()
        return f"{self.name}+{self.key_hash.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """The key in a verifier key string. Raises NoteError, also for the key of a log."""
        name, _, rest = text.partition("+")
        _, _, encoded = rest.partition("+")
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise NoteError("the witness's key is not base64") from error
        if len(data) != 1 + _KEY_BYTES or data[0] != COSIGNATURE:
            raise NoteError("the key is not one of a witness (type 0x04)")
        key = cls(name, data[1:])
        if not good_name(name) or str(key) != text:
            raise NoteError("the witness's key does not match its own name and hash")
        return key


@dataclass(frozen=True, slots=True)
class Cosignature:
    """One cosignature that holds: whose, and the time it states, in s since 1970."""

    key: WitnessKey
    time_s: int
    line: Signature


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint that its log has signed, and the cosignatures under it that hold."""

    checkpoint: Checkpoint
    text: str
    signed: Signature
    cosignatures: tuple[Cosignature, ...]

    def render(self) -> bytes:
        """The note: the log's signature first, then each cosignature."""
        lines = (self.signed, *(each.line for each in self.cosignatures))
        return Note(self.text, lines).render()


def witness_key(signer: DeviceKey, name: str = "") -> WitnessKey:
    """The key of a witness that signs with `signer`; without a name it is called by its key."""
    public = signer.verifier.public
    return WitnessKey(name or f"cellwright/witness/{hashlib.sha256(public).hexdigest()[:16]}",
                      public)  # fmt: skip


def message(text: str, time_s: int) -> str:
    """What a witness signs: two lines and the whole text of the checkpoint."""
    return f"{HEADER}\ntime {time_s}\n{text}"


def cosign(signer: DeviceKey, key: WitnessKey, text: str, time_s: int) -> Signature:
    """The cosignature of a checkpoint's text. Raises ValueError for an impossible time."""
    if not 0 < time_s <= TIME_MAX:
        raise ValueError(f"{time_s} s since 1970 cannot be signed")
    signed = signer.sign(message(text, time_s)).signatures[0].signature
    return Signature(key.name, key.key_hash, time_s.to_bytes(_TIME_BYTES, "big") + signed)


def cosignature_of(line: Signature, text: str, known: Sequence[WitnessKey]) -> Cosignature | None:
    """The cosignature in a line, None if it is by nobody in `known`.

    Raises NoteError if it names a known key and does not hold.
    """
    for key in known:
        if (key.name, key.key_hash) != (line.name, line.key_hash):
            continue
        time_s = int.from_bytes(line.signature[:_TIME_BYTES], "big")
        whole = len(line.signature) == _TIME_BYTES + _SIGNATURE_BYTES and 0 < time_s <= TIME_MAX
        as_signed = VerifierKey(key.name, key.public)
        signature = line.signature[_TIME_BYTES:]
        if not whole or not signature_holds(as_signed, message(text, time_s), signature):
            raise NoteError(f"the cosignature of {line.name} does not hold")
        return Cosignature(key, time_s, line)
    return None


def open_cosigned(data: bytes, log: VerifierKey, known: Sequence[WitnessKey]) -> Cosigned:
    """A checkpoint signed by its log, with the cosignatures by `known` witnesses.

    Lines by others are left aside. Raises NoteError if it is no checkpoint of this log, the log's
    signature is missing, or a signature by the log or a known witness does not hold or stands
    twice.
    """
    note = Note.parse(data, foreign=True)
    own = [line for line in note.signatures
           if (line.name, line.key_hash) == (log.name, log.key_hash)]  # fmt: skip
    if len(own) != 1:
        raise NoteError("the checkpoint is not signed once by its log")
    if len(own[0].signature) != _SIGNATURE_BYTES or not signature_holds(
        log, note.text, own[0].signature
    ):
        raise NoteError(f"the signature of {log.name} does not hold")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != log.name:
        raise NoteError("the checkpoint is of another log")
    found = [cosignature_of(line, note.text, known) for line in note.signatures]
    held = tuple(each for each in found if each is not None)
    if len({each.key for each in held}) != len(held):
        raise NoteError("a witness stands twice under the checkpoint")
    return Cosigned(checkpoint, note.text, own[0], held)


def cosignatures_in(data: bytes, text: str, known: Sequence[WitnessKey]) -> list[Cosignature]:
    """The cosignatures of a checkpoint's text in a witness's answer, by `known` keys alone.

    Raises NoteError for an answer that is not signature lines, or one that does not hold.
    """
    if len(data) > LINES_BYTES_MAX:
        raise NoteError(f"the answer has more than {LINES_BYTES_MAX} bytes")
    try:
        lines = data.decode().splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise NoteError("the answer is not UTF-8") from error
    parsed = [signature_line(line, foreign=True) for line in lines]
    if "".join(each.render() for each in parsed).encode() != data:
        raise NoteError("the answer is not signature lines in their one written form")
    found = [cosignature_of(line, text, known) for line in parsed]
    return [each for each in found if each is not None]

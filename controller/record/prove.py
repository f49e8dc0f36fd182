"""Proofs about a log for somebody who has not the log: one record is in it, an older one begins it.

A module because a proof must give nothing away but what it proves. Form: C2SP tlog-proof v1
(https://c2sp.org/tlog-proof); its `extra` line carries the record and the key's certificate, which
are worth nothing until they are checked (see docs/log.md).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import rfc8785

from controller.core.errors import BadInput, RecordFailure
from controller.record.checkpoints import LAST
from controller.record.frame import Damage, decode, read_frames, read_limited
from controller.record.keys import open_note, signature_holds
from controller.record.layout import CERTIFICATE, read_identity
from controller.record.note import (
    NOTE_BYTES_MAX,
    Checkpoint,
    Note,
    NoteError,
    VerifierKey,
    certificate,
)
from controller.record.sources import Source
from controller.record.tiles import DirectoryHashes, consistency_proof, inclusion_proof
from controller.record.tree import (
    HASH_BYTES,
    consistency_holds,
    inclusion_holds,
    leaf_hash,
)

TITLE = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
PROOF_BYTES_MAX = 1 << 20
HASHES_MAX = 63
WITNESSED = "evidence/witnessed"


@dataclass(frozen=True, slots=True)
class Proof:
    """One record, the way from it to a root, and the signed checkpoint of that root."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    record: bytes
    certificate: bytes

    def render(self) -> bytes:
        """The proof as stored."""
        extra = rfc8785.dumps(
            {"certificate": self.certificate.decode(), "record": self.record.decode()}
        )
        lines = [TITLE, f"extra {_text64(extra)}", f"index {self.index}",
                 *(_text64(part) for part in self.path), "", ""]  # fmt: skip
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """The proof in `data`, which must be exactly one. Raises BadInput; nothing is checked."""
        head, gap, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
            if lines[0] != TITLE or not gap or len(lines) < 3 or len(lines) > 3 + HASHES_MAX:
                raise ValueError("it does not begin as one")
            if not (lines[1].startswith("extra ") and lines[2].startswith("index ")):
                raise ValueError("it has no `extra` and `index` line")
            extra = _bytes64(lines[1].removeprefix("extra "))
            found = _extra(extra, ("certificate", "record"))
            index = lines[2].removeprefix("index ")
            path = tuple(_bytes64(line) for line in lines[3:])
            if not index.isdecimal() or len(index) > 18 or str(int(index)) != index:
                raise ValueError("its index is not a number")
            if any(len(part) != HASH_BYTES for part in path):
                raise ValueError("one of its hashes has not 32 bytes")
        except ValueError as error:
            raise BadInput(f"this is no proof of a record: {error}",
                           do=f"Give a file that `cellwright log prove` wrote ({SUFFIX}).",
                           ) from error  # fmt: skip
        return cls(int(index), path, checkpoint, found["record"].encode(),
                   found["certificate"].encode())  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof shows: record `index` of the log `origin`, which had `size` records and `root`.

    `device` certified the log's key, for the log `what` (empty in format 1); `others` are names
    under which the checkpoint is signed too, and which were not checked.
    """

    index: int
    record: dict[str, Any]
    size: int
    root: bytes
    sealed: bool
    origin: str
    log_key: VerifierKey
    device: VerifierKey
    others: tuple[str, ...]
    what: str


def prove(source: Source, number: int) -> Proof:
    """The proof that record `number` is in a log, under its last checkpoint.

    With the witnesses' signatures, where they cosigned that very checkpoint. Raises BadInput for a
    record the checkpoint does not cover, RecordFailure for a log in which the proof would not hold.
    """
    directory = source.directory
    identity = read_identity(directory)
    note = read_limited(directory / LAST, NOTE_BYTES_MAX)
    checkpoint = _signed(note, identity.log, directory / LAST)
    if not 0 <= number < checkpoint.size:
        raise BadInput(
            f"record {number} is not under the last checkpoint, which covers {checkpoint.size}",
            where=directory,
            do=f"Name a record from 0 to {checkpoint.size - 1}; of a log that is being written, "
            "wait for its next checkpoint.",
        )
    payload = _payload(directory, number)
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise RecordFailure(f"record {number} is not UTF-8", where=directory) from error
    path = tuple(inclusion_proof(DirectoryHashes(directory).node, number, checkpoint.size))
    if not inclusion_holds(leaf_hash(payload), number, checkpoint.size, path, checkpoint.root):
        raise RecordFailure(
            f"record {number} is not the one the checkpoint covers",
            where=directory,
            means="The log was changed, or its tiles were. Nothing can be proved with it.",
            do="Run `cellwright log verify` on it.",
        )
    certificate = read_limited(directory / CERTIFICATE, NOTE_BYTES_MAX)
    return Proof(number, path, _witnessed(source, note), payload, certificate)


def check(data: bytes, *, log: VerifierKey | None, device: VerifierKey | None) -> Proven:
    """Whether a proof holds, for somebody who trusts the log's key or the device's.

    Raises BadInput for what is no proof, RecordFailure for one that does not hold.
    """
    if len(data) > PROOF_BYTES_MAX:
        raise BadInput(f"the proof is longer than {PROOF_BYTES_MAX} bytes")
    if log is None and device is None:
        raise BadInput("no key to trust was given", do="Give --device VKEY or --vkey VKEY.")
    proof = Proof.parse(data)
    try:
        note = Note.parse(proof.certificate)
        certified = certificate(note.text)
        named, certifier = certified.log, certified.device
        open_note(proof.certificate, (certifier,))
    except NoteError as error:
        raise _fails(f"the certificate of the log's key is none: {error}") from error
    if device is not None and certifier != device:
        raise _fails(f"the log's key was certified by {certifier.name}, not by {device.name}")
    if log is not None and named != log:
        raise _fails(f"it is of the log {named.name}, not of {log.name}")
    checkpoint = _signed(proof.checkpoint, named, None)
    leaf = leaf_hash(proof.record)
    if not inclusion_holds(leaf, proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise _fails(f"the record is not number {proof.index} of the log under this checkpoint")
    try:
        record = decode(proof.record)
    except ValueError as error:
        raise _fails(f"what is proved is not a record: {error}") from error
    signed = Note.parse(proof.checkpoint, foreign=True).signatures
    others = tuple(line.name for line in signed if line.name != named.name)
    return Proven(proof.index, record, checkpoint.size, checkpoint.root, checkpoint.sealed,
                  checkpoint.origin, named, certifier, others,
                  f"{certified.kind} {certified.purpose}".strip())  # fmt: skip


def consistent(directory: Path, note: bytes) -> tuple[Checkpoint, Checkpoint, list[bytes]]:
    """The old and the last checkpoint of a log, and the proof that the one begins the other.

    `note` is a checkpoint somebody kept: signed by this log, cosigned or not. Raises RecordFailure
    if it is not of this log, or if the log is no longer the one it was then.
    """
    identity = read_identity(directory)
    whole = note if note.endswith(b"\n") else note + b"\n"  # a scanned code may lose its last sign
    old = _signed(whole, identity.log, None)
    last = read_limited(directory / LAST, NOTE_BYTES_MAX)
    now = _signed(last, identity.log, directory / LAST)
    if old.size > now.size:
        raise RecordFailure(
            f"the log had {old.size} records then, its last checkpoint covers {now.size}",
            where=directory,
            means="The end of the log is missing: it was cut, or set back to an earlier copy.",
            do="Keep both as evidence.",
        )
    path = consistency_proof(DirectoryHashes(directory).node, old.size, now.size)
    if not consistency_holds(old.size, now.size, path, old.root, now.root):
        raise RecordFailure(
            f"its first {old.size} records are not those of the older checkpoint",
            where=directory,
            means="The log was written anew, or was changed, after that checkpoint was given.",
            do="Keep both as evidence, and run `cellwright log verify` on the log.",
        )
    return old, now, path


def _signed(data: bytes, key: VerifierKey, where: Path | None) -> Checkpoint:
    """The checkpoint in a note that is signed by `key`, whoever else signed it."""
    try:
        note = Note.parse(data, foreign=True)
        checkpoint = Checkpoint.parse(note.text)
        mine = [line for line in note.signatures
                if line.name == key.name and line.key_hash == key.key_hash]  # fmt: skip
        if checkpoint.origin != key.name or not mine:
            raise NoteError(f"it is of the log {checkpoint.origin}, not of {key.name}")
        if not all(signature_holds(key, note.text, line.signature) for line in mine):
            raise NoteError(f"the signature of {key.name} does not hold")
    except NoteError as error:
        raise _fails(f"the checkpoint cannot be relied on: {error}", where or "") from error
    return checkpoint


def _witnessed(source: Source, note: bytes) -> bytes:
    """The same checkpoint with its cosignatures, where there are any."""
    try:
        found = read_limited(source.beside(WITNESSED), NOTE_BYTES_MAX)
        same = Note.parse(found, foreign=True).text == Note.parse(note).text
    except (RecordFailure, NoteError):
        return note
    return found if same else note


def _payload(directory: Path, number: int) -> bytes:
    for item in islice(read_frames(directory), number, None):
        if isinstance(item, Damage):
            break
        return item.payload
    raise RecordFailure(f"record {number} cannot be read", where=directory,
                        do="Run `cellwright log verify` on the log.")  # fmt: skip


def _fails(what: str, where: object = "") -> RecordFailure:
    return RecordFailure(what, where=where, means="Nothing is proved.")


def _extra(data: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """An object of texts under exactly these names, in RFC 8785 form. Raises ValueError."""
    found = json.loads(data)
    if not isinstance(found, dict) or sorted(found) != sorted(names):
        raise ValueError("its extra data are not those of a record")
    if not all(isinstance(part, str) for part in found.values()) or rfc8785.dumps(found) != data:
        raise ValueError("its extra data are not in their one written form")
    return found


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a line is not base64") from error
    if _text64(data) != text:
        raise ValueError("a line is not base64 in its one written form")
    return data

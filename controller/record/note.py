"""C2SP signed notes, and the tlog checkpoint and key certificate written in them.

Formats: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint (read as of 2025). A module
because other people's tools read these texts. Parsing is strict: what does not render back to the
same bytes is refused, so no byte of a note can change unseen. Only a note that a witness may have
signed too (`foreign`) may carry signatures of other kinds than Ed25519.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

ED25519 = 1
NOTE_BYTES_MAX = 16_384
SIGNATURES_MAX = 16
CERTIFICATE_TITLE = "cellwright key certificate v"
PURPOSE_MAX = 200
SEALED = "sealed"
_SIGNED_BY = "\N{EM DASH} "
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_FOREIGN_BYTES_MAX = 4_096  # an ML-DSA-44 cosignature has 2,428


class NoteError(ValueError):
    """A note, checkpoint or verifier key that is not well formed."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 public key under a name, as a signed note knows it."""

    name: str
    public: bytes

    @property
    def key_hash(self) -> bytes:
        """First 4 bytes of SHA-256(name, newline, 0x01, public key) (C2SP signed-note)."""
        text = self.name.encode() + b"\n" + bytes([ED25519]) + self.public
        return hashlib.sha256(text).digest()[:4]

    def __str__(self) -> str:
        """The verifier key string `name+hash+key`."""
        key = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.key_hash.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key in a verifier key string. Raises NoteError."""
        name, _, rest = text.partition("+")
        _, _, encoded = rest.partition("+")
        data = _decode64(encoded, "verifier key")
        if len(data) != 1 + _KEY_BYTES or data[0] != ED25519:
            raise NoteError("the verifier key is not an Ed25519 key")
        key = cls(name, data[1:])
        if not good_name(name) or str(key) != text:
            raise NoteError("the verifier key does not match its own name and hash")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says so, the hash of their key, the signature.

    It is 64 bytes of Ed25519 everywhere but in a `foreign` note.
    """

    name: str
    key_hash: bytes
    signature: bytes

    def render(self) -> str:
        """The line, with its newline."""
        text = base64.b64encode(self.key_hash + self.signature).decode()
        return f"{_SIGNED_BY}{self.name} {text}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text (ending in a newline) and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...]

    def render(self) -> bytes:
        """The note as stored."""
        return (self.text + "\n" + "".join(line.render() for line in self.signatures)).encode()

    @classmethod
    def parse(cls, data: bytes, *, foreign: bool = False) -> Note:
        """The note in `data`, which must be exactly one well-formed note. Raises NoteError.

        `foreign`: signatures may be of any kind, so of any length (a witness's has 72 bytes).
        """
        if len(data) > NOTE_BYTES_MAX:
            raise NoteError(f"the note has more than {NOTE_BYTES_MAX} bytes")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise NoteError("the note is not UTF-8") from error
        text, gap, below = whole.rpartition("\n\n")
        lines = below.splitlines(keepends=True)
        if not gap or not text or not 0 < len(lines) <= SIGNATURES_MAX:
            raise NoteError("the note has no text or no signature")
        note = cls(text + "\n", tuple(signature_line(line, foreign=foreign) for line in lines))
        if note.render() != data:
            raise NoteError("the note is not in its one written form")
        return note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root at one moment (C2SP tlog-checkpoint).

    Two extension lines: `previous HASH` names the checkpoint before this one by the base64
    SHA-256 of its whole signed note (`previous none` in the first), so that the history of
    checkpoints is itself a chain; `sealed` stands in the last one of a finished log.
    """

    origin: str
    size: int
    root: bytes
    previous: bytes | None
    sealed: bool

    def text(self) -> str:
        """The text that is signed."""
        before = "none" if self.previous is None else base64.b64encode(self.previous).decode()
        root = base64.b64encode(self.root).decode()
        end = f"{SEALED}\n" if self.sealed else ""
        return f"{self.origin}\n{self.size}\n{root}\nprevious {before}\n{end}"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The checkpoint in a note's text. Raises NoteError."""
        lines = text.split("\n")
        if len(lines) not in (5, 6) or not lines[3].startswith("previous "):
            raise NoteError("the text is not a checkpoint of this format")
        if not lines[1].isdecimal() or len(lines[1]) > 18:
            raise NoteError("the checkpoint's size is not a number")
        before = lines[3].removeprefix("previous ")
        previous = None if before == "none" else _decode64(before, "previous hash")
        root = _decode64(lines[2], "root")
        found = cls(lines[0], int(lines[1]), root, previous, len(lines) == 6)
        if found.text() != text or len(root) != 32 or len(previous or root) != 32:
            raise NoteError("the text is not a checkpoint in its one written form")
        return found


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a device signs of a log's key. `kind` and `purpose` are empty in version 1."""

    log: VerifierKey
    device: VerifierKey
    kind: str = ""
    purpose: str = ""


def good_purpose(text: str) -> bool:
    """Whether a log can be of that kind, or for that: one line that can be printed."""
    return 0 < len(text) <= PURPOSE_MAX and text.isprintable()


def certificate_text(
    log_key: VerifierKey, device_key: VerifierKey, kind: str = "", purpose: str = ""
) -> str:
    """What a device key signs to say that a key is that of its log of this kind and purpose."""
    version, what = (2, f"kind {kind}\npurpose {purpose}\n") if kind else (1, "")
    return f"{CERTIFICATE_TITLE}{version}\nlog {log_key}\ndevice {device_key}\n{what}"


def certificate(text: str) -> Certificate:
    """What a certificate's text says. Raises NoteError."""
    lines = text.split("\n")
    if len(lines) not in (4, 6) or not lines[0].startswith(CERTIFICATE_TITLE):
        raise NoteError("the text is not a key certificate of this format")
    found = Certificate(
        VerifierKey.parse(lines[1].removeprefix("log ")),
        VerifierKey.parse(lines[2].removeprefix("device ")),
        lines[3].removeprefix("kind "), lines[4].removeprefix("purpose ") if lines[3] else "",
    )  # fmt: skip
    written = certificate_text(found.log, found.device, found.kind, found.purpose)
    named = good_purpose(found.kind) and good_purpose(found.purpose)
    if written != text or (found.kind and not named):
        raise NoteError("the key certificate is not in its one written form")
    return found


def signature_line(line: str, *, foreign: bool = False) -> Signature:
    """The signature in one line, of any kind if `foreign`. Raises NoteError."""
    name, _, encoded = line.removeprefix(_SIGNED_BY).rstrip("\n").partition(" ")
    data = _decode64(encoded, "signature")
    right = 4 < len(data) <= _FOREIGN_BYTES_MAX if foreign else len(data) == 4 + _SIGNATURE_BYTES
    if not good_name(name) or not right:
        raise NoteError(f"a line is no {'' if foreign else 'Ed25519 '}signature")
    return Signature(name, data[:4], data[4:])


def good_name(name: str) -> bool:
    """Whether a key can be called so in a signed note; and no name may move a terminal's cursor."""
    plain = name.isprintable() and not any(char.isspace() for char in name)
    return bool(name) and "+" not in name and plain


def _decode64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"the {what} is not base64") from error

"""A witness: which checkpoints of a log it may cosign, and what it answers.

Protocol: https://c2sp.org/tlog-witness, `add-checkpoint`; `add-log` is ours. A module because here
it is decided that no two roots of one size and no smaller tree are ever signed. It knows HTTP's
status numbers and nothing else of the network; each request is answered before the next one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from controller.core.errors import RecordFailure
from controller.record.note import Note, NoteError, VerifierKey
from controller.record.tree import HASH_BYTES, consistency_holds
from controller.witness.cosign import Cosignature, Cosigned, cosign, open_cosigned
from controller.witness.store import Full, Known, Store, certified

PROOF_LINES_MAX = 63
SIZE_TYPE = "text/x.tlog.size"
TEXT = "text/plain; charset=utf-8"
_SIZE_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTTP status, body and its type, and what the witness's operator reads."""

    status: int
    body: bytes
    words: str
    kind: str = TEXT


@dataclass(frozen=True, slots=True)
class Submission:
    """The body of `add-checkpoint`, taken apart."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


class Malformed(ValueError):
    """A body that is not a request of this protocol."""


def render(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of an `add-checkpoint` request."""
    lines = [f"old {old}", *(base64.b64encode(part).decode() for part in proof), "", ""]
    return "\n".join(lines).encode() + note


def parse(body: bytes) -> Submission:
    """A request's parts. Raises Malformed."""
    head, gap, note = body.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("the head of the request is not ASCII") from error
    word, _, number = lines[0].partition(" ")
    right = number.isdecimal() and len(number) <= _SIZE_DIGITS_MAX and str(int(number)) == number
    if not gap or word != "old" or not right:
        raise Malformed("the request does not begin with a line `old SIZE`")
    if len(lines) - 1 > PROOF_LINES_MAX:
        raise Malformed(f"the proof has more than {PROOF_LINES_MAX} lines")
    return Submission(int(number), tuple(_hash(line) for line in lines[1:]), note)


class Witness:
    """Answers requests one after another from what its store holds."""

    def __init__(
        self, store: Store, trusted: Sequence[VerifierKey], wall: Callable[[], float]
    ) -> None:
        """`trusted`: the devices whose logs it takes. `wall`: s since 1970."""
        self._store, self._trusted, self._wall = store, frozenset(trusted), wall

    @property
    def logs(self) -> int:
        """How many logs it knows."""
        return len(self._store.logs)

    def vkey(self) -> Reply:
        """The witness's own verifier key."""
        return Reply(200, f"{self._store.key}\n".encode(), "its key")

    def last(self, origin: str) -> Reply:
        """The last checkpoint it cosigned for a log, as a note with both signatures. Ours."""
        known = self._store.logs.get(origin)
        if known is None or known.last is None:
            return _refusal(404, f"nothing was cosigned for {origin[:80]!r}")
        return Reply(200, known.last.render(), f"{origin} last: {known.last.checkpoint.size}")

    def add_log(self, certificate: bytes) -> Reply:
        """Makes a log known by its `key.cert`, if it trusts the device that signed it. Ours.

        200 also for one that is known already, 400 for no certificate, 403 for another device, 507
        when there are too many or the disk refuses.
        """
        try:
            key, device = certified(certificate)
        except NoteError as error:
            return _refusal(400, str(error))
        if device not in self._trusted:
            return _refusal(403, f"device {device.name} is not trusted here")
        known = self._store.logs.get(key.name)
        if known is None:
            try:
                self._store.add(certificate, key, device)
            except (Full, RecordFailure) as error:
                return _refusal(507, error.what)
        elif known.key != key:
            return _refusal(409, f"another key is known as {key.name}")
        return Reply(200, f"{key.name}\n".encode(), f"{key.name} known, by {device.name}")

    def add_checkpoint(self, body: bytes) -> Reply:
        """Cosigns a checkpoint that continues what was cosigned before; durable, then answered.

        The last one once more gets the same cosignature: its time is when it was first seen.

        404 unknown log, 403 not signed by it, 409 with the size last cosigned if `old` is another
        one, the root of that size is another one, or the log was sealed there, 422 for a proof that
        fails, 400 for anything malformed, 507 when the disk refuses.
        """
        try:
            asked = parse(body)
            origin = Note.parse(asked.note, foreign=True).text.split("\n", 1)[0]
        except (Malformed, NoteError) as error:
            return _refusal(400, str(error))
        known = self._store.logs.get(origin)
        if known is None:
            return _refusal(404, f"log {origin[:80]!r} is not known here")
        try:
            found = open_cosigned(asked.note, known.key, ())
        except NoteError as error:
            return _refusal(403, f"{origin}: {error}")
        refused = _refused(asked, found, known)
        if refused is None and known.last is not None and known.last.text == found.text:
            line = known.last.cosignatures[0].line  # anybody can play it back: nothing is written
            return Reply(200, line.render().encode(), f"{origin} again: {found.checkpoint.size}")
        return refused if refused is not None else self._cosign(origin, found)

    def _cosign(self, origin: str, found: Cosigned) -> Reply:
        time_s = int(self._wall())
        line = cosign(self._store.signer, self._store.key, found.text, time_s)
        signed = Cosignature(self._store.key, time_s, line)
        size = found.checkpoint.size
        try:
            self._store.keep(
                origin, Cosigned(found.checkpoint, found.text, found.signed, (signed,))
            )
        except RecordFailure as error:
            return _refusal(507, error.what)
        sealed = ", sealed" if found.checkpoint.sealed else ""
        return Reply(200, line.render().encode(), f"{origin} cosigned: {size}{sealed}")


def _refused(asked: Submission, found: Cosigned, known: Known) -> Reply | None:
    """Why a checkpoint signed by its log is not cosigned; None if it may be."""
    new, before = found.checkpoint, known.last
    if asked.old > new.size or new.size == 0:
        return _refusal(400, f"{new.origin}: from {asked.old} to {new.size} is no growth")
    seen = before.checkpoint.size if before else 0
    if asked.old != seen:
        return _conflict(seen, f"{new.origin} refused: {asked.old} to {new.size}, seen {seen}")
    if before is None:
        if asked.proof:
            return _refusal(422, f"{new.origin}: a proof from nothing must be empty")
        return None
    last = before.checkpoint
    if last.sealed and found.text != before.text:
        return _conflict(seen, f"{new.origin} REFUSED: it was sealed at {seen}")
    if new.size == seen and new.root != last.root:
        return _conflict(seen, f"{new.origin} REFUSED: another root of size {seen}")
    if not consistency_holds(seen, new.size, asked.proof, last.root, new.root):
        return _refusal(422, f"{new.origin} REFUSED: {new.size} does not continue {seen}")
    return None


def _conflict(size: int, words: str) -> Reply:
    return Reply(409, f"{size}\n".encode(), words, SIZE_TYPE)


def _refusal(status: int, why: str) -> Reply:
    return Reply(status, f"{why}\n".encode(), why)


def _hash(line: str) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("a line of the proof is not base64") from error
    if len(data) != HASH_BYTES or base64.b64encode(data).decode() != line:
        raise Malformed("a line of the proof is not one hash")
    return data

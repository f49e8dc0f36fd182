"""One witness, asked: hands it a checkpoint and says what its answer proves.

A module because here it is decided what counts as a rollback: only a checkpoint that our own log
has signed and that our log, as it is now, does not continue. A witness's word alone never holds a
unit. Protocol: https://c2sp.org/tlog-witness; `add-log` and `checkpoint/` are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.core.errors import BadInput, CellwrightError
from controller.record.frame import read_limited
from controller.record.layout import CERTIFICATE, read_identity
from controller.record.note import NOTE_BYTES_MAX, NoteError, VerifierKey
from controller.record.publish import Published
from controller.record.tree import consistency_holds
from controller.witness.app import CHECKPOINT
from controller.witness.cosign import (
    Cosignature,
    Cosigned,
    WitnessKey,
    cosignatures_in,
    open_cosigned,
)
from controller.witness.http import Address, Unanswered, plain, words
from controller.witness.witness import render

TRIES_MAX = 5
_DIGITS_MAX = 18
Consistency = Callable[[int, int], list[bytes]]
Newest = Callable[[], Published | None]


@dataclass(frozen=True, slots=True)
class WitnessAt:
    """A witness as it is configured: where it is, and its key."""

    address: Address
    key: WitnessKey

    @classmethod
    def parse(cls, text: str) -> WitnessAt:
        """The witness in `URL=VKEY`, as `witness serve` prints it. Raises BadInput."""
        url, _, vkey = text.partition("=")
        try:
            key = WitnessKey.parse(vkey)
        except NoteError as error:
            raise BadInput(
                f"{text[:200]!r} is no witness: {error}",
                do="Give URL=VKEY, the line `cellwright witness serve` prints.",
            ) from None
        return cls(Address.parse(url, "a witness"), key)


class Lost(Exception):
    """The witness gave no usable answer; the text says why."""


class Forked(Exception):
    """Our log has signed `seen`, and what is published of it now does not continue that."""

    def __init__(self, seen: Cosigned, now: Published) -> None:
        super().__init__(f"{seen.checkpoint.size} records were seen, {now.size} are here")
        self.seen, self.now = seen, now


class Asked:
    """The questions to one witness. Used by one thread."""

    def __init__(self, at: WitnessAt) -> None:
        self._at = at
        self._seen: dict[str, int] = {}

    @property
    def key(self) -> WitnessKey:
        """Its key."""
        return self._at.key

    def cosigned(
        self, found: Published, consistency: Consistency, newest: Newest | None = None
    ) -> tuple[Cosigned, Cosignature]:
        """The checkpoint and the witness's cosignature of it. A log it does not know is added.

        `newest`: what is published of a log that goes on being written meanwhile. Raises Lost, and
        Forked with the proof of a rollback: neither `found` nor what came after continues it.
        """
        try:
            log = read_identity(found.directory).log
            known = open_cosigned(found.note, log, ())
            for _ in range(TRIES_MAX):
                try:
                    cosignature = self._submitted(found, log, known, consistency)
                except Forked as error:
                    now = (newest and newest()) or found
                    if continues(now, open_cosigned(now.note, log, ()), error.seen, consistency):
                        raise Lost("it shows a newer checkpoint than the one given it") from error
                    raise Forked(error.seen, now) from error
                if cosignature is not None:
                    return known, cosignature
        except Unanswered as error:
            raise Lost(str(error)) from error
        except (NoteError, CellwrightError) as error:
            raise Lost(plain(str(error))) from error
        except OSError as error:
            raise Lost(words(error)) from error
        raise Lost("it changes its mind with each answer")

    def last(self, log: VerifierKey) -> Cosigned | None:
        """The last checkpoint it shows for a log, with its cosignature, None if it shows none.

        Raises Unanswered, and NoteError for one that the log has not signed.
        """
        status, body = self._at.address.ask("GET", CHECKPOINT + log.name)
        if status == 404:
            return None
        if status != 200:
            raise Unanswered(_said(status, body))
        return open_cosigned(body, log, (self._at.key,))

    def _submitted(
        self, found: Published, log: VerifierKey, known: Cosigned, consistency: Consistency
    ) -> Cosignature | None:
        """One submission; None when it is to be tried again."""
        old = min(self._seen.get(found.origin, 0), found.size)
        proof = consistency(old, found.size) if 0 < old < found.size else []
        status, body = self._at.address.ask(
            "POST", "/add-checkpoint", render(old, proof, found.note)
        )
        if status == 200:
            held = cosignatures_in(body, known.text, (self._at.key,))
            if not held:
                raise Lost("its answer is not signed with its key")
            self._seen[found.origin] = found.size
            return held[0]
        if status == 404:
            self._introduce(found)
            self._seen[found.origin] = 0
            return None
        size = _size(body) if status == 409 else -1
        if 0 <= size <= found.size and size != old:
            self._seen[found.origin] = size
            return None
        if status in (409, 422):
            self._seen[found.origin] = self._disputed(found, log, known, consistency, size)
            return None
        raise Lost(_said(status, body))

    def _introduce(self, found: Published) -> None:
        certificate = read_limited(found.directory / CERTIFICATE, NOTE_BYTES_MAX)
        status, body = self._at.address.ask("POST", "/add-log", certificate)
        if status != 200:
            raise Lost(f"it does not take this log: {_said(status, body)}")

    def _disputed(
        self, found: Published, log: VerifierKey, known: Cosigned, consistency: Consistency,
        size: int,
    ) -> int:  # fmt: skip
        """The size it has seen, if our log continues that after all. Raises Forked, Lost."""
        seen = self.last(log)
        if seen is None:
            claimed = f" {size}" if size >= 0 else ""
            raise Lost(f"it disputes the log{claimed} and shows no checkpoint")
        if not continues(found, known, seen, consistency):
            raise Forked(seen, found)
        return seen.checkpoint.size


def continues(
    found: Published, known: Cosigned, seen: Cosigned, consistency: Consistency
) -> bool:
    """Whether a log, as published now, continues a checkpoint of its own that was seen."""
    before = seen.checkpoint
    if before.size > found.size or (before.sealed and seen.text != known.text):
        return False
    proof = consistency(before.size, found.size) if before.size < found.size else []
    return consistency_holds(before.size, found.size, proof, before.root, found.root)


def _size(body: bytes) -> int:
    text = body.decode("ascii", "replace").removesuffix("\n")
    return int(text) if text.isdecimal() and len(text) <= _DIGITS_MAX else -1


def _said(status: int, body: bytes) -> str:
    return f"it answers {status}: {plain(body[:400].decode('utf-8', 'replace'))}"

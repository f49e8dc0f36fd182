"""The time-stamping authority of a station: asked once about every seal, until it answers.

A module of its own because it loads certificates and the client of RFC 3161,
which a station without an authority does not need.
"""

from __future__ import annotations

import hashlib
from datetime import UTC

from controller.record.publish import Published
from controller.witness.asking import Lost
from controller.witness.evidence import STAMPED, evidence_of
from controller.witness.http import Address
from controller.witness.stamping import NotStamped, Roots, stamp
from controller.witness.subject import Subject, Turn
from controller.witness.watch import Asker, Watch


class Stamper(Asker):
    """An authority after RFC 3161."""

    def __init__(self, watch: Watch, address: Address, roots: Roots = ()) -> None:
        super().__init__(watch, address.text)
        self._address, self._roots = address, roots

    def may(self, found: Published) -> bool:
        """Seals that have no time-stamp yet."""
        return found.sealed and not (evidence_of(found.directory) / STAMPED).exists()

    def ask(self, subject: Subject, found: Published, turn: Turn) -> None:  # noqa: ARG002
        """See Asker."""
        try:
            stamped = stamp(self._address, found.note, self._roots)
        except NotStamped as error:
            raise Lost(str(error)) from error
        subject.evidence.stamped(stamped.response)
        self._watch.record(
            "checkpoint.timestamped", origin=found.origin, size=found.size, authority=self.name,
            time=stamped.time.astimezone(UTC).isoformat(), trusted=stamped.trusted,
            sha256=hashlib.sha256(stamped.response).hexdigest(),
        )  # fmt: skip

    def lost(self, why: str, seconds: str) -> None:  # noqa: ARG002
        """See Asker."""
        self._watch.record("timestamp.failed", authority=self.name, why=why)

    def back(self, seconds: str) -> None:
        """The time-stamp it gave says so."""

"""Electronic signatures: who, in which meaning, for exactly which request.

21 CFR 11.70: a signature must not fit another record, so it carries the digest of the request it
was given for. It is made here alone, after both components were given anew (11.200(a)); a seal
under a key of this process tells one that was made elsewhere, and each is good for one request.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import astuple, dataclass, field, replace
from typing import Final

from controller.core.clock import NS_PER_S, Stamp

VALID_S: Final = 60.0
SPENT_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature. `utc` is when it was given, RFC 3339 with offset; `digest` what for."""

    user: str
    name: str
    role: str
    meaning: str
    reason: str
    digest: str
    utc: str
    given_ns: int
    nonce: str
    seal: str = field(default="", repr=False)


def request_digest(
    verb: str, target: str, value: str, expected: str, reason: str, batch_id: str
) -> str:
    """SHA-256 (hex) of a request: what a signature is given for. `batch_id` "" = none open."""
    content = {"batch_id": batch_id, "expected": expected, "reason": reason, "target": target,
               "value": value, "verb": verb}  # fmt: skip
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Seals:
    """Makes seals and knows which signatures were used. One thread makes, one asks: no lock."""

    def __init__(self, key: bytes, valid_s: float = VALID_S) -> None:
        """`key`: at least 32 random bytes that never leave the process."""
        self._key, self._valid_ns = key, round(valid_s * NS_PER_S)
        self._spent: dict[str, int] = {}

    def sealed(self, signature: Signature) -> Signature:
        """The same signature, sealed. Only for `door.sign`, after the password was right."""
        return replace(signature, seal=self._seal(signature))

    def flaw(self, signature: Signature, digest: str, stamp: Stamp) -> str:
        """Why a signature does not fit a request now; empty if it does."""
        if not hmac.compare_digest(signature.seal, self._seal(signature)):
            return "it was not given at this station"
        if signature.digest != digest:
            return "it was given for another request"
        if not 0 <= stamp.mono_ns - signature.given_ns <= self._valid_ns:
            return "it is too old"
        if signature.nonce in self._spent:
            return "it was used already"
        return ""

    def spend(self, signature: Signature, stamp: Stamp) -> None:
        """It is good for no other request. Called by the desk as it accepts the request."""
        if len(self._spent) >= SPENT_MAX:
            old = [n for n, at in self._spent.items() if stamp.mono_ns - at > self._valid_ns]
            for nonce in old or [next(iter(self._spent))]:
                del self._spent[nonce]
        self._spent[signature.nonce] = signature.given_ns

    def _seal(self, signature: Signature) -> str:
        text = json.dumps(astuple(replace(signature, seal="")))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

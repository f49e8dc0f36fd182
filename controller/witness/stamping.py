"""Time-stamps after RFC 3161: asks an authority for one of a final checkpoint, and checks them.

A module because it is the only user of `rfc3161_client` and of the certificates of an authority.
Without root certificates a response is checked for status, nonce, digest and policy only, and said
to be so: its signature then stands to be checked by whoever knows the authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)
from rfc3161_client.tsp import PKIStatus

from controller.core.errors import BadInput
from controller.record.frame import read_limited
from controller.witness.der import in_order
from controller.witness.http import Address, Unanswered, plain

ROOTS_BYTES_MAX = 1 << 20
QUERY = "application/timestamp-query"
Roots = Sequence[x509.Certificate]
_DIGESTS = {"2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384",
            "2.16.840.1.101.3.4.2.3": "sha512"}  # fmt: skip


class NotStamped(Exception):
    """There is no time-stamp, or it does not hold; the text says why."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A time-stamp: the response as it came, the time it states, whether its signature was
    checked against roots."""

    response: bytes
    time: datetime
    trusted: bool


def read_roots(path: Path | None) -> Roots:
    """The PEM certificates an authority is trusted by. Raises BadInput."""
    if path is None:
        return []
    try:
        if not path.is_file():
            raise BadInput("there is no such file of certificates", where=path)
        return x509.load_pem_x509_certificates(read_limited(path, ROOTS_BYTES_MAX))
    except ValueError:
        raise BadInput("these are no PEM certificates", where=path) from None


def stamp(address: Address, data: bytes, roots: Roots) -> Stamped:
    """A time-stamp of `data` (SHA-512, with a nonce). Raises NotStamped."""
    request = TimestampRequestBuilder(data, HashAlgorithm.SHA512, nonce=True, cert_req=True).build()
    try:
        status, body = address.ask("POST", "", request.as_bytes(), QUERY)
    except Unanswered as error:
        raise NotStamped(str(error)) from error
    if status != 200:
        raise NotStamped(f"it answers {status}: {plain(body[:200].decode('utf-8', 'replace'))}")
    return check(body, data, roots, request.nonce)


def check(
    response: bytes, data: bytes, roots: Roots, nonce: int | None = None
) -> Stamped:
    """What a response says of `data`. Raises NotStamped if it does not hold for it."""
    try:
        found = decode_timestamp_response(in_order(response))
        if PKIStatus(found.status) not in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS):
            raise NotStamped(f"refused: {plain(' '.join(found.status_string) or 'no reason')}")
        info = found.tst_info
        if nonce is not None and info.nonce != nonce:
            raise NotStamped("it answers another request")
        _check_digest(found, data)
        if roots:
            verifier = VerifierBuilder(roots=list(roots), nonce=nonce).build()
            verifier.verify_message(found, data)
        return Stamped(response, info.gen_time, bool(roots))
    except VerificationError as error:
        raise NotStamped(plain(str(error))) from error
    except (ValueError, TypeError) as error:
        raise NotStamped(f"it is no time-stamp response: {plain(str(error))}") from error


def _check_digest(found: TimeStampResponse, data: bytes) -> None:
    imprint = found.tst_info.message_imprint
    name = _DIGESTS.get(imprint.hash_algorithm.dotted_string)
    if name is None:
        raise NotStamped("it is of an unknown digest")
    if imprint.message != hashlib.new(name, data).digest():
        raise NotStamped("it is of other data")

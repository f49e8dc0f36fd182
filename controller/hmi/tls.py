"""The station's own certificate: made once, kept with its key beside the state, pinned by clients.

Self-signed: a station has no name a public authority would sign. Its fingerprint is printed at the
start and compared by people and by `cellwright user`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.core.errors import BadInput

FOLDER, CERTIFICATE, KEY = "tls", "cert.pem", "key.pem"
DAYS = 825


def certificate(state: Path, host: str, utc_ns: int) -> tuple[Path, Path]:
    """Certificate and key of a station, made if they are not there or are over.

    Raises BadInput when they cannot be read or written.
    """
    folder = state / FOLDER
    cert, key = folder / CERTIFICATE, folder / KEY
    now = datetime.fromtimestamp(utc_ns / 1e9, UTC)
    try:
        if not (cert.exists() and key.exists() and _still_good(cert, now)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(cert, key, host, now)
    except (OSError, ValueError) as error:
        raise BadInput(
            f"the certificate of this station cannot be read or written: {error}", where=folder,
            do="Check the disk and its rights, or remove the folder: a new one is made.",
        ) from error  # fmt: skip
    return cert, key


def fingerprint(cert: Path) -> str:
    """SHA-256 of the certificate, as people compare it. Raises BadInput when it is none."""
    try:
        der = ssl.PEM_cert_to_DER_cert(cert.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"the certificate of this station cannot be read: {error}", where=cert
        ) from error
    digest = hashlib.sha256(der).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def _still_good(cert: Path, now: datetime) -> bool:
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    return found.not_valid_after_utc > now + timedelta(days=7)


def _make(cert: Path, key: Path, host: str, now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cellwright station")])
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")), x509.DNSName(socket.gethostname()),
    ]  # fmt: skip
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    except ValueError:
        names.append(x509.DNSName(host))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(list(dict.fromkeys(names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )  # fmt: skip
    _write(key, pem)
    _write(cert, made.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, for its owner alone."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)

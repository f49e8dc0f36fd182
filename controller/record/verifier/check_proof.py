#!/usr/bin/env python3
"""Checks the proof of one record of a cellwright log, with Python's standard library alone (3.8+).

    python check_proof.py FILE.tlog-proof --device VKEY | --vkey VKEY [--json]

VKEY is the verifier key you trust, as you know it from elsewhere: the device's, or the log's own.
Exit code 0: the record is in that log; 3: nothing is proved. The form is c2sp.org/tlog-proof; the
`extra` line is base64 of a JSON object with the `record` and the `certificate` of the log's key.
It shares no code with the program that wrote the proof.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys

PROOF_MAX = 1 << 20
B64 = rb"[A-Za-z0-9+/]+={0,2}"
SIGNATURE = re.compile(rb"\xe2\x80\x94 ([^ \n+]+) (" + B64 + rb")\n")
CERTIFICATE = re.compile(
    r"cellwright key certificate v(?:1\nlog ([^\n]+)\ndevice ([^\n]+)\n"
    r"|2\nlog ([^\n]+)\ndevice ([^\n]+)\nkind ([^\n]+)\npurpose ([^\n]{1,200})\n)"
)
HASH = r"[A-Za-z0-9+/]{43}="
CHECKPOINT = re.compile(
    rf"([^\n]+)\n([1-9][0-9]{{0,17}})\n({HASH})\nprevious (?:none|{HASH})\n(sealed\n)?"
)

# Ed25519 (RFC 8032, section 5.1.7), on points (x, y): slow, and short enough to be read.
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The sum of two points of the curve."""
    cross = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + cross, P - 2, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - cross, P - 2, P)
    return x % P, y % P


def times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """`factor` times a point."""
    total = (0, 1)
    for bit in bin(factor)[2:]:
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def point(data: bytes) -> tuple[int, int]:
    """The point that 32 bytes stand for."""
    number = int.from_bytes(data, "little")
    y, odd = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and odd):
        raise Wrong("a key or signature is not a point of the curve")
    return (P - x if x & 1 != odd else x), y


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the key's signature of `message`."""
    if len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % Q
    base_y = 4 * pow(5, P - 2, P) % P
    base = point(base_y.to_bytes(32, "little"))
    right = add(point(signature[:32]), times(k, point(public)))
    return s < Q and times(s, base) == right


class Wrong(Exception):
    """Why nothing is proved."""


def decode64(text: str) -> bytes:
    """Bytes from base64 in its one written form."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong("there is something that is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Wrong("there is base64 that is not in its one written form")
    return data


class Key:
    """A verifier key, `NAME+HASH+KEY` (c2sp.org/signed-note), Ed25519."""

    def __init__(self, text: str) -> None:
        name, _, rest = text.partition("+")
        shown, _, encoded = rest.partition("+")
        data = decode64(encoded)
        self.text, self.name, self.public = text, name, data[1:]
        self.hash = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if len(data) != 33 or data[0] != 1 or shown != self.hash.hex() or not name:
            raise Wrong(f"{text[:80]!r} is not an Ed25519 verifier key")

    def text_of(self, note: bytes, what: str) -> str:
        """The text of a note that this key signed, whoever else did."""
        text, gap, below = note.rpartition(b"\n\n")
        lines = list(SIGNATURE.finditer(below))
        if not gap or b"".join(line.group() for line in lines) != below or not lines:
            raise Wrong(f"the {what} is not a signed note")
        mine = 0
        for line in lines:
            data = decode64(line.group(2).decode())
            if line.group(1) == self.name.encode() and data[:4] == self.hash:
                mine += 1
                if not signed_by(self.public, text + b"\n", data[4:]):
                    raise Wrong(f"the signature of {self.name} under the {what} is wrong")
        if not mine:
            raise Wrong(f"the {what} is not signed by {self.name}")
        return text.decode() + "\n"


def root_by(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root to which a leaf and its audit path lead (RFC 9162, section 2.1.3.2)."""
    at, last = index, size - 1
    for part in path:
        if last == 0:
            raise Wrong("the path is too long")
        if at & 1 or at == last:
            leaf = hashlib.sha256(b"\x01" + part + leaf).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            leaf = hashlib.sha256(b"\x01" + leaf + part).digest()
        at, last = at >> 1, last >> 1
    if last:
        raise Wrong("the path is too short")
    return leaf


def check(data: bytes, device: str, vkey: str) -> dict[str, object]:
    """What a proof proves. Raises Wrong."""
    head, gap, note = data.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    if not gap or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Wrong("the file is not a proof")
    index_line = re.fullmatch("index (0|[1-9][0-9]{0,17})", lines[2])
    if not lines[1].startswith("extra ") or index_line is None:
        raise Wrong("the proof has no record or no index")
    try:
        raw = decode64(lines[1][6:])
        extra = json.loads(raw.decode())
        record, certificate = extra["record"].encode(), extra["certificate"].encode()
        again = json.dumps(extra, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if len(extra) != 2 or again.encode() != raw:
            raise ValueError("more than that, or another form")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Wrong("the extra line holds no record and certificate") from None
    named = CERTIFICATE.match(certificate.decode())
    if named is None:
        raise Wrong("the extra line holds no certificate")
    log, owner = (Key(named.group(n) or named.group(n + 2)) for n in (1, 2))
    kind, purpose = named.group(5) or "", named.group(6) or ""
    text = owner.text_of(certificate, "certificate")
    if CERTIFICATE.fullmatch(text) is None or not (kind + purpose).isprintable():
        raise Wrong("the certificate says more than it may")
    if device and device != owner.text:
        raise Wrong(f"another device certified the log's key: {owner.text}")
    if vkey and vkey != log.text:
        raise Wrong(f"it is a record of another log: {log.text}")
    found = CHECKPOINT.fullmatch(log.text_of(note, "checkpoint"))
    if found is None or found.group(1) != log.name:
        raise Wrong("what is signed is not a checkpoint of this log")
    index, size = int(index_line.group(1)), int(found.group(2))
    path = [decode64(line) for line in lines[3:]]
    if index >= size or any(len(part) != 32 for part in path):
        raise Wrong("the checkpoint does not cover the record")
    leaf = hashlib.sha256(b"\x00" + record).digest()
    if root_by(leaf, index, size, path) != decode64(found.group(3)):
        raise Wrong("the record is not the one that the checkpoint covers")
    return {"ok": True, "index": index, "size": size, "root": decode64(found.group(3)).hex(),
            "origin": log.name, "sealed": found.group(4) is not None,
            "device": owner.text, "kind": kind, "purpose": purpose,
            "record": record_in(record)}  # fmt: skip


def record_in(payload: bytes) -> dict[str, object]:
    """The record, as a JSON object."""

    def no_number(text: str) -> None:
        raise Wrong(f"the record holds {text}, which is not JSON")

    found = json.loads(payload.decode(), parse_constant=no_number)
    if not isinstance(found, dict):
        raise Wrong("what is proved is not a record")
    return found


def say(line: str) -> None:
    """One line: a name in it may hold anything and must not look like another line of ours."""
    sys.stdout.write(line.encode("unicode_escape").decode("ascii") + "\n")


def main() -> int:
    """Reads the arguments, checks, prints the verdict and the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--device", default="", help="verifier key of the device that is trusted")
    parser.add_argument("--vkey", default="", help="verifier key of the log that is trusted")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    options = parser.parse_args()
    if not options.device and not options.vkey:
        parser.error("give the key you trust: --device or --vkey")
    try:
        with open(options.file, "rb") as file:  # noqa: PTH123 - nothing but the library
            data = file.read(PROOF_MAX + 1)
        if len(data) > PROOF_MAX:
            raise Wrong("the file is too long for a proof")
        result = check(data, options.device, options.vkey)
    except (Wrong, OSError, ValueError, RecursionError) as error:
        result = {"ok": False, "problem": str(error)}
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    elif result["ok"]:
        say(f"OK: record {result['index']} of {result['origin']}, which had {result['size']} "
            f"records and the root {result['root']}")  # fmt: skip
        compared = "" if options.device else "NOT compared, --device does that: "
        say(f"{compared}Certified by the device {result['device']}")
        if result["kind"]:
            say(f"{compared}The log is of kind {result['kind']}, its purpose: {result['purpose']}")
        else:
            say("The certificate (version 1) does not say which log it is for")
        sys.stdout.write(json.dumps(result["record"], indent=1, sort_keys=True) + "\n")
    else:
        say(f"NOT PROVED: {result['problem']}")
    return 0 if result["ok"] else 3


if __name__ == "__main__":
    sys.exit(main())

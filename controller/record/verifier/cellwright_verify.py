#!/usr/bin/env python3
"""Checks a cellwright log, or an export of one, with nothing but Python's standard library (3.8+).

    python verify.py [LOG, EXPORT or EXPORT.zip] [--device VKEY] [--witness VKEY] [--open] [--json]

Without a path it checks the export it lies in. Exit code 0: nothing is wrong; 3: something is.
It is written from FORMAT.md and shares no code with the program that wrote the log. It says whether
the log is whole; WHO wrote it only with --device, the device's key as you know it from elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import stat
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

MIB = 1 << 20
PROBLEMS_MAX = 100
NOTE_MAX = 16384
SEGMENT_MAX = 32 * MIB
FILE_MAX = 64 * MIB
PAYLOAD_MAX = {1: 65536, 2: 65535}
KINDS = ("batch", "station", "qualification")
B64_32 = rb"[A-Za-z0-9+/]{43}="
UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
Point = Any
SIGNATURE = rb"\xe2\x80\x94 ([^ \n+]+) ([A-Za-z0-9+/]{91}=)\n"
CHECKPOINT = re.compile(
    rb"([^\n]+)\n([1-9][0-9]{0,17})\n(" + B64_32 + rb")\nprevious (none|" + B64_32
    + rb")\n(sealed\n)?\n" + SIGNATURE
)  # fmt: skip
CERTIFICATE = re.compile(
    rb"cellwright key certificate v1\nlog ([^\n]+)\ndevice ([^\n]+)\n\n" + SIGNATURE
)
DIGEST = re.compile(r"[0-9a-f]{64}")
CHUNK = re.compile(r"history/[0-9]{8}\.chunk")


# Ed25519 (RFC 8032, section 5.1). Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def point_add(a: Point, b: Point) -> Point:
    """The sum of two points, also of equal ones."""
    low = (a[1] - a[0]) * (b[1] - b[0]) % P
    high = (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * CURVE_D % P, 2 * a[2] * b[2] % P
    e, f, g, h = high - low, d - c, d + c, high + low
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_times(factor: int, point: Point) -> Point:
    """`factor` times a point."""
    total = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = point_add(total, point)
        point = point_add(point, point)
        factor >>= 1
    return total


def x_of(y: int, odd: int) -> int | None:
    """The x of the point with this y and this lowest bit of x; None if there is no such point."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and odd):
        return None
    return P - x if x & 1 != odd else x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = x_of(BASE_Y, 0) or 0
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519_holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the one of `message` by the key `public`."""
    number = int.from_bytes(public, "little")
    y, odd = number & (2**255 - 1), number >> 255
    x, s = x_of(y, odd), int.from_bytes(signature[32:], "little")
    if x is None or s >= ORDER or len(signature) != 64 or len(public) != 32:
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(hashed, "little") % ORDER
    minus_key = (P - x, y, 1, (P - x) * y % P)
    found = point_add(point_times(s, BASE), point_times(k, minus_key))
    inverse = pow(found[2], P - 2, P)
    x, y = found[0] * inverse % P, found[1] * inverse % P
    encoded: bytes = (y | (x & 1) << 255).to_bytes(32, "little")
    return encoded == signature[:32]


class Wrong(Exception):
    """Something that cannot be read as what it should be."""


class Key:
    """A verifier key, `NAME+HASH+KEY`; `kind` 1 signs notes, 4 is a witness's."""

    def __init__(self, text: str, kind: int = 1) -> None:
        self.text = text
        name, _, rest = text.partition("+")
        data = decode64(rest.partition("+")[2].encode())
        digest = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if len(data) != 33 or data[0] != kind or not name or re.search(r"\s", name):
            raise Wrong("it is not an Ed25519 verifier key")
        if text != f"{name}+{digest.hex()}+{base64.b64encode(data).decode()}":
            raise Wrong("it is not a verifier key in its one written form")
        self.name, self.hash, self.public = name, digest, data[1:]

    def signed(self, note: bytes) -> bool:
        """Whether the note's only signature line is by this key and holds."""
        text, _, line = note.rpartition(b"\n\n")
        found = re.fullmatch(SIGNATURE, line)
        if found is None or found.group(1) != self.name.encode():
            return False
        data = decode64(found.group(2))
        return data[:4] == self.hash and ed25519_holds(self.public, text + b"\n", data[4:])

    def cosigned(self, note: bytes) -> int:
        """When this witness signed the note (c2sp.org/tlog-cosignature), in s since 1970; or 0."""
        text, _, lines = note.partition(b"\n\n")
        for line in lines.split(b"\n"):
            if line.startswith(b"\xe2\x80\x94 " + self.name.encode() + b" "):
                data = decode64(line.rpartition(b" ")[2])
                when = int.from_bytes(data[4:12], "big")
                signed = b"cosignature/v1\ntime %d\n" % when + text + b"\n"
                if data[:4] == self.hash and ed25519_holds(self.public, signed, data[12:]):
                    return when
        return 0


def not_a_number(text: str) -> None:
    """NaN and the like, which Python would take for JSON."""
    raise ValueError(text)


def decode64(text: bytes) -> bytes:
    """Bytes from base64 in its one written form."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or base64.b64encode(data) != text:
        raise Wrong("there is something that is not base64")
    return data


class Checkpoint:
    """One signed checkpoint, well formed; nothing is known of its truth."""

    def __init__(self, note: bytes) -> None:
        found = CHECKPOINT.fullmatch(note)
        if found is None or len(note) > NOTE_MAX:
            raise Wrong("it is not a checkpoint in its one written form")
        origin, size, root, previous, sealed, _, signature = found.groups()
        decode64(signature)
        self.note, self.origin, self.size = note, origin, int(size)
        self.root, self.sealed = decode64(root), sealed is not None
        self.previous = b"" if previous == b"none" else decode64(previous)


class Files:
    """The files of a directory or a zip file, by name; `odd` are those that are no plain files."""

    def __init__(self, path: str) -> None:
        self.sizes: dict[str, int] = {}
        self.folders: set[str] = set()
        self.odd: set[str] = set()
        self.path = path
        self.zip = None if Path(path).is_dir() else zipfile.ZipFile(path)
        self.prefix = ""
        if self.zip is None:
            self._walk()
        else:
            self._list(self.zip)

    def _walk(self) -> None:
        for folder, inner, files in os.walk(self.path, onerror=self._unseen):
            for name in inner + files:
                full = Path(folder) / name
                short = full.relative_to(self.path).as_posix()
                info = full.lstat()
                if stat.S_ISDIR(info.st_mode):
                    self.folders.add(short)
                elif stat.S_ISREG(info.st_mode):
                    self.sizes[short] = info.st_size
                else:
                    self.odd.add(short)

    def _unseen(self, error: OSError) -> None:
        self.odd.add(Path(error.filename).relative_to(self.path).as_posix())

    def _list(self, archive: zipfile.ZipFile) -> None:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        tops = {info.filename.partition("/")[0] for info in infos}
        top = tops.pop() + "/" if len(tops) == 1 else ""
        if top + "log/vkey" in archive.namelist() or top + "vkey" in archive.namelist():
            self.prefix = top
        for info in infos:
            name = info.filename[len(self.prefix) :]
            if name in self.sizes or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                self.odd.add(name)
            self.sizes[name] = info.file_size

    def open(self, name: str) -> IO[bytes]:
        """The file, to be read from its beginning."""
        if name in self.odd or name not in self.sizes:
            raise Wrong("it is missing" if name not in self.odd else "it is not a plain file")
        if self.zip is not None:
            return self.zip.open(self.prefix + name)
        return (Path(self.path) / name).open("rb")

    def read(self, name: str, limit: int) -> bytes:
        """The whole file, which may have `limit` bytes."""
        with self.open(name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Wrong(f"it is longer than {limit} bytes")
        return data

    def digest(self, name: str) -> str:
        """SHA-256 of the file in hex."""
        digest = hashlib.sha256()
        with self.open(name) as file:
            for piece in iter(lambda: file.read(MIB), b""):
                digest.update(piece)
        return digest.hexdigest()


class Tree:
    """An RFC 6962 tree; row L holds the last, unfinished tile of roots of 256^L records."""

    def __init__(self) -> None:
        self.size = 0
        self.rows: list[list[bytes]] = [[]]

    def add(self, leaf: bytes) -> list[tuple[str, bytes]]:
        """Takes a leaf hash; the tiles that it fills, as path and bytes."""
        full = []
        self.size += 1
        level, count = 0, self.size
        self.rows[0].append(leaf)
        while len(self.rows[level]) == 256:
            row, self.rows[level] = self.rows[level], []
            count >>= 8
            full.append((tile_path(str(level), count - 1, 256), b"".join(row)))
            level += 1
            if level == len(self.rows):
                self.rows.append([])
            self.rows[level].append(root_of(row))
        return full

    def partial(self) -> list[tuple[str, bytes]]:
        """The tiles that are not full, as path and bytes."""
        return [
            (tile_path(str(level), self.size >> 8 * (level + 1), len(row)), b"".join(row))
            for level, row in enumerate(self.rows) if row
        ]  # fmt: skip

    def root(self) -> bytes:
        """The root over all leaves."""
        below: list[bytes] = []
        for row in self.rows:
            if row or below:
                below = [root_of(row + below)]
        return below[0] if below else hashlib.sha256().digest()


def root_of(hashes: list[bytes]) -> bytes:
    """The root of neighbouring subtrees, of which only the last may be smaller."""
    while len(hashes) > 1:
        pairs = range(0, len(hashes) - 1, 2)
        above = [hashlib.sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest() for i in pairs]
        hashes = above + hashes[2 * len(above) :]
    return hashes[0]


def tile_path(level: str, index: int, width: int) -> str:
    """The path of a tile: three digits a group."""
    name = f"{index % 1000:03d}"
    while index >= 1000:
        index //= 1000
        name = f"x{index % 1000:03d}/{name}"
    return f"tile/{level}/{name}" + ("" if width == 256 else f".p/{width}")


class Check:
    """The whole check of one log; `base` is `log/` in an export, else empty."""

    def __init__(self, files: Files, options: argparse.Namespace) -> None:
        self.files, self.options = files, options
        self.export = "log/vkey" in files.sizes or "log" in files.folders
        self.base = "log/" if self.export else ""
        self.problems: list[dict[str, str]] = []
        self.known = {"checkpoint", "checkpoints", "key.cert", "vkey"}
        self.tree, self.version, self.kind, self.device = Tree(), 0, "", ""
        self.last: Checkpoint | None = None
        self.sealed, self.complete = False, False
        self.gaps: dict[str, str] = {}
        self.bundle: list[bytes] = []
        self.outside: set[str] = set()
        self.sums: set[str] = set()

    def add(self, where: str, what: str) -> None:
        """Notes a problem; too many of them end the check."""
        self.problems.append({"where": where, "what": what})
        if len(self.problems) >= PROBLEMS_MAX:
            raise Wrong("there is more; the check stopped here")

    def run(self) -> None:
        """Checks everything; the problems are in `problems`."""
        try:
            self.check_log()
        except Wrong as wrong:
            self.problems.append({"where": self.files.path, "what": str(wrong)})
        except UNREADABLE as error:
            self.problems.append({"where": self.files.path, "what": f"cannot be read: {error}"})

    def read(self, name: str, limit: int = NOTE_MAX) -> bytes:
        """A file of the log, whole; a problem and nothing if that cannot be."""
        try:
            return self.files.read(self.base + name, limit)
        except Wrong as wrong:
            self.add(name, str(wrong))
            return b""

    def check_log(self) -> None:
        """FORMAT.md, Verify, points 1 to 6."""
        first = self.first_record()
        version = first.get("v", 2)
        if type(version) is not int or version not in PAYLOAD_MAX:
            self.add("record 0", f"the log has format {version!r}; this script reads 1 and 2")
            return
        self.version = version
        key = self.check_keys(first)
        if key is None:
            return
        try:
            self.last = Checkpoint(self.read("checkpoint"))
            self.sealed = self.last.sealed
            if not key.signed(self.last.note):
                self.add("checkpoint", "its signature does not hold")
        except Wrong as wrong:
            self.add("checkpoint", str(wrong))
        self.witnessed: Checkpoint | None = self.read_witnessed(key)
        chain = Chain(self, key)
        self.complete = self.check_records(chain)
        chain.finish()
        self.check_end(chain)
        if self.version > 1 and self.sealed and self.complete:
            for name, data in self.tree.partial():
                self.compare(name, data, "the tile is missing")
        self.check_inventory()
        if self.export:
            self.check_export()
        if not self.kind and not self.problems:
            self.add("record 0", "it does not open a log")
        if not self.sealed and self.kind == "batch" and not self.options.open:
            self.add("checkpoint", "the log is not sealed: unfinished, or its end is missing")

    def first_record(self) -> dict[str, Any]:
        """Record 0, whatever its format, if it can be read."""
        try:
            with self.files.open(self.base + "segments/00000000.seg") as file:
                head = file.read(16)
                length, crc, seq = struct.unpack("<IIQ", head)
                payload = file.read(min(length, MIB))
            found = json.loads(payload) if zlib.crc32(head[8:] + payload) == crc else None
        except (Wrong, struct.error, ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) and seq == 0 else {}

    def check_keys(self, first: dict[str, Any]) -> Key | None:
        """The log's key, once `vkey`, `key.cert` and record 0 agree."""
        try:
            text = self.read("vkey").decode("utf-8", "replace")
            key = Key(text[:-1])
            certificate = self.read("key.cert")
            found = CERTIFICATE.fullmatch(certificate)
            if text[-1:] != "\n" or found is None or found.group(1).decode() != key.text:
                raise Wrong("key.cert does not certify the key in vkey")
            device = Key(found.group(2).decode())
            if not device.signed(certificate):
                raise Wrong("the certificate's signature does not hold")
        except (Wrong, UnicodeDecodeError) as wrong:
            self.add("vkey, key.cert", str(wrong))
            return None
        self.device = device.text
        if key.name != "cellwright/log/" + hashlib.sha256(key.public).hexdigest()[:16]:
            self.add("vkey", "the log's name is not that of its key")
        if self.options.device and self.options.device != device.text:
            self.add("key.cert", "another device certified it: " + device.text)
        data = first.get("data")
        if first and (
            not isinstance(data, dict) or first.get("event") != "log.opened"
            or data.get("kind") not in KINDS or data.get("vkey") != key.text
            or data.get("key") != device.text
        ):  # fmt: skip
            self.add("record 0", "it does not open the log of these keys")
        elif first:
            self.kind = str(data["kind"])  # type: ignore[index]
        return key

    def check_records(self, chain: Chain) -> bool:
        """Every frame, tile, named file and checkpoint; whether there was no damage."""
        names = sorted(n[len(self.base) :] for n in self.files.sizes
                       if re.fullmatch(self.base + r"segments/[0-9]{8}\.seg", n))  # fmt: skip
        for number, name in enumerate(names):
            if name != f"segments/{number:08d}.seg":
                self.add(name, "a segment before it is missing")
                return False
            data = self.read(name, SEGMENT_MAX)
            if not data:
                self.add(name, "the segment is empty")
                return False
            at, end, limit, before = 0, len(data), PAYLOAD_MAX[self.version], 0
            if name == names[-1] and self.version > 1 and not self.sealed:
                end = max(len(data.rstrip(b"\0")), 1)  # space that is set aside; JSON ends with }
            while at < end:
                where = f"record {self.tree.size} ({name}, byte {at})"
                head = data[at : at + 16].ljust(16, b"\0")
                length, crc, seq = struct.unpack("<IIQ", head)
                stop = at + 16 + length
                if not 0 < length <= limit or stop > end:
                    self.add(where, "there is no whole frame; what follows was not read")
                    return False
                good = (zlib.crc32(data[at + 8 : stop]), zlib.crc32(data[at + 8 : stop], before))
                if crc not in good or seq != self.tree.size:
                    self.add(where, "CRC-32 or number is wrong; what follows was not read")
                    return False
                self.take(data[at + 16 : stop], where)
                chain.reach()
                at, before = stop, crc if self.version > 1 else 0
            self.known.add(name)
        if not names:
            self.add("segments", "there are no records")
        return True

    def take(self, payload: bytes, where: str) -> None:
        """One record: its hash, the file it names, the tiles it fills."""
        if b'"sha256":' in payload:
            self.check_named(payload, where)
        if self.export:
            self.bundle.append(struct.pack(">H", len(payload) & 65535) + payload)
        full = self.tree.add(hashlib.sha256(b"\0" + payload).digest())
        if self.version > 1:
            for name, data in full:
                self.compare(name, data, "the tile is missing" if self.sealed else "")
        size = self.tree.size
        if self.last and size == self.last.size and self.tree.root() != self.last.root:
            self.add("checkpoint", "its root is not that of the records; a record was changed")
        if self.witnessed and size == self.witnessed.size and (
            self.tree.root() != self.witnessed.root
        ):  # fmt: skip
            self.add("evidence/witnessed", "the witnessed log is another: its root differs")
        if self.export and self.last and size <= self.last.size:
            self.compare_outside(full, size == self.last.size)

    def compare(self, name: str, data: bytes, missing: str) -> None:
        """A tile of the log directory. `missing` is the problem if it is not there."""
        self.known.add(name)
        level = name.split("/")[1]
        if self.base + name not in self.files.sizes:
            if missing:
                self.add(name, missing)
            self.gaps.setdefault(level, name)
        else:
            if level in self.gaps and not self.sealed:
                self.add(self.gaps[level], "the tile is missing, but a later one is there")
            if self.read(name, 8192) != data:
                self.add(name, "it does not hold the hashes of the records")

    def compare_outside(self, full: list[tuple[str, bytes]], last: bool) -> None:
        """The tiles and record bundles that an export adds, up to its checkpoint."""
        wanted = full + (self.tree.partial() if last else [])
        if self.bundle and (full or last):
            index, width = (self.tree.size - 1) // 256, len(self.bundle)
            wanted.append((tile_path("entries", index, width), b"".join(self.bundle)))
            self.bundle = []
        for name, data in wanted:
            self.outside.add(name)
            try:
                if self.files.read(name, len(data)) != data:
                    self.add(name, "in the export: it does not hold what the log says")
            except Wrong as wrong:
                self.add(name, f"in the export: {wrong}")

    def check_named(self, payload: bytes, where: str) -> None:
        """The file a record names, if it names one."""
        try:
            record = json.loads(payload.decode(), parse_constant=not_a_number)
            event, data, version = record["event"], record["data"], record["v"]
            digest, path = data.get("sha256"), data.get("file")
            if type(version) is not int or version != self.version or not isinstance(event, str):
                raise ValueError
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            self.add(where, "it is not a record of this format")
            return
        if event == "log.recovered":
            path = good = f"torn/sha256-{digest}"
        elif event == "blob.stored":
            good = f"blobs/sha256-{digest}"
        elif event == "history.chunk" or (event == "history.tags" and self.version > 1):
            good = path if CHUNK.fullmatch(str(path)) else ""
        else:
            return
        if not good or path != good or not DIGEST.fullmatch(str(digest)):
            self.add(where, f"it names a file that cannot be of this log: {path!r}")
            return
        if path in self.known and "sha256-" in path:
            return
        self.known.add(path)
        self.sums.add(str(digest))
        try:
            if self.files.sizes.get(self.base + path, 0) > FILE_MAX:
                raise Wrong(f"it is longer than {FILE_MAX} bytes")
            if self.files.digest(self.base + path) != digest:
                raise Wrong(f"its contents are not those that {where} names")
        except Wrong as wrong:
            self.add(path, str(wrong))

    def check_end(self, chain: Chain) -> None:
        """How the records, `checkpoint` and `checkpoints` end."""
        size, last = self.tree.size, self.last
        if last and (chain.last is None or chain.last.note != last.note):
            self.add("checkpoint", "it is not the last one in checkpoints")
        if last and last.size > size:
            self.add("checkpoint", f"it covers {last.size} records, the log holds {size}")
        if last and last.sealed and last.size < size:
            self.add(f"record {last.size}", "it was added after the log was sealed")

    def check_inventory(self) -> None:
        """No file and no folder but those that were checked."""
        folders = {"segments", "history", "blobs"}
        for name in self.known:
            parts = name.split("/")
            folders.update("/".join(parts[:i]) for i in range(1, len(parts)))
        for name in sorted([*self.files.sizes, *self.files.odd, *self.files.folders]):
            if not name.startswith(self.base) or name == self.base.rstrip("/"):
                continue
            short = name[len(self.base) :]
            if name in self.files.odd:
                self.add(name, "it is not a plain file, or is there twice")
                continue
            covered = folders if name in self.files.folders else self.known
            if self.complete and short not in covered:
                self.add(name, "no record or checkpoint covers it")

    def read_witnessed(self, key: Key) -> Checkpoint | None:
        """The checkpoint that witnesses signed, with the log's own signature alone."""
        name = "evidence/witnessed"
        wanted = self.options.witness
        if not self.export or name not in self.files.sizes:
            if wanted:
                self.add(name, "there is none, so no witness is known to have seen this log")
            return None
        try:
            note = self.files.read(name, NOTE_MAX)
            text, gap, lines = note.partition(b"\n\n")
            own = [line for line in lines.split(b"\n")
                   if line.startswith(b"\xe2\x80\x94 " + key.name.encode() + b" ")]  # fmt: skip
            found = Checkpoint(text + gap + b"".join(own[:1]) + b"\n")
            if not key.signed(found.note):
                raise Wrong("the log's own signature under it does not hold")
            for vkey in wanted:
                if not Key(vkey, 4).cosigned(note):
                    raise Wrong("this witness did not sign it: " + vkey)
        except Wrong as wrong:
            self.add(name, str(wrong))
            return None
        return found

    def check_export(self) -> None:
        """What an export holds beside `log/`. No signature covers report, README and programs."""
        if self.witnessed and self.witnessed.size > self.tree.size and self.complete:
            seen = self.witnessed.size
            self.add("evidence/witnessed", f"a witness has seen {seen} records: the end is missing")
        name, wanted = "keys/device.vkey", self.device.encode() + b"\n"
        if name in self.files.sizes and self.files.read(name, NOTE_MAX) != wanted:
            self.add(name, "in the export: it did not certify this log")
        for name in ("checkpoint", "vkey", "keys/key.cert"):
            if name in self.files.sizes:
                inside = self.base + name.rpartition("/")[2]
                if self.files.read(name, NOTE_MAX) != self.files.read(inside, NOTE_MAX):
                    self.add(name, "in the export: it is not that of the log")
        manifest = self.files.read("MANIFEST", FILE_MAX).decode("utf-8", "replace")
        listed = {}
        for line in manifest.splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
        for name in sorted(set(self.files.sizes) | set(listed)):
            if name == "MANIFEST":
                continue
            if name not in listed or name not in self.files.sizes:
                self.add(name, "MANIFEST and export differ: one has it, the other not")
                continue
            digest = self.files.digest(name)
            if digest != listed[name]:
                self.add(name, "its contents are not those in MANIFEST")
            if name.startswith("history/") and digest not in self.sums and self.complete:
                self.add(name, "in the export: no record of the log names it")
            if name.startswith("tile/") and name not in self.outside and self.complete:
                self.add(name, "in the export: it is no tile of this log")

    def result(self) -> dict[str, Any]:
        """The verdict, as --json prints it."""
        return {
            "ok": not self.problems, "records": self.tree.size, "root": self.tree.root().hex(),
            "sealed": self.sealed, "covered": self.last.size if self.last else 0,
            "kind": self.kind, "device": self.device, "problems": self.problems,
        }  # fmt: skip


class Chain:
    """The file `checkpoints`, read beside the growing tree."""

    def __init__(self, check: Check, key: Key) -> None:
        self.check, self.key = check, key
        self.last: Checkpoint | None = None
        self.next: Checkpoint | None = None
        self.count = 0
        try:
            self.file: IO[bytes] | None = check.files.open(check.base + "checkpoints")
            self.pull()
        except Wrong as wrong:
            check.add("checkpoints", str(wrong))
            self.file = None

    @property
    def where(self) -> str:
        """The next entry as a problem names it."""
        return f"checkpoint {self.count} (checkpoints)"

    def pull(self) -> None:
        """Reads the next entry: a note and an empty line."""
        block, empty = b"", 0
        self.next = None
        while self.file and empty < 2 and len(block) <= NOTE_MAX:
            line = self.file.readline(NOTE_MAX)
            if not line:
                break
            block += line
            empty += line == b"\n"
        if block:
            try:
                self.next = Checkpoint(block[:-1] if empty == 2 else b"")
            except Wrong as wrong:
                self.check.add(self.where, str(wrong))

    def reach(self) -> None:
        """Compares the entries that stand at the tree's present size."""
        while self.next is not None and self.next.size <= self.check.tree.size:
            entry = self.next
            if entry.size != self.check.tree.size or entry.root != self.check.tree.root():
                what = "its root is not that of the records; a record before it was changed"
                self.check.add(self.where, what)
            self.follow(entry)

    def follow(self, entry: Checkpoint) -> None:
        """Whether the entry follows the one before it."""
        last = self.last
        grown = entry.size > last.size or (entry.size == last.size and entry.sealed) if last else (
            entry.size == 1
        )  # fmt: skip
        if entry.origin != self.key.name.encode() or not grown or (last and last.sealed):
            self.check.add(self.where, "it cannot stand here")
        if entry.previous != (hashlib.sha256(last.note).digest() if last else b""):
            self.check.add(self.where, "it does not name the hash of the entry before it")
        if self.check.options.signatures and not self.key.signed(entry.note):
            self.check.add(self.where, "its signature does not hold")
        self.last = entry
        self.count += 1
        self.pull()

    def finish(self) -> None:
        """The entries beyond the last record, and the last signature."""
        while self.next is not None:
            self.check.add(self.where, "it covers records that the log does not hold")
            self.follow(self.next)
        if self.last is None:
            self.check.add("checkpoints", "it holds no checkpoint")
        elif not self.key.signed(self.last.note):
            self.check.add(self.where, "the last signature does not hold")
        if self.file:
            self.file.close()


def main() -> int:
    """Reads the arguments, checks, prints the verdict."""
    here = str(Path(__file__).resolve().parent)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", default=here, help="log directory, export, or its .zip")
    parser.add_argument("--device", default="", help="verifier key of the device that is trusted")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY",
                        help="a witness's key: it must have signed evidence/witnessed")  # fmt: skip
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument("--open", action="store_true", help="a batch log may be unfinished")
    wanted.add_argument("--expect-sealed", action="store_true", help="it may not (the default)")
    parser.add_argument("--signatures", action="store_true", help="check every signature (slow)")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    options = parser.parse_args()
    try:
        check = Check(Files(options.path), options)
    except (OSError, zipfile.BadZipFile) as error:
        parser.exit(3, f"{options.path} cannot be read: {error}\n")
    check.run()
    result = check.result()
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
        return 0 if result["ok"] else 3
    state = "sealed" if result["sealed"] else "not sealed"
    lines = [f"WRONG  {problem['where']}: {problem['what']}" for problem in result["problems"]]
    lines += [
        f"{'OK' if result['ok'] else 'NOT OK'}: {result['records']} records, {state}"
        f" ({result['kind']}), root {result['root']}",
        f"Certified by the device {result['device']}",
    ]
    if not options.device:
        lines.append("Compare it with the key you know; --device does that for you.")
    for line in lines:  # a file's name may hold anything: it must not look like a line of ours
        sys.stdout.write(line.encode("unicode_escape").decode("ascii") + "\n")
    return 0 if result["ok"] else 3


if __name__ == "__main__":
    sys.exit(main())

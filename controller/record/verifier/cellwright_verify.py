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
import time
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
DEPTH_MAX = 32
YEAR_9999 = 253402300799
KINDS = ("batch", "station", "qualification")
B64_32 = rb"[A-Za-z0-9+/]{43}="
UNREADABLE = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
Point = Any
SIGNATURE = rb"\xe2\x80\x94 ([^ \n+]+) ([A-Za-z0-9+/]{91}=)\n"
CHECKPOINT = re.compile(
    rb"([^\n]+)\n([1-9][0-9]{0,17})\n(" + B64_32 + rb")\nprevious (none|" + B64_32
    + rb")\n(sealed\n)?\n" + SIGNATURE
)  # fmt: skip
CERTIFICATE = re.compile(  # v2, of logs of format 2, says which log the key is for
    rb"cellwright key certificate v([12])\nlog ([^\n]+)\ndevice ([^\n]+)\n"
    rb"(?:kind ([^\n]+)\npurpose ([^\n]+)\n)?\n" + SIGNATURE
)
PURPOSE_MAX = 200
DIGEST = re.compile(r"[0-9a-f]{64}")
CHUNK = re.compile(r"history/[0-9]{8}\.chunk")
OF_AN_EXPORT = re.compile(  # beside log/: what else lies there would look as if it were proved
    r"MANIFEST|README\.txt|FORMAT\.md|verify\.py|check_proof\.py|report\.pdf|checkpoint|vkey"
    r"|keys/(device\.vkey|key\.cert)|evidence/(witnessed|checkpoint\.tsr)"
    r"|history/history-[A-Za-z0-9._-]{1,80}\.parquet|tile/.+"
)
FOLDERS_OF_AN_EXPORT = re.compile(r"log|keys|evidence|history|tile(/.+)?")


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

    def named(self, note: bytes) -> bool:
        """Whether the note's only signature line says that it is by this key."""
        found = re.fullmatch(SIGNATURE, note.rpartition(b"\n\n")[2])
        named = found is not None and found.group(1) == self.name.encode()
        return found is not None and named and decode64(found.group(2))[:4] == self.hash

    def signed(self, note: bytes) -> bool:
        """Whether the note's only signature line is by this key and holds."""
        text, _, line = note.rpartition(b"\n\n")
        data = decode64(line.rpartition(b" ")[2][:-1]) if self.named(note) else b""
        return bool(data) and ed25519_holds(self.public, text + b"\n", data[4:])

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


def read_json(payload: bytes) -> Any:
    """A record that says which format or file it is about: there is one way to read it, or none."""

    def no_number(text: str) -> None:
        raise ValueError(text)

    def integer(text: str) -> int:
        if len(text) > 17 or abs(int(text)) >= 2**53:
            raise ValueError(text)
        return int(text)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a name stands twice")
        return dict(pairs)

    found = json.loads(payload.decode(), parse_constant=no_number, parse_float=no_number,
                       parse_int=integer, object_pairs_hook=once)  # fmt: skip
    level = [found]
    for _ in range(DEPTH_MAX):
        level = [part for each in level if isinstance(each, (dict, list))
                 for part in (each.values() if isinstance(each, dict) else each)]  # fmt: skip
    if level:
        raise ValueError("it is nested too deep")
    return found


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
        """What stands in a zip file must be the same to every program that unpacks it."""
        infos = archive.infolist()
        tops = {info.filename.partition("/")[0] for info in infos}
        top = tops.pop() + "/" if len(tops) == 1 else ""
        if top + "log/vkey" in archive.namelist() or top + "vkey" in archive.namelist():
            self.prefix = top
        if min((info.header_offset for info in infos), default=0) or not self._one_list():
            self.odd.add("(archive: bytes before the first file, a comment, or two lists of files)")
        seen = set()
        for info in infos:
            name, kind = info.filename[len(self.prefix) :], stat.S_IFMT(info.external_attr >> 16)
            folder = info.is_dir()
            parts = (info.filename[:-1] if folder else info.filename).split("/")
            good = (0, stat.S_IFDIR if folder else stat.S_IFREG)
            if info.filename in seen or kind not in good or (folder and info.file_size) or (
                "\\" in name or info.orig_filename != info.filename
                or any(part in ("", ".", "..") for part in parts)
            ):  # fmt: skip
                self.odd.add(name)
            seen.add(info.filename)
            if not folder:
                self.sizes[name] = info.file_size
            elif name:
                self.folders.update(name[:at] for at, sign in enumerate(name) if sign == "/")

    def _one_list(self) -> bool:
        """Whether the archive ends with its one list of files: its end record, and no comment."""
        with Path(self.path).open("rb") as file:
            size = file.seek(-22, os.SEEK_END) + 22
            sign, counts, length, offset, _ = struct.unpack("<I8sIIH", file.read(22))
        if sign != 0x06054B50:
            return False
        longer = counts[6:] == b"\xff\xff" or 0xFFFFFFFF in (length, offset)  # zip64
        return longer or offset + length + 22 == size

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
        self._whole(name, len(data))
        return data

    def digest(self, name: str) -> str:
        """SHA-256 of the file in hex."""
        digest, size = hashlib.sha256(), 0
        with self.open(name) as file:
            for piece in iter(lambda: file.read(MIB), b""):
                digest.update(piece)
                size += len(piece)
        self._whole(name, size)
        return digest.hexdigest()

    def _whole(self, name: str, size: int) -> None:
        if self.zip is not None and size != self.sizes[name]:
            raise Wrong(f"it has {size} bytes, the archive says {self.sizes[name]}")


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
        self.tables: set[tuple[str, str]] = set()
        self.seen: list[str] = []

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
            found = read_json(payload) if zlib.crc32(head[8:] + payload) == crc else None
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
            if text[-1:] != "\n" or found is None or found.group(2).decode() != key.text:
                raise Wrong("key.cert does not certify the key in vkey")
            device = Key(found.group(3).decode())
            if not device.signed(certificate):
                raise Wrong("the certificate's signature does not hold")
            version, kind, purpose = (
                int(found.group(1)), (found.group(4) or b"").decode(),
                (found.group(5) or b"").decode(),
            )  # fmt: skip
            if bool(kind) != (version > 1) or len(purpose) > PURPOSE_MAX or (
                not (kind + purpose).isprintable()
            ):  # fmt: skip
                raise Wrong("key.cert is not in its one written form")
        except (Wrong, UnicodeDecodeError) as wrong:
            self.add("vkey, key.cert", str(wrong))
            return None
        self.device = device.text
        if key.name != "cellwright/log/" + hashlib.sha256(key.public).hexdigest()[:16]:
            self.add("vkey", "the log's name is not that of its key")
        if self.options.device and self.options.device != device.text:
            self.add("key.cert", "another device certified it: " + device.text)
        data = first.get("data")
        if version != self.version:
            self.add("key.cert", f"it is of version {version}, the log of format {self.version}")
        elif kind and isinstance(data, dict) and (
            (kind, purpose) != (data.get("kind"), data.get("purpose"))
        ):  # fmt: skip
            what = f"it certifies the key for another log: {kind} {purpose!r}"
            self.add("key.cert", what)
        if first and (
            not isinstance(data, dict) or first.get("event") != "log.opened"
            or first.get("v") != self.version
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
            spare = name == names[-1] and self.version > 1 and not self.sealed
            while at < end:
                zeros = spare and at and not data[at : at + 16].strip(b"\0")
                if zeros and not data[at:].strip(b"\0"):
                    break  # space that is set aside
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
            record = read_json(payload)
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
        if event == "blob.stored":
            self.tables.add((str(data.get("name")), str(digest)))
        if path in self.known and "sha256-" in path:
            return
        self.known.add(path)
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
        for name in sorted({*self.files.sizes, *self.files.odd, *self.files.folders}):
            if name in self.files.odd:
                self.add(name, "it is not a plain file, is there twice, or has no plain name")
                continue
            if not name.startswith(self.base) or name == self.base.rstrip("/"):
                continue
            short = name[len(self.base) :]
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
                when = Key(vkey, 4).cosigned(note)
                if not when:
                    raise Wrong("this witness did not sign it: " + vkey)
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(when, YEAR_9999)))
                name = vkey.partition("+")[0]
                self.seen.append(f"The witness {name} had seen the first {found.size} records {at}")
        except Wrong as wrong:
            self.add(name, str(wrong))
            return None
        return found

    def check_export(self) -> None:
        """What an export holds beside `log/`. No signature covers report, README and programs."""
        for found, form in ((self.files.sizes, OF_AN_EXPORT), (self.files.folders,
                                                              FOLDERS_OF_AN_EXPORT)):  # fmt: skip
            for name in sorted(found):
                if not name.startswith("log/") and not form.fullmatch(name):
                    self.add(name, "it is no part of an export")
        if self.last and self.tree.size > self.last.size:
            self.add(f"record {self.last.size}", "in the export: no checkpoint covers it")
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
            if self.files.sizes[name] > FILE_MAX and name != "log/checkpoints":
                self.add(name, f"it is longer than {FILE_MAX} bytes")
                continue
            digest = self.files.digest(name)
            if digest != listed[name]:
                self.add(name, "its contents are not those in MANIFEST")
            stored = (name[len("history/") :], digest) in self.tables
            if name.startswith("history/") and not stored and self.complete:
                self.add(name, "in the export: no record of the log stores it under this name")
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
        if not self.key.named(entry.note):
            self.check.add(self.where, "it is not signed by the log's key")
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
    except UNREADABLE as error:
        parser.exit(3, f"{options.path} cannot be read: {ascii(str(error))[1:-1]}\n")
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
    if result["covered"] < result["records"]:
        lines.append(f"NO signature covers the records from {result['covered']} on.")
    lines += check.seen
    if not options.witness:
        lines.append("No witness was looked for; --witness does that, with its key.")
    if not options.device:
        lines.append("Compare it with the key you know; --device does that for you.")
    for line in lines:  # a file's name may hold anything: it must not look like a line of ours
        sys.stdout.write(line.encode("unicode_escape").decode("ascii") + "\n")
    return 0 if result["ok"] else 3


if __name__ == "__main__":
    sys.exit(main())

"""The wrapping of an export: its README, the digests of its files, and the zip file.

A module because the same log must give the same bytes: sorted names, a fixed date, no clock.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.record.export_copy import COPY_BYTES
from controller.record.show import printable

if TYPE_CHECKING:
    from controller.record.export import Export

LEFT_OUT_MAX: Final = 20
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can say

_README: Final = """
1. Get the device's verifier key from somebody you trust, not from this export. Compare it with
   keys/device.vkey: {device}
2. With any Python from 3.8 on, without our software, in this directory (unpack a zip file first):
       python3 -I verify.py{open} --device 'THE KEY OF STEP 1'
   It must print {must}, the number of records above, and this root:
       {hex}
   ({root} in base64, as in the checkpoint and its code).
   Whoever gives you false records can give you a false verify.py: where that matters, take the
   program from somebody you trust, as the key, and run it on this directory.
3. If there is a witness, get its key the same way and add --witness 'ITS KEY': that says how many
   of the records it had seen, and when. What it has seen nobody can change, not even who owns the
   computer; what it has not seen could be written anew by whoever had the log's key at the time.
4. Read report.pdf, whose root must be the one above. No signature covers it, nor this file: what
   counts are the records themselves, in log/, one JSON object each (FORMAT.md).

This directory is also a log of c2sp.org/tlog-tiles: checkpoint, tile/, vkey. Its tools read it.
history/ holds the process values as Parquet; `sha256sum -c MANIFEST` looks for damage in transit.
check_proof.py checks a proof of a single record. evidence/checkpoint.tsr, if it is there, is an
RFC 3161 time-stamp: openssl ts -verify -data checkpoint -in evidence/checkpoint.tsr -CAfile CA.pem
"""


def manifest(root: Path) -> str:
    """SHA-256 and name of every file, as `sha256sum -c` reads it."""
    lines = []
    for name in files_of(root):
        digest = hashlib.sha256()
        with (root / name).open("rb") as file:
            while data := file.read(COPY_BYTES):
                digest.update(data)
        lines.append(f"{digest.hexdigest()}  {name}\n")
    return "".join(lines)


def files_of(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def zip_of(root: Path, out: Path) -> None:
    """The directory as a zip file, empty folders too."""
    folders = [f"{path.relative_to(root).as_posix()}/" for path in root.rglob("*")
               if path.is_dir() and not any(path.iterdir())]  # fmt: skip
    with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name in sorted([*files_of(root), *folders]):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3  # the modes are Unix's
            folder = name.endswith("/")
            mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o644
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_STORED if folder else zipfile.ZIP_DEFLATED
            if folder:
                archive.writestr(info, b"")
                continue
            info.file_size = (root / name).stat().st_size  # decides whether zip64 is needed
            with (root / name).open("rb") as file, archive.open(info, "w") as target:
                shutil.copyfileobj(file, target, COPY_BYTES)


def readme(done: Export) -> str:
    """What somebody does who gets this and knows nothing of us."""
    root = base64.b64encode(done.root).decode()
    state = "finished and sealed" if done.sealed else "not sealed"
    verdict = "It verified when it was exported."
    if done.problems:
        first = printable(f"{done.problems[0].where}: {done.problems[0].what}")
        verdict = (
            f"IT DID NOT VERIFY when it was exported: {len(done.problems)} problem(s), the first:\n"
            f"   {first}\n   verify.py says the same. It is handed over as it was found."
        )
    elif not done.sealed:
        verdict += "\nIT IS OPEN: it was still being written; this is the log up to a checkpoint."
    notes = [f"   No report: {done.without}."] if done.without else []
    notes += [f"   Left out, not of a log: {name!a}" for name in done.left_out[:LEFT_OUT_MAX]]
    open_ = "" if done.sealed or done.problems or done.kind != "batch" else " --open"
    name = printable(done.source.name)
    head = f"cellwright {done.kind} log {name}, {done.records} records, {state}."
    must = "NOT OK, what is wrong" if done.problems else "OK"
    text = _README.format(open=open_, must=must, hex=done.root.hex(), root=root, device=done.device)
    return "\n".join([head, verdict, "NOT FOR HUMAN USE.", *notes]) + "\n" + text

"""The built pages: read once, kept compressed, served from memory; no request opens a file."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from controller.core.errors import BadInput
from controller.hmi.limits import STATIC_BYTES, STATIC_FILES

INDEX = "index.html"
_TELL = '<meta name="cellwright-{}" content="true">'
HASHED = "assets/"  # the build names these by their content: they may be kept for ever
NOT_BUILT = (
    "<!doctype html><html lang=en><head><meta charset=utf-8><title>cellwright</title></head>"
    "<body><h1>The pages of the screen were not built</h1><p>Run <code>make setup</code>, then "
    "start again. Hold is at the terminal.</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file. `packed` is its gzip form, empty where that is not smaller."""

    data: bytes
    packed: bytes
    kind: str
    tag: str
    forever: bool


def assets(folder: Path, demo: bool, simulated: bool = False) -> dict[str, Asset]:
    """Path below `/` -> file; `index.html` tells of demo accounts and a simulated unit.

    Without a built page there is one that says so. Raises BadInput for more than the limits.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if len(files) > STATIC_FILES or sum(path.stat().st_size for path in files) > STATIC_BYTES:
        raise BadInput(f"{folder} has more than the screen may have", do="Build it again.")
    told = {"demo": demo, "simulated": simulated}
    head = "".join(_TELL.format(what) for what, on in told.items() if on) + "</head>"
    found = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        if name == INDEX:
            data = data.replace(b"</head>", head.encode(), 1)
        found[name] = _asset(name, data)
    if INDEX not in found:
        found[INDEX] = _asset(INDEX, NOT_BUILT.replace("</head>", head).encode())
    return found


def _asset(name: str, data: bytes) -> Asset:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/") or kind.endswith("javascript"):
        kind += "; charset=utf-8"
    packed = gzip.compress(data, 9, mtime=0)
    small = packed if len(packed) < len(data) else b""
    tag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
    return Asset(data, small, kind, tag, name.startswith(HASHED))

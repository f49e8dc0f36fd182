"""Where compiled kernels are cached: a directory named by the digest of all their sources.

numba's own cache does not notice an edit in a file that a cached function calls into, and a stale
interlock must be impossible. Set before numba is imported; `NUMBA_CACHE_DIR` given by hand wins.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path

_SOURCES = (
    "controller/core/signal.py",
    "controller/profile/plan.py",
    "controller/field/*.py",
    "hil_sim/plant/*.py",
    "hil_sim/rig/signal.py",
    "hil_sim/rig/wiring.py",
)


def source_digest() -> str:
    """SHA-256 over the names and bytes of every source file that compiled code is made from."""
    root = Path(__file__).resolve().parent.parent
    total = hashlib.sha256()
    for pattern in _SOURCES:
        for file in sorted(root.glob(pattern)):
            total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


@lru_cache(maxsize=1)
def package_digest() -> str:
    """SHA-256 over every source file of the product: what the record calls the software.

    Taken once a process, as early as possible: the files may be replaced under a running one.
    """
    root = Path(__file__).resolve().parent.parent
    total = hashlib.sha256()
    for room in ("controller", "hil_sim", "firmware_bridge"):
        for file in sorted((root / room).rglob("*.py")):
            total.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def use() -> None:
    """Points numba at the cache directory of these sources."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    place = Path(base) / "cellwright" / f"jit-{source_digest()[:16]}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        place = Path(tempfile.mkdtemp(prefix="cellwright-jit-"))
    os.environ["NUMBA_CACHE_DIR"] = str(place)

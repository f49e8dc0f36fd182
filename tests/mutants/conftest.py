"""What mutation testing runs: kernel code as plain Python, in a process without the compiler.

An ordinary run leaves these files alone; it starts such a process itself
(tests/controller/field/test_reference_interpreted.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT") == "1"
collect_ignore_glob = [] if INTERPRETED else ["test_*.py"]

if INTERPRETED:
    from hil_sim.bench.interpreted import without_intrinsics

    sys.path.insert(0, str(Path(__file__).parents[1] / "controller" / "field"))
    without_intrinsics()

"""The benches of the folder beside: a small unit as text, compiled and on the bench."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "field"))

"""The plain-Python reference of the kernel and its stories are those of the field's tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "controller" / "field"))

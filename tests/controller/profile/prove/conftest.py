"""The plain-Python reference of the kernel is the field's tests': it is the third voice here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "field"))

"""Tables of the process history: the same rows are the same bytes, in every run."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pyarrow.parquet as pq

from controller.record.process import BLOCK, Names
from controller.record.tables import ROW_GROUP, ParquetFile

UNITS = ("Cel", "%", "mL/min", "", "Cel", "mbar", "%", "Cel")
GROUPS = 6


def names() -> Names:
    """120 tags that share six units."""
    made = Names()
    for number in range(120):
        made.place(f"T{number}", UNITS[number % len(UNITS)])
    return made


def written(known: Names) -> bytes:
    """A file of some row groups over all tags; half way a tag is met that was not there before."""
    out, rng = io.BytesIO(), np.random.default_rng(1)
    file = ParquetFile(known, out)
    for group in range(GROUPS):
        late = known.place("LATE", "g") if group >= GROUPS // 2 else 0
        rows = np.zeros(ROW_GROUP, BLOCK)
        rows["tag"] = rng.integers(0, len(known.names), ROW_GROUP)
        rows["tag"][:5] = late
        rows["value"] = rng.normal(size=ROW_GROUP).round(2)
        rows["time_ms"] = np.arange(ROW_GROUP) + group * ROW_GROUP
        file.put(rows)
    file.close()
    return out.getvalue()


def test_the_same_rows_are_the_same_bytes_though_tags_share_units() -> None:
    assert len({hashlib.sha256(written(names())).digest() for _ in range(4)}) == 1


def test_every_tag_has_its_unit_also_one_met_half_way() -> None:
    known = names()
    table = pq.read_table(io.BytesIO(written(known)))
    pairs = set(zip(table["tag"].to_pylist(), table["unit"].to_pylist(), strict=True))
    assert pairs == set(zip(known.names, known.units, strict=True))

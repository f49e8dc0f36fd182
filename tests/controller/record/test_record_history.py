"""History chunks: small, exact, the same bytes again, and refused when they are not chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_logs import chunk_bytes

from controller.core.errors import BadInput, RecordFailure
from controller.record import history

NAMES = ["heater", "air", "o2"]
BIG = 2**62


def table(rows: list[tuple[int, int, float, int]]) -> history.Rows:
    """Rows of the chunk's dtype."""
    return np.array(rows, dtype=history.ROW)


ROW = st.tuples(
    st.integers(0, 2**53 - 1),
    st.integers(0, 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-BIG, BIG),
)


@given(st.lists(ROW, min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_every_row_comes_back_as_it_was(rows: list[tuple[int, int, float, int]]) -> None:
    given_rows = table(sorted(rows, key=lambda row: row[0]))
    data = history.encode(given_rows, scan_ns=100_000_000, outputs=NAMES)
    head, found = history.decode(data)
    assert found.tobytes() == given_rows.tobytes()
    assert (head.rows, head.outputs, head.scan_ns) == (len(rows), tuple(NAMES), 100_000_000)
    assert (head.first_scan, head.last_scan) == (found["scan"][0], found["scan"][-1])
    assert history.encode(given_rows, scan_ns=100_000_000, outputs=NAMES) == data


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([], "do not make"),
        ([(2, 0, 1.0, 0), (1, 0, 1.0, 0)], "order"),
        ([(1, 0, float("nan"), 0)], "finite"),
        ([(1, 0, float("inf"), 0)], "finite"),
        ([(1, 3, 1.0, 0)], "no name"),
        ([(1, -1, 1.0, 0)], "no name"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(
    rows: list[tuple[int, int, float, int]], what: str
) -> None:
    with pytest.raises(BadInput, match=what):
        history.encode(table(rows), scan_ns=1, outputs=NAMES)


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(BadInput, match="history rows are"):
        history.encode(np.zeros(3, np.int64), scan_ns=1, outputs=NAMES)


def test_a_spoiled_chunk_is_refused_or_differs_but_never_crashes() -> None:
    data = chunk_bytes()
    _, rows = history.decode(data)
    for offset in range(len(data)):
        spoiled = bytearray(data)
        spoiled[offset] ^= 1
        try:
            head, found = history.decode(bytes(spoiled))
        except RecordFailure:
            continue
        assert (head.outputs, head.scan_ns, found.tobytes()) != (
            ("heater", "air"),
            100_000_000,
            rows.tobytes(),
        )
    for size in range(len(data)):
        with pytest.raises(RecordFailure):
            history.decode(data[:size])


def test_a_newer_chunk_is_refused() -> None:
    with pytest.raises(RecordFailure, match="CWH1"):
        history.summary(b"CWH2" + chunk_bytes()[4:])

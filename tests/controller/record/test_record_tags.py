"""Tag chunks: every row comes back, the same bytes again, and nothing else is taken for one."""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.errors import BadInput, RecordFailure
from controller.record import tags
from controller.record.frame import canonical

COVER = tags.Cover(
    "2026-01-05T08:00:00.000+01:00", "2026-01-05T08:05:00.000+01:00", 17, "boot", 3, 9, True,
    ("TT101", "AT102", "XV"), ("Cel", "%", "1"), ("0.05", "0.5", "0"),
)  # fmt: skip
NAN = math.nan
FINITE = st.floats(allow_nan=False, allow_infinity=False)
GOOD_ROW = st.tuples(st.integers(0, 300_000), st.integers(0, 2), FINITE, st.integers(0, 1),
                     st.integers(0, 127))  # fmt: skip
BAD_ROW = st.tuples(st.integers(0, 300_000), st.integers(0, 2), st.just(NAN), st.just(2),
                    st.integers(0, 127))  # fmt: skip
FIRST = [(0, 0, 37.0, 0, 0), (0, 1, NAN, 2, 7), (0, 2, 1.0, 1, 10)]


def table(rows: list[tuple[int, int, float, int, int]]) -> tags.Rows:
    """Rows of the chunk's dtype."""
    return np.array(rows, dtype=tags.ROW)


def good() -> bytes:
    return tags.encode(COVER, table(FIRST))


def rebuilt(data: bytes, **changes: object) -> bytes:
    """The chunk with another header, its columns as they were."""
    (length,) = struct.unpack_from("<I", data, 4)
    head = canonical(json.loads(data[8 : 8 + length]) | changes)
    return data[:4] + struct.pack("<I", len(head)) + head + data[8 + length :]


def with_body(body: bytes) -> bytes:
    data = good()
    (length,) = struct.unpack_from("<I", data, 4)
    return data[: 8 + length] + zlib.compress(body)


@given(st.lists(st.one_of(GOOD_ROW, BAD_ROW), max_size=40), st.booleans())
@settings(max_examples=120, deadline=None)
def test_every_row_comes_back_as_it_was(
    rows: list[tuple[int, int, float, int, int]], joined: bool
) -> None:
    given_rows = table(sorted(FIRST + rows, key=lambda row: row[0]))
    cover = replace(COVER, joined=joined)
    data = tags.encode(cover, given_rows)
    found_cover, found = tags.decode(data)
    assert found_cover == cover
    for name in ("time", "tag", "quality", "reason"):
        assert found[name].tolist() == given_rows[name].tolist()
    assert np.array_equal(found["value"], given_rows["value"], equal_nan=True)
    assert tags.encode(found_cover, found) == data


def test_a_bad_value_is_not_in_the_bytes_at_all() -> None:
    one = tags.encode(COVER, table(FIRST))
    (length,) = struct.unpack_from("<I", one, 4)
    body = zlib.decompress(one[8 + length :])
    assert len(body) == 3 + 3 + 2 * 8 + 3 + 3


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([], "do not make"),
        ([*FIRST, (5, 0, 1.0, 0, 0), (4, 0, 1.0, 0, 0)], "order"),
        ([*FIRST, (300_001, 0, 1.0, 0, 0)], "later than its end"),
        ([(-1, 0, 1.0, 0, 0), *FIRST], "order"),
        ([*FIRST, (1, 3, 1.0, 0, 0)], "no name"),
        ([*FIRST, (1, -1, 1.0, 0, 0)], "no name"),
        ([*FIRST, (1, 0, NAN, 0, 0)], "finite"),
        ([*FIRST, (1, 0, math.inf, 0, 0)], "finite"),
        ([*FIRST, (1, 0, 1.0, 2, 3)], "bad row has a value"),
        ([*FIRST, (1, 0, 1.0, 3, 0)], "quality"),
        ([*FIRST, (1, 0, 1.0, 0, 128)], "reason"),
        (FIRST[:2], "named that has no row"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(
    rows: list[tuple[int, int, float, int, int]], what: str
) -> None:
    with pytest.raises(BadInput, match=what):
        tags.encode(COVER, table(rows))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"end": "2026-01-05T07:59:59.999+01:00"}, "before its beginning"),
        ({"end": "2026-01-05T08:05:00.000+00:00"}, "another offset"),
        ({"begin": "2026-01-05T08:00:00.000Z"}, "offset"),
        ({"begin": "2026-01-05 08:00:00.000+01:00"}, "offset"),
        ({"begin": "2026-13-05T08:00:00.000+01:00"}, "month"),
        ({"tags": ["TT101", "TT101", "XV"]}, "two have one"),
        ({"tags": ["TT101", "", "XV"]}, "no name"),
        ({"tags": ["TT101", 5, "XV"]}, "not a text"),
        ({"tags": "abc"}, "not a list"),
        ({"units": ["Cel", "%"]}, "one length"),
        ({"bands": ["0.05", "-1", "0"]}, "band"),
        ({"bands": ["0.05", "wide", "0"]}, "wide"),
        ({"begin_mono_ns": "017"}, "decimal string"),
        ({"begin_mono_ns": 17}, "decimal string"),
        ({"first_scan": 10}, "scans"),
        ({"first_scan": True}, "not an integer"),
        ({"joined": "yes"}, "neither"),
        ({"rows": 0}, "number of rows"),
        ({"rows": 4}, "does not hold"),
        ({"values": 1}, "does not hold"),
        ({"values": 4}, "number of rows"),
        ({"time_bytes": 2}, "does not hold"),
        ({"tag_bytes": 3}, "widths"),
        ({"more": "x"}, "fields of this form"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(changes: dict[str, object], what: str) -> None:
    with pytest.raises(RecordFailure, match=what):
        tags.decode(rebuilt(good(), **changes))


@pytest.mark.parametrize(
    "data",
    [b"", b"CWT1", b"CWH1" + good()[4:], good()[:-1], good() + b"\0", good()[:40],
     b"CWT1" + struct.pack("<I", 2**31) + good()[8:], with_body(b""), with_body(bytes(29)),
     with_body(bytes(500)), good()[:8] + b" " + good()[9:]],
)  # fmt: skip
def test_what_is_not_a_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(RecordFailure, match="not a tag chunk"):
        tags.decode(data)


def test_wider_columns_than_needed_are_refused() -> None:
    wide = np.zeros(3, "<i2").view(np.uint8).reshape(-1, 2).T.tobytes()
    data = good()
    (length,) = struct.unpack_from("<I", data, 4)
    body = wide + zlib.decompress(data[8 + length :])[3:]
    again = rebuilt(data, time_bytes=2)
    (length,) = struct.unpack_from("<I", again, 4)
    with pytest.raises(RecordFailure, match="wider"):
        tags.decode(again[: 8 + length] + zlib.compress(body))


def test_every_flipped_bit_of_the_header_is_refused_or_changes_what_is_read() -> None:
    data = good()
    _, rows = tags.decode(data)
    (length,) = struct.unpack_from("<I", data, 4)
    refused = 0
    for place in range((8 + length) * 8):
        spoiled = bytearray(data)
        spoiled[place // 8] ^= 1 << place % 8
        try:
            cover, found = tags.decode(bytes(spoiled))
        except RecordFailure:
            refused += 1
            continue
        assert cover != COVER or found.tobytes() != rows.tobytes()
    assert refused > length  # the rest are other names, units and times: what a digest is for


@given(st.binary(max_size=60), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_bytes_put_anywhere_raise_nothing_else(junk: bytes, place: int) -> None:
    data = good()
    spoiled = data[:place] + junk + data[place + len(junk) :]
    said = ""
    try:
        tags.decode(spoiled)
    except RecordFailure as error:
        said = error.what
    assert not said or "not a tag chunk" in said

"""Chunks of tag values kept by exception: what the process was, beside what was done to it.

One chunk covers a stretch of time; between two rows of a tag its value stayed within its band of
the first, and a value that is not good is not there at all. A module because writer, verifier and
every reader of the process history must agree on the bytes (FORMAT.md, "Tag chunk").
Form: `CWT1 | header length u32le | header (RFC 8785) | zlib of the columns`.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from controller.core.errors import BadInput, RecordFailure
from controller.core.signal import Quality, Reason
from controller.record.frame import canonical

ROW: Final = np.dtype(
    [("time", "<i8"), ("tag", "<i8"), ("value", "<f8"), ("quality", "<i8"), ("reason", "<i8")]
)
ROWS_MAX = 1 << 20
TAGS_MAX = 512
NAME_MAX = 64
HEADER_BYTES_MAX = 65_535
CHUNK_BYTES_MAX = 32 * 1024 * 1024
_MAGIC = b"CWT1"
_LENGTH = struct.Struct("<I")
_WIDTHS = (1, 2, 4, 8)
_NAMES = frozenset(
    ("bands", "begin", "begin_mono_ns", "boot_id", "end", "first_scan", "joined", "last_scan",
     "rows", "tag_bytes", "tags", "time_bytes", "units", "values")
)  # fmt: skip
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", re.ASCII)
_GOOD, _BAD, _REASONS = int(Quality.GOOD), int(Quality.BAD), max(map(int, Reason))

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Cover:
    """What a chunk is about, beside its rows.

    `begin` and `end` are RFC 3339 with offset, to the millisecond; `begin_mono_ns` and `boot_id`
    say when it began on the monotonic clock. `first_scan` and `last_scan` were looked at then.
    `joined`: what the chunk before it said holds until this one says otherwise; else nobody looked
    in between, and every tag has a row at the beginning. `tags`, `units` (UCUM) and `bands`
    (decimal, in that unit) go together.
    """

    begin: str
    end: str
    begin_mono_ns: int
    boot_id: str
    first_scan: int
    last_scan: int
    joined: bool
    tags: tuple[str, ...]
    units: tuple[str, ...]
    bands: tuple[str, ...]

    @property
    def begin_ms(self) -> int:
        """Milliseconds since 1970 of the beginning."""
        return utc_ms(self.begin)

    @property
    def end_ms(self) -> int:
        """Milliseconds since 1970 of the end."""
        return utc_ms(self.end)

    @property
    def offset_min(self) -> int:
        """Minutes that local time is east of UTC."""
        offset = datetime.fromisoformat(self.begin).utcoffset()
        return 0 if offset is None else round(offset.total_seconds() / 60)


def utc_ms(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time with offset. Raises ValueError for others."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return round(moment.timestamp() * 1_000)


def encode(cover: Cover, rows: Rows) -> bytes:
    """Rows of dtype ROW, in order of time, as one chunk.

    `time` is in ms since `cover.begin`, `tag` counts through `cover.tags`; `value` is NaN exactly
    where quality is bad. Raises BadInput for rows or a cover that cannot be kept so.
    """
    if rows.dtype != ROW or rows.ndim != 1:
        raise BadInput(f"tag rows are {rows.dtype}, not {ROW}")
    if not 0 < len(rows) <= ROWS_MAX:
        raise BadInput(f"{len(rows)} rows do not make a tag chunk")
    try:
        _check_cover(cover)
        _check_rows(cover, rows)
    except ValueError as error:
        raise BadInput(f"tag rows cannot be kept: {error}") from error
    steps = np.diff(rows["time"], prepend=0)
    kept = rows["value"][rows["quality"] != _BAD]
    columns = [
        _narrow(steps), _narrow(rows["tag"]), kept, rows["quality"].astype("<i1"),
        rows["reason"].astype("<i1"),
    ]  # fmt: skip
    header = {
        "bands": list(cover.bands),
        "begin": cover.begin,
        "begin_mono_ns": str(cover.begin_mono_ns),
        "boot_id": cover.boot_id,
        "end": cover.end,
        "first_scan": cover.first_scan,
        "joined": cover.joined,
        "last_scan": cover.last_scan,
        "rows": len(rows),
        "tag_bytes": columns[1].itemsize,
        "tags": list(cover.tags),
        "time_bytes": columns[0].itemsize,
        "units": list(cover.units),
        "values": len(kept),
    }
    head = canonical(header)
    body = b"".join(_shuffle(column) for column in columns)
    return _MAGIC + _LENGTH.pack(len(head)) + head + zlib.compress(body, 1)


def decode(data: bytes) -> tuple[Cover, Rows]:
    """The cover and the rows (dtype ROW; NaN where bad) of a chunk.

    Strict: RecordFailure, saying what is wrong, for everything `encode` would not have written.
    """
    try:
        if data[:4] != _MAGIC:
            raise ValueError("it does not begin with CWT1")
        if len(data) > CHUNK_BYTES_MAX:
            raise ValueError(f"it has {len(data)} bytes, {CHUNK_BYTES_MAX} are allowed")
        (length,) = _LENGTH.unpack_from(data, 4)
        if length > HEADER_BYTES_MAX:
            raise ValueError("its header is too long")
        header = json.loads(data[8 : 8 + length])
        if type(header) is not dict or set(header) != _NAMES:
            raise ValueError("its header does not have the fields of this form")
        if canonical(header) != data[8 : 8 + length]:
            raise ValueError("its header is not in RFC 8785 form")
        cover = _cover_of(header)
        rows = _rows_of(header, data[8 + length :])
        _check_rows(cover, rows)
    except (ValueError, KeyError, TypeError, RecursionError, struct.error, BadInput) as error:
        raise RecordFailure(f"not a tag chunk of format 1: {error}") from error
    return cover, rows


def _cover_of(header: dict[str, Any]) -> Cover:
    for name in ("rows", "values", "tag_bytes", "time_bytes", "first_scan", "last_scan"):
        if type(header[name]) is not int:
            raise ValueError(f"`{name}` is not an integer")
    for name in ("tags", "units", "bands"):
        if type(header[name]) is not list:
            raise ValueError(f"`{name}` is not a list")
    mono = header["begin_mono_ns"]
    if type(mono) is not str or not mono.isascii() or str(int(mono)) != mono:
        raise ValueError("`begin_mono_ns` is not a decimal string")
    cover = Cover(
        header["begin"], header["end"], int(mono), header["boot_id"], header["first_scan"],
        header["last_scan"], header["joined"], tuple(header["tags"]), tuple(header["units"]),
        tuple(header["bands"]),
    )  # fmt: skip
    _check_cover(cover)
    if not 0 < header["rows"] <= ROWS_MAX or not 0 <= header["values"] <= header["rows"]:
        raise ValueError("its number of rows is out of range")
    if header["time_bytes"] not in _WIDTHS or header["tag_bytes"] not in _WIDTHS:
        raise ValueError("its widths are out of range")
    return cover


def _check_cover(cover: Cover) -> None:
    """Raises ValueError for a cover that says nothing, or two things."""
    texts = (cover.begin, cover.end, cover.boot_id, *cover.tags, *cover.units, *cover.bands)
    if not all(type(text) is str and len(text) <= NAME_MAX for text in texts):
        raise ValueError(f"a name, unit, band or time is not a text of up to {NAME_MAX} characters")
    if not all(cover.tags) or len(set(cover.tags)) != len(cover.tags):
        raise ValueError("a tag has no name, or two have one")
    if not 0 < len(cover.tags) <= TAGS_MAX:
        raise ValueError(f"{len(cover.tags)} tags, 1 to {TAGS_MAX} are allowed")
    if not len(cover.tags) == len(cover.units) == len(cover.bands):
        raise ValueError("tags, units and bands are not of one length")
    if not all(0 <= float(band) < float("inf") for band in cover.bands):
        raise ValueError("a band is not a number")
    if not (_TIME.fullmatch(cover.begin) and _TIME.fullmatch(cover.end)):
        raise ValueError("begin or end is not a time to the millisecond with offset")
    if cover.end_ms < cover.begin_ms or cover.begin[23:] != cover.end[23:]:
        raise ValueError("its end is before its beginning, or at another offset")
    if not 0 <= cover.first_scan <= cover.last_scan or cover.begin_mono_ns < 0:
        raise ValueError("its scans or its monotonic time are out of range")
    if type(cover.joined) is not bool:
        raise ValueError("`joined` is neither true nor false")


def _check_rows(cover: Cover, rows: Rows) -> None:
    """Raises ValueError for rows out of order, out of the cover, or whose values lie."""
    time, tag, quality = rows["time"], rows["tag"], rows["quality"]
    if int(time[0]) < 0 or bool((np.diff(time) < 0).any()):
        raise ValueError("its rows are not in order of time")
    if int(time[-1]) > cover.end_ms - cover.begin_ms:
        raise ValueError("a row is later than its end")
    if int(tag.min()) < 0 or int(tag.max()) >= len(cover.tags):
        raise ValueError("a row is about a tag that has no name")
    if len(np.unique(tag)) != len(cover.tags):
        raise ValueError("a tag is named that has no row")
    if int(quality.min()) < _GOOD or int(quality.max()) > _BAD:
        raise ValueError("a quality is not one of 0, 1, 2")
    if int(rows["reason"].min()) < 0 or int(rows["reason"].max()) > 127:
        raise ValueError("a reason is out of range")
    if bool((np.isfinite(rows["value"]) != (quality != _BAD)).any()):
        raise ValueError("a bad row has a value, or another has none that is finite")


def _rows_of(header: dict[str, Any], packed: bytes) -> Rows:
    count, kept = header["rows"], header["values"]
    widths = (header["time_bytes"], header["tag_bytes"], 8, 1, 1)
    counts = (count, count, kept, count, count)
    size = sum(width * rows for width, rows in zip(widths, counts, strict=True))
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(packed, size + 1)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    if len(body) != size or not unpacker.eof or unpacker.unused_data:
        raise ValueError("it does not hold the rows its header names")
    columns, at = [], 0
    for place, (width, rows) in enumerate(zip(widths, counts, strict=True)):
        kind = "<f8" if place == 2 else f"<i{width}"
        part = np.frombuffer(body, np.uint8, rows * width, at).reshape(width, rows)
        columns.append(np.ascontiguousarray(part.T).view(kind).reshape(rows))
        at += rows * width
    steps, tag, value, quality, reason = columns
    if _width(steps) != widths[0] or _width(tag) != widths[1]:
        raise ValueError("its columns are wider than they need be")
    found: Rows = np.empty(count, dtype=ROW)
    found["time"] = np.cumsum(steps.astype(np.int64))
    found["tag"], found["quality"], found["reason"] = tag, quality, reason
    has_value = quality != _BAD
    if int(has_value.sum()) != kept:
        raise ValueError("it does not hold one value for each row that has one")
    found["value"] = np.nan
    found["value"][has_value] = value
    return found


def words_of(reasons: Sequence[int]) -> list[str]:
    """The reasons' names; a number this program does not know stands as it is."""
    return [Reason(r).name.lower() if r <= _REASONS else str(r) for r in reasons]


def _width(column: npt.NDArray[Any]) -> int:
    """Bytes of the narrowest signed integers that hold a column."""
    low, high = int(column.min()), int(column.max())
    return next(w for w in _WIDTHS if -(1 << (8 * w - 1)) <= low and high < 1 << (8 * w - 1))


def _narrow(column: npt.NDArray[np.int64]) -> npt.NDArray[np.signedinteger[Any]]:
    return column.astype(f"<i{_width(column)}")


def _shuffle(column: npt.NDArray[Any]) -> bytes:
    """All lowest bytes, then all second bytes and so on: like bytes side by side pack well."""
    width = column.itemsize
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, width).T.tobytes()

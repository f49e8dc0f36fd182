"""Chunks of modulating writes: every released change of an output, packed small.

One chunk holds at most 60 s of one unit. A module because the form must be compact, fast and the
same bytes for the same rows; the digest of each chunk is a record of the log.
Form: `CWH1 | header length u32le | header (RFC 8785) | zlib of the columns` (see FORMAT.md).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from controller.core.errors import BadInput, RecordFailure
from controller.record.frame import canonical

ROW: Final = np.dtype([("scan", "<i8"), ("output", "<i8"), ("value", "<f8"), ("cause", "<i8")])
ROWS_MAX = 1 << 20
OUTPUTS_MAX = 4_096
CHUNK_BYTES_MAX = 64 * 1024 * 1024
_MAGIC = b"CWH1"
_LENGTH = struct.Struct("<I")
_WIDTHS = (1, 2, 4, 8)
_COLUMNS = ("scan", "output", "value", "cause")

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a chunk's header says: rows, first and last scan, scan period and output names."""

    rows: int
    first_scan: int
    last_scan: int
    scan_ns: int
    outputs: tuple[str, ...]
    widths: tuple[int, ...]
    body_at: int


def encode(rows: Rows, *, scan_ns: int, outputs: Sequence[str]) -> bytes:
    """Rows of dtype ROW, in order of scan, as one chunk.

    `scan_ns` is the scan period, `outputs` the names that column `output` counts through. Raises
    BadInput for no rows, too many, a value that is not finite, scans out of order or an output
    that has no name.
    """
    if rows.dtype != ROW or rows.ndim != 1:
        raise BadInput(f"history rows are {rows.dtype}, not {ROW}")
    if not 0 < len(rows) <= ROWS_MAX or len(outputs) > OUTPUTS_MAX or scan_ns <= 0:
        raise BadInput(f"{len(rows)} rows of {len(outputs)} outputs do not make a history chunk")
    steps = np.diff(rows["scan"], prepend=rows["scan"][0])
    output, value = rows["output"], rows["value"]
    if int(steps.min()) < 0:
        raise BadInput("history rows are not in order of their scan")
    if not np.isfinite(value).all():
        raise BadInput("a history row holds a value that is not finite")
    if int(output.min()) < 0 or int(output.max()) >= len(outputs):
        raise BadInput("a history row is about an output that has no name")
    columns = [_narrow(steps), _narrow(output), value, _narrow(rows["cause"])]
    header = {
        "cause_bytes": columns[3].itemsize,
        "first_scan": int(rows["scan"][0]),
        "last_scan": int(rows["scan"][-1]),
        "output_bytes": columns[1].itemsize,
        "outputs": list(outputs),
        "rows": len(rows),
        "scan_bytes": columns[0].itemsize,
        "scan_ns": scan_ns,
        "value_bytes": 8,
    }
    head = canonical(header)
    body = b"".join(_shuffle(column) for column in columns)
    return _MAGIC + _LENGTH.pack(len(head)) + head + zlib.compress(body, 1)


def summary(data: bytes) -> Summary:
    """What the header of a chunk says. Raises RecordFailure if it is not a chunk of this form."""
    try:
        if data[:4] != _MAGIC:
            raise ValueError("it does not begin with CWH1")
        (length,) = _LENGTH.unpack_from(data, 4)
        header = json.loads(data[8 : 8 + length])
        found = _summary_of(header, 8 + length)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise RecordFailure(f"not a history chunk of format 1: {error}") from error
    return found


def _summary_of(header: dict[str, Any], body_at: int) -> Summary:
    found = Summary(
        int(header["rows"]),
        int(header["first_scan"]),
        int(header["last_scan"]),
        int(header["scan_ns"]),
        tuple(str(name) for name in header["outputs"]),
        tuple(int(header[f"{name}_bytes"]) for name in _COLUMNS),
        body_at,
    )
    odd = found.widths[2] != 8 or any(width not in _WIDTHS for width in found.widths)
    if odd or not 0 < found.rows <= ROWS_MAX:
        raise ValueError("its header is out of range")
    return found


def decode(data: bytes) -> tuple[Summary, Rows]:
    """The header and the rows (dtype ROW) of a chunk. Raises RecordFailure for anything else."""
    head = summary(data)
    size = head.rows * sum(head.widths)
    unpacker = zlib.decompressobj()
    try:
        body = unpacker.decompress(data[head.body_at :], size + 1)
    except zlib.error as error:
        raise RecordFailure(f"the history chunk cannot be unpacked: {error}") from error
    if len(body) != size or not unpacker.eof or unpacker.unused_data:
        raise RecordFailure("the history chunk does not hold the rows its header names")
    rows: Rows = np.empty(head.rows, dtype=ROW)
    at = 0
    for name, width in zip(_COLUMNS, head.widths, strict=True):
        kind = "<f8" if name == "value" else f"<i{width}"
        part = np.frombuffer(body, np.uint8, head.rows * width, at).reshape(width, head.rows)
        rows[name] = np.ascontiguousarray(part.T).view(kind).reshape(head.rows)
        at += head.rows * width
    rows["scan"] = np.cumsum(rows["scan"]) + head.first_scan
    outputs = rows["output"]
    named = int(outputs.min()) >= 0 and int(outputs.max()) < len(head.outputs)
    if not named or int(rows["scan"][-1]) != head.last_scan:
        raise RecordFailure("the history chunk's rows are not those its header describes")
    return head, rows


def _narrow(column: npt.NDArray[np.int64]) -> npt.NDArray[np.signedinteger[Any]]:
    """The column in the narrowest signed integers that hold it."""
    low, high = int(column.min()), int(column.max())
    for width in _WIDTHS:
        limit = 1 << (8 * width - 1)
        if -limit <= low and high < limit:
            break
    return column.astype(f"<i{width}")


def _shuffle(column: npt.NDArray[Any]) -> bytes:
    """All lowest bytes, then all second bytes and so on: like bytes side by side pack well."""
    width = column.itemsize
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, width).T.tobytes()

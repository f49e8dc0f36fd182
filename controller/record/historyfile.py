"""The process history of one log as one file, chosen by tag and time.

A module because a file that was not written to its end must not look like one that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from controller.core.errors import BadInput
from controller.record.process import GAP, Block, Names, Stream
from controller.record.query import Moment
from controller.record.tables import CSV_HEAD, ParquetFile, csv_lines

Window = tuple[Moment | None, Moment | None]  # from, to, both included
MS_PER_MIN = 60_000


@dataclass(frozen=True, slots=True)
class Written:
    """What is in the file, and every tag the log has."""

    rows: int
    gaps: int
    tags: frozenset[str]


class _Table(Protocol):
    def put(self, block: Block) -> None: ...

    def close(self) -> None: ...


class _Csv:
    def __init__(self, names: Names, out: BinaryIO) -> None:
        self._names, self._out = names, out
        out.write(CSV_HEAD.encode())

    def put(self, block: Block) -> None:
        self._out.write(csv_lines(block, self._names).encode())

    def close(self) -> None:
        self._out.flush()


_KINDS: dict[str, type[_Csv] | type[ParquetFile]] = {".csv": _Csv, ".parquet": ParquetFile}


def write(
    directory: Path, out: Path, wanted: frozenset[str], window: Window, *, growing: bool
) -> Written:
    """Writes the rows of the `wanted` tags (none: all) in the window, as `out` is called.

    The name is given last. Raises BadInput for a file that exists, has another ending or cannot be
    written, RecordFailure for damage; then there is no file.
    """
    kind = _KINDS.get(out.suffix)
    if kind is None:
        raise BadInput(f"{out.name} is neither .csv nor .parquet", where=out)
    if out.exists():
        raise BadInput("the file is there already", where=out, do="Choose another --out.")
    aside = out.with_name(out.name + ".part")
    stream = Stream(directory, growing)
    try:
        with aside.open("wb") as file:
            table = kind(stream.names, file)
            rows, gaps = _copy(stream, table, wanted, window)
            table.close()
        aside.rename(out)
    except OSError as error:
        raise BadInput(f"it cannot be written: {error.strerror}", where=out) from error
    finally:
        aside.unlink(missing_ok=True)
    return Written(rows, gaps, frozenset(stream.names.names))


def _copy(
    stream: Stream, table: _Table, wanted: frozenset[str], window: Window
) -> tuple[int, int]:  # fmt: skip
    since, until = window
    rows = gaps = 0
    for block in stream.blocks():
        chosen = np.ones(len(block), np.bool_)
        if wanted:
            numbers = [n for n, name in enumerate(stream.names.names) if name in wanted]
            chosen &= np.isin(block["tag"], numbers)
        utc_ms = block["time_ms"]
        local_ms = utc_ms + block["offset_min"].astype(np.int64) * MS_PER_MIN
        if since is not None:
            chosen &= (local_ms if since.local else utc_ms) >= since.ms
        if until is not None:
            chosen &= (local_ms if until.local else utc_ms) <= until.ms
        if chosen.any():
            part = block[chosen]
            table.put(part)
            rows += len(part)
            gaps += int((part["quality"] == GAP).sum())
    return rows, gaps

"""The process history as tables: Parquet, one file for each day, and CSV.

A module because what an inspector opens in his own program must have typed columns, units (UCUM)
and offsets from UTC, and no number where none was known. pyarrow is imported only when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from controller.record import tags
from controller.record.process import QUALITIES, SOURCES, Block, Names, Stream

ROW_GROUP = 65_536
PARQUET_BYTES_MAX = 48 * 1024 * 1024  # a blob of a log may have 64 MiB
DAY_MS = 86_400_000


class ParquetFile:
    """One Parquet file being written: typed columns, row groups of ROW_GROUP rows."""

    def __init__(self, names: Names, out: BinaryIO) -> None:
        self._pa: Any = import_module("pyarrow")
        pa, word = self._pa, self._pa.dictionary(self._pa.int32(), self._pa.string())
        self._names, self._out, self._waiting, self._count = names, out, list[Block](), 0
        self._schema = pa.schema([
            ("time", pa.timestamp("ms", tz="UTC")), ("offset_min", pa.int16()), ("tag", word),
            ("value", pa.float64()), ("unit", word), ("quality", word), ("reason", word),
            ("source", word),
        ])  # fmt: skip
        parquet: Any = import_module("pyarrow.parquet")
        self._writer = parquet.ParquetWriter(out, self._schema, compression="zstd")

    def put(self, block: Block) -> None:
        """Takes rows of dtype BLOCK."""
        self._waiting.append(block)
        self._count += len(block)
        if self._count >= ROW_GROUP:
            self._flush()

    @property
    def full(self) -> bool:
        """Whether the file is as long as one should be."""
        return self._out.tell() >= PARQUET_BYTES_MAX

    def close(self) -> None:
        """Ends the file; `out` stays open."""
        if self._count:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        pa, rows = self._pa, np.concatenate(self._waiting)
        self._waiting, self._count = [], 0
        reasons, places = np.unique(rows["reason"], return_inverse=True)
        # A dictionary that holds a word twice is written in a way that differs from run to run.
        units = list(dict.fromkeys(self._names.units))
        unit_of = np.array([units.index(unit) for unit in self._names.units])

        def words(index: npt.NDArray[Any], texts: list[str]) -> Any:
            return pa.DictionaryArray.from_arrays(pa.array(index.astype("i4")), pa.array(texts))

        self._writer.write_table(pa.table([
            pa.array(rows["time_ms"]).cast(pa.timestamp("ms", tz="UTC")),
            pa.array(rows["offset_min"]), words(rows["tag"], self._names.names),
            pa.array(rows["value"], mask=~np.isfinite(rows["value"])),
            words(unit_of[rows["tag"]], units), words(rows["quality"], QUALITIES),
            words(places, tags.words_of(reasons.tolist())), words(rows["source"], SOURCES),
        ], schema=self._schema))  # fmt: skip


CSV_HEAD = "time_utc,utc_offset,tag,value,unit,quality,reason,source\r\n"


def csv_lines(block: Block, names: Names) -> str:
    """Rows as CSV (RFC 4180); a value that is not there is an empty field."""
    times = np.datetime_as_string(block["time_ms"].astype("datetime64[ms]"), unit="ms").tolist()
    reasons = tags.words_of(block["reason"].tolist())
    lines = []
    for time, reason, (_, value, tag, offset, quality, _, source) in zip(
        times, reasons, block.tolist(), strict=True
    ):
        shown = "" if value != value else repr(value)
        sign, minutes = "-" if offset < 0 else "+", abs(offset)
        lines.append(
            f"{time}Z,{sign}{minutes // 60:02d}:{minutes % 60:02d},{quoted(names.names[tag])},"
            f"{shown},{quoted(names.units[tag])},{QUALITIES[quality]},{reason},{SOURCES[source]}\r\n"
        )
    return "".join(lines)


def quoted(text: str) -> str:
    """A CSV field; quoted if it would be taken for more than one."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text


def sealed_tables(directory: Path, *, growing: bool = True) -> Iterator[tuple[str, bytes]]:
    """The whole history of a log as Parquet files, name and bytes, one for each day of UTC.

    Names are `history-2026-11-22.parquet`, then `history-2026-11-22-2.parquet` where a day needs
    more than one file. Nothing for a log without history. One file is held in memory.
    `growing`: the log may still be written to. Raises RecordFailure for damage.
    """
    stream = Stream(directory, growing)
    day, number = -1, 0
    out: BytesIO | None = None
    file: ParquetFile | None = None
    for block in stream.blocks():
        days = np.maximum(block["time_ms"] // DAY_MS, day)  # what is late goes with what is there
        for each in np.unique(days).tolist():
            if file is not None and out is not None and (each != day or file.full):
                file.close()
                yield _table_name(day, number), out.getvalue()
                file = None
            if file is None:
                number = 1 if each != day else number + 1
                day, out = each, BytesIO()
                file = ParquetFile(stream.names, out)
            file.put(block[days == each])
    if file is not None and out is not None:
        file.close()
        yield _table_name(day, number), out.getvalue()


def _table_name(day: int, number: int) -> str:
    date = np.datetime_as_string(np.datetime64(day, "D"))
    return f"history-{date}{f'-{number}' if number > 1 else ''}.parquet"

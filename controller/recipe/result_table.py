"""A file of an instrument as a table of results: bytes in, rows out, or a refusal with the line.

The standard layout has one result a line; the layouts a unit declares for its instruments have one
sample a line and are known by their columns. Limits on everything: what is no plain small table of
printable UTF-8 is refused, and so is the same result twice.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, nearest
from controller.recipe.instruments import Layout

BYTES_MAX: Final = 32_768
LINES_MAX: Final = 200
COLUMNS_MAX: Final = 64
CELL_MAX: Final = 100
NEEDED: Final = ("sample", "analyte", "value", "unit", "time", "instrument", "serial")
OPTIONAL: Final = ("operator",)
_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ._()-]{0,99}$")
_NUMBER: Final = re.compile(r"^[-+]?\d+(\.\d+)?([eE][-+]?\d{1,2})?$")
_COMMA: Final = re.compile(r"^[-+]?\d+,\d+$")
_DO: Final = "Nothing of the file was taken. Export it anew, or enter the values by hand."


@dataclass(frozen=True, slots=True)
class Row:
    """One result: which batch and sample it belongs to, and where it stands in the file."""

    line: int
    batch: str
    sample: str
    analyte: str
    value: str
    unit: str
    utc_ms: int
    time: str
    instrument: str
    serial: str
    operator: str

    @property
    def quantity(self) -> str:
        """The value with its unit."""
        return f"{self.value} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file that was read: its name, the SHA-256 of its bytes, its results."""

    name: str
    sha256: str
    rows: tuple[Row, ...]

    def error(self, row: Row, what: str) -> BadInput:
        """A refusal of the file at a row."""
        return BadInput(what, where=f"{self.name}:{row.line}", do=_DO)

    def source(self, row: Row) -> str:
        """What the record says a value comes from."""
        by = f" by {row.operator}" if row.operator else ""
        return (f"{self.name} line {row.line}, {row.instrument} {row.serial}, "
                f"{row.time}{by}, SHA-256 {self.sha256}")  # fmt: skip


def read(name: str, data: bytes, stamp: Stamp, layouts: Sequence[Layout] = ()) -> ResultFile:
    """The results of a file of comma-, semicolon- or tab-separated values with a header line.

    A time without an offset is the station's local time. Raises BadInput, with the line.
    """
    if not _NAME.match(name):
        raise BadInput(f"{name[:CELL_MAX]!r} is not the name of a file", do=_DO)
    found = []
    seen: dict[tuple[str, str, str], int] = {}
    for line, cells, form in _results(name, _text(name, data), layouts):
        row = _row(f"{name}:{line}", line, cells, form, stamp)
        key = (row.batch, row.sample, row.analyte.casefold())
        if key in seen:
            raise BadInput(
                f"{row.analyte} of {row.sample} stands in line {seen[key]} already",
                where=f"{name}:{line}", means="Which of the two counts, nobody can tell.", do=_DO,
            )  # fmt: skip
        seen[key] = line
        found.append(row)
    if not found:
        raise BadInput("it holds no results", where=name, do=_DO)
    return ResultFile(name, hashlib.sha256(data).hexdigest(), tuple(found))


def _text(name: str, data: bytes) -> str:
    if len(data) > BYTES_MAX:
        raise BadInput(f"it has {len(data)} bytes, {BYTES_MAX} are allowed", where=name, do=_DO)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput("it is not UTF-8 text", where=f"{name}:{line}", do=_DO) from None
    for number, words in enumerate(text.splitlines(), 1):
        if not words.replace("\t", " ").isprintable():
            raise BadInput("it holds what is no printable text", where=f"{name}:{number}", do=_DO)
        if number > LINES_MAX:
            raise BadInput(f"it has more than {LINES_MAX} lines", where=name, do=_DO)
    return text


def _results(
    name: str, text: str, layouts: Sequence[Layout]
) -> Iterator[tuple[int, Mapping[str, str], str]]:
    """Every result by the standard's columns, with its line and the form of its time."""
    for line, cells in _table(name, text, layouts):
        layout = _layout(cells, layouts)
        if layout is None:
            yield line, cells, ""
            continue
        for analyte, (column, unit) in layout.results.items():
            if cells[column]:
                yield line, {
                    "sample": cells[layout.sample], "analyte": analyte, "value": cells[column],
                    "unit": unit, "time": cells[layout.time], "instrument": layout.instrument,
                    "serial": cells[layout.serial], "operator": cells.get(layout.operator, ""),
                }, layout.time_format  # fmt: skip


def _layout(columns: Container[str], layouts: Sequence[Layout]) -> Layout | None:
    """The instrument whose columns these are; of several the one that names most."""
    fitting = [one for one in layouts if all(name in columns for name in one.columns)]
    return max(fitting, key=lambda one: len(one.columns), default=None)


def _table(
    name: str, text: str, layouts: Sequence[Layout]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Lines as cells by their column, blank lines left out."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    mark = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            where = f"{name}:{reader.line_num}"
            if not columns:
                columns = _columns(cells, where, layouts)
                continue
            if not "".join(cells).isprintable():
                raise BadInput("a cell goes over more than one line", where=where, do=_DO)
            if len(cells) != len(columns):
                raise BadInput(f"{len(cells)} cells under {len(columns)} columns", where=where,
                               do=_DO)  # fmt: skip
            if any(len(cell) > CELL_MAX for cell in cells):
                raise BadInput(f"a cell is longer than {CELL_MAX} characters", where=where, do=_DO)
            yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        where = f"{name}:{reader.line_num}"
        raise BadInput(f"it cannot be read as a table: {error}", where=where, do=_DO) from None


def _columns(cells: Sequence[str], where: str, layouts: Sequence[Layout]) -> list[str]:
    columns = [cell.casefold() for cell in cells]
    if len(columns) > COLUMNS_MAX:
        raise BadInput(f"it has more than {COLUMNS_MAX} columns", where=where, do=_DO)
    layout = _layout(columns, layouts)
    missing = [one for one in NEEDED if one not in columns] if layout is None else []
    if missing:
        hint = nearest(missing[0], columns)
        known = f" Nor are its columns those of {', '.join(one.instrument for one in layouts)}."
        raise BadInput(f"it has no column {missing[0]!r}. {hint}" + (known if layouts else ""),
                       where=where, do=_DO)  # fmt: skip
    named = (*NEEDED, *OPTIONAL) if layout is None else layout.columns
    twice = [one for one in named if columns.count(one) > 1]
    if twice:
        raise BadInput(f"it has two columns {twice[0]!r}", where=where, do=_DO)
    return columns


def _row(where: str, line: int, cells: Mapping[str, str], form: str, stamp: Stamp) -> Row:
    empty = next((one for one in NEEDED if not cells[one] and one != "unit"), "")
    if empty:
        raise BadInput(f"{empty!r} is empty", where=where, do=_DO)
    batch, slash, sample = cells["sample"].rpartition("/")
    if not slash or not batch or not sample:
        raise BadInput(f"the sample {cells['sample']!r} does not say its batch", where=where,
                       do=f"Call it BATCH/SAMPLE, as its prompt does. {_DO}")  # fmt: skip
    value = cells["value"].replace(",", ".") if _COMMA.match(cells["value"]) else cells["value"]
    if not _NUMBER.match(value):
        raise BadInput(f"{cells['value']!r} is not a number", where=where, do=_DO)
    moment = _moment(cells["time"], form, where, stamp)
    return Row(
        line, batch, sample, cells["analyte"], value, cells["unit"],
        round(moment.timestamp() * 1_000), moment.isoformat(), cells["instrument"],
        cells["serial"], cells.get("operator", ""),
    )  # fmt: skip


def _moment(text: str, form: str, where: str, stamp: Stamp) -> datetime:
    """A time with its offset; `form` as strptime has it, or empty for ISO 8601."""
    local = timezone(timedelta(minutes=stamp.offset_min))
    try:
        if form:
            moment = datetime.strptime(text, form).replace(tzinfo=local)
        elif ":" in text:
            moment = datetime.fromisoformat(text)
        else:
            raise ValueError(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=local)
        moment.timestamp()
    except (ValueError, OverflowError):
        now = datetime.fromtimestamp(stamp.utc_ns // NS_PER_S, local)
        example = now.strftime(form) if form else now.isoformat()
        raise BadInput(f"{text!r} is not a time", where=where,
                       do=f"Give it as {example}. {_DO}") from None  # fmt: skip
    return moment

"""The chart as a table of text (CSV, RFC 4180), and read again: for spreadsheets and for comparing.

The first lines, whose id begins with `#`, say about each actuator what is not a cell: its safe
value, its second final element, the winner where rows disagree.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Final

from controller.chart.model import Cell, Chart, Column, Condition, Line
from controller.core.errors import BadInput

UNCOVERED: Final = "NO TEST"
HEAD: Final = (
    "id", "title", "kind", "conditions", "vote", "delay", "off delay", "bad after", "never bypass",
    "valid", "no action while", "first-out group", "safety time", "used time", "risks", "severity",
    "stops", "route", "place",
)  # fmt: skip
ABOUT: Final = (("#safe value", "safe"), ("#proven by", "proof"), ("#second element", "second"),
                ("#winner", "winner"))  # fmt: skip
SEPARATOR: Final = "; "


@dataclass(frozen=True, slots=True)
class Read:
    """A table read again: what stands about columns, in lines, and in cells with their tests."""

    about: dict[tuple[str, str], str]
    lines: dict[str, dict[str, str]]
    cells: dict[tuple[str, str], tuple[str, tuple[str, ...]]]


def write(chart: Chart) -> str:
    """The whole chart; lines end in CRLF."""
    out = io.StringIO()
    names = [column.name for column in chart.columns]
    writer = csv.writer(out)
    writer.writerow([*HEAD, *names])
    for title, field in ABOUT:
        cells = [getattr(column, field) for column in chart.columns]
        writer.writerow([title, *[""] * (len(HEAD) - 1), *cells])
    for line in chart.lines:
        cells = [_cell(line.cells[name]) if name in line.cells else "" for name in names]
        writer.writerow([*head(line), *cells])
    return out.getvalue()


def head(line: Line) -> list[str]:
    """What stands in front of a line's cells."""
    return [
        line.id, line.title, line.kind, SEPARATOR.join(map(condition, line.conditions)), line.vote,
        line.delay, line.off_delay, line.bad_after, "never" if line.never_bypass else "",
        line.valid, SEPARATOR.join(line.unless), line.group, line.safety_time, line.used_time,
        SEPARATOR.join(risk.id for risk in line.risks), str(line.severity or ""),
        SEPARATOR.join(line.stops), line.route, line.place,
    ]  # fmt: skip


def condition(item: Condition) -> str:
    """One condition with all that belongs to it, e.g. `TT101 > 38.5 degC (back 0.3, ...)`."""
    parts = [f"back {item.hysteresis}" if item.hysteresis else "",
             f"for {item.delay}" if item.delay else "",
             f"until off for {item.off_delay}" if item.off_delay else "", item.bad]  # fmt: skip
    said = ", ".join(part for part in parts if part)
    return f"{item.text} ({said})" if said else item.text


def _cell(cell: Cell) -> str:
    return f"{cell.text} [{SEPARATOR.join(cell.tests) or UNCOVERED}]"


def read(text: str) -> Read:
    """A table that `write` made; raises BadInput where it is none."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows or tuple(rows[0][: len(HEAD)]) != HEAD:
        raise BadInput("this is no chart", where="line 1", do="Make it with `cellwright matrix`.")
    names = rows[0][len(HEAD) :]
    about: dict[tuple[str, str], str] = {}
    lines: dict[str, dict[str, str]] = {}
    cells: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise BadInput(f"{len(row)} cells, not {len(rows[0])}", where=f"line {number}")
        values = zip(names, row[len(HEAD) :], strict=True)
        if row[0].startswith("#"):
            about |= {(row[0], name): value for name, value in values}
            continue
        lines[row[0]] = dict(zip(HEAD, row, strict=False))
        for name, value in values:
            if value:
                said, _, tests = value.removesuffix("]").partition(" [")
                named = () if tests == UNCOVERED else tuple(tests.split(SEPARATOR))
                cells[row[0], name] = said, named
    return Read(about, lines, cells)


def about(column: Column) -> dict[str, str]:
    """What the first lines say of one column."""
    return {title: getattr(column, field) for title, field in ABOUT}

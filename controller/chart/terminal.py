"""The chart in a terminal of at most 200 columns: first the matrix, then what each cause means."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.chart.model import LEGEND, Chart, Line
from controller.chart.table import condition

WIDTH: Final = 200
_SHORT: Final = {"Hold": "H", "Alarm": "A", "Abort": "X"}


def show(chart: Chart, console: Console | None = None) -> None:
    """Prints the whole chart."""
    console = console or Console(width=WIDTH)
    console.print(
        f"[bold]Cause and effect, unit {chart.unit} version {chart.version}[/bold]: "
        f"{escape(chart.title)}\nprofile {chart.sha256[:16]}, plan {chart.plan[:16]}"
        + (f"; {escape(chart.risks)}" if chart.risks else ""), highlight=False,
    )  # fmt: skip
    console.print(_matrix(chart), _causes(chart))
    words = "  ".join(f"[bold]{mark}[/bold] {text};" for mark, text in LEGEND.items())
    console.print(words + "  [bold]![/bold] no test executes this cell", highlight=False)


def _matrix(chart: Chart) -> Table:
    table = Table(title="Effects", title_justify="left", padding=0, show_lines=False)
    table.add_column("row", no_wrap=True)
    for column in chart.columns:
        foot = "\n".join(part for part in (column.second.replace(" ", ""), column.winner) if part)
        table.add_column(f"{column.name}\n{foot}".strip(), justify="center", overflow="fold")
    for line in chart.lines:
        cells = []
        for column in chart.columns:
            cell = line.cells.get(column.name)
            text = "" if cell is None else _short(cell.text) + ("" if cell.tests else "!")
            cells.append(escape(text.replace("<= ", "<=").replace(">= ", ">=")))
        table.add_row(_name(line), *cells)
    return table


def _short(text: str) -> str:
    """`U Hold after 10 min` -> `H 10min`: the column's head says the rest."""
    if not text.startswith("U "):
        return text
    word, _, after = text[2:].partition(" after ")
    return f"{_SHORT.get(word, word)} {after.replace(' ', '')}".strip()


def _name(line: Line) -> str:
    return f"{line.id}*" if line.never_bypass else line.id


def _causes(chart: Chart) -> Table:
    title = "Causes (* never bypassed); times: used of what the process leaves"
    table = Table(title=title, title_justify="left", padding=(0, 1, 0, 0))
    for name, width in (("row", 18), ("kind", 12), ("cause", 33), ("conditions", 54), ("vote", 4),
                        ("delay", 9), ("valid", 15), ("group", 8), ("time", 11),
                        ("risk", 12)):  # fmt: skip
        table.add_column(name, max_width=width, overflow="fold")
    for line in chart.lines:
        delay = "\n".join(part for part in (
            line.delay, f"off {line.off_delay}" if line.off_delay else "") if part)  # fmt: skip
        valid = [line.valid, *(f"acts not: {flag}" for flag in line.unless), line.route]
        times = f"{line.used_time}/\n{line.safety_time}" if line.safety_time else ""
        risks = "\n".join(f"{risk.id} S{risk.severity}" for risk in line.risks)
        table.add_row(_name(line), line.kind, escape(line.title),
                      escape("\n".join(map(condition, line.conditions))), line.vote, delay,
                      escape("\n".join(filter(None, valid))), line.group, times, risks)  # fmt: skip
    return table

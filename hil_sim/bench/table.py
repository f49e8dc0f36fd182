"""Rows of a bench as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def _text(value: object) -> str:
    """A cell: thousands apart, nothing for what was not measured."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def show(title: str, rows: Sequence[dict[str, Any]], console: Console | None = None) -> None:
    """Prints rows; the first row names the columns, a blank line stands between cases."""
    made = Table(title=title)
    names = list(rows[0]) if rows else []
    for name in names:
        numeric = any(isinstance(row[name], int | float) for row in rows)
        made.add_column(name, justify="right" if numeric else "left")
    for place, row in enumerate(rows):
        last = place + 1 == len(rows) or rows[place + 1].get("case") != row.get("case")
        made.add_row(*(_text(row[name]) for name in names), end_section=last and "case" in row)
    (console or Console()).print(made)

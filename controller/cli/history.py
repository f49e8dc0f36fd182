"""`cellwright history ...`: the process history of a batch, for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.core.errors import BadInput, nearest

history_app = typer.Typer(no_args_is_help=True, help="The process history: every tag of a batch.")
Log = Annotated[Path, typer.Argument(help="A batch's directory, or its log directory")]


@history_app.command()
def export(
    log: Log,
    out: Annotated[Path, typer.Option(help="FILE.csv or FILE.parquet, new")],
    tag: Annotated[list[str] | None, typer.Option(help="Only this tag; may be repeated")] = None,
    since: Annotated[str, typer.Option(help="2026-01-05, or 2026-01-05T08:30+01:00")] = "",
    until: Annotated[str, typer.Option(help="The same; a day means to its end")] = "",
) -> None:
    """Writes values, qualities, units and gaps; every chunk is checked against its record."""
    from controller.record.historyfile import write
    from controller.record.query import moment
    from controller.record.sources import source_of
    from controller.record.state import must_be_sealed

    directory = source_of(log).directory
    window = (moment(since) if since else None, moment(until, end=True) if until else None)
    wanted = frozenset(tag or ())
    result = write(directory, out, wanted, window, growing=not must_be_sealed(directory))
    unknown = sorted(wanted - result.tags)
    if unknown:
        out.unlink(missing_ok=True)
        raise BadInput(
            f"this history has no tag {unknown[0]!r}. {nearest(unknown[0], sorted(result.tags))}",
            where=directory,
        )
    sys.stdout.write(
        f"{out}: {result.rows} rows, {result.gaps} of them gaps, {len(result.tags)} tags in the "
        "log; every chunk is the one its record names\n"
    )
    if not result.rows:
        sys.stderr.write("nothing was kept of that in that time: look at --tag, --since, --until\n")


@history_app.command()
def rebuild(log: Log) -> None:
    """Makes history.sqlite beside a log anew from its chunks."""
    import sqlite3

    from controller.record.livestore import NAME
    from controller.record.livestore import rebuild as rebuild_
    from controller.record.sources import source_of
    from controller.record.state import must_be_sealed

    source = source_of(log)
    if not must_be_sealed(source.directory):
        raise BadInput(
            "the batch is open, and its supervisor keeps the file itself",
            where=source.directory,
            do="It is made anew when it is removed and the supervisor starts again. "
            "`cellwright history export` reads an open batch.",
        )
    path = source.beside(NAME)
    try:
        rows = rebuild_(source.directory, path, growing=False)
    except (OSError, sqlite3.Error) as error:
        raise BadInput(f"it cannot be written: {error}", where=path) from error
    sys.stdout.write(f"{path}: {rows} rows\n")

"""`cellwright history ...`: the process history of a batch, for other programs."""

from __future__ import annotations

import json as json_
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from controller.core.errors import BadInput, nearest

history_app = typer.Typer(no_args_is_help=True, help="The process history: every tag of a batch.")
_WORDS = {True: "true", False: "false", None: "unknown"}
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
def when(
    log: Log,
    condition: Annotated[str, typer.Argument(help='As in a recipe: "TT101 > 37.2 degC"')],
    only: Annotated[str, typer.Option(help="true, false or unknown: only these")] = "",
    since: Annotated[str, typer.Option(help="2026-01-05, or 2026-01-05T08:30+01:00")] = "",
    until: Annotated[str, typer.Option(help="The same; a day means to its end")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Tells from when to when a condition was true, false or unknown, and for how long in all."""
    from controller.recipe.past import as_rows
    from controller.recipe.past import when as when_
    from controller.record.query import moment
    from controller.record.sources import source_of
    from controller.record.state import must_be_sealed

    if only not in ("", *_WORDS.values()):
        raise BadInput(f"--only {only!r} is none of true, false, unknown")
    source = source_of(log)
    found = when_(
        source, condition, moment(since) if since else None,
        moment(until, end=True) if until else None,
        growing=not must_be_sealed(source.directory),
    )  # fmt: skip
    shown = [part for part in found.stretches if not only or _WORDS[part.value] == only]
    totals = {word: found.total_ms(value) / 1_000 for value, word in _WORDS.items()}
    if json:
        rows = as_rows(replace(found, stretches=tuple(shown)))
        sys.stdout.write(json_.dumps({"condition": condition, "seconds": totals,
                                      "stretches": rows}) + "\n")  # fmt: skip
        return
    for part in shown:
        lasts = duration((part.end_ms - part.begin_ms) / 1_000)
        sys.stdout.write(f"{found.local(part.begin_ms)} .. {found.local(part.end_ms)}  "
                         f"{_WORDS[part.value]:<7}  {lasts}\n")  # fmt: skip
    whole = sum(totals.values())
    for word, seconds in totals.items():
        share = 100 * seconds / whole if whole else 0.0
        sys.stdout.write(f"{word:<7}  {duration(seconds):>22}  {share:6.2f} %\n")


def duration(seconds: float) -> str:
    """A time as people read it: `2 d 3 h 4 min`, `12.5 s`."""
    if seconds < 60:
        return f"{seconds:g} s"
    whole = round(seconds)
    parts = ((whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"),
             (whole % 60, "s"))  # fmt: skip
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


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

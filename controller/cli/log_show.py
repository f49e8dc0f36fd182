"""What `cellwright log show` prints: rows or changes, of one log or of a whole state directory."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Iterator
from pathlib import Path

from controller.core.errors import nearest
from controller.core.events import EVENTS
from controller.record import changes as trail
from controller.record.query import Filter
from controller.record.show import TIMELESS, Row, lines, select, select_all
from controller.record.sources import Source, is_state, sources_of

NAMES_MAX = 12


def print_rows(
    path: Path, asked: Filter, *, changes: bool, expand: bool, indexed: bool, json: bool
) -> None:
    """Prints what is asked for to stdout, and why not to stderr when it is nothing.

    Raises BadInput for a path that is no log, RecordFailure at the first damage.
    """
    sources = sources_of(path)

    def of(source: Source) -> Iterator[Row]:
        if changes:
            return (found.row() for found in trail.changes(source, asked, indexed=indexed))
        return select(source, asked, expand=expand, indexed=indexed)

    rows = select_all(sources, asked, of=of) if is_state(path) else of(sources[0])
    if json:
        found: Iterator[str] = (json_.dumps(row, ensure_ascii=False) for row in rows)
    else:
        found = (trail.line(row) for row in rows) if changes else lines(rows)
    count = 0
    for line in found:
        sys.stdout.write(line + "\n")
        count += 1
    if not count:
        sys.stderr.write(nothing(asked, sources, changes=changes, expand=expand) + "\n")


def nothing(asked: Filter, sources: list[Source], *, changes: bool, expand: bool) -> str:
    """Why nothing was shown: what was asked for, and what comes near it in these logs."""
    what = "no changed value" if changes else "no record"
    text = f"{what} matches, of {len(sources)} log{'s' if len(sources) > 1 else ''}"
    known = [*(trail.EVENTS if changes else EVENTS), *(TIMELESS if expand else ())]
    if asked.event and not any(asked.of_event(name) for name in known):
        text += f"; no event is called {asked.event!r}. {nearest(asked.event, known)}"
    elif asked.batch and asked.batch not in [source.name for source in sources]:
        text += f"; no batch {asked.batch!r} is here. "
        text += nearest(asked.batch, [source.name for source in sources])
    elif asked.who:
        seen = sorted(_people(sources))
        if not any(asked.is_who(name) for name in seen):
            text += f"; these have a part in it: {', '.join(seen[:NAMES_MAX])}"
    elif asked.tag:
        tags = sorted({name for source in sources for name in trail.units_of(source)})
        if tags and asked.tag not in tags:
            text += f"; no tag is called {asked.tag!r}. {nearest(asked.tag, tags)}"
    elif asked.since or asked.until:
        times = [str(row["time"]) for source in sources for row in _ends(source)]
        text += f"; they reach from {min(times)} to {max(times)}" if times else ""
    return text


def _ends(source: Source) -> Iterator[Row]:
    """The first and the last record of a log."""
    last: Row | None = None
    for row in select(source, Filter()):
        if last is None:
            yield row
        last = row
    if last is not None:
        yield last


def _people(sources: list[Source]) -> set[str]:
    """Who acts in these logs."""
    return {str(row["actor"]) for source in sources
            for row in select(source, Filter(who="*"))}  # fmt: skip

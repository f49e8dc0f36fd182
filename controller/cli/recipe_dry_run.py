"""`cellwright recipe dry-run`: a whole batch on the simulated unit, as a timeline with its figures.

Exit status: 0 the batch completed, 1 it did not, 2 the recipe was refused before it began.
"""

from __future__ import annotations

import json as json_
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.core.errors import BadInput

if TYPE_CHECKING:
    from hil_sim.rig.dry_run import DryRun
    from hil_sim.rig.rig import Rig

LINES_MAX = 300
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def dry_run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe: its file, or its id")],
    unit: Annotated[str, typer.Option(help="A simulated unit; default: the recipe's")] = "",
    script: Annotated[Path | None, typer.Option(help="Answers; what it leaves out is answered "
                                                "plausibly")] = None,
    seed: Annotated[int, typer.Option(min=0, max=10**6)] = 1,
    enter: Annotated[list[str] | None, typer.Option(
        help="NAME=VALUE for the opening; may be repeated")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Runs a recipe to its end on the simulated unit, in virtual time, and says what happened."""
    from hil_sim.rig.dry_run import dry_run as dry_run_
    from hil_sim.rig.dry_run import prepare

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    run = prepare(recipe, unit, _entered(enter or []))
    if run.report.errors:
        for found in run.report.errors:
            console.print(escape(str(found.as_error())))
        raise BadInput(f"{run.recipe.id} is refused: {len(run.report.errors)} errors",
                       means="Nothing was run.", do="Correct them, then run it again.")  # fmt: skip
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, console.status("") as status:

        def progress(rig: Rig) -> None:
            day = rig.clock.now_ns / 86_400e9
            status.update(escape(f"day {day:.1f} of the run: {rig.phase}"))

        dry_run_(run, Path(folder), recipe=recipe, unit=unit, script=script, seed=seed,
                 progress=progress)  # fmt: skip
    wall_s = time.perf_counter() - began
    if json:
        sys.stdout.write(json_.dumps(as_data(run, seed, wall_s)) + "\n")
    else:
        show(run, seed, wall_s)
    raise typer.Exit(0 if run.complete else 1)


def _entered(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name.strip() or not value.strip():
            raise BadInput(f"{text!r} is not NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def as_data(run: DryRun, seed: int, wall_s: float) -> dict[str, Any]:
    """The whole of a run as plain data, times in s from the start of the procedure."""
    zero = run.begin_s
    return {
        "recipe": run.recipe.id, "version": run.recipe.version, "unit": run.recipe.unit,
        "seed": seed, "complete": run.complete, "state": run.state,
        "duration_s": round(run.end_s - zero, 1), "wall_s": round(wall_s, 3),
        "entered": dict(run.entered), "prompts": run.prompts, "answered": run.answered,
        "elements": [
            {"path": s.path, "level": s.level, "begin_s": round(s.begin_s - zero, 1),
             "end_s": None if s.end_s is None else round(s.end_s - zero, 1), "state": s.state}
            for s in run.spans
        ],
        "notes": [{"at_s": round(n.at_s - zero, 1), "kind": n.kind, "words": n.words}
                  for n in run.notes],
        "alarms": {name: {"count": count, "first_s": round(first_s - zero, 1), "text": text}
                   for name, (count, first_s, text) in run.alarms.items()},
        "holds": [{"begin_s": round(begin_s - zero, 1), "cause": why,
                   "end_s": None if end_s is None else round(end_s - zero, 1)}
                  for begin_s, end_s, why in run.holds],
        "expected_s": {d.path: [d.least_s, d.typical_s, d.most_s] for d in run.report.durations},
        "warnings": [str(found.as_error()) for found in run.report.warnings],
        "given_up": list(run.given_up),
    }  # fmt: skip


def show(run: DryRun, seed: int, wall_s: float) -> None:
    """The run for people."""
    console = Console(soft_wrap=True, highlight=False)
    zero = run.begin_s
    console.print(escape(
        f"{run.recipe.id} {run.recipe.version} on {run.recipe.unit}, simulated, seed {seed}: "
        f"{run.state} after {said(run.end_s - zero)}, computed in {wall_s:.0f} s"
    ))  # fmt: skip
    for name, value in run.entered.items():
        console.print(escape(f"entered at the opening: {name} = {value}"))
    _lines(console, "Elements, from the start of the procedure", _elements(run))
    console.print(_expected(run))
    _lines(console, "What happened", _happened(run))
    _lines(console, "Alarms", [
        f"{said(first - zero):>11}  {count} times  {text}"
        for count, first, text in sorted(run.alarms.values(), key=lambda item: item[1])
    ])  # fmt: skip
    console.print(f"Prompts: {run.prompts} asked, {run.answered} answered. "
                  f"Holds: {len(run.holds)}.")  # fmt: skip
    truth = run.truth
    if truth:
        console.print(
            f"In the vessel at harvest or the end: {truth['vcd_e6_per_ml']:.2f}e6/mL viable, "
            f"{truth['viability_pct']:.1f} % viability, {truth['volume_l']:.2f} L"
        )
    _lines(console, "Warnings of the check", [str(f.as_error()) for f in run.report.warnings])
    _lines(console, "Why it did not go on", run.given_up)
    console.print("NOT FOR HUMAN USE. Simulated equipment: it shows that the procedure can run, "
                  "not that the process is right.")  # fmt: skip


def _lines(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        console.print(escape(f"{title}:"))
    for line in lines[:LINES_MAX]:
        console.print(escape(f"  {line}"))
    if len(lines) > LINES_MAX:
        console.print(f"  and {len(lines) - LINES_MAX} more: --json has them all")


def _elements(run: DryRun) -> list[str]:
    lines = [f"{'begin':>11} {'end':>11} {'took':>11}  state"]
    zero = run.begin_s
    for span in run.spans:
        end = run.end_s if span.end_s is None else span.end_s
        depth = 0 if span.level == "procedure" else span.path.count("/") + 1
        ended = "" if span.end_s is None else said(end - zero)
        lines.append(
            f"{said(span.begin_s - zero):>11} {ended:>11} {said(end - span.begin_s):>11}  "
            f"{span.state:<9} {'  ' * depth}{span.path.rpartition('/')[2]}  {span.title}".rstrip()
        )
    return lines


def _happened(run: DryRun) -> list[str]:
    """What is worth telling in its order; what is said again and again stands once."""
    found = sorted(
        [(n.at_s, n.words) for n in run.notes]
        + [(a, f"Hold for {said((b or run.end_s) - a)}: {why}") for a, b, why in run.holds]
    )
    lines = []
    for words, group in groupby(found, key=lambda item: item[1]):
        times = [at_s for at_s, _ in group]
        last = said(times[-1] - run.begin_s)
        more = f" ({len(times)} times, until {last})" if len(times) > 1 else ""
        lines.append(f"{said(times[0] - run.begin_s):>11}  {words}{more}")
    return lines


def _expected(run: DryRun) -> Table:
    """What the run took beside what the check expects of the recipe."""
    table = Table(title="Against what the check expects", title_justify="left")
    for name in ("operation", "took", "at least", "as a rule", "at most", ""):
        table.add_column(name, justify="left" if name in ("operation", "") else "right")
    for each in run.report.durations:
        spans = [s for s in run.spans if s.path == each.path]
        took = sum((run.end_s if s.end_s is None else s.end_s) - s.begin_s for s in spans)
        if not spans:
            word = "not run"
        elif took > each.most_s * 1.001 + 60:
            word = "LONGER"
        elif took < each.least_s * 0.999 - 60:
            word = "SHORTER"
        else:
            word = ""
        table.add_row(escape(each.path), said(took) if spans else "", said(each.least_s),
                      said(each.typical_s), said(each.most_s), word)  # fmt: skip
    return table


def said(seconds: float) -> str:
    """A time as people read it in a batch of days: `6 d 23 h 05`, `1 h 05`, `12 min`, `8 s`."""
    if seconds < 0:
        return f"-{said(-seconds)}"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest:02}"
    return f"{hours // 24} d {hours % 24:02} h {rest:02}"

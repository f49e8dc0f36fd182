"""`cellwright matrix`: the cause-and-effect chart of a unit: terminal, HTML page, CSV table.

With `--check` the exit status is 1 when a cell is executed by no test, or when the rows and the
analysis of risks do not name each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from controller.chart import page, table, terminal
from controller.chart.build import build
from controller.chart.risk import Analysis, differences, load_analysis
from controller.core.errors import BadInput
from controller.profile.compile import Profile
from controller.units import find_unit, load_unit

if TYPE_CHECKING:
    from hil_sim.qualification.requirements import Requirements


def matrix(
    unit: Annotated[str, typer.Argument(metavar="PROFILE", help="A unit: its file, or its id")],
    html: Annotated[Path | None, typer.Option(help="Write one page, to read and to print")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a table, for a spreadsheet")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit status 1 if a cell has no test or "
                                        "a row and the risks do not name each other")] = False,
    requirements: Annotated[Path | None, typer.Option(help="Default: the unit's")] = None,
    fmea: Annotated[Path | None, typer.Option(help="Risks; default: the unit's")] = None,
) -> None:  # fmt: skip
    """Shows the cause-and-effect chart of a unit, with risks and the tests of each cell."""
    from hil_sim.qualification.coverage import covered

    profile, _ = load_unit(find_unit(unit))
    required, analysis = _required(profile, requirements), _analysis(profile, fmea)
    chart = build(profile, analysis, covered(profile, required) if required else None)
    if html is not None:
        _write(html, page.page(chart))
    if csv is not None:
        _write(csv, table.write(chart))
    if html is None and csv is None and not check:
        terminal.show(chart)
    found = [f"row {row}, {column}: executed by no test" for row, column in chart.uncovered()]
    found += differences(profile, analysis) if analysis else [f"{profile.id} has no risk analysis"]
    if not check:
        return
    console = Console(soft_wrap=True, highlight=False)
    for words in found:
        console.print(escape(words))
    count = sum(1 for _ in chart.cells())
    console.print(f"{len(chart.lines)} rows, {count} cells, {len(chart.uncovered())} without a "
                  f"test, {len(found)} findings")  # fmt: skip
    raise typer.Exit(1 if found else 0)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise BadInput(f"cannot write the file: {error.strerror}", where=path) from error


def _required(profile: Profile, given: Path | None) -> Requirements | None:
    """What the unit shall do; None where nobody has written it: then no cell has a test."""
    from hil_sim.qualification.requirements import SHIPPED
    from hil_sim.qualification.runner import required

    known = any((folder / f"{profile.id}.yaml").is_file() for folder in SHIPPED)
    return required(profile.id, given) if known or given is not None else None


def _analysis(profile: Profile, given: Path | None) -> Analysis | None:
    from hil_sim.qualification.requirements import SHIPPED

    shipped = (folder / f"{profile.id}_fmea.yaml" for folder in SHIPPED)
    path = given or next((file for file in shipped if file.is_file()), None)
    if given is not None and not given.is_file():
        raise BadInput("there is no such analysis of risks", where=given)
    return load_analysis(path, profile) if path is not None else None

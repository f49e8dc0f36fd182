"""`cellwright recipe ...`: recipes as people review them. `diff` ends with 1 where they differ."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.recipe_batchml import export_recipe, import_recipe
from controller.cli.recipe_dry_run import dry_run
from controller.core.errors import BadInput, nearest

recipe_app = typer.Typer(no_args_is_help=True, help="Shows, compares and tries recipes.")
recipe_app.command("dry-run")(dry_run)
recipe_app.command("export")(export_recipe)
recipe_app.command("import")(import_recipe)
FORMATS = ("svg", "mermaid")
Unit = Annotated[str, typer.Option(help="A unit, its id or file; default: the recipe's own")]
Out = Annotated[Path | None, typer.Option(help="Write it there; default: print it")]


@recipe_app.command()
def chart(
    recipe: Annotated[str, typer.Argument(help="Its id or file; with --batch not needed")] = "",
    unit: Unit = "",
    batch: Annotated[Path | None, typer.Option(help="A state directory, a batch's or a log: "
                                               "where it is")] = None,
    format: Annotated[str, typer.Option(help="svg or mermaid")] = "svg",  # noqa: A002
    out: Out = None,
) -> None:  # fmt: skip
    """Draws a recipe as a procedure function chart; with a batch, where it is and what changed."""
    from controller.cli.log_files import keep
    from controller.cli.recipe_chart import draw

    if format not in FORMATS:
        raise BadInput(f"unknown format {format!r}. {nearest(format, FORMATS)}")
    if not recipe and batch is None:
        raise BadInput("no recipe is named", do="Name a recipe, or a batch with --batch.")
    text = draw(recipe, unit, batch, format)
    if out is None:
        sys.stdout.write(text)
    else:
        keep(out, text.encode())


@recipe_app.command()
def states(out: Out = None) -> None:
    """Prints the state machines as diagrams, made from the tables that decide."""
    from controller.cli.log_files import keep
    from controller.cli.states_page import page

    if out is None:
        sys.stdout.write(page())
    else:
        keep(out, page().encode())


@recipe_app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A recipe, its id or file")],
    after: Annotated[str, typer.Argument(help="The other one")],
    unit: Unit = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compares what two recipes mean. Exit status 1 if they differ, 0 if only words do."""
    from controller.cli.recipe_diff import diff as diff_

    raise typer.Exit(diff_(before, after, unit, json))

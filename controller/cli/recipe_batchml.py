"""`cellwright recipe export` and `import`: a recipe as BatchML, and what BatchML cannot say."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from controller.cli.log_files import keep
from controller.cli.recipe_chart import offer_for
from controller.core.errors import BadInput
from controller.core.yamltext import load, parse
from controller.recipe.batchml.beyond import BY_CONVENTION, LEFT
from controller.recipe.batchml.export import export
from controller.recipe.batchml.imports import imported
from controller.recipe.batchml.xml import MAX_BYTES
from controller.recipe.load import compile_recipe
from controller.units import find_recipe, find_unit, load_unit

Out = Annotated[Path | None, typer.Option(help="Write it there; default: print it")]


def export_recipe(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe: its file, or its id")],
    unit: Annotated[str, typer.Option(help="Unit to check it for; default: the recipe's")] = "",
    out: Out = None,
) -> None:
    """Writes a recipe as BatchML and lists what BatchML cannot express."""
    document = load(find_recipe(recipe))
    data = document.data if isinstance(document.data, dict) else {}
    control = compile_recipe(document, offer_for(document, unit))
    found = export(data)
    _put(out, found.xml)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(
        escape(f"{control.id} {control.version} as BatchML, {len(control.phases)} phases")
    )
    _list(console, "Carried beside BatchML: cellwright reads it back, another system does not act "
          "on it", found.beside)  # fmt: skip
    _list(console, "In BatchML by a convention of ours", BY_CONVENTION.values())
    _list(console, "Not in the file", LEFT)


def import_recipe(
    file: Annotated[Path, typer.Argument(help="A BatchML file with one master recipe")],
    out: Out = None,
) -> None:
    """Writes the recipe of a BatchML file as YAML and loads that; status 2 if it cannot run."""
    found = imported(_read(file), str(file))
    if out is not None and out.exists():
        raise BadInput(f"{out} exists, and a recipe is not overwritten", do="Choose another --out.")
    _put(out, found.text.encode())
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    _list(console, "Left out", found.left)
    document = parse(found.text.encode(), str(out or "imported.yaml"))
    _, offer = load_unit(find_unit(str(found.data.get("unit", ""))))
    control = compile_recipe(document, offer)
    console.print(escape(
        f"{control.id} {control.version} loads for {control.unit} version {control.unit_version}, "
        f"{len(control.phases)} phases. Look at it with `cellwright check`."
    ))  # fmt: skip


def _list(console: Console, title: str, lines: Collection[str]) -> None:
    console.print(escape(f"{title}:" if lines else f"{title}: nothing"))
    for line in lines:
        console.print(escape(f"  {line}"))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read the file: {error.strerror}", where=file) from error


def _put(out: Path | None, content: bytes) -> None:
    if out is None:
        sys.stdout.write(content.decode())
    else:
        keep(out, content)

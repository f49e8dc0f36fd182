"""What `cellwright recipe diff` prints: differences in meaning, then what is only words."""

from __future__ import annotations

import json as json_
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from controller.cli.recipe_chart import offer_for
from controller.core.errors import Place
from controller.core.yamltext import load as load_yaml
from controller.recipe.compare.compare import compare
from controller.recipe.compare.differences import Comparison, Difference
from controller.recipe.load import compile_recipe
from controller.recipe.plan import ControlRecipe
from controller.units import find_recipe


def diff(before: str, after: str, unit: str, as_json: bool) -> int:
    """Prints; 1 if the recipes differ in meaning, 0 if not. Raises BadInput."""
    notes: list[str] = []
    sides = [_compiled(name, unit, notes) for name in (before, after)]
    found = compare(*sides)
    if as_json:
        sys.stdout.write(json_.dumps(_data(found, notes), ensure_ascii=False) + "\n")
    else:
        _show(found, notes)
    return 1 if found.differences else 0


def _compiled(name: str, unit: str, notes: list[str]) -> ControlRecipe:
    """A recipe as the unit that is installed would run it, whatever version it was written for."""
    document = load_yaml(find_recipe(name))
    offer = offer_for(document, unit)
    written = document.data.get("unit_version")
    if isinstance(written, str) and written != offer.version:
        notes.append(
            f"{document.file} is for version {written} of {offer.unit}; it is compared as version "
            f"{offer.version} would run it"
        )
        running = replace(document, data={**document.data, "unit_version": offer.version})
        return _as_written(compile_recipe(running, offer), written)
    return compile_recipe(document, offer)


def _as_written(recipe: ControlRecipe, version: str) -> ControlRecipe:
    data = {**recipe.document.data, "unit_version": version}
    return replace(recipe, document=replace(recipe.document, data=data))


def _show(found: Comparison, notes: list[str]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        escape(f"{_short(found.before.document.file)} -> {_short(found.after.document.file)}")
    )
    for note in notes:
        console.print(escape(note))
    for group, inside in found.grouped():
        console.print(f"\n[bold]{escape(group)}[/bold] ({len(inside)})")
        _list(console, inside)
    if not found.differences:
        console.print("\nNo difference in meaning.")
    if found.words:
        console.print(f"\nWords only, nothing happens otherwise ({len(found.words)})")
        _list(console, found.words)


def _list(console: Console, rows: list[Difference]) -> None:
    for row in rows:
        console.print(f"  {escape(row.what)}")
        console.print(f"    [dim]{escape(_place(row.before))} | {escape(_place(row.after))}[/dim]")


def _place(place: Place | None) -> str:
    return f"{_short(place.file)}:{place.line}" if place is not None else "-"


def _short(file: str) -> str:
    """A file below the present directory by its way from here."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _data(found: Comparison, notes: list[str]) -> dict[str, object]:
    def rows(differences: list[Difference]) -> list[dict[str, str]]:
        return [{"group": d.group, "what": d.what, "before": _place(d.before),
                 "after": _place(d.after)} for d in differences]  # fmt: skip

    ordered = [row for _, inside in found.grouped() for row in inside]
    return {"different": bool(ordered), "differences": rows(ordered), "words": rows(found.words),
            "notes": notes}  # fmt: skip

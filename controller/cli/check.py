"""`cellwright check`: profiles and recipes, every fault at its line, every row with its time, and
the bytes each line is sent first.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from controller.core.errors import BadInput
from controller.core.yamltext import load
from controller.profile.check import check_profile, safety_times
from controller.profile.compile import Profile
from controller.profile.prove.claims import claims
from controller.recipe.load import compile_recipe
from controller.units import find_unit, load_unit


def check_files(files: list[Path]) -> None:
    """Checks each file; raises BadInput at the first fault."""
    console = Console()
    for file in files:
        document = load(file)
        kind = document.data if isinstance(document.data, dict) else {}
        if "recipe" in kind:
            _profile, offer = load_unit(find_unit(str(kind.get("unit", ""))))
            recipe = compile_recipe(document, offer)
            console.print(
                f"{file}: recipe {recipe.id} {recipe.version} for {recipe.unit}, "
                f"{len(recipe.phases)} phases: good", highlight=False,
            )  # fmt: skip
        elif "unit" in kind:
            profile, offer = load_unit(file)
            check_profile(profile)
            claims(profile)
            console.print(
                f"{file}: unit {profile.id} version {profile.version}, {len(profile.tags)} "
                f"signals, {len(profile.causes)} causes, {len(offer.classes)} phase classes: good",
                highlight=False,
            )
            _print_times(console, profile)
            _print_first(console, profile)
        else:
            raise BadInput(
                "neither a unit (key `unit`) nor a recipe (key `recipe`)", where=document.place()
            )


def _print_times(console: Console, profile: Profile) -> None:
    table = Table(title="Process safety time by row, s", title_justify="left")
    for name in ("row", "sensor age", "delay", "scan", "line", "sum", "at most", ""):
        table.add_column(name, justify="left" if name in ("row", "") else "right")
    for row in safety_times(profile):
        numbers = (row.sensor_age_ns, row.delay_ns, row.scan_ns, row.line_ns, row.total_ns,
                   row.allowed_ns)  # fmt: skip
        cells = [f"{value / 1e9:.2f}" for value in numbers]
        table.add_row(row.row, *cells, "good" if row.ok else "TOO SLOW")
    console.print(table)


def _print_first(console: Console, profile: Profile) -> None:
    title = "First frames on the serial lines, before anything else is loaded"
    table = Table(title=title, title_justify="left")
    for name in ("start", "link", "device", "output", "value", "bytes"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for start in ("cold", "open"):
        for link, first in profile.first.items():
            line = first.cold if start == "cold" else first.open
            for frame in line.frames:
                output = profile.outputs[frame.output]
                table.add_row("no batch" if start == "cold" else "batch open", link, frame.device,
                              output, f"{frame.value:g} {profile.model.actuators[output].unit}",
                              repr(frame.frame)[2:-1])  # fmt: skip
    console.print(table)

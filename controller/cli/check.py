"""`cellwright check`: units and recipes, every fault at its line with what to do.

Of a unit it shows the time of every row and the bytes each line is sent first; of a recipe, how
long it takes. Exit status 2 when there is an error; a warning is only told. Nothing is started.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from controller.core.errors import BadInput
from controller.core.yamltext import Document, load
from controller.profile.check import check_profile, safety_times
from controller.profile.compile import Profile
from controller.profile.prove.claims import claims
from controller.recipe.check import ASSUMED, Report, check, plant_of
from controller.recipe.check.duration import Duration
from controller.recipe.check.finding import ERROR, Finding
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
from controller.units import find_unit, load_unit


@dataclass(slots=True)
class Checked:
    """What came of one file: its kind and title, findings, and what there is to show of it."""

    file: str
    kind: str = ""
    title: str = ""
    findings: tuple[Finding, ...] = ()
    durations: tuple[Duration, ...] = ()
    profile: Profile | None = None
    about: dict[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps it from being used."""
        return tuple(each for each in self.findings if each.severity == ERROR)


def check_files(files: list[Path], unit: str = "", as_json: bool = False) -> int:
    """Checks each file, recipes against `unit` if one is given; returns the exit status."""
    found = [_checked(file, unit) for file in files]
    if as_json:
        _print_json(found)
    else:
        for each in found:
            _print(each)
    return BadInput.exit_code if any(each.errors for each in found) else 0


def _checked(file: Path, unit: str) -> Checked:
    found = Checked(str(file))
    try:
        document = load(file)
        kind = document.data if isinstance(document.data, dict) else {}
        if "recipe" in kind:
            _recipe(found, document, unit or str(kind.get("unit", "")), bool(unit))
        elif "unit" in kind:
            _unit(found, file)
        else:
            raise BadInput(
                "neither a unit (key `unit`) nor a recipe (key `recipe`)", where=document.place()
            )
    except BadInput as error:
        do = " ".join(part for part in (error.means, error.do) if part)
        found.findings = (Finding(ERROR, "load", error.what, error.where, do),)
    return found


def _recipe(found: Checked, document: Document, name: str, given: bool) -> None:
    found.kind = "recipe"
    profile, offer = _offer(document, name, given)
    recipe = compile_recipe(document, offer)
    report: Report = check(recipe, plant_of(profile))
    found.findings, found.durations = report.findings, report.durations
    found.about = {"id": recipe.id, "version": recipe.version, "unit": recipe.unit,
                   "unit_version": recipe.unit_version}  # fmt: skip
    found.title = (
        f"recipe {recipe.id} {recipe.version} for {recipe.unit} version {recipe.unit_version}, "
        f"{len(recipe.phases)} phases"
    )


def _offer(document: Document, name: str, given: bool) -> tuple[Profile, Offer]:
    if not name:
        raise document.error("the recipe names no unit", "unit")
    try:
        file = find_unit(name)
    except BadInput as error:
        raise error if given else document.error(error.what, "unit") from None
    return load_unit(file)


def _unit(found: Checked, file: Path) -> None:
    found.kind = "unit"
    profile, offer = load_unit(file)
    check_profile(profile)
    claims(profile)
    found.profile = profile
    found.about = {"id": profile.id, "version": str(profile.version)}
    found.title = (
        f"unit {profile.id} version {profile.version}, {len(profile.tags)} "
        f"signals, {len(profile.causes)} causes, {len(offer.classes)} phase classes"
    )


def _print_json(found: list[Checked]) -> None:
    files: list[dict[str, Any]] = [
        {
            "file": each.file, "kind": each.kind, **each.about,
            "findings": [finding.as_data() for finding in each.findings],
            "durations": [asdict(duration) for duration in each.durations],
        }
        for each in found
    ]  # fmt: skip
    good = not any(each.errors for each in found)
    Console().print_json(json.dumps({"good": good, "files": files, "assumed": ASSUMED}))


def _print(checked: Checked) -> None:
    console, complaints = Console(), Console(stderr=True)
    for finding in checked.findings:
        to = complaints if finding.severity == ERROR else console
        what = escape(f"{finding.where or checked.file}: {finding.severity}: {finding.what}")
        to.print(f"[bold]{what}[/bold]", highlight=False, soft_wrap=True)
        if finding.do:
            to.print(f"  {escape(finding.do)}", highlight=False, soft_wrap=True)
    verdict = _verdict(checked)
    if checked.title:
        line = escape(f"{checked.file}: {checked.title}: {verdict}")
        console.print(line, highlight=False, soft_wrap=True)
    if checked.errors:
        return
    if checked.profile is not None:
        _print_times(console, checked.profile)
        _print_first(console, checked.profile)
    if checked.durations:
        _print_durations(console, checked.durations)


def _verdict(checked: Checked) -> str:
    errors = len(checked.errors)
    warnings = len(checked.findings) - errors
    said = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    return ", ".join(said) if errors else ", ".join(["good", *said])


def _print_durations(console: Console, durations: tuple[Duration, ...]) -> None:
    table = Table(title="How long it takes", title_justify="left")
    for name in ("operation", "at least", "as a rule", "at most"):
        table.add_column(name, justify="left" if name == "operation" else "right")
    *operations, whole = durations
    for each in operations:
        table.add_row(each.path, *_times(each))
    table.add_section()
    table.add_row("the whole", *_times(whole))
    console.print(table)
    console.print(ASSUMED, highlight=False)


def _times(duration: Duration) -> list[str]:
    return [_time(s) for s in (duration.least_s, duration.typical_s, duration.most_s)]


def _time(seconds: float) -> str:
    """A time as people say it: the largest unit and the next."""
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours + (minutes >= 30), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


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

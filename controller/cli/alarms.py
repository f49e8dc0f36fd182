"""`cellwright alarms ...`: the master alarm database of a unit, and what a log shows of its alarms.
"""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated

import typer

alarms_app = typer.Typer(no_args_is_help=True, help="Alarms: what they mean, how good they are.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@alarms_app.command("list")
def list_(
    unit: Annotated[str, typer.Argument(help="A unit, or its file")], json: Json = False
) -> None:
    """Prints the master alarm database of a unit, the most urgent first."""
    from dataclasses import asdict

    from controller.alarms import Book
    from controller.units import find_unit, load_unit

    profile, _offer = load_unit(find_unit(unit))
    entries = Book.of(profile).entries
    if json:
        sys.stdout.write(json_.dumps([asdict(each) for each in entries]) + "\n")
        return
    for each in entries:
        shelve = f"shelved at most {each.shelve_s // 60} min" if each.shelve_s else "never shelved"
        latched = ", latched" if each.latched else ""
        by = f", suppressed by {', '.join(each.suppressed_by)}" if each.suppressed_by else ""
        sys.stdout.write(
            f"{each.priority:<8} {each.name}  (respond in {_short(each.respond_s)}, "
            f"{shelve}{latched}{by})\n"
            f"         {each.consequence}\n         -> {each.action}\n"
        )


@alarms_app.command()
def stats(
    log: Annotated[Path, typer.Argument(help="A log directory, or a batch's")], json: Json = False
) -> None:
    """Prints how often alarms called somebody, beside the figures of EEMUA 191 and ISA-18.2."""
    from controller.alarms.stats import RECOMMENDED, figures, told
    from controller.record.entry import read_records
    from controller.record.show import printable
    from controller.record.sources import source_of

    found = figures(told(read_records(source_of(log).directory)))
    if json:
        sys.stdout.write(json_.dumps({**found, "recommended": dict(RECOMMENDED)}) + "\n")
        return
    sys.stdout.write(
        f"{found['alarms']} alarms in {found['hours']:g} h; {found['suppressed']} more suppressed "
        f"by design, {found['escalated']} escalations\n"
    )
    for name, words in RECOMMENDED.items():
        unit = " %" if name.endswith("_pct") else ""
        label = name.removesuffix("_pct").replace("_", " ")
        sys.stdout.write(f"{label:<20} {found[name]:>8g}{unit:<2}  recommended {words}\n")
    for each in found["top"]:
        chatters = "  chattering" if each["alarm"] in found["chattering_alarms"] else ""
        sys.stdout.write(f"{each['count']:>6} x {printable(each['alarm'])}{chatters}\n")


def _short(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"

"""`cellwright firmware ...`: what the I/O board of a unit runs, and the firmware that runs it."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controller.core.errors import BadInput

firmware_app = typer.Typer(no_args_is_help=True, help="Our I/O board: its rows and its firmware.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@firmware_app.command()
def tables(
    unit: Annotated[str, typer.Argument(metavar="PROFILE", help="A unit: its file, or its id")],
    out: Annotated[Path | None, typer.Option(help="Write the table's bytes to this file")] = None,
    json: Json = False,
) -> None:
    """Compiles the rows marked `on_board` and shows what the board is given to run."""
    from controller.cli.firmware_table import Words, board_of
    from controller.units import find_unit, load_unit

    profile, _ = load_unit(find_unit(unit))
    board = board_of(profile)
    data = Words(profile, board).as_data()
    if out is not None:
        try:
            out.write_bytes(board.table)
        except OSError as error:
            raise BadInput(f"cannot write the file: {error.strerror}", where=out) from error
    if json:
        sys.stdout.write(json_.dumps(data) + "\n")
    else:
        show(data, Console())


def show(data: dict[str, Any], console: Console) -> None:
    """Prints a table of rows, of signals and of channels."""
    console.print(f"Table of {data['device']} in {data['unit']}: {data['bytes']} bytes, "
                  f"SHA-256 {data['sha256']}", highlight=False, soft_wrap=True)  # fmt: skip
    images = data["images"]
    said = "what this installation built" if images == "installed" else ", ".join(images)
    console.print(f"Firmware that may act: {said}", highlight=False, soft_wrap=True)
    rows = _table("Rows on the board", "row", "when", "vote, bad, delay", "forces",
                  "the kernel alone")  # fmt: skip
    for row in data["rows"]:
        when = "\n".join([*row["conditions"], *([row["valid"]] if row["valid"] else [])])
        late = f"{row['vote']}, {'/'.join(row['bad'])} after {row['bad_after_s']:g} s, " \
               f"{row['delay_s']:g} s"  # fmt: skip
        rows.add_row(f"{row['row']}: {row['id']}\n{row['kind']}", when, late,
                     "\n".join(row["effects"]), ", ".join(row["kernel_alone"]))  # fmt: skip
    console.print(rows)
    signals = _table("Signals", "signal", "tag", "from")
    for each in data["signals"]:
        signals.add_row(str(each["signal"]), each["tag"], each["from"])
    console.print(signals)
    channels = _table("Channels", "channel", "drives", "lease", "then", "after a reset")
    for each in data["channels"]:
        then = f"{each['lapse']}" + (", latched until cleared" if each["latches"] else "")
        after = "as it was" if each["retained"] else str(each["start"])
        used = bool(each["name"])
        channels.add_row(str(each["channel"]), each["name"] or "-",
                         f"{each['lease_s']:g} s" if used else "", then if used else "",
                         after if used else "")  # fmt: skip
    console.print(channels)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


@firmware_app.command()
def build(json: Json = False) -> None:
    """Builds the firmware: the library and process of this machine, and the Cortex-M3 image.

    What cannot be built here is named with what to install; then the exit status is 2.
    """
    from firmware_bridge import build as making

    found: list[dict[str, Any]] = []
    for name, make in (("library", making.library), ("process", making.process),
                       ("image", making.image)):  # fmt: skip
        one: dict[str, Any] = {"name": name}
        try:
            path = make()
            one |= {"file": str(path), "sha256": making.digest(path).hex()}
            if name == "image":
                size = making.sizes(path)
                one |= {"flash_bytes": size.flash, "ram_bytes": size.ram,
                        "flash_bytes_max": making.FLASH_BYTES_MAX,
                        "ram_bytes_max": making.RAM_BYTES_MAX}  # fmt: skip
        except BadInput as error:
            one["error"] = str(error)
        found.append(one)
    if json:
        sys.stdout.write(json_.dumps({"built": found}) + "\n")
    else:
        _print_built(found)
    raise typer.Exit(BadInput.exit_code if any("error" in one for one in found) else 0)


def _print_built(found: list[dict[str, Any]]) -> None:
    for one in found:
        if "error" in one:
            sys.stdout.write(f"{one['name']}: {one['error']}\n")
            continue
        sys.stdout.write(f"{one['name']}: {one['file']}\n  SHA-256 {one['sha256']}\n")
        if "flash_bytes" in one:
            sys.stdout.write(
                f"  flash {one['flash_bytes']} of {one['flash_bytes_max']} bytes, "
                f"RAM {one['ram_bytes']} of {one['ram_bytes_max']} bytes\n"
            )

"""`cellwright annunciator console`: the reference annunciator, for a terminal.

It reads what the station says, prints it and rings the bell. An annunciator for real horns does
the same with relays; docs/alarms.md says what it must answer.
"""

from __future__ import annotations

import json
import sys
from typing import Final, TextIO

import typer

from controller.core.errors import BadInput
from controller.record.show import printable

LINE_SHOWN: Final = 80
annunciator_app = typer.Typer(no_args_is_help=True, help="Horn and beacon of a station.")


@annunciator_app.command()
def console() -> None:
    """Reads the station's lines on standard input, rings and prints on standard error."""
    speak(sys.stdin, sys.stdout, sys.stderr)


@annunciator_app.callback()
def _several() -> None:
    """More than one kind may come."""


def speak(lines: TextIO, answers: TextIO, shown: TextIO) -> None:
    """Answers each line with its number, after it was shown; ends with its input."""
    last = ""
    for line in lines:
        try:
            told = json.loads(line)
            text, number = picture(told), told["n"]
            bell = "\a" if told["horn"] else ""
        except (ValueError, TypeError, KeyError):
            raise BadInput(
                f"this is no line of a station: {line.strip()[:LINE_SHOWN]!r}",
                do="Name this command as --annunciator of `cellwright run`.",
            ) from None
        if text != last or bell:
            shown.write(f"{bell}{text}\n" if text != last else bell)
            shown.flush()
        last = text
        answers.write(f"ok {number}\n")
        answers.flush()


def picture(told: dict[str, object]) -> str:
    """The state of horn and beacon in one line, the alarms below it."""
    horn = "HORN" if told["horn"] else "quiet"
    flash = " flashing" if told["flash"] else ""
    head = f"{told['unit']}: {horn}, beacon {told['beacon']}{flash}, {told['count']} alarms"
    alarms = told["alarms"]
    rows = alarms if isinstance(alarms, list) else []
    return "\n".join([
        head, *(f"  {a['priority']:<8} {a['state']:<13} {printable(str(a['text']))}" for a in rows)
    ])  # fmt: skip

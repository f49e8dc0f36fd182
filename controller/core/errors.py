"""Errors that speak to the person who meets them: what, where, what it means, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a text file: 1-based line and column."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class CellwrightError(Exception):
    """Base of every error shown to a person.

    `what` happened, `where` (file:line:column, device or tag), what it `means` for the batch, and
    what to `do`. Exit status of the command line is `exit_code`.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = "", means: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.means, self.do = what, str(where), means, do

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return "\n  ".join([head, *(part for part in (self.means, self.do) if part)])


class BadInput(CellwrightError):
    """A file, an option or an answer that is refused. Nothing was started or changed."""

    exit_code = 2


class Refused(CellwrightError):
    """A command that may not be carried out now. Nothing was changed."""


class RecordFailure(CellwrightError):
    """The log cannot be written or does not verify."""

    exit_code = 3


class BrokenInvariant(CellwrightError):
    """A fault of ours: the outputs go to the actuator table's column for that loss."""

    exit_code = 4


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint with the nearest valid name, or the first few names; empty if there are none."""
    found = get_close_matches(name, known, n=1, cutoff=0.5)
    if found:
        return f"Did you mean {found[0]!r}?"
    return f"Known: {', '.join(sorted(known)[:8])}." if known else ""

"""What a check says: one fault with its place, what it means and what to do.

A module because every part of the check reports in this one form, for a terminal, for a program
and for a person who is about to change a running batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.core.errors import BadInput

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `rule` names the kind of it; `where` is file:line:column; `path` the element of
    the recipe it belongs to, empty for the recipe as a whole. An error keeps a batch from being
    opened, a warning asks for a look."""

    severity: str
    rule: str
    what: str
    where: str
    do: str
    path: str = ""

    def as_error(self) -> BadInput:
        """The same as an error to be raised."""
        return BadInput(self.what, where=self.where, do=self.do)

    def as_data(self) -> dict[str, str]:
        """Plain data for a program."""
        return {
            "severity": self.severity, "rule": self.rule, "what": self.what, "where": self.where,
            "do": self.do, "path": self.path,
        }  # fmt: skip


@dataclass(slots=True)
class Findings:
    """Collects findings; what was said of a place once is not said again."""

    found: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def error(self, rule: str, what: str, where: object, do: str, path: str = "") -> None:
        """Adds an error."""
        self._add(Finding(ERROR, rule, what, str(where), do, path))

    def warning(self, rule: str, what: str, where: object, do: str, path: str = "") -> None:
        """Adds a warning."""
        self._add(Finding(WARNING, rule, what, str(where), do, path))

    def __iter__(self) -> Iterator[Finding]:
        """Errors first, each in the order it was found."""
        yield from (each for each in self.found.values() if each.severity == ERROR)
        yield from (each for each in self.found.values() if each.severity == WARNING)

    def _add(self, finding: Finding) -> None:
        self.found.setdefault((finding.rule, finding.where, finding.what), finding)

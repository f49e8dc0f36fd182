"""What stands in a cause-and-effect chart: lines are causes, columns effects, cells what is done.

A module so that every form of the chart (terminal, page, table) shows the same things and none of
them looks into a Plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

MARKS: Final = {
    "protect": "P", "interlock": "I", "permit": "E", "procedure": "F", "plausibility": "Q",
}  # fmt: skip
LEGEND: Final = {
    "P": "protect: forces, latches, needs a reset; not proven within 2 s, the second element acts",
    "I": "interlock: forces while its cause stands",
    "E": "permit: enables; while its cause stands the actuator may not leave its safe value",
    "F": "what a Hold or a phase of the procedure forces",
    "Q": "plausibility: the sensor's signal loses its quality",
    "U": "asked of the unit: a Hold or an abort of the procedure, or an alarm alone",
}
HOLD, ABORT, ALARM = "hold", "abort", "alarm"


@dataclass(frozen=True, slots=True)
class Column:
    """One effect: an actuator, a signal that loses its quality, or something asked of the unit."""

    name: str
    kind: str  # actuator, signal or unit
    unit: str = ""
    safe: str = ""
    proof: str = ""
    second: str = ""
    winner: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one line does to one column. `effects`: places in the Plan's table, none for the unit's.

    `tests` are the ids of what executes it.
    """

    mark: str
    words: tuple[str, ...]
    effects: tuple[int, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Mark and value, e.g. `P 0`."""
        return f"{self.mark} {', '.join(self.words)}".strip()


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: what makes it true, and how it turns, waits and treats a bad signal."""

    text: str
    hysteresis: str = ""
    delay: str = ""
    off_delay: str = ""
    bad: str = ""


@dataclass(frozen=True, slots=True)
class Risk:
    """What a line controls, from the failure modes and effects analysis."""

    id: str
    hazard: str
    cause: str
    severity: int
    occurrence: int
    detection: int

    @property
    def number(self) -> int:
        """Severity x occurrence x detection."""
        return self.severity * self.occurrence * self.detection


@dataclass(frozen=True, slots=True)
class Line:
    """One cause with everything a reviewer asks about it."""

    id: str
    title: str
    kind: str
    conditions: tuple[Condition, ...]
    vote: str
    delay: str
    off_delay: str
    bad_after: str
    never_bypass: bool
    valid: str
    unless: tuple[str, ...]
    group: str
    action: str
    safety_time: str
    used_time: str
    place: str
    route: str
    stops: tuple[str, ...]
    risks: tuple[Risk, ...]
    cells: Mapping[str, Cell]

    @property
    def severity(self) -> int:
        """The worst of its risks; 0 where it names none."""
        return max((risk.severity for risk in self.risks), default=0)


@dataclass(frozen=True, slots=True)
class Chart:
    """The whole chart. `computed`: signals that are computed in the scan, in words."""

    unit: str
    title: str
    version: int
    file: str
    sha256: str
    plan: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    computed: tuple[tuple[str, str, str], ...]
    risks: str = ""  # the file they are from, and who approved it

    def cells(self) -> Iterator[tuple[Line, Column, Cell]]:
        """Every cell that is not empty, line by line."""
        for line in self.lines:
            for column in self.columns:
                if column.name in line.cells:
                    yield line, column, line.cells[column.name]

    def uncovered(self) -> list[tuple[str, str]]:
        """Line and column of every cell that no test executes."""
        return [(line.id, column.name) for line, column, cell in self.cells() if not cell.tests]

    def tests(self) -> dict[str, int]:
        """Every test named, with how many cells it executes."""
        found: dict[str, int] = {}
        for _, _, cell in self.cells():
            for test in cell.tests:
                found[test] = found.get(test, 0) + 1
        return dict(sorted(found.items()))

"""What stands in a procedure function chart: elements with their words, before anything is drawn.

A module so that every form of the chart (SVG, Mermaid) shows the same things and none of them looks
into a recipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

STRUCTURES: Final = ("parallel", "select", "loop")
BRANCH: Final = "branch"  # of a structure that is too large to be drawn in one piece


@dataclass(frozen=True, slots=True)
class Live:
    """Where an element is: its state, what people changed, and what it waits for.

    `taken`: the branch a selection took; `unwritten`: parameters that are not as the recipe says.
    """

    state: str
    marks: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    taken: int = -1
    unwritten: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Element:
    """One procedural element. `branches` run side by side, or one of them after its `heads`.

    `lines`: parameters and conditions; `dashed`: what only an exception brings, `goals` the causes
    that lead elsewhere, with the path; `foot`: how a loop ends. `alternatives` stand beside the
    sequence, and only an exception starts them.
    """

    path: str
    level: str
    name: str
    title: str = ""
    use: str = ""
    lines: tuple[str, ...] = ()
    dashed: tuple[str, ...] = ()
    goals: tuple[tuple[str, str], ...] = ()
    branches: tuple[tuple[Element, ...], ...] = ()
    heads: tuple[str, ...] = ()
    foot: tuple[str, ...] = ()
    alternatives: tuple[Element, ...] = ()
    optional: bool = False
    live: Live | None = None

    @property
    def is_structure(self) -> bool:
        """Whether it is drawn as lines around its parts, not as a box."""
        return self.level in STRUCTURES

    @property
    def parts(self) -> tuple[Element, ...]:
        """The elements right below it, alternatives with them."""
        return (*(part for branch in self.branches for part in branch), *self.alternatives)

    def walk(self) -> Iterator[Element]:
        """It and everything below it, in the order it is read."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows beside the procedure, e.g. the formula. `shares`: of the page's width."""

    title: str
    head: tuple[str, ...]
    shares: tuple[float, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """The whole chart. `about`: what it shows, a line each; `care`: what a long Hold brings.

    `front`: tables before the procedure; `tables`: those behind it.
    """

    title: str
    about: tuple[str, ...]
    procedure: Element
    care: Element | None
    tables: tuple[Table, ...]
    front: tuple[Table, ...] = ()

    def elements(self) -> Iterator[Element]:
        """Every element, alternatives and care with them."""
        yield from self.procedure.walk()
        if self.care is not None:
            yield from self.care.walk()

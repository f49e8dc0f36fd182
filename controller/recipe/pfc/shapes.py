"""What a drawing is made of, in millimetres: boxes, lines, polygons and texts with known extent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from controller.recipe.pfc.text import width

SMALL, NORMAL, LARGE, HUGE = 2.5, 2.6, 3.0, 4.0  # 7.1, 7.4, 8.5 and 11.3 pt
LEADING: Final = 1.28
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle. `kind`: element, closed, tag; `state`: a procedural state, which colours it."""

    x: float
    y: float
    w: float
    h: float
    kind: str = "element"
    path: str = ""
    state: str = ""
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points. `weight` in mm; `arrow` at its end."""

    points: tuple[Point, ...]
    weight: float = 0.3
    dashed: bool = False
    arrow: bool = False


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed figure; `filled` black, else white."""

    points: tuple[Point, ...]
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `y` is its baseline. `page_of`: a path whose page number follows it."""

    x: float
    y: float
    text: str
    size: float = NORMAL
    bold: bool = False
    italic: bool = False
    page_of: str = ""

    @property
    def w(self) -> float:
        """How wide it is."""
        return width(self.text, self.size, self.bold)


Item = Box | Line | Polygon | Text


@dataclass(slots=True)
class Drawing:
    """Items in a frame of its own, `axis` the x at which the sequence enters and leaves."""

    w: float
    h: float
    axis: float = 0.0
    items: list[Item] = field(default_factory=list)

    def put(self, other: Drawing, x: float, y: float) -> None:
        """Takes another drawing in at a place."""
        self.items += [moved(item, x, y) for item in other.items]

    def line(self, *points: Point, weight: float = 0.3, dashed: bool = False,
             arrow: bool = False) -> None:  # fmt: skip
        """Adds a line."""
        self.items.append(Line(points, weight, dashed, arrow))

    def text(self, x: float, y: float, lines: list[str], size: float = NORMAL, *,
             bold: bool = False, italic: bool = False) -> float:  # fmt: skip
        """Adds lines of text, the first with its top at `y`; returns where the last one ends."""
        for line in lines:
            self.items.append(Text(x, y + size * 0.8, line, size, bold, italic))
            y += size * LEADING
        return y


def moved(item: Item, x: float, y: float) -> Item:
    """An item at another place."""
    if isinstance(item, Box):
        return replace(item, x=item.x + x, y=item.y + y)
    if isinstance(item, Text):
        return replace(item, x=item.x + x, y=item.y + y)
    return replace(item, points=tuple((px + x, py + y) for px, py in item.points))

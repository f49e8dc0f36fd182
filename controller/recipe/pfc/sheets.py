"""Charts of single elements flow onto A4 sheets, in two columns or over the whole width.

A sequence that is longer than its column goes on in the next one, joined by a numbered circle.
Every closed box says on which sheet it is unfolded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from controller.recipe.pfc.boxes import AXIS, PAGE_TEXT
from controller.recipe.pfc.layout import GAP, Layout, is_wide
from controller.recipe.pfc.model import BRANCH, Chart, Element, Table
from controller.recipe.pfc.shapes import (
    HUGE,
    LARGE,
    LEADING,
    NORMAL,
    SMALL,
    Box,
    Drawing,
    Item,
    Polygon,
    Text,
    moved,
)
from controller.recipe.pfc.text import width, wrap

PAGE_W, PAGE_H, MARGIN = 210.0, 297.0, 15.0
FULL: Final = PAGE_W - 2 * MARGIN
COLUMN: Final = 87.0
BOTTOM: Final = PAGE_H - 17.0
JOINT: Final = 9.0  # what a numbered circle takes at the end of a column
ENDING: Final = 8.0  # what the end symbol takes
APART: Final = 7.0  # between two charts
LEGEND: Final = (
    "Triangles: begin and end. Bar: transition. Double line: side by side. Single line: one of "
    "them. + p.: unfolded on that sheet. Dashed: only by an exception. Circle: goes on there."
)


@dataclass(slots=True)
class Page:
    """One sheet."""

    items: list[Item] = field(default_factory=list)


@dataclass(slots=True)
class Sheets:
    """Every sheet, and the number of the one on which each element is unfolded (from 1)."""

    pages: list[Page] = field(default_factory=list)
    unfolded: dict[str, int] = field(default_factory=dict)


def sheets(chart: Chart) -> Sheets:
    """The chart on sheets; the same chart gives the same sheets."""
    return _Flow(chart).made()


@dataclass(slots=True)
class _Piece:
    drawing: Drawing
    linked: bool = False  # joined to the piece before it


class _Flow:
    """Puts one chart after the other where there is room."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._out = Sheets()
        self._layout = Layout(FULL, 0.0)
        self._column, self._y, self._top, self._deepest = 0, 0.0, 0.0, 0.0
        self._joints = 0

    def made(self) -> Sheets:
        """All of it."""
        self._new_page()
        for table in self._chart.front:
            self._table(table)
        self._unfold(self._chart.procedure)
        if self._chart.care is not None:
            self._unfold(self._chart.care)
        for table in self._chart.tables:
            self._table(table)
        texts = self._layout.notes.texts
        if texts:
            rows = tuple((str(number), text) for number, text in enumerate(texts, 1))
            self._table(Table("Notes", ("Note", ""), (0.08, 0.92), rows))
        for number, page in enumerate(self._out.pages, 1):
            self._frame(page, number)
        return self._out

    # -- the chart of one element ---------------------------------------------------------------

    def _unfold(self, element: Element) -> None:
        """The chart of an element, then those of what is closed in it."""
        items = _inside(element)
        if element.path in self._out.unfolded or not (items or element.alternatives):
            return
        wide = is_wide(items)
        room = FULL if wide else COLUMN
        pieces = self._pieces(element, items, room)
        apart, self._layout.apart = self._layout.apart, []
        self._lay(pieces, element.path, wide)
        held = [inner for part in (*items, *element.alternatives) for inner in _closed_in(part)]
        for closed in (*apart, *held):
            self._unfold(closed)

    def _pieces(self, element: Element, items: tuple[Element, ...], room: float) -> list[_Piece]:
        head = self._head(element, room)
        around = max(head.h + GAP, JOINT) + JOINT + ENDING
        self._layout.height_max = BOTTOM - self._head_h - around
        pieces = [_Piece(self._layout.draw(item, room), True) for item in items]
        first = pieces[0].drawing if pieces else Drawing(room, 0.0, AXIS)
        drawing = Drawing(room, head.h + GAP + first.h, AXIS)
        drawing.put(head, 0, 0)
        if pieces:
            drawing.line((AXIS, head.h), (AXIS, head.h + GAP))
            drawing.put(first, AXIS - first.axis, head.h + GAP)
        pieces[:1] = [_Piece(drawing)]
        last = pieces[-1].drawing
        if items:
            last.line((AXIS, last.h), (AXIS, last.h + GAP))
            last.items.append(_triangle(last.h + GAP, up=True))
            last.h += ENDING
        for other in element.alternatives:
            pieces.append(_Piece(self._aside(other, room)))
        return pieces

    def _head(self, element: Element, room: float) -> Drawing:
        """What the chart is of, and the symbol its sequence begins with."""
        drawing = Drawing(room, 0.0, AXIS)
        kind = "" if element.level == BRANCH else element.level.replace("_", " ") + " "
        state = f": {element.live.state}" if element.live is not None else ""
        path = element.path.partition("#")[0] + (f", {element.name}" if kind == "" else "")
        lines = wrap(f"{kind}{path}{state}", LARGE, room, True)
        y = drawing.text(0, 0, lines, LARGE, bold=True)
        if element.title:
            y = drawing.text(0, y, self._layout.notes.fit(element.title, NORMAL, room))
        for text in element.dashed:
            y = drawing.text(0, y, self._layout.notes.fit(text, SMALL, room), SMALL)
        drawing.line((0, y + 0.6), (room, y + 0.6), weight=0.15, dashed=element.optional)
        drawing.items.append(_triangle(y + 2.2, up=False))
        drawing.h = y + 5.7
        return drawing

    def _aside(self, element: Element, room: float) -> Drawing:
        """An operation that only an exception starts: dashed, and in no sequence."""
        drawing = Drawing(room, 0.0, AXIS)
        part = self._layout.draw(element, room)
        drawing.put(part, 0, 2.0)
        drawing.h = part.h + 2.0
        return drawing

    # -- where it goes --------------------------------------------------------------------------

    def _lay(self, pieces: Sequence[_Piece], path: str, wide: bool) -> None:
        gaps = [GAP if piece.linked else 0.0 for piece in pieces]
        total = sum(piece.drawing.h for piece in pieces) + sum(gaps)
        self._begin(total, pieces[0].drawing.h, wide)
        self._out.unfolded.setdefault(path, len(self._out.pages))
        for number, (piece, gap) in enumerate(zip(pieces, gaps, strict=True)):
            following = pieces[number + 1] if number + 1 < len(pieces) else None
            reserve = JOINT if following is not None and following.linked else 0.0
            if number and self._y + gap + piece.drawing.h + reserve > BOTTOM:
                self._break(piece.linked, piece.drawing.h + reserve, wide)
            elif number and piece.linked:
                x = self._x() + AXIS
                self._page().items.append(_line(x, self._y, x, self._y + gap))
                self._y += gap
            elif number:
                self._y += 1.5
            self._put(piece.drawing)
        self._y += APART
        self._deepest = max(self._deepest, self._y)
        if wide:
            self._top, self._column = self._y, 0

    def _begin(self, total: float, first: float, wide: bool) -> None:
        """Room for a chart: here if it fits, or in the next column or on the next sheet."""
        if wide:
            self._y = max(self._deepest, self._y)
            self._column, self._top = 0, self._y
        whole = total <= BOTTOM - self._head_h
        wanted = total if whole else max(first + JOINT, 90.0)
        for _ in range(2):
            if self._y + wanted > BOTTOM and self._y > self._head_h:
                self._next(wide)

    def _next(self, wide: bool) -> None:
        """The next column, or the next sheet."""
        self._deepest = max(self._deepest, self._y)
        if wide or self._column:
            self._new_page()
        else:
            self._column, self._y = 1, self._top

    def _break(self, linked: bool, wanted: float, wide: bool) -> None:
        """Goes on in the next column; a sequence is joined by a numbered circle at both ends."""
        x = self._x() + AXIS
        if linked:
            self._joints += 1
            self._page().items += [_line(x, self._y, x, self._y + GAP - 1),
                                   *_circle(x, self._y + GAP + 1.3, self._joints)]  # fmt: skip
            self._y += JOINT
        wanted += JOINT if linked else 0.0
        self._next(wide)
        if self._y + wanted > BOTTOM and self._y > self._head_h:
            self._next(wide)
        if linked:
            x = self._x() + AXIS
            self._page().items += [*_circle(x, self._y + 2.3, self._joints),
                                   _line(x, self._y + 4.6, x, self._y + JOINT)]  # fmt: skip
            self._y += JOINT

    def _put(self, drawing: Drawing) -> None:
        x, y = self._x(), self._y
        self._page().items += [moved(item, x, y) for item in drawing.items]
        self._y += drawing.h
        self._deepest = max(self._deepest, self._y)

    def _x(self) -> float:
        return MARGIN + self._column * (FULL - COLUMN)

    def _page(self) -> Page:
        return self._out.pages[-1]

    def _new_page(self) -> None:
        self._out.pages.append(Page())
        self._column = 0
        self._top = self._y = self._deepest = self._head_h

    # -- tables and what stands around ----------------------------------------------------------

    def _table(self, table: Table) -> None:
        """Rows over the whole width, the head again on every sheet."""
        self._y = max(self._deepest, self._y)
        self._column, self._top = 0, self._y
        head = _row(table.head, table.shares, True)
        title = Drawing(FULL, 0.0)
        title.h = title.text(0, 0, [table.title], LARGE, bold=True) + 1.0
        rows = [_row(row, table.shares, False) for row in table.rows]
        first = rows[0].h if rows else 0.0
        if self._y + title.h + head.h + first > BOTTOM and self._y > self._head_h:
            self._new_page()
        for number, row in enumerate([title, head, *rows]):
            if number and self._y + row.h > BOTTOM:
                self._new_page()
                if number > 1:
                    self._put(head)
            self._put(row)
        self._y += APART
        self._top = self._deepest = self._y

    @property
    def _head_h(self) -> float:
        return 13.0 + HUGE + len(self._chart.about) * NORMAL * LEADING + 6.0

    def _frame(self, page: Page, number: int) -> None:
        """Head and foot of a sheet, with the numbers of sheets that boxes refer to."""
        count = len(self._out.pages)
        head = Drawing(FULL, 0.0)
        y = head.text(0, 0, [_short(self._chart.title, HUGE, FULL)], HUGE, bold=True)
        for line in self._chart.about:
            y = head.text(0, y, [_short(line, NORMAL, FULL)])
        head.line((0, y + 1), (FULL, y + 1), weight=0.5)
        foot = f"Sheet {number} of {count}"
        head.items.append(Text(FULL - width(foot, SMALL), PAGE_H - 20.0, foot, SMALL))
        legend = wrap(LEGEND, SMALL, FULL - 28)
        head.text(0, PAGE_H - 22.0, legend, SMALL)
        page.items += [moved(item, MARGIN, 10.0) for item in head.items]
        page.items[:] = [self._numbered(item) for item in page.items]

    def _numbered(self, item: Item) -> Item:
        if isinstance(item, Text) and item.page_of:
            sheet = self._out.unfolded.get(item.page_of)
            text = f"+ p. {sheet}" if sheet is not None else ""
            x = item.x + PAGE_TEXT - width(text, item.size, item.bold)
            return Text(x, item.y, text, item.size, item.bold)
        return item


def _inside(element: Element) -> tuple[Element, ...]:
    """What the chart of an element is a sequence of."""
    if element.is_structure:
        return (element,)
    if len(element.branches) > 1:
        return (Element(f"{element.path}#side", "parallel", "", branches=element.branches),)
    return element.branches[0] if element.branches else ()


def _closed_in(element: Element) -> list[Element]:
    """The elements of a sequence that are boxes with something in them."""
    if not element.is_structure:
        return [element] if element.branches or element.alternatives else []
    return [found for part in element.parts for found in _closed_in(part)]


def _triangle(y: float, up: bool) -> Polygon:
    """The begin and end symbols of a procedure function chart."""
    side, height = 4.0, 3.5
    if up:
        points = ((AXIS, y), (AXIS + side / 2, y + height), (AXIS - side / 2, y + height))
    else:
        points = ((AXIS - side / 2, y), (AXIS + side / 2, y), (AXIS, y + height))
    return Polygon(points)


def _line(x: float, y: float, to_x: float, to_y: float) -> Item:
    drawing = Drawing(0, 0)
    drawing.line((x, y), (to_x, to_y))
    return drawing.items[0]


def _circle(x: float, y: float, number: int) -> list[Item]:
    text = str(number)
    left = x - width(text, SMALL, True) / 2
    return [Box(x - 2.3, y - 2.3, 4.6, 4.6, "joint"),
            Text(left, y + SMALL * 0.36, text, SMALL, True)]  # fmt: skip


def _row(cells: Sequence[str], shares: Sequence[float], bold: bool) -> Drawing:
    drawing = Drawing(FULL, 0.0)
    x, low = 0.0, 0.0
    for cell, share in zip(cells, shares, strict=True):
        room = share * FULL
        lines = wrap(cell, NORMAL, room - 2, bold)
        low = max(low, drawing.text(x, 0.8, lines, bold=bold))
        x += room
    drawing.h = low + 0.4
    drawing.line((0, drawing.h), (FULL, drawing.h), weight=0.3 if bold else 0.1)
    return drawing


def _short(text: str, size: float, room: float) -> str:
    """One line of a text."""
    lines = wrap(text, size, room, True)
    return lines[0] if len(lines) == 1 else wrap(text, size, room - 4, True)[0] + " ..."

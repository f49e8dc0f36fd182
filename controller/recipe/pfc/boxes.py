"""How one element is drawn: a box with its words, a transition as a bar across the sequence.

Whatever a box says stands inside it: the box grows with its words, and words that would need more
than NOTE_LINES lines become a note at the end of the chart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from controller.recipe.pfc.model import Element
from controller.recipe.pfc.shapes import LARGE, LEADING, NORMAL, SMALL, Box, Drawing, Line, Text
from controller.recipe.pfc.text import ELLIPSIS, width, wrap

AXIS: Final = 8.0  # where the sequence runs, from the left edge of what hangs on it
BOX_MAX: Final = 87.0
PAD: Final = 1.5
NOTE_LINES: Final = 9
TWO_COLUMNS: Final = 62.0  # a box as wide as this has its parameters side by side
BAR: Final = 9.0
PAGE_TEXT: Final = width("+ p. 000", SMALL, True)
# A state that is worded in a box of its own is said in bold.
RESTING: Final = ("", "Idle", "Complete")


@dataclass(slots=True)
class Notes:
    """Texts that are too long for their place, numbered from 1."""

    texts: list[str] = field(default_factory=list)
    lines_max: int = NOTE_LINES

    def fit(self, text: str, size: float, room: float, bold: bool = False) -> list[str]:
        """The lines of a text, or its beginning and the number of the note that holds it."""
        lines = wrap(text, size, room, bold)
        if len(lines) <= self.lines_max:
            return lines
        if text not in self.texts:
            self.texts.append(text)
        see = wrap(f"{ELLIPSIS} see note {self.texts.index(text) + 1}", size, room, bold)
        return [*lines[: max(self.lines_max - len(see), 0)], *see]


def box(element: Element, room: float, notes: Notes) -> Drawing:
    """An element that is not unfolded here: its name, what it does, where it is."""
    w = min(room, BOX_MAX)
    inner = w - 2 * PAD
    drawing = Drawing(w, 0.0, AXIS)
    y = _heading(drawing, element, inner, notes)
    if element.title:
        y = drawing.text(PAD, y, notes.fit(element.title, NORMAL, inner))
    live = element.live
    if live is not None:
        for mark in live.marks:
            y = drawing.text(PAD, y, notes.fit(mark, NORMAL, inner, True), bold=True)
    if element.lines:
        y = _rule(drawing, y, w)
        columns = 2 if element.level == "phase" and inner >= TWO_COLUMNS else 1
        y = _grid(drawing, element.lines, y, inner, columns, notes)
    if element.dashed:
        y = _rule(drawing, y, w, dashed=True)
        for text in element.dashed:
            y = drawing.text(PAD, y, notes.fit(text, SMALL, inner), SMALL)
    if live is not None and live.waits:
        y = _rule(drawing, y, w)
        for text in live.waits:
            y = drawing.text(PAD, y, notes.fit(text, NORMAL, inner))
    drawing.h = y + PAD - 0.4
    drawing.items.insert(0, Box(
        0, 0, w, drawing.h, "element" if element.level == "phase" else "closed", element.path,
        live.state if live else "", element.optional,
    ))  # fmt: skip
    return drawing


def _heading(drawing: Drawing, element: Element, inner: float, notes: Notes) -> float:
    """Name and kind on the left; on the right the sheet it is unfolded on and its state in words,
    the state on a line of its own where there is no room for it."""
    closed = element.level != "phase"
    state = element.live.state if element.live is not None else ""
    bold = state not in RESTING
    room = inner - (PAGE_TEXT + 1 if closed else 0.0)
    about = f"of class {element.use}" if element.use and element.use != element.name else ""
    about = element.level.replace("_", " ") if closed else about
    if closed:
        x = PAD + room + 1
        drawing.items.append(Text(x, PAD + LARGE * 0.8, "+ p.", SMALL, True, page_of=element.path))
    y = PAD
    lines = [(line, LARGE, True, False) for line in notes.fit(element.name, LARGE, room, True)]
    if about:
        lines += [(line, SMALL, False, True) for line in notes.fit(about, SMALL, inner)]
    for number, (line, size, strong, italic) in enumerate(lines):
        wide = width(line, size, strong) + width(state, LARGE, bold) + 3
        if state and wide <= inner and not (closed and number == 0):
            x = PAD + inner - width(state, LARGE, bold)
            drawing.items.append(Text(x, y + LARGE * 0.8, state, LARGE, bold))
            state, size_below = "", max(size, LARGE)
        else:
            size_below = size
        drawing.text(PAD, y, [line], size, bold=strong, italic=italic)
        y += size_below * LEADING
    if state:
        y = drawing.text(PAD, y, notes.fit(state, LARGE, inner, bold), LARGE, bold=bold)
    return y + 0.2


def _rule(drawing: Drawing, y: float, w: float, dashed: bool = False) -> float:
    drawing.items.append(Line(((0, y + 0.5), (w, y + 0.5)), 0.2, dashed))
    return y + 1.3


def _grid(
    drawing: Drawing, lines: tuple[str, ...], y: float, inner: float, columns: int, notes: Notes
) -> float:
    """Lines one below the other, or side by side where there are more than two."""
    columns = columns if len(lines) > 2 else 1
    room = (inner - 2.0 * (columns - 1)) / columns
    for first in range(0, len(lines), columns):
        low = y
        for column, text in enumerate(lines[first : first + columns]):
            fitted = notes.fit(text, NORMAL, room)
            low = max(low, drawing.text(PAD + column * (room + 2.0), y, fitted))
        y = low
    return y


def transition(element: Element, room: float, notes: Notes) -> Drawing:
    """A bar across the sequence with its condition beside it."""
    live = element.live
    words = [(element.name, True)] if element.name else []
    if live is not None and element.name:
        words[0] = (f"{element.name}: {live.state}", True)
    words += [(text, False) for text in (element.title, *element.lines) if text]
    if live is not None:
        words += [(text, True) for text in live.marks] + [(text, False) for text in live.waits]
    return bar(words, room, notes, element.path)


def bar(words: list[tuple[str, bool]], room: float, notes: Notes, path: str = "") -> Drawing:
    """A bar with lines of words (text, bold) to its right."""
    x = AXIS + BAR / 2 + 1.5
    lines = [(line, bold) for text, bold in words
             for line in notes.fit(text, NORMAL, room - x, bold)]  # fmt: skip
    height = len(lines) * NORMAL * LEADING
    drawing = Drawing(room, max(height, 4.0), AXIS)
    y = (drawing.h - height) / 2
    for line, bold in lines:
        y = drawing.text(x, y, [line], bold=bold)
    middle = drawing.h / 2
    drawing.line((AXIS, 0), (AXIS, drawing.h))
    drawing.items.append(Box(AXIS - BAR / 2, middle - 0.45, BAR, 0.9, "bar", path))
    return drawing

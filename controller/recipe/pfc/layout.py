"""Where the parts of a sequence and of a structure go; what is too large is unfolded apart.

A structure is drawn in one piece as long as it fits the room it has. Then its branches become
closed boxes, and if they are too wide as well it becomes one closed box; what is closed gets a
chart of its own, so that no recipe is too wide or too long for a page.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from controller.recipe.pfc.boxes import AXIS, BAR, BOX_MAX, Notes, bar, box, transition
from controller.recipe.pfc.model import BRANCH, Element, Live
from controller.recipe.pfc.shapes import NORMAL, Drawing

GAP: Final = 4.5  # of a link between two elements
BETWEEN: Final = 2.5  # branches side by side
BOX_MIN: Final = 40.0
CLOSED_MIN: Final = 20.0
EMPTY_MIN: Final = 32.0  # a way on without a box, beside it its condition
BACK: Final = 6.0  # room of the line that leads a loop back
DOUBLE: Final = 0.9
EXTENT: Final = 5.0  # of the lines of a structure beyond its outer branches


def need(element: Element, each: float = BOX_MIN) -> float:
    """The least width of a structure whose branches are `each` wide; an empty one needs less."""
    back = BACK if element.level == "loop" else 0.0
    least = [min(each, EMPTY_MIN) if not branch else each for branch in element.branches]
    return sum(least) + BETWEEN * (len(least) - 1) + back


def shares(element: Element, room: float) -> list[float]:
    """How wide each branch is: empty ones as little as they need, the others alike."""
    room -= BETWEEN * (len(element.branches) - 1)
    even, full = room / len(element.branches), sum(map(bool, element.branches))
    empty = min(even, EMPTY_MIN) if full else even
    each = (room - empty * (len(element.branches) - full)) / max(full, 1)
    return [_most(branch, each) if branch else empty for branch in element.branches]


def _most(branch: tuple[Element, ...], room: float) -> float:
    """How much of its room a branch can use: boxes are no wider than BOX_MAX."""
    return room if is_wide(branch) else min(room, BOX_MAX)


def is_wide(items: tuple[Element, ...]) -> bool:
    """Whether a sequence has branches side by side, and so wants the whole width of a page."""
    return any(
        item.is_structure and (len(item.branches) > 1 or is_wide(item.branches[0]))
        for item in items
    )


@dataclass(slots=True)
class Layout:
    """Draws elements; `apart` are those that were closed and want a chart of their own."""

    width_max: float
    height_max: float
    notes: Notes = field(default_factory=Notes)
    apart: list[Element] = field(default_factory=list)

    def draw(self, element: Element, room: float) -> Drawing:
        """One element of a sequence, at most `room` wide."""
        if element.level == "transition":
            return transition(element, room, self.notes)
        if not element.is_structure:
            return self._box(element, room)
        if need(element) <= room:
            drawing = self._tried(element, room)
            if drawing is not None:
                return drawing
        shut = self._shut(element)
        whole = room >= self.width_max
        if need(shut, CLOSED_MIN if whole else BOX_MIN) <= room:
            drawing = self._tried(shut, room, last=whole)
            if drawing is not None:
                self.apart += [b[0] for b in shut.branches if b and b[0].level == BRANCH]
                return drawing
        self.apart.append(element)
        return self._box(_closed(element), room)

    def _tried(self, element: Element, room: float, last: bool = False) -> Drawing | None:
        """A structure drawn in one piece; None, and nothing kept, where it is too high."""
        apart, notes = len(self.apart), len(self.notes.texts)
        drawing = self._structure(element, room)
        if drawing.h <= self.height_max or last:
            return drawing
        del self.apart[apart:], self.notes.texts[notes:]
        return None

    def _box(self, element: Element, room: float) -> Drawing:
        """A box; one that says too much says it in notes."""
        kept, limit = len(self.notes.texts), self.notes.lines_max
        for self.notes.lines_max in (limit, 3, 1):
            del self.notes.texts[kept:]
            drawing = box(element, room, self.notes)
            if drawing.h <= self.height_max:
                break
        self.notes.lines_max = limit
        return drawing

    def sequence(self, items: tuple[Element, ...], room: float) -> Drawing:
        """Elements one below the other, joined by links; an empty one is a link alone."""
        drawing = Drawing(room, 0.0, AXIS)
        y = 0.0
        for item in items:
            if y:
                drawing.line((AXIS, y), (AXIS, y + GAP))
                y += GAP
            part = self.draw(item, room)
            drawing.put(part, AXIS - part.axis, y)
            y += part.h
        if not items:
            drawing.line((AXIS, 0), (AXIS, GAP))
            y = GAP
        drawing.h = y
        return drawing

    # -- structures ---------------------------------------------------------------------------

    def _structure(self, element: Element, room: float) -> Drawing:
        if element.level == "loop":
            return self._loop(element, room)
        drawing = Drawing(room, 0.0, AXIS)
        y = self._caption(drawing, element, room)
        widths = shares(element, room)
        parts = [self._branch(element, number, each) for number, each in enumerate(widths)]
        axes = [sum(widths[:number]) + number * BETWEEN + AXIS for number in range(len(widths))]
        top, bottom = y + GAP, y + GAP + max(part.h for part in parts) + GAP
        left, right = axes[0] - EXTENT, axes[-1] + EXTENT
        drawing.line((AXIS, y), (AXIS, top - GAP / 2))
        self._join(drawing, element, left, right, top - GAP / 2)
        for axis, part in zip(axes, parts, strict=True):
            drawing.line((axis, top - GAP / 2), (axis, top))
            drawing.put(part, axis - AXIS, top)
            drawing.line((axis, top + part.h), (axis, bottom))
        self._join(drawing, element, left, right, bottom)
        drawing.h = bottom + GAP / 2
        drawing.line((AXIS, bottom), (AXIS, drawing.h))
        return drawing

    def _join(
        self, drawing: Drawing, element: Element, left: float, right: float, y: float
    ) -> None:
        """Two lines where branches run side by side, one where one of them is taken."""
        if element.level == "parallel":
            drawing.line((left, y - DOUBLE), (right, y - DOUBLE))
        drawing.line((left, y), (right, y))

    def _caption(self, drawing: Drawing, element: Element, room: float) -> float:
        """The name of a structure beside the sequence, above its first line."""
        live = element.live
        words = [(f"{element.name}: {live.state}" if live else element.name, True)]
        words = words if element.name else []
        words += [(text, False) for text in (element.title, *element.lines) if text]
        if live is not None:
            words += [(text, True) for text in live.marks] + [(text, False) for text in live.waits]
        y = 0.0
        for text, bold in words:
            lines = self.notes.fit(text, NORMAL, room - AXIS - 2, bold)
            y = drawing.text(AXIS + 2, y, lines, bold=bold)
        drawing.line((AXIS, 0), (AXIS, y))
        return y

    def _branch(self, element: Element, number: int, room: float) -> Drawing:
        """A branch; in a selection behind the transition that leads into it."""
        inside = self.sequence(element.branches[number], room)
        if element.level != "select":
            return inside
        taken = element.live is not None and element.live.taken == number
        words = [(element.heads[number], False)] + ([("taken", True)] if taken else [])
        head = bar(words, room, self.notes)
        drawing = Drawing(room, head.h + GAP + inside.h, AXIS)
        drawing.put(head, 0, 0)
        drawing.line((AXIS, head.h), (AXIS, head.h + GAP))
        drawing.put(inside, 0, head.h + GAP)
        return drawing

    def _loop(self, element: Element, room: float) -> Drawing:
        """The body, then a choice: on behind the condition, or the line back to the top."""
        room = _most(element.branches[0], room - BACK) + BACK
        drawing = Drawing(room, 0.0, AXIS)
        back = room - BACK / 2
        y = self._caption(drawing, element, room - BACK)
        entry = y + GAP / 2
        body = self.sequence(element.branches[0], room - BACK)
        drawing.line((AXIS, y), (AXIS, y + GAP))
        drawing.put(body, 0, y + GAP)
        y += GAP + body.h
        below = y
        again = self.notes.fit(element.foot[1], NORMAL, room - BACK - AXIS - 3)
        y = drawing.text(AXIS + 2, y + GAP / 2, again) + 0.6
        drawing.line((AXIS, below), (AXIS, y))
        drawing.line((AXIS - BAR / 2, y), (back, y), (back, entry), (AXIS, entry), arrow=True)
        leave = bar([(element.foot[0], False)], room - BACK, self.notes)
        drawing.line((AXIS, y), (AXIS, y + GAP / 2))
        drawing.put(leave, 0, y + GAP / 2)
        drawing.h = y + GAP / 2 + leave.h
        return drawing

    # -- what is closed -----------------------------------------------------------------------

    def _shut(self, element: Element) -> Element:
        """A structure whose branches are closed boxes."""
        branches = tuple(
            branch if not branch else (self._box_of(element, number, branch),)
            for number, branch in enumerate(element.branches)
        )
        return replace(element, branches=branches)

    def _box_of(self, element: Element, number: int, branch: tuple[Element, ...]) -> Element:
        one = len(element.branches) == 1
        name = f"{element.name} {'round' if one else f'branch {number + 1}'}".strip()
        return Element(
            f"{element.path}#{number}",
            BRANCH,
            name,
            lines=(chain(branch),),
            branches=(branch,),
            live=_together(branch),
        )


def _together(branch: tuple[Element, ...]) -> Live | None:
    """The state of a branch: the first of its elements that is neither Idle nor Complete."""
    states = [item.live.state for item in branch if item.live is not None]
    if not states:
        return None
    moving = [state for state in states if state not in ("Idle", "Complete")]
    rest = "Complete" if all(state == "Complete" for state in states) else "Idle"
    if not moving and len(set(states)) > 1:
        rest = "Running"  # between two of its elements
    return Live(moving[0] if moving else rest)


def chain(items: tuple[Element, ...]) -> str:
    """The names of a sequence, as a closed box tells them."""
    return " → ".join(item.name for item in items)


def _closed(element: Element) -> Element:
    """A structure as one closed box."""
    names = [chain(branch) or "nothing" for branch in element.branches]
    if element.heads:
        names = [f"{head}: {name}" for head, name in zip(element.heads, names, strict=True)]
    if element.foot:
        names += [f"until {element.foot[0]}", element.foot[1]]
    return replace(element, branches=(), heads=(), foot=(), lines=(*element.lines, *names))

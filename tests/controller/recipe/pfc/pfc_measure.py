"""Measures sheets: what lies where, and whether any two things stand in each other's way."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from controller.recipe.pfc.shapes import SMALL, Box, Line, Polygon, Text
from controller.recipe.pfc.sheets import MARGIN, PAGE_H, PAGE_W, Page, Sheets

SLACK = 0.05  # mm


class Rect(NamedTuple):
    x: float
    y: float
    to_x: float
    to_y: float

    def meets(self, other: Rect) -> bool:
        return (
            self.x < other.to_x - SLACK and other.x < self.to_x - SLACK
            and self.y < other.to_y - SLACK and other.y < self.to_y - SLACK
        )  # fmt: skip

    def holds(self, other: Rect) -> bool:
        return (
            self.x - SLACK <= other.x and self.y - SLACK <= other.y
            and other.to_x <= self.to_x + SLACK and other.to_y <= self.to_y + SLACK
        )  # fmt: skip


def rect(item: Box | Text) -> Rect:
    if isinstance(item, Box):
        return Rect(item.x, item.y, item.x + item.w, item.y + item.h)
    return Rect(item.x, item.y - 0.74 * item.size, item.x + item.w, item.y + 0.2 * item.size)


def segments(item: Line) -> list[Rect]:
    found = []
    for (x, y), (to_x, to_y) in pairwise(item.points):
        half = item.weight / 2
        found.append(Rect(min(x, to_x) - half, min(y, to_y) - half,
                          max(x, to_x) + half, max(y, to_y) + half))  # fmt: skip
    return found


def faults(sheets: Sheets) -> list[str]:
    return [fault for number, page in enumerate(sheets.pages, 1)
            for fault in _faults(page, number)]  # fmt: skip


def _faults(page: Page, number: int) -> list[str]:
    texts = [item for item in page.items if isinstance(item, Text) and item.text]
    boxes = [item for item in page.items if isinstance(item, Box)]
    lines = [item for item in page.items if isinstance(item, Line)]
    return [f"sheet {number}: {what}" for what in (
        *_outside(page), *_texts(texts), *_boxes(boxes, texts), *_lines(lines, boxes, texts))
    ]  # fmt: skip


def _outside(page: Page) -> list[str]:
    inside = Rect(MARGIN - 0.5, 8, PAGE_W - MARGIN + 0.5, PAGE_H - 5)
    found = []
    for item in page.items:
        places = (segments(item) if isinstance(item, Line) else
                  [Rect(x, y, x, y) for x, y in item.points] if isinstance(item, Polygon) else
                  [rect(item)])  # fmt: skip
        found += [f"{item} is outside" for place in places if not inside.holds(place)]
    return found


def _texts(texts: list[Text]) -> list[str]:
    small = [f"{text.text!r} is {text.size} mm high" for text in texts if text.size < SMALL]
    placed = sorted(((rect(text), text.text) for text in texts), key=lambda each: each[0].y)
    found = []
    for number, (place, words) in enumerate(placed):
        for other, others in placed[number + 1 :]:
            if other.y > place.to_y:
                break
            if place.meets(other):
                found.append(f"{words!r} is under {others!r}")
    return small + found


def _boxes(boxes: list[Box], texts: list[Text]) -> list[str]:
    found = []
    solid = [box for box in boxes if box.kind != "bar"]
    for number, box in enumerate(boxes):
        found += [f"box {box.path} is under box {other.path}"
                  for other in boxes[number + 1 :] if rect(box).meets(rect(other))]  # fmt: skip
    for box in solid:
        found += [f"{text.text!r} is cut by box {box.path}" for text in texts
                  if rect(box).meets(rect(text)) and not rect(box).holds(rect(text))]  # fmt: skip
    return found


def _lines(lines: list[Line], boxes: list[Box], texts: list[Text]) -> list[str]:
    found = []
    solid = [(rect(box), box) for box in boxes if box.kind != "bar"]
    placed = [(rect(text), text) for text in texts]
    for line in lines:
        for part in segments(line):
            found += [f"a line crosses {text.text!r}" for place, text in placed
                      if part.meets(place)]  # fmt: skip
            for place, box in solid:
                inner = Rect(place.x + 0.4, place.y + 0.4, place.to_x - 0.4, place.to_y - 0.4)
                rule = part.x <= place.x and place.to_x <= part.to_x and place.holds(
                    Rect(place.x, part.y, place.to_x, part.to_y))  # fmt: skip
                if part.meets(inner) and not rule:
                    found.append(f"a line crosses box {box.path}")
    return found

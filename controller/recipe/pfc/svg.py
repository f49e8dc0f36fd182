"""Sheets as one SVG: A4 pages one below the other, black on white, no script and nothing fetched.

States are coloured and said in words as well, so that a print in black tells the same. The same
sheets give the same bytes.
"""

from __future__ import annotations

from html import escape
from typing import Final

from controller.recipe.pfc.shapes import Box, Item, Line, Point, Polygon, Text
from controller.recipe.pfc.sheets import PAGE_H, PAGE_W, Sheets

FILLS: Final = {
    "Running": "#d8f0d8", "Pausing": "#d9ecfa", "Paused": "#d9ecfa", "Holding": "#ffe7b8",
    "Held": "#ffe7b8", "Restarting": "#e6f3d0", "Stopping": "#f9d6d2", "Stopped": "#f9d6d2",
    "Aborting": "#f9d6d2", "Aborted": "#f9d6d2", "Complete": "#e8e8e8",
}  # fmt: skip
_THICK: Final = frozenset(FILLS) - {"Complete"}
_FONT: Final = "'Liberation Sans', Arial, Helvetica, sans-serif"
_DASH: Final = ' stroke-dasharray="1.4 0.9"'


def svg(sheets: Sheets, title: str) -> str:
    """The picture, 210 mm wide."""
    height = PAGE_H * len(sheets.pages)
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(PAGE_W)}mm" height="{_n(height)}mm" '
        f'viewBox="0 0 {_n(PAGE_W)} {_n(height)}" font-family="{_FONT}">',
        f"<title>{escape(title)}</title>",
        f"<style>@page {{ size: {_n(PAGE_W)}mm {_n(PAGE_H)}mm; margin: 0 }}</style>",
        f'<rect width="{_n(PAGE_W)}" height="{_n(height)}" fill="#fff"/>',
        '<g stroke="#000" fill="none">',
    ]  # fmt: skip
    for number, page in enumerate(sheets.pages):
        out.append(f'<g id="sheet-{number + 1}" transform="translate(0 {_n(PAGE_H * number)})">')
        # Boxes first: what is drawn on them is never hidden.
        order = sorted(page.items, key=lambda item: not isinstance(item, Box))
        out += [_drawn(item) for item in order]
        out.append("</g>")
    return "\n".join([*out, "</g>", "</svg>", ""])


def _drawn(item: Item) -> str:
    if isinstance(item, Box):
        return _box(item)
    if isinstance(item, Text):
        return _text(item)
    if isinstance(item, Polygon):
        fill = "#000" if item.filled else "#fff"
        return f'<polygon points="{_points(item.points)}" stroke-width="0.3" fill="{fill}"/>'
    return _line(item)


def _box(item: Box) -> str:
    if item.kind == "joint":
        x, y = item.x + item.w / 2, item.y + item.h / 2
        return (f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(item.w / 2)}" stroke-width="0.3" '
                'fill="#fff"/>')  # fmt: skip
    fill = "#000" if item.kind == "bar" else FILLS.get(item.state, "#fff")
    weight = 0.0 if item.kind == "bar" else 0.7 if item.state in _THICK else 0.3
    told = f' data-path="{escape(item.path)}"' if item.path else ""
    told += f' data-state="{escape(item.state)}"' if item.state else ""
    return (f'<rect x="{_n(item.x)}" y="{_n(item.y)}" width="{_n(item.w)}" '
            f'height="{_n(item.h)}" stroke-width="{weight}" fill="{fill}"'
            f"{_DASH if item.dashed else ''}{told}/>")  # fmt: skip


def _text(item: Text) -> str:
    if not item.text:
        return ""
    style = (' font-weight="bold"' if item.bold else "") + (
        ' font-style="italic"' if item.italic else "")  # fmt: skip
    # The width it was laid out with: another font is fitted to it instead of running over.
    return (f'<text x="{_n(item.x)}" y="{_n(item.y)}" font-size="{_n(item.size)}"{style} '
            f'fill="#000" stroke="none" textLength="{_n(item.w)}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(item.text)}</text>')  # fmt: skip


def _line(item: Line) -> str:
    dash = _DASH if item.dashed else ""
    line = (f'<polyline points="{_points(item.points)}" stroke-width="{_n(item.weight)}"'
            f"{dash}/>")  # fmt: skip
    return line + (_arrow(item.points[-2], item.points[-1]) if item.arrow else "")


def _arrow(start: Point, end: Point) -> str:
    """A head at the end of a line that runs along an axis."""
    sign = 1.0 if end[0] > start[0] else -1.0
    x, y = end
    points = ((x, y), (x - sign * 2.2, y - 0.9), (x - sign * 2.2, y + 0.9))
    return f'<polygon points="{_points(points)}" stroke="none" fill="#000"/>'


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """A length in mm, to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")

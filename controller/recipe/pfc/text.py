"""How wide a text is and where it breaks, without a font: the same on every machine.

Widths are those of Helvetica (Adobe font metrics, also of Arial and Liberation Sans). Whoever draws
says them with the text, so that another font is fitted to them instead of running over.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Width in thousandths of the size -> characters.
_REGULAR: Final = {
    191: "'", 222: "ijl", 260: "|", 278: " !,./:;I[\\]ft", 333: "()-`r", 334: "{}", 355: '"',
    389: "*", 469: "^", 500: "Jckszvxy", 556: "#$0123456789?_abdeghnopquL", 584: "+<=>~±",
    611: "FTZ", 667: "&ABEKPSVXY", 722: "CDHNRUw", 778: "GOQ", 833: "Mm", 889: "%", 944: "W",
    1000: "→", 1015: "@",
}  # fmt: skip
_BOLD: Final = {
    238: "'", 278: " ,./I\\ijl", 280: "|", 333: "!()-:;[]`ft", 389: "*r{}", 474: '"', 500: "z",
    556: "#$0123456789J_aceksvxy", 584: "+<=>^~±", 611: "?FLTZbdghnopqu", 667: "EPSVXY",
    722: "&ABCDHKNRU", 778: "GOQw", 833: "M", 889: "%m", 944: "W", 975: "@", 1000: "→",
}  # fmt: skip
_WIDTHS: Final = {letter: width for width, letters in _REGULAR.items() for letter in letters}
_BOLDS: Final = {letter: width for width, letters in _BOLD.items() for letter in letters}
_OTHER, _FULL = 667, 1000  # a letter of another script; one as wide as it is high
ELLIPSIS: Final = "..."
_NUMBER: Final = re.compile(r"(?:^|[^\w.])-?\d[\d.]*(?:e-?\d+)?$")
_UNIT: Final = re.compile(r"(?:%|/mL|[a-zA-Z]{1,4}(?:/[a-z]\w*)*)[),;:]*$")


@lru_cache(maxsize=8192)
def width(text: str, size: float, bold: bool = False) -> float:
    """How wide a text is, in the unit of `size`."""
    widths = _BOLDS if bold else _WIDTHS
    return sum(widths.get(letter) or _guess(letter) for letter in text) * size / 1000


def _guess(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return _FULL if unicodedata.east_asian_width(letter) in "WF" else _OTHER


def wrap(text: str, size: float, room: float, bold: bool = False) -> list[str]:
    """The lines of a text that are at most `room` wide; a word wider than that is broken."""
    lines: list[str] = []
    line = ""
    for word in _words(text):
        for part in _broken(word, size, room, bold):
            wider = f"{line} {part}" if line else part
            if line and width(wider, size, bold) > room:
                lines.append(line)
                line = part
            else:
                line = wider
    return [*lines, line] if line else lines or [""]


def _words(text: str) -> list[str]:
    """The words of a text; a number stays with the unit behind it."""
    found: list[str] = []
    for word in printable(text).split():
        if found and _UNIT.match(word) and _NUMBER.search(found[-1]):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


def printable(text: str) -> str:
    """The text without what XML or a line cannot hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def _broken(word: str, size: float, room: float, bold: bool) -> list[str]:
    """A word in parts that fit, each as long as it can be, rather after `_` or `/`."""
    parts = []
    while width(word, size, bold) > room and len(word) > 1:
        count = 1
        while width(word[: count + 1], size, bold) <= room:
            count += 1
        mark = max(word.rfind(c, 0, count) for c in "_/-.")
        count = mark + 1 if mark > count // 2 else count
        parts.append(word[:count])
        word = word[count:]
    return [*parts, word]

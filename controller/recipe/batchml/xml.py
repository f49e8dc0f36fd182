"""XML within limits: a small tree with line numbers, read from hostile bytes and written.

A module because what comes from outside is refused here and nowhere else: no document type and so
no entity, UTF-8 only, and a limit on bytes, depth, elements and text before a tree is handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from controller.core.errors import BadInput, Place

NAMESPACE = "http://www.mesa.org/xml/B2MML"
MAX_BYTES = 4_000_000
MAX_DEPTH = 48
MAX_ELEMENTS = 100_000
MAX_ATTRIBUTES = 16
MAX_TEXT = 60_000
_DO = "Nothing was read. Export the file anew, as XML in UTF-8 without a document type."


@dataclass(slots=True)
class Element:
    """One element: text or children, its attributes, and where it begins. `tag` is the bare name;
    of a foreign name space it is `{name space}name`."""

    tag: str
    text: str = ""
    children: list[Element] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    line: int = 0

    def add(self, tag: str, text: str = "", **attributes: str) -> Element:
        """Appends a child and returns it."""
        child = Element(tag, text, attributes=attributes)
        self.children.append(child)
        return child

    def find(self, tag: str) -> Element | None:
        """The first child of a name."""
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, tag: str) -> list[Element]:
        """The children of a name."""
        return [child for child in self.children if child.tag == tag]

    def said(self, tag: str) -> str:
        """The text of the first child of a name; empty if there is none."""
        child = self.find(tag)
        return "" if child is None else child.text

    def walk(self) -> Iterator[Element]:
        """This element and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def write(root: Element) -> bytes:
    """The document, indented, in UTF-8; the same tree gives the same bytes."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    _write(root, 0, lines, {"xmlns": NAMESPACE})
    return ("\n".join(lines) + "\n").encode()


def _write(element: Element, depth: int, lines: list[str], extra: dict[str, str]) -> None:
    given = {**extra, **element.attributes}
    head = element.tag + "".join(f" {name}={quoteattr(text)}" for name, text in given.items())
    pad = "  " * depth
    if element.children:
        lines.append(f"{pad}<{head}>")
        for child in element.children:
            _write(child, depth + 1, lines, {})
        lines.append(f"{pad}</{element.tag}>")
    elif element.text:
        lines.append(f"{pad}<{head}>{escape(element.text, {chr(13): '&#13;'})}</{element.tag}>")
    else:
        lines.append(f"{pad}<{head}/>")


def read(raw: bytes, file: str) -> Element:
    """The root element; raises BadInput with file:line for anything outside the limits."""
    if len(raw) > MAX_BYTES:
        raise BadInput(f"the file has {len(raw)} bytes, the limit is {MAX_BYTES}",
                       where=Place(file), do=_DO)  # fmt: skip
    return _Reader(file).read(raw)


class _Reader:
    """One parse. The handlers of expat raise, and nothing of the tree is kept."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.buffer_text = True
        self._stack: list[Element] = []
        self._root: Element | None = None
        self._count = 0
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self, raw: bytes) -> Element:
        try:
            self._parser.Parse(raw, True)
        except expat.ExpatError as error:
            place = Place(self._file, error.lineno, error.offset + 1)
            raise BadInput(f"not well-formed XML: {expat.ErrorString(error.code)}",
                           where=place, do=_DO) from None  # fmt: skip
        if self._root is None:
            raise self._error("there is no element")
        return self._root

    def _error(self, what: str) -> BadInput:
        line = self._parser.CurrentLineNumber
        return BadInput(what, where=Place(self._file, line), do=_DO)

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise self._error(f"the encoding {encoding[:20]!r} is not read, only UTF-8")

    def _doctype(self, *_: object) -> None:
        raise self._error("a document type or an entity is declared; such files are not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise self._error(f"more than {MAX_ELEMENTS} elements")
        if len(self._stack) >= MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels")
        if len(attributes) > MAX_ATTRIBUTES:
            raise self._error(f"more than {MAX_ATTRIBUTES} attributes of one element")
        space, _, bare = name.rpartition(" ")
        tag = bare if space.startswith(NAMESPACE) else f"{{{space[:80]}}}{bare}"
        line = self._parser.CurrentLineNumber
        element = Element(tag, attributes=dict(attributes), line=line)
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self._root = element
        self._stack.append(element)

    def _characters(self, text: str) -> None:
        if not self._stack:
            return
        here = self._stack[-1]
        here.text += text
        if len(here.text) > MAX_TEXT:
            raise self._error(f"a text longer than {MAX_TEXT} characters")

    def _end(self, name: str) -> None:
        element = self._stack.pop()
        element.text = "" if element.children else element.text.strip()

"""The chart as a Mermaid flowchart: for a page or a wiki that draws it, in place of the sheets.

It has the same elements, conditions and states as the sheets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from controller.recipe.pfc.model import Chart, Element
from controller.recipe.pfc.svg import FILLS
from controller.recipe.pfc.text import printable

_ENTITIES: Final = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;",
                    "`": "#96;", "\\": "#92;", "[": "#91;", "]": "#93;"}  # fmt: skip
# Where an edge begins, and what stands on it.
_Ends = tuple[tuple[str, str], ...]


def mermaid(chart: Chart) -> str:
    """The text, ending with a line break. The same chart gives the same text."""
    drawn = _Flowchart(chart)
    return "\n".join(drawn.lines) + "\n"


def said(*lines: str) -> str:
    """Lines as a label of Mermaid; nothing in them has a meaning to it."""
    kept = [printable(line) for line in lines if line]
    return "<br/>".join("".join(_ENTITIES.get(letter, letter) for letter in line) for line in kept)


class _Flowchart:
    def __init__(self, chart: Chart) -> None:
        self.lines = ["---", f'title: "{said(chart.title)}"', "---", "flowchart TD"]
        self._ids: dict[str, str] = {}
        self._states: dict[str, list[str]] = {}
        self._next = 0
        self._goals: list[tuple[str, str, str]] = []
        start, end = self._id(""), self._id("")
        self._add(f'{start}([" "])')
        last = self._sequence((chart.procedure,), ((start, ""),))
        self._add(f'{end}([" "])')
        self._edges(last, end)
        if chart.care is not None:
            self._holder(chart.care, ())
        for source, cause, goal in self._goals:
            if goal in self._ids:
                self._add(f'{source} -. "{said(cause)}" .-> {self._ids[goal]}')
        for state, ids in sorted(self._states.items()):
            self._add(f"classDef {state} fill:{FILLS.get(state, '#ffffff')},stroke:#000")
            self._add(f"class {','.join(ids)} {state}")

    def _id(self, path: str) -> str:
        self._next += 1
        name = f"n{self._next}"
        if path:
            self._ids[path] = name
        return name

    def _add(self, line: str, depth: int = 1) -> None:
        self.lines.append("  " * depth + line)

    def _edges(self, ends: _Ends, to: str) -> None:
        for source, words in ends:
            self._add(f'{source} -- "{said(words)}" --> {to}' if words else f"{source} --> {to}")

    def _sequence(self, items: Iterable[Element], ends: _Ends) -> _Ends:
        for item in items:
            if item.level == "parallel":
                ends = self._parallel(item, item.branches, ends)
            elif item.level == "select":
                ends = self._select(item, ends)
            elif item.level == "loop":
                ends = self._loop(item, ends)
            elif item.branches:
                ends = self._holder(item, ends)
            else:
                node = self._leaf(item)
                self._edges(ends, node)
                ends = ((node, ""),)
        return ends

    def _holder(self, item: Element, ends: _Ends) -> _Ends:
        """An element with a sequence in it, as a frame; its title has room for one line only."""
        frame = self._id(item.path)
        words = self._words(item)
        state = f": {item.live.state}" if item.live is not None else ""
        self._add(f'subgraph {frame}["{said(words[0] + state)}"]')
        told = [word for word in words[1:] if word and word != (item.live and item.live.state)]
        if told:
            self._add(f'{self._id("")}>"{said(*told)}"]')
        if len(item.branches) > 1:
            ends = self._parallel(item, item.branches, ends)
        else:
            ends = self._sequence(item.branches[0], ends)
        for other in item.alternatives:
            self._holder(other, ())
        self._add("end")
        if item.optional:
            self._add(f"style {frame} stroke-dasharray: 5 4")
        self._mark(item, frame)
        return ends

    def _parallel(
        self, item: Element, branches: tuple[tuple[Element, ...], ...], ends: _Ends
    ) -> _Ends:
        fork, join = self._id(item.path if item.is_structure else ""), self._id("")
        words = said(*self._words(item)) if item.is_structure else " "
        self._add(f'{fork}[["{words}"]]')
        self._edges(ends, fork)
        done = [end for branch in branches for end in self._sequence(branch, ((fork, ""),))]
        self._add(f'{join}[["all are done"]]')
        self._edges(tuple(done), join)
        self._mark(item, fork)
        return ((join, ""),)

    def _select(self, item: Element, ends: _Ends) -> _Ends:
        node = self._id(item.path)
        self._add(f'{node}{{"{said(*self._words(item))}"}}')
        self._edges(ends, node)
        self._mark(item, node)
        found: list[tuple[str, str]] = []
        for number, (head, branch) in enumerate(zip(item.heads, item.branches, strict=True)):
            taken = item.live is not None and item.live.taken == number
            found += self._sequence(branch, ((node, f"{head} (taken)" if taken else head),))
        return tuple(found)

    def _loop(self, item: Element, ends: _Ends) -> _Ends:
        begin, decide = self._id(item.path), self._id("")
        self._add(f'{begin}[["{said(*self._words(item))}"]]')
        self._edges(ends, begin)
        self._mark(item, begin)
        last = self._sequence(item.branches[0], ((begin, ""),))
        self._add(f'{decide}{{"{said(item.name)}"}}')
        self._edges(last, decide)
        self._edges(((decide, item.foot[1]),), begin)
        return ((decide, item.foot[0]),)

    def _leaf(self, item: Element) -> str:
        node = self._id(item.path)
        words = said(*self._words(item))
        left, right = ("{{", "}}") if item.level == "transition" else ("[", "]")
        self._add(f'{node}{left}"{words}"{right}')
        self._mark(item, node)
        self._goals += [(node, cause, goal) for cause, goal in item.goals]
        return node

    def _words(self, item: Element) -> list[str]:
        kind = "" if item.level in ("phase", "transition") else f" ({item.level.replace('_', ' ')})"
        words = [f"{item.name}{kind}", item.title]
        if item.use and item.use != item.name:
            words[0] += f" of class {item.use}"
        if item.live is not None:
            words += [item.live.state, *item.live.marks]
        if item.level in ("phase", "transition", "select"):
            words += item.lines
        words += item.dashed
        return words + list(item.live.waits if item.live is not None else ())

    def _mark(self, item: Element, node: str) -> None:
        if item.live is not None:
            self._states.setdefault(item.live.state, []).append(node)

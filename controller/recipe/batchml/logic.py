"""Procedure logic as BatchML draws it: steps and transitions joined by links.

Every logic goes from a begin to an end. A parallel diverges and converges by parallel links, a
selection by serial ones with one transition a choice; a loop returns by a transition of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from controller.recipe.batchml.values import one_line
from controller.recipe.batchml.xml import Element

BEGIN, END = "$begin", "$end"  # no id of ours begins with $
UNTIL, AGAIN, CHOICE = "$until", "$again", "$choice_"
OTHERWISE = "otherwise"
Items = Sequence[Mapping[str, Any]]


def item_id(item: Mapping[str, Any]) -> tuple[str, str]:
    """Whether an item is a `Step` or a `Transition`, and its id."""
    for kind in ("unit_procedure", "operation", "phase", "parallel", "select", "loop"):
        if kind in item:
            return "Step", str(item[kind])
    return "Transition", str(item["transition"])


@dataclass(slots=True)
class _Parts:
    """Links, steps and transitions, which the schema wants in this order."""

    links: Element
    steps: Element
    transitions: Element


class Logic:
    """The procedure logic of one recipe element, with its begin and end.

    To be made once the element has all that stands before its `ProcedureLogic`.
    """

    def __init__(self, element: Element, path: str) -> None:
        self._path = path
        self._version = element.said("Version")
        self._element = element
        self._parts = _Parts(Element(""), Element(""), Element(""))
        self._count = 0

    def sequence(self, items: Items) -> None:
        """One item after the other."""
        self._open()
        for item in items:
            self._node(item)
        nodes = [("Step", BEGIN), *map(item_id, items), ("Step", END)]
        self._chain(nodes)
        self._close()

    def parallel(self, branches: Sequence[Items]) -> None:
        """Branches side by side."""
        self._open()
        for branch in branches:
            for item in branch:
                self._node(item)
            self._chain(list(map(item_id, branch)))
        self._link("ParallelDivergent", [("Step", BEGIN)], [item_id(b[0]) for b in branches])
        self._link("ParallelConvergent", [item_id(b[-1]) for b in branches], [("Step", END)])
        self._close()

    def select(self, choices: Sequence[tuple[str | None, Items]]) -> None:
        """The first choice whose condition holds; without a condition: otherwise."""
        self._open()
        heads, tails = [], []
        for number, (when, branch) in enumerate(choices, 1):
            head = ("Transition", f"{CHOICE}{number}")
            self._transition(head[1], OTHERWISE if when is None else str(when))
            for item in branch:
                self._node(item)
            nodes = [head, *map(item_id, branch)]
            self._chain(nodes)
            heads.append(head)
            tails.append(nodes[-1])
        self._link("SerialDivergent", [("Step", BEGIN)], heads)
        self._link("SerialConvergent", tails, [("Step", END)])
        self._close()

    def loop(self, items: Items, until: str) -> None:
        """The items, and again until a condition holds after them."""
        self._open()
        for item in items:
            self._node(item)
        nodes = list(map(item_id, items))
        self._transition(UNTIL, until)
        self._transition(AGAIN, f"not ({until})")
        self._link("SerialConvergent", [("Step", BEGIN), ("Transition", AGAIN)], [nodes[0]])
        self._chain(nodes)
        self._link("SerialDivergent", [nodes[-1]], [("Transition", UNTIL), ("Transition", AGAIN)])
        self._chain([("Transition", UNTIL), ("Step", END)])
        self._close()

    def _open(self) -> None:
        self._step(BEGIN)

    def _close(self) -> None:
        self._step(END)
        logic = self._element.add("ProcedureLogic")
        for part in (self._parts.links, self._parts.steps, self._parts.transitions):
            logic.children += part.children
        for name, kind in ((BEGIN, "Begin"), (END, "End")):
            element = self._element.add("RecipeElement")
            element.add("ID", self._full(name))
            element.add("Version", self._version)
            element.add("RecipeElementType", kind)

    def _full(self, name: str) -> str:
        return f"{self._path}/{name}".lstrip("/")

    def _node(self, item: Mapping[str, Any]) -> None:
        kind, name = item_id(item)
        if kind == "Step":
            self._step(name)
        else:
            self._transition(name, str(item["when"]), str(item.get("text") or ""))

    def _step(self, name: str) -> None:
        step = self._parts.steps.add("Step")
        step.add("ID", name)
        step.add("RecipeElementID", self._full(name))
        step.add("RecipeElementVersion", self._version)

    def _transition(self, name: str, condition: str, text: str = "") -> None:
        transition = self._parts.transitions.add("Transition")
        transition.add("ID", name)
        transition.add("Condition", one_line(condition))
        if text:
            transition.add("Description", text)

    def _chain(self, nodes: Sequence[tuple[str, str]]) -> None:
        for here, following in pairwise(nodes):
            self._link("ControlLink", [here], [following])

    def _link(
        self, kind: str, sources: Sequence[tuple[str, str]], targets: Sequence[tuple[str, str]]
    ) -> None:
        self._count += 1
        link = self._parts.links.add("Link")
        link.add("ID", f"link_{self._count}")
        for end, nodes in (("From", sources), ("To", targets)):
            for node, name in nodes:
                at = link.add(f"{end}ID")
                at.add(f"{end}IDValue", name)
                at.add(f"{end}Type", node)
                at.add("IDScope", "Internal")
        link.add("LinkType", kind)
        link.add("Depiction", "LineAndArrow")

"""Procedure logic read back: a graph of links becomes sequences, parallels, selections and loops.

What is not nested cleanly (a jump into a branch, a loop with two exits) has no form in a recipe and
is refused at its line. The reader walks each link once, so a hostile graph cannot hold it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.core.errors import BadInput, Place
from controller.recipe.batchml.xml import Element

Node = tuple[str, str]
MAX_DEPTH = 12
MAX_LINKS = 2_000
_DO = "Nothing was written. Draw this part as sequence, parallel, selection or loop."
_DIVERGENT = ("ParallelDivergent", "SerialDivergent")
_CONVERGENT = ("ParallelConvergent", "SerialConvergent")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the id of its recipe element."""

    element: str
    line: int


@dataclass(frozen=True, slots=True)
class Transition:
    """A condition between two items."""

    id: str
    condition: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches side by side."""

    branches: list[list[Item]]


@dataclass(frozen=True, slots=True)
class Select:
    """Branches, each begun by its transition; the first whose condition holds is taken."""

    choices: list[tuple[Transition, list[Item]]]


@dataclass(frozen=True, slots=True)
class Loop:
    """Items, and again until a condition."""

    items: list[Item]
    until: Transition


Item = Step | Transition | Parallel | Select | Loop


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    kind: str
    sources: tuple[Node, ...]
    targets: tuple[Node, ...]
    line: int


@dataclass(slots=True)
class Graph:
    """One `ProcedureLogic`. `kinds`: what each recipe element is, Begin, Phase and so on."""

    file: str
    kinds: dict[str, str]
    steps: dict[str, Step] = field(default_factory=dict)
    transitions: dict[str, Transition] = field(default_factory=dict)
    out: dict[Node, _Link] = field(default_factory=dict)
    into: dict[Node, _Link] = field(default_factory=dict)
    walked: set[int] = field(default_factory=set)

    def read(self, logic: Element) -> list[Item]:
        """The items from begin to end; raises BadInput with file:line."""
        for step in logic.all("Step"):
            name = step.said("ID")
            if name in self.steps:
                raise self._error(f"the step {name!r} stands twice", step.line)
            self.steps[name] = Step(step.said("RecipeElementID"), step.line)
        for transition in logic.all("Transition"):
            name = transition.said("ID")
            self.transitions[name] = Transition(
                name, transition.said("Condition"), transition.said("Description"), transition.line
            )
        links = logic.all("Link")
        if len(links) > MAX_LINKS:
            raise self._error(f"more than {MAX_LINKS} links", links[MAX_LINKS].line)
        for link in links:
            self._add(link)
        begin = self._begin(logic)
        items: list[Item] = []
        following = self._visit(begin, items)
        items += self._sequence(following, 0, frozenset())[0]
        if len(self.walked) != len(links):
            raise self._error("some links are not reached from the beginning", logic.line)
        return items

    def _add(self, link: Element) -> None:
        made = _Link(
            link.said("LinkType") or "ControlLink", self._ends(link, "From"),
            self._ends(link, "To"), link.line,
        )  # fmt: skip
        if made.kind in ("TransferLink", "SynchronizationLink", "Other"):
            raise self._error(f"a link of kind {made.kind} has no form in a recipe", link.line)
        if not made.sources or not made.targets:
            raise self._error("a link without a beginning or an end", link.line)
        for table, nodes in ((self.out, made.sources), (self.into, made.targets)):
            for node in nodes:
                if node in table:
                    raise self._error(
                        f"{node[1]!r} has two links where one may be: join them by a "
                        "divergent or convergent link", link.line,
                    )  # fmt: skip
                table[node] = made

    def _ends(self, link: Element, end: str) -> tuple[Node, ...]:
        nodes = []
        for at in link.all(f"{end}ID"):
            node = (at.said(f"{end}Type"), at.said(f"{end}IDValue"))
            known = node[1] in (self.steps if node[0] == "Step" else self.transitions)
            if node[0] not in ("Step", "Transition") or not known:
                raise self._error(f"the link names {node[1]!r}, and there is no such step or "
                                  "transition", at.line)  # fmt: skip
            nodes.append(node)
        return tuple(nodes)

    def _kind(self, node: Node) -> str:
        if node[0] == "Transition":
            return "Transition"
        return self.kinds.get(self.steps[node[1]].element, "")

    def _begin(self, logic: Element) -> Node:
        nodes: list[Node] = [("Step", name) for name in self.steps]
        begins = [node for node in nodes if self._kind(node) == "Begin"]
        if not begins:
            begins = [node for node in nodes if node not in self.into]
        if len(begins) != 1:
            raise self._error(f"{len(begins)} beginnings where one must be", logic.line)
        return begins[0]

    def _sequence(
        self, link: _Link | None, depth: int, back: frozenset[Node]
    ) -> tuple[list[Item], _Link | None]:
        """Items from a link on, up to a link that converges or returns; that link, or None at
        the end. `back`: the transition by which the loop around it returns."""
        items: list[Item] = []
        while link is not None:
            if depth > MAX_DEPTH:
                raise self._error(f"nested deeper than {MAX_DEPTH} levels", link.line)
            if back & set(link.targets):
                return items, link
            if link.kind in _CONVERGENT:
                returns = frozenset(link.sources) & self._behind(link, back)
                if not returns or id(link) in self.walked:
                    return items, link
                loop, link = self._loop(link, returns, depth)
                items.append(loop)
                continue
            if link.kind in _DIVERGENT:
                branches, end = self._branches(link, depth, back)
                items.append(branches)
                if end is None:
                    return items, None
                link = end
            elif len(link.sources) != 1 or len(link.targets) != 1:
                raise self._error("a control link joins one to one", link.line)
            self._walk(link)
            link = self._visit(link.targets[0], items)
        return items, None

    def _walk(self, link: _Link) -> None:
        if id(link) in self.walked:
            raise self._error("the procedure comes here twice: a jump, not a loop", link.line)
        self.walked.add(id(link))

    def _visit(self, node: Node, items: list[Item]) -> _Link | None:
        """Appends a node's item and says where it goes on."""
        kind = self._kind(node)
        if kind not in ("Begin", "End"):
            items.append(self.steps[node[1]] if node[0] == "Step" else self.transitions[node[1]])
        return None if kind == "End" else self.out.get(node)

    def _branches(
        self, link: _Link, depth: int, back: frozenset[Node]
    ) -> tuple[Item, _Link | None]:
        """The branches of a divergent link, and the link in which all of them end."""
        self._walk(link)
        branches: list[list[Item]] = []
        ends: list[_Link | None] = []
        for head in link.targets:
            branch: list[Item] = []
            more, end = self._sequence(self._visit(head, branch), depth + 1, back)
            branches.append(branch + more)
            ends.append(end)
        end = ends[0]
        wanted = link.kind.replace("Divergent", "Convergent")
        if any(other is not end for other in ends):
            raise self._error("the branches that begin here do not come together", link.line)
        if end is not None and (end.kind, len(end.sources), len(end.targets)) != (
            wanted, len(branches), 1,
        ):  # fmt: skip
            raise self._error(f"the branches that begin here end in no {wanted}", link.line)
        if link.kind == "ParallelDivergent":
            return Parallel(branches), end
        choices = []
        for branch in branches:
            if not branch or not isinstance(branch[0], Transition):
                raise self._error("a selection's branch begins with a transition", link.line)
            choices.append((branch[0], branch[1:]))
        return Select(choices), end

    def _loop(self, link: _Link, returns: frozenset[Node], depth: int) -> tuple[Item, _Link | None]:
        """The loop that a link closes, and the link behind the transition that leaves it."""
        self._walk(link)
        if len(link.targets) != 1:
            raise self._error("a convergent link goes on to one item", link.line)
        items: list[Item] = []
        more, end = self._sequence(self._visit(link.targets[0], items), depth + 1, returns)
        if end is None or end.kind != "SerialDivergent" or len(end.targets) != 2:
            raise self._error("this loop does not end in one choice: go on, or again", link.line)
        if len(returns) != 1 or any(node[0] != "Transition" for node in end.targets):
            raise self._error("this loop returns in more than one way", link.line)
        self._walk(end)
        out = next(node for node in end.targets if node not in returns)
        return Loop(items + more, self.transitions[out[1]]), self.out.get(out)

    def _behind(self, link: _Link, back: frozenset[Node]) -> set[Node]:
        """The nodes that can follow a link, without the return of the loop around it."""
        seen: set[Node] = set()
        waiting = list(link.targets)
        while waiting:
            node = waiting.pop()
            if node not in seen and node not in back:
                seen.add(node)
                after = self.out.get(node)
                waiting += after.targets if after is not None else ()
        return seen

    def _error(self, what: str, line: int) -> BadInput:
        return BadInput(what, where=Place(self.file, line), do=_DO)

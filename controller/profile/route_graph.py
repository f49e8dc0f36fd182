"""The closed system as a graph: which valves open a pump's path, and which keep two ends apart.

Liquid flows along the lines, so a pump's paths are directed. Two ends are joined either way: where
lines meet at one side of a valve or pump there is a tee, which that valve does not close. What is
no closed system is refused here, at the line that makes it so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise

from controller.core.errors import nearest
from controller.core.yamltext import Document
from controller.profile.route_model import RoutesModel

ARROW = "->"
PATHS_MAX = 256  # of one pump
STEPS_MAX = 20_000  # of looking for what joins two ends
CUTS_MAX = 32  # minimal cuts of one pump's paths
VALVES_MAX = 14  # that one row can name beside its pump
Valves = frozenset[str]
Port = tuple[str, str]  # a side of a valve or pump; an end is one port


class RouteGraph:
    """The graph of one unit file; raises BadInput at its line for what cannot be."""

    def __init__(self, document: Document, model: RoutesModel) -> None:
        self._document, self._model = document, model
        self.downstream: dict[str, list[str]] = {}
        self.upstream: dict[str, list[str]] = {}
        self._line: dict[str, int] = {}  # node -> the first line it stands in
        self._order: list[str] = []
        for place, text in enumerate(model.lines):
            self._add(text, place)
        self._complete()
        self._no_loop()
        self._no_pumps_in_series()

    # -- what is asked ------------------------------------------------------------------------

    def place(self, node: str) -> tuple[str | int, ...]:
        """Where a node first stands in the lines."""
        return "routes", "lines", self._line[node]

    def ordered(self, valves: Iterable[str]) -> list[str]:
        """Valves in the order in which the lines name them."""
        return sorted(valves, key=self._order.index)

    def paths(self, pump: str) -> list[Valves]:
        """The valves of every path that liquid can take through a pump, end to end."""
        before = list(islice(self._walk(pump, self.upstream, ()), PATHS_MAX + 1))
        behind = list(islice(self._walk(pump, self.downstream, ()), PATHS_MAX + 1))
        if len(before) * len(behind) > PATHS_MAX:
            raise self._document.error(
                f"{pump} has more than {PATHS_MAX} paths: nobody could review their rules",
                *self.place(pump),
            )
        return [one | other for one in before for other in behind]

    def cuts(self, pump: str) -> list[list[str]]:
        """The smallest sets of valves that, closed, leave the pump no path; none if none can."""
        found: list[Valves] = [frozenset()]
        for path in self.paths(pump):
            grown = {cut if cut & path else cut | {valve} for cut in found for valve in path}
            found = minimal(grown)
            if len(found) > CUTS_MAX or any(len(cut) > VALVES_MAX for cut in found):
                raise self._document.error(
                    f"the paths of {pump} can be closed in too many ways for rows: at most "
                    f"{CUTS_MAX}, of {VALVES_MAX} valves each", *self.place(pump)
                )  # fmt: skip
        return self._listed(found)

    def sources(self, pump: str) -> list[str]:
        """The ends a pump can draw from."""
        behind = self._reach(pump, self.upstream)
        return [name for name in self._model.ends if name in behind]

    def joins(self, one: str, other: str) -> list[list[str]]:
        """The smallest sets of valves that, not closed, join two ends."""
        return self._joins(one, other, self._line)

    def sources_join(self, pump: str, one: str, other: str) -> list[list[str]]:
        """The same between two sources, in front of a pump alone."""
        return self._joins(one, other, self._reach(pump, self.upstream))

    def pumps_of(self, valves: Collection[str]) -> list[str]:
        """The pumps that can move liquid through one of some valves."""
        return [
            pump for pump in self._model.pumps
            if any(path & frozenset(valves) for path in self.paths(pump))
        ]  # fmt: skip

    # -- how it is made -------------------------------------------------------------------------

    def _add(self, text: str, place: int) -> None:
        model, path = self._model, ("routes", "lines", place)
        nodes = [part.strip() for part in text.split(ARROW)]
        known = [*model.ends, *model.pumps, *model.valves]
        for name in nodes:
            if name not in known:
                hint = nearest(name, known)
                raise self._document.error(
                    f"{name!r} is no end, pump or valve of the routes. {hint}", *path
                )
            self._line.setdefault(name, place)
            if name not in self._order:
                self._order.append(name)
        if len(nodes) < 2:
            raise self._document.error(f"{text!r} joins nothing: `medium {ARROW} feed`", *path)
        for one, other in pairwise(nodes):
            if other not in self.downstream.setdefault(one, []):
                self.downstream[one].append(other)
                self.upstream.setdefault(other, []).append(one)

    def _complete(self) -> None:
        """Every end is reached; every pump and valve has something before and behind it."""
        model = self._model
        for name in model.ends:
            if name not in self._line:
                raise self._document.error(
                    f"no line reaches the end {name}", "routes", "ends", name
                )
        for section, names in (("pumps", model.pumps), ("valves", model.valves)):
            for name in names:
                if name not in self._line:
                    raise self._document.error(f"{name} is on no line", "routes", section, name)
                for side, words in ((self.upstream, "to"), (self.downstream, "from")):
                    if not side.get(name):
                        raise self._document.error(
                            f"{name} is on no path: no line leads {words} it", *self.place(name)
                        )

    def _no_loop(self) -> None:
        done: set[str] = set()

        def visit(node: str, trail: tuple[str, ...]) -> None:
            if node in trail:
                ring = f" {ARROW} ".join([*trail[trail.index(node) :], node])
                raise self._document.error(
                    f"the lines form a loop that no end is in: {ring}", *self.place(node)
                )
            if node in self._model.ends or node in done:
                return
            for each in self.downstream[node]:
                visit(each, (*trail, node))
            done.add(node)

        for node in self._order:
            visit(node, ())

    def _no_pumps_in_series(self) -> None:
        for pump in self._model.pumps:
            for other in self._reach(pump, self.downstream) & set(self._model.pumps):
                raise self._document.error(
                    f"{other} stands behind {pump} with no end between them: one pump would work "
                    "against the other", *self.place(other)
                )  # fmt: skip

    def _walk(
        self, node: str, side: Mapping[str, Sequence[str]], valves: tuple[str, ...]
    ) -> Iterator[Valves]:
        for each in side[node]:
            if each in self._model.ends:
                yield frozenset(valves)
            else:
                here = (*valves, each) if each in self._model.valves else valves
                yield from self._walk(each, side, here)

    def _reach(self, node: str, side: Mapping[str, Sequence[str]]) -> set[str]:
        """What lies before or behind a node, up to the ends and with them."""
        found: set[str] = set()
        waiting = [node]
        while waiting:
            for each in side.get(waiting.pop(), ()):
                if each not in found:
                    found.add(each)
                    waiting += [] if each in self._model.ends else [each]
        return found

    def _joins(self, one: str, other: str, inside: Collection[str]) -> list[list[str]]:
        pipes = self._pipes(inside)
        found: set[Valves] = set()
        begin: tuple[Port, Valves, frozenset[Port]] = ((one, ""), frozenset(), frozenset())
        waiting = [begin]
        steps = 0
        while waiting:
            port, valves, been = waiting.pop()
            steps += 1
            if steps > STEPS_MAX:
                raise self._document.error(
                    f"{one} and {other} can be joined in too many ways for rows",
                    *self.place(one),
                )  # fmt: skip
            if port == (other, ""):
                found.add(valves)
                continue
            if port[0] in self._model.ends and port[0] != one:
                continue
            been |= {port}
            waiting += [
                (each, valves | {valve} if valve else valves, been)
                for each, valve in pipes.get(port, ()) if each not in been
            ]  # fmt: skip
        return self._listed(minimal(found))

    def _pipes(self, inside: Collection[str]) -> dict[Port, list[tuple[Port, str]]]:
        """What joins two ports: a line, or what a valve (then named) or a pump lets through."""
        pipes: dict[Port, list[tuple[Port, str]]] = {}

        def join(one: Port, other: Port, valve: str = "") -> None:
            pipes.setdefault(one, []).append((other, valve))
            pipes.setdefault(other, []).append((one, valve))

        def port(name: str, side: str) -> Port:
            return (name, "" if name in self._model.ends else side)

        for name, behind in self.downstream.items():
            for each in behind:
                if name in inside and (each in inside or each not in self._model.ends):
                    join(port(name, "out"), port(each, "in"))
        for name in inside:
            if name in self._model.valves or name in self._model.pumps:
                join((name, "in"), (name, "out"), name if name in self._model.valves else "")
        return pipes

    def _listed(self, found: Iterable[Valves]) -> list[list[str]]:
        lists = [self.ordered(valves) for valves in found]
        return sorted(lists, key=lambda names: [self._order.index(name) for name in names])


def minimal(sets: Iterable[Valves]) -> list[Valves]:
    """Those of some sets that hold no other of them."""
    every = set(sets)
    return [one for one in every if not any(other < one for other in every)]

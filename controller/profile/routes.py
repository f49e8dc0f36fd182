"""The rows that keep a closed system closed, derived from the lines of a unit file.

No pump against a closed path, never two sources into one pump, never a path between ends that must
stay apart, open before start, close after stop. What is derived joins `rows`, `permits` and
`procedure` as if a person had written it there, marked with its `route`, so that chart, screen,
proof and test treat it as any row; an error in it points at the lines that made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from controller.core.errors import Place, nearest
from controller.core.yamltext import Document
from controller.profile.route_graph import RouteGraph
from controller.profile.route_model import RoutePump, RouteRules, RoutesModel, Settings
from controller.profile.unit import Actuator, UnitModel

_SECTIONS = ("rows", "permits", "procedure", "plausibility")
# What a kind of rule decides itself; settings give the rest.
_OWN = frozenset(
    {"title", "kind", "any", "all", "of", "vote", "hysteresis", "bad", "then", "route"}
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
ID_MAX = 32
TITLE_MAX = 120
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Derived:
    """One row as a unit file would say it, and where the parts of it come from."""

    section: str
    row: dict[str, Any]
    at: Path
    places: dict[Path, Path]


def with_routes(document: Document, model: UnitModel) -> Document:
    """The unit file with its derived rows in it; raises BadInput for routes that cannot be."""
    for section in _SECTIONS:
        for place, item in enumerate(getattr(model, section)):
            if getattr(item, "route", ""):
                raise document.error(
                    "`route` marks rows that are derived from `routes`; nobody writes it",
                    section, place, "route",
                )  # fmt: skip
    if model.routes is None:
        return document
    data = {**document.data}
    places: dict[Path, Place] = dict(document.places)
    for found in _Deriver(document, model, model.routes).derived():
        rows = data[found.section] = [*data.get(found.section, ()), found.row]
        here: Path = (found.section, len(rows) - 1)
        places[here] = document.place(*found.at)
        for part, source in found.places.items():
            places[(*here, *part)] = document.place(*source)
    return replace(document, data=data, places=places)


class _Deriver:
    """Makes the rows of one unit file, in the order pumps and ends are declared."""

    def __init__(self, document: Document, model: UnitModel, routes: RoutesModel) -> None:
        self._document, self._routes = document, routes
        self._actuators = model.actuators
        for name, pump in routes.pumps.items():
            self._actuator(name, "pumps")
            self._check_settings(pump.rules, ("routes", "pumps", name, "rules"))
        for name in routes.valves:
            valve = self._actuator(name, "valves")
            if valve.safe != valve.range[0]:
                raise document.error(
                    f"{name} is safe at {valve.safe:g}, open: a closed system is safe closed",
                    "routes", "valves", name,
                )  # fmt: skip
            if valve.winner != "lower":
                raise document.error(
                    f"the winner of {name} must be lower: a row that shuts a line wins over one "
                    "that keeps it open", "actuators", name, "winner",
                )  # fmt: skip
        self._check_settings(routes.rules.model_dump(), ("routes", "rules"))
        self.graph = RouteGraph(document, routes)

    def derived(self) -> Iterator[Derived]:
        """Every row, permit and rule of the routes."""
        for name, pump in self._routes.pumps.items():
            cuts = self.graph.cuts(name)
            for cut in cuts:
                yield self._closed_path(name, pump, cut, len(cuts) > 1)
                yield self._open_before_start(name, pump, cut, len(cuts) > 1)
            yield self._turning_unasked(name, pump)
            yield from self._two_sources(name, pump)
        yield from self._joined()
        yield from self._close_after_stop()

    # -- the kinds of rule --------------------------------------------------------------------

    def _closed_path(self, name: str, pump: RoutePump, cut: list[str], many: bool) -> Derived:
        """A contact that is bad is not proven open, so it votes to trip."""
        title = f"{pump.title} on and {_none_of(cut)} proven open"
        row = {"title": title, "kind": "interlock", "bad": "trip", "then": [self._shut(name)],
               "all": [pump.turning, *map(self._not_open, cut)]}  # fmt: skip
        return self._row("rows", "closed_path", row, name, cut, {"pump": name}, many)

    def _open_before_start(self, name: str, pump: RoutePump, cut: list[str], many: bool) -> Derived:
        title = f"{pump.title} only with {' or '.join(map(str.upper, cut))} proven open"
        row = {"title": title, "bad": "trip", "all": [self._not_open(valve) for valve in cut],
               "then": [self._shut(name)]}  # fmt: skip
        return self._row("permits", "open_before_start", row, name, cut, {"pump": name}, many)

    def _turning_unasked(self, name: str, pump: RoutePump) -> Derived:
        """A pump whose speed is not known is the silent line's row, so a bad signal is ignored."""
        valves = self.graph.ordered(set().union(*self.graph.paths(name)))
        row = {"title": f"{pump.title} turns at command 0", "kind": "protect", "bad": "ignore",
               "all": [pump.turning, pump.stopped],
               "then": [self._shut(each) for each in (name, *valves)]}  # fmt: skip
        return self._row("rows", "turning_unasked", row, name, [], {"pump": name}, False)

    def _two_sources(self, name: str, pump: RoutePump) -> Iterator[Derived]:
        pairs = combinations(self.graph.sources(name), 2)
        found = [(pair, cut) for pair in pairs for cut in self.graph.sources_join(name, *pair)]
        for (one, other), valves in found:
            words = f"{self._routes.ends[one]} and {self._routes.ends[other]}"
            if not valves:
                raise self._document.error(
                    f"no valve keeps {words} apart in front of {name}: it would draw from both",
                    *self.graph.place(name),
                )
            title = f"{pump.title} open to {words} at once"
            row = self._never(title, valves, [name])
            yield self._row("rows", "two_sources", row, name, valves, {"pump": name},
                            len(found) > 1)  # fmt: skip

    def _joined(self) -> Iterator[Derived]:
        for place, (one, other) in enumerate(self._routes.never_joined):
            at: Path = ("routes", "never_joined", place)
            for name in (one, other):
                if name not in self._routes.ends:
                    hint = nearest(name, list(self._routes.ends))
                    raise self._document.error(f"unknown end {name!r}. {hint}", *at)
            if one == other:
                raise self._document.error(f"{one} cannot be kept apart from itself", *at)
            words = f"{self._routes.ends[one]} and {self._routes.ends[other]}"
            found = self.graph.joins(one, other)
            if not found:
                raise self._document.error(f"no line could join {words}: nothing to forbid", *at)
            if [] in found:
                raise self._document.error(f"no valve keeps {words} apart", *at)
            for valves in found:
                row = self._never(f"{words} joined", valves, self.graph.pumps_of(valves))
                names = {"a": one, "b": other}
                derived = self._row("rows", "joined", row, "", valves, names, len(found) > 1)
                derived.row["route"] = f"{one} {other}"
                yield replace(derived, at=at)

    def _close_after_stop(self) -> Iterator[Derived]:
        """An open valve that is asked to close stays open while that would close the pump's last
        path.

        It keeps what is open and opens nothing: any row that shuts the valve wins, and then the
        condition is gone.
        """
        found = [
            (name, pump, valve, [each for each in cut if each != valve])
            for name, pump in self._routes.pumps.items()
            for cut in self.graph.cuts(name) for valve in cut
        ]  # fmt: skip
        valves = [valve for _, _, valve, _ in found]
        for name, pump, valve, others in found:
            low, high = self._actuators[valve].range
            middle = f"{(low + high) / 2:g}"
            told = [f"{valve} > {middle}", f"{valve}.asked < {middle}"]
            title = f"{valve.upper()} stays open until the {_lower(pump.title)} stands still"
            row = {"title": title,
                   "all": [self._moving(name), *told, *map(self._not_open, others)],
                   "then": [f"{valve} >= {high:g}"]}  # fmt: skip
            yield self._row("procedure", "close_after_stop", row, name, [name, *others],
                            {"pump": name, "valve": valve}, valves.count(valve) > 1)  # fmt: skip

    # -- what they are made of --------------------------------------------------------------------

    def _row(
        self, section: str, kind: str, row: dict[str, Any], pump: str, nodes: Sequence[str],
        names: dict[str, str], many: bool,
    ) -> Derived:  # fmt: skip
        """Adds id and settings. With `many` of one name, the id tells the valves as well."""
        at: Path = ("routes", "rules", kind)
        settings: Settings = dict(getattr(self._routes.rules, kind))
        places: dict[Path, Path] = {(key,): (*at, key) for key in settings}
        own = self._routes.pumps[pump].rules.get(kind, {}) if pump else {}
        settings |= own
        places |= {(key,): ("routes", "pumps", pump, "rules", kind, key) for key in own}
        words = str(settings.pop("id"))
        id_ = _PLACEHOLDER.sub(lambda match: names.get(match[1], match[0]), words)
        id_ = ".".join([id_, "_".join(nodes)]) if many else id_
        if len(id_) > ID_MAX:
            raise self._document.error(
                f"the derived row would be called {id_!r}: more than {ID_MAX} letters", *at, "id"
            )
        found = {"id": id_, **row, **settings, "route": pump}
        found["title"] = str(found["title"])[:TITLE_MAX]
        line = self.graph.place(pump or nodes[0])
        if pump:
            places |= {("all",): ("routes", "pumps", pump), ("then",): ("routes", "pumps", pump)}
        return Derived(section, found, line, places)

    def _never(self, title: str, valves: list[str], pumps: Sequence[str]) -> dict[str, Any]:
        """What is not proven closed counts as open, and so does a contact that is bad."""
        contacts = self._routes.valves
        return {"title": title, "kind": "protect", "bad": "trip",
                "all": [f"{contacts[valve].closed} < 0.5" for valve in valves],
                "then": [self._shut(each) for each in (*pumps, *valves)]}  # fmt: skip

    def _not_open(self, valve: str) -> str:
        return f"{self._routes.valves[valve].open} < 0.5"

    def _moving(self, pump: str) -> str:
        """Not proven still. Its own limit: at the lowest rates a pump is still not stopped."""
        still = self._routes.pumps[pump].still
        if still.count("<") != 1:
            raise self._document.error(
                f"{still!r} is not `TAG < VALUE UNIT`", "routes", "pumps", pump, "still"
            )
        return still.replace("<", ">")

    def _shut(self, name: str) -> str:
        return f"{name} = {self._actuators[name].safe:g}"

    def _actuator(self, name: str, section: str) -> Actuator:
        if name not in self._actuators:
            hint = nearest(name, list(self._actuators))
            raise self._document.error(
                f"unknown actuator {name!r}. {hint}", "routes", section, name
            )
        return self._actuators[name]

    def _check_settings(self, rules: dict[str, Settings], path: Path) -> None:
        kinds = list(RouteRules.model_fields)
        for kind, settings in rules.items():
            if kind not in kinds:
                raise self._document.error(
                    f"unknown kind of rule {kind!r}. {nearest(kind, kinds)}", *path, kind
                )
            for key in settings:
                if key in _OWN:
                    raise self._document.error(
                        f"`{key}` is derived from the lines, it cannot be set", *path, kind, key
                    )
            if path == ("routes", "rules") and not isinstance(settings.get("id"), str):
                raise self._document.error("the rule has no `id`, such as 19.{pump}", *path, kind)


def _none_of(valves: Sequence[str]) -> str:
    names = [valve.upper() for valve in valves]
    return f"{names[0]} not" if len(names) == 1 else f"none of {', '.join(names)}"


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]

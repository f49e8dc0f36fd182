"""Derived rows against brute force: random small systems, every state of their valves.

The oracle floods pipes from port to port; it shares nothing with the graph that makes the rows.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from route_units import derived, holds, routes, rows_of, unit_with

from controller.core.errors import BadInput

ENDS = ("e0", "e1", "e2", "e3")
Edges = list[tuple[str, str]]


@st.composite
def systems(draw: st.DrawFn) -> tuple[Edges, list[str], list[str]]:
    """(edges, pumps, valves) in layers: no loop, no pump behind another, one bag at a tee."""
    pumps = ["p0", "p1"][: draw(st.integers(1, 2))]
    valves = [f"v{i}" for i in range(draw(st.integers(1, 5)))]
    middle = draw(st.permutations([*pumps, *valves]))
    edges: set[tuple[str, str]] = set()
    pumped: set[str] = set()  # what stands behind a pump
    for place, name in enumerate(middle):
        is_pump = name in pumps
        earlier = [each for each in middle[:place] if not (is_pump and each in pumped)]
        edges.add((draw(st.sampled_from([*ENDS, *earlier])), name))
        if earlier and draw(st.booleans()):
            edges.add((draw(st.sampled_from(earlier)), name))
        if is_pump or any(one in pumped for one, other in edges if other == name):
            pumped.add(name)
        later = [each for each in middle[place + 1 :] if not (name in pumped and each in pumps)]
        edges.add((name, draw(st.sampled_from([*ENDS, *later]))))
    return sorted(edges), pumps, valves


def flood(start: str, edges: Edges, open_: set[str], wall: set[str], against: bool) -> set[str]:
    """Nodes that liquid reaches from a node along the lines; ends and `wall` stop it."""
    reached, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        for one, other in edges:
            here, there = (other, one) if against else (one, other)
            if here == node and there not in reached:
                reached.add(there)
                if there not in ENDS and there not in wall and (there[0] == "p" or there in open_):
                    waiting.append(there)
    return reached


def has_path(pump: str, edges: Edges, open_: set[str]) -> bool:
    return all(
        set(ENDS) & flood(pump, edges, open_, set(), against) for against in (True, False)
    )


def joined(one: str, other: str, edges: Edges, passing: set[str], inside: set[str]) -> bool:
    """Union of ports over lines and over what is not closed."""
    group: dict[Any, Any] = {}

    def top(port: Any) -> Any:
        while group.setdefault(port, port) != port:
            port = group[port]
        return port

    def port(name: str, side: str, edge: object) -> Any:
        if name in (one, other):
            return name
        return ("end", name, edge) if name in ENDS else (name, side)

    for edge in edges:
        if edge[0] in inside:
            group[top(port(edge[0], "out", edge))] = top(port(edge[1], "in", edge))
    for name in inside:
        if name[0] == "p" or name in passing:
            group[top((name, "in"))] = top((name, "out"))
    return bool(top(one) == top(other))


def states(valves: list[str]) -> list[set[str]]:
    return [{v for v, on in zip(valves, bits, strict=True) if on}
            for bits in product((False, True), repeat=len(valves))]  # fmt: skip


def shown(valves: list[str], open_: set[str]) -> dict[str, float]:
    return {f"{v}_zso": float(v in open_) for v in valves} | {
        f"{v}_zsc": float(v not in open_) for v in valves
    } | {v: float(v in open_) for v in valves}  # fmt: skip


def compiled(edges: Edges, pumps: list[str], valves: list[str], never: list[list[str]]) -> Any:
    ends = " ".join(sorted({name for edge in edges for name in edge if name in ENDS}))
    section = routes([f"{a} -> {b}" for a, b in edges], ends, " ".join(pumps), " ".join(valves),
                     never)  # fmt: skip
    return derived(unit_with(section))


@given(systems())
@settings(max_examples=150, deadline=None)
def test_a_pump_is_stopped_and_kept_from_starting_exactly_when_no_path_is_open(system):
    edges, pumps, valves = system
    try:
        document = compiled(edges, pumps, valves, [])
    except BadInput:
        assume(False)
    for pump in pumps:
        stops = rows_of(document, "rows", f"19.{pump}")
        permits = rows_of(document, "permits", f"path.{pump}")
        for open_ in states(valves):
            values = shown(valves, open_) | {f"s_{pump}": 1.0}
            blocked = not has_path(pump, edges, open_)
            assert any(holds(row["all"], values) for row in stops) == blocked, (edges, open_)
            assert any(holds(row["all"], values) for row in permits) == blocked
        assert all(row["then"] == [f"{pump} = 0"] for row in (*stops, *permits))
        still = shown(valves, set())
        assert not any(holds(row["all"], still) for row in stops), "a pump that stands still"


@given(systems())
@settings(max_examples=150, deadline=None)
def test_a_valve_is_kept_open_exactly_while_closing_it_would_close_its_turning_pumps_path(system):
    edges, pumps, valves = system
    try:
        document = compiled(edges, pumps, valves, [])
    except BadInput:
        assume(False)
    for open_, pump in product(states(valves), pumps):
        values = shown(valves, open_) | {f"s_{pump}": 1.0}
        kept = {wish.split()[0] for row in rows_of(document, "procedure", "keep.")
                if row["route"] == pump and holds(row["all"], values)
                for wish in row["then"]}  # fmt: skip
        assert kept <= open_, "a rule opened a valve"
        if has_path(pump, edges, open_):
            last = {v for v in open_ if not has_path(pump, edges, open_ - {v})}
            assert kept == last, (edges, open_)
        still = dict(values, **{f"s_{pump}": 0.0})
        assert not any(holds(row["all"], still) for row in rows_of(document, "procedure", "keep."))


@given(systems())
@settings(max_examples=150, deadline=None)
def test_two_sources_of_one_pump_are_found_exactly_when_they_meet_in_front_of_it(system):
    edges, pumps, valves = system
    try:
        document = compiled(edges, pumps, valves, [])
    except BadInput:
        assume(False)
    for pump in pumps:
        before = flood(pump, edges, set(valves), set(), True)
        sources = sorted(before & set(ENDS))
        rows = rows_of(document, "rows", f"18.{pump}")
        for open_ in states(valves):
            meet = any(joined(a, b, edges, open_, before)
                       for i, a in enumerate(sources) for b in sources[i + 1 :])  # fmt: skip
            assert any(holds(row["all"], shown(valves, open_)) for row in rows) == meet


@given(systems())
@settings(max_examples=100, deadline=None)
def test_ends_that_must_stay_apart_are_found_joined_exactly_when_they_are(system):
    edges, pumps, valves = system
    try:
        compiled(edges, pumps, valves, [])
    except BadInput:
        assume(False)
    inside = {name for edge in edges for name in edge}
    for one, other in combinations(sorted(inside & set(ENDS)), 2):
        possible = joined(one, other, edges, set(valves), inside)
        always = joined(one, other, edges, set(), inside)
        try:
            document = compiled(edges, pumps, valves, [[one, other]])
        except BadInput:
            assert always or not possible, (edges, one, other)
            continue
        assert possible
        assert not always
        rows = rows_of(document, "rows", f"18.{one}_{other}")
        for open_ in states(valves):
            now = joined(one, other, edges, open_, inside)
            assert any(holds(row["all"], shown(valves, open_)) for row in rows) == now
        for row in rows:
            shut = {wish.split()[0] for wish in row["then"]}
            named = {text.split("_")[0] for text in row["all"]}
            assert shut - set(pumps) == named
            assert shut & set(pumps) == {p for p in pumps for v in named if _moves(p, v, edges)}


def _moves(pump: str, valve: str, edges: Edges) -> bool:
    """Whether a valve is on one of a pump's paths."""
    both = [flood(pump, edges, {v for edge in edges for v in edge}, set(), against)
            for against in (True, False)]  # fmt: skip
    return valve in both[0] | both[1]


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_parallel_branches_give_one_row_for_each_way_to_close_them(layers):
    lines = [f"e0 -> p0 -> v{i} -> w{i} -> e1" for i in range(layers)]
    names = " ".join(f"v{i} w{i}" for i in range(layers))
    document = derived(unit_with(routes(lines, "e0 e1", "p0", names)))
    assert len(rows_of(document, "rows", "19.p0")) == 2**layers

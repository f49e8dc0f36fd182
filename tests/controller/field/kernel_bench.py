"""A unit on the bench: samples go in through the rings, released outputs and events come out.

`Bench` scans any compiled profile at chosen times. Tags keep their values and are sampled afresh in
every scan, unless they are in `quiet`; the supervisor beats before each scan while `beating`;
`follow` lets feedback tags show what was released. A small
unit is built from a dict by `unit`, the shipped one by `shipped`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import equipment_profiles
from controller.core.yamltext import parse
from controller.field.board import Board
from controller.field.image import INPUT, INPUT_CAPACITY, create
from controller.field.kernel import initialise_at, scan_at
from controller.field.ring import EventKind, Why
from controller.field.verbs import Verb
from controller.field.views import Bound
from controller.profile.compile import Profile, compile_unit, load_profile
from controller.profile.plan import SignalKind

MS = 1_000_000
S = 1_000_000_000
PERIOD = 100 * MS
BENCH_DEVICES = Path(__file__).parent / "bench_devices"
SHIPPED = Path(equipment_profiles.__file__).parent
NEVER = 1 << 62
CAUSE_KINDS = (EventKind.CAUSE_ACTIVE, EventKind.CAUSE_CLEARED, EventKind.CAUSE_RESET,
               EventKind.RESET_REFUSED, EventKind.ACTION, EventKind.BYPASS_SET,
               EventKind.BYPASS_LAPSED)  # fmt: skip
EFFECT_KINDS = (EventKind.EFFECT_ON, EventKind.NOT_CONFIRMED, EventKind.CONFIRMED)


@dataclass(frozen=True)
class Seen:
    """One event with names: `name` is a row, `row output`, tag, loop or command id."""

    kind: EventKind
    name: str
    a: float
    b: float
    time_ns: int


class Bench:
    """One image of a profile, its links played by a dict of values."""

    def __init__(self, profile: Profile, values: Mapping[str, float] | None = None,
                 follow: Mapping[str, Callable[[Bench], float]] | None = None,
                 start_ns: int = S, restarted: bool = False) -> None:  # fmt: skip
        self.profile, self.now = profile, start_ns
        self.image = create(profile.plan, start_ns)
        self.bound = Bound(profile.plan, self.image)
        initialise_at(self.bound.handles, start_ns, restarted)
        self.board = Board(self.image, profile.index)
        self.values = dict(values or {})
        self.follow = dict(follow or {})
        self.quality: dict[str, tuple[int, int]] = {}
        self.quiet: set[str] = set()
        self.silent: set[str] = set()
        self.beating = True
        self.seen: list[Seen] = []
        self.log: list[tuple[int, dict[str, float]]] = []
        self._index = profile.index
        self._outputs = {name: at for at, name in enumerate(profile.outputs)}
        self._rows = {cause.row: at for at, cause in enumerate(profile.causes)}
        self._tags = self._tags_by_link(profile)
        self._next_id = 1

    @staticmethod
    def _tags_by_link(profile: Profile) -> list[list[str]]:
        found = []
        for link in profile.links:
            points = (p for d in link.devices for r in d.reads for p in r.points)
            found.append([profile.signals[p.signal] for p in points if p.signal >= 0])
        return found

    # -- in ---------------------------------------------------------------------------------

    def sample(self) -> None:
        """One fresh sample of every tag that is not quiet, through its link's ring."""
        for tag, show in self.follow.items():
            self.values[tag] = show(self)
        for link, tags in enumerate(self._tags):
            if self.profile.links[link].name in self.silent:
                continue
            rows = [
                (self._index[tag], *self.quality.get(tag, (0, 0)), self.now, self.values[tag])
                for tag in tags if tag not in self.quiet and tag in self.values
            ]  # fmt: skip
            if rows:
                self.push_rows(link, np.array(rows, INPUT))

    def push_rows(self, link: int, rows: np.ndarray) -> None:
        ring = self.image.input_rings[link]
        head = int(ring["head"])
        places = (head + np.arange(len(rows))) % INPUT_CAPACITY
        self.image.inputs[link][places] = rows
        ring["head"] = head + len(rows)

    def push(self, tag: str, value: float, quality: int = 0, reason: int = 0,
             sample_ns: int | None = None) -> None:  # fmt: skip
        """One sample by hand; the tag is quiet from now on."""
        self.quiet.add(tag)
        link = next(at for at, tags in enumerate(self._tags) if tag in tags)
        at_ns = self.now if sample_ns is None else sample_ns
        self.push_rows(link, np.array([(self._index[tag], quality, reason, at_ns, value)], INPUT))

    def command(self, verb: Verb, target: str | int, value: float = 0.0, *, id_: int | None = None,
                valid_until_ns: int = NEVER) -> int:  # fmt: skip
        """Queues one command; returns its id."""
        number = self._next_id if id_ is None else id_
        self._next_id = max(self._next_id, number) + 1
        self.board.command(number, int(verb), self._place(verb, target), value, valid_until_ns)
        return number

    def _place(self, verb: Verb, target: str | int) -> int:
        if isinstance(target, int):
            return target
        if verb in (Verb.SET_SP, Verb.SET_MODE, Verb.SET_OP):
            return self.profile.loops.index(target)
        if verb is Verb.SET_OUTPUT:
            return self._outputs[target]
        return self._index[target] if verb is Verb.SET_FLAG else self._rows[target]

    def do(self, verb: Verb, target: str | int, value: float = 0.0, **how: Any) -> Why | None:
        """One command and one scan; None when it was applied, else why it was refused."""
        number = self.command(verb, target, value, **how)
        self.scan()
        return self.answer(number)

    def answer(self, number: int) -> Why | None:
        found = [e for e in self.seen if e.name == str(number)
                 and e.kind in (EventKind.APPLIED, EventKind.REFUSED)]  # fmt: skip
        if len(found) != 1:
            raise LookupError(f"command {number} was answered {len(found)} times")
        return None if found[0].kind is EventKind.APPLIED else Why(int(found[0].a))

    # -- time -------------------------------------------------------------------------------

    def scan(self, step_ns: int = PERIOD) -> None:
        """Lets `step_ns` pass, samples, scans, drains the events."""
        self.now += step_ns
        self.sample()
        if self.beating:
            self.image.head["supervisor_beat_ns"] = self.now
        scan_at(self.bound.handles, self.now)
        for event in self.board.drain():
            self.seen.append(self._named(event))
        self.board.events_done()
        self.board.history_done(self.board.history_waiting())

    def run(self, seconds: float, step_ns: int = PERIOD) -> None:
        """Scans until `seconds` have passed."""
        end = self.now + round(seconds * S)
        while self.now < end:
            self.scan(min(step_ns, end - self.now))

    def run_to_trip(self, row: str, seconds: float, step_ns: int = PERIOD) -> float:
        """Scans until `row` trips and stops in that scan; returns the seconds it took."""
        start = self.now
        while self.now < start + round(seconds * S):
            self.scan(step_ns)
            if self.stands(row):
                return (self.now - start) / S
        raise AssertionError(f"row {row} did not trip within {seconds} s")

    # -- out --------------------------------------------------------------------------------

    def _named(self, event: Any) -> Seen:
        kind, index = EventKind(event.kind), event.index
        if kind in CAUSE_KINDS:
            name = self.profile.causes[index].row
        elif kind in EFFECT_KINDS:
            name = " ".join(self.profile.effects[index])
        elif kind is EventKind.QUALITY:
            name = self.profile.signals[index]
        elif kind in (EventKind.FALLBACK, EventKind.RESTORED):
            name = self.profile.loops[index]
        else:
            name = str(index)
        return Seen(kind, name, event.a, event.b, event.time_ns)

    def out(self, name: str) -> float:
        """The value last released to an actuator."""
        return float(self.image.outputs[self._outputs[name]]["released"])

    def outs(self, *names: str) -> dict[str, float]:
        return {name: self.out(name) for name in names or self.profile.outputs}

    def sequence(self, name: str) -> int:
        """How often a value left for an actuator."""
        return int(self.image.outputs[self._outputs[name]]["sequence"])

    def marked_safe(self, name: str) -> bool:
        """Whether the last value leaves before all others on its link."""
        return bool(self.image.outputs[self._outputs[name]]["safe"])

    def stands(self, row: str) -> bool:
        """The last word of the events on a row: tripped and not cleared."""
        said = [e.kind for e in self.seen if e.name == row
                and e.kind in (EventKind.CAUSE_ACTIVE, EventKind.CAUSE_CLEARED)]  # fmt: skip
        return bool(said) and said[-1] is EventKind.CAUSE_ACTIVE

    def told(self, kind: EventKind, name: str | None = None) -> list[Seen]:
        """The events of a kind so far, of one name if given."""
        return [e for e in self.seen if e.kind is kind and name in (None, e.name)]


def unit_data(**sections: Any) -> dict[str, Any]:
    """A unit file as data: what is not given is the smallest that compiles."""
    tags = sections.pop("tags", {"X": {}})
    actuators = sections.pop("actuators", {"a": {}})
    kinds = {"%": "x", "degC": "t", "mbar": "p", "mL/min": "g"}
    points, writes, used = {}, {}, dict.fromkeys((*kinds.values(), "a", "f"), 0)
    for name, tag in tags.items():
        tag |= {"unit": tag.get("unit", "%"), "range": tag.get("range", [-1000, 1000]),
                "max_age": tag.get("max_age", "2 s"), "title": name}  # fmt: skip
        letter = kinds[tag["unit"]]
        points[f"{letter}{used[letter]}"] = name
        used[letter] += 1
    for name, item in actuators.items():
        for key, value in (("unit", "%"), ("range", [0, 100]), ("resolution", 0.1),
                           ("every", "0 s"), ("start", 0), ("safe", 0),
                           ("restart", "start")):  # fmt: skip
            item.setdefault(key, value)
        letter = "a" if item["unit"] == "%" else "f"
        writes[f"{letter}{used[letter]}"] = name
        used[letter] += 1
    shut = [f"{name} = {item['safe']}" for name, item in actuators.items()]
    first = next(iter(tags))
    rows = [*sections.pop("rows", []),
            {"id": "last", "title": "Protects what nothing else does", "kind": "protect",
             "any": [f"{first} > {tags[first]['range'][1]} {tags[first]['unit']}"], "then": shut,
             "safety_time": "600 s"}]  # fmt: skip
    rows = [{"title": row["id"], "kind": "interlock", "safety_time": "600 s"} | row for row in rows]
    flags = {name: {"start": False, "title": name}
             for name in ("guard", "held", *sections.pop("flags", ()))}  # fmt: skip
    return {
        "unit": {"id": "bench", "version": 1, "title": "Bench", "period": "100 ms",
                 "guard": "guard", "held": "held"},
        "links": {"line": {"kind": "opcua"}},
        "devices": {"box": {"profile": "bench", "link": "line", "address": "1", "tags": points,
                            "actuators": writes}},
        "tags": tags, "flags": flags, "actuators": actuators, **sections, "rows": rows,
    }  # fmt: skip


def unit_text(**sections: Any) -> str:
    """As `unit_data`, as the text of a file."""
    return yaml.safe_dump(unit_data(**sections), sort_keys=False, allow_unicode=True)


def compile_text(text: str, name: str = "unit.yaml") -> Profile:
    """A profile from the text of a unit file, with the bench device."""
    return compile_unit(parse(text.encode(), name), BENCH_DEVICES)


def unit(values: Mapping[str, float] | None = None,
         follow: Mapping[str, Callable[[Bench], float]] | None = None,
         **sections: Any) -> Bench:  # fmt: skip
    """A small unit on the bench; every tag is 0 unless given."""
    profile = compile_text(unit_text(**sections))
    every = dict.fromkeys(profile.model.tags, 0.0) | dict(values or {})
    return Bench(profile, every, follow)


def armed(row: dict[str, Any], tags: dict[str, Any] | None = None, **sections: Any) -> Bench:
    """One row `r` over actuator `a`, which was told 40."""
    bench = unit(tags=tags or {"X": {}}, rows=[{"id": "r", "then": ["a = 0"]} | row], **sections)
    bench.scan()
    if bench.do(Verb.SET_OUTPUT, "a", 40) is not None or bench.out("a") != 40:
        raise AssertionError("the bench could not start its actuator")
    return bench


# -- the shipped unit ---------------------------------------------------------------------------

GASES = ("air", "o2", "co2", "n2")
PUMPS = {"feed": "ST_FEED", "perfusate": "ST_PERF", "base": "ST_BASE"}
VALVES = ("xv100", "xv201", "xv202", "xv203", "xv204")
RUNNING = {"km101": 1, "xv100": 1, "xv201": 1, "xv202": 1, "xv204": 1, "stirrer": 150, "heater": 50,
           "air": 200, "o2": 50, "co2": 10, "feed": 5.04, "perfusate": 5.04, "base": 0.01015}
FLOWS = (SignalKind.INPUT, SignalKind.BLOCK)


@lru_cache(maxsize=1)
def shipped_profile() -> Profile:
    return load_profile(SHIPPED / "units" / "perfusion_2l.yaml", SHIPPED / "devices")


def grams(litres: float) -> float:
    """The balance at a volume: 4000 g of tare, 1.007 g/mL."""
    return 4000.0 + litres * 1007.0


def _follow(out: Callable[[Bench, str], float] = Bench.out) -> dict[str, Callable[[Bench], float]]:
    found: dict[str, Callable[[Bench], float]] = {}
    for gas in GASES:
        for tag in (f"FT_{gas.upper()}", f"FS_{gas.upper()}"):
            found[tag] = lambda bench, gas=gas: out(bench, gas)
    for pump, tag in PUMPS.items():
        found[tag] = lambda bench, pump=pump: out(bench, pump)
    for valve in VALVES:
        found[f"{valve.upper()}_ZSO"] = lambda bench, valve=valve: out(bench, valve)
        found[f"{valve.upper()}_ZSC"] = lambda bench, valve=valve: 1.0 - out(bench, valve)
    found["ST101"] = lambda bench: out(bench, "stirrer")
    found["JT101"] = lambda bench: out(bench, "heater") * out(bench, "km101")
    found["KM101_FB"] = lambda bench: out(bench, "km101")
    for tag, output in (("HEATER_SP", "heater"), ("STIRRER_SP", "stirrer"), ("KM101_CMD", "km101"),
                        ("XV100_CMD", "xv100")):  # fmt: skip
        found[tag] = lambda bench, output=output: out(bench, output)
    return found


def _values() -> dict[str, float]:
    return {"AT101": 7.2, "AT102": 40.0, "TT_PH": 37.0, "TT_DO": 37.0, "TT101": 37.0,
            "TT102": 37.0, "TT103": 38.0, "WT101": grams(2.0), "PT101": 1.0,
            "LT101": 2.0}  # fmt: skip


def restarted() -> Bench:
    """The shipped unit as field finds it when it starts with a batch open, before its first scan.

    Every device stands where it ran until it is told otherwise.
    """
    def stands(bench: Bench, name: str) -> float:
        told = bench.out(name)
        return float(RUNNING.get(name, 0.0)) if math.isnan(told) else told

    return Bench(shipped_profile(), _values(), _follow(stands), restarted=True)


def shipped(running: bool = True) -> Bench:
    """The shipped unit in the middle of its range; `running`: cells in, all loops off, all on."""
    bench = Bench(shipped_profile(), _values(), _follow())
    bench.scan()
    bench.scan()
    if running:
        for flag in ("environment", "cells_in"):
            bench.command(Verb.SET_FLAG, flag, 1.0)
        order = ["km101", *VALVES[:3], "xv204", "stirrer", *(n for n in RUNNING if n not in VALVES)]
        for name in dict.fromkeys(order):
            bench.command(Verb.SET_OUTPUT, name, RUNNING[name])
            bench.scan()
        bench.run(6)
        bench.seen.clear()
    return bench

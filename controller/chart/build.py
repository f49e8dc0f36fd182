"""A compiled profile becomes its chart: what is shown is what the kernel's tables say.

Names, titles and groups come from beside the Plan; limits, votes, delays, effects and actions from
the Plan itself, so that a chart cannot tell another story than the one that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from controller.chart.model import (
    ABORT,
    ALARM,
    HOLD,
    MARKS,
    Cell,
    Chart,
    Column,
    Condition,
    Line,
    Risk,
)
from controller.chart.risk import SECTIONS, Analysis
from controller.chart.words import comparison, computed, effect, time, value, written
from controller.core.quantity import decimal_text
from controller.profile.check import safety_times
from controller.profile.compile import CauseInfo, Profile
from controller.profile.plan import Action, BadRule, CompareOp, EffectOp, SignalKind

Tests = Mapping[tuple[str, str], tuple[str, ...]]
GROUP: Final = "unit"
_ASKS: Final = {
    Action.ALARM: (ALARM, "Alarm"), Action.HOLD: (HOLD, "Hold"), Action.ABORT: (ABORT, "Abort"),
}  # fmt: skip
_BAD: Final = {BadRule.TRIP: "bad trips", BadRule.DEGRADE: "bad leaves the vote",
               BadRule.IGNORE: "bad does not vote"}  # fmt: skip
# As a reader asks: interlocks and protects in the order of the file, then what is around them.
_ORDER: Final = {"interlock": 0, "protect": 0, "permit": 1, "plausibility": 2, "procedure": 3}
_SAYS_BAD: Final = (BadRule.TRIP, BadRule.DEGRADE)


def build(profile: Profile, analysis: Analysis | None = None, tests: Tests | None = None) -> Chart:
    """The chart of a unit. `tests`: (row, column) -> ids of what executes that cell."""
    makers = _Lines(profile, analysis, tests or {})
    made = [makers.line(number, info) for number, info in enumerate(profile.causes)]
    lines = tuple(sorted(made, key=lambda line: _ORDER[line.kind]))
    used = {column for line in lines for column in line.cells}
    columns = [*_actuators(profile), *(c for c in _others(lines, profile) if c.name in used)]
    return Chart(
        profile.id, profile.title, profile.version, profile.file, profile.sha256,
        profile.plan_digest, tuple(columns), lines, tuple(computed(profile)),
        analysis.words if analysis else "",
    )  # fmt: skip


def _actuators(profile: Profile) -> list[Column]:
    return [
        Column(name, "actuator", item.unit if item.unit != "1" else "0 or 1",
               decimal_text(item.safe), item.proof or "", item.second or "", item.winner)
        for name, item in profile.model.actuators.items()
    ]  # fmt: skip


def _others(lines: tuple[Line, ...], profile: Profile) -> list[Column]:
    known = set(profile.outputs)
    asked = [name for name, _ in _ASKS.values()]
    signals = dict.fromkeys(
        column for line in lines for column in line.cells
        if column not in known and column not in asked
    )  # fmt: skip
    return [Column(name, "signal") for name in signals] + [
        Column(name, "unit") for name in (HOLD, ABORT, ALARM)
    ]


class _Lines:
    """Makes lines for one profile; what does not depend on a row is made once."""

    def __init__(self, profile: Profile, analysis: Analysis | None, tests: Tests) -> None:
        self._profile, self._plan = profile, profile.plan
        self._analysis, self._tests = analysis, tests
        self._times = {item.row: item for item in safety_times(profile)}
        self._items: dict[str, Any] = {}
        self._places: dict[str, str] = {}
        for section in SECTIONS:
            for place, item in enumerate(getattr(profile.model, section)):
                self._items[item.id] = item
                at = profile.document.place(section, place)
                self._places[item.id] = f"{Path(at.file).name}:{at.line}"

    def line(self, number: int, info: CauseInfo) -> Line:
        """One cause."""
        cause, times = self._plan.causes[number], self._times.get(info.row)
        first, count = int(cause["first_condition"]), int(cause["n_conditions"])
        rows = self._plan.conditions[first : first + count]
        votes = any(int(row["bad"]) in _SAYS_BAD for row in rows)
        return Line(
            id=info.row, title=info.title, kind=info.kind,
            conditions=tuple(self._condition(info.row, place, row) for place, row in
                             enumerate(rows)),
            vote=f"{int(cause['votes'])}oo{count}", delay=time(int(cause["on_delay_ns"])),
            off_delay=time(int(cause["off_delay_ns"])),
            bad_after=time(int(cause["bad_delay_ns"])) if votes else "",
            never_bypass=not int(cause["bypassable"]) and info.kind in ("interlock", "protect"),
            valid=self._valid(cause), unless=self._unless(cause), group=self._group(info),
            action=self._action(cause), place=self._places.get(info.row, ""),
            safety_time=time(info.safety_time_ns),
            used_time=f"{times.total_ns / 1e9:.2f} s" if times else "",
            route=self._route(info.row), stops=self._stops(info.row),
            risks=self._risks(info.row), cells=self._cells(info, cause),
        )  # fmt: skip

    def _condition(self, id_: str, place: int, row: Any) -> Condition:
        profile, signal = self._profile, int(row["signal"])
        slack = float(row["hysteresis"])
        may_be_bad = int(self._plan.signals[signal]["kind"]) in (SignalKind.INPUT, SignalKind.BLOCK)
        compares = int(row["op"]) != CompareOp.IS_BAD
        return Condition(
            comparison(profile, row, written(self._items.get(id_), place)),
            value(profile, signal, slack).replace("degC", "K") if slack else "",
            time(int(row["on_delay_ns"])), time(int(row["off_delay_ns"])),
            _BAD[BadRule(int(row["bad"]))] if compares and may_be_bad else "",
        )  # fmt: skip

    def _valid(self, cause: Any) -> str:
        if int(cause["valid_flag"]) < 0:
            return ""
        name = self._profile.signals[int(cause["valid_flag"])]
        return f"only in {name}" if int(cause["valid_when"]) else f"not in {name}"

    def _unless(self, cause: Any) -> tuple[str, ...]:
        flags = (int(cause[key]) for key in ("unless_a", "unless_b"))
        return tuple(self._profile.signals[flag] for flag in flags if flag >= 0)

    def _group(self, info: CauseInfo) -> str:
        if info.kind not in ("interlock", "protect"):
            return ""
        return str(getattr(self._items.get(info.row), "first_out", GROUP))

    def _route(self, row: str) -> str:
        """What a row was derived for; empty for one that a person wrote."""
        found = str(getattr(self._items.get(row), "route", ""))
        return f"derived from the routes: {found}" if found else ""

    def _stops(self, row: str) -> tuple[str, ...]:
        item = self._items.get(row)
        wishes = getattr(item, "then", ())
        return tuple(wish for wish in wishes if wish in self._profile.model.groups)

    def _risks(self, row: str) -> tuple[Risk, ...]:
        if self._analysis is None:
            return ()
        return tuple(self._analysis.risks[id_] for id_ in self._analysis.rows.get(row, ()))

    def _action(self, cause: Any) -> str:
        action = Action(int(cause["action"]))
        if action is Action.NONE:
            return ""
        after = time(int(cause["action_delay_ns"]))
        words = _ASKS[action][1]
        return f"{words} after {after}" if after else words

    def _cells(self, info: CauseInfo, cause: Any) -> dict[str, Cell]:
        profile, plan = self._profile, self._plan
        first, count = int(cause["first_effect"]), int(cause["n_effects"])
        found: dict[str, tuple[list[str], list[int]]] = {}
        for place in range(first, first + count):
            row = plan.effects[place]
            which = int(row["output"])
            bad = int(row["op"]) == EffectOp.SIGNAL_BAD
            name = profile.signals[which] if bad else profile.outputs[which]
            words, places = found.setdefault(name, ([], []))
            words.append(effect(row))
            places.append(place)
        cells = {
            name: Cell(MARKS[info.kind], tuple(words), tuple(places), self._of(info.row, name))
            for name, (words, places) in found.items()
        }
        asked = _ASKS.get(Action(int(cause["action"])))
        if asked is not None:
            name = asked[0]
            cells[name] = Cell("U", (self._action(cause),), (), self._of(info.row, name))
        return cells

    def _of(self, row: str, column: str) -> tuple[str, ...]:
        return tuple(self._tests.get((row, column), ()))

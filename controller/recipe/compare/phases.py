"""What phases and transitions do: classes, parameters, conditions, exceptions, levels."""

from __future__ import annotations

import re
from typing import Any, Final

from controller.core.clock import NS_PER_S
from controller.recipe.compare.differences import (
    CONDITIONS,
    ELEMENTS,
    EXCEPTIONS,
    FOLLOWS,
    PARAMETERS,
    Comparison,
)
from controller.recipe.compare.matching import Pairs, name_of
from controller.recipe.compare.meaning import meaning
from controller.recipe.formula import missing
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlRecipe, ExceptionPlan, PhasePlan, WaitStep

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_NAMED = re.compile(r"name\((\w+)\)")
_SHOWN: Final = re.compile(r"\s+")


class Phases:
    """Compares paired phases and transitions."""

    def __init__(self, found: Comparison, pairs: Pairs) -> None:
        self._found, self._pairs = found, pairs
        self._open = {*missing(found.before.ranges), *missing(found.after.ranges)}

    def compare(self) -> None:
        """Adds what is different."""
        before, after = self._found.before, self._found.after
        for path, goal in self._pairs.items():
            if path not in before.phases:
                continue
            ours, theirs = before.phases[path], after.phases[goal]
            if ours.use != theirs.use:
                words = f"{goal} is of class {theirs.use}, was of class {ours.use}"
                self._found.add(ELEMENTS, words, ours.place, theirs.place)
            elif ours.use:
                self._parameters(ours, theirs)
            else:
                self._transition(ours, theirs)
            self._exceptions(ours, theirs)
            self._settings(ours, theirs)

    # -- parameters -------------------------------------------------------------------------------

    def _parameters(self, ours: PhasePlan, theirs: PhasePlan) -> None:
        before, after = self._found.before, self._found.after
        wrote, writes = written(before, ours), written(after, theirs)
        for name in dict.fromkeys((*ours.parameters, *theirs.parameters)):
            old, new = wrote.get(name), writes.get(name)
            was, now = self._effective(ours, name, old), self._effective(theirs, name, new)
            same_source = meaning(str(old)) == meaning(str(new))
            if was == now and (same_source or not self._follows(old, new)):
                continue
            group, words = PARAMETERS, f"{theirs.path}: {name} was {was}, is {now}"
            if was == now:
                words = (
                    f"{theirs.path}: {name} was written as {_source(old)}, is written as "
                    f"{_source(new)}; the same value, {now}, as things are"
                )
            elif same_source:
                group = FOLLOWS
            self._found.add(group, words, (*ours.place, "with", name),
                            (*theirs.place, "with", name))  # fmt: skip

    def _effective(self, plan: PhasePlan, name: str, raw: object) -> str:
        """What a parameter is worth, or what it will follow from."""
        later = plan.deferred.get(name)
        if later is not None:
            other = "hold" if later.unknown == "hold" else plan.parameters[name]
            said = _NAMED.sub(r"\1", meaning(later.expression.text))
            return f"{said} at its start, unknown: {other}"
        if self._open & set(_WORD.findall(str(raw or ""))):
            return f"{_SHOWN.sub(' ', str(raw))}, given at the opening"
        return plan.parameters.get(name, "not a parameter")

    def _follows(self, *raws: object) -> bool:
        """Whether one of the sources names a parameter of the formula."""
        words = {word for raw in raws if raw is not None for word in _WORD.findall(str(raw))}
        return bool(words & {*self._found.before.ranges, *self._found.after.ranges})

    # -- transitions ------------------------------------------------------------------------------

    def _transition(self, ours: PhasePlan, theirs: PhasePlan) -> None:
        old, new = ours.logics["running"][0], theirs.logics["running"][0]
        if not isinstance(old, WaitStep) or not isinstance(new, WaitStep):
            return
        rows = [
            ("timeout", _time(old.timeout_ns), _time(new.timeout_ns)),
            ("on_timeout", ", then ".join(old.on_timeout), ", then ".join(new.on_timeout)),
            ("unknown", old.unknown, new.unknown),
            ("every", _time(old.every_ns), _time(new.every_ns)),
        ]
        if meaning(old.condition.text) != meaning(new.condition.text):
            rows.insert(0, ("when", old.condition.text, new.condition.text))
        for name, was, now in rows:
            if was != now:
                self._found.add(
                    CONDITIONS, f"transition {theirs.path}: {name} was {was}, is {now}",
                    (*ours.place, name), (*theirs.place, name),
                )  # fmt: skip

    # -- exceptions and settings ------------------------------------------------------------------

    def _exceptions(self, ours: PhasePlan, theirs: PhasePlan) -> None:
        old = [self._said(item, self._pairs) for item in ours.exceptions]
        new = [self._said(item, {}) for item in theirs.exceptions]
        for number, (key, words) in enumerate(old):
            if key not in [other for other, _ in new]:
                self._found.add(EXCEPTIONS, f"{theirs.path}: no longer {words}",
                                (*ours.place, "exceptions", number), theirs.place)  # fmt: skip
        for number, (key, words) in enumerate(new):
            if key not in [other for other, _ in old]:
                self._found.add(EXCEPTIONS, f"{theirs.path}: now {words}", ours.place,
                                (*theirs.place, "exceptions", number))  # fmt: skip
        kept = [key for key, _ in old if key in [other for other, _ in new]]
        if kept != [key for key, _ in new if key in kept]:
            self._found.add(EXCEPTIONS, f"{theirs.path}: its exceptions are in another order",
                            (*ours.place, "exceptions"), (*theirs.place, "exceptions"))  # fmt: skip

    def _said(self, item: ExceptionPlan, pairs: Pairs) -> tuple[Any, str]:
        """An exception by its meaning, and in words."""
        cause = f"on row {item.row}"
        if item.condition is not None:
            cause = f"if {item.condition.text} ({item.unknown} while unknown)"
        done = f"go to {name_of(item.target)}" if item.target else item.do
        condition = "" if item.condition is None else meaning(item.condition.text)
        unknown = "" if item.condition is None else item.unknown
        key = (item.row, condition, unknown, item.do, pairs.get(item.target, item.target))
        return key, f"{cause}: {done}"

    def _settings(self, ours: PhasePlan, theirs: PhasePlan) -> None:
        rows = [("level", ours.level, theirs.level),
                ("recovery", _time(ours.recovery_ns), _time(theirs.recovery_ns))]  # fmt: skip
        for name, was, now in rows:
            if was != now:
                self._found.add(
                    EXCEPTIONS, f"{theirs.path}: {name} was {was}, is {now}",
                    (*ours.place, name), (*theirs.place, name),
                )  # fmt: skip


def written(recipe: ControlRecipe, plan: PhasePlan) -> dict[str, Any]:
    """The parameters of a phase as its recipe writes them."""
    found: Any = recipe.document.data
    for part in plan.place:
        found = found[part]
    return dict(found.get("with") or {})


def _source(raw: object) -> str:
    return "the unit's default" if raw is None else str(raw)


def _time(ns: int) -> str:
    return with_unit(ns / NS_PER_S, "time") if ns else "none"

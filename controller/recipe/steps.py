"""Steps from text to the form the engine follows: targets, units, limits, time-outs.

Every fault is a BadInput at the step's own line. What a step may do is decided here and nowhere
else: the engine trusts its steps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.core.errors import BadInput, nearest
from controller.core.quantity import CANONICAL, unit_factor
from controller.core.yamltext import Document
from controller.recipe.dimension import NAMED
from controller.recipe.expression import (
    NOWHERE,
    Expression,
    Name,
    compile_expression,
    constant_value,
)
from controller.recipe.model import PromptModel, StepModel
from controller.recipe.operators import ExpressionError
from controller.recipe.plan import (
    Assignment,
    FollowStep,
    PromptStep,
    SetStep,
    Step,
    TimeStep,
    WaitStep,
)

MODES = ("auto", "cascade", "manual", "off")
# A closed valve is 0, a closed contactor would be 1: so a switch is on or off, never closed.
POSITIONS = {"valve": {"open": True, "closed": False}, "switch": {"on": True, "off": False}}
_KINDS = ("set", "wait", "for", "prompt", "follow")
# Which further keys a kind of step takes.
_EXTRAS: dict[str, frozenset[str]] = {
    "set": frozenset(),
    "wait": frozenset({"every", "timeout", "unknown"}),
    "for": frozenset(),
    "prompt": frozenset({"timeout"}),
    "follow": frozenset({"every", "until", "timeout", "for"}),
}
_GIVEN = frozenset({"every", "until", "timeout", "for", "unknown"})
# The logics in which nothing can Hold any more: a wait without an end could never be left.
_ENDING = frozenset({"stopping", "aborting", "leaving"})
_DAY_S = 86_400
_TIME_S_MAX = 60 * _DAY_S
_EVERY_S_MAX = 6 * 3_600
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the unit's recipes may read and move.

    `tags` and `outputs`: name -> dimension (an output may be a `valve` or a
    `switch`); `loops`: loop -> the dimension of its setpoint; `flags`: what the kernel's permits
    and rows know of the procedure; `rows`: those that ask for hold or abort, and which.
    """

    tags: Mapping[str, str]
    loops: Mapping[str, str]
    outputs: Mapping[str, str]
    flags: frozenset[str]
    rows: Mapping[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Plain data for a digest."""
        return {
            "tags": dict(self.tags), "loops": dict(self.loops), "outputs": dict(self.outputs),
            "flags": sorted(self.flags), "rows": dict(self.rows),
        }  # fmt: skip

    def targets(self) -> list[str]:
        """Every name a step may set, variables apart."""
        return [
            *(f"{loop}.{part}" for loop in self.loops for part in ("sp", "mode")),
            *self.outputs,
            *self.flags,
        ]


@dataclass(slots=True)
class StepCompiler:
    """Compiles the steps of one phase class with one set of parameter values."""

    document: Document
    place: Path_
    names: Mapping[str, Name]
    equipment: Equipment
    variables: Mapping[str, str]
    texts: Mapping[str, str]

    def compile(self, logic: str, models: list[StepModel]) -> tuple[Step, ...]:
        """The steps of one logic; raises BadInput."""
        return tuple(
            self._step(model, (*self.place, logic, index)) for index, model in enumerate(models)
        )

    def assignments(self, items: Mapping[str, Any], place: Path_) -> tuple[Assignment, ...]:
        """What is set at once and depends on nothing; raises BadInput."""
        found = tuple(self._assign(name, raw, (*place, name)) for name, raw in items.items())
        for item in found:
            if isinstance(item.value, Expression) and not item.value.constant:
                raise self._error(f"{item.target} depends on what is not known here", place)
        return found

    def check_class(self, logics: Mapping[str, tuple[Step, ...]]) -> None:
        """What a class starts it must be able to end; prompt ids are unique. Raises BadInput."""
        moved = [item for step in logics["running"] for item in _items(step)]
        if any(item.verb == "set_output" for item in moved) and not logics["aborting"]:
            raise self._error(
                "this phase moves outputs but has no aborting logic that makes them safe",
                self.place,
            )
        seen: set[str] = set()
        for logic, steps in logics.items():
            for index, step in enumerate(steps):
                if isinstance(step, PromptStep) and step.id:
                    if step.id in seen:
                        raise self._error(
                            f"duplicate prompt id {step.id!r}",
                            (*self.place, logic, index, "prompt", "id"),
                        )
                    seen.add(step.id)
                if logic in _ENDING and not _ends_by_itself(step):
                    raise self._error(
                        f"{logic} must come to its end by itself: give this step a timeout with "
                        "on_timeout: continue",
                        (*self.place, logic, index),
                    )

    def _error(self, what: str, place: Path_) -> BadInput:
        return self.document.error(what, *place)

    def _step(self, model: StepModel, place: Path_) -> Step:
        if (model.re_entry or model.pause) and place[-2] != "running":
            raise self._error("re_entry and pause belong to running steps", place)
        step = self.step(model, place)
        return replace(step, re_entry=model.re_entry, pause=model.pause)

    def step(self, model: StepModel, place: Path_) -> Step:
        """One step; raises BadInput at its place."""
        given = set(model.model_dump(by_alias=True, exclude_unset=True))
        found = [kind for kind in _KINDS if kind in given]
        if found == ["for", "follow"]:
            found = ["follow"]
        if len(found) != 1:
            raise self._error(
                f"a step is exactly one of {', '.join(_KINDS)}; this one has {found or 'none'}",
                place,
            )
        kind = found[0]
        extras = given & _GIVEN - {kind}
        for extra in sorted(extras - _EXTRAS[kind]):
            raise self._error(f"{extra!r} has no meaning in a {kind!r} step", (*place, extra))
        if "on_timeout" in given and "timeout" not in given:
            raise self._error("on_timeout without a timeout", (*place, "on_timeout"))
        when = self._expression(model.when, "truth", (*place, "when")) if model.when else None
        if model.prompt is not None:
            return self._prompt(model, model.prompt, when, place)
        if model.text is None:
            raise self._error("a step needs the text its operator reads", place)
        text = self._text(model.text, (*place, "text"))
        if model.set_ is not None:
            return self._set(model.set_, text, when, (*place, "set"))
        if model.wait is not None:
            condition = self._expression(model.wait, "truth", (*place, "wait"))
            return WaitStep(
                text, when, condition, self._time(model.every, (*place, "every"), 1.0),
                self._timeout(model, place, "wait"), _worse(model), model.unknown,
            )  # fmt: skip
        if model.follow is not None:
            return self._follow(model, text, when, place)
        return TimeStep(text, when, self._time(model.for_, (*place, "for")))

    def _set(
        self, items: Mapping[str, Any], text: str, when: Expression | None, place: Path_
    ) -> SetStep:
        built = tuple(self._assign(name, raw, (*place, name)) for name, raw in items.items())
        own = {item.target for item in built if item.verb == "set_variable"}
        for item in built:
            if isinstance(item.value, Expression) and item.value.names & own:
                raise self._error(
                    "a set step may not read a variable it sets: taken up again after a failure "
                    "it would count twice; use two steps",
                    (*place, next(iter(items))),
                )
        return SetStep(text, when, built)

    def _follow(
        self, model: StepModel, text: str, when: Expression | None, place: Path_
    ) -> FollowStep:
        name, raw = next(iter((model.follow or {}).items()))
        item = self._assign(name, raw, (*place, "follow", name))
        if item.verb not in ("set_output", "set_sp") or not isinstance(item.value, Expression):
            raise self._error("only an output or a setpoint can be followed", (*place, "follow"))
        if (model.until is None) == (model.for_ is None):
            raise self._error("a follow step ends with `until` or with `for`", place)
        until, duration, timeout = None, 0, 0
        if model.until is not None:
            until = self._expression(model.until, "truth", (*place, "until"))
            timeout = self._timeout(model, place, "follow ... until")
        else:
            duration = self._time(model.for_, (*place, "for"))
        if model.every is None:
            raise self._error("a follow step needs `every`", place)
        every = self._time(model.every, (*place, "every"))
        return FollowStep(
            text, when, item, every, until, duration, timeout, _worse(model)
        )  # fmt: skip

    def _prompt(
        self, model: StepModel, prompt: PromptModel, when: Expression | None, place: Path_
    ) -> PromptStep:
        place = (*place, "prompt")
        dimension = self._into(prompt, place)
        low, high, predicted, unit = None, None, None, ""
        expect = self._expected(prompt, place)
        if prompt.kind in ("enter", "sample"):
            unit = prompt.unit or CANONICAL[dimension]
            self._unit(unit, dimension, (*place, "unit"))
            if prompt.low is None or prompt.high is None:
                raise self._error("an entered value needs low and high", place)
            low = self._expression(prompt.low, dimension, (*place, "low"))
            high = self._expression(prompt.high, dimension, (*place, "high"))
            limits = [limit.evaluate(NOWHERE) for limit in (low, high) if limit.constant]
            if len(limits) == 2 and not limits[0] < limits[1]:  # type: ignore[operator]
                raise self._error("low is not below high", (*place, "low"))
            if prompt.predicted is not None:
                predicted = self._expression(prompt.predicted, dimension, (*place, "predicted"))
        else:
            for key in ("unit", "low", "high", "predicted"):
                if getattr(prompt, key) is not None:
                    raise self._error(f"{key!r} belongs to entered values", (*place, key))
        if (prompt.kind == "choose") != bool(len(prompt.options) > 1):
            raise self._error("options (two or more) belong to a prompt that chooses", place)
        timeout = 0
        if model.timeout is not None:
            timeout = self._timeout(model, place[:-1], "prompt")
        return PromptStep(
            self._text(prompt.text, (*place, "text")), when, prompt.id or "", prompt.kind,
            prompt.into or "", dimension, unit, low, high, prompt.people, predicted, expect,
            tuple(prompt.options), timeout, _worse(model),
        )  # fmt: skip

    def _expected(self, prompt: PromptModel, place: Path_) -> str:
        """The text variable a scanned code must equal; empty for none."""
        if prompt.expect is None:
            return ""
        texts = [name for name, dimension in self.variables.items() if dimension == "text"]
        if prompt.kind != "scan" or prompt.expect not in texts:
            hint = nearest(prompt.expect, texts)
            raise self._error(f"`expect` names the text a scanned code equals. {hint}",
                              (*place, "expect"))  # fmt: skip
        return prompt.expect

    def _into(self, prompt: PromptModel, place: Path_) -> str:
        """The dimension of the variable an answer goes into; empty for none."""
        if prompt.into is None:
            if prompt.kind in ("enter", "sample", "scan"):
                raise self._error(f"a prompt of kind {prompt.kind} needs `into`", place)
            return ""
        if prompt.into not in self.variables:
            hint = nearest(prompt.into, list(self.variables))
            raise self._error(f"unknown variable {prompt.into!r}. {hint}", (*place, "into"))
        dimension = self.variables[prompt.into]
        textual = prompt.kind in ("scan", "choose")
        if prompt.kind in ("confirm", "instruction") or textual != (dimension == "text"):
            raise self._error(
                f"a prompt of kind {prompt.kind} cannot go into a {dimension}", (*place, "into")
            )
        return dimension

    def _assign(self, name: str, raw: Any, place: Path_) -> Assignment:
        owner, _, part = name.partition(".")
        if owner in self.equipment.loops and part in ("sp", "mode"):
            if part == "sp":
                value = self._expression(raw, self.equipment.loops[owner], place)
                return Assignment("set_sp", owner, value)
            if raw not in MODES:
                raise self._error(f"a loop's mode is one of {', '.join(MODES)}", place)
            return Assignment("set_mode", owner, str(raw))
        if name in self.equipment.outputs:
            dimension = self.equipment.outputs[name]
            positions = POSITIONS.get(dimension)
            if positions is None:
                return Assignment("set_output", name, self._expression(raw, dimension, place))
            if isinstance(raw, bool) or str(raw) not in positions:
                raise self._error(f"{name} is a {dimension}: {' or '.join(positions)}", place)
            return Assignment("set_output", name, positions[str(raw)])
        if name in self.equipment.flags:
            if not isinstance(raw, bool):
                raise self._error(f"the flag {name} is true or false", place)
            return Assignment("set_flag", name, raw)
        if name in self.variables:
            if self.variables[name] == "text":
                return Assignment("set_variable", name, str(raw))
            return Assignment(
                "set_variable", name, self._expression(raw, self.variables[name], place)
            )
        hint = nearest(name, [*self.equipment.targets(), *self.variables])
        raise self._error(f"nothing called {name!r} can be set. {hint}", place)

    def _expression(self, raw: Any, dimension: str, place: Path_) -> Expression:
        try:
            expression = compile_expression(str(raw), self.names, dimension)
        except ExpressionError as error:
            raise self._error(str(error), place) from None
        if expression.held and place[-1] != "wait":
            raise self._error("held(...) belongs into a wait", place)
        return expression

    def _time(self, raw: Any, place: Path_, default_s: float | None = None) -> int:
        if raw is None and default_s is not None:
            return round(default_s * 1e9)
        try:
            seconds = constant_value(str(raw), self.names, "time")
        except ExpressionError as error:
            raise self._error(str(error), place) from None
        limit = _EVERY_S_MAX if place[-1] == "every" else _TIME_S_MAX
        if not 0 < seconds <= limit:
            raise self._error(f"{raw} is not a time between 0 and {limit // 3600} h", place)
        if place[-1] == "every" and seconds < 1:
            raise self._error("nothing is done oftener than every 1 s", place)
        return round(seconds * 1e9)

    def _timeout(self, model: StepModel, place: Path_, what: str) -> int:
        if model.timeout is None:
            raise self._error(f"{what} without a timeout: say how long, and on_timeout", place)
        return self._time(model.timeout, (*place, "timeout"))

    def _unit(self, unit: str, dimension: str, place: Path_) -> None:
        try:
            found, _ = unit_factor(unit)
        except ValueError as error:
            raise self._error(str(error), place) from None
        if NAMED[found] != NAMED[dimension]:
            raise self._error(f"the unit {unit!r} is of a {found}, not a {dimension}", place)

    def _text(self, text: str, place: Path_) -> str:
        def put(match: re.Match[str]) -> str:
            if match[1] not in self.texts:
                hint = nearest(match[1], list(self.texts))
                raise self._error(f"unknown parameter {match[1]!r} in the text. {hint}", place)
            return self.texts[match[1]]

        return re.sub(r"\{(\w+)\}", put, text)


def _worse(model: StepModel) -> tuple[str, ...]:
    """What each further time-out does."""
    said = model.on_timeout
    return (said,) if isinstance(said, str) else tuple(said)


def _ends_by_itself(step: Step) -> bool:
    """Whether a step is over some time, whatever signals and people do."""
    if isinstance(step, SetStep | TimeStep) or (isinstance(step, FollowStep) and not step.until):
        return True
    return step.timeout_ns > 0 and step.on_timeout[-1] == "continue"


def _items(step: Step) -> tuple[Assignment, ...]:
    if isinstance(step, SetStep):
        return step.items
    return (step.item,) if isinstance(step, FollowStep) else ()

"""What a unit shall do, read from its requirements file: limits, delays, effects, actions.

A module because these numbers must come from nowhere else: the profile under test is never asked
what it ought to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from controller.core.based import load_based
from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical, parse

SHIPPED = (
    Path(__file__).parents[2] / "docs" / "requirements",
    Path(__file__).parent / "requirements",
)
_CONDITION = re.compile(r"^([A-Za-z].*?)\s*(?:(>|<)\s*(\S.*)|(?<![\w.])(is bad))$")
_EFFECT = re.compile(r"^([a-z][a-z0-9]*)\s*(=|<=|>=)\s*(\S+)$")
# Of a row's alarm, by what the row asks of the procedure, where the requirement says no other.
PRIORITY = {"hold": "high", "alarm": "medium", "none": "low", "abort": "critical"}
Id = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[A-Z0-9-]{1,20}$")]
Kind = Literal["permit", "plausibility", "interlock", "protect", "procedure"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UserRequirement(_Model):
    """What a user needs, in words."""

    id: Id
    title: str
    text: str


class _RuleModel(_Model):
    id: Id
    row: str
    traces: list[Id] = Field(min_length=1)
    title: str
    kind: Kind
    never_bypass: bool = False
    any: list[str] = Field(default_factory=list)
    all: list[str] = Field(default_factory=list)
    delay: str = "0 s"
    off_delay: str = "0 s"
    back: str | float = 0.0
    bad: Literal["trip", "degrade", "ignore"] = "ignore"
    bad_after: str = "5 s"
    effects: list[str]
    requested: list[str] = Field(default_factory=list)
    spoils: str = ""
    action: Literal["none", "alarm", "hold", "abort"] = "none"
    priority: Literal["", "critical", "high", "medium", "low"] = ""
    hold_after: str = "0 s"
    unless: list[str] = Field(default_factory=list)
    only_in: str = ""
    not_in: str = ""


class ActuatorRule(_Model):
    """What one output does at a cold start, when it must be safe, and when that is not proven."""

    id: Id
    actuator: str
    traces: list[Id] = Field(min_length=1)
    start: float
    safe: float
    second: str
    by: str
    shows: dict[str, float]
    restart: Literal["goes on", "off"]


class SystemRequirement(_Model):
    """What the system as a whole shall do, in words."""

    id: Id
    traces: list[Id] = Field(min_length=1)
    title: str


class _FileModel(_Model):
    based_on: str | None = None
    unit: str
    version: int = Field(ge=1)
    title: str
    approved_by: str
    response: str
    confirm: str
    user: list[UserRequirement]
    rules: list[_RuleModel]
    actuators: list[ActuatorRule]
    system: list[SystemRequirement]


@dataclass(frozen=True, slots=True)
class Condition:
    """`signal` `op` (`>`, `<` or `bad`) `limit`, canonical; `text` as required, `unit` its unit.

    A signal may be an expression of tags, such as `abs(heater - JT101)`.
    """

    signal: str
    op: str
    limit: float
    text: str
    unit: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What a rule does to an output: `=`, `<=`, `>=` a value, or `mean`."""

    output: str
    op: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of cause and effect as required. Times in s, limits canonical."""

    id: str
    row: str
    traces: tuple[str, ...]
    title: str
    kind: Kind
    never_bypass: bool
    vote: str
    conditions: tuple[Condition, ...]
    delay_s: float
    off_delay_s: float
    back: float
    bad: str
    bad_after_s: float
    effects: tuple[Effect, ...]
    requested: tuple[Effect, ...]
    spoils: str
    action: str
    priority: str
    hold_after_s: float
    unless: tuple[str, ...]
    only_in: str
    not_in: str


@dataclass(frozen=True, slots=True)
class Requirements:
    """The whole file, with its digest. `response_s` and `confirm_s` bound every reaction."""

    file: str
    sha256: str
    unit: str
    version: int
    title: str
    approved_by: str
    response_s: float
    confirm_s: float
    user: tuple[UserRequirement, ...]
    rules: tuple[Rule, ...]
    actuators: tuple[ActuatorRule, ...]
    system: tuple[SystemRequirement, ...]

    def rule(self, row: str) -> Rule:
        """The rule of a row; raises BadInput for a row nobody required."""
        for rule in self.rules:
            if rule.row == row:
                return rule
        hint = nearest(row, [rule.row for rule in self.rules])
        raise BadInput(f"no requirement for row {row!r}. {hint}", where=self.file)

    def tested(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """(id, title, user requirements) of every requirement that needs a case."""
        for rule in self.rules:
            yield rule.id, f"Row {rule.row}: {rule.title}", rule.traces
        for item in self.actuators:
            yield item.id, f"Output {item.actuator}", tuple(item.traces)
        for each in self.system:
            yield each.id, each.title, tuple(each.traces)


def find_requirements(unit: str, given: Path | None = None) -> Path:
    """The requirements file of a unit; raises BadInput when there is none."""
    if given is not None:
        return given
    for folder in SHIPPED:
        path = folder / f"{unit}.yaml"
        if path.is_file():
            return path
    raise BadInput(
        f"there are no requirements for unit {unit!r}",
        where=SHIPPED[0],
        do="Write what the unit shall do, or name the file with --requirements.",
    )


def load_requirements(path: Path) -> Requirements:
    """Reads and checks a requirements file; raises BadInput with file:line:column.

    What it says of itself, above all who approved it, is never taken from one it is based on.
    """
    own = tuple((key,) for key in ("unit", "version", "title", "approved_by"))
    document = load_based(path, own=own)
    model = document.validate(_FileModel)
    known = {item.id for item in model.user}
    seen: set[str] = set(known)
    parts: tuple[tuple[str, Sequence[_RuleModel | ActuatorRule | SystemRequirement]], ...] = (
        ("rules", model.rules), ("actuators", model.actuators), ("system", model.system),
    )  # fmt: skip
    for part, items in parts:
        for place, item in enumerate(items):
            for trace in item.traces:
                if trace not in known:
                    raise document.error(
                        f"unknown user requirement {trace!r}. {nearest(trace, sorted(known))}",
                        part, place, "traces",
                    )  # fmt: skip
            if item.id in seen:
                raise document.error(f"requirement {item.id} is there twice", part, place, "id")
            seen.add(item.id)
    rules = []
    for place, rule in enumerate(model.rules):
        try:
            rules.append(_rule(rule))
        except ValueError as error:
            raise document.error(str(error), "rules", place) from None
    return Requirements(
        document.file, document.sha256, model.unit, model.version, model.title,
        model.approved_by, canonical(model.response, "time"), canonical(model.confirm, "time"),
        tuple(model.user), tuple(rules), tuple(model.actuators), tuple(model.system),
    )  # fmt: skip


def _rule(model: _RuleModel) -> Rule:
    if bool(model.any) == bool(model.all):
        raise ValueError("give exactly one of any, all")
    back = model.back if isinstance(model.back, float) else parse(model.back)[0]
    return Rule(
        model.id, model.row, tuple(model.traces), model.title, model.kind, model.never_bypass,
        "any" if model.any else "all",
        tuple(condition_of(text) for text in (model.any or model.all)),
        canonical(model.delay, "time"), canonical(model.off_delay, "time"), float(back),
        model.bad, canonical(model.bad_after, "time"),
        tuple(effect_of(text) for text in model.effects),
        tuple(effect_of(text) for text in model.requested), model.spoils, model.action,
        model.priority or PRIORITY[model.action], canonical(model.hold_after, "time"),
        tuple(model.unless), model.only_in, model.not_in,
    )  # fmt: skip


def condition_of(text: str) -> Condition:
    """`TT101 > 38.5 degC` or `AT101 is bad`; raises ValueError."""
    match = _CONDITION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no condition such as TT101 > 38.5 degC or AT101 is bad")
    if match[4]:
        return Condition(match[1], "bad", 0.0, text, "")
    value, _ = parse(match[3])
    unit = match[3].lstrip("+-0123456789.eE ").strip()
    return Condition(match[1], match[2], value, text, unit)


def effect_of(text: str) -> Effect:
    """`heater = 0`, `heater <= 30`, `co2 = mean`; raises ValueError."""
    match = _EFFECT.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no effect such as heater = 0")
    if match[3] == "mean":
        return Effect(match[1], "mean", 0.0, text)
    return Effect(match[1], match[2], float(match[3]), text)

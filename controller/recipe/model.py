"""What a recipe and a unit's phases look like: the checked text, and the frozen compiled form.

The pydantic models are the schema of `recipes/*.yaml` and of a unit profile's sections `variables:`
and `phases:`. The dataclasses are what the engine follows; nothing in them changes in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from controller.recipe.expression import Expression

MAX_STEPS = 1_000
MAX_PHASES = 250
Ident = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Text = Annotated[str, Field(min_length=1, max_length=300)]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Quantity = StrictInt | StrictFloat | StrictStr
OnTimeout = Literal["alarm", "hold", "abort", "continue"]
PromptKind = Literal["confirm", "enter", "choose", "scan", "sample"]
LOGICS = ("running", "holding", "restarting", "aborting")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterModel(_Strict):
    """A parameter of a phase class: dimension, range and default, with units."""

    dimension: str
    low: Quantity
    high: Quantity
    default: Quantity
    title: str = ""


class VariableModel(_Strict):
    """A variable of the unit that phases share; unknown until it is set."""

    dimension: str
    title: str = ""


class PromptModel(_Strict):
    """A question to people. `predicted` starts the 0.5..2 rule for an entered value."""

    kind: PromptKind
    id: Ident | None = None
    text: Text
    into: Ident | None = None
    unit: str | None = None
    low: Quantity | None = None
    high: Quantity | None = None
    people: Literal[1, 2] = 1
    predicted: str | None = None
    options: list[Text] = Field(default_factory=list, max_length=8)


class StepModel(_Strict):
    """One step: exactly one of set, wait, for, prompt, follow; `when` false skips it."""

    text: Text | None = None
    when: str | None = None
    set_: dict[str, Scalar] | None = Field(default=None, alias="set", min_length=1, max_length=16)
    wait: str | None = None
    for_: Quantity | None = Field(default=None, alias="for")
    prompt: PromptModel | None = None
    follow: dict[str, Scalar] | None = Field(default=None, min_length=1, max_length=1)
    every: Quantity | None = None
    until: str | None = None
    timeout: Quantity | None = None
    on_timeout: OnTimeout = "alarm"


Steps = Annotated[list[StepModel], Field(default_factory=list, max_length=MAX_STEPS)]


class PhaseClassModel(_Strict):
    """A phase the unit offers, with the logic of its active states."""

    id: Ident
    title: str = ""
    parameters: dict[Ident, ParameterModel] = Field(default_factory=dict, max_length=32)
    running: Annotated[list[StepModel], Field(min_length=1, max_length=MAX_STEPS)]
    holding: Steps
    restarting: Steps
    aborting: Steps


class OfferModel(_Strict):
    """The `variables:` and `phases:` sections of a unit profile."""

    variables: dict[Ident, VariableModel] = Field(default_factory=dict, max_length=128)
    phases: list[PhaseClassModel] = Field(max_length=128)


class FormulaModel(_Strict):
    """A formula parameter: value, permitted range and why."""

    value: Quantity
    low: Quantity
    high: Quantity
    title: str = ""


class PhaseCallModel(_Strict):
    """A phase of the recipe: a class of the unit under an id of its own."""

    phase: Ident
    use: Ident | None = None
    title: str = ""
    with_: dict[str, Quantity] = Field(default_factory=dict, alias="with", max_length=32)


class OperationModel(_Strict):
    """Phases one after the other, or `branches` of them side by side."""

    operation: Ident
    title: str = ""
    phases: list[PhaseCallModel] = Field(default_factory=list, max_length=MAX_PHASES)
    branches: list[list[PhaseCallModel]] = Field(default_factory=list, max_length=8)


class UnitProcedureModel(_Strict):
    """Operations one after the other."""

    unit_procedure: Ident
    title: str = ""
    operations: list[OperationModel] = Field(min_length=1, max_length=64)


class RecipeModel(_Strict):
    """A master recipe as people write it."""

    recipe: Ident
    version: str
    title: str
    unit: Ident
    formula: dict[Ident, FormulaModel] = Field(default_factory=dict, max_length=128)
    procedure: list[UnitProcedureModel] = Field(min_length=1, max_length=16)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One thing a step sets. `verb` is a command's verb, or `set_variable`."""

    verb: str
    target: str
    value: Expression | bool | str


@dataclass(frozen=True, slots=True)
class SetStep:
    """Sets things once, all from the values before the step."""

    text: str
    when: Expression | None
    items: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class WaitStep:
    """Waits for a condition, looked at every `every_ns`. Unknown is not true."""

    text: str
    when: Expression | None
    condition: Expression
    every_ns: int
    timeout_ns: int
    on_timeout: str


@dataclass(frozen=True, slots=True)
class TimeStep:
    """Waits for a time; it stands still while held."""

    text: str
    when: Expression | None
    duration_ns: int


@dataclass(frozen=True, slots=True)
class PromptStep:
    """Asks people. Limits are canonical values of `dimension`; `timeout_ns` 0 means none."""

    text: str
    when: Expression | None
    id: str
    kind: str
    into: str
    dimension: str
    unit: str
    low: float | None
    high: float | None
    people: int
    predicted: Expression | None
    options: tuple[str, ...]
    timeout_ns: int
    on_timeout: str


@dataclass(frozen=True, slots=True)
class FollowStep:
    """Sets one thing again and again, until a condition or for a duration (0: none)."""

    text: str
    when: Expression | None
    item: Assignment
    every_ns: int
    until: Expression | None
    duration_ns: int
    timeout_ns: int
    on_timeout: str


Step = SetStep | WaitStep | TimeStep | PromptStep | FollowStep


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """One phase of the control recipe: its logics, compiled with its parameters."""

    path: str
    use: str
    title: str
    parameters: Mapping[str, str]
    logics: Mapping[str, tuple[Step, ...]]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One procedural element. `branches` run side by side, each one child after the other."""

    path: str
    level: str
    title: str
    parent: str
    branches: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ControlRecipe:
    """A recipe compiled against a unit's offer, frozen for one batch.

    `nodes` is in procedure order with the batch itself first. `digest` covers the recipe file, the
    offer and the formula values in force.
    """

    id: str
    version: str
    title: str
    unit: str
    formula: Mapping[str, str]
    nodes: Mapping[str, NodePlan]
    phases: Mapping[str, PhasePlan]
    variables: Mapping[str, str]
    recipe_sha256: str
    offer_sha256: str
    digest: str

    @property
    def root(self) -> str:
        """The path of the procedure itself."""
        return next(iter(self.nodes))

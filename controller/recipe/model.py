"""What a recipe and a unit's phases look like as text: the checked schema of people's files.

The schema of `recipes/*.yaml` and of a unit profile's sections `variables:` and `phases:`. What the
engine follows is `controller/recipe/plan.py`; `load.py` makes one of the other.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

MAX_STEPS = 1_000
MAX_PHASES = 1_000
MAX_ITEMS = 1_000
Ident = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Text = Annotated[str, Field(min_length=1, max_length=300)]
Title = Annotated[str, Field(max_length=300)]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Quantity = StrictInt | StrictFloat | StrictStr
OnTimeout = Literal["alarm", "hold", "abort", "continue"]
PromptKind = Literal["instruction", "confirm", "enter", "choose", "scan", "sample"]
Level = Literal["phase", "operation", "unit_procedure", "procedure"]
LOGICS = ("running", "holding", "restarting", "stopping", "aborting", "leaving")


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
    """A question to people. `predicted` starts the 0.5..2 rule for an entered value; `expect` names
    the text a scanned code must equal."""

    kind: PromptKind
    id: Ident | None = None
    text: Text
    into: Ident | None = None
    unit: str | None = None
    low: Quantity | None = None
    high: Quantity | None = None
    people: Literal[1, 2] = 1
    predicted: str | None = None
    expect: Ident | None = None
    options: list[Text] = Field(default_factory=list, max_length=8)


class StepModel(_Strict):
    """One step: exactly one of set, wait, for, prompt, follow; `when` false skips it.

    `on_timeout` as a list goes one further each time. `re_entry`: a restart from Held goes on from
    the last such step; `pause`: the phase may pause before this step.
    """

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
    on_timeout: OnTimeout | Annotated[list[OnTimeout], Field(min_length=1, max_length=4)] = "alarm"
    unknown: Literal["wait", "hold"] = "wait"
    re_entry: StrictBool = False
    pause: StrictBool = False


Steps = Annotated[list[StepModel], Field(default_factory=list, max_length=MAX_STEPS)]


class PhaseClassModel(_Strict):
    """A phase the unit offers, with the logic of its active states.

    `protected`: never skipped, repeated or inserted in a running batch. `recovery`: the longest gap
    after which it goes on by itself. `leaves`: outputs it leaves on for later phases. A phase
    without `stopping` stops by its aborting logic. `leaving` ends it while the procedure goes on
    without it (skipped, or left for an alternative); without one it is `stopping`.
    """

    id: Ident
    title: str = ""
    parameters: dict[Ident, ParameterModel] = Field(default_factory=dict, max_length=32)
    protected: StrictBool = False
    recovery: Quantity | None = None
    leaves: list[Ident] = Field(default_factory=list, max_length=16)
    running: Annotated[list[StepModel], Field(min_length=1, max_length=MAX_STEPS)]
    holding: Steps
    restarting: Steps
    stopping: Steps
    aborting: Steps
    leaving: Annotated[list[StepModel], Field(max_length=MAX_STEPS)] | None = None


class ResultColumnModel(_Strict):
    """The column of one result in an instrument's file, and its unit."""

    column: Text
    unit: str = ""


class InstrumentModel(_Strict):
    """How an instrument lays out its files: the names of its columns, one line a sample."""

    instrument: Ident
    sample: Text
    time: Text
    time_format: str = Field(default="", max_length=40)
    serial: Text
    operator: str = Field(default="", max_length=300)
    results: dict[Ident, ResultColumnModel] = Field(min_length=1, max_length=32)


class OfferModel(_Strict):
    """The `variables:`, `ending:`, `phases:` and `instruments:` sections of a unit profile.

    `ending`: what is set when a procedure is stopped or aborted, whatever it was at: nobody follows
    the recipe any more.
    """

    variables: dict[Ident, VariableModel] = Field(default_factory=dict, max_length=128)
    ending: dict[str, Scalar] = Field(default_factory=dict, max_length=16)
    phases: list[PhaseClassModel] = Field(max_length=128)
    instruments: list[InstrumentModel] = Field(default_factory=list, max_length=16)


class FormulaModel(_Strict):
    """A formula parameter: where its value comes from, and the range it may ever take.

    fixed: as written. entered: may be given when the batch is opened (`required`: must be).
    deferred: `from` is an expression over other parameters. sample: `from` is a variable of the
    unit, read when the phase that uses it starts; what `unknown` then means is said here.
    """

    value: Quantity | None = None
    low: Quantity
    high: Quantity
    title: Title = ""
    source: Literal["fixed", "entered", "deferred", "sample"] = "fixed"
    required: StrictBool = False
    from_: str | None = Field(default=None, alias="from")
    unknown: Literal["hold", "default"] | None = None


class ControlModel(_Strict):
    """An in-process control: what a sample's result must be, and what follows when it is not."""

    control: Ident
    of: Ident
    title: Title = ""
    low: Quantity | None = None
    high: Quantity | None = None
    when: str | None = None
    outside: Annotated[
        list[Literal["retest", "hold", "deviation"]], Field(min_length=1, max_length=4)
    ]


class ExceptionModel(_Strict):
    """What becomes of a phase on a cause: a row of the unit that asks, or a condition."""

    row: str | None = Field(default=None, max_length=40)
    when: str | None = None
    unknown: Literal["ignore", "act"] | None = None
    do: Literal["hold", "abort"] | dict[Literal["go_to"], Ident]


class ChoiceModel(_Strict):
    """One branch of a selection: taken when its condition holds, or otherwise."""

    when: str | None = None
    do: list[ItemModel] | None = Field(default=None, max_length=MAX_ITEMS)
    otherwise: list[ItemModel] | None = Field(default=None, max_length=MAX_ITEMS)


class ItemModel(_Strict):
    """One item of a sequence: exactly one of operation, phase, transition, parallel, select, loop;
    its value is the item's id. Which further keys an item takes is said in `items.py`."""

    operation: Ident | None = None
    phase: Ident | None = None
    transition: Ident | None = None
    parallel: Ident | None = None
    select: Ident | None = None
    loop: Ident | None = None
    title: Title = ""
    use: Ident | None = None
    with_: dict[str, Quantity] = Field(default_factory=dict, alias="with", max_length=32)
    level: Level = "procedure"
    recovery: Quantity | None = None
    exceptions: list[ExceptionModel] = Field(default_factory=list, max_length=16)
    phases: list[ItemModel] = Field(default_factory=list, max_length=MAX_ITEMS)
    branches: list[list[ItemModel]] = Field(default_factory=list, max_length=8)
    then: Literal["next", "stop", "abort"] = "next"
    when: str | None = None
    text: Text | None = None
    every: Quantity | None = None
    timeout: Quantity | None = None
    on_timeout: OnTimeout | Annotated[list[OnTimeout], Field(min_length=1, max_length=4)] = "alarm"
    choices: list[ChoiceModel] = Field(default_factory=list, max_length=8)
    do: list[ItemModel] = Field(default_factory=list, max_length=MAX_ITEMS)
    until: str | None = None
    at_most: Annotated[int, Field(ge=1, le=1_000)] | None = None
    on_limit: Literal["hold", "abort", "continue"] | None = None
    unknown: Literal["wait", "hold", "otherwise", "again"] | None = None


class LongHoldModel(_Strict):
    """An operation that cares for the cells while the procedure is Held for longer than `after`."""

    after: Quantity
    operation: Ident
    title: Title = ""
    phases: Annotated[list[ItemModel], Field(min_length=1, max_length=MAX_ITEMS)]


class UnitProcedureModel(_Strict):
    """Operations in their order, and those that only an exception starts.

    `unit`: the unit it runs on; as long as a recipe has one unit, that one.
    """

    unit_procedure: Ident
    title: Title = ""
    unit: Ident | None = None
    operations: Annotated[list[ItemModel], Field(min_length=1, max_length=64)]
    alternatives: list[ItemModel] = Field(default_factory=list, max_length=16)


class RecipeModel(_Strict):
    """A master recipe as people write it."""

    recipe: Ident
    version: Annotated[str, Field(min_length=1, max_length=40)]
    title: Text
    unit: Ident
    unit_version: str
    formula: dict[Ident, FormulaModel] = Field(default_factory=dict, max_length=128)
    controls: list[ControlModel] = Field(default_factory=list, max_length=32)
    long_hold: LongHoldModel | None = None
    procedure: list[UnitProcedureModel] = Field(min_length=1, max_length=16)

"""What the engine follows: a control recipe compiled against a unit's offer, frozen for one batch.

Nothing in it changes in a batch. What people change in a running batch is an amendment in the
batch's state; `amend.amended` makes the recipe as it then runs, beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.recipe.expression import Expression

if TYPE_CHECKING:
    from controller.core.yamltext import Document
    from controller.recipe.offer import Offer

Path_ = tuple[str | int, ...]
NOTHING: Mapping[str, str] = MappingProxyType({})


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
    re_entry: bool = False
    pause: bool = False


@dataclass(frozen=True, slots=True)
class WaitStep:
    """Waits for a condition, looked at every `every_ns`. Unknown is not true: it waits, or holds
    the batch when `unknown` is hold. `on_timeout`: what each further time-out does, the last one
    again and again."""

    text: str
    when: Expression | None
    condition: Expression
    every_ns: int
    timeout_ns: int
    on_timeout: tuple[str, ...]
    unknown: str = "wait"
    re_entry: bool = False
    pause: bool = False


@dataclass(frozen=True, slots=True)
class TimeStep:
    """Waits for a time; it stands still while held."""

    text: str
    when: Expression | None
    duration_ns: int
    re_entry: bool = False
    pause: bool = False


@dataclass(frozen=True, slots=True)
class PromptStep:
    """Asks people. Limits are of `dimension`, in canonical units; `timeout_ns` 0 means none.

    `expect` names the variable a scanned code must equal.
    """

    text: str
    when: Expression | None
    id: str
    kind: str
    into: str
    dimension: str
    unit: str
    low: Expression | None
    high: Expression | None
    people: int
    predicted: Expression | None
    expect: str
    options: tuple[str, ...]
    timeout_ns: int
    on_timeout: tuple[str, ...]
    re_entry: bool = False
    pause: bool = False


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
    on_timeout: tuple[str, ...]
    re_entry: bool = False
    pause: bool = False


Step = SetStep | WaitStep | TimeStep | PromptStep | FollowStep


@dataclass(frozen=True, slots=True)
class ExceptionPlan:
    """On `row`, or when `condition` holds: hold, abort, or go_to the alternative at `target`."""

    row: str
    condition: Expression | None
    unknown: str
    do: str
    target: str


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """One phase of the control recipe: its logics, compiled with its parameters.

    `use` is the unit's class, empty for a transition. `values` are canonical; `deferred` are the
    parameters known only when the phase starts, `values` holding what stands for them until then.
    `level`: which element a hold or an abort of its own steps goes to. `bounds`: the range each
    parameter must stay in, canonical. `place`: in the recipe.
    """

    path: str
    use: str
    title: str
    parameters: Mapping[str, str]
    values: Mapping[str, float]
    logics: Mapping[str, tuple[Step, ...]]
    deferred: Mapping[str, Deferred] = field(default_factory=dict)
    exceptions: tuple[ExceptionPlan, ...] = ()
    level: str = "procedure"
    recovery_ns: int = 0
    protected: bool = False
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    place: Path_ = ()


@dataclass(frozen=True, slots=True)
class Deferred:
    """A parameter whose value is known when its phase starts. `unknown`: hold or default."""

    expression: Expression
    unknown: str


@dataclass(frozen=True, slots=True)
class Select:
    """Which branch runs: the first whose condition holds; None stands for otherwise."""

    choices: tuple[Expression | None, ...]
    unknown: str


@dataclass(frozen=True, slots=True)
class Loop:
    """The branch runs again until the condition holds after a round, `at_most` times."""

    until: Expression
    at_most: int
    on_limit: str
    unknown: str


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One procedural element. `branches` run side by side, each one child after the other.

    `level`: procedure, unit_procedure, operation, phase, transition, parallel, select or loop.
    `then`: what follows an alternative operation. `place`: where it stands in the recipe.
    """

    path: str
    level: str
    title: str
    parent: str
    branches: tuple[tuple[str, ...], ...]
    rule: Select | Loop | None = None
    then: str = ""
    place: Path_ = ()


@dataclass(frozen=True, slots=True)
class Amendment:
    """What a running batch has that its recipe has not.

    value: parameter `name` of the phase at `path` is `text`, by a change; resolved: the same, as
    its phase found it at its start; insert: a phase of class `name` at `path`, behind `after`,
    with `values`.
    """

    kind: str
    path: str
    name: str
    text: str = ""
    after: str = ""
    values: tuple[tuple[str, str], ...] = ()


def amend(amendments: tuple[Amendment, ...], new: Amendment) -> tuple[Amendment, ...]:
    """The amendments with a new one, in the place of an older one of the same thing."""
    key = (new.kind, new.path, new.name)
    return (*(each for each in amendments if (each.kind, each.path, each.name) != key), new)


@dataclass(frozen=True, slots=True)
class ControlPlan:
    """An in-process control of `variable`: limits, when it applies, and what follows outside."""

    id: str
    title: str
    variable: str
    dimension: str
    low: float | None
    high: float | None
    when: Expression | None
    outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CarePlan:
    """The operation that runs once the procedure has been Held for `after_ns`."""

    path: str
    after_ns: int


@dataclass(frozen=True, slots=True)
class FormulaValue:
    """A formula parameter as checked. `low` and `high` are its registered range, canonical."""

    value: float | None
    low: float
    high: float
    dimension: str
    source: str


@dataclass(frozen=True, eq=False)
class ControlRecipe:
    """A recipe compiled against a unit's offer, frozen for one batch. Equal only to itself.

    `nodes` is in procedure order with the batch itself first; alternatives and the care of a long
    Hold come last. `digest` covers the recipe file, the offer and the formula values in force.
    """

    id: str
    version: str
    title: str
    unit: str
    unit_version: str
    formula: Mapping[str, str]
    nodes: Mapping[str, NodePlan]
    phases: Mapping[str, PhasePlan]
    variables: Mapping[str, str]
    controls: tuple[ControlPlan, ...]
    care: CarePlan | None
    ranges: Mapping[str, FormulaValue]
    offer: Offer
    document: Document
    recipe_sha256: str
    offer_sha256: str
    digest: str

    @property
    def root(self) -> str:
        """The path of the procedure itself."""
        return next(iter(self.nodes))

    @cached_property
    def upwards(self) -> tuple[str, ...]:
        """Every element after its parts."""
        return tuple(reversed(list(self.nodes)))

    @cached_property
    def parts(self) -> Mapping[str, tuple[str, ...]]:
        """The elements right below each, alternatives with them."""
        found: dict[str, list[str]] = {path: [] for path in self.nodes}
        for path, node in self.nodes.items():
            if node.parent:
                found[node.parent].append(path)
        return {path: tuple(parts) for path, parts in found.items()}

    def element(self, path: str) -> str:
        """The path of an element named by a person; `procedure` or nothing is the whole."""
        return self.root if path in ("", "procedure") else path

    def ancestor(self, path: str, level: str) -> str:
        """The element of `level` that `path` belongs to; the outermost if there is none."""
        while True:
            node = self.nodes[path]
            if node.level == level or not node.parent:
                return path
            path = node.parent

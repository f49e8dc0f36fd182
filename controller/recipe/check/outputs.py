"""What a phase moves, and whether it ends what it began: after running, on Stop and on Abort.

Counted are outputs that are a phase's business (see plant.py) and loops that drive nothing else.
A class may leave an output on for later phases if it says so (`leaves`), but its stopping and
aborting logics must end it from every step, because then no later phase comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.recipe.check import reason
from controller.recipe.check.bounds import Span
from controller.recipe.check.plant import Plant
from controller.recipe.check.reason import Scope
from controller.recipe.expression import Expression
from controller.recipe.plan import Assignment, FollowStep, PhasePlan, SetStep, Step

_AT_REST = frozenset({"off"})
ENDINGS = ("stopping", "aborting", "leaving")


@dataclass(frozen=True, slots=True)
class Effect:
    """What one logic does to outputs and loops.

    `on`: left on at its end, with the step that did it; `ever`: moved from the safe position at
    some step; `ends`: put to rest whatever came before; `drives`: everything it gives a value.
    """

    on: Mapping[str, int]
    ever: Mapping[str, int]
    ends: frozenset[str]
    drives: frozenset[str]


@dataclass(slots=True)
class _Run:
    on: dict[str, int] = field(default_factory=dict)
    ever: dict[str, int] = field(default_factory=dict)
    ends: set[str] = field(default_factory=set)
    drives: set[str] = field(default_factory=set)
    condition: dict[str, str] = field(default_factory=dict)

    def begin(self, target: str, index: int, when: str) -> None:
        if target not in self.on:
            self.condition[target] = when
        self.on[target] = index
        self.ever.setdefault(target, index)
        self.ends.discard(target)

    def end(self, target: str, when: str) -> None:
        """A conditional end ends what began under the same condition."""
        if not when:
            self.ends.add(target)
        if not when or self.condition.get(target) == when:
            self.on.pop(target, None)


def effect(steps: Iterable[Step], plant: Plant, scope: Scope) -> Effect:
    """What a logic does, step by step."""
    run = _Run()
    for index, step in enumerate(steps):
        when = step.when.text if step.when is not None else ""
        for item in items(step):
            _one(run, item, index, when, plant, scope)
    return Effect(run.on, run.ever, frozenset(run.ends), frozenset(run.drives))


def items(step: Step) -> tuple[Assignment, ...]:
    """What a step sets."""
    if isinstance(step, SetStep):
        return step.items
    return (step.item,) if isinstance(step, FollowStep) else ()


def _one(run: _Run, item: Assignment, index: int, when: str, plant: Plant, scope: Scope) -> None:
    target = item.target
    if item.verb == "set_output":
        run.drives.add(target)
        if target in plant.owned:
            if is_safe(item, plant, scope):
                run.end(target, when)
            else:
                run.begin(target, index, when)
    elif item.verb in ("set_mode", "set_sp"):
        run.drives.add(target)
        if item.verb == "set_mode" and target in plant.drives:
            if item.value in _AT_REST:
                run.end(target, when)
            else:
                # A loop that was on leaves its outputs where they were.
                for each in (target, *sorted(plant.drives[target] & plant.owned)):
                    run.begin(each, index, when)


def is_safe(item: Assignment, plant: Plant, scope: Scope) -> bool:
    """Whether an output is given its safe position, whatever the values."""
    safe = plant.safe.get(item.target, 0.0)
    if isinstance(item.value, Expression):
        found = reason.worth(item.value, scope)
        return isinstance(found, Span) and found.low == found.high == safe
    return float(item.value) == safe


@dataclass(frozen=True, slots=True)
class Ending:
    """How a phase leaves its outputs.

    `left`: on after running, with the step; `again`: moved by the restarting logic and not ended
    by running; `ends`: at rest after running; `ended`: at rest after each of the other logics that
    end a phase; `moved`: everything owned that it moves at some step, with logic and step.
    """

    left: Mapping[str, int]
    again: frozenset[str]
    ends: frozenset[str]
    ended: Mapping[str, frozenset[str]]
    moved: Mapping[str, tuple[str, int]]
    drives: frozenset[str]


def ending(plan: PhasePlan, plant: Plant, scope: Scope) -> Ending:
    """How one phase leaves its outputs."""
    run = {logic: effect(steps, plant, scope) for logic, steps in plan.logics.items()}
    nothing = effect((), plant, scope)
    running, again = run["running"], run.get("restarting", nothing)
    moved = {target: ("running", index) for target, index in running.ever.items()}
    for logic in ("holding", "restarting"):
        for target, index in run.get(logic, nothing).ever.items():
            moved.setdefault(target, (logic, index))
    drives = frozenset().union(
        *(run[logic].drives for logic in ("running", "holding", "restarting") if logic in run)
    )
    return Ending(
        left=running.on,
        again=frozenset(set(again.on) - running.ends - set(running.on)),
        ends=running.ends,
        ended={logic: run.get(logic, nothing).ends for logic in ENDINGS},
        moved=moved,
        drives=drives,
    )

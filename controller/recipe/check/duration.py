"""How long a recipe takes: at least, as a rule, at most, for each operation and the whole.

What it assumes is said with the figures (ASSUMED). Ages carry the culture's clock from phase to
phase: `age(inoculated) >= 168 h` ends when the culture is that old, however long the days before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.recipe.check import questions, reason
from controller.recipe.check.case import Case
from controller.recipe.check.reason import Scope
from controller.recipe.expression import Expression
from controller.recipe.plan import (
    FollowStep,
    Loop,
    PhasePlan,
    PromptStep,
    Select,
    SetStep,
    Step,
    TimeStep,
    WaitStep,
)

PROMPT_S = 120.0
_SHARE = 0.25
ASSUMED = (
    "At least: people answer at once, the process is there when it is asked for, a selection takes "
    "its shortest branch, a loop runs once or until its age is reached. As a rule: a person "
    "answers in 2 min, the process needs a quarter of a wait's time-out, steps under a condition "
    "are left out, a selection takes its first branch, a loop runs half its rounds or until its "
    "age is reached. At most: every wait and every prompt takes its whole time-out, every loop all "
    "its rounds, and nobody holds the batch; a prompt without a time-out counts as 2 min."
)
_CASES = ("least", "typical", "most")


@dataclass(frozen=True, slots=True)
class Duration:
    """Of one operation, or of the whole when `path` is its root: all in s."""

    path: str
    title: str
    least_s: float
    typical_s: float
    most_s: float


@dataclass(slots=True)
class _Clock:
    """One of the three: the time, when each variable was set last, and when a branch beside this
    one will set it; how long each element took."""

    case: str
    now_s: float = 0.0
    set_s: dict[str, float] = field(default_factory=dict)
    beside_s: Mapping[str, float] = field(default_factory=dict)
    taken_s: dict[str, float] = field(default_factory=dict)

    def branch(self, beside_s: Mapping[str, float] | None = None) -> _Clock:
        """A clock for a branch."""
        beside = self.beside_s if beside_s is None else beside_s
        return _Clock(self.case, self.now_s, dict(self.set_s), beside)


def durations(case: Case) -> tuple[Duration, ...]:
    """The operations in their order, then the whole."""
    recipe = case.recipe
    runs = []
    for name in _CASES:
        clock = _Clock(name)
        _node(case, clock, recipe.root)
        runs.append(clock.taken_s)
    paths = [path for path, node in recipe.nodes.items()
             if node.level == "operation" and path in runs[0]]  # fmt: skip
    return tuple(_duration(case, path, runs) for path in (*paths, recipe.root))


def _duration(case: Case, path: str, runs: Sequence[Mapping[str, float]]) -> Duration:
    # Which branch is the longest may depend on what began when: the three are put in order.
    least, typical, most = sorted(taken_s.get(path, 0.0) for taken_s in runs)
    return Duration(path, case.recipe.nodes[path].title, least, typical, most)


def _node(case: Case, clock: _Clock, path: str) -> None:
    begin_s = clock.now_s
    node = case.recipe.nodes[path]
    if path in case.walk.skipped:
        pass
    elif path in case.recipe.phases:
        _phase(case, clock, case.recipe.phases[path])
    elif isinstance(node.rule, Select):
        _select(case, clock, node.branches)
    elif isinstance(node.rule, Loop):
        _loop(case, clock, path, node.rule)
    elif len(node.branches) > 1:
        _side_by_side(case, clock, node.branches)
    else:
        _sequence(case, clock, node.branches[0] if node.branches else ())
    clock.taken_s[path] = clock.taken_s.get(path, 0.0) + clock.now_s - begin_s


def _sequence(case: Case, clock: _Clock, paths: Iterable[str]) -> None:
    for path in paths:
        _node(case, clock, path)


def _branch(
    case: Case, clock: _Clock, paths: Iterable[str], beside_s: Mapping[str, float] | None = None
) -> _Clock:
    own = clock.branch(beside_s)
    _sequence(case, own, paths)
    return own


def _side_by_side(case: Case, clock: _Clock, branches: tuple[tuple[str, ...], ...]) -> None:
    """Goes on when the last branch is done. One that waits for what another sets is followed once
    more, when it is known when that is set."""
    first = [_branch(case, clock, branch) for branch in branches]
    done = []
    for number, branch in enumerate(branches):
        beside = {
            name: at
            for other, each in enumerate(first) if other != number
            for name, at in each.set_s.items() if at != clock.set_s.get(name)
        }  # fmt: skip
        asks = frozenset().union(*(_asks(case, path) for path in branch)) & beside.keys()
        again = asks and not asks <= clock.beside_s.keys()
        beside |= clock.beside_s
        done.append(_branch(case, clock, branch, beside) if again else first[number])
    for each in done:
        clock.set_s |= {name: max(at, clock.set_s.get(name, at)) for name, at in each.set_s.items()}
        _took(clock, each)
    clock.now_s = max(each.now_s for each in done)


def _asks(case: Case, path: str) -> frozenset[str]:
    """The variables that loops and waits in an element look at."""
    found: frozenset[str] = frozenset()
    rule = case.recipe.nodes[path].rule
    if isinstance(rule, Loop):
        found |= rule.until.names
    if path in case.recipe.phases:
        for step in case.recipe.phases[path].logics["running"]:
            if isinstance(step, WaitStep):
                found |= step.condition.names
    return found.union(*(_asks(case, part) for part in case.recipe.parts[path]))


def _took(clock: _Clock, branch: _Clock) -> None:
    for path, taken_s in branch.taken_s.items():
        clock.taken_s[path] = clock.taken_s.get(path, 0.0) + taken_s


def _select(case: Case, clock: _Clock, branches: tuple[tuple[str, ...], ...]) -> None:
    own = [_branch(case, clock, branch) for branch in branches]
    if clock.case == "typical":
        chosen = own[0]
    else:
        pick = min if clock.case == "least" else max
        chosen = pick(own, key=lambda each: each.now_s)
    clock.now_s, clock.set_s = chosen.now_s, chosen.set_s
    for each in own:
        _took(clock, each)


def _loop(case: Case, clock: _Clock, path: str, rule: Loop) -> None:
    """One round is followed, the others take as long as it did."""
    begin_s = clock.now_s
    _sequence(case, clock, case.recipe.nodes[path].branches[0])
    round_s = clock.now_s - begin_s
    rest = rule.at_most - 1
    beside_s = _beside(rule.until, clock)
    if beside_s is not None:
        rest = min(rest, -int(-beside_s // max(round_s, 1.0)))
    elif clock.case != "most":
        left_s = _age_left(rule.until, clock, case.values.scope)
        if left_s is not None:
            rest = min(rest, -int(-left_s // max(round_s, 1.0)))
        else:
            rest = rest // 2 if clock.case == "typical" else 0
    clock.now_s += rest * round_s


def _phase(case: Case, clock: _Clock, plan: PhasePlan) -> None:
    scope = case.values.of_phase(plan)
    for step in plan.logics["running"]:
        if step.when is not None and not _runs(clock, step.when, scope):
            continue
        clock.now_s += _step_s(clock, step, scope)
        if isinstance(step, PromptStep) and step.into:
            clock.set_s[step.into] = clock.now_s
        if isinstance(step, SetStep):
            for item in step.items:
                if item.verb == "set_variable":
                    clock.set_s[item.target] = clock.now_s


def _runs(clock: _Clock, when: Expression, scope: Scope) -> bool:
    found = reason.truth(when, scope)
    return found.true if clock.case == "most" else not found.false


def _step_s(clock: _Clock, step: Step, scope: Scope) -> float:
    if isinstance(step, TimeStep):
        return step.duration_ns / 1e9
    if isinstance(step, PromptStep):
        timeout_s = step.timeout_ns / 1e9
        if clock.case == "most":
            return timeout_s or PROMPT_S
        return min(PROMPT_S, timeout_s or PROMPT_S) if clock.case == "typical" else 0.0
    if isinstance(step, FollowStep):
        if step.until is None:
            return step.duration_ns / 1e9
        return _until_s(clock, step.until, step.timeout_ns / 1e9, scope)
    if isinstance(step, WaitStep):
        return _until_s(clock, step.condition, step.timeout_ns / 1e9, scope)
    return 0.0


def _until_s(clock: _Clock, condition: Expression, timeout_s: float, scope: Scope) -> float:
    """How long a wait takes: an age is waited for, the rest is reckoned from the time-out."""
    left_s = _age_left(condition, clock, scope)
    if left_s is None:
        left_s = _beside(condition, clock)
    if left_s is not None:
        return left_s
    held_s = questions.held_longest(condition)
    if clock.case == "least":
        return held_s
    if clock.case == "most":
        return max(timeout_s, held_s)
    return held_s + max(0.0, timeout_s - held_s) * _SHARE


def _beside(condition: Expression, clock: _Clock) -> float | None:
    """How long until a branch beside sets what a condition looks at; None if none does."""
    left = [clock.beside_s[name] - clock.now_s for name in condition.names & clock.beside_s.keys()]
    return max(0.0, *left) if left else None


def _age_left(condition: Expression, clock: _Clock, scope: Scope) -> float | None:
    """How long until the ages a condition asks for are reached; None if it asks for none.

    Where one of several would do, at least nothing is waited for.
    """
    needed = reason.ages_needed(condition, scope)
    left = [_left(clock, name, age_s) for name, age_s in needed.items() if age_s > 0]
    if left:
        return max(0.0, *left)
    enough = [_left(clock, *each) for each in reason.ages_enough(condition, scope)]
    if enough and clock.case != "least":
        return max(0.0, min(enough))
    return None


def _left(clock: _Clock, name: str, age_s: float) -> float:
    return clock.set_s.get(name, clock.now_s) + age_s - clock.now_s

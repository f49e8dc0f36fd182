"""What is so when each step of a recipe begins, whatever way led there.

Follows the procedure in its order, joins ways that meet and keeps the flow before every element and
every running step. Ways that only an exception takes are followed too, and meet the others after
the operation they interrupt. Other parts of the check look up here what they may rely on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from controller.recipe.check import questions, reason
from controller.recipe.check.outputs import Ending, ending
from controller.recipe.check.plant import Plant
from controller.recipe.check.reason import Scope
from controller.recipe.check.values import Values, sets
from controller.recipe.offer import OF_THE_BATCH
from controller.recipe.plan import (
    ControlRecipe,
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

BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(frozen=True, slots=True)
class Flow:
    """What is so at one place.

    `known`: variables set on every way here, `maybe`: on some way; `ages`: how old they are at
    least, in s; `left`: what earlier phases left on, and which; `guard`: whether cells depend on
    the environment: before, during, after.
    """

    known: frozenset[str] = frozenset(OF_THE_BATCH)
    maybe: frozenset[str] = frozenset(OF_THE_BATCH)
    ages: Mapping[str, float] = field(default_factory=dict)
    left: Mapping[str, frozenset[str]] = field(default_factory=dict)
    guard: frozenset[str] = frozenset({BEFORE})

    def joined(self, other: Flow) -> Flow:
        """What is so when either way was taken."""
        ages = {name: min(age, other.ages[name]) for name, age in self.ages.items()
                if name in other.ages}  # fmt: skip
        return Flow(
            self.known & other.known, self.maybe | other.maybe, ages,
            _union(self.left, other.left), self.guard | other.guard,
        )  # fmt: skip

    def seen(self, scope: Scope) -> Scope:
        """A scope with what is known here."""
        return replace(scope, known=self.known, maybe=self.maybe, ages=self.ages)


@dataclass(slots=True)
class Walk:
    """The walk through one recipe. `entry`: the flow before each element that can be reached;
    `before`: the flow before each running step, by path and index; `endings`: of each phase."""

    recipe: ControlRecipe
    plant: Plant
    values: Values
    skipped: frozenset[str] = frozenset()
    entry: dict[str, Flow] = field(default_factory=dict)
    before: dict[tuple[str, int], Flow] = field(default_factory=dict)
    endings: dict[str, Ending] = field(default_factory=dict)
    _written: dict[str, frozenset[str]] = field(default_factory=dict)
    _known_endings: dict[int, Ending] = field(default_factory=dict)

    def run(self, start: Flow) -> Flow:
        """Follows everything; returns the flow at the end of the procedure."""
        for path in self.recipe.upwards:
            self._written[path] = self._sets_below(path)
        end = self._node(self.recipe.root, start)
        if self.recipe.care is not None:
            # It may begin at any time of the batch: what it reads is somebody else's concern.
            every = self._written[self.recipe.root] | start.maybe
            self._node(self.recipe.care.path, replace(start, known=every, maybe=every))
        return end

    def scope(self, plan: PhasePlan, index: int) -> Scope:
        """What a running step sees."""
        flow = self.before.get((plan.path, index)) or self.entry[plan.path]
        return flow.seen(self.values.of_phase(plan))

    def written(self, path: str) -> frozenset[str]:
        """The variables anything in an element sets."""
        return self._written[path]

    def _sets_below(self, path: str) -> frozenset[str]:
        if path in self.recipe.phases:
            logics = self.recipe.phases[path].logics.values()
            return frozenset().union(*(sets(step) for steps in logics for step in steps))
        parts = self.recipe.parts[path]
        return frozenset().union(*(self._written[part] for part in parts))

    def _node(self, path: str, flow: Flow) -> Flow:
        self.entry[path] = self.entry[path].joined(flow) if path in self.entry else flow
        if path in self.skipped:
            return flow
        if path in self.recipe.phases:
            return self._phase(self.recipe.phases[path], flow)
        node = self.recipe.nodes[path]
        if isinstance(node.rule, Select):
            out = _any(self._sequence(branch, flow) for branch in node.branches)
        elif isinstance(node.rule, Loop):
            out = self._sequence(node.branches[0], self._again(path, flow, node.rule))
        elif len(node.branches) > 1:
            out = self._side_by_side(node.branches, flow)
        else:
            out = self._sequence(node.branches[0] if node.branches else (), flow)
        return self._diverted(path, out) if node.level == "operation" and not node.then else out

    def _again(self, path: str, flow: Flow, rule: Loop) -> Flow:
        """The flow before any round: what an earlier round set may be set, and is young."""
        written = self._written[path] if rule.at_most > 1 else frozenset()
        ages = {name: age for name, age in flow.ages.items() if name not in written}
        return replace(flow, maybe=flow.maybe | written, ages=ages)

    def _sequence(self, paths: Iterable[str], flow: Flow) -> Flow:
        for path in paths:
            flow = self._node(path, flow)
        return flow

    def _side_by_side(self, branches: tuple[tuple[str, ...], ...], flow: Flow) -> Flow:
        """Each branch runs to its end; what another sets may come at any time."""
        outs = []
        for number, branch in enumerate(branches):
            beside = frozenset().union(
                *(self._written[path] for other, paths in enumerate(branches) if other != number
                  for path in paths)
            )  # fmt: skip
            # What is set anew beside is young again.
            ages = {name: age for name, age in flow.ages.items() if name not in beside}
            outs.append(self._sequence(branch, replace(flow, maybe=flow.maybe | beside, ages=ages)))
        ended = {target for target in flow.left if any(target not in out.left for out in outs)}
        left: Mapping[str, frozenset[str]] = {}
        ages = {}
        for out in outs:
            left = _union(left, {t: by for t, by in out.left.items() if t not in ended})
            ages |= {name: max(age, ages.get(name, 0.0)) for name, age in out.ages.items()}
        guards = [out.guard for out in outs if out.guard != flow.guard]
        return Flow(
            frozenset().union(*(out.known for out in outs)),
            frozenset().union(*(out.maybe for out in outs)), ages, left,
            guards[0] if len(guards) == 1 else frozenset().union(*(out.guard for out in outs)),
        )  # fmt: skip

    def _diverted(self, path: str, out: Flow) -> Flow:
        """Joins what comes of alternatives that the phases of an operation may go to."""
        seen: set[str] = set()
        ways = self._ways(path)
        while ways:
            target = next(iter(ways))
            after = self._node(target, ways.pop(target))
            if self.recipe.nodes[target].then == "next":
                out = out.joined(after)
            seen.add(target)
            # An alternative may be left for another one.
            ways |= {goal: flow for goal, flow in self._ways(target).items() if goal not in seen}
        return out

    def _ways(self, path: str) -> dict[str, Flow]:
        """The alternatives that phases of an operation may go to, with the flow before each."""
        found: dict[str, Flow] = {}
        for inner in self._leaves(path):
            plan = self.recipe.phases[inner]
            goals = {exception.target for exception in plan.exceptions} - {""}
            if inner in self.entry and inner not in self.skipped:
                for goal in sorted(goals):
                    flow = self._cut_off(plan, self.entry[inner])
                    found[goal] = found[goal].joined(flow) if goal in found else flow
        return found

    def _leaves(self, path: str) -> Iterable[str]:
        for part in self.recipe.parts[path]:
            if part in self.recipe.phases:
                yield part
            else:
                yield from self._leaves(part)

    def _cut_off(self, plan: PhasePlan, flow: Flow) -> Flow:
        """The flow after a phase was left for an alternative."""
        ended = self.endings[plan.path].ended["leaving"]
        left = {target: by for target, by in flow.left.items() if target not in ended}
        if plan.use:
            on = self.endings[plan.path].moved.keys() - ended
            own = on & set(self.recipe.offer.classes[plan.use].leaves)
            left |= {target: frozenset({plan.path}) for target in own}
        return replace(flow, maybe=flow.maybe | self._written[plan.path], left=left)

    def _phase(self, plan: PhasePlan, flow: Flow) -> Flow:
        scope = self.values.of_phase(plan)
        key = id(plan.logics)
        if plan.deferred or key not in self._known_endings:
            self._known_endings[key] = ending(plan, self.plant, scope)
        found = self.endings[plan.path] = self._known_endings[key]
        halves: dict[str, list[str]] = {}
        for index, step in enumerate(plan.logics["running"]):
            place = (plan.path, index)
            old = self.before.get(place)
            self.before[place] = flow if old is None else old.joined(flow)
            flow = self._step(step, flow, scope)
            if step.when is not None:
                whole = _completed(halves, sets(step), step.when.text)
                flow = replace(flow, known=flow.known | whole)
        left = {t: by for t, by in flow.left.items() if t not in found.ends}
        if plan.use:
            leaves = self.recipe.offer.classes[plan.use].leaves
            own = {t: frozenset({plan.path}) for t in found.left if t in leaves}
            left = {**left, **own}
        return replace(flow, left=left)

    def _step(self, step: Step, flow: Flow, scope: Scope) -> Flow:
        surely = step.when is None
        goes_on = not isinstance(step, SetStep | TimeStep) and "continue" in step.on_timeout
        new = sets(step)
        if isinstance(step, PromptStep | SetStep):
            ages = {**flow.ages, **dict.fromkeys(new, 0.0)}
            known = flow.known | new if surely and not goes_on else flow.known
            flow = replace(flow, known=known, maybe=flow.maybe | new, ages=ages)
        if isinstance(step, SetStep):
            return self._guarded(step, flow, surely)
        if not surely:
            return flow
        if isinstance(step, TimeStep):
            passed = step.duration_ns / 1e9
            return replace(flow, ages={name: age + passed for name, age in flow.ages.items()})
        condition = step.condition if isinstance(step, WaitStep) else None
        if isinstance(step, FollowStep):
            condition = step.until
        if condition is None or goes_on:
            return flow
        return _aged(flow, reason.ages_needed(condition, flow.seen(scope)))

    def _guarded(self, step: SetStep, flow: Flow, surely: bool) -> Flow:
        for item in step.items:
            if item.verb == "set_flag" and item.target == self.plant.guard:
                now = frozenset({DURING if item.value else AFTER})
                flow = replace(flow, guard=now if surely else flow.guard | now)
        return flow


def _completed(halves: dict[str, list[str]], names: frozenset[str], when: str) -> frozenset[str]:
    """The variables of a step that another one sets when this one's condition is false."""
    found = set()
    for name in names:
        if any(questions.contrary(when, other) for other in halves.get(name, ())):
            found.add(name)
        halves.setdefault(name, []).append(when)
    return frozenset(found)


def _aged(flow: Flow, ages: Mapping[str, float]) -> Flow:
    older = {name: max(age, flow.ages.get(name, 0.0)) for name, age in ages.items()}
    return replace(flow, ages={**flow.ages, **older})


def _any(flows: Iterable[Flow]) -> Flow:
    found = list(flows)
    out = found[0]
    for flow in found[1:]:
        out = out.joined(flow)
    return out


def _union(
    a: Mapping[str, frozenset[str]], b: Mapping[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    return {name: a.get(name, frozenset()) | b.get(name, frozenset()) for name in (*a, *b)}

"""Where a batch is in its chart, from its log alone: states, changes, and why each step waits.

Everything here follows from records, as the state of the batch itself does, so it can be said of a
batch that runs, of one that ended and of any prefix of a log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from controller.core.clock import NS_PER_S
from controller.core.quantity import CANONICAL, decimal_text
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState, OpenPrompt
from controller.recipe.batchclock import BatchClock
from controller.recipe.expression import Expression
from controller.recipe.offer import with_unit
from controller.recipe.pfc.build import WORD
from controller.recipe.pfc.model import Live, Table
from controller.recipe.plan import (
    ControlRecipe,
    FollowStep,
    Loop,
    NodePlan,
    PromptStep,
    Step,
    TimeStep,
    WaitStep,
)
from controller.recipe.runs import PhaseRun
from controller.recipe.states import FINAL, HELD, IDLE, PAUSED

_CHANGES: Final = (
    ("Deviation", "Change", "Element", "Was", "Is", "By, agreed by"),
    (0.13, 0.1, 0.25, 0.16, 0.18, 0.18),
)
_DEVIATIONS: Final = (("Deviation", "Of", "What", "By, agreed by"), (0.13, 0.22, 0.45, 0.2))
_AGE: Final = re.compile(r"age\s*\([^)]*\)")
_WORDS: Final = {"insert": "INSERTED", "repeat": "REPEATED", "skip": "SKIPPED"}
_WHERE: Final = (("Element", "State", "What it does, what it waits for"), (0.27, 0.12, 0.61))
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A record about a change or a deviation, and who made it."""

    data: Data
    actor: str

    @property
    def who(self) -> str:
        """Who did it, and who agreed."""
        second = str(self.data.get("second") or "")
        return f"{self.actor}, {second}" if second else self.actor


@dataclass(slots=True)
class Story:
    """What a log says beside the state: what people changed, and when its last record was made."""

    changes: list[Told] = field(default_factory=list)
    deviations: list[Told] = field(default_factory=list)
    last: str = ""
    count: int = 0
    _boot_id: str = ""
    _mono_ns: int = 0

    def take(self, record: Mapping[str, Any]) -> None:
        """Takes one decoded record."""
        self.last, self.count = str(record["time"]), self.count + 1
        self._boot_id = str(record.get("boot_id") or self._boot_id)
        self._mono_ns = int(record["mono_ns"])
        if record["event"] == "recipe.changed":
            self.changes.append(Told(record["data"], str(record["actor"])))
        elif record["event"] == "deviation.recorded":
            self.deviations.append(Told(record["data"], str(record["actor"])))

    def now_ns(self, clock: BatchClock) -> int:
        """The batch time of the last record, of whatever room it is."""
        if not self.last:
            return 0
        moment = round(datetime.fromisoformat(self.last).timestamp() * 1000)
        return clock.at(self._boot_id, self._mono_ns, moment)

    def of(self, path: str) -> list[Told]:
        """The changes of one element."""
        return [told for told in self.changes if told.data["path"] == path]

    def tables(self) -> tuple[Table, ...]:
        """The changes beside what the frozen recipe says, and the deviations."""
        found = []
        if self.changes:
            rows = tuple(_changed(told) for told in self.changes)
            found.append(Table("What people changed", *_CHANGES, rows))
        if self.deviations:
            rows = tuple(
                (str(d.data["deviation"]), str(d.data["target"]), str(d.data["what"]), d.who)
                for d in self.deviations
            )
            found.append(Table("Deviations recorded", *_DEVIATIONS, rows))
        return tuple(found)


def _changed(told: Told) -> tuple[str, ...]:
    data = told.data
    old, new = _value(data, data["old"]), _value(data, data["new"])
    if data["change"] in ("insert", "repeat"):
        old, new = f"behind {data['after']}", f"{data['name']} {new}".strip()
    elif data["name"]:
        old = f"{data['name']} {old}"
        new = f"{new} longer" if data["change"] == "extend" else new
    return (str(data["deviation"]), str(data["change"]), str(data["path"]), old, new, told.who)


def _value(data: Data, value: object) -> str:
    """A value of a change as people read it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {text}" for name, text in value.items())
    if data["change"] == "extend":
        return with_unit(float(str(value)), "time")
    return str(value)


def where(lives: Mapping[str, Live]) -> Table:
    """The elements something happens in, for the head of the chart: where it is, why it waits."""
    rows = tuple(
        (path, live.state, "; ".join(live.waits)) for path, live in lives.items() if live.waits
    )
    return Table("Where it is", *_WHERE, rows)


def lives(frozen: ControlRecipe, state: BatchState, story: Story) -> dict[str, Live]:
    """What the chart says at each element of the recipe as it runs."""
    teller = _Teller(frozen, state, story)
    return {path: teller.live(path) for path in teller.recipe.nodes}


class _Teller:
    def __init__(self, frozen: ControlRecipe, state: BatchState, story: Story) -> None:
        self.recipe = amended(frozen, state.amendments)
        self._state, self._story = state, story
        self._now_ns = max(story.now_ns(state.clock), state.clock.last_ns)

    def live(self, path: str) -> Live:
        """One element."""
        node, state = self.recipe.nodes[path], self._state
        waits = []
        if path in state.runs:
            waits = self._waits(path, state.runs[path])
        if isinstance(node.rule, Loop):
            waits += self._rounds(node, node.rule)
        if path == self.recipe.root and state.hold_causes:
            waits += [f"Held: {cause}" for cause in state.hold_causes]
            if state.held_ns >= 0:
                waits.append(f"for {span(self._now_ns - state.held_ns)}")
        return Live(
            state.node(path), tuple(self._marks(path)), tuple(waits), state.taken.get(path, -1),
            self._unwritten(path),
        )  # fmt: skip

    def _unwritten(self, path: str) -> frozenset[str]:
        """The parameters of a phase that are not as the recipe writes them."""
        plan = self.recipe.phases.get(path)
        if plan is None:
            return frozenset()
        found = [each for each in self._state.amendments if each.path == path]
        if any(each.kind == "insert" for each in found):
            return frozenset(plan.parameters)
        return frozenset(each.name for each in found)

    def _marks(self, path: str) -> list[str]:
        """What is not as the frozen recipe says, with the number of its deviation."""
        state, found = self._state, []
        for told in self._story.of(path):
            data, kind = told.data, told.data["change"]
            if kind == "set":
                found.append(f"CHANGED: {data['name']} = {data['new']} in place of {data['old']}, "
                             f"{data['deviation']}")  # fmt: skip
            elif kind == "extend":
                found.append(f"EXTENDED: {data['name']} by {_value(data, data['new'])}, "
                             f"{data['deviation']}")  # fmt: skip
            else:
                found.append(f"{_WORDS[kind]}, {data['deviation']}")
        for each in state.amendments:
            if each.kind == "resolved" and each.path == path:
                found.append(f"{each.name} = {each.text} as found at its start")
        if path in state.diverted:
            found.append(f"LEFT for {state.diverted[path]}")
        found += [f"IN PLACE OF {left}" for left, goal in state.diverted.items() if goal == path]
        return found

    def _rounds(self, node: NodePlan, rule: Loop) -> list[str]:
        over, now = self._state.loops.get(node.path, 0), self._state.node(node.path)
        if now == IDLE:
            return []
        if now in FINAL:
            # What is counted is rounds that led to another one, or to the limit.
            return [f"{min(over + 1, rule.at_most)} of at most {rule.at_most} rounds"]
        return [f"round {over + 1} of at most {rule.at_most}"]

    # -- why a phase waits ------------------------------------------------------------------------

    def _waits(self, path: str, run: PhaseRun) -> list[str]:
        state = self._state.node(path)
        if not run.logic:
            return self._at_rest(path, run, state)
        steps = self.recipe.phases[path].logics[run.logic]
        if run.index < 0:
            return [f"{run.logic}: its first step comes next"]
        step = steps[run.index]
        logic = "" if run.logic == "running" else f"{run.logic}, "
        found = [f"{logic}step {run.index + 1} of {len(steps)}: {step.text}"]
        if run.over or state == PAUSED:
            return [*found, "is over; the next one waits for resume"]
        return found + self._why(path, run, step)

    def _at_rest(self, path: str, run: PhaseRun, state: str) -> list[str]:
        back, steps = run.resume, self.recipe.phases[path].logics["running"]
        if state != HELD or back is None or back.index < 0:
            return ["waits for restart"] if state == HELD else []
        text = steps[back.index].text
        return [f"waits for restart; was at step {back.index + 1} of {len(steps)}: {text}"]

    def _why(self, path: str, run: PhaseRun, step: Step) -> list[str]:
        if isinstance(step, TimeStep):
            rest_ns = step.duration_ns + run.extra_ns - run.elapsed(self._now_ns)
            return [f"ends in {span(rest_ns)}"]
        if isinstance(step, WaitStep):
            found = [f"waits for: {self._worded(path, step.condition.text)}"]
            found += [f"part {part + 1} of held(...) holds for {span(self._now_ns - since_ns)}"
                      for part, since_ns in run.held]  # fmt: skip
            return found + self._known(step.condition) + self._overdue(run, step)
        if isinstance(step, PromptStep):
            return self._asks(path) + self._overdue(run, step)
        if isinstance(step, FollowStep):
            found = [f"follows {step.item.target}{self._followed(run, step)}"]
            if step.until is not None:
                until = self._worded(path, step.until.text)
                found += [f"until {until}", *self._known(step.until)]
            else:
                rest_ns = step.duration_ns + run.extra_ns - run.elapsed(self._now_ns)
                found.append(f"for another {span(rest_ns)}")
            return found + self._overdue(run, step)
        return []

    def _asks(self, path: str) -> list[str]:
        """The open prompts of a phase."""
        return [line for name, prompt in self._state.prompts.items() if prompt.path == path
                for line in self._prompt(name, prompt)]  # fmt: skip

    def _prompt(self, name: str, prompt: OpenPrompt) -> list[str]:
        found = [f"waits for people: prompt {name}, open for "
                 f"{span(self._now_ns - prompt.opened_ns)}"]  # fmt: skip
        if prompt.first:
            found.append(f"{prompt.first_by} entered {prompt.first}: needs entering again")
        if prompt.again:
            found.append(f"again, because {prompt.again}")
        return found

    def _worded(self, path: str, text: str) -> str:
        """A condition with parameters as values."""
        plan = self.recipe.phases[path]
        values = plan.parameters if plan.use else self.recipe.formula
        return WORD.sub(lambda match: values.get(match[0], match[0]), text)

    def _followed(self, run: PhaseRun, step: FollowStep) -> str:
        if not run.last:
            return ""
        equipment, target = self.recipe.offer.equipment, step.item.target
        dimension = equipment.outputs.get(target) or equipment.loops.get(target.partition(".")[0])
        number = float(decimal_text(float(run.last), 4))
        return f", now {with_unit(number, dimension) if dimension in CANONICAL else run.last}"

    def _known(self, condition: Expression) -> list[str]:
        """The variables of a condition, as last set. Readings are not in the records."""
        found = []
        for name in sorted(condition.names & set(self.recipe.variables)):
            known = self._state.variables.get(name)
            if known is None:
                found.append(f"{name} is not known yet")
            elif name in condition.ages and name not in WORD.findall(_AGE.sub("", condition.text)):
                found.append(f"age({name}) is {span(self._now_ns - known.set_ns)}")
            elif isinstance(known.value, str):
                found.append(f"{name} is {known.value!r}")
            else:
                text = with_unit(float(decimal_text(known.value, 4)), self.recipe.variables[name])
                found.append(f"{name} is {text}, for {span(self._now_ns - known.set_ns)}")
        return found

    def _overdue(self, run: PhaseRun, step: WaitStep | PromptStep | FollowStep) -> list[str]:
        if not step.timeout_ns:
            return []
        then = step.on_timeout[min(run.overdue, len(step.on_timeout) - 1)]
        rest_ns = step.timeout_ns + run.extra_ns - run.elapsed(self._now_ns)
        times = f", overdue {run.overdue} times" if run.overdue else ""
        return [f"time-out in {span(rest_ns)}: {then}{times}"]


def span(ns: int) -> str:
    """A time as people read it: `2 h 05 min`, `4 min 10 s`, `12 s`."""
    whole = max(round(ns / NS_PER_S), 0)
    hours, rest = divmod(whole, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h" + (f" {minutes:02d} min" if minutes else "")
    if minutes:
        return f"{minutes} min" + (f" {seconds:02d} s" if seconds else "")
    return f"{seconds} s"

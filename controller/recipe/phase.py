"""One phase, one step at a time: is the present step over, and what does the next one say.

Waiting never changes anything; a held condition, a time-out, a followed value and every step are
records. Unknown is never true: a wait goes on waiting, a set step holds the batch, a followed value
keeps its last.
"""

from __future__ import annotations

from typing import Literal

from controller.core.clock import NS_PER_S
from controller.core.quantity import decimal_text
from controller.recipe.decision import Draft, End
from controller.recipe.expression import Expression
from controller.recipe.plan import (
    Assignment,
    ExceptionPlan,
    FollowStep,
    PromptStep,
    SetStep,
    Step,
    TimeStep,
    WaitStep,
)
from controller.recipe.runs import PhaseRun
from controller.recipe.states import PAUSED, PAUSING, RUNNING

# The `until` of a follow step is looked at this often.
_UNTIL_EVERY_NS = 10_000_000_000
# A sample may change a rate at most twofold (safety.md, data entry).
_FOLD_MAX = 2.0
_EXCEPTIONS_EVERY_NS = NS_PER_S
# Elsewhere an unknown value stops nothing: what holds, stops or aborts does the rest of it.
_MAY_HOLD = frozenset({"running", "restarting"})


def advance(draft: Draft, path: str) -> End | None:
    """Takes a phase at most one step on; returns a wish for Hold or Abort."""
    run, state = draft.state.runs[path], draft.state.node(path)
    if not run.logic or state == PAUSED:
        return None
    steps = draft.recipe.phases[path].logics.get(run.logic, ())
    if state == PAUSING and not draft.recipe.phases[path].use:
        draft.change(path, "done", "a transition may pause at once")
        return None
    if run.renew:
        return _begin(draft, path, run, run.index, steps[run.index])
    if run.index >= 0 and not run.over:
        finished = _finished(draft, path, run, steps[run.index])
        if finished is not True:
            return finished
    following = run.index + 1
    if state == PAUSING:
        if following == len(steps):
            _at_its_end(draft, path)
            return None
        if following == 0 or steps[following].pause:
            draft.change(path, "done", "here it may pause")
            return None
    if following < len(steps):
        return _begin(draft, path, run, following, steps[following])
    if run.logic == "restarting":
        _re_enter(draft, path, run)
    draft.change(path, "done", f"{run.logic} logic is done")
    return None


def _at_its_end(draft: Draft, path: str) -> None:
    """A phase that found no place to pause completes, and what follows it waits: a phase that
    paused with all its steps behind it would do its Hold with nothing left to put that right."""
    cause, above = f"{path} is at its end", draft.recipe.nodes[path].parent
    if draft.state.node(above) == RUNNING:
        draft.change(above, "pause", cause)
    draft.change(path, "resume", cause)
    draft.change(path, "done", "running logic is done")


def _re_enter(draft: Draft, path: str, run: PhaseRun) -> None:
    """A restart goes on from the last declared re-entry step, where there is one."""
    steps = draft.recipe.phases[path].logics["running"]
    at = -1 if run.resume is None else run.resume.index
    index = max((i for i in range(min(at + 1, len(steps))) if steps[i].re_entry), default=-1)
    if index >= 0:
        draft.emit("step.re_entry", path=path, index=index, at=at)


def exception(draft: Draft, path: str) -> tuple[ExceptionPlan, str] | None:
    """The first exception of a running phase whose condition holds, with the cause in words."""
    for found in draft.recipe.phases[path].exceptions:
        if found.condition is None:
            continue
        draft.wake(draft.now_ns + _EXCEPTIONS_EVERY_NS)
        if found.do == "go_to" and draft.recipe.ancestor(path, "operation") in draft.state.diverted:
            continue
        value = found.condition.evaluate(draft)
        if value is True:
            return found, found.condition.text
        if value is None and found.unknown == "act":
            return found, f"{found.condition.text} is unknown"
    return None


def place(path: str, index: int) -> str:
    """A step as people name it: they count from 1."""
    return f"{path} step {index + 1}"


def prompt_id(path: str, logic: str, index: int, step: PromptStep) -> str:
    """The name a prompt is answered by: stable over runs of a recipe."""
    return f"{path}.{step.id or f'{logic}{index}'}"


def _begin(draft: Draft, path: str, run: PhaseRun, index: int, step: Step) -> End | None:
    if run.renew and run.skipped:
        draft.emit("step.skipped", path=path, index=index, text=step.text)
        return None
    if step.when is not None and not run.renew and step.when.evaluate(draft) is False:
        draft.emit("step.skipped", path=path, index=index, text=step.text)
        return None
    source = place(path, index)
    if isinstance(step, SetStep):
        values = [_value(draft, item) for item in step.items]
        pairs = [
            (item, value)
            for item, value in zip(step.items, values, strict=True)
            if value is not None
        ]
        missing = [i.target for i, v in zip(step.items, values, strict=True) if v is None]
        if missing:
            draft.emit("step.unknown", path=path, index=index, text=", ".join(missing))
            if run.logic in _MAY_HOLD:
                return End("hold", f"{source}: the value for {missing[0]} is unknown")
        # Variables before the step: cut off in between, the step is done anew from what it
        # read before (a set step never reads what it sets).
        for item, value in pairs:
            if item.verb == "set_variable" and not isinstance(value, bool):
                draft.set_variable(item.target, value, source)
        draft.emit("step.started", path=path, index=index, text=step.text)
        for item, value in pairs:
            if item.verb != "set_variable":
                draft.command(item.verb, item.target, value, source)
        return None
    draft.emit("step.started", path=path, index=index, text=step.text)
    return None


def _value(draft: Draft, item: Assignment) -> float | bool | str | None:
    if not isinstance(item.value, Expression):
        return float(item.value) if item.verb == "set_output" else item.value
    value = item.value.evaluate(draft)
    return value if value is None or isinstance(value, str) else float(decimal_text(float(value)))


def _finished(draft: Draft, path: str, run: PhaseRun, step: Step) -> Literal[True] | End | None:
    """True when the step is over, None while it goes on."""
    if run.skipped or isinstance(step, SetStep):
        return True
    if isinstance(step, WaitStep):
        return _wait(draft, path, run, step)
    if isinstance(step, TimeStep):
        return _time(draft, run, step.duration_ns + run.extra_ns)
    if isinstance(step, PromptStep):
        if run.answered:
            return True
        name = prompt_id(path, run.logic, run.index, step)
        if name not in draft.state.prompts:
            draft.emit("prompt.opened", prompt_id=name, path=path, kind=step.kind, text=step.text)
        return _overdue(draft, path, run, step)
    return _follow(draft, path, run, step)


def _time(draft: Draft, run: PhaseRun, duration_ns: int) -> Literal[True] | None:
    rest_ns = duration_ns - run.elapsed(draft.now_ns)
    if rest_ns <= 0:
        return True
    draft.wake(draft.now_ns + rest_ns)
    return None


def _wait(draft: Draft, path: str, run: PhaseRun, step: WaitStep) -> Literal[True] | End | None:
    parts = {part for part, _ in run.held}
    for part, held in enumerate(step.condition.held):
        holds = held.condition(draft) is True
        if holds is not (part in parts):
            draft.emit("step.condition", path=path, index=run.index, part=part, holds=holds)
    draft.look(draft.state.runs[path], step.condition.held)
    value = step.condition.evaluate(draft)
    if value is True:
        return True
    if value is None and step.unknown == "hold" and run.logic in _MAY_HOLD:
        draft.emit("step.unknown", path=path, index=run.index, text=step.text)
        return End("hold", f"{place(path, run.index)}: {step.condition.text} is unknown")
    draft.wake(draft.now_ns + step.every_ns)
    return _overdue(draft, path, run, step)


def _overdue(
    draft: Draft, path: str, run: PhaseRun, step: WaitStep | PromptStep | FollowStep
) -> Literal[True] | End | None:
    """What becomes of a step that has waited too long; its timer begins anew."""
    if not step.timeout_ns:
        return None
    rest_ns = step.timeout_ns + run.extra_ns - run.elapsed(draft.now_ns)
    if rest_ns > 0:
        draft.wake(draft.now_ns + rest_ns)
        return None
    then = step.on_timeout[min(run.overdue, len(step.on_timeout) - 1)]
    draft.emit("step.timeout", path=path, index=run.index, text=step.text)
    if then == "continue":
        return True
    if then in ("hold", "abort"):
        return End(then, f"{place(path, run.index)} is overdue: {step.text}")
    return None


def _follow(draft: Draft, path: str, run: PhaseRun, step: FollowStep) -> Literal[True] | End | None:
    if step.until is None:
        if _time(draft, run, step.duration_ns + run.extra_ns):
            return True
    elif step.until.evaluate(draft) is True:
        return True
    else:
        draft.wake(draft.now_ns + _UNTIL_EVERY_NS)
    due_ns = run.followed_ns + step.every_ns if run.followed_ns >= 0 else draft.now_ns
    if draft.now_ns >= due_ns:
        due_ns = draft.now_ns + _UNTIL_EVERY_NS
        wanted = _value(draft, step.item)
        if wanted is not None:
            _put_followed(draft, path, run, step, float(wanted))
        elif not run.unknown:
            draft.emit("step.unknown", path=path, index=run.index, text=step.text)
    draft.wake(due_ns)
    return _overdue(draft, path, run, step)


def _put_followed(draft: Draft, path: str, run: PhaseRun, step: FollowStep, wanted: float) -> None:
    last = float(run.last) if run.last else 0.0
    if last > 0:
        wanted = min(max(wanted, last / _FOLD_MAX), last * _FOLD_MAX)
    text = decimal_text(wanted)
    draft.emit("step.followed", path=path, index=run.index, target=step.item.target, value=text)
    draft.command(step.item.verb, step.item.target, float(text), place(path, run.index))

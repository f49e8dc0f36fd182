"""Conditions of steps: what can never be true, is always true, or comes too late; what is not set.

A fault that any parameters would have is the unit's, and is told at its line; one of these
parameters or of this order is the recipe's.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.core.errors import Place
from controller.recipe.check import questions, reason
from controller.recipe.check.bounds import Span
from controller.recipe.check.case import Case
from controller.recipe.check.flow import DURING
from controller.recipe.check.reason import Scope
from controller.recipe.dimension import TRUTH
from controller.recipe.expression import Expression
from controller.recipe.offer import with_unit
from controller.recipe.plan import FollowStep, PhasePlan, PromptStep, SetStep, Step, WaitStep


def check(case: Case) -> None:
    """Adds what is wrong with the conditions and the values of every step that is reached."""
    for plan in case.reached():
        for logic, index, step, scope in case.steps(plan):
            unset = _unset(case, plan, logic, index, step, scope)
            if step.when is not None and not unset:
                _skipped(case, plan, logic, index, step.when)
            if isinstance(step, WaitStep) and not unset:
                _waits(case, plan, logic, index, step.condition, scope, "wait")
                _in_time(case, plan, logic, index, step)
            elif isinstance(step, FollowStep) and step.until is not None and not unset:
                _waits(case, plan, logic, index, step.until, scope, "until")
            elif isinstance(step, PromptStep):
                _prompt(case, plan, logic, index, step, scope)


def _unset(case: Case, plan: PhasePlan, logic: str, index: int, step: Step, scope: Scope) -> bool:
    """Whether the step reads what nothing has set; says so, and what is set on some ways only."""
    wrong = False
    safe = questions.assured(step.when) if step.when is not None else frozenset()
    for expression, strict in _expressions(step):
        variables = sorted((questions.reads(expression) & case.recipe.variables.keys()) - safe)
        for name in variables:
            if scope.maybe is not None and name not in scope.maybe:
                wrong = True
                fatal = strict and not (
                    expression.dimension == TRUTH and reason.truth(expression, scope).true
                )
                _never_set(case, plan, logic, index, step, name, fatal=fatal)
            elif strict and name not in scope.known and logic == "running":
                case.findings.warning(
                    "maybe-unset",
                    f"{plan.path} reads {name} ({_step_words(case, plan, logic, index, step)}), "
                    "which only some ways to here set",
                    case.node_place(plan.path),
                    f"Unknown then holds the batch or waits: set {name} on every way before, or "
                    f"skip the step with `when: known({name})`.", plan.path,
                )  # fmt: skip
    expected = step.expect if isinstance(step, PromptStep) else ""
    if expected and scope.maybe is not None and expected not in scope.maybe:
        wrong = True
        _never_set(case, plan, logic, index, step, expected, fatal=True)
    return wrong


def _never_set(
    case: Case, plan: PhasePlan, logic: str, index: int, step: Step, name: str, *, fatal: bool
) -> None:
    writers = [path for path in case.recipe.phases if name in case.walk.written(path)]
    later = f"{writers[0]} sets it, but not before" if writers else "No phase of the recipe does"
    say = case.findings.error if fatal else case.findings.warning
    say(
        "unset", f"{plan.path} reads {name} ({_step_words(case, plan, logic, index, step)}), which "
        f"nothing before it sets. {later}.", case.node_place(plan.path),
        f"Put a phase that sets {name} before this one, or take this one out.", plan.path,
    )  # fmt: skip


def _expressions(step: Step) -> Iterator[tuple[Expression, bool]]:
    """The expressions of a step; strict are those that need their variables to be known."""
    if step.when is not None:
        yield step.when, False
    if isinstance(step, SetStep):
        for item in step.items:
            if isinstance(item.value, Expression):
                yield item.value, True
    elif isinstance(step, WaitStep):
        yield step.condition, True
    elif isinstance(step, FollowStep):
        if isinstance(step.item.value, Expression):
            yield step.item.value, True
        if step.until is not None:
            yield step.until, True
    elif isinstance(step, PromptStep):
        for limit in (step.low, step.high):
            if limit is not None:
                yield limit, True
        if step.predicted is not None:
            yield step.predicted, False


def _skipped(case: Case, plan: PhasePlan, logic: str, index: int, when: Expression) -> None:
    if case.itself(when, case.step_place(plan, logic, index, "when"), plan.path):
        return
    wide = case.values.of_class(plan.use) if plan.use else case.values.scope
    if any(wide.worth(name)[1].never for name in when.names):
        return  # the unit's step is about what this recipe does not do
    if not reason.truth(when, wide).true:
        case.findings.error(
            "never-true", f"{when.text!r} can never be true, so this step never runs"
            f"{case.why(when, wide)}", case.step_place(plan, logic, index, "when"),
            "Correct the condition, or take the step out.", plan.path,
        )  # fmt: skip


def _waits(
    case: Case, plan: PhasePlan, logic: str, index: int, condition: Expression, scope: Scope,
    key: str,
) -> None:  # fmt: skip
    if case.itself(condition, case.step_place(plan, logic, index, key), plan.path):
        return
    found = reason.truth(condition, scope)
    if found.true and (found.false or found.unknown):
        return
    where, inside = _fault_place(case, plan, logic, index, condition, key, never=not found.true)
    if not found.true:
        case.findings.error(
            "never-true", f"{condition.text!r} can never be true, so this never goes on{inside}"
            f"{case.why(condition, scope)}", where,
            "Correct the condition or the parameters it uses.", plan.path,
        )  # fmt: skip
    else:
        case.findings.warning(
            "always-true", f"{condition.text!r} is true already when it is reached, so this waits "
            f"for nothing{inside}{case.why(condition, scope)}", where,
            "Correct the condition, the parameters or the order of the phases.", plan.path,
        )  # fmt: skip


def _fault_place(
    case: Case, plan: PhasePlan, logic: str, index: int, condition: Expression, key: str, *,
    never: bool,
) -> tuple[Place, str]:  # fmt: skip
    """Where to look: in the unit if no parameters would help, else where it is called."""
    step = case.step_place(plan, logic, index, key)
    if not plan.use:
        return step, ""
    wide = reason.truth(condition, case.values.of_class(plan.use))
    if (not wide.true) if never else not (wide.false or wide.unknown):
        return step, ""
    return case.node_place(plan.path), f", in {plan.path} ({step})"


def _in_time(case: Case, plan: PhasePlan, logic: str, index: int, step: WaitStep) -> None:
    longest = questions.held_longest(step.condition)
    if 0 < step.timeout_ns / 1e9 <= longest:
        held, limit = with_unit(longest, "time"), with_unit(step.timeout_ns / 1e9, "time")
        case.findings.error(
            "too-short", f"the condition must hold for {held}, the time-out comes after {limit}: "
            f"it is always overdue ({plan.path})", case.step_place(plan, logic, index, "timeout"),
            f"Give it more than {held}.", plan.path,
        )  # fmt: skip


def _prompt(
    case: Case, plan: PhasePlan, logic: str, index: int, step: PromptStep, scope: Scope
) -> None:
    where = case.step_place(plan, logic, index, "prompt")
    if not step.timeout_ns and logic == "running":
        depend = DURING in case.walk.before[plan.path, index].guard
        say = case.findings.error if depend else case.findings.warning
        say(
            "no-timeout", f"the prompt {step.text!r} has no time-out"
            + (", and cells are in the vessel: nobody is called when nobody answers" if depend else
               ": nobody is called when nobody answers"),
            where, "Give the step a `timeout`, and `on_timeout` if more than an alarm is wanted.",
            plan.path,
        )  # fmt: skip
    if step.low is not None and step.high is not None:
        low, high = reason.worth(step.low, scope), reason.worth(step.high, scope)
        both = isinstance(low, Span) and isinstance(high, Span)
        if both and not low.never and not high.never and low.low >= high.high:  # type: ignore[union-attr]
            case.findings.error(
                "never-true", f"no value can be entered: low {step.low.text!r} is never below high "
                f"{step.high.text!r} ({plan.path})", where, "Correct the limits.", plan.path,
            )  # fmt: skip


def _step_words(case: Case, plan: PhasePlan, logic: str, index: int, step: Step) -> str:
    return f"{step.text!r}, {case.step_place(plan, logic, index)}"

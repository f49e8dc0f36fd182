"""In-process controls: a result against its acceptance limits, and what follows outside them.

Asked after entry limits and plausibility (safety.md), before the result counts. Outside, a control
takes its declared steps one after the other, the last one again: a retest keeps the prompt open, a
hold keeps it open and holds, a deviation records one and takes the value.
"""

from __future__ import annotations

from typing import Final

from controller.recipe.batch import BatchState, OpenPrompt
from controller.recipe.decision import Draft
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlPlan

RETEST, HOLD, DEVIATION = "retest", "hold", "deviation"
_WORST: Final = (HOLD, RETEST, DEVIATION)


def judge(draft: Draft, prompt_id: str, variable: str, value: float) -> bool:
    """Records what the controls of a variable say of a value; whether the value counts.

    When it does not, its prompt stays open: it is measured again, after a Hold or at once.
    """
    prompt = draft.state.prompts[prompt_id]
    asked = [plan for plan in draft.recipe.controls if plan.variable == variable]
    asked = [plan for plan in asked if applies(plan, draft)]
    steps = {plan.id: step(plan, prompt) for plan in asked if not within(plan, value)}
    then = next((word for word in _WORST if word in steps.values()), "")
    for plan in asked:
        draft.emit(
            "control.result", control=plan.id, prompt_id=prompt_id, name=variable,
            value=with_unit(value, plan.dimension), limits=limits(plan),
            within=plan.id not in steps, then=then if plan.id in steps else "",
        )  # fmt: skip
    if then in (RETEST, HOLD):
        return False
    for plan in asked:
        if plan.id in steps:
            draft.emit(
                "deviation.recorded", deviation=f"DEV-IPC-{draft.state.deviations + 1}", id=0,
                target=prompt.path, what=words(plan, with_unit(value, plan.dimension)), second="",
            )  # fmt: skip
    return True


def applies(plan: ControlPlan, draft: Draft) -> bool:
    """Whether a control is in force now. When that cannot be told it is."""
    return plan.when is None or plan.when.evaluate(draft) is not False


def within(plan: ControlPlan, value: float) -> bool:
    """Whether a canonical value is acceptable; the limits themselves are."""
    return (plan.low is None or value >= plan.low) and (plan.high is None or value <= plan.high)


def step(plan: ControlPlan, prompt: OpenPrompt) -> str:
    """What follows a result outside the limits now: the next declared step, at last the last."""
    done = dict(prompt.outside).get(plan.id, 0)
    return plan.outside[min(done, len(plan.outside) - 1)]


def limits(plan: ControlPlan) -> str:
    """The acceptance limits as people read them."""
    low, high = (None if one is None else with_unit(one, plan.dimension)
                 for one in (plan.low, plan.high))  # fmt: skip
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} .. {high}"


def words(plan: ControlPlan, value: str) -> str:
    """A result outside the limits in one sentence."""
    return f"{plan.title}: {value} is outside {limits(plan)}"


def owed(state: BatchState, path: str) -> str:
    """Why a control holds the phase at `path`, until that has begun; empty for none."""
    return next(
        (prompt.owes for prompt in state.prompts.values() if prompt.path == path and prompt.owes),
        "",
    )

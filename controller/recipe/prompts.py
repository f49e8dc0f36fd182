"""Answers of people: who, how many, within limits, plausible; else refused, and nothing changes.

Safety page, data entry: a value outside 0.5 to 2 times the prediction needs entering again, the
same, and a second person. A refused answer leaves its prompt open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.core.quantity import CANONICAL, canonical, decimal_text
from controller.recipe.batch import BatchState, OpenPrompt
from controller.recipe.decision import Draft
from controller.recipe.model import ControlRecipe, PromptStep
from controller.recipe.offer import with_unit

MAX_ANSWER = 200
_CODE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{2,63}$")
_BARE = re.compile(r"^\s*[-+]?[0-9.]+(?:[eE][-+]?\d+)?\s*$")
_PLAUSIBLE = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class PromptAnswer:
    """One answer. A number without a unit is in the prompt's unit; `second` is the other person."""

    prompt_id: str
    value: str
    actor: str
    role: str = ""
    second: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PromptView:
    """An open prompt as people see it. `repeat` is a first entry that must be confirmed."""

    prompt_id: str
    path: str
    kind: str
    text: str
    unit: str
    low: str
    high: str
    people: int
    options: tuple[str, ...]
    repeat: str


class _No(Exception):
    """The answer is refused; the text says why."""


def answer(draft: Draft, given: PromptAnswer) -> None:
    """Records an answer and its value, or that and why it is refused."""
    draft.actor, draft.role, draft.reason = given.actor, given.role, given.reason
    value = given.value.strip()
    try:
        if len(value) > MAX_ANSWER:
            value = value[:MAX_ANSWER]
            raise _No(f"longer than {MAX_ANSWER} characters")
        prompt = draft.state.prompts.get(given.prompt_id)
        if prompt is None:
            raise _No("no such prompt is open")
        _accept(draft, given, value, prompt)
    except _No as why:
        draft.emit(
            "prompt.refused", prompt_id=given.prompt_id[:MAX_ANSWER], value=value, why=str(why)
        )
    draft.actor, draft.role, draft.reason = "recipe", "", ""


def views(recipe: ControlRecipe, state: BatchState) -> list[PromptView]:
    """The open prompts of a batch."""
    found = []
    for name, prompt in state.prompts.items():
        step = _step(recipe, prompt)
        low, high = (
            "" if limit is None else with_unit(limit, step.dimension)
            for limit in (step.low, step.high)
        )
        found.append(
            PromptView(
                name,
                prompt.path,
                step.kind,
                step.text,
                step.unit,
                low,
                high,
                step.people,
                step.options,
                prompt.first,
            )
        )
    return found


def _step(recipe: ControlRecipe, prompt: OpenPrompt) -> PromptStep:
    step = recipe.phases[prompt.path].logics[prompt.logic][prompt.index]
    if not isinstance(step, PromptStep):
        raise TypeError(f"{prompt.path} step {prompt.index} is not a prompt")
    return step


def _accept(draft: Draft, given: PromptAnswer, value: str, prompt: OpenPrompt) -> None:
    run = draft.state.runs.get(prompt.path)
    if run is None or (run.logic, run.index) != (prompt.logic, prompt.index):
        raise _No(f"its phase is {draft.state.node(prompt.path)}")
    step = _step(draft.recipe, prompt)
    if not given.actor.strip():
        raise _No("nobody is named as the one who answers")
    if step.people == 2:
        _two_people(given, "this needs two different people")
    if step.kind in ("enter", "sample"):
        _entered(draft, given, value, prompt, step)
        return
    if step.kind == "confirm" and value.casefold() != "yes":
        raise _No("answer yes once it is done")
    if step.kind == "choose" and value not in step.options:
        raise _No(f"choose one of: {', '.join(step.options)}")
    if step.kind == "scan" and not _CODE.match(value):
        raise _No("not a code: 3 to 64 letters, digits and . _ : / + -")
    if step.into:
        draft.set_variable(step.into, value, given.prompt_id)
    draft.emit("prompt.answered", prompt_id=given.prompt_id, value=value, second=given.second)


def _two_people(given: PromptAnswer, why: str) -> None:
    second = given.second.strip().casefold()
    if not second or second == given.actor.strip().casefold():
        raise _No(why)


def _entered(
    draft: Draft, given: PromptAnswer, value: str, prompt: OpenPrompt, step: PromptStep
) -> None:
    text = f"{value} {step.unit}" if _BARE.match(value) else value
    try:
        number = canonical(text, step.dimension)
    except ValueError as error:
        raise _No(str(error)) from None
    low, high = step.low, step.high
    if low is None or high is None or not low <= number <= high:
        raise _No(f"outside {low} .. {high} {CANONICAL[step.dimension]}")
    predicted = _predicted(draft, step)
    if predicted is not None and not _plausible(number, predicted):
        entry = decimal_text(number, 12)
        if prompt.first != entry:
            draft.emit(
                "prompt.repeat", prompt_id=given.prompt_id, value=entry,
                predicted=with_unit(predicted, step.dimension),
            )  # fmt: skip
            return
        _two_people(given, "a value so far from its prediction needs a second person")
    # The value before the answer: cut between the two, the prompt is simply open again.
    draft.set_variable(step.into, number, given.prompt_id)
    if step.kind == "sample":
        draft.emit(
            "sample.recorded", name=step.into, value=decimal_text(number),
            unit=CANONICAL[step.dimension], source=given.prompt_id,
            predicted="" if predicted is None else decimal_text(predicted),
        )  # fmt: skip
    draft.emit("prompt.answered", prompt_id=given.prompt_id, value=text, second=given.second)


def _predicted(draft: Draft, step: PromptStep) -> float | None:
    value = None if step.predicted is None else step.predicted.evaluate(draft)
    return None if value is None or isinstance(value, str) else float(value)


def _plausible(value: float, predicted: float) -> bool:
    low, high = sorted((_PLAUSIBLE[0] * predicted, _PLAUSIBLE[1] * predicted))
    return low <= value <= high

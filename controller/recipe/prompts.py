"""Answers of people: who, how many, within limits, plausible, acceptable; else nothing changes.

Safety page, data entry: a value outside 0.5 to 2 times the prediction needs entering again, the
same, and a second person. Then the in-process controls judge it. A refused answer leaves its prompt
open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from controller.core.quantity import CANONICAL, canonical, decimal_text
from controller.recipe import controls
from controller.recipe.batch import BatchState, OpenPrompt
from controller.recipe.decision import Draft
from controller.recipe.expression import NOWHERE, Expression
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlRecipe, Loop, PromptStep

MAX_ANSWER = 200
_CODE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{2,63}$")
_BARE = re.compile(r"^\s*[-+]?[0-9.]+(?:[eE][-+]?\d+)?\s*$")
_PLAUSIBLE = (0.5, 2.0)
_DONE = {"instruction": ("yes", "done"), "confirm": ("yes",)}


@dataclass(frozen=True, slots=True)
class PromptAnswer:
    """One answer. A number without a unit is in the prompt's unit; `second` is the other person;
    `source` the instrument's file a result comes from, empty for an answer that was typed."""

    prompt_id: str
    value: str
    actor: str
    role: str = ""
    second: str = ""
    reason: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class PromptView:
    """An open prompt as people see it.

    `repeat` is a first entry that must be confirmed; `again` why a result was not accepted and is
    to be measured again; `expect` the code a scan must give; `sample` the label the sample carries.
    """

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
    again: str = ""
    expect: str = ""
    sample: str = ""


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


class _Variables:
    """What a face knows without the process values: the variables of the batch."""

    def __init__(self, state: BatchState) -> None:
        self._state = state

    def tag(self, name: str) -> float | None:
        return None

    def variable(self, name: str) -> float | str | None:
        found = self._state.variables.get(name)
        return None if found is None else found.value

    def age(self, name: str) -> float | None:
        return None

    def held(self, part: int) -> bool:
        return False


def views(recipe: ControlRecipe, state: BatchState) -> list[PromptView]:
    """The open prompts of a batch. A limit that depends on more than variables is shown as it is
    written."""
    found, known = [], _Variables(state)
    for name, prompt in state.prompts.items():
        step = step_of(recipe, prompt)
        low, high = (_shown(limit, step, known) for limit in (step.low, step.high))
        expect = known.variable(step.expect) if step.expect else ""
        found.append(
            PromptView(
                name, prompt.path, step.kind, step.text, step.unit, low, high, step.people,
                step.options, prompt.first, prompt.again, str(expect or ""),
                sample_label(recipe, state, prompt.path) if step.kind == "sample" else "",
            )
        )  # fmt: skip
    return found


def sample_label(recipe: ControlRecipe, state: BatchState, path: str) -> str:
    """What the sample of a phase is called, once in a batch: in a loop with the round.

    `culture/grow/sample_day_1` -> `sample_day_1`; the third round of a loop -> `sample-3`.
    """
    parts = path.split("/")
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    rounds = [
        str(state.loops.get(one, 0) + 1) for one in above
        if one in recipe.nodes and isinstance(recipe.nodes[one].rule, Loop)
    ]  # fmt: skip
    return "-".join([plain_label(recipe, path), *rounds])


def plain_label(recipe: ControlRecipe, path: str) -> str:
    """The phase's id; where another phase has the same one, its whole path."""
    last = path.rpartition("/")[2]
    alike = sum(other.rpartition("/")[2] == last for other in recipe.phases)
    return last if alike < 2 else path.replace("/", ".")


def step_of(recipe: ControlRecipe, prompt: OpenPrompt) -> PromptStep:
    """The step that asked."""
    step = recipe.phases[prompt.path].logics[prompt.logic][prompt.index]
    if not isinstance(step, PromptStep):
        raise TypeError(f"{prompt.path} step {prompt.index} is not a prompt")
    return step


def _shown(limit: Expression | None, step: PromptStep, known: _Variables) -> str:
    if limit is None:
        return ""
    value = limit.evaluate(known)
    return limit.text if not isinstance(value, float) else with_unit(value, step.dimension)


def _accept(draft: Draft, given: PromptAnswer, value: str, prompt: OpenPrompt) -> None:
    run = draft.state.runs.get(prompt.path)
    if run is None or (run.logic, run.index) != (prompt.logic, prompt.index):
        raise _No(f"its phase is {draft.state.node(prompt.path)}")
    step = step_of(draft.recipe, prompt)
    if not given.actor.strip():
        raise _No("nobody is named as the one who answers")
    if step.people == 2:
        _two_people(given, "this needs two different people")
    if step.kind in ("enter", "sample"):
        _entered(draft, given, value, prompt, step)
        return
    limits = ""
    if step.kind in _DONE and value.casefold() not in _DONE[step.kind]:
        raise _No(f"answer {' or '.join(_DONE[step.kind])} once it is done")
    if step.kind == "choose":
        limits = " | ".join(step.options)
        if value not in step.options:
            raise _No(f"choose one of: {', '.join(step.options)}")
    if step.kind == "scan":
        limits = _scanned(draft, value, step)
    if step.into:
        draft.set_variable(step.into, value, given.prompt_id)
    draft.emit("prompt.answered", prompt_id=given.prompt_id, value=value, second=given.second,
               limits=limits)  # fmt: skip


def _scanned(draft: Draft, value: str, step: PromptStep) -> str:
    """The code a scan had to give, empty for any."""
    if not _CODE.match(value):
        raise _No("not a code: 3 to 64 letters, digits and . _ : / + -")
    if not step.expect:
        return ""
    wanted = draft.variable(step.expect)
    if wanted is None:
        raise _No(f"nothing is known to compare it with: {step.expect} has no value")
    if value != wanted:
        raise _No(f"the code is not the one of this batch: {wanted} is expected")
    return str(wanted)


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
    low, high = _limit(draft, step.low, "lower"), _limit(draft, step.high, "upper")
    limits = f"{with_unit(low, step.dimension)} .. {with_unit(high, step.dimension)}"
    if not low <= number <= high:
        raise _No(f"outside {limits}")
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
    if not controls.judge(draft, given.prompt_id, step.into, number):
        return
    source = f"{given.prompt_id}, {given.source}" if given.source else given.prompt_id
    # The value before the answer: cut between the two, the prompt is simply open again.
    draft.set_variable(step.into, number, source)
    if step.kind == "sample":
        draft.emit(
            "sample.recorded", name=step.into, value=decimal_text(number),
            unit=CANONICAL[step.dimension], source=source,
            predicted="" if predicted is None else decimal_text(predicted),
        )  # fmt: skip
    draft.emit("prompt.answered", prompt_id=given.prompt_id, value=text, second=given.second,
               limits=limits)  # fmt: skip


def _limit(draft: Draft, limit: Expression | None, which: str) -> float:
    """A limit as it is now: people answer within what is recorded with their answer."""
    value = None if limit is None else limit.evaluate(NOWHERE if limit.constant else draft)
    if value is None or isinstance(value, str):
        needs = ", ".join(sorted(limit.names)) if limit is not None else "nothing"
        raise _No(f"its {which} limit is not known now: it depends on {needs}")
    return float(value)


def _predicted(draft: Draft, step: PromptStep) -> float | None:
    value = None if step.predicted is None else step.predicted.evaluate(draft)
    return None if value is None or isinstance(value, str) else float(value)


def _plausible(value: float, predicted: float) -> bool:
    low, high = sorted((_PLAUSIBLE[0] * predicted, _PLAUSIBLE[1] * predicted))
    return low <= value <= high

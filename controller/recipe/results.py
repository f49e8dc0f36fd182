"""Which open prompts a file of results answers, or why nothing of it is taken.

Nothing is read or changed here. A file is refused as a whole, with its line: of another batch or
sample, of a wrong unit, from the future. What it says then goes the way of a value that was typed:
limits, plausibility, in-process controls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.core.clock import NS_PER_MS, Stamp
from controller.core.errors import nearest
from controller.core.quantity import canonical
from controller.recipe.batch import BatchState
from controller.recipe.plan import ControlRecipe, PromptStep
from controller.recipe.prompts import plain_label, sample_label, step_of
from controller.recipe.result_table import ResultFile, Row

AHEAD_MS: Final = 120_000  # an instrument's clock may be this much ahead of ours


def check(
    file: ResultFile, recipe: ControlRecipe, state: BatchState, batch_id: str, stamp: Stamp
) -> None:
    """Raises BadInput for a row of another batch, of a sample or result nobody asks for in this
    recipe, of a wrong unit, from before the batch or from the future."""
    now_ms, begin_ms = stamp.utc_ns // NS_PER_MS, _utc_ms(state, 0)
    asked = list(samples(recipe))
    for row in file.rows:
        if row.batch != batch_id:
            raise file.error(row, f"it is of batch {row.batch}, this is batch {batch_id}")
        if row.utc_ms > now_ms + AHEAD_MS:
            raise file.error(row, f"it was measured at {row.time}, which is yet to come")
        if row.utc_ms < begin_ms:
            raise file.error(row, f"it was measured at {row.time}, before this batch began")
        name = row.sample.partition("-")[0]
        steps = [step for path, step in asked if plain_label(recipe, path) == name]
        if not steps:
            hint = nearest(name, [plain_label(recipe, path) for path, _ in asked])
            raise file.error(row, f"this batch takes no sample {row.sample!r}. {hint}")
        fitting = [step for step in steps if _is_of(row, step)]
        if not fitting:
            hint = nearest(row.analyte, [one.id or one.into for one in steps])
            raise file.error(row, f"{row.analyte!r} is not asked of {row.sample}. {hint}")
        for step in fitting:
            try:
                canonical(row.quantity, step.dimension)
            except ValueError as error:
                raise file.error(row, str(error)) from None


def samples(recipe: ControlRecipe) -> Iterator[tuple[str, PromptStep]]:
    """Every prompt for a sample's result: the phase's path and the step."""
    for path, plan in recipe.phases.items():
        for steps in plan.logics.values():
            for step in steps:
                if isinstance(step, PromptStep) and step.kind == "sample":
                    yield path, step


def match(file: ResultFile, recipe: ControlRecipe, state: BatchState) -> Iterator[tuple[Row, str]]:
    """The rows that answer a prompt which is open now, in the file's order, and its name.

    Raises BadInput for a result that is not newer than the one it is to replace.
    """
    waiting = {name: (prompt, step_of(recipe, prompt)) for name, prompt in state.prompts.items()}
    for row in file.rows:
        for name, (prompt, step) in waiting.items():
            label = sample_label(recipe, state, prompt.path)
            if step.kind != "sample" or label != row.sample or not _is_of(row, step):
                continue
            if prompt.judged_ns >= 0 and row.utc_ms <= _utc_ms(state, prompt.judged_ns):
                raise file.error(
                    row, f"it was measured at {row.time}, before the last result was not accepted:"
                    " this one has to be measured anew",
                )  # fmt: skip
            yield row, name
            break


def _is_of(row: Row, step: PromptStep) -> bool:
    return row.analyte.casefold() in (step.id.casefold(), step.into.casefold())


def _utc_ms(state: BatchState, batch_ns: int) -> int:
    """The wall clock's time of a batch time."""
    clock = state.clock
    return clock.last_utc_ms - (clock.last_ns - batch_ns) // NS_PER_MS

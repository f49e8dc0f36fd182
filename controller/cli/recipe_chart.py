"""What `cellwright recipe chart` draws: a recipe from its file, or the recipe of a batch."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from controller.cli.recipe_batch import BatchRead, read_batch
from controller.core.errors import BadInput
from controller.core.yamltext import Document
from controller.core.yamltext import load as load_yaml
from controller.recipe.amend import amended
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
from controller.recipe.pfc.build import build
from controller.recipe.pfc.live import lives, where
from controller.recipe.pfc.mermaid import mermaid
from controller.recipe.pfc.model import Chart
from controller.recipe.pfc.sheets import sheets
from controller.recipe.pfc.svg import svg
from controller.units import find_recipe, find_unit, load_unit


def draw(recipe: str, unit: str, batch: Path | None, form: str) -> str:
    """The chart as text. Raises BadInput, RecordFailure or Refused."""
    if batch is None:
        document = load_yaml(find_recipe(recipe))
        made = build(compile_recipe(document, offer_for(document, unit)))
    else:
        read = read_batch(batch)
        made = _of_batch(read)
        if recipe:
            _compare(find_recipe(recipe), read)
    return mermaid(made) if form == "mermaid" else svg(sheets(made), made.title)


def offer_for(document: Document, unit: str) -> Offer:
    """What the unit of a recipe offers; `unit` names another one. Raises BadInput."""
    data = document.data if isinstance(document.data, dict) else {}
    named = data.get("unit")
    if not unit and not isinstance(named, str):
        raise document.error("the recipe names no unit", "unit")
    try:
        path = find_unit(unit or str(named))
    except BadInput as error:
        if unit:
            raise
        raise document.error(error.what, "unit", do="Name its file with --unit.") from None
    return load_unit(path)[1]


def _of_batch(read: BatchRead) -> Chart:
    batch, frozen, story = read.batch, read.recipe, read.story
    state = batch.state
    changed = len(story.changes)
    about = (
        f"Batch {batch.batch_id} is {state.node(frozen.root)}, as its log says up to record "
        f"{story.count - 1} of {story.last}; {changed or 'no'} change{'' if changed == 1 else 's'} "
        "by people",
    )
    running, told = amended(frozen, state.amendments), lives(frozen, state, story)
    made = build(running, told, about, (where(told), *story.tables()))
    return replace(made, title=f"{made.title}, batch {batch.batch_id}")


def _compare(path: Path, read: BatchRead) -> None:
    """Says on stderr when the file named is not the recipe the batch was opened with."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read the file: {error.strerror}", where=path) from error
    if digest != read.recipe.recipe_sha256:
        sys.stderr.write(f"{path} is not the recipe batch {read.batch.batch_id} was opened with; "
                         "the chart is of that one.\n")  # fmt: skip

"""The batch a chart is drawn of: which log is meant, and what it says, from its own copies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.core.errors import BadInput, RecordFailure, Refused
from controller.recipe.pfc.live import Story
from controller.recipe.plan import ControlRecipe
from controller.record.entry import read_records
from controller.record.sources import STATION, Source, is_state, source_of, sources_of
from controller.takeup import OpenBatch
from controller.units import load_unit

TRIES: Final = 4  # a record that is being written is whole a moment later
TRY_S: Final = 0.15


@dataclass(frozen=True, slots=True)
class BatchRead:
    """A batch as its log says: the recipe it was opened with, its state, what people changed."""

    batch: OpenBatch
    story: Story
    recipe: ControlRecipe


def read_batch(path: Path) -> BatchRead:
    """The batch of a log, of a batch's directory or of a state directory: there the open one, else
    the last that began. Raises BadInput, RecordFailure, or Refused if its recipe means something
    else to this program."""
    source = _batch_of(path)
    batch, story = _folded(source.directory)
    if not batch.complete or "profile" not in batch.files:
        raise BadInput("no batch was opened in this log", where=source.directory,
                       do="Name the directory of a batch, or of a station's state.")  # fmt: skip
    try:
        profile, offer = load_unit(source.directory / batch.files["profile"])
        recipe = batch.control_recipe(profile, offer, source.directory)
    except (BadInput, Refused) as error:
        why = error.what.rpartition("cannot be taken up: ")[2]
        raise Refused(
            f"the chart of batch {batch.batch_id} cannot be drawn: {why}",
            where=source.directory, means="Nothing was changed; the log is as it was.",
            do="Use the version of the program the batch was opened with.",
        ) from error  # fmt: skip
    return BatchRead(batch, story, recipe)


def _batch_of(path: Path) -> Source:
    if not is_state(path):
        return source_of(path)
    batches = [source for source in sources_of(path) if source.name != STATION]
    if not batches:
        raise BadInput("no batch has a log here", where=path)
    try:
        named = (path / "current").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        named = ""
    return next((source for source in batches if source.name == named), batches[-1])


def _folded(directory: Path) -> tuple[OpenBatch, Story]:
    for left in reversed(range(TRIES)):
        batch, story = OpenBatch(), Story()
        try:
            for record in read_records(directory):
                batch.take(record)
                story.take(record)
        except RecordFailure:
            if not left:
                raise
            time.sleep(TRY_S)
        else:
            break
    return batch, story

"""A file of an instrument handed in: kept with the batch, its results given to the open prompts.

The bytes come from a face; nothing is read from a disk here. The file is looked at as a whole
before anything is recorded. Each of its results is then an answer like one that was typed, and the
next prompts of the same sample follow at once. A module because a file answers more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from controller.asking import Request
from controller.core.clock import Stamp
from controller.core.errors import BadInput, RecordFailure, Refused
from controller.recipe.engine import Engine, Inputs
from controller.recipe.prompts import PromptAnswer, PromptView
from controller.recipe.result_table import ResultFile, Row, read
from controller.recipe.results import check, match

if TYPE_CHECKING:
    from controller.supervisor import Supervisor

WHY_MAX: Final = 1_000  # of what was not taken; each is a record of its own


def hand_in(unit: Supervisor, request: Request, stamp: Stamp) -> tuple[int, str]:
    """The command's id, and what was not taken, or "". Target: the file's name, `file`: its bytes.

    Raises BadInput or Refused for a file of which nothing can be taken; nothing was recorded.
    """
    engine = unit.engine
    if engine is None:
        raise Refused("no batch is open: no result is waited for")
    file = _looked_at(unit, engine, request, stamp)
    number = unit.desk.intent(replace(request, value=file.sha256), stamp)
    try:
        unit.log.store_blob(f"result {file.name}", request.file, stamp)
    except RecordFailure as error:
        unit.log_failed(error, stamp)
        unit.desk.outcome(number, "refused", stamp, error.what[:200])
        return number, error.what
    taken, left = _answer(unit, request, file, stamp)
    why = "; ".join(left)
    if taken:
        only = "only " if why else ""
        why = f"{only}{', '.join(taken)} taken" + (f"; {why}" if why else "")
    why = why[:WHY_MAX]
    unit.desk.outcome(number, "applied" if taken else "refused", stamp, why)
    return number, why if left else ""


def _looked_at(unit: Supervisor, engine: Engine, request: Request, stamp: Stamp) -> ResultFile:
    """The file, of which something can be taken; raises BadInput or Refused, with the line."""
    recipe, state = engine.current(unit.state), unit.state
    try:
        file = read(request.target, request.file, stamp, recipe.offer.instruments)
        check(file, recipe, state, unit.orders.standing.batch_id, stamp)
        asked = any(True for _ in match(file, recipe, state))
    except BadInput as error:  # a face shows what it is and what to do, so the line goes with it
        what = f"{error.where}: {error.what}" if error.where else error.what
        raise BadInput(what, means=error.means, do=error.do) from None
    if request.value != file.sha256 and (request.value or request.signatures):
        raise BadInput(  # a signature must fit no other file
            f"{file.name}: it is not the file that was chosen: its SHA-256 is another",
            do="Choose it again.",
        )  # fmt: skip
    if not asked:
        raise Refused(
            f"{file.name}: none of its results is asked for now",
            do=f"Asked for now: {_open(unit) or 'nothing'}.",
        )
    return file


def _answer(
    unit: Supervisor, request: Request, file: ResultFile, stamp: Stamp
) -> tuple[list[str], list[str]]:
    """The results that were taken, and those that were not with the reason."""
    taken: list[str] = []
    left: list[str] = []
    done: set[Row] = set()
    while (found := _next(unit, file, done)) is not None:
        row, prompt_id = found
        done.add(row)
        before = unit.state.prompts[prompt_id]
        given = PromptAnswer(
            prompt_id, row.quantity, request.actor, request.role, request.second, request.reason,
            file.source(row),
        )  # fmt: skip
        why = unit.decide(Inputs(unit.board.read, (given,)), stamp)
        after = unit.state.prompts.get(prompt_id)
        if why:
            left.append(f"{row.analyte}: {why}")
        elif after is not None and after.first != before.first:
            left.append(f"{row.analyte}: hand it in again with a second person, "
                        f"{row.quantity} is far from what was expected")  # fmt: skip
        elif after is not None and after.opened_ns == before.opened_ns:
            left.append(f"{row.analyte}: {after.again}")
        else:
            taken.append(row.analyte)
    return taken, left


def _next(unit: Supervisor, file: ResultFile, done: set[Row]) -> tuple[Row, str] | None:
    if unit.engine is None or unit.failed:
        return None
    recipe = unit.engine.current(unit.state)
    try:
        return next((one for one in match(file, recipe, unit.state) if one[0] not in done), None)
    except BadInput:
        return None  # what this very file was refused for


def asked_of(prompts: Sequence[PromptView]) -> tuple[int, bool]:
    """How many people the prompts for results want, and whether one waits for a second entry."""
    results = [prompt for prompt in prompts if prompt.sample]
    people = max((prompt.people for prompt in results), default=0)
    return people, any(prompt.repeat for prompt in results)


def _open(unit: Supervisor) -> str:
    if unit.engine is None:
        return ""
    batch = unit.orders.standing.batch_id
    return ", ".join(
        f"{prompt.prompt_id.rpartition('.')[2]} of {batch}/{prompt.sample}"
        for prompt in unit.engine.prompts(unit.state) if prompt.sample
    )  # fmt: skip

"""How a batch begins on the disk, and how one that never began is put away.

A module because a half-opened batch is the worst of all: nothing acts before its header and the
files it was opened with are durable, and what fails before that leaves no batch open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from controller.core.clock import Stamp
from controller.core.errors import Refused
from controller.core.events import Event
from controller.core.quantity import ucum
from controller.profile.compile import Profile
from controller.recipe.states import IDLE
from controller.record.files import FileLayer
from controller.record.frame import segment_files
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.state import UNREADABLE, StateDir, says_sealed
from controller.record.verify import verify

Blob = tuple[str, bytes]


def open_batch_in(state: StateDir) -> str | None:
    """The batch named open, None if none is. Raises Refused, and nothing was changed, when it
    cannot be told or its folder is not there."""
    found = state.current()
    if found == UNREADABLE and state.missing():
        raise Refused(
            f"batch {state.missing()} is open, and it is not in {state.path}",
            means="Its cells may depend on the unit it runs on. Nothing was changed.",
            do="Mount the disk with this directory. Only when no cells are in the vessel: "
            f"remove {state.twin}.",
        )
    if found == UNREADABLE:
        raise Refused(
            f"which batch is open in {state.path} cannot be read",
            means="Its cells may depend on the unit it runs on. Nothing was started.",
            do="Write the id of the open batch, one of those in `batches`, into `current`.",
        )
    if found is not None and not state.batch(found).is_dir():
        raise Refused(
            f"batch {found} is open and its folder is missing",
            where=state.batch(found),
            means="Its cells may depend on the unit it runs on. Nothing was changed.",
            do="Bring the folder back, mount its disk. Only when no cells are in the vessel: "
            "remove the file `current`.",
        )
    return found


def is_sealed(state: StateDir, batch_id: str) -> bool:
    """Whether a batch named open is finished: its process died between the seal and the name."""
    if batch_id == UNREADABLE:
        return False
    log = state.batch_log(batch_id)
    if not log.is_dir() or not says_sealed(log):  # an open log is not read through for this
        return False
    report = verify(log)
    return report.ok and report.sealed


def blobs_of(profile: Profile, recipe: Path) -> list[Blob]:
    """What a batch keeps of the files it is opened with. Raises Refused for one not readable."""
    units = {tag.name: [tag.unit, ucum(tag.unit)] for tag in profile.tags}
    units |= {loop: units[f"{loop}.sp"] for loop in profile.loops}
    plan = {
        "plan_sha256": profile.plan_digest, "signals": profile.signals,
        "outputs": profile.outputs, "rows": [cause.row for cause in profile.causes],
        "units": units,
    }  # fmt: skip
    try:
        read = [("recipe", recipe.read_bytes()), ("profile", profile.document.raw)]
    except OSError as error:
        raise Refused(
            f"{error.filename} cannot be read: {error.strerror}",
            means="No batch was opened.",
            do="Put the file back, or give this user the right to read it.",
        ) from error
    return [*read, ("plan", json.dumps(plan, sort_keys=True).encode())]


def begin(
    state: StateDir, batch_id: str, header: Event, blobs: Sequence[Blob], keys: Keys,
    files: FileLayer,
) -> BatchLog:  # fmt: skip
    """The log of a new batch, its header and files durable. Nothing may act before it returns.

    Raises RecordFailure or BadInput; then the log is closed, and to be put away.
    """
    stamp = header.stamp
    log = BatchLog.create(state.batch_log(batch_id), keys, stamp, purpose=batch_id, files=files)
    try:
        log.append(header)
        for name, data in blobs:
            log.store_blob(name, data, stamp)
        log.sync(stamp)
    except BaseException:
        log.close()
        raise
    return log


def put_away(
    state: StateDir, batch_id: str, keys: Keys, files: FileLayer, stamp: Stamp
) -> None:  # fmt: skip
    """Ends a batch that never began: what there is of its log is sealed, and none is named open.

    Raises RecordFailure when the disk refuses; it can be asked for again.
    """
    folder = state.batch_log(batch_id)
    if segment_files(folder) and not is_sealed(state, batch_id):
        log = BatchLog.open(folder, keys, stamp, files=files)
        try:
            log.append(Event("batch.closed", stamp, data={"state": IDLE}))
            log.seal(stamp)
        finally:
            log.close()
    state.close_batch()

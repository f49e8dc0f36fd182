"""The qualification's record: a tamper-evident log like a batch's, to which every run is added.

A module because a re-run must append, never replace, and because everything reported is folded from
this log alone. `OUT/log` is the log, `OUT/keys` its keys, `OUT/runs` readable copies.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rfc8785

from controller.core.clock import Clock
from controller.core.errors import BadInput, RecordFailure, Refused
from controller.core.events import Event
from controller.record.entry import read_records
from controller.record.frame import read_limited
from controller.record.keys import Keys
from controller.record.layout import BLOB_BYTES_MAX, BLOBS
from controller.record.log import BatchLog
from controller.record.verify import verify

KIND = "qualification"
STAGES = ("iq", "oq")
ACCEPTED, REJECTED = "accepted", "rejected"
NAME_MAX, REASON_MAX = 80, 1_000


@dataclass(slots=True)
class Run:
    """One run as the log tells it. `ended` is empty while it is open or when it was interrupted."""

    id: str
    stage: str
    executor: str
    began: str
    unit: str
    config: dict[str, str]
    selection: str
    cases: list[str]
    executed: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: str = ""


@dataclass(slots=True)
class History:
    """Everything in a qualification's log, folded."""

    runs: list[Run] = field(default_factory=list)
    deviations: list[dict[str, str]] = field(default_factory=list)
    reviews: list[dict[str, str]] = field(default_factory=list)

    def of(self, stage: str) -> list[Run]:
        """The runs of a stage, oldest first."""
        return [run for run in self.runs if run.stage == stage]

    def latest(self, stage: str) -> dict[str, dict[str, Any]]:
        """The last execution of every case of a stage, by case."""
        return {case: done for run in self.of(stage) for case, done in run.executed.items()}


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are spelt."""
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    body = name.rpartition(":")[2].partition("@")[0]
    return "".join(ch for ch in body.casefold() if ch.isalnum())


def named(name: str) -> str:
    """A person's name as it is recorded; raises BadInput for none."""
    text = name.strip()
    if not text or not text.isprintable() or len(text) > NAME_MAX or not _bare(text):
        raise BadInput(
            f"{name[:NAME_MAX]!r} is no name of a person",
            do=f"Give up to {NAME_MAX} printable characters with --by.",
        )
    return text


class QualificationLog:
    """The log under `out`, open for adding. Raises RecordFailure when it is damaged."""

    def __init__(self, out: Path, clock: Clock, purpose: str) -> None:
        self.out, self._clock = out, clock
        keys = Keys.in_directory(out / "keys")
        folder = out / "log"
        stamp = clock.stamp()
        if (folder / "segments").exists():
            checked(out)
            self._log = BatchLog.open(folder, keys, stamp)
        else:
            self._log = BatchLog.create(folder, keys, stamp, kind=KIND, purpose=purpose)
        self._actor, self._role = "system", ""

    def acts(self, person: str, role: str) -> None:
        """Who does what is recorded from now on. People have no log-in here: the name is typed."""
        self._actor, self._role = f"unverified:{person}", role

    def add(self, kind: str, reason: str = "", /, **data: Any) -> str:
        """Adds one record, durable on return; returns its time, RFC 3339."""
        stamp = self._clock.stamp()
        event = Event(kind, stamp, self._actor, self._role, reason, data)
        self._log.commit(event, stamp)
        return stamp.rfc3339()

    def store(self, name: str, data: bytes) -> str:
        """Stores a file in the log; returns its SHA-256, hex."""
        self._log.store_blob(name[:200], data, self._clock.stamp())
        return hashlib.sha256(data).hexdigest()

    def now(self) -> str:
        """The present time, RFC 3339."""
        return self._clock.stamp().rfc3339()

    def close(self) -> None:
        """Puts all under a checkpoint."""
        self._log.checkpoint(self._clock.stamp())
        self._log.close()


def checked(out: Path) -> None:
    """Raises RecordFailure when the log was altered or damaged, BadInput when there is none."""
    folder = out / "log"
    if not folder.is_dir():
        raise BadInput("nothing was executed here", where=out, do="Run `cellwright qualify` first.")
    report = verify(folder, expect_sealed=False, deep=True)
    if not report.ok or report.kind != KIND:
        first = report.problems[0] if report.problems else None
        raise RecordFailure(
            f"the qualification's record is not whole: {first.where}: {first.what}" if first
            else f"this is a {report.kind} log", where=folder,
            means="Its results cannot be relied on.",
            do="Keep the directory as it is, find out what changed it, and execute into a new one.",
        )  # fmt: skip


def read_history(out: Path) -> History:
    """The whole record, verified first. Raises BadInput and RecordFailure as `checked`."""
    checked(out)
    return fold(out / "log")


def fold(folder: Path) -> History:
    """Replays a log into runs, deviations and reviews."""
    history = History()
    by_id: dict[str, Run] = {}
    for row in read_records(folder):
        data, event = row["data"], row["event"]
        if event == "qualification.run" and data["state"] == "begun":
            run = Run(
                data["run"], data["stage"], _person(row), row["time"], data["unit"],
                dict(data["config"]), data["selection"], list(data["cases"]),
            )  # fmt: skip
            by_id[run.id] = run
            history.runs.append(run)
        elif event == "qualification.run" and data["state"] == "ended":
            by_id[data["run"]].ended = row["time"]
        elif event == "qualification.case":
            blob = read_limited(folder / BLOBS / f"sha256-{data['executed']}", BLOB_BYTES_MAX)
            done = json.loads(blob)
            by_id[data["run"]].executed[data["case"]] = {**done, "sha256": data["executed"]}
        elif event == "qualification.deviation":
            history.deviations.append({**data, "time": row["time"], "by": _person(row)})
        elif event == "qualification.reviewed":
            history.reviews.append({**data, "time": row["time"], "by": _person(row),
                                    "reason": row["reason"]})  # fmt: skip
    return history


def _person(row: Mapping[str, Any]) -> str:
    return str(row["actor"]).removeprefix("unverified:")


def next_run(history: History, stage: str) -> str:
    """The id of the next run of a stage."""
    return f"{stage.upper()}-R{len(history.of(stage)) + 1:02d}"


def canonical_bytes(document: Any) -> bytes:
    """The RFC 8785 form: the bytes that are digested and kept."""
    return rfc8785.dumps(document)


def keep_copy(out: Path, name: str, data: bytes) -> Path:
    """A copy for people under `out`, whole or not at all."""
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    os.replace(partial, path)  # noqa: PTH105 - one word for "as a whole"
    return path


def review(
    out: Path, clock: Clock, stage: str, by: str, verdict: str, reason: str, expected: Sequence[str]
) -> str:
    """Records a review of a stage; returns the run that was reviewed.

    Raises Refused when the reviewer executed any run of it, or accepts what is incomplete or
    failed; BadInput without a reason or a run. `expected` are the ids of all its cases.
    """
    name = named(by)
    if not reason.strip() or len(reason) > REASON_MAX or not reason.isprintable():
        raise BadInput("a review needs a reason", do="Say with --reason what was looked at.")
    history = read_history(out)
    runs = history.of(stage)
    if not runs:
        raise BadInput(f"no {stage.upper()} was executed here", where=out)
    for run in runs:
        if same_person(run.executor, name):
            raise Refused(
                f"{name} executed {run.id} and cannot review it",
                means="Nothing was recorded.", do="Have another person review it.",
            )  # fmt: skip
    latest = history.latest(stage)
    missing = [case for case in expected if case not in latest]
    failed = [case for case, done in latest.items() if done["verdict"] != "pass"]
    if verdict == ACCEPTED and (missing or failed):
        raise Refused(
            f"{stage.upper()} cannot be accepted: {len(missing)} cases not run, "
            f"{len(failed)} not passed ({', '.join((failed + missing)[:5])})",
            means="Nothing was recorded. Not run is not pass.",
            do="Execute the cases, or record a rejection.",
        )
    log = QualificationLog(out, clock, "")
    try:
        log.acts(name, "reviewer")
        digest = hashlib.sha256(
            canonical_bytes({case: done["sha256"] for case, done in latest.items()})
        ).hexdigest()
        log.add("qualification.reviewed", reason.strip(), stage=stage, run=runs[-1].id,
                verdict=verdict, executed=digest)  # fmt: skip
    finally:
        log.close()
    return runs[-1].id

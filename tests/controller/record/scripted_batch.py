"""A batch on a watched disk: what it acknowledged and commanded, and what must be left of that."""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from disk_model import STYLES
from record_logs import chunk_bytes, frames_of, quality_event, stamp_at
from virtual_disk import VirtualDisk

from controller.core.errors import RecordFailure
from controller.core.events import Event
from controller.record.entry import read_records
from controller.record.files import DurableFiles
from controller.record.frame import segment_files
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import verify

SEGMENT = 6_000  # a few segments in a short batch
AGAIN, LATE = 1_000, 10_000  # seconds: the log taken up once more, and after everything


class LaterFiles(DurableFiles):
    """The real disk's calls, its background work done when it is told to, in this thread."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self._chance, self._waiting = chance, list[Callable[[], None]]()

    def later(self, job: Callable[[], None]) -> None:
        """Waits, as it would in a busy background."""
        self._waiting.append(job)

    def work(self) -> None:
        """Any number of the jobs that wait, in their order."""
        for _ in range(self._chance.randint(0, len(self._waiting))):
            self._waiting.pop(0)()

    def settle(self) -> None:
        """All of them."""
        while self._waiting:
            self._waiting.pop(0)()


@dataclass
class Witnessed:
    """What left a log by the time of each call of the disk: the truth no crash may change."""

    acknowledged: list[tuple[int, int]] = field(default_factory=list)  # calls, records
    handed: list[tuple[int, int]] = field(default_factory=list)  # calls, command
    payloads: list[bytes] = field(default_factory=list)

    def records(self, calls: int) -> int:
        """Records acknowledged by then."""
        return max((size for at, size in self.acknowledged if at <= calls), default=0)

    def commands(self, calls: int) -> set[int]:
        """Commands given to field by then."""
        return {number for at, number in self.handed if at <= calls}

    def until(self, calls: int) -> Witnessed:
        """What was true by then."""
        handed = [each for each in self.handed if each[0] <= calls]
        acknowledged = [each for each in self.acknowledged if each[0] <= calls]
        return Witnessed(acknowledged, handed, self.payloads)


class Script:
    """Commands, a signature, a trip, history, a blob, groups of all sizes, and the seal."""

    def __init__(self, disk: VirtualDisk, seed: int = 1) -> None:
        self.disk, self.chance, self.told = disk, Random(seed), Witnessed()
        self.files = LaterFiles(self.chance)
        self.second, self.number = 0.0, 0
        self.log: BatchLog | None = None

    def create(self) -> None:
        """A new log; record 0 is acknowledged when this returns."""
        keys = Keys.in_directory(self.disk.root / "keys", self.files)
        stamp = stamp_at(0)
        self.log = BatchLog.create(
            self.disk.root / "log", keys, stamp, purpose="batch B-1", files=self.files,
            segment_bytes=SEGMENT,
        )  # fmt: skip
        self._told()

    def go_on(self) -> None:
        """Takes the log up again in the same machine, or after it crashed."""
        self.log = open_again(self.disk.root, self.files, AGAIN)
        self.second, self.number = AGAIN, 50
        self._told()

    def run(self, seal: bool = True) -> Witnessed:
        """The whole batch on an installed disk. Raises RecordFailure where the disk does."""
        try:
            if self.log is None:
                self.create()
            for _ in range(3):
                for step in (self._command, self._group, self._trip, self._sign, self._command,
                             self._chunk, self._blob, self._group):  # fmt: skip
                    step()
                    self.files.work()
            if seal:
                self._seal()
        finally:
            self._keep_payloads()
        return self.told

    def once_more(self) -> None:
        """A command and its outcome, and the log is let go."""
        self._command()
        self._keep_payloads()
        self._log.close()

    def _told(self) -> None:
        log = self._log
        self.told.acknowledged.append((self.disk.calls, log.durable_size))

    def _keep_payloads(self) -> None:
        self.told.payloads = [frame.payload for frame in frames_of(self.disk.root / "log")]

    @property
    def _log(self) -> BatchLog:
        assert self.log is not None
        return self.log

    def _append(self, event: str, /, **data: object) -> None:
        self._log.append(Event(event, stamp_at(self.second), "me", data=data))

    def _sync(self) -> None:
        self.second += 0.3
        self._log.sync(stamp_at(self.second))
        self._told()

    def _command(self) -> None:
        self.number += 1
        self._append("command.intent", id=self.number, verb="set_sp", target="TIC101", old="36",
                     new="37", second="", expected="", valid_until="0")  # fmt: skip
        self._sync()
        self.disk_hands_over(self.number)
        self._append("command.outcome", id=self.number, result="applied", why="")
        self._sync()

    def disk_hands_over(self, number: int) -> None:
        """Field has the command from this call of the disk on."""
        self.told.handed.append((self.disk.calls, number))

    def _group(self) -> None:
        for _ in range(self.chance.randint(1, 12)):
            tag = "TT101" + "x" * self.chance.choice((0, 0, 300, 1_800))
            self._log.append(quality_event(self.number, self.second, tag=tag))
        self._sync()

    def _trip(self) -> None:
        self._append("cause.active", row="6", title="pressure", scan=1, first_out=True,
                     signals=["PT101"])  # fmt: skip
        self._append("unit.hold", cause="row 6")
        self._sync()

    def _sign(self) -> None:
        self._append("signature.given", id=self.number, user="me", name="Me", role="operator",
                     meaning="reviewed", digest="00", utc="", station="")  # fmt: skip
        self._log.checkpoint(stamp_at(self.second))
        self._told()

    def _chunk(self) -> None:
        self._log.store_chunk(chunk_bytes(self.number, 64), stamp_at(self.second))
        self._sync()

    def _blob(self) -> None:
        self._log.store_blob("photo", self.chance.randbytes(3_000), stamp_at(self.second))
        self._sync()

    def _seal(self) -> None:
        self._log.seal(stamp_at(self.second + 1))
        self._told()


def open_again(root: Path, files: DurableFiles | None = None, second: float = LATE) -> BatchLog:
    """The log of a root taken up with the keys beside it."""
    files = files or LaterFiles(Random(0))
    keys = Keys.in_directory(root / "keys", files)
    return BatchLog.open(root / "log", keys, stamp_at(second), files=files, segment_bytes=SEGMENT)


def check(root: Path, told: Witnessed, calls: int) -> str:
    """Takes up what a crash after that many calls left; what it was found to be.

    Raises AssertionError for a lost record or a command without an intent, RecordFailure for a log
    that does not open.
    """
    acknowledged, log_root = told.records(calls), root / "log"
    if acknowledged == 0 and not segment_files(log_root):
        keys = Keys.in_directory(root / "keys")
        BatchLog.create(log_root, keys, stamp_at(0), purpose="batch B-1").close()
        return "never began"
    found = "taken up"
    try:
        log = open_again(root)
    except RecordFailure as failure:
        if "is sealed" not in failure.what:
            raise
        found = "sealed"
    else:
        log.seal(stamp_at(LATE + 1))
    report = verify(log_root, deep=True)
    assert report.ok, report.problems
    payloads = [frame.payload for frame in frames_of(log_root)]
    kept = 0
    while kept < min(len(payloads), len(told.payloads)) and payloads[kept] == told.payloads[kept]:
        kept += 1
    assert kept >= acknowledged, f"{acknowledged - kept} acknowledged records are lost"
    records = list(read_records(log_root))
    added = {record["event"] for record in records[kept:]} if acknowledged else set()
    assert added <= {"log.recovered"}, f"nobody wrote {added}"
    intents = {r["data"]["id"] for r in records if r["event"] == "command.intent"}
    assert told.commands(calls) <= intents, "a command was given without a durable intent"
    return found


class Sweep:
    """Crashes after every call of a journal, each with several seeds; what was found, counted."""

    def __init__(self, scratch: Path) -> None:
        self.scratch, self.found = scratch, Counter[str]()
        self.failures: list[str] = []

    @property
    def pairs(self) -> int:
        """Crash points times seeds so far."""
        return self.found.total()

    def run(
        self, disk: VirtualDisk, checked: Callable[[Path, int], str], points: list[int],
        seeds: range, styles: tuple[str, ...] = STYLES,
    ) -> None:  # fmt: skip
        """`checked(root, calls)` takes up a survivor of a crash after so many calls."""
        model, wanted = copy.deepcopy(disk.base), set(points)
        for calls in range(disk.calls + 1):
            if calls:
                model.apply(disk.journal[calls - 1])
            for seed in seeds if calls in wanted else ():
                style = styles[seed % len(styles)]
                root = self.scratch / f"{calls}-{seed}"
                model.survivor(root, Random(f"{calls} {seed}"), style)
                try:
                    self.found[checked(root, calls)] += 1
                except (AssertionError, RecordFailure) as error:
                    self.found[f"FAILED ({style})"] += 1
                    last = disk.journal[calls - 1][:2] if calls else ()
                    self.failures.append(f"call {calls} {last}, seed {seed} ({style}): {error}")
                shutil.rmtree(root)

"""The same operations on a log and on SQLite read back the same, whatever their order.

SQLite is the oracle: what was committed there is what the log acknowledged, what waits in its
transaction is what the log may lose. Crashes are those of the virtual disk.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import threading
from pathlib import Path
from random import Random

import pytest
from disk_model import STYLES
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from record_logs import chunk_bytes, quality_event, stamp_at
from scripted_batch import LaterFiles
from virtual_disk import VirtualDisk

from controller.core.errors import RecordFailure
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.verify import verify

SEGMENT = 2_500
TEXTS = st.text("abäö€\"\\\n😀", max_size=40)


class LogAgainstSqlite(RuleBasedStateMachine):
    """One log, one table. `waiting` are rows of a transaction that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.base = sqlite3.connect(":memory:", isolation_level=None)
        self.base.execute("CREATE TABLE record (seq INTEGER PRIMARY KEY, event TEXT, data TEXT)")
        self.waiting: list[tuple[int, str, str]] = []
        self.second, self.lives, self.files = 0, 0, LaterFiles(Random(0))
        self.disk, self.watch = VirtualDisk(self.home / "life-0"), None

    @initialize()
    def create(self) -> None:
        """A new log."""
        self._install()
        self.log = BatchLog.create(
            self._where, Keys.from_seed(1), self._now(), purpose="B-1", files=self.files,
            segment_bytes=SEGMENT,
        )  # fmt: skip
        self._acknowledge_new()

    def _install(self) -> None:
        self.watch = self.disk.installed()
        self.watch.__enter__()

    def _release(self) -> None:
        if self.watch is not None:
            self.watch.__exit__(None, None, None)
            self.watch = None

    @property
    def _where(self) -> Path:
        return self.disk.root / "log"

    def _now(self):
        self.second += 1
        return stamp_at(self.second)

    def _expect(self, seq: int, event: str, data: dict[str, object]) -> None:
        self.waiting.append((seq, event, json.dumps(data, sort_keys=True)))

    def _acknowledged(self) -> None:
        """What waited is in the table now."""
        self.base.executemany("INSERT INTO record VALUES (?, ?, ?)", self.waiting)
        self.waiting.clear()

    def _acknowledge_new(self) -> None:
        """Records the log made itself: its opening, what it recovered."""
        (known,) = self.base.execute("SELECT count(*) FROM record").fetchone()
        for record in self.log.records(known):
            self._expect(record["seq"], record["event"], record["data"])
        self._acknowledged()

    @rule(text=TEXTS, number=st.integers(-(2**53) + 1, 2**53 - 1))
    def append(self, text: str, number: int) -> None:
        """One record, not durable yet."""
        event = quality_event(0, self.second, tag=text, reason=str(number))
        self._expect(self.log.append(event), event.name, dict(event.data))

    @rule()
    def sync(self) -> None:
        """All that waits is durable."""
        self.log.sync(self._now())
        self._acknowledged()

    @rule(count=st.integers(2, 6))
    def commit_from_threads(self, count: int) -> None:
        """Each thread comes back when its own record is durable."""
        found: dict[int, dict[str, object]] = {}
        stamp = self._now()

        def one(place: int) -> None:
            event = quality_event(place, self.second, tag=f"thread {place}")
            found[self.log.commit(event, stamp)] = dict(event.data)

        threads = [threading.Thread(target=one, args=(place,)) for place in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == count
        for seq in sorted(found):
            self._expect(seq, "quality.changed", found[seq])
        self._acknowledged()

    @rule(rows=st.integers(1, 30))
    def chunk(self, rows: int) -> None:
        """A chunk is on the disk before its record."""
        seq = self.log.store_chunk(chunk_bytes(self.second, rows), self._now())
        self.log.sync(self._now())
        self._expect(seq, "history.chunk", self._data(seq))
        self._acknowledged()

    @rule(data=st.binary(max_size=2_000))
    def blob(self, data: bytes) -> None:
        """The same bytes twice are one file."""
        seq = self.log.store_blob("photo", data, self._now())
        self.log.sync(self._now())
        stored = self._data(seq)
        assert (self._where / str(stored["file"])).read_bytes() == data
        self._expect(seq, "blob.stored", stored)
        self._acknowledged()

    def _data(self, seq: int) -> dict[str, object]:
        """What the log says of a record that is durable."""
        record = next(iter(self.log.records(seq)))
        assert record["seq"] == seq
        return dict(record["data"])

    @rule(share=st.integers(0, 10))
    def background(self, share: int) -> None:
        """What was put off is done, or some of it."""
        if share > 7:
            self.files.settle()
        else:
            self.files.work()

    @rule()
    def reopen(self) -> None:
        """Let go and taken up: what was not synced is not there, as a transaction rolled back."""
        self.log.close()
        self.waiting.clear()
        self._take_up()

    @rule(style=st.sampled_from(STYLES), seed=st.integers(0, 10_000))
    def crash(self, style: str, seed: int) -> None:
        """The machine dies; another goes on from what its disk holds."""
        self._release()
        self.lives += 1
        root = self.home / f"life-{self.lives}"
        self.disk.model.survivor(root, Random(seed), style)
        shutil.rmtree(self.disk.root)
        self.disk, self.files = VirtualDisk(root), LaterFiles(Random(seed))
        self._install()
        self._take_up()

    def _take_up(self) -> None:
        self.log = BatchLog.open(
            self._where, Keys.from_seed(1), self._now(), files=self.files, segment_bytes=SEGMENT
        )
        kept = [row for row in self.waiting if row[0] < self.log.durable_size]
        records = {record["seq"]: record for record in self.log.records()}
        for row in kept:  # a crash may keep what was not acknowledged: then whole and in order
            record = records[row[0]]
            if (record["event"], json.dumps(record["data"], sort_keys=True)) == row[1:]:
                self.base.execute("INSERT INTO record VALUES (?, ?, ?)", row)
            else:
                break
        self.waiting.clear()
        self._acknowledge_new()
        (others,) = self.base.execute(
            "SELECT count(*) FROM record WHERE event NOT IN ('log.opened', 'quality.changed',"
            " 'history.chunk', 'blob.stored', 'log.recovered')"
        ).fetchone()
        assert others == 0

    @precondition(lambda self: hasattr(self, "log"))
    @invariant()
    def both_read_the_same(self) -> None:
        """Every acknowledged record, and no other."""
        rows = self.base.execute("SELECT seq, event, data FROM record ORDER BY seq").fetchall()
        found = [(record["seq"], record["event"], json.dumps(record["data"], sort_keys=True))
                 for record in self.log.records()]  # fmt: skip
        assert found == rows

    def teardown(self) -> None:
        """The log is sealed at last, and verifies."""
        try:
            if hasattr(self, "log"):
                self.log.seal(self._now())
                report = verify(self._where, deep=True)
                assert report.ok, report.problems
                (rows,) = self.base.execute("SELECT count(*) FROM record").fetchone()
                assert report.records == rows + len(self.waiting)
                with pytest.raises(RecordFailure, match="sealed"):
                    self.log.append(quality_event(1))
        finally:
            self._release()
            shutil.rmtree(self.home)


QUICK = settings(
    max_examples=15, stateful_step_count=15, deadline=None, print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would take minutes
)  # fmt: skip
LONG = settings(QUICK, max_examples=400, stateful_step_count=40)

TestLogAgainstSqlite = LogAgainstSqlite.TestCase
TestLogAgainstSqlite.settings = QUICK


@pytest.mark.campaign
def test_campaign_log_against_sqlite() -> None:
    case = LogAgainstSqlite.TestCase
    case.settings = LONG
    try:
        case("runTest").runTest()
    finally:
        case.settings = QUICK
    print("\n400 runs of 40 operations: the log and SQLite read the same")

"""The live copy of the process history in SQLite: made anew, gone on with, never in the way."""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_logs import DAY_S, TAGS, asked, make

from controller.core.signal import Reason
from controller.record.livestore import NAME, LiveStore, Moment, rebuild
from controller.record.process import QUALITIES, Stream


def sqlite_rows(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        found = db.execute(
            "SELECT time_ms, offset_min, name, value, unit, quality, reason"
            " FROM rows JOIN tags USING (tag) ORDER BY rows.rowid"
        ).fetchall()
        view = db.execute("SELECT * FROM history").fetchall()
    rows = [(*row[:5], QUALITIES[row[5]], row[6]) for row in found]
    told = [(*row[:6], Reason(row[6]).name.lower()) for row in rows]  # as every export has it
    assert sorted(map(str, view)) == sorted(map(str, told))
    return rows


def expected_rows(log: Path) -> list[tuple[Any, ...]]:
    stream = Stream(log, writes=False)
    return [
        (int(row["time_ms"]), 90, stream.names.names[row["tag"]],
         None if math.isnan(row["value"]) else float(row["value"]),
         stream.names.units[row["tag"]], QUALITIES[row["quality"]], int(row["reason"]))
        for block in stream.blocks() for row in block
    ]  # fmt: skip


@pytest.mark.parametrize("spoil", ["missing", "garbage", "cut", "other boot"])
def test_sqlite_that_is_lost_or_damaged_is_made_anew(batch: Path, spoil: str) -> None:
    path = batch / NAME
    rebuild(batch / "log", path, "that boot")
    data = path.read_bytes()
    if spoil == "missing":
        path.unlink()
    elif spoil == "garbage":
        path.write_bytes(b"not a database at all, but long enough to be read as one" * 40)
    elif spoil == "cut":
        path.write_bytes(data[: len(data) // 2])
    boot = "other boot" if spoil == "other boot" else "that boot"
    store = LiveStore(batch / "log", path, TAGS, ("Cel", "%"), boot)
    store.close()
    assert store.trouble == ""
    assert sqlite_rows(path) == expected_rows(batch / "log")


def test_sqlite_goes_on_with_a_gap_where_the_last_supervisor_left_it(batch: Path) -> None:
    path = batch / NAME
    rebuild(batch / "log", path, "boot")
    before = sqlite_rows(path)
    store = LiveStore(batch / "log", path, TAGS[::-1], ("%", "Cel"), "boot")
    one, two = np.array([5, 5]), np.array([0, 1])
    later = np.array([DAY_S, DAY_S]) * 2_000_000
    store.put(Moment(60, False, later, two, np.array([1.5, math.nan]), two * 2, one))
    store.put(Moment(60, True, later[:1] + 9, two[1:], np.array([2.5]), two[:1], two[:1]))
    store.close()
    assert store.trouble == ""
    end, news = before[-1][0], sqlite_rows(path)[len(before) :]
    assert set(news[:2]) == {
        (end, 60, TAGS[0], None, "Cel", "gap", 0), (end, 60, TAGS[1], None, "%", "gap", 0),
    }  # fmt: skip
    assert news[2:] == [
        (later[0], 60, TAGS[1], 1.5, "%", "good", 5),
        (later[0], 60, TAGS[0], None, "Cel", "bad", 5),
        (later[0] + 9, 60, TAGS[0], 2.5, "Cel", "good", 0),
    ]


def test_a_disk_that_refuses_the_copy_is_said_and_nothing_else(batch: Path) -> None:
    path = batch / "nowhere" / NAME
    store = LiveStore(batch / "log", path, TAGS, ("Cel", "%"), "boot")
    store.close()
    assert "unable to open database file" in store.trouble


def test_what_the_thread_does_not_take_makes_the_file_incomplete(
    batch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = batch / NAME
    rebuild(batch / "log", path, "boot")
    zero = np.zeros(1, np.int64)
    monkeypatch.setattr("controller.record.livestore.MOMENTS_MAX", 1)
    store = LiveStore(batch / "log", path, TAGS, ("Cel", "%"), "boot")
    for place in range(2_000):
        store.put(Moment(0, True, zero + place, zero, zero * 1.0, zero, zero))
    while store._queue.full():
        time.sleep(0.01)
    store.close()
    with closing(sqlite3.connect(path)) as db:
        assert dict(db.execute("SELECT name, value FROM meta"))["whole"] == "0"
    again = LiveStore(batch / "log", path, TAGS, ("Cel", "%"), "boot")
    again.close()
    assert sqlite_rows(path) == expected_rows(batch / "log")


def test_rebuild_on_the_command_line(batch: Path) -> None:
    (batch / NAME).write_bytes(b"rubbish")
    status, said = asked("history", "rebuild", batch)
    assert status == 0
    assert f"{len(expected_rows(batch / 'log'))} rows" in said
    assert sqlite_rows(batch / NAME) == expected_rows(batch / "log")


def test_rebuild_leaves_the_file_of_an_open_batch_to_its_supervisor(tmp_path: Path) -> None:
    folder = tmp_path / "batches" / "B-1"
    make(folder / "log").close()
    (tmp_path / "current").write_text("B-1\n")
    status, said = asked("history", "rebuild", folder)
    assert (status, "supervisor" in said) == (2, True)
    assert not (folder / NAME).exists()

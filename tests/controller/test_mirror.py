"""The SQLite copy of the open batch: it follows the batch, and costs the batch nothing."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from takeup_bench import MortalDeck

from controller.mirror import Mirror
from controller.record.livestore import NAME, rebuild

ROWS = "SELECT time_ms, tag, value, quality, reason, offset_min, unit FROM history"


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return sorted(db.execute(ROWS).fetchall(), key=str)


def run_mirrored(deck: MortalDeck, seconds: float) -> None:
    """A supervisor's life: ticks, the mirror's turns, and what was seen is stored at its end."""
    mirror = Mirror(deck.station)
    if deck.station.batch_log is None:
        deck.open()
    for second in range(round(seconds)):
        deck.values["AT102"] = 40.0 + 3 * math.sin(second)
        deck.run(1)
        mirror.turn(deck.clock.stamp())
    deck.supervisor.keep_history(deck.clock.stamp())
    mirror.close()
    deck.supervisor.historian.tags.listeners.clear()


@pytest.fixture
def deck(tmp_path: Path) -> MortalDeck:
    return MortalDeck(tmp_path)


def test_the_copy_has_what_the_chunks_have_over_a_restart(deck: MortalDeck, tmp_path: Path) -> None:
    path = deck.station.state_dir.batch("B-1") / NAME
    run_mirrored(deck, 90)
    first = rows_of(path)
    assert len(first) > 100
    deck.drop()
    deck.scan_alone(30)
    deck.come_back()
    run_mirrored(deck, 40)
    log = deck.station.state_dir.batch_log("B-1")
    again = tmp_path / "again.sqlite"
    assert rebuild(log, again) == len(rows_of(path))
    assert rows_of(path) == rows_of(again)
    assert sum(row[3] == "gap" for row in rows_of(path)) == len(deck.profile.signals)


def test_a_copy_that_cannot_be_kept_is_one_warning_and_the_batch_goes_on(deck: MortalDeck) -> None:
    mirror = Mirror(deck.station)
    (deck.station.state_dir.batch("B-1") / NAME).mkdir(parents=True)
    deck.open()
    store = mirror._store
    assert store is not None
    store.close()
    for _ in range(5):
        mirror.turn(deck.clock.stamp())
        deck.run(1)
    assert deck.names().count("history.not_mirrored") == 1
    assert not deck.supervisor.failed
    assert not [name for name in deck.names() if name.startswith("alarm")]


def test_the_copy_of_a_batch_that_ended_is_let_go(deck: MortalDeck) -> None:
    mirror = Mirror(deck.station)
    deck.open()
    store = mirror._store
    assert store is not None
    deck.station.batch_log = None
    mirror.turn(deck.clock.stamp())
    store._thread.join(5)
    assert not store._thread.is_alive()
    assert store.trouble == ""
    assert mirror._store is None

"""A log that fails under way: Hold at once, and every record is in the log afterwards."""

from __future__ import annotations

import pytest
from takeup_bench import MortalDeck, sources
from test_beginning import open_batch

from controller.core.errors import RecordFailure
from controller.record.entry import read_records
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.state import StateDir
from controller.record.verify import verify


@pytest.fixture
def deck(tmp_path):
    return MortalDeck(tmp_path)


def running(deck):
    open_batch(deck)
    deck.ask("start")
    deck.run(20)
    assert deck.supervisor.procedure_state == "Running"


def fails(deck, seconds=5.0):
    """The disk fills in mid-batch; over-pressure trips a row while the log is down."""
    deck.disk.full = True
    deck.values["PT101"] = 3.5
    deck.run(seconds)
    assert deck.supervisor.failed


def test_what_was_recorded_while_the_log_was_down_is_in_the_log_of_the_next_supervisor(deck):
    running(deck)
    fails(deck)
    kept = [event.name for event in deck.supervisor.emergency.kept]
    assert {"log.failed", "cause.active", "effect.applied", "alarm.state"} <= set(kept)
    deck.drop()
    deck.disk.full = False
    deck.come_back()
    deck.run(5)
    records = deck.logs()
    names = [record["event"] for record in records]
    for name in set(kept):
        assert names.count(name) >= kept.count(name), name
    assert names.count("log.gap") == 2, "one in each log"
    (tripped,) = [r for r in records if r["event"] == "cause.active" and r["data"]["row"] == "5"]
    (gap,) = [r for r in records if r["event"] == "log.gap" and r["data"]["records"] != 0]
    assert gap["data"]["begin"] <= tripped["time"] <= gap["data"]["end"]
    assert tripped["seq"] < gap["seq"]
    for folder in (deck.station.state_dir.station, deck.station.state_dir.batch_log("B-1")):
        assert verify(folder, expect_sealed=False, deep=True).problems == []


def test_nothing_field_said_while_the_log_was_down_is_recorded_twice_or_lost(deck):
    running(deck)
    fails(deck)
    deck.values["PT101"] = 0.5
    deck.run(5)
    deck.drop()
    deck.disk.full = False
    deck.come_back()
    deck.run(5)
    ((_, found),) = sources(deck.logs(), "e").items()
    assert found == sorted(set(found))
    assert found == list(range(found[0], found[0] + len(found)))


def test_after_the_gap_the_batch_is_held_and_the_alarm_of_the_log_has_returned(deck):
    running(deck)
    fails(deck)
    assert deck.supervisor.alarms.all["log"].state == "UNACK"
    deck.drop()
    deck.disk.full = False
    deck.come_back()
    deck.run(5)
    assert deck.supervisor.procedure_state == "Held"
    assert deck.flag("unit_held") == 1
    assert deck.supervisor.alarms.all["log"].state == "RTN-UNACK"
    assert not deck.supervisor.failed
    deck.values["PT101"] = 0.5
    deck.run(3)
    deck.ask("restart", reason="the disk was mended")
    deck.run(3)
    assert deck.supervisor.procedure_state == "Running"


def test_a_merge_that_fails_at_any_write_is_finished_by_the_next_supervisor(deck):
    running(deck)
    fails(deck)
    kept = len(deck.supervisor.emergency.kept)
    deck.drop()
    deck.disk.full = False
    for writes in range(12):
        deck.disk.full_after(writes)
        try:
            deck.come_back()
        except RecordFailure:
            deck.disk.die()
        else:
            deck.drop()
    deck.disk.full_after(1 << 60)
    deck.come_back()
    deck.run(5)
    ((_, found),) = sources(deck.logs(), "e").items()
    assert found == sorted(set(found))
    ring = [r for r in deck.logs() if "emergency-" in r.get("source", "")]
    numbers = [r["source"] for r in ring]
    assert len(numbers) == len(set(numbers))
    assert 0 < len(numbers) <= kept


def test_what_was_kept_for_a_batch_that_is_over_comes_into_the_station_log(deck):
    running(deck)
    fails(deck)
    deck.drop()
    deck.disk.full = False
    state = deck.station.state_dir
    log = BatchLog.open(state.batch_log("B-1"), Keys.from_seed(1), deck.clock.stamp(),
                        files=deck.disk)  # fmt: skip
    log.seal(deck.clock.stamp())
    deck.come_back()
    names = [record["event"] for record in read_records(state.station)]
    assert "cause.active" in names
    assert names.count("log.gap") == 2
    assert verify(state.batch_log("B-1")).sealed


def test_the_emergency_area_is_clean_after_a_merge_and_takes_the_next_failure(deck):
    running(deck)
    for _ in range(2):
        fails(deck)
        deck.values["PT101"] = 0.5
        deck.drop()
        deck.disk.full = False
        deck.come_back()
        deck.run(5)
    gaps = [r for r in deck.logs() if r["event"] == "log.gap" and r["data"]["records"]]
    assert len(gaps) == 2
    assert gaps[0]["data"]["end"] < gaps[1]["data"]["begin"]
    assert StateDir(deck.path, deck.disk).current() == "B-1"

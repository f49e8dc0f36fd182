"""A log that fails under way: Hold at once, and every record is in the log afterwards."""

from __future__ import annotations

import errno
import os

import pytest
from supervisor_bench import ME, YOU
from takeup_bench import MortalDeck, restart_field, skid_says, sources
from test_beginning import open_batch

from controller.core.errors import RecordFailure
from controller.core.events import Event
from controller.desk import Request
from controller.profile.plan import Mode
from controller.record.entry import read_records
from controller.record.frame import segment_files
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.takeup import RECOVERED


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


def ended(deck):
    """The procedure and the environment are over: the batch may close."""
    deck.ask("stop", reason="test", second=YOU)
    deck.run(10)
    deck.ask("end_environment", "environment", reason="empty", second=YOU)
    deck.run(10)
    assert deck.station.may_close


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
    deck.disk.full = True
    deck.supervisor.hold("a test")
    report = Event("session.opened", deck.clock.stamp(), data={
        "user": "ana", "name": "Ana", "session": "1", "station": "desk"})  # fmt: skip
    deck.run(2)
    deck.supervisor.record_station(report)
    fails(deck)
    kept = list(deck.supervisor.emergency.kept)
    deck.drop()
    deck.disk.full = False
    state = deck.station.state_dir
    log = BatchLog.open(state.batch_log("B-1"), Keys.from_seed(1), deck.clock.stamp(),
                        files=deck.disk)  # fmt: skip
    log.seal(deck.clock.stamp())
    deck.come_back()
    names = [record["event"] for record in read_records(state.station)]
    for name in {event.name for event in kept}:
        assert names.count(name) >= [event.name for event in kept].count(name), name
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


@pytest.mark.parametrize("sync", range(1, 5))
def test_a_record_whose_write_came_through_though_its_sync_failed_is_not_in_a_log_twice(
    deck, monkeypatch, sync
):
    running(deck)
    deck.supervisor.desk.ask(Request("set_output", "stirrer", "150", ME, reason="test"))
    left, real = [sync], deck.disk.sync

    def fails_once(fd):
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr(deck.disk, "sync", fails_once)
    deck.run(3)
    assert deck.supervisor.failed
    deck.drop()
    deck.come_back()
    deck.run(3)
    intents = [r["data"]["id"] for r in deck.logs() if r["event"] == "command.intent"]
    assert len(intents) == len(set(intents))
    outcomes = [r["data"]["id"] for r in deck.logs() if r["event"] == "command.outcome"]
    assert len(outcomes) == len(set(outcomes))
    assert {r["data"]["target"] for r in deck.logs() if r["event"] == "command.intent"} > {
        "stirrer"
    }


def test_the_end_of_a_sealed_batch_is_not_told_again_by_the_station_that_failed_after_it(deck):
    running(deck)
    ended(deck)
    log, station_log = deck.station.batch_log, deck.supervisor.station_log
    folder = log.directory
    real = log.seal

    def seal(stamp):
        real(stamp)
        deck.disk.full = True  # the station's log is the next that is written

    log.seal = seal
    with pytest.raises(RecordFailure):
        deck.station.close_batch(deck.clock.stamp())
    deck.run(2)
    assert deck.supervisor.failed
    station_log.close()
    deck.disk.full = False
    deck.come_back()
    deck.run(2)
    names = [r["event"] for r in (*read_records(folder), *read_records(station_log.directory))]
    assert names.count("batch.closed") == 1
    assert names.count("batch.was_closed") == 1


def test_field_is_held_before_any_disk_is_asked_again(deck, monkeypatch):
    running(deck)
    order = []
    board, area = deck.station.board, deck.supervisor.emergency
    keep, command = area.keep, board.command

    def kept(*given):
        order.append("area")
        keep(*given)

    def commanded(*given):
        order.append("field")
        return command(*given)

    monkeypatch.setattr(area, "keep", kept)
    monkeypatch.setattr(board, "command", commanded)
    fails(deck)
    assert order[0] == "field"
    assert deck.flag("unit_held") == 1


def test_a_log_that_fails_while_a_new_field_is_given_everything_costs_no_heat(deck):
    running(deck)
    deck.ask("set_mode", "TIC101", "auto", reason="test")
    skid_says(deck)
    board = restart_field(deck)
    deck.station.field_restarted(board, deck.clock.stamp())
    restore = deck.supervisor.restore
    give = restore._give

    def gives(wanted, stamp):
        deck.disk.full = True
        give(wanted, stamp)

    restore._give = gives
    deck.run(10)
    assert deck.supervisor.failed
    loop = deck.profile.loops.index("TIC101")
    assert int(deck.station.board.image.loops["mode"][loop]) == Mode.AUTO
    assert deck.flag("environment") == 1, "field guards heat, stirring and oxygen"
    assert deck.flag("unit_held") == 1
    assert not any(
        event.name == "command.outcome" and event.data["result"] != "applied"
        for event in deck.supervisor.emergency.kept
    )


def test_an_end_of_the_environment_that_was_refused_is_not_carried_out_later(deck):
    running(deck)
    deck.ask("stop", reason="test", second=YOU)
    deck.run(10)
    told = []
    end = Request("end_environment", "environment", "", ME, reason="empty", second=YOU)
    deck.supervisor.desk.ask(end, told.append)
    deck.disk.full = True
    deck.run(3)
    assert [answer.accepted for answer in told] == [False]
    deck.drop()
    deck.disk.full = False
    deck.come_back()
    deck.run(10)
    assert deck.station.environment_on
    assert deck.flag("environment") == 1
    deck.ask("end_environment", "environment", reason="empty", second=YOU)
    deck.run(10)
    assert deck.station.may_close


def test_a_torn_log_is_an_alarm_also_when_its_gap_follows(deck, monkeypatch):
    running(deck)

    def half(fd, data):
        os.write(fd, data[: len(data) // 2])
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(deck.disk, "write", half)
    deck.values["PT101"] = 3.5
    deck.run(5)
    monkeypatch.undo()
    deck.drop()
    deck.come_back()
    deck.run(3)
    assert "log.recovered" in [r["event"] for r in deck.logs()]
    assert deck.supervisor.alarms.all[RECOVERED].state == "RTN-UNACK"
    told = len([r for r in deck.logs() if r["event"] == "alarm.state"])
    deck.drop()
    deck.come_back()
    alarms = [r["data"]["alarm"] for r in deck.logs() if r["event"] == "alarm.state"][told:]
    assert RECOVERED not in alarms, "once"


def test_a_torn_log_of_the_station_is_an_alarm_beside_an_open_batch(deck):
    running(deck)
    deck.drop()
    with segment_files(deck.station.state_dir.station)[-1].open("ab") as file:
        file.write(b"x" * 40)
    deck.come_back()
    deck.run(3)
    assert deck.supervisor.alarms.all[RECOVERED].state == "RTN-UNACK"


def test_an_area_that_cannot_be_emptied_keeps_no_station_from_its_cells(deck, monkeypatch):
    running(deck)
    fails(deck)
    deck.drop()
    deck.disk.full = False
    open_within = deck.disk.open_within

    def not_the_area(path, offset=0):
        if path.name == "emergency":
            raise OSError(errno.EIO, "Input/output error")
        return open_within(path, offset)

    monkeypatch.setattr(deck.disk, "open_within", not_the_area)
    for _ in range(2):
        deck.come_back()
        deck.run(2)
        assert not deck.supervisor.failed
        deck.drop()
    merged = [r["source"] for r in deck.logs() if "emergency-" in r.get("source", "")]
    assert len(merged) == len(set(merged)) > 0


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ETIMEDOUT, errno.EACCES])
def test_a_disk_that_takes_nothing_at_a_start_shows_the_batch_and_holds_it(
    deck, monkeypatch, number
):
    running(deck)
    deck.drop()

    def refuses(path, offset=0):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(deck.disk, "open_within", refuses)
    deck.come_back()
    deck.run(5)
    assert deck.supervisor.failed
    assert deck.flag("unit_held") == 1
    assert deck.supervisor.procedure_state == "Held"


def test_another_writer_of_the_log_is_no_disk_that_takes_nothing(deck):
    running(deck)
    with pytest.raises(RecordFailure, match="another process writes"):
        deck.come_back()


def test_a_supervisor_that_starts_while_the_disk_is_full_goes_on_from_the_area(deck):
    running(deck)
    fails(deck)
    deck.ask("hold", reason="first")
    first = deck.supervisor
    assert first.procedure_state == "Held"
    deck.drop()
    deck.come_back()
    assert deck.supervisor.failed, "the disk is full still"
    assert deck.supervisor.procedure_state == first.procedure_state
    assert deck.supervisor.alarms.all["row:5"].state == first.alarms.all["row:5"].state
    deck.ask("hold", reason="second")
    deck.values["PT101"] = 0.5
    deck.run(3)
    deck.drop()
    deck.disk.full = False
    deck.come_back()
    deck.run(3)
    records = deck.logs()
    ids = [r["data"]["id"] for r in records if r["event"] == "command.intent"]
    assert len(ids) == len(set(ids)), "an id was given twice"
    ((_, found),) = sources(records, "e").items()
    assert found == list(range(found[0], found[0] + len(found))), "recorded twice or lost"
    assert [r["reason"] for r in records if r["data"].get("verb") == "hold"] == ["first", "second"]

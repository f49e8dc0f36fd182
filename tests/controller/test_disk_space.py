"""No batch starts on a disk that may not hold it, and one that fills during a batch is told."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from people_bench import PeopleDeck
from supervisor_bench import Disk, S
from takeup_bench import MortalDeck

from controller.core.errors import Refused
from controller.core.events import Event
from controller.live import LiveRun, live_batch_id
from controller.opening import Opening
from controller.record.entry import read_records
from controller.record.space import MB, Budget, SpaceWatch, check_space
from controller.station import BatchOrder
from controller.units import find_recipe

DAY, HOUR = 86_400, 3600
ORDER = BatchOrder("B-1", "virtual", "PSN-1", "LOT-1")
NEEDED = Budget().whole * 2


@pytest.fixture
def room(monkeypatch):
    """What every disk here has free, in bytes; to be set."""
    found = SimpleNamespace(free=10 * NEEDED, asked=0)

    def free(disk, path):
        assert path.exists(), "asked of a path that is there"
        found.asked += 1
        return int(found.free)

    monkeypatch.setattr(Disk, "free", free)
    return found


@pytest.fixture
def deck(tmp_path, room):
    made = MortalDeck(tmp_path / "state")
    made.run(1)
    return made


def open_batch(deck):
    path, station = find_recipe("car_t_perfusion"), deck.station
    station.open_batch(station.load_recipe(path), path, ORDER, deck.clock.stamp())


# -- before a batch -------------------------------------------------------------------------------


def test_a_batch_starts_with_twice_its_estimate_free_and_not_with_a_byte_less(deck, room):
    room.free = NEEDED - 1
    with pytest.raises(Refused, match="too little space") as refused:
        open_batch(deck)
    assert "starts with 560 MB, twice what 14 days write" in refused.value.do
    assert deck.station.batch_log is None
    assert deck.station.state_dir.current() is None
    assert not (deck.station.state_dir.path / "batches").exists(), "nothing was made"
    room.free = NEEDED
    open_batch(deck)
    assert deck.station.batch_log is not None


def test_the_log_of_a_refusal_holds_no_figure_of_the_machine(tmp_path, room):
    """A run in virtual time is a function of its inputs."""
    deck = PeopleDeck(tmp_path)
    deck.supervisor.requests.opener = Opening(
        deck.station, "engineering", lambda: {"car_t_perfusion": find_recipe("car_t_perfusion")},
        live_batch_id, list,
    )  # fmt: skip
    room.free = 123_456_789
    asked = ("open_batch", "car_t_perfusion", "LOT-1;PSN-7", ("olivia",))
    answer = deck.by("olivia", *asked)
    assert (answer.accepted, answer.kind) == (False, "refused")
    assert "Free 436.5 MB" in answer.why, "the person is told"
    deck.run(1)
    (record,) = [r for r in deck.in_station_log() if r["event"] == "command.refused"]
    assert record["data"]["why"] == "the disk has too little space for a batch"
    assert not set("0123456789") & set(json.dumps(record["data"]["why"]))
    room.free = 10 * NEEDED
    assert deck.by("olivia", *asked).accepted


def test_what_a_batch_may_write_can_be_set(deck, room):
    deck.station.state_dir.budget = Budget(bytes_per_day=1000, days=1)
    room.free = 2000
    open_batch(deck)
    assert deck.station.batch_log is not None


def test_the_machine_is_asked_where_the_state_directory_will_be(tmp_path):
    check_space(Disk(), tmp_path / "not" / "yet", Budget(1, 1))
    with pytest.raises(Refused, match="too little space"):
        check_space(Disk(), tmp_path / "not" / "yet", Budget(10**18, 14))


# -- during a batch -------------------------------------------------------------------------------


class Watched:
    """A watch over the log of an open batch, and what it told."""

    def __init__(self, deck, room):
        open_batch(deck)
        deck.station.supervisor.tick(deck.clock.stamp())
        self.deck, self.room, self.told = deck, room, []
        self.watch = self.again()

    def again(self, critical=False):
        return SpaceWatch(self.deck.disk, Budget(), self.record, critical)

    def record(self, event: Event) -> None:
        self.told.append((event.name, dict(event.data)))

    def look(self, free, after_s=60.0):
        """The names told at the next look."""
        self.room.free, before = free, len(self.told)
        clock = self.deck.clock
        clock.advance_to(clock.now_ns + round(after_s * S))
        self.watch.due(clock.stamp(), self.deck.station.batch_log.directory)
        return [name for name, _ in self.told[before:]]


@pytest.fixture
def watched(deck, room):
    return Watched(deck, room)


def test_less_than_the_rest_of_the_batch_is_told_once_and_once_when_it_is_well_again(watched):
    assert watched.look(281 * MB) == []
    assert watched.look(279 * MB) == ["disk.low"]
    assert watched.told[-1][1]["free_mb"] == "279"
    for free in (281, 270, 300, 279, 330):
        assert watched.look(free * MB) == [], "no row of records from a value that swings"
    assert watched.look(340 * MB) == ["disk.enough"]


def test_the_rest_shrinks_with_the_days_but_never_below_one(watched):
    assert watched.look(120 * MB, 9 * DAY) == []
    assert watched.look(99 * MB) == ["disk.low"]
    assert watched.told[-1][1]["rest_mb"] == "99.99"
    assert watched.look(121 * MB, HOUR) == ["disk.enough"]
    assert watched.look(21 * MB, 20 * DAY) == []
    assert watched.look(19 * MB) == ["disk.low"]


def test_less_than_an_hour_is_critical_until_there_are_two(watched):
    hour = 20 * MB / 24
    assert watched.look(0.9 * hour) == ["disk.critical"]
    assert watched.told[-1][1]["hours"] == "0.9"
    assert watched.look(1.9 * hour) == []
    assert watched.look(2.1 * hour) == ["disk.low"]


def test_another_program_that_fills_the_disk_shortens_the_hours_left(watched):
    free = 3000 * MB
    told = []
    while free > 400 * MB and not told:
        told = watched.look(free)
        free -= 40 * MB
    assert told == ["disk.critical"]
    assert 0.9 < float(watched.told[-1][1]["hours"]) <= 1.0
    assert 2300 < float(watched.told[-1][1]["free_mb"]) < 2500


def test_the_disk_is_asked_once_a_minute_and_only_with_a_batch_open(watched, room):
    room.asked = 0
    for _ in range(180):
        watched.look(300 * MB, 1.0)
    assert room.asked == 3
    watched.watch.due(watched.deck.clock.stamp(), None)
    watched.look(1, 0.0)
    assert room.asked == 3


def test_a_disk_that_does_not_answer_the_question_is_no_end_of_the_run(watched):
    def fails(path):
        raise OSError(5, "Input/output error")

    watched.deck.disk.free = fails
    assert watched.look(1) == []
    del watched.deck.disk.free
    assert watched.look(1) == ["disk.critical"]


def test_a_live_run_tells_it_as_an_alarm_that_ends_when_there_is_space(deck, room):
    open_batch(deck)
    seen = []

    def pause(seconds):
        deck.clock.advance_to(deck.clock.now_ns + 30 * S)
        seen.append(deck.supervisor.alarms.stands("disk"))
        room.free = 5000 if len(seen) < 10 else 10 * NEEDED

    run = LiveRun(deck.station, SimpleNamespace(newer=lambda: None, present=None), deck.clock,
                  pause=pause)  # fmt: skip
    run.batch_id = "B-1"
    run.run(ORDER, until_ns=deck.clock.now_ns + 600 * S)
    assert True in seen
    assert not deck.supervisor.alarms.stands("disk")
    records = list(read_records(deck.station.state_dir.batch_log("B-1")))
    told = [r["event"] for r in records if r["event"].startswith("disk.")]
    assert told == ["disk.critical", "disk.enough"]
    alarm = [r["data"]["new"] for r in records
             if r["event"] == "alarm.state" and r["data"]["alarm"] == "disk"]  # fmt: skip
    assert alarm == ["UNACK", "RTN-UNACK"]


def test_the_next_supervisor_ends_the_alarm_of_the_one_before(watched):
    watched.watch = watched.again(critical=True)
    assert watched.look(500 * MB) == ["disk.enough"]

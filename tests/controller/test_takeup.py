"""A supervisor may die at any step: the next one goes on, and the record shows no seam."""

from __future__ import annotations

import random

import pytest
from supervisor_bench import YOU
from takeup_bench import (
    Killed,
    MortalDeck,
    given_again,
    prepared,
    restart_field,
    skid_says,
    sources,
)

from controller.alarms import ALARM_RECORDS, Alarms
from controller.core.errors import Refused
from controller.desk import Request
from controller.recipe.batch import BatchState, evolve, state_digest
from controller.record.keys import Keys
from controller.record.layout import read_identity
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.station import Station


@pytest.fixture
def deck(tmp_path):
    made = MortalDeck(tmp_path)
    made.open()
    return made


def act(deck, chance):
    """One thing people or the vessel do, chosen by the seed."""
    what = chance.randrange(9)
    people = {"reason": "test", "second": YOU}
    if what == 0:
        deck.values["PT101"] = chance.choice([4.6, 1.0, 1.0])
    elif what == 1:
        deck.values["TT103"] = chance.choice([50.0, 38.0, 38.0])
    elif what == 2:
        deck.ask("set_output", "stirrer", str(chance.randrange(100, 200)))
    elif what == 3:
        deck.ask("set_sp", "TIC101", str(chance.choice([36, 36.5, 37])))
    elif what == 4:
        deck.ask("hold", reason="test")
    elif what == 5:
        deck.ask("restart", reason="test")
    elif what == 6:
        deck.ask("reset", "6", **people)
    elif what == 7:
        deck.ask("bypass", "2", "5;the jacket is watched", **people)
    else:
        deck.ask("set_flag", "lineup", chance.choice(["0", "1"]), **people)


def check_no_seam(deck):
    """What must hold of the logs, whatever happened."""
    records = deck.logs()
    batch = list(deck.station.batch_log.records())
    end = deck.station.board.events_ready
    assert sorted(sources(records, "e")[1]) == list(range(end)), "lost or recorded twice"
    chunks = [r["data"]["rows"] for r in records if r["event"] == "history.chunk"]
    lasts = sources(records, "h")[1]
    assert [b - a for a, b in zip([-1, *lasts], lasts, strict=False)] == chunks
    ids = [r["data"]["id"] for r in records if r["event"] == "command.intent"]
    assert len(ids) == len(set(ids)), "an id was given twice"
    outcomes = {r["data"]["id"]: r["data"]["result"] for r in records
                if r["event"] == "command.outcome"}  # fmt: skip
    assert set(ids) <= set(outcomes), "an intent without an outcome"
    state = BatchState()
    alarms = Alarms.of(deck.profile)
    for record in records:
        if record["event"] == "alarm.state":
            assert record["data"]["old"] != record["data"]["new"]
            known = alarms.all.get(record["data"]["alarm"])
            assert record["data"]["old"] == (known.state if known else "NORM")
        if record["event"] in ALARM_RECORDS:
            alarms.evolve(record)
    for record in batch:
        state = evolve(state, record)
    assert alarms.all == deck.supervisor.alarms.all
    assert state_digest(state) == state_digest(deck.supervisor.state)
    held = deck.supervisor.procedure_state in ("Holding", "Held")
    assert deck.flag("unit_held") == held
    for folder in (deck.station.state_dir.station, deck.station.batch_log.directory):
        assert verify(folder, expect_sealed=False).ok


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_step_nothing_is_lost_and_nothing_is_recorded_twice(tmp_path, seed):
    chance = random.Random(seed)
    deck = MortalDeck(tmp_path)
    deck.open()
    deck.watch()
    for _ in range(25):
        deck.arm(chance.randrange(1, 40), chance.random() < 0.5)
        for _ in range(12):
            try:
                act(deck, chance)
                deck.run(1)
            except Killed:
                break
        alive = False
        while not alive:
            deck.drop()
            deck.scan_alone(chance.choice([0, 0, 0.1, 2, 15]))
            if chance.random() < 0.7:
                deck.arm(chance.randrange(1, 12), chance.random() < 0.5)
            try:
                deck.come_back()
                deck.run(0.1)
                alive = True
            except Killed:
                deck.dies_at = -1
    deck.dies_at = -1
    deck.run(70)
    assert len(deck.deaths) >= 4, deck.deaths
    check_no_seam(deck)


def test_a_new_field_is_given_what_the_old_one_had_and_the_batch_is_held(deck):
    prepared(deck)
    skid_says(deck)
    board = restart_field(deck)
    deck.supervisor.field_restarted(board, deck.clock.stamp())
    deck.run(8)
    given_again(deck, 2)


def test_a_field_that_died_while_no_supervisor_lived_is_found_at_the_take_up(deck):
    prepared(deck)
    skid_says(deck)
    deck.drop()
    old = deck.field_board()
    deck.come_back(restart_field(deck), (old,))
    deck.run(8)
    given_again(deck, 2)


def test_killed_in_the_middle_of_it_everything_is_given_once_more(deck):
    prepared(deck)
    skid_says(deck)
    board = restart_field(deck)
    deck.supervisor.field_restarted(board, deck.clock.stamp())
    deck.supervisor.tick(deck.clock.stamp())
    deck.drop()
    deck.come_back(board)
    deck.run(8)
    given_again(deck, 2)


def test_a_command_in_a_dead_field_is_unknown_and_one_never_given_is_not_delivered(deck):
    desk = deck.supervisor.desk

    deck.watch()
    desk.issue(Request("set_output", "stirrer", "111"), deck.clock.stamp())
    deck.supervisor.tick(deck.clock.stamp())  # handed over; field dies before its next scan
    desk.issue(Request("set_output", "stirrer", "122"), deck.clock.stamp())
    deck.supervisor.log.sync(deck.clock.stamp())  # durable, and the supervisor dies
    deck.drop()
    old = deck.field_board()
    deck.come_back(restart_field(deck), (old,))
    deck.run(9)
    intents = {r["data"]["new"]: r["data"]["id"] for r in deck.logs()
               if r["event"] == "command.intent" and r["data"]["target"] == "stirrer"}  # fmt: skip
    outcomes = {r["data"]["id"]: r["data"]["result"] for r in deck.logs()
                if r["event"] == "command.outcome"}  # fmt: skip
    assert outcomes[intents["111"]] == "unknown"
    assert outcomes[intents["122"]] == "not_delivered"
    assert deck.supervisor.procedure_state in ("Holding", "Held")


def test_a_hold_that_a_row_asked_for_is_asked_for_again_after_a_crash(deck):
    deck.run(2)
    deck.values["PT101"] = 4.6
    supervisor = deck.supervisor

    def decide(inputs, stamp):
        supervisor.log.sync(stamp)
        if any(r["event"] == "row.asks" for r in deck.logs()):
            raise Killed

    supervisor.decide = decide

    with pytest.raises(Killed):
        deck.run(3)
    assert not any(r["event"] == "unit.hold" for r in deck.logs())
    deck.drop()
    deck.come_back()
    deck.run(2)
    assert any("row 6" in r["data"]["cause"] for r in deck.logs() if r["event"] == "unit.hold")
    assert deck.supervisor.procedure_state in ("Holding", "Held")


def test_a_supervisor_alone_comes_back_running_and_says_so(deck):
    deck.run(3)
    deck.drop()
    deck.scan_alone(5)
    deck.come_back()
    deck.run(2)
    assert deck.supervisor.procedure_state == "Running"
    attached = [r for r in deck.logs() if r["event"] == "batch.attached"]
    assert [r["data"]["state"] for r in attached] == ["Running"]
    assert 5 <= float(attached[0]["data"]["gap_s"]) < 15
    assert "supervisor:batch.attached" in {a.name for a in deck.supervisor.alarms.active()}


def test_a_unit_that_asks_for_it_is_held_after_a_restart_of_the_supervisor(deck):
    deck.run(3)
    unit = deck.profile.model.unit.model_copy(update={"supervisor_restart": "hold"})
    object.__setattr__(deck.profile, "model", deck.profile.model.model_copy(update={"unit": unit}))
    deck.drop()
    deck.come_back()
    deck.run(2)
    assert deck.supervisor.procedure_state in ("Holding", "Held")


def test_a_batch_of_another_profile_is_refused_in_words_and_stays_open(deck):
    deck.drop()
    object.__setattr__(deck.profile, "sha256", "0" * 64)
    before = deck.station.image.outputs["released"].copy()
    with pytest.raises(Refused, match="profile is not the one"):
        deck.come_back()
    assert deck.station.state_dir.current() == "B-1"
    assert (deck.station.image.outputs["released"] == before).all()


def test_ids_go_on_after_a_batch_was_closed(deck):
    deck.ask("abort", reason="test")
    deck.run(5)
    deck.ask("end_environment", reason="empty", second=YOU)
    deck.run(3)
    deck.station.close_batch(deck.clock.stamp())
    deck.supervisor.tick(deck.clock.stamp())
    last = deck.supervisor.desk.next_id
    deck.supervisor.station_log.close()
    board = restart_field(deck, batch_open=False)
    deck.station.batch_log = None
    deck.come_back(board)
    assert deck.supervisor.desk.next_id >= last


def test_a_batch_that_never_began_does_not_keep_a_station_from_starting(deck, tmp_path):
    fresh = MortalDeck(tmp_path / "other")
    fresh.station.state_dir.open_batch("B-1")
    fresh.drop()
    fresh.come_back()
    fresh.run(1)
    assert fresh.station.state_dir.current() is None
    assert "batch.never_began" in [r["event"] for r in fresh.logs()]


def test_an_open_batch_whose_folder_is_gone_is_refused_with_nothing_changed(deck, tmp_path):
    deck.drop()
    state = deck.station.state_dir
    state.batch("B-1").rename(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in state.station.rglob("*") if path.is_file()}
    with pytest.raises(Refused, match="its folder is missing") as caught:
        deck.come_back()
    assert "Bring the folder back" in caught.value.do
    assert state.current() == "B-1"
    assert before == {path: path.read_bytes() for path in state.station.rglob("*")
                      if path.is_file()}  # fmt: skip
    (tmp_path / "elsewhere").rename(state.batch("B-1"))
    deck.come_back()
    assert deck.supervisor.procedure_state != "Idle"


def finished(deck):
    """The procedure and the environment are over: the batch may close."""
    deck.ask("start")
    deck.ask("stop", reason="test", second=YOU)
    deck.run(10)
    deck.ask("end_environment", "environment", reason="empty", second=YOU)
    deck.run(10)
    assert deck.station.may_close


def test_the_key_of_a_batch_killed_between_its_seal_and_its_end_is_destroyed(deck, monkeypatch):
    finished(deck)
    log = deck.station.state_dir.batch_log("B-1")
    destroyed = []

    def dies(keys, verifier):
        raise Killed

    monkeypatch.setattr(Keys, "destroy", dies)
    with pytest.raises(Killed):
        deck.station.close_batch(deck.clock.stamp())
    monkeypatch.setattr(Keys, "destroy", lambda keys, verifier: destroyed.append(verifier))
    deck.drop()
    deck.come_back()
    assert destroyed == [read_identity(log).log]
    assert not (log / "checkpoint").stat().st_mode & 0o222, "read-only"
    assert deck.station.state_dir.current() is None


@pytest.mark.parametrize("after", [True, False])
def test_ids_go_on_also_when_it_died_as_a_batch_was_closed(deck, monkeypatch, after):
    finished(deck)
    next_id = deck.supervisor.desk.next_id
    close = StateDir.close_batch

    def dies(state):
        if after:
            close(state)
        raise Killed

    monkeypatch.setattr(StateDir, "close_batch", dies)
    with pytest.raises(Killed):
        deck.station.close_batch(deck.clock.stamp())
    monkeypatch.undo()
    deck.drop()
    cold = Station(deck.profile, deck.offer, StateDir(deck.path, deck.disk), Keys.from_seed(1),
                   deck.disk, deck.clock.stamp())  # fmt: skip
    assert cold.supervisor.desk.next_id == next_id

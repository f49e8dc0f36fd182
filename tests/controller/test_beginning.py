"""A batch begins whole or not at all, ends to the last output, and a full disk takes no screen."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from supervisor_bench import YOU, S
from takeup_bench import Killed, MortalDeck
from test_takeup import restart_field, skid_says

from controller.core.errors import CellwrightError, RecordFailure, Refused
from controller.live import LiveRun
from controller.record.entry import read_records
from controller.record.log import BatchLog
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.station import BatchOrder
from controller.units import find_recipe


@pytest.fixture
def deck(tmp_path):
    made = MortalDeck(tmp_path)
    made.run(1)
    return made


def open_batch(deck, batch_id="B-1"):
    path, station = find_recipe("car_t_perfusion"), deck.station
    order = BatchOrder(batch_id, "virtual", "PSN-1", "LOT-1")
    station.open_batch(station.load_recipe(path), path, order, deck.clock.stamp())


def dies_at_command(deck, number):
    """The supervisor is killed before it hands over its `number`-th command from now."""
    board = deck.station.board
    give, given = board.command, []

    def command(*order):
        given.append(order)
        if len(given) >= number:
            raise Killed
        return give(*order)

    board.command = command


def killed(deck):
    """Runs until the supervisor is dead, then starts the next one."""
    with pytest.raises(Killed):
        deck.run(5)
    deck.drop()
    deck.come_back()


def outcomes(deck, verb):
    """Target and result of every command of a verb, in order."""
    records = deck.logs()
    found = {r["data"]["id"]: r["data"]["result"] for r in records
             if r["event"] == "command.outcome"}  # fmt: skip
    return [(r["data"]["target"], r["actor"], found.get(r["data"]["id"])) for r in records
            if r["event"] == "command.intent" and r["data"]["verb"] == verb]  # fmt: skip


# -- the guard ----------------------------------------------------------------------------------


def test_a_batch_killed_before_its_guard_was_given_is_guarded_when_it_is_taken_up(deck):
    open_batch(deck)
    dies_at_command(deck, 1)
    killed(deck)
    deck.run(3)
    assert deck.flag("environment") == 1
    zeroed = {target for target, _, result in outcomes(deck, "set_total") if result == "applied"}
    assert zeroed == deck.supervisor.orders.zeroed != set()
    deck.ask("start")
    assert deck.supervisor.procedure_state == "Running"
    deck.ask("set_mode", "TIC101", "off")
    assert outcomes(deck, "set_mode")[-1] == ("TIC101", "unverified:me@bench", "refused")


def test_a_start_without_the_guard_is_refused_and_the_guard_given_again(deck):
    open_batch(deck)
    deck.supervisor.desk.withdraw(deck.clock.stamp(), "lost")
    deck.ask("start")
    assert deck.supervisor.procedure_state == "Idle"
    assert "would not keep heat" in deck.last("command.refused").data["why"]
    assert deck.flag("environment") == 1
    deck.ask("start")
    assert deck.supervisor.procedure_state == "Running"


def test_a_start_asked_with_the_guard_under_way_waits_for_nothing(deck):
    open_batch(deck)
    deck.ask("start")
    assert deck.supervisor.procedure_state == "Running"
    assert deck.flag("environment") == 1


def test_a_field_that_died_before_it_had_the_guard_leaves_it_to_the_next(deck):
    open_batch(deck)
    skid_says(deck)
    deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    deck.run(8)
    assert deck.flag("environment") == 1


# -- half an opening ----------------------------------------------------------------------------


def no_create(deck, patch):
    def create(*_given, **_more):
        raise RecordFailure("no space left")

    patch.setattr(BatchLog, "create", create)


def no_blob(deck, patch):
    def store_blob(*_given):
        raise RecordFailure("no space left")

    patch.setattr(BatchLog, "store_blob", store_blob)


def no_second_blob(deck, patch):
    store = BatchLog.store_blob

    def store_blob(log, name, *more):
        if name == "profile":
            raise OSError(5, "Input/output error")
        return store(log, name, *more)

    patch.setattr(BatchLog, "store_blob", store_blob)


def no_profile(deck, patch):
    patch.setattr(type(deck.profile), "file", "/nonexistent/unit.yaml")


@pytest.mark.parametrize("fault", [no_create, no_blob, no_second_blob])
def test_a_batch_that_cannot_be_written_is_not_open_and_the_next_one_opens(
    deck, monkeypatch, fault
):
    with monkeypatch.context() as patch:
        fault(deck, patch)
        with pytest.raises(RecordFailure):
            open_batch(deck)
    station = deck.station
    assert (station.batch_log, deck.supervisor.engine) == (None, None)
    assert station.state_dir.current() is None
    assert deck.supervisor.orders.standing.batch_id == ""
    deck.run(2)
    assert not deck.supervisor.failed
    open_batch(deck, "B-2")
    deck.ask("start")
    assert (deck.supervisor.procedure_state, deck.flag("environment")) == ("Running", 1)


def test_a_file_that_cannot_be_read_is_refused_before_anything_is_written(deck, tmp_path):
    station, path = deck.station, tmp_path / "recipe.yaml"
    order = BatchOrder("B-1", "virtual", "PSN-1", "LOT-1")
    control = station.load_recipe(find_recipe("car_t_perfusion"))
    with pytest.raises(Refused, match=r"recipe\.yaml cannot be read"):
        station.open_batch(control, path, order, deck.clock.stamp())
    assert station.state_dir.current() is None
    assert not station.state_dir.batch("B-1").exists()


def test_a_batch_on_a_disk_that_filled_up_is_put_away_before_the_next_opens(deck, monkeypatch):
    store = BatchLog.store_blob

    def store_blob(log, *given):
        deck.disk.full = True
        return store(log, *given)

    with monkeypatch.context() as patch:
        patch.setattr(BatchLog, "store_blob", store_blob)
        with pytest.raises(RecordFailure):
            open_batch(deck)
    assert deck.supervisor.engine is None
    deck.disk.full = False
    open_batch(deck, "B-2")
    first = verify(deck.station.state_dir.batch_log("B-1"))
    assert first.ok
    assert first.sealed
    assert deck.station.state_dir.current() == "B-2"


# -- half an end --------------------------------------------------------------------------------


def finished(deck):
    """A batch aborted while the stirrer and air were on."""
    open_batch(deck)
    deck.ask("start")
    deck.ask("set_output", "stirrer", "120")
    deck.ask("set_output", "air", "60")
    deck.ask("set_mode", "TIC101", "auto")
    deck.ask("abort", reason="test")
    deck.run(5)
    deck.ask("set_output", "stirrer", "120")
    deck.ask("set_output", "air", "60")
    assert (deck.out("stirrer"), deck.out("air")) == (120, 60)


@pytest.mark.parametrize("commands", [1, 2, 12])
def test_an_end_of_the_environment_cut_in_two_is_carried_out_before_the_batch_closes(
    deck, commands
):
    finished(deck)
    dies_at_command(deck, commands)
    with pytest.raises(Killed):
        deck.ask("end_environment", reason="empty", second=YOU)
    deck.drop()
    deck.scan_alone(1)
    deck.come_back()
    assert not deck.station.may_close
    for _ in range(50):
        if deck.station.may_close:
            break
        deck.run(0.1)
    assert (deck.out("stirrer"), deck.out("air"), deck.flag("environment")) == (0, 0, 0)
    assert not deck.station.board.image.loops["mode"].any()
    deck.station.close_batch(deck.clock.stamp())
    assert deck.station.state_dir.current() is None


def test_a_field_that_died_in_the_end_of_the_environment_starts_nothing_again(deck):
    finished(deck)
    dies_at_command(deck, 3)
    with pytest.raises(Killed):
        deck.ask("end_environment", reason="empty", second=YOU)
    deck.drop()
    old = deck.field_board()
    skid_says(deck)
    deck.come_back(restart_field(deck), (old,))
    deck.run(10)
    assert (deck.out("stirrer"), deck.out("air"), deck.flag("environment")) == (0, 0, 0)
    assert not deck.station.board.image.loops["mode"].any()
    assert deck.station.may_close


# -- a full disk --------------------------------------------------------------------------------


def filled_up(deck, log):
    """The supervisor died in the middle of the write that filled the disk."""
    deck.supervisor.tick(deck.clock.stamp())
    deck.drop()
    with (log.directory / "segments" / "00000000.seg").open("ab") as file:
        file.write(b"\x07torn")
    deck.disk.full = True


def contents(deck):
    return {path: path.read_bytes() for path in deck.station.state_dir.path.rglob("*")
            if path.is_file() and path.name != "emergency"}  # fmt: skip


def test_on_a_full_disk_the_next_supervisor_shows_the_batch_and_holds_it(deck):
    open_batch(deck)
    deck.ask("start")
    filled_up(deck, deck.station.batch_log)
    deck.come_back()
    before = contents(deck)
    assert deck.supervisor.failed
    assert deck.station.full is not None
    deck.run(3)
    assert deck.supervisor.procedure_state in ("Holding", "Held")
    assert deck.flag("unit_held") == 1
    deck.ask("restart", reason="test")
    assert "no command but Hold" in deck.last("command.refused").data["why"]
    deck.ask("hold", reason="test")
    assert "Held" in deck.last("command.refused").data["why"], "it is held already"
    assert "log.failed" in deck.names()
    assert not deck.station.may_close
    deck.disk.full = False
    deck.run(3)
    assert contents(deck) == before, "nothing is added to a log that was not opened anew"
    deck.drop()
    deck.come_back()
    deck.run(5)
    assert not deck.supervisor.failed
    assert deck.supervisor.procedure_state == "Held"
    assert deck.flag("unit_held") == 1
    deck.ask("restart", reason="test")
    deck.run(5)
    assert deck.supervisor.procedure_state == "Running"
    deck.supervisor.tick(deck.clock.stamp())
    assert verify(deck.station.batch_log.directory, expect_sealed=False).ok


def test_a_torn_tail_on_a_full_disk_is_cut_and_recorded_when_there_is_space(deck):
    open_batch(deck)
    deck.ask("start")
    filled_up(deck, deck.supervisor.station_log)
    deck.come_back()
    assert deck.supervisor.procedure_state == "Running"
    assert deck.station.full is not None
    deck.disk.full = False
    deck.drop()
    deck.come_back()
    assert "log.recovered" in [r["event"] for r in deck.logs()]


def test_without_an_open_batch_a_full_disk_keeps_the_station_from_starting(deck):
    filled_up(deck, deck.supervisor.station_log)
    with pytest.raises(CellwrightError, match="No space left"):
        deck.come_back()


def test_a_full_disk_is_told_from_one_with_room_and_nothing_is_left_of_the_trial(deck, tmp_path):
    state = StateDir(tmp_path, deck.disk)
    deck.disk.full = True
    assert not state.has_room()
    deck.disk.full = False
    assert state.has_room()
    assert not (tmp_path / "room").exists()


def test_a_run_on_a_full_disk_ends_for_the_next_supervisor_once_there_is_space(deck):
    open_batch(deck)
    filled_up(deck, deck.supervisor.station_log)
    deck.come_back()
    nobody = SimpleNamespace(newer=lambda: None, present=None)
    looks = []

    def pause(seconds):
        looks.append(seconds)
        deck.clock.advance_to(deck.clock.now_ns + S)
        deck.disk.full = len(looks) < 50
        if len(looks) > 60:  # tried by a thread, in the machine's time
            time.sleep(0.01)

    run = LiveRun(deck.station, nobody, deck.clock, pause=pause)
    run.batch_id = "B-1"
    with pytest.raises(RecordFailure, match="takes records again"):
        run.run(BatchOrder("B-1", "virtual", "PSN-1", "LOT-1"))
    assert 60 <= len(looks) <= 200


def test_the_plan_kept_with_a_batch_says_the_unit_of_every_tag_in_ucum(deck):
    """A number in the log is a decimal string; what it is of stands in its own files."""
    open_batch(deck)
    log = deck.station.state_dir.batch_log("B-1")
    (named,) = [r["data"] for r in read_records(log)
                if r["event"] == "blob.stored" and r["data"]["name"] == "plan"]  # fmt: skip
    units = json.loads((log / named["file"]).read_text())["units"]
    assert set(units) == {tag.name for tag in deck.profile.tags} | set(deck.profile.loops)
    assert units["TT101"] == ["degC", "Cel"]
    assert units["AT101"] == ["pH", "[pH]"]
    assert units["stirrer"] == ["rpm", "{rev}/min"]

"""The tick: no command without a durable intent, no protective action that waits for one."""

from __future__ import annotations

import pytest
from supervisor_bench import YOU, Deck

from controller.core.errors import Refused
from controller.desk import Request
from controller.record import history
from controller.record.verify import verify


@pytest.fixture
def deck(tmp_path):
    return Deck(tmp_path)


def test_a_trip_becomes_a_record_an_alarm_and_a_hold_of_the_procedure(deck):
    deck.open()
    assert deck.supervisor.procedure_state == "Running"
    deck.told.clear()
    deck.values["PT101"] = 4.6
    deck.run(3)
    names = deck.names()
    rows = [told.data["row"] for told in deck.told if told.name == "cause.active"]
    assert {"5", "6"} <= set(rows)
    alarms = {told.data["alarm"] for told in deck.told if told.name == "alarm.state"}
    assert {"row:5", "row:6"} <= alarms
    assert names.index("cause.active") < names.index("unit.hold")
    assert deck.supervisor.procedure_state in ("Holding", "Held")
    assert deck.flag("unit_held") == 1
    shown = next(told for told in deck.told if told.data.get("row") == "6")
    assert shown.data["signals"] == ["PT101 = 4.6"]


def test_the_intent_is_durable_before_the_command_reaches_field(deck):
    log, board = deck.supervisor.log, deck.station.board
    append, sync, command = log.append, log.sync, board.command
    did = []
    log.append = lambda event: (did.append(event.name), append(event))[1]
    log.sync = lambda stamp: (sync(stamp), did.append("durable"))[0]
    board.command = lambda *order: (did.append("handed over"), command(*order))[1]
    deck.ask("set_output", "stirrer", "100")
    intent, handed = did.index("command.intent"), did.index("handed over")
    assert "durable" in did[intent:handed]
    assert did.count("handed over") == 1
    assert deck.out("stirrer") == 100


def test_with_a_full_disk_no_command_acts_and_the_unit_goes_to_hold(deck):
    deck.ask("set_output", "stirrer", "100")
    deck.disk.full = True
    deck.told.clear()
    deck.ask("set_output", "stirrer", "200")
    assert deck.out("stirrer") == 100
    assert "log.failed" in deck.names()
    assert deck.flag("unit_held") == 1
    assert "log" in {a.name for a in deck.supervisor.alarms.active()}
    for verb, target, value in (("set_output", "stirrer", "300"), ("set_sp", "TIC101", "36"),
                                ("reset", "1", ""), ("bypass", "2", "60;watched")):  # fmt: skip
        deck.told.clear()
        deck.ask(verb, target, value, reason="r", second=YOU)
        assert "no command but Hold" in deck.last("command.refused").data["why"]
    assert deck.out("stirrer") == 100


def test_with_a_full_disk_a_running_batch_is_held_and_rows_and_loops_go_on(deck):
    deck.open()
    deck.values |= {"TT101": 36.0, "TT102": 36.0}
    deck.run(20)
    deck.disk.full = True
    deck.ask("set_output", "stirrer", "100")
    assert deck.supervisor.failed
    assert deck.supervisor.procedure_state in ("Holding", "Held")
    assert deck.flag("unit_held") == 1
    before = len(deck.supervisor.emergency.kept)
    deck.values["PT101"] = 4.6
    deck.run(3)
    assert [deck.out(name) for name in ("air", "o2", "co2", "xv100")] == [0, 0, 0, 0]
    kept = [event.name for event in deck.supervisor.emergency.kept[before:]]
    assert "cause.active" in kept
    assert "effect.applied" in kept


def test_hold_is_possible_with_a_full_disk_and_restart_is_not(deck):
    deck.open()
    deck.disk.full = True
    deck.ask("set_output", "stirrer", "100")
    deck.told.clear()
    deck.ask("restart", reason="r")
    assert "no command but Hold" in deck.last("command.refused").data["why"]
    deck.told.clear()
    deck.ask("hold")
    refusals = [t.data["why"] for t in deck.told if t.name == "command.refused"]
    assert not any("no command but Hold" in why for why in refusals)
    assert deck.flag("unit_held") == 1


def test_a_lost_entry_of_any_ring_is_a_record_once(deck):
    deck.told.clear()
    deck.station.image.head["events_lost"] += 3
    deck.station.image.input_rings["lost"][1] += 2
    deck.run(3)
    found = [told.data for told in deck.told if told.name == "ring.overflow"]
    assert found == [{"ring": "event", "lost": 3}, {"ring": "input", "lost": 2}]


def test_every_released_change_is_kept_in_chunks_of_the_history(deck):
    kept = []
    store = deck.supervisor.log.store_chunk
    deck.supervisor.log.store_chunk = lambda data, *more: (kept.append(data), store(data, *more))[1]
    start = deck.station.board.history_waiting()
    for value in ("100", "150", "200"):
        deck.ask("set_output", "stirrer", value)
    assert deck.station.board.history_waiting() >= start + 3
    deck.run(61)
    rows = [row for data in kept for row in history.decode(data)[1]]
    stirrer = deck.profile.outputs.index("stirrer")
    assert [float(r["value"]) for r in rows if r["output"] == stirrer][-3:] == [100, 150, 200]
    assert deck.station.board.history_waiting() == 0


def test_the_environment_ends_only_after_the_procedure_and_by_two_people(deck):
    deck.open()
    deck.run(3)
    assert deck.flag("environment") == 1
    deck.told.clear()
    deck.ask("end_environment", reason="empty", second=YOU)
    assert "not possible while Running" in deck.last("command.refused").data["why"]
    deck.ask("abort", reason="bench")
    deck.run(5)
    assert deck.flag("environment") == 1, "an abort ends the procedure, not the environment"
    deck.ask("end_environment", reason="empty")
    assert "second person" in deck.last("command.refused").data["why"]
    assert deck.flag("environment") == 1
    deck.ask("end_environment", reason="vessel empty, both looked", second=YOU)
    deck.run(3)
    assert deck.flag("environment") == 0
    assert [deck.out(name) for name in ("heater", "stirrer", "air", "km101")] == [0, 0, 0, 0]


def test_a_batch_with_its_environment_on_cannot_be_closed(deck):
    deck.open()
    deck.ask("abort", reason="bench")
    deck.run(5)
    with pytest.raises(Refused, match="environment"):
        deck.station.close_batch(deck.clock.stamp())
    deck.ask("end_environment", reason="empty", second=YOU)
    deck.run(3)
    folder = deck.station.state_dir.batch_log("B-1")
    deck.station.close_batch(deck.clock.stamp())
    assert verify(folder, expect_sealed=True).ok


def test_a_command_of_the_recipe_that_field_refuses_holds_the_batch(deck):
    deck.open()
    deck.run(2)
    desk = deck.supervisor.desk
    desk.issue(Request("set_output", "stirrer", "9999", "recipe"), deck.clock.stamp())
    deck.run(3)
    assert deck.supervisor.procedure_state in ("Holding", "Held")
    assert "refused command" in deck.last("unit.hold").data["cause"]


def test_with_the_supervisor_gone_loops_and_interlocks_go_on(deck):
    deck.ask("set_output", "air", "200")
    deck.ask("set_output", "xv100", "1")
    deck.supervisor.tick = lambda stamp: None
    deck.run(10)
    assert deck.out("air") == 200
    deck.values["PT101"] = 4.6
    deck.run(2)
    assert (deck.out("air"), deck.out("xv100")) == (0, 0)

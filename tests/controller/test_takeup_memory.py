"""What a restart must not forget: locks, latches, a Hold asked for meanwhile."""

from __future__ import annotations

import pytest
from supervisor_bench import YOU
from takeup_bench import MortalDeck, prepared, restart_field, skid_says

from controller.desk import Request


@pytest.fixture
def deck(tmp_path):
    made = MortalDeck(tmp_path)
    made.open()
    return made


def image_of(deck, output):
    return deck.station.board.image.outputs[deck.profile.outputs.index(output)]


def latched(deck, row):
    rows = [cause.row for cause in deck.profile.causes]
    return int(deck.station.board.image.causes[rows.index(row)]["latched"])


def reset_after_a_trip(deck):
    """Row 1 has tripped and was reset; nobody has commanded the heater since."""
    deck.run(3)
    deck.ask("set_output", "stirrer", "150")
    deck.values |= {"TT101": 36.0, "TT102": 36.0, "TT103": 36.0}
    deck.ask("set_sp", "TIC101", "37")
    deck.ask("set_mode", "TIC101", "auto")
    deck.ask("set_mode", "TIC103", "cascade")
    deck.run(20)
    assert deck.out("heater") > 0
    deck.values |= {"TT101": 39.0, "TT102": 39.0}
    deck.run(6)
    deck.values |= {"TT101": 36.0, "TT102": 36.0}
    deck.run(8)
    deck.ask("reset", "1", reason="test")
    deck.run(3)
    assert latched(deck, "1") == 0
    assert (deck.out("heater"), image_of(deck, "heater")["locked"]) == (0, 1)


@pytest.mark.parametrize("supervisor_too", [False, True])
def test_a_reset_starts_nothing_also_across_a_restart_of_field(deck, supervisor_too):
    reset_after_a_trip(deck)
    skid_says(deck)
    if supervisor_too:
        deck.drop()
        old = deck.field_board()
        deck.come_back(restart_field(deck), (old,))
    else:
        deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    deck.run(20)
    assert latched(deck, "1") == 0
    assert (deck.out("heater"), deck.out("km101")) == (0, 0)
    assert {"heater", "km101"} <= deck.supervisor.orders.locked.keys()
    deck.ask("set_output", "km101", "1")
    deck.ask("set_mode", "TIC103", "cascade")
    deck.run(20)
    assert deck.out("km101") == 1
    assert deck.out("heater") > 0
    assert not {"heater", "km101"} & deck.supervisor.orders.locked.keys()


def test_a_latch_whose_event_was_lost_is_found_in_the_dead_fields_region(deck):
    prepared(deck)
    rows = [cause.row for cause in deck.profile.causes]
    deck.station.board.image.causes[rows.index("12.rate")]["latched"] = 1
    image_of(deck, "stirrer")["locked"] = 1
    assert "12.rate" not in deck.supervisor.orders.latched
    skid_says(deck)
    deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    left = [r["data"] for r in deck.logs() if r["event"] == "field.left"]
    assert [each["rows"] for each in left] == ["12.rate"], "durable before the region may go"
    assert left[0]["outputs"] == "stirrer"
    deck.run(8)
    assert (latched(deck, "12.rate"), latched(deck, "6")) == (1, 1)
    assert image_of(deck, "stirrer")["locked"] == 1


def test_a_region_that_says_what_the_log_says_leaves_no_record_of_its_own(deck):
    prepared(deck)
    skid_says(deck)
    deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    deck.run(8)
    assert not [r for r in deck.logs() if r["event"] == "field.left"]


def test_a_hold_is_taken_while_field_is_given_everything_again(deck):
    deck.run(3)
    skid_says(deck)
    deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    assert deck.supervisor.restore.active
    deck.supervisor.tick(deck.clock.stamp())
    deck.supervisor.desk.ask(Request("hold", actor=YOU, reason="smoke"))
    deck.run(0.1)
    assert deck.supervisor.restore.active
    deck.run(0.1)
    assert deck.flag("unit_held") == 1, "field holds at once"
    deck.run(9)
    records = deck.logs()
    asked = next(r for r in records if r["event"] == "command.intent" and r["actor"] == YOU
                 and r["data"]["verb"] == "hold")  # fmt: skip
    outcome = next(r for r in records if r["event"] == "command.outcome"
                   and r["data"]["id"] == asked["data"]["id"])  # fmt: skip
    assert outcome["data"]["result"] == "applied"
    assert f"hold by {YOU}" in [r["data"]["cause"] for r in records if r["event"] == "unit.hold"]
    assert deck.supervisor.procedure_state == "Held"


def test_a_batch_taken_up_running_is_not_said_to_be_released_from_a_hold(deck):
    deck.run(3)
    deck.drop()
    deck.come_back()
    deck.run(2)
    assert deck.supervisor.procedure_state == "Running"
    names = [r["event"] for r in deck.logs()]
    assert "unit.hold_released" not in names
    assert any(r["event"] == "batch.state" and r["data"]["cause"] == "taken up again"
               for r in deck.logs())  # fmt: skip

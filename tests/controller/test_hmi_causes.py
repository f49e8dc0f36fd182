"""What the screen says of rows: their order, what a reset waits for, bypasses, rows that sleep."""

from __future__ import annotations

import pytest
from supervisor_bench import YOU, Deck

from controller.hmi.causes import COMES_BACK, STANDS, Causes

PEOPLE = {"reason": "test", "second": YOU}


@pytest.fixture
def deck(tmp_path):
    made = Deck(tmp_path)
    made.open()
    made.run(3)
    return made


def shown(deck):
    found = Causes(deck.profile).in_force(
        deck.station.board.image, deck.clock.now_ns, deck.supervisor.orders.standing.measures
    )
    return {cause["row"]: cause for cause in found}


def test_rows_stand_in_the_order_they_came_in_their_group(deck):
    deck.values["PT101"] = 3.5
    deck.run(3)
    deck.values["PT101"] = 4.6
    deck.run(3)
    found = shown(deck)
    assert [row for row in found if row in ("5", "6")] == ["5", "6"]
    assert found["5"]["group"] == found["6"]["group"]
    assert 0 <= found["5"]["place"] < found["6"]["place"]
    assert [row for row, cause in found.items() if cause["first_out"]] == [
        row for row, cause in found.items() if cause["place"] == 0
    ]
    assert {cause["place"] for cause in found.values() if cause["kind"] == "permit"} <= {-1}


def test_a_latched_row_says_what_its_reset_waits_for_and_nothing_when_it_can_be_reset(deck):
    deck.values["PT101"] = 4.6
    deck.run(3)
    assert shown(deck)["6"]["missing"] == [STANDS]
    deck.values["PT101"] = float("nan")
    deck.run(20)
    missing = shown(deck)["6"]["missing"]
    assert missing[-1] == "PT101 is bad: not a finite number"
    deck.values["PT101"] = 1.0
    deck.run(3)
    assert (shown(deck)["6"]["latched"], shown(deck)["6"]["missing"]) == (True, [])
    deck.ask("reset", "6", reason="looked at")
    assert "6" not in shown(deck)


def test_a_cause_that_comes_back_is_told_before_its_delay_is_over(deck):
    deck.values |= {"TT101": 39.0, "TT102": 39.0}
    deck.run(6)
    deck.values |= {"TT101": 37.0, "TT102": 37.0}
    deck.run(8)
    assert shown(deck)["1"]["missing"] == []
    deck.values |= {"TT101": 39.0, "TT102": 39.0}
    deck.run(1)
    assert shown(deck)["1"]["missing"] == [COMES_BACK]


def test_a_bypass_shows_what_is_left_of_it_and_what_is_done_instead(deck):
    deck.ask("bypass", "2", "60;the jacket is felt by hand", **PEOPLE)
    first = shown(deck)["2"]
    assert (first["bypassed"], first["place"]) == (True, -1)
    assert first["measure"] == "the jacket is felt by hand"
    assert 50 < first["bypass_s"] <= 60
    deck.run(10)
    assert shown(deck)["2"]["bypass_s"] == first["bypass_s"] - 10
    deck.run(55)
    assert "2" not in shown(deck)


def test_rows_that_do_not_apply_are_told_with_why(deck):
    causes = Causes(deck.profile)
    asleep = {row["row"]: row["why"] for row in causes.not_valid(deck.station.board.image)}
    assert asleep["16"] == "applies only in cells_in"
    assert "8" not in asleep
    deck.ask("set_flag", "harvest", "1", **PEOPLE)
    deck.ask("set_flag", "cells_in", "1", **PEOPLE)
    asleep = {row["row"]: row["why"] for row in causes.not_valid(deck.station.board.image)}
    assert asleep["8"] == "does not apply in harvest"
    assert "16" not in asleep

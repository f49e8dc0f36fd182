"""A bypass: one cause, two people, a compensating measure, at most 60 min, and a deviation.

The row is 2, the jacket's: it does not protect while it is bypassed, and does at once afterwards.
"""

from __future__ import annotations

import pytest
from supervisor_bench import ME, YOU
from takeup_bench import MortalDeck, restart_field, skid_says

from controller.report.fold import Fold

PEOPLE = {"reason": "the jacket's sensor is exchanged", "second": YOU}
MEASURE = "the jacket is felt by hand every minute"


@pytest.fixture
def deck(tmp_path):
    made = MortalDeck(tmp_path)
    made.open()
    made.run(3)
    return made


def bypass(deck, seconds, row="2", measure=MEASURE, **people):
    deck.ask("bypass", row, f"{seconds};{measure}", **(people or PEOPLE))


def of_row(deck, row="2"):
    rows = [cause.row for cause in deck.profile.causes]
    return deck.station.board.image.causes[rows.index(row)]


def refused(deck, words):
    found = deck.last("command.refused")
    assert found.data["verb"] == "bypass"
    assert words in found.data["why"]
    assert "deviation.opened" not in deck.names()
    assert not of_row(deck)["bypass_until_ns"]


def test_a_bypassed_row_does_not_act_and_acts_in_the_scan_after_its_time(deck):
    bypass(deck, 60)
    deck.values["TT103"] = 46.0
    deck.run(50)
    assert not of_row(deck)["active"]
    deck.run(10)
    assert "bypass.lapsed" in deck.names()
    assert of_row(deck)["active"], "what has stood all the time acts when it lapses"
    assert deck.out("heater") == 0


def test_its_end_is_an_alarm_that_stands_until_somebody_has_seen_it(deck):
    bypass(deck, 5)
    deck.run(10)
    assert any(alarm.name == "bypass:2" for alarm in deck.supervisor.alarms.active())


def test_it_opens_a_deviation_that_is_durable_before_field_is_told(deck):
    bypass(deck, 60)
    names = [row["event"] for row in deck.logs()]
    first = names.index("deviation.opened")
    assert first < names.index("bypass.set")
    (record,) = [row for row in deck.logs() if row["event"] == "deviation.opened"]
    (intent,) = [row for row in deck.logs() if row["event"] == "command.intent"
                 and row["data"]["verb"] == "bypass"]  # fmt: skip
    assert record["data"] == {
        "deviation": f"DEV-{intent['data']['id']}", "id": intent["data"]["id"], "row": "2",
        "title": "Jacket over-temperature", "seconds": "60", "measure": MEASURE, "second": YOU,
    }  # fmt: skip
    assert (record["actor"], record["reason"]) == (ME, PEOPLE["reason"])
    assert deck.supervisor.orders.standing.measures == {"2": MEASURE}


@pytest.mark.parametrize(("value", "words"), [
    ("60", "compensating measure for row 2 is missing"), ("60; ", "measure for row 2 is missing"),
    (f"3601;{MEASURE}", "at most 60 min"), (f"-1;{MEASURE}", "at most 60 min"),
    (f"soon;{MEASURE}", "not a number"), (f"nan;{MEASURE}", "not a finite number"),
])  # fmt: skip
def test_without_a_measure_or_beyond_an_hour_it_is_refused_and_nothing_is_opened(
    deck, value, words
):
    deck.ask("bypass", "2", value, **PEOPLE)
    refused(deck, words)


def test_it_needs_two_people_and_a_reason(deck):
    bypass(deck, 60, reason="why not", second=ME)
    refused(deck, "needs a second person")
    bypass(deck, 60, second=YOU)
    refused(deck, "needs a reason")


def test_a_row_that_protects_always_can_never_be_bypassed(deck):
    never = [row.id for row in deck.profile.model.rows if row.never_bypass]
    assert {"1", "6", "11", "12.rate", "18.both"} <= set(never)
    for row in (*never, "permit.heater", "hold.n2"):
        bypass(deck, 60, row)
        refused(deck, f"row {row} can never be bypassed")
        assert not of_row(deck, row)["bypass_until_ns"]
    bypass(deck, 60, "2.odd")
    refused(deck, "unknown row '2.odd'")


def test_it_is_not_made_longer_while_it_stands(deck):
    bypass(deck, 60)
    until = int(of_row(deck)["bypass_until_ns"])
    bypass(deck, 3600)
    assert "bypassed already" in deck.last("command.refused").data["why"]
    assert deck.names().count("deviation.opened") == 1
    assert int(of_row(deck)["bypass_until_ns"]) == until


def test_two_people_can_end_it_and_that_opens_nothing(deck):
    bypass(deck, 600)
    deck.ask("bypass", "2", "0", **PEOPLE)
    assert not of_row(deck)["bypass_until_ns"]
    assert "bypass.lapsed" in deck.names()
    assert deck.names().count("deviation.opened") == 1
    assert deck.supervisor.orders.standing.measures == {}


def test_it_survives_the_supervisor_with_its_measure_and_its_end(deck):
    bypass(deck, 120)
    deck.drop()
    deck.come_back()
    assert deck.supervisor.orders.standing.measures == {"2": MEASURE}
    deck.values["TT103"] = 46.0
    deck.run(60)
    assert not of_row(deck)["active"]
    assert "bypass.lapsed" not in deck.names()
    deck.run(70)
    assert of_row(deck)["active"]
    assert deck.names().count("bypass.lapsed") == 1


@pytest.mark.parametrize("supervisor_too", [False, True])
def test_it_lapses_with_field(deck, supervisor_too):
    bypass(deck, 600)
    skid_says(deck)
    if supervisor_too:
        deck.drop()
        old = deck.field_board()
        deck.come_back(restart_field(deck), (old,))
    else:
        deck.supervisor.field_restarted(restart_field(deck), deck.clock.stamp())
    deck.run(20)
    assert not of_row(deck)["bypass_until_ns"]
    assert [row["event"] for row in deck.logs()].count("bypass.lapsed") == 1
    assert deck.supervisor.orders.standing.measures == {}
    deck.values["TT103"] = 46.0
    deck.run(6)
    assert of_row(deck)["active"]


def test_the_report_tells_it_with_what_came_of_it(deck):
    bypass(deck, 5)
    deck.run(10)
    fold = Fold()
    for row in deck.logs():
        fold.take(row)
    (told,) = fold.table("bypasses").rows
    assert (told["row"], told["measure"], told["state"]) == ("2", MEASURE, "lapsed")
    assert told["second"] == YOU
    loud = [cells["event"] for cells in fold.table("deviations").rows]
    assert {"deviation.opened", "bypass.set", "bypass.lapsed"} <= set(loud)

"""What the record says in words: true, whole, with nothing dangling from an empty field."""

from __future__ import annotations

import pytest

from controller.core.clock import VirtualClock
from controller.core.events import EVENTS, Event
from controller.core.wording import alarm_words, lasting

STAMP = VirtualClock(1).stamp()


def words(name, /, **data):
    fields = dict.fromkeys(EVENTS[name].fields, "") | data
    return Event(name, STAMP, data=fields).words()


def test_a_write_is_sent_until_the_device_has_shown_it():
    assert words("link.write", output="n2", value="0", confirmed=False) == "n2 = 0 sent"
    said = words("link.write", output="n2", value="0", confirmed=True)
    assert said == "n2 = 0 sent and read back from the device"


@pytest.mark.parametrize(("old", "new", "said"), [
    ("NORM", "UNACK", "raised, not acknowledged"), ("UNACK", "ACK", "acknowledged, still active"),
    ("UNACK", "RTN-UNACK", "returned to normal, not acknowledged"),
    ("RTN-UNACK", "UNACK", "raised again, not acknowledged"),
    ("ACK", "NORM", "returned to normal"),
    ("RTN-UNACK", "NORM", "acknowledged, was back to normal"),
])  # fmt: skip
def test_every_move_of_an_alarm_is_a_sentence(old, new, said):
    assert words("alarm.state", alarm="row:8", old=old, new=new, text="Row 8 tripped: DO low") == (
        f"Alarm row 8 {said}: Row 8 tripped: DO low"
    )


def test_an_alarm_is_named_as_people_say_it():
    assert alarm_words("proof:8:feed") == "proof of feed for row 8"
    assert alarm_words("link:pump_bus") == "link pump_bus"
    assert alarm_words("log") == "log"


@pytest.mark.parametrize(("seconds", "said"), [
    (770400, "214 h"), ("1800", "30 min"), (5400.0, "90 min"), (90, "90 s"), (0, "0 s"),
    ("soon", "soon"),
])  # fmt: skip
def test_a_time_is_said_in_the_largest_unit_that_fits(seconds, said):
    assert lasting(seconds) == said


def test_a_time_that_was_extended_is_said_with_what_it_was_and_how_much_more():
    data = {"change": "extend", "path": "u/o/p", "name": "step 4", "old": "770400", "new": "1800"}
    assert words("recipe.changed", deviation="DEV-1", **data) == (
        "Deviation DEV-1: extend u/o/p step 4 by 30 min, was 214 h"
    )


@pytest.mark.parametrize(("data", "said"), [
    ({"old": "37", "new": "36.5"}, "set sp TIC101: 37 -> 36.5"),
    ({"new": "36.5"}, "set sp TIC101: 36.5"), ({"old": "Held"}, "set sp TIC101 (it was Held)"),
    ({}, "set sp TIC101"),
])  # fmt: skip
def test_an_intent_has_no_arrow_to_nowhere(data, said):
    assert words("command.intent", verb="set_sp", target="TIC101", **data) == said


@pytest.mark.parametrize(("name", "data", "said"), [
    ("link.state", {"link": "skid", "state": "restored"}, "Link skid is restored"),
    ("link.state", {"link": "skid", "state": "lost", "why": "no answer"},
     "Link skid is lost: no answer"),
    ("link.identified", {"link": "gas", "device": "mfc_air"},
     "gas/mfc_air is what its profile says"),
    ("link.fault", {"link": "gas", "what": "late", "count": 2}, "gas: late (2)"),
    ("effect.not_confirmed", {"output": "o2", "value": "0", "row": "10", "second": "xv100"},
     "NOT CONFIRMED: o2 is not at 0 (row 10); xv100 acts"),
    ("effect.not_confirmed",
     {"output": "o2", "value": "0", "row": "10", "second": "no second element"},
     "NOT CONFIRMED: o2 is not at 0 (row 10); it has no second element"),
    ("command.outcome", {"id": 7, "result": "applied"}, "Command 7 applied"),
    ("command.outcome", {"id": 7, "result": "refused", "why": "no"}, "Command 7 refused: no"),
    ("command.refused", {"verb": "end_environment", "target": "procedure", "why": "no"},
     "end environment procedure refused: no"),
    ("field.restored", {"generation": 2},
     "Field 2 has its setpoints, modes and latches again"),
    ("field.left", {"generation": 2, "rows": "8"},
     "Field 2 left what no record told: latched rows: 8; locked outputs: none"),
    ("variable.set", {"name": "lot", "new": "A1", "source": "p1"}, "lot: A1 (p1)"),
    ("variable.set", {"name": "vcd", "old": "1", "new": "2", "unit": "1/mL", "source": "p1"},
     "vcd: 1 -> 2 1/mL (p1)"),
    ("simulation.hands", {"action": "draw", "data": {"volume_l": "0.002"}},
     "At the vessel: draw volume_l 0.002"),
    ("step.condition", {"path": "a", "index": 1, "part": 0, "holds": False},
     "a step 2: part 0 holds no more"),
])  # fmt: skip
def test_an_empty_field_leaves_nothing_dangling(name, data, said):
    assert words(name, **data) == said


def test_rules_of_the_procedure_and_permits_go_by_their_titles():
    title = {"row": "permit.heater", "title": "Heater only above 0.6 L and stirring"}
    assert words("permit.withdrawn", **title) == f"Permit withdrawn: {title['title']}"
    assert words("permit.given", **title) == f"Permit given: {title['title']}"
    assert words("procedure.rule", title="Hold: no nitrogen", stands=True).endswith("in force")
    assert words("procedure.rule", title="Hold: no nitrogen", stands=False).endswith(
        "no longer in force"
    )


def test_a_signal_that_is_good_again_needs_no_reason():
    assert words("quality.changed", tag="TT101", old="bad", new="good", reason="good") == (
        "TT101: bad -> good"
    )

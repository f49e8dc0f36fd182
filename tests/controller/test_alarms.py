"""The life cycle of alarms against its table, from the records that raise and clear them."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.alarms import ACK, NORM, PRIORITIES, RTN_UNACK, UNACK, Alarms
from controller.core.clock import VirtualClock
from controller.core.errors import Refused
from controller.core.events import EVENTS, Event

ACTIONS = {"1": "hold", "2": "alarm", "3": "none", "4": "abort"}
# ISA-18.2: state, what happens -> state. Written from the standard's state diagram, not the code.
LIFE = {
    (NORM, "raise"): UNACK, (UNACK, "return"): RTN_UNACK, (UNACK, "ack"): ACK,
    (ACK, "return"): NORM, (RTN_UNACK, "raise"): UNACK, (RTN_UNACK, "ack"): NORM,
}  # fmt: skip


def event(name, at_ns=0, **data):
    fields = dict.fromkeys(EVENTS[name].fields, "x") | data
    return Event(name, VirtualClock(1).at(at_ns), data=fields)


def raised(row, at_ns=0):
    return event("cause.active", at_ns, row=row)


def cleared(row, latched=False):
    return event("cause.cleared", row=row, latched=latched)


class Life(RuleBasedStateMachine):
    """Any order of raise, return and acknowledge over the rows, beside a model of five lines."""

    def __init__(self):
        super().__init__()
        self.alarms, self.model, self.records = Alarms(ACTIONS), dict.fromkeys(ACTIONS, NORM), []
        self.now = 0

    def expect(self, row, trigger, records):
        old = self.model[row]
        self.model[row] = LIFE.get((old, trigger), old)
        self.records += records
        moved = [(r.data["old"], r.data["new"]) for r in records]
        assert moved == ([(old, self.model[row])] if self.model[row] != old else [])

    @rule(row=st.sampled_from(sorted(ACTIONS)))
    def trip(self, row):
        self.now += 1
        self.expect(row, "raise", self.alarms.follow(raised(row, self.now)))

    @rule(row=st.sampled_from(sorted(ACTIONS)))
    def clear(self, row):
        self.expect(row, "return", self.alarms.follow(cleared(row)))

    @rule(row=st.sampled_from(sorted(ACTIONS)))
    def acknowledge(self, row):
        stamp = VirtualClock(1).at(self.now)
        if (self.model[row], "ack") not in LIFE:
            with pytest.raises(Refused):
                self.alarms.acknowledge(f"row:{row}", stamp, "me", "operator")
            return
        records = self.alarms.acknowledge(f"row:{row}", stamp, "me", "operator")
        assert [r.actor for r in records] == ["me"]
        self.expect(row, "ack", records)

    @invariant()
    def the_list_shows_all_that_is_not_normal_the_worst_and_oldest_first(self):
        shown = self.alarms.active()
        assert {a.name for a in shown} == {f"row:{r}" for r, s in self.model.items() if s != NORM}
        keys = [(PRIORITIES.index(a.priority), a.since_ns) for a in shown]
        assert keys == sorted(keys)

    @invariant()
    def the_list_is_rebuilt_from_its_records(self):
        again = Alarms(ACTIONS)
        for record in self.records:
            again.evolve(record)
        assert again.active() == self.alarms.active()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_the_priority_follows_from_what_the_row_does_to_the_procedure():
    alarms = Alarms(ACTIONS)
    for row in ACTIONS:
        alarms.follow(raised(row))
    assert [(a.name, a.priority) for a in alarms.active()] == [
        ("row:4", "critical"), ("row:1", "high"), ("row:2", "medium"), ("row:3", "low"),
    ]  # fmt: skip


def test_an_effect_that_is_not_confirmed_is_critical_until_it_is_proven():
    alarms = Alarms(ACTIONS)
    alarms.follow(event("effect.not_confirmed", row="1", output="heater"))
    (alarm,) = alarms.active()
    assert (alarm.name, alarm.priority, alarm.state) == ("proof:1:heater", "critical", UNACK)
    assert "NOT CONFIRMED" in alarm.text
    alarms.follow(event("effect.confirmed", row="1", output="heater"))
    assert alarms.active()[0].state == RTN_UNACK


@pytest.mark.parametrize("end", [
    cleared("1"), event("cause.reset", row="1"),
])  # fmt: skip
def test_an_unproven_effect_has_nothing_left_to_prove_once_its_row_lets_go(end):
    alarms = Alarms(ACTIONS)
    for output in ("heater", "km101"):
        alarms.follow(event("effect.not_confirmed", row="1", output=output))
        alarms.acknowledge(f"proof:1:{output}", VirtualClock(1).stamp(), "me", "")
    alarms.follow(event("effect.not_confirmed", row="10", output="heater"))
    alarms.follow(cleared("1", latched=True))
    assert len(alarms.active()) == 3, "a latched row still forces"
    alarms.follow(end)
    assert [a.name for a in alarms.active()] == ["proof:10:heater"]


def test_a_lost_link_and_a_loop_on_its_fallback_are_alarms_until_they_are_back():
    alarms = Alarms(ACTIONS)
    alarms.follow(event("link.state", link="gas_bus", state="lost"))
    alarms.follow(event("loop.fallback", loop="TIC101"))
    states = {a.name: a.state for a in alarms.active()}
    assert states == {"link:gas_bus": UNACK, "loop:TIC101": UNACK}
    alarms.follow(event("link.state", link="gas_bus", state="restored"))
    alarms.follow(event("loop.restored", loop="TIC101"))
    assert {a.state for a in alarms.active()} == {RTN_UNACK}


@pytest.mark.parametrize(("name", "data", "alarm"), [
    ("bypass.lapsed", {"row": "2"}, "bypass:2"), ("ring.overflow", {"ring": "event"}, "ring:event"),
    ("step.timeout", {}, "step:step.timeout"), ("prompt.repeat", {}, "step:prompt.repeat"),
])  # fmt: skip
def test_what_happens_in_a_moment_waits_for_its_acknowledgement_and_then_goes(name, data, alarm):
    alarms = Alarms(ACTIONS)
    for _ in range(2):
        alarms.follow(event(name, **data))
        assert [(a.name, a.state) for a in alarms.active()] == [(alarm, RTN_UNACK)]
    alarms.acknowledge(alarm, VirtualClock(1).stamp(), "me", "operator")
    assert alarms.active() == []


def test_an_unknown_alarm_cannot_be_acknowledged_and_the_nearest_is_named():
    alarms = Alarms(ACTIONS)
    alarms.follow(raised("1"))
    with pytest.raises(Refused, match="'row:1'"):
        alarms.acknowledge("row:l", VirtualClock(1).stamp(), "me", "operator")


def test_a_permit_and_a_record_of_the_recipe_raise_nothing():
    alarms = Alarms(ACTIONS)
    for name in ("permit.withdrawn", "procedure.state", "command.outcome", "quality.changed"):
        assert alarms.follow(event(name)) == []
    assert alarms.active() == []

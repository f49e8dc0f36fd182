"""The life of an alarm against ISA-18.2, written here from the standard and not from the code."""

from __future__ import annotations

import itertools

import pytest
from alarm_bench import at, made, rebuilt
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from controller.alarms import table
from controller.alarms.sources import Change
from controller.alarms.table import STATES, TRIGGERS, moved
from controller.core.errors import Refused

A, B, C, D, E, F, G, H, J = STATES  # J: the standard's I
# ANSI/ISA-18.2-2016, the state diagram: from every state, what leads where. `?`: by the process.
ISA = {
    A: {"raise": B, "shelve": G, "suppress": H, "out_of_service": J},
    B: {"return": D, "latch": E, "acknowledge": C, "shelve": G, "suppress": H,
        "out_of_service": J},
    C: {"return": A, "latch": F, "shelve": G, "suppress": H, "out_of_service": J},
    D: {"raise": B, "acknowledge": A, "shelve": G, "suppress": H, "out_of_service": J},
    E: {"raise": B, "reset": D, "acknowledge": F, "shelve": G, "suppress": H,
        "out_of_service": J},
    F: {"raise": B, "reset": A, "shelve": G, "suppress": H, "out_of_service": J},
    G: {"unshelve": "?", "out_of_service": J},
    H: {"release": "?", "out_of_service": J},
    J: {"in_service": "?"},
}  # fmt: skip
SEEN = {"normal": A, "stands": B, "latched": E}
NAMES = ("row:2", "row:9", "row:13", "loop:WIC101")  # not critical: they may be shelved
PROCESS = ("raise", "return", "latch", "reset")


def test_the_nine_states_are_those_of_the_standard():
    assert STATES == ("NORM", "UNACK", "ACK", "RTN-UNACK", "LATCHED-UNACK", "LATCHED-ACK",
                      "SHELVED", "SUPPRESSED-BY-DESIGN", "OUT-OF-SERVICE")  # fmt: skip
    assert set(TRIGGERS) == {trigger for moves in ISA.values() for trigger in moves}


@pytest.mark.parametrize("state", STATES)
def test_every_pair_of_state_and_trigger_does_what_the_standard_says(state):
    for trigger, condition in itertools.product(TRIGGERS, SEEN):
        wanted = ISA[state].get(trigger)
        if wanted is None:
            with pytest.raises(Refused, match=f"alarm row:8 is {state}: "):
                moved("row:8", state, trigger, condition)
            continue
        wanted = SEEN[condition] if wanted == "?" else wanted
        assert moved("row:8", state, trigger, condition) == wanted, (trigger, condition)


def test_a_refused_move_says_what_is_the_matter():
    for state, trigger, why in (
        (A, "acknowledge", "there is nothing to acknowledge"), (A, "unshelve", "it is not shelved"),
        (A, "in_service", "it is not out of service"), (A, "release", "it is not suppressed"),
        (J, "out_of_service", "it is out of service already"), (H, "shelve", "cannot be shelved"),
        (G, "suppress", "cannot be suppressed"), (B, "raise", "cannot be raised"),
        (A, "return", "cannot return"), (A, "latch", "cannot latch"), (A, "reset", "no latch"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=why):
            moved("x", state, trigger, "normal")


def test_every_state_that_is_shown_says_what_the_process_says():
    assert set(table.CONDITION_OF) | set(table.HIDDEN) == set(STATES)
    assert {state for state in STATES if "UNACK" in state} == set(table.WAITING)


class Life(RuleBasedStateMachine):
    """Anything in any order, beside the standard's table and a process of its own."""

    def __init__(self):
        super().__init__()
        self.alarms, self.records, self.now = made(), [], 0
        self.states = dict.fromkeys(NAMES, A)
        self.process = dict.fromkeys(NAMES, "normal")
        self.ends = {}

    def stamp(self):
        return at(self.now)

    def expect(self, name, trigger, records):
        """What follows: one record for a move of the table, none else."""
        old = self.states[name]
        new = ISA[old].get(trigger, old)
        new = SEEN[self.process[name]] if new == "?" else new
        self.states[name] = new
        moves = [r.data for r in records if r.name == "alarm.state"]
        assert [(m["alarm"], m["old"], m["new"]) for m in moves] == (
            [(name, old, new)] if new != old else []
        )
        self.records += records

    def refused(self, call):
        before = dict(self.alarms.all)
        with pytest.raises(Refused):
            call()
        assert self.alarms.all == before, "an illegal move, and something happened"

    @rule(name=st.sampled_from(NAMES), trigger=st.sampled_from(PROCESS))
    def process_says(self, name, trigger):
        self.now += 1
        before = self.process[name]
        legal = {("normal", "raise"): "stands", ("stands", "return"): "normal",
                 ("stands", "latch"): "latched", ("latched", "raise"): "stands",
                 ("latched", "reset"): "normal"}  # fmt: skip
        self.process[name] = legal.get((before, trigger), before)
        records = self.alarms._process(Change(name, trigger, "words"), self.stamp())
        hidden = self.states[name] in (G, H, J)
        told = [r for r in records if r.name == "alarm.condition"]
        assert len(told) == (hidden and self.process[name] != before)
        self.expect(name, trigger, records)

    def asked(self, name, trigger, call):
        if trigger not in ISA[self.states[name]]:
            self.refused(call)
            return
        records = call()
        assert {r.actor for r in records} == {"me"}
        self.expect(name, trigger, records)

    @rule(name=st.sampled_from(NAMES))
    def acknowledge(self, name):
        self.asked(name, "acknowledge", lambda: self.alarms.acknowledge(
            name, self.stamp(), "me", "operator"))  # fmt: skip

    @rule(name=st.sampled_from(NAMES), minutes=st.integers(1, 30))
    def shelve(self, name, minutes):
        legal = "shelve" in ISA[self.states[name]]
        self.asked(name, "shelve", lambda: self.alarms.shelve(
            name, 60 * minutes, self.stamp(), ("me", "operator", "noise")))  # fmt: skip
        if legal:
            self.ends[name] = self.now + 60 * minutes

    @rule(name=st.sampled_from(NAMES))
    def unshelve(self, name):
        self.asked(name, "unshelve", lambda: self.alarms.unshelve(
            name, self.stamp(), ("me", "operator", "")))  # fmt: skip

    @rule(name=st.sampled_from(NAMES))
    def out_of_service(self, name):
        self.asked(name, "out_of_service", lambda: self.alarms.take_out(
            name, self.stamp(), ("me", "supervisor", "repair")))  # fmt: skip

    @rule(name=st.sampled_from(NAMES))
    def in_service(self, name):
        self.asked(name, "in_service", lambda: self.alarms.put_back(
            name, self.stamp(), ("me", "supervisor", "repaired")))  # fmt: skip

    @rule(seconds=st.integers(1, 1200))
    def time_passes(self, seconds):
        self.now += seconds
        records = self.alarms.due(self.stamp())
        over = [n for n in NAMES if self.states[n] == G and self.now >= self.ends[n]]
        for name in over:
            self.expect(name, "unshelve", [r for r in records if r.data["alarm"] == name
                                           and r.name == "alarm.state"])  # fmt: skip
        rest = [r for r in records if r.name != "alarm.state"]
        assert all(r.name == "alarm.escalated" for r in rest)
        self.records += rest
        assert len(records) == len(rest) + len(over)

    @precondition(lambda self: any(s in (B, D, E) for s in self.states.values()))
    @rule()
    def silence(self):
        if self.alarms.horn:
            self.records += self.alarms.silence(self.stamp(), "me", "operator")
            assert not self.alarms.horn

    @invariant()
    def the_list_shows_what_it_must(self):
        shown = {a.name for a in self.alarms.active()}
        hidden = {a.name for a in self.alarms.hidden()}
        assert shown == {n for n, s in self.states.items() if s not in (A, G, H, J)}
        assert hidden == {n for n, s in self.states.items() if s in (G, H, J)}
        for name in shown | hidden:
            assert self.alarms.stands(name) == (self.process[name] == "stands")
            assert self.alarms.unseen(name) == (self.states[name] in (B, D, E))

    @invariant()
    def nothing_that_stands_is_lost(self):
        for name, condition in self.process.items():
            if condition == "stands":
                assert self.states[name] in (B, C, G, H, J)

    @invariant()
    def the_list_is_rebuilt_from_its_records_and_from_what_is_carried(self):
        assert rebuilt(self.records).all == self.alarms.all
        carried = rebuilt(self.alarms.carried(self.stamp()))
        assert carried.all == {n: a for n, a in self.alarms.all.items() if a.state != A}


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

"""One lost link is one alarm: what only follows from it is suppressed, and nothing else is."""

from __future__ import annotations

import pytest
from alarm_bench import (
    ME,
    at,
    blind,
    cleared,
    event,
    link,
    made,
    profile,
    raised,
    rebuilt,
    reset,
    state,
    unit,
)

from controller.alarms import (
    ACK,
    LATCHED_UNACK,
    NORM,
    RTN_UNACK,
    SHELVED,
    SUPPRESSED,
    UNACK,
    Alarms,
)
from controller.alarms.dependence import Dependence
from controller.profile.plan import BlockOp, CompareOp

SKID = frozenset({"skid"})


@pytest.fixture
def alarms():
    return made()


@pytest.fixture(scope="module")
def dependence():
    return Dependence(profile())


def blind_names(dependence, *links):
    return {profile().signals[i] for i in dependence.blind(frozenset(links))}


def heads(alarms, name):
    return list(alarms.all[name].of)


def skid_killed(alarms):
    """What field says within seconds of a dead skid, in its order."""
    records = []
    for each in (
        link("skid", when=1), raised("20.skid", 2), event("unit.hold", 2, cause="row 20.skid"),
        event("effect.not_confirmed", 4, row="20.skid", output="xv201", second="no second element"),
        blind("2", "TT103", when=6), blind("3", "T_DIFF", when=6),
        blind("18.both", "XV202_ZSC", "XV203_ZSC", when=6),
        event("loop.fallback", 6, loop="TIC101"), raised("5.bad", 11),
    ):  # fmt: skip
        records += alarms.follow(each)
    return records


def test_a_signal_is_blind_when_the_link_it_comes_by_is_lost(dependence):
    assert {"TT101", "PT101", "T_DIFF", "STIR_RATIO"} <= blind_names(dependence, "skid")
    assert not {"TT102", "VOL", "LEVEL", "heater", "HEATER_10MIN"} & blind_names(dependence, "skid")
    assert {"TT102", "T_DIFF", "DO_30MIN"} <= blind_names(dependence, "probe_bus")
    assert blind_names(dependence) == set()


def test_what_has_another_source_is_blind_only_without_both(dependence):
    assert "VOL_W" in blind_names(dependence, "balance")
    assert not {"VOL", "LEVEL"} & blind_names(dependence, "balance")
    assert {"VOL", "LEVEL"} <= blind_names(dependence, "balance", "skid")


@pytest.mark.parametrize(("op", "a", "b", "found"), [
    (BlockOp.ELSE, True, False, False), (BlockOp.ELSE, True, True, True),
    (BlockOp.DIFF, False, True, True), (BlockOp.RATIO, True, False, True),
    (BlockOp.WHILE, False, True, True), (BlockOp.HOLD, False, True, False),
    (BlockOp.MEAN, True, False, True), (BlockOp.DIFF, False, False, False),
])  # fmt: skip
def test_a_block_is_as_blind_as_what_it_is_computed_from(dependence, op, a, b, found):
    bad = {place for place, on in ((1, a), (2, b)) if on}
    assert dependence._is_blind({"op": op, "a": 1, "b": 2}, bad) == found


def test_a_sum_is_blind_when_one_of_its_terms_is(dependence):
    plan = profile().plan
    block = next(b for b in plan.blocks if b["op"] == BlockOp.SUM)
    terms = plan.terms[int(block["first_term"]) :][: int(block["n_terms"])]
    for term in terms:
        assert dependence._is_blind(block, {int(term["signal"])})
    assert not dependence._is_blind(block, {-5})
    second = {"op": BlockOp.SUM, "a": -1, "b": -1, "first_term": 1, "n_terms": 1}
    for place, term in enumerate(terms):
        assert dependence._is_blind(second, {int(term["signal"])}) == (place == 1)


def test_a_row_that_watches_only_the_silence_of_a_link_stands_for_it(dependence):
    assert dependence.silent == {
        f"row:20.{name}": name for name in ("gas_bus", "probe_bus", "pump_bus", "balance", "skid")
    }


@pytest.mark.parametrize("op", [CompareOp.BELOW, CompareOp.IS_BAD])
def test_a_row_that_asks_something_else_of_a_link_does_not_stand_for_it(op):
    plan = profile().plan
    row = next(i for i, cause in enumerate(profile().causes) if cause.row == "20.skid")
    asked = plan.conditions[int(plan.causes[row]["first_condition"])]
    asked["op"], before = op, int(asked["op"])
    try:
        assert "row:20.skid" not in Dependence(profile()).silent
    finally:
        asked["op"] = before


def test_a_killed_skid_is_two_alarms(alarms):
    records = skid_killed(alarms)
    assert [a.name for a in alarms.active()] == ["link:skid", "unit:hold"]
    called = [r.data["alarm"] for r in records
              if r.name == "alarm.state" and r.data["new"] == UNACK]  # fmt: skip
    assert called == ["link:skid", "unit:hold"]
    assert len(alarms.hidden()) == 7
    assert {tuple(a.of) for a in alarms.hidden()} == {("link:skid",)}
    assert all(a.state == SUPPRESSED and a.condition == "stands" for a in alarms.hidden())
    assert rebuilt(records).all == alarms.all


def test_what_a_row_really_watches_is_heard_whatever_is_lost(alarms):
    alarms.follow(link("skid"))
    alarms.follow(raised("1"))  # TT102 by another link
    alarms.follow(blind("9", "BALANCE_10MIN"))  # by the balance
    alarms.follow(raised("supervisor"))
    assert {a.name for a in alarms.active()} == {"link:skid", "row:1", "row:9", "row:supervisor"}


def test_a_row_that_may_trip_without_the_lost_signals_is_never_suppressed(alarms, dependence):
    """Row 7 is 1oo2 by weight or level: without the level its weight can still find it too full."""
    assert not dependence.explained("row:7", ("LT101",), SKID)
    assert dependence.explained("row:7", ("LT101", "VOL_W"), SKID | {"balance"})
    assert dependence.explained("row:19.feed", ("XV201_ZSO",), SKID), "both are needed"
    assert not dependence.explained("row:19.feed", ("XV201_ZSO", "no such"), SKID)
    assert not dependence.explained("row:2", (), SKID), "what really tripped"
    assert not dependence.explained("row:none", ("TT103",), SKID)
    assert not dependence.explained("row:9", ("ST_FEED",), frozenset({"pump_bus"})), "it sees all"


def test_a_row_about_a_bad_signal_needs_no_other_words(dependence):
    assert dependence.explained("row:5.bad", (), SKID)
    assert not dependence.explained("row:5.bad", (), frozenset({"gas_bus"}))
    assert dependence.explained("row:11.bad", (), frozenset({"probe_bus"}))


@pytest.mark.parametrize(("name", "links", "explained"), [
    ("loop:TIC101", {"skid"}, True), ("loop:TIC101", {"probe_bus"}, False),
    ("loop:WIC101", {"balance"}, False), ("loop:WIC101", {"balance", "skid"}, True),
    ("loop:none", {"skid"}, False),
    ("proof:2:heater", {"skid"}, True), ("proof:2:heater", {"gas_bus"}, False),
    ("proof:6:air", {"gas_bus"}, True), ("proof:6:air", {"skid"}, False),
    ("proof:6:none", {"skid"}, False), ("unit:hold", {"skid"}, False), ("log", {"skid"}, False),
    ("row:20.skid", {"skid"}, True), ("row:20.skid", {"gas_bus"}, False),
])  # fmt: skip
def test_loops_and_proofs_follow_the_link_they_need(dependence, name, links, explained):
    assert dependence.explained(name, (), frozenset(links)) == explained


def test_an_output_is_unproven_by_its_own_link_or_by_that_of_its_proof(dependence):
    index = profile().effects.index(("2", "heater"))
    dependence._profile.plan.effects[index]["confirm_signal"], before = (
        profile().index["TT102"], int(profile().plan.effects[index]["confirm_signal"])
    )  # fmt: skip
    try:
        for lost in ("skid", "probe_bus"):
            assert dependence.explained("proof:2:heater", (), frozenset({lost}))
        assert not dependence.explained("proof:2:heater", (), frozenset({"balance"}))
    finally:
        profile().plan.effects[index]["confirm_signal"] = before


def test_without_an_alarm_of_the_link_its_silent_row_stands_for_it(alarms):
    """A frozen skid answers, but its values are old: no link is lost, and row 20.skid acts."""
    alarms.follow(raised("20.skid"))
    alarms.follow(blind("2", "TT103"))
    assert state(alarms, "row:20.skid") == UNACK
    assert heads(alarms, "row:2") == ["row:20.skid"]
    alarms.follow(link("skid"))
    assert heads(alarms, "row:20.skid") == ["link:skid"]


def test_what_was_raised_just_before_its_link_was_known_to_be_lost_is_suppressed_then(alarms):
    alarms.follow(blind("2", "TT103"))
    alarms.follow(blind("3", "T_DIFF"))
    alarms.acknowledge("row:3", at(), "me", "operator")
    alarms.follow(raised("15"))
    assert (state(alarms, "row:2"), state(alarms, "row:3")) == (UNACK, ACK)
    alarms.follow(link("skid", when=1))
    assert (state(alarms, "row:2"), state(alarms, "row:3")) == (SUPPRESSED, SUPPRESSED)
    assert state(alarms, "row:15") == UNACK, "it tripped before, and really"


def test_what_still_stands_when_the_link_is_back_comes_up_after_a_moment(alarms):
    skid_killed(alarms)
    alarms.follow(link("skid", "restored", 100))
    alarms.follow(cleared("20.skid", 100))
    alarms.follow(cleared("2", 105))
    alarms.follow(cleared("18.both", 105, latched=True))
    assert alarms.due(at(114)) == []
    records = {r.data["alarm"]: r.data["new"] for r in alarms.due(at(115))}
    assert records["row:2"] == NORM
    assert records["row:18.both"] == "LATCHED-UNACK"
    assert records["row:3"] == UNACK
    assert records["proof:20.skid:xv201"] == NORM, "it ended with its row"
    assert not alarms.hidden()
    assert alarms.due(at(116)) == []


def test_what_is_over_while_it_is_suppressed_calls_nobody(alarms):
    skid_killed(alarms)
    told = alarms.follow(cleared("2", 50))
    assert [(r.name, r.data["condition"]) for r in told] == [("alarm.condition", "normal")]
    assert state(alarms, "row:2") == SUPPRESSED
    assert told[0].data["detail"] == {}, "what was blind is told when it trips"
    again = alarms.follow(blind("2", "TT103", when=60))
    assert [(r.name, r.data["detail"]) for r in again] == [
        ("alarm.condition", {"blind": ["TT103"]})
    ]
    for end in (cleared("18.both", 70, latched=True), reset("18.both", 71)):
        (told_,) = alarms.follow(end)
        assert (told_.name, told_.data["detail"]) == ("alarm.condition", {})
    assert alarms.all["row:18.both"].blind == ("XV202_ZSC", "XV203_ZSC")


def test_a_trip_that_is_real_the_second_time_is_no_longer_explained(alarms):
    alarms.follow(blind("2", "TT103"))
    alarms.follow(cleared("2"))
    assert state(alarms, "row:2") == RTN_UNACK
    alarms.follow(raised("2", 1))
    assert alarms.all["row:2"].blind == ()
    alarms.follow(link("skid", when=2))
    assert state(alarms, "row:2") == UNACK


def test_what_nobody_has_seen_stays_on_the_list_when_its_link_is_lost(alarms):
    alarms.follow(raised("15", 0))
    alarms.follow(cleared("15", 20))
    alarms.follow(raised("18.both", 21))
    alarms.follow(cleared("18.both", 22, latched=True))
    alarms.follow(link("skid", when=100))
    alarms.follow(blind("15", "STIR_RATIO", when=105))
    alarms.follow(blind("18.both", "XV202_ZSC", "XV203_ZSC", when=105))
    alarms.follow(raised("20.skid", 106))
    assert (state(alarms, "row:15"), state(alarms, "row:18.both")) == (UNACK, UNACK)
    alarms.follow(cleared("15", 200))
    alarms.follow(link("skid", "connected", when=200))
    alarms.due(at(300))
    assert state(alarms, "row:15") == RTN_UNACK


def test_only_what_was_raised_just_before_is_taken_for_a_consequence(alarms):
    alarms.follow(event("effect.not_confirmed", 0, row="6", output="air", second="xv100 = 0"))
    alarms.follow(event("loop.fallback", 85, loop="DIC101"))
    alarms.follow(link("gas_bus", when=100))
    alarms.follow(link("probe_bus", when=100))
    assert state(alarms, "proof:6:air") == UNACK, "unproven long before its link was lost"
    assert state(alarms, "loop:DIC101") == SUPPRESSED


def test_an_alarm_that_is_not_shown_explains_nothing(alarms):
    alarms.follow(link("gas_bus"))
    alarms.follow(raised("20.gas_bus"))
    assert heads(alarms, "row:20.gas_bus") == ["link:gas_bus"]
    alarms.shelve("link:gas_bus", 600, at(10), ME)
    assert state(alarms, "link:gas_bus") == SHELVED
    assert alarms.due(at(24)) == []
    assert [r.data["new"] for r in alarms.due(at(25))] == [UNACK]
    alarms.follow(event("effect.not_confirmed", 26, row="5", output="air"))
    assert heads(alarms, "proof:5:air") == ["row:20.gas_bus"]
    alarms.unshelve("link:gas_bus", at(30), ME)
    assert heads(alarms, "row:20.gas_bus") == ["link:gas_bus"]


def test_what_is_shown_again_beside_the_alarm_that_explains_it_is_suppressed_at_once(alarms):
    alarms.shelve("row:2", 60, at(), ME)
    skid_killed(alarms)
    assert state(alarms, "row:2") == SHELVED
    moves = [(r.data["old"], r.data["new"]) for r in alarms.due(at(61))]
    assert moves == [(SHELVED, UNACK), (UNACK, SUPPRESSED)]


def test_two_lost_links_are_both_named_only_where_both_are_needed(alarms):
    alarms.follow(link("skid"))
    alarms.follow(link("balance"))
    alarms.follow(event("loop.fallback", loop="WIC101"))
    alarms.follow(blind("2", "TT103"))
    alarms.follow(blind("3", "T_DIFF"))
    assert heads(alarms, "loop:WIC101") == ["link:balance", "link:skid"]
    assert heads(alarms, "row:2") == ["link:skid"]
    alarms.follow(link("probe_bus"))
    alarms.follow(cleared("3"))
    alarms.due(at(60))
    other = made()
    for name in ("skid", "probe_bus"):
        other.follow(link(name))
    other.follow(blind("3", "T_DIFF"))
    assert heads(other, "row:3") == ["link:probe_bus", "link:skid"], "either would be enough"


def test_a_suppressed_alarm_whose_head_nobody_remembers_is_shown(alarms):
    skid_killed(alarms)
    again = made()
    for record in alarms.carried(at(20)):
        again.evolve(record)
    del again.all["link:skid"]
    assert UNACK in {r.data["new"] for r in again.due(at(21))}


def test_a_moment_is_enough_however_late_somebody_looks(alarms):
    skid_killed(alarms)
    alarms.follow(link("skid", "restored", 100))
    alarms.follow(cleared("20.skid", 100))
    assert alarms.due(at(114)) == []
    alarms.due(at(116))
    assert not alarms.hidden()


def test_only_what_is_not_over_is_the_consequence_of_a_link_lost_later(alarms):
    alarms.follow(blind("2", "TT103"))
    alarms.follow(cleared("2"))
    alarms.follow(blind("18.both", "XV202_ZSC", "XV203_ZSC"))
    alarms.follow(cleared("18.both", latched=True))
    assert (state(alarms, "row:2"), state(alarms, "row:18.both")) == (RTN_UNACK, LATCHED_UNACK)
    alarms.follow(link("skid", when=1))
    assert (state(alarms, "row:2"), state(alarms, "row:18.both")) == (RTN_UNACK, SUPPRESSED)


def test_a_link_that_is_shown_again_in_the_same_moment_calls_nobody_for_its_consequences(alarms):
    alarms.follow(link("gas_bus"))
    alarms.follow(event("effect.not_confirmed", 1, row="6", output="air"))
    alarms.shelve("link:gas_bus", 20, at(2), ME)
    assert [(r.data["alarm"], r.data["new"]) for r in alarms.due(at(22))] == [
        ("link:gas_bus", UNACK)
    ]
    assert state(alarms, "proof:6:air") == SUPPRESSED


@pytest.mark.parametrize(("name", "data"), [
    ("bypass.set", {"row": "2"}), ("witness.lost", {"witness": "2"}),
    ("account.locked", {"user": "TIC101"}), ("witness.lost", {"witness": "TIC101"}),
])  # fmt: skip
def test_what_only_bears_the_name_of_a_row_or_a_loop_does_not_depend_on_its_link(
    alarms, name, data
):
    alarms.follow(link("skid"))
    alarms.follow(event(name, **data))
    assert [a.name for a in alarms.hidden()] == []
    assert len(alarms.active()) == 2


# -- what the unit's file names --------------------------------------------------------------------


@pytest.fixture
def named():
    """Row 13 is a mere consequence of row 16, by the unit's file."""
    return Alarms.of(unit('alarms:\n  "row:13": {suppressed_by: ["row:16"]}\n  row: {}\n'))


def test_a_named_alarm_suppresses_while_it_stands_and_is_shown(named):
    named.follow(raised("13"))
    assert state(named, "row:13") == UNACK
    named.follow(raised("16", 1))
    assert state(named, "row:13") == SUPPRESSED
    assert heads(named, "row:13") == ["row:16"]
    assert named.due(at(100)) == []
    named.acknowledge("row:16", at(100), "me", "operator")
    named.shelve("row:16", 60, at(101), ME)
    assert [r.data["alarm"] for r in named.due(at(116))] == ["row:13"]
    assert state(named, "row:13") == UNACK


@pytest.mark.parametrize(("latched", "waits"), [(False, RTN_UNACK), (True, LATCHED_UNACK)])
def test_a_named_alarm_that_is_over_suppresses_nothing_though_it_is_shown(named, latched, waits):
    named.follow(raised("16"))
    named.follow(cleared("16", latched=latched))
    assert state(named, "row:16") == waits
    named.follow(raised("13", 1))
    assert state(named, "row:13") == UNACK
    named.follow(raised("16", 2))
    assert state(named, "row:13") == SUPPRESSED

"""What becomes an alarm, what it is called and how urgent it is, from the records that say so."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from alarm_bench import (
    ME,
    S,
    at,
    cleared,
    event,
    link,
    made,
    raised,
    reset,
    state,
)

from controller.alarms import (
    ACK,
    LATCHED_ACK,
    LATCHED_UNACK,
    NORM,
    PRIORITIES,
    RTN_UNACK,
    SHELVED,
    UNACK,
)
from controller.alarms.alarm import Alarm, When, carried
from controller.alarms.alarms import CALLS_MAX
from controller.alarms.sources import MOMENTS, changes
from controller.alarms.table import CONDITION_OF
from controller.core.errors import BadInput, Refused


@pytest.fixture
def alarms():
    return made()


def shown(alarms):
    return [(alarm.name, alarm.state) for alarm in alarms.active()]


def test_the_worst_stands_first_and_of_two_the_older(alarms):
    for second, row in enumerate(("2", "13", "14", "9", "1", "7")):
        alarms.follow(raised(row, second))
    assert [(a.name, a.priority) for a in alarms.active()] == [
        ("row:1", "critical"), ("row:13", "high"), ("row:9", "high"), ("row:7", "high"),
        ("row:2", "medium"), ("row:14", "low"),
    ]  # fmt: skip
    assert all(a.priority in PRIORITIES for a in alarms.active())


def test_an_interlock_returns_and_a_protect_stays_latched_until_its_reset(alarms):
    for row in ("7", "9"):
        alarms.follow(raised(row))
    alarms.follow(cleared("7"))
    alarms.follow(cleared("9", latched=True))
    assert (state(alarms, "row:7"), state(alarms, "row:9")) == (RTN_UNACK, LATCHED_UNACK)
    alarms.acknowledge("row:9", at(), "me", "operator")
    assert state(alarms, "row:9") == LATCHED_ACK
    assert not alarms.stands("row:9")
    alarms.follow(reset("9"))
    assert state(alarms, "row:9") == NORM
    assert "Row 9 tripped" in alarms.all["row:9"].text


def test_a_latched_row_that_trips_again_must_be_seen_again(alarms):
    alarms.follow(raised("9"))
    alarms.acknowledge("row:9", at(), "me", "operator")
    alarms.follow(cleared("9", latched=True))
    alarms.follow(raised("9", 5))
    assert state(alarms, "row:9") == UNACK
    assert alarms.all["row:9"].since_ns == 5 * S


def test_an_effect_that_is_not_confirmed_is_critical_until_it_is_proven(alarms):
    alarms.follow(event("effect.not_confirmed", row="1", output="heater"))
    (alarm,) = alarms.active()
    assert (alarm.name, alarm.priority, alarm.state) == ("proof:1:heater", "critical", UNACK)
    assert "NOT CONFIRMED" in alarm.text
    alarms.follow(event("effect.confirmed", row="1", output="heater"))
    assert alarms.active()[0].state == RTN_UNACK
    assert "NOT CONFIRMED" in alarms.active()[0].text


@pytest.mark.parametrize("end", [cleared("1"), reset("1")])
def test_an_unproven_effect_has_nothing_left_to_prove_once_its_row_lets_go(alarms, end):
    for output in ("heater", "km101"):
        alarms.follow(event("effect.not_confirmed", row="1", output=output))
        alarms.acknowledge(f"proof:1:{output}", at(), "me", "")
    alarms.follow(event("effect.not_confirmed", row="10", output="heater"))
    alarms.follow(cleared("1", latched=True))
    assert len(alarms.active()) == 3, "a latched row still forces"
    alarms.follow(end)
    assert [a.name for a in alarms.active()] == ["proof:10:heater"]


@pytest.mark.parametrize(("begins", "ends", "name"), [
    (link("gas_bus"), link("gas_bus", "restored"), "link:gas_bus"),
    (event("loop.fallback", loop="TIC101"), event("loop.restored", loop="TIC101"), "loop:TIC101"),
    (event("unit.hold"), event("unit.hold_released"), "unit:hold"),
    (event("witness.lost", witness="w"), event("witness.back", witness="w"), "witness:w"),
    (event("log.failed"), event("log.gap"), "log"),
    (event("disk.critical"), event("disk.low"), "disk"),
    (event("disk.critical"), event("disk.enough"), "disk"),
    (event("annunciator.lost"), event("annunciator.back"), "annunciator"),
    (event("annunciator.none"), event("batch.closed"), "annunciator:none"),
])  # fmt: skip
def test_what_lasts_is_an_alarm_until_it_is_over(alarms, begins, ends, name):
    assert not alarms.stands(name)
    alarms.follow(begins)
    assert shown(alarms) == [(name, UNACK)]
    assert alarms.stands(name)
    assert alarms.unseen(name)
    assert alarms.all[name].text == begins.words()
    assert alarms.follow(begins) == [], "said twice, it is one alarm"
    alarms.follow(ends)
    assert shown(alarms) == [(name, RTN_UNACK)]
    assert not alarms.stands(name)
    assert alarms.all[name].text == ends.words()
    alarms.acknowledge(name, at(), "me", "operator")
    assert not alarms.unseen(name)
    assert alarms.book.entry(name).name.partition(":")[0] == name.partition(":")[0]


@pytest.mark.parametrize(("name", "data", "alarm", "priority"), [
    ("bypass.lapsed", {"row": "2"}, "bypass:2", "high"),
    ("ring.overflow", {"ring": "event"}, "ring:event", "critical"),
    ("step.timeout", {}, "step:step.timeout", "medium"),
    ("clock.step", {"seconds": "3"}, "clock:clock.step", "medium"),
    ("clock.step", {"seconds": "-3"}, "clock:back", "medium"),
    ("field.restarted", {"state": ""}, "field:field.restarted", "critical"),
    ("field.restored", {"refused": "a"}, "field:field.restored", "high"),
    ("log.recovered", {}, "record:log.recovered", "high"),
    ("supervisor.fault", {}, "supervisor:supervisor.fault", "critical"),
    ("batch.attached", {}, "supervisor:batch.attached", "high"),
    ("account.locked", {"user": "ann"}, "account:ann", "high"),
])  # fmt: skip
def test_what_happens_in_a_moment_waits_for_its_acknowledgement_and_then_goes(
    alarms, name, data, alarm, priority
):
    for _ in range(2):
        alarms.follow(event(name, **data))
        assert shown(alarms) == [(alarm, RTN_UNACK)]
    assert alarms.all[alarm].priority == priority
    alarms.acknowledge(alarm, at(), "me", "operator")
    assert alarms.active() == []


def test_every_moment_has_a_place_in_the_database(alarms):
    for name, (kind, field) in MOMENTS.items():
        entry = alarms.book.entry(f"{kind}:{'x' if field else name}")
        assert entry.consequence != "Something nobody foresaw.", name


def test_a_field_that_was_given_everything_again_raises_nothing(alarms):
    assert alarms.follow(event("field.restored", refused="")) == []


def test_what_no_database_can_name_is_an_alarm_all_the_same(alarms):
    entry = alarms.book.entry("new:thing")
    assert (entry.priority, entry.respond_s, entry.shelve_s) == ("medium", 900, 3600)
    assert (entry.latched, entry.written, entry.suppressed_by) == (False, False, ())
    assert entry.consequence == "Something nobody foresaw."


def test_an_unknown_alarm_cannot_be_acknowledged_and_the_nearest_is_named(alarms):
    alarms.follow(raised("1"))
    with pytest.raises(Refused, match=r"'row:p\.do_deaf'"):
        alarms.acknowledge("row:p.do_deft", at(), "me", "operator")
    with pytest.raises(Refused, match="NORM: there is nothing to acknowledge"):
        alarms.waiting("row:2")
    with pytest.raises(Refused, match="no alarm 'step'"):
        alarms.known("step")


def test_a_permit_and_a_record_of_the_recipe_raise_nothing(alarms):
    for name in ("permit.withdrawn", "procedure.state", "command.outcome", "quality.changed"):
        assert alarms.follow(event(name)) == []
    assert alarms.active() == []


# -- people -------------------------------------------------------------------------------------


def test_a_shelved_alarm_comes_back_at_its_time_and_stands_if_it_stands(alarms):
    alarms.follow(raised("9"))
    (record,) = alarms.shelve("row:9", 600, at(10), ME)
    assert (record.actor, record.role, record.reason) == ME
    assert record.data["detail"] == {"lasts_s": 600}
    shelved = alarms.all["row:9"]
    assert (shelved.reason, shelved.by, shelved.lasts_s) == ("a reason", ME[0], 600)
    assert alarms.active() == []
    assert [a.name for a in alarms.hidden()] == ["row:9"]
    assert alarms.due(at(609)) == []
    (record,) = alarms.due(at(610))
    assert (record.actor, record.data["new"]) == ("system", UNACK)
    assert record.stamp == at(610)
    back = alarms.all["row:9"]
    assert (back.reason, back.by, back.lasts_s) == ("", "", 0)
    assert alarms.all["row:9"].since_ns == 610 * S, "from now on somebody must respond"


def test_what_happens_while_an_alarm_is_shelved_is_recorded(alarms):
    alarms.follow(raised("9"))
    alarms.shelve("row:9", 600, at(), ME)
    (over,) = alarms.follow(cleared("9", latched=True))
    assert over.name == "alarm.condition"
    assert (over.data["state"], over.data["condition"]) == (SHELVED, "latched")
    assert alarms.follow(cleared("9", latched=True)) == []
    assert state(alarms, "row:9") == SHELVED
    (shown_again,) = alarms.unshelve("row:9", at(5), ME)
    assert shown_again.data["new"] == LATCHED_UNACK


@pytest.mark.parametrize("name", ["row:1", "row:6", "row:12.rate", "clock:back", "log",
                                  "annunciator", "proof:1:heater", "link:skid"])  # fmt: skip
def test_what_is_critical_or_never_bypassed_is_neither_shelved_nor_taken_out(alarms, name):
    for call in (lambda: alarms.shelve(name, 60, at(), ME),
                 lambda: alarms.take_out(name, at(), ME)):  # fmt: skip
        with pytest.raises(Refused, match="is never") as refused:
            call()
        assert "critical, or its row may never be bypassed" in refused.value.means
        assert "remove its cause" in refused.value.do
    assert alarms.all == {}


@pytest.mark.parametrize("seconds", [0, -1, 1801])
def test_nobody_shelves_for_longer_than_the_database_says(alarms, seconds):
    with pytest.raises(BadInput, match="for 1 s to 30 min"):
        alarms.shelve("row:9", seconds, at(), ME)
    assert alarms.all == {}
    for good in (1, 1800):
        alarms.shelve("row:9", good, at(), ME)
        alarms.unshelve("row:9", at(), ME)
    with pytest.raises(BadInput, match="row:2 may be shelved for 1 s to 60 min, not 3601 s"):
        alarms.shelve("row:2", 3601, at(), ME)


def test_an_alarm_out_of_service_stays_so_and_may_be_one_that_was_never_raised(alarms):
    alarms.take_out("row:13", at(), ME)
    alarms.follow(raised("13", 1))
    assert alarms.due(at(1e7)) == []
    assert alarms.active() == []
    assert alarms.stands("row:13")
    (back,) = alarms.put_back("row:13", at(9), ME)
    assert (back.data["new"], back.data["priority"]) == (UNACK, "high")


def test_the_horn_is_silenced_without_acknowledging_and_sounds_for_what_is_new(alarms):
    assert not alarms.horn
    with pytest.raises(Refused, match="no horn sounds"):
        alarms.silence(at(), "me", "operator")
    alarms.follow(raised("9"))
    alarms.follow(raised("7"))
    assert alarms.horn
    (record,) = alarms.silence(at(), "me", "operator")
    assert record.data["alarms"] == ["row:7", "row:9"]
    assert (record.actor, record.role) == ("me", "operator")
    assert not alarms.horn
    assert alarms.unseen("row:9")
    alarms.follow(cleared("7"))
    assert not alarms.horn, "its return is nothing new"
    alarms.follow(raised("13"))
    assert alarms.horn
    alarms.acknowledge("row:13", at(), "me", "operator")
    assert not alarms.horn


# -- escalation ---------------------------------------------------------------------------------


def test_what_nobody_acknowledges_in_its_time_is_called_out_again_and_again_up_to_a_limit(alarms):
    alarms.follow(raised("1"))
    respond = alarms.book.entry("row:1").respond_s
    assert alarms.due(at(respond - 1)) == []
    alarms.silence(at(1), "me", "operator")
    (call,) = alarms.due(at(respond))
    assert call.name == "alarm.escalated"
    assert dict(call.data) == {"alarm": "row:1", "priority": "critical", "number": 1,
                               "after_s": respond, "text": alarms.all["row:1"].text}  # fmt: skip
    assert alarms.horn, "a call sounds the horn again"
    assert alarms.due(at(respond + 1)) == []
    (call,) = alarms.due(at(3 * respond))
    assert call.data["number"] == 3, "what a dead supervisor missed is one call"
    (last,) = alarms.due(at(100 * respond))
    assert last.data["number"] == CALLS_MAX == 6
    assert alarms.due(at(200 * respond)) == []


def test_an_acknowledged_alarm_is_not_called_out_and_a_new_trip_begins_anew(alarms):
    alarms.follow(raised("1"))
    alarms.due(at(1e4))
    alarms.acknowledge("row:1", at(1e4), "me", "operator")
    assert alarms.due(at(1e5)) == []
    alarms.follow(cleared("1", 1e5))
    alarms.follow(raised("1", 2e5))
    assert alarms.all["row:1"].calls == 0
    (call,) = alarms.due(at(2e5 + 300))
    assert call.data["number"] == 1


def test_what_returned_is_called_out_too(alarms):
    alarms.follow(event("field.restarted", state=""))
    (call,) = alarms.due(at(120))
    assert call.data["alarm"] == "field:field.restarted"


def test_time_is_told_after_the_machine_was_started_again():
    when = When(100 * S, "boot-a", at(100).utc_ns // S)
    later = at(160)
    assert When.of(at(100)).elapsed_ns(later) == 60 * S
    assert when.elapsed_ns(later) == 60 * S
    assert when.elapsed_ns(at(40)) == 0, "a clock that went back makes nothing due"


# -- another field, another clock, another database ---------------------------------------------


def test_another_field_raises_again_what_stands_and_nothing_else_stays(alarms):
    for each in (
        raised("9"), raised("13"), link("balance"), event("loop.fallback", loop="WIC101"),
        event("effect.not_confirmed", row="7", output="feed"), event("unit.hold"),
    ):  # fmt: skip
        alarms.follow(each)
    alarms.follow(event("field.restarted", state="Running"))
    assert {name: alarm.state for name, alarm in alarms.all.items()} == {
        "row:9": LATCHED_UNACK, "row:13": RTN_UNACK, "link:balance": RTN_UNACK,
        "loop:WIC101": RTN_UNACK, "proof:7:feed": RTN_UNACK, "unit:hold": UNACK,
        "field:field.restarted": RTN_UNACK,
    }  # fmt: skip


def test_a_field_that_starts_cold_is_given_no_latches_again(alarms):
    alarms.follow(raised("9"))
    alarms.follow(raised("6"))
    alarms.follow(cleared("6", latched=True))
    alarms.follow(event("field.restarted", state=""))
    assert (state(alarms, "row:9"), state(alarms, "row:6")) == (RTN_UNACK, RTN_UNACK)


def test_a_wall_clock_that_is_behind_after_a_start_calls_nobody_again(alarms):
    alarms.follow(raised("1", 1000))
    respond = alarms.book.entry("row:1").respond_s
    assert len(alarms.due(at(1000 + 2 * respond))) == 1
    behind = replace(at(3), boot_id="another", utc_ns=at(1000 + respond).utc_ns)
    assert alarms.due(behind) == []
    assert alarms.all["row:1"].calls == 2


@pytest.mark.parametrize("state_before", [UNACK, ACK, LATCHED_UNACK])
def test_an_alarm_keeps_the_priority_it_was_raised_with_until_it_is_normal(alarms, state_before):
    """The database of the unit changed meanwhile: row 9 is high now, and was low."""
    old = carried(Alarm("row:9", state_before, "low", "t", CONDITION_OF[state_before]))
    alarms.evolve(event("alarm.carried", part=1, parts=1, alarms=[old]))
    for each in (cleared("9", latched=True), reset("9")):
        alarms.follow(each)
        assert alarms.all["row:9"].priority == "low"
    if state_before != ACK:
        alarms.acknowledge("row:9", at(), *ME[:2])
    alarms.follow(raised("9"))
    assert alarms.all["row:9"].priority == "high"


# -- what an event says -------------------------------------------------------------------------


def said(title_, signals, own="weight and pumps"):
    return changes(event("cause.active", row="9", title=title_, signals=signals), {"9": own})


@pytest.mark.parametrize("own", ["a title before", "weight and pumps"])
def test_a_row_acts_on_bad_signals_alone_only_if_it_says_so_in_other_words_than_its_own(own):
    signals = ["WT101 bad: silent", "LT101 = 1", "PT101 bad: a bad: b"]
    (alone,) = said(f"its signals are bad ({own})", signals, own)
    assert (alone.name, alone.blind) == ("row:9", ("WT101", "PT101"))
    (really,) = said(own, signals, own)
    assert really.blind == ()


def test_a_change_is_not_changed_by_who_reads_it():
    (change,) = said("x", [])
    with pytest.raises(FrozenInstanceError):
        change.name = "row:7"

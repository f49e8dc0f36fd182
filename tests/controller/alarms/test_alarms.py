"""What becomes an alarm, what it is called and how urgent it is, from the records that say so."""

from __future__ import annotations

import pytest
from alarm_bench import (
    ME,
    S,
    at,
    cleared,
    event,
    link,
    made,
    profile,
    raised,
    rebuilt,
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
    Alarms,
    Book,
)
from controller.alarms.alarm import Alarm, When, carried, folded
from controller.alarms.alarms import CALLS_MAX, CARRIED_A_RECORD
from controller.alarms.dependence import Dependence
from controller.alarms.sources import MOMENTS
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
    assert last.data["number"] == CALLS_MAX
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


# -- the fold -----------------------------------------------------------------------------------


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


def test_the_list_goes_on_in_another_log_in_parts_that_fit(alarms):
    names = [name for name in sorted(alarms.book.names) if name.startswith("proof:")]
    for name in names:
        _, row, output = name.split(":")
        alarms.follow(event("effect.not_confirmed", row=row, output=output))
    alarms.shelve("row:9", 60, at(4), ME)
    alarms.acknowledge(names[0], at(5), "me", "operator")
    alarms.due(at(1e4))
    records = alarms.carried(at(1e4))
    assert len(records) == -(-(len(names) + 1) // CARRIED_A_RECORD) > 2
    assert [r.data["part"] for r in records] == list(range(1, len(records) + 1))
    other = made()
    other.follow(raised("13"))
    for record in records:
        other.evolve(record)
    # Shelving was over at 1e4 s: the row is normal again, and so it is not carried.
    assert other.all == {n: a for n, a in alarms.all.items() if a.state != NORM}


def test_an_empty_list_is_carried_as_one(alarms):
    (record,) = alarms.carried(at())
    alarms.follow(raised("9"))
    alarms.evolve(record)
    assert alarms.all == {}


def test_a_list_read_from_a_log_begins_anew_with_its_first_part_only(alarms):
    alarms.follow(raised("9"))
    for part, names in ((2, {"row:9", "row:7"}), (1, {"row:7"})):
        item = carried(Alarm("row:7", UNACK, "high", "t", "stands"))
        alarms.evolve({"event": "alarm.carried", "mono_ns": "1", "boottime_ns": "1",
                       "time": at().rfc3339(), "boot_id": "b", "sync": "virtual",
                       "data": {"part": part, "parts": 2, "alarms": [item]}})  # fmt: skip
        assert set(alarms.all) == names


def test_a_carried_alarm_is_the_same_in_every_field():
    alarm = Alarm("row:9", SHELVED, "high", "words", "stands", When(1, "boot with space", 2),
                  When(3, "b", 4), ("TT101",), 60, "why", ("link:skid",), 2, True,
                  "olivia@desk")  # fmt: skip
    record = event("alarm.carried", part=1, parts=1, alarms=[carried(alarm)])
    assert folded({}, record) == {"row:9": alarm}


def test_a_record_of_a_log_and_the_living_event_do_the_same():
    decoded = {"event": "alarm.state", "mono_ns": str(7 * S), "boottime_ns": "1", "reason": "why",
               "actor": "olivia@desk",
               "time": at(7).rfc3339(), "boot_id": at().boot_id, "sync": "virtual",
               "data": {"alarm": "row:9", "old": "NORM", "new": SHELVED, "priority": "high",
                        "text": "t", "condition": "normal", "detail": {"lasts_s": 60}}}  # fmt: skip
    (alarm,) = folded({}, decoded).values()
    assert (alarm.moved, alarm.lasts_s) == (When.of(at(7)), 60)
    assert (alarm.reason, alarm.by) == ("why", "olivia@desk")


def test_a_log_of_an_earlier_version_is_read_as_it_was():
    old = {"event": "alarm.state", "mono_ns": "5", "boottime_ns": "1", "time": at().rfc3339(),
           "boot_id": "b", "sync": "virtual",
           "data": {"alarm": "row:9", "old": "NORM", "new": "ACK", "priority": "high",
                    "text": "t"}}  # fmt: skip
    assert folded({}, old)["row:9"].condition == "stands"


def test_silencing_what_is_no_longer_known_changes_nothing(alarms):
    alarms.follow(raised("9"))
    alarms.evolve(event("alarm.silenced", alarms=["row:9", "row:gone"]))
    assert set(alarms.all) == {"row:9"}
    assert not alarms.horn


def test_every_record_of_a_bad_night_is_enough_to_rebuild_it(alarms):
    records = []
    for each in (link("skid"), raised("9", 1), raised("2", 2), cleared("9", 3, latched=True),
                 link("skid", "restored", 4)):  # fmt: skip
        records += alarms.follow(each)
    records += alarms.silence(at(5), "me", "operator")
    records += alarms.shelve("row:9", 60, at(6), ME)
    records += alarms.due(at(900))
    assert rebuilt(records).all == alarms.all
    version = alarms.version
    alarms.follow(event("quality.changed"))
    assert alarms.version == version
    alarms.follow(raised("13", 901))
    assert alarms.version > version


def test_the_alarms_of_a_unit_are_made_from_its_profile():
    made_ = Alarms(Book.of(profile()), Dependence(profile()))
    assert made_.all == {}
    assert made_.known("row:9") == Alarm("row:9", priority="high")
    assert made_.known("row:9").expected == f"{NORM}@0"
    made_.follow(raised("9", 3))
    assert made_.known("row:9").expected == f"{UNACK}@{3 * S}"
    made_.acknowledge("row:9", at(8), "me", "operator")
    assert made_.known("row:9").expected == f"{ACK}@{3 * S}"

"""The list of alarms from its records alone: carried to another log, read back, told the same."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
from alarm_bench import ME, S, at, cleared, event, link, made, profile, raised, rebuilt

from controller.alarms import ACK, NORM, SHELVED, UNACK, Alarms, Book
from controller.alarms.alarm import TEXT_CARRIED, Alarm, When, carried, folded
from controller.alarms.alarms import CARRIED_A_RECORD
from controller.alarms.dependence import Dependence


@pytest.fixture
def alarms():
    return made()


def test_the_list_goes_on_in_another_log_in_parts_that_fit(alarms):
    names = [name for name in sorted(alarms.book.names) if name.startswith("proof:")]
    for name in names:
        _, row, output = name.split(":")
        alarms.follow(event("effect.not_confirmed", row=row, output=output))
    alarms.shelve("row:9", 60, at(4), ME)
    alarms.acknowledge(names[0], at(5), "me", "operator")
    alarms.due(at(1e4))
    records = alarms.carried(at(1e4))
    full, rest = divmod(len(names), 24)
    assert CARRIED_A_RECORD == 24
    assert [len(r.data["alarms"]) for r in records] == [24] * full + [rest]
    assert [r.data["part"] for r in records] == list(range(1, full + 2))
    assert {r.data["parts"] for r in records} == {full + 1}
    other = made()
    other.follow(raised("13"))
    for record in records:
        other.evolve(record)
    # Shelving was over at 1e4 s: the row is normal again, and so it is not carried.
    assert other.all == {n: a for n, a in alarms.all.items() if a.state != NORM}


def test_an_empty_list_is_carried_as_one(alarms):
    (record,) = alarms.carried(at())
    assert dict(record.data) == {"part": 1, "parts": 1, "alarms": []}
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
    assert alarms.version == len(records), "each record is one change of the list"
    alarms.follow(event("quality.changed"))
    assert alarms.version == len(records)
    assert made().version == 0


def test_the_alarms_of_a_unit_are_made_from_its_profile():
    made_ = Alarms(Book.of(profile()), Dependence(profile()))
    assert made_.all == {}
    assert made_.known("row:9") == Alarm("row:9", priority="high")
    assert made_.known("row:9").expected == f"{NORM}@0"
    made_.follow(raised("9", 3))
    assert made_.known("row:9").expected == f"{UNACK}@{3 * S}"
    made_.acknowledge("row:9", at(8), "me", "operator")
    assert made_.known("row:9").expected == f"{ACK}@{3 * S}"


def test_an_alarm_that_was_never_raised_has_nothing_to_tell():
    assert Alarm("row:9") == Alarm("row:9", NORM, "medium", "", "normal", When(0, "", 0),
                                   When(0, "", 0), (), 0, "", (), 0, False, "")  # fmt: skip


def test_nothing_changes_an_alarm_or_an_instant_but_a_record():
    alarm = Alarm("row:9")
    with pytest.raises(FrozenInstanceError):
        alarm.state = ACK
    with pytest.raises(FrozenInstanceError):
        alarm.since.mono_ns = 5


def test_an_instant_keeps_whole_seconds_of_the_wall_clock():
    stamp = replace(at(7), utc_ns=1_700_000_000_999_999_999)
    assert When.of(stamp) == When(7 * S, stamp.boot_id, 1_700_000_000)


@pytest.mark.parametrize("boot_id", ["a boot before", "z boot after"])
def test_time_goes_on_by_the_wall_clock_when_the_machine_was_started_again(boot_id):
    before = When.of(replace(at(1000), boot_id="m"))
    now = replace(at(5), boot_id=boot_id, utc_ns=at(1090).utc_ns)
    assert before.elapsed_ns(now) == 90 * S
    assert before.elapsed_ns(replace(now, boot_id="m")) == -995 * S
    assert before.elapsed_ns(replace(now, utc_ns=at(0).utc_ns)) == 0, "a clock that is behind"


def test_a_long_text_and_a_long_reason_are_carried_up_to_their_limit():
    item = carried(Alarm("row:9", text="t" * 501, reason="r" * 501))
    assert (item["text"], item["reason"], TEXT_CARRIED) == ("t" * 500, "r" * 500, 500)
    item = carried(Alarm("row:9", text="t" * 500, reason="r" * 500))
    assert (item["text"], item["reason"]) == ("t" * 500, "r" * 500)


def test_what_is_known_already_stays_as_old_and_as_often_called_as_it_was(alarms):
    alarms.follow(raised("9", 3))
    alarms.due(at(400))
    alarms.silence(at(401), *ME[:2])
    alarms.acknowledge("row:9", at(402), *ME[:2])
    alarms.follow(cleared("9", 403, latched=True))
    alarms.shelve("row:9", 60, at(404), ME)
    known = alarms.all["row:9"]
    assert (known.since_ns, known.moved.mono_ns) == (3 * S, 404 * S)
    assert (known.calls, known.silenced) == (1, True)
    alarms.follow(raised("9", 405))
    alarms.due(at(464))
    again = alarms.all["row:9"]
    assert (again.state, again.since_ns, again.calls, again.silenced) == (UNACK, 464 * S, 0, False)

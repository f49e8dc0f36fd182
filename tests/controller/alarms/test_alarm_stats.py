"""The figures of EEMUA 191 and ISA-18.2 from records, each against a log made for it."""

from __future__ import annotations

import json

import pytest
from alarm_bench import at
from typer.testing import CliRunner

from controller.alarms.stats import RECOMMENDED, Told, _bins, _flooded, _peak, figures, told
from controller.cli.app import app
from controller.core.clock import VirtualClock
from controller.core.errors import BadInput
from controller.core.events import Event
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog

HOUR = 3600.0


def record(name, seconds, **data):
    stamp = at(seconds)
    return {"event": name, "time": stamp.rfc3339(), "mono_ns": str(stamp.mono_ns),
            "boottime_ns": "0", "boot_id": stamp.boot_id, "sync": stamp.sync,
            "data": data}  # fmt: skip


def moved(seconds, alarm, old, new, priority="high"):
    return record("alarm.state", seconds, alarm=alarm, old=old, new=new, priority=priority)


def calls(*times, alarm="row:8", priority="high"):
    """An alarm raised and returned within half a minute, each time."""
    found = []
    for second in times:
        found += [moved(second, alarm, "NORM", "UNACK", priority),
                  moved(second + 20, alarm, "UNACK", "RTN-UNACK", priority)]  # fmt: skip
    return found


def of(*records, hours=1.0):
    edges = [record("log.opened", 0), record("log.opened", hours * HOUR)]
    return figures(told(sorted((*edges, *records), key=lambda each: int(each["mono_ns"]))))


def test_rates_are_by_the_hour_and_by_ten_minutes():
    found = of(*calls(0, 1000, 2000), hours=2)
    assert (found["hours"], found["alarms"]) == (2.0, 3)
    assert (found["alarms_per_hour"], found["alarms_per_10_min"]) == (1.5, 0.25)
    found = of(*calls(0, 1000), hours=1 + 2 / 3)
    assert (found["hours"], found["alarms_per_hour"], found["alarms_per_10_min"]) == (
        1.667, 1.2, 0.2,
    )  # fmt: skip
    found = of(*calls(0), hours=0.7)
    assert (found["alarms_per_hour"], found["alarms_per_10_min"]) == (1.43, 0.238)


@pytest.mark.parametrize("begin", [7, 1000, 1801])
def test_a_log_begins_with_its_first_record_whatever_the_clock_says(begin):
    log = told([record("log.opened", begin), record("log.closed", begin + 1800)])
    assert figures(log)["hours"] == 0.5


@pytest.mark.parametrize("step_s", [-30, -3 * 24 * 3600, 20 * 365 * 24 * 3600])
def test_a_clock_that_was_set_changes_no_figure(step_s):
    early = [record("log.opened", 0), *calls(200, alarm="row:1")]
    late = [*calls(300 + step_s, alarm="row:2"), record("log.closed", 3600 + step_s)]
    for each in late:
        each["mono_ns"] = str(int(each["mono_ns"]) - step_s * 1_000_000_000)
    found = figures(told([*early, *late]))
    assert (found["hours"], found["alarms"], found["peak_in_10_min"]) == (1.0, 2, 2)


def test_after_another_start_of_the_machine_the_wall_clock_tells_the_gap():
    again = calls(1800)
    for each in again:
        each |= {"boot_id": "another", "mono_ns": str(int(each["mono_ns"]) % 1_000_000_000)}
    assert figures(told([record("log.opened", 0), *again]))["hours"] == 0.5
    over = moved(10.6, "row:9", "UNACK", "RTN-UNACK") | {"boot_id": "another", "mono_ns": "5"}
    log = told([record("log.opened", 0), moved(0.5, "row:9", "NORM", "UNACK"), over])
    assert figures(log)["fleeting"] == 0, "it stood for 10.1 s"


def test_the_peak_is_found_wherever_its_ten_minutes_begin():
    assert _peak([]) == 0
    assert _peak([0, 599, 600, 1198, 1199]) == 3
    assert _peak([0, 600]) == 1
    assert of(*calls(500, 700, 900))["peak_in_10_min"] == 3


def test_a_flood_begins_above_ten_and_lasts_until_there_are_fewer_than_five():
    assert _flooded([10, 11, 5, 4, 5, 11]) == 3
    assert _flooded([10, 9, 0]) == 0
    assert _flooded([11, 7, 6, 4, 7]) == 3
    times = [float(n) for n in range(11)] + [600.0 + n for n in range(5)] + [1200.0]
    found = of(*calls(*times), hours=59 / 60)
    assert found["flood_pct"] == pytest.approx(33.33)
    assert found["periods_above_10_pct"] == pytest.approx(16.67)
    ten = [float(n) for n in range(10)] + [600.0 + n for n in range(11)]
    assert of(*calls(*ten), hours=59 / 60)["periods_above_10_pct"] == 16.67
    assert _bins([0.0, 599.9, 600.0, 1200.0], 0.0, 1200.0) == [2, 1, 1]


def test_an_alarm_that_calls_three_times_within_a_minute_chatters():
    found = of(*calls(0, 30, 60, alarm="row:9"), *calls(0, 30, 61, alarm="row:7"),
               *calls(0, 25, 50, alarm="row:3"), *calls(0, 25, alarm="row:2"))  # fmt: skip
    assert found["chattering_alarms"] == ["row:3", "row:9"]
    assert found["chattering"] == 2


def test_what_is_over_before_anybody_can_respond_is_fleeting_and_a_moment_is_not():
    def short(name, lasts):
        return [moved(5, name, "NORM", "UNACK"), moved(5 + lasts, name, "UNACK", "RTN-UNACK")]

    found = of(*short("a", 9.9), *short("b", 10), *short("step:x", 0), *short("c", 0.5),
               *short("e", 30))  # fmt: skip
    assert found["fleeting"] == 2
    back = moved(5, "d", "NORM", "UNACK"), moved(3, "d", "UNACK", "RTN-UNACK")
    backwards = told([record("log.opened", 0), *back])
    assert figures(backwards)["fleeting"] == 0, "a wall clock that went back"


def test_what_stands_for_more_than_a_day_is_stale_whether_it_is_over_or_not():
    standing = [moved(0, "a", "NORM", "UNACK"), moved(9, "a", "UNACK", "ACK")]
    over = [moved(0, "b", "NORM", "UNACK"), moved(24 * HOUR + 1, "b", "UNACK", "LATCHED-UNACK")]
    short = [moved(0, "c", "NORM", "UNACK"), moved(24 * HOUR, "c", "UNACK", "RTN-UNACK")]
    hidden = [moved(0, "d", "NORM", "UNACK"), moved(9, "d", "UNACK", "SHELVED")]
    assert of(*standing, *over, *short, *hidden, hours=30)["stale"] == 2
    assert of(*standing, hours=20)["stale"] == 0


def test_the_top_ten_and_the_priorities_are_shares_of_all():
    records = [r for n in range(12) for r in calls(n, alarm=f"row:{n}", priority="low")]
    records += calls(100, 200, alarm="row:0", priority="critical")
    found = of(*records)
    assert found["top"][0] == {"alarm": "row:0", "count": 3}
    assert len(found["top"]) == 10
    assert found["top10_pct"] == pytest.approx(100 * 12 / 14, abs=0.01)
    assert (found["low_pct"], found["critical_pct"]) == (85.71, 14.29)
    assert (found["high_pct"], found["medium_pct"]) == (0.0, 0.0)


def test_what_is_suppressed_calls_nobody_and_is_counted_apart():
    found = of(moved(1, "row:2", "NORM", "SUPPRESSED-BY-DESIGN"),
               moved(1, "row:6", "NORM", "SUPPRESSED-BY-DESIGN"),
               moved(1, "row:7", "NORM", "SUPPRESSED-BY-DESIGN"),
               moved(2, "row:3", "NORM", "UNACK"), moved(3, "row:3", "UNACK",
                                                        "SUPPRESSED-BY-DESIGN"),
               moved(4, "row:4", "NORM", "SHELVED"), moved(5, "row:5", "ACK",
                                                           "SUPPRESSED-BY-DESIGN"),
               record("alarm.escalated", 9, alarm="row:3"),
               record("alarm.condition", 10, alarm="row:3"),
               record("alarm.carried", 11, alarms=[]))  # fmt: skip
    assert (found["alarms"], found["suppressed"], found["escalated"]) == (1, 3, 1)


def test_a_quiet_log_and_an_empty_one():
    found = of()
    assert set(RECOMMENDED) <= set(found)
    assert [found[name] for name in RECOMMENDED] == [0] * len(RECOMMENDED)
    with pytest.raises(BadInput, match="no record"):
        told([])
    alone = Told()
    alone.take(record("log.opened", 7))
    assert figures(alone)["alarms_per_hour"] == 0.0
    alone.take(moved(7, "row:9", "NORM", "UNACK"))
    assert (figures(alone)["hours"], figures(alone)["alarms_per_hour"]) == (0.0, 3600.0)


@pytest.fixture
def log(tmp_path):
    clock = VirtualClock(1)
    made = BatchLog.create(tmp_path / "log", Keys.from_seed(1), clock.stamp(), kind="batch",
                           purpose="B-1", files=VolatileFiles())  # fmt: skip
    for number in range(3):
        data = {"alarm": "row:9", "old": "NORM", "new": "UNACK", "priority": "high", "text": "t",
                "condition": "stands", "detail": {}}  # fmt: skip
        made.append(Event("alarm.state", clock.at(number * 10**10), data=data))
    made.sync(clock.stamp())
    made.close()
    return tmp_path


def test_the_command_prints_the_figures_beside_what_is_recommended(log):
    said = CliRunner().invoke(app, ["alarms", "stats", str(log)])
    assert said.exit_code == 0, said.output
    assert "3 x row:9  chattering" in said.stdout
    assert "recommended about 1, at most 2" in said.stdout
    found = json.loads(CliRunner().invoke(app, ["alarms", "stats", str(log), "--json"]).stdout)
    assert (found["alarms"], found["chattering"]) == (3, 1)
    assert found["recommended"]["stale"] == "fewer than 5 on any day"


def test_the_command_prints_the_database_of_a_unit():
    said = CliRunner().invoke(app, ["alarms", "list", "perfusion_2l"])
    assert said.exit_code == 0, said.output
    assert "critical row:1  (respond in 5 min, never shelved, latched)" in said.stdout
    assert "-> Compare TT101, TT102" in said.stdout
    found = json.loads(CliRunner().invoke(app, ["alarms", "list", "perfusion_2l", "--json"]).stdout)
    assert next(e for e in found if e["name"] == "row:6")["priority"] == "critical"

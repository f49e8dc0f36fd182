"""Faults that broke other batch software, against ours: one test a fault, each on the wire, the
plant's truth and the log.

With a batch open, after any start of field: liquids shut; heat, stirring and gas go on; the batch
is Held until a person resets and restarts; all of it is recorded. Unless a test brings the
operator, the batch stays Held from the take-up on.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from door import Door
from field_view import PERIOD_NS, profile, scans_are_all_there, tidy
from harness import (
    FIELD,
    LIQUID_VALVES,
    S,
    copied,
    environment_kept,
    kill,
    launched,
    liquids_shut,
    log_rows,
    logs_of,
    named,
    processes,
    proved,
    sent,
    stopped,
    taken_up,
    wait_until,
    writes,
)
from kills import IN_THE_LINE_NS, STOPS

from hil_sim.rig.serving import served

HERE = Path(__file__).parent
OPERATOR = ("--script", HERE / "quick_operator.yaml")
MAX_AGE_S = {"AT101": 3.0, "AT102": 3.0, "TT102": 3.0}
TICK_S = 1.0  # a supervisor's tick at the latest
SERIAL = ("gas_bus", "probe_bus", "pump_bus", "balance")


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    return Door(tmp_path_factory.mktemp("peer") / "door")


@pytest.fixture(scope="module")
def station(handed, tmp_path_factory, door):
    """A Held batch that many faults of devices befall, one after the other."""
    folder = tmp_path_factory.mktemp("station")
    with taken_up(handed, folder, extra=door.environment) as live:
        live.first = live.beats()
        yield live


@pytest.fixture(scope="module")
def attended(handed, tmp_path_factory):
    """A batch with an operator, who resets and restarts after every Hold."""
    with taken_up(handed, tmp_path_factory.mktemp("attended"), OPERATOR) as live:
        yield live


@pytest.fixture
def live(station):
    """The station with the faults before this one behind it, and what its beats are now."""
    held_and_safe(station)
    wait_until(lambda: not station.at_fault(), station.words)
    station.unit.mark()
    return station


@contextmanager
def cold(folder, words=()):
    """A unit as it is found, running half way up, and a station without a batch."""
    links = folder / "links.yaml"
    with served(links, 1) as unit:
        try:
            with launched(unit, links, folder / "state", words) as live:
                yield live
        finally:
            tidy(folder / "state")


def now_ns():
    return time.monotonic_ns()


def goes_on(live, pids):
    """Nobody died: the same processes, and the log grows."""
    assert (live.launcher, live.field, live.supervisor) == pids
    wait_until(lambda: "AT101" not in live.at_fault(), live.words)
    mark = now_ns()
    live.unit.fault("bad_quality", point="AT101")
    live.wait_record(mark, "quality.changed", tag="AT101", new="bad")
    live.unit.clear("bad_quality", point="AT101")


def pids_of(live):
    return live.launcher, live.field, live.supervisor


def held_and_safe(live):
    """The state of safety.md after a start of field with a batch open."""
    wait_until(lambda: live.batch_state == "Held", lambda: f"the batch is not Held\n{live.words()}")
    wait_until(lambda: liquids_shut(live.unit), "liquids are not shut")
    assert environment_kept(live.unit) == []


# -- program start ----------------------------------------------------------------------------


def test_at_a_cold_start_the_start_values_are_on_the_wire_before_anything_else(tmp_path):
    starts = profile().model.actuators
    with cold(tmp_path) as live:
        wait_until(lambda: live.unit.drives()["km101"] == 0.0, "the skid was not written")
        wait_until(lambda: liquids_shut(live.unit), "pumps and valves were not written")
        gas, pumps = live.unit.trace("gas_bus"), live.unit.trace("pump_bus")
        skid = writes(live.unit.trace("skid"))
    first = [frame.data for frame in gas if b"S " in frame.data][:4]
    assert sorted(first) == [b"AS 0.0\r", b"BS 0.0\r", b"CS 0.0\r", b"DS 0.0\r"]
    assert gas[0].data in first
    assert pumps[0].data in STOPS
    assert b"GO" not in sent(pumps)
    seen: dict[str, float] = {}
    for node, value in skid:
        seen.setdefault(node, value)
    for name, item in starts.items():
        node = f"{name.upper()}_CMD"
        if node in seen:
            assert seen[node] == float(item.start), node
    assert set(LIQUID_VALVES) <= set(seen)


# -- the engine -------------------------------------------------------------------------------


def test_a_recipe_step_that_cannot_be_done_ends_in_hold_recorded_and_told(attended):
    live = attended
    mark = now_ns()  # Held; the operator restarts soon, and restarting waits for this contact
    live.unit.fault("bad_quality", point="XV201_ZSO")
    overdue = live.wait_record(mark, "step.timeout", 60.0)
    wait_until(lambda: live.batch_state == "Held", "the batch is not Held")
    told = live.since(int(overdue["mono_ns"]), "alarm.state", new="UNACK")
    assert any("overdue" in row["data"]["text"] for row in told), live.words()
    assert environment_kept(live.unit) == []
    live.unit.clear("bad_quality", point="XV201_ZSO")


def test_field_stopped_in_mid_run_without_a_batch_starts_again_at_the_start_values(tmp_path):
    with cold(tmp_path) as live:
        wait_until(lambda: live.unit.drives()["km101"] == 0.0, "the first start")
        live.unit.ask(hands={"do": "release"})
        before = live.field
        mark = kill(before)
        wait_until(lambda: processes(live.token, FIELD) not in ([], [before]), "no new field")
        wait_until(
            lambda: sent(live.unit.trace("pump_bus"), mark).count(b"ST\r") >= 3, "pumps not stopped"
        )
        wait_until(lambda: b"AS 0.0\r" in sent(live.unit.trace("gas_bus"), mark), "air not at 0")
        assert b"GO" not in sent(live.unit.trace("pump_bus"), mark)


def test_field_stopped_in_mid_batch_shuts_liquids_keeps_the_environment_and_says_so(attended):
    live = attended
    wait_until(lambda: live.batch_state == "Running", live.words, 60)
    before = live.field
    mark = kill(before)
    told = live.wait_record(mark, "field.restarted", 60.0)
    held_and_safe(live)
    assert live.field != before
    assert told["data"]["why"]
    assert live.since(mark, "cause.active", row="restart")
    pumps = [frame.data for frame in live.unit.trace("pump_bus")
             if frame.mono_ns > mark + IN_THE_LINE_NS]  # fmt: skip
    assert pumps[0] in STOPS
    live.kill_everything()
    proved(live.state)


# -- links ------------------------------------------------------------------------------------


def test_at_a_start_with_a_batch_open_liquids_are_shut_first_and_nothing_else_moves(
    handed, station
):
    live = station  # the first to see it
    held_and_safe(live)
    pumps, gas = live.unit.trace("pump_bus"), live.unit.trace("gas_bus")
    skid = writes(live.unit.trace("skid"))
    drives = live.unit.drives()
    assert pumps[0].data in STOPS
    assert set(STOPS) <= {frame.data for frame in pumps}
    assert b"GO" not in sent(pumps)
    shut = [place for place, (node, _) in enumerate(skid) if node in LIQUID_VALVES]
    others = [place for place, (node, _) in enumerate(skid) if node not in LIQUID_VALVES]
    assert shut
    assert not others or min(shut) < min(others)
    assert b"AS 0.0\r" not in sent(gas)  # air goes on
    assert ("KM101_CMD", 0.0) not in skid
    assert ("STIRRER_CMD", 0.0) not in skid
    assert drives["stirrer_rpm"] == pytest.approx(handed.drives["stirrer_rpm"])


def test_a_lost_link_is_bad_within_its_age_its_causes_act_and_it_comes_back(live):
    mark = now_ns()
    live.unit.fault("link_lost", link="probe_bus")
    for tag, age_s in MAX_AGE_S.items():
        bad = live.wait_record(mark, "quality.changed", tag=tag, new="bad")
        assert int(bad["mono_ns"]) - mark <= (age_s + TICK_S + 1.0) * S, tag
    live.wait_record(mark, "cause.active", row="20.probe_bus")
    assert live.batch_state == "Held"
    back = now_ns()
    live.unit.clear("link_lost", link="probe_bus")
    for tag in MAX_AGE_S:
        live.wait_record(back, "quality.changed", tag=tag, new="good")
    live.wait_record(back, "cause.cleared", row="20.probe_bus")
    assert environment_kept(live.unit) == []


def test_frozen_devices_cost_no_scan_and_no_process(handed, tmp_path, stalls):
    with taken_up(handed, tmp_path) as live:
        held_and_safe(live)
        before, pids, mark = live.beats(), pids_of(live), now_ns()
        with stopped(live.unit.pid):
            live.wait_record(mark, "cause.active", row="20.skid")
            for link in SERIAL:
                live.wait_record(mark, "cause.active", row=f"20.{link}")
            time.sleep(3.0)
        thawed = now_ns()
        live.wait_record(thawed, "quality.changed", 60.0, tag="TT101", new="good")
        live.wait_record(thawed, "quality.changed", 60.0, tag="AT102", new="good")
        goes_on(live, pids)
        scans_are_all_there(before, live.beats(), stalls)
        assert live.batch_state == "Held"


def test_a_frozen_server_alone_leaves_every_other_link_alone(live, stalls):
    before, pids, mark = live.beats(), pids_of(live), now_ns()
    live.unit.fault("server_frozen")
    live.wait_record(mark, "cause.active", row="20.skid")
    time.sleep(3.0)
    assert not live.since(mark, "quality.changed", tag="AT102", new="bad")
    assert not live.since(mark, "quality.changed", tag="FT_AIR", new="bad")
    thawed = now_ns()
    live.unit.clear("server_frozen")
    live.wait_record(thawed, "quality.changed", 60.0, tag="TT101", new="good")
    goes_on(live, pids)
    scans_are_all_there(before, live.beats(), stalls)


def test_a_killed_server_costs_no_scan_and_its_return_is_found(live, stalls):
    before, pids, mark = live.beats(), pids_of(live), now_ns()
    live.unit.fault("skid_killed")
    live.wait_record(mark, "quality.changed", tag="TT101", new="bad")
    live.wait_record(mark, "cause.active", row="20.skid")
    time.sleep(12.0)
    assert not live.since(mark, "quality.changed", tag="AT102", new="bad")
    back = now_ns()
    live.unit.clear("skid_killed")
    live.wait_record(back, "quality.changed", 60.0, tag="TT101", new="good")
    goes_on(live, pids)
    scans_are_all_there(before, live.beats(), stalls)


def test_a_bad_status_code_makes_the_value_bad_and_the_record_names_the_code(live):
    mark = now_ns()
    live.unit.fault("bad_quality", point="TT103", code=0x80310000)
    live.wait_record(mark, "quality.changed", tag="TT103", new="bad")
    live.wait_record(mark, "cause.active", row="2")
    wait_until(
        lambda: any("80310000" in str(row["data"]).lower()
                    for row in live.since(mark, "link.fault", "quality.changed")),
        lambda: f"no record names the code\n{live.words()}",
    )  # fmt: skip
    assert not live.since(mark, "quality.changed", tag="TT101", new="bad")
    live.unit.clear("bad_quality", point="TT103")


def test_a_driver_that_raises_is_restarted_and_told_and_no_scan_is_lost(live, stalls, door):
    before, pids, mark = live.beats(), pids_of(live), now_ns()
    door.wish("raise", "probe_bus")
    bad = live.wait_record(mark, "quality.changed", tag="AT102", new="bad")
    assert "driver" in bad["data"]["reason"].lower()
    wait_until(
        lambda: any("a driver nobody tested" in row["data"]["why"]
                    for row in live.since(mark, "link.state")),
        lambda: f"the record does not say what failed\n{live.words()}",
    )  # fmt: skip
    assert live.since(mark, "alarm.state", new="UNACK")
    live.wait_record(int(bad["mono_ns"]), "quality.changed", tag="AT102", new="good")
    goes_on(live, pids)
    scans_are_all_there(before, live.beats(), stalls)


@pytest.mark.parametrize("link", ["probe_bus", "skid"])
def test_one_read_of_350_ms_loses_no_scan_and_makes_no_value_wrong(live, stalls, link):
    before, pids, mark = live.beats(), pids_of(live), now_ns()
    live.unit.fault("slow_read", link=link, late_ms=350, reads=1)
    if link == "probe_bus":  # beyond the line's time-out of a device: counted in the record
        live.wait_record(mark, "link.fault", link="probe_bus")
    time.sleep(3.0)
    assert not live.since(mark, "quality.changed", new="bad")
    goes_on(live, pids)
    scans_are_all_there(before, live.beats(), stalls)


# -- hold, time, commands ---------------------------------------------------------------------


def test_over_all_these_faults_the_scan_neither_drifted_nor_lost_a_period(station, stalls):
    first, last = station.first, station.beats()
    scans_are_all_there(first, last, stalls)
    assert last.deadline_ns - last.started_ns == (last.scans + last.missed + 1) * PERIOD_NS
    assert last.scans > 200
    # The records say the same, without asking the loop: which scan it was, and when.
    found = [(int(row["data"]["scan"]), int(row["mono_ns"])) for row in
             station.since(first.at_ns, "quality.changed", "cause.active", "cause.cleared")]
    off_ns = [at_ns - found[0][1] - (scan - found[0][0]) * PERIOD_NS for scan, at_ns in found]
    assert len(found) > 50
    least_ns = PERIOD_NS // 2
    assert -least_ns < min(off_ns) <= max(off_ns) < least_ns + last.missed * PERIOD_NS


def test_a_condition_that_becomes_true_during_hold_is_seen_and_acts(live, door):
    door.reset_all(live)
    mark = now_ns()
    live.unit.fault("line_silent", link="balance")
    live.wait_record(mark, "cause.active", row="20.balance")
    nine = live.wait_record(mark, "cause.active", row="9")
    live.wait_record(mark, "effect.applied", row="9", output="feed")
    assert nine["data"]["signals"]
    assert live.batch_state == "Held"


def test_steps_that_wait_for_nothing_begin_in_one_tick_and_their_commands_act_in_the_next_scan(
    handed,
):
    found = log_rows(handed.log)
    path = "prepare/condition/condition_medium"
    steps = named(found, "step.started", path=path)
    assert len(steps) == 6
    assert len({row["mono_ns"] for row in steps}) == 1
    sent_at = {row["data"]["id"]: int(row["mono_ns"]) for row in named(found, "command.intent")
               if row["actor"] == "recipe"}  # fmt: skip
    outcomes = named(found, "command.outcome", result="applied")
    delays = [int(row["mono_ns"]) - sent_at[row["data"]["id"]] for row in outcomes
              if row["data"]["id"] in sent_at]  # fmt: skip
    assert len(delays) > 20
    assert max(delays) <= S // 10


def test_everything_killed_in_mid_batch_is_rebuilt_held_where_it_was(handed, tmp_path):
    state, plant = copied(handed, tmp_path)
    links = tmp_path / "links.yaml"
    with served(links, 1, plant=plant) as unit:
        unit.mark()
        with launched(unit, links, state, OPERATOR) as live:
            wait_until(lambda: live.batch_state == "Running", live.words, 90)
            live.kill_everything()
            before = live.rows()
        mark = now_ns()
        with launched(unit, links, state) as live:
            attached = live.wait_record(mark, "batch.attached", 60.0)
            held_and_safe(live)
            assert float(attached["data"]["gap_s"]) >= 0
            live.kill_everything()
            found = live.rows()
        assert [row["data"]["batch_id"] for row in named(found, "batch.opened")] == [
            handed.batch_id
        ]
        assert (state / "current").read_text().strip() == handed.batch_id
        for log in logs_of(state):
            name = log.parent.name if log.name == "log" else log.name
            stood = sorted((row for row in before if row["log"] == name), key=lambda r: r["seq"])
            assert log_rows(log)[: len(stood)] == stood
        again = [row for row in named(found, "procedure.state")
                 if row not in named(before, "procedure.state")]  # fmt: skip
        assert {row["data"]["new"] for row in again} <= {"Holding", "Held"}
        ids = [row["data"]["id"] for row in named(found, "command.intent")]
        assert len(ids) == len(set(ids))
        proved(state)
    tidy(state)

"""The live run's own rules: the beat, what is refused before a start, what a failure leaves."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from controller import live
from controller.cli.run import run as run_command
from controller.cli.run_keys import Keyboard
from controller.cli.run_view import picture
from controller.core.clock import RealClock
from controller.core.errors import BadInput, BrokenInvariant, Refused
from controller.field import realtime
from controller.field.realtime import Beat, Counts, LiveField, warm
from controller.live import LiveRun, live_batch_id, load_links, refuse_open_batch
from controller.record.files import DurableFiles
from controller.record.keys import Keys
from controller.record.show import rows
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.station import BatchOrder, Station, find_recipe, find_unit, load_unit
from hil_sim.rig.rig import FaultAt, Rig

ROOT = Path(__file__).parents[2]
PERIOD = 100_000_000
LINKS = """links:
  gas_bus: pty:/dev/pts/nowhere_1
  probe_bus: pty:/dev/pts/nowhere_2
  pump_bus: pty:/dev/pts/nowhere_3
  balance: pty:/dev/pts/nowhere_4
  skid: opc.tcp://127.0.0.1:9/skid/
"""


def contents(folder):
    return {path.relative_to(folder): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


# -- the beat ---------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 5 * PERIOD), st.integers(0, 5 * PERIOD)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_period_is_one_scan_or_one_miss_and_no_deadline_drifts(days):
    beat, first = Beat(7, PERIOD), 7
    for late, took in days:
        due = beat.deadline_ns
        woke = due + late
        following = beat.scanned(woke, woke + took)
        assert following > woke + took
        assert following - (woke + took) <= PERIOD
        assert (following - first) % PERIOD == 0
        assert following == first + (beat.counts.scans + beat.counts.missed) * PERIOD


def test_a_long_scan_is_not_made_good_by_a_burst():
    beat = Beat(0, PERIOD)
    beat.scanned(0, 350_000_000)
    assert beat.deadline_ns == 400_000_000
    assert beat.counts == Counts(1, 0, 1, 3, 0, 350_000_000)


def test_a_late_wake_a_long_scan_and_a_missed_period_are_counted_apart():
    beat = Beat(0, PERIOD)
    beat.scanned(30_000_000, 31_000_000)
    assert (beat.counts.late, beat.counts.long, beat.counts.missed) == (1, 0, 0)
    beat.scanned(PERIOD, PERIOD + 60_000_000)
    assert (beat.counts.late, beat.counts.long, beat.counts.missed) == (1, 1, 0)
    beat.scanned(2 * PERIOD, 3 * PERIOD)
    assert (beat.counts.late, beat.counts.long, beat.counts.missed) == (1, 2, 1)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("  balance: pty:/dev/pts/nowhere_4\n", ""), "nothing says where balance is"),
        (("  balance:", "  balanse:"), "Did you mean 'balance'?"),
        (("opc.tcp://127.0.0.1:9/skid/", "pty:/dev/pts/1"), "link skid is opcua"),
        (("links:", "lines:"), "Did you mean 'links'?"),
    ],
)
def test_a_links_file_that_does_not_fit_is_refused_with_its_line(tmp_path, change, says):
    profile, _ = load_unit(find_unit("perfusion_2l"))
    file = tmp_path / "links.yaml"
    file.write_text(LINKS.replace(*change))
    with pytest.raises(BadInput) as caught:
        load_links(file, profile)
    assert says in str(caught.value)
    assert str(file) in caught.value.where
    assert caught.value.where.count(":") >= 2


@pytest.mark.parametrize("current", [b"B-77\n", b"", b"\xff\xfe", b"half"])
def test_an_open_batch_is_refused_with_exit_2_and_the_directory_is_not_touched(tmp_path, current):
    state, links = tmp_path / "state", tmp_path / "links.yaml"
    state.mkdir()
    (state / "current").write_bytes(current)
    links.write_text(LINKS)
    before = contents(tmp_path)
    with pytest.raises(BadInput, match="still open") as caught:
        run_command("perfusion_2l", "car_t_perfusion", links, state)
    assert caught.value.exit_code == 2
    assert contents(tmp_path) == before


def test_the_command_line_says_which_batch_is_open_and_exits_with_2(tmp_path):
    state, links = tmp_path / "state", tmp_path / "links.yaml"
    StateDir(state).open_batch("B-OTHER")
    links.write_text(LINKS)
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "controller.cli", "run", "--unit", "perfusion_2l", "--recipe",
         "car_t_perfusion", "--links", str(links), "--state", str(state)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "B-OTHER" in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"use": "gmp"}, "refused"),
        ({"use": "virtual"}, "refused"),
        ({"until": "soon"}, "not a time"),
        ({"until": "400 d"}, "beyond"),
        ({"unit": "perfusion_3l"}, "perfusion_2l"),
        ({"recipe": "car_t_perfusio"}, "car_t_perfusion"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_made(tmp_path, words, says):
    links = tmp_path / "links.yaml"
    links.write_text(LINKS)
    given_ = {"unit": "perfusion_2l", "recipe": "car_t_perfusion", "links": links,
              "state": tmp_path / "state", **words}  # fmt: skip
    with pytest.raises(BadInput, match=says):
        run_command(**given_)
    assert [path.name for path in tmp_path.iterdir()] == ["links.yaml"]


def test_a_state_directory_without_an_open_batch_is_not_refused(tmp_path):
    refuse_open_batch(StateDir(tmp_path / "new"), "perfusion_2l")


# -- what a failure leaves --------------------------------------------------------------------


@pytest.fixture
def start(tmp_path):
    """A live run on links that lead nowhere."""
    profile, offer = load_unit(find_unit("perfusion_2l"))
    warm(profile.plan)
    file = tmp_path / "links.yaml"
    file.write_text(LINKS)
    urls, control = load_links(file, profile)
    assert control == ""
    clock, state = RealClock(), StateDir(tmp_path / "state")
    stamp = clock.stamp()
    station = Station(profile, offer, state, Keys.in_directory(state.keys), DurableFiles(), stamp)
    path = find_recipe("car_t_perfusion")
    recipe = station.load_recipe(path)
    run = LiveRun(station, LiveField(profile, station.bound, urls), clock)
    order = BatchOrder(live_batch_id(stamp, recipe.id), "engineering", "PSN-1", "LOT-1")

    def begin():
        run.run(recipe, path, order, 5.0)

    return run, begin, state


def test_without_devices_no_batch_is_opened_and_the_station_log_says_what_was_lost(
    start, monkeypatch
):
    run, begin, state = start
    monkeypatch.setattr(live, "FOUND_NS_MAX", 1_500_000_000)
    with pytest.raises(Refused) as caught:
        begin()
    assert "TT101" in caught.value.what
    assert "WT101" in caught.value.what
    assert state.current() is None
    assert verify(state.station, expect_sealed=False).ok
    lost = {row["data"]["link"] for row in rows(state.station) if row["event"] == "link.state"}
    assert lost >= {"gas_bus", "probe_bus", "pump_bus", "balance"}
    assert run.field.counts.scans > 0


def test_a_scan_loop_that_fails_says_so_is_recorded_and_stops_the_host_beat(start, monkeypatch):
    run, begin, state = start
    scan_at = realtime.scan_at

    def third_fails(handles, now_ns):
        if run.station.board.scan == 3:
            raise ZeroDivisionError("a kernel nobody tested")
        return scan_at(handles, now_ns)

    monkeypatch.setattr(realtime, "scan_at", third_fails)
    with pytest.raises(BrokenInvariant, match="a kernel nobody tested"):
        begin()
    assert run.field.progress() == 3
    lost = [row["data"] for row in rows(state.station) if row["event"] == "link.state"]
    why = "the scan loop stopped: ZeroDivisionError: a kernel nobody tested"
    assert {"link": "field", "state": "lost", "why": why} in lost
    alarms = [row["data"] for row in rows(state.station) if row["event"] == "alarm.state"]
    assert any(row["alarm"] == "link:field" and row["new"] == "UNACK" for row in alarms)
    assert verify(state.station, expect_sealed=False).ok


def test_late_scans_become_one_record_in_ten_seconds(start, monkeypatch):
    run, begin, state = start
    monkeypatch.setattr(live, "FOUND_NS_MAX", 1_500_000_000)
    scan_at = realtime.scan_at

    def stalls(handles, now_ns):
        done = scan_at(handles, now_ns)
        if run.station.board.scan in (2, 5):
            realtime.time.sleep(0.35)
        return done

    monkeypatch.setattr(realtime, "scan_at", stalls)
    with pytest.raises(Refused):
        begin()
    late = [row["data"] for row in rows(state.station) if row["event"] == "scan.late"]
    counts = run.field.counts
    assert counts.long >= 2
    assert counts.missed >= 6
    assert sum(row["long"] for row in late) == counts.long
    assert sum(row["missed"] for row in late) == counts.missed
    assert len(late) <= 2


# -- the terminal -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    faults = [FaultAt("balance_disconnected", 16.0)]
    rig = Rig(tmp_path_factory.mktemp("rig"), faults=faults)
    rig.heard = []
    rig.supervisor.listeners.append(rig.heard.append)
    rig.run(14.0)
    return rig


def heard(rig, name):
    return [event for event in rig.heard if event.name == name]


def test_keys_and_typed_lines_become_requests_with_their_actor_and_reason(rig):
    keyboard = Keyboard(rig.station, "unverified:night@station")
    keyboard.press("\r")
    assert "Scan the lot" in keyboard.line
    keyboard.press("LOT-99X")
    keyboard.press("\x7f\r")
    keyboard.press("a")
    keyboard.press("\x1b")
    assert keyboard.line == ""
    rig.run(15.0)
    (answered,) = heard(rig, "prompt.answered")
    assert answered.data["value"] == "LOT-99"
    assert answered.actor == "unverified:night@station"

    keyboard.press("h")
    rig.run(16.0)
    assert rig.supervisor.procedure_state == "Held"
    keyboard.press("r\r")
    assert "needs some words" in keyboard.said
    keyboard.press("k")
    rig.run(17.0)
    assert rig.supervisor.procedure_state == "Held"
    acknowledged = [event for event in heard(rig, "alarm.state") if event.data["new"] == "ACK"]
    assert [event.actor for event in acknowledged] == ["unverified:night@station"]
    keyboard.press("rthe line was checked\r")
    rig.run(18.0)
    intent = [event for event in heard(rig, "command.intent") if event.data["verb"] == "restart"]
    assert intent[0].reason == "the line was checked"
    assert intent[0].data["expected"] == "Held"


def test_a_bad_value_is_struck_through_with_its_reason_and_trips_show_the_first_out(rig):
    rig.run(30.0)
    console = Console(record=True, width=100, force_terminal=True, color_system="standard",
                      file=io.StringIO())  # fmt: skip
    console.print(picture(rig.station, rig.batch_id, Counts(scans=300, missed=2), 30.0))
    shown = console.export_text(styles=True)
    line = next(part for part in shown.splitlines() if "WT101" in part)
    assert "\x1b[9;31m" in line
    assert "no valid answer from the device" in line
    plain = next(part for part in shown.splitlines() if "TT101" in part)
    assert "\x1b[9" not in plain.split("TT101")[1].split("   ")[0]
    assert "first out" in shown
    assert "row 20.balance" in shown
    assert "latched" in next(part for part in shown.splitlines() if "row 9:" in part)
    assert "missed 2" in shown
    assert "NOT FOR HUMAN USE" in shown


def test_the_typed_reset_asks_for_every_latched_row_with_its_reason(rig):
    keyboard = Keyboard(rig.station, "unverified:night@station")
    keyboard.press("tbalance checked\r")
    rig.run(33.0)
    asked = [event for event in heard(rig, "command.intent") if event.data["verb"] == "reset"]
    assert [event.data["target"] for event in asked] == ["9"]
    assert asked[0].reason == "balance checked"
    assert heard(rig, "cause.reset") == []
    (number,) = [event.data["id"] for event in asked]
    answers = [event.data for event in heard(rig, "command.outcome") if event.data["id"] == number]
    assert [answer["result"] for answer in answers] == ["refused"]

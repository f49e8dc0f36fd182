"""kill -9 of field with cells in: the reserve goes on with heat, stirring and gas within 2 s.

All times are stamps: of the kill, and of what came in at the devices.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest
from harness import (
    LIQUID_VALVES,
    S,
    environment_kept,
    kill,
    liquids_shut,
    processes,
    proved,
    taken_up,
    wait_until,
)
from kills import FIRST_BYTE_S, IN_THE_LINE_NS, LATEST_S, STOPS

RESERVE = "controller.field.reserve"
WITHIN_S = 2.0
SKID = ("HEATER_CMD", "KM101_CMD", "STIRRER_CMD", "XV100_CMD")
GAS = (b"AS ", b"BS ", b"CS ")
LOADED_KB = 100_000


@pytest.fixture(scope="module")
def live(handed, tmp_path_factory):
    """One station lives through all of it."""
    with taken_up(handed, tmp_path_factory.mktemp("reserve")) as found:
        wait_until(lambda: found.named("field.restored"), found.words)
        yield found


def loaded(live):
    """Waits for a reserve that has loaded all: it is large, and its loading thread has ended."""
    def found():
        for pid in processes(live.token, RESERVE):
            with suppress(OSError, IndexError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                if pages * 4 > LOADED_KB and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1:
                    return pid
        return 0
    pid = wait_until(found, live.words, 90.0)
    time.sleep(0.2)  # it says so after the last of its loading
    return pid


def killed(live, *pids):
    """Kills at once; when, and how far each line's trace was."""
    since = {line: live.unit.trace(line)[-1].number + 1 for line in ("pump_bus", "gas_bus", "skid")}
    live.unit.mark()
    return min(kill(pid) for pid in pids), since


def told_again(live, mark, since):
    """When each line was first told what keeps the cells alive: {what: (ns after the kill, value)}.

    Asserts on the way that liquids were told before, and no pump to go.
    """
    pumps, gas, skid = (
        [frame for frame in live.unit.trace(line, since[line])
         if frame.mono_ns > mark + IN_THE_LINE_NS]
        for line in ("pump_bus", "gas_bus", "skid")
    )  # fmt: skip
    written = [frame for frame in skid if frame.node != "HOST_BEAT" and frame.status == 0]
    found = {}
    for frame in written:
        found.setdefault(frame.node, (frame.mono_ns - mark, frame.value))
    for name in GAS:
        for frame in gas:
            if name in frame.data:
                found.setdefault(name, (frame.mono_ns - mark, 0.0))
    if {*SKID, *GAS} <= set(found):
        assert pumps[0].data in STOPS, pumps[:4]
        assert pumps[0].mono_ns - mark <= FIRST_BYTE_S * S
        assert {frame.data for frame in pumps[:8]} >= set(STOPS), pumps[:8]
        assert [frame.node for frame in written[:4]] == list(LIQUID_VALVES)
        assert not any(b"GO" in frame.data for frame in pumps)
        assert not any(b"AS 0.0\r" in frame.data for frame in gas)
        return found
    return {}


def went_on(live, mark, since, within_s):
    """Asserts that all was told again in time, and what else a death of field must leave so."""
    found = wait_until(lambda: told_again(live, mark, since), live.words, LATEST_S)
    late = {name: found[name][0] / S for name in (*SKID, *GAS) if found[name][0] > within_s * S}
    assert late == {}, found
    assert [found[name][1] for name in SKID[1:]] == [1.0, 180.0, 1.0]
    assert liquids_shut(live.unit)
    assert environment_kept(live.unit) == []
    live.wait_record(mark, "field.restarted", 60.0)
    assert live.wait_record(mark, "field.restored", 60.0)["data"]["refused"] == ""


def started_how(live, mark):
    """What field said about its last start."""
    words = [row["data"]["words"] for row in live.since(mark, "field.started")]
    return [text for text in words if "scanning after" in text][-1]


def test_heat_stirring_and_gas_are_told_again_within_two_seconds_by_the_reserve(live):
    waiting = loaded(live)
    assert live.field != waiting
    mark, since = killed(live, live.field)
    went_on(live, mark, since, WITHIN_S)
    assert live.field == waiting, "it is field now, for everybody who looks"
    assert "from the reserve" in started_how(live, mark)


def test_with_its_reserve_killed_at_once_field_starts_cold_and_shuts_the_liquids_first(live):
    waiting = loaded(live)
    mark, since = killed(live, waiting, live.field)
    went_on(live, mark, since, LATEST_S)
    assert "from the reserve" not in started_how(live, mark)
    assert live.field != waiting


def test_a_reserve_that_is_killed_costs_nothing_and_another_is_there_soon(live):
    waiting, field = loaded(live), live.field
    scans = live.beats().scans
    mark, _ = killed(live, waiting)
    wait_until(lambda: loaded(live) != waiting, live.words, 90.0)
    assert live.field == field
    assert live.beats().scans > scans
    assert live.since(mark, "field.restarted") == []


def test_three_fields_killed_one_after_the_other_each_find_a_successor(live):
    loaded(live)
    for _ in range(3):
        mark, since = killed(live, live.field)
        wait_until(lambda: processes(live.token, "controller.field"), live.words)
    went_on(live, mark, since, LATEST_S)
    live.kill_everything()
    assert processes(live.token) == []
    proved(live.state)

"""The harness itself: it must see what is wrong, or no live test can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest
from harness import TOKEN, contiguous, copied, liquids_shut, log_rows, processes, stopped

from controller.core.errors import BadInput
from hil_sim.rig.serving import served


def row(source, event="cause.active", **data):
    return {"event": event, "source": source, "data": data}


def test_rings_without_gap_or_repetition_are_contiguous():
    good = [row("1.e.0"), row("1.h.9", "history.chunk", rows=10), row("1.e.1"), row(""),
            row("1.h.14", "history.chunk", rows=5), row("2.e.0"), row("1.gas_bus.0")]  # fmt: skip
    assert contiguous(good) == []


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        (["1.e.0", "1.e.2"], "1.e: 1 to 1 are missing"),
        (["1.e.1"], "1.e: 0 to 0 are missing"),
        (["1.e.0", "1.e.1", "1.e.1"], "1.e: 1 to 1 are recorded twice"),
        (["7.probe_bus.0", "7.probe_bus.3"], "7.probe_bus: 1 to 2 are missing"),
    ],
)
def test_a_gap_and_a_repetition_are_found(sources, says):
    assert contiguous([row(source) for source in sources]) == [says]


def test_a_gap_between_history_chunks_and_a_wrong_record_of_one_are_found():
    chunks = [row("1.h.9", "history.chunk", rows=10), row("1.h.20", "history.chunk", rows=10)]
    assert contiguous(chunks) == ["1.h: 10 to 10 are missing"]
    assert "is the source of" in contiguous([row("1.h.3", "cause.active")])[0]


def test_a_log_that_is_being_written_is_read_as_far_as_it_is_whole(handed, tmp_path):
    log = tmp_path / "log"
    shutil.copytree(handed.log, log)
    whole = log_rows(log)
    segment = max((log / "segments").iterdir())
    segment.chmod(0o644)
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - 7)
    assert log_rows(log) == whole[:-1]
    assert log_rows(tmp_path / "absent") == []


def test_processes_are_known_by_their_token_and_their_program():
    command = [sys.executable, "-c", "import time; time.sleep(60)", "controller.field"]
    process = subprocess.Popen(command, env={**os.environ, TOKEN: "abc123"})
    try:
        assert processes("abc123") == [process.pid]
        assert processes("abc123", "controller.field") == [process.pid]
        assert processes("abc123", "controller.cli.supervise") == []
        assert processes("another") == []
    finally:
        process.kill()
        process.wait()


def test_a_hand_over_is_served_stopped_and_goes_on(handed, tmp_path):
    state, plant = copied(handed, tmp_path)
    assert (state / "keys").is_dir()
    with served(tmp_path / "links.yaml", 1, plant=plant) as unit:
        unit.mark()
        assert not liquids_shut(unit)
        began = unit.truth()
        assert began["vcd_e6_per_ml"] == pytest.approx(handed.truth["vcd_e6_per_ml"], rel=1e-3)
        with stopped(unit.pid), pytest.raises(BadInput):
            unit.truth()
        assert unit.truth()["time_s"] >= began["time_s"]
        spans = unit.marked()
        assert 36.5 < spans["temperature_degc"].low <= spans["temperature_degc"].high < 37.5
        # Nobody beats: the skid shuts its pinch valves by itself, the pumps it cannot reach.
        end = time.monotonic() + 20
        while any(unit.drives()[f"xv20{n}"] for n in (1, 2, 3, 4)) and time.monotonic() < end:
            time.sleep(0.1)
        assert [unit.drives()[f"xv20{n}"] for n in (1, 2, 3, 4)] == [0.0] * 4
        assert unit.drives()["feed_rpm"] > 0, unit.trace("pump_bus")

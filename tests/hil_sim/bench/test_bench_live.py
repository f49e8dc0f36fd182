"""The benches that start the real programs find what they say; and the beat does not drift."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from controller.cli.app import app
from controller.core.errors import BadInput, BrokenInvariant
from controller.field.image import create
from controller.field.loop import latency_of
from hil_sim.bench import cyclic, jitter, main, reaction, ring_loops, rings, running, start
from hil_sim.bench.load import saturated
from hil_sim.bench.result import Histogram

SHOW_SLACK = """
import os
from pathlib import Path
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
except PermissionError:
    pass
print(f"{int(Path('/proc/self/timerslack_ns').read_text()):06d} 000001")
"""
CLOCK_SLACK_NS = 300_000_000  # a busy machine may keep the loop waiting, and it catches up at once


def told(capsys: pytest.CaptureFixture[str], name: str, plot: Path, seconds: float) -> list[dict]:
    """The rows of one round of a bench, as JSON on standard output."""
    assert main.run_bench(name, as_json=True, plot=plot, rounds=1, seconds=seconds) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bench"] == name
    assert plot.read_bytes().startswith(b"\x89PNG")
    return found["rows"]


def drift_over(seconds: float) -> tuple[int, int, int]:
    """Field at 1 kHz beside a saturated supervisor, for so long.

    Returns by how many ns its deadline is off the grid of its start, how far that deadline lies
    from the clock, and how many scans there were.
    """
    profile = jitter.profile_1khz()
    with running.field(profile, running.nowhere(profile, Path("/nowhere"))) as found:
        generation = found.attached.region.generation
        with saturated(found.plan_file, found.folder, running.STATION, generation):
            time.sleep(seconds)
        page, now_ns = found.page(), time.monotonic_ns()
    assert page["period_ns"] == jitter.PERIOD_NS
    due_ns = page["started_ns"] + (page["scans"] + page["missed"] + 1) * page["period_ns"]
    return page["deadline_ns"] - due_ns, abs(page["deadline_ns"] - now_ns), page["scans"]


def test_the_period_does_not_drift_in_ten_seconds_at_1_khz() -> None:
    off_grid_ns, off_clock_ns, scans = drift_over(10.0)
    assert off_grid_ns == 0
    assert off_clock_ns < CLOCK_SLACK_NS
    assert scans > 1_000


@pytest.mark.campaign
def test_the_period_does_not_drift_in_ten_minutes_at_1_khz() -> None:
    off_grid_ns, off_clock_ns, scans = drift_over(600.0)
    print(f"drift over 10 min at 1 kHz: {off_grid_ns} ns off the grid, {scans} scans, "
          f"next deadline {off_clock_ns / 1e6:.3f} ms from the clock")  # fmt: skip
    assert off_grid_ns == 0
    assert off_clock_ns < CLOCK_SLACK_NS


def test_the_jitter_bench_sees_one_wake_up_a_period_and_compares_like_with_like(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(jitter, "POLICIES", ("other",))
    rows = told(capsys, "jitter", tmp_path / "jitter.png", 0.5)
    assert [row["impl"] for row in rows] == sorted([jitter.OURS, cyclic.implementation()])
    for row in rows:
        assert list(row) == ["impl", "policy", "p50_us", "p99_us", "p999_us", "max_us",
                             "ratio_p99_to_cyclictest"]  # fmt: skip
        assert row["policy"] == "other"
        assert 0 < row["p50_us"] <= row["p99_us"] <= row["p999_us"] <= row["max_us"]
    by_impl = {row["impl"]: row for row in rows}
    assert by_impl[cyclic.implementation()]["ratio_p99_to_cyclictest"] == 1.0


def test_wake_ups_counted_between_two_looks_are_those_of_that_time() -> None:
    profile = jitter.profile_1khz()
    with running.field(profile, running.nowhere(profile, Path("/nowhere")), fifo=False) as found:
        before = found.page()
        seen = int(jitter.between(found, 0.5).counts.sum())
        after = found.page()
    scans, missed = (after[name] - before[name] for name in ("scans", "missed"))
    assert before["policy"] == 0
    assert 0 <= scans - seen <= max(scans // 4, 20)
    assert scans + missed >= 499


def test_the_reaction_bench_measures_from_the_crossing_byte_to_the_safe_byte(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(reaction, "PERIODS_MS", (10,))
    rows = told(capsys, "reaction", tmp_path / "reaction.png", 1.0)
    assert [list(row) for row in rows] == [["period_us", "p50_us", "p99_us", "max_us"]]
    assert rows[0]["period_us"] == 10_000
    assert 0 < rows[0]["p50_us"] <= rows[0]["p99_us"] <= rows[0]["max_us"]


def test_entries_pass_every_ring_of_the_bench_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = told(capsys, "rings", tmp_path / "rings.png", 0.01)
    assert {(row["case"], row["impl"]) for row in rows} == {
        *rings.ENDS, ("any", rings.PIPE), ("any", rings.QUEUE)
    }  # fmt: skip
    assert all(row["ops_per_s"] > 0 for row in rows)
    assert {row["ratio_to_pipe"] for row in rows if row["impl"] == rings.PIPE} == {1.0}


@pytest.mark.parametrize("case", ["events", "samples", "commands"])
def test_a_torn_ring_entry_is_seen(case: str) -> None:
    plan = running.shipped().plan
    image = create(plan, 0)
    put, take = rings.ENDS[case, "compiled"]
    put(image, 50)
    table = {"events": image.events, "samples": image.inputs[0], "commands": image.commands}[case]
    table["a" if case == "events" else "value"][17] += 1.0
    assert take(image, 50) == 1


def test_a_lost_ring_entry_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(image: object, count: int) -> int:
        return min(count, 1)

    ends = (rings.ENDS["events", "compiled"][0], torn)
    with pytest.raises(BrokenInvariant, match="lost or torn"):
        rings.through_ring(running.shipped().plan, ends, 100)


def test_an_end_whose_other_end_is_gone_does_not_wait_for_ever() -> None:
    image = create(running.shipped().plan, 0)
    rows = (image.head, image.events), (image.input_rings, image.inputs), (
        image.head, image.commands
    )  # fmt: skip
    for takes, tables in zip(("take_events", "take_samples", "take_commands"), rows, strict=True):
        assert getattr(ring_loops, takes)(*tables, 1, 1_000) == -1
    for puts, tables in zip(("put_events", "put_samples", "put_commands"), rows, strict=True):
        room = tables[1].shape[-1]
        assert getattr(ring_loops, puts)(*tables, room + 9, 1_000) == room


def test_the_timers_of_cyclictest_are_as_sharp_as_those_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [sys.executable, "-c", SHOW_SLACK]
    monkeypatch.setattr(cyclic, "command", lambda *how: words)
    found = cyclic.measure("other", -1, 1_000, 1.0)
    assert found.percentile(100) == 1.5
    assert Path("/proc/self/timerslack_ns").read_text().strip() != "1"


def test_the_start_bench_times_the_first_byte_the_first_scan_and_the_first_write(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = told(capsys, "start", tmp_path / "start.png", 1.0)
    assert [row["case"] for row in rows] == list(start.CASES)
    taken = {row["case"]: row["median_ms"] for row in rows}
    assert 0 < taken[start.BYTE] < taken[start.WRITE]
    assert taken[start.BYTE] < taken[start.SCAN]


# -- the parts ------------------------------------------------------------------------------------

PRINTED = """# Histogram
000012 000970
000030 000025
000104 000003
# Total: 000000998
# Max Latencies: 00777
# Histogram Overflows: 00002
"""


def test_what_cyclictest_prints_becomes_a_histogram_with_its_overflows() -> None:
    found = cyclic.parse(PRINTED)
    assert found is not None
    assert found.counts.sum() == 1_000
    assert [found.percentile(p) for p in (50, 99, 99.8, 100)] == [12.5, 30.5, 104.5, 777.5]


def test_output_without_a_histogram_is_none() -> None:
    assert cyclic.parse("cyclictest: permission denied\n") is None


def test_percentiles_of_nothing_are_not_a_number() -> None:
    assert np.isnan(Histogram(np.zeros(0), np.zeros(0, np.int64)).percentile(99))


def test_the_stand_in_for_cyclictest_counts_every_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "cyclictest" else "/bin/cc")
    assert cyclic.implementation() == cyclic.STAND_IN
    found = cyclic.measure("other", -1, 1_000, 0.2)
    assert 100 <= found.counts.sum() <= 200
    assert found.percentile(100) < cyclic.BINS_US


def test_latencies_of_the_region_are_in_us_at_the_middle_of_their_bins() -> None:
    assert latency_of(3) == 3.0
    assert 1e3 * 0.98 < latency_of(64 + 64 * 4) < 1e3 * 1.05


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), 1e9])
def test_useless_seconds_are_refused(seconds: float) -> None:
    with pytest.raises(BadInput) as found:
        main.run_bench("jitter", seconds=seconds)
    assert "3600" in found.value.do


def test_the_command_line_hands_everything_to_the_bench(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[tuple[object, ...]] = []

    def run_bench(name: str, **given: object) -> int:
        seen.append((name, *given.values()))
        return 0

    monkeypatch.setattr(main, "run_bench", run_bench)
    plot = tmp_path / "p.png"
    words = ["bench", "rings", "--json", "--plot", str(plot), "--rounds", "7", "--seconds", "0.5"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert seen == [("rings", True, plot, 7, 0.5)]

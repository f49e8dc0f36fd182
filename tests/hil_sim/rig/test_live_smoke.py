"""The station live, against served devices: real processes, real PTYs, a real OPC UA session."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.profile.compile import load_profile
from controller.record.show import rows
from controller.record.verify import verify
from equipment_profiles import DEVICES
from hil_sim.rig.serving import served

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "hil_sim/rig/operator_live.yaml"
UNIT = ROOT / "equipment_profiles/units/perfusion_2l.yaml"
SCAN_NS = 100_000_000


def cellwright(*words):
    return subprocess.run(
        [sys.executable, "-m", "controller.cli", *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


def run_words(links, state, until, script=SCRIPT):
    return ("run", "--unit", "perfusion_2l", "--recipe", "car_t_perfusion", "--links", links,
            "--state", state, "--script", script, "--until", until)  # fmt: skip


def named(records, *names):
    return [record for record in records if record["event"] in names]


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    links, state = folder / "links.yaml", folder / "state"
    with served(links, 1):
        done = cellwright(*run_words(links, state, "50s"))
    assert done.returncode == 0, done.stderr
    (log,) = state.glob("batches/*/log")
    return {"done": done, "log": log, "batch": list(rows(log)),
            "station": list(rows(state / "station"))}  # fmt: skip


def test_fifty_seconds_of_wall_time_end_in_a_hold_and_a_log_that_verifies(short_run):
    batch, station = short_run["batch"], short_run["station"]
    (header,) = named(batch, "batch.opened")
    assert header["data"]["use"] == "engineering"
    assert header["data"]["notice"] == "NOT FOR HUMAN USE"
    assert header["data"]["unit"] == "perfusion_2l"
    assert len(header["data"]["recipe"]) == len(header["data"]["profile"]) == 64
    assert named(batch, "prompt.answered")[0]["data"]["value"] == "LOT-2026-0117"
    assert named(batch, "batch.state")[-1]["data"]["state"] == "Held"
    intent = named(batch, "command.intent")[-1]
    held = [row for row in named(batch, "command.intent") if row["data"]["verb"] == "hold"]
    assert held
    assert held[-1]["reason"] == "the run ends here"
    assert intent["data"]["target"] == "unit_held"
    assert verify(short_run["log"], expect_sealed=False, deep=True).ok
    assert verify(short_run["log"].parents[2] / "station", expect_sealed=False, deep=True).ok
    took_s = (int(batch[-1]["mono_ns"]) - int(station[0]["mono_ns"])) / 1e9
    assert took_s > 20


def test_the_first_write_to_every_actuator_is_its_start_value(short_run):
    profile = load_profile(UNIT, DEVICES)
    first = {}
    for row in named(short_run["station"] + short_run["batch"], "link.write"):
        if not row["data"]["confirmed"]:
            first.setdefault(row["data"]["output"], float(row["data"]["value"]))
    starts = {name: float(item.start) for name, item in profile.model.actuators.items()}
    assert first == starts


def test_every_period_of_a_live_run_is_a_scan_or_a_miss_that_is_recorded(short_run):
    records = short_run["station"] + short_run["batch"]
    scans, missed = map(int, re.search(
        r"(\d+) scans, (\d+) missed", short_run["done"].stdout).groups())  # fmt: skip
    recorded = sum(row["data"]["missed"] for row in named(records, "scan.late"))
    assert recorded == missed
    trips = named(records, "cause.active", "quality.changed")
    first, last = trips[0], trips[-1]
    periods = last["data"]["scan"] - first["data"]["scan"]
    elapsed = int(last["mono_ns"]) - int(first["mono_ns"])
    assert scans > 200 - missed  # the start of the programs is part of the run
    assert elapsed - periods * SCAN_NS <= (missed + 2) * SCAN_NS
    assert periods * SCAN_NS - elapsed <= 2 * SCAN_NS


@pytest.mark.campaign
def test_the_live_demo_meets_a_lost_balance_and_recovers_and_its_log_verifies(tmp_path):
    done = cellwright("demo", "--fidelity", "live", "--until", "45s", "--json", "--out",
                      tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["verified"], result["fidelity"], result["state"]) == (True, "live", "Held")
    assert {"20.balance", "9"} <= set(result["trips"])
    batch = list(rows(tmp_path / "out" / "log"))
    spoilt = {row["data"]["tag"] for row in named(batch, "quality.changed")
              if row["data"]["new"] == "bad"}  # fmt: skip
    assert "WT101" in spoilt
    asked = [row for row in named(batch, "command.intent") if row["data"]["verb"] == "reset"]
    assert asked[0]["reason"]
    assert asked[0]["actor"] == "unverified:operator_1@station"
    assert "9" in {row["data"]["row"] for row in named(batch, "cause.reset")}
    forced = {row["data"]["output"]: float(row["data"]["value"])
              for row in named(batch, "effect.applied") if row["data"]["row"] == "9"}  # fmt: skip
    assert forced["feed"] == forced["xv201"] == forced["xv203"] == 0

"""Runs in virtual time: replayable, the two fidelities agree, and the first writes are safe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from warm_rig import spy

from controller.record.show import show
from controller.record.verify import verify
from hil_sim.rig.result import result_of
from hil_sim.rig.rig import Rig
from hil_sim.rig.wire import WireField

KEYS = {
    "batch_id", "seed", "fidelity", "virtual_s", "wall_s", "speed", "scans", "log_records",
    "log_root", "verified", "state", "trips", "holds", "final", "config_digests",
}  # fmt: skip


def story(folder: Path, fidelity: str, seed: int, until_s: float | None) -> dict[str, Any]:
    """One run: its result, phases in order, and the directory's bytes."""
    rig = Rig(folder, seed=seed, fidelity=fidelity)
    phases: list[str] = []
    trips: list[str] = []

    def listen(event: Any) -> None:
        if event.name == "procedure.state" and event.data["level"] == "phase":
            phases.append(f"{event.data['path']} {event.data['new']}")
        elif event.name == "cause.active":
            trips.append(str(event.data["row"]))

    rig.supervisor.listeners.append(listen)
    rig.run(until_s)
    rig.finish()
    result = result_of(rig, 1.0)
    return {"result": result, "phases": phases, "trips": trips, "log": rig.log_dir, "rig": rig}


@pytest.mark.parametrize(("fidelity", "until_s"), [("signal", 4 * 3600.0), ("wire", 1800.0)])
def test_the_same_seed_gives_the_same_log_root_and_another_seed_another(
    tmp_path: Path, fidelity: str, until_s: float
) -> None:
    first = story(tmp_path / "a", fidelity, 7, until_s)
    second = story(tmp_path / "b", fidelity, 7, until_s)
    other = story(tmp_path / "c", fidelity, 8, until_s)
    assert first["result"]["log_root"] == second["result"]["log_root"]
    assert first["result"]["log_root"] != other["result"]["log_root"]
    files = sorted(p.relative_to(first["log"]) for p in first["log"].rglob("*") if p.is_file())
    assert files
    for name in files:
        assert (first["log"] / name).read_bytes() == (second["log"] / name).read_bytes(), name


def test_wire_and_signal_go_through_the_same_phases_and_trips(tmp_path: Path) -> None:
    until_s = 3.6 * 3600.0  # leak test, fill, condition, inoculate
    signal = story(tmp_path / "s", "signal", 1, until_s)
    wire = story(tmp_path / "w", "wire", 1, until_s)
    assert signal["phases"] == wire["phases"]
    assert len(signal["phases"]) > 6
    assert signal["trips"] == wire["trips"]
    assert signal["result"]["verified"]
    assert wire["result"]["verified"]
    one, two = (r["result"]["final"]["vcd_e6_per_ml"] for r in (signal, wire))
    assert one == pytest.approx(two, rel=0.02)


@pytest.mark.campaign
def test_the_whole_week_completes_in_band_and_its_log_verifies(tmp_path: Path) -> None:
    run = story(tmp_path / "week", "signal", 1, None)
    result = run["result"]
    assert result["state"] == "Complete"
    assert set(result) >= KEYS
    json.dumps(result)
    final = result["final"]
    assert final["vcd_e6_per_ml"] == pytest.approx(33.5, rel=0.30)
    assert final["viability_pct"] >= 85.0
    assert final["lactate_mm"] <= 45.0
    assert final["glucose_mm"] >= 0.3
    assert final["lactate_per_glucose"] == pytest.approx(1.6, rel=0.02)
    assert final["base_total_ml"] > 0.0
    for name in ("t_in_band_pct", "do_in_band_pct", "ph_in_band_pct"):
        assert result["in_band_pct"][name] >= 99.0, name
    assert int(run["rig"].bands[0]["seconds"]) > 167 * 3600
    assert result["verified"]
    assert result["holds"] == 0
    finished_log_is_brittle(run["log"], tmp_path)


def finished_log_is_brittle(log: Path, tmp_path: Path) -> None:
    """A flipped byte, a cut and a swap in a real, finished log are each found and named."""
    copy = tmp_path / "copy"
    shutil.copytree(log, copy)  # ten thousand files: each change is taken back, not copied anew
    segment = sorted((copy / "segments").iterdir())[0]
    size = segment.stat().st_size
    for number, place in enumerate((9, size // 3, size // 2, size - 5)):
        with spoilt(segment) as original:
            data = bytearray(original)
            data[place] ^= 1 << (number % 8)
            segment.write_bytes(bytes(data))
            report = verify(copy)
        assert not report.ok
        assert report.problems[0].where
    for name in ("checkpoint", "checkpoints", "vkey", f"segments/{segment.name}"):
        target = copy / name
        with spoilt(target) as original:
            target.write_bytes(original[:-20])
            report = verify(copy)
        assert not report.ok, name
    assert verify(copy).ok
    one, other = sorted((copy / "history").iterdir())[5:7]
    one.write_bytes(other.read_bytes())
    report = verify(copy)
    assert not report.ok
    assert any(one.name in problem.where for problem in report.problems)


@contextmanager
def spoilt(file: Path) -> Iterator[bytes]:
    """A file to be changed, which stands as it did afterwards."""
    original = file.read_bytes()
    yield original
    file.write_bytes(original)


def test_the_first_write_to_every_actuator_is_its_start_value(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "start", seed=3, fidelity="wire")
    assert isinstance(rig.field, WireField)
    sent: list[tuple[int, str, Any]] = []
    spy(rig.field, sent)
    rig.run(60.0)
    rig.finish()
    first: dict[str, Any] = {}
    for _, link, frame in sent:
        if link == "skid":
            first.setdefault(frame[0], frame[1])
        elif link == "pump_bus" and frame[1:3] in (b"ST", b"SP", b"GO"):
            first.setdefault(f"pump {frame[:1].decode()}", frame)
        elif link == "gas_bus" and frame[1:2] == b"S":
            first.setdefault(f"mfc {frame[:1].decode()}", frame)
    assert first == {
        "HEATER_CMD": 0.0, "STIRRER_CMD": 0.0, "KM101_CMD": False, "XV100_CMD": False,
        "XV201_CMD": False, "XV202_CMD": False, "XV203_CMD": False, "XV204_CMD": False,
        "pump 1": b"1ST\r", "pump 2": b"2ST\r", "pump 3": b"3ST\r",
        "mfc A": b"AS 0.0\r", "mfc B": b"BS 0.0\r", "mfc C": b"CS 0.0\r", "mfc D": b"DS 0.0\r",
    }  # fmt: skip


def test_hold_and_restart_by_a_person_keep_heat_stirring_and_gas(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    base = (Path(__file__).parent / "warm_operator.yaml").read_text()
    script.write_text(
        base + "orders:\n"
        "  - {at: 2 h, order: hold, reason: rehearsal}\n"
        "  - {at: 2.5 h, order: restart, reason: over}\n"
        "  - {at: 3 h, order: abort, reason: rehearsal}\n"
        "  - {at: 3.2 h, request: set_output, target: stirrer, value: '0', reason: by mistake}\n"
        "  - {at: 3.3 h, request: set_mode, target: DIC101, value: 'off', reason: by mistake}\n"
        "  - {at: 3.5 h, request: end_environment, second: operator_2, reason: discarded}\n"
    )
    from warm_rig import HERE, dense_plant

    rig = Rig(
        tmp_path / "state", recipe=str(HERE / "warm_recipe.yaml"), script=script,
        plant=dense_plant(1),
    )  # fmt: skip
    outcomes: list[Any] = []
    rig.supervisor.listeners.append(
        lambda e: outcomes.append(e) if e.name == "command.outcome" else None
    )
    rig.run(2.2 * 3600)
    assert rig.supervisor.procedure_state == "Held"
    board = rig.station.board
    assert board.read("stirrer").value == 180.0
    assert board.read("TT101").value == pytest.approx(37.0, abs=0.3)
    assert board.read("air").value >= 50.0
    assert board.read("feed").value > 0.5  # last rate goes on
    rig.run(2.7 * 3600)
    assert rig.supervisor.procedure_state == "Running"
    rig.run(3.4 * 3600)
    assert rig.supervisor.procedure_state == "Aborted"
    assert board.read("stirrer").value == 180.0
    assert board.read("feed").value == 0.0
    refused = [e for e in outcomes if e.data["result"] == "refused"]
    assert len(refused) == 2
    assert all("heat, stirring or oxygen" in e.data["why"] for e in refused)
    assert not rig.closed
    rig.run(3.7 * 3600)
    assert rig.closed
    assert board.read("stirrer").value == 0.0
    report = verify(rig.log_dir)
    assert report.ok, report.problems[:3]
    assert report.sealed
    # As if the process had died between the seal and the name of the open batch:
    rig.supervisor.station_log.close()
    rig.station.state_dir.open_batch(rig.batch_id)
    again = Rig(tmp_path / "state", script=script)
    assert again.station.state_dir.current() is None
    again.run(0.0)
    shown = "\n".join(show(tmp_path / "state" / "station"))
    assert "was sealed but still named open" in shown


@pytest.mark.campaign
def test_campaign_seven_days_wire_against_signal_and_twice_each(tmp_path: Path) -> None:
    import time

    figures = []
    stories = {}
    for fidelity in ("signal", "wire"):
        for turn in (1, 2):
            began = time.perf_counter()
            run = story(tmp_path / f"{fidelity}{turn}", fidelity, 1, None)
            wall_s = time.perf_counter() - began
            stories[fidelity, turn] = run
            speed = run["result"]["virtual_s"] / wall_s
            figures.append((fidelity, turn, round(wall_s, 1), round(speed), run["result"]))
            print(fidelity, turn, f"{wall_s:.1f} s, {speed:,.0f} x", json.dumps(run["result"]))
    for fidelity in ("signal", "wire"):
        one, two = stories[fidelity, 1], stories[fidelity, 2]
        assert one["result"]["log_root"] == two["result"]["log_root"]
    signal, wire = stories["signal", 1], stories["wire", 1]
    assert signal["phases"] == wire["phases"]
    assert signal["trips"] == wire["trips"]
    assert signal["result"]["final"]["vcd_e6_per_ml"] == pytest.approx(
        wire["result"]["final"]["vcd_e6_per_ml"], rel=0.02
    )

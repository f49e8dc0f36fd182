"""The C scan, the numpy scan and plain Python do what the kernel does: else no ratio counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rough_unit import rough_plan, rough_unit

from controller.core.errors import BadInput
from controller.field.ring import EventKind
from hil_sim.bench import c_scan, kernel, main
from hil_sim.bench.interpreted import interpreted
from hil_sim.bench.numpy_scan import NumpyScan
from hil_sim.bench.result import Result
from hil_sim.bench.scans import numba_scans
from hil_sim.bench.units import PERIOD_NS, Unit, plan_of, unit_of

ROUGH_PERIOD_NS = 100_000_000
SCANS = 600


def numba(unit: Unit, now_ns: int, count: int, period_ns: int = PERIOD_NS) -> int:
    return int(numba_scans(unit.bound.handles, now_ns, period_ns, count, unit.feed))


def differences(one: Unit, other: Unit) -> list[str]:
    """Tables and fields of two images whose bytes differ."""
    found = []
    for name, mine, its in zip(one.bound.image._fields, one.bound.image, other.bound.image,
                               strict=True):  # fmt: skip
        if mine.tobytes() != its.tobytes():
            found += [
                f"{name}.{field}"
                for field in mine.dtype.names or [""]
                if mine.dtype.names is None or mine[field].tobytes() != its[field].tobytes()
            ]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_c_and_numba_give_byte_equal_images_on_rough_units(seed: int) -> None:
    plan = rough_plan(24, 96, seed)
    ours, in_c = rough_unit(plan, seed), rough_unit(plan, seed)
    now_ns, seen = 0, set()
    for done in range(0, SCANS, 50):
        end_ns = numba(ours, now_ns, 50, ROUGH_PERIOD_NS)
        assert c_scan.scans(in_c.bound, now_ns, ROUGH_PERIOD_NS, 50, in_c.feed) == end_ns
        assert differences(ours, in_c) == [], f"seed {seed}, after {done + 50} scans"
        now_ns = end_ns
        seen |= set(np.unique(ours.bound.image.events["kind"]).tolist())
    assert ours.bound.image.head["scan"][0] == SCANS
    # The agreement is worth nothing on units where nothing happens.
    assert seen >= {
        int(kind) for kind in EventKind
        if kind.name in ("CAUSE_ACTIVE", "CAUSE_CLEARED", "EFFECT_ON", "NOT_CONFIRMED", "CONFIRMED",
                         "QUALITY", "ACTION", "FALLBACK", "RESTORED", "BYPASS_LAPSED", "VALIDITY")
    }  # fmt: skip


@pytest.mark.parametrize("size", [(1, 64), (64, 1024)])
@pytest.mark.parametrize("complete", [False, True])
def test_c_and_numba_give_byte_equal_images_on_the_units_measured(
    size: tuple[int, int], complete: bool
) -> None:
    plan = plan_of(*size, complete=complete)
    ours, in_c = unit_of(plan), unit_of(plan)
    end_ns = numba(ours, 0, SCANS)
    assert c_scan.scans(in_c.bound, 0, PERIOD_NS, SCANS, in_c.feed) == end_ns
    assert differences(ours, in_c) == []


def test_numpy_and_plain_python_release_what_the_kernel_releases() -> None:
    plan = plan_of(8, 256)
    ours, vectors = unit_of(plan), NumpyScan(unit_of(plan))
    now_ns = 0
    with interpreted(8, 256) as plain:
        for _ in range(5):
            answer = plain.scans(now_ns, 60)
            vectors.scans(now_ns, PERIOD_NS, 60, ours.feed)
            now_ns = numba(ours, now_ns, 60)
            released = ours.bound.image.outputs["released"]
            assert vectors.released.tolist() == released.tolist()
            assert answer.released == sum(released.tolist())
            assert answer.events == ours.bound.image.head["event_head"][0] == vectors.events
    assert answer.events > 0


def test_every_loop_of_a_measured_unit_runs_in_every_scan() -> None:
    unit = unit_of(plan_of(64, 64))
    now_ns = 0
    for _ in range(20):
        now_ns = numba(unit, now_ns, 1)
        assert set(unit.bound.image.loops["run_ns"].tolist()) == {now_ns}
    assert (unit.bound.image.signals["quality"] == 0).all()


def test_causes_of_a_measured_unit_come_and_go_and_most_stay_quiet() -> None:
    unit = unit_of(plan_of(64, 1024))
    numba(unit, 0, 500)
    head = unit.bound.image.head[0]
    assert head["events_lost"] == 0
    assert 100 < head["event_head"] < 500 * 1024 // 20
    assert (unit.bound.image.causes["active"] == 0).mean() > 0.9


def test_a_waiting_command_is_refused_by_the_c_scan() -> None:
    unit = unit_of(plan_of(1, 64))
    unit.bound.image.head["command_head"] = 1
    with pytest.raises(BadInput, match="commands"):
        c_scan.scans(unit.bound, 0, PERIOD_NS, 1, unit.feed)
    assert unit.bound.image.head["scan"][0] == 0


def test_without_a_compiler_the_bench_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(BadInput) as found:
        c_scan.compiler()
    assert "gcc" in found.value.do


def test_the_json_of_the_kernel_bench_has_one_row_an_implementation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    monkeypatch.setattr(kernel, "LOOPS", (2,))
    monkeypatch.setattr(kernel, "CAUSES", (64,))
    monkeypatch.setattr(kernel, "ROUND_NS", 200_000)
    monkeypatch.setattr(kernel, "COMPLETE", (1, 64, True))
    assert main.run_bench("kernel", as_json=True, plot=tmp_path / "kernel.png", rounds=2) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bench"] == "kernel"
    assert [row["impl"] for row in told["rows"]] == [
        "cellwright", "c", "numpy", "python", "simple-pid", "cellwright", "c"
    ]  # fmt: skip
    for row in told["rows"][:4] + told["rows"][5:]:
        assert row["case"] in ("2x64", "1x64 complete")
        assert row["median_ns"] > 0
    assert told["rows"][1]["ratio_to_c"] == 1.0
    assert (tmp_path / "kernel.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_shows_every_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"case": "1x64", "impl": "c", "median_ns": 1_234, "ratio_to_c": 1.0},
            {"case": "1x64", "impl": "none", "median_ns": None, "ratio_to_c": None}]  # fmt: skip
    monkeypatch.setattr(kernel, "run", lambda rounds, seconds: Result(rows))
    assert main.run_bench("kernel", rounds=1) == 0
    told = capsys.readouterr().out
    assert "1,234" in told
    assert "none" in told


@pytest.mark.parametrize(
    ("name", "rounds", "told"), [("kernle", 5, "kernel"), ("kernel", 0, "1 to")]
)
def test_an_unknown_bench_and_useless_rounds_are_refused(name: str, rounds: int, told: str) -> None:
    with pytest.raises(BadInput) as found:
        main.run_bench(name, rounds=rounds)
    assert told in found.value.do

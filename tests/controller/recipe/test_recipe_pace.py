"""A hundred trivial steps take a hundred scans or fewer, and none is lost: also through a station.

The steps are counted in the records: those of the engine, and those the log of a station holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recipe_bench import ROOT, Desk, offer_of, recipe_of
from recipe_zoo import zoo_offer

from controller.core.clock import NS_PER_MS
from controller.core.yamltext import parse
from controller.recipe.batch import BatchState, evolve, state_digest
from controller.recipe.load import compile_recipe
from controller.record.entry import read_records
from hil_sim.rig.rig import Rig

SCAN_NS = 100 * NS_PER_MS
HEAD = """
recipe: hundred
version: "1"
title: A hundred steps
unit: {unit}
unit_version: "{version}"
procedure:
  - unit_procedure: u
    operations:
      - operation: o
"""
STEPS = "".join(f"      - {{text: Step {n}, set: {{pace: {n}}}}}\n" for n in range(100))
FLAGS = "".join(
    f"      - {{text: Step {n}, set: {{no_base: {str(n % 2 == 0).lower()}}}}}\n" for n in range(100)
)
PHASES = "        phases:\n" + "".join(
    f"          - {{phase: p{n}, use: one, with: {{n: {n}}}}}\n" for n in range(100)
)


def _classes(steps: str) -> str:
    return (
        "  - id: hundred\n    running:\n" + steps
        + "  - id: one\n    parameters:\n"
        "      n: {dimension: count, low: 0, high: 1000, default: 0}\n"
        "    running:\n      - {text: Step, set: {pace: n}}\n"
    )  # fmt: skip


def _ticks(bench: Desk) -> int:
    """How many ticks of the supervisor the batch takes, each following 64 decisions at most."""
    ticks = 0
    while bench.state_of(bench.recipe.root) != "Complete":
        bench.go(0.1, 0.1)
        ticks += 1
        assert ticks <= 100
    return ticks


@pytest.mark.parametrize("what", ["steps", "flags", "phases"])
def test_a_hundred_trivial_steps_take_a_hundred_ticks_or_fewer_and_none_is_lost(what: str) -> None:
    steps = FLAGS if what == "flags" else STEPS
    offer = offer_of(f"variables:\n  pace: {{dimension: count}}\nphases:\n{_classes(steps)}")
    calls = PHASES if what == "phases" else "        phases: [{phase: hundred}]\n"
    bench = Desk(recipe_of(HEAD.format(unit="bench", version="1") + calls, offer))
    bench.order("start")
    _ticks(bench)
    if what == "flags":
        found = [c.value for c in bench.commands if c.target == "no_base"]
        assert found == [n % 2 == 0 for n in range(100)]
    else:
        values = [event.data["new"] for event in bench.records if event.name == "variable.set"]
        assert values == [str(number) for number in range(100)]


def _unit_with(steps: str, folder: Path) -> Path:
    """The shipped unit, with phase classes of a hundred steps and of one."""
    shipped = ROOT / "equipment_profiles" / "units" / "perfusion_2l.yaml"
    text = shipped.read_text()
    for head, more in (
        ("\nvariables:\n", "  pace: {dimension: count, title: What the steps leave}\n"),
        ("\nphases:\n", _classes(steps)),
    ):
        assert text.count(head) == 1
        text = text.replace(head, head + more)
    file = folder / "perfusion_2l.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("what", ["steps", "flags", "phases"])
def test_through_a_whole_station_a_hundred_steps_take_a_hundred_scans_or_fewer(
    tmp_path: Path, what: str
) -> None:
    unit = _unit_with(FLAGS if what == "flags" else STEPS, tmp_path)
    calls = PHASES if what == "phases" else "        phases: [{phase: hundred}]\n"
    recipe = tmp_path / "hundred.yaml"
    recipe.write_text(HEAD.format(unit="perfusion_2l", version=_version(unit)) + calls)
    rig = Rig(tmp_path / "state", unit=str(unit), recipe=str(recipe))
    rig.run(40.0)
    rig.finish()
    records = list(read_records(rig.log_dir))
    assert rig.supervisor.procedure_state == "Complete"
    state = BatchState()
    for record in records:
        state = evolve(state, record)
    assert state_digest(state) == state_digest(rig.supervisor.state)
    started = [r for r in records if r["event"] == "step.started"]
    assert len(started) == 100
    if what == "phases":
        assert [r["data"]["path"] for r in started] == [f"u/o/p{n}" for n in range(100)]
    else:
        assert [r["data"]["index"] for r in started] == list(range(100))
    assert _between(started) <= 100 * SCAN_NS
    if what == "flags":
        asked = [r for r in records if r["event"] == "command.intent"
                 and r["data"]["target"] == "no_base" and r["actor"] == "recipe"]  # fmt: skip
        assert [r["data"]["new"] for r in asked] == [str(n % 2 == 0).lower() for n in range(100)]
        ends = [r["data"] for r in records if r["event"] == "command.outcome"]
        applied = {data["id"] for data in ends if data["result"] == "applied"}
        assert {r["data"]["id"] for r in asked} <= applied
    else:
        marks = [r["data"]["new"] for r in records if r["event"] == "variable.set"]
        assert marks == [str(n) for n in range(100)]


def _between(records: list[dict[str, Any]]) -> int:
    return int(records[-1]["mono_ns"]) - int(records[0]["mono_ns"])


def _version(unit: Path) -> str:
    return str(parse(unit.read_bytes(), "unit").data["unit"]["version"])


@pytest.mark.parametrize("rounds", [100])
def test_a_loop_of_a_hundred_rounds_takes_a_hundred_ticks_or_fewer(rounds: int) -> None:
    text = HEAD.format(unit="bench", version="1") + (
        "        phases:\n"
        f"          - {{loop: l, until: rounds >= {rounds}, at_most: {rounds}, on_limit: abort,"
        " unknown: hold, do: [{phase: count}]}\n"
    )
    bench = Desk(compile_recipe(parse(text.encode(), "recipe.yaml"), zoo_offer()))
    bench.order("start")
    _ticks(bench)
    assert bench.state.variables["rounds"].value == rounds

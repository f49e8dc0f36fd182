"""The shipped recipe on the shipped unit: the whole week; hold, restart, abort in each phase."""

from __future__ import annotations

from functools import lru_cache

import pytest
from recipe_bench import shipped_recipe
from recipe_operator import ANSWERS, Vessel

from controller.core.events import Event
from controller.recipe.batch import BatchState, evolve, state_digest
from controller.recipe.decision import Command
from controller.recipe.plan import ControlRecipe

PHASES = [
    "prepare/set_up/leak_test",
    "prepare/set_up/prime",
    "prepare/condition/condition_medium",
    "culture/start/inoculate",
    "culture/grow/activate",
    "culture/grow/transduce",
    "culture/grow/expand",
    "finish/take/harvest",
    "finish/take/end_environment",
]
LIQUIDS = ("feed", "perfusate", "xv201", "xv202", "xv203")
ENVIRONMENT = ("TIC101", "TIC103", "DIC101", "AIC101", "stirrer", "heater", "km101", "xv100")


@lru_cache(maxsize=1)
def recipe() -> ControlRecipe:
    return shipped_recipe()


@lru_cache(maxsize=1)
def whole_run() -> Vessel:
    vessel = Vessel(recipe())
    vessel.desk.order("start")
    vessel.go(240)
    return vessel


def _place(vessel: Vessel, verb: str, target: str, value: float | bool | str) -> int:
    """Where a command stands in the log, the first time."""
    return next(
        place
        for place, item in enumerate(vessel.desk.log)
        if isinstance(item, Command)
        and (item.verb, item.target, item.value) == (verb, target, value)
    )


def _answered(vessel: Vessel, name: str) -> int:
    return next(
        place
        for place, item in enumerate(vessel.desk.log)
        if isinstance(item, Event)
        and item.name == "prompt.answered"
        and item.data["prompt_id"].endswith(name)
    )


def test_the_recipe_completes_in_a_little_more_than_a_week() -> None:
    vessel = whole_run()
    assert vessel.desk.state_of(vessel.root) == "Complete"
    days = vessel.desk.clock.now_ns / 86_400e9
    assert 7.0 < days < 7.5
    assert {vessel.desk.state_of(path) for path in recipe().nodes} == {"Complete"}
    assert "step.timeout" not in vessel.desk.names()
    assert "unit.hold" not in vessel.desk.names()


def test_the_medium_is_in_band_for_half_an_hour_before_cells() -> None:
    vessel = whole_run()
    condition = next(e for e in vessel.desk.records if e.name == "step.condition")
    cells = next(
        e for e in vessel.desk.records
        if e.name == "prompt.answered" and e.data["prompt_id"].endswith(".inoculated")
    )  # fmt: skip
    assert cells.stamp.mono_ns - condition.stamp.mono_ns >= 1800e9
    assert _place(vessel, "set_flag", "cells_in", True) < _answered(vessel, ".inoculated")
    assert cells.data["second"] == "ben"


def test_there_is_no_perfusion_before_the_vector_has_had_its_time() -> None:
    vessel = whole_run()
    inoculated = next(
        e.stamp.mono_ns
        for e in vessel.desk.records
        if e.name == "variable.set" and e.data["name"] == "inoculated"
    )
    followed = [e for e in vessel.desk.records if e.name == "step.followed"]
    first_h = (followed[0].stamp.mono_ns - inoculated) / 3600e9
    last_h = (followed[-1].stamp.mono_ns - inoculated) / 3600e9
    assert first_h == pytest.approx(48, abs=0.1)
    assert last_h == pytest.approx(168, abs=0.3)
    rates = [float(e.data["value"]) for e in followed]
    assert max(rates) == pytest.approx(2 * 2000 / 1440, rel=1e-5)
    assert 0.05 < rates[0] < 0.3
    assert _place(vessel, "set_flag", "no_perfusion", True) < _place(
        vessel, "set_flag", "no_perfusion", False
    )


def test_seven_samples_are_recorded_with_the_predicted_density() -> None:
    samples = [e for e in whole_run().desk.records if e.name == "sample.recorded"]
    assert len(samples) == 7 * 6
    counts = [e.data for e in samples if e.data["name"] == "vcd"]
    for data in counts[1:]:
        assert float(data["predicted"]) == pytest.approx(float(data["value"]), rel=0.05)


def test_the_product_path_opens_only_after_waste_is_proven_closed_and_two_people_agree() -> None:
    vessel = whole_run()
    log = vessel.desk.log
    product = _place(vessel, "set_output", "xv203", 1.0)
    waste_closed = max(
        place
        for place, item in enumerate(log[:product])
        if isinstance(item, Command) and (item.target, item.value) == ("xv202", 0.0)
    )
    lineup = _answered(vessel, "harvest.lineup")
    assert waste_closed < lineup < _place(vessel, "set_flag", "lineup", True) < product
    answered = log[lineup]
    assert isinstance(answered, Event)
    assert answered.data["second"] == "ben"
    assert vessel.desk.readings["VOL"] < 0.3
    assert vessel.desk.readings["XV203_ZSC"] == 1.0


def test_a_waste_valve_that_is_not_proven_closed_keeps_the_product_valve_shut() -> None:
    vessel = Vessel(recipe())
    vessel.desk.order("start")
    real = vessel.desk.act

    def stuck(command: Command) -> None:
        if real is not None and (command.target, command.value) != ("xv202", 0.0):
            real(command)

    vessel.desk.act = stuck
    vessel.go(240)
    assert vessel.desk.state_of("finish/take/harvest") == "Held"
    assert ("set_output", "xv203", 1.0) not in vessel.desk.sent()


def test_the_environment_ends_only_after_two_people_found_the_vessel_empty() -> None:
    vessel = whole_run()
    empty = _answered(vessel, ".empty")
    offs = [
        place
        for place, item in enumerate(vessel.desk.log)
        if isinstance(item, Command) and item.target in ENVIRONMENT and item.value in ("off", 0.0)
    ]
    assert offs
    assert min(offs) > empty
    assert "environment" not in vessel.flags
    assert "cells_in" not in vessel.flags


def test_a_ph_probe_that_left_the_sample_switches_base_off_and_asks() -> None:
    vessel = Vessel(recipe(), {**ANSWERS, "ph": "7.05"})
    vessel.desk.order("start")
    vessel.go(36)
    assert "no_base" in vessel.flags
    asked = [e for e in vessel.desk.records if e.name == "prompt.opened"]
    assert any(e.data["prompt_id"].endswith("sample_day_1.ph_probe") for e in asked)


def test_cells_in_the_perfusate_call_two_people_to_the_retention_device() -> None:
    vessel = Vessel(recipe(), {**ANSWERS, "perfusate": "0.4"})
    vessel.desk.order("start")
    vessel.go(36)
    prompts = [e.data["prompt_id"] for e in vessel.desk.records if e.name == "prompt.opened"]
    assert "culture/grow/sample_day_1.retention" in prompts


def _until(path: str, steps: int, *, silent: bool = False) -> Vessel:
    vessel = Vessel(recipe())
    vessel.silent = {path} if silent else set()
    vessel.desk.order("start")
    for _ in range(20_000):
        if vessel.desk.state_of(path) == "Running":
            break
        vessel.step(60.0)
    for _ in range(steps):
        vessel.step(60.0)
    assert vessel.desk.state_of(path) == "Running"
    return vessel


@pytest.mark.parametrize("path", PHASES)
def test_every_phase_can_be_held_restarted_and_aborted(path: str) -> None:
    vessel = _until(path, 2, silent=path.endswith(("inoculate", "end_environment")))
    active = list(vessel.desk.state.runs)
    vessel.desk.protect("hold", "row 9")
    vessel.desk.go(120)
    assert {vessel.desk.state_of(name) for name in active} == {"Held"}
    assert vessel.desk.state_of(vessel.root) == "Held"
    count = len(vessel.desk.commands)
    vessel.desk.go(3600, 60)
    assert len(vessel.desk.commands) == count
    vessel.desk.order("restart")
    vessel.desk.go(60)
    assert {vessel.desk.state_of(name) for name in active} <= {"Running", "Complete"}
    count = len(vessel.desk.commands)
    vessel.desk.order("abort")
    vessel.desk.go(60)
    assert vessel.desk.state_of(vessel.root) == "Aborted"
    assert not vessel.desk.state.runs
    after = vessel.desk.sent()[count:]
    assert not [target for _, target, _ in after if target in ENVIRONMENT]
    if vessel.desk.readings["VOL"] > 0.1:
        for valve in ("XV201", "XV202", "XV203", "XV204"):
            assert vessel.desk.readings[f"{valve}_ZSC"] == 1.0, valve
        assert set(vessel.rates.values()) == {0.0}


def test_a_held_harvest_shuts_the_product_valve_and_restart_opens_it_again() -> None:
    vessel = _until("finish/take/harvest", 5)
    assert vessel.desk.readings["XV203_ZSO"] == 1.0
    vessel.desk.order("hold")
    assert vessel.desk.readings["XV203_ZSC"] == 1.0
    assert vessel.rates["perfusate"] == 0.0
    vessel.desk.order("restart")
    vessel.desk.go(5)
    assert vessel.desk.readings["XV203_ZSO"] == 1.0
    assert vessel.rates["perfusate"] == 20.0


def test_the_whole_run_rebuilds_to_the_same_state() -> None:
    vessel = whole_run()
    state = BatchState()
    for event in vessel.desk.records:
        state = evolve(state, event)
    assert state_digest(state) == state_digest(vessel.desk.state)


def test_a_held_expansion_opens_its_lines_again_on_restart() -> None:
    vessel = _until("culture/grow/expand", 5)
    vessel.desk.protect("hold", "row 9")
    for valve in ("XV201", "XV202"):
        vessel.desk.readings[f"{valve}_ZSO"], vessel.desk.readings[f"{valve}_ZSC"] = 0.0, 1.0
    vessel.desk.order("restart")
    vessel.desk.go(2)
    assert vessel.desk.state_of("culture/grow/expand") == "Running"
    assert vessel.desk.readings["XV201_ZSO"] == vessel.desk.readings["XV202_ZSO"] == 1.0
    assert vessel.desk.commands[-1].target == "feed"

"""A change of a running batch: what it would break ahead, and nothing that is over."""

from __future__ import annotations

from dataclasses import replace

from check_bench import small

from controller.core.yamltext import load
from controller.recipe.amend import amended
from controller.recipe.batch import BatchState, Variable
from controller.recipe.check import forward, plant_of
from controller.recipe.load import compile_recipe
from controller.recipe.plan import Amendment
from controller.units import find_recipe, find_unit, load_unit

PROFILE, OFFER = load_unit(find_unit("perfusion_2l"))
PLANT = plant_of(PROFILE)
SHIPPED = compile_recipe(load(find_recipe("car_t_perfusion")), OFFER)
GROW = "culture/grow"
BEFORE = ("prepare/set_up/leak_test", "prepare/set_up/prime", "prepare/condition/condition_medium",
          "culture/start/inoculate")  # fmt: skip
# Expanding, with day 4 sampled.
STATE = BatchState(
    nodes={
        **dict.fromkeys((*BEFORE, "prepare", "culture/start"), "Complete"),
        **dict.fromkeys((f"{GROW}/activate", f"{GROW}/transduce", f"{GROW}/sample_day_1",
                         f"{GROW}/sample_day_2", f"{GROW}/sample_day_3", f"{GROW}/sample_day_4"),
                        "Complete"),
        **dict.fromkeys(("car_t_perfusion", "culture", GROW, f"{GROW}/expand"), "Running"),
    },
    variables={name: Variable(1.0, 0) for name in ("inoculated", "vcd_control", "growth", "vcd")},
)  # fmt: skip


def told(*changes: Amendment, state: BatchState = STATE) -> list[str]:
    """What the forward check says of changes to the shipped recipe."""
    return [each.what for each in forward(SHIPPED, amended(SHIPPED, changes), state, PLANT)]


def insert(use: str, after: str, **values: str) -> Amendment:
    """A phase put behind another."""
    path = f"{after.rpartition('/')[0]}/{use}_2"
    return Amendment("insert", path, use, after=after, values=tuple(sorted(values.items())))


def test_no_change_breaks_nothing() -> None:
    assert told() == []


def test_a_later_harvest_breaks_nothing() -> None:
    assert told(Amendment("value", f"{GROW}/expand", "until", "180 h")) == []


def test_one_sample_more_breaks_nothing() -> None:
    assert told(insert("sample", f"{GROW}/sample_day_4", at="100 h")) == []


def test_a_phase_that_fights_with_the_one_beside_it_is_told_of() -> None:
    found = told(insert("prime", f"{GROW}/sample_day_4"))
    assert f"{GROW}/expand and {GROW}/prime_2 both drive feed, side by side" in found


def test_a_value_the_equipment_cannot_reach_is_told_of() -> None:
    state = BatchState(nodes=dict.fromkeys(BEFORE[:2], "Complete"))
    path = "prepare/condition/condition_medium"
    found = told(Amendment("value", path, "ph_low", "7.35 pH"), state=state)
    assert len(found) == 1
    assert "can never be true" in found[0]
    done = BatchState(nodes=dict.fromkeys(BEFORE, "Complete"))
    assert told(Amendment("value", path, "ph_low", "7.35 pH"), state=done) == []


def test_a_phase_behind_the_end_of_the_environment_is_told_of() -> None:
    found = told(insert("activate", "finish/take/end_environment"))
    assert any("comes after the environment has ended" in each for each in found)


def test_what_was_wrong_before_is_not_the_changes_fault() -> None:
    recipe = small("      - {operation: o, phases: [{phase: sample}, {phase: fill}]}\n")
    change = Amendment("insert", "u/o/fill_2", "fill", after="u/o/fill")
    assert forward(recipe, amended(recipe, (change,)), BatchState()) == []


def test_what_a_batch_has_set_is_set_for_what_is_put_in() -> None:
    recipe = small("      - {operation: o, phases: [{phase: fill}]}\n")
    change = Amendment("insert", "u/o/sample_2", "sample", after="u/o/fill")
    changed = amended(recipe, (change,))
    assert [each.what[:30] for each in forward(recipe, changed, BatchState())] == [
        "u/o/sample_2 reads begun ('Wai"
    ]
    begun = BatchState(variables={"begun": Variable(1.0, 0)})
    assert forward(recipe, changed, begun) == []


def test_what_is_skipped_sets_nothing_and_ends_nothing() -> None:
    recipe = small(
        "      - {operation: o, phases: [{phase: fill}, {phase: begin}, {phase: sample}]}\n"
    )
    running = BatchState(nodes={"small": "Running", "u/o/fill": "Running"})
    assert forward(recipe, recipe, running) == []
    found = forward(recipe, recipe, replace(running, skipped=("u/o/begin",)))
    assert [each.what[:24] for each in found] == ["u/o/sample reads begun ("]


def test_without_ranges_no_phase_is_said_to_leave_something_moving() -> None:
    """The engine knows the names of the equipment only; who signs is asked with the ranges."""
    change = insert("condition_medium", "prepare/condition/condition_medium")
    state = BatchState(nodes=dict.fromkeys((*BEFORE[:2], "prepare/set_up"), "Complete"))
    changed = amended(SHIPPED, (change,))
    assert forward(SHIPPED, changed, state) == []
    assert forward(SHIPPED, changed, state, PLANT) == []

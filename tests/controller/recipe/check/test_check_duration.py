"""How long a recipe takes, by the figures its steps give."""

from __future__ import annotations

import pytest
from check_bench import SMALL_UNIT, small_report

from controller.core.yamltext import load
from controller.recipe.check import Duration, check, plant_of
from controller.recipe.load import compile_recipe
from controller.units import find_recipe, find_unit, load_unit

H = 3600.0
UNIT = (
    SMALL_UNIT
    + """
  - id: ask
    running:
      - prompt: {kind: confirm, text: Ready?}
        timeout: 1 h
  - id: settle
    running:
      - text: In band
        wait: held(VOL > 1 L, 30 min)
        timeout: 150 min
"""
)
BEGIN = "      - {operation: first, phases: [{phase: begin}]}\n"


def hours(items: str) -> tuple[float, float, float]:
    """The three figures of an operation `o` of these items, in h; the culture begins before it."""
    report = small_report(f"{BEGIN}      - {{operation: o, phases: [{items}]}}\n", UNIT)
    found = next(each for each in report.durations if each.path == "u/o")
    return found.least_s / H, found.typical_s / H, found.most_s / H


@pytest.mark.parametrize(
    ("items", "least", "typical", "most"),
    [
        ("{phase: wait_a_day}", 24, 24, 24),
        ("{phase: ask}", 0, 1 / 30, 1),
        ("{phase: settle}", 0.5, 1, 2.5),
        ("{phase: fill}", 0, 0.25, 1),
        # The age is the culture's: what passed before counts.
        ("{phase: sample, with: {at: 30 h}}", 30, 30 + 1 / 30, 31),
        ("{phase: wait_a_day}, {phase: sample, with: {at: 30 h}}", 30, 30 + 1 / 30, 31),
        ("{phase: wait_a_day}, {phase: sample, with: {at: 20 h}}", 24, 24 + 1 / 30, 25),
        ("{parallel: p, branches: [[{phase: wait_a_day}], [{phase: ask}]]}", 24, 24, 24),
        ("{select: s, unknown: otherwise, choices: [{when: VOL > 1 L, do: [{phase: ask}]}, "
         "{otherwise: [{phase: wait_a_day}]}]}", 0, 1 / 30, 24),
        ("{loop: l, do: [{phase: wait_a_day}], until: VOL > 1 L, unknown: again, at_most: 5, "
         "on_limit: hold}", 24, 72, 120),
        ("{loop: l, do: [{phase: wait_a_day}], until: age(begun) > 60 h, unknown: again, "
         "at_most: 5, on_limit: hold}", 72, 72, 120),
        ("{transition: t, when: VOL > 1 L, timeout: 2 h}", 0, 0.5, 2),
        # What waits for another branch takes as long as that one.
        ("{parallel: p, branches: [[{phase: wait_a_day}, {phase: mark_it}], "
         "[{loop: l, do: [{phase: ask}], until: known(mark), at_most: 100, on_limit: hold}]]}",
         24, 24, 24),
        ("{parallel: p, branches: [[{phase: wait_a_day}, {phase: mark_it}], "
         "[{transition: t, when: mark == 1, timeout: 60 h}]]}", 24, 24, 24),
        ("{transition: t, when: age(begun) >= 40 h or VOL > 1 L, timeout: 60 h}", 0, 40, 40),
        ("{transition: t, when: age(begun) >= 40 h and VOL > 1 L, timeout: 60 h}", 40, 40, 40),
    ],
)  # fmt: skip
def test_an_operation_takes_as_long_as_its_items(
    items: str, least: float, typical: float, most: float
) -> None:
    assert hours(items) == pytest.approx((least, typical, most))


def test_loops_in_loops_are_followed_once_and_multiplied() -> None:
    text = "{phase: wait_a_day}"
    for depth in range(5):
        text = (f"{{loop: l{depth}, do: [{text}], until: VOL > 1 L, unknown: again, at_most: 1000, "
                "on_limit: hold}")  # fmt: skip
    assert hours(text)[2] == pytest.approx(24.0 * 1000**5)


def test_the_shipped_recipe_takes_a_little_more_than_a_week() -> None:
    profile, offer = load_unit(find_unit("perfusion_2l"))
    recipe = compile_recipe(load(find_recipe("car_t_perfusion")), offer)
    *operations, whole = check(recipe, plant_of(profile)).durations
    assert isinstance(whole, Duration)
    assert [each.path for each in operations] == [
        path for path, node in recipe.nodes.items() if node.level == "operation"
    ]
    assert 6.8 < whole.least_s / 86_400 < whole.typical_s / 86_400 < 7.5
    assert whole.most_s < 10 * 86_400
    assert sum(each.typical_s for each in operations) == pytest.approx(whole.typical_s)

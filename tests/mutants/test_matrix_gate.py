"""Matrix and gate as plain Python against the reference: random units, random stories, every field.

Fast, because it runs once for every mutant of those two files (`make mutants`).
"""

from __future__ import annotations

import pytest
from random_plans import S, random_plan
from reference import Reference
from reference_gate import mean_until
from reference_plan import Model
from twin import START, Interpreted, campaign, told_alike

from controller.field import effects
from controller.field.image import MEAN_BUCKETS

SEEDS = 60


@pytest.mark.parametrize("part", range(4))
def test_interpreted_kernel_and_reference_agree_in_every_state(part):
    first = part * SEEDS // 4
    assert campaign(Interpreted, range(first, first + SEEDS // 4), 3, 30) == SEEDS // 4 * 90


@pytest.mark.parametrize("seed", [7, 40, 41, 42])
def test_means_of_ten_minutes_agree_over_hours_in_which_their_ring_goes_round(seed):
    plan = random_plan(seed)
    told_alike(Interpreted, plan, Model(plan), 9, 170 if seed == 7 else 60)


@pytest.mark.parametrize("kept", [3, 19, 20, 21, 60, 159, 160, 250])
def test_the_mean_before_any_instant_of_the_last_hours_agrees(kept):
    plan = random_plan(7)
    unit, kernel = Reference(Model(plan), START), Interpreted(plan)
    state, row = unit.outputs[0], kernel.image.outputs[0]
    state.buckets = [1.5 * number for number in range(kept)]
    for number, value in enumerate(state.buckets):
        kernel.image.means[0, number % MEAN_BUCKETS] = value
    row.mean_head, row.mean_filled = state.bucket_head, state.bucket_filled
    row.mean_end_ns = state.bucket_end_ns = 7777 * S
    for back in range(-30, kept * 30 + 700, 5):
        until = 7777 * S - back * S
        found = effects.mean_of(kernel.image.outputs, kernel.image.means, 0, until)
        assert found == mean_until(state, until), back

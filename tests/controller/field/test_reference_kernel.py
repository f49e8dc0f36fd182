"""The compiled kernel and the plain-Python reference agree in every state of random stories.

REQ: kernel and reference agree on at least a million random states (`-m campaign`); an ordinary run
takes twenty thousand. A failure names the seed that tells the same story again.
"""

from __future__ import annotations

import time

import pytest
from kernel_bench import shipped_profile
from random_plans import random_plan, stripped
from reference_plan import Model
from twin import Compiled, campaign, size, told_alike

STORIES, SCANS = 4, 40
STATES = STORIES * SCANS  # of one unit
CAMPAIGN = 1_000_000


@pytest.mark.parametrize("part", range(4))
def test_kernel_and_reference_agree_in_every_state_of_random_units(part):
    units = 20_000 // STATES // 4 + 1
    seeds = range(10_000 + part * units, 10_000 + (part + 1) * units)
    assert campaign(Compiled, seeds, STORIES, SCANS) == units * STATES


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(8))
def test_kernel_and_reference_agree_in_a_million_states(part):
    units = CAMPAIGN // STATES // 8 + 1
    seeds = range(1_000_000 + part * units, 1_000_000 + (part + 1) * units)
    begun = time.perf_counter()
    total = campaign(Compiled, seeds, STORIES, SCANS)
    print(f"{total} states, {total / (time.perf_counter() - begun):.0f} a second")
    assert total >= CAMPAIGN / 8


@pytest.mark.parametrize("seed", range(24))
def test_kernel_and_reference_agree_on_the_shipped_unit_told_anything(seed):
    plan = stripped(shipped_profile().plan)
    told_alike(Compiled, plan, Model(plan), seed, 30, buffer=bytearray(size(plan)))


def test_the_means_of_an_output_agree_when_their_ring_has_gone_round():
    plan = random_plan(7)
    told_alike(Compiled, plan, Model(plan), 9, 200)


@pytest.mark.parametrize(("table", "field"), [
    ("conditions", "limit"), ("conditions", "hysteresis"), ("conditions", "on_delay_ns"),
    ("conditions", "off_delay_ns"), ("causes", "on_delay_ns"), ("causes", "bad_delay_ns"),
    ("causes", "off_delay_ns"), ("causes", "votes"), ("causes", "action_delay_ns"),
    ("effects", "value"), ("effects", "confirm_ns"), ("outputs", "resolution"),
])  # fmt: skip
def test_the_comparison_finds_a_kernel_that_runs_on_one_wrong_number(table, field):
    found = 0
    for seed in range(80):
        plan = random_plan(seed)
        model = Model(plan)
        wrong = getattr(plan, table).copy()
        wrong[field] += 1 if wrong.dtype[field].kind == "i" else 1e-6
        try:
            told_alike(Compiled, plan._replace(**{table: wrong}), model, seed, 40)
        except AssertionError:
            found += 1
    assert found >= 3

"""The solver's model, the reference and the kernel say the same of random states.

REQ: z3, kernel and reference agree on at least ten thousand random states (`-m campaign`); an
ordinary run takes some hundred. A failure prints the state; the seed tells it again.
"""

from __future__ import annotations

import pytest
from kernel_bench import shipped_profile
from random_plans import random_plan, stripped
from three_ways import told_alike

SCANS = 12


@pytest.mark.parametrize("seed", range(30))
def test_all_three_agree_in_every_state_of_a_random_unit(seed):
    assert told_alike(random_plan(seed), seed, SCANS) <= SCANS // 2


@pytest.mark.parametrize("seed", range(2))
def test_all_three_agree_on_the_shipped_unit_told_anything(seed):
    assert told_alike(stripped(shipped_profile().plan), seed, 10) <= 5


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(4))
def test_all_three_agree_in_ten_thousand_states(part):
    told = rounded = 0
    for seed in range(1000 + 70 * part, 1070 + 70 * part):
        rounded += told_alike(random_plan(seed), seed, 40)
        told += 40
    assert told >= 2500
    assert rounded <= told // 20

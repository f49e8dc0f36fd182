"""kill -9 of supervisor and field, at any moment of a live run with cells in the vessel.

A few kills in every test run, hundreds in a campaign. The instants are random, from the seed.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from harness import taken_up
from kills import Figures, kill_fields, kill_supervisors, never_silent, said, settle

OPERATOR = ("--script", Path(__file__).with_name("campaign_operator.yaml"))
SUPERVISOR_KILLS, FIELD_KILLS = 200, 50
SUPERVISORS_A_STATION, FIELDS_A_STATION = 50, 25  # kills of one launched station
SEED = 20261122


def test_six_supervisors_and_two_fields_killed_cost_no_scan_no_event_and_no_cell(
    handed, tmp_path, stalls
):
    chance = random.Random(SEED)
    with taken_up(handed, tmp_path, OPERATOR) as live:
        figures = kill_supervisors(live, 6, chance, stalls)
        figures.add(kill_fields(live, 2, chance))
        settle(live, figures)
    said("6 supervisors and 2 fields", figures, SEED)
    assert figures.kills == 8


@pytest.mark.campaign
def test_two_hundred_supervisors_killed(handed, tmp_path, stalls):
    total = Figures()
    for number in range(SUPERVISOR_KILLS // SUPERVISORS_A_STATION):
        seed, folder = SEED + number, tmp_path / str(number)
        folder.mkdir()
        with taken_up(handed, folder, OPERATOR) as live:
            chance = random.Random(seed)
            total.add(kill_supervisors(live, SUPERVISORS_A_STATION, chance, stalls))
            settle(live, total)
        said(f"supervisors, stations to number {number}", total, seed)
    assert total.kills == SUPERVISOR_KILLS


@pytest.mark.campaign
def test_fifty_fields_killed_with_a_dense_culture(dense, tmp_path):
    total = Figures()
    for number in range(FIELD_KILLS // FIELDS_A_STATION):
        seed, folder = SEED + number, tmp_path / str(number)
        folder.mkdir()
        with taken_up(dense, folder, OPERATOR) as live:
            total.add(kill_fields(live, FIELDS_A_STATION, random.Random(seed)))
            settle(live, total)
        said(f"fields, stations to number {number}", total, seed)
    assert total.kills == FIELD_KILLS


def test_a_batch_that_goes_on_without_a_word_is_found():
    def log(*names):
        return [{"event": name} for name in names]

    good = log("a", "batch.attached", "b", "log.recovered", "batch.attached", "c")
    assert never_silent(good, [1, 3]) == []
    assert never_silent(log("a", "b", "c"), [1]) == ["after record 1: b"]
    assert never_silent(log("a", "batch.attached"), [1, 1]) == []

"""The qualification itself, over real terminals and an OPC UA session."""

import time

import pytest

from controller.core.clock import RealClock
from hil_sim.qualification.matrix import matrix
from hil_sim.qualification.runner import Order, execute

LONGEST_S = 600.0


def test_the_smoke_selection_passes_live(tmp_path):
    result = execute(Order("oq", "perfusion_2l", tmp_path / "q", "erin", "smoke"), RealClock())
    assert result.good, result
    assert len(result.verdicts) == 6


@pytest.mark.campaign
def test_the_whole_qualification_passes_unattended_within_ten_minutes(tmp_path):
    out, began = tmp_path / "q", time.monotonic()
    installed = execute(Order("iq", "perfusion_2l", out, "erin"), RealClock())
    assert installed.good, installed
    began = time.monotonic()
    operates = execute(Order("oq", "perfusion_2l", out, "erin"), RealClock())
    assert operates.good, operates
    assert time.monotonic() - began < LONGEST_S
    lines, orphans = matrix(out, "perfusion_2l")
    assert orphans == []
    assert lines[-1].startswith("pass ")
    assert "not run 0" in lines[-1]

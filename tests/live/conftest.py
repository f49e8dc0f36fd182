"""What the live tests share: a hand-over costs ten seconds and more, and nobody writes into it."""

from __future__ import annotations

import time

import pytest
from field_view import watched_machine

from hil_sim.rig.handover import hand_over

DENSE_S = 150 * 3_600.0  # the last day before the harvest: 24e6 cells/mL, 5 L perfused


@pytest.fixture(scope="session")
def handed(tmp_path_factory):
    """Cells in, a little perfusion."""
    return hand_over(tmp_path_factory.mktemp("handed") / "out", end_utc_ns=time.time_ns())


@pytest.fixture(scope="session")
def dense(tmp_path_factory):
    """A dense culture that lives by its perfusion and its oxygen."""
    out = tmp_path_factory.mktemp("dense") / "out"
    return hand_over(out, end_utc_ns=time.time_ns(), until_s=DENSE_S)


@pytest.fixture(scope="session")
def stalls(tmp_path_factory):
    """What a bare loop beside field saw of this machine."""
    with watched_machine(tmp_path_factory.mktemp("machine")) as found:
        yield found

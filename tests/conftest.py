"""How tests run: properties without a deadline on a shared machine, in CI the same examples always.

The order is that of a short run: files that take long begin first, and those that mostly wait for
the wall clock stand beside those that compute. pytest-xdist keeps it with --no-loadscope-reorder;
by itself it would begin the files with the fewest tests, the live ones, last.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("here", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

LONG = (
    "test_peer_faults", "test_rig_runs", "test_live_smoke", "test_kill_campaign", "test_faults",
    "test_commands_in_flight", "test_bench_live", "test_served_faults", "test_field_alone",
    "test_takeup", "test_launcher_reserve", "test_supervisor_silence",
    "test_rings_two_processes", "test_loop",
    "test_harness", "test_witness_live", "test_record_tamper", "test_record_three_ways",
    "test_cli", "test_launcher", "test_plant_culture_run",
    "test_screen", "test_reserve_called", "test_live_qualification",
    "test_record_verify", "test_handover", "test_serve_live", "test_hold_and_restart",
    "test_worker_class", "test_plausibility_faults", "test_seeded_bugs", "test_prove_command",
    "test_trips_in_every_state", "test_cells_on_the_wire", "test_reference_kernel",
)  # fmt: skip


def turn(item: pytest.Item) -> int:
    """When a test's file begins: a live one that is not listed, the long ones, all others."""
    name = item.path.stem
    if name in LONG:
        return LONG.index(name)
    return -1 if "live" in item.path.parts else len(LONG)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorted by the turn of their files; within one, and among the short ones, as they stand."""
    items.sort(key=turn)

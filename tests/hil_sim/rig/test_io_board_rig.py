"""Unit perfusion_2l_io in both virtual fidelities: the real core, its leases, latches and rows.

What is asserted is what drives the plant, the plant's truth and the records, never the board's own
words. Heat is KM101, gas is XV100: both hang on the board.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from io_rig import LIQUIDS, IoRig, io_rig

from controller.core.errors import BadInput
from controller.record.verify import verify
from hil_sim.rig.result import result_of
from hil_sim.rig.rig import FaultAt, Rig

OPEN = [1.0, 1.0, 0.0, 1.0]
SHUT = [0.0] * 4
LEASE_S = 5.0


@pytest.fixture(params=["signal", "wire"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IoRig]:
    with io_rig(tmp_path, request.param) as made:
        yield made
        log = made.rig.log_dir
    report = verify(log, expect_sealed=False)
    assert report.ok, report.problems[:3]


def reset_and_open(unit: IoRig) -> None:
    """A person resets what latched, restarts, and asks for the valves."""
    for row in unit.latched():
        unit.ask("reset", row)
    unit.wait(2.0)
    unit.ask("restart", "procedure")
    unit.wait(2.0)
    for valve, value in zip(LIQUIDS, OPEN, strict=True):
        unit.ask("set_output", valve, f"{value:g}")
    unit.wait(3.0)


def test_a_board_just_switched_on_keeps_liquids_shut_until_a_named_person_resets_its_row(
    tmp_path: Path,
) -> None:
    unit = IoRig(tmp_path, "signal")
    while unit.rig.clock.now_ns < 12e9:
        unit.rig.step(12_000_000_000)
    assert unit.does(*LIQUIDS) == SHUT
    assert unit.named("cause.cleared", row="io.lapse", latched=True)
    assert not unit.named("cause.reset")
    unit.begin()
    (reset,) = unit.named("command.intent", verb="reset")
    assert reset.actor.startswith("unverified:operator_1")
    assert reset.reason
    assert unit.does(*LIQUIDS) == OPEN


def test_a_cut_cable_shuts_liquids_within_their_lease_and_only_a_person_opens_them(
    unit: IoRig,
) -> None:
    assert unit.does(*LIQUIDS) == OPEN
    unit.fault("line_silent", link="io_line")
    unit.wait(LEASE_S - 1.0)
    assert unit.does(*LIQUIDS) == OPEN  # the lease of the last beat holds still
    unit.wait(1.5)
    assert unit.does(*LIQUIDS) == SHUT
    assert unit.named("cause.active", row="20.io")
    unit.wait(20.0)
    assert unit.does("km101", "xv100") == [1.0, 1.0]
    unit.fault("line_silent", False, link="io_line")
    unit.wait(10.0)
    assert unit.lapses()
    assert unit.does(*LIQUIDS, "km101", "xv100") == [*SHUT, 1.0, 1.0]
    assert unit.rig.supervisor.procedure_state == "Held"
    reset_and_open(unit)
    assert unit.does(*LIQUIDS) == OPEN


def test_a_watchdog_reset_shuts_liquids_at_once_and_leaves_heat_and_gas_where_they_are(
    unit: IoRig,
) -> None:
    unit.fault("io_reset")
    unit.wait(0.2)
    assert unit.does(*LIQUIDS, "km101", "xv100") == [*SHUT, 1.0, 1.0]
    unit.wait(6.0)
    assert unit.lapses()
    unit.ask("set_output", "xv201", "1")
    unit.wait(3.0)
    assert unit.does("xv201", "km101", "xv100") == [0.0, 1.0, 1.0]
    reset_and_open(unit)
    assert unit.does(*LIQUIDS) == OPEN


def test_heat_and_gas_come_back_without_a_person_after_power_was_lost(unit: IoRig) -> None:
    unit.fault("io_power_cut")
    unit.wait(3.0)
    assert unit.does(*LIQUIDS, "km101", "xv100", "annunciator") == [*SHUT, 0.0, 0.0, 0.0]
    unit.fault("io_power_cut", False)
    unit.wait(15.0)
    assert unit.does(*LIQUIDS, "km101", "xv100") == [*SHUT, 1.0, 1.0]
    reset_and_open(unit)
    assert unit.does(*LIQUIDS, "km101", "xv100") == [*OPEN, 1.0, 1.0]


def test_air_in_the_feed_line_never_reaches_the_vessel(unit: IoRig) -> None:
    unit.ask("set_flag", "prime", "0", second="unverified:operator_2@station")
    unit.rig.plant.clear_fault("BS101_stuck")
    unit.wait(2.0)
    unit.fault("air_in_feed", share=0.5)
    unit.wait(10.0)
    assert unit.named("cause.active", row="air")
    assert unit.does("xv201", "feed_rpm") == [0.0, 0.0]
    unit.wait(300.0)
    assert unit.rig.plant.truth()["air_to_vessel_ml"] == 0.0


def test_a_trip_of_the_board_is_the_same_row_of_the_kernel_with_one_reset(unit: IoRig) -> None:
    unit.rig.plant.set_fault("PT101_stuck", 1.0, 50.0)
    unit.wait(3.0)
    assert unit.does("xv100", "xv201", "xv204") == [0.0, 0.0, 0.0]
    assert len(unit.named("cause.active", row="6")) == 1
    unit.rig.plant.set_fault("PT101_stuck", 1.0, 5.0)
    unit.wait(5.0)
    assert unit.does("xv100") == [0.0]
    unit.ask("reset", "6")
    unit.wait(2.0)
    unit.ask("restart", "procedure")
    unit.wait(2.0)
    for output in ("xv100", "xv201", "xv204"):
        unit.ask("set_output", output, "1")
    unit.wait(3.0)
    assert unit.does("xv100", "xv201", "xv204") == [1.0, 1.0, 1.0]
    assert len(unit.named("cause.reset", row="6")) == 1


def test_a_cut_annunciator_is_an_alarm_and_silent_in_truth(unit: IoRig) -> None:
    unit.rig.plant.clear_fault("HS101_stuck")
    unit.fault("annunciator_cut")
    unit.wait(8.0)
    assert unit.named("cause.active", row="p.annunciator")
    assert unit.rig.plant.truth()["sounding"] == 0.0


def test_a_broken_wire_is_a_bad_signal_and_never_a_value(unit: IoRig) -> None:
    unit.fault("bad_quality", point="TT102")
    unit.wait(3.0)
    changes = unit.named("quality.changed", tag="TT102")
    assert changes[-1].data["new"] == "bad"
    unit.fault("bad_quality", False, point="TT102")
    unit.wait(3.0)
    assert unit.named("quality.changed", tag="TT102")[-1].data["new"] == "good"


def test_bit_errors_of_one_in_ten_thousand_neither_shut_nor_move_anything(tmp_path: Path) -> None:
    with io_rig(tmp_path, "wire") as unit:
        unit.fault("io_bit_errors", share=1e-4)
        unit.wait(60.0)
        assert unit.does(*LIQUIDS, "km101", "xv100") == [*OPEN, 1.0, 1.0]
        assert not unit.lapses()


def test_an_unknown_image_may_not_open_a_valve_until_a_person_has_looked(tmp_path: Path) -> None:
    with io_rig(tmp_path, "wire") as unit:
        unit.fault("io_unknown_image")
        unit.wait(8.0)
        assert unit.named("board.unknown_image") or unit.named("board.unknown")
        assert unit.does(*LIQUIDS) == SHUT
        assert unit.lapses()
        assert unit.rig.supervisor.procedure_state == "Held"


@pytest.mark.parametrize("fidelity", ["signal", "wire"])
def test_the_same_seed_leads_to_the_same_log_root(tmp_path: Path, fidelity: str) -> None:
    roots = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with io_rig(tmp_path / name, fidelity) as unit:
            unit.fault("io_reset")
            unit.wait(10.0)
            log = unit.rig.log_dir
        roots.add(verify(log, expect_sealed=False).root)
    assert len(roots) == 1


def test_a_fault_of_a_board_is_refused_for_a_unit_that_has_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no I/O board"):
        Rig(tmp_path, faults=[FaultAt("io_reset", 20.0)])


@pytest.mark.campaign
def test_campaign_seven_days_with_the_board_lead_to_the_culture_of_the_unit_without_it(
    tmp_path: Path,
) -> None:
    found = {}
    for name in ("perfusion_2l", "perfusion_2l_io"):
        rig = Rig(tmp_path / name, unit=name)
        began = time.perf_counter()
        rig.run()
        rig.finish()
        found[name] = result_of(rig, time.perf_counter() - began)
        print(name, found[name])
    plain, board = found["perfusion_2l"], found["perfusion_2l_io"]
    assert plain["verified"]
    assert board["verified"]
    assert board["state"] == plain["state"] == "Complete"
    assert board["holds"] == 0
    assert board["trips"] == ["io.lapse", *plain["trips"]]
    for key in ("vcd_e6_per_ml", "viability_pct", "volume_l", "lactate_mm", "perfused_l"):
        assert board["final"][key] == pytest.approx(plain["final"][key], rel=2e-3), key
    assert all(share == 100.0 for share in board["in_band_pct"].values())

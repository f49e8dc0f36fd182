"""What cannot be so, on the plant: each fault alone in a dense culture, told before it harms.

FR-P-* are the requirements. The culture must still be well when people are told.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_rig import FAULT_AT_S, Warm, warm

from controller.core.signal import Quality
from controller.desk import Request

MINUTE = 60.0
# fault, magnitude, what it holds, the row that must tell, minutes until it has told
FAULTS = [
    ("heater_stuck", 1.0, 70.0, "p.heater", 1.0),  # FR-P-HEAT
    ("stirrer_stuck", 1.0, 300.0, "p.stirrer", 1.5),  # FR-P-STIR
    ("feed_stuck", 1.0, 8.0, "p.feed", 1.0),  # FR-P-FEED
    ("perfusate_stuck", 1.0, 8.0, "p.perfusate", 1.0),  # FR-P-PERF
    ("base_stuck", 1.0, 40.0, "p.base", 1.0),  # FR-P-BASE
    ("air_stuck", 1.0, 400.0, "p.air", 3.0),  # FR-P-AIR
    ("o2_stuck", 1.0, 120.0, "p.o2", 3.0),  # FR-P-O2
    ("co2_stuck", 1.0, 60.0, "p.co2", 3.0),  # FR-P-CO2
    ("n2_stuck", 1.0, 40.0, "p.n2", 3.0),  # FR-P-N2
    ("xv100_stuck", 1.0, 0.0, "p.xv100", 0.2),  # FR-P-XV100
    ("xv201_stuck", 1.0, 0.5, "p.xv201", 0.2),  # FR-P-XV201
    ("xv202_stuck", 1.0, 0.5, "p.xv202", 0.2),  # FR-P-XV202
    ("xv203_stuck", 1.0, 0.5, "p.xv203", 0.2),  # FR-P-XV203
    ("xv204_stuck", 1.0, 0.5, "p.xv204", 0.2),  # FR-P-XV204
    ("TT101_offset", 0.5, None, "p.t_drift", 14.0),  # FR-P-TD
    ("LT101_offset", 0.1, None, "p.volume_drift", 14.0),  # FR-P-VD
    ("TT101_stuck", 1.0, None, "p.t1_noise", 32.0),  # FR-P-T1
    ("TT102_stuck", 1.0, None, "p.t2_noise", 32.0),  # FR-P-T2
    ("PT101_stuck", 1.0, None, "p.pressure_noise", 32.0),  # FR-P-PT
    ("WT101_stuck", 1.0, None, "p.weight_noise", 32.0),  # FR-P-WT
    ("perfusate_loss", 1.0, None, "p.perfusate_moves", 45.0),  # FR-P-PERFM
]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Warm]:
    """A dense culture under control."""
    with warm(tmp_path, "signal") as made:
        made.settled()
        yield made


@pytest.mark.parametrize(("fault", "size", "held", "row", "minutes"), FAULTS,
                         ids=[each[0] for each in FAULTS])  # fmt: skip
def test_a_fault_is_told_by_its_own_row_while_the_culture_is_well(
    rig: Warm, fault: str, size: float, held: float | None, row: str, minutes: float
) -> None:
    rig.rig.plant.set_fault(fault, size, held)
    rig.run_to(FAULT_AT_S + minutes * MINUTE)
    [told, *_] = rig.named("cause.active", row=row) or [None]
    assert told is not None, f"{row} never told\n{rig.words()}"
    [alarm, *_] = rig.named("alarm.state", alarm=f"row:{row}")
    assert alarm.data["new"] == "UNACK"
    assert not rig.named("effect.applied", row=row), "it only tells"
    assert rig.span("temperature_degc")[0] > 36.0
    assert rig.span("temperature_degc")[1] < 38.5
    assert rig.span("do_pct")[0] > 15.0
    assert 6.9 < rig.span("ph")[0] <= rig.span("ph")[1] < 7.4
    low, high = rig.span("volume_l")
    assert 1.9 < low <= high < 2.15


def test_a_feed_that_does_not_arrive_is_told_where_row_9_sees_too_little(rig: Warm) -> None:
    """FR-P-FEEDM. At 3.6 mL/min an empty bag makes 36 g in 10 min, and row 9 asks for 50."""
    rig.rig.plant.set_fault("feed_loss", 1.0)
    for minute in range(20):
        rig.rig.supervisor.desk.ask(Request("set_output", "feed", "3.6", "op", "operator", "test"))
        rig.run_to(FAULT_AT_S + (minute + 1) * MINUTE)
    assert rig.trips()[:1] == ["p.feed_moves"], rig.words()
    assert rig.span("volume_l")[0] > 1.93


def test_a_stuck_ph_probe_loses_its_quality_and_base_is_shut(rig: Warm) -> None:
    """FR-P-PH. A loop that controls by its last number would add base, or none, for hours."""
    rig.rig.plant.set_fault("AT101_stuck", 1.0, None)
    rig.run_to(FAULT_AT_S + 32 * MINUTE)
    assert rig.named("cause.active", row="p.ph_still"), rig.words()
    reading = rig.rig.station.board.read("AT101")
    assert reading.quality is Quality.BAD
    assert reading.reason.words.startswith("stuck")
    assert rig.named("effect.applied", row="11", output="base")
    assert rig.named("effect.applied", row="11.bad", output="co2")
    assert float(rig.rig.plant._s.xv204_actual) < 0.01
    assert 7.0 < rig.span("ph")[0] <= rig.span("ph")[1] < 7.4


def test_a_row_that_only_tells_goes_by_itself_when_the_fault_is_gone(rig: Warm) -> None:
    rig.rig.plant.set_fault("TT101_offset", 0.5, None)
    rig.run_to(FAULT_AT_S + 14 * MINUTE)
    assert rig.named("cause.active", row="p.t_drift")
    rig.rig.plant.clear_fault("TT101_offset")
    rig.run_to(FAULT_AT_S + 27 * MINUTE)
    assert rig.named("cause.cleared", row="p.t_drift")
    assert rig.trips() == ["p.t_drift"]
    assert rig.rig.supervisor.procedure_state == "Running"


def test_healthy_cultures_of_other_units_raise_no_such_row(tmp_path: Path) -> None:
    for seed in (2, 3, 4):
        with warm(tmp_path / str(seed), "signal", seed=seed) as made:
            made.rig.run(6 * 3600.0)
            assert [row for row in made.trips() if row.startswith("p.")] == [], made.words()

"""Each fault of the unit's table, alone, in both virtual fidelities: found, acted on, truth kept.

FLT-nn are the rows of the fault table. Bytes are what left on the line, truth is the plant's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warm_rig import FAULT_AT_S, Warm, warm

from controller.core.signal import Quality
from controller.record.verify import verify
from hil_sim.rig.rig import FAULTS

AT = FAULT_AT_S
HALF_HOUR = 30.0
WIRE, SIGNAL = "wire", "signal"
EXCHANGE_NS = 600_000_000  # the longest exchange in flight, with its time-out, plus one scan


@pytest.fixture(params=[SIGNAL, WIRE])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warm]:
    """A dense culture under control, in both fidelities."""
    with warm(tmp_path, request.param) as made:
        made.settled()
        yield made
    report = verify(made.rig.log_dir, expect_sealed=False)
    assert report.ok, report.problems[:3]


def trip(rig: Warm, row: str) -> Any:
    """The first trip of a row; fails with the story when there is none."""
    found = rig.named("cause.active", row=row)
    assert found, f"row {row} never tripped\n{rig.words()}"
    return found[0]


def scan_ns(rig: Warm, event: Any) -> int:
    """The time of the scan an event happened in."""
    return int(event.data["scan"]) * 100_000_000


def first_safe_write(rig: Warm, event: Any, link: str, what: Any) -> None:
    """WIRE only: the safe frame is the first command on its link and leaves after the exchange."""
    if rig.rig.fidelity != WIRE:
        return
    at_ns = scan_ns(rig, event)
    later = [(t, frame) for t, name, frame in rig.sent if name == link and t >= at_ns]
    assert later, f"nothing left on {link} after the trip\n{rig.words()}"
    time_ns, frame = later[0]
    assert frame in what, f"first on {link} after the trip was {frame!r}, not one of {what!r}"
    assert time_ns - at_ns <= EXCHANGE_NS, f"{(time_ns - at_ns) / 1e6:.0f} ms after the trip"


def held(rig: Warm) -> None:
    """The batch is Held and the Hold is recorded."""
    assert rig.rig.supervisor.procedure_state == "Held", rig.words()
    assert rig.named("unit.hold")


def shut(rig: Warm, *valves: str) -> None:
    """The plant's valves really are closed."""
    for valve in valves:
        position = float(rig.rig.plant._s[f"{valve}_actual"])
        assert position < 0.01, f"{valve} is {position}"


def test_flt_01_a_heater_stuck_on_is_cut_by_row_1_and_its_contactor(rig: Warm) -> None:
    rig.fault("heater_stuck_on")
    rig.run_to(AT + 45 * 60)
    event = trip(rig, "1")
    first_safe_write(rig, event, "skid", [("HEATER_CMD", 0.0), ("KM101_CMD", False)])
    if rig.rig.fidelity == WIRE:
        writes = [f for t, n, f in rig.sent if n == "skid" and t >= scan_ns(rig, event)]
        assert {("HEATER_CMD", 0.0), ("KM101_CMD", False)} <= set(writes[:2])
    assert rig.span("temperature_degc")[1] < 39.5
    assert float(rig.rig.plant._s.km101_actual) < 0.5
    assert rig.named("effect.confirmed", row="1", output="km101")
    held(rig)
    rig.in_band(AT, HALF_HOUR, skip="temperature_degc")


def test_flt_02_a_stuck_do_probe_loses_its_quality_and_gas_goes_to_its_earlier_mean(
    rig: Warm,
) -> None:
    before = [rig.rig.station.board.read(gas).value for gas in ("air", "o2")]
    rig.fault("do_probe_stuck")
    rig.run_to(AT + 75 * 60)
    assert {"p.do_still", "p.do_deaf"} & set(rig.trips()), rig.words()
    reading = rig.rig.station.board.read("AT102")
    assert reading.quality is Quality.BAD
    assert reading.reason.words.startswith("stuck")
    trip(rig, "16.bad")
    for gas, value in zip(("air", "o2"), before, strict=True):
        [applied] = rig.named("effect.applied", row="16.bad", output=gas)
        assert float(applied.data["value"]) == pytest.approx(value, abs=15.0)
    low, high = rig.span("do_pct")
    assert low > 15.0
    assert high < 90.0
    rig.in_band(AT, HALF_HOUR)


def test_flt_03_a_drifting_ph_probe_is_found_by_the_sample_and_base_goes_off(rig: Warm) -> None:
    rig.fault("ph_probe_drift", per_h=0.06)
    rig.run_to(4.6 * 3600)
    asked = [e for e in rig.named("prompt.opened") if "ph_probe" in str(e.data["prompt_id"])]
    assert asked, rig.words()
    at_s = asked[0].stamp.mono_ns / 1e9
    true_ph = next(row["ph"] for row in rig.truth if row["t"] >= at_s)
    print(f"true pH when the drift was found: {true_ph:.3f}")
    assert rig.named("effect.applied", row="phase.no_base", output="base")
    shut(rig, "xv204")
    rate = max(
        (b["base_total_ml"] - a["base_total_ml"]) * 3600.0
        for a, b in zip(rig.truth[::60], rig.truth[60::60], strict=False)
    ) / 60.0
    assert rate <= 12.0
    rig.in_band(AT, HALF_HOUR, skip="ph")


def test_flt_04_a_lost_gas_link_holds_the_batch_and_the_cells_keep_their_gas(rig: Warm) -> None:
    rig.fault("mfc_link_lost")
    rig.run_to(AT + 35 * 60)
    event = trip(rig, "20.gas_bus")
    assert scan_ns(rig, event) / 1e9 - AT < 4.0
    held(rig)
    assert rig.span("pressure_mbar")[1] < 60.0
    assert rig.rig.plant.truth()["relief_opened"] == 0
    assert rig.span("do_pct", AT, AT + 1800)[0] > 15.0
    assert rig.rig.station.board.read("FT_AIR").quality is Quality.BAD
    rig.in_band(AT, HALF_HOUR)


def test_flt_05_a_feed_pump_stuck_on_is_stopped_by_its_pinch_valve(rig: Warm) -> None:
    start = rig.rig.plant.truth()["volume_l"]
    rig.fault("pump_stuck_on", pump="feed", rpm=20.0)
    rig.run_to(AT + 45 * 60)
    rows = [row for row in rig.trips() if row == "9" or row.startswith("19")]
    assert rows, rig.words()
    event = trip(rig, rows[0])
    first_safe_write(rig, event, "pump_bus", [b"1ST\r", b"2ST\r", b"3ST\r"])
    first_safe_write(
        rig, event, "skid", [("XV201_CMD", False), ("XV202_CMD", False), ("XV203_CMD", False)]
    )
    shut(rig, "xv201")
    low, high = rig.span("volume_l")
    assert start - 0.1 < low
    assert high < start + 0.1
    held(rig)
    assert rig.named("effect.not_confirmed", output="feed"), rig.words()
    assert rig.span("temperature_degc", AT, AT + 1800)[0] > 36.0


def test_flt_06_a_lost_balance_shuts_the_liquids_and_the_level_takes_over(rig: Warm) -> None:
    start = rig.rig.plant.truth()["volume_l"]
    rig.fault("balance_disconnected")
    rig.run_to(AT + 35 * 60)
    event = trip(rig, "9")
    assert "WT101 bad" in str(rig.named("quality.changed", tag="WT101")) or event
    first_safe_write(
        rig, event, "skid", [("XV201_CMD", False), ("XV202_CMD", False), ("XV203_CMD", False)]
    )
    shut(rig, "xv201", "xv202", "xv203")
    assert rig.rig.station.board.read("VOL").good
    low, high = rig.span("volume_l")
    assert start - 0.1 < low
    assert high < start + 0.1
    held(rig)
    rig.in_band(AT, HALF_HOUR)


@pytest.mark.parametrize("fault", ["skid_frozen", "skid_killed"])
def test_flt_07_a_silent_skid_keeps_warm_cells_and_shut_liquids(rig: Warm, fault: str) -> None:
    rig.fault(fault)
    rig.run_to(AT + 35 * 60)
    trip(rig, "20.skid")
    low, high = rig.span("temperature_degc", AT, AT + 1800)
    assert low > 34.0
    assert high < 39.5
    shut(rig, "xv201", "xv202", "xv203", "xv204")
    held(rig)
    assert rig.rig.station.board.read("TT101").quality is Quality.BAD
    assert float(rig.rig.plant._s.km101_actual) > 0.5  # no row names it: it stays closed
    assert float(rig.rig.plant._s.stirrer_rpm_actual) > 100.0
    rig.in_band(AT, HALF_HOUR, skip="temperature_degc ph")


def test_flt_09_bad_quality_is_never_taken_for_a_value(rig: Warm) -> None:
    rig.fault("bad_quality", point="AT102")
    rig.run_to(AT + 31 * 60)
    reading = rig.rig.station.board.read("AT102")
    assert reading.quality is Quality.BAD
    assert rig.named("quality.changed", tag="AT102", new="bad")
    trip(rig, "16.bad")
    rig.in_band(AT, HALF_HOUR)


def test_flt_10_answers_later_than_the_time_out_are_never_good_values(rig: Warm) -> None:
    rig.fault("slow_read", link="probe_bus", late_ms=350)
    seen: list[tuple[str, Quality]] = []
    for second in range(40):
        rig.run_to(AT + 5 + second)
        for tag in ("AT101", "AT102", "TT102"):
            seen.append((tag, rig.rig.station.board.read(tag).quality))
    assert Quality.GOOD not in {quality for _, quality in seen}
    assert rig.named("quality.changed", tag="AT101", new="bad")
    trip(rig, "20.probe_bus")
    rig.run_to(AT + 31 * 60)
    rig.in_band(AT, HALF_HOUR)


def test_flt_11_a_driver_exception_costs_one_link_a_moment_and_nothing_else(rig: Warm) -> None:
    rig.fault("driver_exception", link="probe_bus")
    rig.run_to(AT + 31 * 60)
    gone = rig.named("quality.changed", tag="AT101", new="bad")
    assert gone
    said = [e for e in rig.events if e.name in ("link.fault", "quality.changed")]
    assert any("driver" in e.words() for e in said), rig.words()
    assert rig.rig.station.board.read("AT101").good
    assert not rig.named("quality.changed", tag="FT_AIR")
    rig.in_band(AT, HALF_HOUR)


def test_every_fault_of_the_table_has_its_test_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in FAULTS if f'"{name}"' not in text] == []


def test_no_value_in_the_image_is_ever_not_finite(rig: Warm) -> None:
    rig.fault("bad_quality", point="AT101")
    rig.run_to(AT + 60)
    values = rig.rig.station.image.signals["value"]
    assert all(math.isfinite(float(value)) for value in values)

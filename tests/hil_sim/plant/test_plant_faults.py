"""Each fault does what it says to the truth, and the protection outside the controller holds."""

import pytest

from hil_sim.plant.faults import FAULTS, FaultError
from hil_sim.plant.hands import HandError
from hil_sim.plant.plant import Plant

OFF = dict.fromkeys(
    ("air", "o2", "co2", "n2", "feed_rpm", "perfusate_rpm", "base_rpm", "heater_pct"), 0.0
)
MEDIUM = {
    "glucose_mm": 0.6, "lactate_mm": 40.0, "glutamine_mm": 1.6, "il2": 76.0, "ammonia_mm": 1.9,
    "sid_mm": 24.0, "dic_mm": 23.0,
}  # fmt: skip


def day_seven(seed: int = 1) -> Plant:
    """Two litres near 40e6 awake cells/mL in spent medium at 37 degC and DO 50 %, all flows off."""
    plant = Plant(seed, {"activation_0": 1.0})
    plant.command(**OFF, stirrer_rpm=180.0, xv202=1.0, xv203=0.0)
    plant.advance(200)
    plant.add_bolus(1.88, celsius=37.2, oxygen_mm=0.105, **MEDIUM)
    plant.inoculate(0.1, 800.0, 0.9, celsius=37.0)
    for field, value in MEDIUM.items():
        plant.s[field] = value
    plant.s["oxygen_mm"] = 0.105
    plant.s["vessel_degc"] = plant.s["jacket_degc"] = 37.0
    plant.advance(10)
    return plant


def test_gas_off_takes_dissolved_oxygen_from_half_to_nothing_in_three_to_five_minutes() -> None:
    plant = day_seven()
    assert plant.truth()["vcd_e6_per_ml"] == pytest.approx(40.0, rel=0.02)
    seconds = 0
    while plant.truth()["do_pct"] > 2.0 and seconds < 1_000:
        plant.advance(10)
        seconds += 1
    assert 180 <= seconds <= 300


def test_perfusion_off_takes_glucose_below_the_batch_limit_within_twenty_minutes() -> None:
    plant = day_seven()
    plant.command(air=300.0, o2=100.0)
    plant.advance(12_000)
    assert plant.truth()["glucose_mm"] < 0.3


@pytest.mark.parametrize("perfusion_rpm", [0.0, 3.1])
def test_heater_off_cools_one_degree_in_twelve_to_twenty_three_minutes(
    perfusion_rpm: float,
) -> None:
    plant = day_seven()
    plant.command(air=300.0, o2=100.0, feed_rpm=perfusion_rpm, perfusate_rpm=perfusion_rpm)
    plant.advance(1_200)
    start = plant.truth()["temperature_degc"]
    plant.advance(6_000)
    assert 12.0 <= 10.0 / (start - plant.truth()["temperature_degc"]) <= 23.0


def test_heater_stuck_at_full_power_heats_by_about_two_thirds_of_a_degree_a_minute() -> None:
    plant = day_seven()
    plant.command(air=300.0, o2=100.0)
    plant.set_fault("heater_stuck", held=100.0)
    plant.advance(600)
    start = plant.truth()["temperature_degc"]
    plant.advance(600)
    assert 0.55 <= plant.truth()["temperature_degc"] - start <= 0.75


def test_hard_wired_cut_out_keeps_a_stuck_heater_below_the_lethal_temperature() -> None:
    plant = day_seven()
    plant.command(air=300.0, o2=100.0)
    plant.set_fault("heater_stuck", held=100.0)
    hottest = 0.0
    for _ in range(360):
        plant.advance(100)
        hottest = max(hottest, plant.truth()["temperature_degc"])
    assert 39.0 < hottest < 39.5
    assert plant.truth()["tsh_trips"] >= 1


def test_open_contactor_takes_the_power_from_a_stuck_heater() -> None:
    plant = day_seven()
    plant.set_fault("heater_stuck", held=100.0)
    plant.advance(300)
    assert plant.s["heater_w"][0] == pytest.approx(100.0)
    plant.command(km101=0.0)
    plant.advance(2)
    assert plant.s["heater_w"][0] == 0.0
    assert plant.measure("KM101_AUX") == 0.0
    plant.set_fault("km101_stuck", held=1.0)
    plant.advance(2)
    assert plant.s["heater_w"][0] == pytest.approx(100.0)


def test_stuck_pump_turns_on_at_command_zero_until_its_pinch_valve_closes() -> None:
    plant = day_seven()
    plant.command(feed_rpm=20.0)
    plant.advance(100)
    plant.set_fault("feed_stuck")
    plant.command(feed_rpm=0.0)
    plant.advance(100)
    assert plant.measure("ST_FEED") == pytest.approx(20.0, abs=0.2)
    before = plant.truth()["volume_l"]
    plant.advance(600)
    assert plant.truth()["volume_l"] - before == pytest.approx(0.018, rel=0.1)
    plant.command(xv201=0.0)
    plant.advance(5)
    shut = plant.truth()["volume_l"]
    plant.advance(600)
    assert plant.truth()["volume_l"] == pytest.approx(shut, abs=1e-5)


@pytest.mark.parametrize("valve", ["xv100", "xv201", "xv202", "xv203", "xv204"])
def test_stuck_valve_stays_and_its_proof_tells_the_truth(valve: str) -> None:
    plant = Plant()
    plant.set_fault(f"{valve}_stuck")
    plant.command(**{valve: 0.0})
    plant.advance(50)
    assert plant.measure(f"{valve.upper()}_OPEN") == 1.0
    plant.clear_fault(f"{valve}_stuck")
    plant.advance(50)
    assert plant.measure(f"{valve.upper()}_CLOSED") == 1.0


def test_stuck_do_probe_shows_one_value_while_the_truth_moves() -> None:
    plant = day_seven()
    plant.set_fault("AT102_stuck")
    held = plant.measure("AT102")
    plant.advance(1_200)
    assert {plant.measure("AT102") for _ in range(20)} == {held}
    assert plant.truth()["do_pct"] < 30.0
    plant.clear_fault("AT102_stuck")
    assert plant.measure("AT102") < held - 5.0


def test_drifting_ph_probe_leaves_the_truth_and_forgets_its_drift_when_mended() -> None:
    plant, healthy = day_seven(), day_seven()
    plant.set_fault("AT101_drift_per_h", 0.2)
    for each in (plant, healthy):
        each.advance(36_000)
    assert plant.truth()["ph"] == healthy.truth()["ph"]
    assert plant.measure("AT101") - healthy.measure("AT101") == pytest.approx(0.2, abs=0.002)
    plant.clear_fault("AT101_drift_per_h")
    assert plant.measure("AT101") == pytest.approx(healthy.measure("AT101"), abs=0.03)


def test_sensor_offset_moves_the_reading_alone() -> None:
    plant = day_seven()
    before = plant.measure("TT101")
    plant.set_fault("TT101_offset", 2.0)
    assert plant.measure("TT101") == pytest.approx(before + 2.0, abs=0.1)


def test_blocked_vent_raises_the_pressure_until_the_relief_valve_opens() -> None:
    plant = day_seven()
    plant.command(air=200.0)
    plant.advance(300)
    warm = 310.15 / 273.15  # the vent sees the gas at vessel temperature
    assert plant.truth()["pressure_mbar"] == pytest.approx(2.0 * warm, rel=0.015)
    plant.set_fault("vent_blocked", 1.0)
    highest = 0.0
    for _ in range(1_200):
        plant.advance(1)
        highest = max(highest, plant.truth()["pressure_mbar"])
    assert 60.0 < highest < 62.0  # what one tick of this flow adds above the setting
    assert plant.truth()["relief_opened"] >= 1


def test_blocked_vent_lets_the_pressure_rise_by_the_flow_over_the_head_volume() -> None:
    plant = day_seven()
    plant.command(air=200.0)
    plant.advance(300)
    plant.set_fault("vent_blocked", 1.0)
    start = plant.truth()
    plant.advance(20)
    rise = plant.truth()["pressure_mbar"] - start["pressure_mbar"]
    head_ml = (3.0 - start["volume_l"]) * 1000.0
    flow_ml_s = 200.0 / 60.0 * 310.15 / 273.15
    assert rise == pytest.approx(2.0 * flow_ml_s * 1013.25 / head_ml, rel=0.015)


def test_closed_header_valve_stops_the_gas_and_the_pressure() -> None:
    plant = day_seven()
    plant.command(air=200.0)
    plant.set_fault("vent_blocked", 1.0)
    plant.advance(100)
    plant.command(xv100=0.0)
    plant.advance(10)
    held = plant.truth()["pressure_mbar"]
    assert held > 20.0
    plant.advance(300)
    assert plant.truth()["pressure_mbar"] <= held
    assert plant.measure("FT_AIR") == pytest.approx(0.0, abs=2.5)


def test_pressure_hold_of_an_intact_set_passes_and_of_a_leaking_set_fails() -> None:
    drops = []
    for leak in (0.0, 0.5):
        plant = Plant()
        plant.command(**OFF)
        plant.advance(100)
        plant.set_fault("set_leak_ml_min_mbar", leak)
        plant.pressurise(25.0)
        plant.advance(3_000)
        drops.append(25.0 - plant.truth()["pressure_mbar"])
        plant.release()
        plant.advance(100)
        assert plant.truth()["pressure_mbar"] == pytest.approx(0.0, abs=0.2)
    assert 0.0 < drops[0] < 0.5
    assert drops[1] > 5.0


def test_pressure_above_the_relief_setting_is_refused() -> None:
    plant = Plant()
    with pytest.raises(HandError):
        plant.pressurise(80.0)
    assert plant.truth()["pressure_mbar"] < 60.0


def test_failing_retention_device_shows_in_the_perfusate_count_and_loses_cells() -> None:
    plant = day_seven()
    before = plant.draw_sample(0.01)["perfusate_e6_per_ml"]
    plant.set_fault("retention_loss", 0.5)
    assert plant.draw_sample(0.01)["perfusate_e6_per_ml"] > 50.0 * before
    plant.command(air=300.0, o2=100.0, feed_rpm=20.0, perfusate_rpm=20.0)
    cells = plant.truth()["vcd_e6_per_ml"]
    plant.advance(12_000)
    assert plant.truth()["vcd_e6_per_ml"] < 0.95 * cells


def test_lost_transfer_lowers_kla_by_the_same_share() -> None:
    plant = day_seven()
    plant.command(air=200.0)
    plant.advance(100)
    whole = plant.truth()["kla_per_h"]
    plant.set_fault("kla_loss", 0.4)
    plant.advance(20)
    assert plant.truth()["kla_per_h"] == pytest.approx(0.6 * whole, rel=1e-3)


def test_occluded_line_delivers_less_while_the_pump_reads_its_speed() -> None:
    plant = day_seven()
    plant.command(feed_rpm=20.0)
    plant.set_fault("feed_loss", 1.0)
    plant.advance(600)
    before = plant.truth()["volume_l"]
    plant.advance(600)
    assert plant.truth()["volume_l"] == pytest.approx(before, abs=1e-5)
    assert plant.measure("ST_FEED") == pytest.approx(20.0, abs=0.2)


def test_fault_nobody_implements_is_refused_with_the_way_to_the_list() -> None:
    plant = Plant()
    before = plant.snapshot()
    with pytest.raises(FaultError, match="FAULTS"):
        plant.set_fault("gremlin")
    with pytest.raises(FaultError, match="share"):
        plant.set_fault("vent_blocked", 2.0)
    with pytest.raises(FaultError, match="not usable"):
        plant.set_fault("TT101_offset", float("nan"))
    with pytest.raises(FaultError, match="holds no value"):
        plant.set_fault("TT101_offset", 1.0, held=3.0)
    assert plant.snapshot() == before


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_switched_on_and_off_leaves_the_fault_record_healthy(name: str) -> None:
    plant, healthy = Plant(), Plant()
    plant.set_fault(name, 0.5)
    assert plant.f.tobytes() != healthy.f.tobytes()
    plant.clear_fault(name)
    field = FAULTS[name]
    values = plant.f[field.field][0]
    assert (values if field.index < 0 else values[field.index]) == 0.0

"""Conservation, step size and determinism of the assembled plant."""

import math

import numpy as np
import pytest
from numba import njit

from hil_sim.plant.chemistry import carbonate_k1_mm, hydrogen_mm
from hil_sim.plant.hands import HandError
from hil_sim.plant.parameters import PARAMETERS, ParameterError, draw
from hil_sim.plant.plant import Plant
from hil_sim.plant.state import COMMANDS_DTYPE, STATE_DTYPE, Record

OFF = dict.fromkeys(
    ("air", "o2", "co2", "n2", "feed_rpm", "perfusate_rpm", "base_rpm", "heater_pct"), 0.0
)


def quiet(seed: int = 1, volume_l: float = 2.0, **parameters: float) -> Plant:
    """A filled vessel with every flow, pump and the heater off, stirred."""
    plant = Plant(seed, parameters)
    plant.command(**OFF, stirrer_rpm=180.0, xv202=1.0, xv203=0.0)
    plant.advance(100)
    plant.add_bolus(
        volume_l, celsius=37.0, glucose_mm=25.0, glutamine_mm=4.0, il2=100.0, sid_mm=25.0,
        dic_mm=24.0, oxygen_mm=0.2,
    )  # fmt: skip
    return plant


def amount(plant: Plant, field: str) -> float:
    return float(plant.s[field][0] * plant.s["volume_l"][0])


def test_found_unit_runs_half_way_up_with_an_empty_cool_vessel() -> None:
    plant = Plant()
    truth = plant.truth()
    assert truth["volume_l"] == 0.02
    assert truth["temperature_degc"] == 20.0
    assert plant.measure("FT_AIR") == pytest.approx(250.0, abs=10.0)
    assert plant.measure("JT_HEATER") == pytest.approx(50.0, abs=1.0)
    assert plant.measure("XV203_OPEN") == 1.0


def test_found_unit_left_alone_for_a_day_stays_finite_and_within_its_protection() -> None:
    plant = Plant()
    plant.advance(864_000)
    assert all(np.isfinite(plant.s[name]).all() for name in STATE_DTYPE.names or ())
    truth = plant.truth()
    assert 0.0 < truth["volume_l"] < 3.0
    assert truth["temperature_degc"] < 40.0


def test_liquid_in_minus_liquid_out_is_the_change_of_volume() -> None:
    plant = quiet()
    before = plant.truth()
    plant.command(feed_rpm=8.0, perfusate_rpm=6.0, base_rpm=50.0, air=100.0)
    plant.advance(36_000)
    after, s = plant.truth(), plant.s[0]
    moved = s["feed_total_ml"] + s["base_total_ml"] - s["waste_total_ml"] - s["evaporated_ml"]
    moved -= before["feed_total_ml"] + before["base_total_ml"] - before["perfused_ml"]
    assert (after["volume_l"] - before["volume_l"]) * 1000.0 == pytest.approx(moved, abs=0.05)
    assert 50.0 - after["medium_bag_l"] == pytest.approx(after["feed_total_ml"] / 1000.0, abs=1e-6)


def test_glucose_and_lactate_close_over_feed_outflow_and_uptake() -> None:
    plant = quiet(activation_0=1.0)
    plant.inoculate(0.05, 800.0, 0.95)
    glucose, lactate = amount(plant, "glucose_mm"), amount(plant, "lactate_mm")
    out_glucose = out_lactate = 0.0
    start = plant.truth()
    plant.command(feed_rpm=3.0, perfusate_rpm=3.0, air=200.0, o2=100.0)
    for _ in range(720):
        waste = plant.truth()["perfused_ml"]
        before = plant.truth()
        plant.advance(50)
        out = (plant.truth()["perfused_ml"] - waste) / 1000.0
        out_glucose += out * 0.5 * (before["glucose_mm"] + plant.truth()["glucose_mm"])
        out_lactate += out * 0.5 * (before["lactate_mm"] + plant.truth()["lactate_mm"])
    end = plant.truth()
    fed = (end["feed_total_ml"] - start["feed_total_ml"]) / 1000.0 * 25.0
    used = end["glucose_used_mmol"] - start["glucose_used_mmol"]
    formed = end["lactate_formed_mmol"] - start["lactate_formed_mmol"]
    assert used > 1.0
    assert amount(plant, "glucose_mm") - glucose == pytest.approx(
        fed - used - out_glucose, abs=0.01
    )
    assert amount(plant, "lactate_mm") - lactate == pytest.approx(formed - out_lactate, abs=0.01)
    assert formed / used == pytest.approx(1.6, rel=1e-6)


def test_charge_changes_only_by_lactate_ammonia_and_added_base() -> None:
    plant = quiet()
    plant.inoculate(0.02, 900.0, 0.95)
    sid, lactate = amount(plant, "sid_mm"), amount(plant, "lactate_mm")
    ammonia, base = amount(plant, "ammonia_mm"), plant.truth()["base_total_ml"]
    plant.command(base_rpm=20.0, air=100.0)
    plant.advance(36_000)
    expected = (
        amount(plant, "ammonia_mm") - ammonia
        - (amount(plant, "lactate_mm") - lactate)
        + (plant.truth()["base_total_ml"] - base) * 1.0  # 1 mmol of charge per mL
    )  # fmt: skip
    assert amount(plant, "sid_mm") - sid == pytest.approx(expected, abs=2e-3)


def test_cells_are_kept_by_the_retention_device_and_leave_by_the_product_valve() -> None:
    plant = quiet()
    plant.inoculate(0.05, 400.0, 0.95)
    before = amount(plant, "viable_e9_l")
    plant.command(perfusate_rpm=20.0, feed_rpm=20.0, air=200.0, o2=100.0)
    plant.advance(6_000)
    assert amount(plant, "viable_e9_l") > 0.99 * before
    harvested = plant.truth()["harvested_e9_cells"]
    kept = amount(plant, "viable_e9_l")
    plant.command(xv202=0.0, xv203=1.0, feed_rpm=0.0)
    plant.advance(12_000)
    out = plant.truth()["harvested_e9_cells"] - harvested
    assert out > 1.0
    assert kept - amount(plant, "viable_e9_l") == pytest.approx(out, rel=0.02)


def test_closed_outlets_stop_the_perfusate_whatever_the_pump_does() -> None:
    plant = quiet()
    plant.command(xv202=0.0, xv203=0.0, perfusate_rpm=50.0)
    plant.advance(10)
    before = plant.truth()["volume_l"]
    plant.advance(1_000)
    assert plant.truth()["volume_l"] == pytest.approx(before, abs=1e-6)


def test_feed_flow_needs_its_valve_and_a_medium_bag_with_something_in_it() -> None:
    plant = quiet()
    plant.command(feed_rpm=100.0, xv201=0.0)
    plant.advance(10)
    shut = plant.truth()["volume_l"]
    plant.advance(600)
    assert plant.truth()["volume_l"] == pytest.approx(shut, abs=1e-6)
    plant.change_medium_bag(0.05)
    plant.command(xv201=1.0)
    plant.advance(1_200)
    assert plant.truth()["volume_l"] == pytest.approx(shut + 0.05, abs=1e-4)


def test_halving_both_steps_changes_three_hours_of_culture_by_less_than_a_thousandth() -> None:
    ends = []
    for tick_s, ticks in ((0.1, 108_000), (0.05, 216_000)):
        plant = quiet(tick_s=tick_s, activation_0=1.0)
        plant.inoculate(0.05, 800.0, 0.95)
        plant.command(air=200.0, o2=50.0, feed_rpm=3.0, perfusate_rpm=3.0, heater_pct=10.0)
        plant.advance(ticks)
        ends.append(plant.truth())
    for field in ("vcd_e6_per_ml", "glucose_mm", "lactate_mm", "do_pct", "temperature_degc"):
        assert ends[0][field] == pytest.approx(ends[1][field], rel=1e-3), field
    assert ends[0]["ph"] == pytest.approx(ends[1]["ph"], abs=1e-3)


def test_same_seed_gives_the_same_bytes_and_another_seed_another_unit() -> None:
    one, same, other = Plant(7), Plant(7), Plant(8)
    for plant in (one, same, other):
        plant.advance(5_000)
        plant.measure("AT101")
    assert one.snapshot() == same.snapshot()
    assert one.p["feed_gain"][0] != other.p["feed_gain"][0]


def test_how_the_ticks_are_cut_does_not_change_a_bit() -> None:
    whole, cut = quiet(), quiet()
    whole.advance(1_234)
    for n in (1, 9, 100, 1_124):
        cut.advance(n)
    assert whole.snapshot() == cut.snapshot()


def test_restored_snapshot_goes_on_bit_for_bit() -> None:
    plant = quiet()
    plant.set_fault("vent_blocked", 0.3)
    kept = plant.snapshot()
    plant.advance(777)
    readings = [plant.measure("WT101") for _ in range(3)]
    first = plant.snapshot()
    plant.restore(kept)
    plant.advance(777)
    assert [plant.measure("WT101") for _ in range(3)] == readings
    assert plant.snapshot() == first


def test_named_fields_and_the_array_are_the_same_memory() -> None:
    s = np.zeros(1, dtype=STATE_DTYPE)
    s["slow"][0, 3] = 25.0
    u = np.zeros(1, dtype=COMMANDS_DTYPE)
    u["drive"][0, 0] = 5.0
    assert s["glucose_mm"][0] == 25.0
    assert u["air"][0] == 5.0


def test_every_parameter_has_a_unit_and_a_source_and_its_own_name() -> None:
    assert all(row.unit and row.source for row in PARAMETERS)
    assert len({row.name for row in PARAMETERS}) == len(PARAMETERS)


def test_unknown_or_infinite_parameter_is_refused() -> None:
    with pytest.raises(ParameterError, match="does not exist"):
        draw(1, {"mu_maxx": 0.1})
    with pytest.raises(ParameterError, match="finite"):
        draw(1, {"mu_max": float("nan")})


def test_sample_removes_broth_and_keeps_concentrations() -> None:
    plant = quiet()
    plant.inoculate(0.02, 50.0, 0.9)
    values = plant.draw_sample(0.01)
    assert values["viability_pct"] == pytest.approx(90.0)
    assert values["perfusate_e6_per_ml"] == pytest.approx(0.005 * values["vcd_e6_per_ml"])
    assert plant.truth()["vcd_e6_per_ml"] == values["vcd_e6_per_ml"]
    assert plant.truth()["volume_l"] == pytest.approx(2.03, abs=1e-3)


@pytest.mark.parametrize("volume_l", [-1.0, 0.0, 5.0, float("nan")])
def test_impossible_volume_is_refused_and_nothing_changes(volume_l: float) -> None:
    plant = quiet()
    before = plant.snapshot()
    for act in (
        lambda: plant.inoculate(volume_l, 10.0, 0.9),
        lambda: plant.add_bolus(volume_l, glucose_mm=10.0),
        lambda: plant.draw_sample(volume_l),
    ):
        with pytest.raises(HandError):
            act()
    assert plant.snapshot() == before


def test_emptied_vessel_has_no_cells_and_takes_a_new_culture() -> None:
    plant = quiet()
    plant.inoculate(0.02, 50.0, 0.9)
    plant.empty()
    plant.advance(100)
    assert plant.truth()["vcd_e6_per_ml"] == 0.0
    assert plant.truth()["volume_l"] == pytest.approx(0.02, abs=1e-6)


def test_oxygen_and_carbon_close_between_liquid_and_head_when_no_gas_enters() -> None:
    plant = quiet(activation_0=1.0)
    plant.inoculate(0.05, 800.0, 0.95)
    plant.advance(10)

    content = float(plant.s["env_head_mol"][0])

    def gases(plant: Plant) -> tuple[float, float, float]:
        s = plant.s[0]
        dissolved = (s["oxygen_mm"] + s["dic_mm"]) * s["volume_l"] * 1.0e-3
        fraction = float(s["head_o2"] + s["head_co2"])
        return float(dissolved), fraction * content, fraction

    liquid, head, fraction = gases(plant)
    given = vented = 0.0
    for _ in range(180):
        plant.advance(100)
        now, _, next_fraction = gases(plant)
        share = 0.5 * (fraction + next_fraction) if now < liquid else 0.2095 + 0.0004
        vented += (liquid - now) * share
        given += liquid - now
        liquid, fraction = now, next_fraction
    assert abs(given) > 1.0e-4
    assert gases(plant)[1] - head == pytest.approx(given - vented, rel=5.0e-3)


def test_heat_in_is_heat_stored_when_nothing_is_lost() -> None:
    plant = quiet(
        jacket_loss_w_per_k=0.0, vessel_loss_w_per_k=0.0, impeller_np=0.0, surface_m_per_s=0.0
    )
    plant.advance(3_000)

    def stored(plant: Plant) -> float:
        s, p = plant.s[0], plant.p[0]
        vessel = (4180.0 * s["volume_l"] + p["wall_j_per_k"]) * s["vessel_degc"]
        return float(vessel + p["jacket_j_per_k"] * s["jacket_degc"])

    before = stored(plant)
    plant.command(heater_pct=10.0)
    plant.advance(6_000)
    plant.command(heater_pct=0.0)
    plant.advance(600)
    assert stored(plant) - before == pytest.approx(100.0 * 0.1 * 600.0, rel=0.005)


@njit(error_model="numpy")
def _cold_hydrogen(s: Record, p: Record) -> float:
    now = s[0]
    k1 = carbonate_k1_mm(p[0], now.vessel_degc)
    return float(hydrogen_mm(p[0], k1, now.dic_mm, now.sid_mm, 1.0e-4, 60))


def test_warm_started_ph_is_the_one_that_closes_the_charges() -> None:
    plant = quiet(activation_0=1.0)
    plant.inoculate(0.05, 800.0, 0.95)
    plant.command(air=100.0, co2=20.0, base_rpm=60.0)
    worst = 0.0
    for _ in range(50):
        plant.advance(70)
        cold = _cold_hydrogen(plant.s, plant.p)
        worst = max(worst, abs(plant.truth()["ph"] - (3.0 - math.log10(cold))))
    assert worst < 1.0e-6


def test_a_solute_nobody_feeds_is_diluted_exactly_by_the_added_volume() -> None:
    plant = quiet()
    plant.command(feed_rpm=60.0)
    plant.advance(100)
    plant.add_bolus(0.01, lactate_mm=2000.0)
    start, volume = plant.truth()["lactate_mm"], plant.truth()["volume_l"]
    plant.advance(3_000)
    end = plant.truth()
    assert end["lactate_mm"] == pytest.approx(start * volume / end["volume_l"], rel=1e-8)


def test_perfusate_carries_away_exactly_what_the_retention_device_lets_through() -> None:
    plant = quiet(mu_max=0.0, death=0.0, death_lactate=0.0, death_starved=0.0, retention=0.99)
    plant.inoculate(0.05, 400.0, 1.0)
    plant.advance(10)
    plant.command(perfusate_rpm=30.0)
    cells, passed = amount(plant, "viable_e9_l"), 0.0
    for _ in range(60):
        density = plant.truth()["vcd_e6_per_ml"]
        out_ml = plant.truth()["perfused_ml"]
        plant.advance(50)
        density = 0.5 * (density + plant.truth()["vcd_e6_per_ml"])
        passed += 0.01 * density * (plant.truth()["perfused_ml"] - out_ml) / 1000.0
    assert cells - amount(plant, "viable_e9_l") == pytest.approx(passed, rel=1e-3)


def test_base_brings_one_equivalent_of_charge_and_half_a_mole_of_carbon_a_litre() -> None:
    plant = quiet(surface_m_per_s=0.0)
    plant.command(base_rpm=100.0)
    plant.advance(10)
    sid, dic = amount(plant, "sid_mm"), amount(plant, "dic_mm")
    base = plant.truth()["base_total_ml"]
    plant.advance(6_000)
    added = plant.truth()["base_total_ml"] - base
    assert added == pytest.approx(100.0 * 0.0035 * 10.0, rel=0.03)
    assert amount(plant, "sid_mm") - sid == pytest.approx(added, rel=1e-3)
    assert amount(plant, "dic_mm") - dic == pytest.approx(0.5 * added, rel=1e-3)

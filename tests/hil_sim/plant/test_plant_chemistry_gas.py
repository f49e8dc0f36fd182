"""The chemistry and gas sub-models against published and independently computed numbers."""

import math

import pytest

from hil_sim.plant.chemistry import (
    carbonate_k1_mm,
    co2_henry_mm_per_pa,
    dissolved_co2_mm,
    hydrogen_mm,
    ph_of,
)
from hil_sim.plant.gas import (
    headspace_slope,
    kla_per_s,
    oxygen_henry_mm_per_pa,
    oxygen_saturation_mg_l,
    sparge_capacity,
    vapour_pa,
)
from hil_sim.plant.parameters import draw

P = draw(1)[0]
NEWTON = 60


def _ph(dic: float, sid: float, guess: float = 1.0e-4) -> float:
    return ph_of(hydrogen_mm(P, carbonate_k1_mm(P, 37.0), dic, sid, guess, NEWTON))


def _open_ph(sid: float, co2_kpa: float) -> float:
    """pH of a solution in balance with a gas, found by bisection on the carbon total."""
    k1 = carbonate_k1_mm(P, 37.0)
    wanted = co2_henry_mm_per_pa(37.0) * co2_kpa * 1000.0
    low, high = 0.0, 200.0
    for _ in range(80):
        dic = 0.5 * (low + high)
        h = hydrogen_mm(P, k1, dic, sid, 1.0e-4, NEWTON)
        low, high = (dic, high) if dissolved_co2_mm(P, k1, dic, h) < wanted else (low, dic)
    return ph_of(h)


@pytest.mark.parametrize(
    ("celsius", "mg_l"), [(0.0, 14.621), (20.0, 9.092), (25.0, 8.263), (37.0, 6.727)]
)
def test_oxygen_saturation_is_the_benson_krause_table(celsius: float, mg_l: float) -> None:
    assert oxygen_saturation_mg_l(celsius) == pytest.approx(mg_l, abs=0.002)


def test_vapour_and_oxygen_solubility_at_37_degrees_are_the_published_ones() -> None:
    assert vapour_pa(37.0) == pytest.approx(6282.0, rel=0.002)
    assert oxygen_henry_mm_per_pa(37.0) == pytest.approx(1.056e-5, rel=0.002)


def test_closed_charge_balance_gives_the_computed_ph_and_co2_pressure() -> None:
    assert _ph(25.0, 27.3) == pytest.approx(7.3504, abs=5e-4)
    assert _ph(25.0, 17.3) == pytest.approx(6.3791, abs=5e-4)
    k1 = carbonate_k1_mm(P, 37.0)
    co2 = dissolved_co2_mm(P, k1, 25.0, 10.0 ** (3.0 - _ph(25.0, 27.3)))
    assert co2 / co2_henry_mm_per_pa(37.0) == pytest.approx(5640.0, rel=0.002)


@pytest.mark.parametrize(
    ("lactate", "ph"), [(0, 7.425), (5, 7.331), (10, 7.212), (15, 7.054), (20, 6.817)]
)
def test_lactate_lowers_the_ph_of_an_open_system_as_computed(lactate: int, ph: float) -> None:
    five_percent_kpa = 0.05 * (101.325 - vapour_pa(37.0) / 1000.0)
    assert _open_ph(27.6 - lactate, five_percent_kpa) == pytest.approx(ph, abs=0.005)


@pytest.mark.parametrize("guess", [1.0e-12, 1.0e-4, 1.0, 1.0e3])
@pytest.mark.parametrize("sid", [-30.0, 0.0, 25.0, 400.0])
def test_newton_finds_the_same_ph_from_any_guess(guess: float, sid: float) -> None:
    assert _ph(24.0, sid, guess) == pytest.approx(_ph(24.0, sid), abs=1e-9)


def test_warm_newton_of_two_iterations_is_converged_for_a_small_step() -> None:
    k1 = carbonate_k1_mm(P, 37.0)
    start = hydrogen_mm(P, k1, 24.0, 25.0, 1.0e-4, NEWTON)
    warm = hydrogen_mm(P, k1, 24.0, 24.95, start, 2)
    assert ph_of(warm) == pytest.approx(_ph(24.0, 24.95), abs=1e-8)


def test_kla_of_the_published_example_is_three_and_a_half_per_hour() -> None:
    velocity = 2.5e-4
    volume_l = 2.0
    stirring = (8.78 - 1000.0 * 9.80665 * velocity) * volume_l * 1.0e-3
    kla = kla_per_s(P, stirring, volume_l, velocity * float(P["section_m2"]))
    assert kla * 3600.0 == pytest.approx(3.5, rel=0.02)


def test_sparge_moves_no_more_than_the_gas_that_enters_and_no_faster_than_kla() -> None:
    henry, kelvin, volume_l = co2_henry_mm_per_pa(37.0), 310.15, 2.0
    trickle = 1.0e-9
    starved = sparge_capacity(1.0e-3, henry, trickle, volume_l, kelvin)
    assert starved == pytest.approx(trickle / (volume_l * 1e-3 * 8.314462 * kelvin), rel=1e-6)
    flood = sparge_capacity(1.0e-3, henry, 1.0, volume_l, kelvin)
    assert flood == pytest.approx(1.0e-3 * henry, rel=1e-3)
    assert sparge_capacity(1.0e-3, henry, 0.0, volume_l, kelvin) == 0.0


def test_headspace_washes_out_with_the_time_constant_of_its_content() -> None:
    assert headspace_slope(0.2, 0.0, 0.2, 0.0, 0.0, 0.01, 0.0, 0.5) == pytest.approx(-0.2 / 50.0)


def test_headspace_takes_ambient_air_back_when_more_leaves_than_enters() -> None:
    slope = headspace_slope(0.0, 0.0, 0.2095, 0.0, 0.0, 0.0, -0.01, 0.5)
    assert slope == pytest.approx(0.2095 * 0.01 / 0.5)
    assert math.isfinite(slope)

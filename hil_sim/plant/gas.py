"""Gas transfer: solubility of oxygen, kLa, sparge with depletion, surface and headspace.

A module of its own because both oxygen and CO2 cross here by the same law, and the bubble leaves
with what it has taken up: without that depletion CO2 stripping is wrong by a factor.
"""

import math
from typing import Final

from numba import njit

from hil_sim.plant.state import Record

GAS_R: Final = 8.314462
MOLAR_NORMAL_ML: Final = 22413.97  # mL/mol at 0 degC, 1013.25 mbar
GRAVITY: Final = 9.80665
ATMOSPHERE_PA: Final = 101325.0
OXYGEN_IN_AIR: Final = 0.20946
OXYGEN_G_PER_MOL: Final = 31.9988


@njit(cache=True, error_model="numpy")
def vapour_pa(celsius: float) -> float:
    """Saturated water vapour pressure in Pa (Buck 1996 enhancement of Buck 1981)."""
    return 611.21 * math.exp((18.678 - celsius / 234.5) * (celsius / (257.14 + celsius)))


@njit(cache=True, error_model="numpy")
def oxygen_saturation_mg_l(celsius: float) -> float:
    """Oxygen in air-saturated fresh water at 1013.25 mbar, mg/L (Benson & Krause 1984)."""
    t = celsius + 273.15
    return math.exp(
        -139.34411 + (1.575701e5 + (-6.642308e7 + (1.2438e10 - 8.621949e11 / t) / t) / t) / t
    )


@njit(cache=True, error_model="numpy")
def oxygen_henry_mm_per_pa(celsius: float) -> float:
    """Oxygen solubility in mM/Pa behind that saturation."""
    saturation_mm = oxygen_saturation_mg_l(celsius) / OXYGEN_G_PER_MOL
    return saturation_mm / (OXYGEN_IN_AIR * (ATMOSPHERE_PA - vapour_pa(celsius)))


@njit(cache=True, error_model="numpy")
def stirrer_power_w(p: Record, rpm: float, volume_l: float) -> float:
    """Power of the impeller, Np rho N^3 D^5, fading out as the liquid leaves the impeller."""
    n = rpm / 60.0
    cover = min(1.0, max(0.0, (volume_l - p.impeller_cover_l) / 0.3))
    return float(cover * p.impeller_np * 1000.0 * n**3 * p.impeller_m**5)


@njit(cache=True, error_model="numpy")
def kla_per_s(p: Record, power_w: float, volume_l: float, gas_m3_s: float) -> float:
    """kLa of oxygen in 1/s: C (P/V)^a vs^b, with the power of the rising gas (van't Riet 1979)."""
    if gas_m3_s <= 0.0:
        return 0.0
    velocity = gas_m3_s / p.section_m2
    density = power_w / (volume_l * 1.0e-3) + 1000.0 * GRAVITY * velocity
    return float(
        p.antifoam_factor
        * p.kla_factor
        * density**p.kla_power_exponent
        * velocity**p.kla_velocity_exponent
    )


@njit(cache=True, error_model="numpy")
def sparge_capacity(
    kla: float, henry: float, gas_m3_s: float, volume_l: float, kelvin: float
) -> float:
    """mM/s moved per Pa of driving force: Q/(V R T) [1 - exp(-kLa V kH R T / Q)]."""
    if gas_m3_s <= 0.0 or kla <= 0.0:
        return 0.0
    volume_m3 = volume_l * 1.0e-3
    rt = GAS_R * kelvin
    return gas_m3_s / (volume_m3 * rt) * -math.expm1(-kla * volume_m3 * henry * rt / gas_m3_s)


@njit(cache=True, error_model="numpy")
def headspace_slope(
    fraction: float,
    inlet: float,
    ambient: float,
    uptake: float,
    uptake_total: float,
    gas_in: float,
    swell: float,
    content: float,
) -> float:
    """Rate of change (1/s) of one dry fraction in the headspace; flows in mol/s, content in mol.

    `uptake` is what the liquid takes of this gas, `swell` what rising liquid pushes out. When more
    leaves than enters, ambient air comes back through the vent filter.
    """
    out = gas_in - uptake_total + swell
    change = gas_in * (inlet - fraction) - uptake + fraction * uptake_total
    if out < 0.0:
        change -= out * (ambient - fraction)
    return change / content

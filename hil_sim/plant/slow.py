"""The slow step: one second of culture, gas transfer, chemistry and heat by classical Runge-Kutta.

A module of its own because it joins the four physical modules into one derivative. What barely
moves in a second (solubilities, kLa, capacity of the sparge, the temperature and pH factors) is
computed once a step; pH follows in every stage by Newton from a warm start.
"""

from typing import Final

from numba import njit

from hil_sim.plant.chemistry import (
    carbonate_k1_mm,
    co2_henry_mm_per_pa,
    dissolved_co2_mm,
    hydrogen_mm,
    ph_of,
)
from hil_sim.plant.culture import culture_slope, environment_factor, growth_per_h
from hil_sim.plant.gas import (
    ATMOSPHERE_PA,
    GAS_R,
    MOLAR_NORMAL_ML,
    headspace_slope,
    kla_per_s,
    oxygen_henry_mm_per_pa,
    sparge_capacity,
    stirrer_power_w,
    vapour_pa,
)
from hil_sim.plant.state import (
    DEAD,
    DIC,
    GLUCOSE,
    GLUCOSE_USED,
    GLUTAMINE,
    HEAD_CO2,
    HEAD_O2,
    IL2,
    JACKET_T,
    LACTATE,
    LACTATE_FORMED,
    N_SLOW,
    OXYGEN,
    SID,
    SOLUTE_0,
    SOLUTES,
    STIRRER,
    VESSEL_T,
    VIABLE,
    Record,
)
from hil_sim.plant.thermal import jacket_slope, vessel_slope

PER_HOUR: Final = 1.0 / 3600.0


@njit(cache=True, error_model="numpy")
def slow_step(s: Record, p: Record, f: Record, dt: float) -> None:
    """Integrate the slow states over the `dt` seconds whose flows the fast ticks have summed."""
    _freeze(s, p, f, dt)
    x, stage, slope, total = s.slow, s.stage, s.slope, s.total
    start, end = s.slow_volume_l, s.volume_l
    middle = 0.5 * (start + end)
    _slope(s, p, f, x, slope, start)
    for i in range(N_SLOW):
        total[i] = slope[i]
        stage[i] = x[i] + 0.5 * dt * slope[i]
    _slope(s, p, f, stage, slope, middle)
    for i in range(N_SLOW):
        total[i] += 2.0 * slope[i]
        stage[i] = x[i] + 0.5 * dt * slope[i]
    _slope(s, p, f, stage, slope, middle)
    for i in range(N_SLOW):
        total[i] += 2.0 * slope[i]
        stage[i] = x[i] + dt * slope[i]
    _slope(s, p, f, stage, slope, end)
    for i in range(N_SLOW):
        x[i] += dt / 6.0 * (total[i] + slope[i])
    _settle(s, p)


@njit(cache=True, error_model="numpy")
def read_chemistry(s: Record, p: Record, iterations: int) -> None:
    """Bring pH and DO in line with the slow states."""
    celsius = s.slow[VESSEL_T]
    k1 = carbonate_k1_mm(p, celsius)
    s.hydrogen_mm = hydrogen_mm(p, k1, s.slow[DIC], s.slow[SID], s.hydrogen_mm, iterations)
    s.ph = ph_of(s.hydrogen_mm)
    air_pa = p.air_o2 * (ATMOSPHERE_PA - vapour_pa(celsius))
    s.do_pct = 100.0 * s.slow[OXYGEN] / (s.env_kh_o2 * air_pa)


@njit(cache=True, error_model="numpy")
def _freeze(s: Record, p: Record, f: Record, dt: float) -> None:
    """Compute what is held over this step: environment, gas and mean flows."""
    celsius = s.slow[VESSEL_T]
    kelvin = celsius + 273.15
    volume = s.slow_volume_l
    absolute_pa = (p.atmosphere_mbar + s.pressure_mbar) * 100.0
    wet = vapour_pa(celsius)
    s.env_growth = environment_factor(p, celsius, s.ph)
    s.env_k1 = carbonate_k1_mm(p, celsius)
    s.env_kh_o2 = oxygen_henry_mm_per_pa(celsius)
    s.env_kh_co2 = co2_henry_mm_per_pa(celsius)
    s.env_dry_pa = absolute_pa - wet
    s.env_power_w = stirrer_power_w(p, s.actual[STIRRER], volume)
    s.env_gas_mol_s = s.gas_ml / (dt * MOLAR_NORMAL_ML)
    gas_m3_s = s.env_gas_mol_s * GAS_R * kelvin / absolute_pa
    kla = kla_per_s(p, s.env_power_w, volume, gas_m3_s) * (1.0 - f.kla_loss)
    s.kla_per_h = kla * 3600.0
    s.env_cap_o2 = sparge_capacity(kla, s.env_kh_o2, gas_m3_s, volume, kelvin)
    s.env_cap_co2 = sparge_capacity(kla * p.kla_co2_ratio, s.env_kh_co2, gas_m3_s, volume, kelvin)
    s.env_in_o2 = s.gas_o2_ml / s.gas_ml if s.gas_ml > 0.0 else 0.0
    s.env_in_co2 = s.gas_co2_ml / s.gas_ml if s.gas_ml > 0.0 else 0.0
    mixing = 0.3 + 0.7 * min(1.0, s.actual[STIRRER] / 180.0)
    s.env_surface = p.surface_m_per_s * mixing * p.section_m2 / (volume * 1.0e-3)
    head_m3 = max(0.05, p.vessel_total_l - volume) * 1.0e-3
    s.env_head_mol = head_m3 * absolute_pa / (GAS_R * kelvin)
    s.env_feed_l_s = s.feed_ml * 1.0e-3 / dt
    s.env_base_l_s = s.base_ml * 1.0e-3 / dt
    s.env_waste_l_s = s.waste_ml * 1.0e-3 / dt
    s.env_product_l_s = s.product_ml * 1.0e-3 / dt
    swell_m3_s = (s.volume_l - s.slow_volume_l) * 1.0e-3 / dt
    s.env_swell_mol_s = swell_m3_s * absolute_pa / (GAS_R * kelvin)
    vapour = s.env_gas_mol_s * wet / s.env_dry_pa * (1.0 - p.condenser)
    s.env_evaporation_l_s = vapour * 0.018 if volume > p.vessel_empty_l else 0.0
    s.volume_l -= s.env_evaporation_l_s * dt
    s.evaporated_ml += s.env_evaporation_l_s * dt * 1000.0


@njit(cache=True, error_model="numpy")
def _slope(s: Record, p: Record, f: Record, x: Record, dx: Record, volume: float) -> None:
    """Write d(slow states)/dt, per second, at the state `x` and volume in L."""
    uptake = culture_slope(p, x, dx, s.env_growth)
    used, formed = -dx[GLUCOSE], dx[LACTATE]
    for i in range(SID + 1):
        dx[i] *= PER_HOUR
    uptake *= PER_HOUR
    dx[GLUCOSE_USED] = used * volume * PER_HOUR
    dx[LACTATE_FORMED] = formed * volume * PER_HOUR
    dx[OXYGEN] = -uptake
    dx[DIC] = p.respiratory_quotient * uptake
    _carry(s, p, f, x, dx, volume)
    _exchange(s, p, x, dx, volume)
    metabolic = uptake * volume * p.heat_j_per_mmol_o2
    dx[JACKET_T] = jacket_slope(p, s.heater_w, x[JACKET_T], x[VESSEL_T], volume)
    dx[VESSEL_T] = vessel_slope(
        p, x[JACKET_T], x[VESSEL_T], volume, s.env_power_w + metabolic,
        s.env_feed_l_s + s.env_base_l_s, s.env_evaporation_l_s,
    )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _carry(s: Record, p: Record, f: Record, x: Record, dx: Record, volume: float) -> None:
    """Add what the liquid streams carry: medium, base, perfusate through the retention device."""
    fresh = s.env_feed_l_s / volume
    base = s.env_base_l_s / volume
    dilution = fresh + base - s.env_evaporation_l_s / volume
    for i in range(SOLUTE_0, SOLUTE_0 + SOLUTES):
        dx[i] -= dilution * x[i]
    dx[GLUCOSE] += fresh * p.medium_glucose_mm
    dx[GLUTAMINE] += fresh * p.medium_glutamine_mm
    dx[IL2] += fresh * p.medium_il2
    dx[OXYGEN] += (fresh + base) * p.medium_oxygen_mm
    dx[DIC] += fresh * p.medium_dic_mm + base * p.base_dic_mm
    dx[SID] += fresh * p.medium_sid_mm + base * p.base_sid_mm
    kept = p.retention * (1.0 - f.retention_loss) * s.env_waste_l_s / volume
    dx[VIABLE] += (kept - dilution) * x[VIABLE]
    dx[DEAD] += (kept - dilution) * x[DEAD]


@njit(cache=True, error_model="numpy")
def _exchange(s: Record, p: Record, x: Record, dx: Record, volume: float) -> None:
    """Add gas transfer from bubbles and surface, and the headspace it feeds."""
    h = hydrogen_mm(p, s.env_k1, x[DIC], x[SID], s.hydrogen_mm, 2)
    s.hydrogen_mm = h
    co2_mm = dissolved_co2_mm(p, s.env_k1, x[DIC], h)
    dry = s.env_dry_pa
    o2 = s.env_cap_o2 * (s.env_in_o2 * dry - x[OXYGEN] / s.env_kh_o2)
    o2 += s.env_surface * (s.env_kh_o2 * x[HEAD_O2] * dry - x[OXYGEN])
    co2 = s.env_cap_co2 * (s.env_in_co2 * dry - co2_mm / s.env_kh_co2)
    co2 += s.env_surface * p.kla_co2_ratio * (s.env_kh_co2 * x[HEAD_CO2] * dry - co2_mm)
    dx[OXYGEN] += o2
    dx[DIC] += co2
    o2_mol = o2 * volume * 1.0e-3
    co2_mol = co2 * volume * 1.0e-3
    both = o2_mol + co2_mol
    gas, swell, content = s.env_gas_mol_s, s.env_swell_mol_s, s.env_head_mol
    dx[HEAD_O2] = headspace_slope(
        x[HEAD_O2], s.env_in_o2, p.air_o2, o2_mol, both, gas, swell, content
    )
    dx[HEAD_CO2] = headspace_slope(
        x[HEAD_CO2], s.env_in_co2, p.air_co2, co2_mol, both, gas, swell, content
    )


@njit(cache=True, error_model="numpy")
def _settle(s: Record, p: Record) -> None:
    """Close the step: totals, pH and DO for the sensors, and empty flow sums."""
    x = s.slow
    for i in range(OXYGEN + 1):  # round-off below nothing
        x[i] = max(0.0, x[i])
    s.feed_total_ml += s.feed_ml
    s.base_total_ml += s.base_ml
    s.waste_total_ml += s.waste_ml
    s.product_total_ml += s.product_ml
    s.feed_ml = s.base_ml = s.waste_ml = s.product_ml = 0.0
    s.gas_ml = s.gas_o2_ml = s.gas_co2_ml = 0.0
    s.slow_volume_l = s.volume_l
    s.growth_per_h = growth_per_h(p, x, s.env_growth)
    s.oxygen_uptake_mm_h = culture_slope(p, x, s.slope, s.env_growth)
    read_chemistry(s, p, 2)

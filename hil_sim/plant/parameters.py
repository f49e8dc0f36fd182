"""Every number of the simulated unit, as data: value, unit, source and spread from unit to unit.

A module of its own so that no number hides in an equation. `draw(seed)` turns the table into one
numba record: each spread parameter is drawn from (seed, its own name), so a new row never changes
an old one. [assumed] marks a figure without a source; it is a plausible order of magnitude and
nothing more.
"""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from hil_sim.plant.instruments import ACTUATOR_TABLE, SENSOR_TABLE
from hil_sim.plant.state import ACTUATORS, CHANNELS, Record

Spread = Literal["none", "lognormal", "uniform"]

_A: Final = "[assumed]"
_FIT: Final = "fitted to Springuel 2025, 10.3389/fbioe.2025.1593895 [assumed form]"
_MU: Final = "0.0626 refitted in closed loop to 33.5e6/mL on day 7; CV [assumed]"
_BK: Final = "Benson & Krause 1984, Limnol. Oceanogr. 29:620"
_VR: Final = "van't Riet 1979, coalescing; Garcia-Ochoa & Gomez 2009"
_CO2: Final = "Kelman 1967, Respir. Physiol. 3:111, page from memory [assumed]"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of the plant.

    `spread` is a coefficient of variation (lognormal) or a half width in `unit` (uniform).
    """

    name: str
    value: float
    unit: str
    source: str
    spread: float = 0.0
    kind: Spread = "none"


class ParameterError(ValueError):
    """A parameter name is unknown or its value is not finite; nothing was changed."""


P = Parameter
PARAMETERS: Final[tuple[Parameter, ...]] = (
    # Time.
    P("tick_s", 0.1, "s", "fast step; the slow step is ten of them"),
    # Vessel.
    P("vessel_total_l", 3.0, "L", _A),
    P("vessel_empty_l", 0.02, "L", "what stays wetted in an emptied vessel " + _A),
    P("outlet_dip_l", 0.005, "L", "below it the outlet sucks air " + _A),
    P("section_m2", 0.0133, "m2", "130 mm inner diameter " + _A),
    P("tare_g", 4000.0, "g", "vessel, jacket and fittings on the balance " + _A),
    P("density_g_per_ml", 1.0, "g/mL", _A),
    P("tube_force_g", 1.5, "g", "daily swing of the tubing on the balance " + _A),
    # Gas side.
    P("atmosphere_mbar", 1013.25, "mbar", "standard atmosphere"),
    P("vent_mbar_per_ml_min", 0.01, "mbar.min/mL", "vent filter " + _A),
    P("set_leak_ml_min_mbar", 0.001, "mL/min/mbar", "intact single-use set " + _A),
    P("relief_open_mbar", 60.0, "mbar", "shipped unit, single-use set rating " + _A),
    P("relief_close_mbar", 50.0, "mbar", _A),
    P("relief_ml_min_mbar", 100.0, "mL/min/mbar", _A),
    P("line_supply_mbar", 2500.0, "mbar", "absolute, before each flow controller " + _A),
    P("line_droop_mbar_min_ml", 0.05, "mbar.min/mL", _A),
    P("kla_factor", 0.026, "SI", _VR),
    P("kla_power_exponent", 0.4, "1", _VR),
    P("kla_velocity_exponent", 0.5, "1", _VR),
    P("antifoam_factor", 1.0, "1", "0.6 to 1 with antifoam " + _A),
    P("kla_co2_ratio", 0.89, "1", "diffusivity ratio " + _A),
    P("surface_m_per_s", 2.0e-5, "m/s", "surface transfer, 0.5 1/h at 2 L " + _A),
    P("impeller_np", 1.5, "1", "pitched blade " + _A),
    P("impeller_m", 0.065, "m", _A),
    P("impeller_cover_l", 0.2, "L", "volume at which the impeller starts to be wetted " + _A),
    P("air_o2", 0.2095, "mol/mol", "dry air"),
    P("air_co2", 0.0004, "mol/mol", "dry air"),
    # Chemistry.
    P("buffer_mm", 6.0, "mM", "non-bicarbonate buffer " + _A),
    P("buffer_pk", 7.2, "1", _A),
    P("carbonate_pk1_37", 6.0907, "1", "6.086 at 38 degC, pH terms dropped; " + _CO2),
    P("carbonate_pk1_slope", -0.00472, "1/degC", _CO2),
    P("carbonate_pk2", 9.8, "1", _A),
    P("water_pk", 13.6, "1", "37 degC " + _A),
    # Heat.
    P("ambient_degc", 21.0, "degC", _A),
    P("start_degc", 20.0, "degC", _A),
    P("heater_w", 100.0, "W", "shipped unit"),
    P("jacket_j_per_k", 200.0, "J/K", _A),
    P("wall_j_per_k", 150.0, "J/K", "wetted wall, the floor of an empty vessel " + _A),
    P("jacket_ua_w_per_k", 10.0, "W/K", "at 2 L " + _A),
    P("jacket_loss_w_per_k", 0.2, "W/K", "12 to 23 min per degC cooling " + _A),
    P("vessel_loss_w_per_k", 0.25, "W/K", "12 to 23 min per degC cooling " + _A),
    P("feed_degc", 21.0, "degC", "medium bag at ambient " + _A),
    P("heat_j_per_mmol_o2", 460.0, "J/mmol", "oxycaloric equivalent"),
    P("condenser", 0.9, "1", "share of vapour returned " + _A),
    P("tsh_trip_degc", 39.0, "degC", "hard-wired TSH101"),
    P("tsh_reset_degc", 37.5, "degC", "automatic reset of the thermostat " + _A),
    # Pumps and bags.
    P("big_ml_per_rev", 0.9, "mL/rev", _A),
    P("base_ml_per_rev", 0.0035, "mL/rev", "micro-bore, 12 mL/h at 57 rpm " + _A),
    P("feed_gain", 1.0, "1", "tubing tolerance " + _A, 0.02, "uniform"),
    P("perfusate_gain", 1.0, "1", "tubing tolerance " + _A, 0.02, "uniform"),
    P("base_gain", 1.0, "1", "tubing tolerance " + _A, 0.02, "uniform"),
    P("feed_wear_per_100h", 0.10, "1", "5 to 15 % " + _A, 0.05, "uniform"),
    P("perfusate_wear_per_100h", 0.10, "1", "5 to 15 % " + _A, 0.05, "uniform"),
    P("medium_bag_l", 50.0, "L", _A),
    P("feed_line_ml", 10.0, "mL", "feed line from the bubble sensor to the vessel " + _A),
    P("base_bag_l", 2.0, "L", _A),
    P("retention", 0.995, "1", "cells kept by the retention device " + _A),
    # Liquids.
    P("medium_glucose_mm", 25.0, "mM", _A),
    P("medium_glutamine_mm", 4.0, "mM", _A),
    P("medium_il2", 100.0, "IU/mL", _A),
    P("medium_sid_mm", 25.0, "mM", "NaHCO3 and titrated buffer " + _A),
    P("medium_dic_mm", 24.0, "mM", "pH 7.2 to 7.3 near 7 % CO2 " + _A),
    P("medium_oxygen_mm", 0.28, "mM", "air-saturated at ambient temperature"),
    P("base_sid_mm", 1000.0, "mM", "1 eq/L"),
    P("base_dic_mm", 500.0, "mM", "0.5 mol/L Na2CO3 " + _A),
    # Culture (X in 1e9/L, concentrations in mM, IL-2 in IU/mL, rates per hour).
    P("mu_max", 0.0587, "1/h", _MU, 0.015, "lognormal"),
    P("activation_h", 24.0, "h", _FIT, 0.03, "lognormal"),
    P("activation_0", 0.02, "1", _FIT),
    P("k_glucose", 0.3, "mM", _FIT),
    P("k_glutamine", 0.06, "mM", _FIT),
    P("k_il2", 5.0, "IU/mL", _FIT),
    P("k_oxygen", 0.005, "mM", _FIT),
    P("ki_lactate", 76.0, "mM", _FIT),
    P("ki_ammonia", 8.0, "mM", _FIT),
    P("width_degc", 3.0, "degC", _FIT),
    P("width_ph", 0.9, "1", "hybridoma, PMC2796705"),
    P("best_degc", 37.0, "degC", _FIT),
    P("best_ph", 7.2, "1", _FIT),
    P("death", 0.00036, "1/h", _FIT),
    P("death_lactate", 0.0041, "1/h", _FIT),
    P("kd_lactate", 60.0, "mM", _FIT),
    P("death_starved", 0.02, "1/h", _FIT),
    P("kd_glucose", 0.05, "mM", _FIT),
    P("lysis", 0.005, "1/h", _FIT),
    P("yield_glucose", 0.41, "1e9/mmol", _FIT),
    P("maintenance_glucose", 0.0069, "mmol/1e9/h", _FIT, 0.03, "lognormal"),
    P("k_glucose_uptake", 0.1, "mM", _FIT),
    P("lactate_per_glucose", 1.6, "mol/mol", _FIT),
    P("glutamine_growth", 0.2, "mmol/1e9", _FIT),
    P("maintenance_glutamine", 0.001, "mmol/1e9/h", _FIT),
    P("k_glutamine_uptake", 0.05, "mM", _FIT),
    P("ammonia_per_glutamine", 0.8, "mol/mol", _FIT),
    P("glutamine_decay", 0.0015, "1/h", _FIT),
    P("il2_decay", 0.004, "1/h", _FIT),
    P("il2_uptake", 0.0005, "L/1e9/h", _FIT),
    P("maintenance_oxygen", 0.03, "mmol/1e9/h", _FIT, 0.03, "lognormal"),
    P("oxygen_growth", 0.8, "mmol/1e9", _FIT),
    P("respiratory_quotient", 1.0, "mol/mol", _FIT),
)

_DERIVED_SCALAR: Final = ("carbonate_k2_mm", "buffer_k_mm", "water_k_mm2")
_DERIVED_ACTUATOR: Final = ("full_scale", "dead_zone", "gain", "follow", "step_max")
_DERIVED_SENSOR: Final = ("noise", "quantum", "low", "high", "bias", "drift_per_h", "sensor_keep")

PARAMETERS_DTYPE: Final = np.dtype(
    [(row.name, np.float64) for row in PARAMETERS]
    + [(name, np.float64) for name in _DERIVED_SCALAR]
    + [(name, np.float64, (len(ACTUATORS),)) for name in _DERIVED_ACTUATOR]
    + [(name, np.float64, (len(CHANNELS),)) for name in _DERIVED_SENSOR]
)


def draw(seed: int, overrides: Mapping[str, float] | None = None) -> Record:
    """Decide the true parameters of the unit with this seed.

    Returns a record array of shape (1,) with one float64 field per parameter and, derived from the
    instrument tables, one array per actuator or sensor property.
    Raises ParameterError for an unknown name or a value that is not finite.
    """
    record: Any = np.zeros(1, dtype=PARAMETERS_DTYPE)
    for row in PARAMETERS:
        record[row.name] = _value(row, seed)
    for name, value in (overrides or {}).items():
        if name not in {row.name for row in PARAMETERS}:
            raise ParameterError(f"plant parameter {name!r} does not exist: see PARAMETERS")
        if not math.isfinite(value):
            raise ParameterError(f"plant parameter {name!r} is {value}: give a finite number")
        record[name] = value
    _derive(record, seed)
    return record


def _value(row: Parameter, seed: int) -> float:
    if row.kind == "none":
        return row.value
    return _spread(row.value, row.spread, row.kind, seed, row.name)


def _spread(value: float, spread: float, kind: Spread, seed: int, name: str) -> float:
    chance = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if kind == "uniform":
        return value + spread * float(chance.uniform(-1.0, 1.0))
    sigma = math.sqrt(math.log1p(spread * spread))
    return value * math.exp(sigma * float(chance.standard_normal()))


def _keep(tau_s: float, tick_s: float) -> float:
    """What an exact first-order lag keeps of its old value over one tick."""
    return math.exp(-tick_s / tau_s) if tau_s > 0.0 else 0.0


def _derive(record: Any, seed: int) -> None:
    record["carbonate_k2_mm"] = 1.0e3 * 10.0 ** -float(record["carbonate_pk2"][0])
    record["buffer_k_mm"] = 1.0e3 * 10.0 ** -float(record["buffer_pk"][0])
    record["water_k_mm2"] = 1.0e6 * 10.0 ** -float(record["water_pk"][0])
    tick = float(record["tick_s"][0])
    for i, act in enumerate(ACTUATOR_TABLE):
        gain = _spread(1.0, act.gain_spread, "uniform", seed, f"gain:{act.name}")
        record["full_scale"][0, i] = act.full_scale
        record["dead_zone"][0, i] = act.dead_zone * act.full_scale
        record["gain"][0, i] = gain
        record["follow"][0, i] = 1.0 - _keep(act.tau_s, tick)
        record["step_max"][0, i] = act.rate_per_s * tick
    for i, sensor in enumerate(SENSOR_TABLE):
        record["noise"][0, i] = sensor.noise
        record["quantum"][0, i] = sensor.quantum
        record["low"][0, i] = sensor.low
        record["high"][0, i] = sensor.high
        record["bias"][0, i] = _spread(0.0, sensor.bias, "uniform", seed, f"bias:{sensor.name}")
        record["drift_per_h"][0, i] = _spread(
            0.0, sensor.drift_per_week / 168.0, "uniform", seed, f"drift:{sensor.name}"
        )
        record["sensor_keep"][0, i] = _keep(sensor.tau_s, tick)

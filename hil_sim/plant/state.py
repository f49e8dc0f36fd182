"""The memory of the plant: which number lives where, for state, commands and faults.

A module of its own because every other plant module, the rig and the device side share these
layouts. Each layout is one numpy record; named fields and an indexable array lie over the same
bytes, so code may say `s.glucose_mm` where it means one thing and loop over `s.slow` where it
treats all alike.
"""

from typing import Any, Final, TypeAlias

import numpy as np

Record: TypeAlias = Any  # a numpy record array of shape (1,), or the record inside compiled code

ACTUATORS: Final = (
    "air", "o2", "co2", "n2", "feed_rpm", "perfusate_rpm", "base_rpm", "heater_pct", "stirrer_rpm",
    "km101", "xv100", "xv201", "xv202", "xv203", "xv204", "annunciator",
)  # fmt: skip
(
    AIR, O2, CO2, N2, FEED, PERFUSATE, BASE, HEATER, STIRRER,
    KM101, XV100, XV201, XV202, XV203, XV204, ANNUNCIATOR,
) = range(len(ACTUATORS))  # fmt: skip

# Temperatures degC, PT101 mbar gauge, LT101 L, WT101 g, AT101 pH, AT102 % air saturation, flows
# mL/min (normal), line pressures mbar absolute, speeds rpm, heater %, contacts and proofs 0 or 1:
# BS101 while there is air at its place on the feed line, HS101 while the annunciator is wired.
CHANNELS: Final = (
    "TT101", "TT102", "TT103", "PT101", "LT101", "WT101", "AT101", "AT102", "TT_PH", "TT_DO",
    "FT_AIR", "FT_O2", "FT_CO2", "FT_N2", "PT_AIR", "PT_O2", "PT_CO2", "PT_N2",
    "ST_FEED", "ST_PERFUSATE", "ST_BASE", "ST_STIRRER", "JT_HEATER", "KM101_AUX",
    "XV100_OPEN", "XV201_OPEN", "XV202_OPEN", "XV203_OPEN", "XV204_OPEN",
    "XV100_CLOSED", "XV201_CLOSED", "XV202_CLOSED", "XV203_CLOSED", "XV204_CLOSED",
    "BS101", "HS101",
)  # fmt: skip
(
    TT101, TT102, TT103, PT101, LT101, WT101, AT101, AT102, TT_PH, TT_DO,
    FT_AIR, FT_O2, FT_CO2, FT_N2, PT_AIR, PT_O2, PT_CO2, PT_N2,
    ST_FEED, ST_PERFUSATE, ST_BASE, ST_STIRRER, JT_HEATER, KM101_AUX,
    XV100_OPEN, XV201_OPEN, XV202_OPEN, XV203_OPEN, XV204_OPEN,
    XV100_CLOSED, XV201_CLOSED, XV202_CLOSED, XV203_CLOSED, XV204_CLOSED,
    BS101, HS101,
) = range(len(CHANNELS))  # fmt: skip
LAGGED: Final = 10  # the first channels are probes with their own lag

# Integrated by the slow step. Cells 1e9/L (the same number as e6/mL), solutes mM, IL-2 IU/mL,
# headspace dry mole fractions, degC, cumulative mmol.
SLOW: Final = (
    "viable_e9_l", "dead_e9_l", "activation", "glucose_mm", "lactate_mm", "glutamine_mm",
    "ammonia_mm", "il2", "oxygen_mm", "dic_mm", "sid_mm", "head_o2", "head_co2",
    "vessel_degc", "jacket_degc", "glucose_used_mmol", "lactate_formed_mmol",
)  # fmt: skip
(
    VIABLE, DEAD, ACTIVATION, GLUCOSE, LACTATE, GLUTAMINE, AMMONIA, IL2, OXYGEN, DIC, SID,
    HEAD_O2, HEAD_CO2, VESSEL_T, JACKET_T, GLUCOSE_USED, LACTATE_FORMED,
) = range(len(SLOW))  # fmt: skip
N_SLOW: Final = len(SLOW)
SOLUTES: Final = 8  # GLUCOSE .. SID: carried by every liquid stream alike
SOLUTE_0: Final = GLUCOSE

# What is read through the frozen environment of one slow step.
_ENV: Final = (
    "env_growth", "env_k1", "env_kh_o2", "env_kh_co2", "env_dry_pa", "env_surface", "env_cap_o2",
    "env_cap_co2", "env_gas_mol_s", "env_in_o2", "env_in_co2", "env_head_mol", "env_swell_mol_s",
    "env_evaporation_l_s", "env_power_w", "env_feed_l_s", "env_base_l_s", "env_waste_l_s",
    "env_product_l_s",
)  # fmt: skip
_SCALARS: Final = (
    "time_s", "volume_l", "slow_volume_l", "pressure_mbar", "hydrogen_mm", "ph", "do_pct",
    "kla_per_h", "oxygen_uptake_mm_h", "growth_per_h",
    "feed_ml", "base_ml", "waste_ml", "product_ml", "gas_ml", "gas_o2_ml", "gas_co2_ml",
    "feed_ml_min", "base_ml_min", "waste_ml_min", "product_ml_min", "gas_ml_min",
    "feed_total_ml", "base_total_ml", "waste_total_ml", "product_total_ml", "evaporated_ml",
    "harvested_e9", "medium_bag_l", "base_bag_l", "feed_hours", "perfusate_hours",
    "vent_clamped", "relief_open", "relief_opened", "tsh_tripped", "tsh_trips", "heater_w",
    "tube_pull_g", "do_first_lag",
    "air_at_sensor", "line_air_ml", "air_front_ml", "air_ml_min", "air_to_vessel_ml",
    "annunciator_line", "sounding",
)  # fmt: skip


def _layout(overlays: list[tuple[str, tuple[str, ...]]], rest: list[tuple[str, Any]]) -> np.dtype:
    """One record: each overlay is an array field whose elements also have names of their own."""
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    at = 0
    for array_name, fields in overlays:
        names.append(array_name)
        formats.append((np.float64, (len(fields),)))
        offsets.append(at)
        for field in fields:
            names.append(field)
            formats.append(np.float64)
            offsets.append(at)
            at += 8
    for name, form in rest:
        names.append(name)
        formats.append(form)
        offsets.append(at)
        at += np.dtype(form).itemsize
    return np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": at}, align=False
    )


STATE_DTYPE: Final = _layout(
    [("slow", SLOW), ("actual", tuple(f"{name}_actual" for name in ACTUATORS))],
    [
        ("tick", np.int64),
        *((name, np.float64) for name in _SCALARS + _ENV),
        ("lagged", (np.float64, (LAGGED,))),
        ("drift", (np.float64, (len(CHANNELS),))),
        ("stage", (np.float64, (N_SLOW,))),
        ("slope", (np.float64, (N_SLOW,))),
        ("total", (np.float64, (N_SLOW,))),
    ],
)
COMMANDS_DTYPE: Final = _layout([("drive", ACTUATORS)], [])
FAULTS_DTYPE: Final = np.dtype(
    [
        ("actuator_stuck", np.float64, (len(ACTUATORS),)),  # 1: held at actuator_value
        ("actuator_value", np.float64, (len(ACTUATORS),)),
        ("actuator_loss", np.float64, (len(ACTUATORS),)),  # 0..1: share of the effect lost
        ("sensor_stuck", np.float64, (len(CHANNELS),)),  # 1: shows sensor_value, no noise
        ("sensor_value", np.float64, (len(CHANNELS),)),
        ("sensor_offset", np.float64, (len(CHANNELS),)),
        ("sensor_drift_per_h", np.float64, (len(CHANNELS),)),
        ("sensor_noise", np.float64, (len(CHANNELS),)),  # extra noise, 1 sigma, channel's unit
        ("vent_blocked", np.float64),  # 0..1
        ("set_leak_ml_min_mbar", np.float64),  # extra leak of the single-use set
        ("retention_loss", np.float64),  # 0..1 of the retention lost
        ("kla_loss", np.float64),  # 0..1
        ("air_in_feed", np.float64),  # 0..1 of what the feed pump draws is air: a loose joint
        ("annunciator_cut", np.float64),  # 1: the wires to the annunciator are cut
    ]
)

"""What people do at the vessel: pour in, take a sample, empty; and what they would find.

A module of its own because these acts come from outside time: they change the state between two
ticks, instantly, and every one keeps the amounts of what it moves.
"""

import math
from typing import Any, Final

from hil_sim.plant.gas import oxygen_henry_mm_per_pa
from hil_sim.plant.state import (
    ANNUNCIATOR,
    DEAD,
    KM101,
    SLOW,
    SOLUTE_0,
    SOLUTES,
    VESSEL_T,
    VIABLE,
    Record,
)
from hil_sim.plant.thermal import WATER_J_PER_L_K

_MEDIUM: Final = {
    "glucose_mm": "medium_glucose_mm",
    "glutamine_mm": "medium_glutamine_mm",
    "il2": "medium_il2",
    "sid_mm": "medium_sid_mm",
    "dic_mm": "medium_dic_mm",
    "oxygen_mm": "medium_oxygen_mm",
}


class HandError(ValueError):
    """What a person asked for cannot be done at this vessel; nothing was changed."""


def fresh_medium(p: Record) -> dict[str, float]:
    """Solutes of medium from the bag, keyed as the state fields (mM, IU/mL)."""
    return {field: float(p[name]) for field, name in _MEDIUM.items()}


def known_solutes(solutes: dict[str, float]) -> dict[str, float]:
    """Pass on solutes that the model carries, finite and not negative (SID may be negative).

    Raises HandError otherwise.
    """
    carried = SLOW[SOLUTE_0 : SOLUTE_0 + SOLUTES]
    for name, value in solutes.items():
        if name not in carried:
            raise HandError(f"solute {name!r} is not in the model: it has {', '.join(carried)}")
        if not math.isfinite(value) or (value < 0.0 and name != "sid_mm"):
            raise HandError(f"solute {name!r} at {value}: give a finite concentration of 0 or more")
    return dict(solutes)


def pour(s: Record, p: Record, volume_l: float, liquid: dict[str, float], celsius: float) -> None:
    """Mix `volume_l` of a liquid into the vessel; amounts and heat are kept.

    `liquid` gives concentrations by state field (cells as viable_e9_l and dead_e9_l), absent means
    0. Raises HandError for a volume that is not positive and finite or does not fit.
    """
    if not (math.isfinite(volume_l) and volume_l > 0.0):
        raise HandError(f"volume {volume_l} L: give a positive volume")
    after = float(s.volume_l) + volume_l
    if after > float(p.vessel_total_l):
        raise HandError(
            f"{volume_l} L does not fit: {after:.3f} L in a {p.vessel_total_l} L vessel"
        )
    before = float(s.volume_l)
    for index in (VIABLE, DEAD, *range(SOLUTE_0, SOLUTE_0 + SOLUTES)):
        added = liquid.get(SLOW[index], 0.0)
        s.slow[index] = (float(s.slow[index]) * before + added * volume_l) / after
    held = WATER_J_PER_L_K * before + float(p.wall_j_per_k)
    brought = WATER_J_PER_L_K * volume_l
    s.slow[VESSEL_T] = (held * float(s.slow[VESSEL_T]) + brought * celsius) / (held + brought)
    _shift_volume(s, volume_l)


def take(s: Record, volume_l: float) -> None:
    """Remove `volume_l` of whole broth. Raises HandError when the vessel does not hold it."""
    if not (math.isfinite(volume_l) and 0.0 < volume_l < float(s.volume_l)):
        raise HandError(f"volume {volume_l} L: the vessel holds {float(s.volume_l):.3f} L")
    _shift_volume(s, -volume_l)


def _shift_volume(s: Record, volume_l: float) -> None:
    s.volume_l += volume_l
    s.slow_volume_l += volume_l


def assay(s: Record, p: Record, f: Record) -> dict[str, float]:
    """The true values a laboratory would find in a sample of the broth and of the perfusate."""
    viable, dead = float(s.viable_e9_l), float(s.dead_e9_l)
    passed = 1.0 - float(p.retention) * (1.0 - float(f.retention_loss))
    return {
        "vcd_e6_per_ml": viable,
        "viability_pct": 100.0 * viable / (viable + dead) if viable + dead > 0.0 else 0.0,
        "glucose_mm": float(s.glucose_mm),
        "lactate_mm": float(s.lactate_mm),
        "glutamine_mm": float(s.glutamine_mm),
        "ammonia_mm": float(s.ammonia_mm),
        "ph": float(s.ph),
        "perfusate_e6_per_ml": viable * passed,
    }


def found(s: Record, p: Record, u: Record) -> None:
    """Decide the state a unit is found in: empty, cool, air in the head, devices half way up."""
    for i in range(len(u.drive)):
        u.drive[i] = 0.5 * p.full_scale[i] if i < KM101 else 1.0  # contactor and valves
        if i == ANNUNCIATOR:
            u.drive[i] = 0.0
        s.actual[i] = u.drive[i]
    start = float(p.start_degc)
    for field, value in fresh_medium(p).items():
        s[field] = value
    s.activation = p.activation_0
    s.head_o2, s.head_co2 = p.air_o2, p.air_co2
    s.vessel_degc = s.jacket_degc = start
    s.volume_l = s.slow_volume_l = p.vessel_empty_l
    s.medium_bag_l, s.base_bag_l = p.medium_bag_l, p.base_bag_l
    s.annunciator_line = 1.0
    s.hydrogen_mm = 1.0e-4
    s.env_kh_o2 = oxygen_henry_mm_per_pa(start)


def empty(s: Record, p: Record) -> None:
    """Empty and refill the vessel's last wetted film with fresh medium: no cells, no history."""
    for i in range(SOLUTE_0 + SOLUTES):
        s.slow[i] = 0.0
    for field, value in fresh_medium(p).items():
        s[field] = value
    s.activation = p.activation_0
    s.volume_l = s.slow_volume_l = p.vessel_empty_l


def purge_feed_line(s: Record) -> None:
    """Run medium through the feed line by hand, out beside the vessel: no air is left in it."""
    s.air_at_sensor = s.line_air_ml = s.air_front_ml = 0.0


def truth(s: Record) -> dict[str, Any]:
    """The plant's own values, which no device of the unit may see."""
    viable, dead = float(s.viable_e9_l), float(s.dead_e9_l)
    values: dict[str, Any] = {
        "time_s": float(s.time_s),
        "vcd_e6_per_ml": viable,
        "viability_pct": 100.0 * viable / (viable + dead) if viable + dead > 0.0 else 0.0,
        "volume_l": float(s.volume_l),
        "temperature_degc": float(s.vessel_degc),
        "jacket_degc": float(s.jacket_degc),
        "do_pct": float(s.do_pct),
        "ph": float(s.ph),
        "perfused_ml": float(s.waste_total_ml),
        "harvested_ml": float(s.product_total_ml),
        "harvested_e9_cells": float(s.harvested_e9),
        "tsh_tripped": bool(s.tsh_tripped),
        "tsh_trips": int(s.tsh_trips),
        "relief_opened": int(s.relief_opened),
    }
    for name in (
        "glucose_mm", "lactate_mm", "glutamine_mm", "ammonia_mm", "il2", "pressure_mbar",
        "feed_total_ml", "base_total_ml", "glucose_used_mmol", "lactate_formed_mmol", "kla_per_h",
        "oxygen_uptake_mm_h", "growth_per_h", "medium_bag_l", "base_bag_l", "air_to_vessel_ml",
        "sounding",
    ):  # fmt: skip
        values[name] = float(s[name])
    return values

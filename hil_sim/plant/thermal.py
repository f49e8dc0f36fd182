"""Heat: jacket and vessel energy balance.

A module of its own because two temperatures, one heater and the losses close an energy balance
that can be checked alone. The wetted area follows the liquid; the wall is the heat capacity that
stays when the vessel is empty.
"""

from typing import Final

from numba import njit

from hil_sim.plant.state import Record

WATER_J_PER_L_K: Final = 4180.0
LATENT_J_PER_L: Final = 2.41e6


@njit(cache=True, error_model="numpy")
def jacket_slope(p: Record, heater_w: float, jacket: float, vessel: float, volume: float) -> float:
    """Rate of the jacket temperature in K/s; volume in L, temperatures in degC."""
    to_vessel = jacket_conductance(p, volume) * (jacket - vessel)
    lost = p.jacket_loss_w_per_k * (jacket - p.ambient_degc)
    return float((heater_w - to_vessel - lost) / p.jacket_j_per_k)


@njit(cache=True, error_model="numpy")
def jacket_conductance(p: Record, volume: float) -> float:
    """UA between jacket and liquid in W/K: it follows the wetted area, with the wall as floor."""
    return float(p.jacket_ua_w_per_k * (0.1 + 0.9 * min(1.0, 0.5 * volume)))


@njit(cache=True, error_model="numpy")
def vessel_slope(
    p: Record,
    jacket: float,
    vessel: float,
    volume: float,
    other_w: float,
    feed_l_s: float,
    evaporation_l_s: float,
) -> float:
    """Rate of the vessel temperature in K/s; `other_w` is stirring plus metabolism."""
    heat = (
        jacket_conductance(p, volume) * (jacket - vessel)
        - p.vessel_loss_w_per_k * (vessel - p.ambient_degc)
        + other_w
        + feed_l_s * WATER_J_PER_L_K * (p.feed_degc - vessel)
        - evaporation_l_s * LATENT_J_PER_L
    )
    return float(heat / (WATER_J_PER_L_K * volume + p.wall_j_per_k))

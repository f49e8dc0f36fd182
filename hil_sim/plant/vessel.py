"""Liquid, gas and pressure of the vessel at the fast tick: pumps, valves, bags, vent, relief.

A module of its own because volume and pressure are what a wrong valve or pump hurts first; both
move within tenths of a second and both have protection outside the controller.
"""

from typing import Final

from numba import njit

from hil_sim.plant.state import (
    AIR,
    BASE,
    CO2,
    FEED,
    N2,
    O2,
    PERFUSATE,
    VESSEL_T,
    VIABLE,
    XV100,
    XV201,
    XV202,
    XV203,
    XV204,
    Record,
)

LEAST_BUBBLE_ML: Final = 1.0e-4  # what leaves the line at once; less clings to nothing [assumed]


@njit(cache=True, error_model="numpy")
def move_liquids(s: Record, p: Record, f: Record) -> None:
    """Move the liquids of one tick: mL by pump speed, tubing gain and wear, and valve position.

    Outlets draw nothing below their dip, inlets nothing into a full vessel or from an empty bag;
    what the feed pump does not get as liquid, from an empty bag or by a loose joint, it draws as
    air. With both outlet valves open the flow divides by their positions.
    """
    minutes = p.tick_s / 60.0
    hours = p.tick_s / 3600.0
    a = s.actual
    if a[FEED] > 0.1:
        s.feed_hours += hours
    if a[PERFUSATE] > 0.1:
        s.perfusate_hours += hours
    feed_gain = p.feed_gain * max(0.5, 1.0 - p.feed_wear_per_100h * 0.01 * s.feed_hours)
    out_gain = p.perfusate_gain * max(
        0.5, 1.0 - p.perfusate_wear_per_100h * 0.01 * s.perfusate_hours
    )
    room = 1.0 if s.volume_l < p.vessel_total_l - 0.05 else 0.0
    feed = a[FEED] * p.big_ml_per_rev * feed_gain * a[XV201] * (1.0 - f.actuator_loss[FEED]) * room
    base = (
        a[BASE] * p.base_ml_per_rev * p.base_gain * a[XV204] * (1.0 - f.actuator_loss[BASE]) * room
    )
    drawn = feed
    feed = min(feed * (1.0 - f.air_in_feed), s.medium_bag_l * 1000.0 / minutes)
    s.air_ml_min = drawn - feed
    base = min(base, s.base_bag_l * 1000.0 / minutes)
    paths = max(1.0, a[XV202] + a[XV203])
    out = a[PERFUSATE] * p.big_ml_per_rev * out_gain * (1.0 - f.actuator_loss[PERFUSATE]) / paths
    if s.volume_l <= p.outlet_dip_l:
        out = 0.0
    waste = out * a[XV202]
    product = out * a[XV203]
    s.feed_ml_min, s.base_ml_min = feed, base
    s.waste_ml_min, s.product_ml_min = waste, product
    s.feed_ml += feed * minutes
    s.base_ml += base * minutes
    s.waste_ml += waste * minutes
    s.product_ml += product * minutes
    s.medium_bag_l -= feed * minutes * 1.0e-3
    s.base_bag_l -= base * minutes * 1.0e-3
    s.volume_l += (feed + base - waste - product) * minutes * 1.0e-3
    s.harvested_e9 += product * minutes * 1.0e-3 * s.slow[VIABLE]


@njit(cache=True, error_model="numpy")
def move_air(s: Record, p: Record) -> None:
    """Carry air along the feed line: past its sensor, and behind the medium into the vessel.

    While the line moves the sensor shows what passes; when it stands still, what stopped there.
    Air comes out at the vessel when its front has travelled the line, in the share the line holds.
    """
    minutes = p.tick_s / 60.0
    moved = (s.feed_ml_min + s.air_ml_min) * minutes
    if moved <= 0.0:
        return
    air = s.air_ml_min * minutes
    s.air_at_sensor = 1.0 if air > 0.0 else 0.0
    if air <= 0.0 and s.line_air_ml <= 0.0:
        return
    out = 0.0
    if s.air_front_ml >= p.feed_line_ml:
        out = min(s.line_air_ml, max(moved * s.line_air_ml / p.feed_line_ml, LEAST_BUBBLE_ML))
    s.line_air_ml += air - out
    s.air_to_vessel_ml += out
    s.air_front_ml = s.air_front_ml + moved if s.line_air_ml > 0.0 else 0.0


@njit(cache=True, error_model="numpy")
def move_gas(s: Record, p: Record, f: Record) -> None:
    """Gas of one tick (normal mL) through XV100, headspace pressure and the relief valve.

    Backward Euler on dP/dt = (Q - G P)/C: exact in the quasi-steady case P = R Q of an open vent,
    and the integral of the flow when the vent is clamped or blocked.
    """
    minutes = p.tick_s / 60.0
    a = s.actual
    loss = f.actuator_loss
    air = a[AIR] * (1.0 - loss[AIR])
    oxygen = a[O2] * (1.0 - loss[O2])
    carbon = a[CO2] * (1.0 - loss[CO2])
    total = (air + oxygen + carbon + a[N2] * (1.0 - loss[N2])) * a[XV100]
    s.gas_ml_min = total
    s.gas_ml += total * minutes
    s.gas_o2_ml += (oxygen + p.air_o2 * air) * a[XV100] * minutes
    s.gas_co2_ml += (carbon + p.air_co2 * air) * a[XV100] * minutes
    absolute = p.atmosphere_mbar + s.pressure_mbar
    warm = (s.slow[VESSEL_T] + 273.15) / 273.15
    inflow = total * warm * 1013.25 / absolute + (
        s.feed_ml_min + s.base_ml_min - s.waste_ml_min - s.product_ml_min
    )
    head_ml = max(50.0, (p.vessel_total_l - s.volume_l) * 1000.0)
    conductance = p.set_leak_ml_min_mbar + f.set_leak_ml_min_mbar
    if s.vent_clamped == 0.0:
        conductance += (1.0 - f.vent_blocked) / p.vent_mbar_per_ml_min
    if s.relief_open != 0.0:
        conductance += p.relief_ml_min_mbar
    compliance = head_ml / absolute
    s.pressure_mbar = (s.pressure_mbar + minutes * inflow / compliance) / (
        1.0 + minutes * conductance / compliance
    )
    if s.relief_open == 0.0 and s.pressure_mbar > p.relief_open_mbar:
        s.relief_open = 1.0
        s.relief_opened += 1.0
    elif s.pressure_mbar < p.relief_close_mbar:
        s.relief_open = 0.0

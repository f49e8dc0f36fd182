"""Sensors: what each instrument shows of the truth, with lag, noise, drift, resolution and faults.

A module of its own because a sensor's noise must depend only on the seed and on how often that
channel was asked: every channel draws from its own splitmix64 stream, so polling one never changes
another.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from hil_sim.plant.state import (
    AT101,
    AT102,
    BS101,
    CHANNELS,
    FEED,
    FT_AIR,
    HEATER,
    HS101,
    JACKET_T,
    JT_HEATER,
    KM101,
    KM101_AUX,
    LAGGED,
    LT101,
    PT101,
    PT_AIR,
    PT_N2,
    ST_BASE,
    ST_FEED,
    ST_STIRRER,
    STIRRER,
    TT101,
    TT102,
    TT103,
    TT_DO,
    TT_PH,
    VESSEL_T,
    WT101,
    XV100,
    XV100_CLOSED,
    XV100_OPEN,
    Record,
)

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT: Final = 2.0**-53
PROVEN: Final = 0.95  # share of travel at which a limit switch closes
SECONDS_PER_DAY: Final = 86400.0


def streams(seed: int) -> Any:
    """One uint64 random state per channel, shape (len(CHANNELS),)."""
    return np.random.SeedSequence([seed, 0x5E45]).generate_state(len(CHANNELS), np.uint64)


@njit(cache=True, error_model="numpy")
def _uniform(rng: Record, channel: int) -> float:
    """Next number in (0, 1) of this channel's stream: splitmix64, doi 10.1145/2660193.2660195."""
    state = rng[channel] + _GOLDEN
    rng[channel] = state
    z = (state ^ (state >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    z = z ^ (z >> _S31)
    return (float(z >> _S11) + 0.5) * _TO_UNIT


@njit(cache=True, error_model="numpy")
def _normal(rng: Record, channel: int) -> float:
    """Next standard normal number of this channel (Box-Muller, cosine branch)."""
    radius = math.sqrt(-2.0 * math.log(_uniform(rng, channel)))
    return radius * math.cos(2.0 * math.pi * _uniform(rng, channel))


@njit(cache=True, error_model="numpy")
def lag_sensors(s: Record, p: Record) -> None:
    """Move every probe by one tick towards the truth; the DO probe has two equal lags."""
    celsius = s.slow[VESSEL_T]
    keep, lagged = p.sensor_keep, s.lagged
    s.do_first_lag += (1.0 - keep[AT102]) * (s.do_pct - s.do_first_lag)
    lagged[TT101] += (1.0 - keep[TT101]) * (celsius - lagged[TT101])
    lagged[TT102] += (1.0 - keep[TT102]) * (celsius - lagged[TT102])
    lagged[TT103] += (1.0 - keep[TT103]) * (s.slow[JACKET_T] - lagged[TT103])
    lagged[PT101] += (1.0 - keep[PT101]) * (s.pressure_mbar - lagged[PT101])
    lagged[LT101] += (1.0 - keep[LT101]) * (s.volume_l - lagged[LT101])
    lagged[WT101] += (1.0 - keep[WT101]) * (gross_g(s, p) - lagged[WT101])
    lagged[AT101] += (1.0 - keep[AT101]) * (s.ph - lagged[AT101])
    lagged[AT102] += (1.0 - keep[AT102]) * (s.do_first_lag - lagged[AT102])
    lagged[TT_PH] += (1.0 - keep[TT_PH]) * (celsius - lagged[TT_PH])
    lagged[TT_DO] += (1.0 - keep[TT_DO]) * (celsius - lagged[TT_DO])


@njit(cache=True, error_model="numpy")
def gross_g(s: Record, p: Record) -> float:
    """Load on the balance in g: vessel, contents and the slow pull of the tubing."""
    return float(p.tare_g + s.volume_l * 1000.0 * p.density_g_per_ml + s.tube_pull_g)


@njit(cache=True, error_model="numpy")
def drift_sensors(s: Record, p: Record, f: Record, dt: float) -> None:
    """Let `dt` seconds of slow change pass: faulty drifts, and the daily swing of the tubing."""
    for i in range(len(s.drift)):
        s.drift[i] += f.sensor_drift_per_h[i] * dt / 3600.0
    s.tube_pull_g = p.tube_force_g * math.sin(2.0 * math.pi * s.time_s / SECONDS_PER_DAY)


@njit(cache=True, error_model="numpy")
def ideal_reading(s: Record, p: Record, channel: int) -> float:
    """What the channel would show without noise, drift, resolution and faults."""
    a = s.actual
    if channel < LAGGED:
        return float(s.lagged[channel])
    if channel < PT_AIR:
        return float(a[channel - FT_AIR] * a[XV100])
    if channel <= PT_N2:
        flow = a[channel - PT_AIR] * a[XV100]
        return float(p.line_supply_mbar - p.line_droop_mbar_min_ml * flow)
    if channel <= ST_BASE:
        return float(a[FEED + channel - ST_FEED])
    if channel == ST_STIRRER:
        return float(a[STIRRER])
    if channel == JT_HEATER:
        return float(a[HEATER])
    if channel == KM101_AUX:
        return 1.0 if a[KM101] > 0.5 else 0.0
    if channel < XV100_CLOSED:
        return 1.0 if a[XV100 + channel - XV100_OPEN] > PROVEN else 0.0
    if channel == BS101:
        return float(s.air_at_sensor)
    if channel == HS101:
        return float(s.annunciator_line)
    return 1.0 if a[XV100 + channel - XV100_CLOSED] < 1.0 - PROVEN else 0.0


@njit(cache=True, error_model="numpy")
def sample(s: Record, p: Record, f: Record, channel: int, rng: Record) -> float:
    """The reading of one channel now, in the channel's unit; advances only that channel's stream.

    A stuck channel shows its held value with no noise. The channel index is the caller's duty.
    """
    if f.sensor_stuck[channel] != 0.0:
        value = float(f.sensor_value[channel])
    else:
        value = ideal_reading(s, p, channel)
        sigma = p.noise[channel] + f.sensor_noise[channel]
        if sigma > 0.0:
            value += sigma * _normal(rng, channel)
        value += p.bias[channel] + p.drift_per_h[channel] * s.time_s / 3600.0
        value += s.drift[channel] + f.sensor_offset[channel]
    value = max(p.low[channel], min(p.high[channel], value))
    quantum = p.quantum[channel]
    return float(round(value / quantum) * quantum) if quantum > 0.0 else value

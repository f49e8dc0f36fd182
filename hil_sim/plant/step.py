"""Time: `advance` moves the whole plant by a number of fast ticks, the slow step every tenth.

A module of its own because it is the only order of events in the plant, and the entry point that
the rig calls from compiled code. Same memory in, same memory out: nothing here draws a random
number.
"""

from typing import Final

from numba import njit

from hil_sim.plant.actuators import heat, move_actuators, sound
from hil_sim.plant.sensors import drift_sensors, ideal_reading, lag_sensors, sample
from hil_sim.plant.slow import read_chemistry, slow_step
from hil_sim.plant.state import Record
from hil_sim.plant.vessel import move_air, move_gas, move_liquids

TICKS_PER_SLOW: Final = 10
NEWTON_FULL: Final = 60  # iterations from a guess that may be far off


@njit(cache=True, error_model="numpy")
def tick(s: Record, p: Record, u: Record, f: Record) -> None:
    """One fast step of one plant; arguments are the records themselves, not arrays."""
    move_actuators(s, p, u, f)
    heat(s, p, f)
    sound(s, f)
    move_liquids(s, p, f)
    move_air(s, p)
    move_gas(s, p, f)
    s.tick += 1
    s.time_s = s.tick * p.tick_s
    if s.tick % TICKS_PER_SLOW == 0:
        dt = TICKS_PER_SLOW * p.tick_s
        slow_step(s, p, f, dt)
        drift_sensors(s, p, f, dt)
    lag_sensors(s, p)


@njit(cache=True, error_model="numpy")
def advance(s: Record, p: Record, u: Record, f: Record, n_ticks: int) -> None:
    """Move the plant by `n_ticks` fast ticks (0.1 s) under the commands `u` and the faults `f`.

    All four arguments are record arrays of shape (1,).
    """
    state, parameters, commands, faults = s[0], p[0], u[0], f[0]
    for _ in range(n_ticks):
        tick(state, parameters, commands, faults)


@njit(cache=True, error_model="numpy")
def settle(s: Record, p: Record) -> None:
    """Bring pH and DO in line with contents that a hand has changed; arrays of shape (1,)."""
    read_chemistry(s[0], p[0], NEWTON_FULL)


@njit(cache=True, error_model="numpy")
def read_channel(s: Record, p: Record, f: Record, channel: int, rng: Record) -> float:
    """`sensors.sample` for callers outside compiled code; arrays of shape (1,)."""
    return sample(s[0], p[0], f[0], channel, rng)


@njit(cache=True, error_model="numpy")
def read_ideal(s: Record, p: Record, channel: int) -> float:
    """`sensors.ideal_reading` for callers outside compiled code; arrays of shape (1,)."""
    return ideal_reading(s[0], p[0], channel)

"""Final elements: what each one really does with its command, and the hard-wired heater cut-out.

A module of its own because it runs every fast tick for all elements by one law (dead zone, gain,
exact first-order lag, rate limit), and because here a stuck element stops listening.
"""

from numba import njit

from hil_sim.plant.state import ANNUNCIATOR, HEATER, KM101, VESSEL_T, Record


@njit(cache=True, error_model="numpy")
def move_actuators(s: Record, p: Record, u: Record, f: Record) -> None:
    """Move every final element by one tick towards its command, or to where it is stuck.

    Written as choices, not branches, which the compiler turns into straight code. A command that
    is not a number is not above the dead zone and drives nothing.
    """
    drive, actual, stuck, value = u.drive, s.actual, f.actuator_stuck, f.actuator_value
    dead_zone, full_scale, gain = p.dead_zone, p.full_scale, p.gain
    follow, step_max = p.follow, p.step_max
    for i in range(len(actual)):
        target = value[i] if stuck[i] != 0.0 else drive[i]
        target = target if target > dead_zone[i] else 0.0
        target = target if target < full_scale[i] else full_scale[i]
        move = (target * gain[i] - actual[i]) * follow[i]
        move = move if move < step_max[i] else step_max[i]
        move = move if move > -step_max[i] else -step_max[i]
        actual[i] += move


@njit(cache=True, error_model="numpy")
def heat(s: Record, p: Record, f: Record) -> None:
    """Decide the heater power: contactor and TSH101 stand in series with the heater.

    TSH101 is hard-wired, outside any controller: it opens above its trip temperature and closes by
    itself below its reset temperature.
    """
    if s.slow[VESSEL_T] > p.tsh_trip_degc:
        if s.tsh_tripped == 0.0:
            s.tsh_trips += 1.0
        s.tsh_tripped = 1.0
    elif s.slow[VESSEL_T] < p.tsh_reset_degc:
        s.tsh_tripped = 0.0
    power = p.heater_w * s.actual[HEATER] * 0.01 * (1.0 - f.actuator_loss[HEATER])
    closed = s.actual[KM101] > 0.5 and s.tsh_tripped == 0.0
    s.heater_w = power if closed else 0.0


@njit(cache=True, error_model="numpy")
def sound(s: Record, f: Record) -> None:
    """Decide how loud the annunciator is, a share of full: nothing sounds over cut wires."""
    s.annunciator_line = 1.0 - f.annunciator_cut
    s.sounding = s.actual[ANNUNCIATOR] * (1.0 - f.actuator_loss[ANNUNCIATOR]) * s.annunciator_line

"""The faults of the plant by name: one event-by-effect grid over all actuators and sensors.

A module of its own because a fault's name is public (rig, campaign, tests) and must be refused, not
ignored, when nothing implements it. What a stuck element holds is captured at the moment it sticks.
"""

from dataclasses import dataclass
from typing import Any, Final

from hil_sim.plant.state import ACTUATORS, CHANNELS, Record
from hil_sim.plant.step import read_ideal


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a named fault lives: its field, the index in it (-1: scalar), the field it captures."""

    field: str
    index: int = -1
    held: str = ""


class FaultError(ValueError):
    """No fault of this name exists, or its magnitude is not usable; nothing was changed."""


def _grid() -> dict[str, Fault]:
    named: dict[str, Fault] = {}
    for i, actuator in enumerate(ACTUATORS):
        short = actuator.removesuffix("_rpm").removesuffix("_pct")
        named[f"{short}_stuck"] = Fault("actuator_stuck", i, "actuator_value")
        named[f"{short}_loss"] = Fault("actuator_loss", i)
    for i, channel in enumerate(CHANNELS):
        named[f"{channel}_stuck"] = Fault("sensor_stuck", i, "sensor_value")
        named[f"{channel}_offset"] = Fault("sensor_offset", i)
        named[f"{channel}_drift_per_h"] = Fault("sensor_drift_per_h", i)
        named[f"{channel}_noise"] = Fault("sensor_noise", i)
    for scalar in ("vent_blocked", "set_leak_ml_min_mbar", "retention_loss", "kla_loss",
                   "air_in_feed", "annunciator_cut"):  # fmt: skip
        named[scalar] = Fault(scalar)
    return named


FAULTS: Final[dict[str, Fault]] = _grid()
_SHARES: Final = ("actuator_loss", "vent_blocked", "retention_loss", "kla_loss", "air_in_feed",
                  "annunciator_cut")  # fmt: skip


def fault_named(name: str) -> Fault:
    """The place of a fault. Raises FaultError with the way to the list of names."""
    if name not in FAULTS:
        raise FaultError(f"plant fault {name!r} does not exist: see hil_sim.plant.faults.FAULTS")
    return FAULTS[name]


def apply(s: Record, p: Record, f: Record, name: str, value: float, held: float | None) -> None:
    """Switch a fault on with magnitude `value`; a stuck element holds `held`, or its value now.

    Raises FaultError for an unknown name, a magnitude that is not finite, a share outside 0..1, or
    `held` for a fault that holds nothing.
    """
    fault = fault_named(name)
    if not -1.0e9 < value < 1.0e9:
        raise FaultError(f"plant fault {name!r}: magnitude {value} is not usable")
    if fault.field in _SHARES and not 0.0 <= value <= 1.0:
        raise FaultError(f"plant fault {name!r}: {value} is a share and must be 0 to 1")
    if held is not None and not fault.held:
        raise FaultError(f"plant fault {name!r} holds no value: leave `held` out")
    if fault.held:
        f[fault.held][0, fault.index] = _now(s, p, fault) if held is None else held
    _write(f, fault, value)


def clear(s: Record, f: Record, name: str) -> None:
    """Switch a fault off; a drift it had built up goes with it."""
    fault = fault_named(name)
    _write(f, fault, 0.0)
    if fault.field == "sensor_drift_per_h":
        s["drift"][0, fault.index] = 0.0


def _write(f: Any, fault: Fault, value: float) -> None:
    if fault.index < 0:
        f[fault.field][0] = value
    else:
        f[fault.field][0, fault.index] = value


def _now(s: Record, p: Record, fault: Fault) -> float:
    if fault.field == "actuator_stuck":
        return float(s["actual"][0, fault.index] / p["gain"][0, fault.index])
    drift = p["drift_per_h"][0, fault.index] * s["time_s"][0] / 3600.0 + s["drift"][0, fault.index]
    return float(read_ideal(s, p, fault.index) + p["bias"][0, fault.index] + drift)

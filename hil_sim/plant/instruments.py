"""What each actuator and each sensor of the unit can do, as two tables.

A module of its own because these rows are read by the plant (lag, noise, limits) and quoted by
whoever checks a device profile against the unit. All figures are [assumed] unless the note names a
source: typical data-sheet values of the device class, not of one serial number.
"""

from dataclasses import dataclass
from typing import Final

UNLIMITED: Final = 1.0e12


@dataclass(frozen=True, slots=True)
class Actuator:
    """One final element: range in its own unit, first-order lag, rate limit, gain error.

    `dead_zone` is a share of full scale below which nothing moves; `gain_spread` is +-, uniform.
    """

    name: str
    full_scale: float
    tau_s: float = 0.0
    rate_per_s: float = UNLIMITED
    dead_zone: float = 0.0
    gain_spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Sensor:
    """One reading: lag, 1-sigma noise, resolution, range, +-bias and +-drift a week, uniform."""

    name: str
    low: float
    high: float
    tau_s: float = 0.0
    noise: float = 0.0
    quantum: float = 0.0
    bias: float = 0.0
    drift_per_week: float = 0.0


def _mfc(name: str, full_scale: float) -> Actuator:
    return Actuator(name, full_scale, tau_s=0.7, dead_zone=0.02, gain_spread=0.01)


def _valve(name: str) -> Actuator:
    return Actuator(name, 1.0, rate_per_s=5.0)


ACTUATOR_TABLE: Final[tuple[Actuator, ...]] = (
    _mfc("air", 500.0),  # mL/min, normal (0 degC, 1013.25 mbar)
    _mfc("o2", 250.0),
    _mfc("co2", 100.0),
    _mfc("n2", 500.0),
    Actuator("feed_rpm", 220.0, tau_s=0.3),
    Actuator("perfusate_rpm", 220.0, tau_s=0.3),
    Actuator("base_rpm", 220.0, tau_s=0.3),
    Actuator("heater_pct", 100.0, tau_s=1.0),
    Actuator("stirrer_rpm", 400.0, rate_per_s=30.0),
    Actuator("km101", 1.0),
    _valve("xv100"),
    _valve("xv201"),
    _valve("xv202"),
    _valve("xv203"),
    _valve("xv204"),
    Actuator("annunciator", 1.0),  # share of full loudness
)


def _flow(name: str, full_scale: float) -> Sensor:
    return Sensor(name, 0.0, 1.28 * full_scale, noise=0.001 * full_scale, quantum=0.01)


def _contact(name: str) -> Sensor:
    return Sensor(name, 0.0, 1.0)


SENSOR_TABLE: Final[tuple[Sensor, ...]] = (
    Sensor("TT101", -10.0, 150.0, tau_s=5.0, noise=0.01, quantum=0.01, bias=0.05),
    Sensor("TT102", -10.0, 150.0, tau_s=8.0, noise=0.01, quantum=0.01, bias=0.05),
    Sensor("TT103", -10.0, 150.0, tau_s=5.0, noise=0.02, quantum=0.01, bias=0.1),
    Sensor("PT101", -50.0, 200.0, tau_s=0.2, noise=0.1, quantum=0.1, bias=0.3),
    Sensor("LT101", 0.0, 3.0, tau_s=2.0, noise=0.004, quantum=0.001, bias=0.005),
    Sensor("WT101", 0.0, 16000.0, tau_s=0.4, noise=0.3, quantum=0.1, bias=1.0),
    Sensor("AT101", 0.0, 14.0, tau_s=7.0, noise=0.003, quantum=0.001, bias=0.01,
           drift_per_week=0.03),
    Sensor("AT102", 0.0, 300.0, tau_s=7.7, noise=0.1, quantum=0.01, bias=0.5, drift_per_week=1.0),
    Sensor("TT_PH", -10.0, 150.0, tau_s=20.0, noise=0.02, quantum=0.01, bias=0.15),
    Sensor("TT_DO", -10.0, 150.0, tau_s=20.0, noise=0.02, quantum=0.01, bias=0.15),
    _flow("FT_AIR", 500.0),
    _flow("FT_O2", 250.0),
    _flow("FT_CO2", 100.0),
    _flow("FT_N2", 500.0),
    *(
        Sensor(name, 0.0, 11000.0, noise=1.0, quantum=1.0)
        for name in ("PT_AIR", "PT_O2", "PT_CO2", "PT_N2")
    ),
    Sensor("ST_FEED", 0.0, 220.0, quantum=0.1),
    Sensor("ST_PERFUSATE", 0.0, 220.0, quantum=0.1),
    Sensor("ST_BASE", 0.0, 220.0, quantum=0.1),
    Sensor("ST_STIRRER", 0.0, 500.0, noise=0.3, quantum=0.1),
    Sensor("JT_HEATER", 0.0, 100.0, noise=0.1, quantum=0.1),
    _contact("KM101_AUX"),
    *(_contact(f"XV{n}_OPEN") for n in (100, 201, 202, 203, 204)),
    *(_contact(f"XV{n}_CLOSED") for n in (100, 201, 202, 203, 204)),
    _contact("BS101"),
    _contact("HS101"),
)  # fmt: skip

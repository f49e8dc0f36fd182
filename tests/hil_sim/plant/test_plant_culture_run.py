"""Seven days of culture under an ideal controller that sees the truth and acts on commands only."""

import numpy as np
import numpy.typing as npt
import pytest
from numba import njit

from hil_sim.plant.plant import Plant
from hil_sim.plant.state import Record
from hil_sim.plant.step import advance

LOG_EVERY_S = 360
COLUMNS = ("temperature", "do", "ph", "base_ml_h", "lactate", "glucose")
HEAT, DO_DEMAND, CO2_DEMAND, BASE_DEMAND = range(4)


@njit(error_model="numpy")
def _pi(
    error: float, gain: float, ti_s: float, low: float, high: float, memory: Record, i: int
) -> float:
    raw = gain * error + memory[i]
    out = max(low, min(high, raw))
    if out == raw or (raw - out) * error < 0.0:
        memory[i] += gain * error / ti_s
    return float(out)


@njit(error_model="numpy")
def _control(s: Record, u: Record, memory: Record, cells: bool, perfuse: bool) -> None:
    heat = _pi(37.0 - s.vessel_degc, 30.0, 900.0, 0.0, 100.0, memory, HEAT)
    u.heater_pct = max(0.0, min(heat, 20.0 * (44.0 - s.jacket_degc)))
    low = 0.0 if cells else -1.0
    demand = _pi(40.0 - s.do_pct, 0.004, 600.0, low, 1.0, memory, DO_DEMAND)
    u.air = 300.0 * max(0.0, min(1.0, 2.0 * demand))
    u.o2 = 200.0 * max(0.0, 2.0 * demand - 1.0)
    u.n2 = 300.0 * max(0.0, -demand)
    u.co2 = _pi(s.ph - 7.2, 600.0, 1200.0, 0.0, 100.0, memory, CO2_DEMAND)
    base = _pi(7.17 - s.ph, 800.0, 1200.0, 0.0, 58.0, memory, BASE_DEMAND)
    u.base_rpm = 0.0 if u.co2 > 2.0 else base
    perfusion = min(2.0, 0.08 * s.viable_e9_l) * 2000.0 / 1440.0 if perfuse else 0.0
    u.perfusate_rpm = perfusion / 0.9
    u.feed_rpm = max(0.0, (perfusion + 20.0 * (2.0 - s.volume_l)) / 0.9)


@njit(error_model="numpy")
def _run(
    s: Record, p: Record, u: Record, f: Record, memory: Record, hours: int, cells: bool,
    perfuse: bool, log: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    now = s[0]
    for second in range(hours * 3600):
        _control(now, u[0], memory, cells, perfuse)
        advance(s, p, u, f, 10)
        if second % LOG_EVERY_S == 0:
            row = log[second // LOG_EVERY_S]
            row[0], row[1], row[2] = now.vessel_degc, now.do_pct, now.ph
            row[3], row[4], row[5] = now.base_ml_min * 60.0, now.lactate_mm, now.glucose_mm


def batch(seed: int) -> tuple[Plant, npt.NDArray[np.float64]]:
    """Fill, condition for 4 h, inoculate 0.26e6/mL, 48 h still, then perfusion up to 2 VVD."""
    plant = Plant(seed)
    plant.command(
        air=50.0, o2=0.0, co2=0.0, n2=0.0, heater_pct=0.0, stirrer_rpm=180.0, base_rpm=0.0,
        perfusate_rpm=0.0, feed_rpm=110.0, xv202=1.0, xv203=0.0,
    )  # fmt: skip
    while plant.truth()["volume_l"] < 1.985:
        plant.advance(10)
    memory = np.zeros(4)
    rows = 3600 // LOG_EVERY_S
    arrays = (plant.s, plant.p, plant.u, plant.f, memory)
    _run(*arrays, 4, False, False, np.zeros((4 * rows, len(COLUMNS))))
    memory[DO_DEMAND] = 0.0
    plant.inoculate(0.015, 0.26 * 2.0 / 0.015, 0.95)
    log = np.zeros((168 * rows, len(COLUMNS)))
    _run(*arrays, 48, True, False, log[: 48 * rows])
    _run(*arrays, 120, True, True, log[48 * rows :])
    return plant, log


@pytest.mark.parametrize(("seed", "within"), [(1, 0.10), (2, 0.30), (4, 0.30)])
def test_seven_days_reach_the_published_density_in_band(seed: int, within: float) -> None:
    plant, log = batch(seed)
    truth = plant.truth()
    assert truth["vcd_e6_per_ml"] == pytest.approx(33.5, rel=within)
    assert truth["viability_pct"] >= 85.0
    assert log[:, COLUMNS.index("lactate")].max() <= 45.0
    assert log[:, COLUMNS.index("glucose")].min() >= 0.3
    assert log[:, COLUMNS.index("base_ml_h")].max() < 9.0
    assert truth["lactate_formed_mmol"] / truth["glucose_used_mmol"] == pytest.approx(1.6, rel=1e-6)
    assert truth["volume_l"] == pytest.approx(2.0, abs=0.05)
    for column, middle, half in (("temperature", 37.0, 0.2), ("do", 40.0, 10.0), ("ph", 7.2, 0.1)):
        values = log[:, COLUMNS.index(column)]
        assert np.mean(np.abs(values - middle) <= half) >= 0.99, column


def test_forty_million_cells_keep_their_oxygen_on_the_gas_the_unit_has() -> None:
    plant = Plant(1, {"activation_0": 1.0})
    plant.command(
        air=300.0, o2=200.0, co2=0.0, n2=0.0, heater_pct=0.0, stirrer_rpm=180.0, base_rpm=0.0,
        perfusate_rpm=0.0, feed_rpm=110.0, xv202=1.0, xv203=0.0,
    )  # fmt: skip
    while plant.truth()["volume_l"] < 1.9:
        plant.advance(10)
    plant.inoculate(0.1, 800.0, 0.95)
    plant.command(feed_rpm=3.1, perfusate_rpm=3.1)
    plant.s["vessel_degc"] = plant.s["jacket_degc"] = 37.0
    plant.advance(6_000)
    truth = plant.truth()
    assert truth["vcd_e6_per_ml"] >= 38.0
    assert truth["do_pct"] >= 40.0

"""What the instruments show: seeded noise by channel, lag, resolution, drift and range."""

import numpy as np
import pytest
from numba import njit

from hil_sim.plant.instruments import ACTUATOR_TABLE, SENSOR_TABLE, Sensor
from hil_sim.plant.parameters import draw
from hil_sim.plant.plant import Plant
from hil_sim.plant.sensors import sample, streams
from hil_sim.plant.state import ACTUATORS, AT102, CHANNELS, TT101, Record
from hil_sim.plant.step import advance

GAS = ("air", "o2", "co2", "n2")
STILL = {"feed_rpm": 0.0, "perfusate_rpm": 0.0, "base_rpm": 0.0, "heater_pct": 0.0}


def test_instrument_tables_name_the_channels_and_actuators_in_order() -> None:
    assert tuple(row.name for row in SENSOR_TABLE) == CHANNELS
    assert tuple(row.name for row in ACTUATOR_TABLE) == ACTUATORS


def test_every_channel_reads_a_finite_value_in_its_range() -> None:
    plant = Plant(3)
    plant.advance(50)
    for row in SENSOR_TABLE:
        assert row.low <= plant.measure(row.name) <= row.high, row.name


def test_unknown_channel_and_unknown_actuator_are_refused() -> None:
    plant = Plant()
    before = plant.snapshot()
    with pytest.raises(KeyError):
        plant.measure("TT999")
    with pytest.raises(KeyError):
        plant.command(air=10.0, helium=10.0)
    assert plant.snapshot() == before


def test_polling_one_channel_more_often_does_not_change_another() -> None:
    calm, busy = Plant(5), Plant(5)
    shown = []
    for _ in range(50):
        for plant in (calm, busy):
            plant.advance(1)
        for _ in range(7):
            busy.measure("AT101")
        shown.append((calm.measure("TT101"), busy.measure("TT101")))
    assert all(one == other for one, other in shown)


def test_channels_and_seeds_have_different_streams() -> None:
    assert len(set(streams(1))) == len(CHANNELS)
    assert not set(streams(1)) & set(streams(2))


def test_noise_of_a_channel_has_the_declared_mean_and_width() -> None:
    plant = Plant(2)
    plant.command(**STILL, **dict.fromkeys(GAS, 0.0))
    plant.advance(1_200)
    readings = np.array([plant.measure("WT101") for _ in range(4_000)])
    row = SENSOR_TABLE[CHANNELS.index("WT101")]
    assert readings.std() == pytest.approx(row.noise, rel=0.06)
    truth = 4000.0 + 1000.0 * plant.truth()["volume_l"]
    assert readings.mean() == pytest.approx(truth, abs=row.bias + 0.2)


@pytest.mark.parametrize("row", [r for r in SENSOR_TABLE if r.quantum], ids=lambda r: r.name)
def test_readings_lie_on_the_resolution_of_the_channel(row: Sensor) -> None:
    plant = Plant(2)
    plant.advance(20)
    steps = plant.measure(row.name) / row.quantum
    assert steps == pytest.approx(round(steps), abs=1e-6)


def test_do_probe_shows_ninety_per_cent_of_a_step_after_its_thirty_seconds() -> None:
    plant = Plant(1, {"surface_m_per_s": 0.0})
    plant.command(**STILL, **dict.fromkeys(GAS, 0.0))
    plant.advance(600)
    start = plant.measure("AT102")
    plant.s["oxygen_mm"] *= 0.5
    plant.advance(10)
    change = start - plant.truth()["do_pct"]
    times = []
    for tick in range(1, 1_000):
        plant.advance(1)
        if start - plant.measure("AT102") >= 0.9 * change:
            times.append(tick / 10.0)
    assert min(times) == pytest.approx(30.0, abs=3.0)


def test_ph_probe_drifts_slowly_and_by_no_more_than_declared() -> None:
    row = SENSOR_TABLE[CHANNELS.index("AT101")]
    drifts = [abs(float(draw(seed)["drift_per_h"][0, 6])) * 168.0 for seed in range(1, 21)]
    assert 0.0 < max(drifts) <= row.drift_per_week


def test_mass_flow_follows_with_its_lag_within_one_per_cent_and_ignores_its_dead_zone() -> None:
    plant = Plant(4)
    plant.command(**dict.fromkeys(GAS, 0.0))
    plant.advance(200)
    plant.command(air=100.0)
    plant.advance(7)
    assert plant.measure("FT_AIR") == pytest.approx(63.2, abs=3.0)
    plant.advance(100)
    assert plant.measure("FT_AIR") == pytest.approx(100.0, abs=3.0)
    plant.command(air=9.0)
    plant.advance(200)
    assert plant.measure("FT_AIR") == pytest.approx(0.0, abs=2.5)


def test_pinch_valve_loses_its_open_proof_before_it_gains_its_closed_proof() -> None:
    plant = Plant()
    proofs = []
    plant.command(xv202=0.0)
    for _ in range(3):
        plant.advance(1)
        proofs.append((plant.measure("XV202_OPEN"), plant.measure("XV202_CLOSED")))
    assert proofs == [(0.0, 0.0), (0.0, 1.0), (0.0, 1.0)]


def test_pump_delivers_its_own_gain_and_wears_as_it_runs() -> None:
    plant = Plant(6)
    plant.command(**STILL, air=50.0)
    plant.advance(100)
    fresh = plant.truth()["feed_total_ml"]
    plant.command(feed_rpm=10.0, perfusate_rpm=10.2)
    plant.advance(6_000)
    first = plant.truth()["feed_total_ml"] - fresh
    assert first == pytest.approx(90.0 * float(plant.p["feed_gain"][0]), rel=0.01)
    plant.s["feed_hours"] = 100.0
    plant.advance(6_000)
    worn = plant.truth()["feed_total_ml"] - fresh - first
    assert 1.0 - worn / first == pytest.approx(float(plant.p["feed_wear_per_100h"][0]), abs=0.003)
    assert 0.05 <= float(plant.p["feed_wear_per_100h"][0]) <= 0.15


def test_command_that_is_not_a_number_drives_nothing() -> None:
    plant = Plant()
    plant.command(air=float("nan"), heater_pct=float("nan"), stirrer_rpm=float("nan"))
    plant.advance(300)
    assert plant.measure("JT_HEATER") == pytest.approx(0.0, abs=0.5)
    assert plant.measure("ST_STIRRER") == pytest.approx(0.0, abs=2.0)


@njit(error_model="numpy")
def _poll_compiled(s: Record, p: Record, u: Record, f: Record, rng: Record, out: Record) -> None:
    for i in range(len(out)):
        advance(s, p, u, f, 5)
        out[i, 0] = sample(s[0], p[0], f[0], TT101, rng)
        out[i, 1] = sample(s[0], p[0], f[0], AT102, rng)


def test_compiled_callers_and_the_object_read_the_same_plant() -> None:
    compiled, plain = Plant(9), Plant(9)
    out = np.zeros((20, 2))
    _poll_compiled(compiled.s, compiled.p, compiled.u, compiled.f, compiled.rng, out)
    for row in out:
        plain.advance(5)
        assert (plain.measure("TT101"), plain.measure("AT102")) == tuple(row)
    assert plain.snapshot() == compiled.snapshot()

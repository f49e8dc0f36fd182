"""Air in the feed line and the annunciator: what the sensor shows and what becomes of the truth."""

from __future__ import annotations

import pytest

from hil_sim.plant.faults import FaultError
from hil_sim.plant.plant import Plant

RPM = 10.0  # 9 mL/min
LINE_ML = 10.0


def feeding(seed: int = 1, **parameters: float) -> Plant:
    """A plant with room in the vessel whose feed pump runs into an open line."""
    plant = Plant(seed, {"feed_line_ml": LINE_ML, **parameters})
    plant.command(feed_rpm=RPM, xv201=1.0)
    plant.advance(50)
    return plant


def test_a_line_full_of_medium_shows_no_air() -> None:
    plant = feeding()
    plant.advance(600)
    assert plant.measure("BS101") == 0.0
    assert plant.truth()["air_to_vessel_ml"] == 0.0


def test_a_loose_joint_shows_air_at_the_sensor_at_once_and_in_the_vessel_a_line_later() -> None:
    plant = feeding()
    plant.set_fault("air_in_feed", 0.5)
    plant.advance(1)
    assert plant.measure("BS101") == 1.0
    rate = float(plant.s["feed_ml_min"][0] + plant.s["air_ml_min"][0])
    ticks = int(LINE_ML / rate * 600)
    plant.advance(ticks - 5)
    assert plant.truth()["air_to_vessel_ml"] == 0.0
    plant.advance(60)
    assert plant.truth()["air_to_vessel_ml"] > 0.0


def test_air_that_was_stopped_stays_at_the_sensor_until_a_hand_purges_the_line() -> None:
    plant = feeding()
    plant.set_fault("air_in_feed", 1.0)
    plant.advance(20)
    plant.command(feed_rpm=0.0, xv201=0.0)
    plant.advance(100)
    plant.clear_fault("air_in_feed")
    plant.advance(100)
    assert plant.measure("BS101") == 1.0
    assert plant.truth()["air_to_vessel_ml"] == 0.0
    plant.purge_feed_line()
    plant.command(feed_rpm=RPM, xv201=1.0)
    plant.advance(3_000)
    assert plant.measure("BS101") == 0.0
    assert plant.truth()["air_to_vessel_ml"] == 0.0


def test_an_empty_bag_is_air_in_the_line_and_what_went_in_comes_out() -> None:
    plant = feeding(medium_bag_l=0.010)
    plant.advance(4_000)
    assert plant.truth()["medium_bag_l"] == pytest.approx(0.0, abs=1e-9)
    assert plant.measure("BS101") == 1.0
    drawn = float(plant.s["line_air_ml"][0]) + plant.truth()["air_to_vessel_ml"]
    assert drawn > LINE_ML
    assert plant.truth()["air_to_vessel_ml"] == pytest.approx(drawn - LINE_ML, rel=0.05)


def test_a_short_bubble_comes_out_whole() -> None:
    plant = feeding()
    plant.set_fault("air_in_feed", 1.0)
    plant.advance(10)
    plant.clear_fault("air_in_feed")
    entered = float(plant.s["line_air_ml"][0])
    plant.advance(1)
    assert plant.measure("BS101") == 0.0
    plant.advance(20_000)
    assert entered > 0.1
    assert plant.truth()["air_to_vessel_ml"] == pytest.approx(entered, rel=1e-6)


def test_the_annunciator_sounds_as_loud_as_it_is_told_and_not_over_cut_wires() -> None:
    plant = Plant(1)
    plant.advance(1)
    assert plant.truth()["sounding"] == 0.0
    plant.command(annunciator=0.3)
    plant.advance(1)
    assert plant.truth()["sounding"] == pytest.approx(0.3)
    assert plant.measure("HS101") == 1.0
    plant.set_fault("annunciator_cut")
    plant.advance(1)
    assert plant.truth()["sounding"] == 0.0
    assert plant.measure("HS101") == 0.0


@pytest.mark.parametrize("name", ["air_in_feed", "annunciator_cut"])
def test_a_share_beyond_all_of_it_is_refused(name: str) -> None:
    plant = Plant(1)
    with pytest.raises(FaultError, match="share"):
        plant.set_fault(name, 1.5)
    assert float(plant.f[name][0]) == 0.0

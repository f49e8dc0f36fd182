"""The recipe that grows to a dose: what ends it, what its counts decide, and its ways out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import pytest
from recipe_bench import ROOT, shipped_offer
from recipe_operator import ANSWERS, Vessel

from controller.core.errors import BadInput
from controller.core.events import Event
from controller.recipe.load import load_recipe
from controller.recipe.plan import ControlRecipe

FILE = ROOT / "recipes" / "car_t_dose.yaml"
GROW = "culture/grow"
LOOP = f"{GROW}/daily"
COUNT = f"{LOOP}/still_growing"


@lru_cache(maxsize=4)
def recipe(**given: str) -> ControlRecipe:
    return load_recipe(FILE, shipped_offer(), given)


class Culture(Vessel):
    """A vessel whose cells grow `fold` in 24 h."""

    def __init__(
        self, fold: float = 2.0, answers: Mapping[str, str] = ANSWERS, **given: str
    ) -> None:
        super().__init__(recipe(**given), answers)
        self.fold = fold
        self.desk.order("start")

    def step(self, step_s: float) -> None:
        before = self.vcd
        super().step(step_s)
        if before and self.fold != 2.0:
            self.vcd = before * self.fold ** (step_s / 86_400)

    def times(self, path: str, state: str = "Complete") -> list[float]:
        """The ages of the culture, in h, at which an element came into a state."""
        begin = self.inoculated_ns()
        return [
            (e.stamp.mono_ns - begin) / 3600e9
            for e in self.desk.records
            if e.name == "procedure.state" and (e.data["path"], e.data["new"]) == (path, state)
        ]

    def inoculated_ns(self) -> int:
        """When the culture began."""
        return next(e.stamp.mono_ns for e in self.desk.records
                    if e.name == "variable.set" and e.data["name"] == "inoculated")  # fmt: skip

    def records(self, name: str) -> list[Event]:
        """The records of a kind."""
        return [event for event in self.desk.records if event.name == name]


@lru_cache(maxsize=1)
def to_the_dose() -> Culture:
    culture = Culture()
    culture.go(300)
    return culture


def test_it_harvests_when_the_last_count_grown_on_reaches_the_dose() -> None:
    culture = to_the_dose()
    assert culture.desk.state_of(culture.root) == "Complete"
    (over,) = culture.times(f"{GROW}/expand")
    assert over == pytest.approx(150.4, abs=1)  # 0.26e6 doubling every day: 20e6 by then
    assert culture.times("finish/take/harvest", "Running")[0] == pytest.approx(over, abs=0.1)
    assert "unit.hold" not in culture.desk.names()


def test_a_count_is_taken_every_day_until_it_has_grown_and_none_after() -> None:
    culture = to_the_dose()
    ages = culture.times(f"{COUNT}/sample_daily", "Running")
    assert ages == pytest.approx([24, 48, 72, 96, 120, 144], abs=2)
    assert len(culture.records("loop.again")) == 6
    assert culture.times(LOOP)[0] == pytest.approx(culture.times(f"{GROW}/expand")[0], abs=0.1)
    assert "loop.limit" not in culture.desk.names()


def test_a_dense_culture_is_kept_cooler_and_only_a_dense_one() -> None:
    culture = to_the_dose()
    setpoints = [command.value for command in culture.desk.commands
                 if (command.verb, command.target) == ("set_sp", "TIC101")]  # fmt: skip
    assert setpoints == [37.0, 36.5]
    assert culture.times(f"{COUNT}/by_the_count/cool")[0] == pytest.approx(144, abs=1)


def test_a_smaller_dose_entered_at_the_opening_ends_it_earlier() -> None:
    culture = Culture(dose="10000 1e6")
    culture.go(200)
    assert culture.times(f"{GROW}/expand")[0] == pytest.approx(102.4, abs=1)


@lru_cache(maxsize=1)
def slow() -> Culture:
    culture = Culture(fold=1.15)
    culture.go(300)
    return culture


def test_a_culture_that_never_reaches_the_dose_is_harvested_by_the_clock() -> None:
    culture = slow()
    assert culture.desk.state_of(culture.root) == "Complete"
    assert culture.times(f"{GROW}/expand")[0] == pytest.approx(204, abs=0.1)


def test_slow_growth_asks_two_people_for_activator_by_the_last_count() -> None:
    culture = slow()
    path = f"{COUNT}/by_the_count/restimulate"
    ages = culture.times(path, "Running")
    assert min(ages) > 72
    assert len(ages) == 6
    asked = [e for e in culture.records("prompt.opened") if e.data["path"] == path]
    found = [e for e in culture.records("parameter.resolved") if e.data["path"] == path]
    counts = [e for e in culture.records("sample.recorded") if e.data["name"] == "vcd"]
    assert found[0].data["value"] == f"{float(counts[2].data['value']):.4g}e6 /mL"
    assert found[0].data["value"] in asked[0].data["text"]
    answers = [e for e in culture.records("prompt.answered")
               if e.data["prompt_id"].startswith(path)]  # fmt: skip
    assert {e.data["second"] for e in answers} == {"ben"}


def test_dying_cells_are_measured_again_then_a_deviation_then_harvested_early() -> None:
    culture = Culture()
    culture.go(60)
    culture.answers["viability"] = "55"
    culture.go(200)
    outside = [(e.data["control"], e.data["then"]) for e in culture.records("control.result")
               if not e.data["within"]]  # fmt: skip
    assert outside == [("viability_ok", "retest"), ("viability_ok", "deviation")]
    (taken,) = culture.records("exception.taken")
    assert (taken.data["operation"], taken.data["target"]) == (GROW, "culture/end_early")
    assert culture.desk.state_of(GROW) == "Stopped"
    assert culture.desk.state_of("culture/end_early") == "Complete"
    assert culture.desk.state_of(culture.root) == "Complete"
    assert culture.times("finish/take/harvest")[0] < 80
    assert not culture.trim
    assert set(culture.rates.values()) == {0.0}


def test_a_long_hold_is_not_left_to_itself_and_the_culture_goes_on_after_it() -> None:
    culture = Culture()
    culture.go(80)
    culture.desk.order("hold")
    culture.go(1.9)
    assert culture.desk.state_of("care") == "Idle"
    culture.go(1)
    assert culture.desk.state_of("care/look") == "Complete"
    assert culture.times("care/sample_in_hold", "Running")
    culture.desk.order("restart")
    culture.go(300)
    assert culture.desk.state_of(culture.root) == "Complete"
    assert culture.desk.state_of("care") == "Idle"


def test_only_what_is_entered_may_be_given_at_the_opening() -> None:
    with pytest.raises(BadInput, match="temperature is fixed at 37 degC"):
        recipe(temperature="36.8 degC")
    with pytest.raises(BadInput, match="out of range"):
        recipe(dose="90000 1e6")
    assert recipe(dose="10000 1e6").formula["temperature_late"] == "36.5 degC"

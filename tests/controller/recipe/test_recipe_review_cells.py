"""What could have harmed the cells of the shipped recipes: base that stayed shut, a culture left
unfed, a growth made of errors. Each of these went wrong once."""

from __future__ import annotations

import pytest
from test_recipe_dose import Culture

from controller.recipe.changes import Change
from controller.recipe.engine import Inputs, Order

SAMPLE = "culture/grow/daily/still_growing/sample_daily"


def _changed(culture: Culture, kind: str, path: str) -> None:
    desk = culture.desk
    change = Change(kind, path, "", "", "eva", "engineer", "test", "quentin", "DEV-1")
    decision = desk.engine.decide(desk.state, Inputs(desk.read, changes=(change,)),
                                  desk.clock.stamp())  # fmt: skip
    assert [event.name for event in decision.records][:1] == ["recipe.changed"]
    for event in decision.records:
        desk._keep(event)
    for command in decision.commands:
        desk.commands.append(command)
        culture.act(command)
    desk.tick()


def _base_runs(culture: Culture) -> None:
    assert "no_base" not in culture.flags
    assert culture.desk.readings["XV204_ZSO"] == 1.0


def test_the_end_of_the_care_of_a_hold_leaves_the_base_to_the_culture() -> None:
    culture = Culture()
    culture.go(80)
    culture.silent = {"care/sample_in_hold"}
    culture.desk.order("hold")
    culture.go(3)
    assert culture.desk.state_of("care/sample_in_hold") == "Running"
    culture.desk.order("restart")
    culture.go(0.2)
    assert culture.desk.state_of(culture.root) == "Running"
    _base_runs(culture)


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_a_sample_that_was_ended_by_itself_leaves_the_base_to_the_culture(verb: str) -> None:
    culture = Culture()
    culture.silent = {SAMPLE}
    while SAMPLE not in culture.desk.state.runs:
        culture.go(1)
    culture.desk.tick(orders=[Order(verb, "anna", "supervisor", "test", SAMPLE)])
    culture.go(0.1)
    _base_runs(culture)
    _changed(culture, "skip", SAMPLE)
    culture.desk.order("restart")
    culture.go(0.2)
    assert culture.desk.state_of(culture.root) == "Running"
    _base_runs(culture)


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_an_expansion_ended_by_itself_and_repeated_perfuses_and_has_its_base(verb: str) -> None:
    culture = Culture()
    culture.go(80)
    expand = "culture/grow/expand"
    culture.desk.tick(orders=[Order(verb, "anna", "supervisor", "test", expand)])
    culture.go(0.1)
    assert set(culture.rates.values()) == {0.0}
    _changed(culture, "repeat", expand)
    culture.desk.order("restart")
    culture.go(0.5)
    assert culture.desk.state_of("culture/grow/expand_2") == "Running"
    assert culture.rates["feed"] > 0
    _base_runs(culture)


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_the_end_of_the_whole_shuts_the_base_whatever_runs(verb: str) -> None:
    culture = Culture()
    culture.go(80)
    culture.desk.order(verb)
    culture.go(0.1)
    assert "no_base" in culture.flags
    assert culture.desk.readings["XV204_ZSO"] == 0.0
    assert set(culture.rates.values()) == {0.0}


def test_with_cells_in_no_interlock_believes_that_the_set_is_being_installed() -> None:
    culture = Culture()
    prime = "prepare/set_up/prime"
    while prime not in culture.desk.state.runs:
        culture.go(0.1)
    assert "prime" in culture.flags
    culture.desk.readings["VOL"] = 2.0
    _changed(culture, "skip", prime)
    while "inoculated" not in culture.desk.state.variables:
        culture.go(0.5)
    assert "prime" not in culture.flags


def test_an_expansion_that_is_skipped_does_not_leave_the_cells_unfed_beside_their_counts() -> None:
    culture = Culture()
    culture.go(80)
    _changed(culture, "skip", "culture/grow/expand")
    culture.go(30)
    assert culture.desk.state_of("culture/grow") == "Complete"
    assert (
        "finish/take/harvest" in culture.desk.state.runs
        or culture.desk.state_of("finish/take/harvest") == "Complete"
    )


def test_counts_close_together_do_not_make_their_own_error_the_growth_of_a_day() -> None:
    """A count in the care of a Hold, two hours after the daily one and a few percent off."""
    culture = Culture()
    culture.silent = {SAMPLE}
    while SAMPLE not in culture.desk.state.runs:
        culture.go(0.5)
    culture.silent = set()
    culture.go(0.5)
    assert culture.desk.state.variables["growth"].value == pytest.approx(2.0, rel=0.1)
    culture.desk.order("hold")
    culture.go(2.01)
    culture.vcd *= 1.1
    culture.go(0.5)
    assert culture.desk.state_of("care/sample_in_hold") == "Complete"
    assert culture.desk.state.variables["growth"].value == pytest.approx(2.0, rel=0.1)
    assert culture.desk.state.variables["vcd_control"].value == pytest.approx(culture.vcd, rel=0.1)

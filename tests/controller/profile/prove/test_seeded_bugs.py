"""One wrong thing in a copy of the shipped unit is found, with a case the real kernel confirms.

REQ: a seeded bug in a copy is found each time with a true counter-example.
"""

from __future__ import annotations

from typing import Any

import pytest
from seeded import changed, proved, row

from controller.cli.prove import confirm
from controller.profile.prove.checks import safe_state, winners
from controller.profile.prove.environment import environment
from controller.profile.prove.report import counterexample
from controller.profile.prove.rows import RowChecks

Data = dict[str, Any]


def limit_one_degree_too_high(data: Data) -> None:
    row(data, "1")["any"] = ["TT101 > 39.5 degC", "TT102 > 38.5 degC"]


def both_sensors_must_agree(data: Data) -> None:
    found = row(data, "1")
    found["all"] = found.pop("any")


def header_valve_forgotten(data: Data) -> None:
    row(data, "6")["then"].remove("xv100 = 0")


def delay_twice_as_long(data: Data) -> None:
    row(data, "10")["delay"] = "20 s"


def bad_ph_is_ignored(data: Data) -> None:
    row(data, "11")["bad"] = "ignore"


def more_air_wins_over_none(data: Data) -> None:
    data["actuators"]["air"]["winner"] = "higher"


def valid_in_the_wrong_phase(data: Data) -> None:
    row(data, "8")["not_in"] = "prime"


def stays_on_between_two_limits(data: Data) -> None:
    row(data, "5")["any"] = ["PT101 < 30 mbar"]


def bad_waits_a_minute(data: Data) -> None:
    row(data, "1")["bad_after"] = "1 min"


def bad_jacket_is_ignored(data: Data) -> None:
    row(data, "2")["bad"] = "ignore"


def pumps_stop_and_their_valves_stay_open(data: Data) -> None:
    then = row(data, "6")["then"]
    then[-2:] = ["feed = 0", "base = 0"]


def one_pump_may_press_for_a_minute(data: Data) -> None:
    said = dict(data["routes"]["rules"]["closed_path"]) | {"delay": "1 min"}
    data["routes"]["pumps"]["base"]["rules"] = {"closed_path": said}


SEEDED = [
    (limit_one_degree_too_high, "hot.heater"),
    (both_sensors_must_agree, "hot.second_sensor"),
    (header_valve_forgotten, "pressure.header"),
    (delay_twice_as_long, "empty.heater"),
    (bad_ph_is_ignored, "ph.blind_base"),
    (more_air_wins_over_none, "pressure.gas"),
    (valid_in_the_wrong_phase, "low.perfusate"),
    (stays_on_between_two_limits, "pressure.gas"),
    (bad_waits_a_minute, "blind.heater"),
    (bad_jacket_is_ignored, "jacket.blind_heater"),
    (pumps_stop_and_their_valves_stay_open, "pressure.header"),
    (one_pump_may_press_for_a_minute, "base.closed"),
]


# A quarter in every run, all of them in a campaign. That nothing is found without a bug is shown
# by the proof of the shipped unit.
OFTEN = [*SEEDED[:3], *(pytest.param(*each, marks=pytest.mark.campaign) for each in SEEDED[3:])]


@pytest.mark.parametrize(("bug", "name"), OFTEN, ids=lambda part: getattr(part, "__name__", part))
def test_a_seeded_bug_is_found_and_the_kernel_confirms_it(bug, name):
    profile = changed(bug)
    found = proved(profile, name)
    assert not found.holds
    assert not found.vacuous
    assert confirm(profile, found)
    shown = counterexample(profile, found, True)
    assert shown is not None
    assert {line["tag"] for line in shown["tags"]} >= {
        profile.signals[asked.signal] for asked in found.claim.premise
        if asked.output < 0 and profile.signals[asked.signal] not in profile.outputs
    }  # fmt: skip


def test_a_row_that_nothing_makes_true_is_found_dead():
    def contradicts(data: Data) -> None:
        found = row(data, "2")
        found["all"], found["hysteresis"] = ["TT103 > 80 degC", "TT103 < 70 degC"], 0
        found["bad"] = "ignore"
        del found["any"]

    results = {r.id: r for r in RowChecks(changed(contradicts)).results()}
    assert results["always.row.2"].why == "it is dead: nothing makes it true"
    assert [r.id for r in results.values() if not r.holds] == ["always.row.2"]


def test_a_row_that_another_always_forestalls_is_found_masked():
    def doubled(data: Data) -> None:
        again = {**row(data, "2"), "id": "2.again", "any": ["TT103 > 50 degC"], "delay": "5 s"}
        data["rows"].append(again)

    results = {r.id: r for r in RowChecks(changed(doubled)).results()}
    assert not results["always.row.2.again"].holds
    assert "masked: rows" in results["always.row.2.again"].why


def test_a_protect_whose_own_effect_keeps_its_cause_is_found():
    def holds_itself(data: Data) -> None:
        again = {**row(data, "7"), "id": "self", "kind": "protect", "any": ["feed < 1 mL/min"]}
        data["rows"].append(again)

    results = {r.id: r for r in RowChecks(changed(holds_itself)).results()}
    assert "can never be reset" in results["always.row.self"].why


def test_an_actuator_that_a_floor_always_keeps_has_no_safe_state():
    def keeps_air(data: Data) -> None:
        data["actuators"]["air"]["winner"] = "higher"
        always = {"id": "always_air", "title": "Always air", "all": ["supervisor.age > -1 s"]}
        data["procedure"].append({**always, "then": ["air >= 50"]})

    profile = changed(keeps_air)
    found = safe_state(profile, profile.outputs.index("air"))
    assert not found.holds
    assert found.why == "no row can put air there"


def test_each_winner_of_the_shipped_unit_is_the_declared_one():
    profile = changed(lambda data: None)
    found = [r for n in range(len(profile.outputs)) for r in winners(profile, n)]
    assert len(found) >= 8
    assert [r.id for r in found if not r.holds] == []


def test_an_environment_that_nobody_is_asked_about_is_found():
    def unasked(data: Data) -> None:
        phase = next(p for p in data["phases"] if p["id"] == "end_environment")
        phase["running"] = [step for step in phase["running"] if "prompt" not in step]

    results = {r.id: r for r in environment(changed(unasked))}
    assert results["always.environment.guard"].why.startswith("phase end_environment, running")


def test_what_cells_need_of_nothing_is_found():
    def keeps_nothing(data: Data) -> None:
        data["actuators"]["stirrer"]["keep"] = 0

    results = {r.id: r for r in environment(changed(keeps_nothing))}
    assert not results["always.environment.stirrer.request"].holds

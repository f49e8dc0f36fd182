"""Four defects in copies of the profile: each fails a case, in words an engineer can act on."""

import pytest

from controller.core.clock import RealClock
from controller.units import find_unit
from hil_sim.qualification import record
from hil_sim.qualification.runner import Order, execute

UNIT = find_unit("perfusion_2l")
ROW_2 = """    any: [TT103 > 45 degC]
    hysteresis: 1
    delay: 3 s
    bad: trip
    then: [heater = 0]
"""
DEFECTS = {
    "limit moved by 1 degC": (
        "OQ-INT-1", "any: [TT101 > 38.5 degC, TT102 > 38.5 degC]",
        "any: [TT101 > 39.5 degC, TT102 > 38.5 degC]",
        ("Row 1", "FR-1 v1", "TT101 > 38.5 degC", "no trip at 39.5", "a trip at 39.",
         "TT101 > 39.5 degC", "perfusion_2l.yaml:"),
    ),
    "late trip": (
        "OQ-INT-2", ROW_2, ROW_2.replace("delay: 3 s", "delay: 7 s"),
        ("Row 2", "FR-2 v1", "a delay of 3 s", "measured 7", "delay: 7 s", "perfusion_2l.yaml:"),
    ),
    "safe value wrong": (
        "OQ-INT-2", ROW_2, ROW_2.replace("heater = 0", "heater = 20"),
        ("Row 2", "FR-2 v1", "heater = 0", "the device does 20", "heater = 20",
         "perfusion_2l.yaml:"),
    ),
    "interlock off": (
        "OQ-INT-2", ROW_2, ROW_2.replace("45 degC", "110 degC"),
        ("Row 2", "FR-2 v1", "TT103 > 45 degC", "no trip up to", "TT103 > 110 degC",
         "perfusion_2l.yaml:"),
    ),
}  # fmt: skip


def execute_defect(tmp_path, name, *, wire):
    case, before, after, words = DEFECTS[name]
    text = UNIT.read_text()
    assert text.count(before) == 1
    unit = tmp_path / "perfusion_2l.yaml"
    unit.write_text(text.replace(before, after))
    out = tmp_path / "oq"
    order = Order("oq", "perfusion_2l", out, "erin", case, unit_file=unit, all_virtual=wire)
    result = execute(order, RealClock(), lambda text: None)
    assert result.verdicts == {case: "fail"}
    history = record.read_history(out)
    (deviation,) = history.deviations
    found = history.latest("oq")[case]["why"]
    assert [word for word in words if word not in found] == []
    assert deviation["deviation"] == "DEV-001"
    assert deviation["what"].split(": ", 2)[-1][:20] in found
    assert "not qualified" in deviation["means"]


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_a_seeded_defect_fails_its_case_and_opens_a_deviation(tmp_path, name):
    execute_defect(tmp_path, name, wire=True)


@pytest.mark.campaign
@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_a_seeded_defect_fails_its_case_live(tmp_path, name):
    execute_defect(tmp_path, name, wire=False)


def test_the_same_cases_pass_on_the_shipped_profile(tmp_path):
    order = Order("oq", "perfusion_2l", tmp_path / "oq", "erin", "OQ-INT-1,OQ-INT-2",
                  all_virtual=True)  # fmt: skip
    result = execute(order, RealClock(), lambda text: None)
    assert result.verdicts == {"OQ-INT-1": "pass", "OQ-INT-2": "pass"}

"""What is required stands on its own, and differs from a profile that was changed."""

import tomllib
from pathlib import Path

import pytest

from controller.core.errors import BadInput
from controller.units import find_unit, load_unit
from hil_sim.qualification import requirements
from hil_sim.qualification.chart import differences
from hil_sim.qualification.requirements import find_requirements, load_requirements

FILE = find_requirements("perfusion_2l")
UNIT = find_unit("perfusion_2l")


@pytest.fixture(scope="module")
def required():
    return load_requirements(FILE)


def changed(tmp_path, before, after):
    text = UNIT.read_text()
    assert text.count(before) == 1
    path = tmp_path / "perfusion_2l.yaml"
    path.write_text(text.replace(before, after))
    return load_unit(path)[0]


def test_the_shipped_profile_has_the_required_chart(required):
    assert differences(load_unit(UNIT)[0], required) == []


@pytest.mark.parametrize(("before", "after", "row"), [
    ("any: [TT101 > 38.5 degC, TT102 > 38.5 degC]",
     "any: [TT101 > 39.5 degC, TT102 > 38.5 degC]", "row 1 (FR-1 v1)"),
    ("any: [AT101 < 6.8 pH]\n    hysteresis: 0.05\n    delay: 5 min",
     "any: [AT101 < 6.8 pH]\n    hysteresis: 0.05\n    delay: 6 min", "row 13 (FR-13 v1)"),
    ("then: [heater <= 30]", "then: [heater <= 40]", "row 3 (FR-3 v1)"),
    ("never_bypass: true\n    any: [PT101 > 45 mbar]", "any: [PT101 > 45 mbar]", "row 6 (FR-6 v1)"),
    ("unless: [prime]\n    safety_time: 120 s", "safety_time: 120 s", "row 8 (FR-8 v1)"),
])  # fmt: skip
def test_one_changed_word_of_the_profile_is_found_with_its_line(
    tmp_path, required, before, after, row
):
    found = differences(changed(tmp_path, before, after), required)
    assert len(found) == 1
    assert row in found[0]
    assert "perfusion_2l.yaml:" in found[0]


def test_a_row_that_nobody_required_is_found(tmp_path, required):
    extra = ("  - {id: extra, title: Extra, kind: interlock, any: [TT103 > 44 degC], then: "
             "[heater = 0], safety_time: 60 s}\n")  # fmt: skip
    profile = changed(tmp_path, "\nrows:\n", f"\nrows:\n{extra}")
    found = differences(profile, required)
    assert any("row extra is required by nobody" in words for words in found)


@pytest.mark.parametrize(("before", "after", "what"), [
    ("traces: [UR-06], title: Nitrogen", "traces: [UR-99], title: Nitrogen", "UR-99"),
    ("id: FR-2,", "id: FR-1,", "FR-1"),
    ("TT103 > 45 degC", "TT103 beyond 45", "TT103 beyond 45"),
    ("unit: perfusion_2l\n", "unit: perfusion_2l\nodd: 1\n", "odd"),
])  # fmt: skip
def test_a_wrong_requirements_file_is_refused_with_its_line(tmp_path, before, after, what):
    text = FILE.read_text()
    assert before in text
    path = tmp_path / "required.yaml"
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(BadInput) as caught:
        load_requirements(path)
    assert what in str(caught.value)
    assert "required.yaml:" in str(caught.value)


def test_requirements_are_found_in_a_checkout_and_in_an_installed_wheel(tmp_path, monkeypatch):
    checkout, wheel = tmp_path / "docs" / "requirements", tmp_path / "package" / "requirements"
    monkeypatch.setattr(requirements, "SHIPPED", (checkout, wheel))
    with pytest.raises(BadInput, match="no requirements for unit 'perfusion_2l'"):
        find_requirements("perfusion_2l")
    for folder in (wheel, checkout):
        folder.mkdir(parents=True)
        (folder / "perfusion_2l.yaml").write_bytes(FILE.read_bytes())
        assert find_requirements("perfusion_2l") == folder / "perfusion_2l.yaml"
        assert load_requirements(folder / "perfusion_2l.yaml").unit == "perfusion_2l"


def test_the_wheel_puts_them_where_they_are_looked_for():
    root = Path(requirements.__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    placed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    source, target = requirements.SHIPPED
    assert placed[str(source.relative_to(root))] == str(target.relative_to(root))
    assert FILE.is_relative_to(source)

"""Rows and risks name each other; what is wrong in the analysis is refused with its line."""

from __future__ import annotations

import pytest
from chart_bench import FMEA, analysis, changed, shipped

from controller.chart.risk import differences, load_analysis
from controller.core.errors import BadInput


def test_the_shipped_rows_and_the_analysis_name_each_other():
    assert differences(shipped(), analysis()) == []


def test_every_protect_controls_a_risk_and_every_control_named_is_a_row_of_the_unit():
    rows = {info.row for info in shipped().causes}
    protects = {info.row for info in shipped().causes if info.kind == "protect"}
    assert protects <= set(analysis().rows) <= rows
    assert all(id_ in analysis().risks for ids in analysis().rows.values() for id_ in ids)


def test_a_risk_rates_severity_occurrence_and_detection():
    heat = analysis().risks["FM-T1"]
    assert (heat.severity, heat.occurrence, heat.detection, heat.number) == (5, 2, 1, 10)
    assert analysis().words.endswith("approved by nobody")


@pytest.mark.parametrize(("before", "after", "what"), [
    ("risk: [FM-T1]", "risk: [FM-T1, FM-X9]", "row 1 names FM-X9, and"),
    ("risk: [FM-T1]", "risk: [FM-T1, FM-T2]", "does not say that row 1 controls it"),
    ("    risk: [FM-T3]\n", "", "row 3 controls FM-T3 by"),
])  # fmt: skip
def test_a_row_that_names_another_risk_than_the_analysis_is_found_at_its_line(before, after, what):
    found = differences(changed(before, after), analysis())
    assert [words for words in found if what in words] == found
    assert len(found) == 1
    assert found[0].startswith("unit.yaml:")


def test_a_protect_without_a_risk_is_found(tmp_path):
    path = tmp_path / "fmea.yaml"
    text = FMEA.read_text()
    assert text.count('rows: ["4", ') == 1
    path.write_text(text.replace('rows: ["4", ', "rows: ["))
    found = differences(shipped(), load_analysis(path, shipped()))
    assert any("protect 4 controls no risk" in words for words in found)


@pytest.mark.parametrize(("before", "after", "what"), [
    ("unit: perfusion_2l\n", "unit: other\n", "is of unit 'other'"),
    ("id: FM-T2,", "id: FM-T1,", "risk FM-T1 is there twice"),
    ('rows: ["2"]', 'rows: ["2.odd"]', "unknown row '2.odd'"),
    ('severity: 5, occurrence: 2, detection: 1, rows: ["1"',
     'severity: 6, occurrence: 2, detection: 1, rows: ["1"', "at most 5 is possible here"),
])  # fmt: skip
def test_a_wrong_analysis_is_refused_with_its_line(tmp_path, before, after, what):
    text = FMEA.read_text()
    assert text.count(before) == 1
    path = tmp_path / "fmea.yaml"
    path.write_text(text.replace(before, after))
    with pytest.raises(BadInput) as caught:
        load_analysis(path, shipped())
    assert what in str(caught.value)
    assert "fmea.yaml:" in caught.value.where

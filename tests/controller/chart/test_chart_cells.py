"""The chart says what the Plan does: no effect missing, none invented, every limit right."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from chart_bench import REQUIRED, analysis, changed, chart, shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.chart.build import build
from controller.chart.model import MARKS
from controller.core.quantity import parse
from controller.profile.compile import Profile
from controller.profile.plan import EffectOp
from hil_sim.qualification.coverage import covered, named
from hil_sim.qualification.requirements import load_requirements

WORDS = {EffectOp.FORCE: "", EffectOp.AT_MOST: "<= ", EffectOp.AT_LEAST: ">= "}
ACTUATORS = ("heater", "air", "o2", "co2", "n2", "feed", "perfusate", "stirrer")


def by_the_plan(profile: Profile) -> dict[tuple[str, str], list[str]]:
    """Row and column of every effect and every action, read from the tables alone."""
    plan, found = profile.plan, {}
    for effect in plan.effects:
        info = profile.causes[int(effect["cause"])]
        op, place = EffectOp(int(effect["op"])), int(effect["output"])
        names = profile.signals if op is EffectOp.SIGNAL_BAD else profile.outputs
        words = {EffectOp.SIGNAL_BAD: "bad", EffectOp.MEAN: "mean"}.get(op)
        said = words or f"{WORDS[op]}{effect['value']:.3g}"
        found.setdefault((info.row, names[place]), []).append(said)
    for info, cause in zip(profile.causes, plan.causes, strict=True):
        action = ("none", "alarm", "hold", "abort")[int(cause["action"])]
        if action != "none":
            minutes = int(cause["action_delay_ns"]) // 60_000_000_000
            after = f" after {minutes} min" if minutes else ""
            found.setdefault((info.row, action), []).append(f"{action.capitalize()}{after}")
    return found


def in_the_chart(profile: Profile) -> dict[tuple[str, str], list[str]]:
    made = build(profile)
    return {(line.id, column.name): list(cell.words) for line, column, cell in made.cells()}


def test_the_cells_are_the_effects_of_the_plan_and_nothing_else():
    assert in_the_chart(shipped()) == by_the_plan(shipped())


def test_every_effect_row_is_in_exactly_one_cell():
    places = Counter(place for _, _, cell in chart().cells() for place in cell.effects)
    assert places == Counter(range(len(shipped().plan.effects)))


WISH = st.tuples(st.sampled_from(ACTUATORS), st.sampled_from(["=", "<=", ">="]),
                 st.integers(0, 50)).map(lambda w: f"{w[0]} {w[1]} {w[2]}")  # fmt: skip


@settings(max_examples=15)
@given(st.lists(WISH, min_size=1, max_size=10), st.sampled_from(["alarm", "hold", "abort"]),
       st.sampled_from(["0 s", "7 min"]))  # fmt: skip
def test_whatever_a_row_is_given_to_do_stands_in_its_cells(wishes, action, after):
    row = (f"  - {{id: extra, title: Extra, kind: interlock, any: [TT103 > 44 degC], then: "
           f"[{', '.join(wishes)}], action: {action}, action_delay: {after}, "
           "safety_time: 60 s}\n")  # fmt: skip
    profile = changed("\nrows:\n", f"\nrows:\n{row}")
    assert in_the_chart(profile) == by_the_plan(profile)
    made = build(profile)
    places = Counter(place for _, _, cell in made.cells() for place in cell.effects)
    assert places == Counter(range(len(profile.plan.effects)))


def test_a_mark_is_that_of_the_rows_kind():
    for line, column, cell in chart().cells():
        assert cell.mark == ("U" if column.kind == "unit" else MARKS[line.kind])


def test_every_limit_and_hysteresis_reads_back_as_what_the_kernel_compares_with():
    plan, profile = shipped().plan, shipped()
    causes = {info.row: plan.causes[place] for place, info in enumerate(profile.causes)}
    seen = 0
    for line in chart().lines:
        first = int(causes[line.id]["first_condition"])
        for place, condition in enumerate(line.conditions, first):
            row = plan.conditions[place]
            seen += 1
            name = profile.signals[int(row["signal"])]
            assert condition.text.startswith(name)
            found = re.fullmatch(re.escape(name) + r" [<>] (.+?)(?: in .+)?", condition.text)
            if found is None:
                assert condition.text == f"{name} is bad"
                continue
            assert parse(found[1])[0] == pytest.approx(float(row["limit"]), rel=1e-6)
            slack = parse(condition.hysteresis)[0] if condition.hysteresis else 0.0
            assert slack == pytest.approx(float(row["hysteresis"]))
    assert seen == len(plan.conditions)


def test_a_row_shows_its_vote_its_delays_where_it_is_valid_and_where_it_stands_in_the_file():
    lines = {line.id: line for line in chart().lines}
    one, eight, seven = lines["1"], lines["8"], lines["7"]
    assert (one.vote, one.delay, one.bad_after, one.never_bypass) == ("1oo2", "3 s", "5 s", True)
    assert [item.text for item in one.conditions] == ["TT101 > 38.5 degC", "TT102 > 38.5 degC"]
    assert {item.bad for item in one.conditions} == {"bad leaves the vote"}
    assert {item.hysteresis for item in one.conditions} == {"0.3 K"}
    assert (eight.valid, eight.unless) == ("not in harvest", ("prime",))
    assert (seven.action, seven.stops) == ("Hold after 10 min", ("feed shut", "base shut"))
    assert re.fullmatch(r"perfusion_2l\.yaml:\d+", one.place)
    assert float(one.used_time.removesuffix(" s")) < 30
    assert one.safety_time == "1 min"
    assert lines["5"].conditions[0].hysteresis == "15 mbar", "in the unit of its limit"
    assert lines["12.rate"].conditions[0].text == "ST_BASE > 12 mL/h", "as it is written"


def test_an_actuator_shows_its_safe_value_its_second_element_and_who_wins():
    columns = {column.name: column for column in chart().columns}
    assert [c for c in columns if columns[c].kind == "actuator"] == list(shipped().outputs)
    assert (columns["heater"].safe, columns["heater"].second) == ("0", "km101 = 0")
    assert columns["heater"].winner == "lower"
    assert columns["AT102"].kind == "signal"


def test_every_cell_of_the_shipped_unit_is_executed_by_a_test():
    assert chart().uncovered() == []
    assert "OQ-INT-1" in {line.id: line for line in chart().lines}["1"].cells["heater"].tests


@pytest.mark.parametrize(("before", "after", "cell"), [
    ("then: [heater <= 30]", "then: [heater <= 40]", ("3", "heater")),
    ("then: [co2 = mean]", "then: [co2 = mean, o2 = mean]", ("11.bad", "o2")),
    ("then: [o2 = 0]\n    action: alarm", "then: [o2 = 0]\n    action: hold", ("17", "hold")),
])  # fmt: skip
def test_a_cell_that_is_not_the_one_required_is_executed_by_no_test(before, after, cell):
    profile = changed(before, after)
    required = load_requirements(REQUIRED)
    assert build(profile, tests=covered(profile, required)).uncovered() == [cell]


def test_a_test_that_names_a_requirement_in_its_words_counts_for_its_row(tmp_path):
    (tmp_path / "test_some.py").write_text(
        'def test_heat():\n    """FR-1: no over-temperature."""\n\n\n'
        'def test_all():\n    """Every row, FR-*."""\n\n\ndef test_none():\n    """FR1."""\n'
    )
    assert list(named(tmp_path)) == [
        ("test_some::test_heat", "FR-1"), ("test_some::test_all", "FR-*"),
    ]  # fmt: skip
    found = covered(shipped(), load_requirements(REQUIRED), tmp_path)
    assert {"test_some::test_heat", "test_some::test_all"} <= set(found["1", "km101"])
    assert "test_some::test_heat" not in found["2", "heater"]
    assert "test_some::test_all" in found["2", "heater"]


def test_the_chart_without_an_analysis_names_no_risk():
    assert {line.risks for line in build(shipped()).lines} == {()}
    assert {line.id: line.severity for line in chart().lines}["1"] == 5
    assert chart().risks == analysis().words

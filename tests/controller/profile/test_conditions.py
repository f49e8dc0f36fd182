"""What a condition may say, and how a wrong one is refused: with its line, before anything runs."""

from __future__ import annotations

import pytest
from kernel_bench import compile_text, unit_text

from controller.core.errors import BadInput
from controller.profile.plan import UNASKED, BadRule, BlockOp

TAGS = {"X": {}, "Y": {}, "T1": {"unit": "degC", "range": [0, 100]},
        "P1": {"unit": "mbar", "range": [-20, 200]}}  # fmt: skip


def compiled(*conditions, **row):
    text = unit_text(tags={name: dict(tag) for name, tag in TAGS.items()},
                     rows=[{"id": "r", "any": list(conditions), "then": ["a = 0"], **row}])
    return compile_text(text)


def refused(*conditions, **row):
    with pytest.raises(BadInput) as found:
        compiled(*conditions, **row)
    assert found.value.where.startswith("unit.yaml:")
    return found.value.what


def test_the_same_expression_is_one_block_however_often_it_stands():
    profile = compiled("abs(X - Y) > 5 %", "abs(X - Y) > 9 %", "abs(mean(X, 10 s) - Y) > 1 %")
    assert profile.signals[-3:] == (
        "abs(X - Y)", "mean(X, 10 s)", "abs(mean(X, 10 s) - Y)"
    )  # fmt: skip
    assert [BlockOp(op) for op in profile.plan.blocks["op"]] == [
        BlockOp.ABSDIFF, BlockOp.MEAN, BlockOp.ABSDIFF
    ]  # fmt: skip


def test_a_rate_is_compared_as_what_may_be_gained_in_its_window():
    plan = compiled("rate(T1, 30 s) > 2 K/min").plan
    assert plan.conditions["limit"][0] == pytest.approx(1.0)


def test_what_is_derived_has_the_unit_of_what_it_is():
    profile = compiled("X > 1 %", "rate(T1, 30 s) > 2 K/min", "mean(P1, 1 min) > 5 mbar")
    units = {tag.name: tag.unit for tag in profile.tags}
    assert (units["rate(T1, 30 s)"], units["mean(P1, 1 min)"]) == ("K", "kPa")


def test_what_a_row_says_is_the_default_of_its_conditions():
    plan = compiled("X > 1 %", {"is": "Y > 1 %", "bad": "degrade", "hysteresis": 0},
                    bad="trip", hysteresis=3).plan  # fmt: skip
    assert plan.conditions["bad"][:2].tolist() == [BadRule.TRIP, BadRule.DEGRADE]
    assert plan.conditions["hysteresis"][:2].tolist() == [3.0, 0.0]


def test_a_window_that_must_be_full_says_more_than_any_limit_until_it_is():
    plan = compiled("spread(X, 30 min) < 0.05 %", "spread(Y, 30 min) > 5 %").plan
    assert plan.blocks["p0"].tolist() == [UNASKED, 0.0]
    assert plan.blocks["p1"].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("conditions", "says"), [
    (["Z > 5 %"], "unknown tag 'Z'"),
    (["X > 5 degC"], "is a temperature"),
    (["X > 5000 %"], "could never trip"),
    ([{"is": "X > 50 %", "hysteresis": 1051}], "it would never clear"),
    ([{"is": "X < 50 %", "hysteresis": 951}], "it would never clear"),
    ([5], "a text is needed here"),
    ([{"is": "X > 5 %", "delay": "1e10 s"}], "longer than a year"),
    (["spread(X, 1e15 s) < 1 %"], "longer than a year"),
    (["X >= 5 %"], "'= 5 %'"),
    (["X ~ 5 %"], "is not `TAG > VALUE UNIT`"),
    (["abs(X) > 5 %"], "no tag and no expression"),
    (["X - T1 > 5 %"], "they have no difference"),
    (["rate(X, 10 s) > 5 %"], "is not a quantity per time"),
    (["rate(X, 10 s) > 5 %/K"], "is not a quantity per time"),
    (["rate(X, 50 ms) > 5 %/min"], "shorter than a scan"),
    (["rate(X) > 5 %/min"], "says no time"),
    (["rat(X, 10 s) > 5 %"], "Did you mean"),
    (["mean(mean(mean(mean(mean(X, 10 s), 10 s), 10 s), 10 s), 10 s) > 5 %"], "nested too deep"),
    ([{"is": "X > 5 %", "delay": "50 ms"}], "shorter than a scan"),
    ([{"is": "X > 5 %", "bad": {"hold": "1 s", "other": "Y"}}], "exactly one of hold, other"),
    ([{"is": "X > 5 %", "bad": {}}], "exactly one of hold, other"),
    ([{"is": "X > 5 %", "bad": {"other": "T1"}}], "not in %"),
    ([{"is": "X is bad", "bad": "mean"}], "has no other"),
    ([{"is": "X > 5 %", "bad": "maybe"}], "bad"),
    ([{"expect": "T1 jumps 1 K", "while": "a > 5 %", "over": "1 min"}], "is not `TAG rises"),
    ([{"expect": "T1 rises 1 K", "while": "a is bad", "over": "1 min"}], "is not `TAG > VALUE"),
    ([{"expect": "T1 rises 1 mbar", "while": "a > 5 %", "over": "1 min"}], "is a pressure"),
])  # fmt: skip
def test_a_wrong_condition_is_refused_with_its_line_and_the_reason(conditions, says):
    assert says in refused(*conditions)


def test_a_row_that_may_never_be_bypassed_is_valid_in_every_phase():
    assert "valid in every phase" in refused("X > 5 %", never_bypass=True, only_in="guard")


@pytest.mark.parametrize("key", ["delay", "off_delay", "bad_after", "action_delay"])
def test_a_delay_shorter_than_a_scan_is_refused(key):
    assert "shorter than a scan" in refused("X > 5 %", **{key: "99 ms"})


def test_a_row_valid_in_a_mode_names_a_loop_there_is():
    assert "unknown flag 'L9.auto'" in refused("X > 5 %", only_in="L9.auto")


def test_a_row_that_would_have_to_act_in_no_time_is_refused():
    assert "acts in no time" in refused("X > 5 %", safety_time="0 s")

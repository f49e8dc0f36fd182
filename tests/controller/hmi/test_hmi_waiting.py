"""Why a step waits, part by part, as an operator reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.signal import Quality, Reading, Reason
from controller.hmi.waiting import Now, Waits, time_words
from controller.recipe.batch import BatchState, Variable
from controller.recipe.load import load_recipe
from controller.recipe.plan import FollowStep, WaitStep
from controller.units import find_recipe, find_unit, load_unit

H = 3_600 * 10**9
MIN = 60 * 10**9
VALUES = {"TT101": 36.92, "AT102": 28.0, "AT101": 7.2, "XV201_ZSO": 1.0, "XV202_ZSO": 0.0,
          "PT101": 2.4}  # fmt: skip


@pytest.fixture(scope="module")
def recipe():
    _, offer = load_unit(find_unit("perfusion_2l"))
    return load_recipe(find_recipe("car_t_perfusion"), offer)


def reading(name, bad=()):
    good = name not in bad
    quality = Quality.GOOD if good else Quality.BAD
    reason = Reason.NONE if good else Reason.COMMUNICATION
    return Reading(VALUES.get(name, 0.0), quality, reason, 0)


def step_of(recipe, path, words):
    for plan in recipe.phases.values():
        for step in plan.logics["running"]:
            if plan.path.endswith(path) and words in step.text:
                return plan, step
    raise AssertionError(words)


def now_of(at_ns=10 * H, since=(), bad=(), **variables):
    state = replace(BatchState(), variables={name: Variable(value, set_ns)
                                             for name, (value, set_ns) in variables.items()})
    return Now(state, lambda name: reading(name, bad), at_ns, since)


def rows_of(recipe, path, words, now):
    plan, step = step_of(recipe, path, words)
    condition = step.condition if isinstance(step, WaitStep) else step.until
    return Waits(recipe).rows(plan, condition, now)


def test_each_part_of_an_and_is_judged_alone_and_says_what_it_reads(recipe):
    rows = rows_of(recipe, "expand", "both lines are proven open", now_of())
    assert rows == [
        {"text": "XV201_ZSO == 1", "now": "XV201_ZSO 1", "met": True, "inner": False},
        {"text": "XV202_ZSO == 1", "now": "XV202_ZSO 0", "met": False, "inner": False},
    ]  # fmt: skip


def test_a_condition_that_must_last_says_how_long_it_has_and_which_part_is_missing(recipe):
    words = "temperature, oxygen and pH have been in band"
    rows = rows_of(recipe, "condition_medium", words, now_of())
    assert [(row["text"], row["now"], row["met"]) for row in rows] == [
        ("all of this for 30 min without a break", "not now", False),
        ("TT101 within 36.5 degC..37.5 degC", "TT101 36.92 degC", True),
        ("AT102 within 30 %..50 %", "AT102 28 %", False),
        ("AT101 within 7.1 pH..7.3 pH", "AT101 7.2 pH", True),
    ]
    lasting = rows_of(recipe, "condition_medium", words,
                      now_of(since=((0, 10 * H - 12 * MIN),)))  # fmt: skip
    assert (lasting[0]["now"], lasting[0]["met"]) == ("for 12 min", False)
    over = rows_of(recipe, "condition_medium", words, now_of(since=((0, 10 * H - 31 * MIN),)))
    assert over[0]["met"] is True


def test_a_bad_signal_makes_its_part_not_known_and_no_other(recipe):
    rows = rows_of(recipe, "expand", "both lines are proven open", now_of(bad=("XV201_ZSO",)))
    assert [row["met"] for row in rows] == [None, False]
    assert rows[0]["now"] == "XV201_ZSO no valid answer from the device"


def test_an_age_is_told_as_a_time_and_when_it_will_be_reached(recipe):
    plan, step = step_of(recipe, "activate", "Activate until")
    now = now_of(at_ns=22 * H, inoculated=(1.0, 2 * H))
    assert Waits(recipe).rows(plan, step.condition, now) == [
        {"text": "age(inoculated) >= 24 h", "now": "age(inoculated) 20 h", "met": False,
         "inner": False},
    ]  # fmt: skip
    assert Waits(recipe).due_s(plan, step.condition, now) == 4 * 3600


def test_where_one_way_is_enough_each_is_told_and_the_time_is_the_latest(recipe):
    plan, step = step_of(recipe, "expand", "Feed by cell density")
    now = now_of(at_ns=22 * H, inoculated=(1.0, 2 * H), growth=(2.0, 2 * H),
                 vcd_control=(5.0, 2 * H))  # fmt: skip
    head, age, dose = Waits(recipe).rows(plan, step.until, now)
    assert (head["text"], head["met"], head["inner"]) == ("one of these is enough", False, False)
    assert (age["text"], age["now"], age["met"], age["inner"]) == (
        "age(inoculated) >= 168 h", "age(inoculated) 20 h", False, True)  # fmt: skip
    assert "VOL" in dose["text"]
    assert Waits(recipe).due_s(plan, step.until, now) == 148 * 3600
    unset = Waits(recipe).rows(plan, step.until, now_of(at_ns=22 * H, inoculated=(1.0, 2 * H)))
    assert [row["met"] for row in unset] == [None, False, None]


def test_what_was_never_set_is_said_and_when_it_comes_is_not_known(recipe):
    plan, step = step_of(recipe, "activate", "Activate until")
    row = Waits(recipe).rows(plan, step.condition, now_of())[0]
    assert (row["now"], row["met"]) == ("age(inoculated) not set yet", None)
    assert Waits(recipe).due_s(plan, step.condition, now_of()) is None
    rows = rows_of(recipe, "leak_test", "must not have lost", now_of(hold_pressure=(2.5, 0)))
    assert rows[0]["now"] == "PT101 24 mbar, hold_pressure 25 mbar"


def test_every_condition_of_the_shipped_recipe_can_be_taken_apart(recipe):
    waits, seen = Waits(recipe), 0
    for plan in recipe.phases.values():
        for steps in plan.logics.values():
            for step in steps:
                until = step.condition if isinstance(step, WaitStep) else (
                    step.until if isinstance(step, FollowStep) else None
                )
                if until is not None:
                    rows = waits.rows(plan, until, now_of())
                    assert rows
                    assert all(row["text"] for row in rows)
                    seen += 1
    assert seen > 20


@pytest.mark.parametrize(("seconds", "words"), [
    (0.4, "0 s"), (59, "59 s"), (60, "1 min"), (250, "4 min 10 s"), (3600, "1 h"),
    (7500, "2 h 05 min"), (-3, "0 s"),
])  # fmt: skip
def test_times_are_said_as_the_screen_says_them(seconds, words):
    assert time_words(seconds) == words

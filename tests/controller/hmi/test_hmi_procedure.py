"""What a person is told of structures: rounds, ways, what comes next, what an exception starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core.clock import VirtualClock
from controller.core.signal import Quality, Reading, Reason
from controller.hmi.marks import Marks, value_words
from controller.hmi.procedure import ORDERED, Procedures, after, rule_words, shown
from controller.recipe.batch import BatchState, Variable
from controller.recipe.batchclock import BatchClock
from controller.recipe.engine import Engine
from controller.recipe.load import load_recipe
from controller.recipe.runs import PhaseRun
from controller.standing import Changed, Standing
from controller.units import find_recipe, find_unit, load_unit

H = 3_600 * 10**9
GROW, DAILY = "culture/grow", "culture/grow/daily"
WAYS = f"{DAILY}/still_growing"
UP = ("culture", GROW)


@pytest.fixture(scope="module")
def recipe():
    _, offer = load_unit(find_unit("perfusion_2l"))
    return load_recipe(find_recipe("car_t_dose"), offer)


def state_of(recipe, *running, complete=(), **parts):
    nodes = dict.fromkeys((recipe.root, *running), "Running")
    nodes |= dict.fromkeys(complete, "Complete")
    return replace(BatchState(), nodes=nodes, **parts)


def read(name):
    return Reading(1.0, Quality.GOOD, Reason.NONE, 0)


def row(recipe, state, path):
    rows = Procedures().tree(Engine(recipe), state, ())
    return next(each for each in rows if each["path"] == path)


# -- the tree ---------------------------------------------------------------------------------


def test_a_loop_says_its_round_and_until_when_it_goes_round(recipe):
    idle = rule_words(recipe, state_of(recipe), DAILY)
    assert idle == "at most 20 rounds, until known(grown)"
    third = state_of(recipe, *UP, DAILY, loops={DAILY: 2})
    assert rule_words(recipe, third, DAILY) == "round 3 of at most 20, until known(grown)"


def test_a_selection_says_which_way_was_taken_and_the_others_that_they_were_not(recipe):
    assert rule_words(recipe, state_of(recipe), WAYS) == "one of 2 ways, chosen when it begins"
    first = state_of(recipe, *UP, DAILY, WAYS, taken={WAYS: 0})
    assert rule_words(recipe, first, WAYS) == "chosen: known(grown)"
    assert rule_words(recipe, first, f"{WAYS}/sample_daily") == "not on the way that was taken"
    other = state_of(recipe, *UP, DAILY, WAYS, taken={WAYS: 1})
    assert rule_words(recipe, other, WAYS) == "chosen: otherwise"
    assert rule_words(recipe, other, f"{WAYS}/sample_daily") == ""


def test_what_only_an_exception_starts_is_in_the_tree_once_it_was_started(recipe):
    apart = [path for path in recipe.nodes if path.rsplit("/", 1)[-1] in ("end_early", "tell")]
    before = state_of(recipe, *UP)
    assert apart
    assert not any(shown(recipe, before, path) for path in apart)
    assert not any("end_early" in each["path"] for each in
                   Procedures().tree(Engine(recipe), before, ()))  # fmt: skip
    operation = min(apart, key=len)
    begun = state_of(recipe, *UP, operation)
    assert all(shown(recipe, begun, path) for path in apart)
    assert "by an exception; then next" in rule_words(recipe, begun, operation)
    left = replace(begun, diverted={GROW: operation})
    assert rule_words(recipe, left, GROW).startswith("left by an exception: Cells are dying")


def test_the_care_of_a_long_hold_is_in_the_tree_while_it_runs(recipe):
    care = recipe.care.path
    assert not shown(recipe, state_of(recipe), care)
    begun = state_of(recipe, care)
    assert shown(recipe, begun, care)
    assert rule_words(recipe, begun, care) == "care for the cells in a long Hold"
    last = [path for path in recipe.nodes if path.startswith(f"{care}/")][-1]
    assert after(recipe, begun, last) == "the procedure stays Held"


def test_orders_stand_at_what_is_at_work_only_each_with_why_it_is_not_possible(recipe):
    state = state_of(recipe, *UP)
    at_work = row(recipe, state, GROW)["orders"]
    assert tuple(at_work) == ORDERED
    assert [verb for verb, why in at_work.items() if not why] == ["hold", "pause"]
    assert "is protected" in at_work["stop"]  # what is to be transduced is never left out
    assert "not possible while Running" in at_work["resume"]
    assert row(recipe, state, "prepare")["orders"] == {}
    held = replace(state, nodes={**state.nodes, recipe.root: "Held", "culture": "Held",
                                 GROW: "Held"})  # fmt: skip
    assert row(recipe, held, GROW)["orders"]["restart"] == f"{GROW} cannot restart: culture is Held"


def test_the_tree_is_made_anew_only_when_something_in_it_changed(recipe):
    made, engine, state = Procedures(), Engine(recipe), state_of(recipe, *UP)
    first = made.tree(engine, state, ())
    later = replace(state, variables={"vcd": Variable(1.0, 0)})
    assert made.tree(engine, later, ()) is first
    assert made.tree(engine, replace(state, loops={DAILY: 1}), ()) is not first


# -- what comes next --------------------------------------------------------------------------


def test_what_follows_is_the_next_of_its_branch_another_round_or_what_runs_beside_it(recipe):
    state = state_of(recipe, *UP, DAILY)
    assert after(recipe, state, f"{GROW}/activate").endswith("(transduce)")
    assert after(recipe, state, WAYS) == "another round, unless known(grown)"
    assert after(recipe, state, f"{GROW}/expand") == "it waits for what runs beside it (daily)"
    done = state_of(recipe, *UP, complete=(DAILY,))
    assert after(recipe, done, f"{GROW}/expand").startswith("Harvest and end")
    last = list(recipe.phases)[[*recipe.phases].index("finish/take/harvest") + 1]
    assert after(recipe, state, last) == "the procedure is complete"


def test_what_is_skipped_does_not_come_next(recipe):
    state = state_of(recipe, *UP, skipped=(f"{GROW}/transduce",))
    assert after(recipe, state, f"{GROW}/activate").endswith("(expand)")


# -- where it is ------------------------------------------------------------------------------


def place(recipe, path, now_ns=0, held=None, **run):
    engine, clock = Engine(recipe), VirtualClock(1)
    stamp = clock.stamp()
    state = state_of(recipe, *UP, path)
    state = replace(
        state, runs={path: PhaseRun(**run)},
        clock=BatchClock(stamp.boot_id, now_ns - stamp.mono_ns, now_ns, 0),
        variables={"inoculated": Variable(1.0, 0)},
    )  # fmt: skip
    (found,) = Procedures().places(engine, state, read, stamp, held or {})
    return found


def test_a_place_says_how_far_it_is_and_what_is_left(recipe):
    found = place(recipe, f"{GROW}/activate", 20 * H, index=2, since_ns=5 * H)
    assert (found["step"], found["logic"]) == (3, "running")
    assert found["remaining_s"] == 4 * 3600, "a matter of time alone: the culture is 20 h old"
    assert [part["met"] for part in found["parts"]] == [False]
    assert found["timeout"] == {"in_s": 21 * 3600, "then": "an alarm, and it waits on", "times": 0}


def test_a_time_that_people_extended_is_a_later_time_out(recipe):
    found = place(recipe, f"{GROW}/activate", 20 * H, index=2, since_ns=5 * H, extra_ns=2 * H)
    assert found["timeout"]["in_s"] == 23 * 3600


# -- changes ----------------------------------------------------------------------------------


def changed(kind, path="p", **more):
    given = {"deviation": "DEV-7", "after": "", "name": "", "old": "", "new": "", "by": "emil@s",
             "second": "quinn@s"}  # fmt: skip
    return Changed(kind=kind, path=path, **(given | more))


@pytest.mark.parametrize(("change", "mark", "words"), [
    (changed("set", name="until", old="168 h", new="180 h"), "changed", "until: 168 h -> 180 h"),
    (changed("extend", name="step 3", old="3600", new="1800"), "extended",
     "step 3: extended by 30 min, was 1 h"),
    (changed("skip", old="Running"), "skipped", "skipped, was Running"),
    (changed("insert", name="sample", after="q", new="at = 24 h"), "inserted",
     "inserted (sample, at = 24 h) behind q"),
    (changed("repeat", name="prime", after="q", new="rate = 5 mL/min"), "repeated",
     "repeated (prime) behind q"),
])  # fmt: skip
def test_a_change_is_told_with_what_it_was_and_its_deviation(change, mark, words):
    marks = Marks([change])
    assert marks.mark("p") == mark
    assert marks.changes("p") == [f"{words}, DEV-7 by emil@s and quinn@s"]
    assert (marks.mark("other"), marks.changes("other")) == ("", [])


@pytest.mark.parametrize(("kind", "old", "new", "shown_as"), [
    ("set", "168 h", "180 h", ("168 h", "180 h")), ("extend", "3600", "600", ("1 h", "1 h and"
    " 10 min")), ("skip", "Idle", "skipped", ("Idle", "skipped")),
    ("insert", "", {"b": "2 L", "a": "1 h"}, ("", "a = 1 h, b = 2 L")),
    ("insert", "", {}, ("", "with the phase's own values")),
])  # fmt: skip
def test_old_and_new_of_a_change_are_said_before_it_is_signed(kind, old, new, shown_as):
    assert value_words(kind, old, new) == shown_as


def test_what_was_changed_belongs_to_the_open_batch_alone():
    standing = Standing()
    data = {"deviation": "DEV-1", "id": 1, "change": "insert", "path": "p", "after": "q",
            "name": "sample", "old": "", "new": {"at": "24 h"}, "check": "", "second": "b"}
    standing.take("recipe.changed", data, "a", "engineer")
    (found,) = standing.changes
    assert (found.new, found.by, found.second) == ("at = 24 h", "a", "b")
    standing.take("batch.closed", {"state": "Complete"}, "a", "")
    assert standing.changes == ()

"""Every command to every kind of element in every state: the table's move, or an error and nothing.

The recipe `levels` of the zoo has one element of each kind, and phases that take a minute to hold,
restart, stop and abort, so that each state can be met.
"""

from __future__ import annotations

from functools import lru_cache

import pytest
from recipe_life import LEGAL, Laws, nothing_happened
from recipe_zoo import Bench, zoo

from controller.recipe.batch import state_digest
from controller.recipe.states import COMMANDS, FINAL, STATES

ELEMENTS = {
    "procedure": "levels",
    "unit_procedure": "u",
    "operation": "u/o",
    "parallel": "u/o/par",
    "loop": "u/o/par/lp",
    "select": "u/o/par/lp/sel",
    "phase": "u/o/par/lp/sel/p",
    "transition": "u/o/par/tr",
}
# A transition has no logic of its own but its wait: it never rests in these.
_SHORT = {"Pausing", "Holding", "Restarting", "Stopping", "Aborting"}
CASES = [
    (level, state)
    for level in ELEMENTS
    for state in STATES
    if level != "transition" or state not in _SHORT
]


@lru_cache
def _in_state(path: str, state: str) -> Bench:
    """A batch in which the element rests in a state, brought there by orders to it alone."""
    bench = Bench(zoo("levels"))
    if state == "Idle":
        if path not in ("levels", "u"):
            bench.press("start")
            bench.go(5)
        return bench
    bench.press("start")
    bench.go(11)
    ways = {
        "Running": (), "Pausing": ("pause",), "Paused": ("pause", 300), "Holding": ("hold",),
        "Held": ("hold", 60), "Restarting": ("hold", 60, "restart"), "Stopping": ("stop",),
        "Stopped": ("stop", 61), "Aborting": ("abort",), "Aborted": ("abort", 61),
    }  # fmt: skip
    if state == "Complete":
        bench.readings["VOL"] = 9.5
        bench.go(620)
    for act in ways.get(state, ()):
        if isinstance(act, str):
            bench.press(act, path)
        else:
            bench.go(act)
    return bench


@pytest.mark.parametrize(("level", "state"), CASES)
def test_each_command_to_each_kind_of_element_is_the_tables_move_or_an_error_and_nothing(
    level: str, state: str
) -> None:
    path = ELEMENTS[level]
    start = _in_state(path, state)
    assert start.state_of(path) == state
    for verb in COMMANDS:
        bench = start.twin()
        before, count = state_digest(bench.state), len(bench.records)
        bench.press(verb, path)
        wanted = LEGAL.get((state, verb))
        if verb == "start" and path != "levels":
            wanted = None  # what has a turn is not started by anybody
        made = [
            event.data for event in bench.records[count:]
            if event.name == "procedure.state" and event.data["path"] == path
        ]  # fmt: skip
        if wanted is None:
            refused = nothing_happened(bench, before, count)
            assert refused.data["verb"] == verb
            assert refused.actor == "anna"
            said = f"{verb} is not possible while {state}", f"{path} starts when its turn comes"
            assert said[verb == "start" and path != "levels"] in refused.data["why"]
            continue
        assert (made[0]["old"], made[0]["new"]) == (state, wanted), verb
        assert made[0]["level"] == level
        assert "anna" in made[0]["cause"]
        asked = [event for event in bench.records[count:] if event.actor == "anna"]
        assert asked, verb
        assert all(event.name != "command.refused" for event in bench.records[count:])
        Laws(bench).look()


@pytest.mark.parametrize("level", [level for level in ELEMENTS if level != "procedure"])
@pytest.mark.parametrize("verb", ["hold", "pause"])
def test_an_order_to_a_part_leaves_everything_above_it_running_and_it_goes_on_where_it_was(
    level: str, verb: str
) -> None:
    path, bench = ELEMENTS[level], _in_state(ELEMENTS[level], "Running").twin()
    bench.press(verb, path)
    bench.go(310)
    above = bench.recipe.nodes[path].parent
    while above:
        assert bench.state_of(above) == "Running", above
        above = bench.recipe.nodes[above].parent
    assert bench.flags.get("unit_held", False) is False
    assert bench.state_of(path) == ("Held" if verb == "hold" else "Paused")
    bench.press("restart" if verb == "hold" else "resume", path)
    bench.go(61)
    assert bench.state_of(path) == "Running"
    bench.readings["VOL"] = 9.5
    bench.go(660)
    assert bench.state_of("levels") == "Complete"


@pytest.mark.parametrize("level", [level for level in ELEMENTS if level != "procedure"])
@pytest.mark.parametrize(("order", "state", "verb"), [
    ("hold", "Held", "restart"), ("pause", "Paused", "resume"),
])  # fmt: skip
def test_a_part_is_not_taken_up_while_what_is_above_it_stands(
    level: str, order: str, state: str, verb: str
) -> None:
    path, bench = ELEMENTS[level], _in_state("levels", state).twin()
    assert bench.state_of(path) == state
    before, count = state_digest(bench.state), len(bench.records)
    bench.press(verb, path)
    refused = nothing_happened(bench, before, count)
    assert state in refused.data["why"]


@pytest.mark.parametrize("path", ["u", "u/first", "u/first/rest", "u/o/par/tr"])
def test_only_the_whole_is_started(path: str) -> None:
    bench = Bench(zoo("levels"))
    for started in (False, True):
        if started:
            bench.press("start")
        before, count = state_digest(bench.state), len(bench.records)
        bench.press("start", path)
        nothing_happened(bench, before, count)


@pytest.mark.parametrize("path", ["levels", "procedure", ""])
def test_the_whole_is_called_by_its_path_by_procedure_or_not_at_all(path: str) -> None:
    bench = Bench(zoo("levels"))
    bench.press("start", path)
    assert bench.state_of("levels") == "Running"


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("path", ["u/o/none", "levels/u", "/", "u/o/par/", "ü" * 5_000, "\x00"])
def test_an_order_to_what_is_not_there_is_refused_and_names_nothing_it_would_do(
    verb: str, path: str
) -> None:
    bench = _in_state("levels", "Running").twin()
    before, count = state_digest(bench.state), len(bench.records)
    bench.press(verb, path)
    refused = nothing_happened(bench, before, count)
    assert len(str(refused.data)) < 2_000


@pytest.mark.parametrize("verb", ["start ", "Hold", "delete", "", "done", "worsen", "x" * 10_000])
def test_what_is_no_command_is_refused(verb: str) -> None:
    bench = _in_state("levels", "Running").twin()
    before, count = state_digest(bench.state), len(bench.records)
    bench.press(verb)
    refused = nothing_happened(bench, before, count)
    assert len(str(refused.data)) < 2_000


@pytest.mark.parametrize(("verb", "end"), [("stop", "Stopped"), ("abort", "Aborted")])
@pytest.mark.parametrize("level", [level for level in ELEMENTS if level != "procedure"])
def test_a_part_that_was_ended_by_a_person_holds_the_whole_and_is_not_passed_over(
    level: str, verb: str, end: str
) -> None:
    path, bench = ELEMENTS[level], _in_state(ELEMENTS[level], "Running").twin()
    bench.press(verb, path)
    bench.go(125)
    assert bench.state_of(path) == end
    assert bench.state_of("levels") == "Held"
    assert bench.state_of("u/last/rest") == "Idle"
    bench.press("restart")
    bench.go(125)
    assert bench.state_of("u/last/rest") == "Idle"
    assert bench.state_of("levels") not in FINAL

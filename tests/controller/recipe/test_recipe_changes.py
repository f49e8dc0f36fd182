"""Changes of a running batch: what they do, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recipe_life import Laws, nothing_happened
from recipe_zoo import LIQUIDS, Bench, batch, rebuilt, zoo

from controller.core.events import Event
from controller.recipe.amend import amended
from controller.recipe.batch import state_digest
from controller.recipe.check import bare, forward
from controller.recipe.engine import Change
from controller.recipe.plan import Amendment

TWO = "- {phase: rest, with: {time: 1 min}}\n- {phase: mark, with: {n: 5}}\n- {phase: slow}"


def _named(bench: Bench, name: str) -> list[Event]:
    return [event for event in bench.records if event.name == name]


def _changed(made: list[Event]) -> Event:
    assert [event.name for event in made][:1] == ["recipe.changed"], made[0].words()
    return made[0]


def _refused(bench: Bench, kind: str, path: str, name: str = "", value: str = "") -> str:
    before, count = state_digest(bench.state), len(bench.records)
    bench.change(kind, path, name, value)
    event = nothing_happened(bench, before, count)
    assert event.name == "change.refused"
    assert event.actor == "eva"
    return str(event.data["why"])


def test_a_value_changed_before_its_phase_begins_is_the_one_it_runs_with() -> None:
    bench = batch(TWO)
    made = _changed(bench.change("set", "u/o/mark", "n", "7"))
    assert (made.data["old"], made.data["new"]) == ("5", "7")
    assert made.data["deviation"]
    assert (made.actor, made.data["second"], made.reason) == ("eva", "quentin", "test")
    bench.go(62)
    assert bench.state.variables["mark"].value == 7
    assert bench.recipe.phases["u/o/mark"].parameters["n"] == "5"
    assert bench.engine.current(bench.state).phases["u/o/mark"].parameters["n"] == "7"


def test_a_value_changed_in_a_running_phase_counts_for_what_it_still_waits_for() -> None:
    bench = batch(TWO)
    bench.go(30)
    _changed(bench.change("set", "u/o/rest", "time", "2 min"))
    bench.go(89)
    assert bench.state_of("u/o/rest") == "Running"
    bench.go(2)
    assert bench.state_of("u/o/rest") == "Complete"


def test_a_step_is_given_more_time_and_the_next_round_of_it_is_not() -> None:
    bench = batch("- {transition: t, when: VOL > 9 L, timeout: 1 min, on_timeout: [alarm, hold],\n"
                  "   text: Full, unknown: wait}")  # fmt: skip
    bench.go(50)
    _changed(bench.change("extend", "u/o/t", "", "2 min"))
    bench.go(129)
    assert not _named(bench, "step.timeout")
    bench.go(2)
    assert len(_named(bench, "step.timeout")) == 1
    bench.go(61)
    assert bench.state_of("small") == "Held"


def test_more_time_is_kept_over_a_hold_and_a_crash() -> None:
    bench = batch("- {phase: rest, with: {time: 1 min}}")
    bench.go(10)
    _changed(bench.change("extend", "u/o/rest", "", "1 min"))
    bench.press("hold")
    bench.die(30)
    bench.press("restart")
    bench.go(108)
    assert bench.state_of("u/o/rest") == "Running"
    bench.go(4)
    assert bench.state_of("small") == "Complete"


@pytest.mark.parametrize("when", ["before", "during", "held"])
def test_a_skipped_phase_is_stopped_as_its_class_says_and_the_next_one_runs(when: str) -> None:
    bench = batch("- {phase: rest, with: {time: 10 s}}\n- {phase: drain}\n- {phase: mark}")
    laws = Laws(bench)
    if when != "before":
        bench.go(12)
        assert bench.outputs["perfusate"] == 5.0
    if when == "held":
        bench.press("hold")
    _changed(bench.change("skip", "u/o/drain"))
    laws.look()
    if when == "held":
        bench.go(20)
        assert bench.state_of("small") == "Held"
        bench.press("restart")
    bench.go(30)
    laws.look()
    assert bench.state_of("small") == "Complete"
    assert bench.state_of("u/o/drain") == ("Idle" if when == "before" else "Stopped")
    assert not any(bench.outputs.values())
    assert bench.state.skipped == ("u/o/drain",)


def test_a_phase_that_is_left_for_what_follows_is_left_as_its_class_says_and_not_stopped() -> None:
    for part in ("u/o/drain", "small"):
        bench = batch("- {phase: drain}\n- {phase: rest}")
        bench.go(5)
        if part == "small":
            bench.press("stop")
            assert bench.state_of("u/o/drain") == "Stopping", "with the whole it takes its time"
            continue
        _changed(bench.change("skip", part))
        assert bench.state_of(part) == "Stopped"
        assert not any(bench.outputs.values())
        assert list(bench.state.runs) == ["u/o/rest"]


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_what_a_person_stopped_is_skipped_and_the_batch_goes_on(verb: str) -> None:
    bench = batch("- {phase: slow}\n- {phase: mark}")
    bench.press(verb, "u/o/slow")
    bench.go(62)
    assert bench.state_of("small") == "Held"
    assert "u/o/slow" in " ".join(bench.state.hold_causes)
    _changed(bench.change("skip", "u/o/slow"))
    bench.press("restart")
    bench.go(2)
    assert bench.state_of("small") == "Complete"


@pytest.mark.parametrize("part", ["u/o", "u/o/l", "u/o/l/slow"])
def test_a_whole_part_that_was_stopped_is_skipped_and_the_batch_goes_on(part: str) -> None:
    bench = batch("""
    - loop: l
      until: VOL > 9 L
      at_most: 3
      on_limit: abort
      unknown: hold
      do: [{phase: slow}]
    - {phase: mark}
    """)
    bench.press("stop", part)
    bench.go(62)
    assert bench.state_of("small") == "Held"
    _changed(bench.change("skip", part))
    bench.readings["VOL"] = 9.5
    bench.press("restart")
    bench.go(3)
    assert bench.state_of("small") == "Complete"
    assert ("mark" in bench.state.variables) is (part != "u/o")


def test_a_part_with_a_protected_phase_still_in_it_is_not_skipped() -> None:
    bench = batch("- {phase: identity}\n- {phase: rest}")
    assert "protected" in _refused(bench, "skip", "u/o")
    for prompt in ("lot", "same"):
        bench.answer(f"u/o/identity.{prompt}", "LOT-1" if prompt == "lot" else "yes", second="ben")
    bench.go(2)
    _changed(bench.change("skip", "u/o"))
    bench.go(2)
    assert bench.state_of("small") == "Complete"


@pytest.mark.parametrize("verb", ["stop", "abort"])
def test_what_a_person_stopped_is_run_again_and_the_batch_goes_on(verb: str) -> None:
    bench = batch("- {phase: drain}\n- {phase: mark}")
    bench.press(verb, "u/o/drain")
    bench.go(20)
    assert bench.state_of("small") == "Held"
    _changed(bench.change("repeat", "u/o/drain"))
    bench.press("restart")
    bench.go(2)
    assert bench.state_of("small") == "Running"
    assert bench.outputs["perfusate"] == 5.0
    bench.go(45)
    assert bench.state_of("small") == "Complete"
    assert bench.state.variables["mark"].value == 1


def test_a_phase_that_is_over_is_repeated_with_the_values_it_has_behind_what_has_begun() -> None:
    bench = batch("- {phase: mark, with: {n: 3}}\n- {phase: rest}\n- {phase: count}")
    bench.go(2)
    made = _changed(bench.change("repeat", "u/o/mark"))
    path = str(made.data["path"])
    assert path not in bench.recipe.nodes
    bench.go(30)
    assert bench.state_of("small") == "Complete"
    order = [e.data["path"] for e in _named(bench, "procedure.state")
             if e.data["level"] == "phase" and e.data["new"] == "Running"]  # fmt: skip
    assert order == ["u/o/mark", "u/o/rest", path, "u/o/count"]
    marks = [e.data["new"] for e in _named(bench, "variable.set") if e.data["name"] == "mark"]
    assert marks == ["3", "3"]


def test_an_inserted_phase_runs_where_it_was_put_with_the_values_it_was_given() -> None:
    bench = batch(TWO)
    made = _changed(bench.change("insert", "u/o/rest", "drain", "time=30 s"))
    path = str(made.data["path"])
    bench.go(62)
    assert bench.state_of(path) == "Running"
    assert bench.state_of("u/o/mark") == "Idle"
    assert bench.outputs["perfusate"] == 5.0
    bench.die(2)
    assert bench.state_of(path) == "Running"
    bench.go(32)
    assert bench.outputs["perfusate"] == 0.0
    assert bench.state.variables["mark"].value == 5
    assert path not in bench.recipe.phases
    Laws(bench).look()


def test_an_inserted_phase_is_one_deviation_and_not_one_each_round() -> None:
    bench = batch("""
    - loop: l
      until: rounds >= 3
      at_most: 4
      on_limit: abort
      unknown: hold
      do: [{phase: rest}, {phase: count}]
    """)
    bench.go(5)
    _changed(bench.change("insert", "u/o/l/rest", "mark", "n=8"))
    bench.go(70)
    assert bench.state_of("small") == "Complete"
    marks = [e for e in _named(bench, "variable.set") if e.data["name"] == "mark"]
    assert len(marks) == 1


def test_an_inserted_phase_takes_holds_changes_and_orders_like_any_other() -> None:
    bench = batch(TWO)
    path = str(_changed(bench.change("insert", "u/o/rest", "slow", "")).data["path"])
    bench.go(70)
    bench.press("pause", path)
    bench.go(300)
    assert bench.state_of(path) == "Paused"
    bench.press("resume", path)
    bench.press("hold")
    bench.go(61)
    assert bench.state_of(path) == "Held"
    _changed(bench.change("skip", path))
    bench.press("restart")
    bench.go(65)
    assert bench.state_of(path) == "Stopped"
    assert bench.state.variables["mark"].value == 5


@pytest.mark.parametrize(
    ("kind", "path", "name", "value"),
    [
        ("set", "u/o/mark", "n", "2000"),
        ("set", "u/o/mark", "n", "-1"),
        ("set", "u/o/mark", "n", "nan"),
        ("set", "u/o/mark", "n", "5 L"),
        ("set", "u/o/mark", "n", ""),
        ("set", "u/o/mark", "no", "1"),
        ("set", "u/o/mark", "", "1"),
        ("set", "u/o", "n", "1"),
        ("set", "", "n", "1"),
        ("set", "u/o/none", "n", "1"),
        ("extend", "u/o/rest", "", "-1 min"),
        ("extend", "u/o/rest", "", "0 s"),
        ("extend", "u/o/rest", "", "30 d"),
        ("extend", "u/o/rest", "", "long"),
        ("extend", "u/o/rest", "", "inf s"),
        ("extend", "u/o/mark", "", "1 min"),
        ("skip", "small", "", ""),
        ("repeat", "u/o/mark", "", ""),
        ("insert", "u/o/rest", "identity", ""),
        ("insert", "u/o/rest", "end_environment", ""),
        ("insert", "u/o/rest", "none", ""),
        ("insert", "u/o/rest", "mark", "n=9999"),
        ("insert", "u/o/rest", "mark", "n"),
        ("insert", "u/o/rest", "mark", "q=1"),
        ("insert", "u", "mark", ""),
        ("insert", "small", "mark", ""),
        ("", "u/o/rest", "", ""),
        ("Skip", "u/o/rest", "", ""),
        ("skip", "u/o/rest\x00", "", ""),
        ("set", "ü" * 10_000, "n", "1"),
        ("set", "u/o/mark", "ñ" * 10_000, "1"),
        ("set", "u/o/mark", "n", "9" * 10_000),
        ("insert", "u/o/rest", "mark", "n=1," * 3_000),
        ("x" * 10_000, "u/o/rest", "", ""),
    ],
)
def test_a_change_the_rules_do_not_allow_is_refused_with_a_reason_and_changes_nothing(
    kind: str, path: str, name: str, value: str
) -> None:
    bench = batch(TWO)
    bench.go(5)
    why = _refused(bench, kind, path, name, value)
    assert 0 < len(why) < 1_000
    assert len(str(bench.records[-1].data)) < 3_000


@pytest.mark.parametrize("kind", ["skip", "repeat", "set"])
def test_a_protected_phase_is_never_skipped_repeated_or_changed_once_it_began(kind: str) -> None:
    bench = batch("- {phase: identity}\n- {phase: rest}")
    bench.go(2)
    assert _refused(bench, kind, "u/o/identity", "n" if kind == "set" else "", "1")
    for prompt in ("lot", "same"):
        bench.answer(f"u/o/identity.{prompt}", "LOT-1" if prompt == "lot" else "yes", second="ben")
    bench.go(2)
    assert list(bench.state.runs) == ["u/o/rest"]
    assert _refused(bench, kind, "u/o/identity", "n" if kind == "set" else "", "1")


def test_nothing_is_put_before_what_has_begun_nor_into_what_is_over() -> None:
    bench = batch(TWO)
    bench.go(61)
    assert list(bench.state.runs) == ["u/o/slow"]
    assert "begun" in _refused(bench, "insert", "u/o/rest", "mark", "")
    bench.press("abort")
    bench.go(62)
    for kind in ("set", "extend", "skip", "repeat", "insert"):
        assert _refused(bench, kind, "u/o/slow", "mark", "1")


@pytest.mark.parametrize("second", ["", "eva", "EVA", "  eva "])
def test_a_change_needs_another_person(second: str) -> None:
    bench = batch(TWO)
    before, count = state_digest(bench.state), len(bench.records)
    bench.tick(changes=[Change("skip", "u/o/mark", "", "", "eva", "engineer", "test", second)])
    nothing_happened(bench, before, count)


def test_a_change_handed_in_twice_is_done_once_and_refused_once() -> None:
    bench = batch(TWO)
    one = Change("skip", "u/o/mark", "", "", "eva", "engineer", "test", "quentin", "DEV-1")
    bench.tick(changes=[one, replace(one, deviation="DEV-2")])
    assert len(_named(bench, "recipe.changed")) == 1
    assert len(_named(bench, "change.refused")) == 1
    assert bench.state.skipped == ("u/o/mark",)


def test_there_is_an_end_to_changes() -> None:
    bench = batch(TWO)
    for number in range(200):
        bench.change("insert", "u/o/mark", "mark", f"n={number}")
    made = len(_named(bench, "recipe.changed"))
    assert 10 <= made <= 128
    assert len(_named(bench, "change.refused")) == 200 - made
    assert state_digest(rebuilt(bench.records)) == state_digest(bench.state)


def test_a_batch_that_has_not_begun_is_not_changed() -> None:
    bench = Bench(zoo("line"))
    assert _refused(bench, "skip", "begin/ready/fill")


def test_a_value_found_by_a_sample_gives_way_to_a_changed_one() -> None:
    bench = batch(
        "- {phase: rest}\n- {phase: feed, with: {density: counted, time: 10 s}}",
        "formula:\n  counted: {source: sample, from: vcd, low: 0.5e6 /mL, high: 50e6 /mL,\n"
        "    value: 2e6 /mL, unknown: default}",
    )
    _changed(bench.change("set", "u/o/feed", "density", "4e6 /mL"))
    bench.go(22)
    plan = bench.engine.current(bench.state).phases["u/o/feed"]
    assert plan.values["density"] == pytest.approx(4.0)
    assert not _named(bench, "parameter.resolved")


def test_a_skip_that_would_leave_something_on_is_found_ahead() -> None:
    bench = batch("- {phase: open_line}\n- {phase: stand}\n- {phase: close_line}")
    bench.go(3)
    recipe = bench.recipe
    plant = replace(bare(recipe.offer.equipment), owned=frozenset(LIQUIDS))

    def without(path: str) -> str:
        ahead = replace(bench.state, skipped=(path,))
        return "; ".join(found.what for found in forward(recipe, recipe, ahead, plant))

    assert "xv204" in without("u/o/close_line")
    assert not without("u/o/stand")
    _changed(bench.change("skip", "u/o/stand"))
    bench.go(3)
    assert bench.outputs["xv204"] == 0.0


def test_a_recipe_with_more_amendments_than_anybody_makes_is_compiled_in_one_piece() -> None:
    path = "begin/ready/mark"
    many = tuple(Amendment("value", path, "n", str(number)) for number in range(1_000))
    assert amended(zoo("line"), many).phases[path].values["n"] == 999.0
    assert amended(zoo("line"), many[:-1]).phases[path].values["n"] == 998.0

"""`recipe diff`: what is told is what the engine would do otherwise, and nothing else."""

from __future__ import annotations

import json
import re
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.app import main
from controller.core.yamltext import parse
from controller.recipe.compare.compare import compare
from controller.recipe.compare.differences import (
    CONDITIONS,
    CONTROLS,
    ELEMENTS,
    EXCEPTIONS,
    FOLLOWS,
    FORMULA,
    GROUPS,
    PARAMETERS,
    Comparison,
)
from controller.recipe.compare.matching import out_of_order
from controller.recipe.compare.meaning import meaning
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
from controller.recipe.plan import ControlRecipe
from controller.units import find_recipe, find_unit, load_unit

FILE = Path(__file__).parent / "pfc" / "everything.yaml"
TEXT = FILE.read_text()


@lru_cache
def offer() -> Offer:
    return load_unit(find_unit("perfusion_2l"))[1]


@lru_cache
def compiled(text: str, name: str = "before.yaml") -> ControlRecipe:
    return compile_recipe(parse(text.encode(), name), offer())


def edited(*edits: tuple[str, str], text: str = TEXT) -> str:
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def between(before: str, after: str) -> Comparison:
    return compare(compiled(before), compiled(after, "after.yaml"))


def told(found: Comparison) -> list[tuple[str, str]]:
    return [(each.group, each.what) for _, inside in found.grouped() for each in inside]


# -- what is a difference -----------------------------------------------------------------------

ONE = {
    "a value": ([("value: 0.26e6 /mL", "value: 0.3e6 /mL")], [
        (FORMULA, "seed was 0.26e6 /mL, is 0.3e6 /mL"),
        (FOLLOWS, "culture/start/inoculate: seed_density was 0.26e6 /mL, is 0.3e6 /mL")]),
    "a range": ([("low: 36 degC", "low: 36.5 degC")], [
        (FORMULA, "temperature range was 36 degC .. 37.5 degC, is 36.5 degC .. 37.5 degC")]),
    "a source": ([("Of the culture, source: fixed", "Of the culture, source: entered")], [
        (FORMULA, "temperature source was fixed, is entered")]),
    "what a value follows from": ([("temperature - 1 K", "temperature - 0.5 K")], [
        (FORMULA, "cooler was 36 degC, is 36.5 degC"),
        (FORMULA, "cooler from was temperature - 1 K, is temperature - 0.5 K")]),
    "no longer required": ([("required: true,", "value: 24 h,")], [
        (FORMULA, "dose was to be given, is 24 h"),
        (FORMULA, "dose required was True, is False")]),
    "what unknown means to a sample": (
        [("unknown: hold}\ncontrols", "unknown: default}\ncontrols")], [
        (FORMULA, "counted_last unknown was hold, is default")]),
    "a new parameter": ([("  seed:", "  more: {value: 2 h, low: 1 h, high: 3 h}\n  seed:")], [
        (FORMULA, "more is new: 2 h, 1 h .. 3 h")]),
    "a literal": ([("at: 36 h", "at: 37 h")], [(PARAMETERS, "two: at was 36 h, is 37 h")]),
    "a literal in place of a default": (
        [("{phase: prime}", "{phase: prime, with: {volume: 1.9 L}}")], [
        (PARAMETERS, "prepare/set_up/prime: volume was 2 L, is 1.9 L")]),
    "a value that follows from the formula now": (
        [("{phase: prime}", "{phase: leak, use: prime}"),
         ("until: 48 h", "until: dose")], [
        (ELEMENTS, "prepare/set_up/prime is now called leak"),
        (PARAMETERS, "transduce: until was 48 h, is dose, given at the opening")]),
    "another class": (
        [("early, use: sample, with: {at: 24 h}", "early, use: activate, with: {until: 24 h}")], [
        (ELEMENTS, "look_at_it/early is of class activate, was of class sample")]),
    "a condition": ([("vcd > 20e6 /mL", "vcd > 25e6 /mL")], [
        (CONDITIONS, "daily: until was vcd > 20e6 /mL, is vcd > 25e6 /mL")]),
    "the limit of a loop": (
        [("at_most: 14", "at_most: 12"), ("on_limit: hold", "on_limit: abort")], [
        (CONDITIONS, "daily: at_most was 14, is 12"), (CONDITIONS, "on_limit was hold, is abort")]),
    "a choice": ([("when: vcd > 2e6 /mL", "when: vcd > 3e6 /mL")], [
        (CONDITIONS, "route: choices was vcd > 2e6 /mL, is vcd > 3e6 /mL")]),
    "a time-out": ([("timeout: 4 h", "timeout: 5 h")], [
        (CONDITIONS, "transition prepare/warm_enough: timeout was 4 h, is 5 h")]),
    "what follows a time-out": ([("[alarm, hold]", "[alarm, alarm, hold]")], [
        (CONDITIONS, "on_timeout was alarm, then hold, is alarm, then alarm, then hold")]),
    "what unknown means": ([("unknown: otherwise", "unknown: hold")], [
        (CONDITIONS, "again_today: unknown was otherwise, is hold")]),
    "an exception": ([('row: "16", do: {go_to: rescue}', 'row: "13", do: {go_to: give_up}')], [
        (EXCEPTIONS, "activate: no longer on row 16: go to rescue"),
        (EXCEPTIONS, "activate: now on row 13: go to give_up")]),
    "what an exception's unknown means": ([("unknown: act", "unknown: ignore")], [
        (EXCEPTIONS, "no longer if AT102"), (EXCEPTIONS, "now if AT102")]),
    "a level": ([("level: operation\n", "level: unit_procedure\n")], [
        (EXCEPTIONS, "activate: level was operation, is unit_procedure")]),
    "a recovery": ([("recovery: 5 min", "recovery: 4 min")], [
        (EXCEPTIONS, "activate: recovery was 5 min, is 4 min")]),
    "what follows an alternative": ([("then: stop", "then: abort")], [
        (EXCEPTIONS, "alternative culture/give_up: then was stop, is abort")]),
    "a long hold": ([("after: 2 h", "after: 3 h")], [
        (EXCEPTIONS, "began after 2 h, begins after 3 h")]),
    "a control": ([("low: 70 %", "low: 75 %"), ("outside: [hold]", "outside: [retest, hold]"),
                   ("age(inoculated) > 48 h,", "age(inoculated) > 24 h,")], [
        (CONTROLS, "viability_ok: limits was from 70 %, is from 75 %"),
        (CONTROLS, "viability_ok: when was age(inoculated) > 48 h, is age(inoculated) > 24 h"),
        (CONTROLS, "glucose_ok: outside was hold, is retest, then hold")]),
    "a phase gone": ([("          - {phase: leak_test}\n", "")], [
        (ELEMENTS, "phase prepare/set_up/leak_test is gone")]),
    "a protected phase gone": (
        [("{operation: take, phases: [{phase: harvest}, {phase: end_environment}]}",
          "{operation: take, phases: [{phase: end_environment}]}")], [
        (ELEMENTS, "phase finish/take/harvest is gone; protected: harvest")]),
    "an operation gone": (
        [("      - {operation: start, phases: "
          "[{phase: inoculate, with: {seed_density: seed}}]}\n", "")], [
        (ELEMENTS, "operation culture/start is gone, with 1 in it; protected: inoculate")]),
    "a phase that is new": (
        [("          - {phase: prime}\n",
          "          - {phase: prime}\n          - {phase: again, use: leak_test}\n")], [
        (ELEMENTS, "phase of class leak_test prepare/set_up/again is new")]),
    "a loop around what was there": (
        [("          - {phase: prime}\n",
          "          - {loop: more, until: VOL > 1 L, unknown: wait, at_most: 3, on_limit: hold, "
          "do: [{phase: prime}]}\n")], [
        (ELEMENTS, "loop prepare/set_up/more is new; until VOL > 1 L, at most 3 times"),
        (ELEMENTS, "phase prepare/set_up/prime was moved to prepare/set_up/more/prime")]),
    "a choice that is new": (
        [("                - otherwise: []",
          "                - {when: vcd > 0.1e6 /mL, do: []}\n                - otherwise: []")], [
        (CONDITIONS, "route: choice vcd > 0.1e6 /mL (nothing) is new")]),
    "another order": (
        [("{operation: take, phases: [{phase: harvest}, {phase: end_environment}]}",
          "{operation: take, phases: [{phase: end_environment}, {phase: harvest}]}")], [
        (ELEMENTS, "stands in another place")]),
    "a unit procedure renamed": ([("unit_procedure: finish", "unit_procedure: end")], [
        (ELEMENTS, "unit procedure finish is now called end")]),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_an_edit_is_told_in_its_group_and_nothing_else_is(name):
    edits, expected = ONE[name]
    found = between(TEXT, edited(*edits))
    rows = told(found)
    assert len(rows) == len(expected), rows
    left = list(expected)
    for group, what in rows:
        match = next((each for each in left if each[0] == group and each[1] in what), None)
        assert match is not None, (group, what)
        left.remove(match)
    assert found.words == []


def test_both_sides_name_the_line_it_is_written_on():
    after = edited(("vcd > 20e6 /mL", "vcd > 25e6 /mL"),
                   ("recipe: everything", "# new\n\nrecipe: everything"))  # fmt: skip
    row = between(TEXT, after).differences[0]
    line = next(n for n, text in enumerate(TEXT.splitlines(), 1) if "until: vcd > 20e6" in text)
    assert row.before is not None
    assert row.after is not None
    assert (row.before.file, row.before.line) == ("before.yaml", line)
    assert (row.after.file, row.after.line) == ("after.yaml", line + 2)


def test_the_most_critical_group_comes_first_and_protected_phases_first_in_it():
    after = edited(
        ("value: 0.26e6 /mL", "value: 0.3e6 /mL"), ("vcd > 20e6 /mL", "vcd > 25e6 /mL"),
        ("          - {phase: leak_test}\n", ""),
        ("[{phase: harvest}, {phase: end_environment}]", "[{phase: end_environment}]"),
    )  # fmt: skip
    rows = told(between(TEXT, after))
    assert "harvest is gone; protected" in rows[0][1]
    places = [GROUPS.index(group) for group, _ in rows]
    assert all(a <= b for a, b in pairwise(places))


def test_choices_in_another_order_are_told_because_the_first_that_holds_is_taken():
    text = TEXT.replace("when: vcd > 2e6 /mL", "when: XX").replace(
        "when: vcd > 1e6 /mL or growth > 1.4", "when: vcd > 2e6 /mL").replace(
        "when: XX", "when: vcd > 1e6 /mL or growth > 1.4")  # fmt: skip
    rows = told(between(TEXT, text))
    assert any("route" in what for _, what in rows)


# -- what is none -------------------------------------------------------------------------------

NONE = {
    "units": [("timeout: 4 h", "timeout: 240 min"), ("at: 36 h", "at: 1.5 d"),
              ("value: 37 degC", "value: 37.0 degC"), ("PT101 < 5 mbar", "PT101 < 0.5 kPa")],
    "the order of what and joins": [
        ("AT102 < 20 % and known(vcd)", "known(vcd) and 20 % > AT102"),
        ("vcd > 1e6 /mL or growth > 1.4", "(growth > 1.4) or (vcd > 1.0e6 /mL)")],
    "a default that is written": [("{phase: prime}", "{phase: prime, with: {volume: 2.0 L}}")],
    "comments and quotes": [("recipe: everything", '# a comment\nrecipe: "everything"')],
    "the order of keys": [("{phase: two, use: sample,", "{use: sample, phase: two,")],
    "what is said as it is meant anyway": [
        ("{phase: leak_test}", "{phase: leak_test, use: leak_test}"),
        ("source: fixed", "source: fixed, required: false")],
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_another_way_of_writing_the_same_is_no_difference(name):
    found = between(TEXT, edited(*NONE[name]))
    assert told(found) == []
    assert found.words == []


def test_titles_are_told_apart_and_are_no_difference():
    after = edited(("Slow cultures are given more time", "Slow cultures have more time"),
                   ("title: Age at harvest", "title: Age"), ('version: "2.3"', 'version: "2.4"'),
                   ("title: Viability of the cells", "title: Viability"))  # fmt: skip
    found = between(TEXT, after)
    assert told(found) == []
    words = [each.what for each in found.words]
    assert words == [
        "title of dose: 'Age at harvest', now 'Age'",
        "title of viability_ok: 'Viability of the cells', now 'Viability'",
        "version of the recipe: '2.3', now '2.4'",
        "title of culture/grow/route: 'Slow cultures are given more time', now 'Slow cultures "
        "have more time'",
    ]


@given(st.lists(st.sampled_from(sorted(ONE)), unique=True, max_size=3))
def test_a_recipe_differs_from_another_exactly_if_that_differs_from_it(names):
    text = TEXT
    for name in names:
        for old, new in ONE[name][0]:
            if text.count(old) != 1:
                return
            text = text.replace(old, new)
    assert told(between(text, text)) == []
    assert bool(told(between(TEXT, text))) == bool(told(between(text, TEXT))) == bool(names)


# -- its parts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), [
    ("TT101 > 37 degC", "37.0 degC < TT101"),
    ("a and b and c", "c and (b and a)"),
    ("a and a", "a and a and a"),
    ("held(TT101 within 36.8..37.2 degC, 10 min)", "held(TT101 within 36.80..37.2 degC, 600 s)"),
    ("2 * volume + 1 L", "1000 mL + volume * 2"),
    ("not (a or b)", "not (b or a)"),
])  # fmt: skip
def test_two_ways_of_saying_the_same_have_one_meaning(one, other):
    assert meaning(one) == meaning(other)


@pytest.mark.parametrize(("one", "other"), [
    ("a and b", "a or b"), ("a - b", "b - a"), ("a / b", "b / a"), ("a > b", "a >= b"),
    ("a > b", "b > a"), ("a and b or c", "a and (b or c)"), ("37 degC", "37 K"),
    ("TT101 > temperature", "TT101 > 37 degC"), ("a within b..c", "a within c..b"),
    ("held(a, 1 min)", "held(a, 2 min)"), ("known(a)", "a"), ('lot == "a b"', 'lot == "a  b"'),
])  # fmt: skip
def test_what_means_something_else_has_another_meaning(one, other):
    assert meaning(one) != meaning(other)


@given(st.lists(st.integers(), unique=True, max_size=9))
def test_what_is_taken_out_leaves_what_rises_and_is_as_little_as_can_be(items):
    out = out_of_order(items)
    left = [item for item in items if item not in out]
    assert left == sorted(left)
    assert len(out) < max(len(items), 1)


# -- the command --------------------------------------------------------------------------------


def cellwright(*words: str) -> int:
    with (
        mock.patch.object(sys, "argv", ["cellwright", *words]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return int(ended.value.code or 0)


def test_the_command_ends_with_1_for_a_difference_and_0_for_words(tmp_path, capsys):
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(TEXT)
    title = ("title: Age at harvest", "title: Age")
    after.write_text(edited(("at_most: 14", "at_most: 12"), title))
    assert cellwright("recipe", "diff", str(before), str(after)) == 1
    out = capsys.readouterr().out
    assert "Conditions and time-outs (1)\n  culture/grow/daily: at_most was 14, is 12" in out
    assert re.search(r"before\.yaml:\d+ \| .*after\.yaml:\d+", out)
    assert "Words only, nothing happens otherwise (1)" in out
    after.write_text(edited(title))
    assert cellwright("recipe", "diff", str(before), str(after)) == 0
    assert "No difference in meaning." in capsys.readouterr().out


def test_the_command_prints_one_json_object(tmp_path, capsys):
    after = tmp_path / "after.yaml"
    after.write_text(edited(("at_most: 14", "at_most: 12")))
    assert cellwright("recipe", "diff", str(FILE), str(after), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["different"] is True
    assert [row["group"] for row in found["differences"]] == [CONDITIONS]
    assert found["differences"][0]["after"].startswith(str(after))


def test_recipes_for_two_versions_of_a_unit_are_compared_and_that_is_said(tmp_path, capsys):
    text = find_recipe("car_t_perfusion").read_text()
    line = re.search(r"^unit_version:.*$", text, re.M)
    assert line is not None
    after = tmp_path / "after.yaml"
    after.write_text(text.replace(line.group(), 'unit_version: "0.9"'))
    assert cellwright("recipe", "diff", "car_t_perfusion", str(after)) == 1
    out = capsys.readouterr().out
    assert "unit_version was" in out
    assert "is 0.9" in out
    assert "is for version 0.9 of perfusion_2l; it is compared as version" in out


def test_what_cannot_be_read_is_refused_and_named(tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text(edited(("use: sample, with: {at: 36 h}", "use: sampel, with: {at: 36 h}")))
    assert cellwright("recipe", "diff", str(FILE), str(bad)) == 2
    said = capsys.readouterr().err
    assert re.search(r"bad\.yaml:\d+:\d+: the unit offers no phase 'sampel'", said)
    assert cellwright("recipe", "diff", str(FILE), "no_such") == 2
    assert "unknown recipe 'no_such'" in capsys.readouterr().err

"""Mistakes in the form of a recipe: refused at their line, in words of who writes recipes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from check_bench import RECIPE, checked, edited

from controller.cli.log_files import keep
from controller.core.errors import BadInput
from controller.core.yamltext import load
from controller.units import find_recipe

DOSE = find_recipe("car_t_dose").read_text()
TITLE = "title: CAR-T expansion, perfusion by cell density, 2 L"
HARVEST_AT = "  harvest_at: {value: 168 h,"
GROW = "      - operation: grow\n        title: Activate, transduce and expand; a sample every day"
TELLING = "do: {go_to: end_early}"
LONG = " and ".join(["TT101 > 30 degC"] * 18)
PERFUSED = "            with: {rate: harvest_rate}\n"


def waiting(when: str) -> tuple[str, str]:
    """A transition with a condition, before the harvest."""
    item = f"          - {{transition: t, when: {when}, timeout: 1 h}}\n"
    return ("          - phase: harvest\n", f"{item}          - phase: harvest\n")


@pytest.mark.parametrize(("old", "new", "says"), [
    ('version: "1.0"', "version: 1.0", 'version: a text is needed here, in quotes: "1.0"'),
    ('version: "1.0"', 'version: ""', "version: a text is needed here"),
    ('version: "1.0"', 'version: "1\\n2"', "a version is one line"),
    ('version: "1.0"', f'version: "{"9" * 41}"', "at most 40 characters"),
    (TITLE, "title: \u202eCAR-T", r"the character '\\u202e' cannot be seen"),
    (TITLE, 'title: "CAR\\e[31m-T"', r"the character '\\x1b' cannot be seen"),
    (TITLE, 'title: "CAR\\0-T"', r"the character '\\x00' cannot be seen"),
    (TITLE, "title: " + "x" * 301, "title: a text has at most 300 characters here"),
    (HARVEST_AT, "  TT101: {value: 37 degC, low: 36 degC, high: 38 degC}\n" + HARVEST_AT,
     "'TT101' is a tag of the unit already"),
    (HARVEST_AT, "  within: {value: 1, low: 1, high: 2}\n" + HARVEST_AT,
     "'within' is a word of the language"),
    (HARVEST_AT, "  age: {value: 1, low: 1, high: 2}\n" + HARVEST_AT, "'age' is a word of the la"),
    (HARVEST_AT, "  soon: {source: deferred, from: harvest_at - 1 h, low: 1 h, high: 288 h}\n"
     + HARVEST_AT, "soon: harvest_at stands further below"),
    (HARVEST_AT, "  h\u0430rvest: {value: 1, low: 1, high: 2}\n" + HARVEST_AT, "is no id"),
    (HARVEST_AT, "  harvest_at: 168 h\n  later: {value: 168 h,", "keys with values are needed"),
    ("      - operation: grow\n", "      - operation:\n", "this operation has no id"),
    ("  - unit_procedure: prepare\n", "  - unit_procedure: procedure\n",
     "'procedure' is what orders call the whole"),
    (PERFUSED, "            recovery: -5 min\n" + PERFUSED, "from 0 s to 30 s here"),
    (PERFUSED, "            level: unit\n" + PERFUSED,
     "'phase', 'operation', 'unit_procedure' or 'procedure' is needed here, not 'unit'"),
    (PERFUSED, "            with: {rate: [1]}\n", "rate: a number or a text is needed here"),
    (PERFUSED, "            exceptions: [{row: 16, do: hold}]\n" + PERFUSED, 'in quotes: "16"'),
    (PERFUSED, "            exceptions: [{row: '16', do: {}}]\n" + PERFUSED, "what to `do`: hold"),
    (PERFUSED, "            exceptions: [{row: '16', do: {goto: x}}]\n" + PERFUSED,
     "'go_to' is needed here, not 'goto'"),
    (*waiting("TT101"), "'TT101' is a temperature, a yes/no is needed here"),
])  # fmt: skip
def test_a_mistake_of_form_is_told_in_words_at_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = edited(RECIPE, (old, new))
    (found,) = checked(tmp_path, text).findings
    assert (found.rule, found.severity) == ("load", "error")
    assert re.search(says, found.what) or says in found.what, found.what
    assert "Input should" not in found.what
    before = RECIPE[: RECIPE.index(old)].count("\n") + 1
    line = int(found.where.split(":")[1])
    assert before <= line <= before + new.count("\n") + 1, found.where


def test_a_loop_says_its_limit_as_a_whole_number(tmp_path: Path) -> None:
    for wrong, says in (("0", "at least 1"), ("many", "a whole number"), ("5000", "at most 1000")):
        text = edited(DOSE, ("at_most: 20", f"at_most: {wrong}"))
        (found,) = checked(tmp_path, text).findings
        assert found.what.startswith(f"at_most: {says}")


def test_a_long_condition_of_a_transition_is_taken(tmp_path: Path) -> None:
    assert 300 < len(LONG) <= 400
    told = checked(tmp_path, edited(RECIPE, waiting(LONG)))
    assert [each for each in told.findings if each.severity == "error"] == []


def test_a_parameter_that_nothing_uses_is_told_of(tmp_path: Path) -> None:
    spare = "  spare: {value: 1 h, low: 1 h, high: 2 h, title: spare}\n"
    told = checked(tmp_path, edited(RECIPE, (HARVEST_AT, spare + HARVEST_AT)))
    (found,) = told.findings
    assert (found.rule, found.severity) == ("unused", "warning")
    assert found.where.startswith(told.place("recipe.yaml", "  spare:"))


def test_a_protected_phase_that_comes_twice_is_told_of_but_not_on_two_ways(tmp_path: Path) -> None:
    call = "          - phase: inoculate\n            with: {seed_density: seed_density}\n"
    again = "          - {phase: more, use: inoculate, with: {seed_density: seed_density}}\n"
    (found,) = checked(tmp_path, edited(RECIPE, (call, call + again))).findings
    assert (found.rule, found.severity) == ("protected", "warning")
    assert "culture/start/more does 'inoculate' again, after culture/start/inoculate" in found.what
    either = (
        "          - select: how\n            unknown: otherwise\n            choices:\n"
        "              - {when: TT101 > 36 degC, do: [{phase: inoculate, "
        "with: {seed_density: seed_density}}]}\n"
        "              - otherwise: [{phase: more, use: inoculate, "
        "with: {seed_density: seed_density}}]\n"
    )
    assert checked(tmp_path, edited(RECIPE, (call, either))).findings == ()


def test_a_step_of_the_unit_that_this_recipe_has_no_need_of_is_no_fault(tmp_path: Path) -> None:
    text = RECIPE[: RECIPE.index("  - unit_procedure: culture")]
    text += "  - unit_procedure: finish\n    operations:\n      - {operation: take, phases: "
    text += "[{phase: end_environment}]}\n"
    found = checked(tmp_path, text).findings
    assert [each for each in found if each.rule != "unused"] == []


def test_a_device_is_never_read_beyond_the_limit_and_never_replaced() -> None:
    with pytest.raises(BadInput, match="the limit is 1000000"):
        load(Path("/dev/zero"))
    with pytest.raises(BadInput, match="it is no file"):
        keep(Path("/dev/null"), b"x")
    assert Path("/dev/null").is_char_device()


def test_a_transition_without_a_time_out_is_told_that_it_needs_one(tmp_path: Path) -> None:
    old, new = waiting("TT101 > 30 degC")
    (found,) = checked(tmp_path, edited(RECIPE, (old, new.replace(", timeout: 1 h", "")))).findings
    assert found.what == "wait without a timeout: say how long, and on_timeout"


@pytest.mark.parametrize("old", [
    "growth < slow_growth", "until: known(grown)", "viability < 60 %",
    "age(inoculated) > 48 h, out",
])  # fmt: skip
def test_a_condition_does_not_see_what_only_stands_for_a_sample(tmp_path: Path, old: str) -> None:
    new = {"until: known(grown)": "until: vcd > last_count\n              unknown: again"}.get(
        old, "vcd > last_count" + (", out" if old.endswith("out") else "")
    )
    (found,) = checked(tmp_path, edited(DOSE, (old, new))).findings
    assert found.rule == "load"
    assert found.what.endswith("a condition is no phase: ask for vcd itself")


def test_a_choice_that_asks_the_same_as_one_before_it_is_never_taken(tmp_path: Path) -> None:
    same = "when: age(inoculated) > 72 h and growth < slow_growth"
    told = checked(tmp_path, edited(DOSE, ("when: vcd >= dense", same)))
    assert [each.rule for each in told.findings] == ["unreachable", "unused"]
    assert "one before it asks for" in told.findings[0].what


def test_an_exception_that_would_lead_past_a_protected_phase_is_refused(tmp_path: Path) -> None:
    call = "{phase: sample_daily, use: sample, with: {at: 4 h}"
    beside = f"{call}, exceptions: [{{row: '16', do: {{go_to: end_early}}}}]"
    told = checked(tmp_path, edited(DOSE, (call, beside))).findings  # transduce runs beside it
    assert [(each.rule, each.severity) for each in told] == [("protected", "error")]
    assert "would lead past culture/grow/transduce" in told[0].what
    assert checked(tmp_path, DOSE).findings == ()  # expand, which goes there too, runs behind it


def test_an_exception_that_asks_for_what_its_row_does_anyway_is_told_of(tmp_path: Path) -> None:
    call = "            exceptions: [{row: '16', do: hold}]\n" + PERFUSED
    (found,) = checked(tmp_path, edited(RECIPE, (PERFUSED, call))).findings
    assert (found.rule, found.severity) == ("no-effect", "warning")
    worse = call.replace("hold", "abort")
    assert checked(tmp_path, edited(RECIPE, (PERFUSED, worse))).findings == ()

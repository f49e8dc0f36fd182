"""Mistakes put into the shipped recipe and its unit, one at a time: each is found at its line, with
words that name it and a hint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from check_bench import RECIPE, UNIT, checked, edited

from controller.units import find_recipe
from recipes import RECIPES

DOSE = find_recipe("car_t_dose").read_text()
R, U = "recipe.yaml", "unit.yaml"
END = "          - phase: end_environment\n"
DAY_1 = "          - - {phase: sample_day_1, use: sample, with: {at: 24 h}}\n"
START = "      - operation: start\n"
GROW = "      - operation: grow\n"
INOCULATE = """        phases:
          - phase: inoculate
            with: {seed_density: seed_density}
"""
UNIT_PROCEDURE = "  - unit_procedure: finish\n"


@dataclass(frozen=True)
class Seeded:
    """One mistake: edits of the recipe or the unit, where it is found, and what is said."""

    rule: str
    at: tuple[str, str]
    says: str
    recipe: tuple[tuple[str, str], ...] = ()
    unit: tuple[tuple[str, str], ...] = ()
    severity: str = "error"


SEEDED = {
    "a phase the unit does not offer": Seeded(
        "load", (R, "phase: harvesst"), "no phase 'harvesst'. Did you mean 'harvest'?",
        recipe=(("          - phase: harvest\n", "          - phase: harvesst\n"),)),
    "another version of the unit": Seeded(
        "load", (R, "unit_version:"), "was written for version 99",
        recipe=(('unit_version: "1"', 'unit_version: "99"'),)),
    "two elements with one id": Seeded(
        "load", (R, "with: {at: 46 h}"), "duplicate id 'sample_day_1'",
        recipe=(("sample_day_2", "sample_day_1"),)),
    "a value of another dimension": Seeded(
        "load", (R, "  temperature: {value"), "is a volume",
        recipe=(("temperature: {value: 37 degC", "temperature: {value: 37 mL"),)),
    "a parameter outside the unit's range": Seeded(
        "load", (R, "rate: harvest_rate"), "out of this unit's range",
        recipe=(("harvest_rate: {value: 20 mL/min, low: 5 mL/min, high: 40 mL/min",
                 "harvest_rate: {value: 90 mL/min, low: 5 mL/min, high: 90 mL/min"),)),
    "a loop without a limit": Seeded(
        "load", (R, "loop: daily"), "a loop without a limit",
        recipe=((DAY_1, "          - - {loop: daily, do: [{phase: sample_day_1, use: sample}], "
                 "until: vcd > 1e6 /mL, unknown: again}\n"),)),
    "a setpoint the loop cannot take": Seeded(
        "range", (R, "              temperature: temperature"), "TIC101.sp for 31 degC",
        recipe=(("temperature: {value: 37 degC, low: 36 degC", "temperature: {value: 31 degC, "
                 "low: 31 degC"),)),
    "a registered range wider than the unit's": Seeded(
        "registered-range", (R, "temperature_high: temperature + 0.5 K"), "the unit takes",
        recipe=(("low: 36 degC, high: 37.5 degC", "low: 36 degC, high: 39 degC"),),
        severity="warning"),
    "phases in the wrong order": Seeded(
        "always-true", (R, "- phase: transduce"), "waits for nothing",
        recipe=(("transduce_until: {value: 48 h", "transduce_until: {value: 24 h"),),
        severity="warning"),
    "cells that are never put in": Seeded(
        "unset", (R, "- phase: activate"), "reads inoculated",
        recipe=((START + INOCULATE, ""),)),
    "an environment that nobody ends": Seeded(
        "environment", (R, "unit_procedure: finish"), "could not be closed",
        recipe=((END, ""),)),
    "a valve left open to the end": Seeded(
        "left-on", (R, "- phase: condition_medium"), "leaves xv204 on",
        recipe=((END, ""),)),
    "a phase after the environment has ended": Seeded(
        "after-the-end", (R, "- phase: harvest"), "comes after the environment has ended",
        recipe=((END, ""), ("          - phase: harvest\n", END + "          - phase: harvest\n"))),
    "inoculation in a loop": Seeded(
        "protected", (R, "{phase: inoculate"), "once in a batch",
        recipe=((INOCULATE, "        phases: [{loop: again, do: [\n"
                 "          {phase: inoculate, with: {seed_density: seed_density}}\n"
                 "        ], until: inoculated == 1, unknown: again, at_most: 3, "
                 "on_limit: hold}]\n"),)),
    "a transition that can never fire": Seeded(
        "never-true", (R, "transition: warm"), "'TT101 > 120 degC' can never be true",
        recipe=((GROW, '      - {transition: warm, when: "TT101 > 120 degC", timeout: 2 h}\n'
                 + GROW),)),
    "a comparison with itself": Seeded(
        "itself", (R, "transition: warm"), "compares something with itself",
        recipe=((GROW, '      - {transition: warm, when: "TT101 > TT101", timeout: 2 h}\n'
                 + GROW),)),
    "a choice that is never taken": Seeded(
        "never-true", (R, "vcd > 200e6 /mL"), "this choice is never taken",
        recipe=((DAY_1, DAY_1 + '            - {select: grown, unknown: otherwise, choices: [\n'
                 '                {when: "vcd > 200e6 /mL", do: []}, {otherwise: []}]}\n'),)),
    "a choice behind one that is always true": Seeded(
        "unreachable", (R, "when: harvest_rate < 1 mL/min"), "is never taken: 'known(inoculated)",
        recipe=((DAY_1, DAY_1 + '            - {select: fast, choices: [\n'
                 '                {when: known(inoculated), do: []},\n'
                 '                {when: harvest_rate < 1 mL/min, do: []}, {otherwise: []}]}\n'),)),
    "a loop that never ends by its condition": Seeded(
        "never-true", (R, "vcd > 200e6 /mL"), "the loop always runs 9 times",
        recipe=((DAY_1, "          - - {loop: daily, do: [{phase: sample_day_1, use: sample}], "
                 "until: vcd > 200e6 /mL, unknown: again, at_most: 9, on_limit: hold}\n"),)),
    "a loop in which nothing changes": Seeded(
        "endless", (R, "until: set_lot"), "nothing in the loop or beside it changes",
        recipe=((DAY_1, "          - - {loop: daily, do: [{phase: sample_day_1, use: sample}], "
                 'until: set_lot == "x", unknown: again, at_most: 9, on_limit: hold}\n'),)),
    "an alternative that nothing starts": Seeded(
        "unreachable", (R, "operation: rescue"), "nothing starts the alternative",
        recipe=((UNIT_PROCEDURE, "    alternatives:\n      - {operation: rescue, then: next, "
                 "phases: [{phase: rescue_sample, use: sample}]}\n" + UNIT_PROCEDURE),)),
    "an exception that can never come": Seeded(
        "never-true", (R, "when: AT102 > 400 %"), "nothing comes of this exception",
        recipe=(("            - phase: transduce\n", "            - phase: transduce\n"
                 "              exceptions: [{when: AT102 > 400 %, unknown: ignore, "
                 "do: hold}]\n"),)),
    "a control that every result fails": Seeded(
        "control", (R, "control: alive"), "every result is outside",
        recipe=(("procedure:\n", "controls:\n  - {control: alive, of: viability, low: 101 %, "
                 "outside: [hold]}\nprocedure:\n"),)),
    "a control of what nobody samples": Seeded(
        "control", (R, "of: vcd_predicted"), "no phase asks for vcd_predicted",
        recipe=(("procedure:\n", "controls:\n  - {control: alive, of: vcd_predicted, "
                 "low: 1e6 /mL, outside: [hold]}\nprocedure:\n"),)),
    "two branches that drive one pump": Seeded(
        "conflict", (R, "phase: top_up"), "both drive feed, side by side",
        recipe=((DAY_1, DAY_1 + "            - {phase: top_up, use: prime}\n"),)),
    "a valve that a phase leaves open": Seeded(
        "not-ended", (U, "text: Open the feed line now"), "does not end it",
        unit=(("      - text: Open the feed line\n        set: {xv201: open}",
               "      - text: Open the feed line now\n        set: {xv201: open}"),
              ("      - text: Close the feed line\n        set: {xv201: closed}\n"
               "      - text: Filling is over", "      - text: Filling is over"))),
    "a pump that an abort leaves running": Seeded(
        "not-ended", (U, "- text: \"Fill at {rate}\""), "on Stop and on Abort it would stay",
        unit=(("        set: {feed: 0 mL/min, filling: 0}\n      - text: Close the feed line\n"
               "        set: {xv201: closed}\n  - id: condition_medium",
               "        set: {filling: 0}\n      - text: Close the feed line\n"
               "        set: {xv201: closed}\n  - id: condition_medium"),)),
    "a valve left open without a word": Seeded(
        "not-ended", (U, "text: Open the base line now"), "moves xv204 in this step and does",
        unit=(("    leaves: [xv204]\n", ""),
              ("      - text: Open the base line\n", "      - text: Open the base line now\n"))),
    "a contact that is neither open nor closed": Seeded(
        "never-true", (U, "wait: XV203_ZSO == 2 and"), "can never be true",
        unit=(("XV203_ZSO == 1 and XV202_ZSC == 1", "XV203_ZSO == 2 and XV202_ZSC == 1"),)),
    "a level the vessel does not have": Seeded(
        "never-true", (R, "- phase: prime"), "'VOL >= 2 * volume' can never be true",
        unit=(("wait: VOL >= volume", "wait: VOL >= 2 * volume"),)),
    "an answer that is not among the options": Seeded(
        "never-true", (U, 'base_choice == "correctd"'), "this step never runs",
        unit=(('base_choice == "corrected"', 'base_choice == "correctd"'),)),
    "a question nobody is called for": Seeded(
        "no-timeout", (U, "text: \"Add the activator, then"), "cells are in the vessel",
        unit=(('text: "Add the activator, then answer yes"}\n        timeout: 1 h',
               'text: "Add the activator, then answer yes"}'),)),
    "a time-out before its condition": Seeded(
        "too-short", (U, "timeout: 20 min"), "it is always overdue",
        unit=(("        every: 10 s\n        timeout: 12 h\n",
               "        every: 10 s\n        timeout: 20 min\n"),)),
    "a value that is read and never noted": Seeded(
        "unset", (R, "- phase: leak_test"), "reads hold_pressure",
        unit=(("      - text: Note the pressure at the start\n"
               "        set: {hold_pressure: PT101}\n", ""),)),
    "a band upside down": Seeded(
        "never-true", (R, "- phase: condition_medium"), "can never be true",
        recipe=(("ph_low: ph - 0.1 pH", "ph_low: ph + 0.15 pH"),)),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_mistake_is_found_at_its_line_with_a_hint(name: str, tmp_path: Path) -> None:
    seeded = SEEDED[name]
    told = checked(tmp_path, edited(RECIPE, *seeded.recipe), edited(UNIT, *seeded.unit))
    file, fragment = seeded.at
    where = told.place(file, fragment)
    found = [
        each
        for each in told.findings
        if (each.rule, each.severity) == (seeded.rule, seeded.severity)
        and each.where.startswith(where)
        and seeded.says in each.what
    ]
    assert found, (where, [(each.rule, each.where, each.what) for each in told.findings])
    assert all(each.do for each in found)


def test_there_are_more_than_twenty_and_they_are_of_every_kind() -> None:
    assert len(SEEDED) >= 20
    assert len({seeded.rule for seeded in SEEDED.values()}) >= 12


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: str(file.stem))
def test_no_shipped_recipe_has_a_finding_on_its_unit(file: Path, tmp_path: Path) -> None:
    assert checked(tmp_path, file.read_text()).findings == ()


@pytest.mark.parametrize(
    ("old", "new", "rule", "says"),
    [
        ("{go_to: end_early}", "hold", "unreachable", "nothing starts the alternative"),
        ("until: known(grown)", "until: known(hold_pressure)", "always-true", "never runs again"),
        ("do: []}", "do: [{phase: more, use: inoculate}]}", "protected", "once in a batch"),
        ("{phase: look, use: care_for_cells}", "{phase: look, use: harvest}", "protected",
         "no care for a long Hold"),
        ("{when: viability < 60 %", "{when: viability < 0 %", "never-true", "this exception"),
        ("vcd >= dense", "vcd >= 200e6 /mL", "never-true", "never taken"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_structures_of_the_dose_recipe_is_found(
    old: str, new: str, rule: str, says: str, tmp_path: Path
) -> None:
    text = DOSE.replace(old, new, 1)
    assert text != DOSE
    found = [each for each in checked(tmp_path, text).findings if each.rule == rule]
    assert any(says in each.what and each.where.startswith("recipe.yaml:") for each in found), found


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    recipe = edited(RECIPE, (END, ""), ("ph_low: ph - 0.1 pH", "ph_low: ph + 0.15 pH"))
    rules = {each.rule for each in checked(tmp_path, recipe).findings}
    assert {"environment", "left-on", "never-true"} <= rules

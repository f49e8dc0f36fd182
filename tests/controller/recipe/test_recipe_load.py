"""Bad recipes and bad offers: refused at their line before a batch exists."""

from __future__ import annotations

import re

import pytest
from recipe_bench import offer_of, recipe_of

from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.recipe.load import checks, compile_recipe
from controller.recipe.plan import PromptStep, SetStep, WaitStep

OFFER = """
variables:
  lot: {dimension: text}
  vcd: {dimension: cell_density}
phases:
  - id: fill
    parameters:
      rate: {dimension: flow, low: 1 mL/min, high: 60 mL/min, default: 25 mL/min}
      volume: {dimension: volume, low: 0.5 L, high: 2.2 L, default: 2 L}
    running:
      - text: "Fill at {rate}"
        set: {xv201: open, feed: rate}
      - text: Wait
        wait: VOL >= volume
        timeout: 2 h
        on_timeout: hold
      - prompt: {kind: scan, id: lot, text: Scan, into: lot}
    aborting:
      - text: Stop
        set: {feed: 0 mL/min, xv201: closed}
"""
RECIPE = """
recipe: small
version: "1"
title: Small
unit: bench
unit_version: "1"
formula:
  fill_rate: {value: 20 mL/min, low: 5 mL/min, high: 40 mL/min, source: entered}
procedure:
  - unit_procedure: prepare
    operations:
      - operation: one
        phases:
          - phase: fill
            with: {rate: fill_rate, volume: 1500 mL}
          - phase: fill_again
            use: fill
"""


def test_a_sound_recipe_is_frozen_with_its_parameters_and_digests() -> None:
    recipe = recipe_of(RECIPE, offer_of(OFFER))
    plan = recipe.phases["prepare/one/fill"]
    assert plan.parameters == {"rate": "20 mL/min", "volume": "1.5 L"}
    first, second, third = plan.logics["running"]
    assert isinstance(first, SetStep)
    assert first.text == "Fill at 20 mL/min"
    assert [(item.verb, item.target) for item in first.items] == [
        ("set_output", "xv201"), ("set_output", "feed"),
    ]  # fmt: skip
    assert isinstance(second, WaitStep)
    assert second.timeout_ns == 7_200_000_000_000
    assert isinstance(third, PromptStep)
    assert list(recipe.nodes) == [
        "small", "prepare", "prepare/one", "prepare/one/fill", "prepare/one/fill_again",
    ]  # fmt: skip


def test_the_digest_tells_recipe_offer_and_formula_apart() -> None:
    offer = offer_of(OFFER)
    base = recipe_of(RECIPE, offer)
    assert recipe_of(RECIPE, offer_of(OFFER)).digest == base.digest
    assert recipe_of(RECIPE.replace("20 mL/min", "21 mL/min"), offer).digest != base.digest
    assert recipe_of(RECIPE, offer_of(OFFER.replace("2 h", "3 h"))).digest != base.digest


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("phase: fill\n", "phase: fil\n", 14, "unit offers no phase 'fil'. Did you mean 'fill'"),
        ("use: fill", "use: pour", 17, "unit offers no phase 'pour'"),
        ("rate: fill_rate", "rat: fill_rate", 15, "no parameter 'rat'. Did you mean 'rate'"),
        ("rate: fill_rate", "rate: fill_rat", 15, "unknown name 'fill_rat'"),
        ("rate: fill_rate", "rate: 4 * fill_rate", 15, "out of this unit's range"),
        ("rate: fill_rate", "rate: 3 degC", 15, "a flow is needed here"),
        ("rate: fill_rate", "rate: VOL", 15, "unknown name 'VOL'"),
        ("value: 20 mL/min", "value: 50 mL/min", 8, "out of range 5 mL/min .. 40 mL/min"),
        ("value: 20 mL/min", "value: 20 mL/minute2", 8, "unknown unit"),
        ("low: 5 mL/min", "low: 5 kPa", 8, "a pressure is needed here"),
        ("phase: fill_again", "phase: fill", 16, "duplicate id 'fill'"),
        ("unit: bench", "unit: other", 5, "the recipe is for unit 'other'"),
        ("title: Small", "title: Small\ncolour: red", 5, "unknown key 'colour'"),
        ("        phases:\n", "        branches: [[]]\n        phases:\n", 12,
         "has `phases`, or"),
        ("phase: fill\n", "phase: 7up\n", 14, "'7up' is no id"),
    ],
)
def test_a_bad_recipe_is_refused_at_its_line(old: str, new: str, line: int, says: str) -> None:
    text = RECIPE.replace(old, new, 1)
    assert text != RECIPE
    with pytest.raises(BadInput, match=re.escape(says)) as bad:
        recipe_of(text, offer_of(OFFER))
    assert bad.value.where.startswith(f"recipe.yaml:{line}:"), bad.value.where


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("wait: VOL >= volume", "wait: VLO >= volume", 14, "unknown name 'VLO'. Did you mean"),
        ("wait: VOL >= volume", "wait: VOL >= rate", 14, "do not fit"),
        ("wait: VOL >= volume", "wait: VOL", 14, "a yes/no is needed here"),
        ("        timeout: 2 h\n        on_timeout: hold\n", "", 13, "without a timeout"),
        ("        timeout: 2 h\n", "", 15, "on_timeout without a timeout"),
        ("timeout: 2 h", "timeout: 2 L", 15, "a time is needed here"),
        ("timeout: 2 h", "timeout: 0 h", 15, "not a time between"),
        ("timeout: 2 h", "timeout: 90 d", 15, "not a time between"),
        ("timeout: 2 h", "timeout: VOL / rate", 15, "known before the batch"),
        ("on_timeout: hold", "on_timeout: shrug", 16,
         "'alarm', 'hold', 'abort' or 'continue' is needed here, not 'shrug'"),
        ("timeout: 2 h", "timeout: 2 h\n        every: 10 ms", 16, "oftener than every 1 s"),
        ("timeout: 2 h", "timeout: 2 h\n        until: VOL > 1 L", 16, "has no meaning"),
        ("xv201: open", "xv210: open", 12, "nothing called 'xv210' can be set. Did you mean"),
        ("xv201: open", "xv201: maybe", 12, "xv201 is a valve: open or closed"),
        ("xv201: open", "km101: closed", 12, "km101 is a switch: on or off"),
        ("xv201: open", "cells_in: 1", 12, "true or false"),
        ("xv201: open", "TIC101.mode: fast", 12, "a loop's mode is one of"),
        ("xv201: open", "TIC101.sp: 37", 12, "a temperature is needed here"),
        ("xv201: open", "vcd: 2 * vcd", 12, "may not read a variable it sets"),
        ("feed: rate", 'feed: "held(VOL > 1 L, 1 min)"', 12, "is needed here"),
        ("Fill at {rate}", "Fill at {rat}", 11, "unknown parameter 'rat'"),
        ("into: lot", "into: lots", 17, "unknown variable 'lots'"),
        ("into: lot", "into: vcd", 17, "cannot go into a cell_density"),
        ("kind: scan, id: lot, text: Scan, into: lot", "kind: enter, text: Say, into: vcd", 17,
         "needs low and high"),
        ("kind: scan, id: lot, text: Scan, into: lot",
         "kind: enter, text: Say, into: vcd, low: 1 g, high: 2 /mL", 17, "is needed here"),
        ("kind: scan, id: lot, text: Scan, into: lot", "kind: choose, text: Say, options: [a]", 17,
         "options"),
        ("default: 25 mL/min", "default: 99 mL/min", 8, "is outside 1 mL/min .. 60 mL/min"),
        ("dimension: volume", "dimension: volum", 9, "unknown dimension 'volum'"),
        ("vcd: {dimension: cell_density}", "VOL: {dimension: volume}", 4, "is a tag, loop"),
        ("      volume: {", "      vcd: {", 9, "is a tag or variable already"),
        ("    aborting:\n      - text: Stop\n        set: {feed: 0 mL/min, xv201: closed}\n", "", 6,
         "no aborting logic"),
        ("text: Wait\n", "text: Wait\n        for: 3 min\n", 13, "exactly one of"),
    ],
)  # fmt: skip
def test_a_bad_offer_is_refused_at_its_line(old: str, new: str, line: int, says: str) -> None:
    text = OFFER.replace(old, new, 1)
    assert text != OFFER
    with pytest.raises(BadInput, match=re.escape(says)) as bad:
        offer_of(text)
    assert bad.value.where.startswith(f"unit.yaml:{line}:"), (bad.value.where, bad.value.what)


def test_two_prompts_of_a_phase_with_one_id_are_refused() -> None:
    prompt = "      - prompt: {kind: scan, id: lot, text: Scan, into: lot}\n"
    with pytest.raises(BadInput, match="duplicate prompt id"):
        offer_of(OFFER.replace(prompt, prompt + prompt))


def test_two_phases_of_an_offer_with_one_id_are_refused() -> None:
    twice = OFFER + OFFER[OFFER.index("  - id: fill") :]
    with pytest.raises(BadInput, match="duplicate phase id 'fill'"):
        offer_of(twice)


def test_a_recipe_with_more_than_a_thousand_steps_is_refused() -> None:
    steps = "".join("      - {text: Note, set: {vcd: 1 /mL}}\n" for _ in range(500))
    offer = offer_of(
        "variables:\n  vcd: {dimension: cell_density}\nphases:\n"
        f"  - id: many\n    running:\n{steps}"
    )
    head = RECIPE[: RECIPE.index("          - phase")].replace("formula:", "formula: {}", 1)
    head = re.sub(r"  fill_rate.*\n", "", head)
    calls = [f"          - {{phase: p{number}, use: many}}\n" for number in range(3)]
    recipe = recipe_of(head + "".join(calls[:2]), offer)
    assert sum(len(plan.logics["running"]) for plan in recipe.phases.values()) == 1000
    with pytest.raises(BadInput, match="more than 1000 steps"):
        recipe_of(head + "".join(calls), offer)


def test_checks_lists_what_a_load_would_refuse() -> None:
    offer = offer_of(OFFER)
    assert checks(parse(RECIPE.encode(), "r.yaml"), offer) == []
    bad = checks(parse(RECIPE.replace("fill_rate,", "fil_rate,").encode(), "r.yaml"), offer)
    assert [fault.where for fault in bad] == ["r.yaml:15:20"]


def test_a_formula_value_may_be_given_within_its_range_and_no_other() -> None:
    offer, document = offer_of(OFFER), parse(RECIPE.encode(), "r.yaml")
    recipe = compile_recipe(document, offer, {"fill_rate": "1.8 L/h"})
    assert recipe.formula == {"fill_rate": "30 mL/min"}
    assert recipe.phases["prepare/one/fill"].parameters["rate"] == "30 mL/min"
    for given, says in (
        ({"fill_rate": "41 mL/min"}, "out of range"),
        ({"fill_rate": "3 kPa"}, "a flow is needed here"),
        ({"fillrate": "20 mL/min"}, "Did you mean 'fill_rate'"),
    ):
        with pytest.raises(BadInput, match=says):
            compile_recipe(document, offer, given)

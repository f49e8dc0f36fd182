"""Edited copies of the shipped unit and recipe, and small recipes on a small unit, to check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.recipe.check import Finding, Report, bare, check, plant_of
from controller.recipe.load import compile_recipe
from controller.recipe.model import OfferModel
from controller.recipe.offer import Offer, compile_offer
from controller.recipe.plan import ControlRecipe
from controller.recipe.steps import Equipment
from controller.units import find_recipe, find_unit, load_unit

RECIPE = find_recipe("car_t_perfusion").read_text()
UNIT = find_unit("perfusion_2l").read_text()
EQUIPMENT = Equipment(
    tags={"VOL": "volume", "TT101": "temperature", "AT102": "fraction", "ZSO": "count"},
    loops={"TIC101": "temperature", "WIC101": "volume"},
    outputs={"feed": "flow", "perfusate": "flow", "xv201": "valve", "xv202": "valve"},
    flags=frozenset({"cells_in", "no_base"}),
    rows={"16": "hold"},
)


@dataclass(frozen=True)
class Told:
    """What a check said, and the two texts it was about."""

    findings: tuple[Finding, ...]
    recipe: str
    unit: str

    def place(self, file: str, fragment: str) -> str:
        """`file:line:` of the only line of a text that has the fragment."""
        text = self.recipe if file == "recipe.yaml" else self.unit
        lines = [n for n, line in enumerate(text.splitlines(), 1) if fragment in line]
        assert len(lines) == 1, (fragment, lines)
        return f"{file}:{lines[0]}:"


def edited(text: str, *edits: tuple[str, str]) -> str:
    """The text with each edit made at its only place."""
    for old, new in edits:
        assert text.count(old) == 1, (text.count(old), old)
        text = text.replace(old, new)
    return text


def checked(folder: Path, recipe: str = RECIPE, unit: str = UNIT) -> Told:
    """What the check says of a recipe on a unit; what the loader refuses is its only finding."""
    (folder / "unit.yaml").write_text(unit)
    try:
        profile, offer = _unit() if unit == UNIT else load_unit(folder / "unit.yaml")
        compiled = compile_recipe(parse(recipe.encode(), "recipe.yaml"), offer)
    except BadInput as error:
        where = error.where.replace(f"{folder}/", "")
        found = Finding("error", "load", error.what, where, error.do)
        return Told((found,), recipe, unit)
    report = check(compiled, plant_of(profile))
    findings = tuple(
        Finding(
            each.severity, each.rule, each.what, each.where.replace(f"{folder}/", ""), each.do,
            each.path,
        )
        for each in report.findings
    )  # fmt: skip
    return Told(findings, recipe, unit)


@lru_cache(maxsize=1)
def _unit():  # type: ignore[no-untyped-def]
    return load_unit(find_unit("perfusion_2l"))


SMALL_UNIT = """
variables:
  vcd: {dimension: cell_density}
  begun: {dimension: count}
  mark: {dimension: count}
  lot: {dimension: text}
phases:
  - id: begin
    running:
      - text: Begin
        set: {begun: 1}
  - id: sample
    parameters:
      at: {dimension: time, low: 1 h, high: 400 h, default: 24 h}
    running:
      - text: Wait for the age
        wait: age(begun) >= at
        timeout: 500 h
      - prompt: {kind: sample, id: vcd, text: Count, into: vcd, low: 0 /mL, high: 100e6 /mL}
        timeout: 1 h
  - id: fill
    running:
      - text: Open
        set: {xv201: open, feed: 10 mL/min}
      - text: Wait
        wait: VOL > 1 L
        timeout: 1 h
      - text: Shut
        set: {xv201: closed, feed: 0 mL/min}
    aborting:
      - text: Shut
        set: {xv201: closed, feed: 0 mL/min}
  - id: wait_a_day
    running:
      - text: A day
        for: 24 h
  - id: mark_it
    running:
      - text: Mark
        set: {mark: 1}
"""
SMALL = """
recipe: small
version: "1"
title: Small
unit: bench
unit_version: "1"
formula:
  hours: {value: 48 h, low: 24 h, high: 96 h}
procedure:
  - unit_procedure: u
    operations:
"""


PLANT = replace(bare(EQUIPMENT), owned=frozenset(EQUIPMENT.outputs))


def small_offer(text: str = SMALL_UNIT) -> Offer:
    """The offer of the small unit."""
    document = parse(text.encode(), "unit.yaml")
    return compile_offer(document.validate(OfferModel), document, "bench", EQUIPMENT)


def small(operations: str, unit: str = SMALL_UNIT, head: str = SMALL) -> ControlRecipe:
    """A recipe with these operations (indented by 6) on the small unit."""
    return compile_recipe(parse((head + operations).encode(), "recipe.yaml"), small_offer(unit))


def small_report(operations: str, unit: str = SMALL_UNIT, head: str = SMALL) -> Report:
    """What the check says of it; ranges are not known. The parameter of the small recipe is there
    for who wants one, so that nothing uses it is no finding here."""
    report = check(small(operations, unit, head), PLANT)
    return replace(report, findings=tuple(e for e in report.findings if e.rule != "unused"))


def rules(report: Report) -> list[tuple[str, str]]:
    """Rule and element of each finding."""
    return [(each.rule, each.path) for each in report.findings]

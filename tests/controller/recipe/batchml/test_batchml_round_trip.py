"""A recipe goes out as BatchML and comes back meaning the same; what cannot go is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from batchml_recipes import offer, recipes
from batchml_schema import TYPES, faults
from hypothesis import given, settings

from controller.core.errors import BadInput
from controller.core.yamltext import Document, load, parse
from controller.recipe.batchml.beyond import BESIDE, BY_CONVENTION, LEFT
from controller.recipe.batchml.export import export
from controller.recipe.batchml.imports import imported
from controller.recipe.batchml.xml import NAMESPACE, read
from controller.recipe.load import compile_recipe
from controller.recipe.model import RecipeModel
from controller.recipe.plan import ControlRecipe
from recipes import RECIPES

SHIPPED = sorted(RECIPES.glob("*.yaml"))
OFFER = offer()


def document(data: Any) -> Document:
    return parse(yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode(), "made.yaml")


def meaning(recipe: ControlRecipe) -> Any:
    """What a control recipe says, without places and closures."""

    def rule(node: Any) -> Any:
        if node.rule is None:
            return None
        texts = getattr(node.rule, "choices", None) or (node.rule.until,)
        said = [None if each is None else each.text for each in texts]
        left = {k: getattr(node.rule, k, "") for k in ("unknown", "at_most", "on_limit")}
        return (said, left)

    nodes = [
        (node.path, node.level, node.title, node.branches, node.then, rule(node))
        for node in recipe.nodes.values()
    ]
    phases = [
        (plan.path, plan.use, plan.title, plan.values, plan.level, plan.recovery_ns,
         [(e.row, e.condition and e.condition.text, e.unknown, e.do, e.target)
          for e in plan.exceptions],
         [(name, item.expression.text) for name, item in plan.deferred.items()])
        for plan in recipe.phases.values()
    ]  # fmt: skip
    controls = [(c.id, c.variable, c.low, c.high, c.outside) for c in recipe.controls]
    formula = {name: (i.value, i.low, i.high, i.source) for name, i in recipe.ranges.items()}
    return nodes, phases, controls, recipe.care, formula, recipe.version, recipe.title


@settings(max_examples=25)
@given(recipes())
def test_a_recipe_comes_back_meaning_the_same(data: dict[str, Any]) -> None:
    before = document(data)
    back = imported(export(data).xml, "made.xml")
    assert not back.left
    after = parse(back.text.encode(), "back.yaml")
    assert after.validate(RecipeModel) == before.validate(RecipeModel)
    assert meaning(compile_recipe(after, OFFER)) == meaning(compile_recipe(before, OFFER))


@settings(max_examples=25)
@given(recipes())
def test_every_export_has_the_structure_of_the_schema(data: dict[str, Any]) -> None:
    assert faults(read(export(data).xml, "made.xml")) == []


@pytest.mark.parametrize("file", SHIPPED, ids=[file.stem for file in SHIPPED])
def test_a_shipped_recipe_comes_back_and_has_the_structure_of_the_schema(file: Path) -> None:
    found = load(file)
    xml = export(found.data).xml
    assert faults(read(xml, "x.xml")) == []
    back = parse(imported(xml, "x.xml").text.encode(), "back.yaml")
    assert back.validate(RecipeModel) == found.validate(RecipeModel)


def test_the_same_recipe_gives_the_same_bytes_in_the_name_space_of_batchml() -> None:
    data = load(SHIPPED[0]).data
    xml = export(data).xml
    assert xml == export(data).xml
    assert f'<BatchInformation xmlns="{NAMESPACE}">'.encode() in xml


EVERYTHING = """
recipe: everything
version: "1"
title: Everything
unit: bench
unit_version: "1"
formula:
  rate: {value: 5 mL/min, low: 1 mL/min, high: 30 mL/min, source: entered, required: true}
  seen: {source: sample, from: vcd, value: 1e6 /mL, low: 0 /mL, high: 9e6 /mL, unknown: hold}
controls:
  - {control: enough, of: vcd, low: 1e5 /mL, outside: [retest, deviation]}
long_hold: {after: 2 h, operation: care, phases: [{phase: feed_a_little, use: dose}]}
procedure:
  - unit_procedure: culture
    operations:
      - operation: grow
        phases:
          - {phase: dose, level: phase, recovery: 1 min, with: {rate: rate, time: 10 min},
             exceptions: [{when: vcd > 1e6 /mL, unknown: act, do: {go_to: rescue}}]}
          - {transition: ready, when: "vcd >
              2e6 /mL", text: Grown, timeout: 2 h, on_timeout: [alarm, hold], unknown: hold}
          - loop: daily
            until: known(vcd)
            at_most: 14
            on_limit: hold
            do: [{phase: draw, use: sample}]
    alternatives:
      - {operation: rescue, then: next, phases: [{phase: slow, use: dose}]}
"""


def test_what_batchml_has_no_element_for_travels_beside_it_and_is_told_with_its_place() -> None:
    said = export(parse(EVERYTHING.encode(), "e.yaml").data).beside
    assert f"culture/grow/dose: {BESIDE['exceptions']}" in said
    assert f"culture/grow/ready: {BESIDE['on_timeout']}" in said
    assert f"culture/grow/daily: {BESIDE['at_most']}" in said
    assert f"culture/rescue: {BESIDE['alternatives']}" in said
    assert f"care: {BESIDE['long_hold']}" in said
    assert f"everything: {BESIDE['controls']}" in said
    assert not export(load(RECIPES / "car_t_perfusion.yaml").data).beside


def test_the_page_has_the_whole_list_of_what_batchml_cannot_express() -> None:
    page = (Path(__file__).parents[4] / "docs" / "batchml.md").read_text()
    for text in (*BESIDE.values(), *BY_CONVENTION.values(), *LEFT):
        assert text in page


def test_a_condition_of_several_lines_becomes_one_of_one_line() -> None:
    data = parse(EVERYTHING.encode(), "e.yaml").data
    transition = data["procedure"][0]["operations"][0]["phases"][1]
    transition["when"] = "vcd >\n  2e6 /mL\n\tand known(vcd)"
    xml = export(data).xml
    assert faults(read(xml, "e.xml")) == []
    back = imported(xml, "e.xml").data["procedure"][0]["operations"][0]["phases"][1]
    assert back["when"] == "vcd > 2e6 /mL and known(vcd)"
    assert back["timeout"] == "2 h"


def test_values_are_numbers_with_ucum_units_references_or_equations() -> None:
    data = load(RECIPES / "car_t_perfusion.yaml").data
    said = {
        (value.said("DataInterpretation"), value.said("ValueString"), value.said("UnitOfMeasure"))
        for value in read(export(data).xml, "x").walk() if value.tag == "Value"
    }  # fmt: skip
    assert ("Constant", "37", "Cel") in said
    assert ("Constant", "0.26e6", "/mL") in said
    assert ("Reference", "working_volume", "") in said
    assert ("Equation", "temperature - 0.5 K", "") in said


def test_a_text_that_xml_cannot_hold_is_refused_by_the_export() -> None:
    data = {**parse(EVERYTHING.encode(), "e.yaml").data, "title": "a\x07bell"}
    with pytest.raises(BadInput, match="XML cannot hold"):
        export(data)


@pytest.mark.parametrize("wrong", [b"[1]", b"7", b"null"])
def test_what_is_carried_must_be_what_cellwright_writes(wrong: bytes) -> None:
    xml = export(parse(EVERYTHING.encode(), "e.yaml").data).xml
    assert b'{"after": "2 h"}' in xml
    with pytest.raises(BadInput, match="not what cellwright writes"):
        imported(xml.replace(b'{"after": "2 h"}', wrong), "e.xml")


def test_the_structure_test_finds_what_the_schema_forbids() -> None:
    xml = export(parse(EVERYTHING.encode(), "e.yaml").data).xml
    for wrong, right in (
        (b"<LinkType>ControlLink", b"<LinkType>Control"),
        (b"<Depiction>LineAndArrow</Depiction>", b""),
        (b"<DataType>double</DataType>", b"<DataType>real</DataType>"),
        (b"<RecipeElementVersion>1</RecipeElementVersion>", b""),
        (b"<Version>1</Version>", b"<Version>1</Version><Stray/>"),
    ):
        assert wrong in xml
        assert faults(read(xml.replace(wrong, right, 1), "e.xml"))
    assert set(TYPES["RecipeElement"][0]) == {"ID", "Identifier", 1}

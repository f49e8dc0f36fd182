"""What the import refuses, with file and line: hostile XML, broken files, logic without a form."""

from __future__ import annotations

import contextlib
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.recipe.batchml import xml
from controller.recipe.batchml.export import export
from controller.recipe.batchml.imports import imported
from controller.recipe.model import RecipeModel

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
OPEN = f'{HEAD}<BatchInformation xmlns="{xml.NAMESPACE}">'
RECIPE = """
recipe: small
version: "1"
title: Small
unit: bench
unit_version: "1"
procedure:
  - unit_procedure: u
    operations:
      - operation: o
        phases:
          - {phase: a}
          - {transition: t, when: known(a_b), timeout: 1 h}
          - select: s
            choices:
              - {when: x > 1, do: [{phase: b}, {phase: c}]}
              - {otherwise: []}
          - {loop: l, do: [{phase: d}], until: x > 2, at_most: 3, on_limit: hold}
          - parallel: p
            branches: [[{phase: e}], [{phase: f}]]
"""


def whole() -> bytes:
    """A good file."""
    return export(parse(RECIPE.encode(), "r.yaml").data).xml


def refused(raw: bytes) -> str:
    with pytest.raises(BadInput) as error:
        imported(raw, "bad.xml")
    assert str(error.value).startswith("bad.xml:")
    return str(error.value)


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f'{HEAD}<!DOCTYPE x [<!ENTITY a0 "ha">{BOMB}]><x>&a11;</x>', "document type"),
        (f'{HEAD}<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "document type"),
        (f'{HEAD}<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1/">]><x>&e;</x>', "document type"),
        ('<?xml version="1.0" encoding="utf-16"?><x/>', "encoding"),
        ('<?xml version="1.0" encoding="iso-8859-1"?><x/>', "encoding"),
        (f"{HEAD}<a><b></a>", "not well-formed"),
        (f"{HEAD}<a>&e;</a>", "not well-formed"),
        ("", "not well-formed"),
        (HEAD + "<a>" * 60 + "</a>" * 60, "nested deeper"),
        (HEAD + "<a>" + "<b/>" * (xml.MAX_ELEMENTS + 1) + "</a>", "elements"),
        (HEAD + "<a>" + "x" * (xml.MAX_TEXT + 1) + "</a>", "text longer"),
        (HEAD + "<a " + " ".join(f'x{n}=""' for n in range(20)) + "/>", "attributes"),
        (f"{OPEN}</BatchInformation>", "0 master recipes"),
        (f"{OPEN}<MasterRecipe/><MasterRecipe/></BatchInformation>", "2 master recipes"),
        (f"{OPEN}<MasterRecipe/></BatchInformation>", "without an ID"),
    ],
)
def test_a_hostile_or_broken_file_is_refused_at_its_line(text: str, words: str) -> None:
    assert words in refused(text.encode())


def test_a_file_that_is_too_large_is_not_even_read() -> None:
    assert "the limit is" in refused(b" " * (xml.MAX_BYTES + 1))


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    assert "not well-formed" in refused(OPEN.encode() + b"\xff\xfe</BatchInformation>")


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ("<ToIDValue>t</ToIDValue>", "<ToIDValue>tt</ToIDValue>", "'tt'"),
        ("<LinkType>ControlLink", "<LinkType>TransferLink", "TransferLink"),
        ("<RecipeElementID>u/o/a</RecipeElementID>", "<RecipeElementID>u/o/z</RecipeElementID>",
         "'u/o/z'"),
        ("<ID>u/o/a</ID>", "<ID>u/o/s</ID>", "twice"),
        ("<FromIDValue>t</FromIDValue>", "<FromIDValue>$begin</FromIDValue>", "step or transition"),
        ("<LinkType>SerialConvergent</LinkType>", "<LinkType>ParallelConvergent</LinkType>",
         "SerialConvergent"),
        ("<LinkType>SerialDivergent", "<LinkType>ParallelDivergent", "ParallelConvergent"),
        ('<ValueString>"1 h"', "<ValueString>[", "not readable"),
        ('<ValueString>"1 h"', f"<ValueString>{'[' * 40}{']' * 40}", "not readable"),
        ('<ValueString>"1 h"', f"<ValueString>{'[' * 20_000}", "not readable"),
        ("<RecipeElementType>Phase", "<RecipeElementType>UnitRecipe", "'UnitRecipe'"),
        ("<ToIDValue>c</ToIDValue>", "<ToIDValue>b</ToIDValue>", "two links"),
    ],
)  # fmt: skip
def test_logic_that_has_no_form_in_a_recipe_is_refused_at_its_line(
    wrong: str, right: str, words: str
) -> None:
    good = whole().decode()
    assert wrong in good
    assert words in refused(good.replace(wrong, right, 1).encode())


FLAT = """
<BatchInformation xmlns="http://www.mesa.org/xml/B2MML-V0600"><MasterRecipe>
<ID>Foreign Recipe 7</ID><Version>3</Version><Header><ProductID>X</ProductID></Header>
<EquipmentRequirement><ID>bench</ID></EquipmentRequirement>
<ProcedureLogic>{top}</ProcedureLogic>
<RecipeElement><ID>UP 1</ID><RecipeElementType>UnitProcedure</RecipeElementType>
<ProcedureLogic>{one}</ProcedureLogic>
<RecipeElement><ID>OP 1</ID><RecipeElementType>Operation</RecipeElementType>
<ProcedureLogic>{inner}</ProcedureLogic>{phases}</RecipeElement></RecipeElement>
<OtherInformation><ID>vendor</ID></OtherInformation>
</MasterRecipe></BatchInformation>
"""


def _steps(*names: str) -> str:
    return "".join(
        f"<Step><ID>{n}</ID><RecipeElementID>{n}</RecipeElementID>"
        "<RecipeElementVersion>1</RecipeElementVersion></Step>" for n in names
    )  # fmt: skip


def _link(kind: str, sources: str, targets: str) -> str:
    def end(name: str, ids: str) -> str:
        return "".join(
            f"<{name}ID><{name}IDValue>{i}</{name}IDValue><{name}Type>"
            f"{'Transition' if i[0] == 't' else 'Step'}</{name}Type></{name}ID>"
            for i in ids.split()
        )

    return (f"<Link><ID>x</ID>{end('From', sources)}{end('To', targets)}"
            f"<LinkType>{kind}</LinkType></Link>")  # fmt: skip


def _transition(name: str, condition: str) -> str:
    return f"<Transition><ID>{name}</ID><Condition>{condition}</Condition></Transition>"


def foreign(links: str, steps: str, transitions: str = "") -> str:
    """A file as another system may write it: flat, without begin, end or segments."""
    inner = links + _steps(*steps.split()) + transitions
    phases = "".join(
        f"<RecipeElement><ID>{n}</ID><RecipeElementType>Phase</RecipeElementType></RecipeElement>"
        for n in steps.split()
    )
    return FLAT.format(
        top=_steps("UP 1"), one=_steps("OP 1"), inner=inner, phases=phases
    )  # fmt: skip


def test_a_flat_file_of_another_system_becomes_structures_with_names_of_their_own() -> None:
    links = (
        _link("ControlLink", "A", "t1") + _link("ControlLink", "t1", "B")
        + _link("ParallelDivergent", "B", "C D") + _link("ParallelConvergent", "C D", "E")
        + _link("SerialConvergent", "E t4", "F") + _link("SerialDivergent", "F", "t3 t4")
        + _link("SerialDivergent", "t3", "t5 t6") + _link("ControlLink", "t5", "G")
        + _link("SerialConvergent", "G t6", "H")
    )  # fmt: skip
    transitions = "".join(
        _transition(f"t{n}", text)
        for n, text in enumerate(["TRUE", "A.done", "x &gt; 2", "x &lt;= 2", "y", "z"], 1)
        if n != 2
    )
    found = imported(foreign(links, "A B C D E F G H", transitions).encode(), "f.xml")
    phases = found.data["procedure"][0]["operations"][0]["phases"]
    assert phases == [
        {"phase": "A"}, {"phase": "B"},
        {"parallel": "part_1", "branches": [[{"phase": "C"}], [{"phase": "D"}]]},
        {"phase": "E"},
        {"loop": "part_2", "do": [{"phase": "F"}], "until": "x > 2"},
        {"select": "part_3", "choices": [{"when": "y", "do": [{"phase": "G"}]},
                                         {"when": "z", "do": []}]},
        {"phase": "H"},
    ]  # fmt: skip
    assert found.data["recipe"] == "Foreign_Recipe_7"
    assert [left.partition(" ")[2] for left in found.left] == [
        "<Header>", "the information 'vendor'",
    ]  # fmt: skip
    assert parse(found.text.encode(), "y").data == found.data


def test_unit_procedures_side_by_side_have_no_form() -> None:
    link = "<LinkType>{}</LinkType>"
    text = whole().decode()
    side = text.replace(link.format("ControlLink"), link.format("ParallelDivergent"), 1)
    assert "one after the other" in refused(side.encode())


def test_an_element_that_no_step_uses_is_told_as_left_out() -> None:
    text = whole().decode()
    inner = "<ID>u/o/z</ID><RecipeElementType>Phase</RecipeElementType></RecipeElement>"
    stray = f"<RecipeElement>{inner}<RecipeElement>"
    found = imported(text.replace("<RecipeElement>", stray, 1).encode(), "f.xml")
    assert "the recipe element 'u/o/z', which no step uses" in found.left[0]


def test_a_jump_into_a_branch_is_no_structure() -> None:
    links = (
        _link("ParallelDivergent", "A", "B C") + _link("ControlLink", "B", "D")
        + _link("ControlLink", "C", "E")
    )  # fmt: skip
    found = imported(foreign(links, "A B C D E").encode(), "f.xml")
    assert "parallel" in str(found.data)  # both run to the end: nothing comes after
    links = _link("ControlLink", "A", "B") + _link("SerialConvergent", "B C", "C")
    assert "f.xml:" in _why(foreign(links, "A B C"))


def _why(text: str) -> str:
    with pytest.raises(BadInput) as error:
        imported(text.encode(), "f.xml")
    return str(error.value)


PIECES = re.findall(rb"<[^>]+>|[^<]+", whole())


@settings(max_examples=75)
@given(st.data())
def test_a_mangled_file_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    pieces = list(PIECES)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(pieces) - 1))
        other = data.draw(st.integers(0, len(pieces) - 1))
        how = data.draw(st.sampled_from(["drop", "copy", "swap"]))
        if how == "drop":
            pieces.pop(place)
        elif how == "copy":
            pieces.insert(place, pieces[other])
        else:
            pieces[place], pieces[other] = pieces[other], pieces[place]
    with contextlib.suppress(BadInput):
        found = imported(b"".join(pieces), "mangled.xml")
        assert yaml.safe_load(found.text) == found.data


def test_the_good_file_is_good() -> None:
    found = imported(whole(), "good.xml")
    model = parse(found.text.encode(), "y").validate(RecipeModel)
    assert model == parse(RECIPE.encode(), "r").validate(RecipeModel)

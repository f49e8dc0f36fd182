"""The chart as SVG in a browser and on paper, as Mermaid text, and the pages of state machines."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest
from pfc_bench import EVERYTHING, SHIPPED, Made, recipe
from playwright.sync_api import sync_playwright

from controller.alarms import table as alarms
from controller.cli.states_page import page
from controller.recipe.pfc.build import build
from controller.recipe.pfc.mermaid import mermaid, said
from controller.recipe.pfc.model import Chart
from controller.recipe.pfc.sheets import sheets
from controller.recipe.pfc.svg import svg
from controller.recipe.pfc.text import printable, width, wrap
from controller.recipe.states import COMMANDS, STATES, TABLE

ROOT = Path(__file__).parents[4]
RECIPES = [EVERYTHING, *SHIPPED]


def picture(chart: Chart) -> str:
    return svg(sheets(chart), chart.title)


def words_of(text: str) -> str:
    found = ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")
    return " ".join(element.text or "" for element in found)


# -- SVG --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECIPES, ids=str)
def test_the_picture_names_every_element_parameter_and_condition(name):
    made = build(recipe(name))
    told = words_of(picture(made)).replace(" ", "")
    for element in made.elements():
        assert element.name in told
        texts = (element.title, *element.dashed, *element.heads, *element.foot)
        if element not in (made.procedure, made.care):  # these are no boxes
            texts += element.lines
        for text in texts:
            assert text.replace(" ", "") in told, text


@pytest.mark.parametrize("seed", range(10))
def test_the_picture_is_well_formed_whatever_the_words_are(seed):
    assert "made" in words_of(picture(Made(seed).chart()))


def test_the_same_recipe_gives_the_same_bytes_without_a_script_or_a_link():
    text = picture(build(recipe()))
    assert text == picture(build(recipe()))
    assert not re.search(r"<script|<a |href|url\(|<image|foreignObject|\bon\w+=", text)
    assert set(re.findall(r'http[^"]*', text)) == {"http://www.w3.org/2000/svg"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The picture in a browser, with what it said and asked for."""
    made = build(recipe())
    file = tmp_path_factory.mktemp("pfc") / "chart.svg"
    file.write_text(picture(made))
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make setup-test installs it"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_page()
        said_: list[str] = []
        asked: list[str] = []
        shown.on("console", lambda message: said_.append(message.text))
        shown.on("pageerror", lambda error: said_.append(str(error)))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(file.as_uri())
        yield shown, said_, asked, made
        browser.close()


def test_a_browser_draws_it_without_an_error_and_fetches_nothing(opened):
    shown, said_, asked, _ = opened
    assert said_ == []
    assert [url for url in asked if url != shown.url] == []


def test_in_a_browser_no_word_is_cut_by_its_box_or_by_the_page(opened):
    shown, _, _, _ = opened
    cut = shown.evaluate("""() => {
      const inside = (a, b, by) => a.left >= b.left - by && a.right <= b.right + by &&
        a.top >= b.top - by && a.bottom <= b.bottom + by
      const meets = (a, b, by) => a.left < b.right - by && b.left < a.right - by &&
        a.top < b.bottom - by && b.top < a.bottom - by
      const page = document.documentElement.getBoundingClientRect()
      const boxes = [...document.querySelectorAll('rect[data-path]')]
        .map(e => e.getBoundingClientRect()).filter(b => b.height > 8)
      return [...document.querySelectorAll('text')].filter(t => {
        const r = t.getBoundingClientRect()
        // The box of a text in a browser is as high as its font, ink or not.
        return !inside(r, page, 0) || boxes.some(b => meets(r, b, 2.5) && !inside(r, b, 2.5))
      }).map(t => t.textContent)
    }""")
    assert cut == []


def test_it_is_printed_on_one_a4_page_a_sheet_with_text_of_seven_points_or_more(opened, tmp_path):
    shown, _, _, made = opened
    shown.pdf(path=tmp_path / "chart.pdf", prefer_css_page_size=True, print_background=True)
    with pypdfium2.PdfDocument(tmp_path / "chart.pdf") as printed:
        assert len(printed) == len(sheets(made).pages)
        assert {tuple(round(s / 72 * 25.4) for s in page_.get_size()) for page_ in printed} == {
            (210, 297)
        }
        assert "everything" in printed[0].get_textpage().get_text_bounded()
    sizes = shown.evaluate("""() => [...document.querySelectorAll('text')].map(
      t => parseFloat(t.getAttribute('font-size')))""")
    assert min(sizes) / 25.4 * 72 >= 7.0


# -- words on a line --------------------------------------------------------------------------


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("room", [11.0, 28.5, 80.0])
def test_no_line_is_wider_than_its_room_and_no_letter_is_lost(room, bold):
    text = f"held(TT101 within 36.8..37.2 degC, 10 min) and {'W' * 90} <Zellzählung> 計測 100 %"
    lines = wrap(text, 2.6, room, bold)
    assert all(width(line, 2.6, bold) <= room for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_number_stays_with_its_unit():
    for text in ("leave it at 10 %", "leave it at 36.5 degC", "leave it at 2e6 /mL now"):
        joined = re.search(r"\d[\d.e]* \S+", text)
        assert joined is not None
        assert any(joined.group() in line for line in wrap(text, 2.6, width(joined.group(), 2.6)))


def test_what_cannot_be_printed_is_left_out():
    assert printable("a\x00b\u202ec\nd") == "a b c d"


# -- Mermaid ----------------------------------------------------------------------------------


def test_a_label_has_no_meaning_to_mermaid():
    assert said('a "b" <c> `d` #e [f] \\g', "") == (
        "a #quot;b#quot; #lt;c#gt; #96;d#96; #35;e #91;f#93; #92;g"
    )


@pytest.mark.parametrize("name", [*RECIPES, *range(8)], ids=str)
def test_the_flowchart_has_every_element_once_and_every_edge_leads_from_one_to_another(name):
    made = Made(name).chart() if isinstance(name, int) else build(recipe(name))
    text = mermaid(made)
    lines = [line.strip() for line in text.splitlines()]
    assert lines.count("end") == sum(line.startswith("subgraph ") for line in lines)
    known = set(re.findall(r'^(?:subgraph )?(n\d+)(?=[\[({>])', "\n".join(lines), re.M))
    edges = [re.fullmatch(r'(n\d+) (?:-->|-- "[^"]*" -->|-\. "[^"]*" \.->) (n\d+)', line)
             for line in lines if "->" in line.replace('"', "") and line.startswith("n")
             and not re.match(r"n\d+[\[({>]", line)]  # fmt: skip
    assert edges
    for edge in edges:
        assert edge is not None
        assert {edge.group(1), edge.group(2)} <= known
    for element in made.elements():
        if element.level in ("phase", "transition"):
            assert said(element.name) in text


def test_the_flowchart_leads_from_an_exception_to_its_alternative_and_back_from_a_loop():
    text = mermaid(build(recipe()))
    assert '-. "on row 16" .->' in text
    assert "else again, at most 14 times, then hold" in text
    assert '"vcd #gt; 20e6 /mL"' in text


# -- state machines ---------------------------------------------------------------------------


def test_the_page_of_state_machines_is_what_the_tables_say():
    assert (ROOT / "docs" / "states.md").read_text() == page(), (
        "make it again: cellwright recipe states --out docs/states.md"
    )


def test_the_diagram_has_every_move_of_the_procedural_table_and_no_other():
    block = re.findall(r"```mermaid\n(.*?)```", page(), re.S)[0]
    found = re.findall(r"^  (\w+) --> (\w+) : (.+)$", block, re.M)
    moves = {(old, new, trigger) for old, new, told in found for trigger in told.split(", ")}
    assert moves == {
        (old, new, trigger) for trigger, pairs in TABLE.items() for old, new in pairs
    }  # fmt: skip


def test_the_matrix_has_every_state_and_command():
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| ")]
    table = {row[0].strip("| "): [cell.strip("| ") for cell in row[1:]] for row in rows}
    assert table["State"] == list(COMMANDS)
    for state in STATES:
        for command, cell in zip(COMMANDS, table[state], strict=True):
            assert cell == dict(TABLE[command]).get(state, "-")


def test_the_diagram_of_alarms_has_every_move_and_where_a_hidden_one_comes_back():
    block = re.findall(r"```mermaid\n(.*?)```", page(), re.S)[1]
    arrows = re.findall(r"^  (\w+) --> (\w+) : (.+)$", block, re.M)
    found = {(old, trigger) for old, _, told in arrows for trigger in told.split(", ")}
    assert found == {(old.replace("-", "_"), trigger) for old, trigger in alarms.TABLE}
    assert "SHELVED --> LATCHED_UNACK : unshelve" in block


def test_sheets_of_a_recipe_follow_its_order():
    made = build(recipe())
    places = sheets(made).unfolded
    order = [places[element.path] for element in made.procedure.walk() if element.path in places]
    assert all(a <= b for a, b in pairwise(order))

"""The chart on paper: nothing under anything else, nothing cut, everything there once."""

from __future__ import annotations

from collections import Counter

import pytest
from pfc_bench import EVERYTHING, SHIPPED, Made, recipe
from pfc_measure import faults

from controller.recipe.pfc.build import build
from controller.recipe.pfc.model import Chart, Element
from controller.recipe.pfc.shapes import Box, Text
from controller.recipe.pfc.sheets import Sheets, sheets

RECIPES = [EVERYTHING, *SHIPPED]


def leaves(chart: Chart) -> list[Element]:
    return [element for element in chart.elements() if element.level in ("phase", "transition")]


def holders(chart: Chart) -> list[Element]:
    return [element for element in chart.elements()
            if not element.is_structure and (element.branches or element.alternatives)]  # fmt: skip


def drawn(laid: Sheets) -> Counter[str]:
    return Counter(item.path for page in laid.pages for item in page.items
                   if isinstance(item, Box) and item.path)  # fmt: skip


@pytest.mark.parametrize("name", RECIPES, ids=str)
def test_a_recipe_is_drawn_without_anything_in_the_way_of_anything(name):
    assert faults(sheets(build(recipe(name)))) == []


@pytest.mark.parametrize("seed", range(60))
def test_no_chart_however_wide_deep_or_wordy_has_anything_in_the_way(seed):
    assert faults(sheets(Made(seed).chart())) == []


@pytest.mark.parametrize("name", [*RECIPES, *range(40)], ids=str)
def test_every_element_is_drawn_once_and_every_box_tells_its_sheet(name):
    chart = Made(name).chart() if isinstance(name, int) else build(recipe(name))
    laid = sheets(chart)
    found = drawn(laid)
    for element in leaves(chart):
        assert found[element.path] == 1, element.path
    for element in holders(chart):
        assert element.path in laid.unfolded
        if element is not chart.procedure and element is not chart.care:
            assert found[element.path] == 1, element.path
    assert not [path for path, count in found.items() if count > 1]
    for page in laid.pages:
        texts = [item for item in page.items if isinstance(item, Text)]
        assert all(text.text.startswith("+ p. ") for text in texts if text.page_of)


def test_the_same_chart_gives_the_same_sheets():
    assert sheets(Made(3).chart()) == sheets(Made(3).chart())


def test_a_thousand_elements_are_laid_out():
    laid = sheets(Made(5, 2_000).chart())
    assert len(laid.pages) > 20
    assert faults(laid) == []


def test_the_measure_sees_what_is_in_the_way():
    laid = sheets(build(recipe()))
    page = laid.pages[0]
    box = next(item for item in page.items if isinstance(item, Box))
    page.items.append(Text(box.x + box.w - 2, box.y + 3, "over the edge"))
    page.items.append(Box(box.x + 3, box.y + 3, 10, 40, path="over"))
    page.items.append(Text(-5, 3, "outside", size=2.0))
    told = " ".join(faults(laid))
    for words in ("is cut by box", "is under box over", "is outside", "2.0 mm high"):
        assert words in told

"""Whatever recipe compiles can be checked: an answer with places, in time, never a crash."""

from __future__ import annotations

import math
import re
import time
from itertools import count

import pytest
from check_bench import PLANT as BENCH
from check_bench import RECIPE, SMALL_UNIT, small
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.errors import BadInput
from controller.core.yamltext import parse
from controller.recipe.check import check, plant_of
from controller.recipe.load import compile_recipe
from controller.recipe.model import MAX_STEPS
from controller.units import find_unit, load_unit

PROFILE, OFFER = load_unit(find_unit("perfusion_2l"))
PLANT = plant_of(PROFILE)
UNIT = (
    SMALL_UNIT
    + """
  - id: leave_open
    leaves: [xv202]
    running:
      - text: Open
        set: {xv202: open}
    aborting:
      - text: Shut
        set: {xv202: closed}
"""
)
CONDITIONS = ("VOL > 1 L", "mark == 1", "known(vcd)", "age(begun) > 30 h", "vcd > 1e6 /mL",
              "hours > 50 h", "TT101 within 36 degC..38 degC and not (AT102 > 40 %)",
              'lot == "x" or ZSO == 1')  # fmt: skip
PHASES = ("begin", "sample", "fill", "wait_a_day", "mark_it", "leave_open")


@st.composite
def items(draw: st.DrawFn, depth: int, names: count[int]) -> str:
    """A sequence of items in flow style, nested."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        name = f"i{next(names)}"
        kind = draw(st.sampled_from(["phase"] * 3 + ["select", "loop", "parallel", "transition"]))
        when = draw(st.sampled_from(CONDITIONS))
        quoted = f"'{when}'"
        if kind == "phase" or (depth == 0 and kind != "transition"):
            exception = draw(st.sampled_from(["", ", exceptions: [{row: '16', do: hold}]"]))
            parts.append(f"{{phase: {name}, use: {draw(st.sampled_from(PHASES))}{exception}}}")
        elif kind == "transition":
            parts.append(f"{{transition: {name}, when: {quoted}, timeout: 2 h}}")
        elif kind == "loop":
            inner = draw(items(depth - 1, names))
            parts.append(f"{{loop: {name}, do: [{inner}], until: {quoted}, unknown: again, "
                         f"at_most: {draw(st.integers(1, 1000))}, on_limit: hold}}")  # fmt: skip
        else:
            one, two = draw(items(depth - 1, names)), draw(items(depth - 1, names))
            if kind == "parallel":
                parts.append(f"{{parallel: {name}, branches: [[{one}], [{two}]]}}")
            else:
                choices = f"[{{when: {quoted}, do: [{one}]}}, {{otherwise: [{two}]}}]"
                parts.append(f"{{select: {name}, unknown: otherwise, choices: {choices}}}")
    return ", ".join(parts)


@settings(max_examples=75)
@given(st.data())
def test_any_tree_of_structures_is_checked_with_places_for_everything(data: st.DataObject) -> None:
    text = data.draw(items(3, count()))
    recipe = small(f"      - {{operation: o, phases: [{text}]}}\n", UNIT)
    report = check(recipe, BENCH)
    for each in report.findings:
        assert re.match(r"(recipe|unit)\.yaml:\d+:\d+$", each.where), each
        assert each.do
        assert each.path == "" or each.path in recipe.nodes
    assert [each.path for each in report.durations] == ["u/o", "small"]
    for duration in report.durations:
        assert 0 <= duration.least_s <= duration.typical_s <= duration.most_s < math.inf


@settings(max_examples=100)
@given(st.data())
def test_a_recipe_with_lines_lost_is_refused_or_checked(data: st.DataObject) -> None:
    lines = RECIPE.splitlines(keepends=True)
    lost = data.draw(st.sets(st.integers(0, len(lines) - 1), min_size=1, max_size=3))
    text = "".join(line for number, line in enumerate(lines) if number not in lost)
    try:
        recipe = compile_recipe(parse(text.encode(), "recipe.yaml"), OFFER)
    except BadInput:
        return
    assert all(each.where for each in check(recipe, PLANT).findings)


@pytest.mark.parametrize("rule", ["parallel", "loop"])
def test_structures_as_deep_as_they_may_be_are_checked_at_once(rule: str) -> None:
    text = "{phase: p0, use: mark_it}"
    for depth in range(1, 6 if rule == "loop" else 5):
        if rule == "loop":
            text = (f"{{loop: l{depth}, do: [{text}], until: mark == {depth}, unknown: again, "
                    "at_most: 1000, on_limit: hold}")  # fmt: skip
        else:
            twin = (f"{{loop: w{depth}, do: [{{phase: q{depth}, use: wait_a_day}}], "
                    "until: known(mark), at_most: 9, on_limit: hold}")  # fmt: skip
            text = f"{{parallel: p{depth}, branches: [[{text}], [{twin}]]}}"
    recipe = small(f"      - {{operation: o, phases: [{text}]}}\n", UNIT)
    began = time.process_time()
    check(recipe, BENCH)
    assert time.process_time() - began < 5


def test_a_recipe_as_large_as_it_may_be_is_loaded_and_checked_and_a_larger_one_refused() -> None:
    calls = ", ".join(f"{{phase: p{n}, use: mark_it}}" for n in range(MAX_STEPS))
    operation = f"      - {{operation: o, phases: [{calls}]}}\n"
    assert check(small(operation), BENCH).errors == ()
    one_more = "      - {operation: more, phases: [{phase: mark_it}]}\n"
    with pytest.raises(BadInput, match=f"more than {MAX_STEPS} steps"):
        small(operation + one_more)

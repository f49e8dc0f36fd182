"""Every example of docs/expressions.md, executed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from recipe_bench import ROOT

from controller.core.quantity import CANONICAL, canonical
from controller.recipe.dimension import NAMED
from controller.recipe.expression import Name, compile_expression
from controller.recipe.operators import ExpressionError

PAGE = (ROOT / "docs" / "expressions.md").read_text()
ROW = re.compile(r"^\| `(.+?)` \| (.+?) \|(?: (.+?) \|)?$", re.M)


def rows(title: str) -> Iterator[tuple[str, str]]:
    """The rows of every table whose second column is called so."""
    for table in re.findall(
        rf"^\| Expression \| {title} \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.M
    ):
        for found in ROW.finditer(table):
            yield found[1], found[2]


def world() -> tuple[dict[str, Name], dict[str, float | str], dict[str, float]]:
    """Names, values and ages, as the first table has them."""
    names, values, ages = {}, dict[str, float | str](), {}
    table = PAGE[PAGE.index("| Name | Is |") :].split("\n\n")[0]
    for name, kind, text in ROW.findall(table):
        source, dimension = kind.split(", ")
        value, _, age = text.partition(", set ")
        if value != "unknown":
            values[name] = value.strip('"') if dimension == "text" else canonical(value, dimension)
        if age:
            ages[name] = canonical(age.removesuffix(" ago"), "time")
        constant = source == "parameter"
        names[name] = Name("constant" if constant else source, NAMED[dimension],
                           values.get(name) if constant else None)  # fmt: skip
    return names, values, ages


NAMES, VALUES, AGES = world()


class Example:
    """What the page says of its names. A `held(...)` has held if its condition does."""

    def __init__(self, held: bool) -> None:
        self._held = held

    def tag(self, name: str) -> float | None:
        value = VALUES.get(name)
        return None if isinstance(value, str) else value

    def variable(self, name: str) -> float | str | None:
        return VALUES.get(name)

    def age(self, name: str) -> float | None:
        return AGES.get(name)

    def held(self, part: int) -> bool:
        return self._held


@pytest.mark.parametrize(("text", "wanted"), list(rows("Value")))
def test_an_example_has_the_value_that_is_written_beside_it(text: str, wanted: str) -> None:
    words = {"true": True, "false": False, "unknown": None}
    expression = compile_expression(text, NAMES)
    holds = [part.condition(Example(False)) is True for part in expression.held]
    found = expression.evaluate(Example(all(holds)))
    if wanted in words:
        assert found is words[wanted]
    elif wanted.startswith('"'):
        assert found == wanted.strip('"')
    else:
        dimension = next(name for name, unit in CANONICAL.items()
                         if unit == (wanted.partition(" ")[2] or "1"))  # fmt: skip
        fitted = compile_expression(text, NAMES, dimension).evaluate(Example(False))
        assert fitted == pytest.approx(float(wanted.split()[0]), rel=1e-5)


@pytest.mark.parametrize(("text", "why"), list(rows("Because")))
def test_what_is_refused_is_refused_for_the_reason_that_is_written(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=re.escape(why)):
        compile_expression(text, NAMES)


def test_the_page_has_its_examples() -> None:
    assert len(list(rows("Value"))) > 30
    assert len(list(rows("Because"))) > 8
    assert len(NAMES) == 9

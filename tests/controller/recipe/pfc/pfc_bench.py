"""Recipes to draw, and charts made up at random: deep, wide, long, with the longest words."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

from controller.recipe.load import load_recipe
from controller.recipe.offer import Offer
from controller.recipe.pfc.model import Chart, Element, Live, Table
from controller.recipe.plan import ControlRecipe
from controller.recipe.states import STATES
from controller.units import find_recipe, find_unit, load_unit

EVERYTHING = Path(__file__).with_name("everything.yaml")
SHIPPED = sorted(file.stem for file in find_recipe("car_t_perfusion").parent.glob("*.yaml"))
WORDS = ("DO", "held(TT101", "within", "36.8..37.2", "degC,", "10", "min)", "and", "(", "W" * 40,
         "temperature_of_the_jacket_of_the_vessel", "Zellzählung", "計測", "<&>\"'")  # fmt: skip


@lru_cache
def offer() -> Offer:
    return load_unit(find_unit("perfusion_2l"))[1]


@lru_cache
def recipe(name: str | Path = EVERYTHING) -> ControlRecipe:
    return load_recipe(name if isinstance(name, Path) else find_recipe(name), offer())


class Made:
    """A chart from a seed. `size` bounds how many elements it has."""

    def __init__(self, seed: int, size: int = 120) -> None:
        self._dice, self._left, self._count = random.Random(seed), size, 0
        self._live = self._dice.random() < 0.5

    def chart(self) -> Chart:
        units = tuple(self._holder("unit_procedure", "operation") for _ in range(self._n(3)))
        rows = tuple((self._words(40), self._words(400)) for _ in range(self._n(60)))
        root = Element("made", "procedure", "made", self._words(300), branches=(units,))
        care = self._holder("operation", "phase") if self._dice.random() < 0.5 else None
        return Chart("Made", (self._words(200),), root, care,
                     (Table("Rows", ("A", "B"), (0.3, 0.7), rows),))  # fmt: skip

    def _n(self, most: int) -> int:
        return self._dice.randint(1, most)

    def _words(self, most: int) -> str:
        words = " ".join(self._dice.choice(WORDS) for _ in range(self._n(max(most // 10, 1))))
        return words[: self._n(most)]

    def _texts(self, most: int, length: int) -> tuple[str, ...]:
        return tuple(self._words(length) for _ in range(self._dice.randint(0, most)))

    def _path(self) -> str:
        self._count += 1
        self._left -= 1
        return f"e{self._count}"

    def _holder(self, level: str, below: str) -> Element:
        path = self._path()
        aside = ()
        if level == "unit_procedure" and self._dice.random() < 0.4:
            aside = (self._holder("operation", "phase"),)
        count = self._n(3) if self._dice.random() < 0.3 else 1
        branches = tuple(self._sequence(below, 0) for _ in range(count))
        return Element(
            path, level, path, self._words(300), "", self._texts(2, 90), self._texts(2, 90), (),
            branches, alternatives=aside, optional=self._dice.random() < 0.1, live=self._state(),
        )  # fmt: skip

    def _sequence(self, level: str, depth: int) -> tuple[Element, ...]:
        found = []
        for _ in range(self._n(2 if depth else 9)):
            if self._left > 0 or not found:
                found.append(self._item(level, depth))
        return tuple(found)

    def _item(self, level: str, depth: int) -> Element:
        kind = self._dice.choice((level, level, level, "transition", "select", "parallel", "loop"))
        if depth >= 6 or self._left < 0:
            kind = "phase" if level == "phase" else "transition"
        path = self._path()
        name = self._words(40).replace(" ", "_") if self._dice.random() < 0.5 else path
        if kind == "transition":
            return Element(path, kind, name, self._words(300), lines=self._texts(3, 400),
                           live=self._state())  # fmt: skip
        if kind == "phase":
            return Element(
                path, kind, name, self._words(300), self._words(40), self._texts(32, 120),
                self._texts(5, 400), live=self._state(),
            )  # fmt: skip
        if kind == "operation":
            return self._holder("operation", "phase")
        count = 1 if kind == "loop" else self._dice.randint(2, 8 if depth < 2 else 3)
        branches = tuple(self._sequence(level, depth + 1) for _ in range(count))
        heads = tuple(self._words(400) for _ in branches) if kind == "select" else ()
        if kind == "select":
            branches = (*branches[:-1], ())
        foot = (self._words(400), self._words(90)) if kind == "loop" else ()
        return Element(path, kind, name, self._words(300), "", self._texts(1, 60), (), (), branches,
                       heads, foot, live=self._state())  # fmt: skip

    def _state(self) -> Live | None:
        if not self._live:
            return None
        state = self._dice.choice(STATES)
        return Live(state, self._texts(2, 120), self._texts(3, 200), self._dice.randint(-1, 2))

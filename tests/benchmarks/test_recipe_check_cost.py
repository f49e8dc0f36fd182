"""What a recipe of 1,000 steps costs to load and to check. Measured, never asserted: `make bench`.

Three shapes of it on the shipped unit: long phases and many short ones, each with parameters of its
own and so compiled by itself, and structures in structures, which make a large tree.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controller.core.yamltext import parse
from controller.profile.compile import Profile
from controller.recipe.check import Report, check, plant_of
from controller.recipe.load import compile_recipe
from controller.recipe.model import MAX_STEPS
from controller.recipe.offer import Offer
from controller.units import find_recipe, find_unit, load_unit

SHIPPED = find_recipe("car_t_perfusion").read_text()
PLACE = "            - {phase: sample_before_harvest, use: sample, with: {at: harvest_at - 4 h}}\n"


def long_phases(offer: Offer) -> str:
    """The shipped recipe with more samples, up to 1,000 steps."""
    room = MAX_STEPS - _steps(SHIPPED, offer)
    count = room // len(offer.classes["sample"].running)
    more = "".join(
        f"            - {{phase: more_{n}, use: sample, with: {{at: {100 + n / 8} h}}}}\n"
        for n in range(count)
    )
    return SHIPPED.replace(PLACE, more + PLACE)


def short_phases(offer: Offer) -> str:
    """The shipped recipe with hundreds of phases of one step."""
    count = MAX_STEPS - _steps(SHIPPED, offer)
    more = "".join(
        f"            - {{phase: more_{n}, use: restimulate, with: {{density: {n + 1}e4 /mL}}}}\n"
        for n in range(count)
    )
    return SHIPPED.replace(PLACE, PLACE + more)


def structures(offer: Offer) -> str:
    """The shipped recipe with loops, selections and transitions, hundreds of each."""
    more = "".join(
        f"            - loop: round_{n}\n"
        f"              until: age(inoculated) > {100 + n / 8} h and vcd > {n + 1}e5 /mL\n"
        "              unknown: again\n              at_most: 3\n              on_limit: continue\n"
        "              do:\n"
        f"                - select: way_{n}\n                  unknown: otherwise\n"
        "                  choices:\n"
        f"                    - when: VOL > {1 + n / 1000} L and AT102 within 20 %..60 %\n"
        "                      do:\n"
        f"                        - {{transition: go_{n}, when: TT101 > 36 degC, timeout: 1 h}}\n"
        f"                    - otherwise: []\n"
        for n in range(250)
    )
    return SHIPPED.replace(PLACE, PLACE + more)


def _steps(text: str, offer: Offer) -> int:
    recipe = compile_recipe(parse(text.encode(), "recipe.yaml"), offer)
    return sum(len(plan.logics["running"]) for plan in recipe.phases.values())


@pytest.fixture(scope="module")
def unit() -> tuple[Profile, Offer]:
    """The shipped unit."""
    return load_unit(find_unit("perfusion_2l"))


@pytest.mark.benchmark
@pytest.mark.parametrize("shape", [long_phases, short_phases, structures])
def test_cost_of_loading_and_checking_a_thousand_steps(
    benchmark: Callable[..., Report], unit: tuple[Profile, Offer], shape: Callable[[Offer], str]
) -> None:
    profile, offer = unit
    raw, plant = shape(offer).encode(), plant_of(profile)

    def load_and_check() -> Report:
        offer._compiled.clear()
        return check(compile_recipe(parse(raw, "recipe.yaml"), offer), plant)

    report = benchmark(load_and_check)
    assert report.errors == ()

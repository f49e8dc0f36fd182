"""A unit whose rows a board runs too keeps its promises, whatever the board tells and when."""

from __future__ import annotations

import pytest

from controller.core.based import parse_based
from controller.profile.compile import UNIT_OWN, compile_unit
from controller.profile.prove.claims import claims
from controller.profile.prove.prover import prove_claim
from controller.profile.prove.run import prove
from equipment_profiles import DEVICES, UNITS

TOLD = """\
  - {id: told.air, title: Told, whenever: ["io.air > 0.5", "prime < 0.5"], then: [xv201 = 0]}
  - {id: told.hot, title: Told, whenever: ["io.1 > 0.5"], then: [heater = 0, km101 = 0]}
  - {id: told.wrong, title: Told of another, whenever: ["io.1 > 0.5"], then: [feed = 0]}
"""


@pytest.fixture(scope="module")
def profile():
    text = (UNITS / "perfusion_2l_io.yaml").read_text() + TOLD
    return compile_unit(parse_based(text.encode(), "unit.yaml", (UNITS,), UNIT_OWN), DEVICES)


@pytest.mark.parametrize(("claim", "holds"), [
    ("told.air", True), ("told.hot", True), ("told.wrong", False),
    # What the board tells between may begin a row's own delay anew, never let go of its outputs.
    ("air.blind_feed", True), ("blind.heater", True), ("lapse.liquids", True),
])  # fmt: skip
def test_what_a_board_tells_acts_at_once_and_takes_nothing_away(profile, claim, holds):
    (found,) = [each for each in claims(profile) if each.id == claim]
    assert prove_claim(profile, found).holds is holds


@pytest.mark.campaign
def test_the_shipped_unit_with_a_board_is_proved():
    text = (UNITS / "perfusion_2l_io.yaml").read_bytes()
    document = parse_based(text, "unit.yaml", (UNITS,), UNIT_OWN)
    proof = prove(compile_unit(document, DEVICES))
    assert [result.id for result in proof.results if not result.holds] == []

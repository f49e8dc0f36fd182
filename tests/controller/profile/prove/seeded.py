"""The shipped unit with one change, compiled; and what is proved of it by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import yaml

from controller.core.yamltext import load, parse
from controller.profile.compile import Profile, compile_unit
from controller.profile.prove.claims import claims
from controller.profile.prove.prover import Result, prove_claim
from equipment_profiles import DEVICES, UNITS

Change = Callable[[dict[str, Any]], None]
UNIT = UNITS / "perfusion_2l.yaml"


def changed(change: Change) -> Profile:
    """The shipped unit after `change` of its data."""
    data = copy.deepcopy(load(UNIT).data)
    change(data)
    plain = json.loads(json.dumps(data))  # nothing twice: an alias is refused
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000)
    return compile_unit(parse(text.encode(), "unit.yaml"), DEVICES)


def row(data: dict[str, Any], name: str) -> dict[str, Any]:
    """A row, permit, plausibility or procedure row by its id."""
    rows = [*data["rows"], *data["permits"], *data["plausibility"], *data["procedure"]]
    return next(found for found in rows if found["id"] == name)


def proved(profile: Profile, name: str) -> Result:
    """One property of the unit file."""
    return prove_claim(profile, next(claim for claim in claims(profile) if claim.id == name))


def with_property(**said: Any) -> Profile:
    """The shipped unit with one property and no other."""
    def only(data: dict[str, Any]) -> None:
        data["properties"] = [{"id": "asked", "title": "Asked", **said}]

    return changed(only)

"""Units and recipes by name: the files that come with the program, or a path.

A module because checking, running, simulating and qualifying all begin with it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.alarms import Book
from controller.core.errors import BadInput, nearest
from controller.core.quantity import unit_factor
from controller.profile.compile import Profile, load_profile
from controller.recipe.model import OfferModel
from controller.recipe.offer import Offer, compile_offer
from controller.recipe.steps import Equipment
from equipment_profiles import DEVICES, UNITS
from recipes import RECIPES


def find_unit(name: str) -> Path:
    """The file of a unit by its id or path; raises BadInput with the nearest name."""
    return _find(name, UNITS, "unit")


def find_recipe(name: str) -> Path:
    """The file of a recipe by its id or path; raises BadInput with the nearest name."""
    return _find(name, RECIPES, "recipe")


def _find(name: str, folder: Path, kind: str) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise BadInput(f"unknown {kind} {name!r}. {nearest(name, list(known))}")
    return known[name]


def load_unit(path: Path) -> tuple[Profile, Offer]:
    """A unit profile and what it offers to recipes; raises BadInput."""
    profile = load_profile(path, DEVICES)
    Book.of(profile)  # a wrong alarm database is found with the unit
    document = profile.document
    empty: dict[str, Any] = {"variables": {}, "ending": {}, "phases": [], "instruments": []}
    part = {key: document.data.get(key, nothing) for key, nothing in empty.items()}
    model = replace(document, data=part).validate(OfferModel)
    version = str(profile.model.unit.version)
    others = {unit: str(number) for unit, number in profile.model.unit.recipes_of.items()}
    offer = compile_offer(model, document, profile.id, equipment(profile), version, others=others)
    return profile, offer


def equipment(profile: Profile) -> Equipment:
    """What recipes may read and move, by dimension."""
    model = profile.model
    switches = {
        name: "valve" if name.startswith("xv") else "switch"
        for name, item in model.actuators.items()
        if item.unit == "1"
    }
    tags = {tag.name: unit_factor(tag.unit)[0] for tag in profile.tags}
    return Equipment(
        tags={name: dim for name, dim in tags.items() if name not in model.actuators
              and name not in model.flags},
        loops={name: tags[f"{name}.sp"] for name in model.loops},
        outputs={name: switches.get(name, tags[name]) for name in model.actuators},
        flags=frozenset(set(model.flags) - {model.unit.held}),
        rows={cause.row: cause.action for cause in profile.causes
              if cause.action in ("hold", "abort")},
    )  # fmt: skip

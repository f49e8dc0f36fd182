"""Opening a batch from a screen: what was asked is checked first, then intended, then opened.

A module of its own because it is the one request that needs the whole station. The browser names a
recipe the run knows; it never names a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from controller.asking import Request
from controller.core.clock import Stamp
from controller.core.errors import BadInput, Refused, nearest
from controller.recipe.check import plant_of, refuse
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlRecipe
from controller.station import BatchOrder, Station

CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/+-]{1,62}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens batches at one station; put into `Requests.opener`.

    `recipes()`: id -> file, looked up at each opening. `batch_id(stamp, recipe id)` names a batch.
    `missing()`: devices that do not answer; with one of them no batch is opened.
    `opened(batch id)` hears of each.
    """

    station: Station
    use: str
    recipes: Callable[[], Mapping[str, Path]]
    batch_id: Callable[[Stamp, str], str]
    missing: Callable[[], list[str]]
    opened: Callable[[str], None] = lambda batch_id: None

    def offered(self) -> list[dict[str, Any]]:
        """See `requests.Opener`."""
        return [told(self.station.load_recipe(path)) for path in self.recipes().values()]

    def prepare(self, request: Request, stamp: Stamp) -> Callable[[], None]:
        """See `requests.Opener`: target is the recipe's id, value `SET_LOT;PSEUDONYM`, and behind a
        further `;` the entered parameters as `NAME=VALUE, NAME=VALUE`."""
        recipes = self.recipes()
        path = recipes.get(request.target)
        if path is None:
            known = nearest(request.target, list(recipes))
            raise BadInput(f"unknown recipe {request.target[:80]!r}. {known}")
        parts = [part.strip() for part in request.value.split(";", 2)]
        lot, identity, entered = (*parts, "", "")[:3]
        for name, text in (("set lot", lot), ("pseudonym", identity)):
            if not CODE.fullmatch(text):
                raise BadInput(
                    f"the {name} {text[:40]!r} is no code",
                    do="3 to 64 letters, digits, blanks and . _ : / + -",
                )
        missing = self.missing()
        if missing:
            raise Refused(f"not every device is there: {', '.join(missing[:6])}")
        self.station.state_dir.check_space()
        recipe = self.station.load_recipe(path, _entered(entered))
        refuse(recipe, plant_of(self.station.profile))
        order = BatchOrder(
            self.batch_id(stamp, recipe.id), self.use, identity, lot,
            actor=request.actor, role=request.role,
        )  # fmt: skip
        return partial(self._open, recipe, path, order, stamp)

    def _open(self, recipe: ControlRecipe, path: Path, order: BatchOrder, stamp: Stamp) -> None:
        self.station.open_batch(recipe, path, order, stamp)
        self.opened(order.batch_id)


def _entered(text: str) -> dict[str, str]:
    """The parameters given at the opening; raises BadInput."""
    found: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not value or name in found:
            raise BadInput(f"{part[:40]!r} is not NAME=VALUE, or {name[:40]!r} is given twice")
        found[name] = value
    return found


def told(recipe: ControlRecipe) -> dict[str, Any]:
    """A recipe as a dialog shows it, with the parameters that are entered at the opening."""
    entered = [
        {"name": name, "low": with_unit(item.low, item.dimension),
         "high": with_unit(item.high, item.dimension),
         "value": "" if item.value is None else with_unit(item.value, item.dimension)}
        for name, item in recipe.ranges.items() if item.source == "entered"
    ]  # fmt: skip
    return {"id": recipe.id, "title": recipe.title, "entered": entered}

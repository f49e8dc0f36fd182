"""The hands and the laboratory of a simulated vessel.

Liquids are poured as a person pours, a little at a time, so that the weight moves as it would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.core.errors import BadInput
from controller.core.quantity import canonical, decimal_text
from hil_sim.plant.hands import HandError
from hil_sim.plant.plant import Plant

POUR_L_PER_S = 0.0002
_LAB = {
    "vcd": ("vcd_e6_per_ml", "1e6/mL"),
    "viability": ("viability_pct", "%"),
    "glucose": ("glucose_mm", "mM"),
    "lactate": ("lactate_mm", "mM"),
    "ph": ("ph", "pH"),
    "perfusate_count": ("perfusate_e6_per_ml", "1e6/mL"),
}


class VesselHands:
    """Acts on one plant. `tick` must be called once a second while something is being poured."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._assay: dict[str, float] = {}
        self._pouring: dict[str, float] | None = None

    @property
    def busy(self) -> bool:
        """Something is being poured."""
        return self._pouring is not None

    def do(self, action: str, data: Mapping[str, Any]) -> None:
        """Acts at the vessel; raises BadInput for an unknown or impossible act."""
        try:
            self._do(action, data)
        except (HandError, KeyError, TypeError, ValueError) as error:
            raise BadInput(f"hands cannot {action}: {error}") from error

    def _do(self, action: str, data: Mapping[str, Any]) -> None:
        plant = self._plant
        if action == "pressurise":
            plant.pressurise(canonical(str(data["pressure"]), "pressure") * 10.0)
        elif action == "release":
            plant.release()
        elif action == "draw_sample":
            self._assay = plant.draw_sample(float(data["volume_l"]))
        elif action == "inoculate":
            self._pouring = {
                "left_l": float(data["volume_l"]),
                "vcd_e6_per_ml": float(data["vcd_e6_per_ml"]),
                "viability": float(data["viability_pct"]) / 100.0,
            }
            self.tick()
        elif action == "empty":
            plant.empty()
        else:
            raise BadInput(f"hands do not know how to {action!r}")

    def tick(self) -> None:
        """Pours the next second's worth."""
        pouring = self._pouring
        if pouring is None:
            return
        part = min(POUR_L_PER_S, pouring["left_l"])
        self._plant.inoculate(part, pouring["vcd_e6_per_ml"], pouring["viability"])
        pouring["left_l"] -= part
        if pouring["left_l"] <= 1e-9:
            self._pouring = None

    def lab(self, name: str) -> str:
        """The result of the last sample drawn; raises BadInput without one."""
        if not self._assay or name not in _LAB:
            raise BadInput(f"the laboratory has no {name!r}: draw a sample first")
        key, unit = _LAB[name]
        return f"{decimal_text(self._assay[key], 4)} {unit}"

"""The control socket of a served unit: hands at its vessel, faults of its devices, its truth.

One JSON line asked, one answered (see devices.serve). A caller waits at most `TIMEOUT_S`.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, cast

from controller.core.errors import BadInput
from hil_sim.plant.plant import Plant
from hil_sim.rig.vessel_hands import VesselHands

TIMEOUT_S = 2.0
ANSWER_MAX = 65_536


class Control:
    """One served unit, asked over its control socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, **wish: Any) -> dict[str, Any]:
        """One wish; raises BadInput when it is refused or nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(TIMEOUT_S)
                line.connect(str(self._path))
                line.sendall(json.dumps(wish).encode() + b"\n")
                with line.makefile("rb") as answers:
                    answer = json.loads(answers.readline(ANSWER_MAX))
        except (OSError, ValueError) as error:
            raise BadInput(
                f"the simulated unit does not answer: {error}", where=self._path
            ) from None
        if not isinstance(answer, dict) or "error" in answer:
            raise BadInput(f"the simulated unit refuses: {answer}", where=self._path)
        return answer

    def truth(self) -> dict[str, Any]:
        """The plant's own values."""
        return dict(self.ask(truth=True)["truth"])


class RemoteVessel:
    """A plant in another process, as far as hands reach it; signatures as in plant.Plant."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def pressurise(self, mbar: float) -> None:
        """Clamp the vent and bring the head to this gauge pressure."""
        self._do("pressurise", mbar=mbar)

    def release(self) -> None:
        """Open the vent clamp."""
        self._do("release")

    def draw_sample(self, volume_l: float) -> dict[str, float]:
        """Take whole broth out; its assay."""
        return dict(self._do("draw_sample", volume_l=volume_l))

    def inoculate(self, volume_l: float, vcd_e6_per_ml: float, viability: float) -> None:
        """Pour in cells."""
        self._do("inoculate", volume_l=volume_l, vcd_e6_per_ml=vcd_e6_per_ml, viability=viability)

    def empty(self) -> None:
        """Empty the vessel."""
        self._do("empty")

    def _do(self, hand: str, **how: float) -> Any:
        return self._control.ask(hands={"do": hand, **how}).get("result")


def remote_hands(control: Control) -> VesselHands:
    """Hands at the vessel of a served unit."""
    return VesselHands(cast(Plant, RemoteVessel(control)))

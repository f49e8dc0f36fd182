"""The control socket of a served unit: hands at its vessel, faults of its devices, its truth, and
what came in over its lines.

One JSON line asked, one answered (see devices.serve). A caller waits at most `TIMEOUT_S`.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from controller.core.errors import BadInput
from hil_sim.plant.plant import Plant
from hil_sim.rig.vessel_hands import VesselHands

TIMEOUT_S = 30.0  # a server that starts anew on a busy machine takes seconds
ANSWER_MAX = 65_536
TRACE_MAX = 8_192


SKID = "skid"


@dataclass(frozen=True, slots=True)
class Frame:
    """What came in over a line: bytes of a serial line (as many as came at once), or a write to the
    skid with the status code it was given. `mono_ns` is the machine's monotonic clock.
    """

    number: int
    mono_ns: int
    data: bytes = b""
    node: str = ""
    value: float = 0.0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """One number of the truth since the mark: at the mark, lowest, highest, now."""

    first: float
    low: float
    high: float
    last: float

    @property
    def gained(self) -> float:
        """How much more it is than at the mark."""
        return self.last - self.first


class Control:
    """One served unit, asked over its control socket. `pid` is the process that serves it."""

    def __init__(self, path: Path, pid: int = 0) -> None:
        self._path, self.pid = path, pid

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

    def drives(self) -> dict[str, float]:
        """What the devices drive the plant with, by actuator (mL/min, rpm, %, 0 or 1)."""
        return dict(self.ask(drives=True)["drives"])

    def mark(self) -> None:
        """From now on lowest and highest truth are kept, at every tick of the plant."""
        self.ask(mark=True)

    def marked(self) -> dict[str, Span]:
        """How far every number of the truth went since the mark; empty without one."""
        return {name: Span(**span) for name, span in self.ask(marked=True)["marked"].items()}

    def trace(self, line: str, since: int = 0) -> list[Frame]:
        """Frames that came in over a line from number `since` on; the last 4,096 are kept."""
        found: list[Frame] = []
        while True:
            answer = self.ask(trace=line, since=since)
            for number, mono_ns, what in answer["frames"]:
                if line == SKID:
                    node, value, status = what
                    found.append(Frame(number, mono_ns, b"", node, float(value), status))
                else:
                    found.append(Frame(number, mono_ns, bytes.fromhex(what[0])))
            if not answer["frames"] or len(found) >= TRACE_MAX:
                return found
            since = found[-1].number + 1

    def fault(self, name: str, **how: Any) -> None:
        """Switches a fault of the devices or their doors on; BadInput for an unknown one."""
        self.ask(fault=name, how=how)

    def clear(self, name: str, **how: Any) -> None:
        """Switches it off."""
        self.ask(clear=name, how=how)

    def force(self, **values: float) -> None:
        """From now on instruments show these values, by channel of the plant; BadInput if unknown.

        They are set in front of the device's protocol: every reading still travels its line.
        """
        self.ask(force=values)

    def free(self, *channels: str) -> None:
        """Instruments show what is there again."""
        self.ask(free=list(channels))


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

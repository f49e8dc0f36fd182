"""A rig of perfusion_2l_io with a filled vessel and everything on, nobody at the vessel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.core.events import Event
from controller.desk import Request
from hil_sim.qualification.plant_state import OUTPUTS, filled_plant
from hil_sim.rig.rig import Rig

ACTOR = "unverified:operator_1@station"
LIQUIDS = ("xv201", "xv202", "xv203", "xv204")
BEGIN_S = 30.0


class IoRig:
    """One run; `events` are all of it, times in s of virtual time."""

    def __init__(self, out: Path, fidelity: str) -> None:
        script = out / "nobody.yaml"
        script.write_text("by: operator_1\nanswers: []\n")
        self.rig = Rig(out / "state", fidelity=fidelity, unit="perfusion_2l_io", script=script,
                       plant=filled_plant())  # fmt: skip
        self.events: list[Event] = []
        self.rig.supervisor.listeners.append(self.events.append)

    @property
    def now_s(self) -> float:
        return self.rig.clock.now_ns / 1e9

    def begin(self) -> IoRig:
        """To a batch that runs, with every output where OUTPUTS says."""
        self.rig.run(15.0)
        for name, value in OUTPUTS.items():
            self.ask("set_output", name, f"{value:g}")
        self.wait(BEGIN_S - 15.0)
        return self

    def wait(self, seconds: float) -> None:
        self.rig.run(self.now_s + seconds)

    def ask(self, verb: str, target: str, value: str = "", second: str = "") -> None:
        self.rig.supervisor.desk.ask(
            Request(verb, target, value, ACTOR, "operator", "looked at it", second, origin="script")
        )

    def latched(self) -> list[str]:
        """Rows that wait for their reset."""
        causes = self.rig.station.image.causes
        return [row.row for row, on in zip(self.rig.station.profile.causes, causes["latched"],
                                           strict=True) if on]  # fmt: skip

    def fault(self, name: str, on: bool = True, **how: Any) -> None:
        self.rig.field.set_fault(name, on, **how)

    def does(self, *actuators: str) -> list[float]:
        """What drives the plant."""
        return [float(self.rig.plant.u[name][0]) for name in actuators]

    def named(self, name: str, **data: Any) -> list[Event]:
        return [event for event in self.events if event.name == name
                and all(event.data.get(key) == value for key, value in data.items())]

    def lapses(self) -> list[Event]:
        """Trips of the row of a lapse since the batch was opened."""
        return [e for e in self.named("cause.active", row="io.lapse") if e.stamp.mono_ns > 14e9]


@contextmanager
def io_rig(out: Path, fidelity: str) -> Iterator[IoRig]:
    """A rig that has begun; its log is whole afterwards."""
    made = IoRig(out, fidelity).begin()
    yield made
    made.rig.finish()

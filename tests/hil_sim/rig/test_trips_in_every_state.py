"""A trip does not ask what the procedure does: same scan, same effect, same bytes in every state.

A phase that only waits, with waits in its holding, restarting and aborting logic, brings the unit
to each state; then one instrument goes over its limit and the lines are compared with Running.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from controller.core.events import Event
from controller.desk import Request
from controller.station import BatchOrder
from controller.units import find_unit
from hil_sim.qualification.plant_state import NORMAL, OUTPUTS, drive_of, filled_plant
from hil_sim.rig.rig import FOUND_NS, Rig
from hil_sim.rig.wire import WireField

sys.path.insert(0, str(Path(__file__).parents[2] / "controller" / "field"))
from wire_rig import Sent, tap

S = 1_000_000_000
ANNA = "unverified:anna@station"
STATES = ("Idle", "Running", "Holding", "Held", "Restarting", "Stopping", "Aborting")
EXCHANGE_NS = 600_000_000  # the longest exchange in flight, with its time-out, and one scan
CONFIRM_S = 2.0
PHASE = """
  - id: rest
    title: Wait
    running:
      - {text: Wait for a day, for: 24 h}
    holding:
      - {text: Holding takes a minute, for: 60 s}
    restarting:
      - {text: Restarting takes a minute, for: 60 s}
    aborting:
      - {text: Ending takes a minute, for: 60 s}
"""
RECIPE = """recipe: resting
version: "1.0"
title: Wait
unit: perfusion_2l
unit_version: "1"
procedure:
  - unit_procedure: waiting
    operations:
      - operation: nothing
        phases:
          - {phase: rest}
"""


@dataclass(frozen=True)
class Trip:
    """A row of safety.md, how it is brought about, and what must reach the devices."""

    row: str
    tag: str
    near: dict[str, float]  # instruments just inside, some seconds before
    beyond: Callable[[Rig], None]
    outs: dict[str, float]
    delay_s: float = 0.0


def show(**channels: float) -> Callable[[Rig], None]:
    def apply(rig: Rig) -> None:
        for channel, value in channels.items():
            rig.plant.set_fault(f"{channel}_stuck", 1.0, value)

    return apply  # fmt: skip


HEAT_OFF = {"heater": 0.0, "km101": 0.0}
FEED, BASE = {"feed": 0.0, "xv201": 0.0}, {"base": 0.0, "xv204": 0.0}
OUTLETS = {"perfusate": 0.0, "xv202": 0.0, "xv203": 0.0}
GAS = dict.fromkeys(("air", "o2", "co2", "n2"), 0.0)
TRIPS = [
    Trip("1", "TT101", {"TT101": 38.4, "TT102": 38.3}, show(TT101=38.6), HEAT_OFF, 3.0),
    Trip("6", "PT101", {"PT101": 44.0}, show(PT101=46.0), GAS | FEED | BASE | {"xv100": 0.0}, 0.5),
    Trip("9", "WT101", {}, show(WT101=NORMAL["WT101"] + 22.0), FEED | OUTLETS),
    Trip("12.rate", "ST_BASE", {}, lambda rig: rig.field.set_fault(
        "pump_stuck_on", True, pump="base", rpm=57.2), BASE),
    Trip("18.lineup", "XV203_ZSC", {}, show(XV203_CLOSED=0.0), OUTLETS),
]  # fmt: skip


@dataclass
class Found:
    """What one trip came to: in which scan after the field saw it, and what left first."""

    trip_ns: int = -1
    first: dict[str, tuple[Any, float, int]] = field(default_factory=dict)
    wrong: list[Any] = field(default_factory=list)


class Staged:
    """A unit brought to one procedural state, with all that runs running."""

    def __init__(self, folder: Path, state: str) -> None:
        unit, recipe, script = folder / "unit.yaml", folder / "rest.yaml", folder / "nobody.yaml"
        text = find_unit("perfusion_2l").read_text()
        unit.write_text(text.replace("\nphases:\n", "\nphases:" + PHASE, 1))
        recipe.write_text(RECIPE)
        script.write_text("by: nobody\nanswers: []\n")
        self.rig = Rig(folder / "state", fidelity="wire", unit=str(unit), recipe=str(recipe),
                       script=script, plant=filled_plant(1))  # fmt: skip
        self.events: list[Event] = []
        self.sent: list[Sent] = []
        self.rig.supervisor.listeners.append(self.events.append)
        assert isinstance(self.rig.field, WireField)
        tap(self.rig.plant, self.rig.field.devices, self.sent)
        self._open(start=state != "Idle")
        self._outputs()
        self._bring(state)
        assert self.rig.supervisor.procedure_state == state, self.rig.supervisor.procedure_state

    def _open(self, start: bool) -> None:
        rig = self.rig
        while rig.clock.now_ns < FOUND_NS:
            rig.step(FOUND_NS)
        order = BatchOrder(rig.batch_id, rig.use, "PSN-0001", "LOT-2026-0117")
        rig.station.open_batch(rig.control, rig._recipe_path, order, rig.clock.stamp())
        if start:
            self.ask("start")

    def _outputs(self) -> None:
        pumps = ("feed", "perfusate", "base")
        for name in (*(n for n in OUTPUTS if n not in pumps), *pumps):
            self.ask("set_output", name, f"{OUTPUTS[name]:g}")
        self.run(12)

    def _bring(self, state: str) -> None:
        orders = {"Holding": ["hold"], "Held": ["hold"], "Restarting": ["hold", "restart"],
                  "Stopping": ["stop"], "Aborting": ["abort"]}.get(state, [])  # fmt: skip
        for order in orders:
            self.ask(order)
            if order == "hold" and state in ("Held", "Restarting"):
                self.run(63)

    def ask(self, verb: str, target: str = "procedure", value: str = "") -> None:
        """One request of a person's, carried out."""
        self.rig.supervisor.desk.ask(Request(verb, target, value, ANNA, reason="test"))
        self.run(1)

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        self.rig.run((self.rig.clock.now_ns + round(seconds * S)) / S)

    def trip(self, trip: Trip) -> Found:
        """Brings the row about and looks at the lines."""
        rig, found = self.rig, Found()
        for part in range(1, 9):
            show(**{name: NORMAL[name] + (value - NORMAL[name]) * part / 8
                    for name, value in trip.near.items()})(rig)  # fmt: skip
            self.run(0.5)
        self.run(4)
        shown = rig.station.board.read(trip.tag).value
        trip.beyond(rig)
        while rig.station.board.read(trip.tag).value == shown:
            self.run(0.1)  # a poll is on its way; when it comes depends on what else was written
        seen_ns = rig.clock.now_ns
        self.run(trip.delay_s + CONFIRM_S + 1)
        tripped = [int(event.data["scan"]) * S // 10 for event in self.events
                   if event.name == "cause.active" and event.data["row"] == trip.row]  # fmt: skip
        assert tripped, f"row {trip.row} did not trip"
        found.trip_ns = tripped[-1] - seen_ns
        for output, value in trip.outs.items():
            name, per_unit = drive_of(output)
            told = [one for one in self.sent if one.at_ns >= tripped[-1] and name in one.drives]
            if told:
                first = told[0]
                found.first[output] = (
                    first.data,
                    first.drives[name] / per_unit,
                    first.at_ns - tripped[-1],
                )
            found.wrong += [one for one in told if one.drives[name] / per_unit != value]
        return found


@cache
def found_in(state: str, row: str) -> Found:
    """What a row's trip came to in a state."""
    trip = next(trip for trip in TRIPS if trip.row == row)
    with TemporaryDirectory() as folder:
        return Staged(Path(folder), state).trip(trip)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: f"row {trip.row}")
def test_a_trip_has_the_same_scan_effect_and_bytes_in_every_state_of_the_procedure(trip, state):
    found, running = found_in(state, trip.row), found_in("Running", trip.row)
    assert found.trip_ns == running.trip_ns == round(trip.delay_s * S), "another scan"
    assert set(found.first) == set(trip.outs), "a device was told nothing"
    assert not found.wrong, "a device was told something else"
    for output, value in trip.outs.items():
        data, told, late_ns = found.first[output]
        assert told == value
        assert data == running.first[output][0], "other bytes"
        assert late_ns <= round(CONFIRM_S * S)
    first = min(late_ns for _, _, late_ns in found.first.values())
    assert first <= EXCHANGE_NS

"""A whole station in virtual time: the rig alternates field and supervisor in lock-step.

A run is a function of code, profile, recipe, script and seed: same inputs, same log root. Nothing
here knows what the controller decides; it only moves time, plays devices and hands, and counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from controller.core.clock import NS_PER_S, VIRTUAL_EPOCH_NS, Stamp, VirtualClock
from controller.core.errors import BadInput, CellwrightError, nearest
from controller.core.events import Event
from controller.core.quantity import canonical
from controller.desk import Request
from controller.people.people import People
from controller.record.files import FileLayer, VolatileFiles
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.script import ScriptedOperator, load_script
from controller.station import BatchOrder, Station, batch_id_of
from controller.units import find_recipe, find_unit, load_unit
from hil_sim.plant.plant import Plant
from hil_sim.rig.signal import BANDS, SignalField
from hil_sim.rig.trends import Trends
from hil_sim.rig.vessel_hands import VesselHands
from hil_sim.rig.wire import WireField

FIDELITIES = ("signal", "wire")
FAULTS = (
    "heater_stuck_on", "do_probe_stuck", "ph_probe_drift", "mfc_link_lost", "pump_stuck_on",
    "balance_disconnected", "skid_frozen", "skid_killed", "bad_quality", "slow_read",
    "driver_exception",
)  # fmt: skip
BOARD_FAULTS = ("air_in_feed", "annunciator_cut", "io_power_cut", "io_reset")
DEFAULT_SCRIPT = Path(__file__).parent / "operator.yaml"
FOUND_NS = 12 * NS_PER_S  # every device has answered, also the slowest poll
RESET_NS = 5 * NS_PER_S
SWITCHED_ON = "the I/O board was switched on; its lines are as the drawing has them"
GIVE_UP_S = 10 * 86_400
LONGEST_S = 21 * 86_400


class VirtualField(Protocol):
    """A field the rig can move."""

    def run(self, until_ns: int) -> int:
        """Scans until a time or an event that is not modulating."""
        ...

    def take_notes(self) -> list[tuple[str, list[Any]]]:
        """What the links had to say."""
        ...

    def set_fault(self, name: str, on: bool, **how: Any) -> None:
        """Switches a fault."""
        ...


class Operator(Protocol):
    """Who answers in a virtual run."""

    actor: str

    @property
    def next_ns(self) -> int:
        """When `act` has something to do."""
        ...

    def act(self, stamp: Stamp) -> None:
        """Does everything that is due."""
        ...


@dataclass(frozen=True, slots=True)
class FaultAt:
    """A fault of safety.md's table at a virtual time, for a duration (0 = for good)."""

    name: str
    at_s: float
    how: tuple[tuple[str, Any], ...] = ()
    for_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> FaultAt:
        """`NAME@TIME`, e.g. `heater_stuck_on@30h`; raises BadInput."""
        name, at, when = text.partition("@")
        known = (*FAULTS, *BOARD_FAULTS)
        if name not in known:
            raise BadInput(f"unknown fault {name!r}. {nearest(name, known)}")
        return cls(name, duration_s(when) if at else 0.0)


def duration_s(text: str) -> float:
    """`60s`, `30 h`, `7d` -> seconds; raises BadInput."""
    try:
        value = canonical(text, "time")
    except ValueError as error:
        raise BadInput(f"{text!r} is not a time such as 60s, 30h or 7d: {error}") from None
    if not 0 <= value <= LONGEST_S:
        raise BadInput(f"{text!r} is beyond the longest run of {LONGEST_S // 86_400} days")
    return value


class Rig:
    """One virtual run.

    `keys` are those of the seed unless given, `epoch_ns` is the wall time (UTC, ns) at which
    virtual time begins, `use` what its batch is opened for, `people` who may log in at its screen,
    `formula` what is entered at the opening.
    """

    def __init__(
        self,
        out: Path,
        *,
        seed: int = 1,
        fidelity: str = "signal",
        unit: str = "perfusion_2l",
        recipe: str = "car_t_perfusion",
        script: Path = DEFAULT_SCRIPT,
        faults: Sequence[FaultAt] = (),
        files: FileLayer | None = None,
        plant: Plant | None = None,
        keys: Keys | None = None,
        epoch_ns: int = VIRTUAL_EPOCH_NS,
        use: str = "virtual",
        people: People | None = None,
        formula: Mapping[str, str] | None = None,
    ) -> None:
        if fidelity not in FIDELITIES:
            raise BadInput(f"unknown fidelity {fidelity!r}. {nearest(fidelity, FIDELITIES)}")
        self.seed, self.fidelity, self.use = seed, fidelity, use
        profile, offer = load_unit(find_unit(unit))
        odd = [fault.name for fault in faults if fault.name in BOARD_FAULTS]
        if odd and all(link.board is None for link in profile.links):
            raise BadInput(f"{profile.id} has no I/O board to have the fault {odd[0]}",
                           do="Use --unit with a unit that has one.")  # fmt: skip
        recipe_path = find_recipe(recipe)
        files = files or VolatileFiles()
        self.clock = VirtualClock(seed, epoch_ns)
        stamp = self.clock.stamp()
        self.station = Station(
            profile, offer, StateDir(out, files), keys or Keys.from_seed(seed), files, stamp,
            people=people,
        )  # fmt: skip
        self.plant = plant or Plant(seed)
        self.plant.close_pinch_valves()
        self.bands = np.zeros(1, BANDS)
        make = SignalField if fidelity == "signal" else WireField
        self.field: VirtualField = make(profile, self.station.bound, self.plant, self.bands)
        self.supervisor = self.station.supervisor
        self.hands = VesselHands(self.plant)
        self.scripted = ScriptedOperator(load_script(script), self.supervisor, self.hands, 0)
        self.operator: Operator = self.scripted
        self.trends = Trends(profile, self.plant, self.station.board)
        self.control = self.station.load_recipe(recipe_path, formula)
        self.batch_id = batch_id_of(seed, self.control.id)
        self._recipe_path = recipe_path
        self._switches = sorted(
            [(f.at_s, True, f) for f in faults]
            + [(f.at_s + f.for_s, False, f) for f in faults if f.for_s > 0],
            key=lambda item: item[0],
        )
        self.closed = False
        self.trips: list[str] = []
        self.holds = 0
        self.at_harvest: dict[str, Any] | None = None
        self._final = ""
        self.log_dir = self.station.state_dir.batch_log(self.batch_id)
        self.supervisor.listeners += [self._listen, self.trends.listen]

    def start(self) -> None:
        """Lets the devices be found and driven to their start values, then opens the batch."""
        while self.clock.now_ns < FOUND_NS:
            self.step(FOUND_NS)
        self._reset_found()
        order = BatchOrder(self.batch_id, self.use, f"PSN-{self.seed:04d}", "LOT-2026-0117")
        self.station.open_batch(self.control, self._recipe_path, order, self.clock.stamp())
        self.supervisor.desk.ask(
            Request("start", actor=self.operator.actor, reason="scripted run", origin="script")
        )

    def _reset_found(self) -> None:
        """The operator's first act: what latched before a batch was open, as the rows of a board
        that was just switched on, is reset."""
        causes, rows = self.station.image.causes, self.station.profile.causes
        end_ns = self.clock.now_ns + RESET_NS
        latched = [row.row for row, on in zip(rows, causes["latched"], strict=True) if on]
        for row in latched:
            self.supervisor.desk.ask(Request("reset", row, actor=self.operator.actor,
                                             reason=SWITCHED_ON, origin="script"))  # fmt: skip
        while latched and causes["latched"].any() and self.clock.now_ns < end_ns:
            self.step(end_ns)

    def run(
        self, until_s: float | None = None, progress: Callable[[Rig], None] | None = None
    ) -> None:
        """Runs to `until_s` of virtual time, or until the batch is closed (at most 10 days)."""
        end_ns = round((GIVE_UP_S if until_s is None else until_s) * NS_PER_S)
        if self.station.batch_log is None and not self.closed:
            self.start()
        next_report = 0
        while self.clock.now_ns < end_ns and not self.closed:
            self.step(end_ns)
            self.trends.keep(self.clock.now_ns)
            if progress is not None and self.clock.now_ns >= next_report:
                next_report = self.clock.now_ns + 600 * NS_PER_S
                progress(self)
        if self.closed:
            self.supervisor.tick(self.clock.stamp())

    def finish(self) -> None:
        """Makes durable what was recorded so far; a log whose batch goes on stays open."""
        stamp = self.clock.stamp()
        self.supervisor.keep_history(stamp)
        log = self.station.batch_log
        if log is not None:
            log.sync(stamp)
            log.checkpoint(stamp)
            log.close()

    def step(self, end_ns: int) -> None:
        """One beat, not beyond `end_ns`: field to a whole second or an event, then a tick."""
        target = min((self.clock.now_ns // NS_PER_S + 1) * NS_PER_S, end_ns)
        self._switch(self.clock.now_ns)
        self.clock.advance_to(self.field.run(target))
        for link, notes in self.field.take_notes():
            self.supervisor.note(link, notes)
        now_ns = self.clock.now_ns
        stamp = self.clock.stamp()
        if now_ns % NS_PER_S == 0 and self.hands.busy:
            self.hands.tick()
        if now_ns >= self.operator.next_ns:
            try:
                self.operator.act(stamp)
            except CellwrightError as error:
                data = {"action": "not possible:", "data": error.what[:500]}
                self.supervisor.record(
                    Event("simulation.hands", stamp, self.operator.actor, data=data)
                )
        self.supervisor.tick(stamp)
        if self.station.may_close:
            self._final = self.supervisor.procedure_state
            self.station.close_batch(stamp)
            self.closed = True

    def _switch(self, now_ns: int) -> None:
        while self._switches and self._switches[0][0] * NS_PER_S <= now_ns:
            _, on, fault = self._switches.pop(0)
            self.field.set_fault(fault.name, on, **dict(fault.how))

    def _listen(self, event: Any) -> None:
        """Counts trips and Holds; the truth is held against its bands from inoculation to harvest.
        """
        if event.name == "cause.active":
            self.trips.append(str(event.data["row"]))
        self.holds += event.name == "unit.hold"
        if event.name == "procedure.state" and event.data["new"] == "Running":
            name = str(event.data["path"]).rsplit("/", 1)[-1]
            band = self.bands[0]
            if name == "inoculate":
                sp = {loop: float(self.station.image.loops[i]["sp"])
                      for i, loop in enumerate(self.station.profile.loops)}  # fmt: skip
                truth = self.plant.truth()
                band["t_set"], band["do_set"] = sp["TIC101"], sp["DIC101"]
                band["ph_set"] = sp["AIC101"]
                band["t_max"] = band["t_min"] = truth["temperature_degc"]
                band["do_max"] = band["do_min"] = truth["do_pct"]
                band["v_max"] = band["v_min"] = truth["volume_l"]
                band["watch"] = 1
            elif name == "harvest":
                band["watch"] = 0
                self.at_harvest = self.plant.truth()

    @property
    def final_state(self) -> str:
        """State of the procedure, also after the batch was closed."""
        return self._final or self.supervisor.procedure_state

    @property
    def phase(self) -> str:
        """The active phases, for people."""
        engine = self.supervisor.engine
        if engine is None:
            return ""
        return ", ".join(
            p.path.rsplit("/", 1)[-1] for p in engine.positions(self.supervisor.state)
        )

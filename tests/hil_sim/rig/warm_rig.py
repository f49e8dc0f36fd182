"""A rig with a dense culture under control, what left on every line, and the plant's truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.core.events import Event
from hil_sim.plant.plant import Plant
from hil_sim.rig.rig import Rig
from hil_sim.rig.wire import SerialLine, SkidLine, WireField

HERE = Path(__file__).parent
FAULT_AT_S = 3600.0


def dense_plant(seed: int = 1) -> Plant:
    """The vessel on day 5: 16e6 viable cells/mL at 37 degC, DO 40 %, pH 7.2, glucose for hours."""
    plant = Plant(seed)
    s = plant._s
    plant.empty()
    s.volume_l = s.slow_volume_l = 2.03
    s.viable_e9_l, s.dead_e9_l, s.activation = 16.0, 1.2, 1.0
    s.glucose_mm, s.glutamine_mm, s.il2, s.lactate_mm = 15.0, 2.0, 60.0, 26.0
    s.vessel_degc, s.jacket_degc = 37.0, 37.4
    s.oxygen_mm = 0.4 * 0.2102
    s.sid_mm, s.dic_mm = 15.0, 13.2
    s.head_o2, s.head_co2 = 0.25, 0.03
    from hil_sim.plant.step import settle

    settle(plant.s, plant.p)
    plant._settle_probes()
    return plant


@dataclass
class Warm:
    """One run. `sent` holds (time ns, link, what) of everything the controller put on a line."""

    rig: Rig
    events: list[Event] = field(default_factory=list)
    sent: list[tuple[int, str, Any]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)

    def run_to(self, seconds: float) -> None:
        """Runs, noting the truth every second."""
        start = int(self.rig.clock.now_ns // 1_000_000_000)
        for second in range(start + 1, int(seconds) + 1):
            self.rig.run(float(second))
            self.truth.append({"t": second, **self.rig.plant.truth()})

    def settled(self) -> None:
        """Runs to where faults are switched on, and checks that it is a culture under control."""
        self.rig.run(FAULT_AT_S)
        last = self.rig.plant.truth()
        assert self.rig.supervisor.procedure_state == "Running", self.words()
        assert abs(last["temperature_degc"] - 37.0) < 0.2
        assert abs(last["do_pct"] - 40.0) < 10.0
        assert abs(last["ph"] - 7.2) < 0.1
        self.events.clear()
        self.sent.clear()

    def fault(self, name: str, **how: Any) -> None:
        """Switches a fault on now."""
        self.rig.field.set_fault(name, True, **how)

    def named(self, name: str, **data: Any) -> list[Event]:
        """Events of one kind whose fields have these values."""
        return [
            e for e in self.events
            if e.name == name and all(e.data[k] == v for k, v in data.items())
        ]

    def trips(self) -> list[str]:
        """Row ids in the order they tripped."""
        return [str(e.data["row"]) for e in self.named("cause.active")]

    def span(self, key: str, start_s: float = 0.0, end_s: float = 1e12) -> tuple[float, float]:
        """Lowest and highest truth in a time range."""
        values = [row[key] for row in self.truth if start_s <= row["t"] <= end_s]
        return min(values), max(values)

    def words(self) -> str:
        """What happened, for a failing test."""
        lines = [f"{e.stamp.mono_ns / 1e9:9.1f} {e.name} {e.words()}" for e in self.events]
        return f"seed {self.rig.seed}\n" + "\n".join(lines[-60:])

    def in_band(self, start_s: float, minutes: float, *, skip: str = "") -> None:
        """Asserts that T, DO and pH stay in band, but for the one named in `skip`."""
        end = start_s + 60.0 * minutes
        bands = {"temperature_degc": (36.8, 37.2), "do_pct": (30.0, 50.0), "ph": (7.1, 7.3)}
        for key, (low, high) in bands.items():
            if key in skip:
                continue
            found = self.span(key, start_s, end)
            assert low <= found[0], f"{key} {found}\n{self.words()}"
            assert found[1] <= high, f"{key} {found}\n{self.words()}"


@contextmanager
def warm(tmp: Path, fidelity: str, seed: int = 1, plant: Plant | None = None) -> Iterator[Warm]:
    """A warm rig, spied on, closed at the end."""
    rig = Rig(
        tmp / "state", seed=seed, fidelity=fidelity, recipe=str(HERE / "warm_recipe.yaml"),
        script=HERE / "warm_operator.yaml", plant=plant or dense_plant(seed),
    )  # fmt: skip
    made = Warm(rig)
    rig.supervisor.listeners.append(made.events.append)
    if isinstance(rig.field, WireField):
        spy(rig.field, made.sent)
    yield made
    rig.finish()


def spy(field_: WireField, sent: list[tuple[int, str, Any]]) -> None:
    """Notes every frame and every OPC UA write at the moment it leaves."""
    for name, line in zip(field_._names, field_.lines, strict=True):
        if isinstance(line, SerialLine):
            bus = line._bus
            receive = bus.receive

            def serial(data: bytes, now_ns: int, name: str = name, receive: Any = receive) -> Any:
                sent.append((now_ns, name, data))
                return receive(data, now_ns)

            bus.receive = serial  # type: ignore[method-assign]
        elif isinstance(line, SkidLine):
            write = line._skid.write

            def opcua(node: str, value: Any, now_ns: int, write: Any = write) -> Any:
                if node != "HOST_BEAT":
                    sent.append((now_ns, "skid", (node, value)))
                return write(node, value, now_ns)

            line._skid.write = opcua  # type: ignore[method-assign]

"""The unit under test in virtual time, wire fidelity: the codecs of live, bytes in memory.

A module because delays of minutes and hours cannot be waited for; every protocol executed here says
so.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.core.events import Event
from controller.desk import Request
from hil_sim.plant.state import ACTUATORS
from hil_sim.qualification.bench import NS_PER_S, VIRTUAL, Bench, Row, Sent
from hil_sim.qualification.plant_state import NORMAL, filled_plant
from hil_sim.rig.rig import Rig
from hil_sim.rig.wire import WireField

SENT_MAX = 200_000
QUIET_SCRIPT = "by: nobody\nanswers: []\n"
START_S = 14.0
TWO = frozenset({"set_flag", "bypass"})
WIGGLE_S = 60.0
# An instrument that shows one number for minutes is broken: each moves so far to either side.
WIGGLE = {"AT102": 0.25, "AT101": 0.002, "TT101": 0.01, "TT102": 0.01, "PT101": 0.1, "WT101": 0.2}


class VirtualBench(Bench):
    """A rig with nobody at the vessel, seen from its device side."""

    fidelity = VIRTUAL

    def __init__(self, unit: str, recipe: str, person: str, seed: int = 1) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cellwright-oq-"))
        self.state = self._folder / "state"
        script = self._folder / "nobody.yaml"
        script.write_text(QUIET_SCRIPT)
        self._plant = filled_plant(seed)
        self._rig = Rig(self.state, seed=seed, fidelity="wire", unit=unit, recipe=recipe,
                        script=script, plant=self._plant)  # fmt: skip
        self.profile = self._rig.station.profile
        self.person = f"unverified:{person}@qualification"
        self._begin()
        self._rows: list[Row] = []
        self._sent: deque[Sent] = deque(maxlen=SENT_MAX)
        self._rig.supervisor.listeners.append(self._heard)
        self._tap()
        self._wiggled_ns = 0
        self._centre = dict(NORMAL)
        self.still: frozenset[str] = frozenset()
        self._stood = self.still
        self._rig.run(START_S)
        self.boot = self._rig.clock.stamp().boot_id

    def _heard(self, event: Event) -> None:
        self._rows.append({
            "event": event.name, "mono_ns": str(event.stamp.mono_ns), "data": dict(event.data),
            "actor": event.actor, "role": event.role, "reason": event.reason,
            "source": event.source, "time": event.stamp.rfc3339(),
        })  # fmt: skip

    def _tap(self) -> None:
        """Notes what comes in at each device, before the device sees it."""
        devices = self._field.devices
        for name, bus in devices.serial.items():
            setattr(bus, "receive", self._tapped(name, bus.receive))  # noqa: B010 - an instance's
        write = devices.skid.write

        def noted(node: str, value: Any, now_ns: int) -> int | None:
            status = write(node, value, now_ns)
            if node != "HOST_BEAT":
                self._sent.append(Sent("skid", now_ns, f"{node}={value}", status or 0))
            return status

        setattr(devices.skid, "write", noted)  # noqa: B010 - of this instance alone

    def _tapped(self, name: str, receive: Callable[..., Any]) -> Callable[..., Any]:
        def noted(data: bytes, now_ns: int) -> Any:
            self._sent.append(Sent(name, now_ns, data.hex()))
            return receive(data, now_ns)

        return noted

    @property
    def _field(self) -> WireField:
        field = self._rig.field
        if not isinstance(field, WireField):
            raise TypeError("a virtual bench runs in wire fidelity")
        return field

    @property
    def now_ns(self) -> int:
        """Virtual time."""
        return self._rig.clock.now_ns

    def wait(self, seconds: float) -> None:
        """Lets virtual time pass; instruments that are not `still` move as living ones do."""
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        while self.now_ns < end_ns:
            if self.now_ns >= self._wiggled_ns or self.still != self._stood:
                self._stood = self.still  # what lives again shows it at once
                self._wiggled_ns = self.now_ns + round(WIGGLE_S * NS_PER_S)
                side = 1 if self._wiggled_ns // round(WIGGLE_S * NS_PER_S) % 2 else -1
                for channel, part in WIGGLE.items():
                    if channel not in self.still:
                        value = self._centre[channel] + side * part
                        self._plant.set_fault(f"{channel}_stuck", 1.0, value)
            stop_ns = min(end_ns, self._wiggled_ns)
            self._rig.run(max(stop_ns, self.now_ns + 1) / NS_PER_S)

    def show(self, values: Mapping[str, float]) -> None:
        """See Bench."""
        for channel, value in values.items():
            self._centre[channel] = value
            self._plant.set_fault(f"{channel}_stuck", 1.0, value)

    def unforce(self, channels: Sequence[str]) -> None:
        """See Bench."""
        for channel in channels:
            self._plant.clear_fault(f"{channel}_stuck")

    def fault(self, name: str, on: bool, **how: Any) -> None:
        """See Bench."""
        if name == "server_frozen":
            name = "skid_killed"
        self._rig.field.set_fault(name, on, **how)

    def drives(self) -> dict[str, float]:
        """See Bench."""
        return dict(zip(ACTUATORS, map(float, self._plant.u["drive"][0]), strict=True))

    def sent(self, since_ns: int) -> list[Sent]:
        """See Bench."""
        return [one for one in self._sent if one.mono_ns >= since_ns]

    def ask(self, *requests: Mapping[str, str]) -> None:
        """See Bench. A flag needs a second person."""
        for each in requests:
            second = "unverified:second@qualification" if each["verb"] in TWO else ""
            self._rig.supervisor.desk.ask(Request(
                each["verb"], each["target"], each.get("value", ""), self.person, "operator",
                each.get("reason", ""), second,
            ))  # fmt: skip

    def preset(self, totaliser: str, value: float) -> None:
        """Gives a totaliser a value as field is given it after a restart, by the system itself."""
        desk, stamp = self._rig.supervisor.desk, self._rig.clock.stamp()
        desk.issue(
            Request("set_total", totaliser, f"{value:.9g}", "system", "", "qualification"), stamp
        )

    def rows(self) -> list[Row]:
        """See Bench."""
        return self._rows

    def silence_supervisor(self, seconds: float) -> None:
        """Field runs on alone; then the supervisor takes up what waits."""
        end_ns = self.now_ns + round(seconds * NS_PER_S)
        clock = self._rig.clock
        while clock.now_ns < end_ns:
            clock.advance_to(self._rig.field.run(end_ns))
        self._rig.supervisor.tick(clock.stamp())

    def logs(self) -> list[Path]:
        """See Bench."""
        stamp = self._rig.clock.stamp()
        found = [self._rig.supervisor.station_log]
        if self._rig.station.batch_log is not None:
            found.append(self._rig.station.batch_log)
        for log in found:
            log.checkpoint(stamp)
        return [log.directory for log in found]

    def close(self) -> None:
        """See Bench."""
        shutil.rmtree(self._folder, ignore_errors=True)

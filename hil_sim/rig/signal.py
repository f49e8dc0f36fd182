"""Signal fidelity: plant, device side and kernel in one compiled loop, no bytes.

Poll classes, delays, the skid's host-beat fallback and link faults are those of the wire; only the
characters are left out. The loop stops at every event that is not modulating.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numba import njit

from controller.core.signal import Quality, Reason
from controller.field.kernel import scan_at
from controller.field.ring import put_sample
from controller.field.views import Bound, image_at
from controller.profile.compile import Profile
from hil_sim.plant import state as layout
from hil_sim.plant.plant import Plant
from hil_sim.plant.sensors import sample
from hil_sim.plant.step import advance
from hil_sim.rig.signal_board import attend, live, show
from hil_sim.rig.wiring import Wiring, wire_up

if TYPE_CHECKING:
    from hil_sim.rig.signal_wiring import SignalBoard

Table = npt.NDArray[Any]
GOOD, BAD = int(Quality.GOOD), int(Quality.BAD)
COMMUNICATION, DEVICE, DRIVER = int(Reason.COMMUNICATION), int(Reason.DEVICE), int(Reason.DRIVER)
TICK_NS = 100_000_000
BEAT_NS = 1_000_000_000
VALVES_NS, HEATER_NS = 5_000_000_000, 10_000_000_000
HEATER_MEAN_S, HEATER_MAX = 60.0, 30.0
HEATER = layout.HEATER
PINCH = (layout.XV201, layout.XV202, layout.XV203, layout.XV204)
# What the truth is held against, once a second while watched.
BANDS = np.dtype([("watch", "i8"), ("seconds", "i8"), ("t_in", "i8"), ("do_in", "i8"),
                  ("ph_in", "i8"), ("t_set", "f8"), ("do_set", "f8"), ("ph_set", "f8"),
                  ("t_max", "f8"), ("p_max", "f8"), ("do_min", "f8"), ("do_max", "f8"),
                  ("t_min", "f8"), ("v_min", "f8"), ("v_max", "f8")])  # fmt: skip


@njit(cache=True, error_model="numpy", nogil=True)
def poll(image: Any, points: Table, lines: Table, s: Table, p: Table, u: Table, f: Table,
         rng: Table, now_ns: int) -> None:  # fmt: skip
    """Delivers the answers that are due and asks what is due to be asked."""
    rings, inputs = image.input_rings, image.inputs
    for index in range(len(points)):
        point = points[index]
        line = lines[point.link]
        if point.pending == 1 and now_ns >= point.due_ns:
            point.pending = 0
            dead = line.silent == 1 or line.delay_ns + line.late_ns > line.timeout_ns
            if dead:
                put_sample(rings, inputs, point.link, point.signal, math.nan, BAD, COMMUNICATION,
                           now_ns)  # fmt: skip
            else:
                quality, reason = (BAD, DEVICE) if point.bad == 1 else (GOOD, 0)
                put_sample(rings, inputs, point.link, point.signal, point.value, quality, reason,
                    point.sampled_ns)  # fmt: skip
        if now_ns >= point.next_ns:
            point.next_ns += point.period_ns
            if line.driver > 0:
                line.driver -= 1
                put_sample(rings, inputs, point.link, point.signal, math.nan, BAD, DRIVER, now_ns)
                continue
            late = line.silent == 1 or line.delay_ns + line.late_ns > line.timeout_ns
            point.due_ns = now_ns + (line.wait_ns if late else line.delay_ns + line.late_ns)
            point.pending = 1
            if line.frozen == 0:
                point.sampled_ns = now_ns
                raw = (
                    sample(s[0], p[0], f[0], point.channel, rng)
                    if point.channel >= 0
                    else u[0].drive[point.readback]
                )
                point.value = raw * point.scale


@njit(cache=True, error_model="numpy", nogil=True)
def write(image: Any, drives: Table, lines: Table, skid: Table, u: Table, now_ns: int) -> None:
    """Carries released values to the devices, each after its link's delay."""
    for output in range(len(drives)):
        drive = drives[output]
        if drive.actuator < 0:
            continue
        state = image.outputs[output]
        line = lines[drive.link]
        if state.sequence != drive.seen:
            drive.seen = state.sequence
            drive.value = state.released / drive.scale
            drive.due_ns = now_ns + line.delay_ns
            drive.pending = 1
        if drive.pending == 1 and now_ns >= drive.due_ns:
            if line.silent == 1 or line.frozen == 1:
                continue  # repeated until it is read back
            refused = line.skid == 1 and drive.pinch == 1 and skid[0].closed == 1
            if refused and drive.value > 0.5:
                continue
            drive.pending = 0
            u[0].drive[drive.actuator] = drive.value


@njit(cache=True, error_model="numpy", nogil=True)
def host_beat(lines: Table, skid: Table, u: Table, now_ns: int) -> None:
    """The skid's PLC: what it does when the host's beat stays away (safety.md, last column)."""
    plc = skid[0]
    for number in range(len(lines)):
        line = lines[number]
        if line.skid == 1 and line.silent == 0 and line.frozen == 0 and (
            now_ns - plc.beaten_ns >= BEAT_NS
        ):
            plc.beaten_ns = plc.beat_ns = now_ns
            plc.closed = plc.fallen = 0
    plc.mean += (u[0].drive[HEATER] - plc.mean) * (TICK_NS * 1e-9 / HEATER_MEAN_S)
    silence = now_ns - plc.beat_ns
    if silence >= VALVES_NS and plc.closed == 0:
        plc.closed = 1
        for valve in PINCH:
            u[0].drive[valve] = 0.0
    if silence >= HEATER_NS and plc.fallen == 0:
        plc.fallen = 1
        u[0].drive[HEATER] = min(plc.mean, HEATER_MAX)


@njit(cache=True, error_model="numpy", nogil=True)
def watch(s: Table, bands: Table) -> None:
    """Counts the seconds in which the plant's truth is in band."""
    band, truth = bands[0], s[0]
    if band.watch == 0:
        return
    band.seconds += 1
    t, do, ph = truth.vessel_degc, truth.do_pct, truth.ph
    band.t_in += 1 if abs(t - band.t_set) <= 0.2 else 0
    band.do_in += 1 if abs(do - band.do_set) <= 10.0 else 0
    band.ph_in += 1 if abs(ph - band.ph_set) <= 0.10 else 0
    band.t_max, band.t_min = max(band.t_max, t), min(band.t_min, t)
    band.do_max, band.do_min = max(band.do_max, do), min(band.do_min, do)
    band.p_max = max(band.p_max, truth.pressure_mbar)
    band.v_max, band.v_min = max(band.v_max, truth.volume_l), min(band.v_min, truth.volume_l)


@njit(cache=True, error_model="numpy", nogil=True)
def run(
    handles: Table, points: Table, drives: Table, lines: Table, skid: Table, bands: Table,
    s: Table, p: Table, u: Table, f: Table, rng: Table, now_ns: int, until_ns: int, board: Any,
) -> int:  # fmt: skip
    """Ticks until `until_ns` or until a scan puts an event; returns the time reached.

    `board` is the BoardTables of the unit's I/O board, None for a unit without one.
    """
    image = image_at(handles)
    while now_ns < until_ns:
        now_ns += TICK_NS
        advance(s, p, u, f, 1)
        if now_ns % 1_000_000_000 == 0:
            watch(s, bands)
        poll(image, points, lines, s, p, u, f, rng, now_ns)
        if board is not None:
            live(board, s, p, u, f, rng, now_ns)
            show(image, board, lines, now_ns)
        urgent = scan_at(handles, now_ns)
        write(image, drives, lines, skid, u, now_ns)
        if board is not None:
            attend(image, board, now_ns)
        host_beat(lines, skid, u, now_ns)
        if urgent != 0:
            break
    return now_ns


class SignalField:
    """A field whose links are tables. Faults are switches in those tables or in the plant."""

    def __init__(self, profile: Profile, bound: Bound, plant: Plant, bands: Table) -> None:
        self._profile, self._bound, self._plant, self._bands = profile, bound, plant, bands
        self.wiring: Wiring = wire_up(profile)
        self.wiring.skid[0]["mean"] = plant.u["drive"][0][HEATER]
        self._links = [link.name for link in profile.links]
        self._now_ns = 0
        self.board = _board_of(profile, plant.seed)

    def run(self, until_ns: int) -> int:
        """See `run`."""
        w, plant = self.wiring, self._plant
        self._now_ns = int(run(
            self._bound.handles, w.points, w.drives, w.lines, w.skid, self._bands, plant.s,
            plant.p, plant.u, plant.f, plant.rng, self._now_ns, until_ns,
            self.board.tables if self.board is not None else None,
        ))  # fmt: skip
        return self._now_ns

    def take_notes(self) -> list[tuple[str, list[Any]]]:
        """Tables have nothing to say beside their samples."""
        return []

    def _line(self, name: str) -> Any:
        return self.wiring.lines[self._links.index(name)]

    def _hurt_board(self, board: SignalBoard, name: str, on: bool) -> None:
        if name == "io_reset":
            if on:
                board.watchdog(self._now_ns)
        elif on:
            board.cut_power()
        else:
            board.power_up(self._now_ns)

    def set_fault(self, name: str, on: bool, **how: Any) -> None:
        """Switches one fault of safety.md's table on or off; raises KeyError for an unknown one."""
        if name == "mfc_link_lost":
            self._line("gas_bus")["silent"] = on
        elif name == "balance_disconnected":
            self._line("balance")["silent"] = on
        elif name == "skid_killed":
            self._line("skid")["silent"] = on
        elif name == "skid_frozen":
            self._line("skid")["frozen"] = on
        elif name == "slow_read":
            late = int(how.get("late_ms", 350)) * 1_000_000
            self._line(str(how.get("link", "probe_bus")))["late_ns"] = late if on else 0
        elif name == "bad_quality":
            point = str(how.get("point", "AT102"))
            if self.board is not None and self.board.break_wire(point, on):
                return
            signal = self._profile.index[point]
            self.wiring.points["bad"][self.wiring.points["signal"] == signal] = on
        elif name == "driver_exception":
            number = self._links.index(str(how.get("link", "probe_bus")))
            asked = max(1, int((self.wiring.points["link"] == number).sum()))
            self.wiring.lines[number]["driver"] = asked if on else 0
        elif name == "line_silent":
            self._line(str(how.get("link", "probe_bus")))["silent"] = on
        elif self.board is not None and name in ("io_power_cut", "io_reset"):
            self._hurt_board(self.board, name, on)
        elif not plant_fault(self._plant, name, on, **how):
            raise KeyError(name)


def _board_of(profile: Profile, seed: int) -> SignalBoard | None:
    """The board of a unit that has one; only then its firmware is needed."""
    for number, link in enumerate(profile.links):
        if link.board is not None:
            from hil_sim.rig.signal_wiring import SignalBoard

            return SignalBoard(profile, number, seed)
    return None


def plant_fault(plant: Plant, name: str, on: bool, **how: Any) -> bool:
    """Switches a fault that lives in the plant; False when `name` is not one."""
    if name in ("air_in_feed", "annunciator_cut"):
        if on:
            plant.set_fault(name, float(how.get("share", 1.0)))
        else:
            plant.clear_fault(name)
        return True
    found = {
        "heater_stuck_on": ("heater_stuck", float(how.get("pct", 100.0))),
        "do_probe_stuck": ("AT102_stuck", None),
        "ph_probe_drift": ("AT101_drift_per_h", None),
        "pump_stuck_on": (f"{how.get('pump', 'feed')}_stuck", float(how.get("rpm", 20.0))),
    }.get(name)
    if found is None:
        return False
    if not on:
        plant.clear_fault(found[0])
    elif name == "ph_probe_drift":
        plant.set_fault(found[0], float(how.get("per_h", 0.05)))
    else:
        plant.set_fault(found[0], 1.0, found[1])
    return True

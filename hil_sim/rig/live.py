"""A minute of a live run against the served devices: the real links, one fault and its recovery.

The device side runs in a process of its own (`cellwright sim serve`), field and supervisor in two
more, as `cellwright run` starts them. This one only switches the faults and looks at what was left.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput, CellwrightError, nearest
from controller.field.lock import SHM
from controller.field.region import generations, open_region
from controller.profile.compile import Profile
from controller.record.show import rows
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.units import find_unit, load_unit
from hil_sim.rig.remote import Control
from hil_sim.rig.rig import FAULTS, FaultAt
from hil_sim.rig.serving import UNIT, served

RECIPE = "car_t_perfusion"
SCRIPT = Path(__file__).parent / "operator_live.yaml"
DEFAULT_FAULT = FaultAt("balance_disconnected", 18.0, (), 8.0)
NOT_LIVE = "driver_exception"  # no device can make a driver of ours fail


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """What a live demo wants run: links file, state directory, script, seconds, shared memory."""

    unit: str
    recipe: str
    links: Path
    state: Path
    script: Path
    until_s: float
    shm: Path


class FaultThread(threading.Thread):
    """Switches faults of the served devices at their times since `began_ns`."""

    def __init__(self, faults: Sequence[FaultAt], control: Control, began_ns: int) -> None:
        super().__init__(name="faults", daemon=True)
        self._control, self._began_ns = control, began_ns
        self._due = sorted(
            [(f.at_s, True, f) for f in faults]
            + [(f.at_s + f.for_s, False, f) for f in faults if f.for_s > 0],
            key=lambda item: item[0],
        )
        self.failed: list[str] = []

    def run(self) -> None:
        """Switches each when it is due; what the device side refuses is kept in `failed`."""
        for at_s, on, fault in self._due:
            wait_s = at_s - (time.monotonic_ns() - self._began_ns) / NS_PER_S
            time.sleep(max(wait_s, 0.0))
            try:
                self._control.ask(
                    **{"fault" if on else "clear": fault.name, "how": dict(fault.how)}
                )
            except CellwrightError as error:
                self.failed.append(error.what)


def live_demo(
    out: Path,
    seed: int,
    launch: Callable[[LiveOrder], int],
    until_s: float = 60.0,
    faults: Sequence[FaultAt] = (),
    script: Path = SCRIPT,
    unit: str = UNIT,
) -> dict[str, Any]:
    """Runs for `until_s` of wall time and returns the figures; `launch` runs the station.

    Without `faults` the balance is unplugged for 8 s. The state directory is `out/state`, and
    `out/log` leads to the batch's log, which stays open: its batch is Held. Raises BadInput for a
    fault that cannot be had live, or when no batch was opened.
    """
    for fault in faults:
        if fault.name == NOT_LIVE:
            known = [name for name in FAULTS if name != NOT_LIVE]
            raise BadInput(f"{NOT_LIVE} is for virtual time. {nearest('', known)}")
    profile, _ = load_unit(find_unit(unit))
    state = StateDir(out / "state")
    with (
        tempfile.TemporaryDirectory(prefix="cellwright-", dir=SHM if SHM.is_dir() else None) as tmp,
        served(Path(tmp) / "links.yaml", seed, unit) as control,
    ):
        began_ns = time.monotonic_ns()
        switcher = FaultThread(faults or (DEFAULT_FAULT,), control, began_ns)
        switcher.start()
        order = LiveOrder(
            unit, RECIPE, Path(tmp) / "links.yaml", state.path, script, until_s, Path(tmp)
        )
        status = launch(order)
        wall_s = (time.monotonic_ns() - began_ns) / NS_PER_S
        batch_id = state.current()
        if batch_id is None:
            raise BadInput(f"no batch was opened; the station ended with status {status}")
        beat = _beat(Path(tmp), profile)
        result = _result(state, batch_id, control.truth(), beat, wall_s, seed)
        result["_good"] = bool(result["verified"] and status == 0 and not switcher.failed)
    log = state.batch_log(batch_id)
    (out / "log").symlink_to(log.relative_to(out), target_is_directory=True)
    return result


def _beat(folder: Path, profile: Profile) -> dict[str, int]:
    """The heartbeat page of the last field, which has ended."""
    (station,) = {path.name.split("-")[1] for path in folder.glob("cellwright-*-*")}
    region = open_region(station, generations(station, folder)[-1], profile.plan, folder)
    beat = region.image.beat[0]
    found = {name: int(beat[name]) for name in beat.dtype.names}
    region.close()
    return found


def _result(
    state: StateDir, batch_id: str, truth: dict[str, Any], beat: dict[str, int], wall_s: float,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    log = state.batch_log(batch_id)
    report = verify(log, expect_sealed=False)
    found = list(rows(log))
    opened = next(row for row in found if row["event"] == "batch.opened")["data"]
    states = [row["data"]["new"] for row in found
              if row["event"] == "procedure.state" and row["data"]["level"] == "procedure"]
    ran_s = (beat["scans"] + beat["missed"]) * beat["period_ns"] / NS_PER_S
    return {
        "batch_id": batch_id,
        "seed": seed,
        "fidelity": "live",
        "virtual_s": round(ran_s, 1),
        "wall_s": round(wall_s, 3),
        "speed": round(ran_s / wall_s, 3),
        "scans": beat["scans"],
        "scans_late": beat["late"],
        "scans_missed": beat["missed"],
        "log_records": report.records,
        "log_root": report.root,
        "verified": report.ok,
        "state": states[-1] if states else "Idle",
        "trips": [row["data"]["row"] for row in found if row["event"] == "cause.active"],
        "holds": sum(row["event"] == "unit.hold" for row in found),
        "final": {
            "vcd_e6_per_ml": round(truth["vcd_e6_per_ml"], 4),
            "viability_pct": round(truth["viability_pct"], 3),
            "volume_l": round(truth["volume_l"], 4),
            "lactate_mm": round(truth["lactate_mm"], 3),
        },
        "config_digests": {name: opened[name] for name in ("recipe", "profile", "software")},
    }

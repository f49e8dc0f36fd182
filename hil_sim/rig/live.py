"""A minute of a live run against the served devices: the real links, one fault and its recovery.

The device side runs in a process of its own (`cellwright sim serve`); this one runs the station as
`cellwright run` does, with a scripted operator and fresh keys.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_S, RealClock, Stamp
from controller.core.errors import BadInput
from controller.field.links.worker import Released
from controller.field.realtime import LiveField, warm
from controller.live import Face, LiveRun, ScriptFace, live_batch_id, load_links, quiet_libraries
from controller.record.files import DurableFiles
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.record.verify import verify
from controller.script import ScriptedOperator, load_script
from controller.station import BatchOrder, Station, find_recipe, find_unit, load_unit
from hil_sim.rig.remote import Control, remote_hands
from hil_sim.rig.rig import FaultAt

UNIT, RECIPE = "perfusion_2l", "car_t_perfusion"
SCRIPT = Path(__file__).parent / "operator_live.yaml"
SERVE_S_MAX = 180.0  # the first start of all compiles the plant
DEFAULT_FAULT = FaultAt("balance_disconnected", 18.0, (), 8.0)


@contextmanager
def served(links: Path, seed: int, unit: str = UNIT) -> Iterator[Control]:
    """The device side in another process; ends it on leaving. Raises BadInput if it does not start.

    Its control socket lies beside the links file.
    """
    command = [sys.executable, "-m", "controller.cli", "sim", "serve", "--unit", unit,
               "--seed", str(seed), "--links", str(links)]  # fmt: skip
    with links.with_suffix(".err").open("w+") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors)  # noqa: S603 - our own
        try:
            limit = time.monotonic() + SERVE_S_MAX
            while not links.exists():
                if process.poll() is not None or time.monotonic() > limit:
                    errors.seek(0)
                    raise BadInput(f"the device side did not start: {errors.read()[-2000:]}")
                time.sleep(0.05)
            yield Control(links.with_suffix(".sock"))
        finally:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class BreakableField(LiveField):
    """A live field one of whose drivers can be made to fail once, as unforeseen code does."""

    broken = ""

    def released(self, link: str) -> Iterator[Released]:
        """As LiveField; raises RuntimeError once in the worker of `broken`."""
        if link == self.broken:
            self.broken = ""
            raise RuntimeError("driver exception on purpose")
        return super().released(link)


class FaultFace:
    """Switches faults of the served devices at their times since the start of the run."""

    def __init__(self, faults: Sequence[FaultAt], control: Control, run: LiveRun) -> None:
        self._control, self._run = control, run
        self._due = sorted(
            [(f.at_s, True, f) for f in faults]
            + [(f.at_s + f.for_s, False, f) for f in faults if f.for_s > 0],
            key=lambda item: item[0],
        )

    def turn(self, stamp: Stamp) -> None:
        """Switches what is due."""
        now_s = (stamp.mono_ns - self._run.began_ns) / NS_PER_S
        while self._due and self._due[0][0] <= now_s:
            _, on, fault = self._due.pop(0)
            how = dict(fault.how)
            field = self._run.field
            if fault.name == "driver_exception" and isinstance(field, BreakableField):
                field.broken = str(how.get("link", "probe_bus"))
            else:
                self._control.ask(**{"fault" if on else "clear": fault.name, "how": how})


def live_demo(
    out: Path,
    seed: int,
    until_s: float = 60.0,
    faults: Sequence[FaultAt] = (),
    face: Callable[[LiveRun], Face] | None = None,
    script: Path = SCRIPT,
) -> dict[str, Any]:
    """Runs for `until_s` of wall time and returns the figures; `face` may show the run.

    Without `faults` the balance is unplugged for 8 s. The state directory is `out/state`, and
    `out/log` leads to the batch's log, which stays open: its batch is Held.
    """
    profile, offer = load_unit(find_unit(UNIT))
    warm(profile.plan)
    quiet_libraries()
    state = StateDir(out / "state")
    with (
        tempfile.TemporaryDirectory(prefix="cellwright-") as folder,
        served(Path(folder) / "links.yaml", seed) as control,
    ):
        clock = RealClock()
        stamp = clock.stamp()
        keys = Keys.in_directory(state.keys)
        urls, _ = load_links(Path(folder) / "links.yaml", profile)
        station = Station(profile, offer, state, keys, DurableFiles(), stamp)
        recipe_path = find_recipe(RECIPE)
        recipe = station.load_recipe(recipe_path)
        run = LiveRun(station, BreakableField(profile, station.bound, urls), clock)
        hands = remote_hands(control)
        operator = ScriptedOperator(load_script(script), station.supervisor, hands, stamp.mono_ns)
        run.faces.append(ScriptFace(operator, station.supervisor.record, hands.tick))
        run.faces.append(FaultFace(faults or (DEFAULT_FAULT,), control, run))
        if face is not None:
            run.faces.append(face(run))
        order = BatchOrder(
            live_batch_id(stamp, recipe.id), "engineering", f"PSN-{seed:04d}", "LOT-2026-0117",
            actor=operator.actor,
        )  # fmt: skip
        run.run(recipe, recipe_path, order, until_s)
        result = _result(run, control, seed)
    log = state.batch_log(run.batch_id)
    (out / "log").symlink_to(log.relative_to(out), target_is_directory=True)
    return result


def _result(run: LiveRun, control: Control, seed: int) -> dict[str, Any]:
    wall_s = (RealClock().stamp().mono_ns - run.began_ns) / NS_PER_S
    station, supervisor, counts = run.station, run.station.supervisor, run.field.counts
    report = verify(station.state_dir.batch_log(run.batch_id), expect_sealed=False)
    ran_s = (counts.scans + counts.missed) * run.field.period_s
    truth = control.truth()
    return {
        "batch_id": run.batch_id,
        "seed": seed,
        "fidelity": "live",
        "virtual_s": round(ran_s, 1),
        "wall_s": round(wall_s, 3),
        "speed": round(ran_s / wall_s, 3),
        "scans": counts.scans,
        "scans_late": counts.late,
        "scans_missed": counts.missed,
        "log_records": report.records,
        "log_root": report.root,
        "verified": report.ok,
        "state": run.state,
        "trips": list(supervisor.trips),
        "holds": supervisor.holds,
        "final": {
            "vcd_e6_per_ml": round(truth["vcd_e6_per_ml"], 4),
            "viability_pct": round(truth["viability_pct"], 3),
            "volume_l": round(truth["volume_l"], 4),
            "lactate_mm": round(truth["lactate_mm"], 3),
        },
        "config_digests": station.config_digests(),
        "_good": report.ok,
    }

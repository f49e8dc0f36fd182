"""From virtual time to the machine's: a batch in full swing, left as a program that died leaves it.

Days pass in seconds; then the log is open, its keys lie in files, and the plant stands in a file
that the served devices go on from. Another process takes the batch up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput
from controller.recipe.states import RUNNING
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.state import StateDir
from hil_sim.plant.state import ACTUATORS
from hil_sim.rig.rig import Rig

PERFUSING_S = 54 * 3_600.0  # cells in, the bags of a day to come, no sample due for hours


@dataclass(frozen=True, slots=True)
class Handover:
    """What is left: `state` (the state directory), `plant` (a snapshot file) and how both stood.

    `outputs` holds what the gate released last by output, canonical units; `drives` what the
    devices drive the plant with by actuator; `setpoints` every loop's; `truth` the plant's values.
    """

    state: Path
    plant: Path
    batch_id: str
    log: Path
    end_utc_ns: int
    procedure_state: str
    phases: str
    outputs: dict[str, float]
    drives: dict[str, float]
    setpoints: dict[str, float]
    truth: dict[str, float]


def hand_over(
    out: Path, *, end_utc_ns: int, until_s: float = PERFUSING_S, seed: int = 1
) -> Handover:
    """Runs a batch in signal fidelity for `until_s` of virtual time, which ends at `end_utc_ns`.

    Writes `out/state` and `out/plant.npz`. Both logs are under a checkpoint and closed; the batch
    is open, and its last record is stamped within a second of `end_utc_ns`. Raises BadInput when
    `out` holds a state directory already or the batch does not run at that time.
    """
    state = StateDir(out / "state")
    if state.path.exists():
        raise BadInput("there is a state directory already", where=state.path)
    out.mkdir(parents=True, exist_ok=True)
    rig = Rig(
        state.path, seed=seed, keys=Keys.in_directory(state.keys, VolatileFiles()),
        epoch_ns=end_utc_ns - round(until_s * NS_PER_S), use="engineering",
    )  # fmt: skip
    rig.run(until_s)
    if rig.closed or rig.final_state != RUNNING:
        raise BadInput(
            f"after {until_s:.0f} s the procedure is {rig.final_state}, not {RUNNING}",
            do="Hand over at another time.",
        )
    rig.finish()
    stamp = rig.clock.stamp()
    station_log = rig.supervisor.station_log
    station_log.sync(stamp)
    station_log.checkpoint(stamp)
    station_log.close()
    plant = out / "plant.npz"
    rig.plant.snapshot().save(plant)
    return _handover(rig, state, plant, end_utc_ns)


def _handover(rig: Rig, state: StateDir, plant: Path, end_utc_ns: int) -> Handover:
    image, profile = rig.station.image, rig.station.profile
    drives = map(float, rig.plant.u["drive"][0])
    return Handover(
        state=state.path,
        plant=plant,
        batch_id=rig.batch_id,
        log=rig.log_dir,
        end_utc_ns=end_utc_ns,
        procedure_state=rig.final_state,
        phases=rig.phase,
        outputs=dict(zip(profile.outputs, map(float, image.outputs["released"]), strict=True)),
        drives=dict(zip(ACTUATORS, drives, strict=True)),
        setpoints={
            name: float(row["sp"]) for name, row in zip(profile.loops, image.loops, strict=True)
        },
        truth={
            name: float(value) for name, value in rig.plant.truth().items()
            if not isinstance(value, bool)
        },
    )  # fmt: skip

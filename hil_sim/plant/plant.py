"""The plant as one object: memory, commands, faults, hands and truth of one simulated unit.

A module of its own because the rig, the device side and tests all hold a Plant and nothing else of
this package. Compiled callers take its records (`s`, `p`, `u`, `f`, `rng`) and call `step.advance`
and `sensors.sample` themselves; both ways move the same memory.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hil_sim.plant import faults, hands
from hil_sim.plant.parameters import PARAMETERS_DTYPE, draw
from hil_sim.plant.sensors import streams
from hil_sim.plant.state import (
    ACTUATORS,
    CHANNELS,
    COMMANDS_DTYPE,
    FAULTS_DTYPE,
    LAGGED,
    STATE_DTYPE,
    XV201,
    XV202,
    XV203,
    XV204,
    Record,
)
from hil_sim.plant.step import advance, read_channel, settle

DEFAULT_SEED: Final = 1
FILE_BYTES_MAX: Final = 1_000_000
PINCH_VALVES: Final = (XV201, XV202, XV203, XV204)
CHANNEL_INDEX: Final = {name: i for i, name in enumerate(CHANNELS)}
ACTUATOR_INDEX: Final = {name: i for i, name in enumerate(ACTUATORS)}

# Which memory a snapshot file belongs to: every field, its place and its order.
LAYOUT: Final = hashlib.sha256(
    repr((STATE_DTYPE, PARAMETERS_DTYPE, COMMANDS_DTYPE, FAULTS_DTYPE, CHANNELS)).encode()
).digest()


class SnapshotError(ValueError):
    """A file does not hold a plant of this layout; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a plant is, byte for byte."""

    state: bytes
    parameters: bytes
    commands: bytes
    faults: bytes
    streams: bytes

    def save(self, path: Path) -> None:
        """Writes it to `path` (.npz), whole or not at all."""
        parts: dict[str, Any] = {
            name: np.frombuffer(part, np.uint8) for name, part in asdict(self).items()
        }
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, layout=np.frombuffer(LAYOUT, np.uint8), **parts)
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> "Snapshot":
        """Reads what `save` wrote; raises SnapshotError for anything else."""
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise SnapshotError(f"{path}: larger than a plant, {FILE_BYTES_MAX} bytes at most")
            with np.load(path, allow_pickle=False) as held:
                if held["layout"].tobytes() != LAYOUT:
                    raise SnapshotError(f"{path}: a plant of another version of the model")
                return cls(**{name: held[name].tobytes() for name in cls.__slots__})
        except (OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise SnapshotError(f"{path}: not a plant's snapshot: {error}") from error
        except ValueError as error:
            if isinstance(error, SnapshotError):
                raise
            raise SnapshotError(f"{path}: not a plant's snapshot: {error}") from error


class Plant:
    """One simulated perfusion unit, found running half way up with an empty vessel.

    `s` state, `p` parameters, `u` commands and `f` faults are record arrays of shape (1,); `rng` is
    uint64, one stream a channel. Raises ParameterError for a bad entry in `parameters`.
    """

    def __init__(
        self, seed: int = DEFAULT_SEED, parameters: Mapping[str, float] | None = None
    ) -> None:
        self.seed = seed
        self.p: Record = draw(seed, parameters)
        self.s: Record = np.zeros(1, dtype=STATE_DTYPE)
        self.u: Record = np.zeros(1, dtype=COMMANDS_DTYPE)
        self.f: Record = np.zeros(1, dtype=FAULTS_DTYPE)
        self.rng: Any = streams(seed)
        self._views()
        hands.found(self._s, self._p, self._u)
        settle(self.s, self.p)
        self._settle_probes()

    def _views(self) -> None:
        self._s, self._p = self.s.view(np.recarray)[0], self.p.view(np.recarray)[0]
        self._u, self._f = self.u.view(np.recarray)[0], self.f.view(np.recarray)[0]

    def _settle_probes(self) -> None:
        s = self._s
        cool = float(s.vessel_degc)
        level, load = float(s.volume_l), float(self._p.tare_g) + 1000.0 * float(s.volume_l)
        s.do_first_lag = s.do_pct
        probes = (cool, cool, cool, 0.0, level, load, s.ph, s.do_pct, cool, cool)
        for i in range(LAGGED):
            s.lagged[i] = probes[i]

    # Time and devices.

    def advance(self, n_ticks: int) -> None:
        """Let `n_ticks` fast ticks of 0.1 s pass."""
        advance(self.s, self.p, self.u, self.f, n_ticks)

    def command(self, **values: float) -> None:
        """Set what devices drive the plant with, by actuator name (mL/min, rpm, %, 0 or 1).

        Raises KeyError for an unknown actuator, before anything is set.
        """
        places = {ACTUATOR_INDEX[name]: value for name, value in values.items()}
        for index, value in places.items():
            self.u["drive"][0, index] = value

    def close_pinch_valves(self) -> None:
        """The spring-closed pinch valves as a skid leaves them when it has had no host for long."""
        for index in PINCH_VALVES:
            self.u["drive"][0, index] = self.s["actual"][0, index] = 0.0

    def measure(self, channel: str) -> float:
        """The reading of one channel now (see state.CHANNELS for units); KeyError if unknown."""
        return float(read_channel(self.s, self.p, self.f, CHANNEL_INDEX[channel], self.rng))

    # Faults.

    def set_fault(self, name: str, value: float = 1.0, held: float | None = None) -> None:
        """Switch one named fault on. Raises FaultError; see faults.apply."""
        faults.apply(self.s, self.p, self.f, name, value, held)

    def clear_fault(self, name: str) -> None:
        """Switch one named fault off. Raises FaultError for an unknown name."""
        faults.clear(self.s, self.f, name)

    # Hands.

    def inoculate(
        self, volume_l: float, vcd_e6_per_ml: float, viability: float, celsius: float = 37.0
    ) -> None:
        """Pour in cells in fresh medium; `viability` is a share 0..1. Activation starts anew.

        Raises HandError for an impossible volume, density or viability.
        """
        if not (0.0 < viability <= 1.0 and 0.0 < vcd_e6_per_ml < 1000.0):
            raise hands.HandError(
                f"inoculum of {vcd_e6_per_ml} e6/mL at viability {viability}: the density must be "
                "0 to 1000 e6/mL and the viability a share of 0 to 1"
            )
        liquid = hands.fresh_medium(self._p)
        liquid["viable_e9_l"] = vcd_e6_per_ml
        liquid["dead_e9_l"] = vcd_e6_per_ml * (1.0 / viability - 1.0)
        hands.pour(self._s, self._p, volume_l, liquid, celsius)
        settle(self.s, self.p)
        self._s.activation = self._p.activation_0

    def add_bolus(self, volume_l: float, celsius: float = 21.0, **solutes: float) -> None:
        """Pour in a liquid given by its solutes (glucose_mm, lactate_mm, il2, sid_mm, dic_mm ...).

        Raises HandError for an impossible volume or an unknown solute.
        """
        hands.pour(self._s, self._p, volume_l, hands.known_solutes(solutes), celsius)
        settle(self.s, self.p)

    def draw_sample(self, volume_l: float) -> dict[str, float]:
        """Take whole broth out; returns its true assay (e6/mL, %, mM) and the perfusate's count."""
        values = hands.assay(self._s, self._p, self._f)
        hands.take(self._s, volume_l)
        return values

    def pressurise(self, mbar: float) -> None:
        """Clamp the vent and bring the head to this gauge pressure, as in a pressure-hold test.

        Raises HandError below 0 or above the relief setting.
        """
        if not 0.0 <= mbar <= float(self._p.relief_open_mbar):
            raise hands.HandError(f"{mbar} mbar: 0 to {float(self._p.relief_open_mbar)} mbar gauge")
        self._s.vent_clamped = 1.0
        self._s.pressure_mbar = mbar

    def clamp_vent(self) -> None:
        """Close the vent by hand: gas that enters now stays."""
        self._s.vent_clamped = 1.0

    def release(self) -> None:
        """Open the vent clamp."""
        self._s.vent_clamped = 0.0

    def change_medium_bag(self, volume_l: float) -> None:
        """Hang a full medium bag of this volume."""
        if not 0.0 < volume_l <= 1000.0:
            raise hands.HandError(f"medium bag of {volume_l} L: 0 to 1000 L")
        self._s.medium_bag_l = volume_l

    def purge_feed_line(self) -> None:
        """Run medium through the feed line: no air is left in it."""
        hands.purge_feed_line(self._s)

    def empty(self) -> None:
        """Empty the vessel: what stays is a film of fresh medium without cells."""
        hands.empty(self._s, self._p)
        settle(self.s, self.p)

    # Truth and memory.

    def truth(self) -> dict[str, Any]:
        """The plant's own values, which no device shows."""
        return hands.truth(self._s)

    def snapshot(self) -> Snapshot:
        """All memory of the plant."""
        return Snapshot(
            self.s.tobytes(), self.p.tobytes(), self.u.tobytes(), self.f.tobytes(),
            self.rng.tobytes(),
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Put back all memory, in place: compiled callers that hold the records see it too."""
        for target, source in (
            (self.s, snapshot.state),
            (self.p, snapshot.parameters),
            (self.u, snapshot.commands),
            (self.f, snapshot.faults),
            (self.rng, snapshot.streams),
        ):
            target.view(np.uint8)[:] = np.frombuffer(source, dtype=np.uint8)

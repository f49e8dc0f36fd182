"""The wiring diagram: the only file that joins profile, image, log, engine and desk.

A station is one unit with its state directory. Live, rig and tests make the same station; what
differs is who scans (`field`) and which clock, keys and file layer are handed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import controller
from controller._jit_cache import package_digest
from controller.core.clock import Stamp
from controller.core.errors import BadInput, Refused, nearest
from controller.core.events import Event
from controller.core.quantity import unit_factor
from controller.core.yamltext import load
from controller.desk import Request
from controller.field import image as layout
from controller.field import kernel
from controller.field.board import Board
from controller.field.views import Bound
from controller.profile.compile import Profile, load_profile
from controller.recipe.engine import Engine
from controller.recipe.load import compile_recipe
from controller.recipe.model import ControlRecipe, OfferModel
from controller.recipe.offer import Offer, compile_offer
from controller.recipe.steps import Equipment
from controller.record.files import FileLayer
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.state import UNREADABLE, StateDir
from controller.record.verify import verify
from controller.supervisor import Supervisor
from equipment_profiles import DEVICES, UNITS
from recipes import RECIPES

USES = ("virtual", "engineering")
NOTICE = "NOT FOR HUMAN USE"
CALIBRATION = "simulated devices: no calibration"


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """What a batch is opened with. `identity` is a pseudonym, never a name or a date of birth."""

    batch_id: str
    use: str
    identity: str
    set_lot: str
    calibration: str = CALIBRATION
    actor: str = "unverified:console@station"
    role: str = "operator"


def find_unit(name: str) -> Path:
    """The file of a unit by its id or path; raises BadInput with the nearest name."""
    return _find(name, UNITS, "unit")


def find_recipe(name: str) -> Path:
    """The file of a recipe by its id or path; raises BadInput with the nearest name."""
    return _find(name, RECIPES, "recipe")


def _find(name: str, folder: Path, kind: str) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise BadInput(f"unknown {kind} {name!r}. {nearest(name, list(known))}")
    return known[name]


def load_unit(path: Path) -> tuple[Profile, Offer]:
    """A unit profile and what it offers to recipes; raises BadInput."""
    profile = load_profile(path, DEVICES)
    document = profile.document
    part = {key: document.data.get(key, [] if key == "phases" else {}) for key in
            ("variables", "phases")}  # fmt: skip
    model = replace(document, data=part).validate(OfferModel)
    return profile, compile_offer(model, document, profile.id, equipment(profile))


def equipment(profile: Profile) -> Equipment:
    """What recipes may read and move, by dimension."""
    model = profile.model
    switches = {
        name: "valve" if name.startswith("xv") else "switch"
        for name, item in model.actuators.items()
        if item.unit == "1"
    }
    tags = {tag.name: unit_factor(tag.unit)[0] for tag in profile.tags}
    return Equipment(
        tags={name: dim for name, dim in tags.items() if name not in model.actuators
              and name not in model.flags},
        loops={name: tags[f"{name}.sp"] for name in model.loops},
        outputs={name: switches.get(name, tags[name]) for name in model.actuators},
        flags=frozenset(set(model.flags) - {model.unit.held}),
    )  # fmt: skip


def is_sealed(state: StateDir, batch_id: str) -> bool:
    """Whether a batch named open is finished: its process died between the seal and the name."""
    if batch_id == UNREADABLE:
        return False
    log = state.batch_log(batch_id)
    if not log.is_dir():
        return False
    report = verify(log)
    return report.ok and report.sealed


class Station:
    """One unit, its image, its logs and its supervisor."""

    def __init__(
        self,
        profile: Profile,
        offer: Offer,
        state: StateDir,
        keys: Keys,
        files: FileLayer,
        stamp: Stamp,
    ) -> None:
        """Makes the image at cold start and opens the station log.

        Raises Refused, with everything untouched, when a batch is open in this state directory.
        """
        found = state.current()
        forgotten = found if found is not None and is_sealed(state, found) else ""
        if forgotten:
            state.close_batch()
        elif found is not None:
            raise Refused(
                f"batch {found} is still open in {state.path}",
                means="Its cells may depend on the unit it runs on.",
                do="Finish or end that batch with the unit and recipe it was opened for.",
            )
        self.profile, self.offer = profile, offer
        self.state_dir, self.keys, self.files = state, keys, files
        self.image = layout.create(profile.plan, stamp.mono_ns)
        self.bound = Bound(profile.plan, self.image)
        kernel.initialise_at(self.bound.handles, stamp.mono_ns)
        self.board = Board(self.image, profile.index)
        station_log = self._station_log(stamp)
        self.supervisor = Supervisor(profile, self.board, station_log)
        self.software = package_digest()
        self.supervisor.record(
            Event("station.started", stamp, data={
                "unit": profile.id, "software": self.software, "profile": profile.sha256,
            })  # fmt: skip
        )
        if forgotten:
            data = {"batch_id": forgotten}
            self.supervisor.record(Event("batch.was_closed", stamp, data=data))
        self.batch_log: BatchLog | None = None
        self.recipe: ControlRecipe | None = None

    def _station_log(self, stamp: Stamp) -> BatchLog:
        folder = self.state_dir.station
        if (folder / "segments").exists():
            return BatchLog.open(folder, self.keys, stamp, files=self.files)
        return BatchLog.create(
            folder, self.keys, stamp, kind="station", purpose=self.profile.id, files=self.files
        )

    def load_recipe(self, path: Path, formula: Mapping[str, str] | None = None) -> ControlRecipe:
        """The control recipe of a file for this unit; raises BadInput."""
        return compile_recipe(load(path), self.offer, formula)

    def open_batch(
        self, recipe: ControlRecipe, path: Path, order: BatchOrder, stamp: Stamp
    ) -> None:
        """Opens a batch: header, digests and the files themselves, durable before anything acts.

        Raises BadInput for a use other than virtual or engineering, Refused if one is open.
        """
        if order.use not in USES:
            raise BadInput(
                f"use {order.use!r} is refused: there are no approvals yet",
                do=f"Use one of {', '.join(USES)}. {NOTICE}.",
            )
        if self.batch_log is not None:
            raise Refused("a batch is open already")
        supervisor = self.supervisor
        supervisor.keep_history(stamp)
        supervisor.station_log.sync(stamp)
        self.state_dir.open_batch(order.batch_id)
        log = BatchLog.create(
            self.state_dir.batch_log(order.batch_id), self.keys, stamp,
            purpose=order.batch_id, files=self.files,
        )  # fmt: skip
        engine = Engine(recipe)
        supervisor.attach(log, engine, engine.initial())
        self.batch_log, self.recipe = log, recipe
        supervisor.record(Event(
            "batch.opened", stamp, order.actor, order.role,
            data={
                "batch_id": order.batch_id, "unit": self.profile.id, "use": order.use,
                "notice": NOTICE, "identity": order.identity, "set_lot": order.set_lot,
                "calibration": order.calibration, "recipe": recipe.digest,
                "profile": self.profile.sha256, "software": self.software, "sync": stamp.sync,
                "parameters": dict(recipe.formula),
            },
        ))  # fmt: skip
        supervisor.record(
            Event("recipe.unapproved", stamp,
                  data={"recipe": recipe.id, "digest": recipe.digest})  # fmt: skip
        )
        log.store_blob("recipe", path.read_bytes(), stamp)
        log.store_blob("profile", Path(self.profile.file).read_bytes(), stamp)
        log.store_blob("plan", json.dumps(self._plan_names(), sort_keys=True).encode(), stamp)
        supervisor.desk.issue(
            Request("set_flag", self.profile.model.unit.guard, "1", order.actor, order.role), stamp
        )

    def _plan_names(self) -> dict[str, Any]:
        return {
            "plan_sha256": self.profile.plan_digest, "signals": self.profile.signals,
            "outputs": self.profile.outputs, "rows": [c.row for c in self.profile.causes],
        }  # fmt: skip

    @property
    def environment_on(self) -> bool:
        """Whether cells may still depend on heat, stirring and oxygen."""
        return self.board.read(self.profile.model.unit.guard).value > 0.5

    @property
    def may_close(self) -> bool:
        """The procedure and the environment have ended, and no command is under way."""
        supervisor = self.supervisor
        return (
            self.batch_log is not None
            and supervisor.finished
            and not self.environment_on
            and not supervisor.desk.busy
            and not self.board.pending
        )

    def close_batch(self, stamp: Stamp) -> None:
        """Closes and seals a finished batch; raises Refused while its environment is on."""
        log = self.batch_log
        if log is None or not self.supervisor.finished:
            raise Refused("no finished batch is open")
        if not self.may_close:
            raise Refused(
                "the environment is still on, or commands are under way",
                do="Two people confirm first that the vessel is empty or discarded.",
            )
        self.supervisor.keep_history(stamp)
        final = self.supervisor.procedure_state
        self.supervisor.record(Event("batch.closed", stamp, data={"state": final}))
        log.seal(stamp)
        self.supervisor.detach()
        self.state_dir.close_batch()
        self.batch_log = None

    def config_digests(self) -> dict[str, str]:
        """Recipe, profile and software digests."""
        recipe = self.recipe.digest if self.recipe else ""
        return {"recipe": recipe, "profile": self.profile.sha256, "software": self.software}


def batch_id_of(seed: int, recipe: str) -> str:
    """The id of a virtual batch: a function of its seed and recipe."""
    digest = hashlib.sha256(f"{controller.__version__} {recipe} {seed}".encode()).hexdigest()
    return f"V-{seed:04d}-{digest[:8]}"

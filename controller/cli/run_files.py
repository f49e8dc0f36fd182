"""What field must find before each of its starts: the compiled unit, its number, its links.

A module because none of it may keep field from starting while a batch is open: files in shared
memory can vanish, disks can fill, and a unit file can have been edited since the batch began.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from controller.core.based import load_based
from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput, CellwrightError, nearest
from controller.core.yamltext import MAX_BYTES, load
from controller.field.board import Board
from controller.field.region import Region, generations, sweep
from controller.profile import planfile
from controller.profile.compile import Profile
from controller.recipe.offer import Offer
from controller.record.entry import read_records
from controller.record.frame import read_limited
from controller.record.layout import BLOBS
from controller.record.state import GENERATION_MAX, UNREADABLE, StateDir
from controller.units import find_unit, load_unit
from equipment_profiles import UNITS

Say = Callable[[str], None]
KEPT_S = 1.0  # field's restart waits no longer for a disk
SCHEMES = ("/", "pty:/", "socket://", "opc.tcp://")


class _LinksModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    links: dict[str, str] = Field(max_length=64)
    control: str = ""


@dataclass(frozen=True, slots=True)
class OpenUnit:
    """The unit as an open batch's log holds it; `text` is the file."""

    text: bytes
    profile: Profile
    offer: Offer


def open_unit(given: str, state: StateDir, say: Say) -> OpenUnit | None:
    """The unit in the open batch's log, when the file given is not that one; None if it is.

    None too when the log does not hold it: then there is only the file given.
    """
    batch_id = state.current()
    if batch_id is None or batch_id == UNREADABLE:
        return None
    log = state.batch_log(batch_id)
    try:
        sha256 = _opened_with(log)
        if not sha256 or _sha256_of(given) == sha256:
            return None
        file = log / BLOBS / f"sha256-{sha256}"
        text = read_limited(file, MAX_BYTES)
        profile, offer = load_unit(file)
        if not hashlib.sha256(text).hexdigest() == profile.sha256 == sha256:
            raise BadInput("it is not what its name says", where=file)
    except (CellwrightError, OSError) as error:
        say(f"the unit as batch {batch_id} was opened with cannot be had, the one given is used: "
            f"{error}")  # fmt: skip
        return None
    say(f"batch {batch_id} was opened with another version of unit {given}: it goes on with the "
        "one in its log")  # fmt: skip
    return OpenUnit(text, profile, offer)


def _opened_with(log: Path) -> str:
    """SHA-256 of the unit file a batch was opened with; empty if its log does not say."""
    for record in read_records(log):
        if record["event"] == "batch.opened":
            return str(record["data"]["profile"])
    return ""


def _sha256_of(given: str) -> str:
    try:
        return load_based(find_unit(given), UNITS).sha256
    except (BadInput, OSError):
        return ""


def sweep_regions(shm: Path, station: str, profile: Profile, say: Say) -> None:
    """Removes the regions of dead fields that hold nothing any more, or nothing for this version.

    Only with no batch open: beside one even an unreadable region may be the batch's last record.
    """

    def useless(region: Region | None) -> bool:
        return region is None or Board(region.image, profile.index).drained

    for path in sweep(station, useless, profile.plan, shm):
        say(f"memory region {path} of a dead field is removed: its records were kept, or it is of "
            "another version")  # fmt: skip


def load_links(path: Path, profile: Profile) -> tuple[dict[str, str], str]:
    """URL of every link of a unit, and the control socket of a simulated one (or empty).

    Raises BadInput with file:line for a missing, unknown or wrong link; nothing is started.
    """
    document = load(path)
    model = document.validate(_LinksModel)
    kinds = {link.name: link.kind for link in profile.links}
    for name, url in model.links.items():
        if name not in kinds:
            raise document.error(
                f"unit {profile.id} has no link {name!r}. {nearest(name, list(kinds))}",
                "links", name,
            )  # fmt: skip
        if url.startswith("opc.tcp://") != (kinds[name] == "opcua"):
            raise document.error(f"link {name} is {kinds[name]}, {url!r} is not", "links", name)
        if not url.startswith(SCHEMES):
            known = ", ".join(SCHEMES)
            raise document.error(f"{url!r} begins with none of {known}", "links", name)
    for name, url in model.links.items():
        twin = next((other for other in model.links if model.links[other] == url), name)
        if twin != name:
            raise document.error(f"links {twin} and {name} are the same line {url}", "links", name)
    missing = [name for name in kinds if name not in model.links]
    if missing:
        raise document.error(f"nothing says where {', '.join(missing)} is", "links")
    return model.links, model.control


class Ready:
    """The files in shared memory that both programs read, written again whenever they are gone."""

    def __init__(
        self, shm: Path, station: str, profile: Profile, text: bytes, say: Say
    ) -> None:  # fmt: skip
        """`text` is the unit's file as it is now: an edit during a run waits for the next."""
        self.plan = shm / f"cellwright-{station}.plan"
        self.unit = shm / f"cellwright-{station}.unit.yaml"
        self._profile, self._text, self._say = profile, text, say

    def make(self, new: bool = False) -> None:
        """Writes what is missing or unreadable; with `new` the compiled unit unless it is ours.

        Raises BadInput with `new` when there is no good one; later that is only said.
        """
        if not (self._ours() if new else self._readable()):
            try:
                planfile.write(self._profile, self.plan)
            except OSError as error:
                if new:
                    raise BadInput(
                        f"the compiled unit cannot be written: {error}", where=self.plan
                    ) from error
                self._say(f"the compiled unit {self.plan} is gone and cannot be written: {error}")
        try:
            if not self.unit.exists() or self.unit.read_bytes() != self._text:
                self.unit.write_bytes(self._text)
        except OSError as error:
            self._say(f"the unit {self.unit} cannot be written: {error}")

    def _readable(self) -> bool:
        try:
            planfile.open_file(self.plan)
        except BadInput:
            return False
        return True

    def _ours(self) -> bool:
        try:
            found, ours = planfile.open_file(self.plan), planfile.of(self._profile)
        except BadInput:
            return False
        return (found.names, found.plan_digest, found.links, found.first) == (
            ours.names, ours.plan_digest, ours.links, ours.first
        )  # fmt: skip


class Numbers:
    """The numbers of field's generations: never one twice, never a lower one, whatever the clock.

    Records name a generation, so a number that came again would make two fields one.
    """

    def __init__(self, state: StateDir, shm: Path, station: str, say: Say) -> None:
        self._state, self._shm, self._station, self._say = state, shm, station, say
        self._last = 0

    def following(self, utc_ns: int) -> int:
        """The next number, kept durably before it is used, if the disk takes it within a second."""
        try:
            regions = generations(self._station, self._shm)
        except OSError:
            regions = []
        last = max([self._last or self._state.generation(), *regions[-1:]])
        self._last = max(last + 1, min(utc_ns // NS_PER_S, GENERATION_MAX - 1))
        kept = threading.Thread(target=self._keep, args=(self._last,), daemon=True)
        kept.start()
        kept.join(KEPT_S)
        return self._last

    def _keep(self, number: int) -> None:
        try:
            self._state.keep_generation(number)
        except OSError as error:
            self._say(f"field's number {number} cannot be kept on the disk: {error}")

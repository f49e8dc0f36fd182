"""A checked unit file becomes a Plan: names to indices, quantities to canonical numbers.

Every name and dimension that crosses sections is resolved here, and each error points at its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from controller.core.based import load_based
from controller.core.errors import BadInput, nearest
from controller.core.quantity import canonical, unit_factor
from controller.core.signal import Tag
from controller.core.yamltext import Document
from controller.profile.board_compile import add_told, board_of, board_plan
from controller.profile.bounds import check_bounds
from controller.profile.causes import CauseTables
from controller.profile.device import DeviceProfile, load_device
from controller.profile.first import first_frames
from controller.profile.frames import FirstFrames
from controller.profile.link_compile import BoundDevice, compile_link
from controller.profile.link_plan import LinkPlan
from controller.profile.loop_rows import loop_rows
from controller.profile.plan import Plan, SignalKind, digest, table
from controller.profile.routes import with_routes
from controller.profile.scope import Scope
from controller.profile.synoptic import check_synoptic
from controller.profile.unit import DeviceUse, UnitModel

UNIT_OWN = (("unit", "id"), ("unit", "version"), ("unit", "title"))
"""What a unit never takes from the one it is based on."""


@dataclass(frozen=True, slots=True)
class CauseInfo:
    """What people read about a cause. `row` is its id, `safety_time_ns` its process safety time."""

    row: str
    title: str
    kind: str
    action: str
    signals: tuple[str, ...]
    safety_time_ns: int


@dataclass(frozen=True, slots=True)
class Profile:
    """One unit, compiled: the Plan, the links, and every name. Indices are positions in a tuple."""

    id: str
    version: int
    title: str
    file: str
    sha256: str
    document: Document
    model: UnitModel
    plan: Plan
    plan_digest: str
    links: tuple[LinkPlan, ...]
    tags: tuple[Tag, ...]
    signals: tuple[str, ...]
    loops: tuple[str, ...]
    outputs: tuple[str, ...]
    causes: tuple[CauseInfo, ...]
    effects: tuple[tuple[str, str], ...]
    devices: Mapping[str, DeviceProfile]
    first: Mapping[str, FirstFrames]

    def signal(self, name: str) -> int:
        """Index of a signal; raises KeyError."""
        return self.index[name]

    @property
    def index(self) -> dict[str, int]:
        """Name -> signal index."""
        return {name: i for i, name in enumerate(self.signals)}


def load_profile(path: Path, devices: Path) -> Profile:
    """Reads, checks and compiles a unit file; device files are taken from `devices`.

    A unit it is based on is looked for beside it and in `units` beside `devices`. Raises BadInput
    with file:line:column for the first fault.
    """
    return compile_unit(load_based(path, devices.parent / "units", own=UNIT_OWN), devices)


def compile_unit(document: Document, device_folder: Path) -> Profile:
    """Compiles a parsed unit file; see `load_profile`."""
    document = with_routes(document, document.validate(UnitModel))
    model = document.validate(UnitModel)
    devices = _devices(document, model, device_folder)
    board = board_of(document, model, devices)
    scope = _scope(document, model, board)
    links = _links(document, model, devices, scope)
    causes = CauseTables(scope, model)
    causes.build()
    if board is not None:
        use = model.devices[board]
        place = list(model.links).index(use.link)
        found = board_plan(scope, causes, board, devices[use.profile])
        links[place] = replace(links[place], board=found)
    if model.synoptic is not None:
        check_synoptic(document, model.synoptic, scope.names, model.actuators)
    rows = {
        "signals": scope.signal_rows,
        "blocks": scope.block_rows(),
        "terms": scope.term_rows,
        "conditions": causes.condition_rows,
        "causes": causes.cause_rows,
        "effects": causes.effect_rows,
        "loops": loop_rows(scope),
        "segments": scope.segment_rows,
        "outputs": scope.output_rows(),
        "links": scope.link_rows(),
        "unit": scope.unit_rows(),
    }
    plan = Plan(**{name: table(name, part) for name, part in rows.items()})
    check_bounds(plan)
    _protected(document, model, causes)
    return Profile(
        id=model.unit.id,
        version=model.unit.version,
        title=model.unit.title,
        file=document.file,
        sha256=document.sha256,
        document=document,
        model=model,
        plan=plan,
        plan_digest=digest(plan),
        links=tuple(links),
        tags=tuple(scope.tags),
        signals=tuple(scope.names),
        loops=tuple(model.loops),
        outputs=tuple(model.actuators),
        causes=tuple(
            CauseInfo(i.id, i.title, i.kind, i.action, i.signals, i.safety_time_ns)
            for i in causes.infos
        ),
        effects=tuple(causes.effect_names),
        devices=devices,
        first=first_frames(plan, links, tuple(model.actuators), document),
    )


def _devices(document: Document, model: UnitModel, folder: Path) -> dict[str, DeviceProfile]:
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    found: dict[str, DeviceProfile] = {}
    for name, use in model.devices.items():
        if use.profile not in known:
            raise document.error(
                f"unknown device profile {use.profile!r}. {nearest(use.profile, list(known))}",
                "devices", name, "profile",
            )  # fmt: skip
        if use.profile not in found:
            found[use.profile] = load_device(known[use.profile])
    return found


def _scope(document: Document, model: UnitModel, board: str | None) -> Scope:
    scope = Scope(document, model)
    for name, tag in model.tags.items():
        low, high = (_scaled(document, tag.unit, v, "tags", name) for v in tag.range)
        rate = scope.rate(tag.rate, "tags", name)
        max_age_ns = scope.duration(tag.max_age, "tags", name, "max_age")
        try:
            scope.add(Tag(name, scope.canonical_unit(tag.unit, "tags", name), low, high, tag.title),
                      SignalKind.INPUT, max_age_ns, rate, "tags", name)
        except ValueError as error:
            raise document.error(str(error), "tags", name) from None
    if board is not None:
        add_told(scope, board)
    scope.add_derived()
    return scope


def _scaled(document: Document, unit: str, value: float, *path: str) -> float:
    try:
        dimension, _ = unit_factor(unit)
        return canonical(f"{value} {unit}", dimension)
    except ValueError as error:
        raise document.error(str(error), *path, "unit") from None


def _fits(
    document: Document, model: UnitModel, name: str, use: DeviceUse, profile: DeviceProfile,
    scope: Scope,
) -> None:  # fmt: skip
    """A tag has the dimension of its point, an actuator the dimension and range of its write."""
    for point, tag in use.tags.items():
        found = profile.points.get(point)  # an unknown one is refused where the link is compiled
        wanted = scope.tags[scope.index[tag]].unit
        if found is not None and found.canonical_unit != wanted:
            raise document.error(
                f"{tag} is in {wanted}, but {name} measures {point} in {found.canonical_unit}",
                "tags", tag, "unit",
            )  # fmt: skip
    for target, actuator in use.actuators.items():
        write = profile.writes.get(target)
        if write is None:
            continue
        item = model.actuators[actuator]
        if write.canonical_unit != item.unit:
            raise document.error(
                f"{actuator} is in {item.unit}, but {name} takes {target} in "
                f"{write.canonical_unit}", "actuators", actuator, "unit",
            )  # fmt: skip
        factor = use.calibration.get(target, 1.0) * float(
            unit_factor(write.calibrated_unit or write.unit)[1]
        )
        low, high = write.low * factor, write.high * factor
        if not (low - 1e-9 <= item.range[0] and item.range[1] <= high + 1e-9):
            raise document.error(
                f"range {item.range[0]:g} to {item.range[1]:g} is beyond what {name} takes, "
                f"{low:g} to {high:g} {item.unit}", "actuators", actuator, "range",
            )  # fmt: skip


def _links(
    document: Document, model: UnitModel, devices: Mapping[str, DeviceProfile], scope: Scope
) -> list[LinkPlan]:
    used: dict[str, str] = {}
    bound: dict[str, list[BoundDevice]] = {name: [] for name in model.links}
    for name, use in model.devices.items():
        if use.link not in bound:
            raise document.error(
                f"unknown link {use.link!r}. {nearest(use.link, list(bound))}",
                "devices", name, "link",
            )  # fmt: skip
        for place, table_, known in (
            ("tags", use.tags, model.tags), ("actuators", use.actuators, model.actuators)
        ):  # fmt: skip
            for point, target in table_.items():
                path = ("devices", name, place, point)
                if target not in known:
                    hint = nearest(target, list(known))
                    raise document.error(f"unknown {target!r}. {hint}", *path)
                if target in used:
                    raise document.error(f"{target} is already read from {used[target]}", *path)
                used[target] = name
        profile = devices[use.profile]
        _fits(document, model, name, use, profile, scope)
        signals = {point: scope.index[tag] for point, tag in use.tags.items()}
        outputs = {w: list(model.actuators).index(a) for w, a in use.actuators.items()}
        bound[use.link].append(
            BoundDevice(name, profile, use.address, signals, outputs, use.calibration)
        )
        proofs = {w: profile.writes[w].verify.point for w in use.actuators if w in profile.writes}
        scope.claim(
            use.link, {a: use.tags.get(proofs.get(w, "")) for w, a in use.actuators.items()}
        )
    for target in (*model.tags, *model.actuators):
        if target not in used:
            section = "tags" if target in model.tags else "actuators"
            raise document.error(f"{target} belongs to no device", section, target)
    plans = []
    for link, settings in model.links.items():
        try:
            plans.append(compile_link(link, settings, bound[link]))
        except BadInput as error:
            raise document.error(f"{error.where}: {error.what}", "links", link) from None
    return plans


def _protected(document: Document, model: UnitModel, causes: CauseTables) -> None:
    for name in model.actuators:
        if name not in causes.protected:
            raise document.error(
                f"no row protects {name}: nothing would ever put it to its safe value",
                "actuators",
                name,
                do="Add it to the effects of at least one row.",
            )

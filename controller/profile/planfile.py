"""The compiled unit as one file: what field runs from, without the text it was checked in.

A line with the version, a SHA-256 over all that follows, a JSON header (links, names, first frames)
and the raw bytes of the tables. `open_file` needs no library beyond Python's own, so that the first
frames can leave before numpy is loaded; `load` adds the tables. What is wrong is a BadInput.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from controller.core.errors import BadInput
from controller.profile.frames import FirstFrames
from controller.profile.link_plan import LinkPlan

if TYPE_CHECKING:
    from controller.profile.compile import Profile
    from controller.profile.plan import Plan

MAGIC = b"cellwright plan 1\n"
BYTES_MAX = 64_000_000
_DO = "Write it again: stop the unit and start it with `cellwright run`."
_DIGEST_BYTES, _LENGTH_BYTES = 32, 8


@dataclass(frozen=True, slots=True)
class PlanNames:
    """What indices are called; a position in a tuple is the index."""

    unit: str
    version: int
    signals: tuple[str, ...]
    loops: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file whose digest is right: all but the tables, which stand in `body` as raw bytes."""

    path: str
    names: PlanNames
    plan_digest: str
    links: tuple[LinkPlan, ...]
    first: dict[str, FirstFrames]
    tables: tuple[tuple[str, str, int], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """Everything field needs of a unit. `first` is by link, for serial links that write."""

    plan: Plan
    plan_digest: str
    links: tuple[LinkPlan, ...]
    names: PlanNames
    first: dict[str, FirstFrames]


@dataclass(frozen=True, slots=True)
class _Header:
    names: PlanNames
    plan_digest: str
    links: tuple[LinkPlan, ...]
    first: tuple[tuple[str, FirstFrames], ...]
    tables: tuple[tuple[str, str, int], ...]


def of(profile: Profile) -> FieldPlan:
    """The part of a compiled unit that field needs."""
    rows = tuple(cause.row for cause in profile.causes)
    names = PlanNames(profile.id, profile.version, profile.signals, profile.loops,
                      profile.outputs, rows)  # fmt: skip
    return FieldPlan(profile.plan, profile.plan_digest, profile.links, names, dict(profile.first))


def write(profile: Profile, path: Path) -> None:
    """Writes the file whole or not at all, durably.

    Raises BadInput for a number that is not finite, OSError where nothing can be written.
    """
    found = of(profile)
    tables = [
        (name, str(array.dtype.descr), len(array))
        for name, array in zip(found.plan._fields, found.plan, strict=True)
    ]
    header = _Header(found.names, found.plan_digest, found.links, tuple(found.first.items()),
                     tuple(tables))  # fmt: skip
    try:
        text = json.dumps(_plain(header), allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise BadInput(
            "a number of its links is not finite", where=profile.file,
            do="Look for `inf` and `nan` in the factors of its device files.",
        ) from error  # fmt: skip
    rest = len(text).to_bytes(_LENGTH_BYTES, "big") + text
    rest += b"".join(array.tobytes() for array in found.plan)
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(MAGIC + hashlib.sha256(rest).digest() + rest)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def open_file(path: Path) -> PlanFile:
    """Reads and proves the file, all but its tables; raises BadInput."""
    try:
        with path.open("rb") as file:
            raw = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=path, do=_DO) from error
    if len(raw) > BYTES_MAX:
        raise BadInput(f"it has more than {BYTES_MAX} bytes", where=path, do=_DO)
    if not raw.startswith(MAGIC):
        raise BadInput("this is no compiled plan of this version", where=path, do=_DO)
    start = len(MAGIC) + _DIGEST_BYTES
    rest = raw[start:]
    if len(rest) < _LENGTH_BYTES or hashlib.sha256(rest).digest() != raw[len(MAGIC) : start]:
        raise BadInput("it is damaged: its digest does not fit", where=path, do=_DO)
    end = _LENGTH_BYTES + int.from_bytes(rest[:_LENGTH_BYTES], "big")
    try:
        header = _build(_Header, json.loads(rest[_LENGTH_BYTES:end]))
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"its header is of another shape: {error}", where=path, do=_DO) from error
    return PlanFile(str(path), header.names, header.plan_digest, header.links,
                    dict(header.first), header.tables, rest[end:])  # fmt: skip


def complete(file: PlanFile) -> FieldPlan:
    """The file with its tables; raises BadInput for tables of another layout."""
    import numpy as np

    from controller.profile.plan import TABLES, Plan, digest

    at, arrays = 0, {}
    known = [(name, str(TABLES[name].descr)) for name in Plan._fields]
    if [(name, layout) for name, layout, _ in file.tables] != known:
        raise BadInput("its tables are those of another version", where=file.path, do=_DO)
    for name, _, count in file.tables:
        size = TABLES[name].itemsize * count
        if count < 0 or at + size > len(file.body):
            raise BadInput(f"table {name} is not whole", where=file.path, do=_DO)
        arrays[name] = np.frombuffer(file.body, TABLES[name], count, at).copy()
        at += size
    plan = Plan(**arrays)
    if at != len(file.body) or digest(plan) != file.plan_digest:
        raise BadInput("its tables are not those it was made from", where=file.path, do=_DO)
    return FieldPlan(plan, file.plan_digest, file.links, file.names, file.first)


def load(path: Path) -> FieldPlan:
    """Reads, proves and completes the file; raises BadInput."""
    return complete(open_file(path))


# -- dataclasses as plain JSON, and back ----------------------------------------------------------


def _plain(value: Any) -> Any:
    """Dataclasses and tuples as lists in the order of their fields, bytes as hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if hasattr(value, "__dataclass_fields__"):
        return [_plain(getattr(value, name)) for name in value.__dataclass_fields__]
    return value


@lru_cache(maxsize=64)
def _fields(kind: Any) -> tuple[Any, ...]:
    hints = get_type_hints(kind)
    return tuple(hints[name] for name in kind.__dataclass_fields__)


def _build(kind: Any, data: Any) -> Any:
    """What `_plain` made plain, as `kind` again; raises ValueError for anything else."""
    if get_origin(kind) is UnionType:
        if data is None:
            return None
        (kind,) = [part for part in get_args(kind) if part is not NoneType]
    if kind is bytes and isinstance(data, str):
        return bytes.fromhex(data)
    if kind in (str, int, float, bool):
        if type(data) is not kind:
            raise ValueError(f"{str(data)[:40]!r} is not a {kind.__name__}")
        return data
    if not isinstance(data, list):
        raise ValueError(f"{str(data)[:40]!r} is not a list")
    parts = get_args(kind)
    if get_origin(kind) is frozenset:
        return frozenset(_build(parts[0], item) for item in data)
    if get_origin(kind) is tuple and parts[-1] is Ellipsis:
        return tuple(_build(parts[0], item) for item in data)
    if get_origin(kind) is tuple:
        return tuple(_build(part, item) for part, item in zip(parts, data, strict=True))
    return kind(*(_build(part, item) for part, item in zip(_fields(kind), data, strict=True)))

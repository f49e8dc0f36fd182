"""The memory region field and supervisor share: one file in /dev/shm a generation of field.

Field makes it and holds its lock for as long as it lives, so that a second field is refused and
everybody can tell a dead one's region. The supervisor drains what a dead field left, then unlinks.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path

from controller.core.errors import BadInput, Refused
from controller.field.image import Image, attach, create, size
from controller.field.lock import SHM
from controller.profile.plan import Plan

STATION = re.compile(r"[A-Za-z0-9_.]{1,80}")


def region_path(station: str, generation: int, folder: Path = SHM) -> Path:
    """Where a region stands. Raises BadInput for a station that cannot be part of a file name."""
    if not STATION.fullmatch(station):
        raise BadInput(f"{station[:100]!r} cannot name a station")
    return folder / f"cellwright-{station}-{generation}"


def generations(station: str, folder: Path = SHM) -> list[int]:
    """The generations of a station whose regions are there, oldest first."""
    pattern = re.compile(rf"cellwright-{re.escape(station)}-([0-9]{{1,18}})")
    found = (pattern.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


class Region:
    """One generation's region, mapped."""

    def __init__(
        self, path: Path, generation: int, descriptor: int, plan: Plan, now_ns: int
    ) -> None:
        """Used by `make` (`now_ns` >= 0: a fresh image) and `open_region` (-1: attach)."""
        self.path, self.generation = path, generation
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 0)
        self.image: Image = (
            create(plan, now_ns, generation, self._memory) if now_ns >= 0
            else attach(plan, self._memory)
        )  # fmt: skip

    @property
    def owned(self) -> bool:
        """Whether a living field holds this region."""
        return _locked(self._descriptor)

    @property
    def named(self) -> bool:
        """Whether the region still has its name: without it nobody new can attach."""
        return os.fstat(self._descriptor).st_nlink > 0

    def unlink(self) -> None:
        """Takes the region's name away; whoever has it mapped keeps it."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        """Lets the lock go. The mapping lasts as long as somebody looks at the image."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # the mapping has a descriptor of its own
        os.close(self._descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def make(station: str, plan: Plan, now_ns: int, at_least: int, folder: Path = SHM) -> Region:
    """A new generation's region, its lock held by this process.

    Its number is above every older one's and not below `at_least`: records name it, so it may
    never come twice, also after a restart of the machine. Raises Refused when a living process
    owns the station, BadInput when the region cannot be made.
    """
    try:
        older = generations(station, folder)
        for number in older:
            if is_owned(region_path(station, number, folder)):
                raise _owned(region_path(station, number, folder), station)
        generation = max([at_least, *(number + 1 for number in older)])
        path = region_path(station, generation, folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # at once: but for a glance nobody else locks it
        os.posix_fallocate(descriptor, 0, size(plan))
    except FileExistsError:
        raise _owned(path, station) from None
    except OSError as error:
        raise BadInput(
            f"the memory region cannot be made: {error.strerror}",
            where=folder,
            means="Field cannot run without it, and nothing controls the unit. The first frames "
            "have left: with a batch open the liquids are shut and the devices keep heat, stirring "
            "and gas, without one every output is at its start value.",
            do=f"Give it {size(plan) // 2**20 + 1} MiB and write permission there.",
        ) from error
    return Region(path, generation, descriptor, plan, now_ns)


def sweep(station: str, useless: Callable[[Region | None], bool], plan: Plan,
          folder: Path = SHM) -> list[Path]:  # fmt: skip
    """Removes regions that dead fields left and that are `useless`; returns what was removed.

    `useless` is shown the region, or None for one this version and profile cannot read. Each is
    locked while it is looked at: one that a living process holds is passed by.
    """
    removed = []
    for number in generations(station, folder):
        path = region_path(station, number, folder)
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = _look(station, number, plan, folder)
                drop = useless(found)
                if found is not None:
                    found.close()
                if drop:
                    path.unlink()
                    removed.append(path)
            finally:
                os.close(descriptor)
    return removed


def _look(station: str, number: int, plan: Plan, folder: Path) -> Region | None:
    try:
        return open_region(station, number, plan, folder)
    except BadInput:
        return None


def is_owned(path: Path) -> bool:
    """Whether a living process holds a region's lock; False when the region is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _locked(descriptor)
    finally:
        os.close(descriptor)


def _owned(path: Path, station: str) -> Refused:
    return Refused(
        f"a living field owns station {station}",
        where=path,
        means="Two programs must not drive one unit. Nothing was changed.",
        do="Stop the other one first, or look for it with `fuser` on that file.",
    )


def open_region(station: str, generation: int, plan: Plan, folder: Path = SHM) -> Region:
    """Attaches to a region that field has made.

    Raises BadInput when it is not there, too small, not finished, or of another version or profile.
    """
    path = region_path(station, generation, folder)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise BadInput(f"the region cannot be opened: {error.strerror}", where=path) from error
    try:
        if os.fstat(descriptor).st_size < size(plan):
            raise BadInput(
                f"the region has {os.fstat(descriptor).st_size} bytes, {size(plan)} are needed",
                where=path,
                do="Stop both programs, remove the region and start both again.",
            )
        return Region(path, generation, descriptor, plan, -1)
    except BaseException:
        os.close(descriptor)
        raise

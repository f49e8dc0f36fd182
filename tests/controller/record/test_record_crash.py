"""The machine dies after any call of the disk: nothing acknowledged is lost, every survivor opens.

One scripted batch on a watched disk gives the calls; a crash after each of them is made from the
calls before it, as often as there are seeds, and taken up by the real recovery. In a campaign every
call, in a test run twenty.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from disk_model import STYLES
from scripted_batch import LaterFiles, Script, Sweep, Witnessed, check
from virtual_disk import VirtualDisk

POINTS = 20


def scripted(scratch: Path, seed: int = 1) -> tuple[VirtualDisk, Witnessed]:
    """A whole batch, and every call it made."""
    disk = VirtualDisk(scratch / f"batch-{seed}")
    with disk.installed():
        told = Script(disk, seed).run()
    return disk, told


def some(calls: int, count: int = POINTS) -> list[int]:
    """So many calls, from the first to the last."""
    return sorted({round(number * calls / (count - 1)) for number in range(count)})


def swept(
    disk: VirtualDisk, told: Witnessed, scratch: Path, points: list[int], seeds: int
) -> Sweep:
    """Crashes after those calls, taken up and checked."""
    sweep = Sweep(scratch)
    sweep.run(disk, lambda root, calls: check(root, told, calls), points, range(seeds))
    return sweep


def test_after_a_crash_at_any_of_twenty_calls_nothing_acknowledged_is_lost(ram: Path) -> None:
    disk, told = scripted(ram)
    sweep = swept(disk, told, ram, some(disk.calls), len(STYLES))
    assert sweep.failures == []
    assert sweep.pairs == POINTS * len(STYLES)
    assert {"never began", "taken up", "sealed"} == sweep.found.keys()
    assert told.records(disk.calls) > 60
    assert len(told.commands(disk.calls)) == 6


def test_a_repair_that_crashes_is_finished_by_the_next(ram: Path) -> None:
    sweep = repaired_twice(ram, seed=1, points=POINTS)
    assert sweep.failures == []
    assert sweep.found["taken up"] > POINTS


def repaired_twice(ram: Path, seed: int, points: int | None = None) -> Sweep:
    """Crashes while the survivor of a crash is taken up; `points` of the first, None for all."""
    disk, told = scripted(ram, seed)
    outer = Sweep(ram)

    def again(root: Path, calls: int) -> str:
        second = VirtualDisk(root)
        with second.installed():
            check(root, told, calls)
        inner = Sweep(ram / "inner")
        where = some(second.calls, 6)
        inner.run(second, lambda each, _: check(each, told, calls), where, range(calls % 5, 5, 4))
        outer.failures += [f"after call {calls}: {failure}" for failure in inner.failures]
        outer.found += inner.found
        return "first crash"

    first = range(disk.calls + 1) if points is None else some(disk.calls, points)
    outer.run(disk, again, list(first), range(4, 5))
    return outer


class NeverSyncs(LaterFiles):
    """A disk layer that forgets the one call that matters."""

    def sync(self, fd: int) -> None:
        """Does not wait."""


class NoNames(LaterFiles):
    """A disk layer that forgets that a name must be made certain too."""

    def sync_dir(self, path: Path) -> None:
        """Does not wait."""


@pytest.mark.parametrize("wrong", [NeverSyncs, NoNames])
def test_the_sweep_finds_a_writer_that_does_not_wait_for_the_disk(
    ram: Path, wrong: type[LaterFiles]
) -> None:
    disk = VirtualDisk(ram / "batch")
    script = Script(disk)
    script.files = wrong(Random(1))
    with disk.installed():
        told = script.run()
    sweep = swept(disk, told, ram, some(disk.calls), len(STYLES))
    assert sweep.failures


def test_the_same_batch_makes_the_same_calls(ram: Path) -> None:
    first, _ = scripted(ram / "a")
    second, _ = scripted(ram / "b")
    kinds = [[op[0] for op in disk.journal] for disk in (first, second)]
    assert kinds[0] == kinds[1]
    assert kinds[0].count("sync") > 50


@pytest.mark.campaign
def test_campaign_crashes_after_every_call(ram: Path) -> None:
    total = Sweep(ram)
    for seed in range(1, 4):
        disk, told = scripted(ram, seed)
        sweep = swept(disk, told, ram, list(range(disk.calls + 1)), 3 * len(STYLES))
        twice = repaired_twice(ram / "twice", seed)
        for each in (sweep, twice):
            total.found += each.found
            total.failures += each.failures
        print(f"\nscript {seed}: {disk.calls} calls, {sweep.pairs} crashes, {dict(sweep.found)}; "
              f"during repair {twice.pairs}, {dict(twice.found)}")
    print(f"{total.pairs} (call, seed) pairs, {len(total.failures)} failures")
    assert total.failures == []
    assert total.pairs >= 1_000

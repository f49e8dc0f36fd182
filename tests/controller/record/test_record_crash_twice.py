"""A fault or a kill first, the log taken up in the same machine, and then the machine dies.

What a process finds in the files after another one died is what is in memory, not what is on the
disk: pages and names that were never synced, or that a failed sync has forgotten.
"""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from disk_model import STYLES
from scripted_batch import Script, Sweep, Witnessed, check
from test_record_crash import scripted
from virtual_disk import Fault, VirtualDisk

from controller.core.errors import RecordFailure

FAULTS = (("eio", False), ("eio", True), ("enospc", False), ("short", False))
EVER = 1_000_000


def gone_on(disk: VirtualDisk, told: Witnessed, seed: int) -> Witnessed | None:
    """The log of a disk taken up and used once more; None when it was sealed.

    Raises RecordFailure when it cannot be taken up.
    """
    script = Script(disk, seed)
    script.told.handed = [(0, number) for number in told.commands(EVER)]
    script.told.acknowledged = [(0, told.records(EVER))]
    try:
        with disk.installed():
            script.go_on()
            script.once_more()
    except RecordFailure as failure:
        if "is sealed" in failure.what:
            return None
        raise
    return script.told


def killed(scratch: Path, seed: int, points: list[int] | None = None) -> Sweep:
    """The process is killed after a call, another goes on, the machine dies after any of its."""
    disk, told = scripted(scratch, seed)
    model, sweep = copy.deepcopy(disk.base), Sweep(scratch)
    for calls in range(1, disk.calls + 1):
        model.apply(disk.journal[calls - 1])
        so_far = told.until(calls)
        if so_far.records(EVER) == 0 or (points is not None and calls not in points):
            continue
        root = scratch / f"killed-{calls}"
        model.present(root)
        second = VirtualDisk(root, model=copy.deepcopy(model))
        try:
            then = gone_on(second, so_far, calls)
        except RecordFailure as failure:
            sweep.failures.append(f"killed after call {calls}: {failure}")
        else:
            inner, facts = Sweep(scratch / "inner"), then or so_far
            where = list(range(calls % 3, second.calls + 1, 3))
            style = calls % len(STYLES)
            inner.run(second, lambda each, at, facts=facts: check(each, facts, at), where,
                      range(style, style + 1))  # fmt: skip
            sweep.found += inner.found
            sweep.failures += [f"killed after call {calls}: {each}" for each in inner.failures]
        shutil.rmtree(root)
    return sweep


def failed(scratch: Path, kind: str, reverted: bool, points: list[int]) -> Sweep:
    """A call fails, the log is taken up in the same machine, goes on, and the machine dies."""
    sweep = Sweep(scratch)
    for at in points:
        root = scratch / f"{kind}-{reverted}-{at}"
        disk = VirtualDisk(root, Fault(kind, at, reverted, at))
        script, outcome = Script(disk), "no failure"
        with disk.installed():
            try:
                script.run()
            except RecordFailure:
                outcome = "named failure"
            except OSError as error:
                sweep.failures.append(f"{kind} at {at} ({disk.struck}): without a name: {error}")
        facts = script.told
        if disk.struck and facts.acknowledged:
            try:
                facts = gone_on(disk, facts, at) or facts
            except RecordFailure as failure:
                sweep.failures.append(f"{kind} at {at} ({disk.struck}): taking up: {failure}")
            _crash(sweep, disk, facts, f"{kind} at {at} ({disk.struck})", outcome)
        shutil.rmtree(root)
    return sweep


def _crash(sweep: Sweep, disk: VirtualDisk, facts: Witnessed, what: str, outcome: str) -> None:
    for style in STYLES[:-1]:
        root = sweep.scratch / "after"
        disk.model.survivor(root, Random(what + style), style)
        try:
            sweep.found[f"{outcome}, then {check(root, facts, EVER)}"] += 1
        except (AssertionError, RecordFailure) as error:
            sweep.failures.append(f"{what}, {style}: {error}")
        shutil.rmtree(root)


def test_a_log_that_a_killed_process_left_is_made_certain_before_it_is_believed(ram: Path) -> None:
    disk, _ = scripted(ram / "first")
    calls = [op[0] for op in disk.journal]
    unsynced = [number for number in range(60, disk.calls) if calls[number - 1] == "write"]
    sweep = killed(ram, 1, points=unsynced[::4])
    assert sweep.failures == []
    assert sweep.pairs > 40


@pytest.mark.parametrize(("kind", "reverted"), FAULTS)
def test_after_a_failed_call_the_log_goes_on_and_survives_a_crash(
    ram: Path, kind: str, reverted: bool
) -> None:
    disk, _ = scripted(ram / "first")
    calls = [op[0] for op in disk.journal]
    points = [number for number, call in enumerate(calls, 1) if call in ("write", "sync")]
    sweep = failed(ram, kind, reverted, points[20::5])
    assert sweep.failures == []
    assert any(found.startswith("named failure, then taken up") for found in sweep.found)


@pytest.mark.campaign
def test_campaign_kills_and_faults_before_the_crash(ram: Path) -> None:
    total, failures = Counter[str](), []
    for seed in (1, 2):
        sweep = killed(ram / f"killed-{seed}", seed)
        print(f"\nkilled, then crashed, script {seed}: {sweep.pairs} pairs, {dict(sweep.found)}")
        total, failures = total + sweep.found, failures + sweep.failures
    calls = scripted(ram / "first")[0].calls
    for kind, reverted in FAULTS:
        sweep = failed(ram, kind, reverted, list(range(1, calls + 1)))
        print(f"{kind}{', memory reverted' if reverted else ''}: {dict(sweep.found)}")
        total, failures = total + sweep.found, failures + sweep.failures
    print(f"{total.total()} pairs, {len(failures)} failures")
    assert failures == []
    assert total.total() >= 1_000

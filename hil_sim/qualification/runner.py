"""One run of a stage: cases collected by pytest, executed on benches, added to the record.

A module because everything around the cases is decided here: who executes, what is qualified,
whether a run is new or goes on, and that what was not run is not passed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller._jit_cache import package_digest
from controller.core.based import load_based
from controller.core.clock import Clock
from controller.core.errors import BadInput, Refused
from controller.units import find_recipe, find_unit
from equipment_profiles import UNITS
from hil_sim.qualification import record
from hil_sim.qualification.bench import LIVE, VIRTUAL
from hil_sim.qualification.live_bench import LiveBench, station_command
from hil_sim.qualification.plugin import Case, Context, Plugin
from hil_sim.qualification.record import History, QualificationLog, Run, canonical_bytes, named
from hil_sim.qualification.requirements import Requirements, find_requirements, load_requirements
from hil_sim.qualification.virtual_bench import VirtualBench

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = Path(__file__).parent / "cases"
RECIPE = "car_t_perfusion"
OPTIONS = ("-p", "no:cacheprovider", "-p", "no:terminal", "-c", os.devnull,
           "-o", "python_files=*.py", "--import-mode=importlib", "--strict-markers")  # fmt: skip
AUTOLOAD, ADDOPTS = "PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTEST_ADDOPTS"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be executed. `unit` is a unit's id; `unit_file` the profile under test."""

    stage: str
    unit: str
    out: Path
    by: str
    select: str = ""
    unit_file: Path | None = None
    requirements: Path | None = None
    resume: bool = False
    all_virtual: bool = False
    board: str = "native"  # what plays the I/O board live


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to: verdicts by case, and the cases asked for that have none."""

    run: str
    verdicts: dict[str, str]
    not_run: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether every case asked for was executed and passed."""
        return not self.not_run and bool(self.verdicts) and set(self.verdicts.values()) == {"pass"}


def required(unit: str, given: Path | None = None) -> Requirements:
    """The requirements of a unit; raises BadInput when they are those of another."""
    found = load_requirements(find_requirements(unit, given))
    if found.unit != unit:
        raise BadInput(f"these requirements are for unit {found.unit!r}", where=found.file)
    return found


def all_cases(stage: str, requirements: Requirements) -> list[Case]:
    """Every case of a stage, collected without executing any."""
    context = Context(stage, "", "", Path(), requirements, Path(), _NoLog(), {})  # type: ignore[arg-type]
    status = _pytest(context, "--collect-only")
    if status != pytest.ExitCode.OK:
        raise BadInput(f"the cases of {stage.upper()} cannot be collected", where=CASES)
    return context.collected


def execute(order: Order, clock: Clock, say: Callable[[str], None] = print) -> Result:
    """Executes a stage and records it. Raises BadInput, Refused or RecordFailure before any case.

    A run that is interrupted (also kill -9) keeps what was recorded; `resume` goes on with it.
    """
    person = named(order.by)
    requirements = required(order.unit, order.requirements)
    unit = order.unit_file or find_unit(order.unit)
    if not unit.is_file():
        raise BadInput("there is no such unit file", where=unit)
    known = all_cases(order.stage, requirements)
    there = (order.out / "log").is_dir()
    history = record.read_history(order.out) if there else History()
    config = configuration(unit, requirements)
    log = QualificationLog(order.out, clock, order.unit)
    try:
        log.acts(person, "executor")
        before = _resumed(history, order, person, config) if order.resume else None
        run = before.id if before else record.next_run(history, order.stage)
        context = Context(
            order.stage, run, person, unit, requirements, order.out, log,
            {LIVE: lambda: LiveBench(unit, RECIPE, person, station_command(),
                                     board=order.board),
             VIRTUAL: lambda: VirtualBench(str(unit), RECIPE, person)},
            before.selection if before else order.select,
            frozenset(before.executed) if before else frozenset(),
            order.all_virtual, say, deviations=len(history.deviations), facts=config,
        )  # fmt: skip
        chosen = [case for case in known if context.chosen(case)]
        if not chosen:
            raise BadInput(f"no case matches {order.select!r}", do="Leave --select out, or see the "
                           "ids in `cellwright qualify matrix`.")  # fmt: skip
        log.add("qualification.run", run=run, stage=order.stage,
                state="resumed" if before else "begun", unit=order.unit, config=config,
                selection=context.select, cases=[case.id for case in chosen])  # fmt: skip
        _pytest(context)
        verdicts = {**{c: d["verdict"] for c, d in (before.executed if before else {}).items()},
                    **context.verdicts}  # fmt: skip
        missing = tuple(case.id for case in chosen if case.id not in verdicts)
        if not missing:
            log.add("qualification.run", run=run, stage=order.stage, state="ended",
                    unit=order.unit, config=config, selection=context.select,
                    cases=[case.id for case in chosen])  # fmt: skip
    finally:
        log.close()
    _copy(order.out, run)
    return Result(run, verdicts, missing)


def configuration(unit: Path, requirements: Requirements) -> dict[str, str]:
    """What a run is about: digests of software, profile, recipe and requirements."""
    from hashlib import sha256

    return {
        "software": package_digest(),
        "profile": load_based(unit, UNITS).sha256,
        "profile_file": unit.name,
        "recipe": sha256(find_recipe(RECIPE).read_bytes()).hexdigest(),
        "requirements": requirements.sha256,
        "requirements_version": str(requirements.version),
        "requirements_approved_by": requirements.approved_by or "nobody",
        "python": sys.version.split()[0],
    }


def _resumed(history: History, order: Order, person: str, config: dict[str, str]) -> Run:
    runs = history.of(order.stage)
    if not runs or runs[-1].ended:
        raise Refused(
            f"no {order.stage.upper()} run was interrupted here",
            do="Leave --resume out; a new run is added.",
        )
    last = runs[-1]
    if not record.same_person(last.executor, person):
        raise Refused(f"{last.id} was begun by {last.executor}", do="Who began it resumes it.")
    changed = [key for key in config if last.config.get(key) != config[key]]
    if changed:
        raise Refused(
            f"{', '.join(changed)} changed since {last.id} was begun",
            means="Its cases would not all be about the same system.",
            do="Leave --resume out; a new run is added.",
        )
    return last


def _copy(out: Path, run: str) -> None:
    """The executed protocol of the run as one JSON file for people."""
    history = record.fold(out / "log")
    found = next(one for one in history.runs if one.id == run)
    document = {
        "run": found.id, "stage": found.stage, "executor": found.executor, "unit": found.unit,
        "began": found.began, "ended": found.ended or "interrupted", "config": found.config,
        "selection": found.selection or "all", "cases": list(found.executed.values()),
        "not_run": [case for case in found.cases if case not in found.executed],
    }  # fmt: skip
    record.keep_copy(out, f"runs/{run}.json", canonical_bytes(document))


class _NoLog:
    """Collecting records nothing."""


@contextmanager
def _environment() -> Iterator[None]:
    """pytest without the options and plugins of wherever this is started."""
    before = {name: os.environ.get(name) for name in (AUTOLOAD, ADDOPTS)}
    os.environ[AUTOLOAD] = "1"
    os.environ.pop(ADDOPTS, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _pytest(context: Context, *words: str) -> int:
    files = [str(path) for path in sorted(CASES.glob(f"{context.stage}_*.py"))]
    functions = f"python_functions={context.stage}_*"
    with _environment():
        return int(pytest.main([*OPTIONS, "-o", functions, f"--rootdir={CASES}", *words, *files],
                               plugins=[Plugin(context)]))  # fmt: skip

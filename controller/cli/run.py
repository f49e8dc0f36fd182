"""`cellwright run`: checks what was given, then launches field and supervisor.

Everything that can be refused is refused before the state directory or a device is touched.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput
from controller.core.quantity import canonical
from controller.core.yamltext import load
from controller.field.lock import SHM, hold
from controller.launcher import Launcher
from controller.live import load_links
from controller.profile import planfile
from controller.recipe.load import compile_recipe
from controller.record.state import StateDir
from controller.script import load_script
from controller.station import NOTICE, find_recipe, find_unit, load_unit

USES = ("engineering",)
UNTIL_S_MAX = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """What `run` was asked for."""

    unit: str
    recipe: str
    links: Path
    state: Path
    script: Path | None = None
    until: str = ""
    use: str = "engineering"
    shm: Path = SHM
    fifo: bool = True
    watchdog: Path | None = None


def station_name(unit: str, state: Path) -> str:
    """The name of a station in its region's path: its unit and its state directory."""
    return f"{unit}.{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]}"


def run(asked: Asked) -> int:
    """Runs live; returns the exit status: 0 when the batch is complete, or Held at `until`.

    Raises BadInput for anything wrong in what was given, and Refused while a field of this station
    lives, before anything is started or changed. A batch that is open in the state directory is
    taken up again.
    """
    return prepare(asked).run()


def prepare(asked: Asked, command: Sequence[str] = ()) -> Launcher:
    """The launcher for what was asked; `command` replaces the supervisor's program in tests."""
    profile, offer = load_unit(find_unit(asked.unit))
    compile_recipe(load(find_recipe(asked.recipe)), offer)
    urls, control = load_links(asked.links, profile)
    until_s = _seconds(asked.until) if asked.until else None
    if asked.script is not None:
        load_script(asked.script)
    if asked.use not in USES:
        raise BadInput(
            f"use {asked.use!r} is refused: there are no approvals yet",
            do=f"Use {', '.join(USES)}. {NOTICE}.",
        )
    state = StateDir(asked.state)
    station = station_name(profile.id, asked.state)
    plan = asked.shm / f"cellwright-{station}.plan"
    began_ns = time.monotonic_ns()
    os.close(hold(asked.shm, station))  # refused here, before a program is started
    try:
        planfile.write(profile, plan)
    except OSError as error:
        raise BadInput(f"the compiled unit cannot be written: {error}", where=plan) from error
    field = [sys.executable, "-m", "controller.field", "--plan", str(plan), "--station", station,
             "--shm", str(asked.shm)]  # fmt: skip
    field += [word for name, url in urls.items() for word in ("--link", f"{name}={url}")]
    field += [] if asked.fifo else ["--no-fifo"]
    field += ["--watchdog", str(asked.watchdog)] if asked.watchdog is not None else []
    supervisor = [*(command or (sys.executable, "-m", "controller.cli.supervise")),
                  "--unit", asked.unit, "--recipe", asked.recipe, "--state", str(asked.state),
                  "--station", station, "--shm", str(asked.shm), "--use", asked.use,
                  "--plan", str(plan),
                  "--actor", f"unverified:{_user()}@station",
                  "--began-ns", str(began_ns)]  # fmt: skip
    supervisor += ["--control", control] if control else []
    supervisor += ["--script", str(asked.script)] if asked.script is not None else []
    if until_s is not None:
        supervisor += ["--until-ns", str(began_ns + round(until_s * NS_PER_S))]

    def batch_is_open() -> bool:
        return state.current() is not None

    return Launcher(_field_command(field, batch_is_open), lambda: supervisor, batch_is_open, _say)


def _field_command(words: list[str], batch_is_open: Callable[[], bool]) -> Callable[[], list[str]]:
    return lambda: [*words, "--batch", "open" if batch_is_open() else "none"]


def _say(text: str) -> None:
    sys.stderr.write(f"cellwright: {text}\n")
    sys.stderr.flush()


def _seconds(text: str) -> float:
    try:
        value = canonical(text, "time")
    except ValueError as error:
        raise BadInput(f"{text!r} is not a time such as 60s or 30h: {error}") from None
    if not 0 < value <= UNTIL_S_MAX:
        raise BadInput(f"{text!r} is beyond the longest run of {UNTIL_S_MAX // 86_400} days")
    return value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "console"

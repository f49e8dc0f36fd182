"""`cellwright run`: checks what was given, then launches field and supervisor.

Everything that can be refused is refused before the state directory or a device is touched.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.adopt import Adopted, adopt, find_program, hold_launcher, pids_path
from controller.cli.run_files import Numbers, Ready, open_unit
from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput, Refused
from controller.core.quantity import canonical
from controller.core.yamltext import load
from controller.field.lock import SHM, hold
from controller.launcher import Launcher
from controller.live import load_links
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
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
    lives that cannot be taken over, before anything is started or changed. A batch that is open in
    the state directory is taken up again, on the unit and with the recipe in its log.
    """
    return prepare(asked).run()


def prepare(asked: Asked, command: Sequence[str] = ()) -> Launcher:
    """The launcher for what was asked; `command` replaces the supervisor's program in tests."""
    state = StateDir(asked.state)
    open_at_start = state.current() is not None
    unit = open_unit(asked.unit, state, _say) if open_at_start else None
    profile, offer = (unit.profile, unit.offer) if unit else load_unit(find_unit(asked.unit))
    urls, control = load_links(asked.links, profile)
    until_s = _seconds(asked.until) if asked.until else None
    script = _needed(asked, offer, open_at_start)
    if asked.use not in USES:
        raise BadInput(
            f"use {asked.use!r} is refused: there are no approvals yet",
            do=f"Use {', '.join(USES)}. {NOTICE}.",
        )
    if not open_at_start:
        _writable(asked.state)
    station = station_name(profile.id, asked.state)
    began_ns = time.monotonic_ns()
    living = _take_station(asked.shm, station)  # refused here, before a program is started
    text = unit.text if unit else Path(profile.file).read_bytes()
    ready = Ready(asked.shm, station, profile, text, _say)
    ready.make(new="field" not in living)
    field = [sys.executable, "-m", "controller.field", "--plan", str(ready.plan),
             "--station", station, "--shm", str(asked.shm)]  # fmt: skip
    field += [word for name, url in urls.items() for word in ("--link", f"{name}={url}")]
    field += [] if asked.fifo else ["--no-fifo"]
    field += ["--watchdog", str(asked.watchdog)] if asked.watchdog is not None else []
    supervisor = [*(command or (sys.executable, "-m", "controller.cli.supervise")),
                  "--unit", str(ready.unit), "--recipe", asked.recipe,
                  "--state", str(asked.state),
                  "--station", station, "--shm", str(asked.shm), "--use", asked.use,
                  "--plan", str(ready.plan),
                  "--actor", f"unverified:{_user()}@station",
                  "--began-ns", str(began_ns)]  # fmt: skip
    supervisor += ["--control", control] if control else []
    supervisor += ["--script", str(script)] if script is not None else []
    if until_s is not None:
        supervisor += ["--until-ns", str(began_ns + round(until_s * NS_PER_S))]
    numbers = Numbers(state, asked.shm, station, _say)

    def batch_is_open() -> bool:
        return state.current() is not None

    def field_command() -> list[str]:
        ready.make()
        batch = "open" if batch_is_open() else "none"
        return [*field, "--at-least", str(numbers.following(time.time_ns())), "--batch", batch]

    def supervisor_command() -> list[str]:
        ready.make()
        return supervisor

    return Launcher(field_command, supervisor_command, batch_is_open, _say,
                    pids_path(asked.shm, station), living)  # fmt: skip


def _writable(path: Path) -> None:
    """Raises BadInput for a state directory nobody could write a record into."""
    there = path
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise BadInput(
            f"the state directory cannot be written: {there} is no directory one may write in",
            where=path,
            do="Choose another --state, or give this user the right to write there.",
        )


def _needed(asked: Asked, offer: Offer, batch_is_open: bool) -> Path | None:
    """Checks recipe and script; the script to use. With a batch open neither keeps field back."""
    script = asked.script
    try:
        if script is not None:
            load_script(script)
    except BadInput as error:
        if not batch_is_open:
            raise
        script = None
        _say(f"the script is left out, a batch is open and goes on without it: {error}")
    try:
        compile_recipe(load(find_recipe(asked.recipe)), offer)
    except BadInput as error:
        if not batch_is_open:
            raise
        _say(f"the open batch goes on with its own recipe; the one given is wrong: {error}")
    return script


def _take_station(shm: Path, station: str) -> dict[str, Adopted]:
    """Takes the launcher's lock, for as long as this process lives; programs that go on alone.

    Raises Refused while another launcher lives, or a field that no launcher's file names.
    """
    lock = hold_launcher(shm, station)
    living = adopt(shm, station)
    if "field" not in living:
        try:
            os.close(hold(shm, station))
        except Refused as error:
            os.close(lock)
            pid = find_program("field", station)
            do = f"It is process {pid}. {error.do}" if pid else error.do
            raise Refused(error.what, where=error.where, means=error.means, do=do) from None
        except BadInput:
            os.close(lock)
            raise
    return living


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

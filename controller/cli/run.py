"""`cellwright run`: checks what was given, then launches field and supervisor.

Everything that can be refused is refused before the state directory or a device is touched.
"""

from __future__ import annotations

import getpass
import hashlib
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.adopt import Adopted, adopt, find_program, hold_launcher, pids_path
from controller.cli.hearing import NOBODY_HEARS, Hearing
from controller.cli.outside import NOBODY, Outside
from controller.cli.run_files import Numbers, Ready, load_links, open_unit, sweep_regions
from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput, Refused
from controller.core.quantity import canonical
from controller.core.yamltext import load
from controller.field.lock import SHM, hold
from controller.launcher import Launcher
from controller.profile.compile import Profile
from controller.recipe.check import plant_of, refuse
from controller.recipe.load import compile_recipe
from controller.recipe.offer import Offer
from controller.record.state import UNREADABLE, StateDir
from controller.record.token import TokenKey, TokenUri
from controller.script import load_script
from controller.station import NOTICE
from controller.units import find_recipe, find_unit, load_unit

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
    screen: str = ""  # HOST:PORT to serve the operator's screen at
    http: bool = False
    demo: bool = False
    device_key: str = ""  # URI of a token; empty: a file in the state directory
    outside: Outside = NOBODY
    hearing: Hearing = NOBODY_HEARS


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
    state = StateDir.live(asked.state, asked.shm)
    found = state.current()
    open_at_start = found is not None
    unit = open_unit(asked.unit, state, _say) if open_at_start else None
    profile, offer = (unit.profile, unit.offer) if unit else load_unit(find_unit(asked.unit))
    urls, control = load_links(asked.links, profile)
    demo = asked.demo and _simulated(control, asked.links, open_at_start)
    until_s = _seconds(asked.until) if asked.until else None
    script = _needed(asked, profile, offer, open_at_start)
    if asked.use not in USES:
        raise BadInput(
            f"use {asked.use!r} is refused: there are no approvals yet",
            do=f"Use {', '.join(USES)}. {NOTICE}.",
        )
    if not open_at_start:
        _writable(asked.state)
    _answers(asked.device_key, open_at_start)
    outside = asked.outside.checked(_say if open_at_start else None)
    hearing = asked.hearing.checked(_say if open_at_start else None)
    station = station_name(profile.id, asked.state)
    began_ns = time.monotonic_ns()
    living = _take_station(asked.shm, station, None if open_at_start else profile)
    _say_open(state, found)
    text = unit.text if unit else profile.document.raw
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
    supervisor += ["--screen", asked.screen] if asked.screen else []
    supervisor += ["--http"] if asked.http else []
    supervisor += ["--demo"] if demo else []
    supervisor += ["--device-key", asked.device_key] if asked.device_key else []
    supervisor += outside.words() + hearing.words()
    supervisor += ["--script", str(script)] if script is not None else []
    if until_s is not None:
        supervisor += ["--until-ns", str(began_ns + round(until_s * NS_PER_S))]
    numbers = Numbers(state, asked.shm, station, _say)

    def batch_is_open() -> bool:
        return state.marked or state.current() is not None  # heat waits for no disk

    def field_command() -> list[str]:
        ready.make()
        batch = "open" if batch_is_open() else "none"
        return [*field, "--at-least", str(numbers.following(time.time_ns())), "--batch", batch]

    def supervisor_command() -> list[str]:
        ready.make()
        return supervisor

    def reserve_command() -> list[str]:
        ready.make()
        return [sys.executable, "-m", "controller.field.reserve", "--plan", str(ready.plan),
                "--station", station]  # fmt: skip

    return Launcher(field_command, supervisor_command, batch_is_open, _say,
                    pids_path(asked.shm, station), living, reserve_command)  # fmt: skip


def screen_at(host: str, port: int, http: bool) -> str:
    """`HOST:PORT` of a screen, port 0 = any free one.

    Raises BadInput for a name, and for plain HTTP on any but a loopback address.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadInput(f"{host[:80]!r} is no IP address of this machine") from None
    if http and not address.is_loopback:
        raise BadInput(
            f"plain HTTP is refused at {host}: passwords would cross the network",
            do="Leave --http out, or use 127.0.0.1.",
        )
    return f"{address}:{port or _free_port(str(address))}"


def _free_port(address: str) -> int:
    """A port for the whole run: browsers find a supervisor that was started again at the same."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as line:
        line.bind((address, 0))
        return int(line.getsockname()[1])


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


def _answers(device_key: str, batch_is_open: bool) -> None:
    """Raises BadInput for a wrong URI, Refused for a token that does not sign. With a batch open
    nothing is asked of it, and neither keeps field back."""
    try:
        key = TokenKey(TokenUri.parse(device_key)) if device_key else None
    except BadInput as error:
        if not batch_is_open:
            raise
        _say(f"the open batch goes on, and no other can be opened after it: {error}")
        return
    if key is not None and not batch_is_open:
        _say(f"the device key is {key.verifier}")


def _needed(asked: Asked, profile: Profile, offer: Offer, batch_is_open: bool) -> Path | None:
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
        refuse(compile_recipe(load(find_recipe(asked.recipe)), offer), plant_of(profile))
    except BadInput as error:
        if not batch_is_open:
            raise
        where = f"{error.where}: " if error.where else ""
        _say("the open batch goes on with its own recipe; the one given is wrong: "
             f"{where}{error.what}")  # fmt: skip
    return script


def _simulated(control: str, links: Path, batch_is_open: bool) -> bool:
    """Whether demo accounts may be: raises BadInput where the links lead to real devices, and
    leaves them out where a batch is open."""
    if control:
        return True
    if batch_is_open:
        _say("--demo is left out, these devices are not simulated; the open batch goes on")
        return False
    raise BadInput(
        "--demo is refused: these devices are not simulated, and anybody could log in",
        where=links, do="Leave --demo out, and add users: see docs/people.md.",
    )  # fmt: skip


def _say_open(state: StateDir, found: str | None) -> None:
    """Makes an open batch known in shared memory; says when its directory is not the one given."""
    if found == UNREADABLE and state.missing():
        _say(f"batch {state.missing()} is open, and {state.path} does not hold it: is its disk "
             "mounted? Field goes on as with a batch open, liquids shut; nothing is recorded "
             "before it is back. Only when no cells are in the vessel: remove "
             f"{state.twin}")  # fmt: skip
    elif found is not None and found != UNREADABLE:
        state.mark(found)


def _take_station(shm: Path, station: str, sweep_for: Profile | None) -> dict[str, Adopted]:
    """Takes the launcher's lock, for as long as this process lives; programs that go on alone.

    Regions nobody needs are removed while no field can start. Raises Refused while another launcher
    lives, or a field that no launcher's file names.
    """
    lock = hold_launcher(shm, station)
    living = adopt(shm, station)
    if "field" not in living:
        try:
            alone = hold(shm, station)
            if sweep_for is not None:
                sweep_regions(shm, station, sweep_for, _say)
            os.close(alone)
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
    if value <= 0:
        raise BadInput(
            f"{text!r} is not after the start", do="Give --until a time such as 60s or 30h."
        )
    if value > UNTIL_S_MAX:
        raise BadInput(f"{text!r} is beyond the longest run of {UNTIL_S_MAX // 86_400} days")
    return value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "console"

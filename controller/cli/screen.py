"""The screen of a run: people, accounts, and the face that is served.

With a batch open nothing here may keep the supervisor from taking it up: what cannot be had is
said, and the batch goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.core.clock import Stamp
from controller.core.errors import BrokenInvariant, CellwrightError, Refused
from controller.core.events import Event
from controller.hmi.screen import Screen, ScreenOptions
from controller.live import LiveRun, live_batch_id
from controller.opening import Opening
from controller.people.demo import (
    USERS,
    WARNING,
    add_demo_users,
    disable_demo_users,
    open_demo_users,
)
from controller.people.people import FILE, FOLDER, People
from controller.record.state import StateDir
from controller.units import find_recipe

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScreenAsked:
    """The screen as `run` was asked for it. `at` is HOST:PORT, empty for none."""

    at: str = ""
    http: bool = False
    demo: bool = False


def people_of(
    asked: ScreenAsked, state: StateDir, stamp: Stamp, say: Say
) -> tuple[People | None, list[Event]]:
    """Who may log in, with what is to be recorded of demo accounts; None where nobody ever did.

    Raises Refused for demo accounts beside real ones, or without --demo, while no batch is open;
    with one open, those whose password anybody can read are disabled.
    """
    if not asked.at and not (state.path / FOLDER / FILE).exists():
        return None, []
    people = People(state.path, anyway=True)
    if people.closed:
        say(f"nobody can log in, Hold works and the unit goes on: {people.closed}")
        return people, []
    try:
        if asked.demo:
            return people, add_demo_users(people, stamp)
        return people, _without_demo(people, state, stamp, say)
    except CellwrightError as error:
        if state.current() is None:
            people.close()
            raise
        say(f"no demo accounts, a batch is open and goes on: {error}")
        return people, []


def _without_demo(people: People, state: StateDir, stamp: Stamp, say: Say) -> list[Event]:
    """Nobody may log in with a password that is printed; the records of it."""
    found = ", ".join(account.user for account in open_demo_users(people))
    if not found:
        return []
    if state.current() is None:
        raise Refused(
            f"anybody can log in here: demo accounts are enabled: {found}",
            where=state.path / FOLDER,
            do="Add --demo for simulated units, or take another state directory.",
        )
    events = disable_demo_users(people, stamp)
    say(f"a batch is open and --demo is not given: the demo accounts were disabled: {found}")
    return events


def serve_screen(
    asked: ScreenAsked, live: LiveRun, recipe: str, use: str, simulated: bool, stamp: Stamp
) -> Screen:
    """The screen, served: from now on people open batches there.

    Raises BadInput for a wrong recipe or an address that cannot be had; with a batch open that is
    said, and the screen tries again by itself.
    """
    station, host = live.station, asked.at.rpartition(":")[0]
    people = station.supervisor.requests.people
    if people is None:
        raise BrokenInvariant("a screen is served at a station without people")
    options = ScreenOptions(host, int(asked.at.rpartition(":")[2]), not asked.http,
                            demo=asked.demo, simulated=simulated)  # fmt: skip
    face = Screen(station, people, options)
    station.supervisor.requests.opener = Opening(
        station, use, _recipes(live, recipe), live_batch_id, live.missing, live.opened
    )
    missing = face.start(stamp, anyway=bool(live.batch_id))
    if not face.url:
        live.said(f"the batch goes on without a screen, which is tried again: {missing}")
        return face
    live.said(f"screen: {face.url}   certificate sha256 {face.fingerprint or 'none, plain HTTP'}")
    if missing:
        live.said(missing)
    if asked.demo:
        tell_demo(live.said)
    else:
        _tell_code(people, live)
    return face


def _tell_code(people: People, live: LiveRun) -> None:
    """Where the code for the first admin is, as long as nobody logged in."""
    try:
        code = people.first_code()
    except CellwrightError as error:
        if not live.batch_id:
            raise
        live.said(str(error))
        return
    if code is not None:
        live.said(f"nobody can log in yet: the code for the first admin is in {code}")


def tell_demo(say: Say) -> None:
    """Who the demo users are, and that anybody can be one."""
    say(WARNING)
    for user in USERS:
        say(f"  {user.user:8} {user.role:10} password: '{user.password}'")


def _recipes(live: LiveRun, recipe: str) -> Callable[[], dict[str, Path]]:
    """What can be opened at the screen, by id.

    Where a batch runs on its own a wrong recipe is said, and looked at again at the next opening.
    """
    found: dict[str, Path] = {}

    def known() -> dict[str, Path]:
        if not found:
            path = find_recipe(recipe)
            found[live.station.load_recipe(path).id] = path
        return found

    try:
        known()
    except CellwrightError as error:
        if not live.batch_id:
            raise
        live.said(f"the open batch goes on with its own recipe; the one given is wrong, and looked "
                  f"at again when the next one is opened: {_in_short(error)}")  # fmt: skip
    return known


def _in_short(error: CellwrightError) -> str:
    """What and where; not that nothing was started."""
    return f"{error.where}: {error.what}" if error.where else error.what

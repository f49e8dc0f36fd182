"""The screen of a run: people, accounts, and the face that is served.

With a batch open nothing here may keep the supervisor from taking it up: what cannot be had is
said, and the batch goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.core.clock import Stamp
from controller.core.errors import BrokenInvariant, CellwrightError
from controller.core.events import Event
from controller.hmi.screen import Screen, ScreenOptions
from controller.live import LiveRun, live_batch_id
from controller.opening import Opening
from controller.people.demo import USERS, WARNING, add_demo_users
from controller.people.people import FILE, FOLDER, People
from controller.record.state import StateDir
from controller.station import find_recipe

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
    """Who may log in, with what is to be recorded of new demo accounts; None where nobody ever did.

    Raises Refused for demo accounts beside real ones while no batch is open.
    """
    if not asked.at and not (state.path / FOLDER / FILE).exists():
        return None, []
    people = People(state.path, anyway=True)
    if people.closed:
        say(f"nobody can log in, Hold works and the unit goes on: {people.closed}")
        return people, []
    try:
        return people, add_demo_users(people, stamp) if asked.demo else []
    except CellwrightError as error:
        if state.current() is None:
            raise
        say(f"no demo accounts, a batch is open and goes on: {error}")
        return people, []


def serve_screen(
    asked: ScreenAsked, live: LiveRun, recipe: str, use: str, simulated: bool, stamp: Stamp
) -> Screen | None:
    """The screen, served: from now on people open batches there.

    Raises BadInput for a wrong recipe or an address that cannot be had; with a batch open that is
    said, and None is returned.
    """
    station, host = live.station, asked.at.rpartition(":")[0]
    people = station.supervisor.requests.people
    if people is None:
        raise BrokenInvariant("a screen is served at a station without people")
    options = ScreenOptions(host, int(asked.at.rpartition(":")[2]), not asked.http,
                            demo=asked.demo, simulated=simulated)  # fmt: skip
    face = Screen(station, people, options)
    try:
        station.supervisor.requests.opener = Opening(
            station, use, _recipes(live, recipe), live_batch_id, live.missing, live.opened
        )
        face.start(stamp)
    except CellwrightError as error:
        if not live.batch_id:
            raise
        live.said(f"the batch goes on without a screen: {error}")
        return None
    live.said(f"screen: {face.url}   certificate sha256 {face.fingerprint or 'none, plain HTTP'}")
    if asked.demo:
        tell_demo(live.said)
    elif code := people.first_code():
        live.said(f"nobody has an account: the code for the first admin is in {code}")
    return face


def tell_demo(say: Say) -> None:
    """Who the demo users are, and that anybody can be one."""
    say(WARNING)
    for user in USERS:
        say(f"  {user.user:8} {user.role:10} {user.password}")


def _recipes(live: LiveRun, recipe: str) -> dict[str, Path]:
    """What can be opened at the screen, by id; nothing, said, where a batch runs on its own."""
    try:
        path = find_recipe(recipe)
        return {live.station.load_recipe(path).id: path}
    except CellwrightError as error:
        if not live.batch_id:
            raise
        live.said(f"the open batch goes on with its own recipe; the one given is wrong: {error}")
        return {}

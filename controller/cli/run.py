"""`cellwright run`: one unit, one recipe, real links, until the batch ends or a time is over.

Everything that can be refused is refused before the state directory or a device is touched.
"""

from __future__ import annotations

import getpass
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from controller.cli.run_view import LinesFace, screen
from controller.core.clock import RealClock
from controller.core.errors import BadInput
from controller.core.quantity import canonical
from controller.core.yamltext import load
from controller.field.realtime import LiveField, warm
from controller.live import (
    LiveRun,
    ScriptFace,
    live_batch_id,
    load_links,
    quiet_libraries,
    refuse_open_batch,
)
from controller.recipe.load import compile_recipe
from controller.recipe.states import COMPLETE, HELD
from controller.record.files import DurableFiles
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.script import NoHands, Script, ScriptedOperator, load_script
from controller.station import NOTICE, BatchOrder, Station, find_recipe, find_unit, load_unit

USES = ("engineering",)
UNTIL_S_MAX = 30 * 86_400


def run(
    unit: str,
    recipe: str,
    links: Path,
    state: Path,
    script: Path | None = None,
    until: str | None = None,
    *,
    use: str = "engineering",
) -> int:
    """Runs live; returns the exit status: 0 when the batch is complete, or Held at `until`.

    Raises BadInput for anything wrong in what was given, and for a state directory with an open
    batch, before anything is started or changed.
    """
    profile, offer = load_unit(find_unit(unit))
    recipe_path = find_recipe(recipe)
    control_recipe = compile_recipe(load(recipe_path), offer)
    urls, control = load_links(links, profile)
    until_s = None if until is None else _seconds(until)
    program = None if script is None else load_script(script)
    if use not in USES:
        raise BadInput(
            f"use {use!r} is refused: there are no approvals yet",
            do=f"Use {', '.join(USES)}. {NOTICE}.",
        )
    state_dir = StateDir(state)
    refuse_open_batch(state_dir, profile.id)
    warm(profile.plan)
    quiet_libraries()
    clock = RealClock()
    stamp = clock.stamp()
    keys = Keys.in_directory(state_dir.keys)
    station = Station(profile, offer, state_dir, keys, DurableFiles(), stamp)
    live = LiveRun(station, LiveField(profile, station.bound, urls), clock)
    actor = f"unverified:{_user()}@station"
    order = BatchOrder(
        live_batch_id(stamp, control_recipe.id), use, "none: engineering run",
        "as scanned in the first phase", actor=actor,
    )  # fmt: skip
    console = Console()
    with ExitStack() as stack:
        if program is not None:
            live.faces.append(_script_face(program, station, control, stamp.mono_ns))
        if console.is_terminal and sys.stdin.isatty():
            live.faces.append(stack.enter_context(screen(live, console, actor)))
        else:
            live.faces.append(LinesFace(live, console))
        live.run(control_recipe, recipe_path, order, until_s)
    counts = live.field.counts
    console.print(
        f"batch {live.batch_id}: {live.state}; {counts.scans} scans, {counts.missed} missed; "
        f"log {state_dir.batch_log(live.batch_id)}", highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 0 if live.state in (COMPLETE, HELD) else 1


def _script_face(program: Script, station: Station, control: str, start_ns: int) -> ScriptFace:
    """A scripted operator; its hands reach the vessel only where a simulated unit offers them."""
    if not control:
        operator = ScriptedOperator(program, station.supervisor, NoHands(), start_ns)
        return ScriptFace(operator, station.supervisor.record)
    from hil_sim.rig.remote import Control, remote_hands

    hands = remote_hands(Control(Path(control)))
    operator = ScriptedOperator(program, station.supervisor, hands, start_ns)
    return ScriptFace(operator, station.supervisor.record, hands.tick)


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

"""The supervisor program: attaches to field, takes up the batch that is open or opens one, runs it.

It may be killed at any instruction. What its logs hold is all there is; the next one starts from
them and from what waits in field's rings. Started by the launcher, not by people.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from controller.attachment import Attached, Attachment
from controller.cli.hearing import Hearing
from controller.cli.outside import Outside, watched
from controller.cli.run_view import LinesFace, screen
from controller.cli.screen import ScreenAsked, people_of, serve_screen
from controller.core.clock import RealClock
from controller.core.errors import CellwrightError, Refused
from controller.field.lock import SHM
from controller.launcher import DONE, DONE_NOT_COMPLETE
from controller.live import Ended, LiveRun, ScriptFace, live_batch_id, wait_for_field
from controller.mirror import Mirror
from controller.profile import planfile
from controller.profile.compile import Profile
from controller.recipe.states import COMPLETE, HELD
from controller.record.keys import Keys
from controller.record.patient import PatientFiles
from controller.record.state import StateDir
from controller.record.token import token_key
from controller.script import NoHands, ScriptedOperator, load_script
from controller.station import BatchOrder, Station
from controller.units import find_recipe, find_unit, load_unit

Lines = Callable[[LiveRun, Console], LinesFace]  # makes the face that tells a run line by line


def arguments(argv: list[str]) -> argparse.Namespace:
    """The launcher's orders."""
    parser = argparse.ArgumentParser(prog="supervise")
    for name in ("unit", "recipe", "station", "actor", "use"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True, help="the compiled unit field runs")
    parser.add_argument("--shm", type=Path, default=SHM)
    parser.add_argument("--script", type=Path, default=None)
    parser.add_argument("--control", type=Path, default=None, help="control socket of a simulation")
    parser.add_argument("--screen", default="", metavar="HOST:PORT", help="serve the screen")
    parser.add_argument("--http", action="store_true", help="the screen without TLS")
    parser.add_argument("--demo", action="store_true", help="demo accounts")
    parser.add_argument("--device-key", default="", help="URI of a token that certifies")
    Outside.add_to(parser)
    Hearing.add_to(parser)
    parser.add_argument("--began-ns", type=int, default=-1)
    parser.add_argument("--until-ns", type=int, default=None)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None, lines: Lines = LinesFace) -> None:
    """Runs one supervisor; the exit status tells the launcher whether the run has ended."""
    asked = arguments(sys.argv[1:] if argv is None else argv)
    console = Console()
    try:
        state = run(asked, console, lines)
    except CellwrightError as error:
        Console(stderr=True).print(f"[bold]{escape(str(error))}[/bold]", soft_wrap=True)
        sys.exit(error.exit_code)
    except Ended as ended:  # recorded; then it dies of the signal as any time
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)
        return
    sys.exit(DONE if state in (COMPLETE, HELD, "") else DONE_NOT_COMPLETE)


def attach(asked: argparse.Namespace) -> tuple[LiveRun, BatchOrder, list[Attached]]:
    """The station on the living field, with its run and what dead fields left.

    Raises CellwrightError for what is refused; then nothing was recorded.
    """
    profile, offer = load_unit(find_unit(asked.unit))
    same_unit(asked.plan, profile)
    clock = RealClock()
    attachment = Attachment(asked.station, profile, asked.shm)
    living, dead = wait_for_field(attachment, clock)
    state = StateDir.live(asked.state, asked.shm)
    stamp = clock.stamp()
    people, joined = people_of(screen_asked(asked), state, stamp, _say)
    station = Station(
        profile, offer, state, _keys(asked, state), PatientFiles(), stamp, living.board, people,
        PatientFiles(),
    )  # fmt: skip
    for event in joined:
        station.supervisor.record_station(event)
    run_ = LiveRun(station, attachment, clock, asked.began_ns)
    order = BatchOrder(
        live_batch_id(stamp, asked.recipe), asked.use, "none: engineering run",
        "as scanned in the first phase", actor=asked.actor,
    )  # fmt: skip
    return run_, order, dead


def _keys(asked: argparse.Namespace, state: StateDir) -> Keys:
    """The keys of the station. A wrong URI of a token stops no open batch, it begins no other."""
    return Keys.in_directory(state.keys, PatientFiles(), token_key(asked.device_key))


def screen_asked(asked: argparse.Namespace) -> ScreenAsked:
    """What was asked for of the screen."""
    return ScreenAsked(asked.screen, asked.http, asked.demo)


def _say(text: str) -> None:
    sys.stderr.write(f"cellwright: {text}\n")
    sys.stderr.flush()


def same_unit(plan: Path, profile: Profile) -> None:
    """Raises Refused when the unit file is no longer the one field runs: names would be wrong."""
    ours, fields = planfile.of(profile), planfile.open_file(plan)
    if (ours.names, ours.plan_digest, ours.links) != (
        fields.names, fields.plan_digest, fields.links
    ):  # fmt: skip
        raise Refused(
            f"{profile.file} was changed while field runs",
            means="Field goes on with the unit as it was. Nothing is recorded under wrong names.",
            do="Put the file back, or end the run and start it again.",
        )


def run(asked: argparse.Namespace, console: Console, lines: Lines = LinesFace) -> str:
    """Takes up or opens the batch and runs it; the state of its procedure at the end, empty where
    a screen was served and nobody opened one."""
    live, order, dead = attach(asked)
    station = live.station
    live.said = console.print
    for number in (signal.SIGINT, signal.SIGTERM):  # the launcher says who asked; see LiveRun.end
        signal.signal(number, lambda number, _frame: live.end(number))
    with ExitStack() as stack:
        if console.is_terminal and sys.stdin.isatty():
            live.faces.append(stack.enter_context(screen(live, console, asked.actor)))
        else:
            live.faces.append(lines(live, console))
        live.watch = watched(Outside.of(asked), station, RealClock(), _say)
        mirror = Mirror(station)
        stack.callback(mirror.close)
        live.faces.append(mirror)
        heard = Hearing.of(asked).made(station.supervisor)
        stack.callback(heard.close)
        live.faces.append(heard)
        if station.found_open:
            live.take_up(dead)
        elif live.restarted:
            live.start_cold()
        if asked.script is not None:
            live.faces.insert(0, script_face(asked, live))
        if asked.screen:
            if not live.batch_id:
                live.record_dead(dead)
            face = serve_screen(
                screen_asked(asked), live, asked.recipe, asked.use, asked.control is not None,
                RealClock().stamp(),
            )  # fmt: skip
            stack.callback(face.close)
            live.faces.append(face)
        elif not live.batch_id:
            path = find_recipe(asked.recipe)
            live.open(station.load_recipe(path), path, order, dead, asked.until_ns)
        live.run(order, asked.until_ns, one_batch=not asked.screen)
    beat = station.board.image.beat[0]
    if not live.batch_id:
        console.print(f"no batch was opened; {int(beat['scans'])} scans, "
                      f"{int(beat['missed'])} missed", highlight=False)  # fmt: skip
        return ""
    console.print(
        f"batch {live.batch_id}: {live.state}; {int(beat['scans'])} scans, "
        f"{int(beat['missed'])} missed; log {station.state_dir.batch_log(live.batch_id)}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    return live.state


def script_face(asked: argparse.Namespace, live: LiveRun) -> ScriptFace:
    """A scripted operator; its hands reach the vessel only where a simulated unit offers them."""
    program, supervisor = load_script(asked.script), live.station.supervisor
    now_ns = time.monotonic_ns()
    if asked.control is None:
        operator = ScriptedOperator(program, supervisor, NoHands(), live.began_ns)
        operator.resume(now_ns)
        return ScriptFace(operator, supervisor.record)
    from hil_sim.rig.remote import Control, remote_hands

    hands = remote_hands(Control(asked.control))
    operator = ScriptedOperator(program, supervisor, hands, live.began_ns)
    operator.resume(now_ns)
    return ScriptFace(operator, supervisor.record, hands.tick)


if __name__ == "__main__":
    main()

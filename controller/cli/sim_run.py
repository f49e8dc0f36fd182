"""`cellwright sim run`: devices, station and screen in one command, live or faster than life.

At speed 1 everything is real but the plant: served devices in a process of their own, field and
supervisor as `cellwright run` starts them. Faster, one process moves virtual time behind the same
screen, and a scripted operator answers.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from controller.cli.outside import NOBODY, Outside
from controller.cli.run import Asked, run, screen_at
from controller.cli.screen import tell_demo
from controller.core.clock import RealClock
from controller.core.errors import BadInput
from controller.field.lock import SHM
from controller.hmi.screen import Screen, ScreenOptions
from controller.people.demo import add_demo_users
from controller.people.people import People
from hil_sim.rig.paced import SPEED_MAX, Paced
from hil_sim.rig.rig import FOUND_NS, Rig
from hil_sim.rig.serving import served

HANDS = Path(__file__).parents[2] / "hil_sim" / "rig" / "hands.yaml"
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class SimAsked:
    """What `sim run` was asked for."""

    unit: str
    recipe: str
    speed: float
    seed: int
    out: Path
    host: str
    port: int
    http: bool
    demo: bool
    outside: Outside = NOBODY


def sim_run(asked: SimAsked) -> int:
    """Runs until Ctrl-C; the exit status. Raises BadInput for what cannot be had.

    Every run has a state directory of its own: a simulated vessel begins empty each time.
    """
    if not 1.0 <= asked.speed <= SPEED_MAX:
        raise BadInput(f"a speed of {asked.speed:g} is not between 1 and {SPEED_MAX:g}")
    asked.outside.checked(None)
    if asked.outside.any and asked.speed > 1.0:
        raise BadInput("a run faster than life has no witness: nobody else lives in its time",
                       do="Leave --witness and --tsa out, or run at --speed 1.")  # fmt: skip
    at = screen_at(asked.host, asked.port, asked.http)
    began = RealClock().stamp().rfc3339()[:19].replace(":", "").replace("-", "")
    state = asked.out / began
    state.mkdir(parents=True)
    _say(f"state directory: {state}")
    if asked.speed > 1.0:
        return _virtual(asked, state)
    with (
        tempfile.TemporaryDirectory(prefix="cellwright-", dir=SHM if SHM.is_dir() else None) as tmp,
        served(Path(tmp) / "links.yaml", asked.seed, asked.unit),
    ):
        return run(Asked(
            asked.unit, asked.recipe, Path(tmp) / "links.yaml", state, HANDS, screen=at,
            http=asked.http, demo=asked.demo, outside=asked.outside,
        ))  # fmt: skip


def _virtual(asked: SimAsked, state: Path) -> int:
    stopping: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stopping.append(number)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    people = People(state, pace=asked.speed)
    rig = Rig(state, seed=asked.seed, unit=asked.unit, recipe=asked.recipe, people=people,
              epoch_ns=time.time_ns())  # fmt: skip
    for event in add_demo_users(people, rig.clock.stamp()) if asked.demo else []:
        rig.supervisor.record_station(event)
    while rig.clock.now_ns < FOUND_NS:
        rig.step(FOUND_NS)
    rig.start()
    options = ScreenOptions(asked.host, asked.port, not asked.http, demo=asked.demo,
                            speed=asked.speed, simulated=True)  # fmt: skip
    screen = Screen(rig.station, people, options)
    screen.start(rig.clock.stamp())
    _say(f"screen: {screen.url}\n{asked.speed:g} times faster than life")
    if asked.demo:
        tell_demo(_say)
    paced = Paced(rig, asked.speed, time.monotonic_ns)
    while not stopping:
        stamp = paced.turn()
        screen.speed = paced.speed
        screen.turn(stamp)
        time.sleep(PAUSE_S)
    screen.close()
    rig.finish()
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

"""A rig behind the screen, for whoever writes or looks at its pages: `python tests/hmi_rig.py`.

Opens no batch unless asked (`--batch opened` or `running`): the screen does. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from controller.asking import Request
from controller.core.clock import Stamp, VirtualClock
from controller.core.errors import BadInput
from controller.hmi.screen import Screen, ScreenOptions
from controller.opening import told
from controller.people.password import Passwords
from controller.people.people import People
from controller.station import BatchOrder
from controller.units import find_recipe
from hil_sim.rig.paced import Paced
from hil_sim.rig.rig import FOUND_NS, Rig

DEMO = {
    "olivia": "operator", "sam": "supervisor", "quinn": "qa", "emil": "engineer", "ada": "admin",
    "aud": "auditor",
}  # fmt: skip
HANDS = Path(__file__).parents[1] / "hil_sim" / "rig" / "hands.yaml"


def password_of(user: str) -> str:
    """The password of a demo user."""
    return f"demo password {user} 1"


def demo_people(folder: Path, speed: float, stamp: Stamp) -> People:
    """People with one account of each role, hashed cheaply."""
    people = People(folder, passwords=Passwords(PasswordHasher(1, 8, 1)), pace=speed)
    for user, role in DEMO.items():
        if people.accounts.find(user) is None:
            made = people.passwords.hash(password_of(user))
            people.accounts.add(user, user.capitalize(), role, made, False, stamp)
    return people


class Opener:
    """Opens the rig's batch when a person asks for it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def offered(self) -> list[dict[str, Any]]:
        """The recipe of the rig."""
        return [told(self._rig.control)]

    def prepare(self, request: Request, stamp: Stamp) -> Callable[[], None]:
        """`value` is `SET_LOT;PSEUDONYM`, `target` the recipe."""
        lot, _, pseudonym = request.value.partition(";")
        if not lot or not pseudonym:
            raise BadInput("the value is SET_LOT;PSEUDONYM")
        rig = self._rig
        path = find_recipe(request.target)
        order = BatchOrder(rig.batch_id, rig.use, pseudonym, lot, actor=request.actor,
                           role=request.role)  # fmt: skip
        return lambda: rig.station.open_batch(rig.control, path, order, stamp)


def make(out: Path, speed: float, batch: str = "none", **options: Any) -> tuple[Rig, Screen]:
    """A rig whose devices were found, and its screen, started."""
    people = demo_people(out, speed, VirtualClock(1).stamp())
    rig = Rig(out, people=people) if batch == "running" else Rig(out, people=people, script=HANDS)
    rig.supervisor.requests.opener = Opener(rig)
    while rig.clock.now_ns < FOUND_NS:
        rig.step(FOUND_NS)
    if batch == "running":
        rig.start()
    elif batch == "opened":
        order = BatchOrder(rig.batch_id, rig.use, "PSN-0001", "LOT-2026-0117")
        recipe = find_recipe("car_t_perfusion")
        rig.station.open_batch(rig.control, recipe, order, rig.clock.stamp())
    given: dict[str, Any] = {"tls": False, "demo": True, "speed": speed, **options}
    screen = Screen(rig.station, people, ScreenOptions(**given))
    screen.start(rig.clock.stamp())
    return rig, screen


def main() -> int:
    """Runs until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--batch", choices=("none", "opened", "running"), default="none")
    parser.add_argument("--minutes", type=float, default=60.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rig, screen = make(Path(folder), given.speed, given.batch, port=given.port)
        print(screen.url)
        for user in DEMO:
            print(f"  {user:8} {DEMO[user]:10} {password_of(user)}")
        sys.stdout.flush()
        paced = Paced(rig, given.speed, time.monotonic_ns)
        end = time.monotonic() + given.minutes * 60
        try:
            while time.monotonic() < end:
                screen.turn(paced.turn())
                time.sleep(0.05)
        except KeyboardInterrupt:
            pass
        screen.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

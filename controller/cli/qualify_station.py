"""A station as `cellwright run` starts it, with one more face: a socket for who qualifies it.

A module because a qualification asks at the desk like anybody, and must not be able to do more: it
can put requests, nothing else. `run` launches; `supervise` is the supervisor's program.
"""

from __future__ import annotations

import json
import socket
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from controller.asking import Request
from controller.cli import supervise
from controller.cli.run import Asked, prepare
from controller.cli.run_view import LinesFace
from controller.core.clock import Stamp
from controller.core.errors import CellwrightError
from controller.live import LiveRun

LINE_MAX = 65_536
DATAGRAMS_MAX = 64  # in one turn
SOCKET = "desk.sock"
KEYS = ("verb", "target", "value", "reason", "second")


def socket_of(state: Path) -> Path:
    """Where the station of a state directory listens; beside it, never inside."""
    return state.with_name(f"{state.name}.{SOCKET}")


class DeskFace(LinesFace):
    """The terminal's lines, and requests that come in over the socket: one JSON list a datagram.

    They are asked as at a console by `person`, whom nobody verified.
    """

    def __init__(self, run: LiveRun, console: Console, path: Path, person: str) -> None:
        super().__init__(run, console)
        self._desk = run.station.supervisor.desk
        self._actor = f"unverified:{person}@qualification"
        path.unlink(missing_ok=True)
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(path))
        self._line.setblocking(False)

    def turn(self, stamp: Stamp) -> None:
        """Asks at the desk what came in; what is no request is said and left."""
        super().turn(stamp)
        with suppress(BlockingIOError):
            for _ in range(DATAGRAMS_MAX):
                self._take(self._line.recv(LINE_MAX))

    def _take(self, data: bytes) -> None:
        try:
            for wish in json.loads(data):
                word = {key: str(wish.get(key, "")) for key in KEYS}
                self._desk.ask(Request(
                    word["verb"], word["target"], word["value"], self._actor,
                    reason=word["reason"], second=word["second"], origin="console",
                ))  # fmt: skip
        except (CellwrightError, ValueError, TypeError, AttributeError) as error:
            self._console.print(f"a request cannot be put: {error}", markup=False)


def main(argv: list[str]) -> int:
    """`run UNIT RECIPE LINKS STATE SHM PERSON` or `supervise PERSON` and the launcher's words."""
    if argv[0] == "supervise":
        person, words = argv[1], argv[2:]
        path = socket_of(supervise.arguments(words).state)
        supervise.main(words, lambda run, console: DeskFace(run, console, path, person))
        return 0
    unit, recipe, links, state, shm, person = argv[1:7]
    order = Asked(unit, recipe, Path(links), Path(state), shm=Path(shm))
    command = (sys.executable, "-m", "controller.cli.qualify_station", "supervise", person)
    return prepare(order, command).run()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CellwrightError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)

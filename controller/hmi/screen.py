"""The operator's screen as a face of the supervisor: what it shows goes up, what is asked comes
down by the desk, and nothing of either waits for the other.

All of this runs in the supervisor's thread. A snapshot is built a few times a second while somebody
watches; the server's thread gets it whole and never looks at the station. When that thread ends,
the supervisor says so and starts it again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp
from controller.core.errors import BrokenInvariant, CellwrightError
from controller.core.events import Event
from controller.hmi.confirm import Confirmations
from controller.hmi.elements import Running
from controller.hmi.front import Front, HandOver, Settings
from controller.hmi.limits import HUNG_S, IDLE_NS, ROWS_WAITING, SNAPSHOT_NS
from controller.hmi.model import describe
from controller.hmi.past import Past
from controller.hmi.server import Server
from controller.hmi.snapshot import Snapshots
from controller.hmi.tls import certificate, fingerprint
from controller.hmi.trend import Sampler, Trends
from controller.people.people import People
from controller.recipe.check import plant_of
from controller.station import Station
from recipes import RECIPES

ADDRESS = "screen.json"
STATIC = Path(__file__).with_name("static")
AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # how long until a server that ended is started again
STEADY_S = 60.0
REFRESH_FAILED_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class ScreenOptions:
    """Where the screen is served and what it says of itself.

    `port` 0: any free one. `tls` False: plain HTTP, for a loopback address only. `name` is that of
    the terminal at this machine. `speed`: how many times faster than life the stamps run.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = True
    static: Path = STATIC
    name: str = "station"
    demo: bool = False
    speed: float = 1.0
    simulated: bool = False


class Screen:
    """One station's screen. Make and start it after a batch was taken up."""

    def __init__(
        self, station: Station, people: People, options: ScreenOptions | None = None,
        wall: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`wall` reads the machine's monotonic clock in s: it paces what is sent."""
        self.options = options or ScreenOptions()
        self.speed = self.options.speed
        self._station, self._people, self._wall = station, people, wall
        self._confirmations = Confirmations(station.profile)
        self._snapshots = Snapshots(station, self._confirmations.last)
        self._sampler = Sampler(station.profile)
        self._plant = plant_of(station.profile)
        self._waiting: list[tuple[int, Event]] = []
        self._records = 0
        self._built_s = self._began_s = -1.0
        self._again_s, self._broken_s, self._tries = -1.0, -1.0, 0
        self._refresh_ns = 0
        self._handed_s = self._looked_s = -1.0
        self._hung = False
        self._wanted, self._why = False, ""
        self._front: Front | None = None
        self._server: Server | None = None
        self._fingerprint = ""

    # -- start and end ----------------------------------------------------------------------------

    def start(self, stamp: Stamp, anyway: bool = False) -> str:
        """Binds the address and serves; what of it could not be had, in words, mostly empty.

        Raises BadInput when that is not possible. With `anyway` it is said instead, and `turn`
        tries again, as for a server that ended.
        """
        try:
            said = self._start(stamp)
        except (CellwrightError, OSError, ValueError) as error:
            if not anyway:
                raise
            self._wanted, self._why = True, f"{type(error).__name__}: {error}"
            return str(error)
        return said

    def _start(self, stamp: Stamp) -> str:
        station, options = self._station, self.options
        pem = None
        if options.tls:
            pem = certificate(station.state_dir.path, options.host, stamp.utc_ns)
            self._fingerprint = fingerprint(pem[0])
        logs = [(station.supervisor.station_log.directory, station.supervisor.station_log.size)]
        past, names = None, self._sampler.names
        if station.batch_log is not None:
            logs.append((station.batch_log.directory, station.batch_log.size))
            past = Past(station.profile, names, station.batch_log.directory)
        self._records = sum(size for _, size in logs)
        settings = Settings(options.name, options.host, options.tls, options.static, options.demo,
                            options.simulated)  # fmt: skip
        model = describe(station.profile, self._people.rights, options.name, options.demo,
                         self._offered())  # fmt: skip
        front = Front(settings, model, self._people, station.supervisor.desk,
                      Trends(station.profile, names), logs, stamp, past)  # fmt: skip
        self._front = front
        wall = self._wall

        def made() -> object:
            from controller.hmi.app import make_app

            return make_app(front, wall)

        server = Server(made, options.host, options.port, pem)
        server.start()
        self._server = server
        station.supervisor.listeners.append(self._listen)
        return self._tell_address()

    def _offered(self) -> list[dict[str, Any]]:
        """The recipes people may open here; of one that is broken now the shipped names."""
        opener = self._station.supervisor.requests.opener
        try:
            return opener.offered() if opener is not None else []
        except CellwrightError:
            names = sorted(path.stem for path in RECIPES.glob("*.yaml"))
            return [{"id": name, "title": name, "entered": []} for name in names]

    def _tell_address(self) -> str:
        """`screen.json` in the state directory: where `cellwright user` finds this screen.

        Why it could not be written, as the screen is served without it too.
        """
        path = self._station.state_dir.path / ADDRESS
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps({"url": self.url}) + "\n")
            fresh.replace(path)
        except OSError as error:
            return f"{path} cannot be written, `cellwright user` needs --url: {error}"
        return ""

    def close(self) -> None:
        """Ends the server; the station goes on."""
        if self._listen in self._station.supervisor.listeners:
            self._station.supervisor.listeners.remove(self._listen)
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def url(self) -> str:
        """Where a browser finds the screen; empty before the start."""
        return self._server.url if self._server is not None else ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate; empty for plain HTTP."""
        return self._fingerprint

    # -- the face ---------------------------------------------------------------------------------

    def turn(self, stamp: Stamp) -> None:
        """Shows what is new, as often as somebody looks. Never waits for the server's thread.

        A fault in what is shown is recorded and tried again later: it stops nobody's tick.
        """
        if self._wall() < self._broken_s:
            return
        try:
            self._turn(stamp)
        except Exception as error:
            self._broken_s = self._wall() + AGAIN_S[-1]
            self._lost(f"{type(error).__name__}: {error}", stamp)

    def _turn(self, stamp: Stamp) -> None:
        server, front = self._server, self._front
        if server is None or front is None:
            if self._wanted:
                self._start_again(stamp)
            return
        if not server.alive:
            self._mind(server, stamp)
            return
        now_s = self._wall()
        pause_ns = SNAPSHOT_NS if front.watched else IDLE_NS
        due = (now_s - self._built_s) * NS_PER_S >= pause_ns - 5 * NS_PER_MS
        if due:
            self._refresh(stamp)
        self._sampler.look(self._station.board.image, stamp, self.speed)
        self._look_whether_it_hangs(front, now_s, stamp)
        if not due or front.handing:
            return
        self._built_s = self._handed_s = now_s
        self._confirmations.look(self._station.supervisor, stamp.mono_ns)
        snapshot = self._snapshots.build(stamp, self.speed, self._records)
        events, self._waiting = self._waiting, []
        front.handing = True
        given = HandOver(stamp, snapshot, self._sampler.taken(), events, self._running())
        if not server.call(front.take, given):
            front.handing = False

    def _running(self) -> Running | None:
        """The open batch as it is now; nobody changes what this holds."""
        supervisor = self._station.supervisor
        if supervisor.engine is None or supervisor.state is None:
            return None
        changes = len(supervisor.orders.standing.changes)
        return Running(supervisor.engine.recipe, supervisor.state, changes, self._plant)

    def _look_whether_it_hangs(self, front: Front, now_s: float, stamp: Stamp) -> None:
        """A thread that lives and takes nothing shows nothing new: said once each time."""
        if now_s - self._looked_s > HUNG_S / 2:
            self._handed_s = now_s  # this thread stood still itself
        self._looked_s = now_s
        hung = front.handing and now_s - self._handed_s > HUNG_S
        if hung and not self._hung:
            self._lost(f"its server has taken nothing for {HUNG_S:g} s", stamp)
        self._hung = hung

    def _refresh(self, stamp: Stamp) -> None:
        """The image of now, not of the last tick. A field that stands still is tried seldom."""
        if stamp.mono_ns < self._refresh_ns:
            return
        try:
            self._station.board.refresh()
        except BrokenInvariant:
            self._refresh_ns = stamp.mono_ns + REFRESH_FAILED_NS

    def _listen(self, event: Event) -> None:
        """Every durable record: a row for the page, and what became of commands."""
        self._records += 1
        self._confirmations.listen(event)
        self._waiting.append((self._records, event))
        if len(self._waiting) > ROWS_WAITING:
            del self._waiting[0]

    def _mind(self, server: Server, stamp: Stamp) -> None:
        """A server that ended is said to be lost, once, and started again after a while."""
        if self._its_time(server.failure, stamp):
            with suppress(CellwrightError, OSError):  # not free yet: tried again, and said again
                server.start()

    def _start_again(self, stamp: Stamp) -> None:
        """The start that was not possible at first."""
        if self._its_time(self._why, stamp):
            with suppress(CellwrightError, OSError, ValueError):
                self._start(stamp)

    def _its_time(self, why: str, stamp: Stamp) -> bool:
        """Says that the screen is lost, then waits longer each time; whether to try now."""
        now_s = self._wall()
        if self._again_s < 0:
            if now_s - self._began_s > STEADY_S:
                self._tries = 0
            self._again_s = now_s + AGAIN_S[min(self._tries, len(AGAIN_S) - 1)]
            self._tries += 1
            self._lost(why, stamp)
        elif now_s >= self._again_s:
            self._again_s, self._began_s = -1.0, now_s
            return True
        return False

    def _lost(self, why: str, stamp: Stamp) -> None:
        data = {"face": "screen", "why": ascii(why)[:300]}
        self._station.supervisor.record(Event("face.lost", stamp, data=data))

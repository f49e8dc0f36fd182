"""A real station on a rig behind a real server on loopback, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from hmi_rig import make, password_of
from websockets.sync.client import ClientConnection, connect

from controller.core.events import Event
from hil_sim.rig.paced import Paced

MARK = {"X-Cellwright": "1"}
MEANINGS = {  # of the first and the second signature, as docs/people.md has them
    "open_batch": ["opened"], "start": ["started"], "restart": ["restarted"], "stop": ["stopped"],
    "abort": ["aborted"], "resume": ["resumed"], "deviation": ["recorded"],
    "change": ["performed the change", "agreed to the change"],
    "set_output": ["moved by hand"], "set_flag": ["set", "verified"],
    "bypass": ["bypassed", "agreed to the bypass"], "answer": ["performed", "verified"],
    "end_environment": [
        "confirmed the vessel empty or discarded", "verified the vessel empty or discarded",
    ],
}  # fmt: skip


class Bench:
    """One rig and its screen. `events` are the durable records since the start."""

    def __init__(self, out: Path, batch: str, speed: float, **options: Any) -> None:
        self.rig, self.screen = make(out, speed, batch, **options)
        self.people = self.screen._people
        self.events: list[Event] = []
        self.rig.supervisor.listeners.append(self.events.append)
        self.stalled = threading.Event()
        self._speed = speed
        self.restart_pace()
        self._todo: list[Callable[[], None]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rig")
        self._thread.start()
        self.url = self.screen.url
        wait_until(self._up)

    def _up(self) -> bool:
        try:
            return bool(self.screen._front and self.screen._front.snapshot) and (
                httpx.get(self.url + "/api/me", verify=False).status_code == 401  # noqa: S501
            )
        except httpx.HTTPError:
            return False

    def _run(self) -> None:
        while not self._end.is_set():
            if not self.stalled.is_set():
                while self._todo:
                    self._todo.pop(0)()
                self.screen.turn(self._paced.turn())
            time.sleep(0.01)

    def within(self, act: Callable[[], Any]) -> Any:
        """Does something in the supervisor's thread and gives what came of it."""
        done, found = threading.Event(), []

        def do() -> None:
            found.append(act())
            done.set()

        self._todo.append(do)
        if not done.wait(10):
            raise TimeoutError("the rig stands still")
        return found[0]

    def restart_pace(self) -> None:
        """Goes on from the rig's present time."""
        self._paced = Paced(self.rig, self._speed, time.monotonic_ns)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.screen.close()

    # -- people ---------------------------------------------------------------------------------

    def client(self, user: str = "") -> httpx.Client:
        """A browser, logged in without the log-in's rate limit; nobody for an empty user."""
        cookies = {}
        if user:
            stamp = self.screen._front.stamp  # type: ignore[union-attr]
            _, token = self.people.sessions.open(user, "station", stamp)
            cookies = {self.cookie: token}
        return httpx.Client(base_url=self.url, headers=MARK, cookies=cookies, timeout=10)

    @property
    def cookie(self) -> str:
        """The name of the session's cookie at this port."""
        return f"cellwright-{self.url.rsplit(':', 1)[1]}"

    @contextmanager
    def feed(
        self, user: str = "olivia", client: httpx.Client | None = None
    ) -> Iterator[ClientConnection]:
        """A connection to the feed."""
        with client or self.client(user) as browser:
            cookie = f"{self.cookie}={browser.cookies[self.cookie]}"
        address = self.url.replace("http", "ws", 1) + "/api/feed"
        headers = {"Cookie": cookie}
        with connect(address, additional_headers=headers, compression=None) as connection:
            yield connection

    @property
    def snapshot(self) -> dict[str, Any]:
        """What the server shows now."""
        return self.screen._front.snapshot  # type: ignore[union-attr]

    def command(
        self, client: httpx.Client, verb: str, *signers: str, **given: str
    ) -> httpx.Response:
        """A command made on the present frame, signed in the meanings of the table."""
        meanings = MEANINGS.get(verb, ["", ""])
        signatures = [
            {"user": user, "password": password_of(user), "meaning": meaning}
            for user, meaning in zip(signers, meanings, strict=False)
        ]
        body = {"seen": self.snapshot["mono_ns"], "expected": self.snapshot["procedure"]["state"],
                **given}  # fmt: skip
        return client.post("/api/command", json={"verb": verb, "signatures": signatures, **body})

    def records(self, *names: str, since: int = 0) -> list[Event]:
        """The records of these names, of every tick that is over."""
        self.within(lambda: None)
        return [event for event in self.events[since:] if event.name in names]


def wait_until(done: Callable[[], Any], seconds: float = 10.0) -> None:
    """Waits for something that must come."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise AssertionError("it did not come")
        time.sleep(0.01)


@contextmanager
def bench(out: Path, batch: str = "none", speed: float = 1.0, **options: Any) -> Iterator[Bench]:
    """A bench until the block is left."""
    made = Bench(out, batch, speed, **options)
    try:
        yield made
    finally:
        made.close()


def read_until_closed(feed: ClientConnection) -> None:
    """Reads what still comes; ends by ConnectionClosed, or at once if nothing closes it."""
    for _ in range(100):
        feed.recv(5)

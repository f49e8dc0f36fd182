"""What the server's thread knows: everything the supervisor handed over, and nothing else of it.

The way down is `Desk.ask` and `Desk.report`, which take from any thread; the way up is `take`,
called in this thread with data that nobody changes any more. No lock is shared with the tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controller.asking import Answer, Busy, Request
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import CellwrightError
from controller.core.events import Event
from controller.desk import Desk
from controller.hmi.elements import Running
from controller.hmi.feed import Feed
from controller.hmi.limits import ANSWER_S, SWEEP_S
from controller.hmi.past import Past
from controller.hmi.rows import Rows, earlier, ended_sessions
from controller.hmi.trend import Point, Trends
from controller.people import door
from controller.people.people import People

Data = dict[str, Any]
LATE = "the controller gave no answer in time; the command is not carried out any more"
HOLD_LATE = (
    "the controller gave no answer in time; Hold is carried out as soon as it goes on: "
    "use the emergency stop if you cannot wait"
)


@dataclass(frozen=True, slots=True)
class HandOver:
    """What crosses to the server's thread at one time."""

    stamp: Stamp
    snapshot: Data
    points: Sequence[Point]
    events: Sequence[tuple[int, Event]]
    running: Running | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the application is told about its station. `origins` are those of its own pages."""

    station: str
    host: str
    tls: bool
    static: Path
    demo: bool
    simulated: bool = False


class Front:
    """The server's side of one screen."""

    def __init__(
        self, settings: Settings, model: Data, people: People, desk: Desk, trends: Trends,
        logs: Sequence[tuple[Path, int]], stamp: Stamp, past: Past | None = None,
    ) -> None:  # fmt: skip
        """`logs`: what was recorded before the start, each log up to a record's number; the first
        is the station's. `past`: of the batch that was open already."""
        self.settings, self.model, self.people = settings, model, people
        self.trends, self.rows, self.feed = trends, Rows(), Feed()
        self.stamp, self.snapshot = stamp, Data()
        self.running: Running | None = None
        self.watched = False
        self.handing = False  # a hand-over is on its way; the supervisor waits with the next
        self._desk, self._logs, self._past = desk, logs, past
        self._sweeping: asyncio.Task[None] | None = None
        self._swept_s = 0.0

    def begin(self) -> None:
        """A server's thread starts: whoever watched by an earlier one is gone."""
        if self._logs:
            # What a full disk did not forget at a log-out does not live again.
            if self.people.sessions.all():
                self.people.sessions.forget(ended_sessions(self._logs[0]))
            self.rows.begin(earlier(self._logs), sum(size for _, size in self._logs))
            self._logs = ()
        if self._past is not None:
            with suppress(CellwrightError, OSError):  # a curve is missing; `verify` says why
                self._past.fill(self.trends, self.stamp.utc_ns)
            self._past = None
        self.feed, self._sweeping = Feed(), None
        self.watched = self.handing = False
        if self.snapshot:
            self.feed.publish(self.snapshot)

    def take(self, given: HandOver) -> None:
        """Takes a hand-over."""
        self.handing = False
        self.stamp, self.snapshot, self.running = given.stamp, given.snapshot, given.running
        self.trends.put(given.points)
        self.rows.add(given.events)
        self.feed.publish(given.snapshot)
        self.watched = bool(self.feed.clients)
        self._sweep()

    def _sweep(self) -> None:
        """Sessions that are too old end, and that is recorded."""
        loop = asyncio.get_running_loop()
        if self._sweeping is not None and not self._sweeping.done():
            return
        if loop.time() - self._swept_s >= SWEEP_S:
            self._swept_s = loop.time()
            self._sweeping = loop.create_task(self._swept())

    async def _swept(self) -> None:
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(None, door.sweep, self.people, self.stamp)
        with suppress(Busy):
            await self.report(done.events)

    @property
    def batch_id(self) -> str:
        """The open batch as the last snapshot showed it; empty without one."""
        return str(self.snapshot.get("procedure", {}).get("batch_id", ""))

    @property
    def until_ns(self) -> int:
        """Until when a command of now may be taken up, on the controller's clock."""
        speed = max(float(self.snapshot.get("speed", 1.0)), 1.0)
        return self.stamp.mono_ns + round(ANSWER_S * speed * NS_PER_S)

    async def ask(self, request: Request) -> Answer | None:
        """What the desk says to a request; None when it says nothing in time.

        A Hold is carried out late rather than never; everything else is not taken up any more.
        Raises Malformed and Busy as `Desk.ask` does.
        """
        if request.verb != "hold":
            request = replace(request, until_ns=self.until_ns)
        answer: Answer | None = await self._wait(lambda told: self._desk.ask(request, told))
        return answer

    async def report(self, events: Sequence[Event]) -> bool:
        """Records about people; whether they are durable. Raises Busy."""
        if not events:
            return True
        done = await self._wait(lambda told: self._desk.report(events, told))
        return bool(done)

    async def _wait(self, ask: Callable[[Callable[[Any], None]], None]) -> Any:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def told(found: Any) -> None:
            with suppress(RuntimeError):  # the server's thread ended meanwhile: nobody waits
                loop.call_soon_threadsafe(_settle, answer, found)

        ask(told)
        try:
            return await asyncio.wait_for(answer, ANSWER_S)
        except TimeoutError:
            return None


def _settle(answer: asyncio.Future[Any], found: Any) -> None:
    if not answer.done():
        answer.set_result(found)

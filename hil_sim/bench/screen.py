"""What people who watch cost the server: simulated clients at the feed, beside none.

One process serves a unit in a batch, its signals wandering, behind the screen; this one watches
with as many clients as asked, over plain HTTP and over TLS. `python -m hil_sim.bench.screen`
is the serving side: it tells its processor time and opens sessions when asked on standard input.
"""

from __future__ import annotations

import asyncio
import json
import random
import select
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from controller.asking import Request
from controller.core.clock import NS_PER_MS, NS_PER_S, Stamp, VirtualClock
from controller.core.errors import BadInput
from controller.field import kernel
from controller.field.ring import InputRing
from controller.hmi.screen import Screen, ScreenOptions
from controller.people.people import People
from controller.profile.plan import SignalKind
from controller.record.files import VolatileFiles
from controller.record.keys import Keys
from controller.record.state import StateDir
from controller.station import BatchOrder, Station
from controller.units import find_recipe, find_unit, load_unit
from hil_sim.bench.result import Result

CLIENTS = 50
SECONDS = 6.0  # each part of a round
READY_S = 60.0
SETTLE_S = 1.0  # connections are made and the first whole frames sent before it is measured
SCAN_NS = 100 * NS_PER_MS
BEAT_S = 0.05  # as often as a live run turns its faces
WAYS = ("http", "https")


# -- the serving side ------------------------------------------------------------------------------


class _Unit:
    """The shipped unit in a batch, with signals that wander; its field scans as time goes on."""

    def __init__(self, folder: Path, people: People) -> None:
        profile, offer = load_unit(find_unit("perfusion_2l"))
        files, self._clock = VolatileFiles(), VirtualClock(1)
        self.station = Station(
            profile, offer, StateDir(folder, files), Keys.from_seed(1), files,
            self._clock.stamp(), people=people,
        )  # fmt: skip
        image = self.station.bound.image
        self._rings = [InputRing(image, number) for number in range(len(profile.links))]
        kinds = profile.plan.signals["kind"]
        self._inputs = [int(place) for place in (kinds == SignalKind.INPUT).nonzero()[0]]
        self._spans = [profile.tags[place].high - profile.tags[place].low for place in self._inputs]
        self._began_ns, self._random = time.monotonic_ns(), random.Random(1)
        recipe = find_recipe("car_t_perfusion")
        control = self.station.load_recipe(recipe)
        order = BatchOrder("BENCH-1", "virtual", "PSN-0001", "LOT-2026-0117")
        self.station.open_batch(control, recipe, order, self._clock.stamp())
        self.station.supervisor.desk.ask(Request("start", reason="a bench", origin="script"))

    def turn(self) -> Stamp:
        """Scans up to where the machine's clock is, a tick each second; the stamp then."""
        end_ns = time.monotonic_ns() - self._began_ns
        while self._clock.now_ns + SCAN_NS <= end_ns:
            now_ns = self._clock.now_ns + SCAN_NS
            self._clock.advance_to(now_ns)
            for number, (signal, span) in enumerate(zip(self._inputs, self._spans, strict=True)):
                value = self._random.uniform(0.500, 0.501) * span
                self._rings[number % len(self._rings)].push(signal, value, 0, 0, now_ns)
            kernel.scan_at(self.station.bound.handles, now_ns)
            if now_ns % NS_PER_S == 0:
                self.station.supervisor.tick(self._clock.stamp())
        return self._clock.stamp()


def serve(folder: Path, tls: bool) -> None:
    """Serves until standard input ends. Answers each line: `cpu`, or a number of sessions."""
    people = People(folder)
    unit = _Unit(folder, people)
    people.accounts.add("watcher", "Watcher", "auditor", "no password", False, unit.turn())
    screen = Screen(unit.station, people, ScreenOptions(tls=tls))
    screen.start(unit.turn())
    _say({"url": screen.url})
    while True:
        began = time.monotonic()
        stamp = unit.turn()
        screen.turn(stamp)
        if select.select([sys.stdin], [], [], 0)[0]:
            asked = sys.stdin.readline().strip()
            if not asked:
                break
            if asked == "cpu":
                _say({"cpu_s": time.process_time()})
            else:
                many = range(int(asked))
                opened = [people.sessions.open("watcher", "bench", stamp) for _ in many]
                _say({"tokens": [token for _, token in opened]})
        time.sleep(max(BEAT_S - (time.monotonic() - began), 0.0))
    screen.close()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# -- the watching side -----------------------------------------------------------------------------


class _Served:
    """The serving process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = str(self._answer()["url"])

    def ask(self, what: str) -> dict[str, Any]:
        """Its answer to one line."""
        if self._process.stdin is None:
            raise BadInput("the server's process takes no questions")
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        out = self._process.stdout
        if out is None or not select.select([out], [], [], READY_S)[0]:
            raise BadInput("the server's process does not answer")
        found: dict[str, Any] = json.loads(out.readline() or "{}")
        if not found:
            raise BadInput("the server's process ended", do="Look at what it wrote above.")
        return found


@contextmanager
def _served(folder: Path, tls: bool) -> Iterator[_Served]:
    words = [sys.executable, "-m", "hil_sim.bench.screen", str(folder), str(int(tls))]
    process = subprocess.Popen(  # noqa: S603 - our own
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield _Served(process)
    finally:
        process.kill()
        process.communicate()


async def _watch(
    url: str, tokens: list[str], seconds: float, context: ssl.SSLContext | None, served: _Served
) -> tuple[int, int, float]:
    """Bytes and frames that all clients got, and the server's processor time meanwhile in s."""
    from websockets.asyncio.client import connect

    counted = [0, 0]
    counting = False

    async def one(token: str) -> None:
        headers = {"Cookie": f"cellwright-{urlsplit(url).port}={token}"}
        async with connect(
            f"{url}/api/feed", additional_headers=headers, compression=None, ssl=context,
            max_queue=None,
        ) as socket:  # fmt: skip
            async for message in socket:
                if counting:
                    counted[0] += len(message)
                    counted[1] += 1

    tasks = [asyncio.create_task(one(token)) for token in tokens]
    await asyncio.sleep(SETTLE_S + 0.01 * len(tokens))
    ended = [task for task in tasks if task.done()]
    if ended:
        await asyncio.gather(*ended)
        raise BadInput(f"{len(ended)} of {len(tasks)} clients were not served")
    before = served.ask("cpu")["cpu_s"]
    counting = True
    await asyncio.sleep(seconds)
    counting = False
    used_s = served.ask("cpu")["cpu_s"] - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return counted[0], counted[1], used_s


def _measured(served: _Served, seconds: float, context: ssl.SSLContext | None) -> dict[str, float]:
    """One round: nobody watches, then CLIENTS do."""
    before = served.ask("cpu")["cpu_s"]
    time.sleep(seconds)
    alone_s = served.ask("cpu")["cpu_s"] - before
    tokens = served.ask(str(CLIENTS))["tokens"]
    time.sleep(SETTLE_S)  # the server's own clock has passed the sessions' beginning
    url = served.url.replace("http", "ws", 1)
    size, frames, used_s = asyncio.run(_watch(url, tokens, seconds, context, served))
    return {
        "alone_percent": 100 * alone_s / seconds, "watched_percent": 100 * used_s / seconds,
        "bytes_per_client_s": size / CLIENTS / seconds,
        "frames_per_client_s": frames / CLIENTS / seconds,
    }  # fmt: skip


def _wait_until_served(url: str, context: ssl.SSLContext | None) -> None:
    """The web framework is loaded after the start; that is no cost of watching."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context):  # noqa: S310 - our own
                time.sleep(2 * SETTLE_S)
                return
        except OSError:
            time.sleep(0.1)
    raise BadInput("the screen's server did not start")


def run(rounds: int = 5, seconds: float | None = None) -> Result:
    """Rows `{case, clients, alone_percent, watched_percent, added_percent, bytes_per_client_s,
    frames_per_client_s}`; percent of one core, medians over the rounds."""
    rows = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as name, _served(Path(name), way == "https") as served:
            context = None
            if way == "https":
                context = ssl.create_default_context(cafile=Path(name) / "tls" / "cert.pem")
            _wait_until_served(served.url, context)
            found = [_measured(served, seconds or SECONDS, context) for _ in range(min(rounds, 3))]
        keys = {key: round(median(each[key] for each in found), 2) for key in found[0]}
        added = median(each["watched_percent"] - each["alone_percent"] for each in found)
        rows.append({"case": way, "clients": CLIENTS, **keys, "added_percent": round(added, 2)})
    return Result(rows)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2] == "1")

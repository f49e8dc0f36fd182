"""How many entries a second two processes pass through each ring, beside a pipe and a queue.

Two ways for each ring: `compiled` on both ends, as far as the ring itself goes, and `cellwright`,
where the end that is Python in a run is Python here. One process puts, this one takes; what is lost
or torn is counted and must be none.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import struct
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

from controller.core.errors import BadInput, BrokenInvariant
from controller.field.board import Board
from controller.field.image import Image, attach, create, size
from controller.field.lock import SHM
from controller.field.ring import InputRing
from controller.profile.plan import Plan
from hil_sim.bench import ring_loops as loops
from hil_sim.bench.result import Result
from hil_sim.bench.running import shipped

SECONDS = 0.4  # each way in a round, about
FAST, SLOW = 4_000_000, 60_000  # entries a second to begin with: compiled ends, Python's
ROW = struct.Struct("<qqqdd")
PIPE, QUEUE = "os.pipe", "multiprocessing.Queue"
READY_S = 60.0
WAITS_MAX = 2_000_000_000  # looks in vain of a compiled end: some seconds
Ends = tuple[Callable[[Image, int], int], Callable[[Image, int], int]]


def _events_by_board(image: Image, count: int) -> int:
    """The supervisor's way: drains, then gives the places back."""
    board, done, bad = Board(image, {}), 0, 0
    while done < count:
        for event in board.drain():
            bad += event.index != done or event.a != done * 2.0
            done += 1
        board.events_done()
    return bad


def _samples_by_worker(image: Image, count: int) -> int:
    """A link worker's way: one call a sample; here it waits where it would count a loss."""
    ring, number = InputRing(image, 0), 0
    while number < count:
        if ring.push(number, number * 2.0, 0, 0, number):
            number += 1
    return number


def _commands_by_board(image: Image, count: int) -> int:
    """The supervisor's way: one call a command."""
    board, number = Board(image, {}), 0
    while number < count:
        if board.command(number, number, number, number * 2.0, number):
            number += 1
    return number


def _put_events(image: Image, count: int) -> int:
    return int(loops.put_events(image.head, image.events, count, WAITS_MAX))


def _take_events(image: Image, count: int) -> int:
    return int(loops.take_events(image.head, image.events, count, WAITS_MAX))


def _put_samples(image: Image, count: int) -> int:
    return int(loops.put_samples(image.input_rings, image.inputs, count, WAITS_MAX))


def _take_samples(image: Image, count: int) -> int:
    return int(loops.take_samples(image.input_rings, image.inputs, count, WAITS_MAX))


def _put_commands(image: Image, count: int) -> int:
    return int(loops.put_commands(image.head, image.commands, count, WAITS_MAX))


def _take_commands(image: Image, count: int) -> int:
    return int(loops.take_commands(image.head, image.commands, count, WAITS_MAX))


ENDS: dict[tuple[str, str], Ends] = {
    ("events", "compiled"): (_put_events, _take_events),
    ("events", "cellwright"): (_put_events, _events_by_board),
    ("samples", "compiled"): (_put_samples, _take_samples),
    ("samples", "cellwright"): (_samples_by_worker, _take_samples),
    ("commands", "compiled"): (_put_commands, _take_commands),
    ("commands", "cellwright"): (_commands_by_board, _take_commands),
}


def through_ring(plan: Plan, ends: Ends, count: int) -> float:
    """Entries a second through one ring of a fresh region; raises BrokenInvariant for a bad one."""
    with tempfile.TemporaryFile(dir=SHM) as file:
        file.truncate(size(plan))
        memory = mmap.mmap(file.fileno(), 0)
        image = create(plan, 0, 1, memory)
        ends[1](image, 0)  # loaded before the clock runs
        took_s, bad = _timed(
            lambda go: _put_in_region(plan, file.fileno(), ends[0], count, go),
            lambda: ends[1](image, count),
        )
    if bad:
        raise BrokenInvariant(f"{bad} of {count} ring entries were lost or torn")
    return count / took_s


def _put_in_region(plan: Plan, fd: int, put: Callable[[Image, int], int], count: int,
                   go: Callable[[], None]) -> None:  # fmt: skip
    image = attach(plan, mmap.mmap(fd, 0))
    put(image, 0)
    go()
    put(image, count)


def through_pipe(count: int) -> float:
    """Entries a second through a pipe, one write and one read each."""
    source, sink = os.pipe()

    def put(go: Callable[[], None]) -> None:
        go()
        for number in range(count):
            os.write(sink, ROW.pack(number, number, number, number * 2.0, number * 3.0))

    def take() -> int:
        return sum(ROW.unpack(os.read(source, ROW.size))[0] != number for number in range(count))

    try:
        took_s, _ = _timed(put, take)
    finally:
        os.close(source)
        os.close(sink)
    return count / took_s


def through_queue(count: int) -> float:
    """Entries a second through a `multiprocessing.Queue`."""
    queue: multiprocessing.Queue[Any] = multiprocessing.get_context("fork").Queue()

    def put(go: Callable[[], None]) -> None:
        go()
        for number in range(count):
            queue.put((number, number, number, number * 2.0, number * 3.0))
        queue.close()
        queue.join_thread()

    took_s, _ = _timed(put, lambda: sum(queue.get()[0] != number for number in range(count)))
    return count / took_s


def _timed(put: Callable[[Callable[[], None]], None], take: Callable[[], int]) -> tuple[float, int]:
    """Seconds from the go of the putting process to the last entry taken, and what `take` found."""
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_child, args=(put, there))
    child.start()
    try:
        if not here.poll(READY_S):
            raise BadInput("the process that puts did not start")
        here.recv()
        start = time.perf_counter()
        here.send(True)
        found = take()
        return time.perf_counter() - start, found
    finally:
        child.join(READY_S)
        child.kill()
        child.join()
        here.close()
        there.close()


def _child(put: Callable[[Callable[[], None]], None], there: Connection) -> None:
    def go() -> None:
        there.send(True)
        there.recv()

    put(go)


def run(rounds: int = 5, seconds: float | None = None) -> Result:
    """Rows `{case, impl, ops_per_s, ratio_to_pipe, ratio_to_queue}`, medians over the rounds.

    Raises BrokenInvariant when an entry was lost or torn.
    """
    plan, length_s = shipped().plan, seconds or SECONDS
    ways: dict[tuple[str, str], Callable[[int], float]] = {
        key: lambda count, ends=ends: through_ring(plan, ends, count)  # type: ignore[misc]
        for key, ends in ENDS.items()
    }
    ways |= {("any", PIPE): through_pipe, ("any", QUEUE): through_queue}
    counts = {key: FAST if key[1] == "compiled" else SLOW for key in ways}
    speeds: dict[tuple[str, str], list[float]] = {key: [] for key in ways}
    for key, way in ways.items():  # warms, and tells how many fill a round
        counts[key] = max(round(way(counts[key] // 10) * length_s), 1_000)
    for number in range(rounds):
        for key in sorted(ways, reverse=number % 2 == 1):
            speeds[key].append(ways[key](counts[key]))
    rows = []
    for key, found in speeds.items():
        to_pipe, to_queue = (
            median(mine / its for mine, its in zip(found, speeds["any", other], strict=True))
            for other in (PIPE, QUEUE)
        )
        rows.append({
            "case": key[0], "impl": key[1], "ops_per_s": round(median(found)),
            "ratio_to_pipe": round(to_pipe, 2), "ratio_to_queue": round(to_queue, 2),
        })  # fmt: skip
    return Result(rows)

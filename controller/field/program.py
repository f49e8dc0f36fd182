"""The field program: first frames, then the region, the loop and the links, until told to end.

The order is the point. The first frames need nothing but a checked file and leave before numpy or
numba are loaded. With a batch open they shut the liquids; what keeps the cells alive is read back
and goes on. Progress of loop and links is watched here; a loop that stands still ends the process,
and the launcher starts the next generation.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from controller.core.clock import NS_PER_MS, NS_PER_S
from controller.core.errors import CellwrightError
from controller.field.lock import SHM, hold, hold_lines
from controller.field.notify import Watchdogs
from controller.profile.planfile import PlanFile, complete, open_file

if TYPE_CHECKING:
    from controller.field.realtime import LiveField
    from controller.field.region import Region

WATCH_S = 0.1
REFUSED = 2
STOOD_STILL = 75  # exit status of a field whose loop stood still (EX_TEMPFAIL)
FED_NS = 500 * NS_PER_MS


def arguments(argv: list[str]) -> argparse.Namespace:
    """The launcher's orders."""
    parser = argparse.ArgumentParser(prog="field")
    parser.add_argument("--plan", type=Path, required=True, help="compiled unit")
    parser.add_argument("--station", required=True, help="name in the region's path")
    parser.add_argument("--shm", type=Path, default=SHM)
    parser.add_argument("--link", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--batch", choices=("none", "open"), default="open",
                        help="whether a batch may be open; if in doubt it is")  # fmt: skip
    parser.add_argument("--at-least", type=int, default=0, metavar="N",
                        help="the generation's number, or more beside older regions")  # fmt: skip
    parser.add_argument("--no-fifo", action="store_true", help="ask for no real-time class")
    parser.add_argument("--watchdog", type=Path, default=None, help="a watchdog device to feed")
    return parser.parse_args(argv)


def main() -> None:
    """Runs field; exit status 2 for what is refused, 75 when the loop stood still."""
    started_ns = time.monotonic_ns()
    carry_out(arguments(sys.argv[1:]), started_ns)


def carry_out(asked: argparse.Namespace, started_ns: int, how: str = "") -> NoReturn:
    """Runs field and ends the process; `how` it was started goes into the record."""
    try:
        status = run(asked, started_ns, how)
    except CellwrightError as error:
        sys.stderr.write(f"field: {error}\n")
        status = max(error.exit_code, REFUSED)
    sys.stderr.flush()
    os._exit(status)  # a thread that hangs in a driver must not keep a dead field alive


def run(asked: argparse.Namespace, started_ns: int, how: str = "") -> int:
    """First frames, then everything else; raises CellwrightError for what is refused."""
    watchdogs = Watchdogs(os.environ.get("NOTIFY_SOCKET", ""), asked.watchdog)
    urls = dict(text.split("=", 1) for text in asked.link)
    file = open_file(asked.plan)
    # Nobody else writes to its lines, not even a frame. The locks last as long as the process.
    hold(asked.shm, asked.station)
    hold_lines(asked.shm, urls.values())
    said = first_frames(file, urls, asked.batch, started_ns)
    field, region = begin(asked, file, urls)
    urged = "links SCHED_OTHER" if asked.no_fifo else urge(field)
    live_ns = time.monotonic_ns()
    took = f"{how} " if how else ""
    took += f"scanning after {(live_ns - started_ns) // NS_PER_MS} ms"
    _say_start(field, region, f"{urged}, {took}", [said, watchdogs.refused])
    watchdogs.say("READY=1\nSTATUS=field scans")
    return watch(field, region, watchdogs)


def first_frames(file: PlanFile, urls: dict[str, str], batch: str, started_ns: int) -> str:
    """Sends what was rendered at `check`; what became of it in words."""
    from controller.field.first_frames import send

    lines = {
        name: found.open if batch == "open" else found.cold for name, found in file.first.items()
    }
    reports = send(urls, lines, time.monotonic_ns)
    parts = []
    for name, report in reports.items():
        at_ms = (report.first_ns - started_ns) // NS_PER_MS if report.first_ns >= 0 else -1
        found = f"{name} {report.sent}/{report.of} from {at_ms} ms"
        parts.append(f"{found} ({report.why})" if report.why else found)
    return "first frames: " + ", ".join(parts)


def begin(
    asked: argparse.Namespace, file: PlanFile, urls: dict[str, str]
) -> tuple[LiveField, Region]:
    """The region, the loop and the links; raises Refused or BadInput with nothing started."""
    from controller.field.kernel import initialise_at
    from controller.field.realtime import LiveField, warm
    from controller.field.region import make
    from controller.field.views import Bound
    from controller.profile.bounds import check_bounds

    found = complete(file)
    check_bounds(found.plan)
    warm(found.plan, len(found.links))
    at_least = asked.at_least or time.time_ns() // NS_PER_S
    region = make(asked.station, found.plan, time.monotonic_ns(), at_least, asked.shm)
    bound = Bound(found.plan, region.image)
    initialise_at(bound.handles, time.monotonic_ns(), asked.batch == "open")
    region.image.beat["pid"] = os.getpid()
    field = LiveField(found.plan, found.links, bound, urls, fifo=not asked.no_fifo)
    field.start()
    return field, region


def urge(field: LiveField) -> str:
    """Puts the links' threads into the real-time class, below the loop; what came of it."""
    refused = {why for worker in field.workers if (why := worker.urge())}
    return "links " + (", ".join(sorted(refused)) if refused else "SCHED_FIFO")


def _say_start(field: LiveField, region: Region, how: str, said: list[str]) -> None:
    from controller.field.links.note import NoteKind

    granted = field.granted.words if field.granted is not None else "not armed"
    for text in (f"generation {region.generation}, {granted}, {how}", *said):
        if text:
            field.say(NoteKind.STARTED, text)


def watch(field: LiveField, region: Region, watchdogs: Watchdogs) -> int:
    """Feeds the watchdogs while loop and links move; the exit status when it is over."""
    from controller.field.links.note import NoteKind

    stopping: list[int] = []

    def ask_to_stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stopping.append(number)

    signal.signal(signal.SIGTERM, ask_to_stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the launcher's business
    fed_ns = 0
    while not stopping:
        now_ns = time.monotonic_ns()
        found = field.watch(now_ns)
        if not found.loop:
            sys.stderr.write("field: the scan loop stands still; this process ends\n")
            return STOOD_STILL
        if not region.named:
            sys.stderr.write("field: its region was removed: no supervisor could find it again\n")
            return STOOD_STILL
        if found.links and now_ns - fed_ns >= FED_NS:
            fed_ns = now_ns
            watchdogs.feed()
        time.sleep(WATCH_S)
    watchdogs.say("STOPPING=1")
    field.say(NoteKind.STOPPING, "field ends in order: liquids shut, with a batch open the rest "
              "stays as it is")  # fmt: skip
    field.let_go()
    field.stop()
    watchdogs.close()
    return 0

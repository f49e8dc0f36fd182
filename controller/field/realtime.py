"""Field at work: the scan loop in its thread, a worker for every link, and the watch over both.

Everything between field and supervisor goes through the image. The loop runs compiled and takes no
lock; the workers move bytes; `watch`, called by field's main thread, tells whether both make
progress. What stands still is not talked to: the process ends and is started anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from controller.core.clock import NS_PER_S
from controller.core.ports import Inputs
from controller.field import atomic, loop, posix
from controller.field.host_view import HostView
from controller.field.image import BEAT, create, offset_of
from controller.field.jit import kernel
from controller.field.kernel import initialise_at, let_go_at, scan_at
from controller.field.links.note import Note, NoteKind, to_bytes
from controller.field.links.worker import Released, Worker
from controller.field.links.workers import start_workers
from controller.field.ring import InputRing, NoteRing, word
from controller.field.views import Bound
from controller.profile.link_plan import LinkPlan
from controller.profile.plan import Plan

STOP_S = 2.0
STILL_NS = NS_PER_S  # a loop that has not scanned for so long, or 20 periods, stands still
STILL_PERIODS = 20
_SCANS = offset_of(BEAT, "scans")
LINK_STILL_NS = 30 * NS_PER_S  # longer than any session's time-outs together


@kernel
def _stop(beat: object) -> None:
    atomic.store(beat, loop.STOP, 1)


@dataclass(frozen=True, slots=True)
class Progress:
    """What moved since it was asked last: the loop, and every worker."""

    loop: bool
    links: bool


class LiveField:
    """Scans one image on this machine's clock and serves its links. It is the workers' Duty."""

    def __init__(
        self, plan: Plan, links: Sequence[LinkPlan], bound: Bound, urls: Mapping[str, str],
        fifo: bool = True,
    ) -> None:  # fmt: skip
        self.workers: list[Worker] = []
        self.granted: posix.Granted | None = None
        self._plan, self._links, self._urls, self._fifo = plan, list(links), dict(urls), fifo
        self._bound, self._image = bound, bound.image
        self._names = [link.name for link in links]
        self._period_ns = int(plan.unit[0]["period_ns"])
        self._armed = threading.Event()
        self._wakes = np.full(len(links), -1, np.int64)
        self._scratch = loop.scratch_for(len(plan.outputs), len(links))
        self._thread = threading.Thread(target=self._live, name="scan", daemon=True)
        self._notes = {
            name: NoteRing(self._image, number) for number, name in enumerate(self._names)
        }
        self._own_notes = NoteRing(self._image, len(links))
        owner = [int(row["link"]) for row in plan.outputs]
        self._mine = {
            name: [(output, -1) for output, link in enumerate(owner) if link == number]
            for number, name in enumerate(self._names)
        }
        self._seen_scans, self._scans_ns = -1, 0
        self._turns: dict[str, tuple[int, int]] = {}

    def start(self) -> None:
        """Starts the loop, then the links: the first thing each worker finds is what was released.

        Raises BadInput, before anything is started, when the URLs do not fit the links.
        """
        first_ns = time.monotonic_ns()
        scan_at(self._bound.handles, first_ns)
        self.workers = start_workers(self._urls, self._links, self._ring, self)
        for number, worker in enumerate(self.workers):
            self._wakes[number] = worker.wake_fd
        self._thread.start()
        self._armed.wait(STOP_S)

    def stop(self) -> bool:
        """Ends the loop and the workers; False when one of them did not end in time."""
        _stop(self._image.beat)
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        ended = [worker.stop() for worker in self.workers]
        return all(ended) and not self._thread.is_alive()

    def let_go(self, settle_s: float = STOP_S) -> None:
        """The last orders of an orderly end: with a batch open liquids shut, else start values.

        Waits until the workers had time to send them.
        """
        _stop(self._image.beat)
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        let_go_at(self._bound.handles, time.monotonic_ns())
        for worker in self.workers:
            worker.wake()
        time.sleep(settle_s)

    def watch(self, now_ns: int) -> Progress:
        """Whether the loop scans and the workers turn. Asked by field's main thread."""
        scans = int(self._image.beat["scans"][0])
        if scans != self._seen_scans:
            self._seen_scans, self._scans_ns = scans, now_ns
        still_ns = max(STILL_NS, STILL_PERIODS * self._period_ns)
        turning = True
        for worker in self.workers:
            turns, since_ns = self._turns.get(worker.name, (-1, now_ns))
            if worker.turns != turns:
                turns, since_ns = worker.turns, now_ns
            self._turns[worker.name] = (turns, since_ns)
            turning &= worker.alive and now_ns - since_ns < LINK_STILL_NS
        return Progress(now_ns - self._scans_ns < still_ns and self._thread.is_alive(), turning)

    def say(self, kind: NoteKind, what: str) -> None:
        """A note of field itself. Only for its main thread."""
        self._own_notes.put(to_bytes(Note(kind, "", what, time.monotonic_ns())))

    # -- Duty: called from the workers' threads -------------------------------------------------

    def now_ns(self) -> int:
        """The monotonic clock."""
        return time.monotonic_ns()

    def released(self, link: str) -> Iterator[Released]:
        """What the gate released for this link since its worker asked last: each latest value.

        The sequence is read before the value. A value read in the middle of a scan is a released
        one; the wake at the end of that scan brings whatever changed after it. Sequence 0 is an
        output nobody knows yet.
        """
        outputs, mine = self._image.outputs, self._mine[link]
        for place, (output, seen) in enumerate(mine):
            sequence = int(outputs["sequence"][output])
            if sequence not in (seen, 0):
                yield output, float(outputs["released"][output]), bool(outputs["safe"][output])
                mine[place] = (output, sequence)  # taken: an exception in between offers it again

    def progress(self) -> int:
        """Scans done: it becomes the host's beat, and stands still when the loop does."""
        return int(word(self._image.beat, _SCANS))

    def view(self, link: str) -> HostView:  # noqa: ARG002 - every board is shown the same image
        """What the kernel shows an I/O board: a copy of its own for each."""
        return HostView(self._plan, self._image)

    def noted(self, link: str, notes: list[Note]) -> None:
        """Puts what a link says into its note ring; beyond the limit it is counted and lost."""
        for note in notes:
            self._notes[link].put(to_bytes(note))

    # -- the loop ---------------------------------------------------------------------------------

    def _ring(self, link: str) -> Inputs:
        return InputRing(self._image, self._names.index(link))

    def _live(self) -> None:
        granted = posix.arm(fifo=self._fifo)
        beat = self._image.beat
        beat["policy"], beat["priority"] = int(granted.policy == "fifo"), granted.priority
        beat["cpu"], beat["locked"] = granted.cpu, int(granted.locked)
        beat["dma_latency"] = int(granted.latency_fd >= 0)
        self.granted = granted
        now_ns = time.monotonic_ns()
        beat["started_ns"], beat["deadline_ns"] = now_ns, now_ns + self._period_ns
        self._armed.set()
        loop.run(self._bound.handles, self._wakes, self._scratch)


def warm(plan: Plan, links: int) -> None:
    """Has everything the loop calls compiled, or loaded, on an image of its own."""
    image = create(plan, 0)
    bound = Bound(plan, image)
    initialise_at(bound.handles, 0, True)
    scan_at(bound.handles, 1)
    let_go_at(bound.handles, 2)
    _stop(image.beat)
    scratch = loop.scratch_for(len(plan.outputs), links)
    loop.run(bound.handles, np.full(links, -1, np.int64), scratch)
    InputRing(image, 0).push(-1, 0.0, 0, 0, 0)
    NoteRing(image, 0).put(b"{}")
    HostView(plan, image).refresh()
    word(image.beat, _SCANS)

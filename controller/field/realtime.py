"""The live field: the scan loop at absolute deadlines, and a worker for every link beside it.

The loop reads only its own image and the monotonic clock. A scan that comes late or takes long is
counted and never made good by a burst: what was missed is missed, and said. If the loop ends for a
reason nobody foresaw it says why in `failed`; the host's beat stops with it, and the devices fall
back as their table says.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from controller.core.clock import NS_PER_S
from controller.core.ports import Inputs
from controller.field.image import InputRing, create
from controller.field.kernel import initialise_at, scan_at
from controller.field.links.note import Note
from controller.field.links.worker import Released, Worker
from controller.field.links.workers import start_workers
from controller.field.views import Bound
from controller.profile.compile import Profile
from controller.profile.plan import Plan

NOTES_MAX = 1024  # batches of notes that wait for the supervisor
LATE_OF_PERIOD = 4  # a wake is late beyond this part of the period [assumed]
LONG_OF_PERIOD = 2  # a scan is long beyond this part of it [assumed]
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the beats so far; `scans + missed` is the number of periods gone by."""

    scans: int = 0
    late: int = 0
    long: int = 0
    missed: int = 0
    worst_late_ns: int = 0
    worst_scan_ns: int = 0


class Beat:
    """Absolute deadlines, `period_ns` apart, from `first_ns` on. It reads no clock."""

    def __init__(self, first_ns: int, period_ns: int) -> None:
        self.first_ns, self.period_ns = first_ns, period_ns
        self.deadline_ns = first_ns
        self.counts = Counts()

    def scanned(self, woke_ns: int, done_ns: int) -> int:
        """Counts the scan of the present deadline and returns the next one after `done_ns`."""
        late_ns, long_ns = woke_ns - self.deadline_ns, done_ns - woke_ns
        missed = max(done_ns - self.deadline_ns, 0) // self.period_ns
        old = self.counts
        self.counts = Counts(
            old.scans + 1,
            old.late + (late_ns * LATE_OF_PERIOD > self.period_ns),
            old.long + (long_ns * LONG_OF_PERIOD > self.period_ns),
            old.missed + missed,
            max(old.worst_late_ns, late_ns),
            max(old.worst_scan_ns, long_ns),
        )
        self.deadline_ns += (1 + missed) * self.period_ns
        return self.deadline_ns


class LiveField:
    """Scans one image on this machine's clock and serves its links. It is the workers' Duty.

    Only `take_notes`, `counts`, `failed` and `stop` are for the supervisor; everything else
    between the two goes through the image.
    """

    def __init__(self, profile: Profile, bound: Bound, urls: Mapping[str, str]) -> None:
        self.failed = ""
        self.notes_lost = 0
        self.workers: list[Worker] = []
        self._profile, self._bound, self._urls = profile, bound, dict(urls)
        self._image = bound.image
        self._names = [link.name for link in profile.links]
        self._period_ns = int(profile.plan.unit[0]["period_ns"])
        self._beat = Beat(0, self._period_ns)
        self._notes: deque[tuple[str, list[Note]]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="scan", daemon=True)
        owner = [int(row["link"]) for row in profile.plan.outputs]
        self._owner = np.array(owner, dtype=np.int64)
        self._mine = {
            name: [(output, -1) for output, link in enumerate(owner) if link == number]
            for number, name in enumerate(self._names)
        }

    @property
    def period_s(self) -> float:
        """The period of the scan."""
        return self._period_ns / NS_PER_S

    @property
    def counts(self) -> Counts:
        """What became of the beats so far."""
        return self._beat.counts

    def start(self) -> None:
        """Starts the links, then the loop. The first write of every output is its start value.

        Raises BadInput, before anything is started, when the URLs do not fit the links.
        """
        self.workers = start_workers(self._urls, self._profile.links, self._ring, self)
        self._thread.start()

    def stop(self) -> bool:
        """Ends the loop and the workers; False when one of them did not end in time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        ended = [worker.stop() for worker in self.workers]
        return all(ended) and not self._thread.is_alive()

    def take_notes(self) -> list[tuple[str, list[Note]]]:
        """What the links had to say since the last call, oldest first."""
        return [self._notes.popleft() for _ in range(len(self._notes))]

    # -- Duty: called from the workers' threads -------------------------------------------------

    def now_ns(self) -> int:
        """The monotonic clock."""
        return time.monotonic_ns()

    def released(self, link: str) -> Iterator[Released]:
        """What the gate released for this link since its worker asked last: each latest value.

        The sequence is read before the value. A value read in the middle of a scan is a released
        one; the wake at the end of that scan brings whatever changed after it.
        """
        outputs, mine = self._image.outputs, self._mine[link]
        for place, (output, seen) in enumerate(mine):
            sequence = int(outputs["sequence"][output])
            if sequence != seen:
                yield output, float(outputs["released"][output]), bool(outputs["safe"][output])
                mine[place] = (output, sequence)  # taken: an exception in between offers it again

    def progress(self) -> int:
        """Scans done: it becomes the host's beat, and stands still when the loop does."""
        return int(self._image.head["scan"][0])

    def noted(self, link: str, notes: list[Note]) -> None:
        """Keeps what a link says for the supervisor; beyond the limit it is counted and lost."""
        if len(self._notes) >= NOTES_MAX:
            self.notes_lost += len(notes)
        else:
            self._notes.append((link, notes))

    # -- the loop ---------------------------------------------------------------------------------

    def _ring(self, link: str) -> Inputs:
        return InputRing(self._image, self._names.index(link))

    def _live(self) -> None:
        try:
            self._scan_on()
        except Exception as error:  # whatever it is: it must be said, and no scan goes on from it
            self.failed = f"{type(error).__name__}: {error}"[:500]

    def _scan_on(self) -> None:
        handles, image, workers = self._bound.handles, self._image, self.workers
        sequence, last_good = image.outputs["sequence"], image.links["last_good_ns"]
        woken = sequence.copy()
        beat = Beat(time.monotonic_ns() + self._period_ns, self._period_ns)
        self._beat = beat
        deadline_ns = beat.deadline_ns
        while not self._stopping.is_set():
            time.sleep(max(deadline_ns - time.monotonic_ns(), 0) / NS_PER_S)
            woke_ns = time.monotonic_ns()
            for number, worker in enumerate(workers):
                last_good[number] = worker.last_good_ns
            scan_at(handles, woke_ns)
            changed = sequence != woken
            if changed.any():
                woken[:] = sequence
                for number in set(self._owner[changed].tolist()):
                    workers[number].wake()
            deadline_ns = beat.scanned(woke_ns, time.monotonic_ns())


def warm(plan: Plan) -> None:
    """Has the kernel compiled, or loaded, on an image of its own: no first scan waits for it."""
    bound = Bound(plan, create(plan, 0))
    initialise_at(bound.handles, 0)
    scan_at(bound.handles, 1)

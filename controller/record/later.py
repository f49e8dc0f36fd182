"""Work that nobody waits for: one thread, jobs in the order they were given.

A module because what comes after a record is durable (checkpoint, tiles) must not make the next
record wait, and because a queue without a limit is a leak.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable

JOBS_MAX = 1_000
SETTLE_S = 30.0
IDLE_S = 10.0

Job = Callable[[], None]


class Later:
    """A thread that runs jobs; it starts with the first one and ends when there are none."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def mine(self) -> bool:
        """Whether it is one of its jobs that asks."""
        return threading.current_thread() is self._thread

    def put(self, job: Job, wait_s: float = SETTLE_S) -> None:
        """Gives it a job; waits for room while too many wait. OSError if there comes none."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._jobs) < JOBS_MAX, wait_s):
                raise OSError(errno.ETIMEDOUT, "the disk does not keep up")
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="log-later", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settle(self) -> None:
        """Returns when every job is done. Raises OSError if that takes more than 30 s."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._jobs, SETTLE_S):
                raise OSError(errno.ETIMEDOUT, "the disk does not keep up")

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: bool(self._jobs), IDLE_S):
                    self._thread = None
                    return
                job = self._jobs[0]
            try:
                job()
            finally:
                with self._changed:
                    self._jobs.popleft()
                    self._changed.notify_all()

"""A disk that must answer: the real disk behind a limit of time.

A module because a dying disk does not fail, it hangs. A supervisor that waits for it for ever
cannot hold the unit; one that gives up after `ANSWER_S` has a log that failed, and holds. The call
that hangs is left to its thread: nothing is ever tried again.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from controller.record.files import FILE_MODE, DurableFiles

ANSWER_S = 5.0  # [assumed] longer than a healthy disk under load, shorter than a person's patience
NO_ANSWER = "the disk does not answer"
T = TypeVar("T")


class PatientFiles(DurableFiles):
    """The real disk; a call that takes longer than `answer_s` raises OSError (ETIMEDOUT)."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        super().__init__()
        self._answer_s = answer_s
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hangs = False

    def make_dir(self, path: Path) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.make_dir(self, path))

    def open_append(self, path: Path) -> int:
        """See FileLayer."""
        return self._ask(lambda: DurableFiles.open_append(self, path))

    def open_within(self, path: Path, offset: int = 0) -> int:
        """See FileLayer."""
        return self._ask(lambda: DurableFiles.open_within(self, path, offset))

    def write(self, fd: int, data: bytes) -> int:
        """See FileLayer."""
        return self._ask(lambda: DurableFiles.write(self, fd, data))

    def sync(self, fd: int) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.sync(self, fd))

    def commit(self, fd: int, data: bytes) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.commit(self, fd, data))

    def store(self, path: Path, data: bytes, mode: int = FILE_MODE) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.store(self, path, data, mode))

    def replace(self, path: Path, data: bytes) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.replace(self, path, data))

    def cut(self, path: Path, size: int) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.cut(self, path, size))

    def remove(self, path: Path) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.remove(self, path))

    def remove_dir(self, path: Path) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.remove_dir(self, path))

    def destroy(self, path: Path) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.destroy(self, path))

    def protect(self, path: Path) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.protect(self, path))

    def reserve(self, fd: int, size: int) -> None:
        """See FileLayer."""
        self._ask(lambda: DurableFiles.reserve(self, fd, size))

    def free(self, path: Path) -> int:
        """See FileLayer."""
        return self._ask(lambda: DurableFiles.free(self, path))

    def sync_dir(self, path: Path) -> None:
        """See DurableFiles."""
        self._ask(lambda: DurableFiles.sync_dir(self, path))

    def later(self, job: Callable[[], None]) -> None:
        """See FileLayer. Also for room among the jobs nobody waits longer than for an answer."""
        self._later.put(job, self._answer_s)

    def fresh(self) -> DurableFiles:
        """See FileLayer. For a thread of its own, which waits as long as the disk takes: one that
        gave up and tried again would leave another call behind each time."""
        return DurableFiles()

    def _ask(self, call: Callable[[], T]) -> T:
        """Has the disk's thread make a call, and waits for the answer as long as that is sane."""
        if self._later.mine or threading.current_thread() is self._thread:
            return call()  # nobody waits for the one, and the other is the disk's thread itself
        if self._hangs:
            raise OSError(errno.ETIMEDOUT, NO_ANSWER)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="log-disk", daemon=True)
            self._thread.start()
        done = threading.Lock()
        done.acquire()
        found: list[T | Exception] = []

        def job() -> None:
            try:
                found.append(call())
            except Exception as error:
                found.append(error)
            finally:
                done.release()

        self._calls.put(job)
        if not done.acquire(timeout=self._answer_s):
            self._hangs = True
            raise OSError(errno.ETIMEDOUT, NO_ANSWER)
        answer = found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _work(self) -> None:
        while True:
            self._calls.get()()

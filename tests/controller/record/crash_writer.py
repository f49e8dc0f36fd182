"""A program that writes a log on the real disk and says which records it was promised.

    crash_writer.py DIRECTORY RECORDS ANSWER_S

One line a record, written to standard output only after the record is durable. A failure is said
as `failed: WHAT`, and the status is 3. ANSWER_S is how long a disk may take to answer; with 0 all
calls come from one thread, so that the n-th of the program is the n-th of the thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from record_logs import quality_event, stamp_at

from controller.core.errors import RecordFailure
from controller.record.files import DurableFiles
from controller.record.keys import Keys
from controller.record.log import BatchLog
from controller.record.patient import PatientFiles

SEGMENT_BYTES = 1_200


class OneThread(DurableFiles):
    """The real disk, its background work in the foreground."""

    def later(self, job: Callable[[], None]) -> None:
        """At once."""
        job()


def say(text: str) -> None:
    """One line in one call: what was said is said even when the next call kills."""
    os.write(1, f"{text}\n".encode())


def write(directory: Path, records: int, answer_s: float) -> None:
    """A log of so many records, one sync each, and its seal."""
    files = PatientFiles(answer_s) if answer_s else OneThread()
    log = BatchLog.create(
        directory, Keys.from_seed(1), stamp_at(0), purpose="batch B-1", files=files,
        segment_bytes=SEGMENT_BYTES,
    )  # fmt: skip
    say("0")
    for number in range(1, records):
        say(str(log.commit(quality_event(number, number), stamp_at(number))))
    log.seal(stamp_at(records))
    say("sealed")


if __name__ == "__main__":
    try:
        write(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    except RecordFailure as failure:
        say(f"failed: {failure.what}")
        sys.stdout.flush()
        os._exit(3)  # a thread may hang in the disk

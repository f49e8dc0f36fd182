"""A launcher in a process of its own, over two or three little programs that note their starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
S = 1_000_000_000
STAYS = "time.sleep(600)"
# A launcher over two little programs; each start is a line `NAME PID TIME BATCH` in `starts`. With
# the code of a reserve as fourth argument it starts one a tenth of a second after field.
PROGRAM = """
import sys, time
from pathlib import Path
from controller import reserve
from controller.launcher import Launcher
reserve.AFTER_NS, reserve.AGAIN_NS = 10**8, 3 * 10**8
folder = Path(sys.argv[1])
def command(name, code):
    note = ("import os, sys, time; open(sys.argv[1], 'a').write("
            f"'{name} %d %d %s' % (os.getpid(), time.monotonic_ns(), sys.argv[2]) + chr(10)); ")
    return lambda: [sys.executable, "-c", note + code, str(folder / "starts"),
                    "open" if (folder / "current").exists() else "none"]
sys.exit(Launcher(command("field", sys.argv[2]), command("supervisor", sys.argv[3]),
                  (folder / "current").exists,
                  lambda text: print(text, file=sys.stderr, flush=True), folder / "pids",
                  reserve_command=command("reserve", sys.argv[4]) if sys.argv[4] else None).run())
"""


class Launched:
    """A launcher in a process of its own, and what it started."""

    def __init__(self, process, folder):
        self.process, self.folder = process, folder

    def starts(self, name):
        """(pid, monotonic ns, batch) of every start of a program."""
        file = self.folder / "starts"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(words[1]), int(words[2]), words[3]) for line in lines
                if len(words := line.split()) == 4 and words[0] == name]  # fmt: skip

    def wait(self, name, number, timeout_s=20.0):
        """Waits for so many starts of a program; the last one's pid."""
        end = time.monotonic() + timeout_s
        while len(found := self.starts(name)) < number:
            assert time.monotonic() < end, (name, number, found, self.said())
            time.sleep(0.02)
        return found[number - 1][0]

    def said(self):
        return (self.folder / "said").read_text()

    def ended(self, timeout_s=20.0):
        return self.process.wait(timeout_s)


@contextmanager
def launched(folder, field=STAYS, supervisor=STAYS, batch=False, reserve=""):
    if batch:
        (folder / "current").write_text("B-1\n")
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), field, supervisor, reserve],
            cwd=ROOT, stdin=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
    found = Launched(process, folder)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        for name in ("field", "supervisor", "reserve"):
            for pid, *_ in found.starts(name):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False

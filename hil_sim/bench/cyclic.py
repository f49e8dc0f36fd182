"""The machine's own wake-up latency: `cyclictest`, or a C loop compiled on the spot in its place.

It is asked for what field asks for: memory locked, CPU idle states off, the same CPU, class,
priority and interval, a timer slack of 1 ns.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from controller.core.errors import BadInput
from controller.field.posix import PR_SET_TIMERSLACK, PRIORITY
from hil_sim.bench.c_scan import COMPILE_S, compiler
from hil_sim.bench.result import Histogram

SOURCE = Path(__file__).with_name("wake.c")
BINS_US = 100_000  # what is later stands in the last bin
CYCLICTEST, STAND_IN = "cyclictest", "c-loop"
_ROW = re.compile(r"^(\d+)\s+(\d+)$", re.MULTILINE)
_BEYOND = re.compile(r"^# Histogram Overflows:\s*(\d+)", re.MULTILINE)
_WORST = re.compile(r"^# Max Latencies:\s*(\d+)", re.MULTILINE)


def implementation() -> str:
    """Which of the two this machine has."""
    return CYCLICTEST if shutil.which(CYCLICTEST) else STAND_IN


@lru_cache(maxsize=1)
def _stand_in() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    folder = tempfile.TemporaryDirectory(prefix="cellwright-bench-")
    built = Path(folder.name) / "wake"
    done = subprocess.run(  # noqa: S603 - our own source, the compiler of this machine
        [compiler(), "-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", str(built),
         str(SOURCE)], capture_output=True, text=True, timeout=COMPILE_S, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BadInput(f"the C compiler refused {SOURCE.name}:\n{done.stderr[:2000]}")
    return folder, built


def command(impl: str, policy: str, cpu: int, interval_us: int, seconds: float) -> list[str]:
    """The command line of one measurement; `cpu` -1 is any."""
    loops = max(round(seconds * 1e6 / interval_us), 1)
    if impl == STAND_IN:
        return [str(_stand_in()[1]), policy, str(PRIORITY), str(cpu), str(interval_us),
                str(loops), str(BINS_US)]  # fmt: skip
    words = [CYCLICTEST, "-m", "-q", "-t1", f"-i{interval_us}", f"-l{loops}", f"-h{BINS_US}"]
    words += [f"-p{PRIORITY}", "--policy=fifo"] if policy == "fifo" else ["--policy=other"]
    return words + ([f"-a{cpu}"] if cpu >= 0 else [])


def measure(policy: str, cpu: int, interval_us: int, seconds: float) -> Histogram:
    """Wake-up latencies of one run; raises BadInput when it is not permitted or says nothing."""
    impl = implementation()
    words = command(impl, policy, cpu, interval_us, seconds)
    try:
        with _sharp_timers():
            done = subprocess.run(  # noqa: S603 - cyclictest or our own program
                words, capture_output=True, text=True, timeout=10 * seconds + 30, check=False
            )
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"{impl} does not end") from error
    found = parse(done.stdout)
    if done.returncode != 0 or found is None:
        raise BadInput(
            f"{impl} failed: {(done.stderr or done.stdout)[:500]}",
            do="Run it by hand, or run this bench with the rights it needs.",
        )
    return found


@contextlib.contextmanager
def _sharp_timers() -> Iterator[None]:
    """An ordinary thread's timers may be 50 us late by default; field asks for 1 ns.

    Set here and not in the child: cyclictest changes its class and back, and with that Linux puts
    a thread's slack back to what its parent had when it forked (prctl(2), sched_setscheduler(2)).
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(0), 0, 0, 0)  # this thread's own default


def parse(text: str) -> Histogram | None:
    """The histogram in what cyclictest or the stand-in printed; None when there is none.

    Bins are whole us, so a latency counts as the middle of its bin; the worst is as printed.
    """
    rows = [(int(us), int(count)) for us, count in _ROW.findall(text) if int(count) > 0]
    beyond, worst = _BEYOND.search(text), _WORST.search(text)
    if beyond is not None and worst is not None and int(beyond[1]) > 0:
        rows.append((int(worst[1]), int(beyond[1])))
    if not rows:
        return None
    return histogram([us + 0.5 for us, _ in rows], [count for _, count in rows])


def histogram(values_us: Sequence[float], counts: Sequence[int]) -> Histogram:
    """A histogram of the latencies that were seen."""
    return Histogram(np.array(values_us, np.float64), np.array(counts, np.int64))

"""What a real-time thread asks of Linux, and what it got.

Nothing here is needed for the loop to be right, only for it to be on time: whatever is not
permitted is left out and said. Scheduling class, affinity and timer slack belong to the calling
thread alone (sched(7), prctl(2)); the memory lock and the latency request to the process.
"""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
PR_SET_TIMERSLACK = 29
PRIORITY = 60  # above what a desktop or a database asks for, below the kernel's own threads
DMA_LATENCY = Path("/dev/cpu_dma_latency")


@dataclass(frozen=True, slots=True)
class Granted:
    """What the machine granted. `refused` says in words what it did not; `latency_fd` stays open
    for as long as the request shall hold."""

    policy: str
    priority: int
    cpu: int
    locked: bool
    latency_fd: int
    refused: tuple[str, ...]

    @property
    def words(self) -> str:
        """One line for people."""
        parts = [f"SCHED_FIFO {self.priority}" if self.policy == "fifo" else "SCHED_OTHER"]
        parts.append(f"CPU {self.cpu}" if self.cpu >= 0 else "any CPU")
        parts.append("memory locked" if self.locked else "memory not locked")
        parts.append("CPU idle states off" if self.latency_fd >= 0 else "CPU idle states on")
        return ", ".join([*parts, *self.refused])


def lock_memory() -> str:
    """Keeps every page in memory once it was touched; "" or why not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0:
        return ""
    return f"mlockall: {os.strerror(ctypes.get_errno())}"


def hold_latency(path: Path = DMA_LATENCY) -> tuple[int, str]:
    """Asks for 0 us of wake-up latency while the descriptor is open; (-1, why) if not permitted."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, struct.pack("=i", 0))
    except OSError as error:
        return -1, f"{path.name}: {error.strerror}"
    return descriptor, ""


def arm(*, fifo: bool = True, priority: int = PRIORITY, pin: bool = True) -> Granted:
    """Arms the calling thread, in the order that keeps the real-time class for the last.

    Call it in the loop's own thread, after everything is compiled and touched.
    """
    refused = [lock_memory()]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)
    latency_fd, why = hold_latency()
    refused.append(why)
    cpu = -1
    allowed = sorted(os.sched_getaffinity(0))
    if pin and len(allowed) > 1:
        try:
            os.sched_setaffinity(0, {allowed[-1]})
            cpu = allowed[-1]
        except OSError as error:
            refused.append(f"affinity: {error.strerror}")
    policy = "other"
    if fifo:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
            policy = "fifo"
        except OSError as error:
            refused.append(f"SCHED_FIFO: {error.strerror}")
    return Granted(
        policy, priority if policy == "fifo" else 0, cpu, not refused[0], latency_fd,
        tuple(text for text in refused if text),
    )  # fmt: skip

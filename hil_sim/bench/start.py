"""How long field takes from its process's start to its first byte, first scan and first write.

Warm: everything is compiled and the served devices run already. The devices say when they were
written to; both clocks are the machine's monotonic one.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from controller.core.clock import NS_PER_S
from controller.core.errors import BadInput
from hil_sim.bench.result import Result
from hil_sim.bench.running import field, shipped

SERVE_S_MAX = 180.0  # the first start of all compiles the plant
WRITE_S_MAX = 20.0
ANSWER_S = 2.0
ANSWER_MAX = 65_536
POLL_S = 0.02
SKID, BEAT = "skid", "HOST_BEAT"
BYTE, SCAN, WRITE = "first serial byte", "first scan", "first OPC UA write"
CASES = (BYTE, SCAN, WRITE)


@dataclass(frozen=True, slots=True)
class Devices:
    """The served devices: where each link is, and what was written over it."""

    urls: dict[str, str]
    control: Path

    def frames(self, link: str, since: int) -> tuple[int, list[list[Any]]]:
        """How many frames came over a link so far, and [number, ns, what] of those from `since`."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_S)
            line.connect(str(self.control))
            line.sendall(json.dumps({"trace": link, "since": since}).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = json.loads(answers.readline(ANSWER_MAX))
        return int(answer["count"]), list(answer["frames"])


@contextlib.contextmanager
def devices(folder: Path) -> Iterator[Devices]:
    """`cellwright sim serve` as a process; raises BadInput when it does not start."""
    links = folder / "links.yaml"
    with (folder / "said").open("w+") as said:
        command = [sys.executable, "-m", "controller.cli", "sim", "serve", "--links", str(links)]
        process = subprocess.Popen(command, stdout=said, stderr=said)  # noqa: S603 - our own
        try:
            limit_s = time.monotonic() + SERVE_S_MAX
            while not links.exists():
                if process.poll() is not None or time.monotonic() > limit_s:
                    said.seek(0)
                    raise BadInput(f"the device side did not start: {said.read()[-2000:]}")
                time.sleep(POLL_S)
            found = yaml.safe_load(links.read_text())
            yield Devices(dict(found["links"]), Path(found["control"]))
        finally:
            process.terminate()
            process.wait()


def _first(served: Devices, link: str, since: int, wanted: Callable[[list[Any]], bool]) -> int:
    """When the first wanted frame came over a link, -1 while there is none."""
    _, frames = served.frames(link, since)
    return next((int(at_ns) for _, at_ns, what in frames if wanted(what)), -1)


def _written(what: list[Any]) -> bool:
    """Whether a frame of the skid is an accepted write to an actuator."""
    return bool(what[0] != BEAT and what[2] == 0)


def one_start(served: Devices) -> dict[str, float]:
    """Milliseconds from the start of one field to each of CASES."""
    seen = {link: served.frames(link, 0)[0] for link in served.urls}
    serial = [link for link in served.urls if link != SKID]
    with field(shipped(), served.urls) as running:
        write_ns, limit_s = -1, time.monotonic() + WRITE_S_MAX
        while write_ns < 0:
            if time.monotonic() > limit_s:
                raise BadInput("field wrote nothing to the skid", do="Look at its log.")
            time.sleep(POLL_S)
            write_ns = _first(served, SKID, seen[SKID], _written)
        firsts = [_first(served, link, seen[link], lambda what: True) for link in serial]
        byte_ns = min(at_ns for at_ns in firsts if at_ns >= running.asked_ns)
        page = running.page()
        scan_ns = page["started_ns"] + page["period_ns"]
        found = {BYTE: byte_ns, SCAN: scan_ns, WRITE: write_ns}
        return {case: (at_ns - running.asked_ns) / 1e6 for case, at_ns in found.items()}


def run(rounds: int = 5, seconds: float | None = None) -> Result:  # noqa: ARG001 - as long as it takes
    """Rows `{case, median_ms, max_ms, of_a_second}` after one start that warms.

    Raises BadInput when a program does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="cellwright-bench-") as name,
        devices(Path(name)) as served,
    ):
        one_start(served)
        found = [one_start(served) for _ in range(rounds)]
    rows = []
    for case in CASES:
        taken = [each[case] for each in found]
        rows.append({"case": case, "median_ms": round(median(taken)), "max_ms": round(max(taken)),
                     "of_a_second": round(median(taken) * 1e6 / NS_PER_S, 3)})  # fmt: skip
    return Result(rows)

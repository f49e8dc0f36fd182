"""The served devices as a process of their own, started and ended by who needs them.

A module because live runs and tests of a whole station start the same one, and neither needs the
other's imports.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.core.errors import BadInput
from hil_sim.rig.remote import Control

UNIT = "perfusion_2l"
SERVE_S_MAX = 180.0  # the first start of all compiles the plant


@contextmanager
def served(
    links: Path, seed: int, unit: str = UNIT, plant: Path | None = None, board: str = "native"
) -> Iterator[Control]:
    """The device side in another process; ends it on leaving. Raises BadInput if it does not start.

    Its control socket lies beside the links file. `plant` is a snapshot it goes on from, `board`
    what plays the I/O board of a unit that has one.
    """
    command = [sys.executable, "-m", "controller.cli", "sim", "serve", "--unit", unit,
               "--seed", str(seed), "--links", str(links), "--board", board]  # fmt: skip
    if plant is not None:
        command += ["--plant", str(plant)]
    with links.with_suffix(".err").open("w+") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own; a Ctrl-C is its user's business
            command, stdout=errors, stderr=errors, start_new_session=True
        )
        try:
            limit = time.monotonic() + SERVE_S_MAX
            while not links.exists():
                if process.poll() is not None or time.monotonic() > limit:
                    errors.seek(0)
                    raise BadInput(f"the device side did not start: {errors.read()[-2000:]}")
                time.sleep(0.05)
            yield Control(links.with_suffix(".sock"), process.pid)
        finally:
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

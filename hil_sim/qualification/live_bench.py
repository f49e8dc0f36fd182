"""The unit under test live: devices on terminals and OPC UA, field and supervisor as two programs.

A module because it owns four processes and ends exactly those. What it knows of the station it
reads from its logs; what it knows of the devices, from their side.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from controller.core.errors import BadInput
from controller.field.lock import SHM
from controller.record.entry import Context
from controller.record.frame import HEADER_BYTES, Damage, decode, read_frames, segment_files
from controller.units import find_unit, load_unit
from hil_sim.qualification.bench import LIVE, NS_PER_S, Bench, Row, Sent
from hil_sim.qualification.plant_state import save_filled
from hil_sim.rig.remote import SKID
from hil_sim.rig.serving import served

Launch = Sequence[str]
START_S = 150.0  # the first start of all compiles the kernel
ENDS_S = 10.0
SECOND = "unverified:second@qualification"
TWO = frozenset({"set_flag", "bypass"})
BATCH = 20
HORIZON_NS = 60 * NS_PER_S


class _Tail:
    """The records of one log that is being written, read on from where it was read to."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._context, self._seen = folder, Context(), 0
        self._file, self._end = "", 0  # where the last frame that was read ends

    def new(self) -> Iterator[Row]:
        """Records that came since the last call, all before what is not whole yet."""
        with suppress(OSError):
            if not self._grown():
                return
            for frame in read_frames(self._folder):
                if isinstance(frame, Damage):
                    break
                self._file, self._end = frame.file, frame.offset + HEADER_BYTES + len(frame.payload)
                if frame.seq >= self._seen:
                    self._seen = frame.seq + 1
                    yield self._context.fill(decode(frame.payload))

    def _grown(self) -> bool:
        """Whether something lies behind the last frame; its file may be as long as it was."""
        last = segment_files(self._folder)[-1:]
        if not last or last[0].name != Path(self._file).name:
            return True
        with last[0].open("rb") as file:
            file.seek(self._end)
            return any(file.read(HEADER_BYTES))


class LiveBench(Bench):
    """A station that runs on served devices. `launch` is the command that starts a station,
    `board` plays the I/O board of a unit that has one.
    """

    fidelity = LIVE

    def __init__(
        self, unit: Path, recipe: str, person: str, launch: Launch, seed: int = 1,
        board: str = "native",
    ) -> None:  # fmt: skip
        self.profile, _ = load_unit(find_unit(str(unit)))
        self._stack = ExitStack()
        shared = SHM if SHM.is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="cellwright-oq-", dir=shared))
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self.state = self._folder / "state"
        self._links = self._folder / "links.yaml"
        self._tails: dict[Path, _Tail] = {}
        self._rows: list[Row] = []
        self._first: dict[str, int] = {}  # of each line's trace: older frames are not asked for
        self._begin()
        try:
            plant = save_filled(self._folder / "plant.npz", seed)
            self.unit = self._stack.enter_context(
                served(self._links, seed, self.profile.id, plant, board)
            )
            self.output = self._folder / "station.out"
            words = [str(unit), recipe, str(self._links), str(self.state), str(self._folder)]
            self._command = [*launch, "run", *words, person]
            self.launcher = self._launched()
            self._stack.callback(self._end)
            self._started()
        except BaseException:
            self._stack.close()
            raise

    def _launched(self) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as file:
            return subprocess.Popen(  # noqa: S603 - our own program
                self._command, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip

    def _started(self) -> None:
        """Waits until the batch runs; raises BadInput with what the station said if it does not.

        A board that was just switched on shut its valves: that row is reset, and the start that was
        refused because of it is asked for once more.
        """
        if not self.until(self._runs, START_S, 0.5) or self._over():
            said = self.output.read_text(errors="replace")[-1500:]
            raise BadInput(f"the station did not start: {said}", where=self.output)

    def _runs(self) -> bool:
        if self.procedure == "Running" or self._over():
            return True
        latched = [row for row, how in self.standing().items() if how == "latched"]
        self.ask(*({"verb": "reset", "target": row, "reason": "the board was switched on"}
                   for row in latched))  # fmt: skip
        if not latched and self.since(0, "command.refused", verb="start"):
            self.ask({"verb": "start", "target": "procedure", "reason": "its rows are reset"})
        return False

    def _over(self) -> bool:
        return self.launcher.poll() is not None

    def pid(self, program: str) -> int:
        """The number of the station's `field` or `supervisor`; 0 when it does not run."""
        for path in self._folder.glob("cellwright-*.pids"):
            with suppress(OSError, ValueError, KeyError):
                return int(json.loads(path.read_text())[program][0])
        return 0

    # -- Bench --------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The machine's monotonic clock."""
        return time.monotonic_ns()

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        time.sleep(max(seconds, 0.0))

    def show(self, values: Mapping[str, float]) -> None:
        """See Bench."""
        if values:
            self.unit.force(**values)

    def unforce(self, channels: Sequence[str]) -> None:
        """See Bench."""
        if channels:
            self.unit.free(*channels)

    def fault(self, name: str, on: bool, **how: Any) -> None:
        """See Bench."""
        if on:
            self.unit.fault(name, **how)
        else:
            self.unit.clear(name, **{k: v for k, v in how.items() if k != "rpm"})

    def drives(self) -> dict[str, float]:
        """See Bench."""
        return self.unit.drives()

    def sent(self, since_ns: int) -> list[Sent]:
        """See Bench. Of each line the last 4,096 frames are there."""
        found: list[Sent] = []
        for link in self.profile.links:
            line = link.name if link.kind != "opcua" else SKID
            first = self._first.get(line, 0)
            frames = self.unit.trace(line, first)
            old = [f.number for f in frames if f.mono_ns < self.now_ns - HORIZON_NS]
            self._first[line] = old[-1] if old else first
            for frame in frames:
                if frame.mono_ns < since_ns or frame.node == "HOST_BEAT":
                    continue
                data = f"{frame.node}={frame.value}" if frame.node else frame.data.hex()
                found.append(Sent(link.name, frame.mono_ns, data, frame.status))
        return sorted(found, key=lambda one: one.mono_ns)

    def ask(self, *requests: Mapping[str, str]) -> None:
        """See Bench. A flag and a bypass need a second person."""
        if not requests:
            return
        wishes = [{**each, "second": SECOND if each["verb"] in TWO else ""} for each in requests]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(5.0)
            for first in range(0, len(wishes), BATCH):
                data = json.dumps(wishes[first : first + BATCH]).encode()
                with suppress(OSError):
                    line.sendto(data, f"{self.state}.desk.sock")

    def rows(self) -> list[Row]:
        """See Bench."""
        fresh: list[Row] = []
        for folder in [self.state / "station", *sorted(self.state.glob("batches/*/log"))]:
            if (folder / "segments").is_dir():
                fresh += self._tails.setdefault(folder, _Tail(folder)).new()
        if fresh:
            fresh.sort(key=lambda row: int(row["mono_ns"]))
            self._rows += fresh
        return self._rows

    def silence_supervisor(self, seconds: float) -> None:
        """The supervisor's process is stopped for so long."""
        pid = self.pid("supervisor")
        os.kill(pid, signal.SIGSTOP)
        try:
            self.wait(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill(self, program: str) -> int:
        """kill -9 of `field` or `supervisor`; returns when. The launcher starts the next."""
        at_ns = self.now_ns
        os.kill(self.pid(program), signal.SIGKILL)
        return at_ns

    def logs(self) -> list[Path]:
        """See Bench."""
        return [self.state / "station", *sorted(self.state.glob("batches/*/log"))]

    def close(self) -> None:
        """See Bench."""
        self._stack.close()

    def _end(self) -> None:
        """Ends the launcher and the two programs it started: kill -9, as any time."""
        pids = [self.launcher.pid, self.pid("supervisor"), self.pid("field")]
        for pid in pids:
            if pid > 1:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.launcher.wait(ENDS_S)


def station_command() -> list[str]:
    """How a station is started when nobody says otherwise."""
    return [sys.executable, "-m", "controller.cli.qualify_station"]

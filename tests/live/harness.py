"""A whole station live: served devices, the launcher with its two programs, and what can be seen of
them from outside: the wire, the plant's truth, the log, the processes.

Processes are known by a token in their environment, so a test ends only what it started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from field_view import Beats, at_fault, beats_of, field_of, tidy

from controller.field.board import Board
from controller.record.entry import Context
from controller.record.frame import Damage, decode, read_frames
from controller.record.verify import verify
from hil_sim.rig.handover import Handover
from hil_sim.rig.remote import Control, Frame
from hil_sim.rig.serving import served

ROOT = Path(__file__).parents[2]
TOKEN = "CELLWRIGHT_TEST_TOKEN"
FIELD, SUPERVISOR = "controller.field", "controller.cli.supervise"
S = 1_000_000_000
LIQUID_VALVES = ("XV201_CMD", "XV202_CMD", "XV203_CMD", "XV204_CMD")
Row = dict[str, Any]


def wait_until(
    condition: Callable[[], Any], what: str | Callable[[], str], timeout_s: float = 30.0
) -> Any:
    """The first true value of `condition`; fails with `what` when the time is over."""
    end = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= end:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {timeout_s:.0f} s: {words}")
        time.sleep(0.1)


# -- the log ----------------------------------------------------------------------------------


class Known:
    """The records of one log that may be being written, read on from where it was read to."""

    def __init__(self, log: Path) -> None:
        self.rows: list[Row] = []
        self._log, self._context = log, Context()
        self._name = log.parent.name if log.name == "log" else log.name

    def read(self) -> list[Row]:
        """All records before what is not whole yet."""
        with suppress(OSError):
            for frame in read_frames(self._log):
                if isinstance(frame, Damage):
                    break
                if frame.seq >= len(self.rows):
                    row = self._context.fill(decode(frame.payload))
                    self.rows.append({**row, "seq": frame.seq, "log": self._name})
        return self.rows


def log_rows(log: Path) -> list[Row]:
    """The records of one log that may be being written: all before what is not whole yet."""
    return Known(log).read()


def logs_of(state: Path) -> list[Path]:
    """The station's log and those of all batches."""
    return [state / "station", *sorted(state.glob("batches/*/log"))]


def in_time(found: list[Row]) -> list[Row]:
    """Records of several logs in the order of the wall clock."""
    return sorted(found, key=lambda row: (datetime.fromisoformat(row["time"]), row["seq"]))


def state_rows(state: Path) -> list[Row]:
    """The records of the station's and all batches' logs, in the order of the wall clock."""
    return in_time([row for log in logs_of(state) for row in log_rows(log)])


def named(found: Sequence[Row], *names: str, **data: Any) -> list[Row]:
    """Records of some kinds whose fields have these values."""
    return [
        row for row in found
        if row["event"] in names and all(row["data"].get(k) == v for k, v in data.items())
    ]  # fmt: skip


def contiguous(found: Sequence[Row]) -> list[str]:
    """What is wrong with the sources of the records of all logs of a state directory.

    Every entry of a ring has exactly one record: per generation and ring the numbers are 0, 1, 2 ..
    without gap or repetition. A history chunk (ring `h`) names its last row and how many it holds.
    """
    rings: dict[str, list[tuple[int, int]]] = {}
    problems: list[str] = []
    for row in found:
        if not row.get("source"):
            continue
        generation, ring, number = row["source"].rsplit(".", 2)
        if ring == "h" and row["event"] != "history.chunk":
            problems.append(f"{row['source']} is the source of a {row['event']}")
            continue
        entries = int(row["data"]["rows"]) if ring == "h" else 1
        rings.setdefault(f"{generation}.{ring}", []).append((int(number), entries))
    for name, entries_ in sorted(rings.items()):
        expected = 0
        for last, count in sorted(entries_):
            first = last - count + 1
            if first > expected:
                problems.append(f"{name}: {expected} to {first - 1} are missing")
            elif first < expected:
                problems.append(f"{name}: {first} to {expected - 1} are recorded twice")
            expected = max(expected, last + 1)
    return problems


def proved(state: Path) -> None:
    """Asserts that every log is whole and that no ring entry is missing or recorded twice."""
    for log in logs_of(state):
        report = verify(log, expect_sealed=False, deep=True)
        assert report.ok, (log, report.problems)
    assert contiguous(state_rows(state)) == []


# -- processes --------------------------------------------------------------------------------


def processes(token: str, module: str = "") -> list[int]:
    """Pids that carry a token, oldest first; those of one program with `module`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError, IndexError):
            environment = (entry / "environ").read_bytes().split(b"\0")
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if f"{TOKEN}={token}".encode() not in environment or state[0] == "Z":
                continue
            if not module or module.encode() in words:
                found.append((int(state[19]), int(entry.name)))
    return [pid for _, pid in sorted(found)]


def kill(pid: int, number: int = signal.SIGKILL) -> int:
    """Sends a signal; returns the monotonic time at which it was sent."""
    now_ns = time.monotonic_ns()
    os.kill(pid, number)
    return now_ns


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing, and goes on afterwards (SIGSTOP, SIGCONT)."""
    kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        kill(pid, signal.SIGCONT)


# -- the station ------------------------------------------------------------------------------


@dataclass
class Live:
    """A station that runs: its devices (`unit`), its state directory and its processes."""

    unit: Control
    links: Path
    state: Path
    token: str
    output: Path
    process: subprocess.Popen[bytes]
    known: dict[Path, Known] = field(default_factory=dict)

    @property
    def launcher(self) -> int:
        """Its pid."""
        return self.process.pid

    def pid(self, module: str) -> int:
        """The pid of the newest process of a program; waits for it to be there."""
        return int(wait_until(lambda: processes(self.token, module), f"no {module}")[-1])

    @property
    def field(self) -> int:
        """The field's pid."""
        return self.pid(FIELD)

    @property
    def supervisor(self) -> int:
        """The supervisor's pid."""
        return self.pid(SUPERVISOR)

    def rows(self) -> list[Row]:
        """All records so far; each log is read on from where it was read to."""
        for log in logs_of(self.state):
            self.known.setdefault(log, Known(log)).read()
        return in_time([row for known in self.known.values() for row in known.rows])

    @contextmanager
    def board(self) -> Iterator[Board]:
        """What the living field shows, as of now; waits for one."""
        living = wait_until(lambda: field_of(self.state), "no field lives")
        try:
            yield living.board
        finally:
            living.region.close()

    def beats(self) -> Beats:
        """The heartbeat page of the living field."""
        with self.board() as board:
            return beats_of(board)

    def at_fault(self) -> list[str]:
        """Measured signals that are bad now, rows of links that are silent."""
        with self.board() as board:
            return at_fault(board)

    def named(self, *names: str, **data: Any) -> list[Row]:
        """Records of some kinds so far."""
        return named(self.rows(), *names, **data)

    def since(self, mono_ns: int, *names: str, **data: Any) -> list[Row]:
        """Records of some kinds since an instant of this machine's monotonic clock."""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [row for row in self.named(*names, **data)
                if row["boot_id"] == boot and int(row["mono_ns"]) >= mono_ns]  # fmt: skip

    @property
    def batch_state(self) -> str:
        """The state of the batch as last recorded, empty before the first."""
        found = self.named("batch.state")
        return str(found[-1]["data"]["state"]) if found else ""

    def wait_record(self, mono_ns: int, name: str, timeout_s: float = 30.0, **data: Any) -> Row:
        """The first such record since an instant."""
        found = wait_until(
            lambda: self.since(mono_ns, name, **data),
            lambda: f"{name} {data} since {mono_ns}\n{self.words()}", timeout_s,
        )  # fmt: skip
        return dict(found[0])

    def words(self) -> str:
        """The last records and the launcher's words, for a failing test."""
        lines = [f"{row['mono_ns']} {row['event']} {row['data']}" for row in self.rows()[-25:]]
        return "\n".join([*lines, self.output.read_text(errors="replace")[-2000:]])

    def kill_everything(self) -> int:
        """kill -9 for launcher, field and supervisor at once, as a power cut; returns when."""
        now_ns = time.monotonic_ns()
        for pid in [self.launcher, *processes(self.token)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not processes(self.token), "the processes are not gone")
        return now_ns


@contextmanager
def launched(
    unit: Control, links: Path, state: Path, words: Sequence[str | Path] = (),
    recipe: str | Path = "car_t_perfusion", extra: dict[str, str] | None = None,
) -> Iterator[Live]:
    """Starts `cellwright run`; ends it and whatever it started on leaving.

    `words` are further words of the command line, `extra` further environment.
    """
    token = uuid.uuid4().hex
    output = state.with_name(f"{state.name}.{token[:6]}.out")
    command = [sys.executable, "-m", "controller.cli", "run", "--unit", "perfusion_2l",
               "--recipe", str(recipe), "--links", str(links), "--state", str(state),
               *map(str, words)]  # fmt: skip
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            env={**os.environ, **(extra or {}), TOKEN: token},
        )  # fmt: skip
        live = Live(unit, links, state, token, output, process)
        try:
            yield live
        finally:
            live.kill_everything()


def copied(handed: Handover, folder: Path) -> tuple[Path, Path]:
    """A hand-over of one's own: (state directory, plant snapshot), keys with their modes."""
    state = folder / "state"
    shutil.copytree(handed.state, state)
    return state, Path(shutil.copy2(handed.plant, folder / "plant.npz"))


@contextmanager
def taken_up(
    handed: Handover, folder: Path, words: Sequence[str | Path] = (),
    extra: dict[str, str] | None = None,
) -> Iterator[Live]:
    """A hand-over taken up: devices as they stood, the launcher started, the batch attached."""
    state, plant = copied(handed, folder)
    links = folder / "links.yaml"
    with served(links, 1, plant=plant) as unit:
        unit.mark()
        try:
            with launched(unit, links, state, words, extra=extra) as live:
                live.wait_record(0, "batch.attached", 60.0)
                yield live
        finally:
            tidy(state)


# -- what leaves ------------------------------------------------------------------------------


def writes(frames: Sequence[Frame], *nodes: str, since_ns: int = 0) -> list[tuple[str, float]]:
    """(node, value) of every accepted write to the skid; to `nodes` only if given."""
    return [(frame.node, frame.value) for frame in frames
            if frame.mono_ns >= since_ns and frame.status == 0
            and (frame.node in nodes if nodes else frame.node != "HOST_BEAT")]  # fmt: skip


def sent(frames: Sequence[Frame], since_ns: int = 0) -> bytes:
    """All bytes that came in over a serial line since an instant."""
    return b"".join(frame.data for frame in frames if frame.mono_ns >= since_ns)


def liquids_shut(unit: Control) -> bool:
    """Whether no pump turns and no pinch valve is open, as the devices drive the plant."""
    drives = unit.drives()
    names = ("feed_rpm", "perfusate_rpm", "base_rpm", "xv201", "xv202", "xv203", "xv204")
    return all(drives[name] == 0.0 for name in names)


def environment_kept(unit: Control) -> list[str]:
    """What is wrong with heat, stirring and gas since the mark, on the plant's truth."""
    truth, drives = unit.marked(), unit.drives()
    temperature, oxygen = truth["temperature_degc"], truth["do_pct"]
    problems = []
    if not (temperature.low >= 36.5 and temperature.high <= 37.5):
        problems.append(f"temperature {temperature}")
    if not (oxygen.low >= 15.0 and oxygen.high <= 90.0):
        problems.append(f"DO {oxygen}")
    problems += [
        f"{name} is {drives[name]}"
        for name, least in (("km101", 1.0), ("stirrer_rpm", 60.0), ("air", 1.0), ("xv100", 1.0))
        if drives[name] < least
    ]
    return problems


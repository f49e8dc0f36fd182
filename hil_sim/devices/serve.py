"""The device side in a process of its own: PTYs, an OPC UA server and a control socket, at wall
speed.

The plant moves by absolute deadlines of the monotonic clock; a host that stalls is caught up with
at a bounded rate. The links file tells the host where each line is.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hil_sim.devices.opcua_server import SkidServer
from hil_sim.devices.pty_line import PtyLine
from hil_sim.devices.unit import (
    IO_LINE,
    PERFUSION,
    PERFUSION_IO,
    UNITS,
    DeviceFaultError,
    Parameter,
    UnitDevices,
    number_of,
)
from hil_sim.devices.witness import Extremes
from hil_sim.plant.plant import Plant, Snapshot
from hil_sim.plant.state import ACTUATORS, CHANNELS

if TYPE_CHECKING:
    from hil_sim.devices.served_board import ServedBoard
    from hil_sim.devices.terminals import Terminals

TICK_NS = 100_000_000
CATCH_UP_TICKS_MAX = 50
CONTROL_LINE_MAX = 4_096
HANDS = frozenset({
    "inoculate", "add_bolus", "draw_sample", "pressurise", "clamp_vent", "release",
    "change_medium_bag", "purge_feed_line", "empty",
})  # fmt: skip


SKID = "skid"
DOOR_FAULTS = ("link_lost", "server_frozen")  # the others are the devices': unit.FAULTS


class Served:
    """A plant, its devices and all their doors. Made inside a running event loop.

    With a snapshot the plant goes on from there and every device stands as it drives the plant;
    without one they are found running, with an empty vessel. Terminals get names beside `links`.
    `board` plays the I/O board of a unit that has one: see served_board.KINDS.
    """

    def __init__(
        self, seed: int, links: Path, control: Path, port: int, snapshot: Snapshot | None = None,
        unit: str = PERFUSION, board: str = "native",
    ) -> None:  # fmt: skip
        self.plant = Plant(seed)
        if snapshot is None:
            self.plant.close_pinch_valves()
        else:
            self.plant.restore(snapshot)
        _compile(self.plant)
        found = dict(zip(ACTUATORS, map(float, self.plant.u["drive"][0]), strict=True))
        make_board = _board_maker(board, seed) if unit == PERFUSION_IO else None
        self.devices = UnitDevices(self.plant, found, time.monotonic_ns(), unit, make_board)
        self.lines = {
            name: PtyLine(bus, links.with_name(f"{links.stem}.{name}.tty").absolute())
            for name, bus in self.devices.serial.items()
        }
        self.server = SkidServer(
            self.devices.skid, port, time.monotonic_ns, lambda: datetime.now(UTC)
        )
        self._loop = asyncio.get_running_loop()
        self._board_line: socket.socket | None = None
        self.board = cast("ServedBoard | None", self.devices.board)
        if self.board is not None:
            self.board.watch = self._watch_board
            self._watch_board(self.board.line)
        self.extremes = Extremes()
        self._links, self._control_path = links, control
        self._control: asyncio.Server | None = None

    async def start(self) -> None:
        """Opens the OPC UA server and the control socket, then writes the links file, whole."""
        await self.server.start()
        self._control_path.unlink(missing_ok=True)
        self._control = await asyncio.start_unix_server(
            self._talk, str(self._control_path), limit=CONTROL_LINE_MAX
        )
        rows = [f"  {name}: pty:{line.path}" for name, line in self.lines.items()]
        rows.append(f"  skid: {self.server.url}")
        text = "links:\n" + "\n".join(rows) + f"\ncontrol: {self._control_path}\n"
        partial = self._links.with_suffix(".part")
        partial.write_text(text)
        partial.rename(self._links)

    async def run(self) -> None:
        """Moves the plant at wall speed until cancelled."""
        next_ns = time.monotonic_ns()
        while True:
            now_ns = time.monotonic_ns()
            ticks = min((now_ns - next_ns) // TICK_NS, CATCH_UP_TICKS_MAX)
            if ticks > 0:
                self.devices.skid.advance(now_ns)
                self._advance(int(ticks))
                next_ns += ticks * TICK_NS
            await asyncio.sleep(max(next_ns + TICK_NS - time.monotonic_ns(), 1_000_000) / 1e9)

    def _watch_board(self, line: socket.socket | None) -> None:
        """From now on what comes over the board's line goes on to the host."""
        before, self._board_line = self._board_line, line
        if before is not None:
            self._loop.remove_reader(before)
        if line is not None and self.board is not None:
            self._loop.add_reader(line, self._from_board, self.board)

    def _from_board(self, board: ServedBoard) -> None:
        self.lines[IO_LINE].say(board.heard(), time.monotonic_ns())

    def _advance(self, ticks: int) -> None:
        self._move(ticks)
        if self.board is not None:
            self.board.look()

    def _move(self, ticks: int) -> None:
        if not self.extremes.watching:
            self.plant.advance(ticks)
            return
        for _ in range(ticks):
            self.plant.advance(1)
            self.extremes.tick(self.plant.truth())

    async def stop(self) -> None:
        """Closes every door."""
        if self._control is not None:
            self._control.close()
        self._control_path.unlink(missing_ok=True)
        for line in self.lines.values():
            line.close()
        if self.board is not None:
            self.board.close()
        await self.server.stop()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                reply = await self.control(line)
                writer.write(json.dumps(reply).encode() + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError):
            return  # a line beyond the limit, or the caller went away
        finally:
            writer.close()

    async def control(self, line: bytes) -> dict[str, Any]:
        """One JSON line, a wish of `_grant` or `_tell`; `{"error": ...}` changes nothing."""
        try:
            wish = json.loads(line)
            if not isinstance(wish, dict):
                return {"error": "a JSON object is needed"}
            return await self._grant(wish)
        except (ValueError, TypeError, KeyError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    async def _grant(self, wish: dict[str, Any]) -> dict[str, Any]:
        how = wish.get("how", {})
        if "fault" in wish:
            await self._set_fault(str(wish["fault"]), how)
            return {"ok": True}
        if "clear" in wish:
            await self._clear_fault(str(wish["clear"]), how)
            return {"ok": True}
        if "hands" in wish:
            act = dict(wish["hands"])
            name = str(act.pop("do"))
            if name not in HANDS:
                return {"error": f"no hand {name!r}; known: {', '.join(sorted(HANDS))}"}
            return {"ok": True, "result": getattr(self.plant, name)(**act)}
        if "force" in wish or "free" in wish:
            self._force(dict(wish.get("force", {})), list(wish.get("free", [])))
            return {"ok": True, "mono_ns": time.monotonic_ns()}
        return self._tell(wish)

    def _force(self, values: dict[str, Any], free: list[Any]) -> None:
        """Instruments show given values, or what is there again. Raises ValueError; then none."""
        wanted = {str(name): float(value) for name, value in values.items()}
        odd = [name for name in (*wanted, *free) if name not in CHANNELS]
        odd += [name for name, value in wanted.items() if not math.isfinite(value)]
        if odd:
            raise ValueError(f"no instrument, or no value for it: {', '.join(map(str, odd))}")
        for name, value in wanted.items():
            self.plant.set_fault(f"{name}_stuck", 1.0, value)
        for name in free:
            self.plant.clear_fault(f"{name}_stuck")

    def _tell(self, wish: dict[str, Any]) -> dict[str, Any]:
        """What is and what was: nothing of it changes the plant or a device."""
        if wish.get("truth"):
            return {"ok": True, "truth": _plain(self.plant.truth())}
        if wish.get("drives"):
            if self.board is not None:
                self.board.look()
            drives = self.plant.u["drive"][0].tolist()
            actual = self.plant.s["actual"][0].tolist()
            return {"ok": True, "drives": dict(zip(ACTUATORS, drives, strict=True)),
                    "actual": dict(zip(ACTUATORS, actual, strict=True))}  # fmt: skip
        if wish.get("mark"):
            self.extremes.begin(_plain(self.plant.truth()))
            return {"ok": True}
        if wish.get("marked"):
            ticks = self.extremes.ticks
            return {"ok": True, "ticks": ticks, "marked": self.extremes.plain()}
        if "trace" in wish:
            trace = self.server.trace if wish["trace"] == SKID else (
                self.lines[str(wish["trace"])].trace
            )
            after = int(wish.get("since", 0))
            return {"ok": True, "count": trace.count, "frames": trace.since(after)}
        known = "fault, clear, force, free, hands, truth, drives, mark, marked, trace"
        return {"error": f"one of {known} is needed"}

    async def _set_fault(self, name: str, how: dict[str, Parameter]) -> None:
        """As UnitDevices.set_fault, and what happens to doors: `link_lost(link)` hangs a terminal
        up or closes the server, `server_frozen()`, and `slow_read(link="skid")`.
        """
        if name == "link_lost":
            await self._door(how, wanted=False)
        elif name == "server_frozen":
            self.server.freeze(True)
        elif name == "slow_read" and how.get("link") == SKID:
            reads = round(number_of(how, "reads", 0.0, 0.0, 1e6))
            self.server.delay(number_of(how, "late_ms", 350.0, 0.0, 60_000.0) / 1e3, reads)
        else:
            self.devices.set_fault(name, time.monotonic_ns(), **how)
            if self.devices.skid.killed:
                await self.server.stop()

    async def _clear_fault(self, name: str, how: dict[str, Parameter]) -> None:
        if name == "link_lost":
            await self._door(how, wanted=True)
        elif name == "server_frozen":
            self.server.freeze(False)
        elif name == "slow_read" and how.get("link") == SKID:
            self.server.delay(0.0)
        else:
            self.devices.clear_fault(name, time.monotonic_ns(), **how)
            if name == "skid_killed":
                await self.server.start()

    async def _door(self, how: dict[str, Parameter], *, wanted: bool) -> None:
        link = str(how.get("link", "probe_bus"))
        if link == SKID:
            await (self.server.start() if wanted else self.server.stop())
        elif link not in self.lines:
            raise DeviceFaultError(f"no link {link!r}; known: {SKID}, {', '.join(self.lines)}")
        elif wanted:
            self.lines[link].open()
        else:
            self.lines[link].close()


def _board_maker(kind: str, seed: int) -> Callable[[Terminals], ServedBoard]:
    """How a board is made; only a unit that has one needs the emulators."""
    from hil_sim.devices.served_board import ServedBoard

    return lambda terminals: ServedBoard(terminals, kind, seed)


def _compile(plant: Plant) -> None:
    """Has all compiled code made before the first door opens, and leaves no trace in the plant."""
    before = plant.snapshot()
    plant.advance(10)
    plant.measure("TT101")
    plant.restore(before)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.item() if hasattr(value, "item") else value
            for name, value in values.items()}  # fmt: skip


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def serve(
    unit: str, seed: int, links: Path, control: Path, port: int = 0, plant: Path | None = None,
    board: str = "native",
) -> None:  # fmt: skip
    """Serves the devices of `unit` until cancelled; `links` is written when all doors are open.

    `plant` is a snapshot file to go on from, `board` what plays the I/O board. Raises ValueError
    for an unknown unit or board, SnapshotError for a file that is no snapshot.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # it warns of the lack of certificates
    if unit not in UNITS:
        raise ValueError(f"no device side for unit {unit!r}; known: {', '.join(UNITS)}")
    snapshot = Snapshot.load(plant) if plant is not None else None
    served = Served(seed, links, control, port or free_port(), snapshot, unit, board)
    try:
        await served.start()
        await served.run()
    finally:
        await served.stop()

"""The device side in a process of its own: PTYs, an OPC UA server and a control socket, at wall
speed.

The plant moves by absolute deadlines of the monotonic clock; a host that stalls is caught up with
at a bounded rate. The links file tells the host where each line is.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import logging
import os
import socket
import time
import tty
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hil_sim.devices.line import Bus
from hil_sim.devices.opcua_server import SkidServer
from hil_sim.devices.unit import UnitDevices
from hil_sim.plant.plant import Plant
from hil_sim.plant.state import ACTUATORS

TICK_NS = 100_000_000
CATCH_UP_TICKS_MAX = 50
CONTROL_LINE_MAX = 4_096
HANDS = frozenset({
    "inoculate", "add_bolus", "draw_sample", "pressurise", "clamp_vent", "release",
    "change_medium_bag", "empty",
})  # fmt: skip


class PtyLine:
    """One serial line on a pseudo terminal; replies leave when their last byte is due."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._due: list[tuple[int, int, bytes]] = []
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._readable)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            now_ns = time.monotonic_ns()
            for due_ns, data in self._bus.receive(os.read(self._master, 512), now_ns):
                self._count += 1
                heapq.heappush(self._due, (due_ns, self._count, data))
                self._loop.call_later(max(due_ns - now_ns, 0) / 1e9, self._send)

    def _send(self) -> None:
        now_ns = time.monotonic_ns() + 1_000_000  # the loop's timer may be a little early
        while self._due and self._due[0][0] <= now_ns:
            _, _, data = heapq.heappop(self._due)
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, data)  # a line nobody reads loses its bytes

    def close(self) -> None:
        """Hangs up."""
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)


class Served:
    """A plant, its devices and all their doors. Made inside a running event loop."""

    def __init__(self, seed: int, control: Path, port: int) -> None:
        self.plant = Plant(seed)
        self.plant.close_pinch_valves()
        _compile(self.plant)
        found = dict(zip(ACTUATORS, map(float, self.plant.u["drive"][0]), strict=True))
        self.devices = UnitDevices(self.plant, found, time.monotonic_ns())
        self.lines = {name: PtyLine(bus) for name, bus in self.devices.serial.items()}
        self.server = SkidServer(
            self.devices.skid, port, time.monotonic_ns, lambda: datetime.now(UTC)
        )
        self._control_path = control
        self._control: asyncio.Server | None = None

    async def start(self, links: Path) -> None:
        """Opens the OPC UA server and the control socket, then writes the links file, whole."""
        await self.server.start()
        self._control_path.unlink(missing_ok=True)
        self._control = await asyncio.start_unix_server(
            self._talk, str(self._control_path), limit=CONTROL_LINE_MAX
        )
        rows = [f"  {name}: pty:{line.path}" for name, line in self.lines.items()]
        rows.append(f"  skid: {self.server.url}")
        text = "links:\n" + "\n".join(rows) + f"\ncontrol: {self._control_path}\n"
        partial = links.with_suffix(".part")
        partial.write_text(text)
        partial.rename(links)

    async def run(self) -> None:
        """Moves the plant at wall speed until cancelled."""
        next_ns = time.monotonic_ns()
        while True:
            now_ns = time.monotonic_ns()
            ticks = min((now_ns - next_ns) // TICK_NS, CATCH_UP_TICKS_MAX)
            if ticks > 0:
                self.devices.skid.advance(now_ns)
                self.plant.advance(int(ticks))
                next_ns += ticks * TICK_NS
            await asyncio.sleep(max(next_ns + TICK_NS - time.monotonic_ns(), 1_000_000) / 1e9)

    async def stop(self) -> None:
        """Closes every door."""
        if self._control is not None:
            self._control.close()
        self._control_path.unlink(missing_ok=True)
        for line in self.lines.values():
            line.close()
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
        """One JSON line: fault, clear, hands or truth; `{"error": ...}` changes nothing."""
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
            self.devices.set_fault(str(wish["fault"]), time.monotonic_ns(), **how)
            if self.devices.skid.killed:
                await self.server.stop()
            return {"ok": True}
        if "clear" in wish:
            was_killed = self.devices.skid.killed
            self.devices.clear_fault(str(wish["clear"]), **how)
            if was_killed and not self.devices.skid.killed:
                await self.server.start()
            return {"ok": True}
        if "hands" in wish:
            act = dict(wish["hands"])
            name = str(act.pop("do"))
            if name not in HANDS:
                return {"error": f"no hand {name!r}; known: {', '.join(sorted(HANDS))}"}
            return {"ok": True, "result": getattr(self.plant, name)(**act)}
        if wish.get("truth"):
            return {"ok": True, "truth": _plain(self.plant.truth())}
        return {"error": "one of fault, clear, hands, truth is needed"}


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


async def serve(unit: str, seed: int, links: Path, control: Path, port: int = 0) -> None:
    """Serves the devices of `unit` until cancelled; `links` is written when all doors are open.

    Raises ValueError for an unknown unit.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # it warns of the lack of certificates
    if unit != "perfusion_2l":
        raise ValueError(f"no device side for unit {unit!r}; known: perfusion_2l")
    served = Served(seed, control, port or free_port())
    try:
        await served.start(links)
        await served.run()
    finally:
        await served.stop()

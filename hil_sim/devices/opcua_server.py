"""The skid's OPC UA server: real sessions over a Skid, with its status codes and source times.

asyncua serves; every value is asked from the Skid when a client reads it, and every write goes
through the Skid, whose status code is the answer. A frozen server keeps its sessions and answers
none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from hil_sim.devices.skid import (
    COMMANDS,
    CONTACTS,
    HOST_BEAT,
    HOST_LOST,
    LIMITS,
    Skid,
    Value,
)
from hil_sim.devices.witness import Trace

NAMESPACE = "urn:skid:perfusion-2l"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Gate:
    """What stands between a request and its answer: nothing, a pause, or a frozen server."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.pause_s, self.reads = 0.0, 0

    async def read(self) -> None:
        """Waits as long as the next read is to take."""
        await self.open.wait()
        pause_s = self.pause_s
        if pause_s > 0.0:
            if self.reads > 0:
                self.reads -= 1
                self.pause_s = pause_s if self.reads else 0.0
            await asyncio.sleep(pause_s)


class _Session(InternalSession):
    gate: _Gate

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        await self.gate.read()
        return await super().read(params)

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        await self.gate.open.wait()
        return await super().write(params)


class _Sessions(InternalServer):
    """asyncua's server, but for the gate in front of every session of a client."""

    def __init__(self, gate: _Gate) -> None:
        super().__init__()
        self._gate = gate

    def create_session(self, name: str, *args: Any, **kwargs: Any) -> InternalSession:
        session = _Session(self, self.aspace, self.subscription_service, name, *args, **kwargs)
        session.gate = self._gate
        return session


class SkidServer:
    """One endpoint on 127.0.0.1. `clock` gives the Skid's time in ns, `utc` the wall time.

    `trace` holds every write that came in: node, value, status code.
    """

    def __init__(
        self, skid: Skid, port: int, clock: Callable[[], int], utc: Callable[[], datetime]
    ) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}/skid/"
        self._skid, self._clock, self._utc = skid, clock, utc
        self._server: Server | None = None
        self._gate = _Gate()
        self.trace = Trace()

    def freeze(self, frozen: bool) -> None:
        """Stops or goes on answering; sessions stay, and what was asked meanwhile is answered."""
        if frozen:
            self._gate.open.clear()
        else:
            self._gate.open.set()

    def delay(self, pause_s: float, reads: int = 0) -> None:
        """Lets the next `reads` reads (0: all) take this much longer."""
        self._gate.pause_s, self._gate.reads = pause_s, reads

    async def start(self) -> None:
        """Opens the endpoint with a node for every signal and command of the skid.

        Nothing if it is open.
        """
        if self._server is not None:
            return
        server = Server(iserver=_Sessions(self._gate))
        await server.init()
        server.set_endpoint(self.url)
        server.set_server_name("perfusion skid")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(NAMESPACE)
        parent = await server.nodes.objects.add_object(index, "Skid")
        space = server.iserver.aspace
        names: dict[Any, str] = {}
        for name in self._skid.nodes:
            node = ua.NodeId(ua.String(name), ua.Int16(index))
            variable = await parent.add_variable(node, name, _variant(name, 0))
            if name in COMMANDS or name == HOST_BEAT:
                await variable.set_writable()
            space.set_attribute_value_callback(node, AttributeIds.Value, self._read)
            names[node] = name
        self._route_writes(space, names)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Closes the endpoint, as if the server had been killed: no answer, no farewell wanted."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def _read(self, node: Any, attribute: Any) -> ua.DataValue:
        now_ns, name = self._clock(), str(node.Identifier)
        answer = self._skid.read((name,), now_ns)
        now = self._utc()
        if answer is None:
            return ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(0x80310000)))
        age = timedelta(microseconds=(now_ns - answer.source_ns[0]) // 1_000)
        status = answer.statuses[0]
        value = ua.Variant() if status & 0x80000000 else _variant(name, answer.values[0])
        return ua.DataValue(
            value, StatusCode=ua.StatusCode(ua.UInt32(status)), SourceTimestamp=_stamp(now - age),
            ServerTimestamp=_stamp(now),
        )  # fmt: skip

    def _route_writes(self, space: Any, names: dict[Any, str]) -> None:
        """asyncua's own setter cannot refuse a write, so ours stands before it."""
        theirs = space.write_attribute_value

        async def ours(node: Any, attribute: Any, value: ua.DataValue) -> ua.StatusCode:
            name = names.get(node)
            if name is None or attribute != AttributeIds.Value:
                return await theirs(node, attribute, value)  # type: ignore[no-any-return]
            wanted, now_ns = value.Value.Value, self._clock()  # type: ignore[union-attr]
            status = self._skid.write(name, wanted, now_ns)
            code = 0x80310000 if status is None else status
            self.trace.note(now_ns, name, _plain(wanted), code)
            return ua.StatusCode(ua.UInt32(code))

        space.write_attribute_value = ours


def _plain(value: Any) -> Value | str:
    return value if isinstance(value, (bool, int, float)) else str(value)[:40]


def _stamp(moment: datetime) -> ua.DateTime:
    return ua.DateTime.fromtimestamp(moment.timestamp(), UTC)


def _variant(name: str, value: Value) -> ua.Variant:
    if name == HOST_BEAT:
        return ua.Variant(int(value), ua.VariantType.UInt32)
    if name == HOST_LOST or name in CONTACTS or (name in COMMANDS and name not in LIMITS):
        return ua.Variant(bool(value), ua.VariantType.Boolean)
    return ua.Variant(float(value), ua.VariantType.Double)

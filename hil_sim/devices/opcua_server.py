"""The skid's OPC UA server: real sessions over a Skid, with its status codes and source times.

asyncua serves; every value is asked from the Skid when a client reads it, and every write goes
through the Skid, whose status code is the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from hil_sim.devices.skid import (
    COMMANDS,
    CONTACTS,
    HOST_BEAT,
    HOST_LOST,
    LIMITS,
    SENSORS,
    Skid,
    Value,
)

NAMESPACE = "urn:skid:perfusion-2l"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SkidServer:
    """One endpoint on 127.0.0.1. `clock` gives the Skid's time in ns, `utc` the wall time."""

    def __init__(
        self, skid: Skid, port: int, clock: Callable[[], int], utc: Callable[[], datetime]
    ) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}/skid/"
        self._skid, self._clock, self._utc = skid, clock, utc
        self._server: Server | None = None

    async def start(self) -> None:
        """Opens the endpoint with a node for every signal and command of the skid."""
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        server.set_server_name("perfusion skid")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await server.register_namespace(NAMESPACE)
        parent = await server.nodes.objects.add_object(index, "Skid")
        space = server.iserver.aspace
        names: dict[Any, str] = {}
        for name in (*SENSORS, *COMMANDS, HOST_BEAT, HOST_LOST):
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
            status = self._skid.write(name, value.Value.Value, self._clock())  # type: ignore[union-attr]
            return ua.StatusCode(ua.UInt32(0x80310000 if status is None else status))

        space.write_attribute_value = ours


def _stamp(moment: datetime) -> ua.DateTime:
    return ua.DateTime.fromtimestamp(moment.timestamp(), UTC)


def _variant(name: str, value: Value) -> ua.Variant:
    if name == HOST_BEAT:
        return ua.Variant(int(value), ua.VariantType.UInt32)
    if name == HOST_LOST or name in CONTACTS or (name in COMMANDS and name not in LIMITS):
        return ua.Variant(bool(value), ua.VariantType.Boolean)
    return ua.Variant(float(value), ua.VariantType.Double)

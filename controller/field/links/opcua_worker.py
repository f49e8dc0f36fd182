"""The live side of an OPC UA link: an asyncua client in this worker's own thread and event loop.

Node handles are made once at connect. Every request has a deadline; a frozen server costs its
time-outs here and nothing anywhere else; three of them in a row end the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from controller.core.clock import NS_PER_S
from controller.field.links.opcua import OpcuaLink, ReadRequest, Request, Response, WriteRequest
from controller.field.links.worker import Duty, LineDown, Worker

CONNECT_S = 4.0
CLOSE_S = 1.0
TIMEOUTS_MAX = 3
IDLE_S_MAX = 0.2
NOTHING = Response((), (), (), ())
_VARIANTS = {"double": ua.VariantType.Double, "boolean": ua.VariantType.Boolean,
             "uint32": ua.VariantType.UInt32}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OpcuaWorker(Worker):
    """Serves one OpcuaLink on `opc.tcp://host:port/path`."""

    def __init__(self, name: str, url: str, link: OpcuaLink, duty: Duty) -> None:
        super().__init__(name, url, link, duty)
        # It logs every lost session; the link's notes are the record.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._link = link
        self._timeout_s = link.plan.devices[0].timeout_ns / NS_PER_S
        self._namespace = -1

    def _session(self) -> None:
        asyncio.run(self._connected())

    async def _connected(self) -> None:
        client = Client(self.url, timeout=self._timeout_s)
        try:
            await self._connect(client)
            self._link.reset(self._duty.now_ns())
            await self._serve(client)
        finally:
            with contextlib.suppress(Exception):  # closing a dead session may fail in any way
                await asyncio.wait_for(client.disconnect(), CLOSE_S)

    async def _connect(self, client: Client) -> None:
        plan = self._link.plan
        try:
            await asyncio.wait_for(client.connect(), CONNECT_S)
            self._namespace = await client.get_namespace_index(plan.namespace)
        except (OSError, TimeoutError, UaError) as error:
            raise LineDown(f"cannot connect to {self.url}: {error or 'no answer'}") from error
        except ValueError as error:
            raise LineDown(f"{self.url} has no namespace {plan.namespace}") from error

    async def _serve(self, client: Client) -> None:
        link, duty, timeouts = self._link, self._duty, 0
        woken = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.wake_fd, self._wake_up, woken)
        while not self._stopping.is_set():
            link.beat(duty.progress())
            self._exchange()
            now_ns = duty.now_ns()
            request = link.take_request(now_ns)
            if request is None:
                wait_s = min(max(link.next_ns() - now_ns, 0) / NS_PER_S, IDLE_S_MAX)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), wait_s)
                woken.clear()
                continue
            response = await self._ask(client, request)
            timeouts = 0 if response.statuses else timeouts + 1
            self._served = self._served or bool(response.statuses)
            link.feed(response, duty.now_ns())
            if timeouts >= TIMEOUTS_MAX:
                raise LineDown(f"{self.url}: {timeouts} requests unanswered")

    def _wake_up(self, woken: asyncio.Event) -> None:
        self._drain_wake()
        woken.set()

    async def _ask(self, client: Client, request: Request) -> Response:
        try:
            if isinstance(request, ReadRequest):
                return await asyncio.wait_for(self._read(client, request), self._timeout_s)
            return await asyncio.wait_for(self._write(client, request), self._timeout_s)
        except TimeoutError:
            return NOTHING
        except (ConnectionError, OSError, UaError) as error:
            raise LineDown(f"{self.url}: {error or type(error).__name__}") from error

    def _node(self, name: str) -> ua.NodeId:
        return ua.NodeId(ua.String(name), ua.Int16(self._namespace))

    async def _read(self, client: Client, request: ReadRequest) -> Response:
        parameters = ua.ReadParameters()
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        parameters.NodesToRead = [
            ua.ReadValueId(NodeId=self._node(node), AttributeId=AttributeIds.Value)
            for node in request.nodes
        ]
        found = await client.uaclient.read(parameters)
        return Response(
            [value.Value.Value if value.Value is not None else None for value in found],
            [value.StatusCode.value if value.StatusCode else 0 for value in found],
            [_ns(value.SourceTimestamp) for value in found],
            [_ns(value.ServerTimestamp) for value in found],
        )

    async def _write(self, client: Client, request: WriteRequest) -> Response:
        variant = ua.Variant(request.value, _VARIANTS[request.kind])
        parameters = ua.WriteParameters()
        parameters.NodesToWrite = [
            ua.WriteValue(
                NodeId=self._node(request.node),
                AttributeId=AttributeIds.Value,
                Value=ua.DataValue(variant),
            )
        ]
        found = await client.uaclient.write(parameters)
        return Response((), [status.value for status in found], (), ())


def _ns(time: Any) -> int:
    """Nanoseconds since 1970, -1 for none; the client hands out aware or naive UTC datetimes."""
    if not isinstance(time, datetime):
        return -1
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000

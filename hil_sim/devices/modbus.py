"""Modbus RTU slaves: Hamilton ARC probes and a Pt100 transmitter, from the Modbus and ARC manuals.

Addresses here are 0-based wire addresses. An absent unit is silent, as on a real line. The CRC is
written anew here, so that a driver's mistake in it shows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from hil_sim.devices.line import BUFFER_MAX, Bus, PlantPort, Reply

PMC1, PMC6, PMC_REGISTERS = 2089, 2409, 10
UNIT_PH, UNIT_PERCENT_AIR, UNIT_CELSIUS = 0x1000, 0x10, 0x4
STATUS_ERROR = 1 << 4
REQUEST_BYTES = 8
KNOWN_REQUESTS_MAX = 64


def _rows() -> tuple[int, ...]:
    table = []
    for low in range(256):
        crc = low
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _rows()


def checksum(data: bytes) -> bytes:
    """CRC-16 of Modbus over serial line V1.02, appendix B, low byte first."""
    value, table = 0xFFFF, _TABLE
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value.to_bytes(2, "little")


class Slave(Protocol):
    """One unit on the line: the payload of a read, or None for an address it does not have."""

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Register bytes, high byte of a register first."""
        ...


class ArcProbe:
    """A Hamilton ARC probe: PMC1 the main value, PMC6 its temperature, ten registers each."""

    def __init__(
        self, plant: PlantPort, main: str, unit: int, span: tuple[float, float], temperature: str,
        *, low_first: bool = True,
    ) -> None:  # fmt: skip
        self.status = 0
        self._blocks = {
            PMC1: _block(plant, main, unit, span, low_first),
            PMC6: _block(plant, temperature, UNIT_CELSIUS, (-20.0, 150.0), low_first),
        }

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """One PMC block; only whole, as the manual asks."""
        block = self._blocks.get(address)
        return block(self.status) if block is not None and count == PMC_REGISTERS else None


def _block(
    plant: PlantPort, channel: str, unit: int, span: tuple[float, float], low_first: bool
) -> Callable[[int], bytes]:
    def words(pair: bytes) -> bytes:
        return pair[2:] + pair[:2] if low_first else pair

    head = words(struct.pack(">I", unit))
    tail = words(struct.pack(">f", span[0])) + words(struct.pack(">f", span[1]))
    pack, measure = struct.Struct(">f").pack, plant.measure
    healthy = words(struct.pack(">I", 0))

    def block(status: int) -> bytes:
        value = pack(measure(channel))
        if low_first:
            value = value[2:] + value[:2]
        bits = words(struct.pack(">I", status)) if status else healthy
        return head + value + bits + tail

    return block


class Transmitter:
    """A Pt100 transmitter [assumed]: registers 0-1 float, high word first; 2-3 status."""

    def __init__(self, plant: PlantPort, channel: str) -> None:
        self.status = 0
        self._plant, self._channel = plant, channel

    def read(self, function: int, address: int, count: int) -> bytes | None:
        """Registers 0 to 3, whole or in part."""
        if address + count > 4:
            return None
        body = struct.pack(">fI", self._plant.measure(self._channel), self.status)
        return body[2 * address : 2 * (address + count)]


class ModbusBus(Bus):
    """Slaves at 19200 8N2. A frame that is not whole or has a wrong CRC is dropped in silence."""

    def __init__(self, slaves: dict[int, Slave]) -> None:
        super().__init__(baud=19_200, bits=11, turnaround_ms=5.0)
        self.slaves = slaves
        self._known: dict[bytes, tuple[int, int, int, int]] = {}
        self._last_ns = 0

    def receive(self, data: bytes, now_ns: int) -> list[Reply]:
        """Bytes from the host. A silence of more than 20 ms begins a new frame."""
        if self._buffer:
            if now_ns - self._last_ns > 20_000_000:
                self._buffer = b""
            data = self._buffer + data
            self._buffer = b""
        self._last_ns = now_ns
        request = self._known.get(data)
        if request is None:
            if len(data) < REQUEST_BYTES:
                self._buffer = data[-BUFFER_MAX:]
                return []
            if len(data) != REQUEST_BYTES or checksum(data[:-2]) != data[-2:]:
                return []
            request = struct.unpack(">BBHH", data[:6])
            if len(self._known) < KNOWN_REQUESTS_MAX:
                self._known[data] = request
        unit, function, address, count = request
        slave = self.slaves.get(unit)
        if slave is None:
            return []
        if function not in (3, 4):
            body = bytes((unit, function | 0x80, 1))
        else:
            payload = slave.read(function, address, count)
            if payload is None:
                body = bytes((unit, function | 0x80, 2))
            else:
                body = bytes((unit, function, len(payload))) + payload
        return self._reply(str(unit), body + checksum(body), REQUEST_BYTES, now_ns)

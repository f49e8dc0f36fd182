"""A Mettler-Toledo balance speaking MT-SICS level 0 and 1, as the reference manual describes it.

`SI` answers at once: `S S` when the load stands still, `S D` when it moves. Tare works as on a real
one, so that a driver which tares by accident is found out.
"""

from __future__ import annotations

from hil_sim.devices.line import PlantPort, Reply, TextBus

STABLE_G = 0.05
CAPACITY_G = 12_200.0


class MtSics(TextBus):
    """One balance at 9600 8N1."""

    def __init__(self, plant: PlantPort, channel: str) -> None:
        super().__init__(baud=9_600, bits=10, turnaround_ms=8.0)
        self._plant, self._channel = plant, channel
        self._last = 0.0
        self.tare = 0.0
        self.not_ready = False

    def request(self, line: bytes, sent_bytes: int, now_ns: int) -> list[Reply]:
        """One command; unknown ones are answered `ES`."""
        reply = self._weight() if line == b"SI" else self._other(line)
        return self._reply("", reply, sent_bytes, now_ns)

    def _weight(self) -> bytes:
        if self.not_ready:
            return b"S I\r\n"
        gross = self._plant.measure(self._channel)
        if gross > CAPACITY_G:
            return b"S +\r\n"
        if gross < 0:
            return b"S -\r\n"
        stable = "S" if abs(gross - self._last) <= STABLE_G else "D"
        self._last = gross
        return f"S {stable} {gross - self.tare:>10.2f} g\r\n".encode("ascii")

    def _other(self, line: bytes) -> bytes:
        if line == b"I1":
            return b'I1 A "01" "2.30" "2.22" "" ""\r\n'
        if line == b"I2":
            return b'I2 A "MS12002TS 12200.00 g"\r\n'
        if line in (b"I4", b"@"):
            return b'I4 A "B021002593"\r\n'
        if line == b"T":
            self.tare = self._plant.measure(self._channel)
            return f"T S {self.tare:>10.2f} g\r\n".encode("ascii")
        return b"ES\r\n"

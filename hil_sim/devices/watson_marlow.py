"""Watson-Marlow 520Du pumps on one line: speed, go, stop, direction, status, tachometer; echo on.

Nothing is acknowledged: a query is answered, a command only echoed. The status line shows the set
speed and whether the drive runs; the tachometer counts what the motor really did.
"""

from __future__ import annotations

from dataclasses import dataclass

from hil_sim.devices.line import NS_PER_S, PlantPort, Reply, TextBus, number

PULSES_PER_REVOLUTION = 10_982
RPM_MAX = 220.0
GAP_NS = 9_900_000  # 10 ms less the clocks' tolerance


@dataclass(slots=True)
class Pump:
    """One pump. `stuck` is a drive left in manual mode: it ignores the line, and says it runs."""

    address: int
    actuator: str
    channel: str
    rpm: float
    ml_per_rev: float
    tube: str
    running: bool = True
    clockwise: bool = True
    stuck: bool = False
    pulses: float = 0.0
    counted_ns: int = 0


class WatsonMarlowBus(TextBus):
    """Pumps at 9600 8N2."""

    def __init__(self, plant: PlantPort, pumps: list[Pump]) -> None:
        super().__init__(baud=9_600, bits=11, turnaround_ms=5.0)
        self._plant = plant
        self.pumps = {pump.address: pump for pump in pumps}
        self._queries = {b"%dRS" % pump.address: pump for pump in pumps}
        self._ready_ns = 0

    def request(self, line: bytes, sent_bytes: int, now_ns: int) -> list[Reply]:
        """One command: echoed, and lost when it comes sooner than 10 ms after the last one."""
        if self._faulty and self._silent is None:
            return []
        early, pump = now_ns < self._ready_ns, self._queries.get(line)
        if pump is not None and not early:
            replies = self._reply(str(pump.address), self._status(line, pump, now_ns), 0, now_ns)
        else:
            replies = [] if early else self._command(line, now_ns)
            if not replies:
                replies = [(now_ns + (len(line) + 1) * self._byte_ns, line + b"\r")]
        self._ready_ns = (replies[-1][0] if replies else now_ns) + GAP_NS
        return replies

    def _command(self, line: bytes, now_ns: int) -> list[Reply]:
        text = line.decode("ascii", "replace")
        body = text.lstrip("0123456789#")
        head = text[: len(text) - len(body)]
        if head == "#":
            for pump in self.pumps.values():
                self._execute(pump, body, now_ns)
            return []
        chosen = self.pumps.get(int(head)) if head.isdigit() and len(head) < 3 else None
        if chosen is None or not self._hears(head):
            return []
        if body == "ZY":
            answer = b"1!\r" if chosen.running else b"0!\r"
            return self._reply(head, line + b"\r" + answer, 0, now_ns)
        self._execute(chosen, body, now_ns)
        return []

    def _execute(self, pump: Pump, body: str, now_ns: int) -> None:
        self._count(pump, now_ns)
        if body == "TC":
            pump.pulses = 0.0
        if pump.stuck:
            return
        if body == "GO":
            pump.running = True
        elif body == "ST":
            pump.running = False
        elif body in ("RR", "RL"):
            pump.clockwise = body == "RR"
        elif body.startswith("SP"):
            speed = number(body[2:])
            if speed is not None and 0.0 <= speed <= RPM_MAX:
                pump.rpm = round(speed, 1)
        self._plant.command(**{pump.actuator: pump.rpm if pump.running else 0.0})

    def stick(self, address: int, rpm: float) -> None:
        """The drive turns at `rpm` whatever it is told."""
        pump = self.pumps[address]
        pump.stuck, pump.running, pump.rpm = True, True, rpm
        self._plant.command(**{pump.actuator: rpm})

    def unstick(self, address: int) -> None:
        """The drive listens again; it goes on as it stood."""
        self.pumps[address].stuck = False

    def _count(self, pump: Pump, now_ns: int) -> None:
        turned = self._plant.measure(pump.channel) * (now_ns - pump.counted_ns) / (60 * NS_PER_S)
        pump.pulses, pump.counted_ns = pump.pulses + turned * PULSES_PER_REVOLUTION, now_ns

    def _status(self, line: bytes, pump: Pump, now_ns: int) -> bytes:
        self._count(pump, now_ns)
        turn = "CW" if pump.clockwise else "CCW"
        return line + (
            f"\r520Du {pump.ml_per_rev:.2f} 520R {pump.tube} {pump.rpm:.1f} {turn} "
            f"P/N {pump.address} {int(pump.pulses)} {int(pump.running)} !\r"
        ).encode("ascii")

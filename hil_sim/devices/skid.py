"""The skid's PLC: its nodes with status codes and source times, and what it does without its host.

Without a new host beat the pinch valves close after 5 s and the heater goes to its mean of the
last 60 s, at most 30 %, after 10 s; KM101, the stirrer and the header valve stay. This runs in the
PLC, so it acts also when its OPC UA server hangs or is gone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hil_sim.devices.line import NS_PER_S, PlantPort

VALVES_AFTER_NS = 5 * NS_PER_S
HEATER_AFTER_NS = 10 * NS_PER_S
MEAN_OVER_NS = 60 * NS_PER_S
HEATER_FALLBACK_MAX = 30.0
HISTORY_MAX = 1_024
GOOD, BAD_NODE_UNKNOWN, BAD_NOT_WRITABLE = 0, 0x80340000, 0x803B0000
BAD_SENSOR_FAILURE, BAD_TYPE, BAD_OUT_OF_RANGE = 0x808C0000, 0x80740000, 0x803C0000
BAD_INVALID_STATE = 0x80AF0000

VALVES = ("XV100", "XV201", "XV202", "XV203", "XV204")
SENSORS = {
    "TT101": "TT101", "TT103": "TT103", "PT101": "PT101", "LT101": "LT101",
    "ST101": "ST_STIRRER", "JT101": "JT_HEATER", "KM101_FB": "KM101_AUX",
    **{f"{valve}_ZSO": f"{valve}_OPEN" for valve in VALVES},
    **{f"{valve}_ZSC": f"{valve}_CLOSED" for valve in VALVES},
}  # fmt: skip
CONTACTS = frozenset(name for name in SENSORS if name.startswith(("KM", "XV")))
COMMANDS = {
    "HEATER_CMD": "heater_pct", "STIRRER_CMD": "stirrer_rpm", "KM101_CMD": "km101",
    "XV100_CMD": "xv100", "XV201_CMD": "xv201", "XV202_CMD": "xv202", "XV203_CMD": "xv203",
    "XV204_CMD": "xv204",
}  # fmt: skip
LIMITS = {"HEATER_CMD": 100.0, "STIRRER_CMD": 400.0}
PINCH_VALVES = ("XV201_CMD", "XV202_CMD", "XV203_CMD", "XV204_CMD")
HOST_BEAT, HOST_LOST = "HOST_BEAT", "HOST_LOST"
Value = float | bool | int


@dataclass(slots=True)
class Answer:
    """What a read returns: per node value, status code, source and server time in ns."""

    values: list[Value]
    statuses: list[int]
    source_ns: list[int]
    server_ns: list[int]


class Skid:
    """PLC and OPC UA node store. `advance` must be called before plant time passes `next_ns()`.

    `without` names nodes this skid does not have: their terminals hang on something else.
    """

    def __init__(
        self, plant: PlantPort, found: dict[str, float], now_ns: int = 0,
        without: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self._plant = plant
        self.sensors = {node: name for node, name in SENSORS.items() if node not in without}
        self.commands: dict[str, Value] = {
            node: found[actuator] if node in LIMITS else found[actuator] > 0.5
            for node, actuator in COMMANDS.items() if node not in without
        }  # fmt: skip
        self.beat = 0
        self.host_lost = False
        self._beat_ns = now_ns
        self._valves_closed = self._heater_fallen = False
        self._heater: deque[tuple[int, float]] = deque(maxlen=HISTORY_MAX)
        self._heater.append((now_ns - MEAN_OVER_NS, float(self.commands["HEATER_CMD"])))
        self.frozen = self.killed = False
        self.bad_status: dict[str, int] = {}
        self._held: dict[str, tuple[Value, int]] = {}
        self.nodes = (*self.sensors, *self.commands, HOST_BEAT, HOST_LOST)

    # -- the OPC UA server ------------------------------------------------------------------

    def read(self, nodes: tuple[str, ...], now_ns: int) -> Answer | None:
        """One read of many nodes; None when the server does not answer."""
        if self.killed:
            return None
        self.advance(now_ns)
        if self.frozen or self.bad_status:
            return self._read_disturbed(nodes, now_ns)
        value = self._value
        count = len(nodes)
        try:
            values = [value(node) for node in nodes]
        except KeyError:
            return self._read_disturbed(nodes, now_ns)
        times = [now_ns] * count
        return Answer(values, [GOOD] * count, times, times)

    def _read_disturbed(self, nodes: tuple[str, ...], now_ns: int) -> Answer:
        answer = Answer([], [], [], [])
        for node in nodes:
            known = node in self.nodes
            status = self.bad_status.get(node, GOOD) if known else BAD_NODE_UNKNOWN
            value, source_ns = (self._value(node), now_ns) if known else (0.0, now_ns)
            if self.frozen and known:
                value, source_ns = self._held[node]
            answer.values.append(value)
            answer.statuses.append(status)
            answer.source_ns.append(source_ns)
            answer.server_ns.append(now_ns)
        return answer

    def write(self, node: str, value: Value, now_ns: int) -> int | None:
        """One write; the status code, or None when the server does not answer."""
        if self.killed:
            return None
        status = self._check(node, value)
        if status != GOOD or self.frozen:
            return status  # frozen: the server takes it; the PLC behind it never sees it
        self.advance(now_ns)
        if node != HOST_BEAT:
            if self._refuses(node, float(value)):
                return BAD_INVALID_STATE
            self._put(node, float(value) if node in LIMITS else bool(value), now_ns)
        elif int(value) != self.beat:
            self.beat, self._beat_ns = int(value), now_ns
            self.host_lost = self._valves_closed = self._heater_fallen = False
        return GOOD

    def _check(self, node: str, value: Value) -> int:
        if node != HOST_BEAT and node not in self.commands:
            return BAD_NOT_WRITABLE if node in self.nodes else BAD_NODE_UNKNOWN
        if type(value) not in (bool, int, float):
            return BAD_TYPE
        if node in LIMITS and not 0.0 <= float(value) <= LIMITS[node]:
            return BAD_OUT_OF_RANGE
        return GOOD

    def _refuses(self, node: str, value: float) -> bool:
        """Without a host only the safe direction is open: shut a pinch valve, heat less."""
        if node in PINCH_VALVES:
            return self._valves_closed and value > 0.5
        return node == "HEATER_CMD" and self._heater_fallen and value > float(self.commands[node])

    def _value(self, node: str) -> Value:
        channel = self.sensors.get(node)
        if channel is not None:
            reading = self._plant.measure(channel)
            return reading > 0.5 if node in CONTACTS else reading
        if node == HOST_BEAT:
            return self.beat
        if node == HOST_LOST:
            return self.host_lost
        return self.commands[node]

    # -- the PLC ----------------------------------------------------------------------------

    def next_ns(self) -> int:
        """When the PLC acts next by itself if no beat comes."""
        if not self._valves_closed:
            return self._beat_ns + VALVES_AFTER_NS
        if not self._heater_fallen:
            return self._beat_ns + HEATER_AFTER_NS
        return 2**62

    def advance(self, now_ns: int) -> None:
        """Lets the PLC act up to now."""
        silence_ns = now_ns - self._beat_ns
        if silence_ns < VALVES_AFTER_NS:
            return
        self.host_lost = True
        if not self._valves_closed:
            self._valves_closed = True
            for node in (valve for valve in PINCH_VALVES if valve in self.commands):
                self._put(node, False, now_ns)
        if silence_ns >= HEATER_AFTER_NS and not self._heater_fallen:
            self._heater_fallen = True
            self._put("HEATER_CMD", min(self._mean_heater(now_ns), HEATER_FALLBACK_MAX), now_ns)

    def freeze(self, now_ns: int) -> None:
        """The server loses its PLC: it goes on answering with the values and times of now."""
        self._held = {node: (self._value(node), now_ns) for node in self.nodes}
        self.frozen = True

    def _put(self, node: str, value: Value, now_ns: int) -> None:
        self.commands[node] = value
        if node == "HEATER_CMD":
            self._heater.append((now_ns, float(value)))
        self._plant.command(**{COMMANDS[node]: float(value)})

    def _mean_heater(self, now_ns: int) -> float:
        start_ns = now_ns - MEAN_OVER_NS
        total, until_ns = 0.0, now_ns
        for at_ns, value in reversed(self._heater):
            begin_ns = max(at_ns, start_ns)
            total += value * (until_ns - begin_ns)
            until_ns = begin_ns
            if at_ns <= start_ns:
                break
        covered_ns = now_ns - until_ns
        return total / covered_ns if covered_ns > 0 else float(self._heater[-1][1])

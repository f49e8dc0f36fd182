"""The annunciator of one run: a face that shows the alarms and asks for nothing.

It takes the list between ticks, hands it to the program and records when that is lost and back. A
command that is not given is said where a unit is used on patients.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from controller.alarms import ANNUNCIATOR, NO_ANNUNCIATOR, WAITING, Alarms
from controller.annunciator.child import CallOut, Child
from controller.annunciator.port import Port
from controller.core.clock import NS_PER_S, Stamp
from controller.core.events import Event
from controller.supervisor import Supervisor

NEEDED_FOR: Final = ("clinical",)
LISTED_MAX: Final = 20
COLOURS: Final = {"critical": "red", "high": "amber", "medium": "yellow", "low": "white"}
OFF: Final = "off"


class Program(Protocol):
    """One run of an annunciator program."""

    lines: Any
    ended: str

    def send(self, line: bytes) -> None:
        """Queues a line."""
        ...

    def kill(self) -> None:
        """Ends it."""
        ...


def shown(alarms: Alarms, unit: str) -> dict[str, Any]:
    """What horn and beacon show: the colour of the worst, flashing while something waits."""
    active = alarms.active()
    return {
        "unit": unit, "horn": alarms.horn,
        "beacon": COLOURS[active[0].priority] if active else OFF,
        "flash": any(alarm.state in WAITING for alarm in active), "count": len(active),
        "alarms": [
            {"name": alarm.name, "state": alarm.state, "priority": alarm.priority,
             "text": alarm.text, "action": alarms.book.entry(alarm.name).action}
            for alarm in active[:LISTED_MAX]
        ],
    }  # fmt: skip


class Annunciator:
    """Horn, beacon and call-out of a live run."""

    def __init__(
        self, supervisor: Supervisor, command: Sequence[str] = (), call_out: Sequence[str] = (),
        program: Callable[[Sequence[str]], Program] = Child,
    ) -> None:  # fmt: skip
        self._supervisor, self._command, self._program = supervisor, list(command), program
        self._port: Port | None = None
        self._child: Program | None = None
        self._version, self._shown = -1, dict[str, Any]()
        boards = (link.board for link in supervisor.profile.links)
        # One that hangs on an I/O board is told its level by field, and is supervised by its tag.
        self._on_board = any(board is not None and board.annunciator >= 0 for board in boards)
        self._calls = CallOut(call_out) if call_out else None
        if self._calls is not None:
            supervisor.listeners.append(self._listen)

    def turn(self, stamp: Stamp) -> None:
        """Hears, says what is due, starts what has stopped. Never waits."""
        self._record_calls(stamp)
        if not self._command:
            self._without(stamp)
            return
        now_ns = stamp.mono_ns
        port = self._port = self._port or Port(now_ns)
        before = port.lost
        if self._child is not None:
            self._hear(port, self._child, stamp)
        if port.lost and not before:
            self._record("annunciator.lost", stamp, why=port.lost)
        if port.starts(now_ns):
            self._child = self._program(self._command)
        line = port.line(now_ns, self._picture())
        if line and self._child is not None:
            self._child.send(line)

    def close(self) -> None:
        """The run is over: the program ends."""
        if self._child is not None:
            self._child.kill()

    def _hear(self, port: Port, child: Program, stamp: Stamp) -> None:
        """Takes what the present run of the program said or did not say, and that it ended."""
        ended, alarms = child.ended, self._supervisor.alarms  # before the lines: they came first
        while child.lines and self._child is child:
            lost_s = (stamp.mono_ns - port.lost_ns) // NS_PER_S if port.lost else 0
            was_lost = port.lost or alarms.stands(ANNUNCIATOR) or alarms.stands(NO_ANNUNCIATOR)
            wrong = port.heard(child.lines.popleft(), stamp.mono_ns)
            if wrong:
                self._stop(port, child, wrong, stamp.mono_ns)
            elif was_lost:
                self._record("annunciator.back", stamp, seconds=str(lost_s))
        why = ended or ("it does not answer" if port.silent(stamp.mono_ns) else "")
        if why and self._child is child:
            self._stop(port, child, why, stamp.mono_ns)

    def _stop(self, port: Port, child: Program, why: str, now_ns: int) -> None:
        child.kill()
        self._child = None
        port.stopped(why, now_ns)

    def _picture(self) -> dict[str, Any]:
        alarms = self._supervisor.alarms
        if alarms.version != self._version:
            self._version = alarms.version
            self._shown = shown(alarms, self._supervisor.profile.id)
        return self._shown

    def _without(self, stamp: Stamp) -> None:
        standing, alarms = self._supervisor.orders.standing, self._supervisor.alarms
        silent = standing.use in NEEDED_FOR and not self._on_board
        needed = silent or alarms.stands(ANNUNCIATOR)
        if needed and not alarms.stands(NO_ANNUNCIATOR):
            self._record("annunciator.none", stamp, batch_id=standing.batch_id)

    def _listen(self, event: Event) -> None:
        """A call goes out once the escalation is durable."""
        if event.name == "alarm.escalated" and self._calls is not None:
            entry = self._supervisor.alarms.book.entry(str(event.data["alarm"]))
            told = {
                "unit": self._supervisor.profile.id, "time": event.stamp.rfc3339(), **event.data,
                "consequence": entry.consequence, "action": entry.action,
            }  # fmt: skip
            self._calls.call(str(event.data["alarm"]), int(event.data["number"]),
                             json.dumps(told).encode() + b"\n")  # fmt: skip

    def _record_calls(self, stamp: Stamp) -> None:
        while self._calls is not None and self._calls.done:
            done = self._calls.done.popleft()
            self._record("callout.done", stamp, alarm=done.alarm, number=done.number,
                         exit_code=done.exit_code, why=done.why)  # fmt: skip

    def _record(self, name: str, stamp: Stamp, **data: str | int) -> None:
        self._supervisor.record(Event(name, stamp, data=data))

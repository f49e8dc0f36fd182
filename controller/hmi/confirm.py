"""What became of each command: requested, accepted, confirmed by feedback; or not, in time.

Requested is a durable intent, accepted an outcome, confirmed what the unit itself shows afterwards:
the state of the procedure, the image, a device's read-back, a proven position. The first is never
shown as the last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.alarms import HIDDEN, OUT_OF_SERVICE, SHELVED, WAITING
from controller.asking import WHOLE, bypass_of
from controller.core.clock import NS_PER_S
from controller.core.events import Event
from controller.field.image import Image
from controller.hmi.limits import COMMANDS_KEPT
from controller.hmi.reading import MODES
from controller.orders import RECIPE, SYSTEM
from controller.profile.compile import Profile
from controller.recipe.states import ABORTED, HELD, PAUSED, PAUSING, RUNNING, STOPPED
from controller.supervisor import Supervisor

REQUESTED, ACCEPTED, CONFIRMED = "requested", "accepted", "confirmed"
NOT_CONFIRMED, REFUSED, UNKNOWN = "not_confirmed", "refused", "unknown"
REACHED = {"start": RUNNING, "hold": HELD, "restart": RUNNING, "stop": STOPPED, "abort": ABORTED,
           "pause": PAUSED, "resume": RUNNING}  # fmt: skip
ORDER_NS, FIELD_NS, OUTPUT_NS = 60 * NS_PER_S, 5 * NS_PER_S, 15 * NS_PER_S  # [assumed]
TOLERANCE = 0.05  # of a device's read-back, beside twice the output's resolution


@dataclass(slots=True)
class _Command:
    id: int
    verb: str
    target: str
    value: str
    who: str
    state: str = REQUESTED
    why: str = ""
    until_ns: int = -1


class Confirmations:
    """The last commands of people at one unit. All in the supervisor's thread."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._commands: OrderedDict[int, _Command] = OrderedDict()
        nodes = profile.model.synoptic.nodes if profile.model.synoptic is not None else []
        self._positions = {
            node.actuator: (profile.index[node.tags["open"]], profile.index[node.tags["closed"]])
            for node in nodes
            if node.kind == "valve" and node.actuator and {"open", "closed"} <= set(node.tags)
        }
        self._tests: dict[str, Callable[[_Command, Supervisor, int], bool]] = {
            "set_sp": self._loop, "set_op": self._loop, "set_mode": self._mode,
            "set_output": self._output, "set_flag": self._flag, "reset": self._reset,
            "bypass": self._bypass, "acknowledge": _acknowledged, "answer": _answered,
            "shelve": _hidden_as(SHELVED), "out_of_service": _hidden_as(OUT_OF_SERVICE),
            "unshelve": _shown, "in_service": _shown, "silence": _always,
            "end_environment": self._ended, "open_batch": _opened, "identify_hold": _always,
            "user_add": _always, "user_disable": _always, "change": _changed,
            "deviation": _always,
        }  # fmt: skip

    def listen(self, event: Event) -> None:
        """Takes intents and outcomes, once they are durable."""
        if event.name == "command.intent" and event.actor not in (RECIPE, SYSTEM):
            data = event.data
            command = _Command(
                int(data["id"]), str(data["verb"]), str(data["target"]), str(data["new"]),
                event.actor,
            )  # fmt: skip
            self._commands[command.id] = command
            if len(self._commands) > COMMANDS_KEPT:
                self._commands.popitem(last=False)
        elif event.name == "command.outcome":
            self._outcome(event)

    def _outcome(self, event: Event) -> None:
        command = self._commands.get(int(event.data["id"]))
        if command is None or command.state != REQUESTED:
            return
        command.why = str(event.data["why"])
        if event.data["result"] == "applied":
            command.state = ACCEPTED
            time_ns = ORDER_NS if command.verb in REACHED else (
                OUTPUT_NS if command.verb == "set_output" else FIELD_NS
            )
            command.until_ns = event.stamp.mono_ns + time_ns
        else:
            refused = event.data["result"] == "refused"
            command.state = REFUSED if refused else UNKNOWN

    def look(self, supervisor: Supervisor, now_ns: int) -> None:
        """Compares accepted commands with what the unit shows now."""
        for command in self._commands.values():
            if command.state != ACCEPTED:
                continue
            if self._shows(command, supervisor, now_ns):
                command.state = CONFIRMED
            elif now_ns > command.until_ns and not _on_its_way(command, supervisor):
                command.state = NOT_CONFIRMED
                command.why = command.why or "the unit does not show it"

    def last(self) -> list[dict[str, Any]]:
        """The commands, the newest last."""
        return [
            {"id": c.id, "verb": c.verb, "target": c.target, "value": c.value, "who": c.who,
             "state": c.state, "why": c.why}
            for c in self._commands.values()
        ]  # fmt: skip

    # -- what the unit shows -------------------------------------------------------------------

    def _shows(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        if command.verb in REACHED:
            return _state_of(command, supervisor) == REACHED[command.verb]
        test = self._tests.get(command.verb)
        try:
            return test is not None and test(command, supervisor, now_ns)
        except (KeyError, ValueError):
            return False  # a name or a number the unit does not have: nothing can show it

    def _loop(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        row = _image(supervisor).loops[self._profile.loops.index(command.target)]
        wanted = float(command.value)
        found = float(row["sp" if command.verb == "set_sp" else "op"])
        return abs(found - wanted) <= 1e-6 * max(abs(wanted), 1.0)

    def _mode(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        row = _image(supervisor).loops[self._profile.loops.index(command.target)]
        return MODES[int(row["mode"])] == command.value

    def _output(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        """Let out by the gate, and shown by the device or a position where the unit has one."""
        image, place = _image(supervisor), self._profile.outputs.index(command.target)
        plan, wanted = self._profile.plan.outputs[place], _number(command.value)
        near = 2 * float(plan["resolution"]) if plan["resolution"] < 1 else 0.5
        if abs(float(image.outputs[place]["released"]) - wanted) > near:
            return False
        near = max(near, TOLERANCE * abs(wanted))
        readback = int(plan["readback"])
        if readback >= 0:
            signal = image.signals[readback]
            return signal["quality"] == 0 and abs(float(signal["value"]) - wanted) <= near
        if command.target in self._positions:
            opened, closed = self._positions[command.target]
            signal = image.signals[opened if wanted > 0.5 else closed]
            return signal["quality"] == 0 and float(signal["value"]) > 0.5
        return True

    def _flag(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        value = _image(supervisor).signals[self._profile.index[command.target]]["value"]
        return abs(float(value) - _number(command.value)) < 0.5

    def _row(self, command: _Command, supervisor: Supervisor) -> Any:
        rows = [cause.row for cause in self._profile.causes]
        return _image(supervisor).causes[rows.index(command.target)]

    def _reset(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        return not self._row(command, supervisor)["latched"]

    def _bypass(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        wanted = float(bypass_of(command.value)[0] or 0) > 0.0
        return bool(self._row(command, supervisor)["bypass_until_ns"] > now_ns) == wanted

    def _ended(self, command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        return supervisor.board.read(self._profile.model.unit.guard).value < 0.5


def _state_of(command: _Command, supervisor: Supervisor) -> str:
    """The state of the whole procedure, or of the element an order went to."""
    if command.target in WHOLE or supervisor.state is None:
        return supervisor.procedure_state
    return str(supervisor.state.node(command.target))


def _on_its_way(command: _Command, supervisor: Supervisor) -> bool:
    """A pause begins where the recipe may pause, however long that takes."""
    return command.verb == "pause" and _state_of(command, supervisor) == PAUSING


def _changed(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
    changes = supervisor.orders.standing.changes
    return any(change.deviation == f"DEV-{command.id}" for change in changes)


def _image(supervisor: Supervisor) -> Image:
    return supervisor.board.image


def _number(text: str) -> float:
    return float({"true": "1", "false": "0"}.get(text.lower(), text))


def _acknowledged(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
    alarm = supervisor.alarms.all.get(command.target)
    return alarm is None or alarm.state not in WAITING


def _hidden_as(state: str) -> Callable[[_Command, Supervisor, int], bool]:
    def hidden(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
        alarm = supervisor.alarms.all.get(command.target)
        return alarm is not None and alarm.state == state

    return hidden


def _shown(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
    """What a lost link explains meanwhile is suppressed, and so still hidden."""
    alarm = supervisor.alarms.all.get(command.target)
    return alarm is None or alarm.state not in HIDDEN or bool(alarm.of)


def _answered(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
    return supervisor.state is None or command.target not in supervisor.state.prompts


def _opened(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
    return supervisor.engine is not None


def _always(command: _Command, supervisor: Supervisor, now_ns: int) -> bool:
    return True

"""A scripted operator: a face like any other, that reads its answers from a file.

The same format everywhere: rig, live run, qualification. What hands do at the vessel goes to
whatever plays the vessel; without one, an entry that needs hands is refused when it is due.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from controller.asking import FILE_BYTES_MAX
from controller.core.clock import Stamp
from controller.core.errors import BadInput
from controller.core.events import Event
from controller.core.quantity import canonical
from controller.core.yamltext import Document, load
from controller.desk import Request
from controller.recipe.controls import RETEST
from controller.recipe.states import HELD, HOLDING
from controller.supervisor import Supervisor

DUE_MAX = 4096


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Model):
    """The first entry whose `prompt` (a shell pattern) matches answers a prompt."""

    prompt: str
    answer: str | dict[str, str]
    after: str | None = None
    second: str = ""
    hands: dict[str, dict[str, str | float]] = Field(default_factory=dict)
    repeat: int = 0


class Scheduled(_Model):
    """An order or a request at a time since the start; `file`: beside the script, with it."""

    at: str
    order: str = ""
    request: str = ""
    target: str = "procedure"
    value: str = ""
    second: str = ""
    reason: str = ""
    file: str = ""


class Recovery(_Model):
    """What the operator does after a Hold: reset what may be reset, then restart."""

    reset_after: str
    restart_after: str
    reason: str


class Beginning(_Model):
    """What the operator does before a batch is open: reset what latched, such as a board that was
    just switched on."""

    reset_after: str
    reason: str


class AlarmHabit(_Model):
    """How soon alarms are acknowledged."""

    acknowledge_after: str


class ScriptModel(_Model):
    """A script file. With `hands_only` people answer, and only what hands do is done."""

    by: str = "operator_1"
    hands_only: bool = False
    role: str = "operator"
    after: str = "2 min"
    answers: list[Entry] = Field(default_factory=list, max_length=256)
    orders: list[Scheduled] = Field(default_factory=list, max_length=256)
    alarms: AlarmHabit | None = None
    recovery: Recovery | None = None
    beginning: Beginning | None = None


class Hands(Protocol):
    """What people's hands and the laboratory do, where something plays the vessel."""

    def do(self, action: str, data: Mapping[str, Any]) -> None:
        """Acts at the vessel; raises BadInput for what cannot be done."""
        ...

    def lab(self, name: str) -> str:
        """The laboratory's result of the last sample, as text with its unit."""
        ...


class NoHands:
    """Where nothing plays the vessel."""

    def do(self, action: str, data: Mapping[str, Any]) -> None:
        """Refuses."""
        raise BadInput(f"the script wants {action!r} done at the vessel, and nothing can do it")

    def lab(self, name: str) -> str:
        """Refuses."""
        raise BadInput(f"the script wants the laboratory's {name!r}, and there is none")


@dataclass(frozen=True, slots=True)
class Script:
    """A checked script."""

    model: ScriptModel
    document: Document

    def seconds(self, text: str) -> float:
        """A duration of the script in s."""
        return canonical(text, "time")

    def file(self, name: str) -> bytes:
        """A file beside the script as it is now; nothing where there is none or it is too long."""
        try:
            data = Path(self.document.file).with_name(name).read_bytes() if name else b""
        except (OSError, ValueError):
            return b""
        return data if len(data) <= FILE_BYTES_MAX else b""


def load_script(path: Path) -> Script:
    """Reads a script; raises BadInput with file:line:column."""
    document = load(path)
    script = Script(document.validate(ScriptModel), document)
    model = script.model
    times = [(model.after, ("after",)), *(
        (e.after, ("answers", i, "after")) for i, e in enumerate(model.answers) if e.after
    ), *((o.at, ("orders", i, "at")) for i, o in enumerate(model.orders))]  # fmt: skip
    if model.alarms is not None:
        times.append((model.alarms.acknowledge_after, ("alarms", "acknowledge_after")))
    if model.recovery is not None:
        times.append((model.recovery.reset_after, ("recovery", "reset_after")))
        times.append((model.recovery.restart_after, ("recovery", "restart_after")))
    if model.beginning is not None:
        times.append((model.beginning.reset_after, ("beginning", "reset_after")))
    for text, place in times:
        try:
            script.seconds(text)
        except ValueError as error:
            raise document.error(str(error), *place) from None
    return script


class ScriptedOperator:
    """Plays a script against one supervisor. `act` costs nothing until something is due."""

    def __init__(self, script: Script, supervisor: Supervisor, hands: Hands, start_ns: int) -> None:
        self.script, self._supervisor, self._hands = script, supervisor, hands
        self._due: list[tuple[int, int, Any]] = []
        self._count = 0
        self._asked: dict[str, int] = {}
        self._recovering = False
        self.actor = f"unverified:{script.model.by}@station"
        for order in script.model.orders:
            self._later(start_ns, order.at, order)
        supervisor.listeners.append(self._listen)

    def resume(self, now_ns: int) -> None:
        """A batch was taken up again: what was asked before is open still, and Held is Held."""
        supervisor = self._supervisor
        if supervisor.engine is None or self.script.model.hands_only:
            return  # hands act a moment after a prompt opened: a second time would pour twice
        for prompt in supervisor.engine.prompts(supervisor.state):
            self._prompt(prompt.prompt_id, now_ns)
        if supervisor.procedure_state in (HOLDING, HELD):
            self._recover(now_ns)

    @property
    def next_ns(self) -> int:
        """When `act` has something to do."""
        return self._due[0][0] if self._due else 1 << 62

    def act(self, stamp: Stamp) -> None:
        """Does everything that is due."""
        while self._due and self._due[0][0] <= stamp.mono_ns:
            _, _, what = heapq.heappop(self._due)
            if isinstance(what, Scheduled):
                self._scheduled(what)
            elif isinstance(what, Request):
                self._ask(what)
            elif isinstance(what, (Beginning, Recovery)):
                self._reset(what.reason)
            else:
                prompt, entry = what
                self._answer(prompt, entry, stamp)

    def _ask(self, request: Request) -> None:
        self._supervisor.desk.ask(replace(request, origin="script"))

    def _later(self, now_ns: int, after: str, what: Any) -> None:
        if len(self._due) < DUE_MAX:
            self._count += 1
            at = now_ns + round(self.script.seconds(after) * 1e9)
            heapq.heappush(self._due, (at, self._count, what))

    def _listen(self, event: Event) -> None:
        model, now_ns = self.script.model, event.stamp.mono_ns
        if event.name in ("prompt.opened", "prompt.repeat"):
            if event.name == "prompt.opened":  # in a loop the same prompt is asked again
                self._asked.pop(str(event.data["prompt_id"]), None)
            self._prompt(str(event.data["prompt_id"]), now_ns)
        elif event.name == "alarm.state" and event.data["new"] == "UNACK" and model.alarms:
            request = Request("acknowledge", str(event.data["alarm"]), "", self.actor, model.role)
            self._later(now_ns, model.alarms.acknowledge_after, request)
        elif event.name == "control.result" and event.data["then"] == RETEST:
            self._prompt(str(event.data["prompt_id"]), now_ns)
        elif event.name == "cause.cleared" and event.data["latched"] and model.beginning:
            if self._supervisor.engine is None:
                self._later(now_ns, model.beginning.reset_after, model.beginning)
        elif event.name == "unit.hold":
            self._recover(now_ns)
        elif event.name == "unit.hold_released":
            self._recovering = False
            self._again(now_ns)

    def _recover(self, now_ns: int) -> None:
        """Later: a reset of what latched, then a restart."""
        recovery = self.script.model.recovery
        if recovery is None or self._recovering:
            return
        self._recovering = True
        self._later(now_ns, recovery.reset_after, recovery)
        role, reason = self.script.model.role, recovery.reason
        restart = Request("restart", "procedure", "", self.actor, role, reason)
        self._later(now_ns, recovery.restart_after, restart)

    def _again(self, now_ns: int) -> None:
        """What a control held for is measured again once the Hold is over."""
        engine = self._supervisor.engine
        for prompt in engine.prompts(self._supervisor.state) if engine is not None else ():
            if prompt.again:
                self._prompt(prompt.prompt_id, now_ns)

    def _prompt(self, prompt: str, now_ns: int) -> None:
        for entry in self.script.model.answers:
            if fnmatchcase(prompt, entry.prompt):
                asked = self._asked.get(prompt, 0)
                if asked > entry.repeat:
                    return
                self._asked[prompt] = asked + 1
                self._later(now_ns, entry.after or self.script.model.after, (prompt, entry))
                return

    def _answer(self, prompt: str, entry: Entry, stamp: Stamp) -> None:
        for action, data in entry.hands.items():
            self._hands.do(action, data)
        value = entry.answer
        text = value if isinstance(value, str) else self._hands.lab(value["lab"])
        if self.script.model.hands_only:
            done = ", ".join(entry.hands) if isinstance(value, str) else f"laboratory: {text}"
            if done:
                found = {"action": done, "data": f"for {prompt}"}
                self._supervisor.record(Event("simulation.hands", stamp, self.actor, data=found))
            return
        second = f"unverified:{entry.second}@station" if entry.second else ""
        role = self.script.model.role
        self._ask(Request("answer", prompt, text, self.actor, role, second=second))

    def _scheduled(self, item: Scheduled) -> None:
        second = f"unverified:{item.second}@station" if item.second else ""
        self._ask(
            Request(item.order or item.request, item.target, item.value, self.actor,
                    self.script.model.role, item.reason, second,
                    file=self.script.file(item.file))  # fmt: skip
        )

    def _reset(self, reason: str) -> None:
        """Asks for the reset of every latched row, the earliest trip first."""
        image = self._supervisor.board.image
        latched = [int(i) for i in (image.causes["latched"] == 1).nonzero()[0]]
        for index in sorted(latched, key=lambda i: int(image.causes[i]["order"])):
            row = self._supervisor.profile.causes[index].row
            self._ask(Request("reset", row, "", self.actor, self.script.model.role, reason))

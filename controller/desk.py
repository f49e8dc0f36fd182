"""The one door: nothing outside the desk changes anything.

Authorise -> expected state -> intent, durable -> apply -> outcome. A command's id is a station-wide
counter inside its intent. People have no log-in yet: every actor is `unverified:USER@STATION`, and
what needs two people asks for two different names.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, Refused, nearest
from controller.core.events import Event
from controller.field.board import Board
from controller.field.ring import Why
from controller.field.verbs import Verb
from controller.orders import RECIPE, SYSTEM, Intent
from controller.profile.compile import Profile
from controller.profile.plan import BlockOp, Mode
from controller.translate import shown

REQUESTS_MAX = 64
PENDING_MAX = 256
TEXT_MAX = 200
REASON_MAX = 1000
UNKNOWN_AFTER_NS = 2 * NS_PER_S
VALID_NS = 10 * NS_PER_S
ORDERS = ("start", "hold", "restart", "stop", "abort")
FIELD_VERBS = ("set_sp", "set_mode", "set_op", "set_output", "set_flag", "reset", "bypass")
SYSTEM_VERBS = ("latch", "set_total")  # given after a restart and at the start of a batch only
WHY: Mapping[int, str] = {
    Why.EXPIRED: "it came too late",
    Why.ALREADY_APPLIED: "it was applied before",
    Why.UNKNOWN_TARGET: "field does not know the target",
    Why.OUT_OF_RANGE: "the value is outside the permitted range",
    Why.KEEPS_CELLS_ALIVE: "with a batch open nothing but a row may stop heat, stirring or oxygen",
    Why.NOT_POSSIBLE: "it is not possible now",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks at a face. `expected` is the state the face showed; empty = any.

    Verbs: start hold restart stop abort (target `procedure`), answer (target: prompt id),
    acknowledge (target: alarm), end_environment, and the field verbs.
    """

    verb: str
    target: str = "procedure"
    value: str = ""
    actor: str = "unverified:console@station"
    role: str = "operator"
    reason: str = ""
    second: str = ""
    expected: str = ""


@dataclass(slots=True)
class _Order:
    id: int
    verb: Verb
    target: int
    value: float
    valid_until_ns: int
    system: bool


@dataclass(slots=True)
class Desk:
    """Takes requests, writes intents and outcomes, and hands durable commands to field."""

    profile: Profile
    board: Board
    record: Callable[[Event], None]
    next_id: int = 1
    requests: deque[Request] = field(default_factory=deque)
    _ready: list[_Order] = field(default_factory=list)
    _waiting: dict[int, int] = field(default_factory=dict)
    _recipe_ids: set[int] = field(default_factory=set)

    def ask(self, request: Request) -> None:
        """Queues a request for the next tick; raises Refused for too long a text or too many."""
        for name in ("verb", "target", "value", "actor", "role", "second", "expected", "reason"):
            limit = REASON_MAX if name == "reason" else TEXT_MAX
            if len(getattr(request, name)) > limit:
                raise Refused(f"the {name} is longer than {limit} characters", do="Shorten it.")
            if not getattr(request, name).isprintable():
                raise Refused(f"the {name} is no plain text on one line", do="Type it again.")
        if request.actor.strip().casefold() in ("", RECIPE, SYSTEM):
            raise Refused("a request needs the name of a person")
        if len(self.requests) >= REQUESTS_MAX:
            raise Refused("too many requests wait", do="Try again in a second.")
        self.requests.append(request)

    def take(self) -> list[Request]:
        """The waiting requests, oldest first."""
        if not self.requests:
            return []
        taken = list(self.requests)
        self.requests.clear()
        return taken

    def intent(
        self, request: Request, stamp: Stamp, old: str = "", valid_until_ns: int = -1
    ) -> int:
        """Records that a person or the recipe wants something; returns the command's id."""
        number = self.next_id
        self.next_id += 1
        self.record(
            Event(
                "command.intent", stamp, request.actor, request.role, request.reason,
                {"id": number, "verb": request.verb, "target": request.target, "old": old,
                 "new": request.value, "second": request.second, "expected": request.expected,
                 "valid_until": str(valid_until_ns) if valid_until_ns >= 0 else ""},
            )  # fmt: skip
        )
        return number

    def outcome(
        self, number: int, result: str, stamp: Stamp, why: str = "", source: str = ""
    ) -> None:
        """Records what became of a command; `source` is field's answer, if it is one."""
        data = {"id": number, "result": result, "why": why}
        self.record(Event("command.outcome", stamp, data=data, source=source))

    def refuse(self, request: Request, stamp: Stamp, why: str) -> None:
        """Records a refused request; nothing else happens."""
        self.record(
            Event(
                "command.refused", stamp, request.actor, request.role, request.reason[:200],
                {"verb": request.verb, "target": request.target[:80],
                 "new": request.value[:200], "why": why},
            )  # fmt: skip
        )

    def issue(self, request: Request, stamp: Stamp) -> int:
        """Intends a field command and returns its id; `hand_over` gives it once it is durable.

        Raises BadInput for an unknown verb, target or value, before anything is recorded.
        """
        verb, target, value, old = self._resolve(request)
        if len(self._ready) + len(self._waiting) >= PENDING_MAX:
            raise Refused("too many commands are under way")
        until = stamp.mono_ns + VALID_NS
        number = self.intent(request, stamp, old, until)
        if request.actor == RECIPE:
            self._recipe_ids.add(number)
        self._ready.append(_Order(number, verb, target, value, until, request.actor == SYSTEM))
        return number

    def hand_over(self, *, system_only: bool = False) -> None:
        """Gives every durable intent to field. Call only after the log is synced.

        `system_only`: the log is down, and only what a new field must be told may pass.
        """
        for order in [o for o in self._ready if o.system or not system_only]:
            if not self.board.command(
                order.id, int(order.verb), order.target, order.value, order.valid_until_ns
            ):
                return
            self._waiting[order.id] = order.valid_until_ns
            self._ready.remove(order)

    def answered(self, number: int, why: int, stamp: Stamp, source: str = "") -> None:
        """Field applied (`why` 0) or refused a command."""
        self._waiting.pop(number, None)
        if why == 0:
            self._recipe_ids.discard(number)
            self.outcome(number, "applied", stamp, source=source)
        else:
            self.outcome(number, "refused", stamp, WHY.get(why, f"reason {why}"), source)

    def adopt(self, intent: Intent) -> None:
        """Waits for field's answer to a command that an earlier supervisor handed over."""
        self._waiting[intent.id] = intent.valid_until_ns
        if intent.actor == RECIPE:
            self._recipe_ids.add(intent.id)

    def withdraw(self, stamp: Stamp, why: str) -> None:
        """What is ready is never handed over: a later command must not overtake an earlier one."""
        ready, self._ready = self._ready, []
        for order in ready:
            self._recipe_ids.discard(order.id)
            self.outcome(order.id, "not_delivered", stamp, why)

    def lost(self, stamp: Stamp, why: str) -> None:
        """Field is gone: what it was given and never answered is unknown, the rest undelivered."""
        waiting, self._waiting = self._waiting, {}
        for number in waiting:
            self._recipe_ids.discard(number)
            self.outcome(number, "unknown", stamp, why)
        self.withdraw(stamp, why)

    def from_recipe(self, number: int) -> bool:
        """Whether the recipe gave a command whose answer just came; asked once a command."""
        if number not in self._recipe_ids:
            return False
        self._recipe_ids.remove(number)
        return True

    @property
    def busy(self) -> bool:
        """Whether a command is still on its way to field or its answer on its way back."""
        return bool(self._ready or self._waiting)

    def overdue(self, stamp: Stamp) -> list[int]:
        """Commands whose answer can no longer come: their outcome is recorded as unknown."""
        if not self._waiting:
            return []
        late = [n for n, until in self._waiting.items() if stamp.mono_ns > until + UNKNOWN_AFTER_NS]
        for number in late:
            del self._waiting[number]
            self.outcome(number, "unknown", stamp, "field gave no answer in time")
        return late

    # -- names to indices -------------------------------------------------------------------

    def _resolve(self, request: Request) -> tuple[Verb, int, float, str]:
        name = request.verb
        known = FIELD_VERBS if request.actor != SYSTEM else (*FIELD_VERBS, *SYSTEM_VERBS)
        if name not in known:
            raise BadInput(f"unknown verb {name!r}. {nearest(name, [*ORDERS, *FIELD_VERBS])}")
        verb, target = Verb[name.upper()], request.target
        if verb in (Verb.SET_SP, Verb.SET_MODE, Verb.SET_OP):
            index = _place(target, self.profile.loops, "loop")
            loop = self.board.image.loops[index]
            if verb is Verb.SET_MODE:
                return verb, index, self._mode(request.value, index), Mode(int(loop["mode"])).name
            old = float(loop["sp" if verb is Verb.SET_SP else "op"])
            return verb, index, _number(request.value), shown(old)
        if verb is Verb.SET_OUTPUT:
            index = _place(target, self.profile.outputs, "actuator")
            old = float(self.board.image.outputs[index]["request"])
            return verb, index, _number(request.value), shown(old)
        if verb is Verb.SET_FLAG:
            index = self.profile.index[_named(target, list(self.profile.model.flags), "flag")]
            old = float(self.board.image.signals[index]["value"])
            return verb, index, _number(request.value), shown(old)
        if verb is Verb.SET_TOTAL:
            signals, blocks = self.profile.signals, self.profile.plan.blocks
            places = {signals[int(row["target"])]: index for index, row in enumerate(blocks)
                      if row["op"] == BlockOp.TOTAL}  # fmt: skip
            index = places[_named(target, list(places), "totaliser")]
            old = float(self.board.image.signals[self.profile.index[target]]["value"])
            return verb, index, _number(request.value), shown(old)
        rows = [cause.row for cause in self.profile.causes]
        return verb, _place(target, rows, "row"), _number(request.value or "0"), ""

    def _mode(self, text: str, loop: int) -> float:
        slave = int(self.profile.plan.loops[loop]["master"]) >= 0
        modes = {"off": Mode.OFF, "manual": Mode.MANUAL, "auto": Mode.AUTO}
        if slave:
            modes["cascade"] = Mode.CASCADE
        if text not in modes:
            raise BadInput(f"unknown mode {text!r}. {nearest(text, list(modes))}")
        return float(modes[text])


def _named(name: str, known: list[str], kind: str) -> str:
    if name not in known:
        raise BadInput(f"unknown {kind} {name!r}. {nearest(name, known)}")
    return name


def _place(name: str, known: tuple[str, ...] | list[str], kind: str) -> int:
    return list(known).index(_named(name, list(known), kind))


def _number(text: str) -> float:
    try:
        value = float({"true": "1", "false": "0"}.get(text.lower(), text))
    except ValueError:
        raise BadInput(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise BadInput(f"{text!r} is not a finite number")
    return value

"""The one door: nothing outside the desk changes anything.

Authenticate -> authorise -> signatures -> expected state -> intent, durable -> apply -> outcome. A
command's id is a station-wide counter inside its intent. Faces may ask from any thread; the tick
takes what was asked and tells what became of it once the record is durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from controller.asking import (
    FIELD_VERBS,
    FILE_BYTES_MAX,
    ORDERS,
    ORIGINS,
    REASON_MAX,
    STATION_VERBS,
    SYSTEM_VERBS,
    TEXT_MAX,
    Answer,
    Asked,
    Busy,
    Denied,
    Malformed,
    Report,
    Request,
    Told,
    of_whole,
)
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import Refused
from controller.core.events import Event
from controller.field.board import Board
from controller.field.ring import Why
from controller.field.verbs import Verb
from controller.orders import RECIPE, SYSTEM, Intent
from controller.profile.compile import Profile
from controller.targets import resolve

REQUESTS_MAX = 64
PENDING_MAX = 256
UNKNOWN_AFTER_NS = 2 * NS_PER_S
VALID_NS = 10 * NS_PER_S
WHY: Mapping[int, str] = {
    Why.EXPIRED: "it came too late",
    Why.ALREADY_APPLIED: "it was applied before",
    Why.UNKNOWN_TARGET: "field does not know the target",
    Why.OUT_OF_RANGE: "the value is outside the permitted range",
    Why.KEEPS_CELLS_ALIVE: "with a batch open nothing but a row may stop heat, stirring or oxygen",
    Why.NOT_POSSIBLE: "it is not possible now",
}


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
    record_station: Callable[[Event], None] = field(default=lambda event: None)
    holdable: bool = False  # a Hold is legal now: `ask` lets it act before anything is recorded
    _asked: deque[Asked] = field(default_factory=deque)
    _holds: deque[Asked] = field(default_factory=deque)  # no other request takes their room
    _places: count[int] = field(default_factory=count)
    _reported: deque[Report] = field(default_factory=deque)
    _answers: list[tuple[Told, Answer, bool]] = field(default_factory=list)
    _reports: list[Callable[[bool], None]] = field(default_factory=list)
    _ready: list[_Order] = field(default_factory=list)
    _waiting: dict[int, int] = field(default_factory=dict)
    _recipe_ids: set[int] = field(default_factory=set)

    def ask(self, request: Request, told: Told | None = None) -> None:
        """Queues a request for the next tick, from any thread; `told` hears what became of it.

        A Hold acts in field at once: it waits for no disk. Its record and the procedure follow.

        `told` is called in the supervisor's thread, must not wait, and is not called for a request
        that a fault of the supervisor lost: set `until_ns`. Raises Malformed for too long a text or
        one that is not plain, Busy when too many wait; then nothing is queued or recorded.
        """
        for name in ("verb", "target", "value", "actor", "role", "second", "expected", "session",
                     "station", "reason"):  # fmt: skip
            limit = REASON_MAX if name == "reason" else TEXT_MAX
            if len(getattr(request, name)) > limit:
                raise Malformed(f"the {name} is longer than {limit} characters", do="Shorten it.")
            if not getattr(request, name).isprintable():
                raise Malformed(f"the {name} is no plain text on one line", do="Type it again.")
        if len(request.file) > FILE_BYTES_MAX:
            raise Malformed(f"the file has more than {FILE_BYTES_MAX} bytes", do="Send less.")
        if request.actor.strip().casefold() in ("", RECIPE, SYSTEM):
            raise Malformed("a request needs the name of a person")
        if request.origin not in ORIGINS or len(request.signatures) > 2:
            raise Malformed("a request comes from a console, a script or a screen")
        hold = request.verb == "hold" and of_whole(request)  # one of a part takes no other's room
        queue = self._holds if hold else self._asked
        if len(queue) >= REQUESTS_MAX:
            if hold:
                raise Busy("many Holds wait already: the unit is held at the next tick")
            raise Busy("too many requests wait", do="Try again in a second.")
        pressed = hold and self.holdable
        queue.append(Asked(request, told, next(self._places), pressed))
        if pressed:
            self.board.hold()

    def report(self, events: Sequence[Event], told: Callable[[bool], None] | None = None) -> None:
        """Queues records about people (`door.Outcome.events`) for the station log, from any thread.

        `told` hears, in the supervisor's thread, whether they are durable. Raises Busy.
        """
        if len(self._reported) >= REQUESTS_MAX:
            raise Busy("too many records wait", do="Try again in a second.")
        self._reported.append(Report(tuple(events), told))

    @property
    def requests(self) -> int:
        """How many requests and reports wait for the next tick."""
        return len(self._asked) + len(self._holds) + len(self._reported)

    def take(self) -> list[Asked]:
        """The waiting requests, oldest first, and Holds before all others.

        Only where a start, restart or resume waits too, a Hold keeps its place: it must not be
        undone by an order that was given before it.
        """
        holds = [self._holds.popleft() for _ in range(len(self._holds))]
        others = [self._asked.popleft() for _ in range(len(self._asked))]
        if any(asked.request.verb in ("start", "restart", "resume") for asked in others):
            return sorted(holds + others, key=lambda asked: asked.place)
        return holds + others

    def record_reports(self) -> None:
        """Records what was reported about people."""
        for _ in range(len(self._reported)):
            report = self._reported.popleft()
            for event in report.events:
                self.record_station(event)
            if report.told is not None:
                self._reports.append(report.told)

    def answer(self, asked: Asked, answer: Answer) -> None:
        """Keeps an answer until its record is durable."""
        if asked.told is not None:
            self._answers.append((asked.told, answer, asked.request.verb == "hold"))

    def tell(self, failed: str, stamp: Stamp) -> None:
        """Tells every kept answer. `failed`: why the log is down; then only a Hold was accepted."""
        answers, self._answers = self._answers, []
        reports, self._reports = self._reports, []
        why = f"the log cannot be written: {failed}\nLook again, once it can, whether this counts."
        lost = Answer(False, 0, why[:REASON_MAX], "refused")
        calls = [partial(told, lost if failed and answer.accepted and not hold else answer)
                 for told, answer, hold in answers]  # fmt: skip
        for call in [*calls, *(partial(told, not failed) for told in reports)]:
            try:
                call()
            except Exception as error:
                why = f"{type(error).__name__}: {error}"[:300]
                data = {"face": "what waited for an answer", "why": ascii(why)}
                self.record(Event("face.lost", stamp, data=data))

    def intent(
        self, request: Request, stamp: Stamp, old: str = "", valid_until_ns: int = -1
    ) -> int:
        """Records that a person or the recipe wants something; returns the command's id."""
        number = self.next_id
        self.next_id += 1
        record = self.record_station if request.verb in STATION_VERBS else self.record
        record(
            Event(
                "command.intent", stamp, request.actor, request.role, request.reason,
                {"id": number, "verb": request.verb, "target": request.target, "old": old,
                 "new": request.value, "second": request.second, "expected": request.expected,
                 "valid_until": str(valid_until_ns) if valid_until_ns >= 0 else ""},
            )  # fmt: skip
        )
        for signed in request.signatures:
            data = {"id": number, "user": signed.user, "name": signed.name, "role": signed.role,
                    "meaning": signed.meaning, "digest": signed.digest, "utc": signed.utc,
                    "station": request.station}  # fmt: skip
            actor = f"{signed.user}@{request.station}"
            record(Event("signature.given", stamp, actor, signed.role, signed.reason, data))
        return number

    def outcome(
        self, number: int, result: str, stamp: Stamp, why: str = "", source: str = "",
        *, station: bool = False,
    ) -> None:  # fmt: skip
        """Records what became of a command; `source` is field's answer, if it is one.

        `station`: in the station log, where its intent is.
        """
        data = {"id": number, "result": result, "why": why}
        record = self.record_station if station else self.record
        record(Event("command.outcome", stamp, data=data, source=source))

    def refuse(
        self, request: Request, stamp: Stamp, why: str, *, personal: bool = False
    ) -> None:
        """Records a refused request; nothing else happens. `personal`: it concerns who asks."""
        record = self.record_station if personal else self.record
        record(
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
        verb, target, value, old = resolve(self.profile, self.board, request)
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
            if self._holds and self._lets_go(order):
                return  # a Hold was pressed since: what ends one waits until that was looked at
            if not self.board.command(
                order.id, int(order.verb), order.target, order.value, order.valid_until_ns
            ):
                return
            self._waiting[order.id] = order.valid_until_ns
            self._ready.remove(order)

    def _lets_go(self, order: _Order) -> bool:
        held = int(self.profile.plan.unit[0]["held_flag"])
        return order.verb == Verb.SET_FLAG and order.target == held and order.value == 0.0

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

    def present(self, request: Request) -> str:
        """What a field command would change, as text. Raises BadInput as `issue` does."""
        return resolve(self.profile, self.board, request)[3]


__all__ = [
    "FIELD_VERBS", "ORDERS", "REASON_MAX", "REQUESTS_MAX", "SYSTEM_VERBS", "TEXT_MAX", "Answer",
    "Asked", "Busy", "Denied", "Desk", "Malformed", "Report", "Request", "Told",
]  # fmt: skip

"""What the records say was commanded, and what came of it: a fold over both logs.

Everything a new supervisor, or a new field, must know about commands comes from here and so from
the log: the next id, intents without an outcome, what was applied last, what is latched, bypassed
or totalled, and which requests of rows nobody has answered yet. It changes only by records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.events import Event
from controller.field.board import Board
from controller.profile.compile import Profile
from controller.profile.plan import BlockOp, EffectOp
from controller.recipe.batch import Record
from controller.recipe.engine import ProtectiveRequest
from controller.recipe.states import HELD, HOLDING
from controller.standing import Standing

RECIPE, SYSTEM = "recipe", "system"
NO_ANSWER = "field never answered a command"
A_FAULT = "a fault of the supervisor"
ASKED_MAX = 64
KEPT = ("set_output", "set_sp", "set_mode", "set_op", "set_flag")
_LATCHING = ("protect", "plausibility")


def refused_words(number: int) -> str:
    """Why the batch is held after field refused what the recipe commanded."""
    return f"field refused command {number} of the recipe"


def row_words(row: str, title: str) -> str:
    """Why the batch is held or aborted after a row asked for it."""
    return f"row {row}: {title}"


@dataclass(frozen=True, slots=True)
class Intent:
    """A recorded intent. `valid_until_ns` is -1 for what field is not told (start, hold ...)."""

    id: int
    verb: str
    target: str
    value: str
    actor: str
    valid_until_ns: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What field did last for one verb and target, and which field it was."""

    verb: str
    target: str
    value: str
    generation: int


class Orders:
    """The fold. `open`, `applied` ... are for reading; only `take` changes them."""

    def __init__(self, profile: Profile) -> None:
        plan = profile.plan
        self._driven: dict[str, list[str]] = {}
        for loop, row in zip(profile.loops, plan.loops, strict=True):
            first = int(row["first_segment"])
            parts = plan.segments[first : first + int(row["n_segments"])] if first >= 0 else ()
            self._driven[loop] = [profile.outputs[int(part["output"])] for part in parts]
        self._masters = [int(row["master"]) for row in plan.loops]
        self._profile = profile
        effects = zip(profile.effects, plan.effects, strict=True)
        self._forced: dict[str, set[str]] = {c.row: set() for c in profile.causes
                                             if c.kind == "protect"}  # fmt: skip
        for (row, output), effect in effects:
            if row in self._forced and effect["op"] in (EffectOp.FORCE, EffectOp.MEAN):
                self._forced[row].add(output)
        self._latching = {cause.row for cause in profile.causes if cause.kind in _LATCHING}
        self.standing = Standing()
        self.next_id = 1
        self.generation = 0
        self.restoring = False
        self.open: dict[int, Intent] = {}
        self.applied: dict[tuple[str, str], Applied] = {}
        self.latched: dict[str, int] = {}
        self.locked: dict[str, int] = {}
        self._second: dict[str, set[str]] = {}
        self._held_once = False
        self.bypassed: dict[str, int] = {}
        self.totals: dict[str, str] = {}
        self.zeroed: set[str] = set()
        self.ended = False  # two people confirmed the end of the environment
        self.asked: list[ProtectiveRequest] = []
        self.recorded: dict[tuple[int, str], int] = {}
        self.lost: dict[tuple[int, str], int] = {}
        self._not_applied: dict[int, str] = {}

    def take(self, record: Record) -> None:
        """Takes one record: an Event, or one as decoded from a log."""
        if isinstance(record, Event):
            name, data, source = record.name, record.data, record.source
            actor, role, reason = record.actor, record.role, record.reason
        else:
            name, data, source = record["event"], record["data"], record.get("source", "")
            actor, role, reason = record["actor"], record["role"], record["reason"]
        if source:
            self._seen(source)
        self.standing.take(name, data, actor, role)
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, data, actor, reason)

    def free_id(self, board: Board) -> int:
        """The next id that neither a log nor this field has seen."""
        while board.handed_over(self.next_id):
            self.next_id += 1
        return self.next_id

    def again(self, held: bool) -> list[tuple[str, str, str]]:
        """(verb, target, value) that give a new field what its predecessor had, in an order in
        which it accepts them: field takes them all in one scan, the flag `restarted` last.

        Liquids come as they were, but the rows that the flag raised keep them shut until a reset.
        """
        unit = self._profile.model.unit
        last: dict[str, list[tuple[str, str]]] = {verb: [] for verb in KEPT}
        if self.ended:
            return self._ended_again(held)
        for item in self.applied.values():
            last[item.verb].append((item.target, item.value))
        modes = {target: value for target, value in last["set_mode"] if value != "off"}
        busy = {output for loop in modes for output in self._driven.get(loop, ())}
        found = [("latch", row, "1") for row in self.latched]
        found += [("set_total", name, value) for name, value in self.totals.items()]
        found += [("set_output", n, value) for n, value in last["set_output"] if n not in busy]
        found += [("set_sp", n, v) for n, v in last["set_sp"] if modes.get(n) != "cascade"]
        for slaves in (False, True):
            found += [
                ("set_mode", loop, modes[loop])
                for loop, master in zip(self._profile.loops, self._masters, strict=True)
                if loop in modes and (master >= 0) == slaves
            ]
        found += [("set_op", n, value) for n, value in last["set_op"] if modes.get(n) == "manual"]
        found += self.locks()  # after the modes, which would give them free
        special = (unit.held, unit.restarted, unit.guard)
        found += [("set_flag", n, value) for n, value in last["set_flag"] if n not in special]
        found.append(("set_flag", unit.guard, "1"))  # also when the old field died before it had it
        return found + self._last_flags(held)

    def _ended_again(self, held: bool) -> list[tuple[str, str, str]]:
        """The same once the environment is ended: nothing is started again."""
        found = [("latch", row, "1") for row in self.latched]
        last = self._last_flags(held)
        targets = [target for _, target, _ in last]
        return found + [i for i in ending(self._profile) if i[1] not in targets] + last

    def _last_flags(self, held: bool) -> list[tuple[str, str, str]]:
        unit = self._profile.model.unit
        found = [("set_flag", unit.held, str(int(held)))]
        if unit.restarted is not None:
            found.append(("set_flag", unit.restarted, "0"))
        return found

    def locks(self) -> list[tuple[str, str, str]]:
        """What keeps outputs where a reset left them, until somebody commands them anew."""
        return [("lock", output, "1") for output in self.locked]

    def unknown_of(self, board: Board) -> tuple[list[str], list[str]]:
        """Latched rows and locked outputs in a region that the records know nothing of."""
        latches, locks = board.left()
        names = zip(self._profile.causes, latches, strict=True)
        rows = [cause.row for cause, on in names if on and cause.row not in self.latched]
        known = set(self.locked).union(*self._second.values())
        known = known.union(*(self._forced.get(row, set()) for row in (*self.latched, *rows)))
        outputs = zip(self._profile.outputs, locks, strict=True)
        return rows, [name for name, on in outputs if on and name not in known]

    def refused_of(self, numbers: list[int]) -> list[str]:
        """What became of those of the system's own commands that field did not apply."""
        return [self._not_applied[n] for n in numbers if n in self._not_applied]

    def flag(self, name: str) -> bool:
        """Whether a flag was last set by a command."""
        found = self.applied.get(("set_flag", name))
        return found is not None and found.value in ("1", "1.0", "true")

    # -- what each record does ------------------------------------------------------------------

    def _seen(self, source: str) -> None:
        generation, _, rest = source.partition(".")
        ring, _, sequence = rest.rpartition(".")
        key = (int(generation), ring)
        self.generation = max(self.generation, key[0])
        self.recorded[key] = max(self.recorded.get(key, -1), int(sequence))

    def _ask(self, action: str, cause: str, row: str = "") -> None:
        request = ProtectiveRequest(action, cause, row)
        if request not in self.asked and len(self.asked) < ASKED_MAX:
            self.asked.append(request)

    def _intent(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        number, until = int(data["id"]), data["valid_until"]
        self.next_id = max(self.next_id, number + 1)
        self.open[number] = Intent(
            number, data["verb"], data["target"], data["new"], actor, int(until) if until else -1
        )

    def _outcome(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        number, result = int(data["id"]), data["result"]
        self.next_id = max(self.next_id, number + 1)
        intent = self.open.pop(number, None)
        if intent is not None and result == "applied":
            self.ended = self.ended or intent.verb == "end_environment"
            if intent.verb == "set_total":
                self.zeroed.add(intent.target)
        if intent is None or intent.valid_until_ns < 0:
            return
        if result == "applied" and intent.verb in KEPT:
            self._apply(intent)
            if intent.actor != SYSTEM:
                self._unlock(intent)
        elif intent.actor == SYSTEM and result != "applied":
            words = f"{intent.verb} {intent.target} {intent.value}: {result} {data['why']}"
            self._not_applied[number] = words.rstrip()
        elif result == "refused" and intent.actor == RECIPE:
            self._ask("hold", refused_words(number))
        elif result == "unknown":
            self._ask("hold", NO_ANSWER)

    def _apply(self, intent: Intent) -> None:
        """Later ones replace earlier ones; a loop that was switched leaves its outputs its own."""
        if intent.verb == "set_mode":
            for output in self._driven.get(intent.target, ()):
                self.applied.pop(("set_output", output), None)
        key = (intent.verb, intent.target)
        self.applied.pop(key, None)
        self.applied[key] = Applied(*key, intent.value, self.generation)

    def _unlock(self, intent: Intent) -> None:
        """A new command gives free what a reset left where it was, but not below a row."""
        free: set[str] = set()
        if intent.verb == "set_output":
            free = {intent.target}
        elif intent.verb in ("set_mode", "set_op"):
            own = self._profile.loops.index(intent.target)
            for loop, master in zip(self._profile.loops, self._masters, strict=True):
                if loop == intent.target or master == own:
                    free.update(self._driven[loop])
        elif intent.target == self._profile.model.unit.held and not self.flag(intent.target):
            free = set(self.locked) if self._held_once else set()  # only the end of a Hold does
            self._held_once = False
        for output in free.difference(*self._second.values()):
            self.locked.pop(output, None)

    def _lock(self, row: str, outputs: set[str]) -> None:
        """A row lets its outputs go: what it locked stays locked."""
        for output in sorted(outputs | self._second.pop(row, set())):
            self.locked[output] = self.generation

    def _not_confirmed(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        if data["second"] in self._profile.outputs:
            self._second.setdefault(data["row"], set()).add(data["second"])
            self.locked[data["second"]] = self.generation

    def _cleared(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        if not data["latched"]:
            self._lock(data["row"], set())

    def _found(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        for row in data["rows"].split():
            self.latched[row] = self.generation
        for output in data["outputs"].split():
            self.locked[output] = self.generation

    def _active(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        if data["row"] in self._latching:
            self.latched[data["row"]] = self.generation

    def _reset(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.latched.pop(data["row"], None)
        self._lock(data["row"], self._forced.get(data["row"], set()))

    def _bypass(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.bypassed[data["row"]] = self.generation

    def _lapsed(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.bypassed.pop(data["row"], None)

    def _total(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.totals[data["name"]] = data["value"]

    def _asks(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        if data["action"] in ("hold", "abort"):
            self._ask(data["action"], row_words(data["row"], data["title"]), data["row"])

    def _fault(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self._ask("hold", A_FAULT)

    def _refused(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        if actor == RECIPE:
            self._ask("hold", f"{reason}: {data['why']}")

    def _held(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self._held_once = True
        self.asked = [request for request in self.asked if request.cause != data["cause"]]

    def _procedure(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        if data["level"] != "procedure":
            return
        self.asked = [request for request in self.asked if request.cause != data["cause"]]
        # Whatever was asked before a Restart, a Stop or an end was looked at before it.
        if data["new"] not in (HOLDING, HELD):
            self.asked.clear()

    def _restarted(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.generation = max(self.generation, int(data["generation"]))
        self.restoring = bool(data["state"])
        self._not_applied.clear()

    def _restored(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.restoring = False

    def _opened(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        """What an earlier field was told before the batch is of no account: it started cold."""
        now = self.generation
        self.applied = {k: item for k, item in self.applied.items() if item.generation == now}
        self.latched = {row: g for row, g in self.latched.items() if g == now}
        self.locked = {output: g for output, g in self.locked.items() if g == now}
        self.bypassed = {row: g for row, g in self.bypassed.items() if g == now}
        self.totals.clear()
        self.zeroed.clear()
        self.asked.clear()
        self.restoring = self.ended = False

    def _log_failed(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        """An end of the environment that went with its log was refused to those who asked."""
        guard = self._profile.model.unit.guard
        given = any((i.verb, i.target) == ("set_flag", guard) for i in self.open.values())
        self.ended = self.ended and (given or not self.flag(guard))

    def _counted(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        self.next_id = max(self.next_id, int(data["id"]))

    def _overflow(self, data: Mapping[str, Any], actor: str, reason: str) -> None:
        key = (self.generation, data["ring"])
        self.lost[key] = self.lost.get(key, 0) + int(data["lost"])


def totals(profile: Profile) -> dict[str, int]:
    """Totals that stand for themselves: signal name -> block.

    One that another signal is computed from (weight against pumps) counts by its change alone;
    to set it would be a step that never happened.
    """
    blocks, terms = profile.plan.blocks, profile.plan.terms
    used = {int(row[key]) for row in blocks for key in ("a", "b")}
    used |= {int(row["signal"]) for row in terms}
    return {
        profile.signals[int(row["target"])]: index
        for index, row in enumerate(blocks)
        if row["op"] == BlockOp.TOTAL and int(row["target"]) not in used
    }


def ending(profile: Profile) -> list[tuple[str, str, str]]:
    """(verb, target, value) that end the environment: the guard first, then loops, then outputs."""
    unit = profile.model
    found = [("set_flag", name, str(int(flag.start))) for name, flag in unit.flags.items()
             if name != unit.unit.held]  # fmt: skip
    found += [("set_mode", loop, "off") for loop in profile.loops]
    return found + [("set_output", n, str(out.start)) for n, out in unit.actuators.items()]


_HANDLERS: dict[str, Callable[[Orders, Mapping[str, Any], str, str], None]] = {
    "command.intent": Orders._intent,
    "command.outcome": Orders._outcome,
    "command.refused": Orders._refused,
    "command.next": Orders._counted,
    "cause.active": Orders._active,
    "cause.reset": Orders._reset,
    "cause.cleared": Orders._cleared,
    "effect.not_confirmed": Orders._not_confirmed,
    "field.left": Orders._found,
    "bypass.set": Orders._bypass,
    "bypass.lapsed": Orders._lapsed,
    "totaliser.value": Orders._total,
    "row.asks": Orders._asks,
    "supervisor.fault": Orders._fault,
    "unit.hold": Orders._held,
    "procedure.state": Orders._procedure,
    "field.restarted": Orders._restarted,
    "field.restored": Orders._restored,
    "batch.opened": Orders._opened,
    "log.failed": Orders._log_failed,
    "ring.overflow": Orders._overflow,
}

"""All alarms of one unit: they follow the records of field, the clock and what people ask.

Every move is a record, so the list is rebuilt from the log; acknowledging, shelving and suppressing
never touch a trip or its actions, only whether a person is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Final

from controller.alarms.alarm import Alarm, Record, carried, folded
from controller.alarms.book import Book
from controller.alarms.defaults import PRIORITIES
from controller.alarms.dependence import Dependence
from controller.alarms.sources import Change, changes
from controller.alarms.table import (
    ACKNOWLEDGE,
    CONDITIONS,
    HIDDEN,
    LATCH,
    NORM,
    NORMAL,
    PUT_BACK,
    RAISE,
    RELEASE,
    RESET,
    RETURN,
    SHELVE,
    SHELVED,
    STANDS,
    SUPPRESS,
    SUPPRESSED,
    TABLE,
    TAKE_OUT,
    UNSHELVE,
    WAITING,
    moved,
)
from controller.core.clock import NS_PER_S, Stamp
from controller.core.errors import BadInput, Refused, nearest
from controller.core.events import Event
from controller.profile.compile import Profile

CALLS_MAX: Final = 6
CARRIED_A_RECORD: Final = 24
# A link that is back needs a moment before what depended on it is known to be gone.
SETTLE_NS: Final = 15 * NS_PER_S
LOUD, SILENCED, SEEN = 1000, 300, 100  # per mille, of an annunciator that has one level
SYSTEM: Final = "system"
Who = tuple[str, str, str]  # actor, role, reason
_NOBODY: Final[Who] = (SYSTEM, "", "")
_NO_DETAIL: Final[Mapping[str, Any]] = {}


class Alarms:
    """The alarms of one unit: `row:ID`, `proof:ROW:OUTPUT` (an unproven effect), `link:NAME` ..."""

    def __init__(self, book: Book, dependence: Dependence) -> None:
        self.book, self._dependence = book, dependence
        self._suppressors = {each for entry in book.entries for each in entry.suppressed_by}
        self.all: dict[str, Alarm] = {}
        self.version = 0  # changes with every change of the list

    @classmethod
    def of(cls, profile: Profile) -> Alarms:
        """Of a unit, none raised. Raises BadInput for a wrong database."""
        return cls(Book.of(profile), Dependence(profile))

    # -- what there is ----------------------------------------------------------------------

    def active(self) -> list[Alarm]:
        """Everything a person is shown, the worst and oldest first."""
        return self._sorted(lambda alarm: alarm.state not in (NORM, *HIDDEN))

    def hidden(self) -> list[Alarm]:
        """What is shelved, suppressed or out of service, the worst and oldest first."""
        return self._sorted(lambda alarm: alarm.state in HIDDEN)

    def known(self, name: str) -> Alarm:
        """An alarm, also one that was never raised; raises Refused for one there cannot be."""
        found = self.all.get(name)
        if found is not None:
            return found
        if name not in self.book.names:
            raise Refused(f"no alarm {name!r}. {nearest(name, [*self.all, *self.book.names])}")
        return Alarm(name, priority=self.book.entry(name).priority)

    def waiting(self, name: str) -> Alarm:
        """An alarm that waits to be acknowledged; raises Refused if it does not."""
        alarm = self.known(name)
        moved(name, alarm.state, ACKNOWLEDGE, alarm.condition)
        return alarm

    def unseen(self, name: str) -> bool:
        """Whether an alarm was raised and nobody has acknowledged it yet."""
        alarm = self.all.get(name)
        return alarm is not None and alarm.state in WAITING

    def stands(self, name: str) -> bool:
        """Whether what an alarm says is so still, shown or not."""
        alarm = self.all.get(name)
        return alarm is not None and alarm.condition == STANDS

    @property
    def horn(self) -> bool:
        """Whether something waits that nobody has silenced."""
        return any(a.state in WAITING and not a.silenced for a in self.all.values())

    @property
    def loudness(self) -> int:
        """Per mille, for an annunciator of one level: all while the horn sounds, little while
        something waits that was silenced, less while something stands that was seen."""
        if self.horn:
            return LOUD
        active = self.active()
        if any(alarm.state in WAITING for alarm in active):
            return SILENCED
        return SEEN if active else 0

    # -- what the process says ---------------------------------------------------------------

    def follow(self, event: Event) -> list[Event]:
        """The alarm records that follow from a record of field."""
        found: list[Event] = []
        for change in changes(event, self.book.titles):
            found += self._process(change, event.stamp)
        if event.name in ("cause.cleared", "cause.reset") and not event.data.get("latched"):
            found += self._end(f"proof:{event.data['row']}:", RETURN, event.stamp)
        elif event.name == "field.restarted":
            found += self._anew(bool(event.data["state"]), event.stamp)
        return found

    def _process(self, change: Change, stamp: Stamp) -> list[Event]:
        """One change of the process, and what it explains or is explained by."""
        alarm = self.all.get(change.name) or Alarm(change.name)
        entry = self.book.entry(change.name)
        priority = entry.priority if alarm.state == NORM else alarm.priority
        text = change.text or alarm.text
        condition = CONDITIONS.get((alarm.condition, change.trigger), alarm.condition)
        blind = {"blind": list(change.blind)} if change.blind or alarm.blind else {}
        detail: dict[str, Any] = blind if change.trigger == RAISE else {}
        if alarm.state in HIDDEN and condition != alarm.condition:
            data = {"alarm": alarm.name, "state": alarm.state, "condition": condition,
                    "text": text, "detail": detail}  # fmt: skip
            return [self._taken(Event("alarm.condition", stamp, data=data))]
        if (alarm.state, change.trigger) not in TABLE:
            return []
        if change.trigger != RAISE:
            return self._record(alarm, change.trigger, stamp, text, priority, condition)
        # What nobody has seen yet stays on the list: its first reason may be another one.
        of = [] if alarm.state in WAITING else self._explained_by(change.name, change.blind)
        if of:
            return self._record(alarm, SUPPRESS, stamp, text, priority, condition,
                                {**detail, "of": of})  # fmt: skip
        if alarm.state in WAITING and alarm.blind + change.blind:
            detail = {"blind": []}
        made = self._record(alarm, RAISE, stamp, text, priority, condition, detail)
        if not self._explains(change.name):
            return made
        return [*made, *self._overshadowed(stamp, SETTLE_NS)]

    def _end(self, prefix: str, trigger: str, stamp: Stamp) -> list[Event]:
        """Alarms whose reason is gone, without a record of each."""
        names = [name for name in self.all if name.startswith(prefix)]
        return [e for name in names for e in self._process(Change(name, trigger), stamp)]

    def _anew(self, latches_again: bool, stamp: Stamp) -> list[Event]:
        """Another field knows nothing yet: what still stands it raises again by itself, and what
        was latched it is given again where a batch is open."""
        found = []
        for name in [n for n in self.all if n.startswith(("row:", "loop:", "link:"))]:
            latched = self.book.entry(name).latched
            found += self._process(Change(name, LATCH if latched else RETURN), stamp)
            if latched and not latches_again:
                found += self._process(Change(name, RESET), stamp)
        return found + self._end("proof:", RETURN, stamp)

    # -- what the design says ----------------------------------------------------------------

    def _heads(self) -> dict[str, str]:
        """Lost links, each with the alarm that says so and is shown."""
        shown = {a.name for a in self.active() if a.condition == STANDS}
        found = {link: row for row, link in self._dependence.silent.items() if row in shown}
        links = {name.partition(":")[2]: name for name in shown if name.startswith("link:")}
        return found | links

    def _explains(self, name: str) -> bool:
        """Whether others may be its mere consequence."""
        head = name.startswith("link:") or name in self._dependence.silent
        return head or name in self._suppressors

    def _explained_by(self, name: str, blind: tuple[str, ...]) -> list[str]:
        """The standing alarms that make this one a mere consequence; none if it is not."""
        shown = [a.name for a in self.active() if a.condition == STANDS]
        named = [each for each in self.book.entry(name).suppressed_by if each in shown]
        heads = {link: head for link, head in self._heads().items() if head != name}
        lost = frozenset(heads)
        if not named and lost and self._dependence.explained(name, blind, lost):
            named = [head for link, head in sorted(heads.items())
                     if not self._dependence.explained(name, blind, lost - {link})]  # fmt: skip
            named = named or sorted(heads.values())
        return named

    def _overshadowed(self, stamp: Stamp, before_ns: float = inf) -> list[Event]:
        """What stands beside an alarm that explains it. `before_ns`: of what nobody has seen yet
        only what was raised so shortly before; older than that, it had a reason of its own."""
        found = []
        for alarm in [a for a in self.active() if a.condition != NORMAL]:
            unseen_ns = alarm.since.elapsed_ns(stamp) if alarm.state in WAITING else 0
            if unseen_ns > before_ns:
                continue
            of = self._explained_by(alarm.name, alarm.blind)
            if of:
                found += self._record(alarm, SUPPRESS, stamp, detail={"of": of})
        return found

    # -- what the clock says -----------------------------------------------------------------

    def due(self, stamp: Stamp) -> list[Event]:
        """What has become due: shelving that is over, consequences that outlast their cause, and
        calls for what nobody acknowledged in its time to respond."""
        found: list[Event] = []
        # What explains others first: they need not be shown again where it is.
        for alarm in sorted(self.all.values(), key=lambda each: not self._explains(each.name)):
            if alarm.state == SHELVED and alarm.moved.elapsed_ns(stamp) >= alarm.lasts_s * NS_PER_S:
                found += self._seen_again(alarm, UNSHELVE, stamp)
            elif alarm.state == SUPPRESSED and self._settled(alarm, stamp):
                found += self._record(alarm, RELEASE, stamp)
            elif alarm.state in WAITING:
                found += self._call(alarm, stamp)
        return found

    def _settled(self, alarm: Alarm, stamp: Stamp) -> bool:
        if self._explained_by(alarm.name, alarm.blind):
            return False
        heads = [self.all[name] for name in alarm.of if name in self.all]
        return all(head.moved.elapsed_ns(stamp) >= SETTLE_NS for head in heads)

    def _call(self, alarm: Alarm, stamp: Stamp) -> list[Event]:
        """One call a time to respond, up to CALLS_MAX; what a dead supervisor missed is one."""
        waited_ns = alarm.since.elapsed_ns(stamp)
        number = min(waited_ns // self.book.entry(alarm.name).respond_ns, CALLS_MAX)
        if number <= alarm.calls:
            return []
        data = {"alarm": alarm.name, "priority": alarm.priority, "number": number,
                "after_s": waited_ns // NS_PER_S, "text": alarm.text}  # fmt: skip
        return [self._taken(Event("alarm.escalated", stamp, data=data))]

    # -- what people ask ---------------------------------------------------------------------

    def acknowledge(self, name: str, stamp: Stamp, actor: str, role: str) -> list[Event]:
        """Acknowledges one alarm; raises Refused for one that is unknown or needs none."""
        return self._record(self.waiting(name), ACKNOWLEDGE, stamp, who=(actor, role, ""))

    def shelve(self, name: str, lasts_s: int, stamp: Stamp, who: Who) -> list[Event]:
        """Takes an alarm off the list for a time; raises Refused for what may not be, BadInput for
        a time that is too long."""
        limit_s = self._may_hide(name, "shelved")
        if not 1 <= lasts_s <= limit_s:
            raise BadInput(f"{name} may be shelved for 1 s to {limit_s // 60} min, not {lasts_s} s")
        return self._record(self.known(name), SHELVE, stamp, who=who, detail={"lasts_s": lasts_s})

    def unshelve(self, name: str, stamp: Stamp, who: Who) -> list[Event]:
        """Shows a shelved alarm again before its time."""
        return self._seen_again(self.known(name), UNSHELVE, stamp, who)

    def take_out(self, name: str, stamp: Stamp, who: Who) -> list[Event]:
        """Takes an alarm out of service, until somebody puts it back."""
        self._may_hide(name, "taken out of service")
        return self._record(self.known(name), TAKE_OUT, stamp, who=who)

    def put_back(self, name: str, stamp: Stamp, who: Who) -> list[Event]:
        """Puts an alarm back into service."""
        return self._seen_again(self.known(name), PUT_BACK, stamp, who)

    def silence(self, stamp: Stamp, actor: str, role: str) -> list[Event]:
        """Silences the horn for everything that waits now; raises Refused when none sounds."""
        if not self.horn:
            raise Refused("no horn sounds")
        names = sorted(a.name for a in self.all.values() if a.state in WAITING)
        data = {"alarms": names}
        return [self._taken(Event("alarm.silenced", stamp, actor, role, data=data))]

    def _may_hide(self, name: str, what: str) -> int:
        self.known(name)
        limit_s = self.book.entry(name).shelve_s
        if not limit_s:
            raise Refused(
                f"{name} is never {what}",
                means="It is critical, or its row may never be bypassed.",
                do="Acknowledge it, silence the horn, and remove its cause.",
            )
        return limit_s

    def _seen_again(
        self, alarm: Alarm, trigger: str, stamp: Stamp, who: Who = _NOBODY
    ) -> list[Event]:
        """As the process says; what a lost link explains meanwhile is suppressed in turn."""
        return [*self._record(alarm, trigger, stamp, who=who), *self._overshadowed(stamp)]

    # -- records -----------------------------------------------------------------------------

    def _record(
        self, alarm: Alarm, trigger: str, stamp: Stamp, text: str = "", priority: str = "",
        condition: str = "", detail: Mapping[str, Any] = _NO_DETAIL, who: Who = _NOBODY,
    ) -> list[Event]:  # fmt: skip
        """One move of the table as a record; raises Refused for a move it does not have."""
        now = condition or alarm.condition
        new = moved(alarm.name, alarm.state, trigger, now)
        actor, role, reason = who
        data = {"alarm": alarm.name, "old": alarm.state, "new": new,
                "priority": priority or alarm.priority, "text": text or alarm.text,
                "condition": now, "detail": dict(detail)}  # fmt: skip
        return [self._taken(Event("alarm.state", stamp, actor, role, reason, data))]

    def _taken(self, event: Event) -> Event:
        self.evolve(event)
        return event

    def evolve(self, record: Record) -> None:
        """Takes one `alarm.*` record: the only thing that changes the list, living or rebuilt."""
        if isinstance(record, Event):
            name, data = record.name, record.data
        else:
            name, data = record["event"], record["data"]
        if name == "alarm.carried" and data["part"] == 1:
            self.all.clear()
        self.all |= folded(self.all, record)
        self.version += 1

    def carried(self, stamp: Stamp) -> list[Event]:
        """The whole list as records of another log, when the one that holds it ends."""
        items = [carried(alarm) for alarm in self.all.values() if alarm.state != NORM]
        parts = [items[start : start + CARRIED_A_RECORD]
                 for start in range(0, len(items), CARRIED_A_RECORD)] or [[]]  # fmt: skip
        return [
            Event("alarm.carried", stamp,
                  data={"part": number, "parts": len(parts), "alarms": part})
            for number, part in enumerate(parts, 1)
        ]  # fmt: skip

    def _sorted(self, wanted: Callable[[Alarm], bool]) -> list[Alarm]:
        rank = {name: i for i, name in enumerate(PRIORITIES)}
        shown = [alarm for alarm in self.all.values() if wanted(alarm)]
        return sorted(shown, key=lambda alarm: (rank[alarm.priority], alarm.since_ns))

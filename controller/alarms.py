"""Alarms after ISA-18.2: one state each, from the trips and losses that field reports.

The life cycle is one table; every move is a record, so the list is rebuilt from the log. Latching,
shelving and suppression come with the full form; acknowledging never touches the trip itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from controller.core.clock import Stamp
from controller.core.errors import Refused, nearest
from controller.core.events import Event

NORM, UNACK, ACK, RTN_UNACK = "NORM", "UNACK", "ACK", "RTN-UNACK"
# (state, trigger) -> state. A pair that is not here leaves the state as it is.
TABLE: Mapping[tuple[str, str], str] = {
    (NORM, "raise"): UNACK,
    (UNACK, "return"): RTN_UNACK,
    (UNACK, "acknowledge"): ACK,
    (ACK, "return"): NORM,
    (RTN_UNACK, "raise"): UNACK,
    (RTN_UNACK, "acknowledge"): NORM,
}
PRIORITIES = ("critical", "high", "medium", "low")
_PRIORITY = {"abort": "critical", "hold": "high", "alarm": "medium", "none": "low"}
# What has happened and does not last: raised and returned at once, it waits to be acknowledged.
_MOMENTS = {
    "step.timeout": ("step", "", "medium"), "step.unknown": ("step", "", "medium"),
    "prompt.repeat": ("step", "", "medium"), "bypass.lapsed": ("bypass", "row", "high"),
    "ring.overflow": ("ring", "ring", "critical"), "bypass.set": ("bypass", "row", "high"),
    "link.verify": ("verify", "output", "medium"), "clock.step": ("clock", "", "medium"),
    "log.recovered": ("record", "", "high"), "record.replaced": ("record", "", "critical"),
    "supervisor.fault": ("supervisor", "", "critical"), "scan.late": ("scan", "", "medium"),
    "emergency.full": ("record", "", "critical"), "batch.attached": ("supervisor", "", "high"),
    "field.restarted": ("field", "", "critical"), "field.restored": ("field", "", "high"),
    "batch.never_began": ("batch", "batch_id", "medium"),
    "account.locked": ("account", "user", "high"),
    "log.rolled_back": ("rollback", "origin", "critical"),
}  # fmt: skip

DISK = "disk"
# A wall clock that went back: until somebody has seen it, signatures would lie about their time.
CLOCK_BACK = "clock:back"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm as people see it."""

    name: str
    state: str
    priority: str
    text: str
    since_ns: int


class Alarms:
    """All alarms of one unit: `row:ID`, `proof:ID:OUTPUT` (an unproven effect), `link:NAME` ..."""

    def __init__(self, actions: Mapping[str, str]) -> None:
        """`actions`: row id -> the row's action, which sets the priority."""
        self._actions = actions
        self.all: dict[str, Alarm] = {}

    def active(self) -> list[Alarm]:
        """Everything that is not NORM, the worst and oldest first."""
        rank = {name: i for i, name in enumerate(PRIORITIES)}
        shown = [alarm for alarm in self.all.values() if alarm.state != NORM]
        return sorted(shown, key=lambda alarm: (rank[alarm.priority], alarm.since_ns))

    def follow(self, event: Event) -> list[Event]:
        """The alarm records that follow from a record of field."""
        data, stamp = event.data, event.stamp
        if event.name == "cause.active":
            priority = _PRIORITY[self._actions.get(str(data["row"]), "alarm")]
            return self._move(f"row:{data['row']}", "raise", priority, event.words(), stamp)
        if event.name == "cause.cleared":
            moves = self._move(f"row:{data['row']}", "return", "", "", stamp)
            return moves if data["latched"] else [*moves, *self._unproven_end(event)]
        if event.name == "cause.reset":
            return self._unproven_end(event)
        if event.name == "effect.not_confirmed":
            name = f"proof:{data['row']}:{data['output']}"
            return self._move(name, "raise", "critical", event.words(), stamp)
        if event.name == "effect.confirmed":
            name = f"proof:{data['row']}:{data['output']}"
            return self._move(name, "return", "", "", stamp)
        if event.name == "link.state":
            trigger = "raise" if data["state"] == "lost" else "return"
            return self._move(f"link:{data['link']}", trigger, "high", event.words(), stamp)
        if event.name in ("loop.fallback", "loop.restored"):
            trigger = "raise" if event.name == "loop.fallback" else "return"
            return self._move(f"loop:{data['loop']}", trigger, "high", event.words(), stamp)
        if event.name in ("unit.hold", "unit.hold_released"):
            trigger = "raise" if event.name == "unit.hold" else "return"
            return self._move("unit:hold", trigger, "high", event.words(), stamp)
        if event.name in ("witness.lost", "witness.back"):
            trigger = "raise" if event.name == "witness.lost" else "return"
            return self._move(f"witness:{data['witness']}", trigger, "medium", event.words(), stamp)
        if event.name in ("log.failed", "log.gap"):
            trigger = "raise" if event.name == "log.failed" else "return"
            return self._move("log", trigger, "critical", event.words(), stamp)
        if event.name in ("disk.critical", "disk.low", "disk.enough"):
            trigger = "raise" if event.name == "disk.critical" else "return"
            return self._move(DISK, trigger, "high", event.words(), stamp)
        if event.name == "field.restored" and not data["refused"]:
            return []
        if event.name in _MOMENTS:
            prefix, field, priority = _MOMENTS[event.name]
            name = f"{prefix}:{data[field] if field else event.name}"
            if event.name == "clock.step" and str(data["seconds"]).startswith("-"):
                name = CLOCK_BACK
            raised = self._move(name, "raise", priority, event.words(), stamp)
            return [*raised, *self._move(name, "return", "", "", stamp)]
        return []

    def acknowledge(self, name: str, stamp: Stamp, actor: str, role: str) -> list[Event]:
        """Acknowledges one alarm; raises Refused for one that is unknown or needs none."""
        alarm = self.waiting(name)
        return self._move(name, "acknowledge", alarm.priority, alarm.text, stamp, actor, role)

    def waiting(self, name: str) -> Alarm:
        """An alarm that waits to be acknowledged; raises Refused if it does not."""
        alarm = self.all.get(name)
        if alarm is None:
            raise Refused(f"no alarm {name!r}. {nearest(name, list(self.all))}")
        if (alarm.state, "acknowledge") not in TABLE:
            raise Refused(f"alarm {name} is {alarm.state}: there is nothing to acknowledge")
        return alarm

    def unseen(self, name: str) -> bool:
        """Whether an alarm was raised and nobody has acknowledged it yet."""
        alarm = self.all.get(name)
        return alarm is not None and alarm.state in (UNACK, RTN_UNACK)

    def stands(self, name: str) -> bool:
        """Whether what an alarm says is so still."""
        alarm = self.all.get(name)
        return alarm is not None and alarm.state in (UNACK, ACK)

    def evolve(self, record: Event | Mapping[str, Any]) -> None:
        """Takes one `alarm.state` record; used by `follow` itself and to rebuild from a log."""
        if isinstance(record, Event):
            data, mono_ns = record.data, record.stamp.mono_ns
        else:
            data, mono_ns = record["data"], int(record["mono_ns"])
        known = self.all.get(str(data["alarm"]))
        fresh = Alarm(
            str(data["alarm"]), str(data["new"]), str(data["priority"]), str(data["text"]),
            mono_ns,
        )  # fmt: skip
        keep = known is not None and data["new"] in (ACK, RTN_UNACK)
        self.all[fresh.name] = (
            replace(fresh, since_ns=known.since_ns) if keep and known else fresh
        )

    def _unproven_end(self, event: Event) -> list[Event]:
        """A row that forces nothing any more has nothing left to prove."""
        start = f"proof:{event.data['row']}:"
        names = [name for name in self.all if name.startswith(start)]
        return [e for name in names for e in self._move(name, "return", "", "", event.stamp)]

    def _move(
        self, name: str, trigger: str, priority: str, text: str, stamp: Stamp,
        actor: str = "system", role: str = "",
    ) -> list[Event]:  # fmt: skip
        known = self.all.get(name)
        old = known.state if known else NORM
        new = TABLE.get((old, trigger))
        if new is None:
            return []
        if known is not None:
            priority, text = priority or known.priority, text or known.text
        event = Event(
            "alarm.state", stamp, actor, role,
            data={"alarm": name, "old": old, "new": new, "priority": priority, "text": text},
        )  # fmt: skip
        self.evolve(event)
        return [event]

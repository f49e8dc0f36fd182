"""One alarm as a value, and what each alarm record does to it: the fold behind the whole list.

A module because a list that is rebuilt from a log and one that lives must be the same: nothing
changes an alarm but `folded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from controller.alarms.table import (
    CONDITION_OF,
    NORM,
    NORMAL,
    OUT_OF_SERVICE,
    SHELVED,
    UNACK,
)
from controller.core.clock import NS_PER_S, Stamp
from controller.core.events import Event
from controller.record.entry import stamp_of

TEXT_CARRIED: Final = 500
RECORDS: Final = (
    "alarm.state", "alarm.condition", "alarm.escalated", "alarm.silenced", "alarm.carried",
)  # fmt: skip
Record: TypeAlias = Event | Mapping[str, Any]  # as it happens, or as a log gives it back


@dataclass(frozen=True, slots=True)
class When:
    """An instant that a later one can be told from, also after the machine was started again."""

    mono_ns: int = 0
    boot_id: str = ""
    utc_s: int = 0

    @classmethod
    def of(cls, stamp: Stamp) -> When:
        """The instant of a stamp."""
        return cls(stamp.mono_ns, stamp.boot_id, stamp.utc_ns // NS_PER_S)

    def elapsed_ns(self, now: Stamp) -> int:
        """How long ago it was; by the wall clock when the machine was started since."""
        if self.boot_id == now.boot_id:
            return now.mono_ns - self.mono_ns
        return max(now.utc_ns - self.utc_s * NS_PER_S, 0)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm as people see it. `since` is when it last became what a person must look at,
    `moved` when its state last changed; `condition` is what the process says, also while it is
    hidden. `blind`: the bad signals that alone made its row act; `lasts_s`, `reason`, `by`: of
    shelving or taking out of service; `of`: the alarms that suppress it; `calls`: escalations so
    far."""

    name: str
    state: str = NORM
    priority: str = "medium"
    text: str = ""
    condition: str = NORMAL
    since: When = When()
    moved: When = When()
    blind: tuple[str, ...] = ()
    lasts_s: int = 0
    reason: str = ""
    of: tuple[str, ...] = ()
    calls: int = 0
    silenced: bool = False
    by: str = ""

    @property
    def since_ns(self) -> int:
        """`since` on the monotonic clock."""
        return self.since.mono_ns

    @property
    def expected(self) -> str:
        """What a face must have shown of it before it may ask for a change."""
        return f"{self.state}@{self.since_ns}"


def folded(known: Mapping[str, Alarm], record: Record) -> dict[str, Alarm]:
    """The alarms one `alarm.*` record changes, as they are after it; `alarm.carried` gives all of
    its part."""
    if isinstance(record, Event):
        name, data, stamp = record.name, record.data, record.stamp
        actor, reason = record.actor, record.reason
    else:
        name, data = str(record["event"]), record["data"]
        stamp = stamp_of(dict(record))
        actor, reason = str(record.get("actor", "")), str(record.get("reason", ""))
    if name == "alarm.carried":
        return {str(item["name"]): _uncarried(item) for item in data["alarms"]}
    if name == "alarm.silenced":
        return {each: replace(known[each], silenced=True)
                for each in data["alarms"] if each in known}  # fmt: skip
    old = known.get(str(data["alarm"])) or Alarm(str(data["alarm"]))
    if name == "alarm.escalated":
        return {old.name: replace(old, calls=int(data["number"]), silenced=False)}
    if name == "alarm.condition":
        detail = data["detail"]
        return {old.name: replace(old, condition=data["condition"], text=data["text"],
                                  blind=tuple(detail.get("blind", old.blind)))}  # fmt: skip
    return {old.name: _moved(old, data, When.of(stamp), actor, reason)}


def _moved(old: Alarm, data: Mapping[str, Any], at: When, actor: str, reason: str) -> Alarm:
    """After one `alarm.state`. Logs of earlier versions have neither condition nor detail."""
    state, detail = str(data["new"]), data.get("detail", {})
    fresh = state == UNACK or old.state == NORM
    by_hand = state in (SHELVED, OUT_OF_SERVICE)
    return replace(
        old, state=state, priority=str(data["priority"]), text=str(data["text"]),
        condition=str(data.get("condition") or CONDITION_OF[state]),
        since=at if fresh else old.since, moved=at, calls=0 if fresh else old.calls,
        silenced=False if fresh else old.silenced,
        blind=tuple(detail.get("blind", old.blind)), of=tuple(detail.get("of", ())),
        lasts_s=int(detail.get("lasts_s", 0)),
        reason=reason if by_hand else "", by=actor if by_hand else "",
    )  # fmt: skip


def carried(alarm: Alarm) -> dict[str, Any]:
    """An alarm as `alarm.carried` holds it: a batch's log ends, its alarms do not."""
    return {
        "name": alarm.name, "state": alarm.state, "priority": alarm.priority,
        "text": alarm.text[:TEXT_CARRIED], "condition": alarm.condition,
        "since": _instant(alarm.since), "moved": _instant(alarm.moved),
        "blind": list(alarm.blind), "lasts_s": alarm.lasts_s,
        "reason": alarm.reason[:TEXT_CARRIED], "by": alarm.by, "of": list(alarm.of),
        "calls": alarm.calls, "silenced": alarm.silenced,
    }  # fmt: skip


def _instant(when: When) -> str:
    return f"{when.mono_ns} {when.utc_s} {when.boot_id}"


def _uncarried(item: Mapping[str, Any]) -> Alarm:
    fields = dict(item)
    for name in ("since", "moved"):
        mono_ns, utc_s, boot_id = str(item[name]).split(" ", 2)
        fields[name] = When(int(mono_ns), boot_id, int(utc_s))
    for name in ("blind", "of"):
        fields[name] = tuple(item[name])
    return Alarm(**fields)

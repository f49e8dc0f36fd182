"""Which alarm a record raises, and which it ends: from the event alone, no state.

A module because this is the list of everything that can become an alarm; how it lives after that
is the table's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.alarms.defaults import ANNUNCIATOR, CLOCK_BACK, DISK, NO_ANNUNCIATOR
from controller.alarms.table import LATCH, RAISE, RESET, RETURN
from controller.core.events import Event

_BAD: Final = " bad: "  # how a trip tells that a signal is bad: `TT101 bad: silent`
# What has happened and does not last: raised and returned at once, it waits to be acknowledged.
MOMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "step.timeout": ("step", ""), "step.unknown": ("step", ""), "prompt.repeat": ("step", ""),
    "part.held": ("step", ""), "exception.taken": ("step", ""),
    "bypass.lapsed": ("bypass", "row"), "bypass.set": ("bypass", "row"),
    "ring.overflow": ("ring", "ring"), "link.verify": ("verify", "output"),
    "clock.step": ("clock", ""), "log.recovered": ("record", ""), "record.replaced": ("record", ""),
    "supervisor.fault": ("supervisor", ""), "scan.late": ("scan", ""),
    "emergency.full": ("record", ""), "batch.attached": ("supervisor", ""),
    "field.restarted": ("field", ""), "field.restored": ("field", ""),
    "batch.never_began": ("batch", "batch_id"), "account.locked": ("account", "user"),
    "log.rolled_back": ("rollback", "origin"), "board.unknown": ("board", "device"),
    "board.restarted": ("board", "device"), "board.events_lost": ("ring", "device"),
}  # fmt: skip
# What lasts: the event, its alarm (with the field that names it), and what the event does to it.
_LASTING: Final[Mapping[str, tuple[str, str, str]]] = {
    "loop.fallback": ("loop", "loop", RAISE), "loop.restored": ("loop", "loop", RETURN),
    "unit.hold": ("unit:hold", "", RAISE), "unit.hold_released": ("unit:hold", "", RETURN),
    "witness.lost": ("witness", "witness", RAISE), "witness.back": ("witness", "witness", RETURN),
    "log.failed": ("log", "", RAISE), "log.gap": ("log", "", RETURN),
    "disk.critical": (DISK, "", RAISE), "disk.low": (DISK, "", RETURN),
    "disk.enough": (DISK, "", RETURN),
    "annunciator.lost": (ANNUNCIATOR, "", RAISE), "batch.closed": (NO_ANNUNCIATOR, "", RETURN),
}  # fmt: skip

_NONE_SET_UP: Final[Mapping[str, str]] = {"annunciator.none": RAISE, "annunciator.back": RETURN}


@dataclass(frozen=True, slots=True)
class Change:
    """What the process says of one alarm. `blind`: the bad signals that alone made a row act."""

    name: str
    trigger: str
    text: str = ""
    blind: tuple[str, ...] = ()


def changes(event: Event, titles: Mapping[str, str]) -> list[Change]:
    """What an event says, one alarm after the other. `titles`: of the rows of the unit."""
    data, name = event.data, event.name
    if name == "cause.active":
        return [Change(f"row:{data['row']}", RAISE, event.words(), _blind(data, titles))]
    if name == "cause.cleared":
        return [Change(f"row:{data['row']}", LATCH if data["latched"] else RETURN)]
    if name == "cause.reset":
        return [Change(f"row:{data['row']}", RESET)]
    if name in ("effect.not_confirmed", "effect.confirmed"):
        proof = f"proof:{data['row']}:{data['output']}"
        if name == "effect.confirmed":
            return [Change(proof, RETURN)]
        return [Change(proof, RAISE, event.words())]
    if name == "link.state":
        trigger = RAISE if data["state"] == "lost" else RETURN
        return [Change(f"link:{data['link']}", trigger, event.words())]
    if name in _LASTING:
        alarm, field, trigger = _LASTING[name]
        return [Change(f"{alarm}:{data[field]}" if field else alarm, trigger, event.words())]
    if name in _NONE_SET_UP:  # one that is not there is not lost
        return [Change(ANNUNCIATOR, RETURN, event.words()),
                Change(NO_ANNUNCIATOR, _NONE_SET_UP[name], event.words())]  # fmt: skip
    if name in MOMENTS and not (name == "field.restored" and not data["refused"]):
        return [Change(_moment(event), RAISE, event.words()), Change(_moment(event), RETURN)]
    return []


def _moment(event: Event) -> str:
    if event.name == "clock.step" and str(event.data["seconds"]).startswith("-"):
        return CLOCK_BACK
    prefix, field = MOMENTS[event.name]
    return f"{prefix}:{event.data[field] if field else event.name}"


def _blind(data: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[str, ...]:
    """The bad signals of a trip that says it acts only because of them: then its words are not
    those of the row."""
    if data["title"] == titles.get(str(data["row"])):
        return ()
    return tuple(text.partition(_BAD)[0] for text in data["signals"] if _BAD in text)

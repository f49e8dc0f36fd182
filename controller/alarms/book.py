"""The master alarm database of one unit: what each alarm means, what to do about it, how soon.

Written in the unit's file under `alarms:`; what it does not say follows from the kind of alarm and
from what the row does. A name that is no alarm of this unit is refused with its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.alarms.defaults import (
    BY_ACTION,
    KINDS,
    KINDS_ONLY,
    NEVER_SHELVED,
    RESPOND_S,
    SHELVE_S,
    SYSTEM,
    Default,
)
from controller.core.clock import NS_PER_S
from controller.core.errors import nearest
from controller.core.quantity import canonical
from controller.profile.alarm_model import AlarmModel
from controller.profile.compile import CauseInfo, Profile
from controller.profile.plan import CauseKind

ROWS = ("interlock", "protect", "plausibility")  # the kinds of cause that raise an alarm
LATCHING = (CauseKind.PROTECT, CauseKind.PLAUSIBILITY)
SHELVE_H_MAX = 12
_UNKNOWN = Default("medium", "Something nobody foresaw.", "Read the record of it.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One alarm of the database. `shelve_s` 0: it is never shelved nor taken out of service;
    `latched`: once raised it stays until its row is reset; `written`: by the unit's file."""

    name: str
    priority: str
    consequence: str
    action: str
    respond_s: int
    shelve_s: int
    latched: bool
    suppressed_by: tuple[str, ...]
    written: bool

    @property
    def respond_ns(self) -> int:
        """The time to respond."""
        return self.respond_s * NS_PER_S


class Book:
    """Every alarm of one unit by name."""

    def __init__(self, entries: Mapping[str, Entry], titles: Mapping[str, str]) -> None:
        """`titles`: of the rows that raise an alarm."""
        self._entries, self.titles = dict(entries), dict(titles)
        self.names = frozenset(entries) - KINDS_ONLY

    def entry(self, name: str) -> Entry:
        """What is known of an alarm; of one that no database can name, by its kind."""
        known = self._entries.get(name) or self._entries.get(name.partition(":")[0])
        return known or _entry(name, _UNKNOWN, AlarmModel())

    @property
    def entries(self) -> list[Entry]:
        """All, the most urgent first."""
        order = list(RESPOND_S)
        return sorted(self._entries.values(), key=lambda each: order.index(each.priority))

    @classmethod
    def of(cls, profile: Profile) -> Book:
        """The database of a unit. Raises BadInput with file:line for what cannot be."""
        given = profile.model.alarms
        bare = _bare(profile)
        document = profile.document
        for name, model in given.items():
            if name not in bare and name not in KINDS:
                hint = nearest(name, [*bare, *KINDS])
                raise document.error(f"{name!r} is no alarm of this unit. {hint}", "alarms", name)
            for place, other in enumerate(model.suppressed_by):
                if other not in bare or other == name:
                    hint = nearest(other, list(bare))
                    raise document.error(f"{name} cannot be suppressed by {other!r}. {hint}",
                                         "alarms", name, "suppressed_by", place)  # fmt: skip
        protected = {f"row:{row.id}" for row in profile.model.rows if row.never_bypass}
        kinds_of = zip(profile.causes, profile.plan.causes, strict=True)
        latched = {f"row:{c.row}" for c, row in kinds_of if row["kind"] in LATCHING}
        entries = {}
        for name, (default, kinds) in bare.items():
            chain = [given[key] for key in (name, *kinds) if key in given]
            try:
                entries[name] = _entry(name, default, _merged(chain), name in protected,
                                       name in latched)  # fmt: skip
            except ValueError as error:
                where = name if name in given else next(key for key in kinds if key in given)
                raise document.error(f"{name}: {error}", "alarms", where) from None
        return cls(entries, {c.row: c.title for c in profile.causes if c.kind in ROWS})


def _bare(profile: Profile) -> dict[str, tuple[Default, tuple[str, ...]]]:
    """Every alarm there can be, with its default and the kinds it may be written under."""
    found: dict[str, tuple[Default, tuple[str, ...]]] = {}
    for cause in profile.causes:
        if cause.kind in ROWS:
            kinds = ("plausibility", "row") if cause.kind == "plausibility" else ("row",)
            found[f"row:{cause.row}"] = _of_row(profile, cause), kinds
    for (row, output), effect in zip(profile.effects, profile.plan.effects, strict=True):
        if effect["confirm_signal"] >= 0:
            found[f"proof:{row}:{output}"] = SYSTEM["proof"], ("proof",)
    found |= {f"link:{link.name}": (SYSTEM["link"], ("link",)) for link in profile.links}
    found |= {f"loop:{loop}": (SYSTEM["loop"], ("loop",)) for loop in profile.loops}
    return found | {name: (default, ()) for name, default in SYSTEM.items() if name not in KINDS}


def _of_row(profile: Profile, cause: CauseInfo) -> Default:
    outputs = [output for row, output in profile.effects if row == cause.row]
    if cause.kind == "plausibility" and outputs:
        consequence = f"{', '.join(outputs)} is not believed any more."
    elif outputs:
        consequence = f"The row acts on {', '.join(outputs)}."
    else:
        consequence = "The row acts on no output."
    consequence += " The procedure is held." if cause.action == "hold" else ""
    kind = profile.plan.causes[profile.causes.index(cause)]["kind"]
    ends = " Then reset the row." if kind in LATCHING else ""
    return Default(BY_ACTION[cause.action], consequence, f"Find and remove the cause.{ends}")


def _merged(chain: list[AlarmModel]) -> AlarmModel:
    """The first of several that says something says it."""
    found: dict[str, object] = {}
    for model in reversed(chain):
        found |= {key: getattr(model, key) for key in model.model_fields_set}
    return AlarmModel.model_validate(found)


def _entry(
    name: str, default: Default, given: AlarmModel, protected: bool = False, latched: bool = False
) -> Entry:
    """Raises ValueError for a time that is none or too long, and for what may never be shelved."""
    priority = given.priority or default.priority
    never = priority == "critical" or name in NEVER_SHELVED or protected
    if never and given.suppressed_by:
        raise ValueError("an alarm that is critical or never bypassed is not suppressed by others")
    shelve_s = 0 if never else SHELVE_S[priority]
    if given.shelve is not None:
        shelve_s = 0 if given.shelve == "never" else _seconds(given.shelve, "shelve")
        if never and shelve_s:
            raise ValueError("an alarm that is critical or never bypassed is never shelved")
    respond_s = _seconds(given.respond, "respond") if given.respond else RESPOND_S[priority]
    return Entry(
        name, priority, given.consequence or default.consequence, given.action or default.action,
        respond_s, shelve_s, latched, tuple(given.suppressed_by), bool(given.model_fields_set),
    )  # fmt: skip


def _seconds(text: str, what: str) -> int:
    seconds = round(canonical(text, "time"))
    if not 1 <= seconds <= SHELVE_H_MAX * 3600:
        raise ValueError(f"{what} {text} is not between 1 s and {SHELVE_H_MAX} h")
    return seconds

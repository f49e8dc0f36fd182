"""The audit trail: which values were changed, from what to what, by whom, why, and did it happen.

A module because a change is told by several records (intent, signatures, outcome), and an inspector
must see it as one line. Folded from the records alone, in the order in which changes took effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.core.errors import RecordFailure
from controller.core.wording import lasting
from controller.record.frame import read_limited
from controller.record.layout import BLOB_BYTES_MAX
from controller.record.query import Filter
from controller.record.show import Row, printable, select
from controller.record.sources import Source

DONE: Final = "applied"
UNKNOWN: Final = "no outcome recorded"
_NOT_KNOWN: Final = ("unknown", UNKNOWN)
PENDING_MAX: Final = 100_000  # commands without an outcome; a log has a handful
# Their effect is a record of its own: a variable, a sample, an alarm's state, an account.
_NO_VALUE: Final = (
    "answer", "result_file", "acknowledge", "shelve", "unshelve", "out_of_service", "in_service",
    "silence", "identify_hold", "user_add", "user_disable",
)  # fmt: skip
_LABELS: Final = {
    "set_sp": "setpoint of", "set_mode": "mode of", "set_op": "output of", "set_output": "output",
    "set_flag": "flag", "set_total": "total",
}  # fmt: skip
_UNIT_OF: Final = {"set_sp": ".sp", "set_op": ".op", "set_output": "", "set_total": ""}  # its tag
_BARE: Final = ("1", "text")  # units a person is not shown
_FLAGS: Final = {"false": "0", "true": "1"}  # recipes and people say it so, field in numbers
_PLAN_BY: Final = 1_000  # a batch keeps its plan before anything is commanded
_ACCOUNTS: Final = {
    "account.added": ("", "{role}"),
    "account.disabled": ("enabled", "disabled"),
    "account.password_changed": ("", "a new password"),
    "account.locked": ("", "locked for {lock_s} s"),
}
EVENTS: Final = (
    "command.intent", "command.outcome", "command.refused", "signature.given", "variable.set",
    "sample.recorded", "bypass.set", "bypass.lapsed", "recipe.changed", *_ACCOUNTS,
)  # fmt: skip


@dataclass(slots=True)
class Change:
    """One changed value, or an attempt. `result` is `applied`, or what became of it instead.

    `seq` is the record that asked for it, `time` when it took effect (or was asked, if it did not);
    `second` a second person, `signed` the signatures it was given under, `by` the record of its
    outcome, `people` everybody who had a part in it.
    """

    seq: int
    time: str
    event: str
    what: str
    old: str
    new: str
    unit: str
    who: str
    role: str
    why: str
    second: str = ""
    signed: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    result: str = DONE
    by: int = -1

    def row(self) -> Row:
        """The change for a program, and for `line`."""
        names = ("seq", "by", "time", "event", "what", "old", "new", "unit", "who", "role",
                 "second", "signed", "why", "result")  # fmt: skip
        return {name: getattr(self, name) for name in names}


def unit_words(unit: str) -> str:
    """A unit as people read it behind a value: nothing where the value has none."""
    return "" if unit in _BARE else unit


def mark_of(result: str) -> str:
    """What a reader must see at once of a change that is not known to have taken effect."""
    if result == DONE:
        return ""
    return "NOT KNOWN" if result.startswith(_NOT_KNOWN) else "NOT CHANGED"


def line(row: Row) -> str:
    """A change, as `Change.row` gives it, as a person reads it."""
    unit = unit_words(row["unit"])
    move = f": {row['old'] or '(none)'} -> {row['new'] or '(none)'} {unit}".rstrip()
    if row["event"] == "command.intent" and not row["new"]:
        move = f" (it was {row['old']})" if row["old"] else ""  # an order has no value
    who = f"{row['who']} ({row['role']})" if row["role"] else row["who"]
    second = f", second {row['second']}" if row["second"] else ""
    signed = f", signed: {'; '.join(row['signed'])}" if row["signed"] else ""
    why = f"  Reason: {row['why']}" if row["why"] else ""
    mark = mark_of(row["result"])
    mark = f"{mark} ({row['result']}): " if mark else ""
    log = f"{row['log']:<24}  " if "log" in row else ""
    where = f"{log}{row['seq']:>8}  {row['time']}  "
    return printable(f"{where}{mark}{row['what']}{move}  by {who}{second}{signed}{why}")


def changes(source: Source, asked: Filter, *, indexed: bool = True) -> Iterator[Change]:
    """The changed values of one log that are asked for, in the order they took effect.

    Of `asked`, `event` and `seq` are held to the record that asked for a change, `who` to everybody
    who had a part in it, `since` and `until` to when it took effect. Raises RecordFailure at the
    first damage.
    """
    fold = _Fold(units_of(source))
    for row in select(source, Filter(event=",".join(EVENTS)), indexed=indexed):
        yield from (change for change in fold.take(row) if _is_asked(change, asked, source.name))
    yield from (change for change in fold.rest() if _is_asked(change, asked, source.name))


def _is_asked(change: Change, asked: Filter, log: str) -> bool:
    row = {"time": change.time, "reason": change.why, "data": {"why": change.result}}
    return (
        asked.first <= change.seq <= asked.last
        and asked.of_event(change.event)
        and (not asked.who or any(asked.is_who(name) for name in change.people))
        and asked.in_time(row)
        and asked.of_reason(row)
        and asked.of_batch({}, log)
        and (not asked.tag or asked.about({"what": change.what}))
    )


def units_of(source: Source) -> dict[str, str]:
    """The unit of every tag and output, from the plan a batch keeps; empty where it tells none."""
    try:
        for row in select(source, Filter(event="blob.stored", last=_PLAN_BY)):
            if row["data"]["name"] == "plan":
                path = source.directory / row["data"]["file"]
                found = json.loads(read_limited(path, BLOB_BYTES_MAX)).get("units", {})
                return {str(tag): str(pair[0]) for tag, pair in found.items()}
    except (RecordFailure, ValueError, AttributeError, LookupError, TypeError):
        return {}  # a damaged plan is verify's business
    return {}


class _Fold:
    """Joins intents, signatures and outcomes."""

    def __init__(self, units: Mapping[str, str]) -> None:
        self._units = units
        self._waiting: dict[int, Change] = {}

    def take(self, row: Row) -> Iterator[Change]:
        """The changes that are complete with this record."""
        event, data = row["event"], row["data"]
        if event == "command.intent":
            if data["verb"] not in _NO_VALUE:
                self._waiting[data["id"]] = self._intended(row)
                if len(self._waiting) > PENDING_MAX:
                    yield self._waiting.pop(next(iter(self._waiting)))
        elif event == "signature.given":
            change = self._waiting.get(data["id"])
            if change is not None:
                change.signed.append(f"{data['meaning']} by {data['name']} ({data['user']})")
                change.people.append(data["user"])
        elif event == "command.outcome":
            change = self._waiting.pop(data["id"], None)
            if change is not None:
                why = f": {data['why']}" if data["why"] else ""
                change.result = DONE if data["result"] == DONE else f"{data['result']}{why}"
                change.time, change.by = row["time"], row["seq"]
                yield change
        elif event == "recipe.changed":
            change = self._waiting.get(data["id"])
            if change is not None:
                _told(change, data)
        elif event in _OTHERS:
            yield _OTHERS[event](row)
        elif event in _ACCOUNTS:
            old, new = _ACCOUNTS[event]
            yield _change(row, f"account {data['user']}", old, new.format(**data))

    def rest(self) -> Iterator[Change]:
        """What was asked for and has no outcome."""
        yield from self._waiting.values()
        self._waiting.clear()

    def _intended(self, row: Row) -> Change:
        data = row["data"]
        verb, target = data["verb"], data["target"]
        unit = self._units.get(f"{target}{_UNIT_OF[verb]}", "") if verb in _UNIT_OF else ""
        old, new = (_plain(verb, data[name]) for name in ("old", "new"))
        change = _change(row, _thing(verb, target), old, new, unit)
        change.second, change.result = data["second"], UNKNOWN
        change.people += [data["second"]] if data["second"] else []
        return change


def _told(change: Change, data: Row) -> None:
    """A change of the running recipe: its intent says only what was asked for."""
    new = data["new"]
    if isinstance(new, Mapping):
        new = ", ".join(f"{name} = {value}" for name, value in new.items())
    behind = f" behind {data['after']}" if data["after"] else ""
    change.what = f"{data['change']} {data['path']} {data['name']}".rstrip() + behind
    change.old, change.new = str(data["old"]), str(new)
    if data["change"] == "extend":
        change.old, change.new = lasting(data["old"]), f"{lasting(new)} more"


def _thing(verb: str, target: str) -> str:
    return f"{_LABELS.get(verb, verb.replace('_', ' '))} {target}"


def _plain(verb: str, value: Any) -> str:
    """A value in the one form in which an old and a new one can be compared."""
    text = "" if value is None else str(value)
    if verb == "set_flag":
        return _FLAGS.get(text, text)
    if verb in _UNIT_OF and "." in text and "e" not in text.casefold():
        return text.rstrip("0").rstrip(".")
    return text.lower() if verb == "set_mode" else text


def _change(row: Row, what: str, old: Any, new: Any, unit: str = "") -> Change:
    before, after = ("" if part is None else str(part) for part in (old, new))
    return Change(
        row["seq"], row["time"], row["event"], what, before, after, unit, row["actor"],
        row["role"], row["reason"], people=[row["actor"]], by=row["seq"],
    )  # fmt: skip


def _refused(row: Row) -> Change:
    data = row["data"]
    verb, new = data["verb"], data["new"]
    change = _change(row, _thing(verb, data["target"]), "", _plain(verb, new))
    change.result = f"refused: {data['why']}"
    return change


def _variable(row: Row) -> Change:
    data = row["data"]
    change = _change(row, f"variable {data['name']}", data["old"], data["new"], data["unit"])
    change.why = change.why or data["source"]
    return change


def _sample(row: Row) -> Change:
    data = row["data"]
    change = _change(row, f"sample {data['name']}", "", data["value"], data["unit"])
    change.why = change.why or data["source"]
    return change


_OTHERS: Final[Mapping[str, Callable[[Row], Change]]] = {
    "command.refused": _refused,
    "variable.set": _variable,
    "sample.recorded": _sample,
    "bypass.set": lambda row: _change(
        row, f"bypass of row {row['data']['row']}", "", f"until {row['data']['until']}"
    ),
    "bypass.lapsed": lambda row: _change(row, f"bypass of row {row['data']['row']}", "set", ""),
}

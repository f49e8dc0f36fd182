"""How an event is said: its wording, and the parts that depend on what its fields are.

A module of its own because the log's tools word records without making events of them. Fields are
never changed here; a field left empty leaves no dangling arrow, colon or bracket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Data = Mapping[str, Any]
NO_SECOND: Final = "no second element"
_ALARM: Final = {
    ("NORM", "UNACK"): "raised, not acknowledged",
    ("RTN-UNACK", "UNACK"): "raised again, not acknowledged",
    ("UNACK", "ACK"): "acknowledged, still active",
    ("UNACK", "RTN-UNACK"): "returned to normal, not acknowledged",
    ("ACK", "NORM"): "returned to normal",
    ("RTN-UNACK", "NORM"): "acknowledged, was back to normal",
    ("UNACK", "LATCHED-UNACK"): "is over but latched, not acknowledged",
    ("ACK", "LATCHED-ACK"): "is over but latched",
    ("LATCHED-UNACK", "LATCHED-ACK"): "acknowledged, still latched",
    ("LATCHED-UNACK", "UNACK"): "raised again, not acknowledged",
    ("LATCHED-ACK", "UNACK"): "raised again, not acknowledged",
    ("LATCHED-UNACK", "RTN-UNACK"): "reset, not acknowledged",
    ("LATCHED-ACK", "NORM"): "reset",
}
_HIDING: Final = {
    "SHELVED": "shelved", "SUPPRESSED-BY-DESIGN": "suppressed by design",
    "OUT-OF-SERVICE": "out of service",
}
_NOW: Final = {"normal": "is over", "stands": "stands", "latched": "is over but latched"}


def spoken(name: str, wording: str, data: Data) -> str:
    """The words of one event; raises KeyError or IndexError for fields of another version."""
    part, more = _PARTS.get(name), dict[str, Any]()
    if "index" in data:  # people count steps from 1, as the screen does
        index = data["index"]
        more["nth"] = index + 1 if isinstance(index, int) else index
    if part is not None:
        more["said"] = part(data)
    return wording.format(**data, **more)


def alarm_words(name: str) -> str:
    """An alarm's name as people say it: `row:8` is row 8, `proof:8:feed` the proof of feed."""
    kind, _, rest = name.partition(":")
    if kind == "proof" and ":" in rest:
        row, _, output = rest.partition(":")
        return f"proof of {output} for row {row}"
    return f"{kind} {rest}".strip()


def _after(before: str, text: object, after: str = "") -> str:
    return f"{before}{text}{after}" if text not in ("", None) else ""


def _change(data: Data) -> str:
    """`: 37 -> 36.5`, `: 36.5` or ` (it was Held)`: only what is known."""
    old, new = data["old"], data["new"]
    if old in ("", None):
        return _after(": ", new)
    return _after(f": {old} -> ", new) or f" (it was {old})"


def _listed(value: object) -> str:
    return (", ".join(str(item) for item in value) if isinstance(value, list | tuple)
            else str(value)) or "none"  # fmt: skip


def _pairs(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(f"{key} {item}" for key, item in value.items())


def _alarm(data: Data) -> str:
    old, new = str(data["old"]), str(data["new"])
    move = _ALARM.get((old, new), f"{old} to {new}")
    if new in _HIDING:
        detail = data.get("detail") or {}
        lasts = f" for {round(int(detail['lasts_s']) / 60)} min" if detail.get("lasts_s") else ""
        by = " with " + _listed([alarm_words(each) for each in detail["of"]]) \
            if detail.get("of") else ""
        move = f"{_HIDING[new]}{lasts}{by}"
    elif old in _HIDING:
        move = f"no longer {_HIDING[old]}, {new}"
    return f"{alarm_words(str(data['alarm']))} {move}" + _after(": ", data["text"])


def lasting(seconds: object) -> str:
    """A time in seconds as people read it: `214 h`, `30 min`, `90 s`; what is no number stays."""
    try:
        found = float(str(seconds))
    except ValueError:
        return str(seconds)
    for unit, size in (("h", 3600), ("min", 60)):
        if found and found % size == 0:
            return f"{found / size:g} {unit}"
    return f"{found:g} s"


def _amended(data: Data) -> str:
    """A change of a running recipe: what, of which element, from what to what."""
    kind, path, old, new = (data[key] for key in ("change", "path", "old", "new"))
    if kind in ("insert", "repeat"):
        given = _after(", ", _pairs(new) if new else "")
        return f"{kind} {path} behind {data['after']} ({data['name']}{given})"
    if kind == "extend":
        return f"extend {path} {data['name']} by {lasting(new)}, was {lasting(old)}"
    said = f"{kind} {path}" + _after(" ", data["name"])
    return f"{said}, was {old}" + _after(", is ", "" if kind == "skip" else new)


def _hidden(data: Data) -> str:
    """What the process says of an alarm that is not shown."""
    hiding = _HIDING.get(str(data["state"]), str(data["state"]))
    now = _NOW.get(str(data["condition"]), str(data["condition"]))
    return f"{alarm_words(str(data['alarm']))}, {hiding}, {now}" + _after(": ", data["text"])


_PARTS: Final[Mapping[str, Callable[[Data], str]]] = {
    "alarm.state": _alarm,
    "alarm.condition": _hidden,
    "alarm.silenced": lambda data: _listed([alarm_words(str(each)) for each in data["alarms"]]),
    "alarm.carried": lambda data: _after(": ", _listed([
        alarm_words(str(each.get("name", ""))) for each in data["alarms"]
        if isinstance(each, Mapping)
    ])),
    "batch.attached": lambda data: f"{data['gap_s']} s" if data["gap_s"]
    else "a time nobody can know",
    "board.bypass": lambda data: "in force" if data["stands"] is True else "no longer in force",
    "callout.done": lambda data: "its command ended well" if data["exit_code"] == 0
    else f"its command failed, {data['why']}",
    "checkpoint.timestamped": lambda data: "" if data["trusted"] is True
    else ", its certificate not checked here",
    "command.intent": lambda data: f"{str(data['verb']).replace('_', ' ')} {data['target']}"
    + _change(data),
    "command.outcome": lambda data: _after(": ", data["why"]),
    "command.refused": lambda data: f"{str(data['verb']).replace('_', ' ')} {data['target']}"
    + _after(" ", data["new"]),
    "recipe.changed": _amended,
    "control.result": lambda data: "within" if data["within"] is True
    else "OUTSIDE" + _after(", ", data["then"]),
    "effect.not_confirmed": lambda data: "it has no second element"
    if data["second"] == NO_SECOND else f"{data['second']} acts",
    "field.left": lambda data: f"latched rows: {_listed(data['rows'])}; "
    f"locked outputs: {_listed(data['outputs'])}",
    "field.restored": lambda data: _after("; refused: ", data["refused"] and
                                          _listed(data["refused"])),
    "link.fault": lambda data: f"{data['link']}{_after('/', data['device'])}",
    "link.identified": lambda data: _after(": ", data["what"]),
    "link.state": lambda data: _after(": ", data["why"]),
    "link.write": lambda data: "sent and read back from the device" if data["confirmed"] is True
    else "sent",
    "procedure.rule": lambda data: "in force" if data["stands"] is True else "no longer in force",
    "procedure.state": lambda data: _after(" (", data["cause"], ")"),
    "quality.changed": lambda data: "" if data["new"] == "good" else _after(", ", data["reason"]),
    "simulation.hands": lambda data: _after(" ", _pairs(data["data"])),
    "step.condition": lambda data: "holds" if data["holds"] is True else "holds no more",
    "variable.set": lambda data: (f"{data['old']} -> " if data["old"] not in ("", None) else "")
    + f"{data['new']}{_after(' ', data['unit'])}",
}  # fmt: skip

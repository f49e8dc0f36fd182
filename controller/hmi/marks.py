"""What people changed in a running recipe, at the elements it concerns, each with its deviation.

The frozen recipe stays in sight: a changed value stands beside the one it replaced, an element that
was inserted says so, one that was skipped stays in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.hmi.waiting import time_words
from controller.standing import Changed

MARKS = {"insert": "inserted", "skip": "skipped", "repeat": "repeated", "set": "changed",
         "extend": "extended"}  # fmt: skip
_FIRST = ("inserted", "skipped", "repeated", "changed", "extended")


class Marks:
    """The changes of one batch, by element."""

    def __init__(self, changes: Sequence[Changed]) -> None:
        self._of: dict[str, list[Changed]] = {}
        for change in changes:
            self._of.setdefault(change.path, []).append(change)

    def mark(self, path: str) -> str:
        """One word for an element: inserted, skipped, repeated, changed, extended; or empty."""
        kinds = {MARKS[change.kind] for change in self._of.get(path, ())}
        return next((word for word in _FIRST if word in kinds), "")

    def changes(self, path: str) -> list[str]:
        """Each change of an element in words: what it was, what it is, which deviation."""
        return [words(change) for change in self._of.get(path, ())]


def words(change: Changed) -> str:
    """One change as people read it."""
    if change.kind == "set":
        said = f"{change.name}: {change.old} -> {change.new}"
    elif change.kind == "extend":
        said = f"{change.name}: extended by {_time(change.new)}, was {_time(change.old)}"
    elif change.kind in ("insert", "repeat"):
        given = f", {change.new}" if change.new and change.kind == "insert" else ""
        said = f"{MARKS[change.kind]} ({change.name}{given}) behind {change.after}"
    else:
        said = f"{MARKS[change.kind]}, was {change.old}"
    return f"{said}, {change.deviation} by {change.by} and {change.second}"


def value_words(kind: str, old: object, new: object) -> tuple[str, str]:
    """Old and new of a change that was not made yet, as people read them."""
    if kind == "extend":
        return _time(str(old)), f"{_time(str(old))} and {_time(str(new))}"
    if isinstance(new, Mapping):
        given = ", ".join(f"{name} = {value}" for name, value in sorted(new.items()))
        return str(old), given or "with the phase's own values"
    return str(old), str(new)


def _time(seconds: str) -> str:
    try:
        return time_words(float(seconds))
    except ValueError:
        return seconds

"""What stands beside the procedure: the equipment it is for, the formula, in-process controls."""

from __future__ import annotations

from typing import Any

from controller.recipe.compare.differences import CONTROLS, EQUIPMENT, FORMULA, Comparison
from controller.recipe.compare.meaning import meaning
from controller.recipe.offer import with_unit
from controller.recipe.plan import ControlPlan, ControlRecipe

ABSENT = "not there"


def equipment(found: Comparison) -> None:
    """Adds differences of the unit; `unit_version` as the files say it."""
    for name in ("unit", "unit_version"):
        was, now = (str(side.document.data.get(name)) for side in (found.before, found.after))
        if was != now:
            found.add(EQUIPMENT, f"{name} was {was}, is {now}", (name,), (name,))


def formula(found: Comparison) -> None:
    """Adds differences of the formula's parameters."""
    before, after = found.before, found.after
    for name in dict.fromkeys((*before.ranges, *after.ranges)):
        place = ("formula", name)
        if name not in after.ranges:
            words = f"{name} is gone, it was {_value(before, name)}"
            found.add(FORMULA, words, place, None)
        elif name not in before.ranges:
            words = f"{name} is new: {_value(after, name)}, {_range(after, name)}"
            found.add(FORMULA, words, None, place)
        else:
            _parameter(found, name)


def _parameter(found: Comparison, name: str) -> None:
    before, after, place = found.before, found.after, ("formula", name)
    old, new = before.document.data["formula"][name], after.document.data["formula"][name]
    rows = [
        ("value", _value(before, name), _value(after, name)),
        ("low", _range(before, name), _range(after, name)),
        ("source", before.ranges[name].source, after.ranges[name].source),
        ("required", str(bool(old.get("required"))), str(bool(new.get("required")))),
        ("unknown", str(old.get("unknown") or ABSENT), str(new.get("unknown") or ABSENT)),
    ]
    if meaning(str(old.get("from"))) != meaning(str(new.get("from"))):
        rows.append(("from", str(old.get("from") or ABSENT), str(new.get("from") or ABSENT)))
    for key, was, now in rows:
        if was != now:
            word = "" if key == "value" else " range" if key == "low" else f" {key}"
            found.add(FORMULA, f"{name}{word} was {was}, is {now}", (*place, key), (*place, key))
    found.title(
        f"title of {name}", str(old.get("title") or ""), str(new.get("title") or ""),
        (*place, "title"), (*place, "title"),
    )  # fmt: skip


def _value(recipe: ControlRecipe, name: str) -> str:
    item = recipe.ranges[name]
    return "to be given" if item.value is None else with_unit(item.value, item.dimension)


def _range(recipe: ControlRecipe, name: str) -> str:
    item = recipe.ranges[name]
    return f"{with_unit(item.low, item.dimension)} .. {with_unit(item.high, item.dimension)}"


def controls(found: Comparison) -> None:
    """Adds differences of in-process controls."""
    before = {item.id: (number, item) for number, item in enumerate(found.before.controls)}
    after = {item.id: (number, item) for number, item in enumerate(found.after.controls)}
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            found.add(CONTROLS, f"{name} is gone", ("controls", before[name][0]), None)
        elif name not in before:
            number, item = after[name]
            words = f"{name} is new: {item.variable} {_limits(item)}"
            found.add(CONTROLS, words, None, ("controls", number))
        else:
            _control(found, before[name], after[name])


def _control(
    found: Comparison, ours: tuple[int, ControlPlan], theirs: tuple[int, ControlPlan]
) -> None:
    (here, old), (there, new) = ours, theirs
    rows: list[tuple[str, Any, Any]] = [
        ("of", old.variable, new.variable),
        ("low", _limits(old), _limits(new)),
        ("outside", ", then ".join(old.outside), ", then ".join(new.outside)),
    ]
    was, now = ("always" if c.when is None else c.when.text for c in (old, new))
    if meaning(was) != meaning(now):
        rows.append(("when", was, now))
    for key, before, after in rows:
        if before != after:
            word = "limits" if key == "low" else key
            found.add(
                CONTROLS, f"{new.id}: {word} was {before}, is {after}", ("controls", here, key),
                ("controls", there, key),
            )  # fmt: skip
    found.title(f"title of {new.id}", old.title, new.title, ("controls", here, "title"),
                ("controls", there, "title"))  # fmt: skip


def _limits(item: ControlPlan) -> str:
    low, high = (None if x is None else with_unit(x, item.dimension) for x in (item.low, item.high))
    return " ".join(
        f"{word} {limit}" for word, limit in (("from", low), ("to", high)) if limit is not None
    )

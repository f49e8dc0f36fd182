"""What BatchML cannot express, key by key: what travels beside it, and what does not travel.

One list for the export to print, for the import to read back, and for docs/batchml.md.
"""

from __future__ import annotations

import json
from typing import Any, Final

from controller.core.errors import BadInput, Place
from controller.recipe.batchml.xml import MAX_TEXT, Element

PREFIX: Final = "cellwright."
MAX_NESTED: Final = 16
# Travels as OtherInformation `cellwright.KEY`: another system may keep it, none acts on it.
BESIDE: Final = {
    "controls": "in-process controls: limits of a sample's results, and what follows outside them",
    "exceptions": "exceptions of a phase: hold, abort or go to an alternative on a cause",
    "alternatives": "alternative operations, which only an exception starts",
    "then": "what follows an alternative operation",
    "long_hold": "the operation that cares for the cells in a long Hold",
    "level": "to which level a hold or an abort of a phase goes",
    "recovery": "the gap after which a phase is Held when the batch is taken up again",
    "at_most": "the limit of a loop",
    "on_limit": "what follows when a loop reaches its limit",
    "unknown": "what an unknown condition means",
    "timeout": "the time-out of a transition",
    "on_timeout": "what follows a time-out",
    "every": "how often a condition is looked at",
}
# Has a place in BatchML, but its meaning there is ours alone.
BY_CONVENTION: Final = {
    "low, high": "the range of a formula parameter: nested parameters `low` and `high`",
    "source": "where a parameter's value comes from: ParameterSubType",
    "conditions": "conditions and equations are in cellwright's own expressions",
    "choices": "the order in which the choices of a selection are looked at: that of their ToID",
}
# Is not in the file at all.
LEFT: Final = (
    "what a phase does: its steps belong to the unit, the file names only the phase class",
    "comments and layout of the YAML file",
    "approvals, signatures and digests: an imported recipe is a new one, to be approved anew",
)


def add_beside(element: Element, name: str, data: Any) -> None:
    """Appends `OtherInformation` that carries plain data; raises BadInput if it is too long."""
    text = json.dumps(data, ensure_ascii=False, separators=(", ", ": "))
    if len(text) > MAX_TEXT:
        raise BadInput(f"{name} has {len(text)} characters, BatchML carries {MAX_TEXT} at most")
    other = element.add("OtherInformation")
    other.add("ID", PREFIX + name)
    value = other.add("Value")
    value.add("ValueString", text)
    value.add("DataInterpretation", "Constant")
    value.add("DataType", "string")
    value.add("UnitOfMeasure", "")
    about = BESIDE.get(name.rpartition(".")[2], "")
    if about:
        other.add("Description", about)


def _flat(data: Any) -> Any:
    """Plain data as it is; raises ValueError for what is nested deeper than a recipe can be."""
    level = [data]
    for _ in range(MAX_NESTED):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return data
    raise ValueError(f"nested deeper than {MAX_NESTED} levels")


def _parts(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return list(data.values())
    return data if isinstance(data, list) else []


def beside(element: Element, file: str) -> dict[str, Any]:
    """What an element carries beside BatchML; raises BadInput for what cannot be read."""
    found: dict[str, Any] = {}
    for other in element.all("OtherInformation"):
        name = other.said("ID")
        value = other.find("Value")
        if not name.startswith(PREFIX) or value is None:
            continue
        try:
            found[name.removeprefix(PREFIX)] = _flat(json.loads(value.said("ValueString")))
        except (ValueError, RecursionError):
            raise BadInput(f"{name} is not readable", where=Place(file, other.line),
                           do="Nothing was written. Export the recipe anew.") from None  # fmt: skip
    return found

"""A recipe as BatchML: procedure, formula and logic, and a list of what travels beside it.

Works on the recipe's own data, so that what the batch runs and what is handed out are one text.
Structures become recipe segments with their own procedure logic between a begin and an end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.core.errors import BadInput
from controller.recipe.batchml.beyond import BESIDE, add_beside
from controller.recipe.batchml.logic import Logic, item_id
from controller.recipe.batchml.values import add_value, one_line
from controller.recipe.batchml.xml import Element, write

KINDS = ("operation", "phase", "transition", "parallel", "select", "loop")
_TYPES = {"operation": "Operation", "phase": "Phase", "parallel": "RecipeSegment",
          "select": "RecipeSegment", "loop": "RecipeSegment"}  # fmt: skip
# What has an element of its own in BatchML; every other key travels beside it.
_SAID = {
    "unit_procedure": {"unit_procedure", "title", "unit", "operations", "alternatives"},
    "operation": {"operation", "title", "phases", "branches"},
    "phase": {"phase", "title", "use", "with"},
    "transition": {"transition", "when", "text"},
    "parallel": {"parallel", "title", "branches"},
    "select": {"select", "title", "choices"},
    "loop": {"loop", "title", "do", "until"},
}
_RECIPE = {"recipe", "version", "title", "unit", "unit_version", "formula", "long_hold",
           "procedure"}  # fmt: skip
_FORMULA = {"value", "low", "high", "title", "source", "required", "from", "unknown"}
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Exported:
    """The file, and what in it BatchML has no element for: `path: what`, in the recipe's order."""

    xml: bytes
    beside: tuple[str, ...]


def export(data: Data) -> Exported:
    """BatchML of a recipe's data (a checked document); raises BadInput for what XML cannot hold."""
    exporter = _Exporter(data)
    root = Element("BatchInformation")
    exporter.recipe(root.add("MasterRecipe"))
    for element in root.walk():
        bad = _NOT_XML.search(element.text)
        if bad is not None:
            raise BadInput(
                f"a text has the character {bad[0]!r}, which XML cannot hold: {element.text[:40]!r}"
            )
    return Exported(write(root), tuple(exporter.told))


@dataclass(slots=True)
class _Exporter:
    data: Data
    told: list[str] = field(default_factory=list)

    def recipe(self, master: Element) -> None:
        data = self.data
        _text(master, "ID", data["recipe"])
        _text(master, "Version", data["version"])
        _text(master, "Description", data["title"])
        self._unit(master, data["unit"], str(data.get("unit_version", "")))
        formula = data.get("formula") or {}
        holder = master.add("Formula")
        for name, item in formula.items():
            _parameter(holder, name, item, set(formula))
        procedure = data["procedure"]
        logic = Logic(master, "")
        logic.sequence([{"unit_procedure": item["unit_procedure"]} for item in procedure])
        for item in procedure:
            self._unit_procedure(master, item)
        self._long_hold(master)
        self._beside(master, data, _RECIPE, str(data["recipe"]))
        for name, item in formula.items():
            rest = {key: value for key, value in item.items() if key not in _FORMULA}
            if rest:
                self._carry(master, f"formula.{name}", rest, f"formula {name}")

    def _unit(self, element: Element, unit: str, version: str) -> None:
        need = element.add("EquipmentRequirement")
        need.add("ID", str(unit))
        if version:
            constraint = need.add("Constraint")
            constraint.add("ID", "unit_version")
            constraint.add("Condition", version)

    def _unit_procedure(self, parent: Element, item: Data) -> None:
        path = str(item["unit_procedure"])
        element = _element(parent, path, "UnitProcedure", item, self.data)
        if item.get("unit"):
            self._unit(element, item["unit"], "")
        Logic(element, path).sequence(item["operations"])
        for child in item["operations"]:
            self._item(element, child, path)
        for child in item.get("alternatives") or []:
            self._operation(element, child, path, {"alternatives": True})
        self._transitions(element, item["operations"], path)
        self._beside(element, item, _SAID["unit_procedure"], path)

    def _long_hold(self, master: Element) -> None:
        care = self.data.get("long_hold")
        if care:
            rest = {key: value for key, value in care.items() if key != "after"}
            self._operation(master, rest, "", {"long_hold": {"after": care["after"]}})

    def _item(self, parent: Element, item: Data, above: str) -> None:
        kind = next(kind for kind in KINDS if kind in item)
        if kind == "operation":
            self._operation(parent, item, above, {})
        elif kind == "phase":
            self._phase(parent, item, above)
        elif kind != "transition":
            self._structure(parent, kind, item, above)

    def _operation(self, parent: Element, item: Data, above: str, marks: Data) -> None:
        path = f"{above}/{item['operation']}".lstrip("/")
        element = _element(parent, path, "Operation", item, self.data)
        branches = item.get("branches") or []
        logic = Logic(element, path)
        if branches:
            logic.parallel(branches)
        else:
            branches = [item.get("phases") or []]
            logic.sequence(branches[0])
        self._children(element, branches, path)
        for name, mark in marks.items():
            self._carry(element, name, mark, path)
        self._beside(element, item, _SAID["operation"], path)

    def _phase(self, parent: Element, item: Data, above: str) -> None:
        path = f"{above}/{item['phase']}"
        element = _element(parent, path, "Phase", item, self.data)
        element.add("BuildingBlockElementID", str(item.get("use") or item["phase"]))
        names = set(self.data.get("formula") or {})
        for name, raw in (item.get("with") or {}).items():
            parameter = element.add("Parameter")
            parameter.add("ID", name)
            parameter.add("ParameterType", "ProcessParameter")
            add_value(parameter, raw, names)
        self._beside(element, item, _SAID["phase"], path)

    def _structure(self, parent: Element, kind: str, item: Data, above: str) -> None:
        path = f"{above}/{item[kind]}"
        element = _element(parent, path, "RecipeSegment", item, self.data)
        logic = Logic(element, path)
        if kind == "parallel":
            branches = item["branches"]
            logic.parallel(branches)
        elif kind == "select":
            choices = item["choices"]
            branches = [choice.get("do") or choice.get("otherwise") or [] for choice in choices]
            logic.select([(choice.get("when"), branch)
                          for choice, branch in zip(choices, branches, strict=True)])  # fmt: skip
        else:
            branches = [item["do"]]
            logic.loop(item["do"], str(item["until"]))
        self._children(element, branches, path)
        self._beside(element, item, _SAID[kind], path)

    def _children(self, element: Element, branches: list[Any], path: str) -> None:
        for branch in branches:
            for child in branch:
                self._item(element, child, path)
        for branch in branches:
            self._transitions(element, branch, path)

    def _transitions(self, element: Element, items: list[Any], path: str) -> None:
        """A transition has no place for its time-out: the element around it carries it."""
        for item in items:
            if "transition" in item:
                self._beside(element, item, _SAID["transition"], f"{path}/{item['transition']}",
                             f"transition.{item['transition']}.")  # fmt: skip

    def _beside(
        self, element: Element, item: Data, said: set[str], path: str, prefix: str = ""
    ) -> None:
        for key, value in item.items():
            if key not in said:
                self._carry(element, prefix + key, value, path)

    def _carry(self, element: Element, name: str, value: Any, path: str) -> None:
        add_beside(element, name, value)
        key = name.rpartition(".")[2]
        self.told.append(f"{path}: {BESIDE.get(key, key)}")


def _element(parent: Element, path: str, kind: str, item: Data, data: Data) -> Element:
    element = parent.add("RecipeElement")
    element.add("ID", path)
    element.add("Version", one_line(str(data["version"])))
    if item.get("title"):
        _text(element, "Description", item["title"])
    element.add("RecipeElementType", kind)
    return element


def _text(element: Element, tag: str, text: object) -> None:
    element.add(tag, one_line(str(text)))


def _parameter(holder: Element, name: str, item: Data, names: set[str]) -> None:
    parameter = holder.add("Parameter")
    parameter.add("ID", name)
    if item.get("title"):
        _text(parameter, "Description", item["title"])
    parameter.add("ParameterType", "ProcessParameter")
    parameter.add("ParameterSubType", str(item.get("source") or "fixed"))
    if item.get("required"):
        parameter.add("ParameterSubType", "required")
    if item.get("unknown"):
        parameter.add("ParameterSubType", f"unknown={item['unknown']}")
    if item.get("value") is not None:
        add_value(parameter, item["value"])
    if item.get("from") is not None:
        how = "Reference" if str(item["from"]).strip() in names else "Equation"
        add_value(parameter, item["from"],
                  how=how if item.get("source") == "deferred" else "External")  # fmt: skip
    for key in ("low", "high"):
        if item.get(key) is not None:
            limit = parameter.add("Parameter")
            limit.add("ID", key)
            limit.add("ParameterType", "ProcessParameter")
            add_value(limit, item[key])


__all__ = ["Exported", "export", "item_id"]
